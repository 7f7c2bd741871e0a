"""Talk in the terminal with a model that was finetuned on instructions: python -m ch07.chat

With --model smollm2 it is a model that others have finetuned, and that writes longer answers;
with --model course, the course's own before its finetuning. With --web, the talk is a page in the
browser, and OpenAI's clients can ask as well.

It remembers the turns that fit into its context. /reset forgets them, /quit or the end of the
input ends the talk. Ctrl+C stops an answer; where a question is awaited, it ends the talk.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

import torch

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.gpt_generate import stream_text, stream_tokens
from ch05.gpt_weights import load_pretrained
from ch05.llama_tokenizer import chat_ids
from ch07.gpt_instruction_finetuning import crop_history
from course.language import say, translate_help
from course.terminal import replace_unprintable

END_OF_MESSAGE = "<|im_end|>"  # of a model that was taught roles


def crop_messages(
    entry: dict, tokenizer: BPETokenizer, n_tokens: int
) -> list[int]:
    """The ids of a conversation that fits n_tokens, in roles: its oldest turns go first.

    An entry may name a system message, which stays.
    Raises: ValueError if the last turn alone is longer.
    """
    turns = [*entry["history"], entry]
    system = []
    if "system" in entry:
        system = [{"role": "system", "content": entry["system"]}]
    for start in range(len(turns)):
        messages = system + [
            {"role": role, "content": turn[name]}
            for turn in turns[start:]
            for role, name in (("user", "instruction"), ("assistant", "output"))
            if name in turn
        ]
        ids = chat_ids(tokenizer, messages)
        if len(ids) <= n_tokens:
            return ids
    raise ValueError(
        f"the question has {len(ids)} tokens, and only {n_tokens} fit"
    )


def stream_reply(
    model: GPTModel,
    tokenizer: BPETokenizer,
    history: Sequence[dict],
    text: str,
    max_new_tokens: int = 32,
    in_roles: bool = False,
    one_line: bool = False,
) -> Iterator[str]:
    """The answer that reply gives, piece by piece as the model writes it.

    With in_roles, the model was not finetuned by this course and knows who speaks by marks.
    With one_line, the answer ends before its first line break.
    Raises: ValueError if the question leaves no room for an answer in the context.
    """
    entry = {"instruction": text, "input": "", "history": list(history)}
    crop = crop_messages if in_roles else crop_history
    prompt = crop(
        entry, tokenizer, model.config.context_length - max_new_tokens
    )
    idx = torch.tensor([prompt], device=next(model.parameters()).device)
    end_id = tokenizer.special_tokens[
        END_OF_MESSAGE if in_roles else END_OF_TEXT
    ]
    steps = stream_tokens(
        model, idx, max_new_tokens, temperature=0, stop_id=end_id
    )
    ids = takewhile(lambda i: i != end_id, map(int, steps))
    waiting = ""  # white space, which belongs to the answer only if more comes after it
    started = False
    for piece in stream_text(tokenizer.decode, ids):
        piece = waiting + piece if started else piece.lstrip()
        line_break = ""
        if one_line:
            piece, line_break, _ = piece.partition("\n")
        waiting = piece[len(piece.rstrip()) :]
        if piece := piece.rstrip():
            started = True
            yield piece
        if line_break:
            return


def load(args: argparse.Namespace) -> tuple[GPTModel, BPETokenizer]:
    """The model that is named, on its device.

    Raises: FileNotFoundError if there is none in the folder.
    """
    by_name = args.model in ("course", "smollm2")
    if not by_name and not Path(args.model, "config.json").exists():
        raise FileNotFoundError(
            say(
                "there is no model in {folder}: python -m ch07.gpt_instruction_finetuning "
                "--out {folder} makes one in a few minutes",
                folder=args.model,
            )
        )
    device = choose_device(args.device)
    model, tokenizer = load_pretrained(args.model)
    return model.to(device), tokenizer


def show_page(args: argparse.Namespace) -> None:
    """Answer in the browser, until Ctrl+C."""
    # A talk in the terminal needs no web server.
    from ch07.chat_page import make_speaker
    from course.chat_server import ChatServer
    from course.web import serve

    model, tokenizer = load(args)
    speaker = make_speaker(model, tokenizer, args.model, **answers_of(args))
    serve(ChatServer(speaker).routes(), args.host, args.port)


def answers_of(args: argparse.Namespace) -> dict:
    """How the model that is named answers: in what form, and how long."""
    if args.model == "smollm2":
        return {"max_new_tokens": 512, "in_roles": True}
    # Before its finetuning the course's model goes on with a question of its own.
    return {"one_line": True} if args.model == "course" else {}


def talk(args: argparse.Namespace) -> None:
    """Read a line, answer it, until there is no more."""
    model, tokenizer = load(args)
    answer_to = partial(stream_reply, **answers_of(args))
    print(
        say(
            "Ask something, for example: What is the plural of goose? "
            "(/reset forgets, /quit ends)"
        )
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
            print(say("(forgotten)"))
        elif text.startswith("/"):
            print(say("(there are two commands: /reset and /quit)"))
        elif text:
            answer = ""
            try:
                for piece in answer_to(model, tokenizer, history, text):
                    print(piece, end="", flush=True)
                    answer += piece
            except ValueError as error:
                print(f"({error})")
                continue
            except KeyboardInterrupt:
                print("\n" + say("(stopped)"))
                continue
            print("" if answer else say("(no answer)"))
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
        help="a model folder, or course, smollm2 [%(default)s]",
    )
    add("--device", help="cpu, cuda or mps [the best one here]")
    add("--web", action="store_true", help="talk in the browser")
    add(
        "--host",
        default="127.0.0.1",
        help="with --web: the address to listen on; another than this one "
        "needs the token that is printed [%(default)s]",
    )
    add("--port", type=int, default=8765, help="with --web [%(default)s]")
    args = translate_help(parser).parse_args(arguments)
    try:
        show_page(args) if args.web else talk(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"chat: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(f"\nchat: {say('stopped')}") from None


if __name__ == "__main__":
    main()
