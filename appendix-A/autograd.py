"""Automatic differentiation of single numbers, and a network on it: as appendix-A.ipynb builds it.

A *slope* is a derivative: how much one number changes when another one changes a little.
Source: reverse mode, as in Baydin et al. 2018, section 3.2 (arXiv:1502.05767).
"""

import math
import random
from collections.abc import Sequence
from html import escape
from numbers import Real


class Value:
    """A number that remembers what it was computed from, so that backward() can find slopes.

    slopes[i] is the slope of this number with respect to inputs[i] alone; grad is the slope of
    the number that backward() was called on with respect to this one.
    Raises: TypeError for what is not a number, ValueError where a value or a slope is missing or
    not finite.
    """

    __slots__ = ("data", "grad", "operation", "inputs", "slopes", "name")

    def __init__(
        self,
        data: float,
        operation: str = "",
        inputs: tuple["Value", ...] = (),
        slopes: tuple[float, ...] = (),
        name: str = "",
    ):
        for number in (data, *slopes):
            if not isinstance(number, Real):
                kind = type(number).__name__
                raise TypeError(f"a value or a slope is one number, not {number!r} ({kind})")
            if not math.isfinite(number):
                raise ValueError(f"{operation or 'Value'}: a value or a slope is {number}")
        self.data = float(data)
        self.grad = 0.0
        self.operation, self.inputs, self.slopes = operation, inputs, slopes
        self.name = name

    def __repr__(self) -> str:
        return f"Value({self.data:.4g}, grad={self.grad:.4g})"

    def __add__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data + other.data, "+", (self, other), (1.0, 1.0))

    def __sub__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data - other.data, "-", (self, other), (1.0, -1.0))

    def __mul__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data * other.data, "*", (self, other), (other.data, self.data))

    def __truediv__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        if other.data == 0:
            raise ValueError(f"{self.data} / {other.data} has no value")
        quotient = self.data / other.data
        return Value(quotient, "/", (self, other), (1 / other.data, -quotient / other.data))

    def __pow__(self, exponent: "Value | float") -> "Value":
        base = self.data
        if isinstance(exponent, Value):
            if base <= 0:
                raise ValueError(f"{base} ** Value: the exponent's slope is the base's logarithm")
            return (exponent * self.log()).exp()
        exponent = as_value(exponent).data
        if (base < 0 and not exponent.is_integer()) or (base == 0 and exponent < 1 and exponent):
            raise ValueError(f"{base} ** {exponent} has no value or no slope")
        try:
            power = base**exponent
            slope = exponent * base ** (exponent - 1) if exponent else 0.0
        except OverflowError:
            raise ValueError(f"{base} ** {exponent} or its slope is too large") from None
        return Value(power, f"** {exponent:g}", (self,), (slope,))

    # Python asks these when the number on the left does not know how: 2 + x, 2 - x, ...
    def __radd__(self, other: float) -> "Value":
        return as_value(other) + self

    def __rsub__(self, other: float) -> "Value":
        return as_value(other) - self

    def __rmul__(self, other: float) -> "Value":
        return as_value(other) * self

    def __rtruediv__(self, other: float) -> "Value":
        return as_value(other) / self

    def __rpow__(self, other: float) -> "Value":
        return as_value(other) ** self

    def __neg__(self) -> "Value":
        return Value(-self.data, "neg", (self,), (-1.0,))

    def exp(self) -> "Value":
        try:
            power = math.exp(self.data)
        except OverflowError:
            raise ValueError(f"exp({self.data}) is too large for a float") from None
        return Value(power, "exp", (self,), (power,))

    def log(self) -> "Value":
        if self.data <= 0:
            raise ValueError(f"log({self.data}): only positive numbers have a logarithm")
        return Value(math.log(self.data), "log", (self,), (1 / self.data,))

    def tanh(self) -> "Value":
        bent = math.tanh(self.data)
        return Value(bent, "tanh", (self,), (1 - bent * bent,))

    def relu(self) -> "Value":
        # At 0 it has a corner and no slope; as in PyTorch the slope is taken to be 0 there.
        return Value(max(self.data, 0.0), "relu", (self,), (float(self.data > 0),))

    def backward(self) -> None:
        """Set the grad of all that this number was computed from.

        As in PyTorch, the grads of leaves (what was not computed) add up from call to call.
        """
        order = graph_order(self)
        for value in order:
            if value.inputs:
                value.grad = 0.0
        self.grad += 1.0  # a number changes by exactly as much as itself
        for value in reversed(order):
            for its_input, slope in zip(value.inputs, value.slopes):
                its_input.grad += value.grad * slope  # the chain rule; several paths add up


def as_value(number: "Value | float") -> Value:
    """A number as a Value; a Value stays itself."""
    return number if isinstance(number, Value) else Value(number)


def graph_order(root: Value) -> list[Value]:
    """All that root was computed from, and root: each after its own inputs.

    Two visits to each value, with a list in place of recursion: Python refuses to call a
    function more than about a thousand levels deep, and sums can be longer.
    """
    order, seen = [], set()
    to_visit = [(root, False)]
    while to_visit:
        value, inputs_done = to_visit.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            to_visit.append((value, True))  # taken up again when all above it are done
            to_visit.extend((its_input, False) for its_input in value.inputs)
    return order


