"""Write entries from a table of facts and wordings: facts.csv and templates.json.

facts.csv has a line for each fact: its kind, and what the columns name. templates.json has the
wordings of each kind, with columns in braces:

    {"maker": {"questions": ["Who made {clock}?"], "answer": "{value} made {clock}."}}

"facts" names the kind whose lines are asked if it is another one; "input" is a text that stands
below the question; with "shuffled": true the values of two lines change places in it, so that the
answer has to be read and cannot be known.

Facts are divided, not entries: a fact that is asked in the test is asked nowhere in the training.
Whoever knows it has it from the texts of the pretraining. A project without a table asks for words
that are missing in its sentences.
"""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from string import Formatter

from ch07.gpt_instruction_finetuning import check_entries
from ch07.instructions import SPLITS
from subject.settings import Project

SHARES = {"test": 0.25, "development": 0.05}  # of the facts of a kind; the rest is told
WORDINGS = 3  # of a fact that is told; one that is asked has one
FEWEST = 6  # facts of a kind


def read_utf8(path: Path) -> str:
    """The text of a file. Raises: FileNotFoundError, or ValueError that names the byte."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is not there: entries are made of facts.csv and templates.json, or "
            'settings.json names a file of entries as "instructions"'
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
        ) from None


def read_facts(path: str | Path) -> dict[str, list[dict]]:
    """The facts of a table by their kind; each remembers its line.

    Raises: ValueError that names the line and what is wrong with it.
    """
    path, facts = Path(path), defaultdict(list)
    rows = csv.reader(io.StringIO(read_utf8(path), newline=""))
    columns = [name.strip() for name in next(rows, [])]
    if columns[:1] != ["kind"] or len(columns) < 3 or len(set(columns)) < len(columns):
        raise ValueError(
            f"{path}, line 1: the columns are {', '.join(columns)}; the first one has to be kind, "
            "and two others have to follow, all different"
        )
    seen = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise ValueError(f"{where}: {len(row)} cells for {len(columns)} columns")
        fact = {name: cell.strip() for name, cell in zip(columns, row)}
        if not fact["kind"] or fact["kind"] == "all":
            raise ValueError(f"{where}: the kind is {fact['kind']!r}, and needs a name of its own")
        key = tuple(fact.values())
        if key in seen:
            raise ValueError(f"{where}: the same fact stands in line {seen[key]}")
        seen[key] = rows.line_num
        facts[fact["kind"]].append(fact | {"line": rows.line_num})
    if not facts:
        raise ValueError(f"{path} holds no fact")
    return dict(facts)


def slots_of(text: str) -> set[str]:
    """The columns that a wording needs. Raises: ValueError for a brace that is not closed."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def line_of(text: str, kind: str) -> int:
    """The line of a JSON file on which a key stands."""
    found = re.search(rf"{re.escape(json.dumps(kind, ensure_ascii=False))}\s*:", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def read_templates(path: str | Path, facts: dict[str, list[dict]]) -> dict[str, dict]:
    """The wordings of each kind.

    Raises: ValueError that names the line and what is wrong with it, in this file or in the table.
    """
    path = Path(path)
    text = read_utf8(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: this is no JSON ({error.msg})") from None
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path}, line 1: a kind with its wordings is needed")
    for kind, template in found.items():
        try:
            check_template(kind, template, facts)
        except ValueError as error:
            raise ValueError(f"{path}, line {line_of(text, kind)}: {error}") from None
        needed = set().union(*map(slots_of, texts_of(template)))
        for fact in facts[template.get("facts", kind)]:
            if empty := sorted(name for name in needed if not fact[name]):
                raise ValueError(
                    f"{path.with_name('facts.csv')}, line {fact['line']}: {empty[0]} is empty, "
                    f"and the kind {kind} needs it"
                )
    return found


def texts_of(template: dict) -> list[str]:
    return [*template["questions"], template["answer"], template.get("input", "")]


def check_template(kind: str, template: object, facts: dict[str, list[dict]]) -> None:
    """Let wordings pass that can be filled in. Raises: ValueError with what is wrong."""
    known = {"questions", "answer", "input", "facts", "shuffled"}
    if not isinstance(template, dict) or not {"questions", "answer"} <= template.keys() <= known:
        raise ValueError(f"{kind} needs questions and an answer, and may have input and facts")
    questions = template["questions"]
    if not isinstance(questions, list) or not questions:
        raise ValueError(f"the questions of {kind} are no list")
    if not all(isinstance(text, str) and text.strip() for text in texts_of(template)[:-1]):
        raise ValueError(f"a wording of {kind} is empty, or no text")
    if not isinstance(template.get("input", ""), str) or kind == "all":
        raise ValueError(f"the input of {kind} is no text" if kind != "all" else "all is no kind")
    asked = template.get("facts", kind)
    if asked not in facts:
        raise ValueError(f"facts.csv has no fact of the kind {asked}")
    if (n := len(facts[asked])) < FEWEST:
        raise ValueError(
            f"facts.csv has {n} facts of the kind {asked}: at least {FEWEST} are needed"
        )
    columns = facts[asked][0].keys() - {"line", "kind"}
    for text in texts_of(template):
        try:
            unknown = slots_of(text) - columns
        except ValueError as error:
            raise ValueError(f"{text!r:.60}: {error}") from None
        if unknown:
            raise ValueError(f"{{{min(unknown)}}} in {text!r:.60} is no column of facts.csv")


def divide(facts: Sequence[dict], rng: Random) -> dict[str, list[dict]]:
    """Facts for each split; none is in two. What has the same columns goes together."""
    drawn = rng.sample(facts, len(facts))
    n = {name: max(1, round(share * len(drawn))) for name, share in SHARES.items()}
    a, b = n["test"], n["test"] + n["development"]
    return {"test": drawn[:a], "development": drawn[a:b], "train": drawn[b:]}


def exchanged(facts: Sequence[dict], rng: Random) -> list[dict]:
    """The same facts, each with another's last column: nobody can know them."""
    column = [name for name in facts[0] if name not in ("kind", "line")][-1]
    values = [fact[column] for fact in facts]
    turn = rng.randrange(1, len(values)) if len(values) > 1 else 0
    return [f | {column: value} for f, value in zip(facts, values[turn:] + values[:turn])]


def write_entries(facts: dict, templates: dict, seed: int = 0) -> list[dict]:
    """Entries in Alpaca's form, with kind and split, in an order that the seed decides."""
    divided = {kind: divide(of_kind, Random(f"{seed} {kind}")) for kind, of_kind in facts.items()}
    entries, seen = [], set()
    for kind, template in templates.items():
        rng = Random(f"{seed} {kind} wordings")
        for split in SPLITS:
            some = divided[template.get("facts", kind)][split]
            if template.get("shuffled"):
                some = exchanged(some, rng)
            for fact in some:
                n = min(WORDINGS if split == "train" else 1, len(template["questions"]))
                for question in rng.sample(template["questions"], n):
                    entry = {
                        "instruction": question.format_map(fact),
                        "input": template.get("input", "").format_map(fact),
                        "output": template["answer"].format_map(fact),
                        "kind": kind,
                        "split": split,
                    }
                    key = (entry["instruction"], entry["input"])
                    if key not in seen:  # of two that ask the same, the first counts
                        seen.add(key)
                        entries.append(entry)
    order = Random(f"{seed} order")
    order.shuffle(entries)
    return check_entries(entries)


MISSING = {  # the kind, how it is asked, and the gap
    "en": ("missing word", "Which word is missing?", "___"),
    "ko": ("빠진 말", "빠진 말은 무엇입니까?", "___"),
}
N_SENTENCES = 400


def missing_words(texts: Sequence[str], language: str, seed: int = 0) -> list[dict]:
    """Entries that need no table: a word is missing in a sentence of the texts.

    It is a word that the texts have several times, in the middle of a sentence. Sentences are
    divided, so that those of the test are asked nowhere in the training.
    Raises: ValueError if there are too few.
    """
    kind, question, gap = MISSING[language]
    rng, sentences = Random(f"{seed} {kind}"), []
    for text in texts:
        sentences += re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    times = Counter(word for sentence in sentences for word in sentence.split())
    entries, seen = [], set()
    for sentence in rng.sample(known := list(dict.fromkeys(sentences)), len(known)):
        words = sentence.split()
        hidden = [
            i
            for i, word in enumerate(words)
            if 0 < i < len(words) - 1 and word.isalpha() and times[word] > 2 and len(word) > 1
        ]
        if hidden and 5 <= len(words) <= 20:
            i = rng.choice(hidden)
            shown = " ".join([*words[:i], gap, *words[i + 1 :]])
            if shown in seen:  # sentences that differ in this word alone
                continue
            seen.add(shown)
            entries.append({"instruction": question, "input": shown, "output": words[i]})
        if len(entries) == N_SENTENCES:
            break
    if len(entries) < FEWEST:
        raise ValueError(
            f"the texts have {len(entries)} sentences in which a word can be left out, and "
            f"{FEWEST} are needed: write facts.csv and templates.json"
        )
    divided = divide(entries, rng)
    return [e | {"kind": kind, "split": name} for name in SPLITS for e in divided[name]]


def make_entries(project: Project, texts: Sequence[str]) -> list[dict]:
    """The entries of a project's facts.csv and templates.json, or of its texts without them.

    Raises: as read_templates and missing_words.
    """
    if not (project.folder / "facts.csv").exists():
        return missing_words(texts, project.settings.language, project.settings.seed)
    facts = read_facts(project.folder / "facts.csv")
    templates = read_templates(project.folder / "templates.json", facts)
    return write_entries(facts, templates, project.settings.seed)


def asked_in_both(entries: Sequence[dict]) -> set[tuple[str, str]]:
    """Questions of the test that stand in the training as well: a leak."""
    keys = {
        name: {(e["instruction"], e.get("input", "")) for e in entries if e["split"] == name}
        for name in ("train", "test")
    }
    return keys["train"] & keys["test"]
