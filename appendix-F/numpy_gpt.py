"""Chapter 4's GPT in NumPy: every operation with its gradient, by hand.

A backward function reads dy, the gradient of the loss with respect to what its
forward function gave, and returns the gradients of what that one had read.
The formulas write d for a gradient, and sum over what an array shares.

Dimension key: B batch, T tokens, C embedding (emb_dim), H heads, D head size
(C // H), V vocabulary (vocab_size), N = B T rows, I and O a layer's inputs and
outputs.
"""

import math

import numpy as np
from numpy.typing import NDArray

from appendix_f.python_gpt import check_ids
from ch04.gpt import GPTConfig

Array = NDArray[np.floating]
GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def linear_forward(x: Array, weight: Array, bias: Array | None) -> Array:
    """y = x W^T + b. Shapes: x (..., I), weight (O, I) -> (..., O)."""
    y = x @ weight.T
    return y if bias is None else y + bias


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, ...]:
    """dx = dy W, dW = dy^T x, db = sum of dy over the rows."""
    rows, x_rows = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return dy @ weight, rows.T @ x_rows, rows.sum(axis=0)


def layer_norm_forward(
    x: Array, scale: Array, shift: Array, eps: float = 1e-5
) -> tuple[Array, tuple[Array, Array]]:
    """y = n scale + shift, n = (x - mean) r, r = 1 / sqrt(variance + eps).

    Also gives what the backward pass reads: n and r.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    n = centred * r
    return n * scale + shift, (n, r)


def layer_norm_backward(
    dy: Array, kept: tuple[Array, Array], scale: Array
) -> tuple[Array, ...]:
    """dx = r (g - mean(g) - n mean(g n)) with g = dy scale.

    The two means are what a number does to its row's mean and variance.
    dscale = sum of dy n, dshift = sum of dy, over the rows.
    """
    n, r = kept
    g = dy * scale
    through_mean = g.mean(axis=-1, keepdims=True)
    through_variance = n * (g * n).mean(axis=-1, keepdims=True)
    rows = tuple(range(dy.ndim - 1))
    dx = r * (g - through_mean - through_variance)
    return dx, (dy * n).sum(axis=rows), dy.sum(axis=rows)


def gelu_forward(x: Array) -> Array:
    """y = x (1 + tanh u) / 2, u = sqrt(2 / pi) (x + 0.044715 x^3)."""
    u = GELU_SCALE * (x + GELU_CUBE * x**3)
    return 0.5 * x * (1 + np.tanh(u))


def gelu_backward(dy: Array, x: Array) -> Array:
    """dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2), t = tanh u."""
    t = np.tanh(GELU_SCALE * (x + GELU_CUBE * x**3))
    du = GELU_SCALE * (1 + 3 * GELU_CUBE * x**2)
    return dy * 0.5 * (1 + t + x * (1 - t**2) * du)


def split_heads(qkv: Array, n_heads: int) -> tuple[Array, ...]:
    """Queries, keys and values: (B, T, 3C) -> three of (B, H, T, D), views."""
    B, T, C3 = qkv.shape
    parts = qkv.reshape(B, T, 3, n_heads, C3 // 3 // n_heads)
    return tuple(parts.transpose(2, 0, 3, 1, 4))


def merge_heads(heads: Array) -> Array:
    """Side by side again: (B, H, T, D) -> (B, T, C)."""
    B, H, T, D = heads.shape
    return heads.transpose(0, 2, 1, 3).reshape(B, T, H * D)


def attention_forward(qkv: Array, n_heads: int) -> tuple[Array, Array]:
    """O = P v, P = softmax of S = q k^T / sqrt(D), future tokens left out.

    Shapes: qkv (B, T, 3C) -> (B, T, C), and P (B, H, T, T) for the way back.
    """
    q, k, v = split_heads(qkv, n_heads)
    T, D = q.shape[-2:]
    scores = q @ k.swapaxes(-1, -2) * D**-0.5
    scores[..., np.triu(np.ones((T, T), dtype=bool), 1)] = -np.inf
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return merge_heads(weights @ v), weights


def attention_backward(
    dy: Array, qkv: Array, weights: Array, n_heads: int
) -> Array:
    """dv = P^T dO, dP = dO v^T, dq = dS k / sqrt(D), dk = dS^T q / sqrt(D).

    The softmax's way back is one dot product a row: dS = P (dP - sum of P dP).
    """
    q, k, v = split_heads(qkv, n_heads)
    B, H, T, D = q.shape
    dO = dy.reshape(B, T, H, D).transpose(0, 2, 1, 3)
    dP = dO @ v.swapaxes(-1, -2)
    dS = weights * (dP - (weights * dP).sum(axis=-1, keepdims=True))
    dS *= D**-0.5
    dqkv = np.empty_like(qkv)
    dq, dk, dv = split_heads(dqkv, n_heads)  # views: writing fills dqkv
    dq[...] = dS @ k
    dk[...] = dS.swapaxes(-1, -2) @ q
    dv[...] = weights.swapaxes(-1, -2) @ dO
    return dqkv


def cross_entropy(logits: Array, targets: NDArray) -> tuple[float, Array]:
    """loss = mean of -log p[target], p = softmax; dlogits = (p - 1[target]) / N.

    Shapes: logits (B, T, V), targets (B, T) -> a number, (B, T, V).
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    totals = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    log_p = shifted - totals
    at = targets[..., None]
    loss = -np.take_along_axis(log_p, at, axis=-1).mean()
    gradient = np.exp(log_p)
    right = np.take_along_axis(gradient, at, axis=-1) - 1
    np.put_along_axis(gradient, at, right, axis=-1)
    return float(loss), gradient / targets.size


