"""What each part of the corpus is good for: python -m ch05.course_model.parts

A short training for each part that is left out, and for digits that may be joined in the
vocabulary, beside two trainings with everything, whose difference says what chance does. After half
a million tokens a model answers hardly anything, so it is not asked: what is measured is how many
bits the right answer costs, which falls long before the answer comes out right. The rows are kept
in parts.json beside the model, and the command goes on where it was stopped.
"""

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.card import ALL, PARTS_RECORD, read_parts, tabulate_parts
from ch05.course_model.corpus import BYTES_PER_TOKEN, PARTS
from ch05.course_model.measure import asked_in_the_prompt, copying, perplexity
from ch05.course_model.pretrain import (
    VALIDATION_BYTES,
    MuonWithAdamW,
    encode_documents,
    train_tokenizer,
    warmup_cosine,
)
from ch05.course_model.recall import Gap
from ch05.course_model.tasks import read_texts
from ch05.gpt_weights import load_pretrained
from ch05.precision import choose_precision
from ch05.training_loop import train
from course.files import written_whole
from course.terminal import replace_unprintable

JOINED = "digits that may be joined"
RUNS = [(ALL, 0), (ALL, 1), *((f"no {part}", 0) for part in PARTS), (JOINED, 0)]
N_COPIED, N_FACTS, N_MESSAGES = 100, 10, 200  # facts of each kind


@torch.no_grad()
def answer_bits(model: GPTModel, tokenizer: BPETokenizer, gaps: Iterable[Gap]) -> float:
    """How many bits the right answers cost on average, each as a whole, after their prompts."""
    device = next(model.parameters()).device
    bits = []
    for prompt, answer in gaps:
        ids = tokenizer.encode_ordinary(answer)
        idx = [*tokenizer.encode_ordinary(prompt), *ids]
        idx = torch.tensor(idx[-model.config.context_length - 1 :], device=device)
        logits = model(idx[None, :-1])[0, -len(ids) :]
        nats = cross_entropy(logits, idx[-len(ids) :], reduction="sum")
        bits.append(nats.item() / math.log(2))
    return sum(bits) / len(bits)


def measure(model: GPTModel, tokenizer: BPETokenizer, val_ids: np.ndarray) -> dict[str, float]:
    """Bits of an answer, and bits per byte of messages and of validation documents."""
    found = {
        f"word out of a {sort}": answer_bits(model, tokenizer, gaps)
        for sort, gaps in copying(N_COPIED).items()
    }
    facts = list(asked_in_the_prompt(N_FACTS))
    sums = [gap for fact, gap in facts if fact.kind in ("sum", "difference")]
    found["fact"] = answer_bits(model, tokenizer, [gap for _, gap in facts if gap not in sums])
    found["sum"] = answer_bits(model, tokenizer, sums)
    messages = read_texts("messages", held_out=True)[:N_MESSAGES]
    found["byte of a message"] = perplexity(model, tokenizer, messages)["bits per byte"]
    documents = tokenizer.decode(val_ids.tolist()).split("<|endoftext|>")[:N_MESSAGES]
    found["byte of a document"] = perplexity(model, tokenizer, documents)["bits per byte"]
    return {name: round(value, 3) for name, value in found.items()}


def run(what: str, seed: int, millions: float, device: torch.device) -> dict[str, float]:
    """Train a model with or without a part, and measure it."""
    course, tokenizer = load_pretrained("course")
    if what == JOINED:
        tokenizer = train_tokenizer(seed, course.config.vocab_size, join_digits=True)
    without = what.removeprefix("no ") if what.startswith("no ") else None
    n_bytes = round(millions * 1e6 * BYTES_PER_TOKEN)
    ids = encode_documents(tokenizer, seed, n_bytes, without=without).astype(np.int64)
    val_ids = encode_documents(tokenizer, 1000, VALIDATION_BYTES, held_out=True).astype(np.int64)
    torch.manual_seed(seed)
    model = GPTModel(course.config).to(device)
    config = model.config
    loader = create_dataloader(torch.from_numpy(ids), config.context_length, 16, seed=seed)
    some = torch.from_numpy(val_ids[: 16 * config.context_length + 1])
    val_loader = create_dataloader(some, config.context_length, 16)
    optimizer = MuonWithAdamW(model, lr=3e-3)
    train(
        model,
        loader,
        optimizer,
        len(loader),
        val_loader,
        eval_every=len(loader),
        schedule=warmup_cosine(len(loader)),
        precision=choose_precision(device),
    )
    return measure(model.eval(), tokenizer, val_ids)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch05.course_model.parts",
        description="Train without each part of the corpus, and measure what is missing then.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--tokens", type=float, default=0.5, help="millions of tokens in each run")
    parser.add_argument("--record", default=str(PARTS_RECORD), help="the file of rows")
    parser.add_argument("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    path = Path(args.record)
    try:
        device = choose_device(args.device)
        record = {"million_tokens": args.tokens, "rows": []}
        if path.exists():
            record = read_parts(path)
            if record["million_tokens"] != args.tokens:
                what = f"holds runs of {record['million_tokens']:g} million tokens"
                raise ValueError(f"{path} {what}: give --tokens so, or another --record")
        known = {(row["what"], row["seed"]) for row in record["rows"]}
        for what, seed in tqdm([r for r in RUNS if r not in known], desc="runs"):
            bits = run(what, seed, args.tokens, device)
            record["rows"].append({"what": what, "seed": seed, "bits": bits})
            with written_whole(path) as draft:
                draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(tabulate_parts(record))
    except (ValueError, OSError) as error:
        raise SystemExit(f"parts: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\nparts: stopped; the runs that are done are kept") from None


if __name__ == "__main__":
    main()
