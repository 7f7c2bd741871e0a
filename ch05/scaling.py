"""What a training will take, said before it starts; and one number that sets up a whole run.

    python -m ch05.scaling check      # three sizes: as predicted, and as measured

Dimension key: B batch, T tokens, C embedding, V vocabulary.
"""

import argparse
import math
import os
from dataclasses import dataclass
from functools import partial

import torch

from ch04.gpt import GPTConfig, choose_device
from ch05.machine import free_memory, read_watts
from course.terminal import replace_unprintable

MB = 10**6
STRIP = 2**25  # logits that HeadLoss makes at a time
# Of what waits for the backward pass, so much more stays with a CPU's allocator in pieces that do
# not fit the next tensor: measured with glibc on three sizes, see ch05/bonus/training_at_scale.
LEFT_IN_PIECES = 0.5
ONCE = (
    20 * MB
)  # that the first steps leave on a CPU, whatever the size: kernels, threads


@dataclass(frozen=True)
class Dial:
    """All that a depth decides about a run.

    Units: batch_size in windows of the context's length, for all processes together.
    """

    config: GPTConfig
    lr: float
    batch_size: int
    tokens: int


def multiplying(config: GPTConfig) -> int:
    """N of a scaling law: the weights of the matrices that every token is multiplied by.

    Those of the blocks and of the output layer. Embeddings are looked up, which is no work; biases
    and norms are too few to matter.
    """
    C = config.emb_dim
    return 12 * config.n_layers * C * C + config.vocab_size * C


def config_for_depth(
    depth: int,
    vocab_size: int = 2048,
    context_length: int = 256,
    width_per_layer: int = 64,
    tokens_per_weight: float = 20,
) -> Dial:
    """A model of so many layers, with the learning rate, batch and tokens that suit its size.

    With 64 numbers of width for each layer, depth 4 is the shape of the course's model and depth
    12 that of the smallest GPT-2. Heads are as many as layers, so each has width_per_layer numbers.
    20 tokens for each weight are what Hoffmann et al. 2022 (arXiv:2203.15556) found best for a
    given amount of computing. The batch grows with the root of the tokens, and is even, so that two
    processes can share it. The rate is MuonWithAdamW's: it was tried at one token for each weight
    and depths 2 and 3 (ch05/bonus/training_at_scale.ipynb), and falls with more tokens about as
    Bjorck et al. 2024 (arXiv:2409.19913) found.
    Raises: ValueError for a depth below 1, or fewer tokens than a step needs.
    """
    if depth < 1:
        raise ValueError(f"depth={depth} must be at least 1")
    width = width_per_layer * depth
    config = GPTConfig(
        vocab_size,
        context_length,
        emb_dim=width,
        n_heads=depth,
        n_layers=depth,
        drop_rate=0.0,
        qkv_bias=True,
        tie_weights=True,
    )
    tokens = round(tokens_per_weight * multiplying(config))
    # 2 sqrt(tokens) tokens
    batch_size = max(2, 2 * round(math.sqrt(tokens) / context_length))
    if tokens < batch_size * context_length:
        raise ValueError(
            f"tokens_per_weight={tokens_per_weight} gives {tokens} tokens to depth {depth}, and a "
            f"step of {batch_size} windows needs {batch_size * context_length}"
        )
    lr = 0.009 * math.sqrt(256 / width) / tokens_per_weight ** (1 / 3)
    return Dial(config, lr, batch_size, tokens)


def count_all(config: GPTConfig) -> int:
    """All parameters, without making the model."""
    C, L = config.emb_dim, config.n_layers
    vectors = (10 + 3 * config.qkv_bias) * C  # biases and norms of a block
    tables = config.vocab_size * (2 - config.tie_weights)
    tables += config.context_length + 2  # positions, the last norm
    return L * (12 * C * C + vectors) + tables * C


def flops_per_token(config: GPTConfig, recompute: bool = False) -> int:
    """Multiplications and additions of a training step, for each token.

    Two for each weight and token in the forward pass, four in the backward pass. Attention has
    two products with T keys forward, and five backward, one of them made once more because the
    weights of the attention are not kept. Half of each is masked, and counted all the same, as
    PyTorch's counter does.
    """
    attention = 2 * config.n_layers * config.context_length * config.emb_dim
    total = 6 * multiplying(config) + 7 * attention
    if recompute:  # the blocks' forward pass once more
        head = config.vocab_size * config.emb_dim
        total += 2 * (multiplying(config) - head) + 2 * attention
    return total


def activation_bytes(config: GPTConfig, precision: str) -> int:
    """What waits in a block for the backward pass, for each token.

    In numbers for each of C: the block's input, the first norm's output, queries, keys, values and
    what attention makes of them (4), the input and output of the second norm, four before and four
    behind the activation function. Under autocast only both inputs have 32 bits. The means and
    deviations of both norms and one logarithm for each head come on top.
    """
    narrow = 2 if precision == "bfloat16" else 4
    return (2 * 4 + 14 * narrow) * config.emb_dim + 4 * (4 + config.n_heads)


