"""Entries: near duplicates against brute force, a rule that refuses, filters that are measured."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random

import numpy as np
import pytest
import torch

from ch05.course_model.world import VERBS
from ch05.course_model.world.places import CAPITALS
from ch05.duplicates import signature
from ch05.gpt_weights import load_pretrained
from ch07.bonus import data
from ch07.bonus.data import (
    BANDS,
    GENERATED,
    KINDS,
    N_TOPICS,
    RECORD,
    WAYS,
    Refused,
    alike_pairs,
    ask_ollama,
    best_threshold,
    check_entry,
    chosen_by_chance,
    confidence,
    draw_entries,
    find_question,
    generate_entries,
    is_true,
    judge_entry,
    judge_pairs,
    learn,
    make_runs,
    measure_judge,
    one_token_changed,
    passes_rule,
    read_record,
    recall_by_jaccard,
    share_a_band,
    tabulate,
    to_passive,
    write_entry,
)
from ch07.gpt_instruction_finetuning import InstructionDataset
from ch07.instructions import Author, key, make_instructions, make_sides

ENTRIES = make_instructions()


@pytest.fixture(scope="module")
def course():
    return load_pretrained("course")


# ---- Near duplicates.


def draw_texts(n: int, seed: int = 0) -> list[list[int]]:
    rng = Random(seed)
    texts = [[rng.randrange(4) for _ in range(rng.randint(0, 30))] for _ in range(n)]
    return texts + [one_token_changed(ids, rng) for ids in texts if ids]


def test_the_matrix_product_counts_what_sets_count():
    texts = draw_texts(60)
    runs = [{tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in texts]
    expected = {
        (i, j): len(runs[i] & runs[j]) / len(runs[i] | runs[j])
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if runs[i] & runs[j]
    }
    first, second, jaccard = alike_pairs(make_runs(texts))
    found = dict(zip(zip(first.tolist(), second.tolist()), jaccard.tolist()))
    assert found == pytest.approx(expected) and len(found) > 50


def test_texts_without_a_run_are_alike_to_nothing():
    first, _, _ = alike_pairs(make_runs([[1, 2], [1, 2], []]))
    assert len(first) == 0


def test_one_token_and_no_more_is_changed():
    for seed in range(20):
        changed = one_token_changed([1, 2, 3], Random(seed))
        assert sorted(np.not_equal(changed, [1, 2, 3])) == [False, False, True]


@pytest.mark.parametrize("name", BANDS)
def test_equal_texts_share_a_band_and_strangers_none(name):
    a, b = (signature(np.arange(30) + start) for start in (0, 500))
    assert share_a_band(a[None], a[None], *BANDS[name]).tolist() == [True]
    assert share_a_band(a[None], b[None], *BANDS[name]).tolist() == [False]
    assert math.prod(BANDS[name]) == len(a)


def test_the_recall_is_that_of_the_formula():
    rng = Random(1)
    texts = [[rng.randrange(1000) for _ in range(24)] for _ in range(500)]
    copies = [one_token_changed(ids, rng) for ids in texts]
    first, second, jaccard = alike_pairs(make_runs(texts + copies))
    found = np.array([signature(np.array(ids)) for ids in texts + copies])
    for n_bands, band in BANDS.values():
        hit = share_a_band(found[first], found[second], n_bands, band)
        expected = (1 - (1 - jaccard**band) ** n_bands).mean()
        assert abs(hit.mean() - expected) < 0.08  # 3.5 standard errors of 500 draws


def test_a_recall_table_has_a_line_for_each_bin_with_pairs():
    table = recall_by_jaccard(np.array([0.05, 0.95, 1.0]), np.array([False, True, False]))
    assert table.values.tolist() == [[0.05, 1, 0.0], [pytest.approx(0.975), 2, 0.5]]


# ---- Passive voice.


def test_every_passive_of_the_course_is_as_it_should_be_or_refused():
    made = 0
    for split in ("train", "development", "test"):
        author = Author(make_sides()[split], "passive")
        for entry in (author.passive() for _ in range(300)):
            text = entry["input"] or entry["instruction"].rpartition(": ")[2]
            try:
                assert to_passive(text) == entry["output"]
                made += 1
            except Refused as reason:
                assert str(reason) == "a verb without a passive" and "weighed" in text
    assert made > 500


@pytest.mark.parametrize(
    ("text", "passive"),
    [
        ("The baker washes the cups.", "The cups are washed by the baker."),
        ("They will build the wall.", "The wall will be built by them."),
        ("He caught them.", "They were caught by him."),
        ("They wash me.", "I am washed by them."),
        ("I washed him.", "He was washed by me."),
        ("We can hear the old bells.", "The old bells can be heard by us."),
        ("She cut the rope.", "The rope was cut by her."),
        ("It broke the window.", "The window was broken by it."),
    ],
)
def test_tense_number_and_pronouns_are_right(text, passive):
    assert to_passive(text) == passive


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("They cut the rope.", "two verbs or tenses"),
        ("Clara washed her cup.", "whose it is"),
        ("Clara hurt herself.", "to oneself"),
        ("The verb is 'sleeps'.", "not known"),
        ("She has the book.", "without a passive"),
        ("Clara put the cup on the table.", "without a passive|not known"),
        ("I found the sheep.", "one or several"),
        ("Clara did not wash the cup.", "not known|no verb"),
        ("The cup was washed by Clara.", "no verb"),
        ("Clara gave him the book.", "not known"),
        ("Clara slept.", "no object"),
        ("Clara.", "no verb"),
        ("The cup.", "no verb|not known"),
        ("She will.", "no verb"),
        ("She will wash.", "no object"),
        ("Did Clara wash the cup?", "plain statement"),
        ('"Wash the cup," said Clara.', "plain statement"),
        ("", "plain statement"),
        ("Clara washed the cup and the plate.", "not known"),
        ("Clara washed the cup slowly.", "not known"),
    ],
)
def test_what_the_rule_cannot_do_rightly_is_refused(text, reason):
    with pytest.raises(Refused, match=reason):
        to_passive(text)


def test_no_text_makes_the_rule_fall_over():
    rng = Random(2)
    words = [*VERBS, *(v.past for v in VERBS.values()), "the", "Clara", "will", "cup", "her", "I"]
    for _ in range(3000):
        text = " ".join(rng.choices(words, k=rng.randint(1, 6)))
        try:
            assert " by " in to_passive(text[0].upper() + text[1:] + ".")
        except Refused as reason:
            assert str(reason)


# ---- Entries that a model writes.


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("What is it?", "What is it?"),
        ("A fine wish! What's the capital of Norway? It is Oslo.", "What's the capital of Norway?"),
        ('Sure.\n"What is it?"', "What is it?"),
    ],
)
def test_a_question_is_found_behind_politeness(text, question):
    assert find_question(text) == question


def test_a_reply_without_a_question_is_refused():
    for text in ("", "It is Oslo.", "?!"):
        with pytest.raises(Refused, match="no question"):
            find_question(text)


@pytest.mark.parametrize(
    ("question", "output", "fault"),
    [
        ("What is the capital of Peru?", "Oslo.", "not about the capital of Norway"),
        ("What is the capital of Norway?", "The capital of Norway.", "only repeats"),
        ("What is the capital of Norway?", "", "only repeats"),
        ("Is the capital of Norway old?", "Yes.", "asked before"),
    ],
)
def test_a_fault_is_told_in_words(question, output, fault):
    known = [{"instruction": "Is the capital of Norway old?", "output": "No."}]
    with pytest.raises(Refused, match=fault):
        check_entry({"instruction": question, "output": output}, "the capital of Norway", known)


def replies(*texts):
    left, asked = list(texts), []

    def ask(text):
        asked.append(text)
        return left.pop(0)

    return ask, asked


def test_a_fault_is_in_the_next_wish_and_the_loop_ends():
    ask, asked = replies("I like Norway.", "What is the capital of Norway?", "It is Oslo.", "90")
    tries = write_entry(ask, "the capital of Norway", [])
    assert [attempt["fault"] for attempt in tries] == ["There is no question in it.", ""]
    assert "Its fault: There is no question" in asked[1] and "fault" not in asked[0]
    assert is_true(tries[-1]) and not is_true(tries[0])
    ask, asked = replies("a", "b", "c")
    assert len(write_entry(ask, "the capital of Norway", [], rounds=3)) == 3 == len(asked)


def test_few_points_or_none_are_a_fault():
    for said, fault in (("20", "too few points"), ("Good!", "no number")):
        ask, _ = replies("What is the capital of Norway?", "It is Bergen.", said)
        (attempt,) = write_entry(ask, "the capital of Norway", [], rounds=1)
        assert fault in attempt["fault"] and not is_true(attempt)


def test_the_same_question_is_not_kept_twice():
    ask, _ = replies(*["What is the capital of Norway?", "It is Oslo.", "100"] * 2)
    kept, tries = generate_entries(ask, ["the capital of Norway"] * 2, rounds=1)
    assert len(kept) == 1 and "asked before" in tries[1]["fault"]


@pytest.mark.parametrize(
    ("said", "score"),
    [("The answer is 100.", 100), ("85/100", None), ("", None), ("900", None), ("7", 7)],
)
def test_a_score_is_the_only_number_of_a_reply(said, score):
    entry = {"instruction": "a", "output": "b"}
    assert judge_entry(lambda _: said, entry) == score


def test_a_judge_sees_a_true_and_a_false_capital():
    facts = [(country, CAPITALS[country]) for country in ("Norway", "France")]
    pairs = judge_pairs(lambda text: "100" if "Oslo" in text else "30", facts)
    assert [(p["true"], p["false"]) for p in pairs] == [(100, 30), (30, 100)]


class StandIn(BaseHTTPRequestHandler):
    answer: dict = {}

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(StandIn.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_a_server_is_asked_and_another_form_is_refused():
    server = HTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = ask_ollama(f"127.0.0.1:{server.server_port}", "stand-in", timeout=10)
    StandIn.answer = {"message": {"content": "Hello"}}
    assert ask("Hi") == "Hello"
    for StandIn.answer in ({}, {"message": "Hello"}):
        with pytest.raises(ValueError, match="another form"):
            ask("Hi")
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError):
        ask("Hi")


# ---- Filters, and what is learned.


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_rule_lets_right_answers_pass(split):
    entries = draw_entries(split, 6 * 60, "rule")
    for kind in KINDS:
        of_kind = [entry for entry in entries if entry["kind"] == kind]
        passed = sum(passes_rule(entry, entry["output"]) for entry in of_kind)
        assert passed >= 0.8 * len(of_kind) and len(of_kind) == 60, kind
        assert not any(passes_rule(entry, "") for entry in of_kind)
    assert not any(passes_rule(entry, "zzz qqq.") for entry in entries)


def test_what_is_drawn_is_new_and_in_no_other_split():
    told = draw_entries("train", 48, "told")
    untold = draw_entries("train", 120, "untold", told)
    asked = draw_entries("test", 120, "asked")
    keys = [{*map(key, some)} for some in (told, untold, asked)]
    assert [len(some) for some in keys] == [48, 120, 120]
    assert not keys[0] & keys[1] and not (keys[0] | keys[1]) & keys[2]


def test_more_entries_than_there_are_are_refused():
    with pytest.raises(ValueError, match="development has no 300 entries of"):
        draw_entries("development", 6 * 300, "many")


def test_a_judge_that_keeps_all_or_none_knows_nothing():
    right = [True, False, True, True]
    for kept in ([True] * 4, [False] * 4):
        assert measure_judge(kept, right)["kappa"] == 0
    assert measure_judge(right, right)["kappa"] == 1
    half = measure_judge([True, True, False, False], right)
    assert (half["kept"], half["right of kept"], half["right of all"], half["all"]) == (2, 1, 3, 4)


def test_the_threshold_is_the_one_that_agrees_best():
    assert best_threshold([-3, -2, -1, -0.5], [False, False, True, True]) == -1


def test_confidence_is_the_mean_of_the_answers_log_probabilities(course):
    model, tokenizer = course
    some = [e for e in ENTRIES if e["kind"] in KINDS][:40]
    found = confidence(model, tokenizer, some, [e["output"] for e in some])
    for entry, mean in list(zip(some, found))[::13]:
        ((ids, n_prompt),) = InstructionDataset([entry], tokenizer, 256).items
        with torch.no_grad():
            log_probs = model(torch.tensor([ids[:-1]])).log_softmax(dim=-1)[0]
        picked = [log_probs[i - 1, ids[i]].item() for i in range(n_prompt, len(ids))]
        assert mean == pytest.approx(sum(picked) / len(picked), abs=1e-4)


def test_chance_keeps_as_many_and_the_same_again():
    chosen = chosen_by_chance(30, 100, 1)
    assert sum(chosen) == 30 and chosen == chosen_by_chance(30, 100, 1)
    assert chosen != chosen_by_chance(30, 100, 2)


def test_few_entries_are_repeated_to_the_same_number_of_steps(monkeypatch):
    seen = []
    monkeypatch.setattr(data, "finetune", lambda model, loader, *_, **__: seen.append(loader))
    entries = draw_entries("train", 12, "few")
    for some in (entries, entries[:5]):
        learn(some, entries, 0, 4, 1e-4, torch.device("cpu"), "float32")
    assert [len(loader) for loader in seen] == [4, 4]
    assert [len(loader.dataset) for loader in seen] == [64, 64]


# ---- The record and the command.


def row(way: str, seed: int, n_right: int = 5) -> dict:
    judged = {"kept": 8, "right of kept": 4, "kappa": 0.5, "right of all": 6, "all": 10}
    right = {kind: [n_right, 10] for kind in (*KINDS, "all")}
    return {
        "row": way, "seed": seed, "new entries": 8, "seconds": 1, "judged": judged, "right": right,
    }  # fmt: skip


def test_the_table_has_means_with_students_interval_and_paired_differences():
    rows = [row("few", seed, n) for seed, n in enumerate((6, 7, 8))]
    rows += [row("own", seed, n) for seed, n in enumerate((7, 8, 9))]
    table = tabulate(rows)
    assert table.loc["own", "exact match, %"] == "80.0 ± 24.8"  # t(2) = 4.303, s = 10
    assert table.loc["own", "more than few"] == "10.0 ± 0.0"
    assert table.loc["own", "right of them, %"] == "50"
    assert tabulate([]).empty


def test_the_record_is_whole():
    rows = read_record(RECORD)
    assert sorted((r["row"], r["seed"]) for r in rows) == sorted(
        (way, seed) for way in WAYS for seed in range(max(r["seed"] for r in rows) + 1)
    )
    assert len(rows) >= 3 * len(WAYS)
    for r in rows:
        assert r["right"]["all"][1] == 300 and {*KINDS} < {*r["right"]}
        if r["row"] == "right":
            assert r["judged"]["kappa"] == 1 and r["new entries"] == r["judged"]["kept"]


def test_the_record_of_generated_entries_can_be_counted():
    record = json.loads(GENERATED.read_text(encoding="utf-8"))
    assert len({attempt["topic"] for attempt in record["tries"]}) == N_TOPICS
    assert len(record["pairs"]) == N_TOPICS
    for attempt in record["tries"]:
        assert attempt["fault"] or attempt["score"] >= data.ENOUGH


def test_the_command_trains_what_is_missing_and_no_more(refusal, tmp_path, monkeypatch, capsys):
    path, stopped = tmp_path / "record.json", []

    def measure(seed, done, *settings):
        for way in WAYS:
            if way == "rule" and not stopped:
                stopped.append(way)
                raise KeyboardInterrupt
            if way not in done:
                yield row(way, seed)

    monkeypatch.setattr(data, "measure_seed", measure)
    options = ("--seeds", 1, "--record", path, "--device", "cpu")
    assert refusal(data, *options) == "\ndata: stopped; what is done is kept"
    assert [r["row"] for r in read_record(path)] == ["few", "own", "chance"]
    capsys.readouterr()
    assert refusal(data, *options) == ""
    printed = capsys.readouterr().out
    assert "rule, seed 0: 5 of 10 right" in printed and "few, seed" not in printed
    assert [r["row"] for r in read_record(path)] == list(WAYS)
    assert "holds runs with lr 0.0003, not 1.0" in refusal(data, *options, "--lr", 1)


def test_a_seed_is_measured_from_end_to_end(course, monkeypatch):
    """Without a training: the pretrained model answers, and everything is counted."""
    monkeypatch.setattr(data, "learn", lambda *_: course)
    for name in ("N_TOLD", "N_UNTOLD", "N_ASKED"):
        monkeypatch.setattr(data, name, 6)
    cpu = torch.device("cpu")
    made = list(data.measure_seed(0, ["rule"], 1, 1e-4, cpu, "float32"))
    assert [r["row"] for r in made] == [way for way in WAYS if way != "rule"]
    by_way = {r["row"]: r for r in made}
    assert by_way["few"]["new entries"] == 0 and by_way["true"]["new entries"] == 6
    assert all(r["right"]["all"][1] == 6 for r in made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--steps", -1), "--steps -1 must be at least 1"),
        (("--lr", "nan"), "--lr nan must be above 0, and finite"),
        (("--device", "abacus"), "device 'abacus' is not here"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    assert refusal(data, "--record", path, *options).startswith(f"data: {message}")
    assert not path.exists()


def test_without_smollm2_nothing_is_generated(refusal, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    path = tmp_path / "generated.json"
    assert "get_smollm2.py" in refusal(data, "--generate", path) and not path.exists()


def test_a_damaged_record_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"settings": {}, "rows": [{"row": "by hand", "seed": 0}]}))
    said = refusal(data, "--record", path)
    assert said == f"data: {path} is damaged: take another --record, or delete it"
