"""What 4 bits cost, and a judge: the packers, the figures, and the record that is gone on with.

What needs the 98 MB of SmolLM2 is skipped where set-up has not fetched it.
"""

import json
from dataclasses import replace

import gguf
import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from test_gguf_file import SMALL, VOCABULARY, lively

from ch02.tokenizer import cache_folder
from ch05.bonus import real_llm
from ch05.bonus.real_llm import (
    FORMS,
    PROMPTS,
    RECORD,
    WAYS,
    WAYS_OF_SMOLLM2,
    answer,
    held_out_texts,
    interval,
    items_to_judge,
    judge_question,
    kappa,
    measurements,
    pack_q4_1,
    pack_q8_0,
    requantized,
    rounded,
    steps_of,
    text_bits,
    verdicts,
)
from ch05.course_model.measure import perplexity
from ch05.gguf_file import unpack_q4_1, unpack_q8_0
from ch05.gpt_weights import load_pretrained
from ch05.llama import LlamaModel
from ch05.llama_gguf import SMOLLM2, SMOLLM2_SHA256, gguf_tokenizer, load_smollm2
from ch05.llama_tokenizer import chat_ids

RESPONSES = "ch07/recorded/responses/with-the-mask.json"
KINDS = gguf.GGMLQuantizationType
ENTRY = {
    "instruction": "What is the plural of goose?",
    "input": "",
    "output": "The plural of goose is geese.",
    "response": "gooses",
}


def many_blocks() -> np.ndarray:
    """Blocks of every sort: of all sizes, constant, of zeros only, and with exact halves."""
    draw = np.random.default_rng(0)
    usual = draw.normal(size=(3000, 32)) * 10.0 ** draw.integers(-4, 4, (3000, 1))
    constant = draw.normal(size=(20, 1)).repeat(32, axis=1)
    halves = draw.integers(-254, 255, (2000, 32)) / 2
    return np.concatenate([usual, constant, np.zeros((3, 32)), halves]).astype(np.float32)


@pytest.mark.parametrize(("pack", "kind"), [(pack_q4_1, KINDS.Q4_1), (pack_q8_0, KINDS.Q8_0)])
def test_blocks_are_packed_as_by_the_gguf_package_to_the_last_bit(pack, kind):
    values = many_blocks()
    packed = pack(values)
    assert packed.dtype == np.uint8
    assert np.array_equal(packed, gguf.quants.quantize(values, kind))


def test_rounded_goes_to_the_marks_of_q4_1_and_back():
    values = many_blocks()
    assert np.array_equal(rounded(values, 4, 32), unpack_q4_1(pack_q4_1(values)))


@pytest.mark.parametrize(("bits", "size"), [(2, 32), (3, 64), (6, 8)])
def test_no_number_moves_by_more_than_half_a_step(bits, size):
    values = np.random.default_rng(1).normal(size=(40, 128)).astype(np.float32)
    moved = np.abs(rounded(values, bits, size) - values).reshape(-1, size)
    whole, step, _ = steps_of(values, bits, size)
    assert whole.min() == 0 and whole.max() == 2**bits - 1
    # The ruler is rounded to 16 bits as well: its step by 2**-11, at the far end that many times.
    assert (moved <= step * (0.5 + 2**bits * 2.0**-11) + 4 * 2.0**-11).all()


def test_a_requantized_model_is_a_copy_with_the_packings_of_the_file():
    model = lively(replace(SMALL, emb_dim=64, head_dim=16))
    before = {name: w.clone() for name, w in model.state_dict().items()}
    copied = requantized(model, 4, 32).state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])
        values = weight.numpy()
        if weight.dim() == 1:
            expected = values
        elif "emb" in name or "head" in name:  # tied
            expected = unpack_q8_0(pack_q8_0(values)).reshape(values.shape)
        else:
            expected = unpack_q4_1(pack_q4_1(values)).reshape(values.shape)
        assert np.array_equal(copied[name].numpy(), expected), name
    again = requantized(model, 8, 32)
    assert again.out_head.weight is again.tok_emb.weight


def test_bits_of_texts_are_those_of_the_card():
    model, tokenizer = load_pretrained("course")
    texts = held_out_texts(6, 1)
    rows = text_bits(model, tokenizer, texts)
    assert rows.shape == (7, 2) and rows[0, 1] == len(texts[0].encode())
    expected = perplexity(model, tokenizer, texts)["bits per byte"]
    assert rows[:, 0].sum() / rows[:, 1].sum() == pytest.approx(expected, rel=1e-5)


def test_a_paired_interval_is_narrower_than_that_of_two_columns():
    draw = np.random.default_rng(2)
    hard = draw.normal(10, 5, size=200)
    rows = np.column_stack([hard + draw.normal(0.5, 0.1, size=200), hard])
    low, high = interval(rows, lambda r: (r[:, 0] - r[:, 1]).mean())
    assert 0.4 < low < 0.5 < high < 0.6
    low, high = interval(rows, lambda r: r[:, 0].mean())
    assert high - low > 1


def test_kappa_is_that_of_scikit_learn():
    draw = np.random.default_rng(3)
    for rate in (0.1, 0.5, 0.9):
        a = draw.random(200) < rate
        b = np.where(draw.random(200) < 0.7, a, draw.random(200) < 0.5)
        assert kappa(np.column_stack([a, b])) == pytest.approx(cohen_kappa_score(a, b))
    assert kappa(np.array([[1, 1], [0, 0]])) == 1
    assert kappa(np.array([[1, 1], [0, 1]])) == kappa(np.ones((5, 2))) == 0


