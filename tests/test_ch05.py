"""Training, decoding and weights on disk, against PyTorch's loss and Hugging Face's GPT-2."""

import copy
import http.server
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer, gpt2_ranks
from ch04.gpt import GPT2_SIZES, GPTConfig, GPTModel, generate_greedy
from ch05 import precision
from ch05.bonus.faster_training import HeadLoss, train_step
from ch05.bonus.faster_training import fast_evaluate as evaluate
from ch05.bonus.faster_training import fast_loss as next_token_loss
from ch05.gpt_generate import generate, next_token_probabilities
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import (
    gpt2_name,
    gpt2_state,
    load_gpt2_state,
    load_pretrained,
    read_config,
    save_pretrained,
)
from ch05.training_loop import train

TINY = {
    "vocab_size": 300,
    "context_length": 8,
    "emb_dim": 12,
    "n_heads": 3,
    "n_layers": 2,
    "drop_rate": 0.0,
}


def tiny_model(**changes) -> GPTModel:
    return GPTModel(GPTConfig(**TINY | changes))


def random_model(**changes) -> GPTModel:
    """A model in which every weight matters: none is 0 or 1, as biases and norms start."""
    model = tiny_model(**changes).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def random_batch(batch_size: int = 4) -> tuple[Tensor, Tensor]:
    ids = torch.randint(300, (batch_size, 9))
    return ids[:, :-1], ids[:, 1:].contiguous()


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    b_state = b.state_dict()
    return all(torch.equal(weight, b_state[name]) for name, weight in a.state_dict().items())


# ---- The loss, against PyTorch's, and its gradients, against numeric ones.


def plain_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("n_ignored", [0, 5, 31])
def test_the_loss_and_all_gradients_are_pytorchs(tie_weights, n_ignored):
    model = random_model(tie_weights=tie_weights, qkv_bias=True).double()
    inputs, targets = random_batch()
    targets.flatten()[torch.randperm(targets.numel())[:n_ignored]] = IGNORE
    ours, theirs = next_token_loss(model, inputs, targets), plain_loss(model, inputs, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    our_gradients = torch.autograd.grad(ours, list(model.parameters()))
    their_gradients = torch.autograd.grad(theirs, list(model.parameters()))
    torch.testing.assert_close(our_gradients, their_gradients, rtol=1e-9, atol=1e-12)


def test_the_loss_in_several_parts_is_the_loss_row_by_row():
    vocab_size, n = 2**20, 36  # 16 rows are computed at a time: two whole parts and a rest
    x = torch.randn(n, 2, dtype=torch.double, requires_grad=True)
    weight = torch.randn(vocab_size, 2, dtype=torch.double, requires_grad=True)
    targets = torch.randint(vocab_size, (n,))
    targets[[3, 15, 17]] = IGNORE
    loss = HeadLoss.apply(x, weight, targets)
    gradients = torch.autograd.grad(loss, (x, weight))

    expected = 0.0
    for row, target in zip(x, targets):
        if target != IGNORE:
            row_loss = F.cross_entropy(weight @ row, target) / (n - 3)
            row_loss.backward()
            expected += row_loss.item()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradients, (x.grad, weight.grad), rtol=1e-9, atol=1e-12)


def test_the_loss_in_float32_is_pytorchs():
    model, (inputs, targets) = tiny_model(tie_weights=True), random_batch()
    ours, theirs = next_token_loss(model, inputs, targets), plain_loss(model, inputs, targets)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, list(model.parameters())),
        torch.autograd.grad(theirs, list(model.parameters())),
    )


