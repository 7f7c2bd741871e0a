"""LoRA, finetuning through small matrices: the final definitions of appendix E.

Dimension key: C embedding (emb_dim), r rank; a linear layer's weight is
(out, in).
Source: Hu et al. 2021 (arXiv:2106.09685).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ch04.gpt import GPTConfig
from ch05.files import saved_whole

BLOCK_LINEARS = (  # how the names of a block's four linear layers end
    *("attention.qkv", "attention.proj"),
    *("feed_forward.layers.0", "feed_forward.layers.2"),
)


class LoRALayer(nn.Module):
    """What is added to a linear layer: alpha / rank times B A x.

    B is zero at the start, and so is what is added.
    Shapes: x (..., in) -> (..., out); A (r, in), B (out, r).
    Raises: ValueError if the rank is not whole, below 1 or more than a matrix
    (out, in) can have, or if alpha is not above 0 and finite.
    Source: Hu et al. 2021, section 4.1.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int, alpha: float
    ):
        super().__init__()
        limit = min(in_features, out_features)
        if not isinstance(rank, int) or not 1 <= rank <= limit:
            what = f"must be a whole number from 1 to {limit}"
            raise ValueError(f"rank={rank} {what}")
        if not 0 < alpha < torch.inf:
            raise ValueError(f"alpha={alpha} must be above 0 and finite")
        self.rank, self.alpha = rank, alpha
        self.A = nn.Parameter(torch.empty(rank, in_features))
        self.B = nn.Parameter(torch.zeros(out_features, rank))
        bound = in_features**-0.5  # as nn.Linear draws its weights
        nn.init.uniform_(self.A, -bound, bound)

    @property
    def scaling(self) -> float:
        return self.alpha / self.rank

    def forward(self, x: Tensor) -> Tensor:
        small = F.linear(x, self.A)  # (..., in) -> (..., r)
        return self.scaling * F.linear(small, self.B)  # -> (..., out)

    def weight_change(self) -> Tensor:
        """The same change as one matrix: (out, in)."""
        return self.scaling * self.B @ self.A


class LinearWithLoRA(nn.Module):
    """A frozen linear layer and, beside it, the change that is learned.

    Shapes: x (..., in) -> (..., out).
    Raises: ValueError as LoRALayer.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float):
        super().__init__()
        sizes = linear.in_features, linear.out_features
        self.lora = LoRALayer(*sizes, rank, alpha)
        self.lora.to(linear.weight)  # its device and type
        self.linear = linear.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.lora(x)

    @torch.no_grad()
    def merge(self) -> nn.Linear:
        """Add the change to the frozen weight, and return the plain layer."""
        self.linear.weight += self.lora.weight_change()
        return self.linear


def lora_layers(model: nn.Module) -> dict[str, LinearWithLoRA]:
    """The layers of a model that carry LoRA, by name; there may be none."""
    named = model.named_modules()
    return {name: m for name, m in named if isinstance(m, LinearWithLoRA)}


def add_lora(
    model: nn.Module,
    rank: int,
    alpha: float,
    names: Sequence[str] = BLOCK_LINEARS,
    trainable: Sequence[str] = (),
) -> list[str]:
    """Put LoRA beside the linear layers whose names end in one of names.

    Everything is frozen but A, B and the modules called trainable. If
    something is refused, the model is as before. Returns the full names of the
    layers.
    Raises: ValueError as LoRALayer, for LoRA in the model already, for a name
    that no linear layer has or whose weight another layer shares, for a
    trainable that is not there or gets LoRA inside.
    """
    if lora_layers(model):
        what = "merge it before you add another"
        raise ValueError(f"the model has LoRA already: {what}")
    modules = dict(model.named_modules())
    linears = {n: m for n, m in modules.items() if isinstance(m, nn.Linear)}
    endings = tuple(f".{name}" for name in names)
    chosen = {n: m for n, m in linears.items() if f".{n}".endswith(endings)}
    for ending in endings:
        if not any(f".{name}".endswith(ending) for name in chosen):
            what = f"a name that ends in {ending[1:]!r}"
            raise ValueError(f"no linear layer has {what}")
    if not chosen:
        raise ValueError("no names are given: LoRA would train nothing")
    owners = Counter(
        id(p) for m in modules.values() for p in m.parameters(recurse=False)
    )
    for name, linear in chosen.items():
        if owners[id(linear.weight)] > 1:
            what = "shares its weight with another layer: it cannot be merged"
            raise ValueError(f"{name} {what}")
    for name in trainable:
        what = f"{name!r} cannot stay trainable"
        if name == "" or name not in modules:
            raise ValueError(f"{what}: it is not there")
        for its_layer in chosen:
            if f"{its_layer}.".startswith(f"{name}."):
                raise ValueError(f"{what}: {its_layer} gets LoRA")
    # The smallest layer first: a rank too large for one is refused before any
    # layer is frozen.
    by_size = sorted(chosen, key=lambda name: min(chosen[name].weight.shape))
    replaced = {n: LinearWithLoRA(chosen[n], rank, alpha) for n in by_size}
    model.requires_grad_(False)
    for name in trainable:
        modules[name].requires_grad_(True)
    for name, layer in replaced.items():
        model.set_submodule(name, layer)
    return list(chosen)


def merge_lora(model: nn.Module) -> list[str]:
    """Add every change to its weight and restore the plain linear layers.

    They stay frozen. Returns their names.
    Raises: ValueError if there is no LoRA in the model.
    """
    layers = lora_layers(model)
    if not layers:
        raise ValueError("there is no LoRA in the model to merge")
    for name, layer in layers.items():
        model.set_submodule(name, layer.merge())
    return list(layers)


def lora_parameters(config: GPTConfig, rank: int) -> int:
    """How many numbers LoRA trains in a GPT's blocks: 16 r C in each."""
    return 16 * rank * config.emb_dim * config.n_layers


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """What was learned: every A and B, and what else is not frozen.

    Raises: ValueError if there is no LoRA in the model.
    """
    layers = lora_layers(model).values()
    if not layers:
        raise ValueError("there is no LoRA in the model to save or load")
    parts = {id(p) for layer in layers for p in layer.lora.parameters()}
    return {
        name: p.detach()
        for name, p in model.named_parameters()
        if p.requires_grad or id(p) in parts
    }


