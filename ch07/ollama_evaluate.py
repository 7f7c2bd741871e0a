"""Let another model, served by Ollama, judge responses from 0 to 100.

    python -m ch07.ollama_evaluate --responses runs/instructions/responses.json

Source: the requests are those of Ollama's API, /api/tags and /api/chat.
"""

import argparse
import http.client
import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from tqdm.auto import tqdm

from ch07.gpt_instruction_finetuning import read_entries
from course.files import written_whole
from course.terminal import replace_unprintable

DEFAULT_URL = "localhost:11434"  # where `ollama serve` listens
DEFAULT_MODEL = "llama3.2"
# No answer, a late one, or half of one.
FAILURES = (OSError, http.client.HTTPException)
SILENCE = "no answer"  # so a reason begins if the server does not answer


class Unavailable(Exception):
    """There is no judge; the message says what to do."""


def full_address(url: str, path: str) -> str:
    """The address of a part of the server, read as Ollama reads OLLAMA_HOST.

    Scheme, host and port may be left out. Where a server listens to all
    (0.0.0.0), it is asked on this machine.
    Raises: ValueError if this is not an address on the web.
    """
    wrong = ValueError(
        f"{url!r} is not the address of a server, such as {DEFAULT_URL}"
    )
    scheme, has_scheme, rest = url.strip(" \t\r\n\"'").rpartition("://")
    where, _, folder = rest.partition("/")
    if where.count(":") > 1 and "[" not in where:
        where = f"[{where}]"  # an IPv6 address, and no port
    try:
        parts = urlsplit(f"{scheme or 'http'}://{where}/{folder}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not where:
        raise wrong
    host = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(
        host, host
    )
    if port is None and not has_scheme:
        port = 11434
    where = (f"[{host}]" if ":" in host else host) + (
        f":{port}" if port is not None else ""
    )
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}{path}"


def ask_server(
    url: str, path: str, question: dict | None, timeout: float
) -> dict:
    """Send a question as JSON, or nothing, and read the JSON that comes back.

    Raises: OSError or HTTPException if no answer comes, ValueError if it is
    not JSON.
    """
    data = None if question is None else json.dumps(question).encode()
    request = Request(
        full_address(url, path), data, {"Content-Type": "application/json"}
    )
    # A judge on this machine or in this house is asked without a proxy.
    with build_opener(ProxyHandler({})).open(
        request, timeout=timeout
    ) as answer:
        return json.load(answer)


def error_of_server(error: HTTPError) -> str:
    """The number of an error and the server's reason, in one line."""
    try:
        reason = json.loads(error.read(10_000))["error"]
    except (ValueError, KeyError, TypeError, *FAILURES):
        reason = error.reason
    reason = " ".join(str(reason).split())
    return f"the server answered with error {error.code} ({reason:.200})"


