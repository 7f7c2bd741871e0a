"""LoRA, finetuning through small matrices: the final definitions that appendix-E.ipynb builds.

Dimension key: C embedding (emb_dim), r rank; the weight of a linear layer is (out, in).
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

# How the names of a block's linear layers end: attention first, then feed-forward.
BLOCK_LINEARS = (
    *("attention.qkv", "attention.proj"),
    *("feed_forward.layers.0", "feed_forward.layers.2"),
)


class LoRALayer(nn.Module):
    """What is added to a linear layer: alpha / rank times B A x, with B zero at the start.

    Shapes: x (..., in) -> (..., out); A (r, in), B (out, r).
    Raises: ValueError if the rank is not whole, below 1 or more than a matrix (out, in) can have,
    or if alpha is not above 0 and finite.
    Source: Hu et al. 2021, section 4.1.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float):
        super().__init__()
        limit = min(in_features, out_features)
        if not isinstance(rank, int) or not 1 <= rank <= limit:
            raise ValueError(f"rank={rank} must be a whole number from 1 to {limit}")
        if not 0 < alpha < torch.inf:
            raise ValueError(f"alpha={alpha} must be above 0 and finite")
        self.rank, self.alpha = rank, alpha
        self.A = nn.Parameter(torch.empty(rank, in_features))
        self.B = nn.Parameter(torch.zeros(out_features, rank))  # so the change starts as nothing
        nn.init.uniform_(self.A, -(in_features**-0.5), in_features**-0.5)  # as nn.Linear does

    @property
    def scaling(self) -> float:
        return self.alpha / self.rank

    def forward(self, x: Tensor) -> Tensor:
        return self.scaling * F.linear(F.linear(x, self.A), self.B)  # (..., in) -> r -> (..., out)

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
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)
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
    return {name: m for name, m in model.named_modules() if isinstance(m, LinearWithLoRA)}


def add_lora(
    model: nn.Module,
    rank: int,
    alpha: float,
    names: Sequence[str] = BLOCK_LINEARS,
    trainable: Sequence[str] = (),
) -> list[str]:
    """Put LoRA beside the linear layers whose names end in one of names, and freeze the rest.

    Only A, B and the modules called trainable can be trained afterwards. If something is refused,
    the model is as before. Returns the full names of the layers.
    Raises: ValueError as LoRALayer, for LoRA in the model already, for a name that no linear layer
    has or whose weight another layer shares, for a trainable that is not there or gets LoRA inside.
    """
    if lora_layers(model):
        raise ValueError("the model has LoRA already: merge it before you add another")
    endings = tuple(f".{name}" for name in names)
    linears = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    chosen = {name: m for name, m in linears.items() if f".{name}".endswith(endings)}
    for ending in endings:
        if not any(f".{name}".endswith(ending) for name in chosen):
            raise ValueError(f"no linear layer has a name that ends in {ending[1:]!r}")
    if not chosen:
        raise ValueError("no names are given: LoRA would train nothing")
    owners = Counter(id(p) for m in model.modules() for p in m.parameters(recurse=False))
    for name, linear in chosen.items():
        if owners[id(linear.weight)] > 1:
            raise ValueError(f"{name} shares its weight with another layer: it cannot be merged")
    modules = dict(model.named_modules())
    for name in trainable:
        if name == "" or name not in modules:
            raise ValueError(f"{name!r} cannot stay trainable: it is not there")
        for its_layer in chosen:
            if f"{its_layer}.".startswith(f"{name}."):
                raise ValueError(f"{name!r} cannot stay trainable: {its_layer} gets LoRA")
    # The smallest layer first: a rank too large for one is refused before any layer is frozen.
    by_size = sorted(chosen, key=lambda name: min(chosen[name].weight.shape))
    replaced = {name: LinearWithLoRA(chosen[name], rank, alpha) for name in by_size}
    model.requires_grad_(False)
    for name in trainable:
        modules[name].requires_grad_(True)
    for name, layer in replaced.items():
        model.set_submodule(name, layer)
    return list(chosen)


def merge_lora(model: nn.Module) -> list[str]:
    """Add every change to its weight and restore the plain linear layers, which stay frozen.

    Returns the names of the layers.
    Raises: ValueError if there is no LoRA in the model.
    """
    layers = lora_layers(model)
    if not layers:
        raise ValueError("there is no LoRA in the model to merge")
    for name, layer in layers.items():
        model.set_submodule(name, layer.merge())
    return list(layers)


def lora_parameters(config: GPTConfig, rank: int) -> int:
    """How many numbers LoRA trains in all linear layers of a GPT's blocks: 16 r C per block."""
    return 16 * rank * config.emb_dim * config.n_layers


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """What was learned: every A and B, and whatever else is not frozen, such as a new head.

    Raises: ValueError if there is no LoRA in the model.
    """
    if not lora_layers(model):
        raise ValueError("there is no LoRA in the model to save or load")
    parts = {id(p) for layer in lora_layers(model).values() for p in layer.lora.parameters()}
    named = model.named_parameters()
    return {name: p.detach() for name, p in named if p.requires_grad or id(p) in parts}


def describe_lora(model: nn.Module) -> dict[str, str]:
    """What an adapter's tensors do not say by themselves: rank and alpha of every layer."""
    layers = lora_layers(model).items()
    return {name: f"rank {layer.lora.rank}, alpha {layer.lora.alpha:g}" for name, layer in layers}


def save_lora(model: nn.Module, path: str | Path) -> None:
    """Write what was learned, and rank and alpha, to a small file; whole or not at all.

    Raises: ValueError if there is no LoRA in the model, OSError if the file cannot be written.
    """
    state = {name: w.cpu().contiguous() for name, w in lora_state(model).items()}
    with saved_whole(path) as draft:
        save_file(state, draft, metadata=describe_lora(model))


@torch.no_grad()
def load_lora(model: nn.Module, path: str | Path) -> None:
    """Read an adapter into a model to which the same LoRA was added; refuse any other, unchanged.

    Raises: FileNotFoundError if there is no file, ValueError if it is damaged, has another rank,
    alpha or layers, or has tensors of other names or shapes, or of numbers that are not finite.
    """
    wanted = lora_state(model)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no adapter {path}")
    try:
        with safe_open(path, "pt") as file:
            described = file.metadata() or {}
            read = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"the adapter {path} is damaged: {error}") from None
    mine = describe_lora(model)
    for name in sorted(mine.keys() | described.keys()):
        if mine.get(name) != described.get(name):
            has, needs = described.get(name, "no LoRA"), mine.get(name, "no LoRA")
            raise ValueError(f"the adapter has {has} in {name}, the model {needs}")
    for name in sorted(wanted.keys() | read.keys()):
        shapes = [tuple(part[name].shape) if name in part else None for part in (read, wanted)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} is {shapes[0]} in the adapter, {shapes[1]} in the model")
        if not (read[name].is_floating_point() and read[name].isfinite().all()):
            raise ValueError(f"{name} in the adapter does not hold finite decimal numbers")
    for name, weight in wanted.items():
        weight.copy_(read[name])
