"""Preferences: each loss against its formula and its gradient, each check against the truth."""

import json
import math
from collections import Counter
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import load_pretrained
from ch07 import dpo
from ch07.bonus import preferences
from ch07.bonus.preferences import (
    ASKED_IN,
    FORMS,
    RECORD,
    REFUSALS,
    REWARD,
    ROWS,
    START,
    TRAININGS,
    compare,
    make_forms,
    make_tasks,
    read_record,
    tabulate,
)
from ch07.dpo import (
    answer_log_probs,
    batches,
    dpo_loss,
    draw_answers,
    is_right,
    log_probs,
    right_and_wrong,
    sample,
    summed,
    text_of,
    train_dpo,
    train_likelier,
)
from ch07.gpt_instruction_finetuning import collate
from ch07.grpo import advantages, grpo_loss, likes_length, strict, train_grpo
from ch07.reward_model import RewardModel, best_of, train_reward

SMALL = GPTConfig(61, 40, 32, 4, 2, drop_rate=0.0, qkv_bias=True, tie_weights=True)
END = 0
ITEMS = [([5, 6, 7, 8, 9, END], 3), ([11, 12, 13, END], 2), ([20, 21, 22, 23, 24, 25, END], 4)]


@pytest.fixture
def small() -> GPTModel:
    return GPTModel(SMALL).eval()


@pytest.fixture(scope="module")
def course():
    model, tokenizer = load_pretrained("course")
    return model.eval(), tokenizer


# ---- Log-probabilities.


def test_the_log_probability_of_an_answer_is_the_sum_over_its_tokens(small):
    found = answer_log_probs(small, ITEMS, END)
    for (ids, n), value in zip(ITEMS, found):
        logits = small(torch.tensor([ids[:-1]]))[0].double().log_softmax(dim=-1)
        by_hand = sum(logits[t - 1, ids[t]].item() for t in range(n, len(ids)))
        assert value.item() == pytest.approx(by_hand, abs=1e-4)


def test_averaged_it_is_the_sum_over_the_number_of_tokens(small):
    n = torch.tensor([len(ids) - k for ids, k in ITEMS])
    whole = answer_log_probs(small, ITEMS, END)
    torch.testing.assert_close(answer_log_probs(small, ITEMS, END, averaged=True), whole / n)


def test_where_no_target_counts_stands_a_zero(small):
    inputs, targets = collate(ITEMS, END)
    found = log_probs(small, inputs, targets)
    assert (found[targets == IGNORE] == 0).all() and (found[targets != IGNORE] < 0).all()


def test_the_sum_is_chapter_sevens_loss_with_its_sign_flipped(small):
    inputs, targets = collate(ITEMS, END)
    loss = F.cross_entropy(small(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    n = (targets != IGNORE).sum()
    torch.testing.assert_close(-summed(small, ITEMS, END).sum() / n, loss)


# ---- DPO.


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0, 5.0])
def test_dpo_is_equation_7_of_its_paper(beta):
    w, ll, rw, rl = torch.randn(4, 9, dtype=torch.float64) * 3 - 8
    by_hand = sum(
        -math.log(sigmoid(beta * ((w[i] - rw[i]).item() - (ll[i] - rl[i]).item())))
        for i in range(9)
    )
    assert dpo_loss(w, ll, rw, rl, beta).item() == pytest.approx(by_hand / 9, rel=1e-12)


def test_dpo_starts_at_the_logarithm_of_2():
    x, y = torch.randn(2, 5)
    assert dpo_loss(x, y, x, y, 0.3).item() == pytest.approx(math.log(2), rel=1e-6)


