"""Find a C compiler, build a file of this folder once, load it, and call it with tensors.

    ops = load("ops.c")
    ops.gelu_forward(out, x, x.numel())  # out and x: float32 tensors, or NumPy arrays

The order is CC, gcc, clang, cc, ziglang from pip. Each flag is tried on a tiny library that must be
compiled *and loaded*, for a linker takes functions that are nowhere. What was built stays in the
cache folder under a name made of source, compiler, flags and processor.
"""

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch  # before any library of ours: with it comes the OpenMP that both use
from torch import Tensor

from ch02.tokenizer import cache_folder

HERE = Path(__file__).parent
INSTALL = {  # the command of each system
    "Linux": "sudo apt install gcc",
    "Darwin": "xcode-select --install",
    "Windows": "pip install ziglang",
}
ANYWHERE = "pip install ziglang"
# errno and floating-point traps are never asked for; sums keep their order, as without -ffast-math.
FLAGS = ("-O3", "-fno-math-errno", "-fno-trapping-math")
SHARED = ("-shared", "-fPIC")
PROBE = "int probe(void) { return 1; }\n"
THREADS = """
int probe(void) {
    int n = 0;
    #pragma omp parallel
    {
        #pragma omp atomic
        n++;
    }
    return n;
}
"""


class NoCompiler(FileNotFoundError):
    """There is no C compiler that works; the message names the command that installs one."""


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C, and the flags that it takes on this machine."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]

    @property
    def threads(self) -> bool:
        return "-fopenmp" in self.flags

    def compile(self, source: Path, to: Path, options: tuple[str, ...]) -> str:
        """Compile a file; give the compiler's message, or nothing if all went well."""
        return run(
            [*self.command, *options, str(source), "-o", str(to), "-lm"]
        )[1]


def run(command: list[str], timeout: float = 120) -> tuple[str, str]:
    """What a command prints, and its error if it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{error}"
    return (
        done.stdout,
        ""
        if done.returncode == 0
        else done.stderr or f"exit {done.returncode}",
    )


def commands() -> list[tuple[str, ...]]:
    """What may be a C compiler here; if CC names one, that alone."""
    if os.environ.get("CC"):
        return [tuple(os.environ["CC"].split())]
    found = [(name,) for name in ("gcc", "clang", "cc") if shutil.which(name)]
    return found + [(sys.executable, "-m", "ziglang", "cc")] * bool(
        find_spec("ziglang")
    )


def works(
    compiler: Compiler, source: str, options: tuple[str, ...], folder: Path
) -> bool:
    """Whether a library of this source is compiled with these options, and loads."""
    number = len(list(folder.iterdir()))
    path, library = folder / f"{number}.c", folder / f"{number}.so"
    path.write_text(source, encoding="utf-8")
    if compiler.compile(path, library, (*options, *SHARED)):
        return False
    try:
        return (
            ctypes.CDLL(str(library), mode=getattr(os, "RTLD_NOW", 0)).probe()
            > 0
        )
    except (OSError, AttributeError):
        return False


def try_flags(command: tuple[str, ...], folder: Path) -> Compiler | None:
    """The compiler with the best flags that it takes, or None if it does not compile at all."""
    compiler = Compiler(
        command, run([*command, "--version"])[0].partition("\n")[0], FLAGS
    )
    if not works(compiler, PROBE, FLAGS, folder):
        return None
    torch_lib = str(Path(torch.__file__).parent / "lib")
    of_torch = (
        "-Xpreprocessor",
        "-fopenmp",
        f"-L{torch_lib}",
        "-lomp",
        f"-Wl,-rpath,{torch_lib}",
    )
    with_threads = [
        ("-fopenmp",),
        *[of_torch] * (sys.platform == "darwin"),
        ("-fopenmp-simd",),
    ]
    flags = FLAGS
    for source, choices in (
        (PROBE, [("-march=native",), ("-mcpu=native",)]),
        (
            THREADS,
            with_threads,
        ),  # without OpenMP on one thread, but with its vectors
    ):
        fit = (
            c for c in choices if works(compiler, source, (*flags, *c), folder)
        )
        flags += next(fit, ())
    return Compiler(command, compiler.version, flags)


@cache
def find_compiler() -> Compiler:
    """The first C compiler that works here.

    Raises: NoCompiler, in one sentence.
    """
    tried = commands()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for command in tried:
            if compiler := try_flags(command, Path(folder)):
                return compiler
    names = ", ".join(" ".join(command) for command in tried)
    why = f"{names} cannot build a library" if tried else "none was found"
    install = INSTALL.get(platform.system(), "install gcc or clang")
    if install != ANYWHERE:
        install += f", or {ANYWHERE}"
    raise NoCompiler(f"a C compiler is needed here, and {why}: {install}")


@cache
def processor() -> str:
    """What the processor can do: code made for another one would end with SIGILL."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    names = ("flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(names)}))


