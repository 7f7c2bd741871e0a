"""Chapter 4's GPT in pure Python, number by number, on appendix A's Value.

Dimension key: T tokens, C embedding (emb_dim), H heads, D head size (C // H),
V vocabulary (vocab_size). A row is a list of Values, a matrix a list of rows.
"""

import math
from collections.abc import Sequence

from appendix_a.autograd import Value, cross_entropy
from ch04.gpt import GPTConfig

Row = list[Value]
Matrix = list[Row]


def total(values: Sequence[Value]) -> Value:
    """The sum, as one Value: its slope for each of them is 1."""
    ones = (1.0,) * len(values)
    return Value(sum(v.data for v in values), "sum", tuple(values), ones)


def dot(a: Row, b: Row) -> Value:
    """The sum of a[i] b[i], as one Value.

    The slope for a[i] is b[i], and the other way round.
    """
    slopes = [y.data for y in b] + [x.data for x in a]
    value = sum(x.data * y.data for x, y in zip(a, b))
    return Value(value, "dot", (*a, *b), tuple(slopes))


def dot_by_steps(a: Row, b: Row) -> Value:
    """The same with appendix A's operations: a Value for each * and each +."""
    return sum((x * y for x, y in zip(a, b)), Value(0.0))


def linear(x: Row, weight: Matrix, bias: Row | None = None) -> Row:
    """Each output is the dot product of x and a row of the weight."""
    outputs = [dot(x, row) for row in weight]
    return outputs if bias is None else add(outputs, bias)


def add(a: Row, b: Row) -> Row:
    return [x + y for x, y in zip(a, b)]


def layer_norm(x: Row, scale: Row, shift: Row, eps: float = 1e-5) -> Row:
    """ch04: mean 0 and variance 1, then a learned scale and shift."""
    mean = total(x) / len(x)
    centred = [value - mean for value in x]
    variance = dot(centred, centred) / len(x)
    per_deviation = (variance + eps) ** -0.5
    return [v * per_deviation * s + b for v, s, b in zip(centred, scale, shift)]


def gelu(x: Value) -> Value:
    """ch04: x times the share of normal numbers below x, by tanh."""
    bent = ((x + x**3 * 0.044715) * math.sqrt(2 / math.pi)).tanh()
    return x * (bent + 1.0) * 0.5


def softmax(scores: Row) -> Row:
    largest = max(score.data for score in scores)  # so exp cannot overflow
    powers = [(score - largest).exp() for score in scores]
    per_total = total(powers) ** -1
    return [power * per_total for power in powers]


def attention(qkv: Matrix, n_heads: int) -> Matrix:
    """ch03: each token reads itself and those before it, in every head.

    Shapes: qkv (T, 3C) -> (T, C).
    """
    C = len(qkv[0]) // 3
    D = C // n_heads
    outputs = []
    for t in range(len(qkv)):
        heads = []
        for h in range(0, C, D):
            query = qkv[t][h : h + D]
            keys = [row[C + h : C + h + D] for row in qkv[: t + 1]]
            values = [row[2 * C + h : 2 * C + h + D] for row in qkv[: t + 1]]
            scores = [dot(query, key) * D**-0.5 for key in keys]
            weights = softmax(scores)
            # zip(*values) turns rows into columns: one for each of D numbers
            heads += [dot(weights, list(column)) for column in zip(*values)]
        outputs.append(heads)
    return outputs


