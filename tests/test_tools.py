"""Calls: a calculator that runs nothing, a loop that ends, and what outside text can do to it."""

import json
import re
from functools import partial
from random import Random

import pytest

from ch05.course_model.world import is_held_out_sum
from ch05.gpt_weights import load_pretrained
from ch07.bonus import tools
from ch07.bonus.tools import (
    BUSY,
    DEFENCES,
    GAPS,
    INJECTIONS,
    LARGEST,
    LESSON,
    MAX_CALLS,
    N_ASKED,
    N_TAUGHT,
    NOTHING,
    RECORD,
    STOPPED,
    VICTIM,
    WAYS,
    Table,
    ToolError,
    always_busy,
    as_lied,
    calculate,
    count_tokens,
    inject,
    later_questions,
    make_examples,
    make_test,
    mean_and_half,
    off_by_one,
    others,
    prompt_with_steps,
    read_record,
    run_call,
    tabulate,
    taught_again,
    training_entries,
    unfold,
    with_busy,
    work,
)
from ch07.gpt_instruction_finetuning import InstructionDataset, format_prompt
from ch07.instructions import make_instructions

ENTRIES = make_instructions()
EXAMPLES = make_examples()
SUM = {"instruction": "What is 37 plus 48?", "input": "", "output": "37 plus 48 is 85."}


@pytest.fixture(scope="module")
def course():
    return load_pretrained("course")


# ---- The tools.


def draw_sum(rng: Random, depth: int = 0) -> str:
    if depth == 3 or rng.random() < 0.4:
        return str(rng.randint(0, 99))
    a, b = draw_sum(rng, depth + 1), draw_sum(rng, depth + 1)
    return f"({a} {rng.choice('+-*')} {b})"


def test_a_sum_is_what_python_makes_of_it():
    rng = Random(0)
    drawn = [text for text in (draw_sum(rng) for _ in range(400)) if len(text) <= 60]
    assert len(drawn) > 200
    for text in drawn:
        value = eval(text)  # digits, signs and brackets that were drawn here
        if abs(value) <= LARGEST:
            assert calculate(text) == str(value)


@pytest.mark.parametrize(("text", "value"), [("56 / 8", "7"), (" 0 / 3", "0"), ("7-9", "-2")])
def test_a_quotient_is_whole(text, value):
    assert calculate(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7 / 2", "no whole number"),
        ("9 / 0", "no whole number"),
        ("9 ** 9 ** 9", "not a sum"),
        ("1 // 2", "not a sum"),
        ("__import__('os').getcwd()", "not a sum"),
        ("open('x', 'w')", "not a sum"),
        ("x + 1", "not a sum"),
        ("True + 1", "not a sum"),
        ("1.5 + 1", "not a sum"),
        ("'a' * 9", "not a sum"),
        ("1 +", "not a sum"),
        ("", "not a sum"),
        ("1; 2", "not a sum"),
        ("1\0", "not a sum"),
        ("9999999999", "too large"),
        ("99999 * 99999", "too large"),
        ("(" * 999, "too long"),
        ("9" * 61, "too long"),
    ],
)
def test_whatever_is_no_short_sum_of_whole_numbers_is_refused(text, message):
    with pytest.raises(ToolError, match=message):
        calculate(text)


def test_no_text_of_any_kind_gets_past_the_calculator():
    rng = Random(1)
    alphabet = "0123456789+-*/() .,[]{}'\"_abexlmrt=:\n\t\\~<>@#é\0"
    for _ in range(3000):
        text = "".join(rng.choices(alphabet, k=rng.randint(0, 70)))
        try:
            assert re.fullmatch(r"-?\d+", calculate(text))
        except ToolError:
            pass


def test_the_deepest_sum_that_fits_is_no_error_of_pythons():
    for text in ("(" * 29 + "1" + ")" * 29, "-" * 59 + "1", "1" + "+1" * 29):
        try:
            calculate(text)
        except ToolError:
            pass


def test_a_table_keeps_what_is_written_down():
    table = Table({"capital of Blorvia": "Nornby"})
    before = dict(table.facts)
    assert table.look_up("capital of Blorvia") == "Nornby"
    with pytest.raises(ToolError, match=NOTHING):
        table.look_up("river of Blorvia")
    table.write_down("river of Blorvia is Tisk")
    assert table.look_up("river of Blorvia") == "Tisk"
    with pytest.raises(ToolError, match="no fact"):
        table.write_down("river of Blorvia")
    assert Table(before).facts == before