def test_the_gradient_of_dpo_is_that_of_its_paper():
    values = [torch.randn(6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    reference, beta = torch.randn(2, 6, dtype=torch.float64), 0.4
    dpo_loss(*values, *reference, beta).backward()
    (w, r), (rw, rr) = values, reference
    weight = beta * torch.sigmoid(-beta * ((w - rw) - (r - rr))).detach() / 6
    torch.testing.assert_close(w.grad, -weight)
    torch.testing.assert_close(r.grad, weight)
    assert torch.autograd.gradcheck(lambda a, b: dpo_loss(a, b, *reference, beta), values)


def test_of_dpo_only_the_difference_counts():
    w, r, rw, rr = torch.randn(4, 7, dtype=torch.float64)
    torch.testing.assert_close(dpo_loss(w - 9, r - 9, rw, rr, 0.2), dpo_loss(w, r, rw, rr, 0.2))


def test_averaging_over_answers_of_one_length_is_a_smaller_beta():
    w, r, rw, rr = torch.randn(4, 7, dtype=torch.float64)
    averaged = dpo_loss(w / 5, r / 5, rw / 5, rr / 5, 0.5)
    torch.testing.assert_close(averaged, dpo_loss(w, r, rw, rr, 0.1))


def test_dpo_teaches_a_preference_and_leaves_the_reference_alone(small):
    pairs = [(([5, 6, 7, i, END], 3), ([5, 6, 7, i + 20, END], 3)) for i in range(8, 16)]
    before = deepcopy(small.state_dict())
    policy, losses = train_dpo(small, pairs, END, 0.5, 30, 1e-3, seed=0, batch_size=4)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4) and losses[-1] < 0.2
    for name, tensor in small.state_dict().items():
        assert torch.equal(tensor, before[name])
    chosen, rejected = (answer_log_probs(policy, side, END) for side in zip(*pairs))
    assert (chosen > rejected).all()


@pytest.mark.parametrize("averaged", [False, True])
def test_alpha_adds_the_loss_of_the_right_answers(small, averaged):
    pairs = [
        (([5, 6, *range(i, 12), END], 2), ([5, 6, *range(i + 20, 32), END], 2))
        for i in range(8, 12)
    ]
    settings = (END, 0.5, 1, 1e-3, 0)
    plain, more = (
        train_dpo(small, pairs, *settings, averaged, alpha, batch_size=4)[1][0]
        for alpha in (0.0, 2.0)
    )
    right = [item for item, _ in pairs]
    own = answer_log_probs(small, right, END, averaged)
    n_tokens = len(right) if averaged else sum(len(ids) - 2 for ids, _ in right)
    assert more - plain == pytest.approx(-2 * own.sum().item() / n_tokens, rel=1e-5)


def test_with_alpha_right_answers_gain_where_a_difference_alone_would_let_them_lose(small):
    pairs = [(([5, 6, 7, i, END], 3), ([5, 6, 7, i, i, END], 3)) for i in range(8, 16)]
    right, _ = zip(*pairs)
    before = answer_log_probs(small, right, END).mean()
    gained = []
    for alpha in (0.0, 1.0):
        policy, _ = train_dpo(small, pairs, END, 0.05, 40, 1e-3, 0, alpha=alpha, batch_size=4)
        gained.append((answer_log_probs(policy, right, END).mean() - before).item())
    assert gained[1] > max(0, gained[0])


# ---- GRPO.


def test_advantages_are_standardised_within_a_group():
    rewards = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 1], [5, 7, 9, 9]])
    found = advantages(rewards)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.std(dim=1), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(advantages(3 * rewards + 2), found, atol=1e-3, rtol=0)


def test_a_group_whose_answers_are_alike_teaches_nothing():
    assert (advantages(torch.ones(2, 4)) == 0).all() and (advantages(torch.zeros(1, 8)) == 0).all()


def draws(B: int = 4, T: int = 5):
    new, old, reference = torch.randn(3, B, T, dtype=torch.float64) * 0.3 - 2
    counted = torch.arange(T) < torch.tensor([5, 2, 3, 1])[:, None]
    return new, old, reference, torch.randn(B, dtype=torch.float64), counted


@pytest.mark.parametrize("beta", [0.0, 0.04, 1.0])
def test_grpo_is_the_formula_of_its_paper_token_by_token(beta):
    new, old, reference, advantage, counted = draws()
    total = 0.0
    for i in range(4):
        of_answer = []
        for t in range(5):
            if not counted[i, t]:
                continue
            ratio, a = math.exp(new[i, t] - old[i, t]), advantage[i].item()
            gain = min(ratio * a, min(max(ratio, 0.8), 1.2) * a)
            log_r = (reference[i, t] - new[i, t]).item()
            of_answer.append(gain - beta * (math.exp(log_r) - log_r - 1))
        total += sum(of_answer) / len(of_answer)
    found = grpo_loss(new, old, reference, advantage, counted, beta)
    assert found.item() == pytest.approx(-total / 4, rel=1e-12)