def test_without_a_target_the_loss_is_zero_and_nothing_is_learned():
    model, (inputs, targets) = random_model(), random_batch()
    loss = next_token_loss(model, inputs, torch.full_like(targets, IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert all(not parameter.grad.any() for parameter in model.parameters())


def test_the_gradient_follows_the_factor_of_the_loss():
    model, (inputs, targets) = random_model(), random_batch()
    once = torch.autograd.grad(next_token_loss(model, inputs, targets), list(model.parameters()))
    loss = 3 * next_token_loss(model, inputs, targets)
    for _ in range(2):  # a second backward pass finds what the first one found
        thrice = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        torch.testing.assert_close(thrice, tuple(3 * gradient for gradient in once))


def test_numeric_gradients_of_the_head():
    x = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    weight = torch.randn(7, 4, dtype=torch.double, requires_grad=True)
    targets = torch.tensor([0, 6, IGNORE, 3, 3])
    assert torch.autograd.gradcheck(lambda x, w: HeadLoss.apply(x, w, targets), (x, weight))


@pytest.mark.parametrize("tie_weights", [False, True])
def test_numeric_gradients_of_a_whole_model(tie_weights):
    config = GPTConfig(5, 3, 4, 2, 1, drop_rate=0.0, tie_weights=tie_weights)
    model = GPTModel(config).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    inputs, targets = (
        torch.tensor([[1, 4, 0], [2, 2, 3]]),
        torch.tensor([[4, 0, 1], [2, 3, IGNORE]]),
    )

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return next_token_loss(self.model, inputs, targets)

    names, values = zip(*Loss().named_parameters())
    leaves = [value.detach().clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(
        lambda *leaves: torch.func.functional_call(Loss(), dict(zip(names, leaves)), ()), leaves
    )


def test_an_untrained_model_loses_ln_of_the_vocabulary():
    assert abs(next_token_loss(tiny_model(), *random_batch(32)).item() - math.log(300)) < 0.1


# ---- The training loop.


def loaders(n_ids: int = 200, batch_size: int = 4, seed: int = 7) -> tuple[DataLoader, DataLoader]:
    """Ids in which something can be learned: 6 steps an epoch, and a validation of 2 batches."""
    ids = torch.arange(n_ids).square() % 300
    return (
        create_dataloader(ids, 8, batch_size, seed=seed),
        create_dataloader(ids[:57].flip(0), 8, batch_size, shuffle=False, drop_last=False),
    )


def adamw(model: nn.Module, lr: float = 1e-2) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)


def hugging_face_twin(model: GPTModel, folder: Path) -> nn.Module:
    from transformers import GPT2LMHeadModel

    save_pretrained(model, folder)
    return GPT2LMHeadModel.from_pretrained(folder)


def test_five_steps_are_those_of_hugging_face(tmp_path):
    model = random_model(tie_weights=True, qkv_bias=True)
    theirs = hugging_face_twin(model, tmp_path).double().train()
    model.double()
    train_loader, val_loader = loaders()
    progress = train(model, train_loader, adamw(model), 5, val_loader, eval_every=1)
    ours = [row["train_loss"] for row in progress.history]

    optimizer, losses = adamw(theirs), []
    for (inputs, targets), _ in zip(loaders()[0], range(5)):
        loss = F.cross_entropy(theirs(inputs).logits.flatten(0, 1), targets.flatten())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(losses), rtol=1e-6, atol=0)
    assert losses[-1] < losses[0]


def test_one_batch_can_be_learned_by_heart():
    model, batch = tiny_model(emb_dim=24), random_batch(2)
    optimizer = adamw(model)
    losses = [train_step(model, optimizer, *batch) for _ in range(150)]
    assert losses[0] > 5 and losses[-1] < 0.05


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_changes_neither_mode_nor_random_state(training):
    model, (train_loader, val_loader) = tiny_model(drop_rate=0.5).train(training), loaders()
    random, order = torch.get_rng_state(), train_loader.generator.get_state()
    assert evaluate(model, val_loader) == evaluate(model, val_loader)  # so dropout is off
    assert model.training is training
    assert torch.equal(random, torch.get_rng_state())
    assert torch.equal(order, train_loader.generator.get_state())


def test_evaluate_is_the_mean_over_all_tokens():
    model, ids = random_model(), torch.randint(300, (57,))
    loader = create_dataloader(ids, 8, 4, shuffle=False, drop_last=False)  # 4 windows, then 3
    inputs, targets = ids[:56].view(7, 8), ids[1:].view(7, 8)
    assert evaluate(model, loader) == pytest.approx(plain_loss(model, inputs, targets).item())
    first = plain_loss(model, inputs[:4], targets[:4]).item()
    assert evaluate(model, loader, n_batches=1) == pytest.approx(first)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_refused_and_changes_nothing(value):
    model, (train_loader, val_loader) = tiny_model(), loaders()
    with torch.no_grad():
        model.out_head.weight[3] = value
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="the loss of step 1 is nan: lower the learning rate"):
        train(model, train_loader, adamw(model), 6, val_loader)
    model.out_head.weight.data[3] = before.out_head.weight.data[3] = 0
    assert same_weights(model, before)


# ---- Decoding.


