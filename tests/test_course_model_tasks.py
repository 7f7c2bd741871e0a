"""The small tasks of the corpus: every answer is right by a check of its own, and is copied."""

import re
from random import Random

import pytest

from ch05.course_model.tasks import (
    TASK_KINDS,
    Task,
    Tasks,
    invent,
    open_words,
    read_texts,
    sentences,
)
from ch05.course_model.world import FACTS, HELD_OUT_SUMS, is_held_out_sum, lexicon

N_DRAWS = 300
PLACES = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}
IN_WORDS = ("one", "two", "three", "four", "five")


def draw(kind: str, n: int = N_DRAWS) -> list[Task]:
    tasks = Tasks(Random(f"tests of {kind}"))
    return [getattr(tasks, kind)() for _ in range(n)]


def found(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern that a whole text matches, or nothing."""
    match = re.fullmatch(pattern, text)
    return match.groups() if match else ()


def is_copied(task: Task) -> bool:
    if name := found(r"The \w+ is called (\w+)\. What is its name\?", task.instruction):
        return task.output == name[0]
    quoted = re.findall(r'"([^"]+)"', task.input)
    if task.instruction.endswith("?"):
        return quoted == [task.output]
    return task.output == task.input


def is_spelled(task: Task) -> bool:
    words = found(r"How do you spell (\w+) letter by letter\?", task.instruction) or (task.input,)
    long, short = sorted((task.output, words[0]), key=lambda text: text.count("-"), reverse=True)
    return "-" not in short and [*short] == long.split("-")


def is_its_letter(task: Task) -> bool:
    if asked := found(r"What is the (\w+) letter of (\w+)\?", task.instruction):
        return task.output == asked[1][PLACES[asked[0]]]
    return task.output.isupper() and task.output.lower() == task.input


def is_backwards(task: Task) -> bool:
    return task.output.split(", ")[::-1] == task.input.split(", ")


def is_picked(task: Task) -> bool:
    words = task.input.split(", ")
    if place := found(r"What is the (\w+) word of the list\?", task.instruction):
        return words[PLACES[place[0]]] == task.output
    near = f", {task.input},"
    if word := found(r"Which word follows (\w+)\?", task.instruction):
        return f", {word[0]}, {task.output}," in near
    (word,) = found(r"Which word stands before (\w+)\?", task.instruction)
    return f", {task.output}, {word}," in near


def is_changed(task: Task) -> bool:
    words, left = task.input.split(", "), task.output.split(", ")
    if word := found(r"Leave out (\w+)\.", task.instruction):
        i = words.index(word[0])
        return words[:i] + words[i + 1 :] == left
    if word := found(r"Add (\w+) at the end\.", task.instruction):
        return [*words, word[0]] == left
    if task.instruction in ("Write the list again.", "Copy the list."):
        return words == left
    if task.instruction != "How many words are in the list?":
        return False
    return IN_WORDS.index(task.output) + 1 == task.input.count(",") + 1


def is_replaced(task: Task) -> bool:
    """Word for word the same, but one; sometimes a sentence without a long word is only copied."""
    words = found(r"Put (\w+) in the place of (\w+)\.", task.instruction)
    if not words:
        return is_copied(task)
    new, old = words
    before, after = (re.findall(r"\w+|\W", text) for text in (task.input, task.output))
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    return {*changed} == {(old, new)} and old not in after


def is_owned(task: Task) -> bool:
    of = dict(re.findall(r"(\w+) \w+ the (\w+)\.", task.input))
    if name := found(r"What (?:does|did) (\w+) \w+\?", task.instruction):
        return task.output == f"the {of[name[0]]}"
    (thing,) = found(r"Who \w+ the (\w+)\?", task.instruction)
    return of[task.output] == thing and [*of.values()].count(thing) == 1


def is_on_the_form(task: Task) -> bool:
    rows = dict(row.split(": ") for row in task.input.split("; "))
    (kind,) = found(r"What is the (\w+)\?", task.instruction)
    return len(rows) >= 3 and rows[kind] == task.output


def is_the_number(task: Task) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", task.instruction)]
    right = {
        "after": lambda: numbers[0] + 1,
        "before": lambda: numbers[0] - 1,
        "larger": lambda: max(numbers),
        "smaller": lambda: min(numbers),
    }
    (word,) = re.findall("after|before|larger|smaller", task.instruction)
    return task.output == str(right[word]())


def is_not_known(task: Task) -> bool:
    (what,) = found(r"I do not know (\w+)\.", task.output)
    return re.search(rf"\b{what}\b", task.instruction) is not None


CHECKS = {
    "copy": is_copied,
    "spell": is_spelled,
    "letter": is_its_letter,
    "backwards": is_backwards,
    "pick": is_picked,
    "change": is_changed,
    "replace": is_replaced,
    "owner": is_owned,
    "form": is_on_the_form,
    "number": is_the_number,
    "unknown": is_not_known,
}


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_every_answer_is_right(kind):
    tasks = draw(kind)
    assert [task for task in tasks if not CHECKS[kind](task)] == []
    # The check itself: what is right elsewhere is wrong here.
    for task in tasks[:50]:
        wrong = task.output + "b" if kind == "unknown" else f"{task.output}-zzz"
        try:
            assert not CHECKS[kind](task._replace(output=wrong)), task
        except (KeyError, ValueError):
            pass  # refused as what no answer can be


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_a_task_is_one_line_with_its_text_on_another(kind):
    for task in draw(kind):
        assert task.output.strip() == task.output != ""
        for text in task:
            assert not re.search(r"[^ -~]|(?<!,)  ", text), task
        assert task.instruction[0].isupper() and task.instruction[-1] in ".?"


@pytest.mark.parametrize("kind", [kind for kind in TASK_KINDS if kind not in ("number", "letter")])
def test_the_answer_stands_in_the_question(kind):
    """It has to be copied: in one piece, or letter by letter, or word by word."""
    for task in draw(kind):
        asked = f"{task.instruction} {task.input}"
        if task.instruction.startswith("How many") or kind == "unknown":
            continue
        if kind == "spell":
            assert {*task.output} - {"-"} <= {*asked}
        else:
            assert {*re.findall(r"\w+", task.output)} <= {*re.findall(r"\w+", asked)} | {"the"}


def test_a_task_differs_from_the_next():
    for kind in TASK_KINDS:
        at_least = 0.4 if kind == "number" else 0.8
        assert len({*draw(kind)}) > at_least * N_DRAWS, kind


def test_the_kinds_are_all_methods_and_all_checked():
    assert {*TASK_KINDS} == CHECKS.keys()


def test_chance_is_all_in_the_generator_that_is_given():
    one, again, other = (Tasks(Random(seed)) for seed in (1, 1, 2))
    drawn = [[getattr(t, kind)() for kind in TASK_KINDS] for t in (one, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


# ---- Words.


def test_invented_words_are_mostly_absent_from_all_texts():
    text = "\n".join(read_texts("prose") + read_texts("messages")).lower()
    written = {*re.findall(r"[a-z]+", text)} | lexicon()
    rng = Random(0)
    words = [invent(rng) for _ in range(3000)]
    assert sum(word in written for word in words) < 0.15 * len(words)
    assert len({*words}) > 0.6 * len(words)
    assert all(re.fullmatch("[a-z]{2,14}", word) for word in words)


def test_what_is_not_known_is_hardly_ever_known():
    """A word that chance invents may be one of the world's, one time in a hundred at most."""
    known = {key.lower() for facts in FACTS.values() for fact in facts for key in fact.key}
    words = [found(r"I do not know (\w+)\.", task.output)[0] for task in draw("unknown", 3000)]
    assert sum(word.lower() in known for word in words) < 0.01 * len(words)


def test_a_third_of_the_words_are_invented_and_the_others_are_many():
    tasks, real = Tasks(Random(0)), {*open_words()}
    words = [tasks.word() for _ in range(3000)]
    assert 0.25 < sum(word not in real for word in words) / len(words) < 0.4
    assert len(real) > 5000
    assert len({word for word in words if word in real}) > 1000


def test_sentences_are_whole_and_plain():
    assert len(sentences()) > 500
    for sentence in sentences():
        assert re.fullmatch(r"[A-Z][A-Za-z ,;'-]+[.!?]", sentence), sentence
        # The greeting of a letter is read as one with its first sentence.
        assert not re.search(r"(?<!,)  |   ", sentence), sentence


# ---- Sums that are never told.


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_no_task_adds_two_numbers_of_a_sum_that_is_held_out(kind):
    assert len(HELD_OUT_SUMS) == 30
    for task in draw(kind, 1000):
        text = " ".join(task)
        assert not re.search(r"\d (?:plus|\+|minus|less) \d", text), task
        if kind != "form":  # a line of a form stands for itself
            numbers = [int(number) for number in re.findall(r"\d+", text)]
            for a, b, c in zip(numbers, numbers[1:], numbers[2:]):
                assert not (a + b == c and is_held_out_sum(a, b)), task
                assert not (a - b == c and is_held_out_sum(b, c)), task
