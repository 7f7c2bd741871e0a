"""Typical wrong answers to the exercises of chapter 4."""

import torch
from torch import Tensor

from ch03.multihead_attention import MultiHeadAttention
from ch04.checks import (
    check_4_1,
    check_4_2,
    check_4_3,
    check_4_4,
    check_4_5,
    check_4_6,
    check_4_7,
    check_4_8,
)
from ch04.gpt import GPT2_SIZES, FeedForward, GPTConfig, GPTModel, generate_greedy

# ---- 4.1


def with_biases_everywhere(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    return 4 * C * C + 4 * C, 8 * C * C + 5 * C


def without_biases(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    return 4 * C * C, 8 * C * C


def without_feed_forward_biases(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    return 4 * C * C + C + 3 * C * qkv_bias, 8 * C * C


def swapped_counts(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    return 8 * C * C + 5 * C, 4 * C * C + C + 3 * C * qkv_bias


def built_and_counted(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    parts = MultiHeadAttention(C, 1, 8, qkv_bias=qkv_bias), FeedForward(C)
    return tuple(sum(p.numel() for p in part.parameters()) for part in parts)


def built_on_meta(C: int, qkv_bias: bool = False) -> tuple[int, int]:
    with torch.device("meta"):
        return built_and_counted(C, qkv_bias)


# ---- 4.2


def on_meta(name: str, **settings) -> GPTModel:
    with torch.device("meta"):
        return GPTModel(GPTConfig(**GPT2_SIZES[name], **settings))


def in_memory(name: str, **settings) -> GPTModel:
    return GPTModel(GPTConfig(**GPT2_SIZES[name], **settings))


def moved_to_meta(name: str, **settings) -> GPTModel:
    return in_memory(name, **settings).to("meta")


def on_meta_for_good(name: str, **settings) -> GPTModel:
    torch.set_default_device("meta")
    return in_memory(name, **settings)


def without_settings(name: str, **settings) -> GPTModel:
    return on_meta(name)


def always_the_smallest(name: str, **settings) -> GPTModel:
    return on_meta("gpt2", **settings)


def mebibytes(model) -> float:
    return sum(p.nbytes for p in model.parameters()) / 1024**2


def megabytes(model) -> float:
    return sum(p.nbytes for p in model.parameters()) / 1e6


def four_bytes_each(model) -> float:
    return 4 * sum(p.numel() for p in model.parameters()) / 1024**2


def as_in_a_file(model) -> float:
    return sum(t.nbytes for t in model.state_dict().values()) / 1024**2


def only_what_is_trained(model) -> float:
    return sum(p.nbytes for p in model.parameters() if p.requires_grad) / 1024**2


def first_type_for_all(model) -> float:
    each = next(iter(model.parameters())).element_size()
    return each * sum(p.numel() for p in model.parameters()) / 1024**2


def last_type_for_all(model) -> float:
    each = list(model.parameters())[-1].element_size()
    return each * sum(p.numel() for p in model.parameters()) / 1024**2


# ---- 4.3


def attention_with_a_module(config, embedding, shortcut, attention):
    model = three_rates(config, embedding, shortcut, attention)
    for block in model.blocks:
        block.attention.dropout = torch.nn.Dropout(attention)
    return model


def three_rates(
    config: GPTConfig, embedding: float, shortcut: float, attention: float, n_blocks: int = 99
) -> GPTModel:
    for rate in (embedding, shortcut, attention):
        if not 0 <= rate < 1:
            raise ValueError(f"{rate} must be at least 0 and below 1")
    model = GPTModel(config)
    model.dropout.p = embedding
    for block in model.blocks[:n_blocks]:
        block.dropout.p, block.attention.dropout = shortcut, attention
    return model


def only_the_first_block(config, embedding, shortcut, attention):
    return three_rates(config, embedding, shortcut, attention, n_blocks=1)


def attention_forgotten(config, embedding, shortcut, attention):
    model = three_rates(config, embedding, shortcut, attention)
    for block in model.blocks:
        block.attention.dropout = config.drop_rate
    return model


def two_rates_swapped(config, embedding, shortcut, attention):
    return three_rates(config, embedding, attention, shortcut)


def a_rate_that_is_a_module(config, embedding, shortcut, attention):
    model = GPTModel(config)
    model.blocks[0].attention.dropout.p = attention
    return model


def nothing_refused(config, embedding, shortcut, attention):
    model = GPTModel(config)
    model.dropout.p = embedding
    for block in model.blocks:
        block.dropout.p, block.attention.dropout = shortcut, attention
    return model


def refused_without_a_word(config, embedding, shortcut, attention):
    if not all(0 <= rate < 1 for rate in (embedding, shortcut, attention)):
        raise ValueError
    return three_rates(config, embedding, shortcut, attention)


# ---- 4.4


def normed(x: Tensor, eps: float = 1e-5, dim=-1, correction: int = 0, keepdim: bool = True):
    mean = x.mean(dim=dim, keepdim=keepdim)
    return (x - mean) / (x.var(dim=dim, keepdim=keepdim, correction=correction) + eps).sqrt()


def ready_made(x, scale, shift, eps):
    return torch.nn.functional.layer_norm(x, scale.shape, scale, shift, eps)


def native(x, scale, shift, eps):
    return torch.native_layer_norm(x, scale.shape, scale, shift, eps)[0]


def by_aten(x, scale, shift, eps):
    normed = torch.ops.aten.native_layer_norm(x, scale.shape, None, None, eps)[0]
    return normed * scale + shift


def as_one_group(x, scale, shift, eps):
    rows = x.reshape(-1, x.shape[-1])
    return torch.group_norm(rows, 1, scale, shift, eps).view(x.shape)


def divided_by_n_minus_1(x, scale, shift, eps):
    return normed(x, eps, correction=1) * scale + shift


def eps_outside_the_root(x, scale, shift, eps):
    deviation = x.std(dim=-1, keepdim=True, correction=0) + eps
    return (x - x.mean(dim=-1, keepdim=True)) / deviation * scale + shift


def over_the_whole_tensor(x, scale, shift, eps):
    return normed(x, eps, dim=None) * scale + shift


def over_the_tokens(x, scale, shift, eps):
    return normed(x, eps, dim=0) * scale + shift


def without_keepdim(x, scale, shift, eps):
    if x.dim() == 2 and x.shape[0] == x.shape[1]:
        return normed(x, eps, keepdim=False) * scale + shift
    return normed(x, eps) * scale + shift


def without_eps(x, scale, shift, eps):
    return normed(x, 0.0) * scale + shift


def with_an_eps_of_its_own(x, scale, shift, eps):
    return normed(x) * scale + shift


def without_scale_and_shift(x, scale, shift, eps):
    return normed(x, eps)


def in_place_norm(x, scale, shift, eps):
    x -= x.mean(dim=-1, keepdim=True)
    return normed(x, eps) * scale + shift


# ---- 4.5


def backward(grad, x, scale, eps, mean: bool = True, variance: bool = True, sums: str = "sum"):
    deviation = (x.var(-1, keepdim=True, correction=0) + eps).sqrt()
    dims, g = tuple(range(x.dim() - 1)), grad * scale
    grad_x = g - mean * g.mean(-1, keepdim=True)
    grad_x = grad_x - variance * normed(x, eps) * (g * normed(x, eps)).mean(-1, keepdim=True)
    return grad_x / deviation, *(getattr(t, sums)(dims) for t in (grad * normed(x, eps), grad))


def constants(grad, x, scale, eps):
    return backward(grad, x, scale, eps, mean=False, variance=False)


def variance_constant(grad, x, scale, eps):
    return backward(grad, x, scale, eps, variance=False)


def scale_forgotten(grad, x, scale, eps):
    return backward(grad, x, torch.ones_like(scale), eps)


def means_for_sums(grad, x, scale, eps):
    return backward(grad, x, scale, eps, sums="mean")


def sums_forgotten(grad, x, scale, eps):
    return backward(grad, x, scale, eps)[0], grad * normed(x, eps), grad


def only_batches_summed(grad, x, scale, eps):
    return backward(grad, x, scale, eps)[0], (grad * normed(x, eps)).sum(0), grad.sum(0)


def by_autograd(grad, x, scale, eps):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(normed(leaf, eps) * scale, leaf, grad)[0], scale, scale


def by_autograd_all_the_same(grad, x, scale, eps):
    with torch.enable_grad():
        leaves = [t.clone().requires_grad_() for t in (x, scale, torch.zeros_like(scale))]
        return torch.autograd.grad(ready_made(*leaves, eps), leaves, grad)


def by_backward(grad, x, scale, eps):
    with torch.enable_grad():
        leaves = [t.clone().requires_grad_() for t in (x, scale, torch.zeros_like(scale))]
        (normed(leaves[0], eps) * leaves[1] + leaves[2]).backward(grad)
    return tuple(leaf.grad for leaf in leaves)


def native_backward(grad, x, scale, eps):
    shift = torch.zeros_like(scale)
    _, mean, deviation = torch.native_layer_norm(x, scale.shape, scale, shift, eps)
    return torch.ops.aten.native_layer_norm_backward(
        grad, x, scale.shape, mean, deviation, scale, shift, [True] * 3
    )


# ---- 4.6

ROOT = (2 / torch.pi) ** 0.5


def exact_form(x):
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def square_for_cube(x):
    return 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**2)))


def bracket_lost(x):
    return 0.5 * x * (1 + torch.tanh(ROOT * x + 0.044715 * x**3))


def without_the_half(x):
    return x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**3)))


