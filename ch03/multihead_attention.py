"""Causal multi-head self-attention: the final version of what ch03.ipynb builds.

Dimension key: B batch, T tokens, C embedding (emb_dim), H heads (n_heads), D head size (C // H).
Source: Vaswani et al. 2017, section 3.2 (arXiv:1706.03762); the causal mask as in GPT-2.
"""

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class MultiHeadAttention(nn.Module):
    """Let every token read itself and those before it, in H subspaces.

    Shapes: x (B, T, C) -> (B, T, C), with T <= context_length.
    Raises: ValueError if emb_dim is not a multiple of n_heads, or x is
        longer than the context.
    """

    def __init__(
        self,
        emb_dim: int,
        n_heads: int,
        context_length: int,
        dropout: float = 0.0,
        qkv_bias: bool = False,
    ):
        super().__init__()
        if emb_dim % n_heads:
            raise ValueError(
                f"emb_dim={emb_dim} is not a multiple of n_heads={n_heads}"
            )
        self.n_heads = n_heads
        self.context_length = context_length
        self.dropout = dropout
        self.qkv = nn.Linear(emb_dim, 3 * emb_dim, bias=qkv_bias)  # all three
        self.proj = nn.Linear(emb_dim, emb_dim)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        if T > self.context_length:
            limit = f"context_length={self.context_length}"
            raise ValueError(f"{T} tokens do not fit into {limit}")
        q, k, v = (
            part.view(B, T, self.n_heads, -1).transpose(1, 2)  # (B, H, T, D)
            for part in self.qkv(x).split(C, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        heads = scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True
        )
        return self.proj(heads.transpose(1, 2).reshape(B, T, C))
