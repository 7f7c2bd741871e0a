"""What 4 bits cost, and a real model as a judge: measured, and kept in a file.

python -m ch05.bonus.real_llm    # goes on with ch05/recorded/real_llm.json

The model is SmolLM2-135M-Instruct, which setup/get_smollm2.py fetches. Every
measurement has a name in the file, and what is there is not made again.

Source: agreement beyond chance is Cohen 1960, kappa; intervals are those of
resampling (Efron 1979).
"""

import argparse
import copy
import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer, cache_folder
from ch04.gpt import GPTModel
from ch04.kv_cache import make_cache, read
from ch05.course_model.tasks import read_texts
from ch05.files import check_writable
from ch05.gguf_file import read_gguf, unpack_q8_0
from ch05.gguf_writer import pack_q8_0
from ch05.gpt_generate import generate
from ch05.gpt_weights import COURSE_FOLDER, load_pretrained
from ch05.llama_gguf import SMOLLM2, SMOLLM2_SHA256
from ch05.llama_tokenizer import chat_ids
from course.commands import one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable

WAYS = {  # bits of a number, and how many numbers share their step
    "Q8_0": (8, 32),
    "6 bits": (6, 32),
    "5 bits": (5, 32),
    "Q4_1": (4, 32),
    "4 bits, blocks of 64": (4, 64),
    "3 bits": (3, 32),
    "2 bits": (2, 32),
}
WAYS_OF_SMOLLM2 = ("Q8_0", "Q4_1", "4 bits, blocks of 64", "3 bits")
N_ITEMS = 120  # to judge
RECORD = files("ch05") / "recorded" / "real_llm.json"
PARAGRAPHS = {  # the same in two languages
    "English": "Every evening the baker counts the loaves that nobody has "
    "bought. She gives them to the children who wait at the back door, and "
    "she keeps the smallest one for the goose. The goose has learned when the "
    "shop closes. If the baker is late, it knocks at the window with its beak.",
    "Korean": "빵집 주인은 저녁마다 팔리지 않은 빵이 몇 개인지 세어 봅니다. "
    "남은 빵은 뒷문에서 기다리는 아이들에게 나누어 주고, 가장 작은 빵 하나는 "
    "거위에게 주려고 남겨 둡니다. 거위는 가게가 언제 문을 닫는지 알고 있습니다. "
    "주인이 늦으면 거위는 부리로 창문을 두드립니다.",
}
PIECES = "In 2026 a goose ate 17 loaves. 거위는 빵을 먹었다."
PROMPTS = (
    "What is the capital of France?",
    "What is the plural of goose?",
    "What is 17 plus 25?",
    "Give me a synonym for happy.",
    "Is this message spam? You have won a bicycle! To get it, pay £4 today.",
    "Tell me a story about a baker and a goose in three sentences.",
    "한국의 수도는 어디입니까?",
)
FORMS = {  # how the judge is asked: its verdicts, and whether it sees the key
    "words": ("Yes", "No", True),
    "letters": ("A", "B", True),
    "words, no key": ("Yes", "No", False),
}


def steps_of(values: np.ndarray, bits: int, size: int) -> tuple:
    """Numbers in so many whole steps above the lowest of their block.

    Shapes: values of any shape, of whole blocks -> whole (n, size), step and
    lowest (n, 1).
    """
    blocks, highest = values.reshape(-1, size), 2**bits - 1
    lowest = blocks.min(axis=1, keepdims=True)
    step = (blocks.max(axis=1, keepdims=True) - lowest) / highest
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step > 0)
    whole = np.trunc((blocks - lowest) * inverse + np.float32(0.5))
    return whole.clip(0, highest), step, lowest


def rounded(values: np.ndarray, bits: int, size: int) -> np.ndarray:
    """What comes back of numbers that were kept in so many bits.

    A block keeps its step and its lowest number in 16 bits each.
    """
    whole, *head = steps_of(values, bits, size)
    step, lowest = (part.astype("<f2").astype(np.float32) for part in head)
    return (whole * step + lowest).reshape(values.shape)