def graph_layout(root: Value) -> dict[Value, tuple[float, float]]:
    """A place (column, row) for each value of the graph; root stands in the last column.

    A value stands left of all that use it, and near the middle of their rows.
    """
    order = graph_order(root)
    distance = {value: 0 for value in order}  # longest way to root
    rows = {value: [] for value in order}  # of those that use a value
    for value in reversed(order):
        for its_input in value.inputs:
            distance[its_input] = max(distance[its_input], distance[value] + 1)
    places = {}
    for column in range(max(distance.values()) + 1):
        values = [value for value in reversed(order) if distance[value] == column]
        wanted = {value: sum(rows[value]) / len(rows[value]) if column else 0 for value in values}
        values.sort(key=wanted.get)
        for i, value in enumerate(values):
            row = i - (len(values) - 1) / 2
            places[value] = (max(distance.values()) - column, row)
            for n, its_input in enumerate(value.inputs):
                rows[its_input].append(row + 0.1 * n)  # the first input above the second
    return places


SVG_NAMESPACE = "http:" + "//www.w3.org/2000/svg"  # only a name: nothing is fetched


def draw_graph(root: Value) -> str:
    """The graph as the text of an SVG picture: values, grads, and the slopes on the arrows."""
    places = graph_layout(root)
    top = min(row for _, row in places.values())
    at = {value: (60 + 132 * c, 50 + 90 * (r - top)) for value, (c, r) in places.items()}
    width, height = (max(place[i] for place in at.values()) + (60, 50)[i] for i in (0, 1))
    lines = [
        f'<svg xmlns="{SVG_NAMESPACE}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" style="max-width: 100%" text-anchor="middle" fill="#1f2933" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14">',
        f'<rect width="{width:g}" height="{height:g}" rx="12" fill="#ffffff"/>',
    ]
    for value, (x, y) in at.items():
        arrows = dict.fromkeys(value.inputs, 0.0)
        for its_input, slope in zip(value.inputs, value.slopes):
            arrows[its_input] += slope  # of an input that is used twice, both on one arrow
        for its_input, slope in arrows.items():
            x0, y0 = at[its_input]
            lines.append(
                f'<path d="M{x0 + 48:g} {y0:g} L{x - 48:g} {y:g}" stroke="#9aa5b1" fill="none"/>'
                f'<text x="{(x0 + x) / 2:g}" y="{(y0 + y) / 2 - 4:g}" fill="#d9822b">'
                f"{slope:.2g}</text>"
            )
    for value, (x, y) in at.items():
        fill = "#e8f0f8" if value.inputs else "#e6f4ea"
        name = escape(" = ".join(filter(None, [value.name, value.operation])) or "number")
        lines.append(
            f'<rect x="{x - 48:g}" y="{y - 32:g}" width="96" height="64" rx="8" fill="{fill}"/>'
            f'<text x="{x:g}" y="{y - 14:g}" font-weight="bold">{name}</text>'
            f'<text x="{x:g}" y="{y + 5:g}">value {value.data:.3g}</text>'
            f'<text x="{x:g}" y="{y + 24:g}" fill="#d9822b">grad {value.grad:.3g}</text>'
        )
    return "\n".join([*lines, "</svg>"])


ACTIVATIONS = {"tanh": Value.tanh, "relu": Value.relu, "none": as_value}


class Neuron:
    """A weighted sum of its inputs and a bias, bent by an activation.

    Raises: ValueError for an unknown activation, or another number of inputs than n_inputs.
    """

    def __init__(self, n_inputs: int, activation: str, draw: random.Random):
        if n_inputs < 1:
            raise ValueError(f"n_inputs={n_inputs}: a neuron has at least one input")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is none of {', '.join(ACTIVATIONS)}")
        limit = n_inputs**-0.5  # more inputs, smaller weights: the sum stays of one size
        self.weights = [Value(draw.uniform(-limit, limit)) for _ in range(n_inputs)]
        self.bias = Value(0.0)
        self.activation = activation

    def __call__(self, inputs: Sequence[Value | float]) -> Value:
        if len(inputs) != len(self.weights):
            raise ValueError(f"{len(inputs)} inputs for a neuron of {len(self.weights)} weights")
        total = self.bias
        for weight, its_input in zip(self.weights, inputs):
            total = total + weight * its_input
        return ACTIVATIONS[self.activation](total)

    def parameters(self) -> list[Value]:
        return [*self.weights, self.bias]


class Layer:
    """Neurons side by side: each reads all inputs."""

    def __init__(self, n_inputs: int, n_outputs: int, activation: str, draw: random.Random):
        self.neurons = [Neuron(n_inputs, activation, draw) for _ in range(n_outputs)]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP:
    """Layers one after the other; the last one is not bent, so that it can give any number.

    sizes are the numbers of inputs, of neurons in each hidden layer, and of outputs.
    Raises: ValueError if there is no layer, or as Neuron.
    """

    def __init__(self, sizes: Sequence[int], activation: str = "tanh", seed: int = 0):
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes={list(sizes)}: an MLP needs inputs and outputs, all above 0")
        draw = random.Random(seed)
        self.layers = [
            Layer(n_inputs, n_outputs, "none" if i == len(sizes) - 2 else activation, draw)
            for i, (n_inputs, n_outputs) in enumerate(zip(sizes, sizes[1:]))
        ]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        outputs = [as_value(number) for number in inputs]
        for layer in self.layers:
            outputs = layer(outputs)
        return outputs

    def parameters(self) -> list[Value]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]


def cross_entropy(scores: Sequence[Value], target: int) -> Value:
    """Minus the logarithm of the probability that the scores give to the target.

    Raises: ValueError if no score has the target's number.
    """
    if not 0 <= target < len(scores):
        raise ValueError(f"target={target} is none of {len(scores)} classes")
    largest = max(score.data for score in scores)  # subtracted, so that exp cannot overflow
    total = sum((score - largest).exp() for score in scores)
    return total.log() + largest - scores[target]