class Counting(nn.Module):
    """A model that always goes on by one: after 7 comes 8, after the last id comes 0."""

    def __init__(self, vocab_size: int = 10, context_length: int = 4):
        super().__init__()
        self.config = GPTConfig(vocab_size, context_length, 4, 1, 1)
        self.longest = 0

    def forward(self, idx: Tensor) -> Tensor:
        self.longest = max(self.longest, idx.shape[1])
        return 100.0 * F.one_hot((idx + 1) % self.config.vocab_size, self.config.vocab_size)


@pytest.mark.parametrize(
    "settings", [{"top_k": 1}, {"temperature": 0}, {"temperature": 1e-30}, {"top_p": 1e-9}]
)
def test_settings_that_leave_one_token_are_greedy(settings):
    model, idx = random_model(), torch.randint(300, (3, 5))
    assert torch.equal(generate(model, idx, 10, **settings), generate_greedy(model, idx, 10))


def test_a_seed_repeats_the_text():
    model, idx = random_model(), torch.randint(300, (3, 5))

    def written(seed: int) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        return generate(model, idx, 10, temperature=2.0, generator=draw)

    first = written(1)
    torch.rand(3)
    assert torch.equal(written(1), first)
    assert not torch.equal(written(2), first)
    torch.manual_seed(5)
    unseeded = generate(model, idx, 10)
    torch.manual_seed(5)
    assert torch.equal(generate(model, idx, 10), unseeded)


