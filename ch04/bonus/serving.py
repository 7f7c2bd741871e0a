"""Write with a GPT and tell of each token how likely it was, as serving.ipynb grows it.

    probabilities_of = partial(next_token_probabilities, temperature=0.8)
    drawn = stream_scored(model, idx, 40, probabilities_of, end_id)
    for piece in pieces_of(tokenizer.decode, drawn, end_id):
        print(piece.text, piece.probability)

Dimension key: B batch, T tokens, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from ch04.kv_cache import evaluating, make_cache, read
from course.chat_server import Piece


@dataclass(frozen=True)
class Drawn:
    """A token that was drawn, its own probability, and the likeliest tokens."""

    id: int
    probability: float
    likeliest: tuple[tuple[int, float], ...]


@torch.no_grad()
def stream_scored(
    model: nn.Module,
    idx: Tensor,
    n_tokens: int,
    probabilities_of: Callable[[Tensor], Tensor],
    stop_id: int | None = None,
    generator: torch.Generator | None = None,
    n_likeliest: int = 5,
) -> Iterator[Drawn]:
    """Draw up to n_tokens tokens, stop_id the last, and hand over each at once.

    probabilities_of says what a token is drawn from; the probability that is
    told is the model's own. The draw is made on the CPU.
    Shapes: idx (1, T); probabilities_of (1, V) -> (1, V).
    """
    cache = make_cache(model, 1, idx.shape[1] + n_tokens)
    for _ in range(n_tokens):
        with evaluating(model):  # no dropout while writing
            logits, cache = read(model, cache, idx)  # (1, V)
        drawn = torch.multinomial(
            probabilities_of(logits).cpu(), 1, generator=generator
        )
        idx = drawn.to(idx.device)  # (1, 1)
        own = logits[0].float().softmax(dim=-1).cpu()
        top = own.topk(n_likeliest)
        likeliest = tuple(zip(top.indices.tolist(), top.values.tolist()))
        yield Drawn(drawn.item(), own[drawn].item(), likeliest)
        if drawn.item() == stop_id:
            break


def pieces_of(
    decode: Callable[[list[int]], str],
    drawn: Iterable[Drawn],
    end_id: int | None = None,
) -> Iterator[Piece]:
    """Tokens as text, whole characters only: their bytes may span several.

    The probability of a piece is the product of its tokens' probabilities.
    """
    waiting = []

    def piece() -> Piece:
        return Piece(
            decode([token.id for token in waiting]),
            prod(token.probability for token in waiting),
            len(waiting),
            tuple((decode([i]), p) for i, p in waiting[0].likeliest),
        )

    for token in drawn:
        if token.id == end_id:
            if waiting:
                yield piece()
            yield Piece("", token.probability, ends=True)
            return
        waiting.append(token)
        # No character is half there.
        if not decode([t.id for t in waiting]).endswith(
            "\N{REPLACEMENT CHARACTER}"
        ):
            yield piece()
            waiting.clear()
    if waiting:
        yield piece()
