"""MAP, Charting Student Math Misunderstandings: which mistake is in a reasoning?

The files: train.csv with row_id, QuestionId, QuestionText, MC_Answer,
StudentExplanation, Category, Misconception; test.csv without the last two.
Category says whether the answer was right (True, False) and what its
explanation shows (Correct, Neither, Misconception); Misconception is NA where
there is none. A label is Category:Misconception. The submission gives each row
up to three labels, best first, with spaces between; the measure is MAP@3.

Dimension key: N rows, K labels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel
from ch06.bonus.competitions.tables import (
    TextJudge,
    check_rows,
    read_table,
    write_table,
)

TEST_COLUMNS = (
    "row_id",
    "QuestionId",
    "QuestionText",
    "MC_Answer",
    "StudentExplanation",
)
TRAIN_COLUMNS = (*TEST_COLUMNS, "Category", "Misconception")
LABEL = "Category:Misconception"
SUBMISSION = ("row_id", LABEL)
CATEGORIES = tuple(
    f"{answer}_{shown}"
    for answer in ("True", "False")
    for shown in ("Correct", "Neither", "Misconception")
)
N_TOLD = 3

Judge = Callable[[pd.DataFrame], np.ndarray]


# ---- The files.


def label_fault(label: str) -> str:
    """What is wrong with a label, in words; nothing if nothing is."""
    category, colon, name = label.partition(":")
    if not colon or category not in CATEGORIES:
        return "does not begin with a category and a colon"
    if not name or " " in name:
        return "has no name after its colon, or one with a space"
    if (name != "NA") != category.endswith("Misconception"):
        return (
            "names a misconception where there is none, or none where there is"
        )
    return ""


def read_rows(path: str | Path, labelled: bool) -> pd.DataFrame:
    """The rows of train.csv or test.csv; with labels there is a column label."""
    table = read_table(
        path, TRAIN_COLUMNS if labelled else TEST_COLUMNS, "row_id"
    )
    if labelled:
        table["label"] = table.Category + ":" + table.Misconception
        for name, label in zip(table.row_id, table.label):
            if fault := label_fault(label):
                raise ValueError(f"{path}, row_id {name}: {label!r} {fault}")
    return table


def write_submission(
    ids: pd.Series, told: Sequence[Sequence[str]], path: str | Path
) -> None:
    """Write row_id and the labels of each row, the best first."""
    joined = [" ".join(labels[:N_TOLD]) for labels in told]
    write_table(pd.DataFrame({"row_id": list(ids), LABEL: joined}), path)


def check_submission(path: str | Path, test: pd.DataFrame) -> int:
    """The number of rows, or a ValueError with the first fault."""
    table = read_table(path, SUBMISSION[:1], "row_id")
    check_rows(path, table, SUBMISSION, test.row_id)
    for name, cell in table.itertuples(index=False):
        told = cell.split(" ")
        if not 1 <= len(told) <= N_TOLD:
            raise ValueError(
                f"{path}, row_id {name}: {len(told)} labels, not 1 to {N_TOLD}"
            )
        for label in told:
            if fault := label_fault(label):
                raise ValueError(f"{path}, row_id {name}: {label!r} {fault}")
        if len(set(told)) < len(told):
            raise ValueError(f"{path}, row_id {name}: a label is given twice")
    return len(table)


# ---- The measure.


def map_at_3(told: Sequence[Sequence[str]], true: Sequence[str]) -> float:
    """1, 1/2 or 1/3 for a true label in first, second or third place, in the mean."""
    scores = [
        1 / (1 + list(labels[:N_TOLD]).index(label))
        if label in labels[:N_TOLD]
        else 0
        for labels, label in zip(told, true, strict=True)
    ]
    return float(np.mean(scores))


# ---- Stand-ins: questions and explanations written by us.

RIGHT = "Correct"
# A question: its text, its answers and what is said for each: who gives the
# answer for this reason shows this misconception, or Correct.
QUESTIONS = (
    ("What is 1/2 + 1/3?", {
        "5/6": {RIGHT: ("I used sixths for both and added 3 and 2",
                        "3 sixths and 2 sixths make 5 sixths",
                        "same bottom first, then add the tops")},
        "2/5": {"Adds_both_parts": ("I added the tops and the bottoms",
                                    "1 plus 1 is 2 and 2 plus 3 is 5",
                                    "you add across, top and bottom")},
        "1/6": {"Multiplies_instead": ("1 times 1 and 2 times 3",
                                       "I timesed them",
                                       "multiply both parts")}}),
    ("Which is larger, 0.4 or 0.35?", {
        "0.4": {RIGHT: ("4 tenths are more than 3 tenths",
                        "0.40 is more than 0.35",
                        "look at the first place after the point"),
                "Shorter_is_larger": ("it has fewer numbers so it is larger",
                                      "shorter decimals are always bigger",
                                      "less digits means bigger parts")},
        "0.35": {"Longer_is_larger": ("35 is more than 4",
                                      "it has more digits so it is bigger",
                                      "longer means larger")}}),
    ("What is 7 - 3 x 2?", {
        "1": {RIGHT: ("times comes first, then 7 minus 6",
                      "3 x 2 is 6 and 7 - 6 is 1",
                      "I did the multiplication before")},
        "8": {"Left_to_right": ("7 minus 3 is 4 and then times 2",
                                "I went from left to right",
                                "you do it in the order it is written")}}),
    ("A square has sides of 3 cm. What is its area?", {
        "9": {RIGHT: ("3 times 3 squares fit in it",
                      "side times side",
                      "three rows of three")},
        "12": {"Perimeter_for_area": ("3 + 3 + 3 + 3 makes 12",
                                      "I went around all the sides",
                                      "four sides of 3")},
        "6": {"Doubles_to_square": ("3 squared is 3 times 2",
                                    "I doubled the side",
                                    "squared means two times")}}),
    ("What is -2 - 5?", {
        "-7": {RIGHT: ("start at -2 and go 5 further down",
                       "it gets colder by 5",
                       "left on the number line five times"),
               "Two_minuses_add": ("two minuses and you add 2 and 5 and keep a minus",
                                   "minus and minus is add so 7 with a minus",
                                   "the signs are the same so I add")},
        "7": {"Two_minuses_add": ("two minuses make a plus",
                                  "minus and minus is add so it is 7",
                                  "the minuses cancel out")},
        "3": {"Ignores_sign": ("5 minus 2 is 3",
                               "I took the small one from the big one",
                               "you cannot go below so 3")}}),
)  # fmt: skip
NEITHER = (
    "I guessed", "it looked right", "my friend said so", "because it is",
    "I did it in my head", "not sure", "that is what I got", "I just know",
)  # fmt: skip
BEFORE = ("", "", "because ", "i think ", "well ", "so ")
AFTER = ("", "", ".", " and that is the answer", " i think", " thats it")
SHARES = (
    0.25,
    0.85,
)  # of explanations that show nothing; of right answers' that are right


def roughened(text: str, draw: np.random.Generator) -> str:
    """A text as it is typed in a hurry: now and then a letter is lost."""
    if len(text) > 8 and draw.random() < 0.3:
        i = int(draw.integers(1, len(text)))
        text = text[:i] + text[i + 1 :]
    return text


def make_rows(n: int, seed: int) -> pd.DataFrame:
    """n rows as in train.csv, of our own questions."""
    draw, rows = np.random.default_rng(seed), []
    for i in range(n):
        q = int(draw.integers(len(QUESTIONS)))
        text, answers = QUESTIONS[q]
        is_true = draw.random() < 0.5
        right, *wrong = answers
        answer = right if is_true else str(draw.choice(wrong))
        shown, name = "Neither", "NA"
        said = str(draw.choice(NEITHER))
        if draw.random() > SHARES[0]:
            reasons = answers[answer]
            names = list(reasons)
            name = names[0]
            if len(names) > 1 and draw.random() > SHARES[1]:
                name = names[1]
            if (
                not is_true and draw.random() < 0.1
            ):  # a right reason, a wrong cross
                reasons, name = answers[right], RIGHT
            said = str(draw.choice(reasons[name]))
            shown = RIGHT if name == RIGHT else "Misconception"
            name = "NA" if name == RIGHT else name
        said = draw.choice(BEFORE) + roughened(said, draw) + draw.choice(AFTER)
        category = f"{is_true}_{shown}"
        rows.append(
            [str(i), str(30000 + q), text, answer, said, category, name]
        )
    return pd.DataFrame(rows, columns=list(TRAIN_COLUMNS))


def write_stand_ins(folder: str | Path, seed: int = 1, n: int = 600) -> None:
    """Write train.csv, test.csv and sample_submission.csv with rows of our own."""
    folder, rows = Path(folder), make_rows(n + n // 3, seed)
    write_table(rows[:n], folder / "train.csv")
    write_table(rows.loc[n:, list(TEST_COLUMNS)], folder / "test.csv")
    always = ["True_Correct:NA", "False_Neither:NA", "True_Neither:NA"]
    told = [always] * (len(rows) - n)
    write_submission(rows.row_id[n:], told, folder / "sample_submission.csv")


# ---- Judges: scores (N, K) for a list of labels.


def right_answers(train: pd.DataFrame) -> set[tuple[str, str]]:
    """Question and answer wherever the category of most rows begins with True."""
    is_true = train.Category.str.startswith("True")
    shares = is_true.groupby([train.QuestionId, train.MC_Answer]).mean()
    return set(shares.index[shares > 0.5])


def possible(
    rows: pd.DataFrame, labels: Sequence[str], train: pd.DataFrame
) -> np.ndarray:
    """Whether each label can be a row's: (N, K).

    True and False follow from question and answer alone, where train has them.
    """
    right = right_answers(train)
    known = set(zip(train.QuestionId, train.MC_Answer))
    is_true = np.array([label.startswith("True") for label in labels])
    keys = list(zip(rows.QuestionId, rows.MC_Answer))
    return np.array(
        [
            is_true == (key in right)
            if key in known
            else np.ones(len(labels), bool)
            for key in keys
        ]
    )


def best_labels(
    scores: np.ndarray, labels: Sequence[str], allowed: np.ndarray | None = None
) -> list[list[str]]:
    """The three labels of the highest scores, the best first; not what is not allowed."""
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :N_TOLD]
    return [
        [labels[k] for k in row if np.isfinite(scores[i, k])]
        for i, row in enumerate(order)
    ]


def frequent(
    train: pd.DataFrame, by_answer: bool = False
) -> Callable[[pd.DataFrame], list]:
    """The three most frequent labels: of all, or of rows with the same answer."""
    overall = train.label.value_counts().index[:N_TOLD].tolist()
    of_answer = {}
    if by_answer:
        for key, rows in train.groupby(["QuestionId", "MC_Answer"]):
            of_answer[key] = rows.label.value_counts().index[:N_TOLD].tolist()
    return lambda rows: [
        of_answer.get(key, overall)
        for key in zip(rows.QuestionId, rows.MC_Answer)
    ]


def parts(rows: pd.DataFrame) -> list[list[str]]:
    """What a judge reads: question, answer, explanation."""
    columns = ["QuestionText", "MC_Answer", "StudentExplanation"]
    return [
        [f"Question: {q}\n", f"Answer: {a}\n", f"Why: {why}"]
        for q, a, why in rows[columns].itertuples(index=False)
    ]


def bag_judge(train: pd.DataFrame, labels: Sequence[str]) -> Judge:
    """Words and pairs of words of the whole text, weighed."""
    model = make_pipeline(
        TfidfVectorizer(
            ngram_range=(1, 2), token_pattern=r"\S+", sublinear_tf=True
        ),
        LogisticRegression(C=30, max_iter=1000),
    )
    model.fit(["".join(p) for p in parts(train)], train.label)
    place = [list(labels).index(label) for label in model.classes_]

    def judge(rows: pd.DataFrame) -> np.ndarray:
        told = np.zeros((len(rows), len(labels)))
        told[:, place] = model.predict_proba(["".join(p) for p in parts(rows)])
        return told

    return judge


def gpt_judge(
    train: pd.DataFrame,
    labels: Sequence[str],
    gpt: GPTModel,
    tokenizer: BPETokenizer,
    seed: int,
    epochs: int = 6,
    precision: str = "float32",
) -> Judge:
    """The finetuned GPT as a judge of all labels."""
    numbers = [list(labels).index(label) for label in train.label]
    model = TextJudge(
        gpt, tokenizer, parts(train), numbers, len(labels), seed, epochs
    )
    return lambda rows: model(parts(rows))


def split_rows(
    rows: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """80 of 100 rows to learn from, 20 to measure."""
    mixed = rows.sample(frac=1, random_state=seed)
    n_held = len(rows) // 5
    if n_held < 1:
        raise ValueError(
            f"{len(rows)} rows are too few to hold one of five out"
        )
    return mixed.iloc[n_held:], mixed.iloc[:n_held]


def compete(
    folder: str | Path,
    out: str | Path,
    make_judge: Callable[[pd.DataFrame, list[str]], Judge],
    seed: int = 1,
    n_rows: int | None = None,
) -> dict[str, float]:
    """Learn from train.csv, write a submission for test.csv, check it.

    Returns MAP@3 on rows held out, and that of two trivial judges.
    """
    folder = Path(folder)
    train = read_rows(folder / "train.csv", labelled=True)
    test = read_rows(folder / "test.csv", labelled=False)
    if n_rows is not None and n_rows < len(train):
        train = train.sample(n_rows, random_state=seed)
    learn, held_out = split_rows(train, seed)
    labels = sorted(set(learn.label))
    judge = make_judge(learn, labels)

    def told(rows: pd.DataFrame) -> list[list[str]]:
        return best_labels(judge(rows), labels, possible(rows, labels, learn))

    write_submission(test.row_id, told(test), out)
    return {
        "rows": check_submission(out, test),
        "MAP@3": map_at_3(told(held_out), held_out.label),
        "MAP@3 of the three most frequent": map_at_3(
            frequent(learn)(held_out), held_out.label
        ),
        "MAP@3 of the most frequent by answer": map_at_3(
            frequent(learn, by_answer=True)(held_out), held_out.label
        ),
    }
