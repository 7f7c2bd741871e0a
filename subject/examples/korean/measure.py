"""Measure Korean without a judge: python -m subject.examples.korean.measure --model FOLDER

Written text is looked at for particles that fit, sentences that end, words that the training text
has, sentences that it has not, and loops. Beside the model stand what is trivial (pairs of tokens,
drawn by their counts) and the corpus itself, from a seed that nobody trained on.

Particles are asked for, too: of two sentences that differ in one particle, which one is likelier?
So each noun is measured with each pair, also the nouns that no training text has with a particle.
"""

import argparse
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from scipy.stats import binomtest

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.multiple_choice import Item, scores
from course.commands import check_least, one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.examples.korean.corpus import write_documents
from subject.examples.korean.particles import FORMS, MEASURED, PAIRS, with_particle
from subject.examples.korean.world import (
    FREE_NOUNS,
    GOOD,
    HELD_OUT_NOUNS,
    PERSON,
    SHOP,
)

TRAIN_SEED, TRAIN_WORDS = 1, 3_000_000  # what the kept model has read
OTHER_SEED = 2  # of text that it has not read
WORD = re.compile(r"[가-힣]+")
SENTENCE = re.compile(r"[^.?!\n]+[.?!]")
ENDING = re.compile(r"(?:다|요|까|오|자|네|지)[.?!]$")
# Nouns of one syllable look like the beginnings of other words (새로, 자는): they do not count.
NOUNS = {
    noun
    for noun in [*FREE_NOUNS, *GOOD, *HELD_OUT_NOUNS, *PERSON, *(s.split()[-1] for s in SHOP)]
    if len(noun) > 1
}
# One sentence for each pair. The nouns are bare in it, or in the last place before the verb.
FRAMES = {
    "은": "그런데 | 어디에 있어요?",
    "이": "저기 | 있어요.",
    "을": "지우는 | 보았어요.",
    "과": "상자 안에는 | 열쇠가 있었어요.",
    "으로": "민서는 | 재미있는 놀이를 했어요.",
}
SIZE = 120  # tokens of a text that is written


class Found(NamedTuple):
    """A noun with a particle in a text."""

    noun: str
    form: str

    @property
    def right(self) -> bool:
        return with_particle(self.noun, FORMS[self.form]) == self.noun + self.form


# ---- What a text shows.


def find_particles(text: str, nouns: Iterable[str] = frozenset(NOUNS)) -> Iterator[Found]:
    """Each word that is a listed noun and one of the ten forms: 사과를, and 사과을, which is wrong.

    A word that is a noun as a whole (종이) is none of another noun with a particle.
    """
    nouns = set(nouns)
    for word in WORD.findall(text):
        if word in nouns:
            continue
        for length in (2, 1):  # 으로 before 로
            noun, form = word[:-length], word[-length:]
            if form in FORMS and noun in nouns:
                yield Found(noun, form)
                break


def sentences(text: str) -> list[str]:
    """The sentences of a text that have come to their end."""
    return [found.strip() for found in SENTENCE.findall(text)]


def loops(text: str) -> bool:
    """Whether a text says four words in a row three times or more."""
    words = text.split()
    counts = Counter(zip(words, words[1:], words[2:], words[3:]))
    return max(counts.values(), default=0) >= 3


def look_at(texts: Sequence[str], known: set[str], known_words: set[str]) -> dict:
    """Counts, each as [so many, of so many]; known is what the training text has."""
    of_texts = [sentences(text) for text in texts]
    said = [sentence for some in of_texts for sentence in some]
    words = [word for sentence in said for word in WORD.findall(sentence)]
    found = [f for text in texts for f in find_particles(text)]
    ends = [bool(ENDING.search(sentence)) for sentence in said]
    return {
        "particles right": [sum(f.right for f in found), len(found)],
        "sentences with an ending": [sum(ends), len(ends)],
        "words of the training text": [sum(w in known_words for w in words), len(words)],
        "sentences not in the training text": [sum(s not in known for s in said), len(said)],
        "texts without a loop": [sum(not loops(t) for t in texts), len(texts)],
        "half characters": sum(t.count("\N{REPLACEMENT CHARACTER}") for t in texts),
    }


def always_the_frequent_form(texts: Iterable[str]) -> dict[str, list[int]]:
    """How often each pair's more frequent form would be right, if one always took that one."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for text in texts:
        for found in find_particles(text):
            if found.right:
                counts[FORMS[found.form]][found.form] += 1
    return {
        pair: [max(of_pair.values()), sum(of_pair.values())] for pair, of_pair in counts.items()
    }


# ---- Texts to look at.


def write_texts(
    model: GPTModel, tokenizer: BPETokenizer, n: int, temperature: float = 0.8, seed: int = 0
) -> list[str]:
    """n texts that the model begins itself, behind <|endoftext|>."""
    end, texts = tokenizer.special_tokens[END_OF_TEXT], []
    draw = torch.Generator().manual_seed(seed)
    while len(texts) < n:
        idx = torch.full((min(32, n - len(texts)), 1), end)
        written = generate(model, idx, SIZE, temperature, None, None, end, draw)
        for ids in written.tolist():
            ids = ids[1:]
            whole = ids[: ids.index(end)] if end in ids else ids
            # A text that is cut may end in the middle of a syllable.
            texts.append(tokenizer.decode(whole).rstrip("\N{REPLACEMENT CHARACTER}"))
    return texts


def write_pairs(tokenizer: BPETokenizer, corpus: Iterable[str], n: int, seed: int = 0) -> list[str]:
    """n texts that follow the counts of pairs of tokens: what is trivial."""
    end, V = tokenizer.special_tokens[END_OF_TEXT], tokenizer.vocab_size
    counts = torch.zeros(V, V)
    for text in corpus:
        ids = torch.tensor([end, *tokenizer.encode_ordinary(text), end])
        counts.index_put_((ids[:-1], ids[1:]), torch.ones(len(ids) - 1), accumulate=True)
    draw, texts = torch.Generator().manual_seed(seed), []
    for _ in range(n):
        ids = [end]
        while len(ids) <= SIZE and (len(ids) == 1 or ids[-1] != end):
            ids.append(torch.multinomial(counts[ids[-1]], 1, generator=draw).item())
        written = tokenizer.decode([i for i in ids if i != end])
        texts.append(written.rstrip("\N{REPLACEMENT CHARACTER}"))
    return texts


def training_text(seed: int = TRAIN_SEED, words: int = TRAIN_WORDS) -> list[str]:
    """The documents that the kept model has read; the generator writes them again."""
    return [text for _, text in write_documents(seed, words)]


# ---- Particles that are asked for.


def particle_items(nouns: Iterable[str], pair: str) -> list[Item]:
    """For each noun two sentences to choose from; the right one has the pair's form that fits."""
    before, _, after = FRAMES[pair].partition(" | ")
    items = []
    for noun in nouns:
        choices = tuple(f" {noun}{form} {after}" for form in PAIRS[pair])
        right = f" {with_particle(noun, pair)} {after}"
        items.append(Item(before, choices, choices.index(right)))
    return items


