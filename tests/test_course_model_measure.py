"""What is measured on the course's model and how it is trained: against hand and other programs."""

import json
import math
import re
import sys

import pytest
import torch
from torch.optim import Muon as TorchMuon

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.course_model import measure
from ch05.course_model.measure import (
    INVENTED_KINDS,
    asked_in_the_prompt,
    copying,
    perplexity,
    share,
)
from ch05.course_model.recall import recalled
from ch05.course_model.tasks import real_words
from ch05.course_model.world import FACTS, is_held_out_sum
from ch05.gpt_weights import COURSE_FOLDER, load_pretrained
from ch05.optimizers import Muon, MuonWithAdamW, orthogonal
from ch06.messages import make_messages

MAX_PARAMETERS, MAX_BYTES, CONTEXT_LENGTH = 10_000_000, 16 * 2**20, 256  # aims of its making

# A share must reach what the shipped model reached when it was measured, less half the width of
# its 95% interval, rounded down to a hundredth. (DOUBLED, where less is better, may be that half
# more, rounded up.) So rounding on another processor passes, and worse weights do not. A new model
# gets new bounds by the same rule.
N_COPIED, N_FACTS = 200, 8  # of invented words, of each sort; of facts, of each kind
COPIED = {"sentence": 0.94, "list": 0.80, "spelling": 0.24}  # 194, 170 and 61 of 200
FACTS_ASKED = 0.85  # 158 of 176, in the form of chapter 7's prompt
BOTH_RETURN = 0.24  # 10 of 23 stories with two people
DOUBLED = 0.18  # 31 of 238 sentences with a name
# The aims were 0.95 for each sort of copying, 0.8 for facts, 0.8 and 0.05 for people: the first
# sort and the facts reach them.
MESSAGE_PERPLEXITY, N_MESSAGES = 60, 300  # the aim, on chapter 6's messages


# ---- The optimizer.


@pytest.mark.parametrize("shape", [(8, 8), (64, 64), (16, 64), (64, 16), (3, 200), (256, 1024)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_orthogonal_brings_singular_values_near_one_and_keeps_the_directions(shape, scale):
    """U S V becomes about U V, but for a direction with less than a thousandth of the norm."""
    matrix = scale * torch.randn(shape)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    inside = u.T @ orthogonal(matrix) @ v.T
    values = inside.diagonal()
    weighty = s > s.norm() / 1000
    assert weighty.sum() >= len(s) - 1
    assert 0.3 < values[weighty].min() and values.abs().max() < 1.3, values
    assert (inside - values.diag()).abs().max() < 1e-3


@pytest.mark.parametrize("shape", [(64, 64), (48, 192), (192, 48)])
def test_steps_of_muon_are_those_of_pytorch_in_bfloat16(shape):
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.95}
    mine = Muon([ours], **settings)
    reference = TorchMuon([theirs], **settings, adjust_lr_fn="match_rms_adamw")
    for n in range(3):
        before = ours.detach().clone(), theirs.detach().clone()
        grad = torch.randn(shape)
        ours.grad, theirs.grad = grad.clone(), grad.clone()
        mine.step()
        reference.step()
        a, b = ours.detach() - before[0], theirs.detach() - before[1]
        assert (a - b).norm() < 0.05 * b.norm(), n
    # The check itself: the step of plain gradient descent is another one.
    assert (0.02 * grad + b).norm() > 0.5 * b.norm()


def test_muon_takes_the_matrices_in_the_blocks_and_adamw_the_rest():
    model = GPTModel(GPTConfig(60, 8, 16, 2, 2))
    optimizer = MuonWithAdamW(model, 1e-3)
    muon, adamw = (
        {id(p) for g in part.param_groups for p in g["params"]} for part in optimizer.parts
    )
    assert muon == {id(p) for p in model.blocks.parameters() if p.ndim == 2}
    assert muon | adamw == {id(p) for p in model.parameters()} and not muon & adamw


def test_both_parts_go_on_from_a_saved_state():
    def trained(n_steps: int, restart_after: int) -> list[torch.Tensor]:
        torch.manual_seed(1)
        model = GPTModel(GPTConfig(60, 8, 16, 2, 1, drop_rate=0.0))
        optimizer = MuonWithAdamW(model, 1e-2)
        for n in range(n_steps):
            if n == restart_after:
                state = optimizer.state_dict()
                optimizer = MuonWithAdamW(model, 1e-2)
                optimizer.load_state_dict(state)
            idx = torch.randint(60, (2, 8), generator=torch.Generator().manual_seed(n))
            optimizer.zero_grad()
            model(idx).square().mean().backward()
            optimizer.step()
        return [p.detach().clone() for p in model.parameters()]

    for a, b in zip(trained(4, 99), trained(4, 2), strict=True):
        assert torch.equal(a, b)


# ---- The measures.


class Fixed(torch.nn.Module):
    """A model that gives the same logits to every token, whatever comes before it."""

    def __init__(self, logits: torch.Tensor, context_length: int = 100):
        super().__init__()
        self.config = GPTConfig(len(logits), context_length, 8, 1, 1)
        self.logits = torch.nn.Parameter(logits)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*idx.shape, -1)


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train("ab ab ab", 258)  # the bytes, ab, and the end of a text


