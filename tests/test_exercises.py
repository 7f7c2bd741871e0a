"""Exercises belong to their solutions, stubs are "not done yet", wrong answers hear what is off.

That the solutions are right is seen twice: their committed outputs say so here, and nbval runs the
notebooks and compares. The typical wrong answers stand in tests/wrong_answers, chapter by chapter.
"""

import importlib
import inspect
import io
import json
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import chain
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from course_files import ROOT, main_notebook, package_of, python_cells, read_notebook, relative

import ch03.checks
from ch01.checks import check_1_1
from ch02.checks import check_2_3, check_2_7
from ch05.checks import check_5_2
from exercises import generate, quiz
from exercises.checking import (
    NOT_DONE,
    RIGHT,
    WRONG,
    Wrong,
    agree,
    ask,
    ask_by_hand,
    ask_formula,
    call,
    demand,
    describe,
    exercise,
    is_open,
    rounded_to,
    same,
)
from exercises.language import FIELD, FOLDER, last_sound, spoken, templates, with_particles
from exercises.progress import OPENING, Record, read_progress, table, verdicts

BOOK = "2.1 2.2 3.1 3.2 3.3 4.1 4.2 4.3 5.1 5.2 5.3 5.4 5.5 5.6 6.1 6.2 6.3 7.1 7.2 7.3 7.4".split()
BOOK += ["A.1", "A.2", "A.3", "A.4"]
FOLDERS = sorted(path.parent for path in ROOT.glob(f"*/{generate.SOLUTIONS}"))
QUIZZES = sorted(path.parent for path in ROOT.glob(f"*/{quiz.QUIZ}"))
CHECK_CALL = re.compile(r"^check_(\w+)\(", re.M)

each_chapter = pytest.mark.parametrize("folder", FOLDERS, ids=relative)
each_quiz = pytest.mark.parametrize("folder", QUIZZES, ids=relative)


def checks_of(folder: Path) -> dict:
    """number -> check, as chNN/checks.py defines them."""
    module = importlib.import_module(f"{package_of(folder.name)}.checks")
    found = [v for v in vars(module).values() if hasattr(v, "judge")]
    return {check.number: check for check in found}


def openings(path: Path) -> list[str]:
    return [m["number"] for c in read_notebook(path).cells if (m := OPENING.match(c.source))]


# ---- All chapters together.


def test_every_chapter_has_exercises_and_a_quiz():
    chapters = [*(f"ch0{n}" for n in range(1, 8)), "appendix-A"]
    assert {folder.name for folder in FOLDERS} >= set(chapters)
    assert {folder.name for folder in QUIZZES} >= {*chapters, "appendix-D", "appendix-E"}


def test_the_books_exercises_are_all_there_and_each_chapter_has_two_of_its_own():
    numbers = {folder.name: openings(folder / generate.SOLUTIONS) for folder in FOLDERS}
    assert set(BOOK) <= {number for own in numbers.values() for number in own}
    for folder, own in numbers.items():
        beyond = [number for number in own if number not in BOOK]
        assert len(set(own)) == len(own) and len(beyond) >= 2, folder
        for cell in read_notebook(ROOT / folder / generate.SOLUTIONS).cells:
            if opening := OPENING.match(cell.source):
                assert (opening["number"] in beyond) == ("beyond the book" in opening[0])


# ---- One chapter.


@each_chapter
def test_the_exercises_are_those_of_the_solutions(folder: Path):
    assert generate.belongs(folder), f"run `python -m exercises.generate {folder.name}`"


@each_chapter
def test_every_exercise_has_its_block(folder: Path):
    """Opening and question, a stub with its check in the same cell, a hint, and a why."""
    cells = read_notebook(folder / generate.SOLUTIONS).cells
    starts = [i for i, c in enumerate(cells) if c.source.startswith("## Exercise")]
    assert [OPENING.match(cells[i].source) is not None for i in starts] == [True] * len(starts)
    for start, end in zip(starts, [*starts[1:], len(cells)]):
        number = OPENING.match(cells[start].source)["number"]
        block = cells[start:end]
        code = [c for c in block if c.cell_type == "code" and CHECK_CALL.search(c.source)]
        assert [CHECK_CALL.findall(c.source) for c in code] == [[name_of(number)]], number
        assert "# solution\n" in code[0].source and "# end" in code[0].source, number
        prose = [c for c in block[1:] if c.cell_type == "markdown"]
        hints = [c for c in prose if re.search(r"<details>\s*<summary>Hint</summary>", c.source)]
        assert len(hints) == 1 and "answer" not in hints[0].metadata.get("tags", []), number
        assert any("answer" in c.metadata.get("tags", []) for c in prose), f"{number}: why?"


