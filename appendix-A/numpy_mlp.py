"""The digits network in NumPy, a whole batch at once, gradients by hand.

Dimension key: B images in a batch, P pixels of an image, K classes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Array = NDArray[np.float64]


def digits_split(
    test_size: float = 0.25,
) -> tuple[Array, Array, NDArray, NDArray]:
    """Handwritten digits: training and test images, training and test labels.

    Shapes: images (n, 64), 8 by 8 pixels from 0 to 1; labels (n,) of 0 to 9.
    """
    images, labels = load_digits(return_X_y=True)
    return tuple(
        train_test_split(
            images / 16,
            labels,
            test_size=test_size,
            stratify=labels,
            random_state=0,
        )
    )


def sum_to_shape(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array that was broadcast: the sum over its copies.

    Raises: ValueError if this shape does not broadcast to the gradient's.
    """
    if np.broadcast_shapes(gradient.shape, shape) != gradient.shape:
        raise ValueError(
            f"shape {shape} does not broadcast to {gradient.shape}"
        )
    new_axes = gradient.ndim - len(shape)
    stretched = [
        i for i, n in enumerate(shape, new_axes) if n == 1 != gradient.shape[i]
    ]
    return gradient.sum(
        axis=(*range(new_axes), *stretched), keepdims=True
    ).reshape(shape)


def softmax_cross_entropy(
    scores: Array, targets: NDArray
) -> tuple[float, Array]:
    """The mean loss of a batch and its gradient with respect to the scores.

    Shapes: scores (B, K), targets (B,) -> a number, (B, K).
    Raises: ValueError unless each row has one target from 0 to K - 1.
    """
    B, K = scores.shape
    if targets.shape != (B,) or not ((targets >= 0) & (targets < K)).all():
        raise ValueError(f"targets must be {B} numbers from 0 to {K - 1}")
    shifted = scores - scores.max(axis=1, keepdims=True)  # exp cannot overflow
    # (B, K)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(B)
    gradient = np.exp(log_probs)  # softmax ...
    gradient[rows, targets] -= 1  # ... minus one-hot
    return float(-log_probs[rows, targets].mean()), gradient / B


class NumpyMLP:
    """Linear layers with a ReLU between them, for whole batches.

    parameters holds a matrix (inputs, outputs) and a bias (outputs,) for each
    layer in turn.
    Shapes: x (B, P) -> scores (B, K).
    Raises: ValueError if there is no layer.
    """

    def __init__(self, sizes: Sequence[int], seed: int = 0):
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(
                f"sizes={list(sizes)}: inputs and outputs are needed, above 0"
            )
        draw = np.random.default_rng(seed)
        self.parameters = []
        for n_inputs, n_outputs in zip(sizes, sizes[1:]):
            limit = n_inputs**-0.5
            self.parameters.append(
                draw.uniform(-limit, limit, (n_inputs, n_outputs))
            )
            self.parameters.append(np.zeros(n_outputs))

    def layer_inputs(self, x: Array) -> list[Array]:
        """What each layer reads, and at the end the scores."""
        inputs = [x]
        for i in range(0, len(self.parameters), 2):
            matrix, bias = self.parameters[i : i + 2]
            # (B, inputs) @ (inputs, outputs) + (outputs,)
            outputs = inputs[-1] @ matrix + bias
            is_last = i == len(self.parameters) - 2
            inputs.append(outputs if is_last else np.maximum(outputs, 0))
        return inputs

    def __call__(self, x: Array) -> Array:
        return self.layer_inputs(x)[-1]

    def loss_and_gradients(
        self, x: Array, targets: NDArray
    ) -> tuple[float, list[Array]]:
        """The mean loss of a batch and its gradient for each parameter."""
        *inputs, scores = self.layer_inputs(x)
        # This gradient is of the scores, (B, K); then it walks back.
        loss, gradient = softmax_cross_entropy(scores, targets)
        gradients = []  # from the last parameter to the first
        for i in reversed(range(len(inputs))):
            matrix, bias = self.parameters[2 * i : 2 * i + 2]
            gradients.append(sum_to_shape(gradient, bias.shape))
            gradients.append(inputs[i].T @ gradient)
            # What the layer has read passes on, where its ReLU was open.
            gradient = (gradient @ matrix.T) * (inputs[i] > 0)
        return loss, gradients[::-1]


def shuffled_batches(
    n: int, batch_size: int, draw: np.random.Generator
) -> Iterator[NDArray]:
    """The numbers below n in random order, in batches; the rest is dropped.

    Raises: ValueError if they do not fill one batch.
    """
    if not 1 <= batch_size <= n:
        raise ValueError(
            f"batch_size={batch_size} must be from 1 to {n}, all the images"
        )
    order = draw.permutation(n)
    for start in range(0, n - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def train_numpy(
    model: NumpyMLP,
    images: Array,
    labels: NDArray,
    epochs: int,
    batch_size: int = 32,
    learning_rate: float = 0.2,
    seed: int = 0,
) -> list[float]:
    """Train by plain gradient descent; the mean loss of each epoch.

    Raises: ValueError as shuffled_batches, or if the loss is not finite.
    """
    draw = np.random.default_rng(seed)
    history = []
    for _ in range(epochs):
        losses = []
        for batch in shuffled_batches(len(images), batch_size, draw):
            loss, gradients = model.loss_and_gradients(
                images[batch], labels[batch]
            )
            if not np.isfinite(loss):
                raise ValueError(f"the loss is {loss}: lower the learning rate")
            for parameter, gradient in zip(model.parameters, gradients):
                parameter -= learning_rate * gradient
            losses.append(loss)
        history.append(sum(losses) / len(losses))
    return history
