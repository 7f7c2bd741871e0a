"""The corpus of ch06: its shares, that no split helps another, and that no word list solves it."""

import csv
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from course_files import ROOT

from ch06 import messages
from ch06.messages import HABITS, Message, fill, make_messages, read_templates

SPLITS = ("train", "validation", "test")
CORPUS = make_messages()
WORDS, TEMPLATES = read_templates()


def of(**wanted: str) -> list[Message]:
    """The messages whose fields have these values."""
    return [m for m in CORPUS if all(getattr(m, k) == v for k, v in wanted.items())]


# ---- Size, form and seed.


def test_one_message_in_seven_is_spam_in_every_split():
    assert len(CORPUS) == 5100
    for split in SPLITS:
        share = len(of(split=split, label="spam")) / len(of(split=split))
        assert share == pytest.approx(0.14, abs=1e-9)


@pytest.mark.parametrize(
    ("split", "label", "at_least"),
    [
        ("train", "ham", 60),
        ("train", "spam", 45),
        ("validation", "ham", 15),
        ("validation", "spam", 15),
        ("test", "ham", 25),
        ("test", "spam", 25),
    ],
)
def test_there_are_many_templates_and_each_gets_its_share(split, label, at_least):
    counts = Counter(m.template for m in of(split=split, label=label))
    assert len(counts) == len(TEMPLATES[split, label]) >= at_least
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_seed_repeats_the_corpus_and_another_does_not():
    assert make_messages() == CORPUS
    other = {m.text for m in make_messages(seed=1)}
    assert len(other & {m.text for m in CORPUS}) < len(CORPUS) / 3


def test_no_message_comes_twice():
    assert len({m.text.lower() for m in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("what a template leaves open", r"[][{}<>|#\n]"),
        ("a sign outside ASCII and £", r"[^ -~£]"),
        ("two spaces, or one too many", r"^ | $|  | [.,;?!]| :(?!\))"),
        ("signs that do not meet", r"[,;:][.,;:?!]|[?!][.,;:]|(?<!\.)\.\.(?!\.)|\.[,;?!]"),
        ("a before a vowel", r"\b[Aa] (?!(?i:or)\b)[AEIOUaeiou]\w"),
        ("an before a consonant", r"\b[Aa]n (?!hour|honest)[^\WAEIOUaeiou]"),
        ("a word twice", r"(?i)\b(?!night|ha)([a-z']+) \1\b"),
        ("a real top-level domain", r"(?i)\b\w+\.(com|org|net|co|uk|io|info)\b"),
        ("an if with nothing to follow", r"(?i)(?:^|[.!] )if [^,.!?]*\?"),
    ],
)
def test_no_message_has(fault, pattern):
    assert [m.text for m in CORPUS if re.search(pattern, m.text)] == []


def test_no_plural_lacks_its_e():
    """In what the templates give with any word: in the corpus a rare choice may be missing."""
    for (split, _), templates in TEMPLATES.items():
        for template in templates:
            for seed in range(60):
                text = fill(template.text, WORDS[split], random.Random(seed))
                assert not re.search(r"(?i)(x|ch|sh)s\b", text), text


def test_messages_have_4_to_60_words_and_use_the_range():
    for label in ("ham", "spam"):
        lengths = [len(m.text.split()) for m in of(label=label)]
        assert 4 <= min(lengths) <= 6 and 40 < max(lengths) <= 60


def test_every_choice_of_every_template_can_be_made():
    """Slots exist in their split's lists, and brackets close: checked without luck."""
    for (split, _), templates in TEMPLATES.items():
        names = [template.name for template in templates]
        assert len(set(names)) == len(names)
        for template in templates:
            kinds = {kind for _, kind in messages.SLOT.findall(template.text)}
            assert kinds <= WORDS[split].keys(), template.name
            for opening, closing in ("[]", "<>", "{}"):
                assert template.text.count(opening) == template.text.count(closing)


# ---- No split helps another.


