"""Talk in the terminal with a model that was finetuned on instructions: python -m ch07.chat

It remembers the turns that fit into its context. /reset forgets them, /quit or the end of the
input ends the talk. Ctrl+C stops an answer; where a question is awaited, it ends the talk.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import torch

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.gpt_generate import stream_text, stream_tokens
from ch05.gpt_weights import load_pretrained
from ch07.gpt_instruction_finetuning import crop_history
from course.terminal import replace_unprintable


def stream_reply(
    model: GPTModel,
    tokenizer: BPETokenizer,
    history: Sequence[dict],
    text: str,
    max_new_tokens: int = 32,
) -> Iterator[str]:
    """The answer that reply gives, piece by piece as the model writes it.

    Raises: ValueError if the question leaves no room for an answer in the context.
    """
    entry = {"instruction": text, "input": "", "history": list(history)}
    prompt = crop_history(
        entry, tokenizer, model.config.context_length - max_new_tokens
    )
    idx = torch.tensor([prompt], device=next(model.parameters()).device)
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    steps = stream_tokens(
        model, idx, max_new_tokens, temperature=0, stop_id=end_id
    )
    ids = takewhile(lambda i: i != end_id, map(int, steps))
    waiting = ""  # white space, which belongs to the answer only if more comes after it
    started = False
    for piece in stream_text(tokenizer.decode, ids):
        piece = waiting + piece if started else piece.lstrip()
        waiting = piece[len(piece.rstrip()) :]
        if piece := piece.rstrip():
            started = True
            yield piece


def talk(args: argparse.Namespace) -> None:
    """Read a line, answer it, until there is no more."""
    if not Path(args.model, "config.json").exists():
        raise FileNotFoundError(
            f"there is no model in {args.model}: python -m ch07.gpt_instruction_finetuning "
            f"--out {args.model} makes one in a few minutes"
        )
    device = choose_device(args.device)
    model, tokenizer = load_pretrained(args.model)
    model.to(device)
    print(
        "Ask something, for example: What is the plural of goose? (/reset forgets, /quit ends)"
    )
    history = []
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if text == "/quit":
            return
        if text == "/reset":
            history.clear()
            print("(forgotten)")
        elif text.startswith("/"):
            print("(there are two commands: /reset and /quit)")
        elif text:
            answer = ""
            try:
                for piece in stream_reply(model, tokenizer, history, text):
                    print(piece, end="", flush=True)
                    answer += piece
            except ValueError as error:
                print(f"({error})")
                continue
            except KeyboardInterrupt:
                print("\n(stopped)")
                continue
            print("" if answer else "(no answer)")
            history.append({"instruction": text, "input": "", "output": answer})


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch07.chat", description="Talk with a finetuned model."
    )
    add = parser.add_argument
    add(
        "--model",
        default="runs/instructions",
        help="a model folder [%(default)s]",
    )
    add("--device", help="cpu, cuda or mps [the best one here]")
    try:
        talk(parser.parse_args(arguments))
    except (ValueError, OSError) as error:
        raise SystemExit(f"chat: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\nchat: stopped") from None


if __name__ == "__main__":
    main()
