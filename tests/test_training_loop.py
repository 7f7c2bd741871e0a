"""The loop of long trainings: exact to go on with, and sound when something goes wrong."""

import copy
import json
import math
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ch02.dataloader import create_dataloader
from ch04.gpt import GPTConfig, GPTModel
from ch05 import precision
from ch05.bonus.faster_training import fast_evaluate, find_gradients
from ch05.checkpoints import find_checkpoints, load_checkpoint, save_checkpoint
from ch05.optimizers import MuonWithAdamW
from ch05.token_windows import IGNORE
from ch05.training_loop import Progress, batches_from, change_blocks, seed_of, train


def tiny_model(**changes) -> GPTModel:
    sizes = {"vocab_size": 300, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 2}
    return GPTModel(GPTConfig(**sizes | {"drop_rate": 0.0, "tie_weights": True} | changes))


def loaders():
    """Ids in which something can be learned: 6 steps an epoch, and a validation of 2 batches."""
    ids = torch.arange(200).square() % 300
    return (
        create_dataloader(ids, 8, 4, seed=7),
        create_dataloader(ids[:57].flip(0), 8, 4, shuffle=False, drop_last=False),
    )


def falling(step: int) -> float:
    return 0.9**step


class Training:
    """A model, an optimizer and a rate with everything that a resumed run could get wrong."""

    def __init__(self, seed: int = 1, muon: bool = False):
        torch.manual_seed(seed)
        self.model = tiny_model(drop_rate=0.1)
        parameters = self.model.parameters()
        self.optimizer = (
            MuonWithAdamW(self.model, 1e-2) if muon else torch.optim.AdamW(parameters, lr=1e-2)
        )
        self.batches, self.val_batches = loaders()

    def train(self, n_steps: int, progress: Progress | None = None, **more) -> Progress:
        settings = {"eval_every": 4, "schedule": falling, "seed": 5, "clip": 1.0} | more
        return train(
            *(self.model, self.batches, self.optimizer, n_steps, self.val_batches),
            progress=progress,
            **settings,
        )

    def save(self, folder: Path, progress: Progress) -> Path:
        facts = {"step": progress.step, "progress": asdict(progress)}
        return save_checkpoint(folder, self.model, self.optimizer, facts)

    def load(self, path: Path) -> Progress:
        return Progress(**load_checkpoint(path, self.model, self.optimizer)["progress"])


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    b_state = b.state_dict()
    return all(torch.equal(weight, b_state[name]) for name, weight in a.state_dict().items())


def test_the_history_says_what_happened():
    training, rows = Training(), []
    progress = training.train(12, after_step=lambda progress, row: rows.append(row))
    history = progress.history
    assert [row["step"] for row in history] == [4, 6, 8, 12]  # every fourth, and the epochs' ends
    assert [row["epoch"] for row in history] == [1, 1, 2, 2]
    assert [row["tokens"] for row in history] == [row["step"] * 32 for row in history]
    assert history[-1]["train_loss"] < history[0]["train_loss"] < 6
    assert history[-1]["val_loss"] == fast_evaluate(training.model, training.val_batches)
    assert [row["learning_rate"] for row in rows] == [1e-2 * falling(i) for i in range(12)]
    assert sum(row["loss"] for row in rows[:4]) / 4 == history[0]["train_loss"]
    assert [row["val_loss"] is not None for row in rows].count(True) == 4
    assert progress.seconds > 0 and progress.losses == []


def test_every_epoch_has_all_batches_in_an_order_of_its_own():
    loader = create_dataloader(list(range(81)), 4, 2)
    batches = batches_from(loader, 0)
    epochs = [[next(batches)[0].flatten().tolist() for _ in loader] for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    flat = [sorted(number for batch in epoch for number in batch) for epoch in epochs]
    assert flat[0] == flat[1] == flat[2] == list(range(80))


@pytest.mark.parametrize("muon", [False, True])
@pytest.mark.parametrize("stop", [1, 5, 6, 8, 17])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stop, muon, tmp_path):
    whole, first = Training(muon=muon), Training(muon=muon)
    wanted = whole.train(18)
    stopped = first.train(18, after_step=lambda progress, row: progress.step == stop)
    assert stopped.step == stop
    path = first.save(tmp_path, stopped)
    second = Training(seed=99, muon=muon)  # as after a fresh start of Python
    ended = second.train(18, second.load(path))
    assert ended.history == wanted.history and ended.usual_loss == wanted.usual_loss
    assert same_weights(second.model, whole.model)