def content(split: str) -> dict[str, list[str]]:
    """The split's own lists: names, shops, things, sums; not the days and hours all share."""
    return {kind: words for kind, words in WORDS[split].items() if kind not in WORDS["common"]}


@pytest.mark.parametrize("split", SPLITS)
def test_no_name_shop_thing_or_sum_stands_in_another_split(split):
    others = "\n".join(m.text.lower() for m in CORPUS if m.split != split)
    for words in content(split).values():
        for word in words:
            pattern = re.escape(word.lower()).replace(r"\#", "[1-9]")
            found = re.search(rf"(?<![\w.,£]){pattern}(?!\w|[.,]\d)", others)
            assert not found, (word, others[found.start() - 40 : found.end() + 40])


def shared(pattern: str) -> set[str]:
    """What matches the pattern in the messages of two splits or more."""
    found = {s: {f for m in of(split=s) for f in re.findall(pattern, m.text)} for s in SPLITS}
    counts = Counter(f for matches in found.values() for f in matches)
    return {f for f, n in counts.items() if n > 1}


@pytest.mark.parametrize(
    "pattern", [r"£[\d.,]*\d", r"[\w-]+\.example", r"0900 55 \d\d", r"\d{5,6}"]
)
def test_no_sum_address_or_number_is_shared(pattern):
    assert shared(pattern) == set()


def test_no_template_and_no_seven_words_in_a_row_are_shared():
    """Days, hours and small numbers, which all splits use, are taken out before counting."""
    days = "|".join(w.lower() for words in WORDS["common"].values() for w in words)
    places = defaultdict(set)
    for m in CORPUS:
        places[m.template].add(m.split)
        words = re.findall(r"[a-z']+|\d+", re.sub(rf"\b({days})\b", "", m.text.lower()))
        for i in range(len(words) - 6):
            places[" ".join(words[i : i + 7])].add(m.split)
    assert [name for name, splits in places.items() if len(splits) > 1] == []


# ---- Neither form nor words give the class away.


def test_both_classes_look_alike_from_afar():
    """Lengths within a factor of 1.4; digits, capitals, lower case, ! and ? within one of 2."""
    looks = {
        "digits": r"\d",
        "a word in capitals": r"\b[A-Z]{3,}",
        "no capital": r"^[^A-Z]*$",
        "!": "!",
        "?": r"\?",
    }
    ham, spam = ([m.text for m in of(label=label)] for label in ("ham", "spam"))
    lengths = [np.mean([len(text.split()) for text in texts]) for texts in (ham, spam)]
    assert max(lengths) < 1.4 * min(lengths)
    for name, pattern in looks.items():
        shares = [np.mean([bool(re.search(pattern, t)) for t in texts]) for texts in (ham, spam)]
        assert 0.05 < min(shares) and max(shares) < 2 * min(shares), name


def test_ham_uses_the_words_of_spam():
    words = (
        "free win won prize call offer urgent cash click bank code account congratulations sale "
        "reply text deadline card pay selected winner guaranteed example £"
    )
    ham = Counter(word for m in of(split="train", label="ham") for word in words_of(m.text))
    assert [word for word in words.split() if ham[word] < 5] == []


def test_some_spam_has_no_link_no_number_and_no_sum():
    for split in SPLITS:
        plain = [
            m for m in of(split=split, label="spam") if not re.search(r"£|\d|\.example", m.text)
        ]
        assert len(plain) >= 0.08 * len(of(split=split, label="spam"))


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z']+|£|\d|[^\w\s]", text.lower()))