def memory(
    config: GPTConfig,
    at_once: int,
    *,
    n_parts: int = 1,
    precision: str = "float32",
    optimizer: str = "adamw",
    recompute: bool = False,
    chunked: bool = True,
    sharded: bool = False,
    n_processes: int = 1,
    device: str = "cpu",
) -> dict[str, int]:
    """Bytes of one process at the peak of a step, by what they are for.

    at_once windows are worked on at a time, n_parts times before a step. With chunked, the output
    layer and its loss are HeadLoss; without, all logits are made at once.
    """
    L, C, V = config.n_layers, config.emb_dim, config.vocab_size
    N = at_once * config.context_length
    share = n_processes if sharded else 1
    weights, matrices = 4 * count_all(config), 4 * 12 * L * C * C
    states = 2 * weights - (matrices if optimizer == "muon" else 0)
    narrow = precision == "bfloat16"
    block = activation_bytes(config, precision) * N
    kept = 4 * C * N * L + block if recompute else block * L
    kept += 8 * C * N  # around the last norm
    copies = matrices // 2 if narrow else 0  # autocast's 16-bit weights
    rows = min(N, max(1, STRIP // V)) if chunked else N
    head = (12 if not chunked else 10 if narrow else 8) * rows * V
    head += 4 * V * C if chunked else 0  # the gradient that HeadLoss keeps
    gradients = weights // share
    # A step begins without gradients; they come while activations go.
    early = {"gradients": gradients if n_parts > 1 else 0}
    early |= {"activations": kept + copies, "output layer": head}
    late = {"gradients": gradients, "activations": block}
    late |= {"output layer": 4 * V * C}
    exchange = 0
    if sharded:  # two blocks and what lies around them are whole at a time
        exchange = 2 * (weights - matrices + 2 * matrices // L)
    elif n_processes > 1:  # DDP's copy of the gradients
        exchange = weights
    pieces = LEFT_IN_PIECES * kept + ONCE if device == "cpu" else 0.05 * kept
    return {
        "weights": weights // share,
        "optimizer": states // share,
        **max(early, late, key=lambda moment: sum(moment.values())),
        "exchange": exchange,
        "allocator": round(pieces),
    }


@dataclass(frozen=True)
class Prediction:
    """What a training will take: a table of lines, and whether its memory is there."""

    memory: dict[str, int]
    seconds: float | None
    lines: list[str]
    fits: bool
    advice: str


def in_words(n_bytes: float) -> str:
    if n_bytes < 10_000 * MB:
        return f"{n_bytes / MB:,.0f} MB"
    return f"{n_bytes / 1000 / MB:,.1f} GB"


def predict(
    config: GPTConfig,
    *,
    batch_size: int,
    at_once: int,
    n_tokens: int,
    precision: str = "float32",
    optimizer: str = "adamw",
    recompute: bool = False,
    sharded: bool = False,
    n_processes: int = 1,
    device: torch.device | None = None,
    speed: float | None = None,
    watts: float | None = None,
) -> Prediction:
    """What a training of n_tokens will take, and whether it can be.

    batch_size windows make a step, over all processes; at_once of them are worked on at a time by
    each. speed is that of the whole job, from a few timed steps.
    Units: speed in tokens per second.
    """
    device = device or choose_device()
    need_of = partial(
        memory,
        config,
        n_parts=math.ceil(batch_size / n_processes / at_once),
        precision=precision,
        optimizer=optimizer,
        recompute=recompute,
        sharded=sharded,
        n_processes=n_processes,
        device=device.type,
    )
    need = need_of(at_once)
    # Processes of one machine share its memory, but each has a GPU of its own.
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    free = free_memory(device) // (1 if device.type == "cuda" else n_here)
    total, advice = sum(need.values()), ""
    if total > free:
        fitting = [
            k
            for k in range(1, at_once)
            if sum(need_of(k, n_parts=2).values()) <= free
        ]
        advice = f"a step needs about {in_words(total)} of memory, and {in_words(free)} are free: "
        if fitting:
            advice += f"--at-once {fitting[-1]} fits, and makes the same steps"
        elif sum(need_of(1, recompute=True, n_parts=2).values()) <= free:
            advice += "--recompute --at-once 1 fits, and makes the same steps"
        else:
            advice += "not even one window does; take a smaller model, or --fsdp on more devices"
    operations = flops_per_token(config, recompute)
    rows = {
        "parameters": f"{count_all(config):,}; {multiplying(config):,} multiply each token",
        "memory": f"{in_words(total)} of {in_words(free)} that are free",
    }
    rows |= {f"  {name}": in_words(size) for name, size in need.items() if size}
    rows["operations"] = f"{operations / 1e6:,.0f} million for each token"
    seconds = None
    if speed:
        seconds = n_tokens / speed
        hours, rest = divmod(round(seconds), 3600)
        rows["speed"] = (
            f"{speed:,.0f} tokens per second, {speed * operations / 1e9:,.0f} GFLOP/s"
        )
        rows["time"] = (
            f"{hours}:{rest // 60:02d}:{rest % 60:02d} for {n_tokens:,} tokens"
        )
        watts = watts or read_watts(device)
        rows["energy"] = (
            f"{watts * seconds / 3600:,.1f} Wh at {watts:,.0f} W"
            if watts
            else "not known: this machine names no watts (--watts gives them)"
        )
    width = max(map(len, rows))
    lines = [f"{name:<{width}}  {value}" for name, value in rows.items()]
    return Prediction(need, seconds, lines, total <= free, advice)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch05.scaling",
        description="Say what a training will take, and measure whether it does.",
    )
    parser.add_argument(
        "command", choices=("check",), help="measure three sizes"
    )
    parser.parse_args()
    from ch05.scaling_check import check  # it imports this module

    try:
        check()
    except (ValueError, OSError) as error:
        raise SystemExit(f"scaling: {error}") from None


if __name__ == "__main__":
    main()
