"""Files of weights read and written by hand, and seven ways to load one under a limit of memory."""

import json
import struct
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ch05.bonus.weights import (
    DTYPES,
    RECORD,
    WAYS,
    WITHIN,
    in_child,
    map_weights,
    read_header,
    tensor_entries,
    trial,
    write_safetensors,
)


def random_state(draw: Random) -> dict[str, torch.Tensor]:
    """Tensors of any type and shape, without a number and with one, turned and not."""
    state = {}
    for i in range(draw.randint(0, 6)):
        shape = [draw.randint(0, 5) for _ in range(draw.randint(0, 3))]
        dtype = draw.choice([*DTYPES.values()])
        tensor = (100 * torch.randn(shape)).to(dtype)
        state[f"часть {i}"] = tensor.transpose(0, -1) if tensor.dim() > 1 else tensor
    return state


def assert_equal(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype and torch.equal(tensor, theirs[name])


@pytest.mark.parametrize("number", range(40))
def test_the_library_reads_what_we_write_and_we_read_what_it_writes(number: int, tmp_path: Path):
    state = random_state(Random(number))
    write_safetensors(state, tmp_path / "ours.safetensors")
    assert_equal(load_file(tmp_path / "ours.safetensors"), state)
    assert_equal(map_weights(tmp_path / "ours.safetensors"), state)
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "theirs.safetensors")
    assert_equal(map_weights(tmp_path / "theirs.safetensors"), state)


def test_every_number_begins_where_the_processor_likes_it(tmp_path: Path):
    write_safetensors({"a": torch.ones(3), "bb": torch.zeros(2)}, tmp_path / "a.safetensors")
    header, start = read_header(tmp_path / "a.safetensors")
    assert start % 8 == 0 and [*tensor_entries(header)] == ["a", "bb"]


@pytest.mark.parametrize("n_lost", [1, 30, 1000])
def test_a_file_that_was_cut_off_is_refused_by_both(n_lost: int, tmp_path: Path):
    path = tmp_path / "cut.safetensors"
    write_safetensors({"a": torch.ones(300)}, path)
    path.write_bytes(path.read_bytes()[: -n_lost or None])
    with pytest.raises(ValueError, match="bytes announced|bytes in a file of"):
        read_header(path)
    with pytest.raises(SafetensorError):
        load_file(path)


def test_a_header_longer_than_its_file_is_refused(tmp_path: Path):
    (path := tmp_path / "long.safetensors").write_bytes(struct.pack("<Q", 10**12) + b"{}")
    with pytest.raises(ValueError, match="a header of 1000000000000 bytes in a file of 10"):
        read_header(path)


linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")


@linux
def test_a_process_that_wants_too_much_says_so_and_the_next_one_is_not_limited(tmp_path: Path):
    def hungry(folder: Path):
        torch.empty(500_000_000)  # 2 GB: more than what earlier tests freed and this process kept
        return lambda idx: torch.zeros(1, 16, 4)

    assert "error" in in_child(lambda: trial(hungry, tmp_path, 1_000_000_000))
    assert "error" not in in_child(lambda: trial(hungry, tmp_path, 4_000_000_000))


def test_the_record_has_every_way_and_one_model():
    rows = json.loads(RECORD.read_text(encoding="utf-8"))
    assert [row["way"] for row in rows] == [*WAYS]
    assert len({tuple(row["logits"]) for row in rows}) == 1
    for row in rows:
        loads = [row[name] for name in WITHIN]
        assert loads == sorted(loads), "what loads within a limit loads within a wider one"
        assert row["peak"] > 0.9 and row["peak"] > row["own"]