def check_judge(url: str, model: str, timeout: float = 5) -> None:
    """Return if the server answers and has the model.

    Raises: Unavailable with what to start or to fetch, ValueError as
    full_address.
    """
    url = full_address(url, "")
    try:
        tags = ask_server(url, "/api/tags", None, timeout)
        names = [entry["name"] for entry in tags["models"]]
    except HTTPError as error:
        raise Unavailable(
            f"what answers at {url} refuses: {error_of_server(error)}"
        ) from None
    except FAILURES:
        raise Unavailable(
            f"no Ollama server answers at {url}: start one with `ollama serve` "
            f"(and fetch a judge once with `ollama pull {model}`)"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Unavailable(
            f"what answers at {url} is not an Ollama server"
        ) from None
    if model not in names and f"{model}:latest" not in names:
        has = f"it has {', '.join(names)}" if names else "it has no model yet"
        raise Unavailable(
            f"{model} is not on the server at {url}: `ollama pull {model}` "
            f"({has})"
        )


def judge_prompt(entry: dict) -> str:
    """What the judge is asked about an entry and its response."""
    task = f"{entry['instruction']}\n{entry.get('input', '')}".strip()
    for turn in reversed(entry.get("history", [])):
        asked = f"{turn['instruction']} {turn.get('input', '')}"
        task = f"{asked}\n{turn['output']}\n{task}"
    return (
        f"A student was given this task:\n{task}\n\n"
        f"The right answer is:\n{entry['output']}\n\n"
        f"The student answered:\n{entry['response']}\n\n"
        "How good is the student's answer, from 0 (wrong) to 100 (as good as "
        "the right one)? "
        "Reply with one whole number and nothing else."
    )


def parse_score(text: str) -> int | None:
    """The score in a judge's reply: "85", "Score: 85/100."; None if in words.

    A sign, a dot or a relation in front (-5, .5, < 30) makes it another
    number, and no score.
    """
    # What it thought before; some judges begin to think without saying so.
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    text = text.rpartition("</think>")[2]
    # What may stand in front without changing the number:
    around = r"[\s*_#`\"'“‘(\[{]*"
    pattern = (
        rf"{around}(?:score[\s*_:=\"'`(\[]*)?(\d{{1,3}})(?:\s*/\s*100)?[\W_]*"
    )
    found = re.fullmatch(pattern, text, flags=re.IGNORECASE)
    return int(found[1]) if found and int(found[1]) <= 100 else None


def score_response(
    entry: dict,
    url: str,
    model: str,
    timeout: float = 60,
    tries: int = 3,
    wait: float = 1,
) -> tuple[int | None, str]:
    """Ask the judge about one response: its score, or None and the reason.

    It is asked again if need be, each time with another seed, so that a judge
    that has answered in words may answer differently.
    """
    if not entry["output"].strip():
        return (
            None,
            "its output is empty, so there is nothing to compare with",
        )
    reason = ""
    for i in range(tries):
        question = {
            "model": model,
            "messages": [{"role": "user", "content": judge_prompt(entry)}],
            "stream": False,
            "options": {
                "seed": 123 + i,
                "temperature": 0 if i == 0 else 0.5,
                "num_ctx": 2048,
            },
        }
        try:
            text = ask_server(url, "/api/chat", question, timeout)["message"][
                "content"
            ]
            score = parse_score(text)
        except HTTPError as error:
            reason = error_of_server(error)
        except FAILURES as error:
            reason = f"{SILENCE}: {error}"
        except (ValueError, KeyError, TypeError):
            reason = "the server's answer has another form"
        else:
            if score is not None:
                return score, ""
            reason = f"not a number: {' '.join(text.split())[:60]!r}"
            continue
        time.sleep(wait * (i + 1) if i + 1 < tries else 0)
    return None, reason


def score_responses(
    entries: Sequence[dict],
    url: str,
    model: str,
    timeout: float = 60,
    wait: float = 1,
) -> list[dict]:
    """The entries with a score each, or with the reason why there is none.

    After three entries in a row without any answer the rest is not asked for.
    """
    scored, silent = [], 0
    for entry in tqdm(entries, desc="judging"):
        if silent < 3:
            score, reason = score_response(
                entry, url, model, timeout, wait=wait
            )
            silent = silent + 1 if reason.startswith(SILENCE) else 0
        else:
            score, reason = None, "not asked: the server has stopped answering"
        scored.append(
            entry | {"score": score} | ({"unscored": reason} if reason else {})
        )
    return scored


def summarise(scored: Sequence[dict]) -> str:
    """The mean score of what was scored, and how much was not, and why."""
    scores = [entry["score"] for entry in scored if entry["score"] is not None]
    reasons = [entry["unscored"] for entry in scored if entry["score"] is None]
    text = f"{len(scores)} of {len(scored)} responses scored"
    if scores:
        text += f", on average {sum(scores) / len(scores):.1f} of 100"
    if reasons:
        text += f"; {len(reasons)} unscored, the first because of this: "
        text += reasons[0]
    return text


def read_responses(path: str | Path) -> list[dict]:
    """Read what gpt_instruction_finetuning wrote; outputs may be empty here.

    Raises: OSError, or ValueError that names the entry and what is wrong.
    """
    entries = read_entries(path, may_be_empty=("input", "output"))
    for i, entry in enumerate(entries):
        if not isinstance(entry.get("response"), str):
            raise ValueError(f"{path}: entry {i} has no response")
    return entries


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch07.ollama_evaluate",
        description="Let a model on an Ollama server score responses from 0 to 100.",
    )
    add = parser.add_argument
    add(
        "--responses",
        default="runs/instructions/responses.json",
        help="[%(default)s]",
    )
    add("--out", help="file to write [scores.json beside the responses]")
    host = os.environ.get("OLLAMA_HOST", "").strip() or DEFAULT_URL
    add(
        "--url",
        default=host,
        help="of the server [OLLAMA_HOST, here %(default)s]",
    )
    add("--model", default=DEFAULT_MODEL, help="the judge [%(default)s]")
    add(
        "--timeout",
        type=float,
        default=60,
        help="seconds to wait for an answer [%(default)s]",
    )
    add("--limit", type=int, help="score only so many, chosen evenly [all]")
    args = parser.parse_args(arguments)
    try:
        entries = read_responses(args.responses)
        if args.limit is not None and args.limit < 1:
            raise ValueError(f"limit={args.limit} must be at least 1")
        if not 0 < args.timeout <= 86_400:  # not a number is refused, too
            raise ValueError(
                f"timeout={args.timeout:g} must be more than 0 and at most 86400"
            )
        out = Path(args.out or Path(args.responses).parent / "scores.json")
        if out.is_dir():
            raise ValueError(f"{out} is a folder, and --out names a file")
        n = min(args.limit or len(entries), len(entries))
        entries = [entries[i * len(entries) // n] for i in range(n)]
        check_judge(args.url, args.model)
        with written_whole(out) as draft:
            draft.touch()  # where nothing can be written, nothing is judged
            scored = score_responses(
                entries, args.url, args.model, args.timeout
            )
            text = json.dumps(scored, indent=1, ensure_ascii=False) + "\n"
            draft.write_text(text, encoding="utf-8", errors="backslashreplace")
    except (ValueError, OSError, Unavailable) as error:
        raise SystemExit(f"ollama_evaluate: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\nollama_evaluate: stopped, nothing is written"
        ) from None
    print(f"{summarise(scored)}\n{out}")


if __name__ == "__main__":
    main()
