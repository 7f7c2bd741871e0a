"""A GPT whose numbers live in C: gpt.c behind a class that checks what C would not.

    gpt = CGPT.from_folder("course")  # C reads the safetensors file itself
    gpt.generate(tokenizer.encode("Once"), 20)
    loss = gpt.train_step(inputs, targets)

Dimension key: B batch, T tokens, C embedding (emb_dim), V vocabulary.
"""

import ctypes
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from appendix_f.native import check_array, load
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import COURSE_FOLDER, find_file, read_config


def use_threads(n: int = 0, library=None) -> int:
    """Let C use n threads (0: as many as before); give how many there are."""
    if n < 0:
        raise ValueError(f"{n} threads: give 1 or more, or 0 to leave them")
    return (library or load("gpt.c")).use_threads(n)


class Memory:
    """C's memory of one model, given back when nothing refers to it."""

    def __init__(self, library, *sizes: int):
        self.library, self.at = library, library.gpt_new(*sizes)
        if not self.at:
            raise MemoryError("there is no memory for a model of this size")

    def floats(self, address: int, n: int) -> Tensor:
        """A tensor of n numbers that stand in this memory."""
        array = (ctypes.c_float * n).from_address(address)
        array.memory = self  # as long as the tensor lives
        return torch.frombuffer(array, dtype=torch.float32)

    def __del__(self):
        if getattr(self, "at", None):
            self.library.gpt_free(self.at)


