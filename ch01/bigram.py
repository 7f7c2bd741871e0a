"""A language model that only counts: how likely is a token after the last?

Source: Shannon 1948, "A mathematical theory of communication", section 3.
Sharing out imagined tokens by their overall frequency is the smoothing of
MacKay and Peto 1995.
"""

import math
from collections import Counter
from collections.abc import Sequence
from random import Random


class Bigram:
    """Predict a token from the one before it, by how often the two met.

    A pair that was never counted is rare and not impossible: after every
    token, so many more tokens are imagined, in the shares that tokens have
    in the whole text.
    Raises: ValueError if there is no pair to count, an id is outside the
    vocabulary (also later), or imagined <= 0.
    """

    def __init__(
        self, ids: Sequence[int], vocab_size: int, imagined: float = 10.0
    ):
        if len(ids) < 2:
            raise ValueError(
                f"a text of {len(ids)} tokens has no pair: give at least 2"
            )
        if not imagined > 0:
            raise ValueError(
                f"imagined={imagined} must be above 0, or new pairs are "
                "impossible"
            )
        self.vocab_size, self.imagined = vocab_size, imagined
        self.check(ids)
        self.n_tokens, self.tokens = len(ids), Counter(ids)
        self.befores = Counter(ids[:-1])
        self.pairs = Counter(zip(ids, ids[1:]))

    def check(self, ids: Sequence[int]) -> None:
        """Refuse ids that are outside the vocabulary."""
        for i in (min(ids, default=0), max(ids, default=0)):
            if not 0 <= i < self.vocab_size:
                raise ValueError(
                    f"id {i} is outside vocab_size={self.vocab_size}"
                )

    def probability(self, before: int, token: int) -> float:
        """How likely the token is after the one before it."""
        # Each token of the vocabulary counts once more than it occurs, so
        # that one which the text lacks has a share too.
        share = (self.tokens[token] + 1) / (self.n_tokens + self.vocab_size)
        count = self.pairs[before, token] + self.imagined * share
        return count / (self.befores[before] + self.imagined)

    def sample(self, before: int, n_tokens: int, rng: Random) -> list[int]:
        """Draw n_tokens, each from the probabilities after the last."""
        self.check([before])
        ids = []
        for _ in range(n_tokens):
            weights = [
                self.probability(before, token)
                for token in range(self.vocab_size)
            ]
            before = rng.choices(range(self.vocab_size), weights)[0]
            ids.append(before)
        return ids

    def surprise(self, ids: Sequence[int]) -> list[float]:
        """How unexpected each token is but the first. Units: bits."""
        self.check(ids)
        return [
            -math.log2(self.probability(a, b)) for a, b in zip(ids, ids[1:])
        ]


def perplexity(surprise: Sequence[float]) -> float:
    """Among how many equally likely tokens a model seems to choose.

    Units: surprise in bits, one number for each token.
    Raises: ValueError if there is no token to be surprised by.
    """
    if len(surprise) == 0:
        raise ValueError(
            "there is no token to be surprised by: a perplexity needs at "
            "least one"
        )
    return 2 ** (sum(surprise) / len(surprise))
