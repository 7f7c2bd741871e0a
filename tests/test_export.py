"""A model handed on: transformers, the gguf package, and llama.cpp where it is installed, agree."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import gguf
import jinja2
import numpy as np
import pytest
import torch
from test_gguf_file import SMALL, VOCABULARY, lively
from transformers import AutoModelForCausalLM, AutoTokenizer

from ch02.dataloader import read_text
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05 import export
from ch05.chat_forms import FORMS, QUESTIONS, ROLES, form_of
from ch05.export import export_gguf, export_hf, modelfile
from ch05.gguf_file import read_gguf
from ch05.gguf_writer import Entry, write_gguf
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.llama_gguf import gguf_tokenizer, load_gguf
from ch05.llama_tokenizer import chat_ids
from ch05.merge_list import as_merges, last_union
from ch07.gpt_instruction_finetuning import format_prompt

TEXTS = (
    read_text()[:3000],
    "Zwei Wörter, 12,345 numbers\n\n\tand a tab; don't  stop.",
    "한국어 문장도 그대로 돌아옵니다. 🙂",
    "",
)


@pytest.fixture(scope="module")
def course() -> tuple[GPTModel, BPETokenizer]:
    return load_pretrained("course")


@pytest.fixture(scope="module")
def in_hf(course, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    export_hf(*course, folder, QUESTIONS)
    return folder


@pytest.fixture(scope="module")
def in_gguf(course, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("gguf")
    paths = {kind: folder / f"{kind}.gguf" for kind in export.FILE_TYPES}
    for kind, path in paths.items():
        export_gguf(*course, path, kind, QUESTIONS, "course")
    return paths


def ids_of(tokenizer: BPETokenizer, text: str) -> torch.Tensor:
    return torch.tensor([tokenizer.encode_ordinary(text)])


# ---- transformers


def test_transformers_reads_the_same_ids(course, in_hf):
    ours, theirs = course[1], AutoTokenizer.from_pretrained(in_hf)
    for text in TEXTS:
        assert theirs.encode(text) == ours.encode_ordinary(text)
        assert theirs.decode(theirs.encode(text)) == text
    end = ours.special_tokens[END_OF_TEXT]
    assert theirs.encode("One." + END_OF_TEXT) == [*ours.encode_ordinary("One."), end]
    assert theirs.eos_token_id == theirs.pad_token_id == end


def test_transformers_computes_the_same_scores_and_text(course, in_hf):
    model, tokenizer = course
    theirs = AutoModelForCausalLM.from_pretrained(in_hf).double()
    idx = ids_of(tokenizer, TEXTS[0])[:, :64]
    with torch.no_grad():
        assert (theirs(idx).logits - model.double()(idx)).abs().max() < 1e-9
    model.float()
    written = AutoModelForCausalLM.from_pretrained(in_hf).generate(idx[:, :8], max_new_tokens=20)
    # generate of ours writes on; theirs ends at the end token.
    ours = generate(model, idx[:, :8], 20, temperature=0)
    assert written[0].tolist() == ours[0, : written.shape[1]].tolist()


def test_the_course_reads_its_own_folder(course, in_hf):
    model, tokenizer = load_pretrained(in_hf)
    assert tokenizer.ranks == course[1].ranks
    idx = ids_of(tokenizer, "The baker")
    assert torch.equal(model(idx), course[0](idx))


@pytest.mark.parametrize(
    "history", [[], [{"instruction": "What is 2 + 3?", "input": "", "output": "5"}]]
)
def test_the_template_of_questions_writes_what_chapter_7_trains_on(in_hf, history):
    turns = [*history, {"instruction": "What is the plural of goose?", "input": ""}]
    messages = [
        {"role": role, "content": turn[name]}
        for turn in turns
        for role, name in (("user", "instruction"), ("assistant", "output"))
        if name in turn
    ]
    text = AutoTokenizer.from_pretrained(in_hf).apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert text == format_prompt({**turns[-1], "history": history})


def test_a_role_that_was_never_taught_is_refused(in_hf):
    tokenizer = AutoTokenizer.from_pretrained(in_hf)
    with pytest.raises(jinja2.TemplateError, match="no role system"):
        tokenizer.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)


@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be short."}]])
def test_the_template_of_roles_has_the_ids_of_chat_ids(tmp_path, system):
    tokenizer = gguf_tokenizer(VOCABULARY)
    export_hf(lively(SMALL), tokenizer, tmp_path, ROLES)
    messages = [*system, {"role": "user", "content": "Who are you?"}]
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    found = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert found == chat_ids(tokenizer, messages)
    assert theirs.eos_token == "<|im_end|>"


# ---- merges


def test_merges_lead_to_every_token_and_to_the_same_ids(course):
    tokenizer = course[1]
    merges = as_merges(tokenizer)
    assert len(merges.merges) == len(tokenizer.ranks) - 256
    assert all(merges.encode_ordinary(t) == tokenizer.encode_ordinary(t) for t in TEXTS)
    assert as_merges(merges) is merges


def test_a_token_that_no_merge_makes_is_named(course):
    ranks = dict(course[1].ranks)
    ranks["ж€".encode()] = len(ranks)
    with pytest.raises(ValueError, match="no merges lead to the token"):
        as_merges(BPETokenizer(ranks))


def test_the_last_union_is_of_the_lowest_ranks():
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"ab": 4, b"abc": 5}
    assert last_union(b"abc", ranks) == [b"a", b"bc"]


# ---- GGUF


def test_the_gguf_package_reads_every_key_and_number(course, in_gguf):
    model, tokenizer = course
    reader = gguf.GGUFReader(in_gguf["f32"])
    kinds = {t.name: t.tensor_type for t in reader.tensors}
    arch = gguf.MODEL_ARCH.GPT2
    names = gguf.get_tensor_name_map(arch, model.config.n_layers).mapping.values()
    # All that ggml knows of a GPT-2, but for the head, which is tied here.
    expected = {n for _, n in names} - {"output"}
    assert {name.rpartition(".")[0] for name in kinds} == expected
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "gpt2"
    assert fields["gpt2.block_count"] == model.config.n_layers
    assert fields["gpt2.attention.layer_norm_epsilon"] == pytest.approx(1e-5)
    assert fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.ggml.eos_token_id"] == tokenizer.special_tokens[END_OF_TEXT]
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert fields["tokenizer.ggml.merges"] == as_merges(tokenizer).merges
    assert fields["tokenizer.chat_template"] == QUESTIONS.jinja
    read = {t.name: t.data for t in reader.tensors}
    state = model.state_dict()
    assert np.array_equal(read["token_embd.weight"], state["tok_emb.weight"])
    qkv = state["blocks.2.attention.qkv.weight"]
    assert np.array_equal(read["blk.2.attn_qkv.weight"], qkv)
    assert np.array_equal(read["blk.1.ffn_norm.bias"], state["blocks.1.norm2.shift"])


def test_each_type_keeps_what_it_can(course, in_gguf):
    weight = course[0].state_dict()["blocks.0.feed_forward.layers.0.weight"].numpy()
    for kind, rounded in (("f16", 2.0**-11), ("q8_0", 0.5 / 127)):
        file, reader = read_gguf(in_gguf[kind]), gguf.GGUFReader(in_gguf[kind])
        ours = file.tensors["blk.0.ffn_up.weight"].unpack()
        [theirs] = [t for t in reader.tensors if t.name == "blk.0.ffn_up.weight"]
        assert np.array_equal(ours, gguf.dequantize(theirs.data, theirs.tensor_type))
        assert np.abs(ours - weight).max() <= 1.01 * rounded * np.abs(weight).max()
        # The course's model has been kept in 16 bits since it was made: they lose nothing more.
        assert np.array_equal(ours, weight) is (kind == "f16")
        assert file.tensors["position_embd.weight"].packing.name == "F32"
        assert file.tensors["blk.0.attn_norm.weight"].packing.name == "F32"
    sizes = {kind: path.stat().st_size for kind, path in in_gguf.items()}
    assert sizes["f32"] > 1.8 * sizes["f16"] and sizes["f16"] > 1.7 * sizes["q8_0"]


def test_a_llama_comes_back_to_the_bit(tmp_path):
    torch.manual_seed(1)
    model, tokenizer = lively(SMALL), gguf_tokenizer(VOCABULARY)
    export_gguf(model, tokenizer, tmp_path / "a.gguf", "f32", ROLES)
    again, read = load_gguf(tmp_path / "a.gguf")
    assert again.config == model.config
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    assert read.encode_ordinary(TEXTS[0]) == tokenizer.encode_ordinary(TEXTS[0])
    assert read.special_tokens == tokenizer.special_tokens


def test_a_qwen3_has_the_names_that_ggml_knows(tmp_path):
    model = lively(replace(SMALL, qk_norm=True))
    export_gguf(model, gguf_tokenizer(VOCABULARY), tmp_path / "a.gguf", "f16")
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 2).mapping.values()
    known = {n for _, n in names}
    found = {t.name.rpartition(".")[0] for t in reader.tensors}
    assert found <= known and {"blk.0.attn_q_norm", "blk.1.ffn_gate"} <= found
    assert reader.fields["qwen3.attention.key_length"].contents() == SMALL.head_dim


def test_what_llama_cpp_cannot_hold_is_refused_before_a_file_is_there(tmp_path):
    for change in ({"windows": (8, 0), "qk_norm": True}, {"mlp_bias": True}):
        model = lively(replace(SMALL, **change))
        with pytest.raises(ValueError, match="not written as GGUF"):
            export_gguf(model, gguf_tokenizer(VOCABULARY), tmp_path / "a.gguf")
    model = GPTModel(GPTConfig(vocab_size=400, context_length=8, emb_dim=32, n_heads=2, n_layers=1))
    tokenizer = BPETokenizer.train(read_text()[:5000], 400)
    with torch.no_grad():
        model.tok_emb.weight[3, 4] = float("nan")
    with pytest.raises(ValueError, match="token_embd.weight: it holds .* not finite"):
        export_gguf(model, tokenizer, tmp_path / "a.gguf")
    with pytest.raises(ValueError, match="rows of 20 are no whole blocks of Q8_0"):
        write_gguf(tmp_path / "a.gguf", {}, {"w": Entry(np.zeros((2, 20), "f4"), "Q8_0")})
    assert list(tmp_path.iterdir()) == []


def through_llama_cpp(path: Path, prompt: str, n_new: int) -> tuple[list[int], list[int]]:
    """The ids of a prompt and the likeliest n_new tokens behind it, by llama-cpp-python."""
    llama_cpp = pytest.importorskip("llama_cpp")
    model = llama_cpp.Llama(str(path), n_ctx=128, verbose=False)
    ids = model.tokenize(prompt.encode(), add_bos=False, special=False)
    return ids, list(islice(model.generate(ids, temp=0.0), n_new))


def through_cyllama(path: Path, prompt: str, n_new: int) -> tuple[list[int], list[int]]:
    """The same by cyllama: llama.cpp as a wheel that need not be compiled."""
    cy = pytest.importorskip("cyllama.llama.llama_cpp")
    model = cy.LlamaModel(str(path))
    ids = list(model.get_vocab().tokenize(prompt, False, False))
    params = cy.LlamaContextParams()
    params.n_ctx = 128
    context = cy.LlamaContext(model, params)
    likeliest = cy.LlamaSampler(cy.LlamaSamplerChainParams())
    likeliest.add_greedy()
    new = []
    for _ in range(n_new):
        context.kv_cache_clear()
        context.decode(cy.llama_batch_get_one(ids + new))
        new.append(likeliest.sample(context, -1))
    return ids, new


@pytest.mark.parametrize("through", [through_llama_cpp, through_cyllama])
@pytest.mark.parametrize("kind", ["f32", "q8_0"])
def test_llama_cpp_writes_the_same_text(course, in_gguf, kind, through):
    model, tokenizer = course
    for text in TEXTS[:3]:
        assert through(in_gguf[kind], text, 0)[0] == tokenizer.encode_ordinary(text)
    for text in ("The baker opened the door and", TEXTS[1]):
        ids, written = through(in_gguf[kind], text, 24)
        ours = generate(model, torch.tensor([ids]), 24, temperature=0)[0, len(ids) :].tolist()
        assert written == ours if kind == "f32" else written[:4] == ours[:4]


@pytest.mark.parametrize("through", [through_llama_cpp, through_cyllama])
@pytest.mark.parametrize("change", [{}, {"qk_norm": True}], ids=["llama", "qwen3"])
def test_llama_cpp_writes_what_a_llama_of_ours_writes(tmp_path, change, through):
    torch.manual_seed(1)
    model, tokenizer = lively(replace(SMALL, **change)), gguf_tokenizer(VOCABULARY)
    export_gguf(model, tokenizer, tmp_path / "a.gguf", "f32", ROLES)
    ids, written = through(tmp_path / "a.gguf", "The man wound the clock,", 24)
    assert ids == tokenizer.encode_ordinary("The man wound the clock,")
    ours = generate(model, torch.tensor([ids]), 24, temperature=0)[0, len(ids) :].tolist()
    assert written == ours


# ---- the command


@pytest.mark.parametrize("form", FORMS)
def test_a_modelfile_names_file_template_and_stop(form):
    text = modelfile("a.gguf", FORMS[form], END_OF_TEXT)
    assert text.startswith("FROM ./a.gguf\n") and text.count('"""') == 2
    assert f'PARAMETER stop "{END_OF_TEXT}"' in text