def test_on_its_own_answers_the_gradient_is_the_plain_policy_gradient():
    new, _, _, advantage, counted = draws()
    new.requires_grad_()
    grpo_loss(new, new.detach(), new.detach(), advantage, counted, 0.1).backward()
    by_hand = -(advantage[:, None] * counted / counted.sum(dim=1, keepdim=True)) / 4
    torch.testing.assert_close(new.grad, by_hand)


def test_beyond_the_trust_region_a_gain_has_no_gradient():
    old = torch.zeros(2, 1, dtype=torch.float64)
    new = torch.tensor([[0.5], [0.5]], dtype=torch.float64, requires_grad=True)  # ratio 1.65
    counted = torch.ones(2, 1, dtype=torch.bool)
    advantage = torch.tensor([1.0, -1.0], dtype=torch.float64)
    grpo_loss(new, old, old, advantage, counted, beta=0.0).backward()
    assert new.grad[0] == 0 and new.grad[1] > 0


def test_what_stands_in_the_padding_counts_nothing():
    new, old, reference, advantage, counted = draws()
    other = new.masked_fill(~counted, 3.0)
    torch.testing.assert_close(
        grpo_loss(other, old, reference, advantage, counted, 0.1),
        grpo_loss(new, old, reference, advantage, counted, 0.1),
    )


def test_the_mean_of_its_penalty_is_the_kl():
    p, q = torch.randn(2, 30, dtype=torch.float64).softmax(dim=-1)
    log_r = q.log() - p.log()
    penalty = log_r.exp() - log_r - 1
    assert (penalty >= 0).all()
    kl = (p * (p.log() - q.log())).sum()
    torch.testing.assert_close((p * penalty).sum(), kl)


# ---- Drawing answers.


def test_answers_are_drawn_as_often_as_the_model_says(small):
    prompt = [5, 6, 7]
    small.out_head.weight.data *= 20  # clear preferences
    probs = small(torch.tensor([prompt]))[0, -1].softmax(dim=-1)
    drawn = sample(small, [prompt] * 4000, END, torch.Generator().manual_seed(0), 1)
    counts = Counter(answer[0] for answer in drawn)
    for token, p in enumerate(probs.tolist()):
        spread = 4 * math.sqrt(4000 * p * (1 - p)) + 1
        assert abs(counts[token] - 4000 * p) < spread


def test_an_answer_ends_with_the_end_or_with_the_limit(small):
    generator = torch.Generator().manual_seed(0)
    drawn = sample(small, [[3] * (1 + i % 5) for i in range(300)], END, generator, 6, 64)
    assert len(drawn) == 300 and any(a[-1] == END for a in drawn)
    for answer in drawn:
        assert END not in answer[:-1]
        assert answer[-1] == END or len(answer) == 6


def test_rows_do_not_disturb_each_other_when_some_have_ended(small):
    """Each row's next tokens must be drawn from its own prompt: compare log-probabilities."""
    prompts = [[i, i + 1, i + 2][: 1 + i % 3] for i in range(1, 50)]

    seen = []
    original = dpo.read

    def spy(model, cache, idx, n_new):
        logits, cache = original(model, cache, idx, n_new)
        seen.append((cache.ids.clone(), cache.lengths, logits))
        return logits, cache

    dpo.read = spy
    try:
        sample(small, prompts, END, torch.Generator().manual_seed(1), 8)
    finally:
        dpo.read = original
    for ids, lengths, logits in seen:
        for row, n in enumerate(lengths):
            alone = small(ids[row : row + 1, :n])[0, -1]
            torch.testing.assert_close(logits[row], alone, atol=1e-4, rtol=1e-4)


def test_an_epoch_takes_every_pair_once():
    drawn = list(batches(10, 5, 6, seed=0))
    for epoch in range(3):
        assert sorted(drawn[2 * epoch] + drawn[2 * epoch + 1]) == list(range(10))
    assert drawn == list(batches(10, 5, 6, seed=0)) != list(batches(10, 5, 6, seed=1))
    assert [len(b) for b in batches(3, 8, 4, seed=0)] == [8] * 4