def name_of(number: str) -> str:
    """3.4 -> 3_4, A.3 -> a_3: how the check is called."""
    return number.lower().replace(".", "_")


@each_chapter
def test_every_exercise_has_its_check_and_every_check_its_exercise(folder: Path):
    checks = checks_of(folder)
    assert sorted(checks) == sorted(openings(folder / generate.SOLUTIONS))
    for number, check in checks.items():
        assert check.__name__ == f"check_{name_of(number)}" and check.__doc__


@each_chapter
@pytest.mark.parametrize(
    ("name", "status"), [(generate.SOLUTIONS, RIGHT), (generate.EXERCISES, NOT_DONE)]
)
def test_solutions_are_right_and_stubs_not_done(folder: Path, name: str, status: str):
    said = [
        line
        for cell in read_notebook(folder / name).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
        for line in output.text.splitlines()
        if line.startswith("Exercise ")
    ]
    assert said == [f"Exercise {number}: {status}." for number in openings(folder / name)]


# Python's words for kinds of values, and what devices are called.
NAMES = "bool cpu cuda dict float function generator int lambda list map method mps nan partial set"
NAMES = {*NAMES.split(), "str", "tuple"}


def left_over(korean: str, check) -> list[str]:
    """English words of a Korean sentence: no code, no error message, not in its Korean texts."""
    for not_words in (
        r"\w+(Error|Exception): .*",
        r"(['\"`]).*?\1",
        r"<\|\w+\|>",
        r"[\w.<>]+\(.*?\)",
        r"\(.*?\)",
    ):
        korean = re.sub(not_words, " ", korean)
    words = re.findall(r"(?<![\w.@\[=/-])[a-zA-Z]{2,}(?![\w.(=`\]])", korean)
    unit = check.__module__.split(".")[0]
    known = " ".join(template.korean for template in templates(unit))
    known = NAMES.union(re.findall(r"[A-Za-z]+", FIELD.sub("", known)))
    return [word for word in words if word not in known and not re.search("[A-Z].*[A-Z]", word)]


def wrong_answers() -> list:
    cases = []
    for folder in FOLDERS:
        module = importlib.import_module(f"wrong_answers.{package_of(folder.name)}")
        for i, (check, answers, words) in enumerate(module.WRONG):
            cases.append(pytest.param(check, answers, words, id=f"{check.number}-{i}"))
    return cases


@pytest.mark.parametrize(("check", "answers", "words"), wrong_answers())
def test_a_wrong_answer_hears_what_is_off(check, answers: tuple, words: str, monkeypatch):
    number, status, sentence = check.judge(*answers)
    assert (number, status) == (check.number, WRONG)
    assert words in sentence
    assert "could not go on" not in sentence  # the check has judged, it did not stumble
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 300
    assert spoken(sentence, check.__module__) == sentence
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    assert left_over(korean := spoken(sentence, check.__module__), check) == [], korean
    # No part stands behind the full stop or the colon of another one, as in 맞습니다.의 표.
    assert korean.endswith(".") and not re.search(r"[가-힣][.:;,][가-힣]|[:;][가-힣]", korean), (
        korean
    )


@each_chapter
def test_every_check_is_tried_on_two_wrong_answers(folder: Path):
    module = importlib.import_module(f"wrong_answers.{package_of(folder.name)}")
    tried = [check.number for check, _, _ in module.WRONG]
    assert {n: tried.count(n) for n in checks_of(folder) if tried.count(n) < 2} == {}


# ---- In Korean.


@pytest.mark.parametrize(
    ("sentence", "korean"),
    [
        ("mask(3) has shape (3,), but (3, 3) is asked for.", "mask(3): 크기가 (3,)인데, (3, 3)이"),
        (
            "f(a list) raises ValueError: sizes and shapes do not fit.",
            "f(list)에서 오류가 납니다. ValueError",
        ),
        ("For x of shape (2, 2), the result is 1 at [0, 1], but 2 is asked for.", "에서 결과: [0"),
        (
            "The words 'a list' have no Korean.",
            "The words 'a list' have no Korean.",
        ),
        ("'a list' is 'a tensor', but 3 is asked for.", "'a list': 'a tensor'가 나왔는데, 3이"),
        ("", ""),
    ],
)
def test_a_sentence_is_spoken_in_korean(sentence: str, korean: str, monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    said = spoken(sentence, "ch03.checks")
    assert korean in said and ("raises" not in sentence or said.endswith("do not fit."))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_each_text_of_the_checks_is_spoken_as_its_korean_says(path: Path, monkeypatch):
    """Filled with a name, no other text of the unit takes its place."""
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    for pieces, fields, korean in templates(path.stem):
        english = "".join(chain(*zip(pieces, ["n7"] * len(fields)), pieces[-1:]))
        said = spoken(english, f"{path.stem}.checks")
        assert said == with_particles(FIELD.sub("n7", korean)), english


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("값은(는)", "값은"),
        ("3이(가)", "3이"),
        ("(2, 4)이(가)", "(2, 4)가"),
        ("`f(7)`(으)로", "`f(7)`로"),
        ("10(으)로", "10으로"),
        ("None을(를)", "None을"),
        ("50%을(를)", "50%를"),
        ("행렬과(와)", "행렬과"),
    ],
)
def test_a_particle_fits_what_is_before_it(text: str, said: str):
    assert with_particles(text) == said and last_sound("") == ""


