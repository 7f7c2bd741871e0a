"""The spam filter in the browser: a message's score after each token.

python -m ch06.gpt_class_finetune --web shows it.

Dimension key: N beginnings of a message, T tokens.
"""

from pathlib import Path

import anyio
import torch
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from torch.nn.utils.rnn import pad_sequence

from ch02.tokenizer import BPETokenizer
from ch04.kv_cache import evaluating
from ch06.gpt_class_finetune import END_MARK, LABELS, GPTClassifier, classify
from course.web import Refused, Turns, page_route, read_json

MOST_MESSAGES = 8  # that are compared at once


@torch.no_grad()
def scores_after_each(
    text: str, model: GPTClassifier, tokenizer: BPETokenizer
) -> list[tuple[str, float]]:
    """The probability of spam if the message ended here, after each token.

    A token that ends inside of a character is joined to the next one. The last
    score is that of classify.
    Raises: ValueError as classify.
    """
    classify(text, model, tokenizer)  # refuses what cannot be read
    ids = tokenizer.encode_ordinary(text.strip())
    (end_id,) = tokenizer.encode_ordinary(END_MARK)
    pieces, ends, begun = [], [], 0
    for n in range(1, len(ids) + 1):
        piece = tokenizer.decode(ids[begun:n])
        # No character is half there.
        if not piece.endswith("\N{REPLACEMENT CHARACTER}") or n == len(ids):
            pieces.append(piece)
            ends.append(n)
            begun = n
    device = next(model.parameters()).device
    scores = []
    with evaluating(model):
        for some in torch.tensor(ends).split(32):  # so many rows at a time
            rows = [torch.tensor([*ids[:n], end_id]) for n in some.tolist()]
            idx = pad_sequence(rows, batch_first=True, padding_value=end_id)
            logits = model(idx.to(device), some.to(device))  # (N, 2)
            spam = logits.float().softmax(dim=-1)[:, LABELS.index("spam")]
            scores += spam.tolist()
    return list(zip(pieces, scores))


def spam_routes(
    model: GPTClassifier, tokenizer: BPETokenizer, name: str
) -> list[Route]:
    """The page, and POST /api/scores {"messages": [TEXT, ...]} behind it."""
    turns = Turns()

    async def about(request: Request) -> Response:
        limit = model.gpt.config.context_length - 1
        return JSONResponse({"name": name, "most_tokens": limit})

    async def scores(request: Request) -> Response:
        texts = (await read_json(request)).get("messages")
        if not isinstance(texts, list) or not 1 <= len(texts) <= MOST_MESSAGES:
            what = f"messages has to be a list of 1 to {MOST_MESSAGES} texts"
            raise Refused(400, what, "messages")
        results = []
        for text in texts:
            async with turns.turn():
                try:
                    scored = await anyio.to_thread.run_sync(
                        scores_after_each, text, model, tokenizer
                    )
                except ValueError as error:
                    results.append({"error": str(error)})
                    continue
            label = LABELS[int(scored[-1][1] > 0.5)]
            results.append({"label": label, "tokens": scored})
        return JSONResponse({"results": results})

    return [
        page_route(Path(__file__).with_name("spam.html")),
        Route("/api/about", about),
        Route("/api/scores", scores, methods=["POST"]),
    ]