def describe_lora(model: nn.Module) -> dict[str, str]:
    """Rank and alpha of every layer; alpha is in no tensor."""
    return {
        name: f"rank {layer.lora.rank}, alpha {layer.lora.alpha:g}"
        for name, layer in lora_layers(model).items()
    }


def save_lora(model: nn.Module, path: str | Path) -> None:
    """Write what was learned, and rank and alpha, whole or not at all.

    Raises: ValueError if there is no LoRA in the model, OSError if the file
    cannot be written.
    """
    state = lora_state(model).items()
    tensors = {name: w.cpu().contiguous() for name, w in state}
    with saved_whole(path) as draft:
        save_file(tensors, draft, metadata=describe_lora(model))


@torch.no_grad()
def load_lora(model: nn.Module, path: str | Path) -> None:
    """Read an adapter into a model to which the same LoRA was added.

    If something is refused, the model is as before.
    Raises: FileNotFoundError if there is no file, ValueError if it is damaged,
    has another rank, alpha or layers, or has tensors of other names or shapes,
    or of numbers that are not finite.
    """
    wanted = lora_state(model)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no adapter {path}")
    try:
        with safe_open(path, "pt") as file:
            theirs = file.metadata() or {}
            read = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"the adapter {path} is damaged: {error}") from None
    ours = describe_lora(model)
    for name in sorted(ours.keys() | theirs.keys()):
        has, needs = (d.get(name, "no LoRA") for d in (theirs, ours))
        if has != needs:
            what = f"has {has} in {name}, the model {needs}"
            raise ValueError(f"the adapter {what}")
    for name in sorted(wanted.keys() | read.keys()):
        has, needs = (
            tuple(part[name].shape) if name in part else None
            for part in (read, wanted)
        )
        if has != needs:
            what = f"is {has} in the adapter, {needs} in the model"
            raise ValueError(f"{name} {what}")
        if not (read[name].is_floating_point() and read[name].isfinite().all()):
            what = "in the adapter does not hold finite decimal numbers"
            raise ValueError(f"{name} {what}")
    for name, weight in wanted.items():
        weight.copy_(read[name])
