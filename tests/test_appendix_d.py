"""The extras of the training loop, against PyTorch's own, and the loop against a plain one."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from appendix_d.training_extras import (
    Extras,
    accumulate_gradients,
    clip_gradients,
    largest_gradient,
    mixed_precision_loss,
    set_learning_rate,
    step_with_extras,
    train_with_extras,
    warmup_cosine,
)
from ch02.dataloader import create_dataloader
from ch04.gpt import GPTConfig, GPTModel
from ch05.course_model import pretrain
from ch05.gpt_train import IGNORE, evaluate


def tiny_model(**changes) -> GPTModel:
    sizes = {"vocab_size": 300, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 2}
    return GPTModel(GPTConfig(**sizes | {"drop_rate": 0.0, "tie_weights": True} | changes))


def plain_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy; 0 if no target counts."""
    logits, rows = model(inputs).flatten(0, 1), targets.flatten()
    total = F.cross_entropy(logits, rows, ignore_index=IGNORE, reduction="sum")
    return total / (rows != IGNORE).sum().clamp(min=1)


def random_batch(batch_size: int = 4) -> tuple[Tensor, Tensor]:
    ids = torch.randint(300, (batch_size, 9))
    return ids[:, :-1], ids[:, 1:].contiguous()


def loaders(n_ids: int = 200, batch_size: int = 4) -> tuple[DataLoader, DataLoader]:
    """Ids in which something can be learned: 6 batches an epoch, and a validation of 2."""
    ids = torch.arange(n_ids).square() % 300
    return (
        create_dataloader(ids, 8, batch_size, seed=7),
        create_dataloader(ids[:57].flip(0), 8, batch_size, shuffle=False, drop_last=False),
    )


def adamw(model: nn.Module, lr: float = 1e-2) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1, fused=True)


def gradients(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    b_state = b.state_dict()
    return all(torch.equal(weight, b_state[name]) for name, weight in a.state_dict().items())


# ---- The schedule.


def test_the_schedule_at_its_corners():
    share = warmup_cosine(100, n_warmup=20, floor=0.1)
    assert share(0) == 1 / 20  # not 0: the first step is not wasted
    assert share(9) == 0.5
    assert share(19) == share(20) == 1
    assert share(60) == pytest.approx(0.55)  # half way down
    assert share(100) == share(1000) == pytest.approx(0.1)
    rates = [share(step) for step in range(100)]
    assert all(a < b for a, b in zip(rates[:19], rates[1:20]))
    assert all(a > b for a, b in zip(rates[20:], rates[21:]))


def test_a_floor_of_one_is_a_warmup_alone_and_no_warmup_starts_at_the_peak():
    assert [warmup_cosine(8, 2, floor=1)(step) for step in range(8)] == [0.5] + 7 * [1]
    assert warmup_cosine(8)(0) == 1
    assert warmup_cosine(8)(8) == 0
    assert [warmup_cosine(3, 3)(step) for step in range(3)] == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(("n_steps", "n_warmup", "floor"), [(300, 100, 0.05), (50, 0, 0.0)])
def test_the_schedule_is_that_of_the_courses_model(n_steps, n_warmup, floor):
    ours = warmup_cosine(n_steps, n_warmup, floor)
    theirs = pretrain.warmup_cosine(n_steps, n_warmup, floor)
    assert [ours(step) for step in range(n_steps)] == [theirs(step) for step in range(n_steps)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 11), "a warmup of 11 steps does not fit into a run of 10"),
        ((10, -1), "a warmup of -1 steps"),
        ((10, 2, 1.5), "floor=1.5"),
        ((10, 2, -0.1), "floor=-0.1"),
        ((10, 2, math.nan), "floor=nan"),
    ],
)
def test_a_schedule_without_a_meaning_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        warmup_cosine(*arguments)


def test_the_rates_are_those_of_pytorchs_lambda_schedule():
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    groups = [[{"params": layer.parameters(), "lr": lr}] for layer, lr in zip(layers, (1e-3, 2))]
    ours, theirs = (torch.optim.SGD([*groups[0], *groups[1]]) for _ in range(2))
    share = warmup_cosine(12, 4, 0.1)
    scheduler = LambdaLR(theirs, share)
    for step in range(12):
        set_learning_rate(ours, share(step))
        assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]
        theirs.step()
        scheduler.step()


# ---- Clipping.


