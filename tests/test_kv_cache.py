"""The key-value cache of chapter 4: whatever is read through it, the scores are the model's own."""

import copy
import warnings
from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from ch04.gpt import GPTConfig, GPTModel, generate_greedy
from ch04.kv_cache import KVCache, can_keep, evaluating, make_cache, read, take_rows
from ch05.gpt_generate import generate
from ch05.gpt_weights import save_pretrained

SMALL = GPTConfig(61, 16, 24, 3, 2, drop_rate=0.0, qkv_bias=True)


def lively(config: GPTConfig) -> GPTModel:
    """A model whose scores depend on every token that it reads: fresh weights are too small."""
    model = GPTModel(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_((0.3 if "emb" in name else 0.15) * torch.randn_like(p) + ("scale" in name))
    return model


def random_config(draw: Random) -> GPTConfig:
    n_heads = draw.choice([1, 2, 3])
    return GPTConfig(
        vocab_size=draw.randint(2, 90),
        context_length=draw.randint(1, 24),
        emb_dim=n_heads * draw.choice([2, 4, 8]),
        n_heads=n_heads,
        n_layers=draw.randint(1, 3),
        drop_rate=draw.choice([0.0, 0.5]),
        qkv_bias=draw.random() < 0.5,
        tie_weights=draw.random() < 0.5,
    )


@torch.no_grad()
def alone(model: nn.Module, ids: Tensor) -> Tensor:
    """The scores after one row (T,), without a cache: (V,)."""
    return model(ids[None, -model.config.context_length :])[0, -1]


def assert_same_scores(
    model: nn.Module, cache: KVCache, logits: Tensor, rows: list[Tensor], n_new: list[int]
) -> None:
    """Of every row that has just read something."""
    for row, (ids, n) in enumerate(zip(rows, n_new)):
        assert cache.lengths[row] == len(ids)
        expected = alone(model, ids) if n else torch.zeros_like(logits[row])
        torch.testing.assert_close(logits[row], expected, atol=1e-5, rtol=1e-5)


# ---- The scores are the model's own.


@pytest.mark.parametrize("number", range(60))
def test_pieces_of_any_length_have_the_scores_of_each_row_alone(number):
    """Prefill in pieces, single steps, rows that wait, and on beyond the end of the context."""
    draw = Random(number)
    torch.manual_seed(number)
    config, B = random_config(draw), draw.randint(1, 4)
    model, length = lively(config), draw.randint(1, 2 * config.context_length + 4)
    cache, rows = make_cache(model, B, length), [torch.zeros(0, dtype=torch.long)] * B
    equal = draw.random() < 0.3  # rows of one length, which take a path of their own
    while (room := length - max(cache.lengths)) > 0:
        T = draw.choice([1, 1, draw.randint(1, room)])
        n_new = [T if equal else draw.randint(0, T) for _ in range(B)]
        if not any(n_new):
            continue
        idx = torch.randint(config.vocab_size, (B, T))
        rows = [torch.cat([row, new[:n]]) for row, new, n in zip(rows, idx, n_new)]
        logits, cache = read(model, cache, idx, None if equal else n_new)
        assert_same_scores(model, cache, logits, rows, n_new)


@pytest.mark.parametrize("number", range(10))
def test_every_single_step_has_the_scores_of_the_uncached_model(number):
    draw = Random(number)
    config = random_config(draw)
    model, n = lively(config), 2 * config.context_length + 3
    idx = torch.randint(config.vocab_size, (2, n))
    cache = make_cache(model, 2, n)
    for t in range(n):
        logits, cache = read(model, cache, idx[:, t : t + 1])
        with torch.no_grad():
            expected = model(idx[:, : t + 1][:, -config.context_length :])[:, -1]
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("number", range(10))
def test_greedy_text_is_that_of_the_loop_without_a_cache(number):
    config = random_config(Random(number))
    model, idx = lively(config), torch.randint(config.vocab_size, (3, 4))
    n = config.context_length + 5
    assert torch.equal(generate(model, idx, n, temperature=0), generate_greedy(model, idx, n))


def test_greedy_text_is_that_of_hugging_face(tmp_path):
    model = lively(GPTConfig(61, 32, 24, 3, 2, drop_rate=0.0, qkv_bias=True, tie_weights=True))
    save_pretrained(model, tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    idx = torch.randint(61, (2, 5))
    expected = theirs.generate(
        idx, attention_mask=torch.ones_like(idx), max_new_tokens=27, min_new_tokens=27,
        do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    assert torch.equal(generate(model, idx, 27, temperature=0), expected)


def test_a_step_reads_one_token_until_the_context_is_full():
    """What the cache is for, counted; and what it costs beyond the end."""
    model, n_read = lively(SMALL), []
    model.blocks[0].norm1.register_forward_hook(lambda m, args, out: n_read.append(out.shape[1]))
    generate(model, torch.randint(61, (1, 5)), 14, temperature=0)
    assert n_read == [5] + 11 * [1] + 2 * [16]


def test_a_row_beyond_the_context_forgets_what_left_it():
    model = lively(SMALL)
    tail = torch.randint(61, (1, 16))
    both = torch.cat([torch.randint(61, (2, 3)), tail.expand(2, -1)], dim=1)
    logits, _ = read(model, make_cache(model, 2, 19), both)
    assert not torch.equal(both[0], both[1])
    assert torch.equal(logits[0], logits[1])


# ---- The cache is a value.


def test_reading_leaves_the_model_and_the_earlier_cache_good():
    """One may go back to an earlier cache and go on in another way."""
    model, idx = lively(SMALL), torch.randint(61, (1, 24))
    state = copy.deepcopy(model.state_dict())
    _, short = read(model, make_cache(model, 1, 24), idx[:, :6])
    read(model, short, idx[:, 6:])
    assert short.lengths == (6,)
    other = torch.randint(61, (1, 4))
    logits, _ = read(model, short, other)
    expected = alone(model, torch.cat([idx[0, :6], other[0]]))
    torch.testing.assert_close(logits[0], expected, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values()))


def test_rows_that_are_taken_out_go_on_as_before():
    model, idx = lively(SMALL), torch.randint(61, (3, 9))
    _, cache = read(model, make_cache(model, 3, 12), idx, [9, 2, 5])
    rows = [torch.cat([idx[b, :n], torch.tensor([7])]) for b, n in ((2, 5), (0, 9))]
    logits, part = read(model, take_rows(cache, [2, 0]), torch.tensor([[7], [7]]))
    assert_same_scores(model, part, logits, rows, [1, 1])
    assert cache.lengths == (9, 2, 5)


def test_scores_are_ordinary_tensors():
    """They may be changed in place and be part of what is differentiated."""
    model = lively(SMALL)
    logits, _ = read(model, make_cache(model, 1, 4), torch.tensor([[1, 2, 3]]))
    assert not logits.is_inference() and not logits.requires_grad
    logits[0, 0] = -torch.inf
    scale = torch.ones(1, requires_grad=True)
    F.cross_entropy(scale * logits[:, 1:], torch.tensor([3])).backward()
    assert scale.grad.isfinite().all()


def test_memory_is_that_of_the_length_and_never_more_than_the_context():
    for n_tokens, kept in ((5, 5), (16, 16), (40, 16)):
        cache = make_cache(lively(SMALL), 2, n_tokens)
        assert cache.ids.shape == (2, n_tokens)
        assert cache.kept.numel() == 2 * SMALL.n_layers * 2 * kept * SMALL.emb_dim


# ---- Other numbers, other models.


def test_a_model_in_bfloat16_has_a_cache_in_bfloat16():
    model, idx = lively(SMALL).bfloat16(), torch.randint(61, (2, 10))
    _, cache = read(model, make_cache(model, 2, 12), idx[:, :9])
    logits, cache = read(model, cache, idx[:, 9:])
    assert cache.kept.dtype == logits.dtype == torch.bfloat16
    with torch.no_grad():
        torch.testing.assert_close(logits, model(idx)[:, -1], atol=0.1, rtol=0.1)


def test_autocast_reads_through_the_cache():
    model, idx = lively(SMALL), torch.randint(61, (2, 10))
    with torch.autocast("cpu", torch.bfloat16):
        _, cache = read(model, make_cache(model, 2, 12), idx[:, :4], [4, 2])
        logits, cache = read(model, cache, idx[:, 4:9], [5, 5])
    expected = torch.stack([alone(model, idx[0, :9]), alone(model, idx[1, [0, 1, 4, 5, 6, 7, 8]])])
    torch.testing.assert_close(logits.float(), expected, atol=0.1, rtol=0.1)


def test_a_model_in_double_agrees_to_the_last_digits():
    model, idx = lively(SMALL).double(), torch.randint(61, (2, 12))
    cache = make_cache(model, 2, 12)
    for piece in idx.split(5, dim=1):
        logits, cache = read(model, cache, piece)
    with torch.no_grad():
        torch.testing.assert_close(logits, model(idx)[:, -1], atol=1e-12, rtol=1e-12)


def test_weights_in_int8_are_read_through_the_same_cache():
    """PyTorch's dynamic quantization exchanges the linear layers; the blocks stay the blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it moves to another package
        model = torch.ao.quantization.quantize_dynamic(
            lively(SMALL), {nn.Linear}, dtype=torch.qint8
        )
    assert can_keep(model) and "Dynamic" in str(type(model.out_head)) + str(model.out_head)
    idx, cache = torch.randint(61, (1, 12)), make_cache(model, 1, 12)
    for piece in idx.split(1, dim=1):
        logits, cache = read(model, cache, piece)
    # Activations are rounded by the largest of those that are read together, so only nearly.
    expected = alone(model, idx[0])
    assert F.cosine_similarity(logits[0], expected, dim=0) > 0.99


class Successor(nn.Module):
    """No GPT: after 7 comes 8."""

    config = GPTConfig(10, 4, 4, 1, 1)

    def forward(self, idx: Tensor) -> Tensor:
        return 100.0 * F.one_hot((idx + 1) % 10, 10)


class Tempered(GPTModel):
    """A GPT whose forward does something more."""

    def forward(self, idx: Tensor) -> Tensor:
        return super().forward(idx) / 2 + 1


@pytest.mark.parametrize("kind", [Successor, Tempered])
def test_a_model_of_another_build_is_read_anew(kind):
    model = (kind(SMALL) if kind is Tempered else kind()).eval()
    assert not can_keep(model) and make_cache(model, 1, 3).kept is None
    idx, cache = torch.randint(10, (2, 9)), make_cache(model, 2, 9)
    for n_new in ([3, 1], [4, 4], [0, 2], [2, 2]):
        rows = [idx[b, : cache.lengths[b] + n] for b, n in enumerate(n_new)]
        piece = torch.stack([F.pad(r, (0, 4))[o : o + 4] for r, o in zip(rows, cache.lengths)])
        logits, cache = read(model, cache, piece, n_new)
        assert_same_scores(model, cache, logits, rows, n_new)


def test_a_block_of_another_build_is_not_passed_over():
    model = lively(SMALL)

    class Louder(type(model.blocks[0].feed_forward)):
        def forward(self, x):
            return 2 * super().forward(x)

    model.blocks[1].feed_forward.__class__ = Louder
    idx = torch.randint(61, (1, 7))
    logits, _ = read(model, make_cache(model, 1, 7), idx)
    torch.testing.assert_close(logits[0], alone(model, idx[0]))
    assert not can_keep(model)


# ---- Modes and refusals.


def test_evaluating_gives_the_mode_back_after_an_error():
    model = GPTModel(SMALL)
    for training in (True, False):
        model.train(training)
        with pytest.raises(KeyError), evaluating(model):
            assert not model.training
            raise KeyError
        assert model.training == training


@pytest.mark.parametrize(
    ("idx", "n_new", "message"),
    [
        ([[61]], None, "id 61 is outside vocab_size=61"),
        ([[3, -1]], None, "id -1 is outside vocab_size=61"),
        ([[1] * 9], None, "row 0 would have 9 tokens, and the cache was made for n_tokens=8"),
        ([[1], [1]], None, "the cache has 1 rows, idx 2 and n_new 2"),
        ([[1]], [1, 1], "the cache has 1 rows, idx 1 and n_new 2"),
        ([[1, 2]], [3], r"n_new=\[3\] must be from 0 to the 2 tokens of idx"),
        ([[1, 2]], [-1], r"n_new=\[-1\] must be from 0"),
        ([[1, 2]], [0], r"n_new=\[0\] must be from 0 .* not all 0"),
        ([[]], None, r"n_new=\[0\] must be from 0 to the 0 tokens"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_cache_is_as_it_was(idx, n_new, message):
    model = lively(SMALL)
    cache = make_cache(model, 1, 8)
    with pytest.raises(ValueError, match=message):
        read(model, cache, torch.tensor(idx, dtype=torch.long), n_new)
    assert cache.lengths == (0,) and not cache.ids.any() and not cache.kept.any()


def test_a_model_in_training_is_refused():
    model = GPTModel(SMALL).train()
    with pytest.raises(ValueError, match="training mode"):
        read(model, make_cache(model, 1, 8), torch.tensor([[1]]))


@pytest.mark.parametrize(("batch_size", "n_tokens"), [(0, 3), (1, 0), (-1, 3)])
def test_a_cache_of_nothing_is_refused(batch_size, n_tokens):
    with pytest.raises(ValueError, match="must be at least 1"):
        make_cache(GPTModel(SMALL), batch_size, n_tokens)


def test_a_slot_that_nobody_has_written_counts_nothing():
    model, idx = lively(SMALL), torch.randint(61, (2, 9))
    _, cache = read(model, make_cache(model, 2, 12), idx, [9, 2])
    cache.kept[:, 0, 9:] = cache.kept[:, 1, 2:] = 1e6
    logits, cache = read(model, cache, idx[:, :1], [1, 1])
    rows = [torch.cat([idx[b, :n], idx[b, :1]]) for b, n in enumerate((9, 2))]
    assert_same_scores(model, cache, logits, rows, [1, 1])