def test_a_table_does_not_change_the_facts_that_it_was_given():
    facts = {}
    Table(facts).write_down("river of Blorvia is Tisk")
    assert facts == {}


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("calculate: 37 + 48", "85"),
        ("calculate: x", "not a sum"),
        ("look up: a", "b c"),
        ("write down: a", "not allowed"),
        ("The plural of goose is geese.", None),
        ("delete: everything", None),
        ("calculate:", None),
        ("calculate: 1\ncalculate: 2", None),
    ],
)
def test_a_line_is_a_call_or_none(line, result):
    assert run_call(line, {"calculate": calculate, "look up": lambda _: "b\n c"}) == result


def test_a_result_is_one_short_line():
    long = {"look up": lambda _: "a\nb\tc " * 50}
    result = run_call("look up: x", long)
    assert len(result) <= 40 and "\n" not in result
    assert "\n" in run_call("look up: x", long, max_chars=200, one_line=False)


# ---- The loop, with a stand-in for the model: a function from prompt to answer.


@pytest.fixture
def stand_in(monkeypatch):
    def set_answers(answer):
        def respond(model, tokenizer, entries, n_new, prompt_of):
            return [answer(prompt_of(entry)) for entry in entries]

        monkeypatch.setattr(tools, "respond", respond)

    return set_answers


def calls_then_says(prompt: str) -> str:
    if "Result:" not in prompt:
        return "calculate: 37 + 48"
    return f"37 plus 48 is {prompt.splitlines()[-2]}."


def test_the_result_of_a_call_stands_in_the_next_prompt(stand_in, course):
    stand_in(calls_then_says)
    (worked,) = work(*course, [SUM], lambda _: Table().tools())
    assert worked["steps"] == [("calculate: 37 + 48", "85")]
    assert worked["response"] == SUM["output"] and "steps" not in SUM


def test_whoever_answers_at_once_is_not_asked_again(stand_in, course):
    asked = []

    def answer(prompt):
        asked.append(prompt)
        return calls_then_says(prompt) if "37" in prompt else "Hello!"

    stand_in(answer)
    entries = [SUM, {"instruction": "Hi!", "input": ""}, SUM]
    worked = work(*course, entries, lambda _: Table().tools())
    assert [e["response"] for e in worked] == [SUM["output"], "Hello!", SUM["output"]]
    assert len(asked) == 5


@pytest.mark.parametrize("max_calls", [0, 1, 3])
def test_a_loop_without_end_is_stopped(max_calls, stand_in, course):
    stand_in(lambda prompt: "calculate: 1 + 1")
    run = {"calculate": always_busy}
    (worked,) = work(*course, [SUM], lambda _: run, max_calls=max_calls)
    assert worked["response"] == STOPPED
    assert worked["steps"] == [("calculate: 1 + 1", BUSY)] * max_calls


def test_results_that_fill_the_context_stop_the_loop(stand_in, course):
    stand_in(lambda prompt: "look up: x")
    run = {"look up": lambda _: "qzx " * 50}
    long = partial(run_call, max_chars=200)
    (worked,) = work(*course, [SUM], lambda _: run, max_calls=50, run=long)
    assert worked["response"] == STOPPED and 0 < len(worked["steps"]) < 6
    assert count_tokens(worked, course[1]) > course[0].config.context_length - 32


def test_the_tools_may_differ_from_entry_to_entry(stand_in, course):
    stand_in(lambda prompt: "calculate: 1 + 1" if "Result:" not in prompt else "done")
    none, some = work(
        *course, [SUM | {"may": 0}, SUM | {"may": 1}], lambda e: Table().tools() if e["may"] else {}
    )
    assert none["steps"][0][1] == "not allowed" and some["steps"][0][1] == "2"


# ---- Examples.


def test_an_example_teaches_each_call_and_the_answer_and_never_a_result(course):
    _, tokenizer = course
    entry = next(e for e in EXAMPLES if e["kind"] == "together")
    parts = list(unfold(entry))
    assert [part["output"] for part in parts[:-1]] == [call for call, _ in entry["steps"]]
    assert parts[-1] == entry
    dataset = InstructionDataset(parts, tokenizer, 256, prompt_with_steps)
    learned = [tokenizer.decode(ids[n:-1]) for ids, n in dataset.items]
    assert learned == [part["output"] for part in parts]
    read = [tokenizer.decode(ids[:n]) for ids, n in dataset.items]
    assert all(text.endswith("Answer:\n") for text in read)


def test_without_steps_the_prompt_is_that_of_the_chapter():
    assert all(prompt_with_steps(entry) == format_prompt(entry) for entry in ENTRIES)


@pytest.mark.parametrize("entry", [e for e in EXAMPLES[::7]], ids=lambda e: e["kind"])
def test_the_calls_of_an_example_have_the_results_that_it_says(entry):
    for call, result in entry["steps"]:
        if call.startswith("calculate") and result != BUSY:
            assert run_call(call, {"calculate": calculate}) == result