def weights_with(*grads: Tensor | None) -> list[nn.Parameter]:
    parameters = []
    for grad in grads:
        parameter = nn.Parameter(torch.zeros(3) if grad is None else torch.zeros_like(grad))
        parameter.grad = grad
        parameters.append(parameter)
    return parameters


CASES = {
    "random": (torch.linspace(-3, 5, 12).view(3, 4), torch.tensor([0.5, -9.0])),
    "all negative": (-torch.linspace(1, 5, 6), torch.tensor([-7.0])),
    "zero": (torch.zeros(2, 2), torch.zeros(3)),
    "one without": (None, torch.tensor([3.0, -4.0])),
    "tiny": (torch.full((4,), 1e-9), torch.tensor([-1e-9])),
}


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 5.0, 1e4, math.inf])
@pytest.mark.parametrize("case", CASES)
def test_clipping_is_pytorchs(case, max_norm):
    ours, theirs = (weights_with(*copy.deepcopy(CASES[case])) for _ in range(2))
    norm = clip_gradients(ours, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    torch.testing.assert_close(norm, expected)
    for a, b in zip(ours, theirs):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad)
    assert clip_gradients(ours, math.inf) <= min(max_norm, norm.item()) * (1 + 1e-5)


def test_clipping_is_pytorchs_on_a_model():
    ours = tiny_model(emb_dim=24)
    (100 * plain_loss(ours, *random_batch())).backward()
    theirs = copy.deepcopy(ours)
    for a, b in zip(ours.parameters(), theirs.parameters()):
        b.grad = a.grad.clone()
    norm = clip_gradients(iter(ours.parameters()), 0.7)  # an iterator will do
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.7))
    torch.testing.assert_close(gradients(ours), gradients(theirs))


def test_clipping_keeps_the_direction():
    (weight,) = weights_with(torch.tensor([3.0, -4.0]))
    assert clip_gradients([weight], 1.0) == 5
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, -0.8]))
    assert clip_gradients([weight], 2.0) == pytest.approx(1)  # short enough: untouched
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, -0.8]))


def test_without_gradients_there_is_nothing_to_clip():
    assert clip_gradients(weights_with(None), 1.0) == 0
    assert largest_gradient(weights_with(None)) == 0


def test_the_largest_gradient_may_be_negative():
    assert largest_gradient(weights_with(*CASES["all negative"])) == 7
    assert largest_gradient(weights_with(*CASES["random"], None)) == 9


@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan])
def test_a_norm_that_leaves_no_gradient_is_refused(max_norm):
    parameters = weights_with(torch.ones(2))
    with pytest.raises(ValueError, match="max_norm=.* must be above 0"):
        clip_gradients(parameters, max_norm)
    assert torch.equal(parameters[0].grad, torch.ones(2))


# ---- Accumulation.


@pytest.mark.parametrize("n_ignored", [(0, 0, 0), (1, 30, 7), (0, 32, 0), (32, 32, 32)])
def test_small_batches_give_the_gradient_of_the_large_one(n_ignored):
    model = tiny_model()
    batches = [random_batch() for _ in n_ignored]
    for (_, targets), n in zip(batches, n_ignored):
        targets.flatten()[torch.randperm(32)[:n]] = IGNORE
    inputs, targets = (torch.cat(parts) for parts in zip(*batches))
    large = plain_loss(model, inputs, targets)
    large.backward()
    expected = gradients(model)
    model.zero_grad()
    mean = accumulate_gradients(model, batches)
    torch.testing.assert_close(mean, large.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients(model), expected, rtol=0, atol=1e-6)
    if len(set(n_ignored)) > 1:  # the mean of the means would be something else
        means = torch.stack([plain_loss(model, *batch) for batch in batches])
        assert abs(means.mean() - large) > 1e-3


def test_batches_of_other_sizes_are_weighted_too():
    model = tiny_model()
    batches = [random_batch(size) for size in (1, 4, 2)]
    large = plain_loss(model, *(torch.cat(parts) for parts in zip(*batches)))
    assert accumulate_gradients(model, batches).item() == pytest.approx(large.item(), rel=1e-6)