class CGPT:
    """A GPT of the course, computed by C.

    The flat tensors weights and gradients are C's own memory: whoever writes
    into them changes the model. Their order is that of model.parameters().
    Raises: ValueError for dropout, which C has not, or for no tokens at all.
    """

    def __init__(
        self,
        config: GPTConfig,
        max_tokens: int = 2048,
        library=None,
    ):
        if config.drop_rate:
            raise ValueError(
                f"drop_rate={config.drop_rate} must be 0: the C has no dropout"
            )
        if max_tokens < 1:
            raise ValueError(f"max_tokens={max_tokens} must be at least 1")
        self.config = config
        self.max_tokens = max(max_tokens, config.context_length)
        self.library = library or load("gpt.c")
        self.memory = Memory(
            self.library,
            config.vocab_size,
            config.context_length,
            config.emb_dim,
            config.n_heads,
            config.n_layers,
            config.qkv_bias,
            config.tie_weights,
            self.max_tokens,
        )
        self.size = self.library.gpt_size(self.memory.at)
        self.weights = self._tensor("gpt_weights", self.size)
        n = self.max_tokens * config.emb_dim
        self.final = self._tensor("gpt_final", n).view(self.max_tokens, -1)
        self.gradients = self._tensor("gpt_gradients", self.size)
        self.n_kept = 0  # tokens whose keys and values C has from next_logits

    def _tensor(self, function: str, n: int) -> Tensor:
        address = getattr(self.library, function)(self.memory.at)
        return self.memory.floats(address, n)

    @classmethod
    def from_model(cls, model: GPTModel, *arguments, **options) -> "CGPT":
        """A copy of a model of chapter 4."""
        gpt = cls(model.config, *arguments, **options)
        gpt.copy_weights(model)
        return gpt

    @classmethod
    def from_folder(cls, folder: str | Path, *arguments, **options) -> "CGPT":
        """The model of a folder, or the course's; C reads the safetensors.

        Raises: FileNotFoundError, or ValueError that names the wrong weight.
        """
        folder = COURSE_FOLDER if str(folder) == "course" else folder
        config = read_config(find_file(folder, "config.json"))
        gpt = cls(config, *arguments, **options)
        path = find_file(folder, "model.safetensors")
        if wrong := gpt.library.gpt_load(gpt.memory.at, os.fsencode(path)):
            raise ValueError(
                f"{path} does not fit its config.json: {wrong.decode().rstrip(chr(34) + ':')} is "
                "missing, of another size, or not of 16 or 32 bits"
            )
        return gpt

    def copy_weights(self, model: nn.Module) -> None:
        """Take a model's weights.

        Raises: ValueError if it has another number of them.
        """
        flat = nn.utils.parameters_to_vector(model.parameters()).detach()
        if flat.numel() != self.size:
            raise ValueError(
                f"the model has {flat.numel():,} weights, this one "
                f"{self.size:,}: their configs differ"
            )
        self.weights.copy_(flat)

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Cut weights or gradients into the tensors of named_parameters()."""
        with torch.device("meta"):  # shapes without numbers
            shapes = {
                name: p.shape
                for name, p in GPTModel(self.config).named_parameters()
            }
        parts = flat.split([shape.numel() for shape in shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(shapes.items(), parts)
        }

    def _check(self, idx: Tensor, targets: Tensor | None = None) -> None:
        self.n_kept = 0  # what comes after this writes over them
        check_array(idx, torch.int64, "idx")
        if idx.dim() != 2 or not idx.numel():
            raise ValueError(f"idx is {tuple(idx.shape)}, and must be (B, T)")
        T, V = idx.shape[1], self.config.vocab_size
        if T > self.config.context_length:
            limit = f"context_length={self.config.context_length}"
            raise ValueError(f"{T} tokens do not fit into {limit}")
        if idx.numel() > self.max_tokens:
            raise ValueError(
                f"a batch of {idx.numel()} tokens is above "
                f"max_tokens={self.max_tokens}"
            )
        low, high = int(idx.min()), int(idx.max())
        if low < 0 or high >= V:
            wrong = low if low < 0 else high
            raise ValueError(f"id {wrong} is outside vocab_size={V}")
        if targets is None:
            return
        check_array(targets, torch.int64, "targets")
        if targets.shape != idx.shape:
            raise ValueError(
                f"targets are {tuple(targets.shape)}, and idx is "
                f"{tuple(idx.shape)}"
            )
        counted = targets[targets != IGNORE]
        if len(counted) and not 0 <= int(counted.min()) <= counted.max() < V:
            wrong = next(i for i in counted.tolist() if not 0 <= i < V)
            raise ValueError(
                f"target {wrong} is neither an id below vocab_size={V} nor "
                f"{IGNORE}"
            )

    def features(self, idx: Tensor) -> Tensor:
        """Everything but the output layer: idx (B, T) -> (B, T, C)."""
        self._check(idx)
        self.library.gpt_features(self.memory.at, idx, 0, *idx.shape)
        return self.final[: idx.numel()].clone().view(*idx.shape, -1)

    def logits(self, idx: Tensor) -> Tensor:
        """The scores of every next token: idx (B, T) -> (B, T, V)."""
        return self._head(self.features(idx))

    def _head(self, x: Tensor) -> Tensor:
        """x (..., C) -> (..., V)."""
        V, C = self.config.vocab_size, self.config.emb_dim
        logits = torch.empty(*x.shape[:-1], V)
        # Tied, the head is the first matrix; else it is the last.
        head = self.weights[: V * C]
        if not self.config.tie_weights:
            head = self.weights[-V * C :]
        N = x.numel() // C
        self.library.linear_forward(logits, x, head, None, N, C, V)
        return logits

    def loss(self, idx: Tensor, targets: Tensor) -> float:
        """The mean cross-entropy of a batch; targets of -100 do not count."""
        self._check(idx, targets)
        self.library.gpt_features(self.memory.at, idx, 0, *idx.shape)
        return self.library.gpt_loss(self.memory.at, targets, 0)

    def learn(self, idx: Tensor, targets: Tensor) -> float:
        """The loss of a batch; gradients holds its gradient afterwards."""
        self._check(idx, targets)
        return self.library.gpt_learn(self.memory.at, idx, targets, *idx.shape)

    def train_step(
        self,
        idx: Tensor,
        targets: Tensor,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> float:
        """One step of AdamW on a batch, as torch.optim.AdamW; the loss before it."""
        loss = self.learn(idx, targets)
        self.library.gpt_update(self.memory.at, lr, *betas, eps, weight_decay)
        return loss

    def next_logits(self, ids: list[int], first: int = 0) -> Tensor:
        """The scores after these ids, which stand from position first on: (V,).

        What C computed for the earlier ones, in the calls before, it has kept.
        """
        T, V = first + len(ids), self.config.vocab_size
        if not ids or first < 0 or T > self.config.context_length:
            limit = f"context_length={self.config.context_length}"
            raise ValueError(
                f"{len(ids)} tokens from position {first} on do not fit into {limit}"
            )
        if first > self.n_kept:
            raise ValueError(
                f"position {first} is asked for after {self.n_kept} tokens: "
                "give those before it first"
            )
        for wrong in ids:
            if not 0 <= wrong < V:
                raise ValueError(f"id {wrong} is outside vocab_size={V}")
        idx = torch.tensor(ids)
        self.library.gpt_features(self.memory.at, idx, first, 1, T)
        self.n_kept = T
        return self._head(self.final[len(ids) - 1])

    def generate(self, ids: list[int], n_tokens: int) -> list[int]:
        """Go on with the most likely tokens: the ids and n_tokens more.

        Raises: ValueError if they do not fit into the context.
        """
        ids = list(ids)
        if len(ids) + n_tokens > self.config.context_length:
            limit = f"context_length={self.config.context_length}"
            raise ValueError(
                f"{len(ids)} tokens and {n_tokens} more do not fit into {limit}"
            )
        read = 0
        for _ in range(n_tokens):
            logits = self.next_logits(ids[read:], read)
            read = len(ids)
            ids.append(int(logits.argmax()))
        return ids
