"""Automatic differentiation of single numbers, and a network on it.

A *slope* is a derivative: how much one number changes when another one changes
a little.
Source: reverse mode, as in Baydin et al. 2018, section 3.2 (arXiv:1502.05767).
"""

import math
import random
from collections.abc import Sequence
from html import escape


class Value:
    """A number that remembers what it was computed from.

    slopes[i] is its slope with respect to inputs[i] alone; grad is the slope
    of the number on which backward() was called, with respect to this one.
    Raises: TypeError for what is no number, ValueError for nan and infinity.
    """

    def __init__(
        self,
        data: float,
        operation: str = "",
        inputs: tuple["Value", ...] = (),
        slopes: tuple[float, ...] = (),
        name: str = "",
    ):
        for number in (data, *slopes):
            if not math.isfinite(number):
                raise ValueError(f"{operation or 'Value'} gives {number}")
        self.data, self.grad = float(data), 0.0
        self.operation, self.name = operation, name
        self.inputs, self.slopes = inputs, slopes

    def __repr__(self) -> str:
        return f"Value({self.data:.4g}, grad={self.grad:.4g})"

    def __add__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data + other.data, "+", (self, other), (1.0, 1.0))

    def __mul__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        slopes = other.data, self.data
        return Value(self.data * other.data, "*", (self, other), slopes)

    def __pow__(self, exponent: float) -> "Value":
        slope = exponent * self.data ** (exponent - 1) if exponent else 0.0
        return Value(self.data**exponent, f"** {exponent}", (self,), (slope,))

    def exp(self) -> "Value":
        power = math.exp(self.data)
        return Value(power, "exp", (self,), (power,))

    def log(self) -> "Value":
        return Value(math.log(self.data), "log", (self,), (1 / self.data,))

    def tanh(self) -> "Value":
        bent = math.tanh(self.data)
        return Value(bent, "tanh", (self,), (1 - bent * bent,))

    def relu(self) -> "Value":
        slope = float(self.data > 0)  # 0 at the corner, as in PyTorch
        return Value(max(self.data, 0.0), "relu", (self,), (slope,))

    def __sub__(self, other: "Value | float") -> "Value":
        other = as_value(other)
        return Value(self.data - other.data, "-", (self, other), (1.0, -1.0))

    def __truediv__(self, other: "Value | float") -> "Value":
        return self * as_value(other) ** -1

    def __neg__(self) -> "Value":
        return self * -1

    # Python asks these where the left number does not know how: 2 + x.
    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> "Value":
        return as_value(other) - self

    def __rtruediv__(self, other: float) -> "Value":
        return as_value(other) / self

    def backward(self) -> None:
        """Set the grad of all that this number was computed from.

        The grads of leaves (what was not computed) add up from call to call.
        """
        order = graph_order(self)
        for value in order:
            if value.inputs:
                value.grad = 0.0
        self.grad += 1.0  # a number changes by exactly as much as itself
        for value in reversed(order):
            for its_input, slope in zip(value.inputs, value.slopes):
                its_input.grad += value.grad * slope  # several paths add up


def as_value(number: "Value | float") -> Value:
    """A number as a Value; a Value stays itself."""
    return number if isinstance(number, Value) else Value(number)


def graph_order(root: Value) -> list[Value]:
    """All that root was computed from, and root: each after its own inputs.

    Two visits to each value, with a list in place of recursion: Python allows
    about a thousand nested calls, and a sum can be longer than that.
    """
    order, seen = [], set()
    to_visit = [(root, False)]
    while to_visit:
        value, inputs_done = to_visit.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            # Taken up again when all above it are done.
            to_visit.append((value, True))
            to_visit.extend((its_input, False) for its_input in value.inputs)
    return order