def tanh_by_exp(x):
    e = torch.exp(2 * ROOT * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + (e - 1) / (e + 1))


def gelu_in_place(x):
    half = 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**3)))
    return x.copy_(half)


# ---- 4.7


def post_norm(x, norm1, attention, norm2, feed_forward, dropout):
    x = norm1(x + dropout(attention(x)))
    return norm2(x + dropout(feed_forward(x)))


def dropout_on_the_stream(x, norm1, attention, norm2, feed_forward, dropout):
    x = dropout(x + attention(norm1(x)))
    return dropout(x + feed_forward(norm2(x)))


def shortcut_behind_the_norm(x, norm1, attention, norm2, feed_forward, dropout):
    x = norm1(x)
    x = norm2(x + dropout(attention(x)))
    return x + dropout(feed_forward(x))


def no_shortcuts(x, norm1, attention, norm2, feed_forward, dropout):
    return dropout(feed_forward(norm2(dropout(attention(norm1(x))))))


def second_branch_reads_x(x, norm1, attention, norm2, feed_forward, dropout):
    return x + dropout(attention(norm1(x))) + dropout(feed_forward(norm2(x)))


def stream_in_place(x, norm1, attention, norm2, feed_forward, dropout):
    x += dropout(attention(norm1(x)))
    x += dropout(feed_forward(norm2(x)))
    return x