def test_a_verdict_is_printed_in_korean_and_counted(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    ch03.checks.check_3_6(lambda T: torch.ones(T, T).triu(1))
    ch03.checks.check_3_6(lambda T: torch.ones(T, T).triu(1).bool())
    ch03.checks.check_3_8(lambda x, H: x.unflatten(-1, (H, -1)).transpose(1, 2), ...)
    ch03.checks.check_3_8(..., ...)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "연습 문제 3.6: 아직 맞지 않습니다. causal_mask(3): 실수가 들어 있는데, "
        "참·거짓 값이 들어 있어야 합니다.",
        "연습 문제 3.6: 맞습니다.",
        "연습 문제 3.8: 아직 풀지 않았습니다. join_heads가 아직 남았습니다.",
        "연습 문제 3.8: 아직 풀지 않았습니다.",
    ]
    cell = nbformat.v4.new_code_cell("", outputs=[])
    cell.outputs = [nbformat.v4.new_output("stream", text="\n".join(said))]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "exercises.ipynb")
    assert [status for _, status in verdicts(tmp_path / "exercises.ipynb")] == [
        *("tried", "done"),
        *("open", "open"),
    ]


def test_a_console_that_lacks_a_letter_gets_a_question_mark(monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp949")
    monkeypatch.setattr(sys, "stdout", console)
    wrong = importlib.import_module("wrong_answers.ch02").WRONG
    check, answers, _ = next(case for case in wrong if "bytes of the sign" in case[2])
    check(*answers)
    console.flush()
    said = console.buffer.getvalue().decode("cp949")
    assert said.startswith("연습 문제 2.1: 아직 맞지 않습니다. pieces_of('?')에 ? 기호의 바이트가")


# ---- Right answers of another kind, and unfinished ones.


def table_of(kind):
    """An answer to 1.1 whose probabilities are numbers of another kind."""

    def next_word_table(words):
        pairs, n_behind = Counter(zip(words, words[1:])), Counter(words[:-1])
        table = {word: {} for word in n_behind}
        for (a, b), n in pairs.items():
            table[a][b] = kind(Fraction(n, n_behind[a]))
        return table

    return next_word_table


def counts_by_numpy(words, frequencies):
    counts = Counter()
    for ids, frequency in zip(words, frequencies):
        for pair in zip(np.array(ids), np.array(ids)[1:]):
            counts[pair] += np.int64(frequency)
    return counts


def best_of(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


class DoubleEmbedding(torch.nn.Module):
    def __init__(self, vocab_size, context_length, emb_dim):
        super().__init__()
        self.tokens = torch.nn.Embedding(vocab_size, emb_dim, dtype=torch.double)
        self.places = torch.nn.Embedding(context_length, emb_dim, dtype=torch.double)

    def forward(self, idx):
        return self.tokens(idx) + self.places(torch.arange(idx.shape[1]))


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        (check_1_1, (table_of(Fraction),)),
        (check_1_1, (table_of(np.float32),)),
        (check_2_3, (counts_by_numpy, best_of)),
        (check_2_7, (DoubleEmbedding,)),
    ],
)
def test_a_right_answer_of_another_kind_is_right(check, answers: tuple):
    assert check.judge(*answers).status == RIGHT


def test_a_setting_that_holds_three_dots_is_not_done():
    tale = {"temperature": ..., "top_k": 5}
    settings = {"ticket": {"top_k": 1}, "tale": tale, "names": {"temperature": 3.0}}
    assert check_5_2.judge(settings).status == NOT_DONE


DRAFTS = ["SelfAttentionV1", "SelfAttentionV2", "CausalAttention", "MultiHeadAttentionWrapper"]