@pytest.mark.parametrize("name", precision.PRECISIONS)
def test_a_run_in_either_precision_goes_on_exactly(name, tmp_path):
    whole, first, second = Training(), Training(), Training(seed=99)
    whole.train(12, precision=name)
    progress = first.train(12, precision=name, after_step=lambda progress, _: progress.step == 5)
    second.train(12, second.load(first.save(tmp_path, progress)), precision=name)
    assert same_weights(second.model, whole.model)


def test_both_precisions_learn_alike():
    means = {}
    for name in precision.PRECISIONS:
        torch.manual_seed(3)
        model, losses = tiny_model(), []
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        note = losses.append
        train(
            *(model, loaders()[0], optimizer, 300),
            precision=name,
            after_step=lambda _, row, note=note: note(row["loss"]),
        )
        assert losses[-1] < losses[0] - 1
        means[name] = sum(losses) / len(losses)
    assert 0 < abs(means["float32"] - means["bfloat16"]) < 0.02


def test_the_number_of_evaluations_changes_nothing():
    often, never = Training(), Training()
    often.train(12, eval_every=1)
    never.train(12, eval_every=1000)
    assert same_weights(often.model, never.model)


def test_a_finished_run_does_not_go_on():
    training = Training()
    progress = training.train(6)
    before = copy.deepcopy(training.model)
    assert training.train(6, progress).step == 6 and same_weights(training.model, before)
    with pytest.raises(ValueError, match="6 steps are done already, more than 5"):
        training.train(5, progress)
    with pytest.raises(ValueError, match="eval_every=0 must be at least 1"):
        training.train(9, progress, eval_every=0)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_parts_of_a_batch_make_the_gradient_of_the_whole(at_once, recompute):
    """Also where the parts have unequal numbers of targets that count."""
    model, (inputs, targets) = tiny_model(), next(iter(loaders()[0]))
    targets = targets.clone()
    targets[0, 2:], targets[2] = IGNORE, IGNORE
    loss = find_gradients(model, inputs, targets)
    wanted = [p.grad.clone() for p in model.parameters()]
    change_blocks(model, recompute=recompute)
    torch.testing.assert_close(find_gradients(model, inputs, targets, at_once=at_once), loss)
    torch.testing.assert_close([p.grad for p in model.parameters()], wanted)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same():
    plain, compiled = Training(), Training()
    for training in (plain, compiled):
        training.model.eval()  # dropout draws other numbers when it is compiled
        for block in training.model.blocks:
            block.attention.dropout = block.dropout.p = 0.0
        training.model.dropout.p = 0.0
    change_blocks(compiled.model, compiled=True)
    for training in (plain, compiled):
        training.train(6)
    for a, b in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_dropout_depends_on_seed_step_and_process_alone():
    assert len({seed_of(*where) for where in ((1, 2, 0), (1, 3, 0), (2, 2, 0), (1, 2, 1))}) == 4
    assert 0 <= seed_of(2**63 - 1, 10**9, 4000) < 2**63


# ---- What is refused, and what stays.


def test_a_loss_that_is_not_finite_ends_the_training_before_the_step():
    training = Training()
    training.train(3)
    with torch.no_grad():
        training.model.final_norm.scale[3] = math.nan
    before = copy.deepcopy(training.model)
    with pytest.raises(ValueError, match="the loss of step 1 is nan: lower the learning rate"):
        training.train(6)
    before.final_norm.scale.data[3] = training.model.final_norm.scale.data[3] = 0
    assert same_weights(training.model, before)


def test_a_last_step_that_spoils_the_weights_is_named_before_anything_is_saved():
    training, saved = Training(), []
    for group in training.optimizer.param_groups:
        group["lr"] = 1e30
    with pytest.raises(ValueError, match="the validation loss is .*: lower the learning rate"):
        training.train(1, after_step=lambda progress, row: saved.append(row))
    assert not saved


class Spiking:
    """Batches that can be learned, but for some that are about something else."""

    def __init__(self, spikes: set[int]):
        self.spikes = spikes

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, i: int):
        ids = torch.arange(9).repeat(4, 1)
        draw = torch.Generator().manual_seed(i)
        ids = torch.randint(300, (4, 9), generator=draw) if i in self.spikes else ids
        return ids[:, :-1], ids[:, 1:]