class NumpyGPT:
    """A GPT of arrays, float64 unless another dtype is asked for.

    weights holds an array under each name that GPTModel's parameters have; a
    tied output layer has none of its own.
    """

    def __init__(
        self, config: GPTConfig, weights: dict[str, Array], dtype=np.float64
    ):
        self.config = config
        self.weights = {n: np.array(w, dtype) for n, w in weights.items()}

    def forward(self, idx: NDArray) -> tuple[Array, dict[str, Array]]:
        """The logits, and what the backward pass needs of the way there.

        Shapes: idx (B, T) -> (B, T, V).
        Raises: ValueError as check_ids.
        """
        for ids in idx:
            check_ids(self.config, ids)
        w, kept = self.weights, {}

        def norm(name: str, x: Array) -> Array:
            y, kept[name] = layer_norm_forward(
                x, w[f"{name}.scale"], w[f"{name}.shift"]
            )
            return y

        def layer(name: str, x: Array) -> Array:
            kept[name] = x
            bias = w.get(f"{name}.bias")
            return linear_forward(x, w[f"{name}.weight"], bias)

        x = w["tok_emb.weight"][idx] + w["pos_emb.weight"][: idx.shape[1]]
        for i in range(self.config.n_layers):
            block = f"blocks.{i}"
            qkv = layer(f"{block}.attention.qkv", norm(f"{block}.norm1", x))
            heads, weights = attention_forward(qkv, self.config.n_heads)
            kept[f"{block}.attention"] = qkv, weights
            x = x + layer(f"{block}.attention.proj", heads)
            wide = layer(
                f"{block}.feed_forward.layers.0", norm(f"{block}.norm2", x)
            )
            kept[f"{block}.feed_forward"] = wide
            x = x + layer(f"{block}.feed_forward.layers.2", gelu_forward(wide))
        kept["out_head"] = norm("final_norm", x)
        return kept["out_head"] @ self.head.T, kept

    @property
    def head(self) -> Array:
        """The output layer's weight, which a tied model has in common."""
        return self.weights.get(
            "out_head.weight", self.weights["tok_emb.weight"]
        )

    def loss(self, idx: NDArray, targets: NDArray) -> float:
        """The mean cross-entropy of a batch."""
        return cross_entropy(self.forward(idx)[0], targets)[0]

    def loss_and_gradients(
        self, idx: NDArray, targets: NDArray
    ) -> tuple[float, dict[str, Array]]:
        """The loss of a batch, and its gradient for each weight.

        Shapes: idx and targets (B, T) -> a number, and as the weights.
        """
        logits, kept = self.forward(idx)
        loss, dlogits = cross_entropy(logits, targets)
        w = self.weights
        gradients = {name: np.zeros_like(weight) for name, weight in w.items()}

        def norm(name: str, dy: Array) -> Array:
            dx, dscale, dshift = layer_norm_backward(
                dy, kept[name], w[f"{name}.scale"]
            )
            gradients[f"{name}.scale"], gradients[f"{name}.shift"] = (
                dscale,
                dshift,
            )
            return dx

        def layer(name: str, dy: Array) -> Array:
            weight = w[f"{name}.weight"]
            dx, dweight, dbias = linear_backward(dy, kept[name], weight)
            gradients[f"{name}.weight"] = dweight
            if f"{name}.bias" in w:
                gradients[f"{name}.bias"] = dbias
            return dx

        dx, dhead, _ = linear_backward(dlogits, kept["out_head"], self.head)
        of_head = "out_head" if "out_head.weight" in w else "tok_emb"
        gradients[f"{of_head}.weight"] += dhead
        dx = norm("final_norm", dx)
        for i in reversed(range(self.config.n_layers)):
            block = f"blocks.{i}"
            # A shortcut passes dx on as it is, and adds what comes back.
            dwide = gelu_backward(
                layer(f"{block}.feed_forward.layers.2", dx),
                kept[f"{block}.feed_forward"],
            )
            dx = dx + norm(
                f"{block}.norm2", layer(f"{block}.feed_forward.layers.0", dwide)
            )
            dheads = layer(f"{block}.attention.proj", dx)
            dqkv = attention_backward(
                dheads, *kept[f"{block}.attention"], self.config.n_heads
            )
            dx = dx + norm(
                f"{block}.norm1", layer(f"{block}.attention.qkv", dqkv)
            )
        # Tokens that stand at several places, and positions that all rows
        # share, get the sum.
        np.add.at(gradients["tok_emb.weight"], idx, dx)
        gradients["pos_emb.weight"][: idx.shape[1]] += dx.sum(axis=0)
        return loss, gradients

    def train_step(
        self, optimizer: "NumpyAdamW", idx: NDArray, targets: NDArray
    ) -> float:
        """One step of training; the loss before it."""
        loss, gradients = self.loss_and_gradients(idx, targets)
        optimizer.step(gradients)
        return loss


