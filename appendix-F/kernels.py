"""Build the CUDA kernels and call them with tensors: on a GPU, or on a CPU that plays one.

kernels = emulate()  # or on_gpu()
kernels.gelu_forward(out, x, x.numel(), 1)  # the last number is the version
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from appendix_f.native import SHARED, NoCompiler, build, find_compiler, run
from ch02.tokenizer import cache_folder

HERE = Path(__file__).parent
KERNELS, SOURCE = HERE / "kernels.cu", HERE / "launch.cu"
EMULATED = ("-x", "c++", "-std=c++17", "-O1", "-DON_CPU", f"-I{HERE}")
INCLUDE = '#include "kernels.cu"'
ORDERS = {0: "forward", 1: "backward", 2: "random", 3: "random"}  # of threads
ON_GPU = ("-shared", "-Xcompiler", "-fPIC", "-arch=native")


class NoGPU(RuntimeError):
    """No GPU that PyTorch and nvcc can use; the message says what is missing."""


# ---- A source becomes a library


def whole_source() -> str:
    """launch.cu with kernels.cu in its place; messages name the lines of the two."""
    kernels = KERNELS.read_text(encoding="utf-8")
    before, after = SOURCE.read_text(encoding="utf-8").split(INCLUDE)
    return f'{before}#line 1 "kernels.cu"\n{kernels}#line 1 "launch.cu"{after}'


def emulate(text: str | None = None) -> "Kernels":
    """The kernels of a source, or of kernels.cu, on the CPU, a thread at a time.

    Raises: NoCompiler, or ValueError with the compiler's message.
    """
    if os.name == "nt":
        raise NoCompiler(
            "Windows has no ucontext, with which threads are played here: run "
            "the course in WSL2"
        )
    if text is None:
        library = build(SOURCE.name, EMULATED)
        return Kernels(library, SOURCE.read_text(encoding="utf-8"), "cpu")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, library = Path(folder) / "kernels.cu", Path(folder) / "lib.so"
        source.write_text(text, encoding="utf-8")
        options = (*EMULATED, *SHARED)
        compiler = find_compiler()
        if problem := compiler.compile(source, library, options):
            message = problem.replace(str(source), "line").strip()[:2000]
            raise ValueError(f"the kernels cannot be compiled: {message}")
        return Kernels(library, text, "cpu")


def on_gpu() -> "Kernels":
    """The kernels of kernels.cu on this machine's GPU.

    Raises: NoGPU, or ValueError with nvcc's message.
    """
    if not torch.cuda.is_available():
        raise NoGPU(
            "there is no GPU here that PyTorch can use: with --emulate the "
            "kernels run on the CPU"
        )
    nvcc = find_nvcc()
    if nvcc is None:
        raise NoGPU(
            "there is a GPU here, but no nvcc: install NVIDIA's CUDA toolkit, "
            "or with --emulate the kernels run on the CPU"
        )
    text = whole_source()
    version = run([nvcc, "--version"])[0]
    made_of = "\n".join([text, version, torch.cuda.get_device_name()])
    key = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    library = cache_folder() / "native" / f"kernels-gpu-{key}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            draft = Path(folder) / library.name
            compile_for_gpu(nvcc, draft, *ON_GPU)
            draft.replace(library)
    return Kernels(library, text, "cuda")


def find_nvcc() -> str | None:
    """NVIDIA's compiler: what NVCC names, in the PATH, or in its own folder."""
    places = os.environ.get("NVCC"), "nvcc", "/usr/local/cuda/bin/nvcc"
    found = (shutil.which(place) for place in places if place)
    return next((path for path in found if path), None)