def test_a_spike_is_left_out_and_many_end_the_training():
    def run(spikes: set[int], n_steps: int, leave_out: bool = True) -> tuple[list, GPTModel]:
        torch.manual_seed(2)
        model, rows = tiny_model(), []
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        train(
            *(model, Spiking(spikes), optimizer, n_steps),
            leave_out_spikes=leave_out,
            after_step=lambda _, row: rows.append(row),
        )
        return rows, model

    rows, model = run({70, 72}, 73)
    assert [row["step"] for row in rows if row["left_out"]] == [71, 73]
    _, calm = run(set(), 71)  # without the two there are as many steps
    assert same_weights(model, calm)
    assert not any(row["left_out"] for row in run({70}, 72, leave_out=False)[0])
    with pytest.raises(ValueError, match="the weights are spoiled; start anew with a lower"):
        run(set(range(60, 90)), 90)


@pytest.fixture
def saved(tmp_path) -> Path:
    training = Training()
    return training.save(tmp_path, training.train(6))


def refuse(path: Path, match: str) -> None:
    training = Training(seed=2)
    before = copy.deepcopy(training.model)
    with pytest.raises(ValueError, match=match) as refused:
        training.load(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert "weights_only" not in str(refused.value) and same_weights(training.model, before)


def tensors_of(path: Path) -> Path:
    return next(path.glob("*.safetensors"))


def restate(path: Path, **changes) -> None:
    facts = json.loads((path / "state.json").read_text()) | changes
    (path / "state.json").write_text(json.dumps(facts))


def test_the_last_two_checkpoints_are_kept(tmp_path):
    training = Training()
    progress = training.train(
        6, after_step=lambda progress, _: training.save(tmp_path, progress) and None
    )
    names = [path.name for path in find_checkpoints(tmp_path)]
    assert names == ["step-00000006", "step-00000005"]
    assert training.save(tmp_path, progress).name == names[0]  # once more: nothing to do
    assert {path.name for path in tmp_path.iterdir()} == set(names)


@pytest.mark.parametrize("keep", [0, 0.3, 0.999])
def test_a_cut_checkpoint_is_refused(saved, keep):
    data = tensors_of(saved).read_bytes()
    tensors_of(saved).write_bytes(data[: int(len(data) * keep)])
    refuse(saved, "is not a whole checkpoint: shard-.* bytes")
    size = tensors_of(saved).stat().st_size
    restate(saved, files={tensors_of(saved).name: size})  # even if it says that it is whole
    refuse(saved, "is not a whole checkpoint")


def test_a_program_in_a_checkpoint_is_not_run(saved, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    data = pickle.dumps(Trap())
    for name in ("state.json", tensors_of(saved).name, ".metadata"):
        before = (saved / name).read_bytes() if (saved / name).exists() else None
        (saved / name).write_bytes(data)
        if name.endswith("safetensors"):
            restate(saved, files={name: len(data)})
        if before:
            refuse(saved, "is not a whole checkpoint")
            (saved / name).write_bytes(before)
    restate(saved, files={})
    Training().load(saved)  # the pickle that remains is not even looked at
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_of_another_making_is_refused_in_a_sentence(saved):
    path, tensors = tensors_of(saved), load_file(tensors_of(saved))
    (moment,) = (n for n in tensors if "final_norm.scale.exp_avg_sq" in n)
    rest = {n: t for n, t in tensors.items() if "optimizer" in n}
    for changed, match in (
        ({n: t for n, t in tensors.items() if n != "model.final_norm.scale"}, "scale is missing"),
        (tensors | {"model.more": torch.ones(1)}, "model.more is .* and missing in this one"),
        (tensors | {"model.final_norm.scale": torch.ones(13)}, "scale is .13.*and .12"),
        (tensors | {moment: torch.ones(3)}, "exp_avg_sq is .3"),
        ({n: t for n, t in tensors.items() if n not in rest}, "lacks what the optimizer knew"),
        ({}, "is of another model"),
    ):
        save_file(changed, path)
        restate(saved, files={path.name: path.stat().st_size})
        refuse(saved, match)
    restate(saved, format=99)
    refuse(saved, "has format 99 of checkpoints, not 1")


def test_a_full_disk_leaves_the_checkpoints_before_it(saved, monkeypatch, tmp_path):
    def fill(self, *arguments):
        raise OSError(28, "No space left on device")

    training, before = Training(), {p: p.read_bytes() for p in saved.iterdir()}
    progress = training.train(7)
    for where in (
        "torch.distributed.checkpoint.HuggingFaceStorageWriter.write_data",
        "pathlib.Path.rename",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, fill)
            with pytest.raises(OSError, match="No space left.*is the disk full.*as they were"):
                training.save(tmp_path, progress)
        assert {p: p.read_bytes() for p in saved.iterdir()} == before
        assert list(tmp_path.iterdir()) == [saved]