def graph_layout(root: Value) -> dict[Value, tuple[float, float]]:
    """A place (column, row) for each value; root stands in the last column.

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
        values = [
            value for value in reversed(order) if distance[value] == column
        ]
        wanted = {
            value: sum(rows[value]) / len(rows[value]) if column else 0
            for value in values
        }
        values.sort(key=wanted.get)
        for i, value in enumerate(values):
            row = i - (len(values) - 1) / 2
            places[value] = (max(distance.values()) - column, row)
            for n, its_input in enumerate(value.inputs):
                rows[its_input].append(row + 0.1 * n)  # the first one above
    return places


def draw_graph(root: Value) -> str:
    """The graph as SVG, for HTML: values, grads, slopes on the arrows."""
    places = graph_layout(root)
    top = min(row for _, row in places.values())
    at = {
        value: (60 + 132 * c, 50 + 90 * (r - top))
        for value, (c, r) in places.items()
    }
    width, height = (
        max(place[i] for place in at.values()) + (60, 50)[i] for i in (0, 1)
    )
    lines = [
        f'<svg viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" style="max-width: 100%" text-anchor="middle" '
        'fill="#1f2933" '
        'font-family="Helvetica, Arial, sans-serif" font-size="14">',
        f'<rect width="{width:g}" height="{height:g}" rx="12" fill="#ffffff"/>',
    ]
    for value, (x, y) in at.items():
        arrows = dict.fromkeys(value.inputs, 0.0)
        for its_input, slope in zip(value.inputs, value.slopes):
            arrows[its_input] += slope  # an input used twice has one arrow
        for its_input, slope in arrows.items():
            x0, y0 = at[its_input]
            lines.append(
                f'<path d="M{x0 + 48:g} {y0:g} L{x - 48:g} {y:g}" '
                'stroke="#9aa5b1" fill="none"/>'
                f'<text x="{(x0 + x) / 2:g}" y="{(y0 + y) / 2 - 4:g}" '
                'fill="#d9822b">'
                f"{slope:.2g}</text>"
            )
    for value, (x, y) in at.items():
        fill = "#e8f0f8" if value.inputs else "#e6f4ea"
        name = escape(
            " = ".join(filter(None, [value.name, value.operation])) or "number"
        )
        lines.append(
            f'<rect x="{x - 48:g}" y="{y - 32:g}" width="96" height="64" '
            f'rx="8" fill="{fill}"/>'
            f'<text x="{x:g}" y="{y - 14:g}" font-weight="bold">{name}</text>'
            f'<text x="{x:g}" y="{y + 5:g}">value {value.data:.3g}</text>'
            f'<text x="{x:g}" y="{y + 24:g}" fill="#d9822b">'
            f"grad {value.grad:.3g}</text>"
        )
    return "\n".join([*lines, "</svg>"])


ACTIVATIONS = {"tanh": Value.tanh, "relu": Value.relu, "none": as_value}


class Neuron:
    """A weighted sum of its inputs and a bias, bent by an activation."""

    def __init__(self, n_inputs: int, activation: str, draw: random.Random):
        limit = n_inputs**-0.5  # more inputs, smaller weights
        self.weights = [
            Value(draw.uniform(-limit, limit)) for _ in range(n_inputs)
        ]
        self.bias = Value(0.0)
        self.activation = ACTIVATIONS[activation]

    def __call__(self, inputs: Sequence[Value | float]) -> Value:
        total = self.bias
        for weight, its_input in zip(self.weights, inputs, strict=True):
            total = total + weight * its_input
        return self.activation(total)

    def parameters(self) -> list[Value]:
        return [*self.weights, self.bias]


class Layer:
    """Neurons side by side: each reads all inputs."""

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        activation: str,
        draw: random.Random,
    ):
        self.neurons = [
            Neuron(n_inputs, activation, draw) for _ in range(n_outputs)
        ]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        return [
            parameter
            for neuron in self.neurons
            for parameter in neuron.parameters()
        ]


class MLP:
    """Layers one after the other; the last is not bent: it gives any number.

    sizes are the numbers of inputs, of neurons in each hidden layer, and of
    outputs.
    Raises: ValueError if there is no layer, or as Neuron.
    """

    def __init__(
        self, sizes: Sequence[int], activation: str = "tanh", seed: int = 0
    ):
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes={list(sizes)}: inputs and outputs are needed, above 0"
            )
        draw = random.Random(seed)
        self.layers = [
            Layer(
                n_inputs,
                n_outputs,
                "none" if i == len(sizes) - 2 else activation,
                draw,
            )
            for i, (n_inputs, n_outputs) in enumerate(zip(sizes, sizes[1:]))
        ]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        outputs = [as_value(number) for number in inputs]
        for layer in self.layers:
            outputs = layer(outputs)
        return outputs

    def parameters(self) -> list[Value]:
        return [
            parameter
            for layer in self.layers
            for parameter in layer.parameters()
        ]


def cross_entropy(scores: Sequence[Value], target: int) -> Value:
    """Minus the logarithm of the target's probability by these scores.

    Raises: ValueError if no score has the target's number.
    """
    if not 0 <= target < len(scores):
        raise ValueError(f"target={target} is none of {len(scores)} classes")
    # Subtracted, so that exp cannot overflow.
    largest = max(score.data for score in scores)
    total = sum((score - largest).exp() for score in scores)
    return total.log() + largest - scores[target]