def pack_q4_1(values: np.ndarray) -> np.ndarray:
    """The blocks of Q4_1, which unpack_q4_1 reads.

    Shapes: values of whole blocks of 32 -> (n, 20).
    """
    whole, *head = steps_of(values, 4, 32)
    head = np.concatenate(head, axis=1).astype("<f2").view(np.uint8)  # (n, 4)
    first, second = np.split(whole.astype(np.uint8), 2, axis=1)
    return np.concatenate([head, first | second << 4], axis=1)


@torch.no_grad()
def requantized(model: GPTModel, bits: int, size: int) -> GPTModel:
    """A copy with the matrices of its layers in so many bits.

    Embeddings are kept in Q8_0 and vectors as they are, as in SmolLM2's file.
    8 bits are those of Q8_0.
    """
    model = copy.deepcopy(model)
    for name, weight in model.named_parameters():
        if weight.dim() < 2:
            continue
        values = weight.detach().numpy()
        if "emb" in name or bits == 8:
            again = unpack_q8_0(pack_q8_0(values)).reshape(values.shape)
        else:
            again = rounded(values, bits, size)
        weight.copy_(torch.from_numpy(again))
    return model


@torch.no_grad()
def text_bits(
    model: GPTModel, tokenizer: BPETokenizer, texts: Sequence[str]
) -> np.ndarray:
    """How many bits a model needs for each text behind <|endoftext|>.

    What does not fit its context is left out.
    Shapes: (n, 2), bits and bytes.
    """
    end, rows = tokenizer.special_tokens[END_OF_TEXT], []
    for text in texts:
        ids = [end, *tokenizer.encode_ordinary(text)]
        ids = ids[: model.config.context_length + 1]
        idx = torch.tensor([ids])
        nats = cross_entropy(model(idx[:, :-1])[0], idx[0, 1:], reduction="sum")
        n_bytes = len(tokenizer.decode(ids[1:]).encode())
        rows.append((nats.item() / math.log(2), n_bytes))
    return np.array(rows)


def interval(
    rows: np.ndarray, figure: Callable[[np.ndarray], float]
) -> list[float]:
    """The 95% interval of a figure over rows, which are drawn again and again.

    Who compares two ways puts both into each row: then the draw is paired.
    """
    draw = np.random.default_rng(0)
    again = [
        figure(rows[draw.integers(len(rows), size=len(rows))])
        for _ in range(1000)
    ]
    return np.quantile(again, [0.025, 0.975]).tolist()


def judge_question(entry: dict, form: str, turned: bool) -> str:
    """What the judge is asked; turned: the other verdict is named first."""
    yes, no, with_key = FORMS[form]
    task = f"{entry['instruction']}\n{entry.get('input', '')}".strip()
    parts = [f"A student was given this task:\n{task}"]
    if with_key:
        parts.append(f"The right answer is:\n{entry['output']}")
    parts.append(f"The student answered:\n{entry['response']}")
    order = [no, yes] if turned else [yes, no]
    if form == "letters":
        first, second = ("wrong", "right") if turned else ("right", "wrong")
        parts.append(f"Is it right or wrong?\nA. {first}\nB. {second}")
        order = ["A", "B"]
    else:
        parts[-1] += "\n\nIs the student's answer right?"
    return "\n\n".join(parts) + f"\nReply {order[0]} or {order[1]}."


