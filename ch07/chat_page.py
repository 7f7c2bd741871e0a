"""A finetuned model as a speaker: for the page of python -m ch07.chat --web, and for /v1.

Dimension key: V vocabulary.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.bonus.serving import pieces_of, stream_scored
from ch04.gpt import GPTModel
from ch05.gpt_generate import next_token_probabilities
from ch07.chat import END_OF_MESSAGE, crop_messages
from ch07.gpt_instruction_finetuning import crop_history
from course.chat_server import DoesNotFit, Piece, Settings, Speaker, cut_at

EXAMPLES = (
    "What is the plural of goose?",
    "What is the capital of Sweden?",
    "Say this backwards: cup, hat, kite",
)
EXAMPLES_IN_ROLES = (
    "What is the capital of France?",
    "Write two sentences about a lighthouse.",
    "How much is 17 + 25?",
)


def read_dialogue(messages: Sequence[dict], in_roles: bool) -> dict:
    """A conversation as one entry: the last question, and its history of turns.

    Raises: ValueError if question and answer do not take turns, or a system
    message stands where the model knows none.
    """
    system = [m["content"] for m in messages if m["role"] == "system"]
    spoken = [m for m in messages if m["role"] != "system"]
    if system and not in_roles:
        what = "this model was taught no system messages: leave it out"
        raise ValueError(what)
    if len(system) > 1 or (system and messages[0]["role"] != "system"):
        raise ValueError("only the first message can be the system's")
    expected = [("user", "assistant")[i % 2] for i in range(len(spoken))]
    if [m["role"] for m in spoken] != expected or len(spoken) % 2 == 0:
        raise ValueError("user and assistant have to take turns, user last")
    history = [
        {
            "instruction": asked["content"],
            "input": "",
            "output": answered["content"],
        }
        for asked, answered in zip(spoken[::2], spoken[1::2])
    ]
    entry = {"instruction": spoken[-1]["content"], "input": ""}
    return (
        entry | {"history": history} | ({"system": system[0]} if system else {})
    )


def trimmed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces without the white space around the whole text.

    White space counts only if more comes after it.
    """
    waiting, started = "", False
    for piece in pieces:
        if piece.ends:
            yield piece
            continue
        text = waiting + piece.text if started else piece.text.lstrip()
        waiting = text[len(text.rstrip()) :]
        if text := text.rstrip():
            started = True
        yield replace(piece, text=text)


def make_speaker(
    model: GPTModel,
    tokenizer: BPETokenizer,
    name: str,
    max_new_tokens: int = 32,
    in_roles: bool = False,
    one_line: bool = False,
) -> Speaker:
    """A model with its way to put a conversation into tokens.

    Its answers have at most max_new_tokens unless a request says otherwise.
    With in_roles, it knows who speaks by marks; with one_line, an answer ends
    before its first line break.
    """
    context_length = model.config.context_length
    end_id = tokenizer.special_tokens[
        END_OF_MESSAGE if in_roles else END_OF_TEXT
    ]
    crop = crop_messages if in_roles else crop_history

    def speak(
        messages: Sequence[dict], settings: Settings
    ) -> tuple[int, Iterator[Piece]]:
        n_new = settings.max_tokens or max_new_tokens
        if n_new >= context_length:
            what = f"is more than the context of {context_length} tokens holds"
            raise DoesNotFit(f"max_tokens={n_new} {what}")
        entry = read_dialogue(messages, in_roles)
        try:
            prompt = crop(entry, tokenizer, context_length - n_new)
        except ValueError as error:
            raise DoesNotFit(str(error)) from None
        seed = settings.seed
        drawn = stream_scored(
            model,
            torch.tensor([prompt], device=next(model.parameters()).device),
            n_new,
            partial(
                next_token_probabilities,
                temperature=settings.temperature,
                top_p=settings.top_p,
            ),
            end_id,
            torch.Generator().manual_seed(
                secrets.randbits(63) if seed is None else seed
            ),
        )
        pieces = trimmed(pieces_of(tokenizer.decode, drawn, end_id))
        return len(prompt), cut_at(pieces, ["\n"]) if one_line else pieces

    return Speaker(
        name,
        speak,
        f"{sum(p.numel() for p in model.parameters()):,} parameters, "
        f"reads {context_length:,} tokens, answers with up to {max_new_tokens}",
        EXAMPLES_IN_ROLES if in_roles else EXAMPLES,
    )