@pytest.mark.parametrize("name", DRAFTS)
def test_the_drafts_of_chapter_3_are_those_of_its_notebook(name: str):
    cells = [cell.strip() for cell in python_cells(main_notebook(ROOT / "ch03"))]
    assert inspect.getsource(getattr(ch03.checks, name)).strip() in cells


# ---- Quizzes.


@each_quiz
def test_a_quiz_asks_about_every_section_and_has_one_right_choice(folder: Path):
    questions = quiz.read_quiz(folder / quiz.QUIZ)  # refuses two right ones, or a missing why
    # The appendices D and E have no exercises, and as many questions as a talk ends with.
    assert (25 if folder in FOLDERS else 10) <= len(questions) <= 40
    titles = [
        s.title for s in read_notebook(folder / f"{folder.name}.ipynb").metadata.course.sections
    ]
    # An opening without a number is asked about with the section that it leads to.
    sections = [title.split()[0] for title in titles if re.match(r"[\dA-Z]\.\d", title)]
    asked = [str(question["section"]) for question in questions]
    assert set(asked) == set(sections)
    assert asked == sorted(asked, key=sections.index)
    assert len({question["question"] for question in questions}) == len(questions)


@each_quiz
def test_no_letter_can_be_guessed_by_the_letters_before_it(folder: Path):
    questions = quiz.shuffled(quiz.read_quiz(folder / quiz.QUIZ))
    scores = quiz.by_letters(questions)
    assert {rule: s for rule, s in scores.items() if abs(s) > quiz.LIMIT} == {}


def test_nor_by_a_rule_for_the_whole_course():
    quizzes = [quiz.shuffled(quiz.read_quiz(folder / quiz.QUIZ)) for folder in QUIZZES]
    scores = quiz.by_letters(list(chain(*quizzes)))
    assert {rule: s for rule, s in scores.items() if abs(s) > 1.5 * quiz.LIMIT} == {}


@each_quiz
def test_the_right_choice_is_not_betrayed_by_its_length(folder: Path):
    scores = quiz.by_lengths(quiz.read_quiz(folder / quiz.QUIZ))
    betrayed = {rule: round(s, 1) for rule, s in scores.items() if abs(s) > quiz.LIMIT}
    assert betrayed == {}, "the right choice is of this length too often, or too seldom"


def quiz_with(places: list[int], n: int = 4) -> list[dict]:
    """Questions whose right choices stand at these places."""
    return [
        {"question": str(i), "choices": [{"text": j, "right": j == place} for j in range(n)]}
        for i, place in enumerate(places)
    ]


@pytest.mark.parametrize(
    ("places", "rule"),
    [
        ([1] * 20 + [0, 2, 3] * 4, "always B"),
        ([0, 0, 1, 1, 2, 2, 3, 3, 1, 1, 0, 0, 3, 3, 2, 2] * 2, "the last right letter"),
        ([0, 1, 2, 3] * 8, "the letter after it"),
        ([3, 2, 1, 0] * 8, "the letter before it"),
        ([0, 2, 3, 1, 0, 3, 2, 1] * 4, "not one of the last three"),
        ([0, 1, 2] * 10, "not one of the last two"),
    ],
)
def test_a_rule_that_beats_chance_is_found_and_shuffled_away(places: list[int], rule: str):
    questions = quiz_with(places)
    assert quiz.by_letters(questions)[rule] > quiz.LIMIT
    mixed = quiz.shuffled(questions)
    assert max(map(abs, quiz.by_letters(mixed).values())) <= quiz.LIMIT
    assert [q["question"] for q in mixed] == [q["question"] for q in questions]
    assert mixed == quiz.shuffled(questions)  # by a seed
    for before, after in zip(questions, mixed):
        assert sorted(map(str, after["choices"])) == sorted(map(str, before["choices"]))


def test_what_never_repeats_is_found_as_well():
    never_again = [0, 1, 2, 3, 2, 1, 3, 0, 3, 1, 0, 2] * 3
    assert quiz.by_letters(quiz_with(never_again))["the last right letter"] < -quiz.LIMIT


def test_how_much_better_than_chance_a_guess_is():
    right = [0] * 12
    assert quiz.better_than_chance([{0}] * 12, right, [4] * 12) == pytest.approx(6)  # 9 / 1.5
    assert quiz.better_than_chance([{0, 1}] * 12, right, [4] * 12) == pytest.approx(12**0.5)
    assert quiz.better_than_chance([{0, 1}] * 12, right, [2] * 12) == 0  # all, which says nothing
    assert quiz.better_than_chance([set()] * 12, right, [4] * 12) == 0