def test_a_step_on_small_batches_is_the_step_on_the_large_one():
    one = tiny_model()
    many = copy.deepcopy(one)
    batches = [random_batch(2) for _ in range(3)]
    large = tuple(torch.cat(parts) for parts in zip(*batches))
    for model, group in ((one, [large]), (many, batches)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        step_with_extras(model, optimizer, group, Extras(max_norm=0.1), GradScaler(enabled=False))
    for a, b in zip(one.parameters(), many.parameters()):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


# ---- Mixed precision.


@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.02), ("float16", 0.004)])
def test_the_mixed_loss_and_its_gradient_are_near_those_in_float32(precision, near):
    model, (inputs, targets) = tiny_model(emb_dim=24), random_batch()
    targets[0, :5] = IGNORE
    plain = plain_loss(model, inputs, targets)
    plain.backward()
    expected = torch.cat([g.flatten() for g in gradients(model)])
    model.zero_grad()
    mixed = mixed_precision_loss(model, inputs, targets, precision)
    (mixed * 256).backward()  # as the scaler does: float16 would lose small gradients
    found = torch.cat([g.flatten() for g in gradients(model)]) / 256
    assert mixed.dtype == torch.float32 and all(
        p.dtype == torch.float32 for p in model.parameters()
    )
    assert mixed.item() == pytest.approx(plain.item(), abs=near / 10)
    assert 0 < (found - expected).norm() < near * expected.norm()


def test_a_mixed_loss_without_targets_is_zero():
    model, (inputs, targets) = tiny_model(), random_batch()
    loss = mixed_precision_loss(model, inputs, torch.full_like(targets, IGNORE), "bfloat16")
    loss.backward()
    assert loss == 0 and not any(gradient.any() for gradient in gradients(model))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_mixed_training_learns_as_in_float32(precision):
    losses = {}
    for kind in ("float32", precision):
        torch.manual_seed(1)
        model = tiny_model(emb_dim=24)
        extras = Extras(n_warmup=4, max_norm=1.0, n_batches=2, precision=kind)
        rows = train_with_extras(model, *loaders(), adamw(model), 8, extras)
        losses[kind] = [row["loss"] for row in rows]
    assert losses[precision][0] == pytest.approx(losses["float32"][0], abs=0.01)
    assert losses[precision][-1] == pytest.approx(losses["float32"][-1], abs=0.2)
    assert losses[precision][-1] < losses[precision][0] - 1