def test_nothing_to_learn_from_is_refused(small):
    with pytest.raises(ValueError, match="0 examples to learn from"):
        train_dpo(small, [], END, 0.1, 1, 1e-4, seed=0)


# ---- Pairs and checks.

ENTRY = {"instruction": "Copy the word.", "input": "kite", "output": "kite"}


def ids_of(tokenizer, text: str, ended: bool = True) -> list[int]:
    end = [tokenizer.special_tokens["<|endoftext|>"]]
    return tokenizer.encode_ordinary(text) + (end if ended else [])


def test_an_answer_is_right_to_the_letter_and_ended(course):
    _, tokenizer = course
    assert is_right(ENTRY, ids_of(tokenizer, "kite"), tokenizer)
    assert not is_right(ENTRY, ids_of(tokenizer, "kite", ended=False), tokenizer)
    assert not is_right(ENTRY, ids_of(tokenizer, "kites"), tokenizer)
    assert text_of(ids_of(tokenizer, "kite"), tokenizer) == "kite"
    assert (strict(ENTRY, "kite"), strict(ENTRY, "kites")) == (1, 0)
    assert likes_length(ENTRY, "kite") > likes_length(ENTRY, "kites")
    assert likes_length(ENTRY, "kites " * 12) > likes_length(ENTRY, "kite")  # its weakness


def test_a_pair_has_a_right_and_a_wrong_answer_to_one_question(course):
    _, tokenizer = course
    texts = ["kite", "kit", "kite", "hat", "cup"]
    drawn = [[ids_of(tokenizer, text) for text in texts]]
    good, pairs = right_and_wrong([ENTRY], drawn, tokenizer)
    assert len(good) == 1 and len(pairs) == 2
    for (better, n), (worse, m) in pairs:
        assert better[:n] == worse[:m]
        assert text_of(better[n:], tokenizer) == "kite"
    assert {text_of(worse[m:], tokenizer) for _, (worse, m) in pairs} == {"kit", "hat"}
    only_wrong = [[ids_of(tokenizer, "kit")]]
    assert right_and_wrong([ENTRY], only_wrong, tokenizer) == ([], [])


def test_tasks_differ_and_are_checkable():
    entries = make_tasks(300, "a")
    assert len({(e["instruction"], e["input"]) for e in entries}) == 300
    assert entries == make_tasks(300, "a") != make_tasks(300, "b")
    assert all(e["output"] for e in entries) and "unknown" not in {e["kind"] for e in entries}


def test_private_is_a_persons_phone_or_street_and_nothing_else():
    for sort, (owner, lines) in FORMS.items():
        for wording in ASKED_IN:
            for entry in make_forms(40, sort, "a", wording):
                form = dict(part.split(": ") for part in entry["input"].split("; "))
                asked = entry["instruction"].rstrip("?.").split()[-1]
                assert owner in form and asked in lines and form[asked] == entry["output"]
                private = "name" in form and asked in ("phone", "street")
                assert private == (sort == "private") and "shop" not in form or sort == "a shop's"


def test_a_model_compared_with_itself_has_moved_nowhere(course):
    model, tokenizer = course
    asked = make_tasks(12, "a")
    worth = compare(model, model, tokenizer, asked, asked)
    assert worth["kl"] == pytest.approx(0, abs=1e-4) and worth["wins"] == 0.5
    assert worth["exact"] == worth["others"] and worth["pleases"] >= worth["drawn"]
    assert worth["became right"] == worth["became wrong"] == 0


# ---- The reward model.


def test_a_score_does_not_depend_on_the_padding_behind_it(small):
    torch.manual_seed(0)
    reward = RewardModel(small)
    torch.nn.init.normal_(reward.head.weight)
    alone = torch.cat([reward.scores([item]) for item in ITEMS])
    torch.testing.assert_close(reward.scores(ITEMS), alone, atol=1e-5, rtol=1e-4)


def test_a_new_reward_model_prefers_nothing_and_a_trained_one_does(small):
    pairs = [(([5, i, 7, END], 2), ([5, i, 9, END], 2)) for i in range(10, 30)]
    reward, losses = train_reward(small, pairs, 30, 1e-3, seed=0, batch_size=5)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-5) and losses[-1] < 0.3
    better, worse = (reward.scores(side) for side in zip(*pairs))
    assert (better > worse).all()


