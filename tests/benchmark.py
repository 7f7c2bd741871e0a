"""Measure the course's speed beside its peers': python tests/benchmark.py [--large | --generation]

Not a test: clock times need a quiet machine. Steps of the two models take turns, so that both meet
the same disturbances; the median is reported. --large adds the 124M model (10 GB, some minutes);
--generation measures writing instead (under two minutes).
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic
from transformers import GPT2Config, GPT2LMHeadModel

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer, gpt2_encoding, gpt2_ranks, train_bpe
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_generate import generate
from ch05.gpt_train import next_token_loss
from ch05.gpt_weights import gpt2_state
from ch05.precision import PAYS, bfloat16_gain


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


def writers(precision: torch.dtype) -> dict[str, Callable[[Tensor, int], object]]:
    """Ways to write greedily with a 124M of random weights: ours, and Hugging Face's cached one."""
    ours = GPTModel(GPTConfig(drop_rate=0.0, qkv_bias=True, tie_weights=True)).eval()
    theirs = GPT2LMHeadModel(
        GPT2Config(attn_implementation="sdpa", bos_token_id=0, eos_token_id=None)
    ).eval()
    theirs.transformer.load_state_dict(
        {name: w for name, w in gpt2_state(ours).items() if name != "lm_head.weight"}
    )
    theirs.to(precision)
    options = {"do_sample": False, "use_cache": True, "pad_token_id": 0}
    name = str(precision).removeprefix("torch.")
    ways = {
        f"Hugging Face, {name}": lambda idx, n: theirs.generate(
            idx, attention_mask=torch.ones_like(idx), max_new_tokens=n, min_new_tokens=n, **options
        )
    }
    if precision == torch.float32:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that quantization moves to a package of its own
            small = quantize_dynamic(ours, {nn.Linear}, dtype=torch.qint8)
        linear = [layer for layer in ours.modules() if isinstance(layer, nn.Linear)]
        vectors = {layer.in_features: torch.randn(1, layer.in_features) for layer in linear}
        ways["matrix products alone"] = torch.inference_mode()(  # what a step cannot undercut
            lambda idx, n: [[x(vectors[x.in_features]) for x in linear] for _ in range(n)]
        )
        ways["ours, int8 weights"] = lambda idx, n: generate(small, idx, n, temperature=0)
    ours.to(precision)
    ways[f"ours, {name}"] = lambda idx, n: generate(ours, idx, n, temperature=0)
    return ways


def measure_generation(n_prompt: int = 8, n_new: int = 100, n_rounds: int = 3) -> None:
    """Print the tokens per second of writing with 124M, in turns; the median of the rounds.

    A step reads every weight once, so in float32 memory sets the limit: the products alone show it.
    int8 is PyTorch's dynamic quantization of all linear layers, the output layer among them.
    """
    ways = writers(torch.float32)
    if bfloat16_gain() >= PAYS:
        ways |= writers(torch.bfloat16)
    else:
        print("bfloat16 is left out: this processor only imitates it")
    idx = torch.randint(50257, (1, n_prompt))
    texts = {name: way(idx, 10) for name, way in ways.items()}  # to warm up, too
    assert torch.equal(texts["ours, float32"], texts["Hugging Face, float32"])
    seconds = {name: [] for name in ways}
    for _ in range(n_rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way(idx, n_new)
            seconds[name].append(time.perf_counter() - started)
    speed = {name: n_new / statistics.median(s) for name, s in seconds.items()}
    base = speed["Hugging Face, float32"]
    for name, of_one in speed.items():
        print(
            f"{name:22} {of_one:6.1f} tokens/s, {of_one / base:4.2f} times Hugging Face's float32"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="the 124M model as well")
    parser.add_argument("--generation", action="store_true", help="only writing, with 124M")
    args = parser.parse_args()
    if args.generation:
        measure_generation()
        return
    measure_text()
    fast = {"drop_rate": 0.0, "qkv_bias": True, "tie_weights": True}
    measure_training(GPTConfig(1024, 128, 128, 4, 4, **fast), 8, 128, n_steps=200)
    if args.large:
        measure_training(GPTConfig(**fast), 2, 256, n_steps=12)


if __name__ == "__main__":
    main()