def test_the_form_is_found_in_the_folder(course, tmp_path):
    assert form_of(tmp_path, course[1]) == form_of("course", course[1]) == "none"
    (tmp_path / "responses.json").write_text("[]")
    assert form_of(tmp_path, course[1]) == "questions"
    assert form_of(tmp_path, gguf_tokenizer(VOCABULARY)) == "roles"


def test_the_command_says_what_to_open_it_with(tmp_path, capsys):
    export.main(["course", "--to", "gguf", "--type", "q8_0", "--out", str(tmp_path / "a")])
    said = capsys.readouterr().out
    assert "3,749,376 parameters" in said and "course-q8_0.gguf" in said and "Modelfile" in said
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["Modelfile", "course-q8_0.gguf"]
    export.main(["course", "--to", "hf", "--chat", "questions", "--out", str(tmp_path / "b")])
    described = json.loads((tmp_path / "b" / "tokenizer_config.json").read_text())
    assert described["chat_template"] == QUESTIONS.jinja
    assert "conversation: questions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere/config.json is not there"),
        (["course", "--chat", "roles"], "has no token <|im_end|>"),
        (["course", "--out", "file/below"], "could not be written"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        export.main([*arguments, "--to", "gguf"])
    assert str(stopped.value).startswith("export: ") and message in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_a_model_is_not_written_over_itself(course, in_hf):
    with pytest.raises(SystemExit, match="the model's own folder"):
        export.main([str(in_hf), "--to", "hf", "--out", str(in_hf)])
