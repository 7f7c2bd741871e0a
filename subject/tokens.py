"""A tokenizer of one's own against GPT-2's and the course's: what a text costs in tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ch02.tokenizer import BPETokenizer, gpt2_ranks
from ch05.bonus.real_llm import PARAGRAPHS
from ch05.gpt_weights import COURSE_FOLDER
from subject.once import made_once
from subject.settings import Project


def course_tokenizer() -> BPETokenizer:
    return BPETokenizer.load(COURSE_FOLDER / "vocabulary.tiktoken")


def tokenizer_folder(project: Project) -> Path:
    return project.runs / f"tokenizer-{project.settings.vocab_size}"


def own_tokenizer(project: Project, train: Sequence[str]) -> BPETokenizer:
    """The project's tokenizer, trained on what may be learned from, and kept in runs."""
    folder, name = tokenizer_folder(project), "vocabulary.tiktoken"
    if (folder / name).exists():
        return BPETokenizer.load(folder / name)
    tokenizer = BPETokenizer.train("\n".join(train), project.settings.vocab_size)
    with made_once(folder) as draft:
        tokenizer.save(draft / name)
    return tokenizer


def at_hand(own: BPETokenizer) -> dict[str, BPETokenizer]:
    """The tokenizers to compare, by name. GPT-2's is left out where set-up did not fetch it."""
    found = {"own": own, "course": course_tokenizer()}
    try:
        found["GPT-2"] = BPETokenizer(gpt2_ranks())
    except (FileNotFoundError, ValueError):
        pass
    return found


def cost(tokenizer: BPETokenizer, texts: Sequence[str]) -> dict[str, float]:
    """What texts cost. Units: tokens for a character and for a word, bytes of a token."""
    n_tokens = sum(len(tokenizer.encode_ordinary(text)) for text in texts)
    return {
        "vocabulary": tokenizer.vocab_size,
        "tokens": n_tokens,
        "tokens per character": n_tokens / sum(map(len, texts)),
        "tokens per word": n_tokens / sum(len(text.split()) for text in texts),
        "bytes per token": sum(len(text.encode()) for text in texts) / n_tokens,
    }


def compare(tokenizers: Mapping[str, BPETokenizer], held_out: Sequence[str]) -> pd.DataFrame:
    """What each tokenizer makes of the documents held out, which none was trained on."""
    rows = {name: cost(tokenizer, held_out) for name, tokenizer in tokenizers.items()}
    table = pd.DataFrame(rows).T
    return table.astype({"vocabulary": int, "tokens": int})


def compare_languages(tokenizers: Mapping[str, BPETokenizer]) -> pd.DataFrame:
    """Tokens per character of one paragraph in English and in Korean, of the same content."""
    rows = {
        name: {
            language: cost(tokenizer, [text])["tokens per character"]
            for language, text in PARAGRAPHS.items()
        }
        for name, tokenizer in tokenizers.items()
    }
    return pd.DataFrame(rows).T


def longest_tokens(tokenizer: BPETokenizer, n: int = 12) -> list[str]:
    """The longest tokens that are whole words: what the texts are about."""
    words = []
    for token in tokenizer.ranks:
        try:
            text = token.decode()
        except UnicodeDecodeError:
            continue
        if text.strip().isalpha():
            words.append(text)
    return sorted(words, key=lambda w: (-len(w), w))[:n]
