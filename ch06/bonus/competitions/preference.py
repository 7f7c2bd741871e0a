"""LLM Classification Finetuning: which of two responses do people prefer?

The files: train.csv with id, model_a, model_b, prompt, response_a, response_b
and three columns of 0 and 1; test.csv with id, prompt and the responses. Prompt
and responses are JSON lists of texts, one for each turn of a conversation.
The submission gives each id three probabilities; the measure is the log loss.

Dimension key: N rows, K = 3 classes.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn.feature_extraction.text import CountVectorizer
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

CLASSES = ("winner_model_a", "winner_model_b", "winner_tie")
TEXTS = ("prompt", "response_a", "response_b")
TEST_COLUMNS = ("id", *TEXTS)
TRAIN_COLUMNS = ("id", "model_a", "model_b", *TEXTS, *CLASSES)
SUBMISSION = ("id", *CLASSES)
SMALLEST = 1e-15  # log_loss takes no probability for smaller

Judge = Callable[[pd.DataFrame], np.ndarray]


# ---- The files.


def turns(cell: str) -> list[str]:
    """The texts of a cell: a JSON list; a turn without an answer is null."""
    told = json.loads(cell)
    if not isinstance(told, list) or not told:
        raise ValueError("no list of texts")
    if not all(turn is None or isinstance(turn, str) for turn in told):
        raise ValueError("a turn that is no text")
    # Half of a character of UTF-16 stands alone where a text was cut: no UTF-8 can hold it.
    pieces = [(turn or "").encode("utf-16", "surrogatepass") for turn in told]
    return [piece.decode("utf-16", "replace") for piece in pieces]


def read_rows(path: str | Path, labelled: bool) -> pd.DataFrame:
    """The rows of train.csv or test.csv, texts joined over their turns.

    With labels there is a column label: the number of the class.
    Raises: ValueError that names the row and the column of the first fault.
    """
    table = read_table(path, TRAIN_COLUMNS if labelled else TEST_COLUMNS, "id")
    for column in TEXTS:
        joined = []
        for name, cell in zip(table.id, table[column]):
            try:
                joined.append("\n".join(turns(cell)))
            except ValueError as error:
                what = f"{column} must be a JSON list of texts: {error}"
                raise ValueError(f"{path}, id {name}: {what}") from None
        table[column] = joined
    if labelled:
        marks = table[list(CLASSES)]
        one = marks.isin(["0", "1"]).all(axis=1) & (marks == "1").sum(
            axis=1
        ).eq(1)
        if not one.all():
            wrong = table.id[~one].iloc[0]
            what = f"one of {', '.join(CLASSES)} must be 1, the others 0"
            raise ValueError(f"{path}, id {wrong}: {what}")
        table["label"] = (marks == "1").to_numpy().argmax(axis=1)
    return table


def write_submission(
    ids: pd.Series, told: np.ndarray, path: str | Path
) -> None:
    """Write id and three probabilities a row."""
    table = pd.DataFrame(told, columns=list(CLASSES))
    table.insert(0, "id", list(ids))
    write_table(table, path)


def check_submission(path: str | Path, test: pd.DataFrame) -> int:
    """The number of rows, or a ValueError with the first fault.

    A row must sum to 1 in six decimals, as the public graders demand.
    """
    table = read_table(path, SUBMISSION[:1], "id")
    check_rows(path, table, SUBMISSION, test.id)
    for name, *cells in table.itertuples(index=False):
        try:
            told = [float(cell) for cell in cells]
        except ValueError:
            told = []
        if not told or not all(0 <= p <= 1 for p in told):
            what = f"{', '.join(cells)} are not three probabilities"
            raise ValueError(f"{path}, id {name}: {what}")
        if round(sum(told), 6) != 1:
            raise ValueError(
                f"{path}, id {name}: they sum to {sum(told):.6f}, not 1"
            )
    return len(table)


# ---- Stand-ins: questions and responses written by us, judged by a formula.

QUESTIONS = (  # prompt, right answer, reason, wrong answer
    ("How long should an egg boil to be hard?", "Ten minutes are enough.",
     "The yolk sets only when its middle has become hot.", "Two minutes are enough."),
    ("Which is heavier, a litre of oil or of water?", "The litre of water is heavier.",
     "Oil floats on water because it is less dense.", "The litre of oil is heavier."),
    ("Why does a ship of iron float?", "It pushes away as much water as it weighs.",
     "Its hull is mostly air, so it is light for its size.", "Iron is lighter than water."),
    ("How do I keep basil fresh?", "Stand it in a glass of water at room temperature.",
     "Cold air turns its leaves black.", "Put it into the freezer door."),
    ("When is a leap year?", "Every fourth year, with a few exceptions.",
     "A turn around the sun takes about a quarter of a day more than 365 days.",
     "Every tenth year."),
    ("What is 15 percent of 60?", "It is 9.",
     "Ten percent are 6, and half of that is 3.", "It is 12."),
    ("How do I get wax out of a tablecloth?", "Iron it between two sheets of paper.",
     "The warm wax melts, and the paper drinks it.", "Wash it in cold water."),
    ("Why is the sky dark at night?", "The sun lights the other side of the earth.",
     "Our side turns away from it once a day.", "The moon hides the sun."),
    ("May I water plants at noon?", "It is better to water them in the morning.",
     "At noon much of the water is gone before the roots have it.",
     "Noon is the best time of all."),
    ("How do I sort a list in Python?", "Call sorted with the list.",
     "It returns a new list and leaves yours as it is.", "Call reverse with the list."),
)  # fmt: skip
OPENINGS = ("", "", "Sure.", "Good question.", "Let me see.")
CLOSINGS = ("", "", "I hope this helps.", "Ask again if you like.")
REFUSAL = "I am sorry, but I cannot help with that."
MODELS = ("heron", "lynx", "otter", "wren")
TIES = 0.8  # how readily the judge of the stand-ins calls a tie


def make_response(
    question: tuple[str, ...], draw: np.random.Generator
) -> tuple[str, float]:
    """A response, and what it is worth to the judge of the stand-ins."""
    _, right, reason, wrong = question
    if draw.random() < 0.12:
        return REFUSAL, -1.5
    is_right, is_reasoned = draw.random() < 0.6, draw.random() < 0.5
    parts = [draw.choice(OPENINGS), right if is_right else wrong]
    parts += [reason] * is_reasoned + [draw.choice(CLOSINGS)]
    worth = (1.5 if is_right else -1.0) + 0.8 * is_reasoned
    return " ".join(part for part in parts if part), worth


def judged(worth_a: float, worth_b: float) -> np.ndarray:
    """The probabilities that a wins, b wins, nobody wins.

    Source: Davidson 1970, "On extending the Bradley-Terry model to accommodate
    ties in paired comparison experiments".
    """
    scores = np.exp([worth_a, worth_b, (worth_a + worth_b) / 2])
    scores[2] *= TIES
    return scores / scores.sum()


def make_rows(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """n rows as in train.csv, and the probabilities (N, K) they were drawn from."""
    draw, rows, true = np.random.default_rng(seed), [], []
    for i in range(n):
        question = QUESTIONS[draw.integers(len(QUESTIONS))]
        responses, worths = zip(*(make_response(question, draw) for _ in "ab"))
        true.append(judged(*worths))
        winner = draw.choice(3, p=true[-1])
        texts = [json.dumps([text]) for text in (question[0], *responses)]
        models = draw.choice(MODELS, 2, replace=False)
        rows.append(
            [
                str(1000 * seed + i),
                *models,
                *texts,
                *np.eye(3, dtype=int)[winner],
            ]
        )
    return pd.DataFrame(rows, columns=list(TRAIN_COLUMNS)), np.array(true)


def write_stand_ins(folder: str | Path, seed: int = 1, n: int = 600) -> None:
    """Write train.csv, test.csv and sample_submission.csv with rows of our own."""
    folder = Path(folder)
    train, _ = make_rows(n, 2 * seed)
    test, _ = make_rows(n // 3, 2 * seed + 1)
    write_table(train, folder / "train.csv")
    write_table(test[list(TEST_COLUMNS)], folder / "test.csv")
    even = np.full((len(test), len(CLASSES)), 1 / len(CLASSES))
    write_submission(test.id, even, folder / "sample_submission.csv")


# ---- The measure.


def log_loss(told: np.ndarray, labels: np.ndarray) -> float:
    """The mean of -log of the probability that was given to what happened.

    Shapes: told (N, K), labels (N,).
    """
    given = told[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(given, SMALLEST, 1)).mean())


def overconfidence(told: np.ndarray, labels: np.ndarray) -> float:
    """The mean probability of the likeliest class, less how often it is right."""
    return float(
        told.max(axis=1).mean() - (told.argmax(axis=1) == labels).mean()
    )


# ---- Two orders of the same responses.


def swapped(rows: pd.DataFrame) -> pd.DataFrame:
    """The same comparisons, with the responses in the other order."""
    names = {"response_a": "response_b", "response_b": "response_a"}
    turned = rows.rename(columns=names)
    if "label" in rows:
        turned["label"] = rows.label.map({0: 1, 1: 0, 2: 2})
    return turned


def both_orders(judge: Judge, rows: pd.DataFrame) -> np.ndarray:
    """What a judge says, averaged over the two orders of the responses."""
    return (judge(rows) + judge(swapped(rows))[:, [1, 0, 2]]) / 2


def order_gap(judge: Judge, rows: pd.DataFrame) -> float:
    """How far a probability moves, in the mean, when the responses change places."""
    return float(
        np.abs(judge(rows) - judge(swapped(rows))[:, [1, 0, 2]]).mean()
    )


# ---- Calibration.


def cooled(told: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities to the power of 1 / temperature, summing to 1 again."""
    logs = np.log(np.clip(told, SMALLEST, 1)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(told: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least log loss on rows not trained on.

    Source: Guo et al. 2017 (arXiv:1706.04599).
    """
    found = minimize_scalar(
        lambda log_t: log_loss(cooled(told, np.exp(log_t)), labels),
        bounds=(-3, 3),
    )
    return float(np.exp(found.x))


# ---- Judges.


def marked_words(row: tuple[str, str]) -> list[str]:
    """The words of two responses, each with the letter of its response."""
    words = CountVectorizer().build_analyzer()
    return [
        f"{letter}:{word}"
        for letter, text in zip("ab", row)
        for word in words(text)
    ]


def bag_judge(rows: pd.DataFrame) -> Judge:
    """A bag of words that tells a's words from b's."""
    vectors = CountVectorizer(analyzer=marked_words)
    model = make_pipeline(vectors, LogisticRegression(max_iter=2000))
    pairs = ["response_a", "response_b"]
    model.fit(rows[pairs].to_numpy().tolist(), rows.label)

    def judge(asked: pd.DataFrame) -> np.ndarray:
        told = np.zeros((len(asked), len(CLASSES)))
        told[:, model.classes_] = model.predict_proba(
            asked[pairs].to_numpy().tolist()
        )
        return told

    return judge


def length_judge(rows: pd.DataFrame) -> Judge:
    """A judge that sees nothing but how much longer a is than b."""

    def difference(asked: pd.DataFrame) -> np.ndarray:
        n_a, n_b = asked.response_a.str.len(), asked.response_b.str.len()
        return (np.log1p(n_a) - np.log1p(n_b)).to_numpy()[:, None]

    model = LogisticRegression().fit(difference(rows), rows.label)

    def judge(asked: pd.DataFrame) -> np.ndarray:
        told = np.zeros((len(asked), len(CLASSES)))
        told[:, model.classes_] = model.predict_proba(difference(asked))
        return told

    return judge


def parts(rows: pd.DataFrame) -> list[list[str]]:
    """What the GPT reads: the question, one response, the other."""
    return [
        [f"Question: {q}\n", f"A: {a}\n", f"B: {b}"]
        for q, a, b in rows[list(TEXTS)].itertuples(index=False)
    ]


def gpt_judge(
    rows: pd.DataFrame,
    gpt: GPTModel,
    tokenizer: BPETokenizer,
    seed: int,
    epochs: int = 4,
    precision: str = "float32",
) -> Judge:
    """The finetuned GPT as a judge of three classes."""
    told = parts(rows), rows.label.tolist(), len(CLASSES)
    model = TextJudge(gpt, tokenizer, *told, seed, epochs, precision=precision)
    return lambda asked: model(parts(asked))


def split_rows(rows: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, ...]:
    """70 of 100 rows to learn from, 15 to set the temperature, 15 to measure."""
    mixed = rows.sample(frac=1, random_state=seed)
    n, n_set = len(rows), len(rows) * 15 // 100
    if n_set < 1:
        raise ValueError(
            f"{n} rows are too few to hold 15 of 100 out: give at least 7"
        )
    return (
        mixed.iloc[: n - 2 * n_set],
        mixed.iloc[n - 2 * n_set : n - n_set],
        mixed.iloc[n - n_set :],
    )


def compete(
    folder: str | Path,
    out: str | Path,
    make_judge: Callable[[pd.DataFrame], Judge],
    seed: int = 1,
    n_rows: int | None = None,
) -> dict[str, float]:
    """Learn from train.csv, write a submission for test.csv, check it.

    Both orders of the responses are learned and asked, and a temperature is
    set. Returns the log loss on rows held out, and that of the shares alone.
    """
    folder = Path(folder)
    train = read_rows(folder / "train.csv", labelled=True)
    test = read_rows(folder / "test.csv", labelled=False)
    if n_rows is not None and n_rows < len(train):
        train = train.sample(n_rows, random_state=seed)
    learn, fit, held_out = split_rows(train, seed)
    judge = make_judge(pd.concat([learn, swapped(learn)]))
    ask = partial(both_orders, judge)
    temperature = fit_temperature(ask(fit), fit.label.to_numpy())
    shares = learn.label.value_counts(normalize=True).reindex(
        range(3), fill_value=0
    )
    labels = held_out.label.to_numpy()
    write_submission(test.id, cooled(ask(test), temperature), out)
    return {
        "rows": check_submission(out, test),
        "temperature": temperature,
        "log loss": log_loss(cooled(ask(held_out), temperature), labels),
        "log loss of the shares": log_loss(
            np.tile(shares, (len(labels), 1)), labels
        ),
    }