def test_writing_leaves_the_prompt_the_mode_and_the_random_state_alone():
    model, idx = random_model(drop_rate=0.5).train(), torch.randint(300, (2, 5))
    before, random = idx.clone(), torch.get_rng_state()
    first, second = (
        generate(model, idx, 6, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    )
    assert torch.equal(first, second)  # no dropout
    assert model.training
    assert torch.equal(idx, before) and torch.equal(first[:, :5], idx)
    assert torch.equal(random, torch.get_rng_state())


def test_draws_follow_the_probabilities():
    model = Counting()
    model.forward = lambda idx: torch.tensor([0.1, 0.2, 0.3, 0.4]).log().expand(*idx.shape, 4)
    drawn = generate(model, torch.zeros(20_000, 1, dtype=torch.long), 1)[:, 1]
    shares = drawn.bincount(minlength=4) / len(drawn)
    torch.testing.assert_close(shares, torch.tensor([0.1, 0.2, 0.3, 0.4]), atol=0.02, rtol=0)


def test_the_model_reads_only_what_fits_its_context():
    model, idx = Counting(context_length=4), torch.arange(7).unsqueeze(0)
    assert generate(model, idx, 5, top_k=1).tolist() == [[*range(7), 7, 8, 9, 0, 1]]
    assert model.longest == 4


def test_a_row_that_drew_the_stop_id_writes_nothing_more():
    model, idx = Counting(), torch.tensor([[1], [5]])
    assert generate(model, idx, 8, top_k=1, stop_id=7).tolist() == [
        [1, 2, 3, 4, 5, 6, 7],  # the last one to stop
        [5, 6, 7, 7, 7, 7, 7],
    ]
    assert generate(model, idx, 3, top_k=1, stop_id=7).shape == (2, 4)


def naive_probabilities(scores: list[float], temperature=1.0, top_k=None, top_p=None):
    """Of one row: by trying every number of kept tokens."""
    weights = [math.exp(s / temperature) for s in scores]
    order = sorted(range(len(scores)), key=lambda i: -weights[i])
    kept = order[: top_k or len(order)]
    if top_p is not None:
        total = sum(weights[i] for i in kept)
        enough = [n for n in range(1, len(kept) + 1)
                  if sum(weights[i] for i in kept[:n]) >= top_p * total]  # fmt: skip
        kept = kept[: min(enough, default=len(kept))]
    total = sum(weights[i] for i in kept)
    return [weights[i] / total if i in kept else 0.0 for i in range(len(scores))]


@pytest.mark.parametrize("top_p", [None, 0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("top_k", [None, 1, 3, 20, 99])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_probabilities_equal_those_found_by_trying(temperature, top_k, top_p):
    logits = 2 * torch.randn(6, 20, dtype=torch.double)
    ours = next_token_probabilities(logits, temperature, top_k, top_p)
    expected = [naive_probabilities(row, temperature, top_k, top_p) for row in logits.tolist()]
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize("top_p", [None, 0.1, 0.9, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 50])
@pytest.mark.parametrize("temperature", [0, 1e-30, 0.7, 1.0, 100.0])
def test_probabilities_sum_to_one(temperature, top_k, top_p):
    logits = 30 * torch.randn(4, 50257)
    before = logits.clone()
    probabilities = next_token_probabilities(logits, temperature, top_k, top_p)
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(4))
    assert (probabilities >= 0).all()
    assert torch.equal(logits, before)


def test_top_p_keeps_the_fewest_tokens_that_reach_p():
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.double).log()
    for top_p, kept in [(0.39, [1]), (0.41, [1, 3]), (0.69, [1, 3]), (0.71, [1, 2, 3])]:
        probabilities = next_token_probabilities(logits, top_p=top_p)
        assert probabilities[0].nonzero().flatten().tolist() == kept


def test_equal_scores_stay_as_many_as_top_k_says():
    probabilities = next_token_probabilities(torch.zeros(1, 10), top_k=3)
    assert probabilities[0].nonzero().flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature=-0.1 must be 0"),
        ({"temperature": math.nan}, "temperature=nan must be"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_k": -1}, "top_k=-1 must be at least 1"),
        ({"top_p": 0.0}, "top_p=0.0 must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p=1.1 must be above 0 and at most 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        generate(random_model(), torch.tensor([[1]]), 3, **settings)


def test_a_refused_call_leaves_the_model_in_training():
    model = random_model().train()
    with pytest.raises(ValueError, match="id 300 is outside"):
        generate(model, torch.tensor([[300]]), 3)
    assert model.training


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt is empty"):
        generate(random_model(), torch.zeros(1, 0, dtype=torch.long), 3)


# ---- Weights in GPT-2's layout, against Hugging Face.


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    """A vocabulary of as many tokens as the tiny models know."""
    return BPETokenizer.train("the cat and the dog and the bird sang in the rain " * 9, 300)


def enough_tokens(tokenizer: BPETokenizer) -> dict[str, int]:
    return {"vocab_size": tokenizer.vocab_size}


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_transformers_reads_a_saved_model(tie_weights, qkv_bias, tmp_path):
    model, (idx, _) = random_model(tie_weights=tie_weights, qkv_bias=qkv_bias), random_batch()
    theirs = hugging_face_twin(model, tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(model(idx), theirs(idx).logits, atol=1e-5, rtol=1e-5)
    assert theirs.config.tie_word_embeddings is tie_weights


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("tie_weights", [False, True])
def test_a_saved_model_is_read_back(tie_weights, qkv_bias, tmp_path, tokenizer):
    changes = enough_tokens(tokenizer)
    model = random_model(tie_weights=tie_weights, qkv_bias=qkv_bias, **changes)
    save_pretrained(model, tmp_path / "new" / "folder", tokenizer)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocabulary.tiktoken",
    ]
    read, read_tokenizer = load_pretrained(tmp_path / "new" / "folder")
    idx = torch.randint(tokenizer.vocab_size, (2, 8))
    assert torch.equal(read(idx), model(idx))
    assert read_tokenizer.ranks == tokenizer.ranks
    assert not read.training
    assert (read.out_head.weight is read.tok_emb.weight) is tie_weights


def hugging_face_model(kind: str, **settings) -> nn.Module:
    import transformers

    config = {"n_positions": 8, "n_embd": 12, "n_head": 3, "n_layer": 2} | settings
    model = getattr(transformers, kind)(
        transformers.GPT2Config(bos_token_id=0, eos_token_id=0, **config)
    ).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_a_gpt2_of_transformers_is_read(tied, tmp_path, tokenizer):
    changes = enough_tokens(tokenizer)
    theirs = hugging_face_model("GPT2LMHeadModel", tie_word_embeddings=tied, **changes)
    theirs.save_pretrained(tmp_path)
    tokenizer.save(tmp_path / "vocabulary.tiktoken")
    ours, _ = load_pretrained(tmp_path)
    idx = torch.randint(tokenizer.vocab_size, (2, 8))
    torch.testing.assert_close(ours(idx), theirs(idx).logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_gpt2_without_prefix_and_head_is_read(tmp_path, tokenizer):
    theirs = hugging_face_model("GPT2Model", **enough_tokens(tokenizer))
    theirs.save_pretrained(tmp_path)
    assert "wte.weight" in load_file(tmp_path / "model.safetensors")
    tokenizer.save(tmp_path / "vocabulary.tiktoken")
    ours, _ = load_pretrained(tmp_path)
    idx = torch.randint(tokenizer.vocab_size, (2, 8))
    logits = theirs(idx).last_hidden_state @ theirs.wte.weight.T
    torch.testing.assert_close(ours(idx), logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_masks_in_openais_files_are_no_weights():
    model, other = random_model(tie_weights=True), random_model(tie_weights=True)
    state = gpt2_state(model)
    for i in range(2):
        state[f"h.{i}.attn.bias"] = torch.ones(1, 1, 8, 8).tril()
        state[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    load_gpt2_state(other, state)
    assert same_weights(other, model)


def test_float16_weights_are_read(tmp_path, tokenizer):
    model = random_model(tie_weights=True, qkv_bias=True, **enough_tokens(tokenizer))
    save_pretrained(model, tmp_path, tokenizer)
    halves = {n: w.half() for n, w in load_file(tmp_path / "model.safetensors").items()}
    save_file(halves, tmp_path / "model.safetensors")
    read, _ = load_pretrained(tmp_path)
    assert same_weights(read, copy.deepcopy(model).half().float())
    assert all(weight.dtype == torch.float32 for weight in read.state_dict().values())


@pytest.mark.parametrize("size", GPT2_SIZES)
def test_every_name_and_shape_is_that_of_transformers(size):
    import transformers

    sizes = GPT2_SIZES[size]
    with torch.device("meta"):
        ours = GPTModel(GPTConfig(**sizes, qkv_bias=True, tie_weights=True))
        theirs = transformers.GPT2Model(
            transformers.GPT2Config(
                n_embd=sizes["emb_dim"], n_layer=sizes["n_layers"], n_head=sizes["n_heads"]
            )
        )
    our_shapes = {name: weight.shape for name, weight in gpt2_state(ours).items()}
    assert our_shapes == {name: weight.shape for name, weight in theirs.state_dict().items()}


def test_known_names():
    assert gpt2_name("blocks.0.norm1.scale") == "h.0.ln_1.weight"
    assert gpt2_name("blocks.11.feed_forward.layers.2.bias") == "h.11.mlp.c_proj.bias"
    assert gpt2_name("tok_emb.weight") == "wte.weight"


def test_every_wrong_weight_is_named_and_the_model_is_unchanged():
    model = random_model(qkv_bias=True)
    before, state = copy.deepcopy(model), gpt2_state(random_model(qkv_bias=True))
    del state["h.1.ln_2.bias"]
    state["h.0.attn.c_new.weight"] = torch.ones(2)
    state["h.0.mlp.c_fc.weight"] = state["h.0.mlp.c_fc.weight"].T.contiguous()
    with pytest.raises(ValueError) as refused:
        load_gpt2_state(model, state)
    message = str(refused.value)
    assert "h.1.ln_2.bias is missing" in message
    assert "h.0.attn.c_new.weight is not a weight of this model" in message
    assert "h.0.mlp.c_fc.weight is (48, 12), not (12, 48)" in message
    assert same_weights(model, before)


def test_many_wrong_weights_are_counted():
    with pytest.raises(ValueError, match="; and 24 more"):
        load_gpt2_state(random_model(qkv_bias=True), {})  # 2 blocks of 12, wte, wpe, ln_f, head


def test_a_bias_that_the_model_lacks_is_refused():
    state = gpt2_state(random_model(qkv_bias=True))
    with pytest.raises(ValueError, match="c_attn.bias is not a weight.*with qkv_bias=True"):
        load_gpt2_state(random_model(qkv_bias=False), state)
    model = random_model(qkv_bias=False)
    load_gpt2_state(model, gpt2_state(random_model(qkv_bias=False)))  # zeros are no bias


def test_a_head_of_its_own_does_not_fit_a_tied_model():
    state = gpt2_state(random_model(tie_weights=False))
    with pytest.raises(ValueError, match="lm_head.weight differs from wte.weight"):
        load_gpt2_state(random_model(tie_weights=True), state)


# ---- Model folders that cannot be read.


@pytest.fixture
def folder(tmp_path, tokenizer) -> Path:
    model = random_model(tie_weights=True, **enough_tokens(tokenizer))
    save_pretrained(model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


@pytest.mark.parametrize("keep", [0, 5, 1000, -1])
def test_damaged_weights_are_refused(folder, keep):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        load_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is not there.*gpt2-xl"):
        load_pretrained(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match="nowhere is neither a model folder nor one of course, smollm2, gpt2",
    ):
        load_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "model_type is 'mistral', not 'gpt2'"),
        ({"model_type": None}, "model_type is None"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"n_head": 5}, "emb_dim=12 is not a multiple of n_heads=5"),
        ({"layer_norm_epsilon": 1e-3}, "layer_norm_epsilon"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ],
)
def test_another_kind_of_model_is_refused(folder, change, message):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=f"config.json does not describe a GPT-2.*{message}"):
        load_pretrained(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "gpt2"}', "null"])
def test_a_damaged_config_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match="config.json does not describe a GPT-2"):
        read_config(folder / "config.json")


@pytest.mark.parametrize("size", [3072.0, "64", None, True])
def test_a_size_that_is_no_whole_number_is_refused(folder, size):
    described = json.loads((folder / "config.json").read_text()) | {"n_embd": size}
    (folder / "config.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=f"describe a GPT-2: n_embd is {size!r}, not a whole"):
        load_pretrained(folder)


def test_a_damaged_vocabulary_is_refused_by_its_path(folder):
    (folder / "vocabulary.tiktoken").write_text("not base64 0\n")
    with pytest.raises(ValueError, match=r"vocabulary\.tiktoken: this is not a vocabulary file"):
        load_pretrained(folder)


def test_a_negative_number_of_tokens_is_refused():
    with pytest.raises(ValueError, match="n_tokens=-1 must be at least 0"):
        generate(random_model(), torch.tensor([[1]]), -1)


def test_a_tokenizer_of_another_size_is_refused(folder, tokenizer):
    BPETokenizer.train("abab", 257).save(folder / "vocabulary.tiktoken")
    n = tokenizer.vocab_size
    with pytest.raises(ValueError, match=f"vocab_size={n}, but its tokenizer knows 257 tokens"):
        load_pretrained(folder)
    (folder / "vocabulary.tiktoken").unlink()  # then it is GPT-2's
    with pytest.raises(ValueError, match=f"vocab_size={n}, but its tokenizer knows 50257 tokens"):
        load_pretrained(folder)


# ---- The hub, played by a server on this machine.


class Hub(http.server.BaseHTTPRequestHandler):
    """Answer as huggingface.co does for the files in self.folder / repository."""

    def __init__(self, folder: Path, *args):
        self.folder = folder
        super().__init__(*args)

    def do_HEAD(self):
        repository, _, rest = self.path.lstrip("/").partition("/resolve/")
        path = self.folder / repository / rest.partition("/")[2]
        if not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{path.name}-{path.stat().st_size}"')
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(path.read_bytes())

    do_GET = do_HEAD

    def log_message(self, *args):
        pass


def ask_the_hub(home: Path, endpoint: str, offline: str = "0") -> subprocess.CompletedProcess:
    """Load gpt2 in a Python of its own, and write its logits for ids 0 to 7."""
    program = f"""
import torch
from ch05.gpt_weights import load_pretrained
try:
    model, tokenizer = load_pretrained("gpt2")
except (ValueError, OSError) as error:
    raise SystemExit(f"refused: {{error}}")
assert tokenizer.encode("Hello, I am") == [15496, 11, 314, 716]
torch.save(model(torch.arange(8).unsqueeze(0)).detach(), {str(home / "logits.pt")!r})
"""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@contextmanager
def hub(folder: Path, handler: type[Hub] = Hub):
    """Serve the files in folder, and give the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_openais_weights_come_from_the_hub(tmp_path):
    model = random_model(vocab_size=50257, tie_weights=True, qkv_bias=True)
    save_pretrained(model, tmp_path / "openai-community" / "gpt2")
    with hub(tmp_path) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
        assert done.returncode == 0, done.stderr
    expected = model(torch.arange(8).unsqueeze(0)).detach()
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected)
    (tmp_path / "logits.pt").unlink()
    done = ask_the_hub(tmp_path, endpoint, offline="1")  # what was fetched once is kept
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected)


def test_without_a_network_the_hub_is_refused(tmp_path):
    done = ask_the_hub(tmp_path, "http://127.0.0.1:9", offline="1")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "refused: gpt2 could not be had from the Hugging Face hub (config.json)" in done.stderr
    assert "HF_ENDPOINT" in done.stderr and "COURSE_MODEL=course in a notebook" in done.stderr
    assert "--model course in a command" in done.stderr


class BreakingHub(Hub):
    """Close the connection in the middle of the weights."""

    def do_GET(self):
        if self.path.endswith("model.safetensors"):
            self.wfile.write = partial(self.write_half, self.wfile.write)
        self.do_HEAD()

    def write_half(self, write, data: bytes):
        write(data[: len(data) // 2] if len(data) > 10_000 else data)


@pytest.mark.slow  # the hub's library tries five times
def test_a_download_that_breaks_off_is_refused_and_the_next_one_goes_on(tmp_path):
    model = random_model(vocab_size=50257, tie_weights=True, qkv_bias=True)
    save_pretrained(model, tmp_path / "openai-community" / "gpt2")
    with hub(tmp_path, BreakingHub) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "refused: gpt2 could not be had" in done.stderr and "COURSE_MODEL" in done.stderr
    with hub(tmp_path) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
    assert done.returncode == 0, done.stderr
    expected = model(torch.arange(8).unsqueeze(0)).detach()
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected)


def test_gpt2s_own_vocabulary_is_the_default(tmp_path):
    model = random_model(vocab_size=50257, tie_weights=True)
    save_pretrained(model, tmp_path)
    assert load_pretrained(tmp_path)[1].ranks == gpt2_ranks()


class WrongHub(Hub):
    """Serve a page where the weights should be, as a proxy does that wants a password."""

    def do_GET(self):
        if self.path.endswith("model.safetensors"):
            self.wfile.write = partial(self.write_page, self.wfile.write)
        self.do_HEAD()

    def write_page(self, write, data: bytes):
        write(b"<html>".ljust(len(data)) if len(data) > 10_000 else data)


@pytest.mark.slow
def test_wrong_bytes_from_the_hub_are_named_with_the_folder_to_delete(tmp_path):
    model = random_model(vocab_size=50257, tie_weights=True, qkv_bias=True)
    save_pretrained(model, tmp_path / "openai-community" / "gpt2")
    with hub(tmp_path, WrongHub) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (said,) = (line for line in done.stderr.splitlines() if "refused" in line)
    kept = tmp_path / "hf" / "hub" / "models--openai-community--gpt2"
    assert "model.safetensors is damaged" in said and f"delete the folder {kept}" in said
    shutil.rmtree(kept)
    with hub(tmp_path) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
    assert done.returncode == 0, done.stderr


def test_what_was_fetched_once_is_read_without_asking_the_hub(tmp_path):
    model = random_model(vocab_size=50257, tie_weights=True, qkv_bias=True)
    save_pretrained(model, tmp_path / "openai-community" / "gpt2")
    with hub(tmp_path) as endpoint:
        done = ask_the_hub(tmp_path, endpoint)
        assert "fetching model.safetensors of gpt2 from the Hugging Face hub" in done.stderr
    done = ask_the_hub(tmp_path, endpoint)  # nobody answers there any more
    assert done.returncode == 0, done.stderr
    assert "fetching" not in done.stderr


# ---- Models that came about in another way.


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_a_compiled_model_is_saved_as_the_model_that_it_is(whole, tie_weights, tmp_path, tokenizer):
    model = random_model(tie_weights=tie_weights, qkv_bias=True, **enough_tokens(tokenizer))
    compiled = torch.compile(model) if whole else copy.deepcopy(model)
    if not whole:
        compiled.blocks[1] = torch.compile(compiled.blocks[1])
    save_pretrained(compiled, tmp_path, tokenizer)
    assert same_weights(load_pretrained(tmp_path)[0], model)
    other = random_model(tie_weights=tie_weights, qkv_bias=True, **enough_tokens(tokenizer))
    load_gpt2_state(torch.compile(other), load_file(tmp_path / "model.safetensors"))
    assert same_weights(other, model)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int64, torch.bool])
def test_weights_that_are_no_floating_point_numbers_are_refused(kind):
    model, state = random_model(qkv_bias=True), gpt2_state(random_model(qkv_bias=True))
    before = copy.deepcopy(model.state_dict())
    state["h.1.mlp.c_fc.weight"] = state["h.1.mlp.c_fc.weight"].to(kind)
    with pytest.raises(ValueError, match=f"h.1.mlp.c_fc.weight is {kind}, not floating-point"):
        load_gpt2_state(model, state)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("kind", ["shards", "pytorch_model.bin"])
def test_weights_in_another_form_are_named_and_the_advice_makes_them_readable(
    kind, tmp_path, tokenizer
):
    from transformers import GPT2LMHeadModel

    theirs = hugging_face_model("GPT2LMHeadModel", **enough_tokens(tokenizer))
    theirs.save_pretrained(tmp_path, max_shard_size="8KB" if kind == "shards" else "1GB")
    tokenizer.save(tmp_path / "vocabulary.tiktoken")
    found = "model-00001-of-"
    if kind == "pytorch_model.bin":
        torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / kind)
        (tmp_path / "model.safetensors").unlink()
        found = kind
    assert not (tmp_path / "model.safetensors").exists()
    with pytest.raises(FileNotFoundError, match=f"its weights are in {found}") as refused:
        load_pretrained(tmp_path)
    advice = str(refused.value).split("`")[1]
    eval(advice, {"GPT2LMHeadModel": GPT2LMHeadModel})
    ours, _ = load_pretrained(tmp_path)
    idx = torch.randint(tokenizer.vocab_size, (2, 8))
    torch.testing.assert_close(ours(idx), theirs(idx).logits, atol=1e-5, rtol=1e-5)


def test_a_folder_of_a_stopped_training_is_named(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    said = f"ch05.pretrain train --out {tmp_path} --resume` goes on"
    with pytest.raises(FileNotFoundError, match=said):
        load_pretrained(tmp_path)


def test_a_model_file_can_be_read_by_whom_the_umask_lets(tmp_path, tokenizer):
    before = os.umask(0o027)
    try:
        save_pretrained(random_model(**enough_tokens(tokenizer)), tmp_path, tokenizer)
    finally:
        os.umask(before)
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    assert len(list(tmp_path.iterdir())) == 3


# ---- What stays as it was when something goes wrong.


def test_an_evaluation_that_fails_leaves_the_model_in_its_mode():
    model = tiny_model().train()
    wrong = torch.full((1, 4), 300)
    with pytest.raises(ValueError, match="id 300 is outside"):
        evaluate(model, [(wrong, wrong)])
    assert model.training


# ---- Two precisions.


@pytest.mark.parametrize("n_ignored", [0, 5, 32])
def test_the_loss_under_autocast_is_pytorchs_own_in_float32(n_ignored):
    model, (inputs, targets) = random_model(), random_batch()
    targets.flatten()[torch.randperm(targets.numel())[:n_ignored]] = IGNORE
    with torch.autocast("cpu", torch.bfloat16):
        loss = next_token_loss(model, inputs, targets)
        logits = model(inputs).flatten(0, 1)
    assert logits.dtype == torch.bfloat16 and loss.dtype == torch.float32
    if n_ignored == 32:
        assert loss.item() == 0
    else:
        torch.testing.assert_close(loss, F.cross_entropy(logits.float(), targets.flatten()))
    loss.backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_precision_is_what_pays_or_what_is_asked_for(monkeypatch):
    cpu, cuda, mps = map(torch.device, ("cpu", "cuda", "mps"))
    monkeypatch.delenv("COURSE_PRECISION", raising=False)
    for gain, on_cpu in ((0.2, "float32"), (4.0, "bfloat16")):
        monkeypatch.setattr(precision, "bfloat16_gain", lambda gain=gain: gain)
        assert precision.choose_precision(cpu) == on_cpu
    for has_it, on_cuda in ((False, "float32"), (True, "bfloat16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has_it=has_it, **_: has_it)
        assert precision.choose_precision(cuda) == on_cuda
    assert precision.choose_precision(mps) == "float32"
    assert precision.choose_precision(cpu, "float32") == "float32"  # a run that goes on
    for asked in ("float32", "bfloat16"):
        monkeypatch.setenv("COURSE_PRECISION", asked)
        assert all(precision.choose_precision(d) == asked for d in (cpu, cuda, mps))
    monkeypatch.setenv("COURSE_PRECISION", "auto")
    assert precision.choose_precision(cpu) == "bfloat16"
    for wrong in ("fp16", "bf16", "FLOAT32"):
        monkeypatch.setenv("COURSE_PRECISION", wrong)
        with pytest.raises(ValueError, match=f"COURSE_PRECISION='{wrong}' is no precision: choose"):
            precision.choose_precision(cpu)


def test_a_processor_is_measured_once(monkeypatch):
    precision.bfloat16_gain.cache_clear()
    gain = precision.bfloat16_gain()
    assert 0 < gain < math.inf
    monkeypatch.setattr(torch, "randn", None)
    assert precision.bfloat16_gain() == gain