def read_source(name: str | Path) -> str:
    """A file's text with the files that it includes in their places."""
    path = HERE / name
    return re.sub(
        r'^#include "(\S+)"$',
        lambda found: read_source(path.parent / found[1]),
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )


def build(
    source: str | Path = "gpt.c",
    options: tuple[str, ...] = (),
    compiler: Compiler | None = None,
) -> Path:
    """The shared library of a source, built if it is not in the cache yet.

    The options come after the compiler's flags, so they win.
    Raises: NoCompiler, or ValueError with the compiler's message.
    """
    compiler = compiler or find_compiler()
    flags = (*compiler.flags, *options, *SHARED)
    made_of = [
        read_source(source),
        *compiler.command,
        compiler.version,
        *flags,
        processor(),
    ]
    key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    suffix = "dll" if os.name == "nt" else "so"
    library = cache_folder() / "native" / f"{Path(source).stem}-{key}.{suffix}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            draft = (
                Path(folder) / library.name
            )  # of this process; it takes its place when whole
            if problem := compiler.compile(HERE / source, draft, flags):
                raise ValueError(
                    f"{source} could not be built: {problem.strip()[:2000]}"
                )
            draft.replace(library)
    return library


# ---- Calls: the types of arguments are read from the source, so the two cannot disagree


class Array:
    """What takes the place of a C pointer: a tensor or NumPy array of its type, or None."""

    dtype: torch.dtype
    name: str

    @classmethod
    def from_param(
        cls, value: Tensor | np.ndarray | int | None
    ) -> ctypes.c_void_p:
        """Give the address of the first number; called by ctypes for every argument.

        Raises: ValueError for another type or device, or for gaps between the numbers.
        """
        if value is None or isinstance(
            value, int
        ):  # NULL, or an address that C itself gave
            return ctypes.c_void_p(value)
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value)
        check_array(value, cls.dtype)
        return ctypes.c_void_p(value.data_ptr())


class Floats(Array):
    dtype = torch.float32


class Ids(Array):
    dtype = torch.int64


def check_array(
    value: Tensor, dtype: torch.dtype, name: str = "the array"
) -> None:
    """Refuse what C would misread.

    Raises: ValueError in one sentence.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}, not a tensor")
    if value.dtype != dtype:
        raise ValueError(
            f"{name} holds {value.dtype}, and C reads {dtype}: use .to({dtype})"
        )
    if value.device.type != "cpu":
        raise ValueError(
            f"{name} is on {value.device}, and C reads the CPU's memory: use .cpu()"
        )
    if not value.is_contiguous():
        raise ValueError(
            f"{name} has gaps, strides {value.stride()}: use .contiguous()"
        )


SCALARS = {
    "Int": ctypes.c_int64,
    "int64_t": ctypes.c_int64,
    "int": ctypes.c_int,
} | {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
POINTERS = {
    "float": Floats,
    "int64_t": Ids,
    "char": ctypes.c_char_p,
    "GPT": ctypes.c_void_p,
}


def read_types(text: str) -> dict[str, tuple[type | None, list[type]]]:
    """Every API function of a C source: name -> (type of the result, types of the arguments)."""
    found = {}
    for result, name, arguments in re.findall(
        r"^API ([\w *]+?)(\w+)\(([^)]*)\)", text, re.M
    ):
        types = []
        for argument in arguments.split(","):
            words = re.findall(r"\w+|\*", argument.replace("const ", ""))
            types.append((POINTERS if "*" in words else SCALARS)[words[0]])
        words = re.findall(r"\w+|\*", result.replace("const ", ""))
        back = ctypes.c_void_p if "*" in words else SCALARS.get(words[0])
        found[name] = ctypes.c_char_p if words[0] == "char" else back, types
    return found


def declare(library: ctypes.CDLL, text: str) -> ctypes.CDLL:
    """Tell ctypes the types of a library's functions: without them an address loses 32 bits."""
    for name, (result, arguments) in read_types(text).items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@cache
def load(
    source: str | Path = "gpt.c",
    options: tuple[str, ...] = (),
    compiler: Compiler | None = None,
) -> ctypes.CDLL:
    """A source's functions, ready to be called with tensors; built at the first call.

    Raises: NoCompiler, or ValueError with the compiler's message.
    """
    library = ctypes.CDLL(str(build(source, options, compiler)))
    return declare(library, read_source(source))