class PythonGPT:
    """A GPT whose every weight is a Value.

    weights holds nested lists of numbers under the names that GPTModel's
    parameters have; a tied output layer has none of its own.
    Raises: ValueError as check_ids, from every method that reads ids.
    """

    def __init__(self, config: GPTConfig, weights: dict[str, list]):
        self.config = config
        self.weights = {name: as_values(w) for name, w in weights.items()}

    def parameters(self) -> Row:
        """All weights, in the order of GPTModel.parameters()."""
        return [v for weight in self.weights.values() for v in flat(weight)]

    def logits(self, ids: Sequence[int]) -> Matrix:
        """One score for each token that could come next, at every position.

        Shapes: ids (T,) -> (T, V).
        """
        check_ids(self.config, ids)
        w = self.weights
        x = [
            add(w["tok_emb.weight"][i], p)
            for i, p in zip(ids, w["pos_emb.weight"])
        ]
        for i in range(self.config.n_layers):
            x = self.block(x, f"blocks.{i}.")
        head = w.get("out_head.weight", w["tok_emb.weight"])
        scale, shift = w["final_norm.scale"], w["final_norm.shift"]
        return [linear(layer_norm(row, scale, shift), head) for row in x]

    def block(self, x: Matrix, name: str) -> Matrix:
        """Attention, then feed-forward; each adds to the stream of vectors.

        Shapes: x (T, C) -> (T, C).
        """
        w = {n.removeprefix(name): v for n, v in self.weights.items()}

        def layer(x: Row, part: str) -> Row:
            return linear(x, w[f"{part}.weight"], w.get(f"{part}.bias"))

        def norm(x: Row, part: str) -> Row:
            return layer_norm(x, w[f"{part}.scale"], w[f"{part}.shift"])

        qkv = [layer(norm(row, "norm1"), "attention.qkv") for row in x]
        heads = attention(qkv, self.config.n_heads)
        x = [add(row, layer(h, "attention.proj")) for row, h in zip(x, heads)]
        outputs = []
        for row in x:
            wide = layer(norm(row, "norm2"), "feed_forward.layers.0")
            bent = [gelu(value) for value in wide]
            outputs.append(add(row, layer(bent, "feed_forward.layers.2")))
        return outputs

    def loss(
        self,
        inputs: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
    ) -> Value:
        """The mean cross-entropy of a batch.

        Shapes: inputs and targets (B, T) -> a number.
        """
        losses = []
        for ids, wanted in zip(inputs, targets, strict=True):
            scores = self.logits(ids)
            losses += [
                cross_entropy(row, target)
                for row, target in zip(scores, wanted, strict=True)
            ]
        return total(losses) / len(losses)

    def train_step(
        self,
        optimizer: "PythonAdamW",
        inputs: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
    ) -> float:
        """One step of training; the loss before it."""
        loss = self.loss(inputs, targets)
        loss.backward()
        optimizer.step()
        return loss.data


class PythonAdamW:
    """AdamW as in torch.optim: every weight decays.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """

    def __init__(
        self,
        parameters: Row,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ):
        self.parameters, self.lr, self.betas = parameters, lr, betas
        self.eps, self.weight_decay, self.steps = eps, weight_decay, 0
        self.means = [0.0] * len(parameters)
        self.squares = [0.0] * len(parameters)

    def step(self) -> None:
        """Change every parameter by its grad, and set that to 0."""
        self.steps += 1
        beta1, beta2 = self.betas
        unbias1, unbias2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        for i, parameter in enumerate(self.parameters):
            g, parameter.grad = parameter.grad, 0.0
            self.means[i] = m = beta1 * self.means[i] + (1 - beta1) * g
            self.squares[i] = v = beta2 * self.squares[i] + (1 - beta2) * g * g
            parameter.data *= 1 - self.lr * self.weight_decay
            per_size = 1 / (math.sqrt(v / unbias2) + self.eps)
            parameter.data -= self.lr * m / unbias1 * per_size


def check_ids(config: GPTConfig, ids: Sequence[int]) -> None:
    """Raise ValueError for more tokens than fit, or an id that is none."""
    if len(ids) > config.context_length:
        limit = f"context_length={config.context_length}"
        raise ValueError(f"{len(ids)} tokens do not fit into {limit}")
    for i in ids:
        if not 0 <= i < config.vocab_size:
            limit = f"vocab_size={config.vocab_size}"
            raise ValueError(f"id {i} is outside {limit}")


def as_values(numbers: list | float) -> list | Value:
    """The same nested lists, with a Value for every number."""
    if isinstance(numbers, list):
        return [as_values(part) for part in numbers]
    return Value(numbers)


def flat(values: list | Value) -> Row:
    """The Values of nested lists, in order."""
    if isinstance(values, Value):
        return [values]
    return [value for part in values for value in flat(part)]