def bags() -> tuple[list[str], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Which training words each message holds.

    Shapes: per split, bags (messages, words) of 0 and 1, and whether each message is spam.
    """
    counts = Counter(word for m in of(split="train") for word in words_of(m.text))
    vocab = sorted(word for word, n in counts.items() if n >= 3)
    bag = {
        s: np.array(
            [[w in words for w in vocab] for words in (words_of(m.text) for m in of(split=s))]
        )
        for s in SPLITS
    }
    return vocab, bag, {s: np.array([m.label == "spam" for m in of(split=s)]) for s in SPLITS}


def balanced_accuracy(is_spam: np.ndarray, said_spam: np.ndarray) -> float:
    return float((said_spam[is_spam].mean() + (~said_spam[~is_spam]).mean()) / 2)


def word_list(bag: dict, is_spam: dict) -> dict[str, np.ndarray]:
    """Count the 30 words most typical of spam; the best threshold on the training messages."""
    x, y = bag["train"], is_spam["train"]
    often = x.sum(0) >= 30  # a rare word is typical of its template only
    odds = np.log((x[y].sum(0) + 1) / (y.sum() + 2)) - np.log((x[~y].sum(0) + 1) / ((~y).sum() + 2))
    top = np.argsort(np.where(often, odds, -np.inf))[-30:]
    n = max(range(1, 10), key=lambda n: balanced_accuracy(y, x[:, top].sum(1) >= n))
    return {split: bag[split][:, top].sum(1) >= n for split in SPLITS}


def naive_bayes(bag: dict, is_spam: dict) -> dict[str, np.ndarray]:
    """Add up the log odds of every word that is there or not, with both classes equally likely."""
    x, y = bag["train"], is_spam["train"]
    spam, ham = ((x[which].sum(0) + 1) / (which.sum() + 2) for which in (y, ~y))
    there, missing = np.log(spam / ham), np.log((1 - spam) / (1 - ham))
    return {s: bag[s] @ there + ~bag[s] @ missing > 0 for s in SPLITS}


def logistic_regression(bag: dict, is_spam: dict) -> dict[str, np.ndarray]:
    """Full-batch gradient descent on the cross-entropy, both classes weighted equally."""
    x, y = bag["train"].astype(float), is_spam["train"]
    share = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    weights, bias = np.zeros(x.shape[1]), 0.0
    for _ in range(400):
        error = share * (1 / (1 + np.exp(-(x @ weights + bias))) - y)
        weights -= 2.0 * (x.T @ error + 1e-3 * weights)
        bias -= 2.0 * error.sum()
    return {s: bag[s] @ weights + bias > 0 for s in SPLITS}


@pytest.fixture(scope="module")
def bags_and_labels():
    return bags()[1:]


@pytest.mark.parametrize("baseline", [word_list, naive_bayes, logistic_regression])
def test_a_bag_of_words_learns_something_but_does_not_solve_it(baseline, bags_and_labels):
    bag, is_spam = bags_and_labels
    said = baseline(bag, is_spam)
    accuracy = {s: balanced_accuracy(is_spam[s], said[s]) for s in SPLITS}
    print(baseline.__name__, {s: round(a, 3) for s, a in accuracy.items()})
    assert 0.6 < accuracy["validation"] < 0.9 and 0.6 < accuracy["test"] < 0.9
    assert accuracy["train"] > accuracy["test"] + 0.05


# ---- The generator, and the command.


def test_fill_keeps_a_word_and_never_takes_it_for_a_second_slot():
    words = {"name": ("Ann", "Bo")}
    for seed in range(20):
        text = fill("<hi|yo>[, you] {name} and {name2}: {name}, no. #", words, random.Random(seed))
        assert re.fullmatch(r"(Hi|Yo)(, you)? (Ann and Bo: Ann|Bo and Ann: Bo), no\. [1-9]", text)


def test_habits_change_form_and_not_sense():
    text = "Are you coming tonight? Please bring your tent to brightdoor.example."
    for habit, *_ in HABITS:
        changed = habit(text, random.Random(0))
        assert changed != text and abs(len(changed) - len(text)) < 20
        assert "brightdoor.example" in changed.lower()


def test_the_command_writes_what_the_module_makes(tmp_path):
    out = tmp_path / "messages.csv"
    command = [sys.executable, "-m", "ch06.messages"]
    done = subprocess.run([*command, "--out", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "5,100 messages" in done.stdout and "14%" in done.stdout
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