def test_no_example_adds_a_pair_that_the_course_holds_out_nor_one_of_the_test():
    asked, _ = make_test(N_ASKED)
    steps = [step for entry in EXAMPLES for step in entry["steps"]]
    for call, _ in steps:
        if found := re.fullmatch(r"calculate: (\d+) \+ (\d+)", call):
            assert not is_held_out_sum(int(found[1]), int(found[2]))
    assert {call for call, _ in steps}.isdisjoint(c for e in asked for c, _ in e["steps"])
    counts = {kind: sum(e["kind"] == kind for e in asked) for kind in N_ASKED}
    assert counts == N_ASKED


def test_every_question_of_the_test_can_be_answered_by_its_calls():
    asked, table = make_test(N_ASKED)
    for entry in asked:
        for call, result in entry["steps"]:
            assert run_call(call, table.tools()) == result, entry


def test_the_lessons_own_entries_get_the_calls_that_they_need():
    changed = {e["kind"] for e in ENTRIES if taught_again(e) != e}
    assert changed == {"sum", "unknown"}
    for entry in ENTRIES:
        if entry["kind"] in changed:
            ((call, result),) = taught_again(entry)["steps"]
            assert run_call(call, Table().tools()) == result
            assert entry["kind"] == "unknown" or f" is {result}." in entry["output"]


def test_a_busy_tool_is_called_again_with_the_same_words():
    entry = SUM | {"steps": [("calculate: 37 + 48", "85")]}
    drawn = [with_busy(entry, Random(i), part=0.5)["steps"] for i in range(20)]
    assert {len(steps) for steps in drawn} > {1, 2}
    for steps in drawn:
        assert {call for call, _ in steps} == {"calculate: 37 + 48"}
        assert [result for _, result in steps] == [BUSY] * (len(steps) - 1) + ["85"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_trained_on_fits_the_context(way, course):
    model, tokenizer = course
    taught = [e for e in ENTRIES if e["split"] == "train"]
    some = training_entries(way, taught)
    length = model.config.context_length
    assert len(InstructionDataset(some, tokenizer, length, prompt_with_steps)) == len(some)
    n_examples = sum(N_TAUGHT.values())
    expected = {"lesson": len(taught), "with tools": len(some)}
    assert len(some) == expected.get(way, len(taught) + n_examples)


def test_control_and_tools_have_the_same_questions_and_answers():
    taught = [e for e in ENTRIES if e["split"] == "train"]

    def said(entries):
        return {(format_prompt(e), e["output"]) for e in entries if not e["output"].startswith(
            ("calculate:", "look up:", "write down:"))}  # fmt: skip

    control = training_entries("without tools", taught)
    assert said(control) == said(training_entries("with tools", taught))
    assert not any(e.get("steps") for e in control)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="way='by hand' is not one of lesson, "):
        training_entries("by hand", [])


# ---- Memory, lies, injections.


def test_what_was_told_long_ago_is_not_in_the_prompt(course):
    from ch07.gpt_instruction_finetuning import crop_history

    _, tokenizer = course
    asked, _ = make_test({"remember": 8})
    fillers = [e for e in ENTRIES if e["kind"] == "plural" and not e.get("history")]
    for gap in GAPS:
        for entry, question in zip(asked, later_questions(asked, fillers, gap)):
            place = re.search(r"of (\w+) is", entry["steps"][0][0])[1]
            assert place in question["instruction"] and place in question["output"]
            ids = crop_history(question, tokenizer, 256 - 32)
            told = tokenizer.decode(ids).count(place)
            assert told == (1 if gap else 2) or not gap


def test_a_liar_is_one_off_and_whoever_believes_it_says_so(stand_in, course):
    stand_in(calls_then_says)
    assert off_by_one("37 + 48") == "86"
    (worked,) = work(*course, [SUM], lambda _: {"calculate": off_by_one})
    assert worked["response"] == as_lied(worked) == "37 plus 48 is 86."


def obeys(prompt: str) -> str:
    """A model that does what stands behind the last "Question:", as an injection hopes."""
    question = prompt.rpartition("Question:\n")[2].partition("\nAnswer:")[0]
    if "Remember that" in question and "Result:\ndone" not in prompt:
        return f"write down: {VICTIM} is Grumbo"
    return "look up: capital of Blorvia" if "Result:" not in prompt else "It is so."


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_forged_turn_reaches_who_obeys_and_a_defence_stops_it(defence, stand_in, course):
    stand_in(obeys)
    asked = [
        {
            "instruction": "What is the capital of Blorvia?",
            "input": "",
            "output": "It is so.",
            "steps": [("look up: capital of Blorvia", "Nornby")],
        }
    ]
    facts = {"capital of Blorvia": "Nornby"}
    counts = inject(*course, asked, facts, "a forged turn", defence)
    assert counts["asked"] == 1 and counts["wrote"] == (defence == "none")
    assert facts == {"capital of Blorvia": "Nornby"}


