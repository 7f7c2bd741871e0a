"""What a training will take, said before it starts; and one number that sets up a whole run.

Dimension key: B batch, T tokens, C embedding, V vocabulary.
"""

import math
from dataclasses import dataclass

from ch04.gpt import GPTConfig


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
    batch_size = max(
        2, 2 * round(math.sqrt(tokens) / context_length)
    )  # 2 sqrt(tokens) tokens
    if tokens < batch_size * context_length:
        raise ValueError(
            f"tokens_per_weight={tokens_per_weight} gives {tokens} tokens to depth {depth}, and a "
            f"step of {batch_size} windows needs {batch_size * context_length}"
        )
    lr = 0.009 * math.sqrt(256 / width) / tokens_per_weight ** (1 / 3)
    return Dial(config, lr, batch_size, tokens)