def compile_for_gpu(nvcc: str, to: Path, *options: str) -> str:
    """Compile kernels.cu with nvcc and give what it says.

    Raises: ValueError with its message if it fails.
    """
    command = [nvcc, "-O3", "-std=c++17", *options, str(SOURCE), "-o", str(to)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        message = (done.stdout + done.stderr).strip()[:2000]
        raise ValueError(f"nvcc cannot compile kernels.cu: {message}")
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Needs:
    """What a thread of a kernel needs on a GPU, as nvcc's assembler reports it.

    Numbers that do not fit into registers are spilled into memory; an array whose
    index is not known when it is compiled lies in the stack frame, in memory too.
    """

    kernel: str
    registers: int
    stack_bytes: int
    spilled_bytes: int


def read_needs(nvcc: str, architecture: str) -> list[Needs]:
    """What each kernel needs on GPUs of an architecture such as sm_90."""
    with tempfile.TemporaryDirectory() as folder:
        options = "-cubin", f"-arch={architecture}", "-Xptxas", "-v"
        said = compile_for_gpu(nvcc, Path(folder) / "kernels.cubin", *options)
    found = re.findall(
        r"entry function '_Z(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill "
        r"stores, (\d+) bytes spill loads.*?Used (\d+) registers",
        said,
        re.DOTALL,
    )
    return [
        Needs(plain_name(name), int(n), int(stack), int(stores) + int(loads))
        for name, stack, stores, loads, n in found
    ]


def plain_name(mangled: str) -> str:
    """The name in a mangled one: 12matmul_tiledILi4EEv... is matmul_tiled<4>."""
    digits = re.match(r"\d+", mangled)[0]
    end = len(digits) + int(digits)
    number = re.match(r"ILi(\d+)E", mangled[end:])
    return mangled[len(digits) : end] + (f"<{number[1]}>" if number else "")


# ---- Calls

WIDTH = 1024  # of a fence, and the size of the array is added to it
NAN = 0x7FC00000  # the bits of a NaN; the lowest ones are free
DTYPES = {"In": torch.float32, "Out": torch.float32, "Ids": torch.int64}
DTYPES |= {"float*": torch.float32, "int64_t*": torch.int64}
SCALARS = {"float": ctypes.c_float, "int": ctypes.c_int}
SCALARS |= {"Int": ctypes.c_int64, "int64_t": ctypes.c_int64}


class Kernels:
    """The functions that a .cu file has for the host, each called by its name.

    On the CPU every array lies between two fences, NaN or for ids 0, in the call:
    what a kernel reads there spoils its result, what it writes there is noticed.

    Raises: ValueError for an array that a kernel would misread, RuntimeError for
        what went wrong in a kernel.
    """

    def __init__(self, library: Path, text: str, device: str):
        self.device = torch.device(device)
        self._library = ctypes.CDLL(str(library))
        pattern = r"^const char \*(\w+)\(([^)]*)\) \{"
        self._types = {
            name: [read_type(argument) for argument in arguments.split(",")]
            for name, arguments in re.findall(pattern, text, re.MULTILINE)
        }

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_") or name not in self._types:
            raise AttributeError(f"there is no {name} in this source")
        return partial(self._call, name)

    def use_order(self, order: int) -> None:
        """Choose the order of blocks and threads, one of ORDERS or another seed."""
        if self.device.type == "cpu":
            self._library.use_order(ctypes.c_int64(order))

    def prepare(self, name: str, *arguments: Tensor | float | None) -> Callable:
        """A call with checked arguments, to be made often: it gives an error or None."""
        types, function = self._types[name], getattr(self._library, name)
        if len(arguments) != len(types):
            count = f"{len(types)} arguments, not {len(arguments)}"
            raise ValueError(f"{name} takes {count}")
        passed = []
        for i, (kind, value) in enumerate(zip(types, arguments)):
            if not isinstance(kind, torch.dtype):
                passed.append(kind(value))
            elif value is None:
                passed.append(ctypes.c_void_p())
            else:
                self._check(f"{name}: argument {i}", value, kind)
                passed.append(ctypes.c_void_p(value.data_ptr()))
        function.restype = ctypes.c_char_p
        return partial(function, *passed)

    def _call(self, name: str, *arguments: Tensor | float | None) -> None:
        call = self.prepare(name, *arguments)
        if self.device.type == "cpu":
            fences = Fences()
            arguments = [
                fences.around(a) if isinstance(a, Tensor) else a
                for a in arguments
            ]
            call = self.prepare(name, *arguments)
        if problem := call():
            raise RuntimeError(f"{name}: {problem.decode()}")
        if self.device.type == "cpu":
            fences.give_back(name)

    def _check(self, what: str, value: Tensor, dtype: torch.dtype) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(f"{what} is a {type(value).__name__}, no tensor")
        if value.dtype != dtype:
            raise ValueError(f"{what} holds {value.dtype}, not {dtype}")
        if value.device.type != self.device.type:
            raise ValueError(f"{what} is on {value.device}, not {self.device}")
        if not value.is_contiguous():
            raise ValueError(f"{what} has gaps: use .contiguous()")


def read_type(argument: str) -> torch.dtype | type:
    """The type of an argument such as `In x`, `const float *x` or `Int`."""
    words = argument.replace("const ", "").replace("*", "* ").split()
    word = words[0] + "*" * (len(words) > 1 and words[1] == "*")
    return DTYPES.get(word) or SCALARS[word]


class Fences:
    """Copies of arrays with fences on both sides, for one call."""

    def __init__(self):
        self.arrays: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def around(self, array: Tensor) -> Tensor:
        """The copy of an array from its first number on; one, if it comes twice."""
        n, place = array.numel(), array.data_ptr()
        if place not in self.arrays:
            fenced = torch.zeros(3 * (n + WIDTH), dtype=array.dtype)
            if array.is_floating_point():  # a NaN of each array's own
                fenced.view(torch.int32).fill_(NAN + len(self.arrays))
            before = fenced.clone()
            fenced[n + WIDTH :][:n] = array.flatten()
            self.arrays[place] = array, fenced, before
        return self.arrays[place][1][n + WIDTH :]

    def give_back(self, name: str) -> None:
        """Copy all results back.

        Raises: RuntimeError if something was written outside of an array.
        """
        for array, fenced, before in self.arrays.values():
            inner = slice(array.numel() + WIDTH, 2 * array.numel() + WIDTH)
            array.copy_(fenced[inner].view(array.shape))
            fenced[inner] = before[inner]
            bits = torch.int32 if array.is_floating_point() else torch.int64
            if not torch.equal(fenced.view(bits), before.view(bits)):
                shape = tuple(array.shape)
                raise RuntimeError(f"{name} writes outside of an array {shape}")