@pytest.mark.parametrize("form", FORMS)
def test_the_judge_sees_the_key_only_if_it_should_and_both_orders(form):
    first, turned = (judge_question(ENTRY, form, t) for t in (False, True))
    assert first != turned and ENTRY["response"] in first
    assert (ENTRY["output"] in first) == (ENTRY["output"] in turned) == FORMS[form][2]
    if form == "letters":
        assert "A. right\nB. wrong" in first and "A. wrong\nB. right" in turned
    else:
        assert first.endswith("Yes or No.") and turned.endswith("No or Yes.")


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_a_verdict_is_that_of_the_whole_question_read_at_once(form):
    model, tokenizer = lively(replace(SMALL, context_length=2000)), gguf_tokenizer(VOCABULARY)
    found = verdicts(model, tokenizer, ENTRY, form)
    for turned, (gap, mass) in zip((False, True), found):
        question = judge_question(ENTRY, form, turned)
        ids = chat_ids(tokenizer, [{"role": "user", "content": question}])
        probabilities = model(torch.tensor([ids]))[0, -1].softmax(dim=-1)
        yes, no = (probabilities[tokenizer.encode_ordinary(w)[0]] for w in FORMS[form][:2])
        if form == "letters" and turned:  # there, B is the one that says "right"
            yes, no = no, yes
        assert gap == pytest.approx((yes / no).log().item(), abs=1e-3)
        assert mass == pytest.approx((yes + no).item(), rel=1e-3)


def test_half_of_the_items_are_right(tmp_path):
    items = items_to_judge(RESPONSES)
    assert len(items) >= 100 and sum(item["right"] for item in items) * 2 == len(items)
    for item in items:
        assert item["right"] == (item["response"].strip() == item["output"].strip())
    path = tmp_path / "responses.json"
    for content, message in {
        "[1]": "holds no responses",
        "{": "holds no responses",
        json.dumps([ENTRY]): "holds no responses: 'kind' is missing",
        json.dumps([ENTRY | {"kind": "plural"}]): "has too few right or wrong responses",
    }.items():
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            items_to_judge(path)


# ---- The command and its record.


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Three measurements that are quick; the last fails as long as "tired" is not empty."""
    made, tired = [], ["yes"]

    def measure(name: str):
        def run(load):
            if name == "c" and tired:
                raise KeyboardInterrupt
            made.append(name)
            return [name, 1]

        return run

    monkeypatch.setattr(real_llm, "measurements", lambda path: {n: measure(n) for n in "abc"})
    return made, tired, tmp_path / "folder" / "record.json"


def test_what_is_measured_is_kept_and_not_made_again(few, refusal):
    made, tired, path = few
    assert refusal(real_llm, "--out", path).endswith("real_llm: stopped; what is done is kept")
    assert list(json.loads(path.read_text())["measured"]) == ["a", "b"]
    tired.clear()
    assert refusal(real_llm, "--out", path) == ""
    record = json.loads(path.read_text())
    assert made == ["a", "b", "c"] and record["measured"]["c"] == ["c", 1]
    assert record["smollm2"] == SMOLLM2_SHA256
    path.write_text(path.read_text().replace(SMOLLM2_SHA256[:8], "0" * 8))
    assert "is of other weights: move it away, or give --out" in refusal(real_llm, "--out", path)
    path.write_text("{")
    assert "is no record" in refusal(real_llm, "--out", path)


def test_what_there_is_to_measure_is_named(few, refusal):
    made, _, path = few
    assert refusal(real_llm, "--out", path, "--only", "x").endswith("x: there is a, b, c")
    assert refusal(real_llm, "--out", path, "--only", "b") == "" and made == ["b"]


def test_without_smollm2_the_command_says_what_to_do(tmp_path, monkeypatch, refusal):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    said = refusal(real_llm, "--out", tmp_path / "record.json", "--only", "answers")
    assert "run `python setup/get_smollm2.py`" in said


def test_the_record_holds_all_that_is_measured():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    measured = record["measured"]
    assert record["smollm2"] == SMOLLM2_SHA256
    assert list(measured) == list(measurements(RESPONSES))
    assert measured["items"] == items_to_judge(RESPONSES)
    assert [question for question, _ in measured["answers"]] == list(PROMPTS)
    for form in FORMS:
        assert np.array(measured[f"judge, {form}"]).shape == (len(measured["items"]), 4)
    for name, n, ways in (("course", 429, WAYS), ("smollm2", 35, WAYS_OF_SMOLLM2)):
        for way in ("as it is", *ways):
            assert np.array(measured[f"bits, {name}, {way}"]).shape == (n, 2)


def test_the_record_is_of_the_model_that_is_in_the_repository():
    measured = json.loads(RECORD.read_text(encoding="utf-8"))["measured"]
    model, tokenizer = load_pretrained("course")
    texts = held_out_texts(400, 29)[-3:]
    for copied, way in ((model, "as it is"), (requantized(model, *WAYS["3 bits"]), "3 bits")):
        rows = np.array(measured[f"bits, course, {way}"])[-3:]
        np.testing.assert_allclose(text_bits(copied, tokenizer, texts), rows, rtol=1e-3)


@pytest.mark.slow
def test_the_record_is_what_smollm2_says():
    if not (cache_folder() / SMOLLM2).exists():
        pytest.skip("SmolLM2 is not there: run `python setup/get_smollm2.py`")
    measured = json.loads(RECORD.read_text(encoding="utf-8"))["measured"]
    model, tokenizer = load_smollm2()
    assert isinstance(model, LlamaModel)
    question, reply = measured["answers"][0]
    assert answer(model, tokenizer, question, 20) == reply
    for form in FORMS:
        found = verdicts(model, tokenizer, measured["items"][1], form)
        expected = measured[f"judge, {form}"][1]
        np.testing.assert_allclose(np.ravel(found), expected, atol=5e-3)
