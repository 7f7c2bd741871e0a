"""The course's own model, as it is shipped: whole, small, described, and readable by others."""

import hashlib
import json
import os
import shlex
import shutil

import matplotlib
import pytest
import torch
from course_files import ROOT

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05 import gpt_generate
from ch05.course_model import card, recall
from ch05.course_model.card import write_card
from ch05.course_model.measure import copying
from ch05.course_model.pretrain import parse_arguments
from ch05.gpt_weights import COURSE_FOLDER, load_pretrained

CARD = (COURSE_FOLDER / "README.md").read_text(encoding="utf-8")
HISTORY = json.loads((COURSE_FOLDER / "history.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def course():
    return load_pretrained("course")


def test_the_weights_are_those_of_the_card():
    weights = (COURSE_FOLDER / "model.safetensors").read_bytes()
    assert f"`{hashlib.sha256(weights).hexdigest()}`" in CARD
    assert len(weights) < 16e6


def test_the_model_is_the_one_that_the_history_describes(course):
    model, tokenizer = course
    settings = HISTORY["settings"]
    for name in ("vocab_size", "context_length", "emb_dim", "n_heads", "n_layers"):
        assert getattr(model.config, name) == settings[name]
    assert 3e6 <= HISTORY["parameters"] == sum(p.numel() for p in model.parameters()) <= 8e6
    assert 10e6 <= HISTORY["tokens"][-1] < 80e6
    assert 2000 <= tokenizer.vocab_size <= 4000
    assert tokenizer.special_tokens == {END_OF_TEXT: tokenizer.vocab_size - 1}


def test_the_card_is_what_the_recipe_makes_of_the_history(tmp_path):
    shutil.copy(COURSE_FOLDER / "model.safetensors", tmp_path)
    write_card(tmp_path, HISTORY)
    shipped = (COURSE_FOLDER / "training.svg").read_bytes()
    names = ["README.md", "history.json"]
    if f"Matplotlib v{matplotlib.__version__}".encode() in shipped:  # another one draws otherwise
        names.append("training.svg")
    for name in names:
        assert (tmp_path / name).read_bytes() == (COURSE_FOLDER / name).read_bytes(), name


def test_the_commands_of_the_card_are_those_of_the_recipe():
    runs = HISTORY["runs"]
    for run in runs:
        command = shlex.split(run["command"])
        assert command[:3] == ["python", "-m", "ch05.course_model.pretrain"]
        args = parse_arguments(command[3:])
        assert (args.seed, args.lr) == (run["seed"], run["lr"])
        assert run["steps"] * args.batch_size * args.context_length == run["tokens"]
        assert run["tokens"] == pytest.approx(args.tokens * 1e6, rel=0.03)
    assert len({run["seed"] for run in runs}) == len(runs)  # no text is read twice
    assert sum(run["tokens"] for run in runs) == HISTORY["tokens"][-1]
    settings = {k: v for k, v in HISTORY["settings"].items() if k != "precision"}
    assert settings == {name: vars(args)[name] for name in settings}


def test_the_loss_of_unread_documents_fell_to_the_end():
    """Each document is read once, so there is no point from which on it was too much."""
    losses = HISTORY["val_loss"]
    assert losses[-1] < min(losses) + 1e-3  # the last steps are so small that it stands still
    assert losses[-1] < losses[0] / 2
    assert f"to {losses[-1]:.3f}, on documents from another seed" in CARD


def test_the_card_and_its_curve_are_in_the_repository():
    assert (COURSE_FOLDER / "training.svg").read_text(encoding="utf-8").startswith("<?xml")
    files = {path.name for path in COURSE_FOLDER.iterdir()}
    assert files == {
        *("README.md", "config.json", "history.json", "model.safetensors", "parts.json"),
        "training.svg",
        "vocabulary.tiktoken",
    }


def test_transformers_reads_the_folder_and_gives_the_same_logits(course):
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import GPT2LMHeadModel

    model, tokenizer = course
    theirs = GPT2LMHeadModel.from_pretrained(str(COURSE_FOLDER)).float().eval()
    idx = torch.tensor([tokenizer.encode("Clara is a baker, and Otto is a miller.")])
    with torch.no_grad():
        torch.testing.assert_close(model(idx), theirs(idx).logits, atol=1e-4, rtol=1e-4)


def test_the_card_does_not_flatter(course):
    """The shares of the card are those of the weights, up to a few answers of each kind."""
    model, tokenizer = course
    for kind in ("plural", "capital", "sum never told"):
        asked = list(recall.questions(kind))
        right = sum(recall.recalled(model, tokenizer, asked))
        assert right / len(asked) == pytest.approx(HISTORY["recall_at_the_end"][kind], abs=0.06)
        stated = list(recall.statements(kind))
        right = sum(recall.recalled(model, tokenizer, stated))
        assert right / len(stated) == pytest.approx(HISTORY["stated_at_the_end"][kind], abs=0.06)
    for sort, gaps in copying(card.N_COPIED).items():
        right, n = HISTORY["measures"]["right"][f"an invented word, copied out of a {sort}"]
        share = sum(recall.recalled(model, tokenizer, gaps)) / len(gaps)
        assert n == card.N_COPIED and share == pytest.approx(right / n, abs=0.02)


def test_recall_is_what_greedy_writing_gives(course):
    model, tokenizer = course
    asked = list(recall.questions("sound", n=6)) + list(recall.questions("river", n=6))
    for question, recalled in zip(asked, recall.recalled(model, tokenizer, asked)):
        idx = torch.tensor([tokenizer.encode_ordinary(question.prompt)])
        written = gpt_generate.generate(model, idx, 12, temperature=0)[0, idx.shape[1] :]
        assert recalled == tokenizer.decode(written).startswith(question.answer)


def test_of_a_prompt_that_is_too_long_the_end_is_read():
    tokenizer = BPETokenizer.train("zz", 257)  # bytes, and zz
    prompt = "x" * 50 + "no room for all"
    n_printable = 0
    for seed in range(20):
        torch.manual_seed(seed)
        model = GPTModel(GPTConfig(258, 16, 8, 2, 1, drop_rate=0.0)).eval()  # a context of 16
        idx = torch.tensor([tokenizer.encode_ordinary(prompt)[-15:]])  # the answer is one more
        likeliest = int(model(idx)[0, -1].argmax())
        if 32 <= likeliest < 127:
            n_printable += 1
            answers = [chr(likeliest), "~" if likeliest == 32 else " "]
            gaps = [recall.Gap(prompt, answer) for answer in answers]
            assert recall.recalled(model, tokenizer, gaps) == [True, False]
    assert n_printable > 0


def test_facts_that_are_asked_for_are_told_but_never_asked_in_the_corpus():
    for kind in recall.KINDS:
        asked, told = recall.facts_to_ask(kind)
        assert asked and told and not set(asked) & set(told)
        assert all(fact.asked for fact in asked) and not any(fact.asked for fact in told)


@pytest.mark.parametrize("n", ["0", "-1"])
def test_no_fact_is_no_measurement(n, monkeypatch):
    monkeypatch.setattr("sys.argv", ["recall", "--facts", n])
    with pytest.raises(SystemExit, match=f"recall: {n} facts of each kind"):
        recall.main()


def test_generate_writes_from_the_course_model_by_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpt_generate", "--prompt", "Once", "--tokens", "5"])
    gpt_generate.main()
    assert capsys.readouterr().out.startswith("Once")


def test_the_package_data_names_the_model():
    """Without it an installed wheel would lack the weights."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert '"ch05.course_model" = ["card.md", "texts/*", "model/*"]' in text