def function_text(source: str | Path, name: str) -> str:
    """A function of a .c file with the comment above it, for a notebook to show.

    Raises: ValueError if there is none.
    """
    text = (HERE / source).read_text(encoding="utf-8")
    start = re.search(rf"^\w[^\n;=]*\b{name}\([^;]*?\) \{{", text, re.MULTILINE)
    if not start:
        raise ValueError(f"{source} has no function {name}")
    above = re.search(
        r"(?:^//[^\n]*\n)*\Z", text[: start.start()], re.MULTILINE
    )
    closing = (
        "\n" if text[start.end()] != "\n" else "\n}\n"
    )  # in one line, or in several
    end = text.index(closing, start.end()) + len(closing) - 1
    return text[above.start() : end]


# ---- A reader's C runs in a process of its own, where a wrong index is named and ends nothing else

SANITIZERS = (("-fsanitize=address,undefined",), ("-fsanitize=undefined",), ())
READ = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static void *read_array(size_t bytes) {
    void *array = malloc(bytes);
    if (!array || fread(array, 1, bytes, stdin) != bytes) exit(3);
    return array;
}
"""


@cache
def find_sanitizers() -> tuple[str, ...]:
    """The checks of addresses and of undefined behaviour that the compiler has here."""
    compiler = find_compiler()
    program = "int main(void) { return 0; }\n"
    for options in SANITIZERS:
        with tempfile.TemporaryDirectory() as folder:
            source, runs = Path(folder) / "main.c", Path(folder) / "main"
            source.write_text(program, encoding="utf-8")
            if (
                not compiler.compile(source, runs, options)
                and not run([str(runs)])[1]
            ):
                return options
    return ()


def call_safely(
    source: str,
    function: str,
    *arguments: Tensor | int | float,
    timeout: float = 20,
) -> list[Tensor]:
    """Call a function of some C source in a process of its own, under sanitizers.

    Arguments are tensors (float32 or int64), whole numbers (int64_t) and floats. Gives back each
    tensor as the call left it.
    Raises: NoCompiler, or ValueError with the compiler's or the sanitizer's first message.
    """
    compiler = find_compiler()
    reading, names, given = [], [], b""
    for i, argument in enumerate(arguments):
        if isinstance(argument, Tensor):
            kind = {torch.float32: "float", torch.int64: "int64_t"}.get(
                argument.dtype
            )
            if kind is None:
                raise ValueError(
                    f"argument {i} holds {argument.dtype}: use float32 or int64"
                )
            data = argument.detach().contiguous().numpy().tobytes()
            reading.append(f"{kind} *a{i} = read_array({len(data)});")
            names.append(f"a{i}")
            given += data
        else:
            names.append(
                f"(int64_t){argument}"
                if isinstance(argument, int)
                else f"{argument!r}f"
            )
    tensors = [(i, a) for i, a in enumerate(arguments) if isinstance(a, Tensor)]
    writing = [
        f"fwrite(a{i}, 1, {a.nbytes}, stdout); free(a{i});" for i, a in tensors
    ]
    body = [*reading, f"{function}({', '.join(names)});", *writing, "return 0;"]
    main = f"{READ}int main(void) {{\n" + "\n".join(body) + "\n}\n"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, program = Path(folder) / "answer.c", Path(folder) / "answer"
        path.write_text(f'{source}\n#line 1 "main"\n{main}', encoding="utf-8")
        options = (
            "-O1",
            "-g",
            "-std=gnu11",
            "-Wno-unknown-pragmas",
            *find_sanitizers(),
        )
        if problem := compiler.compile(path, program, options):
            lines = [
                line for line in problem.splitlines() if "error" in line
            ] or [problem]
            raise ValueError(
                f"the C does not compile: {lines[0].replace(str(path), 'line')}"
            )
        try:
            done = subprocess.run(
                [str(program)],
                input=given,
                capture_output=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(
                f"{function} did not come to an end in {timeout:.0f} s"
            ) from None
    said = done.stderr.decode(errors="replace").replace(f"{path}", "line")
    if (
        done.returncode
        or "runtime error" in said
        or len(done.stdout) < sum(a.nbytes for _, a in tensors)
    ):
        raise ValueError(f"{function} went wrong: {first_finding(said)}")
    back, at = [], 0
    for _, tensor in tensors:
        bytes_ = bytearray(done.stdout[at : at + tensor.nbytes])
        back.append(
            torch.frombuffer(bytes_, dtype=tensor.dtype).view(tensor.shape)
        )
        at += tensor.nbytes
    return back


def first_finding(said: str) -> str:
    """What a sanitizer found, and the first line of the reader's source that it names."""
    what = re.search(
        r"(?:runtime error|AddressSanitizer): ([^\n(]*?)(?: on (?:unknown )?address.*)?$",
        said,
        re.M,
    )
    where = re.search(r"line:(\d+)", said)
    finding = (
        what[1].strip()
        if what
        else said.strip().partition("\n")[0] or "it ended at once"
    )
    return f"{finding}, in line {where[1]}" if where else finding