@pytest.mark.parametrize("fused", [True, False])
def test_a_float16_step_that_overflows_is_left_out(fused):
    model, batch = tiny_model(), random_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
    scaler, before = GradScaler("cpu", init_scale=2.0**40), copy.deepcopy(model)
    extras = Extras(precision="float16", max_norm=1.0)
    loss, norm = step_with_extras(model, optimizer, [batch], extras, scaler)
    assert math.isfinite(loss) and not math.isfinite(norm)
    assert same_weights(model, before) and scaler.get_scale() == 2.0**39
    while not math.isfinite(norm):
        loss, norm = step_with_extras(model, optimizer, [batch], extras, scaler)
    assert 0.1 < norm < 100 and not same_weights(model, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_trains_on_cuda(precision):
    model = tiny_model(emb_dim=24).cuda()
    extras = Extras(n_warmup=4, max_norm=1.0, n_batches=2, precision=precision)
    rows = train_with_extras(model, *loaders(), adamw(model), 8, extras)
    assert rows[-1]["loss"] < rows[0]["loss"] - 1


# ---- The loop.


@pytest.mark.parametrize("extras", [Extras(), Extras(max_norm=1e9)])
def test_without_extras_the_loop_is_the_plain_one_bit_for_bit(extras):
    plain = tiny_model(drop_rate=0.1)
    ours = copy.deepcopy(plain)
    train_loader, val_loader = loaders()
    optimizer, expected = adamw(plain), []
    torch.manual_seed(3)
    for _ in range(3):
        for inputs, targets in train_loader:
            loss = plain_loss(plain, inputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    torch.manual_seed(3)
    rows = train_with_extras(ours, *loaders(), adamw(ours), 3, extras, eval_every=4)
    assert same_weights(ours, plain)
    assert [row["loss"] for row in rows] == expected
    assert [row["epoch"] for row in rows] == 6 * [1] + 6 * [2] + 6 * [3]
    looked = [row["step"] for row in rows if row["val_loss"] is not None]
    assert looked == [4, 8, 12, 16, 18]
    assert rows[-1]["val_loss"] == evaluate(plain, val_loader)


def test_the_logged_learning_rate_is_the_one_the_optimizer_used():
    model, used = tiny_model(), []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            used.append([group["lr"] for group in self.param_groups])
            return super().step(closure)

    optimizer = Watched(model.parameters(), lr=0.2)
    extras = Extras(n_warmup=5, floor=0.1)
    rows = train_with_extras(model, *loaders(), optimizer, 3, extras)
    share = warmup_cosine(18, 5, 0.1)
    assert [[row["learning_rate"]] for row in rows] == used
    assert [rate for (rate,) in used] == [0.2 * share(step) for step in range(18)]


def test_the_logged_norm_is_that_before_clipping():
    model = tiny_model()
    batch = next(iter(loaders()[0]))
    plain_loss(model, *batch).backward()
    expected = torch.cat([g.flatten() for g in gradients(model)]).norm().item()
    assert expected > 0.2
    rows = train_with_extras(model, *loaders(), adamw(model), 1, Extras(max_norm=0.1))
    assert rows[0]["norm"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("n_batches", "steps"), [(1, 6), (2, 3), (4, 2), (6, 1), (9, 1)])
def test_an_epoch_has_as_many_steps_as_groups_of_batches(n_batches, steps):
    model, extras = tiny_model(), Extras(n_batches=n_batches)
    rows = train_with_extras(model, *loaders(), adamw(model), 2, extras)
    assert [row["step"] for row in rows] == list(range(1, 2 * steps + 1))
    assert [row["epoch"] for row in rows] == steps * [1] + steps * [2]


def test_each_epoch_reads_every_batch_once():
    model, read = tiny_model(), []
    train_loader, val_loader = loaders()
    model.tok_emb.register_forward_hook(lambda _, inputs, out: read.append(inputs[0].clone()))
    extras = Extras(n_batches=4)
    train_with_extras(model, train_loader, val_loader, adamw(model), 1, extras, eval_every=99)
    (expected, _) = loaders()
    batches = [inputs for inputs, _ in expected]
    assert len(batches) == 6 and all(torch.equal(a, b) for a, b in zip(read, batches))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_norm": 0}, "max_norm=0 must be above 0"),
        ({"max_norm": math.nan}, "max_norm=nan"),
        ({"n_batches": 0}, "n_batches=0 must be a whole number above 0"),
        ({"n_batches": 1.5}, "n_batches=1.5 must be a whole number"),
        ({"precision": "float8"}, "'float8' is not one of float32, bfloat16, float16"),
        ({"n_warmup": 7}, "a warmup of 7 steps does not fit into a run of 6"),
        ({"n_warmup": -1}, "a warmup of -1 steps"),
        ({"floor": 2.0}, "floor=2.0"),
    ],
)
def test_bad_settings_are_refused_before_anything_changes(settings, message):
    model = tiny_model()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=message):
        train_with_extras(model, *loaders(), adamw(model), 1, Extras(**settings))
    assert same_weights(model, before)


def test_an_evaluation_every_zero_steps_is_refused():
    model = tiny_model()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="eval_every=0 must be at least 1"):
        train_with_extras(model, *loaders(), adamw(model), 2, Extras(), eval_every=0)
    assert same_weights(model, before)


def test_a_loss_or_gradient_that_is_not_finite_changes_nothing():
    batch, off = random_batch(), GradScaler(enabled=False)
    model = tiny_model()
    model.blocks[0].norm1.shift.data[0] = math.nan
    before = copy.deepcopy(model.tok_emb.weight)
    with pytest.raises(ValueError, match="the loss is nan: lower the learning rate"):
        step_with_extras(model, adamw(model), [batch], Extras(), off)
    assert torch.equal(model.tok_emb.weight, before)

    model = tiny_model()
    model.final_norm.shift.register_hook(lambda grad: grad * math.inf)
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match="its gradient is (inf|nan)"):
        step_with_extras(model, adamw(model), [batch], Extras(), off)
    assert same_weights(model, before)


def test_the_plain_cross_entropy_of_autocast_would_be_coarse():
    """Why the loss is computed in float32: bfloat16 has steps of 1/32 between 4 and 8."""
    logits = torch.randn(64, 300)
    targets = torch.randint(300, (64,))
    exact = F.cross_entropy(logits, targets)
    coarse = F.cross_entropy(logits.bfloat16(), targets)
    assert coarse.dtype == torch.bfloat16 and coarse.item() * 32 == round(coarse.item() * 32)
    mixed = F.cross_entropy(logits.bfloat16().float(), targets)
    assert abs(mixed - exact) < 1e-2
    assert abs(mixed - exact) < abs(coarse.float() - exact)
