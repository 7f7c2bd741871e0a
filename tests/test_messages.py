"""The corpus of ch06: its size and shares, that no message is like another, and what tells them."""

import csv
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from course_files import ROOT
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit

from ch05.course_model.tasks import read_texts
from ch06 import messages
from ch06.messages import CORPUS as FOLDER
from ch06.messages import LABELS, Message, make_messages, read_stories

SPLITS = ("train", "validation", "test")
CORPUS = make_messages()
TEXTS = [m.text for m in CORPUS]
# What was written for the pretraining: messages, and paragraphs of prose.
PRETRAINING = [
    line for kind in ("messages", "prose") for text in read_texts(kind) for line in text.split("\n")
]


def of(**wanted: str) -> list[Message]:
    """The messages whose fields have these values."""
    return [m for m in CORPUS if all(getattr(m, k) == v for k, v in wanted.items())]


# ---- Size, shares and seed.


def test_there_are_many_messages_and_about_one_in_six_is_spam_in_every_split():
    assert len(CORPUS) >= 3200
    for split in SPLITS:
        share = len(of(split=split, label="spam")) / len(of(split=split))
        assert share == pytest.approx(1 / 6, abs=0.02), split


@pytest.mark.parametrize("seed", [123, 0, 1])
def test_the_splits_have_70_10_and_20_percent_within_a_point(seed):
    counts = Counter(m.split for m in make_messages(seed))
    for split, share in zip(SPLITS, (0.7, 0.1, 0.2)):
        assert counts[split] / len(CORPUS) == pytest.approx(share, abs=0.01), split


@pytest.mark.parametrize("seed", [123, 0, 1])
def test_every_story_is_in_one_split_and_whole(seed):
    stories = defaultdict(list)
    for m in make_messages(seed):
        stories[m.story].append(m)
    assert all(len({m.split for m in story}) == 1 for story in stories.values())
    written = read_stories()
    assert sorted(stories) == [*range(len(written))]
    for number, story in stories.items():
        assert sorted((m.label, m.text) for m in story) == sorted(written[number])
    assert sum(len(story) > 1 for story in written) > 500


def test_a_seed_repeats_the_corpus_and_another_only_divides_it_otherwise():
    assert make_messages() == CORPUS
    other = make_messages(seed=1)
    assert other != CORPUS and sorted(m.text for m in other) == sorted(TEXTS)
    moved = {m.text: m.split for m in other}
    assert sum(moved[m.text] != m.split for m in CORPUS) > len(CORPUS) / 4


# ---- Their form.


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("a sign outside ASCII and £", r"[^ -~£]"),
        ("a label inside", r"\b(?:ham|spam) (?:ham|spam)\b"),
        ("two spaces, or one too many", r"^ | $|  | [.,;?!](?![\w.)])"),
        ("signs that do not meet", r"[,;:][.,;:?!]|[?!][.,;:]|(?<!\.)\.\.(?!\.)|\.[;?!]"),
        ("what a template leaves open", r"[][{}<>|\n]"),
        ("a web address that is not reserved for examples", r"(?i)\bwww\.|https?:"),
        (
            "a real top-level domain",
            r"(?i)\b[\w-]+\.(?:com|org|net|co|uk|io|info|biz|eu|de|fr|me|tv|gov|edu)\b",
        ),
    ],
)
def test_no_message_has(fault, pattern):
    assert [text for text in TEXTS if re.search(pattern, text)] == []


@pytest.mark.parametrize("texts", [TEXTS, PRETRAINING], ids=["chapter 6", "pretraining"])
def test_every_address_ends_in_example(texts):
    """Whatever is joined by a point, or stands behind an @."""
    joined = r"[\w.-]+@[\w.-]+|\b[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]+)+"
    found = [address for text in texts for address in re.findall(joined, text)]
    wrong = [address for address in found if not re.search(r"\.example\.?$", address)]
    assert len(found) > 50 and wrong == []


@pytest.mark.parametrize("texts", [TEXTS, PRETRAINING], ids=["chapter 6", "pretraining"])
def test_a_telephone_number_belongs_to_nobody(texts):
    """0xxx 555 xxx, or a short code; what else is so long is an account, with 55 in it."""
    phone, account = r"0\d{3} 555 \d{3}", r"(?=.*55)\d{4} ?\d{4}"
    runs = [r for text in texts for r in re.findall(r"(?<![\d.,£])\d(?:[ -]?\d){6,}", text)]
    assert sum(bool(re.fullmatch(phone, run)) for run in runs) >= 50
    assert [run for run in runs if not re.fullmatch(f"{phone}|{account}", run)] == []
    called = r"(?i)\b(?:call|ring|text|phone|dial)(?: us| me)?(?: on| to)? (\d[\d ]*\d)"
    called = [run for text in texts for run in re.findall(called, text)]
    assert [run for run in called if not re.fullmatch(rf"{phone}|\d{{3,5}}", run)] == []