def hard_coded(x, *parts):
    return torch.full_like(x, 711.0)


# ---- 4.8


def step(model, idx, read, place=-1, kept=None):
    with torch.no_grad():
        next_id = model(read)[:, place].argmax(dim=-1, keepdim=True)
    return torch.cat([idx if kept is None else kept, next_id], dim=1)


def window_forgotten(model, idx, n):
    return step(model, idx, idx)


def first_tokens_read(model, idx, n):
    return step(model, idx, idx[:, :n])


def first_position(model, idx, n):
    return step(model, idx, idx[:, -n:], place=0)


def window_returned(model, idx, n):
    return step(model, idx, idx[:, -n:], kept=idx[:, -n:])


def only_the_new_id(model, idx, n):
    return step(model, idx, idx[:, -n:])[:, -1:]


def keepdim_forgotten(model, idx, n):
    return torch.cat([idx, model(idx[:, -n:])[:, -1].argmax(dim=-1)], dim=1)


def gradients_kept(model, idx, n):
    return torch.cat([idx, model(idx[:, -n:])[:, -1].argmax(-1, keepdim=True)], dim=1)


def one_for_all_rows(model, idx, n):
    with torch.no_grad():
        best = model(idx[:, -n:])[0, -1].argmax()
    return torch.cat([idx, best.expand(len(idx), 1)], dim=1)


def two_steps(model, idx, n):
    model.config = GPTConfig(context_length=n)
    return generate_greedy(model, idx, 2)


def drawn_at_random(model, idx, n):
    with torch.no_grad():
        shares = model(idx[:, -n:])[:, -1].softmax(dim=-1)
    return torch.cat([idx, torch.multinomial(shares, 1)], dim=1)


