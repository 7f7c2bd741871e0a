"""Three questions that a model must answer before a long training, asked of any model folder.

    python -m ch05.foundations overfit course    # can it learn one batch by heart?
    python -m ch05.foundations gradients course  # are its gradients slopes of its loss?
    python -m ch05.foundations ablate course     # what is each part worth?

The first two end with an error if the answer is no. The third trains small models
of the same kind and leaves a table and a picture.

Dimension key: B batch, T tokens, V vocabulary.
"""

import argparse
import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from ch02.dataloader import read_text
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch05.bonus.gpt_to_llama import paired_difference
from ch05.course_model.corpus import generate_documents
from ch05.files import check_writable, saved_whole
from ch05.gpt_weights import load_pretrained
from course.terminal import replace_unprintable

TOLERANCE = 1e-6  # of a gradient in float64; a step of 1e-4 alone costs 1e-8
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def loss_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean loss of a token. Units: nats."""
    return cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def as_batch(
    tokenizer: BPETokenizer, text: str, B: int, T: int
) -> tuple[Tensor, Tensor]:
    """The first B windows of a text.

    Shapes: inputs and targets (B, T). Raises: ValueError if the text is too short.
    """
    ids = tokenizer.encode(text, allowed_special={END_OF_TEXT})[: B * T + 1]
    if len(ids) < B * T + 1:
        raise ValueError(
            f"the text has {len(ids)} tokens, and {B * T + 1} are needed"
        )
    windows = torch.tensor(ids)
    return windows[:-1].view(B, T), windows[1:].view(B, T)


# ---- One batch by heart


def entropy_of(targets: Tensor) -> float:
    """The loss of whoever knows how often each token is due, and nothing else. Units: nats."""
    counts = Counter(targets.flatten().tolist()).values()
    n = sum(counts)
    return -sum(k / n * math.log(k / n) for k in counts)


def overfit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    n_steps: int = 200,
    lr: float = 1e-3,
) -> list[float]:
    """Train on one batch; the loss before each step, and after the last. Units: nats."""
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.0)
    model.train()
    losses = []
    for _ in tqdm(range(n_steps), desc="one batch", leave=False):
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        return [*losses, loss_of(model, inputs, targets).item()]


def judge_overfit(losses: Sequence[float], V: int, counts: float) -> list[str]:
    """What is wrong with a run on one batch: nothing, if all is as it should be."""
    wrong = []
    if abs(losses[0] - math.log(V)) > 0.5:
        wrong.append(
            f"the first loss is {losses[0]:.2f}, not near ln V = {math.log(V):.2f}"
        )
    if not losses[-1] < 0.1 * counts:
        wrong.append(
            f"the last loss is {losses[-1]:.2f}; knowing the batch by heart, it would be under "
            f"{0.1 * counts:.2f}, a tenth of what counting its tokens costs"
        )
    return wrong


# ---- Gradients against numeric differences


def gradient_errors(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss = loss_of,
    step: float = 1e-4,
    seed: int = 0,
) -> dict[str, float]:
    """For each weight tensor, how far its gradient is from the slope along a random direction.

    Both in float64, without dropout; the error is a share of the gradient's
    length, so a tensor that the loss does not depend on has 0.
    """
    model = copy.deepcopy(model).double().eval()
    value = loss(model, inputs, targets)
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(
        value, list(named.values()), allow_unused=True
    )
    generator, errors = torch.Generator().manual_seed(seed), {}
    for (name, weight), gradient in zip(named.items(), gradients):
        gradient = torch.zeros_like(weight) if gradient is None else gradient
        # Along the gradient the slope is its length; the random half finds what is missing in it.
        length = gradient.norm().item()
        random = torch.randn(
            weight.shape, generator=generator, dtype=torch.float64
        )
        direction = random / random.norm() + (
            gradient / length if length else 0
        )
        direction = direction.to(weight.device) / direction.norm()
        start = weight.detach().clone()
        sides = []
        with torch.no_grad():
            for sign in (1, -1):
                weight.copy_(start + sign * step * direction)
                sides.append(loss(model, inputs, targets).item())
            weight.copy_(start)
        slope = (sides[0] - sides[1]) / (2 * step)
        by_gradient = (gradient * direction).sum().item()
        errors[name] = abs(slope - by_gradient) / max(abs(slope), length, 1e-8)
    return errors


# ---- What each part is worth


def without_positions(model: GPTModel) -> None:
    nn.init.zeros_(model.pos_emb.weight).requires_grad_(False)


def without_shortcuts(model: GPTModel) -> None:
    for block in model.blocks:
        block.forward = lambda x, b=block: b.feed_forward(
            b.norm2(b.attention(b.norm1(x)))
        )


def without_norms(model: GPTModel) -> None:
    model.final_norm = nn.Identity()
    for block in model.blocks:
        block.norm1 = block.norm2 = nn.Identity()


def without_attention(model: GPTModel) -> None:
    for block in model.blocks:
        block.forward = lambda x, b=block: x + b.feed_forward(b.norm2(x))


def without_feed_forward(model: GPTModel) -> None:
    for block in model.blocks:
        block.forward = lambda x, b=block: x + b.attention(b.norm1(x))


PARTS = {
    "whole": lambda model: None,
    "no positions": without_positions,
    "no norms": without_norms,
    "no shortcuts": without_shortcuts,
    "no feed-forward": without_feed_forward,
    "no attention": without_attention,
}


def train_without(
    config,
    change: Callable[[GPTModel], None],
    ids: Tensor,
    n_steps: int,
    seed: int,
) -> GPTModel:
    """A new model of these sizes with a part taken out, trained on random windows.

    Shapes: ids (n,).
    """
    torch.manual_seed(seed)
    model = GPTModel(config)
    change(model)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    T = config.context_length
    for step in range(n_steps):
        for (
            group
        ) in optimizer.param_groups:  # it rises for a tenth, then falls to 0
            done = (step + 1) / n_steps
            group["lr"] = (
                3e-3 * min(10 * done, 1.0) * math.cos(math.pi / 2 * done)
            )
        starts = torch.randint(len(ids) - T, (16,))
        windows = torch.stack([ids[i : i + T + 1] for i in starts])
        loss = loss_of(model, windows[:, :-1], windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


@torch.no_grad()
def bits_of_windows(
    model: nn.Module, ids: Tensor, n_bytes: int, T: int
) -> float:
    """What a byte of a text costs, in windows of T tokens. Shapes: ids (n,).

    Of a last window that is not full, its share of the bytes is left out.
    """
    n = (len(ids) - 1) // T * T
    inputs, targets = ids[:n].view(-1, T), ids[1 : n + 1].view(-1, T)
    nats = sum(
        loss_of(model, x, y).item() * y.numel()
        for x, y in zip(inputs.split(32), targets.split(32))
    )
    return nats / math.log(2) / (n_bytes * n / (len(ids) - 1))


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean over seeds, and half of its 95% interval (Student's t)."""
    return paired_difference(values, [0.0] * len(values))