def test_perplexity_is_that_of_a_fixed_distribution_by_hand(tokenizer):
    """a has the probability 1/2, b 1/4, the other tokens share the rest; "ab" is one token."""
    n = tokenizer.vocab_size
    a, b = (tokenizer.encode(letter)[0] for letter in "ab")
    p = torch.full((n,), 0.25 / (n - 2))
    p[a], p[b] = 0.5, 0.25
    model = Fixed(p.log())
    said = perplexity(model, tokenizer, ["a", "bb"])  # 1, 2 and 2 bits
    assert said["perplexity"] == pytest.approx(2 ** (5 / 3), rel=1e-5)
    assert said["bits per byte"] == pytest.approx(5 / 3, rel=1e-5)
    (joined,) = tokenizer.encode("ab")
    said = perplexity(model, tokenizer, ["ab"])
    assert said["perplexity"] == pytest.approx((n - 2) / 0.25, rel=1e-4)
    assert said["bits per byte"] == pytest.approx(math.log2((n - 2) / 0.25) / 2, rel=1e-4)
    assert joined not in (a, b)


def test_perplexity_of_a_tiny_model_is_the_mean_of_its_log_probabilities(tokenizer):
    """Token by token, each text for itself behind <|endoftext|>, cut at the context."""
    model = GPTModel(GPTConfig(tokenizer.vocab_size, 6, 8, 2, 1, drop_rate=0.0)).eval()
    end = tokenizer.special_tokens[END_OF_TEXT]
    texts, nats, n_tokens, n_bytes = ["bad", "cabbage abbot", "a"], 0.0, 0, 0
    for text in texts:
        ids = [end, *tokenizer.encode(text)][:7]
        for i in range(1, len(ids)):
            with torch.no_grad():
                logits = model(torch.tensor([ids[:i]]))[0, -1]
            nats -= logits.log_softmax(0)[ids[i]].item()
            n_tokens += 1
            n_bytes += len(tokenizer.decode([ids[i]]))
    said = perplexity(model, tokenizer, texts)
    assert said["perplexity"] == pytest.approx(math.exp(nats / n_tokens), rel=1e-5)
    assert said["bits per byte"] == pytest.approx(nats / math.log(2) / n_bytes, rel=1e-5)


@pytest.mark.parametrize(("right", "n"), [(191, 200), (0, 10), (10, 10), (1, 3)])
def test_a_share_stands_with_its_wilson_interval(right, n):
    z, p = 1.959964, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (f"{abs(100 * edge):.1f}" for edge in (middle - half, middle + half))
    assert share([True] * right + [False] * (n - right)).strip() == (
        f"{p:.1%} ({low} to {high}, n = {n})"
    )