@pytest.mark.parametrize(("text", "rule"), [("long", "the longest"), ("b", "the second longest")])
def test_a_length_that_betrays_the_right_choice_is_found(text: str, rule: str):
    texts = ["long", "b", "", ""] if text == "b" else ["a", "b", "c", text]
    choices = [{"text": t, "right": t == text} for t in texts]
    questions = [{"question": str(i), "choices": choices} for i in range(20)]
    assert quiz.by_lengths(questions)[rule] > quiz.LIMIT


@each_quiz
def test_the_quiz_notebook_is_made_from_the_quiz(folder: Path):
    assert quiz.belongs(folder), f"run `python -m exercises.quiz {folder.name}`"
    for cell in read_notebook(folder / "quiz.ipynb").cells[1:]:
        question, answer = cell.source.split("<details>")
        assert "is right" not in question and answer.count("</details>") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "right: true",
            "question 1 of ch/quiz.yaml has 0 right choices: exactly one must be right",
        ),
        ("section: '1.1'", "must have exactly choices, question, section"),
        ("why: Six.", "a choice has text, why, and right: true if it is"),
    ],
)
def test_a_quiz_with_a_part_missing_is_refused(tmp_path: Path, change: str, message: str):
    text = (
        "- section: '1.1'\n  question: Twice three?\n  choices:\n"
        "    - text: 5\n      why: That is the sum.\n"
        "    - text: 6\n      why: Six.\n      right: true\n"
    )
    path = tmp_path / "ch" / "quiz.yaml"
    path.parent.mkdir()
    path.write_text(text)
    assert len(quiz.read_quiz(path)) == 1
    path.write_text(text.replace(change, "" if change.startswith("right") else "other: 1"))
    with pytest.raises(ValueError, match=re.escape(message)):
        quiz.read_quiz(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", "ch/quiz.yaml is no YAML"),
        ("3", "ch/quiz.yaml must be a list of questions"),
        ('- {section: 1.1, question: "Why?", choices: 3}', "must have a list of 2 to 6 choices"),
        ('- {section: 1.1, question: "Why?", choices: }', "must have a list of 2 to 6 choices"),
        (
            '- {section: 1.1, question: "Why?", choices: [1, 2]}',
            "a choice has text, why, and right",
        ),
        (
            "- {section: 1.1, question: '', choices: [CHOICES]}",
            "question 1 of ch/quiz.yaml says ''",
        ),
        (
            "- {section: 1.1, question: , choices: [CHOICES]}",
            "question 1 of ch/quiz.yaml says None",
        ),
        (
            '- {section: 1.1, question: "Is it?", choices: [CHOICES, {text: Yes, why: It is.}]}',
            "says True: put a text, in quotes if it is Yes or No",
        ),
    ],
)
def test_a_quiz_of_another_form_is_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "ch" / "quiz.yaml"
    path.parent.mkdir()
    choices = "{text: 5, why: Sum., right: true}, {text: 6, why: Six.}"
    path.write_text(text.replace("CHOICES", choices))
    with pytest.raises(ValueError, match=re.escape(message)):
        quiz.read_quiz(path)


def test_a_quiz_without_its_chapters_notebook_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"ch\.ipynb is no notebook"):
        quiz.quiz_notebook(tmp_path / "ch")


# ---- The tools.


@exercise("9.1")
def check_9_1(double) -> None:
    """A function that doubles."""
    wanted = torch.tensor([2.0, 4.0])
    mistakes = [(torch.tensor([1.0, 4.0]), "It squares.")]
    same(ask(double, torch.tensor([1.0, 2.0])), wanted, "double([1, 2])", mistakes)


def refuses(x):
    raise TypeError("no\nnumbers")


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (lambda x: 2 * x, "Exercise 9.1: right."),
        (lambda x: None, "Exercise 9.1: not done yet."),
        (lambda x: ..., "Exercise 9.1: not done yet."),
        (..., "Exercise 9.1: not done yet."),
        (None, "Exercise 9.1: not done yet."),
        (lambda x: x * x, "Exercise 9.1: not right yet. It squares."),
        (
            lambda x: x,
            "Exercise 9.1: not right yet. double([1, 2]) is 1 at [0], but 2 is asked for.",
        ),
        (
            lambda x: torch.ones(3),
            "Exercise 9.1: not right yet. double([1, 2]) has shape (3,), but (2,) is asked for.",
        ),
        (
            lambda x: (2 * x).long(),
            "Exercise 9.1: not right yet. "
            "double([1, 2]) holds whole numbers, but decimal numbers are asked for.",
        ),
        (
            lambda x: [2, 4],
            "Exercise 9.1: not right yet. "
            "double([1, 2]) is a list, but a tensor of shape (2,) is asked for.",
        ),
        (
            refuses,
            "Exercise 9.1: not right yet. refuses([1.0, 2.0]) raises TypeError: no numbers.",
        ),
        (
            3,
            "Exercise 9.1: not right yet. "
            "int([1.0, 2.0]) raises TypeError: 'int' object is not callable.",
        ),
    ],
)
def test_a_check_prints_one_line(answer, line: str, capsys):
    assert check_9_1(answer) is None
    assert capsys.readouterr().out == line + "\n"


