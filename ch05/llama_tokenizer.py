"""The tokenizer of today's models: chapter 2's, kept as tokens and merges.

Others keep it in the metadata of a GGUF file or in Hugging Face's
tokenizer.json. A model that was taught to talk also has marks for who speaks.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

import regex

from ch02.tokenizer import BPETokenizer, merge_bytes, split_pieces
from course.files import written_whole

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in the vocabularies since GPT-2.

    Bytes that can be seen stand for themselves, the others for letters from
    U+0100 on: a space is Ġ.
    """
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in seen]
    letters = {chr(byte): byte for byte in seen}
    return letters | {chr(256 + i): byte for i, byte in enumerate(others)}


class MergeTokenizer(BPETokenizer):
    """Chapter 2's tokenizer, of tokens in order of their ids and merges.

    Special tokens may have any id, digits may stand alone, and a byte that the
    vocabulary lacks is left out, as Hugging Face does. Our merging takes the
    union with the lowest id. That is the merge that comes first in the list,
    if both have the same order; so this is checked.
    Raises: ValueError if a token is missing, there twice or out of order.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        special_ids: Collection[int],
        merges: Sequence[str],
        digits_alone: bool,
    ):
        letters, special_ids = byte_letters(), sorted(set(special_ids))
        try:
            ranks = {
                bytes(letters[letter] for letter in token): i
                for i, token in enumerate(tokens)
                if i not in special_ids
            }
            unions = [
                ranks[bytes(letters[letter] for letter in left + right)]
                for left, right in (merge.split(" ") for merge in merges)
            ]
        except KeyError as error:
            raise ValueError(f"the tokenizer lacks {error}") from None
        special_tokens = {tokens[i]: i for i in special_ids}
        longer = [i for token, i in ranks.items() if len(token) > 1]
        whole = len(ranks) + len(special_tokens) == len(tokens)
        if not whole or unions != longer:
            raise ValueError("tokens and merges do not have the same order")
        super().__init__(ranks, special_tokens)
        self.special_tokens, self.digits_alone = special_tokens, digits_alone
        self.tokens, self.merges = list(tokens), list(merges)
        self._bytes = {i: token for token, i in ranks.items()}
        self._bytes |= {i: t.encode() for t, i in special_tokens.items()}
        lacks = bytes(b for b in range(256) if bytes([b]) not in ranks)
        self._piece_ids = lru_cache(2**17)(
            lambda piece: merge_bytes(
                piece.encode().translate(None, lacks), ranks
            )
        )

    def __reduce__(self) -> tuple:
        special_ids = list(self.special_tokens.values())
        parts = self.tokens, special_ids, self.merges, self.digits_alone
        return MergeTokenizer, parts

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode text in which nothing is special."""
        parts = regex.split(r"(\p{N})", text) if self.digits_alone else [text]
        pieces = chain.from_iterable(map(split_pieces, parts))
        return list(chain.from_iterable(map(self._piece_ids, pieces)))

    def save(self, path: str | Path) -> None:
        """Write a tokenizer.json, whole or not at all."""
        sides = dict.fromkeys(
            ("single_word", "lstrip", "rstrip", "normalized"), False
        )
        steps = [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False},
        ]
        steps[1] |= {"trim_offsets": True, "use_regex": True}
        described = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": i, "content": token, "special": True} | sides
                for token, i in self.special_tokens.items()
            ],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": steps if self.digits_alone else steps[1:],
            },
            "post_processor": None,
            "decoder": steps[1],
            "model": {
                "type": "BPE",
                "vocab": {token: i for i, token in enumerate(self.tokens)},
                "merges": [merge.split(" ") for merge in self.merges],
            },
        }
        text = json.dumps(described, ensure_ascii=False, indent=1)
        with written_whole(path) as draft:
            draft.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "MergeTokenizer":
        """Read a tokenizer.json.

        Raises: ValueError if it is damaged or does something else than bytes,
        GPT-2's pieces and merges.
        """
        try:
            described = json.loads(Path(path).read_text(encoding="utf-8"))
            model, steps = described["model"], described["pre_tokenizer"]
            steps = steps.get("pretokenizers", [steps])
            kinds = [step["type"] for step in steps]
            plain = (
                model["type"] == "BPE"
                and not described.get("normalizer")
                and kinds in (["ByteLevel"], ["Digits", "ByteLevel"])
                and not steps[-1].get("add_prefix_space")
                and steps[-1].get("use_regex", True)
                and steps[0].get("individual_digits", True)
            )
            if not plain:
                what = f"{model['type']} after {', '.join(kinds)}"
                raise ValueError(f"{what} is not read here")
            special = {t["content"]: t["id"] for t in described["added_tokens"]}
            ids = model["vocab"] | special
            if sorted(ids.values()) != list(range(len(ids))):
                raise ValueError("an id is missing or there twice")
            merges = [
                merge if isinstance(merge, str) else " ".join(merge)
                for merge in model["merges"]
            ]
            tokens = sorted(ids, key=ids.get)
            return cls(tokens, special.values(), merges, len(kinds) == 2)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = (
                f"{error} is missing" if isinstance(error, KeyError) else error
            )
            raise ValueError(
                f"{path} is no tokenizer of ours: {what}"
            ) from None


def chat_ids(
    tokenizer: BPETokenizer, messages: Sequence[Mapping[str, str]]
) -> list[int]:
    """A conversation as SmolLM2 reads it, up to where its answer begins.

    Each message has a role (system, user or assistant) and a content, in which
    nothing is special: no text can pretend to be the end of a message.
    """
    if not messages or messages[0]["role"] != "system":
        messages = [{"role": "system", "content": SYSTEM}, *messages]
    start, end = (
        tokenizer.special_tokens[name]
        for name in ("<|im_start|>", "<|im_end|>")
    )
    encode, ids = tokenizer.encode_ordinary, []
    for message in messages:
        text = f"{message['role']}\n{message['content']}"
        ids += [start, *encode(text), end, *encode("\n")]
    return [*ids, start, *encode("assistant\n")]
