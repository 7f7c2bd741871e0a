"""New words for a tokenizer and its model, and what the size of a vocabulary is worth.

    python -m ch02.bonus.new_tokens
    python -m ch02.bonus.new_tokens --bytes 1200000  # three times the text

train the same small GPT with vocabularies of several sizes on the same text,
read once, and keep in ch02/recorded/new_tokens.json how well each predicts
documents that none has seen.

Dimension key: V vocabulary, C embedding.
"""

import argparse
import math
import statistics
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pandas as pd
import tiktoken
import torch
import torch.nn.functional as F
from torch import nn

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, count_parameters
from ch05.bonus.gpt_to_llama import paired_difference
from ch05.course_model.corpus import generate_documents
from ch05.course_model.measure import perplexity
from ch05.course_model.pretrain import encode_documents, warmup_cosine
from course.commands import check_least, check_rate, one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

RECORD = files("ch02") / "recorded" / "new_tokens.json"
SIZES = (300, 512, 1024, 2048, 4096)
CONFIG = GPTConfig(300, 512, 128, 4, 3, drop_rate=0.0, tie_weights=True)
VOCABULARY_BYTES = 1_000_000  # what each vocabulary is trained on
HELD_OUT_SEED = 900_001  # of documents that no run reads
N_HELD_OUT = 150
# Of each held-out document: in no vocabulary more tokens than the context.
PIECE_BYTES = 500


def check_new(new: Collection[str], known: Collection[str]) -> None:
    """Refuse tokens that a tokenizer has, or that come twice, or one text."""
    if isinstance(new, str):
        raise ValueError(f"{new!r} is one text: give a list of tokens")
    if twice := [t for t, n in Counter(new).items() if n > 1 or t in known]:
        raise ValueError(f"the tokenizer would have {twice[0]!r} twice")


def with_new_tokens(
    tokenizer: BPETokenizer, new: Collection[str]
) -> BPETokenizer:
    """A tokenizer that knows new special tokens, behind all ids of before.

    Raises: ValueError for a special token that it has, or one that is twice
    in new.
    """
    check_new(new, tokenizer.special_tokens)
    return BPETokenizer(tokenizer.ranks, [*tokenizer.special_tokens, *new])


def with_new_tokens_in_tiktoken(
    encoding: tiktoken.Encoding, new: Collection[str]
) -> tiktoken.Encoding:
    """The same for an encoding of tiktoken, which keeps its parts private."""
    check_new(new, encoding.special_tokens_set)
    free = range(encoding.n_vocab, encoding.n_vocab + len(new))
    return tiktoken.Encoding(
        f"{encoding.name}+{len(new)}",
        pat_str=encoding._pat_str,
        mergeable_ranks=encoding._mergeable_ranks,
        special_tokens=encoding._special_tokens | dict(zip(new, free)),
    )


@torch.no_grad()
def widened(
    model: GPTModel, stand_for: Sequence[Sequence[int]], start: str = "mean"
) -> GPTModel:
    """A copy of a model with a row for each new token, behind the old rows.

    stand_for holds, for each new token, the ids that the old tokenizer wrote
    in its place: a row starts at the mean of their rows. With start="random"
    it is drawn as in a new model.
    Shapes: embedding and output layer (V, C) -> (V + n, C).
    Raises: ValueError for another start, if there is no new token, or if one
        stands for nothing or for an id that the model has not.
    """
    V = model.config.vocab_size
    if start not in ("mean", "random"):
        raise ValueError(f"start={start!r} is neither 'mean' nor 'random'")
    if not stand_for or not all(stand_for):
        raise ValueError("a new token has to stand for at least one old one")
    for i in (i for ids in stand_for for i in ids):
        if not 0 <= i < V:
            raise ValueError(f"id {i} is outside vocab_size={V}")
    wide = GPTModel(replace(model.config, vocab_size=V + len(stand_for)))
    drawn, state = wide.state_dict(), model.state_dict()
    for name in ("tok_emb.weight", "out_head.weight"):  # or one tensor, twice
        rows, new = state[name], drawn[name][V:]
        if start == "mean":
            means = [rows[list(ids)].mean(dim=0) for ids in stand_for]
            new = torch.stack(means)
        state[name] = torch.cat([rows, new.to(rows)])
    wide.load_state_dict(state)
    return wide.to(model.tok_emb.weight).train(model.training)


def counted_bits(
    tokenizer: BPETokenizer, ids: Sequence[int], texts: Sequence[str]
) -> float:
    """The same texts for a model that only knows how frequent each token is.

    Units: bits per byte. Each token counts once more than it occurs in ids.
    """
    frequency = Counter(ids)
    n_all = len(ids) + tokenizer.vocab_size
    bits = sum(
        -math.log2((frequency[i] + 1) / n_all)
        for text in texts
        for i in tokenizer.encode_ordinary(text)
    )
    return bits / sum(len(text.encode()) for text in texts)