def test_messages_have_3_to_70_words_and_use_the_range():
    for label in LABELS:
        lengths = [len(m.text.split()) for m in of(label=label)]
        assert min(lengths) >= 3 and 40 < max(lengths) <= 70


# ---- No two are alike, and none was read in the pretraining.


def sentences_of(texts: Iterable[str]) -> list[str]:
    """Sentences of nine words or more: those that are nobody's but their writer's."""
    found = [s for text in texts for s in re.split(r"(?<=[.!?])\s+", text)]
    return [s for s in found if len(s.split()) >= 9]


def find_names(texts: Iterable[str]) -> set[str]:
    """Words that are written with a capital, and never without one."""
    words = {word for text in texts for word in re.findall(r"[A-Za-z']+", text)}
    return {w for w in words if w[0].isupper() and len(w) > 1 and w.lower() not in words}


NAMES = find_names([*TEXTS, *PRETRAINING])


def trigrams(text: str) -> set[tuple[str, ...]]:
    """Three words in a row, with 0 for every number and N for every name."""
    words = re.findall(r"[A-Za-z']+|\d+|£", re.sub(r"\d[\d,.: ]*\d|\d", "0", text))
    words = ["N" if word in NAMES else word.lower() for word in words]
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}


def near_copies(texts: list[str], others: list[str] | None = None) -> list[tuple[str, str]]:
    """Pairs that share more than half of the trigrams of the longer one; a text and an earlier one
    if no others are given."""
    mine = [trigrams(text) for text in texts]
    theirs = mine if others is None else [trigrams(text) for text in others]
    holders = defaultdict(list)
    for j, found in enumerate(theirs):
        for trigram in found:
            holders[trigram].append(j)
    pairs = []
    for i, found in enumerate(mine):
        # Who shares more than half of them has one of the rarer half.
        rarer = sorted(found, key=lambda trigram: len(holders[trigram]))[: (len(found) + 1) // 2]
        for j in {j for trigram in rarer for j in holders[trigram]}:
            n = len(found & theirs[j])
            if (others is not None or j < i) and n > max(len(found), len(theirs[j])) / 2:
                pairs.append((texts[i], (others or texts)[j]))
    return pairs


def test_a_near_copy_is_found():
    """The check itself: other names and numbers, and a word more, do not hide a copy."""
    one = "Dear Agnes, your parcel 81 is at our shop in Hesk until Friday at five."
    two = "Dear Olaf, your parcel 77 is at our shop in Leeds until Sunday at five, thanks."
    other = "Dear Agnes, your shop in Hesk is open until five on Friday at our pleasure."
    assert near_copies([one], [two]) == [(one, two)] == near_copies([two, one])
    assert near_copies([one], [other]) == [] == near_copies([other, one])


def test_no_message_comes_twice_or_is_like_another():
    assert len({text.lower() for text in TEXTS}) == len(TEXTS)
    assert near_copies(TEXTS) == []


def test_no_message_stands_in_the_pretraining_texts():
    assert len(PRETRAINING) > 3000
    assert near_copies(TEXTS, PRETRAINING) == []


def test_no_sentence_of_a_message_stands_in_the_pretraining_texts():
    mine, theirs = sentences_of(TEXTS), sentences_of(PRETRAINING)
    assert min(len(mine), len(theirs)) > 2000
    assert near_copies(mine, theirs) == []


# ---- Neither form nor words give the class away.


def balanced_accuracy(is_spam: np.ndarray, said_spam: np.ndarray) -> float:
    return float((said_spam[is_spam].mean() + (~said_spam[~is_spam]).mean()) / 2)


def is_spam(split: str) -> np.ndarray:
    return np.array([m.label == "spam" for m in of(split=split)])


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_the_length_of_a_message_does_not_give_its_class_away(unit):
    """By the best length of the training messages from which on to say spam."""

    def lengths(split: str) -> np.ndarray:
        texts = [m.text for m in of(split=split)]
        return np.array([len(text.split()) if unit == "words" else len(text) for text in texts])

    train, truth = lengths("train"), is_spam("train")
    n = max(range(max(train)), key=lambda n: balanced_accuracy(truth, train >= n))
    accuracy = balanced_accuracy(is_spam("test"), lengths("test") >= n)
    assert accuracy < 0.7, f"{n} {unit} and more: {accuracy:.1%}"


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+|£|\d|[^\w\s]", text.lower()))


def test_ham_uses_the_words_of_spam():
    words = (
        "free win won prize call offer urgent cash click bank code account congratulations sale "
        "reply text card pay payment password transfer example £"
    )
    ham = Counter(word for m in of(label="ham") for word in words_of(m.text))
    assert [word for word in words.split() if ham[word] < 5] == []


def test_the_hard_cases_of_life_are_in_every_split():
    hard = {
        "a true code": r"\b(?:code|PIN)\b.*\b\d{3} ?\d|\b\d{3} ?\d+\b.*\bcode\b",
        "a true bill or fee": r"(?i)\b(?:bill|invoice|fee|overdue|owe|rent)\b",
        "a link": r"\.example",
        "a sum": r"£",
    }
    for name, pattern in hard.items():
        found = Counter(m.split for m in of(label="ham") if re.search(pattern, m.text))
        assert found.keys() == {*SPLITS} and found.total() >= 10, (name, found)
    for split in SPLITS:
        spam = [m.text for m in of(split=split, label="spam")]
        plain = [text for text in spam if not re.search(r"£|\d|\.example", text)]
        assert len(plain) >= 0.15 * len(spam), split


def bags(at_least: int = 2) -> dict[str, csr_matrix]:
    """Which training words each message of a split holds.

    Shapes: (messages, words) of 0 and 1 for each split.
    """
    counts = Counter(word for m in of(split="train") for word in words_of(m.text))
    column = {word: i for i, word in enumerate(sorted(w for w in counts if counts[w] >= at_least))}
    found = {}
    for split in SPLITS:
        ones = [
            (i, column[word])
            for i, m in enumerate(of(split=split))
            for word in words_of(m.text)
            if word in column
        ]
        shape = (len(of(split=split)), len(column))
        found[split] = csr_matrix((np.ones(len(ones)), np.array(ones).T), shape)
    return found


def logistic_regression(x: csr_matrix, is_spam: np.ndarray) -> np.ndarray:
    """Weights and, at the end, the bias that scikit-learn's LogisticRegression would give with
    class_weight="balanced": the sum of the losses and half the square of the weights."""
    share = np.where(is_spam, 0.5 / is_spam.sum(), 0.5 / (~is_spam).sum()) * len(is_spam)
    sign = np.where(is_spam, 1, -1)

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ p[:-1] + p[-1])
        slope = -sign * share * expit(-margin)
        value = (share * np.logaddexp(0, -margin)).sum() + p[:-1] @ p[:-1] / 2
        return value, np.append(x.T @ slope + p[:-1], slope.sum())

    return minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x