@exercise("9.2")
def check_9_2(double, halve) -> None:
    """A function that doubles, and one that halves."""
    same(ask(double, 3), 6, "double(3)")
    same(ask(halve, 6), 3.0, "halve(6)")


class Stub(torch.nn.Module):
    def __init__(self):
        super().__init__()
        ...  # your code

    def forward(self, x):
        """Nothing yet."""
        ...  # your code


@torch.no_grad()
def stub(x):
    """Nothing yet."""
    ...  # your code


def double_it(x):
    return 2 * x


def prints(x):
    print(x / 2)


@pytest.mark.parametrize(
    ("double", "halve", "line"),
    [
        (stub, stub, "Exercise 9.2: not done yet."),
        (..., None, "Exercise 9.2: not done yet."),
        (double_it, stub, "Exercise 9.2: not done yet. halve is still open."),
        (double_it, ..., "Exercise 9.2: not done yet. halve is still open."),
        (double_it, Stub(), "Exercise 9.2: not done yet."),
        (stub, double_it, "Exercise 9.2: not done yet. double is still open."),
        (lambda x: x, stub, "Exercise 9.2: not right yet. double(3) is 3, but 6 is asked for."),
        (
            double_it,
            prints,
            "Exercise 9.2: not right yet. "
            "prints(6) returns nothing: what it finds is to be given back with return.",
        ),
        (double_it, lambda x: x / 2, "Exercise 9.2: right."),
    ],
)
def test_what_is_open_and_what_returns_nothing_is_named(double, halve, line: str, capsys):
    check_9_2(double, halve)
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_classes_and_settings_may_be_open_too():
    assert is_open(Stub) and is_open({"top_k": ..., "top_p": 1}) and is_open(stub)
    assert not is_open(torch.nn.Linear) and not is_open({"top_k": 1}) and not is_open(double_it)


def test_a_check_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    check_9_1.judge(lambda x: torch.rand(2))
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize(
    ("got", "wanted", "equal"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1.0, 1, False),  # a count is a whole number
        (np.int64(1), 1, True),
        (np.int64(1), 2, False),
        (True, 1, False),
        (1.00001, 1.0, True),
        (1.001, 1.0, False),
        (float("nan"), 1.0, False),
        ([1, 2], [1, 2], True),
        ([1, 2], (1, 2), False),
        ("a", "a", True),
        (np.ones(2), np.ones(2), True),
        (np.ones(2), torch.ones(2), False),
        (torch.tensor([1.0, float("-inf")]), torch.tensor([1.0, float("-inf")]), True),
        (torch.tensor([1.0, 0.0]), torch.tensor([1.0, float("-inf")]), False),
        (torch.tensor([float("nan")]), torch.tensor([1.0]), False),
        (torch.ones(2, dtype=torch.double), torch.ones(2), True),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2), True),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2), False),
        (np.float32(1), 1.0, True),
        (Fraction(1, 2), 0.5, True),
    ],
)
def test_agree(got, wanted, equal: bool):
    assert agree(got, wanted) is equal
    if not equal:
        with pytest.raises(Wrong, match=r"asked for\.$"):
            same(got, wanted, "it")


def test_numbers_and_parameters_are_told_apart_by_what_matters():
    with pytest.raises(Wrong, match=r"^it is a float, but an int is asked for\.$"):
        same(5.0, 5, "it")
    with pytest.raises(Wrong, match=r"^it is 1 at \[0\], but 2 is asked for\.$"):
        same(torch.nn.Parameter(torch.ones(1)), torch.tensor([2.0]), "it")
    same(torch.nn.Parameter(torch.ones(1)), torch.ones(1), "it")


def test_numbers_that_differ_are_told_with_enough_digits():
    with pytest.raises(Wrong, match=r"^it is 1\.41610 at \[0\], but 1\.41622 is asked for\.$"):
        same(torch.tensor([1.4161]), torch.tensor([1.41622]), "it", tolerance=1e-5)
    with pytest.raises(Wrong, match=r"^it is 3\.0000001, but 3 is asked for\.$"):
        same(3.0000001, 3, "it")
    with pytest.raises(Wrong, match=r"^it is 0\.9741 at \[0\], but 0\.9740 is asked for\.$"):
        same(torch.tensor([0.97413]), torch.tensor([0.974]), "it", tolerance=1e-6)