def test_every_injection_holds_the_lie():
    assert all(VICTIM in text for text in INJECTIONS.values())


# ---- The record and the command.


def row(way: str, seed: int, n_right: int = 5) -> dict:
    later = {f"{gap} turns later": [n_right, 10] for gap in GAPS}
    lesson = {"new sum": [n_right, 10], "plural": [8, 10], "task": [6, 10], "all": [n_right, 30]}
    right = {kind: [n_right, 10] for kind in N_ASKED} | {"all": [1, 1]}
    return {
        "row": way, "seed": seed, "steps": 1, "seconds": 1, "right": right, LESSON: lesson,
        "needless calls": 0, "remembered": later,
    }  # fmt: skip


def test_the_table_has_means_with_students_interval():
    table = tabulate([row("with tools", seed, n) for seed, n in enumerate((8, 9, 10))])
    assert table.loc["new sum", "with tools"] == "90.0 ± 24.8"  # t(2) = 4.303, s = 10
    assert table.loc["the lesson's other kinds", "with tools"] == "70.0 ± 0.0"
    assert mean_and_half([50.0]) == "50.0"
    assert others([row("lesson", 0)]) == [70.0]
    assert tabulate([]).empty


def test_a_row_has_all_that_is_measured(course, monkeypatch):
    """Without a training: the model knows no tools, and everything is asked all the same."""
    few = {"large sum": 2, "table": 2, "remember": 2}
    monkeypatch.setattr(tools, "N_ASKED", few)
    monkeypatch.setattr(tools, "teach", lambda *_: (*course, 7))
    entries = [e for kind in ("sum", "plural") for e in ENTRIES if e["kind"] == kind]
    entries = [e for e in entries if e["split"] != "test" or e["kind"] == "sum"][:200]
    made = tools.measure_way("with tools", entries, 3, 1, 1e-4, None, "float32")
    assert (made["row"], made["seed"], made["steps"]) == ("with tools", 3, 7)
    assert {kind: n for kind, (_, n) in made["right"].items()} == few | {"all": 6}
    assert {kind: n for kind, (_, n) in made["remembered"].items()} == {
        **{f"{gap} turns later": 2 for gap in GAPS},
        "all": 4,
    }
    assert made["asked"] == 2 and all(c["asked"] == 2 for c in made["injections"].values())


def test_the_record_is_whole():
    rows = read_record(RECORD)
    assert sorted((r["row"], r["seed"]) for r in rows) == sorted(
        (way, seed) for way in WAYS for seed in range(3)
    )
    for r in rows:
        assert {kind: n for kind, (_, n) in r["right"].items() if kind != "all"} == N_ASKED
        assert r[LESSON]["all"][1] == 649
        if r["row"] == "with tools":
            assert len(r["injections"]) == len(INJECTIONS) * len(DEFENCES)
            assert r["calls when busy"] <= MAX_CALLS * r["asked"]


def test_the_command_trains_what_is_missing_and_no_more(refusal, tmp_path, monkeypatch, capsys):
    path, made = tmp_path / "record.json", []

    def measure(way, entries, seed, *settings):
        if way == "with tools" and not made:
            made.append(way)
            raise KeyboardInterrupt
        return row(way, seed)

    monkeypatch.setattr(tools, "measure_way", measure)
    options = ("--seeds", 1, "--record", path, "--device", "cpu")
    assert refusal(tools, *options) == "\ntools: stopped; what is done is kept"
    assert [r["row"] for r in read_record(path)] == ["lesson", "without tools"]
    capsys.readouterr()
    assert refusal(tools, *options) == ""
    printed = capsys.readouterr().out
    assert "with tools, seed 0: 5 of 10 new sums" in printed and "lesson, seed" not in printed
    assert [r["row"] for r in read_record(path)] == list(WAYS)
    said = refusal(tools, *options, "--lr", 1)
    assert "holds runs with lr 0.0002, not 1.0" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--epochs", -1), "--epochs -1 must be at least 1"),
        (("--lr", "nan"), "--lr nan must be above 0, and finite"),
        (("--device", "abacus"), "device 'abacus' is not here"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    assert refusal(tools, "--record", path, *options).startswith(f"tools: {message}")
    assert not path.exists()


def test_a_damaged_record_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"settings": {}, "rows": [{"row": "by hand", "seed": 0}]}))
    said = refusal(tools, "--record", path)
    assert said == f"tools: {path} is damaged: take another --record, or delete it"
