"""Talk in the terminal with a model that was finetuned on instructions: python -m ch07.chat

It remembers the turns that fit into its context. /reset forgets them, /quit or the end of the
input ends the talk. Ctrl+C stops an answer; where a question is awaited, it ends the talk.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ch04.gpt import choose_device
from ch05.gpt_weights import load_pretrained
from ch07.gpt_instruction_finetuning import reply


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
    print("Ask something, for example: What is the plural of goose? (/reset forgets, /quit ends)")
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
            try:
                turn = reply(model, tokenizer, history, text)
            except ValueError as error:
                print(f"({error})")
                continue
            except KeyboardInterrupt:
                print("\n(stopped)")
                continue
            print(turn["output"] or "(no answer)")
            history.append(turn)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ch07.chat", description="Talk with a finetuned model."
    )
    add = parser.add_argument
    add("--model", default="runs/instructions", help="a model folder [%(default)s]")
    add("--device", help="cpu, cuda or mps [the best one here]")
    try:
        talk(parser.parse_args(arguments))
    except (ValueError, OSError) as error:
        raise SystemExit(f"chat: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\nchat: stopped") from None


if __name__ == "__main__":
    main()