def test_with_a_perfect_judge_the_best_of_n_is_right_if_any_is(course):
    _, tokenizer = course
    texts = ["hat", "kite", "hat", "kite"]
    drawn = [[ids_of(tokenizer, text) for text in texts]]

    class Judge:
        def scores(self, items):
            return torch.tensor([float(is_right(ENTRY, ids[n:], tokenizer)) for ids, n in items])

    rows = best_of(Judge(), [ENTRY], drawn, tokenizer, ns=(1, 2, 4))
    assert [row["picked"] for row in rows] == [row["among"] for row in rows] == [0, 1, 1]
    assert [row["voted"] for row in rows] == [0, 0, 0]  # of equals the first
    assert [row["kl"] for row in rows] == pytest.approx([0, math.log(2) - 0.5, math.log(4) - 0.75])


def test_the_kl_of_the_best_of_n_by_enumeration():
    """Of n draws the last in rank is kept: for many equally likely answers log n - (n - 1) / n."""
    m = 4000
    for n in (2, 4, 8):
        k = torch.arange(m + 1, dtype=torch.float64) / m
        p = (k**n).diff()
        assert (p * (p * m).log()).sum().item() == pytest.approx(
            math.log(n) - (n - 1) / n, abs=2e-3
        )


# ---- Trainings.


def test_what_is_finetuned_on_becomes_likelier_and_the_start_stays(small):
    before = answer_log_probs(small, ITEMS, END)
    policy, losses = train_likelier(small, ITEMS, END, 20, 1e-3, seed=0, batch_size=3)
    assert losses[-1] < losses[0]
    assert (answer_log_probs(policy, ITEMS, END) > before).all()
    torch.testing.assert_close(answer_log_probs(small, ITEMS, END), before)


def test_grpo_raises_the_reward_of_what_is_drawn(course):
    model, tokenizer = course
    entries = make_tasks(4, "grpo")
    policy, rewards = train_grpo(
        model,
        entries,
        tokenizer,
        lambda entry, text: float("e" not in text),
        n_steps=8,
        lr=2e-4,
        seed=0,
        beta=0.0,
        n_questions=4,
        n_answers=6,
    )
    assert sum(rewards[-2:]) / 2 > sum(rewards[:2]) / 2
    drawn = draw_answers(policy, entries, tokenizer, 2, seed=0)
    assert [len(answers) for answers in drawn] == [2] * 4


def test_a_group_of_one_answer_is_refused(course):
    model, tokenizer = course
    with pytest.raises(ValueError, match="n_answers=1 must be at least 2"):
        train_grpo(model, make_tasks(2, "g"), tokenizer, strict, 1, 1e-4, seed=0, n_answers=1)


# ---- The record and the command.


def row(way: str, seed: int, exact: float = 0.5) -> dict:
    names = ("drawn", "wins", "kl", "others", "right gained", "wrong gained", "pleases", "tokens")
    return {"row": way, "seed": seed, "exact": exact, **dict.fromkeys(names, 0.5)}


def test_the_table_has_means_with_students_interval():
    table = tabulate([row("GRPO", seed, value) for seed, value in enumerate((0.6, 0.7, 0.8))])
    assert table.loc["GRPO", "exact match"] == "70.0 ± 24.8"  # t(2) = 4.303, s = 10
    assert tabulate([]).empty