@pytest.mark.parametrize(
    ("got", "wanted", "digits"),
    [
        (0.67, 2 / 3, 2),
        ([0.3333, 0.6667], [1 / 3, 2 / 3], 4),
        (torch.tensor([[0.333], [0.5]]), torch.tensor([[1 / 3], [0.5]]), 3),
        (0.68, 2 / 3, 0),
        (1.0, 1.0004, 0),  # a whole number is none that was rounded
        ([0.33, [0.67]], [1 / 3, 2 / 3], 0),
        ("0.67", 2 / 3, 0),
        (float("inf"), 2 / 3, 0),
    ],
)
def test_a_rounded_answer_is_told_so(got, wanted, digits: int):
    assert rounded_to(got, wanted) == digits
    words = f"it is rounded to {digits} decimals: give it as it was computed." if digits else "it"
    with pytest.raises(Wrong, match=f"^{words}"):
        same(got, wanted, "it", tolerance=1e-6)


def test_a_formula_builds_nothing():
    assert ask_formula(lambda n: n * n, 3) == 9
    with pytest.raises(Wrong, match=r"builds tensors to count them: a formula is asked for\.$"):
        ask_formula(lambda n: torch.empty(n, n, device="meta").numel(), 3)


def test_by_hand_means_without_the_functions_of_that_name():
    def centred(x):
        with torch.no_grad():
            return x - x.mean()

    assert ask_by_hand(["grad", "softmax"], centred, torch.ones(2)).tolist() == [0, 0]
    with pytest.raises(Wrong, match="calls PyTorch's own mean: write it in plain operations"):
        ask_by_hand(["mean"], centred, torch.ones(2))


def test_long_lists_are_compared_item_by_item():
    numbers = list(range(100))
    with pytest.raises(Wrong, match=r"^Item 7 of it is 9, but 7 is asked for\.$"):
        same([*range(7), 9, *range(8, 100)], numbers, "it")
    with pytest.raises(Wrong, match=r"^it has length 99, but length 100 is asked for\.$"):
        same(numbers[:-1], numbers, "it")
    same([torch.ones(2), 0.5], [torch.ones(2), 0.5], "it")


def test_how_values_and_calls_are_told():
    assert describe(torch.tensor([[0.12345, 1.0]])) == "[[0.123, 1.0]]"
    assert describe(torch.ones(2, dtype=torch.bfloat16)) == "[1.0, 1.0]"
    assert describe(torch.zeros(3, 4, 5)) == "a tensor of shape (3, 4, 5)"
    assert describe("a" * 100) == "a str"
    assert call(len, [1, 2], start=1) == "len([1, 2], start=1)"
    with pytest.raises(Wrong, match="^no$"):
        demand(False, "no")


def test_solutions_are_taken_out_and_nothing_else():
    source = "def f(n):\n    # solution\n    m = n\n    return m\n    # end\n\n\ncheck_1_1(f)"
    assert generate.stub(source) == "def f(n):\n    ...  # your code\n\n\ncheck_1_1(f)"
    source = "# solution\nn = 3\n# end: n = ...\ncheck_1_1(n)"
    assert generate.stub(source) == "n = ...\ncheck_1_1(n)"
    for wrong in ["# solution\nn = 3", "n = 3\n# end", "# end\n# solution\n"]:
        with pytest.raises(ValueError, match="do not come in pairs"):
            generate.stub(wrong)


def course_of_one_chapter(root: Path, cells: list, name: str = "exercises.ipynb") -> None:
    opening = "## Exercise {} A title\n\n*Difficulty 2 of 5 · 10 minutes*\n\nWhat?"
    (root / "ch01").mkdir(exist_ok=True)
    solutions = [nbformat.v4.new_markdown_cell(opening.format(f"1.{i}")) for i in range(1, 5)]
    nbformat.write(nbformat.v4.new_notebook(cells=solutions), root / "ch01" / generate.SOLUTIONS)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "ch01" / name)


def ran(number: str, verdict: str) -> nbformat.NotebookNode:
    said = nbformat.v4.new_output("stream", text=f"Exercise {number}: {verdict}.\n")
    return nbformat.v4.new_code_cell("check()", outputs=[said])