@torch.no_grad()
def verdicts(
    model: GPTModel, tokenizer: BPETokenizer, entry: dict, form: str
) -> list[tuple[float, float]]:
    """By how much "right" is likelier than "wrong", asked in both orders.

    What both questions begin with is read once.
    Units: the logarithm of the ratio, and the probability of both together.
    """
    asked = [
        [{"role": "user", "content": judge_question(entry, form, turned)}]
        for turned in (False, True)
    ]
    ids = [chat_ids(tokenizer, messages) for messages in asked]
    same = next(i for i, (a, b) in enumerate(zip(*ids)) if a != b)
    cache = make_cache(model, 1, max(map(len, ids)))
    _, cache = read(model, cache, torch.tensor([ids[0][:same]]))
    words = [tokenizer.encode_ordinary(word)[0] for word in FORMS[form][:2]]
    found = []
    for turned in (False, True):
        logits, _ = read(model, cache, torch.tensor([ids[turned][same:]]))
        right, wrong = words[::-1] if turned and form == "letters" else words
        log_probs = logits[0].log_softmax(dim=-1)
        gap = (log_probs[right] - log_probs[wrong]).item()
        found.append((gap, log_probs[words].exp().sum().item()))
    return found


def kappa(pairs: np.ndarray) -> float:
    """Agreement of two judges beyond that of chance: 1 always, 0 by chance.

    Shapes: pairs (n, 2) of verdicts, 1 or 0.
    """
    a, b = np.asarray(pairs, dtype=float).T
    by_chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    if by_chance == 1:
        return 0.0  # both always say the same: nothing was found out
    return ((a == b).mean() - by_chance) / (1 - by_chance)


def answer(model: GPTModel, tokenizer: BPETokenizer, text: str, n: int) -> str:
    """What a model that was taught roles replies greedily, in up to n tokens."""
    ids = chat_ids(tokenizer, [{"role": "user", "content": text}])
    end = tokenizer.special_tokens["<|im_end|>"]
    idx = torch.tensor([ids])
    reply = generate(model, idx, n, temperature=0, stop_id=end)[0, len(ids) :]
    ids = [i for i in reply.tolist() if i != end]
    return tokenizer.decode(ids).strip()


def file_facts(path: Path) -> dict:
    """What a GGUF file says: its metadata, and its tensors by their type.

    Units: for each type how many tensors, numbers and bytes.
    """
    file, types = read_gguf(path), {}
    for tensor in file.tensors.values():
        kind = types.setdefault(tensor.packing.name, [0, 0, 0])
        kind[0] += 1
        kind[1] += math.prod(tensor.shape)
        kind[2] += tensor.data.nbytes
    metadata = {
        name: f"{len(value):,} of them" if isinstance(value, list) else value
        for name, value in file.metadata.items()
    }
    return {"bytes": path.stat().st_size, "types": types, "metadata": metadata}


def held_out_texts(n_messages: int, n_prose: int) -> list[str]:
    """Texts written for the course that its model has not been trained on."""
    messages = read_texts("messages", held_out=True)[:n_messages]
    return [*messages, *read_texts("prose", held_out=True)[:n_prose]]