def train_on_bytes(seed: int, vocab_size: int, n_bytes: int, lr: float) -> dict:
    """Train a vocabulary and a small GPT on the same bytes as every other size."""
    text = "\n".join(generate_documents(seed, n_bytes=VOCABULARY_BYTES))
    tokenizer = BPETokenizer.train(text, vocab_size)
    ids = encode_documents(tokenizer, seed, n_bytes)
    torch.manual_seed(seed)
    model = GPTModel(replace(CONFIG, vocab_size=tokenizer.vocab_size))
    loader = create_dataloader(
        ids.astype("int64"), CONFIG.context_length, batch_size=4, seed=seed
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)
    share, start = warmup_cosine(len(loader), n_warmup=20), time.process_time()
    for step, (inputs, targets) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = lr * share(step)
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - start
    documents = generate_documents(HELD_OUT_SEED, N_HELD_OUT, held_out=True)
    pieces = [
        d.encode()[:PIECE_BYTES].decode(errors="ignore") for d in documents
    ]
    with torch.no_grad():
        found = perplexity(model.eval(), tokenizer, pieces)
    return {
        "vocab_size": vocab_size,
        "seed": seed,
        "n_bytes": n_bytes,
        "bits_per_byte": round(found["bits per byte"], 4),
        "counted": round(counted_bits(tokenizer, ids.tolist(), pieces), 4),
        "perplexity": round(found["perplexity"], 2),
        "bytes_per_token": round(n_bytes / len(ids), 3),
        "steps": len(loader),
        "weights": count_parameters(model),
        "seconds": round(seconds, 1),
    }


def tabulate(rows: Sequence[dict]) -> pd.DataFrame:
    """Rows that have read the same text, a line for each size, as means.

    Units: bits per byte of held-out documents, counted and trained, and how far
    training is from the smallest vocabulary of the same seeds, with the 95%
    interval of that difference.
    """
    by_size, table = {}, {}
    for row in rows:
        by_size.setdefault(row["vocab_size"], {})[row["seed"]] = row
    smallest = by_size[min(by_size)]
    for size, runs in sorted(by_size.items()):
        seeds = sorted(runs.keys() & smallest.keys())
        bits = [runs[seed]["bits_per_byte"] for seed in seeds]
        difference, half = paired_difference(
            bits, [smallest[seed]["bits_per_byte"] for seed in seeds]
        )
        first = runs[seeds[0]]
        table[size] = {
            "bytes per token": first["bytes_per_token"],
            "perplexity": statistics.mean(runs[s]["perplexity"] for s in seeds),
            "counted": statistics.mean(runs[s]["counted"] for s in seeds),
            "bits per byte": statistics.mean(bits),
            "difference": difference,
            "±": half,
            "steps": first["steps"],
            "thousand weights": first["weights"] / 1000,
        }
    return pd.DataFrame(table).T.rename_axis("vocabulary")


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    def is_row(row: dict) -> bool:
        numbers = row["n_bytes"], row["bits_per_byte"], row["counted"]
        return row["vocab_size"] >= 256 and min(numbers) > 0

    return read_rows(path, is_row, settings)


def run(args: argparse.Namespace) -> None:
    """Train the sizes that the record lacks, seed by seed; print its table."""
    path, settings = Path(args.record), {"lr": args.lr}
    rows = read_record(path, settings)
    known = {(r["vocab_size"], r["seed"], r["n_bytes"]) for r in rows}
    for seed in range(args.seeds):
        for size in SIZES:
            if (size, seed, args.bytes) in known:
                continue
            rows.append(train_on_bytes(seed, size, args.bytes, args.lr))
            write_rows(path, settings, rows)
            bits = rows[-1]["bits_per_byte"]
            print(
                f"{size} tokens, seed {seed}: {bits:.3f} bits per byte",
                flush=True,
            )
    same_text = [row for row in rows if row["n_bytes"] == args.bytes]
    print(tabulate(same_text).round(3).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch02.bonus.new_tokens",
        description="Train a small GPT with vocabularies of several sizes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each size")
    add("--bytes", type=int, default=400_000, help="what each run reads")
    add("--lr", type=float, default=3e-3, help="the peak of the learning rate")
    add("--record", default=str(RECORD), help="the file of rows")
    args = parser.parse_args()
    check_least(args, seeds=1, bytes=20_000)
    check_rate(args.lr)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("new_tokens"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