def test_progress_is_read_from_the_readers_notebooks(tmp_path: Path):
    failed = nbformat.v4.new_output("error", ename="NameError", evalue="x", traceback=[])
    cells = [ran("1.1", RIGHT), ran("1.2", NOT_DONE), ran("1.3", WRONG)]
    cells.append(nbformat.v4.new_code_cell("check_1_4(x)", outputs=[failed]))
    course_of_one_chapter(tmp_path, cells)
    assert [r.status for r in read_progress(tmp_path)] == ["done", "open", "tried", "tried"]
    # In a copy the second is done; what is done once stays done.
    course_of_one_chapter(tmp_path, [ran("1.2", RIGHT), ran("1.1", WRONG)], "exercises-mine.ipynb")
    records = read_progress(tmp_path)
    assert [r.status for r in records] == ["done", "done", "tried", "tried"]
    assert records[0] == Record("ch01", "1.1", "A title", 2, 10, "done")
    assert table(records).splitlines() == [
        "ch01         2 of  4   1.1 ●  1.2 ●  1.3 ◐  1.4 ◐",
        "",
        "● done   ◐ tried   ○ open      2 of 4 done, about 20 minutes of work left",
    ]


def test_progress_is_read_from_the_copies_in_my(tmp_path: Path):
    course_of_one_chapter(tmp_path, [ran("1.1", NOT_DONE), ran("1.2", NOT_DONE)])
    names = {"my/ch01/exercises.ipynb": "1.1", "my/ch01/exercises (new).ipynb": "1.2"}
    names["my/ch01/exercise-solutions.ipynb"] = "1.3"  # which shows nobody's work
    (tmp_path / "my" / "ch01").mkdir(parents=True)
    for name, number in names.items():
        nbformat.write(nbformat.v4.new_notebook(cells=[ran(number, RIGHT)]), tmp_path / name)
    assert [r.status for r in read_progress(tmp_path)] == ["done", "done", "open", "open"]


def damaged_notebooks() -> dict[str, str]:
    """What is the matter -> the text of such a file."""
    texts = {"empty": "", "no JSON": "no notebook", "no list": json.dumps({"cells": 3})}
    texts["deep"] = "[" * 100_000
    good = nbformat.writes(nbformat.v4.new_notebook(cells=[ran("1.1", RIGHT)]))
    for what, damage in {
        "stream without text": lambda nb: nb["cells"][0]["outputs"][0].pop("text"),
        "output without anything": lambda nb: nb["cells"][0].update(outputs=[{}]),
        "no source": lambda nb: nb["cells"][0].update(source=None),
        "no nbformat": lambda nb: nb.pop("nbformat"),
    }.items():
        notebook = json.loads(good)
        damage(notebook)
        texts[what] = json.dumps(notebook)
    return texts


@pytest.mark.parametrize(
    "text", [pytest.param(t, id=what) for what, t in damaged_notebooks().items()]
)
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, text: str, capsys):
    course_of_one_chapter(tmp_path, [ran("1.2", RIGHT)])
    bad = tmp_path / "ch01" / "exercises-bad.ipynb"
    bad.write_text(text)
    with pytest.raises(ValueError, match="exercises-bad.ipynb is no notebook"):
        verdicts(bad)
    # The others are read all the same, and the bad one is named.
    assert [r.status for r in read_progress(tmp_path)] == ["open", "done", "open", "open"]
    assert capsys.readouterr().err.count("exercises-bad.ipynb is no notebook") == 1

    (tmp_path / "ch01" / generate.EXERCISES).write_text(text)
    with pytest.raises(ValueError, match="exercises.ipynb is no notebook"):
        generate.belongs(tmp_path / "ch01")
    (tmp_path / "ch01" / generate.SOLUTIONS).write_text(text)
    with pytest.raises(ValueError, match="exercise-solutions.ipynb is no notebook"):
        generate.write_exercises(tmp_path / "ch01")
    assert read_progress(tmp_path) == []


def test_a_folder_that_is_called_like_a_notebook_is_named(tmp_path: Path):
    (tmp_path / "exercises.ipynb").mkdir()
    with pytest.raises(ValueError, match="exercises.ipynb is no notebook"):
        verdicts(tmp_path / "exercises.ipynb")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("exercises.generate --check", "ch03: belong together"),
        ("exercises.quiz --check", "ch03: belong together"),
        ("exercises.progress", "○ open"),
    ],
)
def test_the_commands(command: str, says: str):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and says in done.stdout


@pytest.mark.parametrize("module", ["exercises.generate", "exercises.quiz"])
def test_a_chapter_that_is_not_there_is_refused(module: str):
    done = subprocess.run(
        [sys.executable, "-m", module, "ch99"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and "there is no ch99/" in done.stderr
