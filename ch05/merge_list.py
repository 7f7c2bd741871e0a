"""From a vocabulary of byte strings to tokens and merges, the form that other programs read."""

from ch02.tokenizer import BPETokenizer
from ch05.llama_tokenizer import MergeTokenizer, byte_letters


def last_union(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two parts that were merged last into a token.

    Raises: ValueError if no merges of lower rank lead to it.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        unions = [
            ranks.get(a + b, len(ranks)) for a, b in zip(parts, parts[1:])
        ]
        i = unions.index(min(unions))
        if unions[i] >= ranks[token]:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    if len(parts) > 2:
        raise ValueError(f"no merges lead to the token {token!r}")
    return parts


def as_merges(tokenizer: BPETokenizer) -> MergeTokenizer:
    """A tokenizer with the same ids, as a list of tokens and one of merges.

    Raises: ValueError if no merges lead to a token: text is then encoded as no
    other program would.
    """
    if isinstance(tokenizer, MergeTokenizer):
        return tokenizer
    letter = {byte: letter for letter, byte in byte_letters().items()}

    def spell(token: bytes) -> str:
        return "".join(letter[byte] for byte in token)

    in_order = sorted(tokenizer.ranks, key=tokenizer.ranks.get)
    merges = [
        " ".join(map(spell, last_union(token, tokenizer.ranks)))
        for token in in_order
        if len(token) > 1
    ]
    tokens = [*map(spell, in_order), *tokenizer.special_tokens]
    special_ids = tokenizer.special_tokens.values()
    return MergeTokenizer(tokens, special_ids, merges, digits_alone=False)