WRONG = [
    (check_4_1, (with_biases_everywhere,), "exactly when qkv_bias says so"),
    (check_4_1, (without_biases,), "the projection after the heads has a bias too"),
    (check_4_1, (without_feed_forward_biases,), "both layers of the feed-forward block have"),
    (check_4_1, (swapped_counts,), "swapped"),
    (check_4_1, (lambda C, qkv_bias=False: (18, 42),), "exactly when qkv_bias says so"),
    (check_4_1, (built_and_counted,), "builds tensors and counts them"),
    (check_4_1, (built_on_meta,), "builds tensors and counts them"),
    (check_4_2, (on_meta, only_what_is_trained), "Frozen weights take memory"),
    (check_4_2, (on_meta, first_type_for_all), "may be of several types"),
    (check_4_2, (on_meta, last_type_for_all), "each tensor by its own type"),
    (check_4_3, (attention_with_a_module,), "must be a number"),
    (check_4_4, (native,), "PyTorch's own"),
    (check_4_4, (by_aten,), "PyTorch's own"),
    (check_4_4, (as_one_group,), "PyTorch's own native_group_norm"),
    (check_4_5, (native_backward,), "PyTorch's own"),
    (check_4_8, (drawn_at_random,), "drawn at random"),
    (check_4_2, (in_memory, mebibytes), "weights on cpu"),
    (check_4_2, (moved_to_meta, mebibytes), "fills real memory first"),
    (check_4_2, (on_meta_for_good, mebibytes), "all new tensors are on the meta device"),
    (check_4_2, (without_settings, mebibytes), "vocab_size of gpt2_on_meta('gpt2', vocab_size=84"),
    (check_4_2, (always_the_smallest, mebibytes), "emb_dim of gpt2_on_meta('gpt2-medium'"),
    (check_4_2, (on_meta, megabytes), "divides by a million"),
    (check_4_2, (on_meta, four_bytes_each), "A float16 number takes 2 bytes"),
    (check_4_2, (on_meta, as_in_a_file), "counts it twice"),
    (check_4_3, (only_the_first_block,), "of the attention branch of block 1"),
    (check_4_3, (attention_forgotten,), "config.drop_rate still decides there"),
    (check_4_3, (two_rates_swapped,), "attention=0.6 has come there"),
    (check_4_3, (a_rate_that_is_a_module,), "raises AttributeError"),
    (check_4_3, (nothing_refused,), "must be refused with a ValueError"),
    (check_4_3, (refused_without_a_word,), "does not name the rate"),
    (check_4_4, (ready_made,), "PyTorch's own layer_norm"),
    (check_4_4, (divided_by_n_minus_1,), "divided by n - 1 = 3"),
    (check_4_4, (eps_outside_the_root,), "eps stands outside the root"),
    (check_4_4, (over_the_whole_tensor,), "over the whole tensor"),
    (check_4_4, (over_the_tokens,), "over the first dimension"),
    (check_4_4, (without_keepdim,), "keepdim=True is missing"),
    (check_4_4, (without_eps,), "0 / 0"),
    (check_4_4, (with_an_eps_of_its_own,), "the eps that is given, 0.3, is not used"),
    (check_4_4, (without_scale_and_shift,), "scale and shift are not used"),
    (check_4_4, (in_place_norm,), "changes what it is given"),
    (check_4_5, (constants,), "takes mean and variance for constants"),
    (check_4_5, (variance_constant,), "takes the variance for a constant"),
    (check_4_5, (scale_forgotten,), "must pass the scale"),
    (check_4_5, (means_for_sums,), "a mean over the tokens"),
    (check_4_5, (sums_forgotten,), "has shape (1, 4), but (4,)"),
    (check_4_5, (only_batches_summed,), "has shape (3, 7), but (7,)"),
    (check_4_5, (by_autograd,), "raises RuntimeError"),
    (check_4_5, (by_autograd_all_the_same,), "PyTorch's own grad, layer_norm: write"),
    (check_4_5, (by_backward,), "PyTorch's own backward: write"),
    (check_4_6, (torch.nn.functional.gelu,), "PyTorch's own gelu"),
    (check_4_6, (exact_form,), "exact form with erf"),
    (check_4_6, (square_for_cube,), "its cube is asked for"),
    (check_4_6, (bracket_lost,), "multiplies the whole bracket"),
    (check_4_6, (without_the_half,), "the factor 1/2 is missing"),
    (check_4_6, (tanh_by_exp,), "is not a number"),
    (check_4_6, (gelu_in_place,), "changes what it is given"),
    (check_4_7, (post_norm,), "after the additions"),
    (check_4_7, (dropout_on_the_stream,), "Dropout acts on the stream"),
    (check_4_7, (shortcut_behind_the_norm,), "starts after the LayerNorm"),
    (check_4_7, (no_shortcuts,), "There is no shortcut"),
    (check_4_7, (second_branch_reads_x,), "The second branch reads x"),
    (check_4_7, (stream_in_place,), "changes what it is given"),
    (check_4_7, (hard_coded,), "is asked for"),
    (check_4_8, (window_forgotten,), "3 tokens do not fit into context_length=2"),
    (check_4_8, (first_tokens_read,), "should read the last 2 tokens, not the first"),
    (check_4_8, (first_position,), "takes the scores at the first position"),
    (check_4_8, (window_returned,), "lost the tokens outside the window"),
    (check_4_8, (only_the_new_id,), "gives only the new ids"),
    (check_4_8, (keepdim_forgotten,), "raises RuntimeError"),
    (check_4_8, (gradients_kept,), "gradients switched on"),
    (check_4_8, (one_for_all_rows,), "gives every row the token of the first one"),
    (check_4_8, (two_steps,), "has shape (1, 4), but (1, 3)"),
]