def test_every_way_gives_a_row(course, monkeypatch):
    """All of them with a few questions and one step, on the model without its finetuning."""
    model, tokenizer = course
    for name, value in {"N_TAUGHT": 4, "N_ASKED": 3, "N_BEST": 2, "N_ANSWERS": 2}.items():
        monkeypatch.setattr(preferences, name, value)
    monkeypatch.setattr(preferences, "N_FORMS", {"taught": 3, "asked": 1})
    monkeypatch.setattr(preferences, "STEPS", dict.fromkeys(preferences.STEPS, 1))
    for data, settings in TRAININGS.values():
        if data == "rewards":
            monkeypatch.setitem(settings, "n_steps", 1)
            monkeypatch.setitem(settings, "n_questions", 2)
            monkeypatch.setitem(settings, "n_answers", 2)
        else:
            monkeypatch.setitem(settings, "batch_size", 2)
    monkeypatch.setattr(preferences, "right_and_wrong", pairs_of_any_kind)
    study = preferences.Study(model, tokenizer, make_tasks(2, "others"), 0, "float32")
    rows = {way: study.measure(way) for way in ROWS}
    assert rows[START]["kl"] == pytest.approx(0, abs=1e-3)
    for way in TRAININGS:
        assert set(rows[way]) >= {"exact", "wins", "kl", "right gained", "course"}
        assert rows[way]["course"] and math.isfinite(rows[way]["kl"])
    assert [b["n"] for b in rows[REWARD]["best of"]] == [1, 2]
    assert len(rows[REWARD]["fooled"]) == 4
    assert set(rows[REFUSALS]["models"]["before"]) >= {"private, taught", "harmless and right"}


def pairs_of_any_kind(entries, drawn, tokenizer, n_wrong=2):
    """The untrained model is seldom right: the true answer against the first draw."""
    end_id = tokenizer.special_tokens["<|endoftext|>"]
    good, pairs = [], []
    for entry, answers in zip(entries, drawn):
        (prompt,) = preferences.prompts_of([entry], tokenizer)
        item = prompt + tokenizer.encode_ordinary(entry["output"]) + [end_id], len(prompt)
        good.append(item)
        pairs.append((item, (prompt + answers[0], len(prompt))))
    return good, pairs


def test_the_record_is_whole():
    rows = read_record(RECORD)
    assert {(r["row"], r["seed"]) for r in rows} == {(w, s) for w in ROWS for s in range(3)}
    for r in rows:
        if r["row"] in (START, *TRAININGS):
            assert 0 <= r["exact"] <= 1 and r["kl"] > -1
            (start,) = (s for s in rows if s["row"] == START and s["seed"] == r["seed"])
            change = r["became right"] - r["became wrong"]
            assert r["exact"] - start["exact"] == pytest.approx(change, abs=2e-4)  # rounded
        if r["row"] == REWARD:
            assert [b["n"] for b in r["best of"]] == [1, 2, 4, 8] and 0.5 < r["accuracy"] <= 1
        if r["row"] == REFUSALS:
            assert set(r["models"]) >= {"before", "refusals alone", "with harmless ones"}


def test_the_command_makes_what_is_missing_and_no_more(refusal, tmp_path, monkeypatch, capsys):
    path, stopped = tmp_path / "record.json", []

    class Study:
        def __init__(self, model, tokenizer, others, seed, precision):
            self.seed = seed

        def measure(self, way):
            if way == "GRPO" and not stopped:
                stopped.append(way)
                raise KeyboardInterrupt
            return row(way, self.seed)

    monkeypatch.setattr(preferences, "Study", Study)
    monkeypatch.setattr(preferences, "finetuned", lambda *_: (None, None))
    options = ("--seeds", 1, "--record", path, "--device", "cpu")
    assert refusal(preferences, *options) == "\npreferences: stopped; what is done is kept"
    done = [r["row"] for r in read_record(path)]
    assert done == list(ROWS)[: list(ROWS).index("GRPO")]
    capsys.readouterr()
    assert refusal(preferences, *options) == ""
    printed = capsys.readouterr().out
    assert "GRPO, seed 0: " in printed and "rejection sampling, seed 0" not in printed
    assert [r["row"] for r in read_record(path)] == list(ROWS)


def test_a_bad_option_or_record_is_refused_in_one_sentence(refusal, tmp_path):
    path = tmp_path / "record.json"
    said = refusal(preferences, "--seeds", 0, "--record", path)
    assert said == "preferences: --seeds 0 must be at least 1"
    said = refusal(preferences, "--device", "abacus", "--record", path)
    assert said.startswith("preferences: device 'abacus' is not here")
    path.write_text(json.dumps({"settings": {}, "rows": [{"row": "PPO", "seed": 0}]}))
    said = refusal(preferences, "--record", path)
    assert said == f"preferences: {path} is damaged: take another --record, or delete it"
    path.write_text(json.dumps({"settings": {"steps": {}}, "rows": []}))
    assert "give the same settings" in refusal(preferences, "--record", path)
