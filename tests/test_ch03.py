"""Attention: the fused version against the formula and against PyTorch's own module."""

import pytest
import torch
from torch import Tensor, nn

from ch03.multihead_attention import MultiHeadAttention


def attention_written_out(mha: MultiHeadAttention, x: Tensor) -> Tensor:
    """Head by head and query by query, from Vaswani et al. 2017, equation 1."""
    q, k, v = mha.qkv(x).chunk(3, dim=-1)
    results = torch.zeros_like(x)
    d = x.shape[-1] // mha.n_heads
    for b in range(x.shape[0]):
        for h in range(mha.n_heads):
            head = slice(h * d, (h + 1) * d)
            for t in range(x.shape[1]):
                scores = k[b, : t + 1, head] @ q[b, t, head] / d**0.5  # only what came before
                weights = scores.exp() / scores.exp().sum()
                results[b, t, head] = weights @ v[b, : t + 1, head]
    return mha.proj(results)


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("n_heads", [1, 3, 12])
def test_it_equals_the_formula_written_out(n_heads, qkv_bias):
    mha, x = MultiHeadAttention(12, n_heads, 8, qkv_bias=qkv_bias), 3 * torch.randn(2, 5, 12)
    torch.testing.assert_close(mha(x), attention_written_out(mha, x))


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("n_heads", [1, 4])
def test_it_equals_pytorchs_module_under_shared_weights(n_heads, qkv_bias):
    mha, x = MultiHeadAttention(16, n_heads, 10, qkv_bias=qkv_bias), torch.randn(3, 7, 16)
    theirs = nn.MultiheadAttention(16, n_heads, batch_first=True)
    shared = {
        "in_proj_weight": mha.qkv.weight,
        "in_proj_bias": mha.qkv.bias if qkv_bias else torch.zeros(48),
        "out_proj.weight": mha.proj.weight,
        "out_proj.bias": mha.proj.bias,
    }
    theirs.load_state_dict(shared)
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    expected, _ = theirs(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)
    torch.testing.assert_close(mha(x), expected)


def test_its_gradients_are_those_of_the_formula():
    mha, x = MultiHeadAttention(12, 3, 8).double(), torch.randn(2, 5, 12, dtype=torch.double)
    ours = torch.autograd.grad(mha(x).square().sum(), mha.parameters())
    theirs = torch.autograd.grad(attention_written_out(mha, x).square().sum(), mha.parameters())
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("t", [1, 3, 4])
def test_a_token_cannot_see_its_future(t):
    mha, x = MultiHeadAttention(12, 3, context_length=8), torch.randn(2, 5, 12)
    y = x.clone()
    y[:, t:] += 1.0  # change only the future of the tokens before t
    torch.testing.assert_close(mha(x)[:, :t], mha(y)[:, :t])
    assert (mha(x)[:, t:] != mha(y)[:, t:]).any()


def test_a_token_sees_all_of_its_past():
    mha, x = MultiHeadAttention(12, 3, context_length=8), torch.randn(1, 8, 12)
    x.requires_grad_()
    (seen,) = torch.autograd.grad(mha(x)[0, -1].sum(), x)
    assert (seen[0].abs().sum(dim=-1) > 0).all()


def test_sequences_of_a_batch_do_not_see_each_other():
    mha, x = MultiHeadAttention(12, 3, context_length=8), torch.randn(4, 5, 12)
    torch.testing.assert_close(mha(x), torch.cat([mha(row) for row in x.split(1)]))


def test_dropout_works_in_training_and_is_off_in_eval():
    mha, x = MultiHeadAttention(12, 3, 8, dropout=0.5), torch.randn(2, 8, 12)
    plain = MultiHeadAttention(12, 3, 8)
    plain.load_state_dict(mha.state_dict())
    assert not torch.equal(mha(x), mha(x))
    mha.eval()
    assert torch.equal(mha(x), plain(x))


def test_dropout_takes_weights_away_and_keeps_their_mean():
    mha = MultiHeadAttention(4, 1, 1, dropout=0.25)  # one token: its only weight is 1
    nn.init.zeros_(mha.proj.bias)
    x = torch.randn(4000, 1, 4)
    with torch.no_grad():
        dropped, (kept,) = mha(x), (mha.eval()(x),)
    is_gone = (dropped == 0).all(dim=-1)
    assert 0.2 < is_gone.float().mean() < 0.3
    torch.testing.assert_close(dropped[~is_gone], kept[~is_gone] / 0.75)


def test_gpt2s_attention_has_2_362_368_parameters_its_biases_among_them():
    mha = MultiHeadAttention(768, 12, 1024, qkv_bias=True)
    assert sum(p.numel() for p in mha.parameters()) == 2_362_368
    assert not list(mha.buffers())  # no mask is kept


def test_heads_that_do_not_divide_the_embedding_are_refused():
    with pytest.raises(ValueError, match="emb_dim=10 is not a multiple of n_heads=3"):
        MultiHeadAttention(10, 3, 8)


def test_an_input_longer_than_the_context_is_refused():
    mha = MultiHeadAttention(12, 3, context_length=4)
    assert mha(torch.randn(1, 4, 12)).shape == (1, 4, 12)
    with pytest.raises(ValueError, match="5 tokens do not fit into context_length=4"):
        mha(torch.randn(1, 5, 12))