def choose_particles(
    model: GPTModel, tokenizer: BPETokenizer, nouns: Sequence[str]
) -> dict[str, list[int]]:
    """How often the likelier sentence is the right one, for each pair and for all."""
    found = {}
    for pair in MEASURED:
        items = particle_items(nouns, pair)
        logs = scores(model, tokenizer, items)
        right = [of.index(max(of)) == item.gold for of, item in zip(logs, items)]
        found[pair] = [sum(right), len(right)]
    return found | {"all": [sum(pair[i] for pair in found.values()) for i in (0, 1)]}


def choose_the_frequent_form(nouns: Sequence[str]) -> dict[str, list[int]]:
    """How often the form that most of these nouns take is right."""
    found = {}
    for pair in MEASURED:
        golds = Counter(item.gold for item in particle_items(nouns, pair))
        found[pair] = [max(golds.values()), len(nouns)]
    return found | {"all": [sum(pair[i] for pair in found.values()) for i in (0, 1)]}


def interval(right: int, n: int) -> str:
    """A share with its 95% interval (Wilson), in per cent."""
    if not n:
        return "none"
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    # The bounds are rounded outward, so that 100% stands only where nothing was wrong.
    return (
        f"{right / n:.1%} ({math.floor(1000 * low) / 10:.1f} to {math.ceil(1000 * high) / 10:.1f})"
    )


def read_record(name: str) -> dict:
    """What a command has measured of this example. Raises: FileNotFoundError if it has not."""
    path = Path(__file__).parent / "recorded" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def keep(name: str, found: dict, folder: Path | None = None) -> Path:
    """Write a record of this example, whole or not at all."""
    path = (folder or Path(__file__).parent / "recorded") / f"{name}.json"
    with written_whole(path) as draft:
        draft.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def measure(model_folder: str, n: int, seed: int = 0) -> dict:
    """All that this module measures, of a pretrained model and of what is trivial."""
    model, tokenizer = load_pretrained(model_folder)
    torch.manual_seed(seed)
    untrained = GPTModel(model.config).eval()
    corpus = training_text()
    known = {sentence for text in corpus for sentence in sentences(text)}
    known_words = {word for text in corpus for word in WORD.findall(text)}
    new = [text for _, text in write_documents(OTHER_SEED, 60 * n)][:n]
    texts = {
        "untrained model": write_texts(untrained, tokenizer, n, seed=seed),
        "pairs of tokens": write_pairs(tokenizer, corpus[:20_000], n, seed),
        "model": write_texts(model, tokenizer, n, seed=seed),
        "model, temperature 1": write_texts(model, tokenizer, n, 1.0, seed),
        "corpus, another seed": new,
    }
    seen, held = sorted({*FREE_NOUNS, *GOOD})[::2], sorted(HELD_OUT_NOUNS)
    chosen = {}
    for name, nouns in (("nouns of the training", seen), ("nouns held out", held)):
        chosen[name] = {
            "more frequent form": choose_the_frequent_form(nouns),
            "untrained model": choose_particles(untrained, tokenizer, nouns),
            "model": choose_particles(model, tokenizer, nouns),
        }
    return {
        "texts": n,
        "training sentences": len(known),
        "written": {name: look_at(some, known, known_words) for name, some in texts.items()},
        "wrong particles": sorted(
            {f.noun + f.form for t in texts["model"] for f in find_particles(t) if not f.right}
        ),
        "always the more frequent form": always_the_frequent_form(corpus[:20_000]),
        "chosen": chosen,
        "samples": texts["model"][:6],
    }


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.examples.korean.measure",
        description="Measure the Korean of a pretrained model, and keep it.",
    )
    parser.add_argument("--model", required=True, help="a model folder")
    parser.add_argument("--texts", type=int, default=200, help="to write [%(default)s]")
    parser.add_argument("--out", type=Path, help="the folder of the record [the example's own]")
    args = parser.parse_args()
    with one_sentence("measure"):
        check_least(args, texts=1)
        found = measure(args.model, args.texts)
        path = keep("writing", found, args.out)
    for name, row in found["written"].items():
        print(name)
        for what, count in row.items():
            print(f"  {what:36}{count if isinstance(count, int) else interval(*count)}")
    for nouns, rows in found["chosen"].items():
        for name, row in rows.items():
            print(f"{nouns}, {name}: {interval(*row['all'])}")
    print(f"{path} has it all")


if __name__ == "__main__":
    main()
