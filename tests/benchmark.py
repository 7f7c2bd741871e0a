"""Measure the course's speed beside its peers': python tests/benchmark.py [--large | --generation]

Not a test: clock times need a quiet machine. The steps of all ways take turns, so that all meet the
same disturbances; the median is reported. --large adds the 124M model (10 GB, some minutes);
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
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic
from transformers import GPT2Config, GPT2LMHeadModel

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer, gpt2_encoding, gpt2_ranks, train_bpe
from ch04.gpt import GPTConfig, GPTModel
from ch05.bonus.faster_training import fast_loss as next_token_loss
from ch05.gpt_generate import generate
from ch05.gpt_weights import gpt2_state
from ch05.precision import PAYS, PRECISIONS, autocast, bfloat16_gain


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


class NanoBlock(nn.Module):
    """A transformer block as nanoGPT writes it; its exact GELU is twice as fast on a CPU."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        C = config.emb_dim
        self.n_heads = config.n_heads
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.mlp = nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C))

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.c_attn(self.ln_1(x)).split(C, dim=2)
        q, k, v = (part.view(B, T, self.n_heads, -1).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))
        return x + self.mlp(self.ln_2(x))


class NanoGPT(nn.Module):
    """GPT-2 as nanoGPT writes it: tied weights, all logits at once, PyTorch's cross-entropy.

    Source: model.py of github.com/karpathy/nanoGPT, without dropout, which is 0 here for all.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.emb_dim)
        self.wpe = nn.Embedding(config.context_length, config.emb_dim)
        self.h = nn.ModuleList(NanoBlock(config) for _ in range(config.n_layers))
        self.ln_f = nn.LayerNorm(config.emb_dim)
        self.lm_head = nn.Linear(config.emb_dim, config.vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight

    def loss(self, idx: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW as nanoGPT makes it on a CPU: not fused, and only matrices decay."""
        matrices = [p for p in self.parameters() if p.dim() >= 2]
        others = [p for p in self.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0}]
        return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95))


def hugging_face_gpt2(config: GPTConfig) -> GPT2LMHeadModel:
    """Hugging Face's GPT-2 of the same sizes, without dropout, with the fast attention."""
    return GPT2LMHeadModel(
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


def measure_training(config: GPTConfig, batch_size: int, n_tokens: int, n_rounds: int) -> None:
    """Print the median tokens per second of three ways to train, in both precisions, in turns.

    In float32 our way is measured with PyTorch's cross-entropy too: is HeadLoss worth its place?
    """
    ids = torch.randint(0, config.vocab_size, (batch_size, n_tokens + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    ours, theirs, nano = GPTModel(config), hugging_face_gpt2(config), NanoGPT(config)
    optimizers = {
        "ours": torch.optim.AdamW(ours.parameters(), lr=1e-4, fused=True),
        "Hugging Face": torch.optim.AdamW(theirs.parameters(), lr=1e-4),
        "nanoGPT": nano.optimizer(),
    }
    losses = {
        "ours": lambda: next_token_loss(ours, inputs, targets),
        "Hugging Face": lambda: theirs(input_ids=inputs, labels=inputs).loss,
        "nanoGPT": lambda: nano.loss(inputs, targets),
        "ours, plain loss": lambda: F.cross_entropy(ours(inputs).flatten(0, 1), targets.flatten()),
    }
    runs = [(name, precision) for precision in PRECISIONS for name in losses]
    runs.remove(("ours, plain loss", "bfloat16"))  # there our loss is the plain one
    seconds = {run: [] for run in runs}
    for _ in range(n_rounds):
        for name, precision in runs:
            optimizer = optimizers[name.partition(",")[0]]
            started = time.perf_counter()
            optimizer.zero_grad()
            with autocast(inputs.device, precision):
                loss = losses[name]()
            loss.backward()
            optimizer.step()
            seconds[name, precision].append(time.perf_counter() - started)
    speed = {run: inputs.numel() / statistics.median(s[1:]) for run, s in seconds.items()}
    print(
        f"\n{config.n_layers} layers, {config.emb_dim} wide, vocabulary {config.vocab_size:,}, "
        f"batches of {batch_size} × {n_tokens}, {n_rounds} steps of each in turns"
    )
    for (name, precision), of_one in speed.items():
        print(f"  {precision:8}  {name:16} {of_one:9,.0f} tokens/s", end="")
        best = max(speed[other, precision] for other in ("Hugging Face", "nanoGPT"))
        beside = f"{of_one / best:5.2f} times the best of the others"
        base = f"{of_one / speed['Hugging Face', 'float32']:.2f} times Hugging Face's float32"
        print(f", {beside}, {base}" if name.startswith("ours") else f", {base}")


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
    print(f"\na product in bfloat16 is {bfloat16_gain():.1f} times as fast as in float32 here")
    fast = {"drop_rate": 0.0, "qkv_bias": True, "tie_weights": True}
    measure_training(GPTConfig(1024, 128, 128, 4, 4, **fast), 8, 128, n_rounds=60)
    if args.large:
        measure_training(GPTConfig(**fast), 2, 256, n_rounds=8)


if __name__ == "__main__":
    main()
