"""The CUDA kernels of appendix F, on a CPU that runs their threads in any order.

Every kernel agrees with PyTorch, forward and backward, at sizes that fill no tile; a whole training
step does; a bug that is planted into a kernel is noticed. Where nvcc is, it compiles them.
"""

import os
import re
from dataclasses import dataclass

import pytest
import torch

from appendix_f import cuda_gpt
from appendix_f.cuda_gpt import (
    SMALL,
    Case,
    CudaGPT,
    check_orders,
    make_cases,
    time_kernels,
    time_steps,
)
from appendix_f.kernels import (
    KERNELS,
    ORDERS,
    Kernels,
    emulate,
    find_nvcc,
    on_gpu,
    read_needs,
    whole_source,
)
from appendix_f.native import NoCompiler, find_compiler
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_train import IGNORE, next_token_loss

try:
    find_compiler()
except NoCompiler as missing:
    if os.environ.get("CI"):
        raise
    pytest.skip(str(missing), allow_module_level=True)

SIZES = [tuple(SMALL.values()), (1, 34, 66, 2, 33), (3, 1, 5, 1, 33)]  # B, T, C, H, V: ragged
ATOMIC = {("embedding_backward", 1)}  # two threads add to one number, in the order they come


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return emulate()


def in_all_orders(kernels: Kernels, case: Case, version: int) -> list[list[torch.Tensor]]:
    results = []
    for order in ORDERS:
        kernels.use_order(order)
        results.append(case.run(kernels, version))
    return results


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_kernel_agrees_with_pytorch_in_every_order_of_threads(kernels, sizes):
    for case in make_cases(*sizes):
        for version in range(1, case.n_versions + 1):
            results = in_all_orders(kernels, case, version)
            errors = [case.error(result) for result in results]
            assert max(errors) <= 1e-6, f"{case.name} {version}: {errors}"
            if (case.name, version) not in ATOMIC:
                for result in results[1:]:
                    for a, b in zip(results[0], result):
                        assert torch.equal(a, b), f"{case.name} {version} depends on the order"


def test_every_function_of_the_source_has_a_case_and_every_version_a_kernel(kernels):
    cases = make_cases(*SIZES[0])
    assert [case.name for case in cases] == list(kernels._types)


# ---- A whole training step


