"""Measure the course's speed beside its peers': python tests/benchmark.py [--large]

Not a test: clock times need a quiet machine. Steps of the two models take turns, so that both meet
the same disturbances; the median is reported. --large adds the 124M model (10 GB, some minutes).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer, gpt2_encoding, gpt2_ranks, train_bpe
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_train import next_token_loss


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def standard_library(n_bytes: int) -> str:
    """Source code: the modules of Python's standard library, one after the other."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)[:n_bytes]


def measure_text() -> None:
    """Print the speed of training a vocabulary, of encoding, and of cutting windows."""
    text = standard_library(4_000_000)
    seconds = cpu_seconds(lambda: train_bpe(text[:1_000_000], 1256))
    print(f"BPE, 1 MB to 1,000 merges: {seconds:.2f} CPU-seconds")
    ours, theirs = BPETokenizer(gpt2_ranks()), gpt2_encoding()
    ids, megabytes = theirs.encode_ordinary(text), len(text.encode()) / 1e6
    our_speed = megabytes / cpu_seconds(lambda: ours.encode_ordinary(text))
    their_speed = megabytes / cpu_seconds(lambda: theirs.encode_ordinary(text))
    print(f"encoding with GPT-2's ranks: {our_speed:.1f} MB/s, tiktoken {their_speed:.1f}")
    loader = create_dataloader(ids, 256, 16, stride=16)
    cut = cpu_seconds(lambda: create_dataloader(ids, 256, 16, stride=16))
    read = cpu_seconds(lambda: [len(inputs) for inputs, _ in loader])
    print(f"{len(loader.dataset):,} windows at stride 16: {cut:.3f} s; all batches {read:.3f} s")


def measure_training(config: GPTConfig, batch_size: int, n_tokens: int, n_steps: int) -> None:
    """Print the median tokens per second of our model and of Hugging Face's GPT-2, in turns."""
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.emb_dim,
            n_head=config.n_heads,
            n_layer=config.n_layers,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            attn_implementation="sdpa",
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    ours = GPTModel(config)
    ids = torch.randint(0, config.vocab_size, (batch_size, n_tokens + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    runs = {
        "ours": (
            torch.optim.AdamW(ours.parameters(), lr=1e-4, fused=True),
            lambda: next_token_loss(ours, inputs, targets),
        ),
        "Hugging Face": (
            torch.optim.AdamW(theirs.parameters(), lr=1e-4),
            lambda: theirs(input_ids=inputs, labels=inputs).loss,
        ),
    }
    seconds = {name: [] for name in runs}
    for _ in range(n_steps):
        for name, (optimizer, loss) in runs.items():
            started = time.perf_counter()
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            seconds[name].append(time.perf_counter() - started)
    speed = {
        name: inputs.numel() / statistics.median(s[n_steps // 10 :]) for name, s in seconds.items()
    }
    ratio = speed["ours"] / speed["Hugging Face"]
    print(", ".join(f"{name} {s:,.0f} tokens/s" for name, s in speed.items()), f"({ratio:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="the 124M model as well")
    args = parser.parse_args()
    measure_text()
    fast = {"drop_rate": 0.0, "qkv_bias": True, "tie_weights": True}
    measure_training(GPTConfig(1024, 128, 128, 4, 4, **fast), 8, 128, n_steps=200)
    if args.large:
        measure_training(GPTConfig(**fast), 2, 256, n_steps=12)


if __name__ == "__main__":
    main()
