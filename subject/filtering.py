"""Let a model write entries about documents, and keep those that pass three filters.

    python -m subject.filtering PROJECT --documents 24

By rule: the question asks, the answer is new, short, and its words stand in the document. By
agreement: asked once more, with the document's sentences turned round, the model says the same. By
near duplicates: no question that was asked before. Why each one was left out is kept with it in
recorded/generated.json; what is kept is for a reader to look at before anything learns from it.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd
from tqdm.auto import tqdm

from ch07.bonus.data import (
    Ask,
    Refused,
    ask_ollama,
    ask_smollm2,
    find_question,
    words_of,
)
from course.commands import check_least, one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.held_out import make_split
from subject.look import near_pairs
from subject.settings import Project, open_project

LONGEST = 600  # characters of a document that a model is shown
FEW_WORDS = 24  # an answer has at most so many
STANDS = 0.7  # share of an answer's longer words that must stand in its document
SAME = 0.5  # share of words that two answers have in common if they agree


def shown(document: str) -> str:
    """The beginning of a document, up to the end of a sentence."""
    if len(document) <= LONGEST:
        return document
    begun = document[:LONGEST]
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)", begun)]
    return begun[: ends[-1]] if ends else begun


def turned(document: str) -> str:
    """The same sentences, from the last to the first: another prompt of the same content."""
    sentences = [s for s in re.split(r"(?<=[.!?])\s+", document.strip()) if s]
    return " ".join(reversed(sentences))


def shared(a: str, b: str) -> float:
    """The share of words that two texts have in common (Jaccard)."""
    first, second = set(words_of(a)), set(words_of(b))
    return len(first & second) / max(1, len(first | second))


def check_rule(entry: dict, document: str) -> None:
    """Let an entry pass that has the form of one and stands on its document.

    Raises: Refused with the fault.
    """
    asked, answered = words_of(entry["instruction"]), words_of(entry["output"])
    if len(asked) < 3:
        raise Refused("the question is too short")
    if not answered or len(answered) > FEW_WORDS:
        raise Refused("the answer is empty or long")
    if not set(answered) - set(asked):
        raise Refused("the answer only repeats the question")
    long_words = [word for word in answered if len(word) > 3 or not word.isascii()]
    known = set(words_of(document)) | set(asked)
    if sum(word in known for word in long_words) < STANDS * len(long_words):
        raise Refused("the answer does not stand in the document")


def write_entry(ask: Ask, document: str) -> dict:
    """A question about a document with its answer, and its fault or none."""
    text, entry = shown(document), {"instruction": "", "input": "", "output": ""}
    try:
        said = ask(f"{text}\n\nWrite one short question that this text answers.")
        entry["instruction"] = find_question(said)
        entry["output"] = ask(f"{text}\n\n{entry['instruction']} Answer in one sentence.").strip()
        check_rule(entry, document)
        again = ask(f"{turned(text)}\n\n{entry['instruction']} Answer in one sentence.").strip()
        if shared(entry["output"], again) < SAME:
            raise Refused("asked again, it says something else")
    except Refused as fault:
        return entry | {"fault": str(fault).rstrip(".").lower()}
    return entry | {"fault": ""}


def without_repeats(entries: Sequence[dict]) -> list[dict]:
    """The entries, with a fault for each good one whose question was asked by one before it."""
    questions = [entry["instruction"] for entry in entries]
    seen, found = set(), []
    repeats = {b for a, b, _ in near_pairs(questions) if not entries[a]["fault"]}
    for i, entry in enumerate(entries):
        key = frozenset(words_of(entry["instruction"]))
        if not entry["fault"] and (i in repeats or key in seen):
            entry = entry | {"fault": "it was asked before"}
        if not entry["fault"]:
            seen.add(key)
        found.append(entry)
    return found


def generate(ask: Ask, documents: Sequence[str]) -> list[dict]:
    """An entry about each document, with its fault or none."""
    entries = [
        write_entry(ask, d) | {"document": shown(d)} for d in tqdm(documents, desc="writing")
    ]
    return without_repeats(entries)


def tabulate(entries: Sequence[dict]) -> pd.DataFrame:
    """How many entries each filter left out, and how many are kept."""
    counts = Counter(entry["fault"] or "kept" for entry in entries)
    return pd.DataFrame(counts.most_common(), columns=["what became of them", "entries"])


def record_path(project: Project):
    return project.recorded / "generated.json"


def read_generated(project: Project) -> list[dict]:
    """The entries that a model wrote about a project's documents, none if nothing is there."""
    path = record_path(project)
    if not path.exists():
        return []
    try:
        return json.loads(path.read_text(encoding="utf-8"))["entries"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, and write it again") from None


def run(project: Project, ask: Ask, about: str, n: int) -> list[dict]:
    """Let a model write about the first documents that may be learned from, and keep all of it."""
    entries = generate(ask, make_split(project).train[:n])
    with written_whole(record_path(project)) as draft:
        kept = {"written by": about, "entries": entries}
        text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
        draft.write_text(text, encoding="utf-8")
    return entries


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.filtering",
        description="Let a model write entries about a project's documents, and filter them.",
    )
    add = parser.add_argument
    add("project", help="the folder of a project, or the name of an example")
    add("--documents", type=int, default=24, help="to write about [%(default)s]")
    add("--ollama", metavar="MODEL", help="a model of an Ollama server, in place of SmolLM2")
    add("--url", default="http://localhost:11434", help="the server [%(default)s]")
    args = parser.parse_args(arguments)
    with one_sentence("subject.filtering"):
        check_least(args, documents=1)
        project = open_project(args.project)
        make_split(project)  # what is wrong with the texts is said before a model is loaded
        ask = ask_ollama(args.url, args.ollama) if args.ollama else ask_smollm2()
        about = args.ollama or "SmolLM2-135M-Instruct"
        entries = run(project, ask, about, args.documents)
        print(tabulate(entries).to_string(index=False))


if __name__ == "__main__":
    main()