@pytest.mark.parametrize("version, tie_weights", [(1, False), (2, True), (3, False)])
def test_training_steps_out_of_kernels_are_those_of_pytorch(kernels, version, tie_weights):
    config = GPTConfig(37, 9, 12, 3, 2, 0.0, qkv_bias=tie_weights, tie_weights=tie_weights)
    inputs, targets = torch.randint(37, (2, 2, 7))
    targets[0, 2] = IGNORE
    model = GPTModel(config)
    trained = []
    for order in ORDERS:
        kernels.use_order(order)
        trained.append(CudaGPT(model, kernels, version))
        losses = [trained[-1].train_step(inputs, targets, lr=1e-2) for _ in range(2)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for i in range(2):
        optimizer.zero_grad()
        loss = next_token_loss(model, inputs, targets)
        loss.backward()
        optimizer.step()
        assert abs(loss.item() - losses[i]) <= 1e-6
    gpt = trained[-1]
    found = gpt.named(gpt.gradients)
    for name, parameter in model.named_parameters():
        distance = (found[name] - parameter.grad).norm()
        # A key's bias moves all scores of a query alike, so its gradient is rounding.
        assert distance <= 2e-6 * parameter.grad.norm() + 1e-8, name
    if version > 1:
        for other in trained[:-1]:
            assert torch.equal(other.weights, gpt.weights)


# ---- Bugs, planted one at a time


@dataclass(frozen=True)
class Bug:
    """A text in the kernels, what stands there instead, and the function that must suffer."""

    function: str
    version: int
    right: str
    wrong: str = ""
    message: str = ""  # of the emulator, where it stops the kernel
    only_by_order: bool = False  # threads in forward order hide it


SLICES = "__syncthreads();  // both slices are complete"
SUMS = "__syncthreads();  // all sums lie there"
BUGS = {
    "slices used too early": Bug("linear_forward", 2, SLICES),
    "slices overwritten in use": Bug(
        "linear_forward", 3, "__syncthreads();  // nobody needs them any more"
    ),
    "tile used too early": Bug("attention_forward", 2, "__syncthreads();  // this one is complete"),
    "tile overwritten in use": Bug(
        "attention_backward", 2, "__syncthreads();  // nobody needs the last tile any more"
    ),
    "weights used too early": Bug(
        "attention_backward", 2, "__syncwarp();  // the warp's weights are complete"
    ),
    "sums added up too early": Bug("layernorm_backward", 2, SUMS, only_by_order=True),
    "barrier in a branch": Bug(
        "linear_backward",
        2,
        SUMS,
        f"if (warp < 7) {SUMS}",
        ": thread 0 waits at __syncthreads() in line ",
    ),
    "shuffle in a branch": Bug(
        "layernorm_forward",
        2,
        "if (n >= N) return;  // the whole warp",
        "if (n >= N || lane > 15) return;",
        "thread 0 waits at a shuffle in line ",
    ),
    "shuffle step left out": Bug("layernorm_forward", 2, "step = width / 2", "step = width / 4"),
    "mask off by one": Bug("attention_forward", 2, "j0 + lane > t0", "j0 + lane >= t0"),
    "mask off by one, backward": Bug("attention_backward", 2, "seen = j <= t", "seen = j < t"),
    "rescale forgotten": Bug("attention_forward", 2, "sum[i][c] *= shrink", "sum[i][c] *= 1"),
    "delta forgotten": Bug("attention_backward", 1, " - delta[row]"),
    "edge check gone, writing": Bug(
        "linear_forward", 2, "if (m < M && n < N) put", "if (n < N) put", "writes outside"
    ),
    "edge check gone, reading": Bug("attention_forward", 2, "i0 + i < T ?", "true ?"),
    "edge off by one": Bug(
        "gelu_forward", 1, "if (i < n) out[i] = x", "if (i <= n) out[i] = x", "writes outside"
    ),
    "gradient set, not added": Bug("embedding_backward", 2, "C + c] += sum;", "C + c] = sum;"),
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_noticed(name):
    bug, text = BUGS[name], whole_source()
    assert bug.right in text
    kernels = emulate(text.replace(bug.right, bug.wrong))
    case = next(case for case in make_cases(**SMALL) if case.name == bug.function)
    errors, messages = [], []
    for order in ORDERS:
        kernels.use_order(order)
        try:
            errors.append(case.error(case.run(kernels, bug.version)))
        except RuntimeError as stopped:
            messages.append(str(stopped))
    if bug.message:
        assert not errors and all(bug.message in message for message in messages)
    else:
        assert not messages and max(errors) > 1e-3
        assert (errors[0] <= 1e-6) == bug.only_by_order


NEIGHBOURS = """
#include "cuda_on_cpu.h"
__global__ void turn(float *out, const float *x) {
    __shared__ float copy[32];
    copy[threadIdx.x] = x[threadIdx.x];
    BARRIER
    out[threadIdx.x] = copy[(threadIdx.x + 31) % 32];
}
extern "C" {
const char *turned(float *out, const float *x) { return LAUNCH(turn, 1, 32, 0, out, x); }
}
"""


def test_a_kernel_of_a_readers_own_runs_too_and_its_race_is_found():
    """Each thread takes over what its left neighbour wrote: not before that has been written."""
    x, missing = torch.arange(32.0), {}
    for barrier in "", "__syncthreads();":
        kernels = emulate(NEIGHBOURS.replace("BARRIER", barrier))
        for order in ORDERS:
            kernels.use_order(order)
            out = torch.empty(32)
            kernels.turned(out, x)
            missing[barrier, order] = int(out.isnan().sum())
            if barrier:
                assert torch.equal(out, x.roll(1))
    assert [missing["", 0], missing["", 1]] == [1, 31]  # forward, only thread 0 is too early


def test_what_a_kernel_would_misread_is_refused(kernels):
    x, out = torch.ones(6), torch.empty(6)
    with pytest.raises(ValueError, match="argument 1 holds torch.float64, not torch.float32"):
        kernels.gelu_forward(out, x.double(), 6, 1)
    with pytest.raises(ValueError, match="argument 1 has gaps"):
        kernels.gelu_forward(out, torch.ones(12)[::2], 6, 1)
    with pytest.raises(ValueError, match="takes 4 arguments, not 3"):
        kernels.gelu_forward(out, x, 6)
    with pytest.raises(AttributeError, match="no gelu_upward"):
        kernels.gelu_upward(out, x, 6, 1)
    with pytest.raises(ValueError, match="line:1:.*error"):
        emulate("no C++")
    with pytest.raises(ValueError, match="larger than 64"):
        CudaGPT(GPTModel(GPTConfig(5, 4, 65, 1, 1, 0.0)), kernels)


# ---- On a GPU, or for one


def test_the_tables_of_the_command_hold_every_version(kernels):
    cases = make_cases(B=2, T=5, C=6, H=2, V=3)
    rows = check_orders(kernels, cases)
    timed = time_kernels(kernels, cases, repeats=1)
    names = [(row["kernel"], row["version"]) for row in rows]
    assert names == [(row["kernel"], row["version"]) for row in timed]
    assert len(names) == sum(case.n_versions for case in cases)
    assert {n for n, row in zip(names, rows) if row["different results"] > 1} == ATOMIC
    assert all(row["ms"] > 0 and row["rate"] > 0 for row in timed)
    model = GPTModel(GPTConfig(20, 4, 8, 2, 1, 0.0))
    steps = time_steps(kernels, model, B=1, repeats=1)
    assert [row["step"] for row in steps][-1] == "PyTorch" and len(steps) == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_so_in_one_sentence(refusal):
    assert "there is no GPU here that PyTorch can use" in refusal(cuda_gpt)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_every_kernel_agrees_with_pytorch():
    kernels = on_gpu()
    for sizes in SIZES:
        for case in make_cases(*sizes, device="cuda"):
            for version in range(1, case.n_versions + 1):
                error = case.error(case.run(kernels, version))
                assert error <= 1e-6, f"{case.name} {version}: {error}"


@pytest.mark.skipif(not find_nvcc(), reason="nvcc, NVIDIA's compiler, is not here")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
def test_for_a_gpu_every_kernel_keeps_its_numbers_in_registers(architecture):
    needs = read_needs(find_nvcc(), architecture)
    kernels = re.findall(r"__global__ void (\w+)", KERNELS.read_text(encoding="utf-8"))
    assert {need.kernel.partition("<")[0] for need in needs} == set(kernels)
    for need in needs:
        assert need.stack_bytes == need.spilled_bytes == 0, need
        assert need.registers <= 128, need  # 2 blocks of 256 threads fit