def test_what_is_to_be_copied_stands_in_the_question():
    assert copying(20) == copying(20) != copying(20, seed=1)
    answers = {gap.answer.removesuffix("\n") for gaps in copying(200).values() for gap in gaps}
    assert not answers & real_words()
    for sort, gaps in copying(50).items():
        assert len({gap.answer for gap in gaps}) > 40
        for prompt, answer in gaps:
            word = answer.removesuffix("\n")
            text = re.fullmatch(r"Question:\n.+\n(.+)\nAnswer:\n", prompt)[1]
            looks = {"spelling": "-".join(word), "sentence": f'"{word}".', "list": f", {word}"}
            assert text.endswith(looks[sort])


def test_facts_are_asked_in_chapter_7s_prompt_after_two_others_of_their_kind():
    rows = list(asked_in_the_prompt(3))
    kinds = {fact.kind for fact, _ in rows}
    assert kinds == FACTS.keys() - {*INVENTED_KINDS} and len(rows) == 3 * len(kinds)
    for fact, (prompt, answer) in rows:
        questions = re.findall(r"Question:\n(.+)\nAnswer:\n", prompt)
        assert len({*questions}) == 3 and prompt.endswith("Answer:\n")
        assert answer.endswith(".\n") and answer not in prompt
        assert fact.answer.lower() in answer.lower()
        assert fact.kind != "sum" or not is_held_out_sum(*map(int, fact.key))


@pytest.mark.parametrize("option", ["--items", "--facts"])
def test_no_item_is_no_measurement(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure", option, "0"])
    with pytest.raises(SystemExit) as stopped:
        measure.main()
    assert stopped.value.code == 2
    assert "--items and --facts must be at least 1" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["measure", "--messages", str(tmp_path / "none.csv")])
    with pytest.raises(SystemExit, match=r"^measure: .*none\.csv"):
        measure.main()


# ---- The model that is shipped.


@pytest.fixture(scope="module")
def course() -> tuple[GPTModel, BPETokenizer]:
    return load_pretrained("course")


def test_the_shipped_model_is_small_and_its_digits_stand_alone(course):
    model, tokenizer = course
    assert sum(p.numel() for p in model.parameters()) <= MAX_PARAMETERS
    assert (COURSE_FOLDER / "model.safetensors").stat().st_size <= MAX_BYTES
    assert model.config.context_length == CONTEXT_LENGTH
    tokens = [tokenizer.decode([i]) for i in range(tokenizer.vocab_size)]
    assert [token for token in tokens if len(token) > 1 and re.search(r"\d", token)] == []


@pytest.mark.slow
@pytest.mark.parametrize("sort", COPIED)
def test_the_shipped_model_copies_invented_words(course, sort):
    right = recalled(*course, copying(N_COPIED)[sort])
    assert sum(right) / len(right) >= COPIED[sort]


@pytest.mark.slow
def test_the_shipped_model_answers_for_facts_in_chapter_7s_prompt(course):
    right = recalled(*course, [gap for _, gap in asked_in_the_prompt(N_FACTS)])
    assert sum(right) / len(right) >= FACTS_ASKED


def test_the_shipped_models_stories_keep_people_as_far_as_they_did():
    counts = json.loads((COURSE_FOLDER / "history.json").read_text(encoding="utf-8"))["names"]
    assert counts["both"] / counts["pairs"] >= BOTH_RETURN
    assert counts["doubled"] / counts["sentences"] <= DOUBLED


@pytest.mark.slow
def test_the_shipped_model_expects_messages(course):
    texts = [m.text for m in make_messages()[:N_MESSAGES]]
    assert perplexity(*course, texts)["perplexity"] <= MESSAGE_PERPLEXITY