def test_a_bag_of_words_learns_much_but_does_not_solve_it():
    x = bags()
    weights = logistic_regression(x["train"], is_spam("train"))
    said = {split: x[split] @ weights[:-1] + weights[-1] > 0 for split in SPLITS}
    accuracy = {split: balanced_accuracy(is_spam(split), said[split]) for split in SPLITS}
    assert 0.85 < accuracy["test"] < 0.95, accuracy
    assert accuracy["train"] > accuracy["test"] + 0.02, accuracy


# ---- The files, and the command.


@pytest.mark.parametrize(
    "line", ["egg See you at six.", "See you at six.", "ham", "spam  ", "Ham a"]
)
def test_a_line_without_its_label_is_refused_by_name(line, tmp_path):
    (tmp_path / "a.txt").write_text("ham See you at six.\n\nspam You won.\n", encoding="utf-8")
    assert read_stories(tmp_path) == [[("ham", "See you at six.")], [("spam", "You won.")]]
    (tmp_path / "b.txt").write_text(f"ham Here\nham I am.\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^b\.txt, line 4: begin it with ham or spam: ") as said:
        read_stories(tmp_path)
    assert repr(line) in str(said.value) and "\n" not in str(said.value)


def test_the_files_are_stories_between_empty_lines():
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n") and "\n\n\n" not in text and not text.startswith("\n"), path.name


def test_the_command_writes_what_the_module_makes(tmp_path):
    out = tmp_path / "messages.csv"
    command = [sys.executable, "-m", "ch06.messages"]
    done = subprocess.run([*command, "--out", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(CORPUS):,} messages" in done.stdout
    for split in SPLITS:
        ham, spam = (len(of(split=split, label=label)) for label in LABELS)
        assert re.search(rf"{split} +{ham:,} ham +{spam:,} spam", done.stdout)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [(m.label, m.text, m.split) for m in CORPUS]
    assert list(rows[0]) == ["label", "text", "split"]
    assert [path.name for path in tmp_path.iterdir()] == ["messages.csv"]

    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--out" in done.stdout and "--seed" in done.stdout


def test_a_file_that_cannot_be_written_gives_one_sentence(tmp_path, monkeypatch):
    out = tmp_path / "taken"
    out.mkdir()
    monkeypatch.setattr(sys, "argv", ["messages", "--out", str(out)])
    with pytest.raises(SystemExit) as stopped:
        messages.main()
    assert str(stopped.value.code).startswith("messages: ") and "taken" in str(stopped.value.code)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