def draw(found: dict[str, list[float]], path: Path) -> None:
    """Bits per byte of every part taken out, with intervals, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    ax = figure.add_subplot()
    names = list(found)[::-1]
    means, halves = zip(*(mean_and_half(found[name]) for name in names))
    ax.barh(
        names,
        means,
        xerr=None if math.isnan(halves[0]) else halves,
        color="#4477aa",
    )
    ax.set(
        xlabel="bits per byte on text that was held out",
        title="One part taken out",
    )
    with saved_whole(path) as draft:
        figure.savefig(draft, format="png", dpi=120)


# ---- The command


def read_texts(path: str | None) -> tuple[str, str]:
    """A text to train on and one to measure on: a file's parts, or the course's corpus.

    Raises: OSError or ValueError if the file cannot be read as UTF-8.
    """
    if path is None:
        parts = (
            generate_documents(1, None, 600_000),
            generate_documents(2, None, 60_000, held_out=True),
        )
        return tuple(END_OF_TEXT.join(documents) for documents in parts)
    text = read_text(path)
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def run_overfit(
    args: argparse.Namespace, model: GPTModel, tokenizer: BPETokenizer
) -> None:
    config, (text, _) = model.config, read_texts(args.text)
    T = min(config.context_length, 64)
    inputs, targets = as_batch(tokenizer, text, 4, T)
    torch.manual_seed(0)
    losses = overfit(type(model)(config), inputs, targets, args.steps or 200)
    counts = entropy_of(targets)
    print(
        f"first loss {losses[0]:.2f} (ln V {math.log(config.vocab_size):.2f})"
    )
    print(
        f"last loss  {losses[-1]:.3f} (counting the batch's tokens: {counts:.2f})"
    )
    if wrong := judge_overfit(losses, config.vocab_size, counts):
        raise ValueError("; ".join(wrong))
    print("it learns one batch by heart")


def run_gradients(
    args: argparse.Namespace, model: GPTModel, tokenizer: BPETokenizer
) -> None:
    text, _ = read_texts(args.text)
    inputs, targets = as_batch(
        tokenizer, text, 2, min(model.config.context_length, 16)
    )
    errors = gradient_errors(model, inputs, targets)
    worst = sorted(errors, key=errors.get, reverse=True)
    for name in worst[:5]:
        print(f"{errors[name]:.0e}  {name}")
    if errors[worst[0]] > TOLERANCE:
        raise ValueError(
            f"the gradient of {worst[0]} is not the slope of the loss"
        )
    print(
        f"the gradients of {len(errors)} tensors are slopes of the loss, to {TOLERANCE:.0e}"
    )


def run_ablate(
    args: argparse.Namespace, model: GPTModel, tokenizer: BPETokenizer
) -> None:
    if type(model) is not GPTModel:
        raise ValueError(
            f"{args.model} is no GPT of chapter 4: its parts have other names"
        )
    out = Path(args.out)
    check_writable(out)
    small = replace(
        model.config,
        n_layers=3,
        emb_dim=96,
        n_heads=4,
        context_length=64,
        drop_rate=0.0,
    )
    train_text, test_text = read_texts(args.text)
    train_ids, test_ids = (
        torch.tensor(tokenizer.encode(text, allowed_special={END_OF_TEXT}))
        for text in (train_text, test_text)
    )
    if min(len(train_ids), len(test_ids)) < 1000:
        raise ValueError("the text is too short: 10,000 tokens are needed")
    n_bytes = len(test_text.replace(END_OF_TEXT, "").encode())
    found = {}
    for name, change in PARTS.items():
        for seed in range(args.seeds):
            trained = train_without(
                small, change, train_ids, args.steps or 300, seed
            )
            bits = bits_of_windows(
                trained, test_ids, n_bytes, small.context_length
            )
            found.setdefault(name, []).append(bits)
        mean, half = mean_and_half(found[name])
        print(f"{name:16} {mean:.3f} ± {half:.3f} bits per byte", flush=True)
    draw(found, out / "ablation.png")
    with saved_whole(out / "ablation.json") as draft:
        draft.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"picture and numbers are in {out}")


RUNS = {
    "overfit": run_overfit,
    "gradients": run_gradients,
    "ablate": run_ablate,
}


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.foundations",
        description="Ask a model what it must be able to do before a long training.",
    )
    add = parser.add_argument
    add("what", choices=RUNS)
    add(
        "model",
        help="a model folder, or course, gpt2, …: its sizes and its tokenizer count",
    )
    add("--text", help="a UTF-8 text file [the course's corpus]")
    add(
        "--steps",
        type=int,
        help="of a training [200 for one batch, 300 without a part]",
    )
    add("--seeds", type=int, default=3, help="of ablate [%(default)s]")
    add(
        "--out",
        default="runs/foundations",
        help="the folder of ablate [%(default)s]",
    )
    args = parser.parse_args(arguments)
    if args.seeds < 1 or (args.steps is not None and args.steps < 1):
        parser.error("--seeds and --steps must be at least 1")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    args = parse_arguments(arguments)
    try:
        RUNS[args.what](args, *load_pretrained(args.model))
    except (ValueError, OSError) as error:
        raise SystemExit(f"foundations: {error}") from None


if __name__ == "__main__":
    main()