def items_to_judge(path: str | Path, n: int = N_ITEMS) -> list[dict]:
    """So many responses of a file of chapter 7: half of them are wrong.

    Raises: OSError if there is no such file, ValueError if it is another.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        entries = [e for e in entries if "history" not in e]
        for e in entries:
            e["right"] = e["response"].strip() == e["output"].strip()
        names = ("kind", "instruction", "input", "output", "response", "right")
        entries = [{name: e[name] for name in names} for e in entries]
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} holds no responses: {what}") from None
    chosen = []
    for is_right in (False, True):
        some = [e for e in entries if e["right"] == is_right]
        if len(some) < n // 2:
            raise ValueError(f"{path} has too few right or wrong responses")
        chosen.append([some[i * len(some) // (n // 2)] for i in range(n // 2)])
    return [entry for pair in zip(*chosen) for entry in pair]


def measurements(responses: str) -> dict[str, Callable[[Callable], object]]:
    """What there is to measure, by name; each gets a way to load a model."""

    def bits(model: str, texts: Sequence[str], way: str) -> Callable:
        def measure(load):
            loaded, tokenizer = load(model)
            if way in WAYS:
                loaded = requantized(loaded, *WAYS[way])
            rows = text_bits(loaded, tokenizer, texts)
            return [[round(b, 3), int(n)] for b, n in rows]

        return measure

    def judged(form: str) -> Callable:
        def measure(load):
            return [
                [round(x, 4) for pair in found for x in pair]
                for entry in tqdm(items_to_judge(responses), desc=form)
                for found in [verdicts(*load("smollm2"), entry, form)]
            ]

        return measure

    wanted = {"file": lambda load: file_facts(cache_folder() / SMOLLM2)}
    texts = {
        "course": held_out_texts(400, 29),
        "smollm2": held_out_texts(30, 5),
    }
    for model, ways in (("course", WAYS), ("smollm2", WAYS_OF_SMOLLM2)):
        own = bits(model, list(PARAGRAPHS.values()), "as it is")
        wanted[f"paragraphs, {model}"] = own
        for way in ("as it is", *ways):
            wanted[f"bits, {model}, {way}"] = bits(model, texts[model], way)
    wanted["pieces"] = lambda load: {
        text: [load("smollm2")[1].decode([i]) for i in ids]
        for text in (PIECES, *PARAGRAPHS.values())
        for ids in [load("smollm2")[1].encode_ordinary(text)]
    }
    wanted["answers"] = lambda load: [
        [text, answer(*load("smollm2"), text, 80)] for text in PROMPTS
    ]
    wanted["items"] = lambda load: items_to_judge(responses)
    return wanted | {f"judge, {form}": judged(form) for form in FORMS}


def read_record(path: Path, described: dict) -> dict:
    """What was measured of these weights so far.

    Raises: ValueError if the file is damaged, or of other weights.
    """
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        same = all(record[name] == described[name] for name in described)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no record: {error}") from None
    if not same:
        raise ValueError(
            f"{path} is of other weights: move it away, or give --out"
        )
    return record["measured"]


def write_record(path: Path, described: dict, measured: dict) -> None:
    """Write the record whole or not at all, a line for each measurement."""
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in measured.items()
    )
    head = json.dumps(described, indent=1)[:-2]
    with written_whole(path) as draft:
        text = f'{head},\n "measured": {{\n{lines}\n }}\n}}\n'
        draft.write_text(text, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.real_llm",
        description="Measure what 4 bits cost, and a model as a judge.",
    )
    add = parser.add_argument
    add(
        "--out",
        default=str(RECORD),
        help="the record, which is gone on with [%(default)s]",
    )
    add(
        "--responses",
        default="ch07/recorded/responses/with-the-mask.json",
        help="what is judged [%(default)s]",
    )
    add("--only", default="", help="what the name begins with [everything]")
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Make the measurements that the record lacks."""
    path = Path(args.out)
    weights = (COURSE_FOLDER / "model.safetensors").read_bytes()
    described = {
        "command": "python -m ch05.bonus.real_llm",
        "smollm2": SMOLLM2_SHA256,
        "course": hashlib.sha256(weights).hexdigest(),
    }
    measured = read_record(path, described)
    wanted = measurements(args.responses)
    names = [n for n in wanted if n.startswith(args.only) and n not in measured]
    if not any(n.startswith(args.only) for n in wanted):
        raise ValueError(f"--only {args.only}: there is {', '.join(wanted)}")
    check_writable(path.parent)
    load = lru_cache(1)(load_pretrained)  # one model at a time
    for name in names:
        started = time.perf_counter()
        measured[name] = wanted[name](load)
        order = [n for n in wanted if n in measured]
        measured = {n: measured[n] for n in order}
        write_record(path, described, measured)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    what = f"on {platform.machine()}, {torch.get_num_threads()} threads"
    print(f"{len(names)} measurements made {what}; {path} has {len(measured)}")


def main() -> None:
    replace_unprintable()
    with one_sentence("real_llm"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