class NumpyAdamW:
    """AdamW as in torch.optim: every weight decays.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """

    def __init__(
        self,
        weights: dict[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ):
        self.weights, self.lr, self.betas = weights, lr, betas
        self.eps, self.weight_decay, self.steps = eps, weight_decay, 0
        self.means = {n: np.zeros_like(w) for n, w in weights.items()}
        self.squares = {n: np.zeros_like(w) for n, w in weights.items()}

    def step(self, gradients: dict[str, Array]) -> None:
        """Change every weight, in its place."""
        self.steps += 1
        beta1, beta2 = self.betas
        unbias1, unbias2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for name, weight in self.weights.items():
            g, m, v = gradients[name], self.means[name], self.squares[name]
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            weight *= 1 - self.lr * self.weight_decay
            per_size = 1 / (np.sqrt(v / unbias2) + self.eps)
            weight -= self.lr / unbias1 * m * per_size


def directional_error(
    model: NumpyGPT, idx: NDArray, targets: NDArray, step: float = 1e-4
) -> float:
    """How far the gradient is from a measured slope, relative to the slope.

    One direction checks all weights at once: the gradient's own, in which the
    slope is the gradient's length. (L(w + e d) - L(w - e d)) / 2e measures it.
    """
    _, gradients = model.loss_and_gradients(idx, targets)
    length = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    losses = []
    for sign in (1, -1):
        moved = {
            n: w + sign * step / length * gradients[n]
            for n, w in model.weights.items()
        }
        there = NumpyGPT(model.config, moved, model.head.dtype)
        losses.append(there.loss(idx, targets))
    return abs((losses[0] - losses[1]) / (2 * step) - length) / length
