"""What the exercises of appendix F ask for, and the sentence for an answer that is off.

Answers in C are bodies of functions, as text. They are compiled with the compiler's sanitizers and
run in a process of their own: what reads beyond an array is named, and cannot end the notebook.
"""

import random
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from appendix_f.kernels import EMULATED
from appendix_f.native import NoCompiler, call_safely, find_compiler, run
from ch05.llama import rotate
from exercises.checking import (
    NotDone,
    Wrong,
    agree,
    ask,
    ask_formula,
    demand,
    exercise,
    same,
)

HEAD = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
SIGNATURES = {
    "softmax_forward": "float *out, const float *x, int64_t N, int64_t V",
    "gelu_backward": "float *dx, const float *dout, const float *x, int64_t n",
    "product": "float *out, const float *x, const float *w, int64_t N, int64_t I, int64_t O",
    "rope_forward": "float *out, const float *x, const float *angle, int64_t N, int64_t D",
    "rope_backward": "float *dx, const float *dout, const float *angle, int64_t N, int64_t D",
    "rmsnorm_backward": "float *dx, const float *dout, const float *x, const float *scale, "
    "int64_t N, int64_t C",
}


def c_function(name: str, body: str) -> str:
    """The whole function in C, whose lines a compiler counts as those of the body."""
    head = f"{HEAD}void {name}({SIGNATURES[name]}) "
    return "\n".join((head + "{", "#line 1", body, "}\n"))


def ask_c(
    name: str,
    body: str,
    *arguments: Tensor | int,
    source: str = "",
    call: str = "",
) -> list[Tensor]:
    """Run the reader's C; every array as it is then. source, if given, is the C around the body.

    Raises: NotDone if there is no compiler or the body is only dots, Wrong if it is no text, does
        not compile, writes where it must not, or takes too long.
    """
    demand(
        isinstance(body, str),
        f"{name} is to be given as text, the lines of C between its braces.",
    )
    if not body.replace("...", "").strip():
        raise NotDone
    try:
        return call_safely(
            source or c_function(name, body), call or name, *arguments
        )
    except NoCompiler as error:
        raise NotDone(f"The check compiles it: {error}.") from None
    except (ValueError, TimeoutError) as error:
        raise Wrong(one_sentence(error)) from None


def one_sentence(error: Exception) -> str:
    """What an error says, in one line that a sentence's capital and full stop enclose."""
    said = textwrap.shorten(" ".join(str(error).split()), 220, placeholder=" …")
    if "_" not in said.partition(" ")[0]:  # a function keeps its name
        said = said[:1].upper() + said[1:]
    return f"{said.rstrip('.')}."


def unset(*shape: int) -> Tensor:
    """An array in which nothing is yet: what is not written is seen."""
    return torch.full(shape, torch.nan)


def demand_written(out: Tensor, name: str, why: str = "") -> None:
    """Refuse results that hold nan where numbers are asked for."""
    why = why or "afterwards: every element has to be set"
    demand(not torch.isnan(out).any(), f"{name} has nan {why}.")


# ---- F.1: where an element lies.


@exercise("F.1")
def check_f_1(row_strides: Callable, element: Callable) -> None:
    """Strides of arrays without gaps; then elements of transposed, cut and repeated views."""
    draw = random.Random(1)
    shapes = [(2, 3), (4,), (2, 3, 4), (5, 1, 2)]
    shapes += [tuple(draw.randint(1, 6) for _ in range(n)) for n in (3, 4)]
    for shape in shapes:
        wanted = torch.empty(shape).stride()
        got = ask(row_strides, shape)
        reverse = tuple(torch.empty(shape[::-1]).stride()[::-1])
        same(
            tuple(got) if isinstance(got, list | tuple) else got,
            wanted,
            f"row_strides({shape})",
            [
                (
                    reverse,
                    f"row_strides({shape}) counts columns first: the last axis has stride 1.",
                ),
                (
                    tuple(4 * s for s in wanted),
                    f"row_strides({shape}) is in bytes, but numbers are asked for.",
                ),
                (shape, f"row_strides({shape}) is the shape itself."),
            ],
        )
    whole = torch.arange(24.0).reshape(4, 6) * 10
    memory = whole.flatten().tolist()
    views = {
        "whole": whole,
        "transposed": whole.T,
        "every second column": whole[:, ::2],
        "from row 1 and column 2 on": whole[1:, 2:],
        "one row, shown three times": whole[2].expand(3, 6),
    }
    for name, view in views.items():
        start, strides = view.storage_offset(), view.stride()
        for index in ((0, 0), (1, 0), (0, 1), (2, 1), (2, 2)):
            got = ask(element, memory, start, strides, index)
            ignored = memory[sum(s * i for s, i in zip(strides, index))]
            same(
                got,
                view[index].item(),
                f"Element {index} of the view “{name}”",
                [
                    (
                        ignored,
                        "The view does not begin where the memory does: add its start.",
                    )
                ]
                if start
                else [],
            )


# ---- F.2 and F.3: rows and numbers.


@exercise("F.2")
def check_f_2(softmax_body: str) -> None:
    """PyTorch's softmax, of small scores and of large ones."""
    for N, V in ((2, 2), (3, 5), (4, 1)):
        x = torch.randn(N, V)
        out = ask_c("softmax_forward", softmax_body, unset(N, V), x, N, V)[0]
        demand_written(out, "out")
        powers = x.exp()
        shifted = (x - x.max(-1, keepdim=True).values).exp()
        undivided = (
            "The powers of e are right, but they are not divided by their sum."
        )
        same(
            out,
            x.softmax(-1),
            f"The softmax of {N} rows of {V} scores",
            [
                (powers, undivided),
                (shifted, undivided),
                (
                    powers / powers.sum(),
                    "All rows together sum to 1, but each row has a sum of its own.",
                ),
                (x.softmax(0), "The columns sum to 1, but the rows are to."),
            ],
        )
    x = torch.tensor([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1002.0]])
    out = ask_c("softmax_forward", softmax_body, unset(2, 3), x, 2, 3)[0]
    beyond = "for scores of 1,000 or -1,000: subtract the row's largest score before expf"
    demand_written(out, "out", beyond)
    same(out, x.softmax(-1), "The softmax of scores of 1,000 and -1,000")


@exercise("F.3")
def check_f_3(gelu_body: str) -> None:
    """PyTorch's gradient of the tanh form, also far from 0."""
    x = torch.cat([torch.linspace(-4, 4, 33), torch.randn(8)])
    dout = torch.randn(len(x))
    dx = ask_c("gelu_backward", gelu_body, unset(len(x)), dout, x, len(x))[0]
    demand_written(dx, "dx")
    t = torch.tanh(0.7978845608 * (x + 0.044715 * x**3))
    bend = 0.5 * x * (1 - t**2) * 0.7978845608 * (1 + 3 * 0.044715 * x**2)
    same(
        dx,
        gelu_slope(x, dout),
        "dx",
        [
            (
                gelu_slope(x),
                "This is the slope of GELU: the gradient is its product with dout.",
            ),
            (
                dout * 0.5 * (1 + t),
                "Only the first factor is differentiated: x stands in u as well.",
            ),
            (
                dout * bend,
                "Only the second factor is differentiated: the first one is x itself.",
            ),
            (
                dout * torch.nn.functional.gelu(x, approximate="tanh"),
                "This is GELU times dout, but its slope times dout is asked for.",
            ),
            (
                gelu_slope(x, dout, "none"),
                "This is the slope of the exact form, but the form with tanh is asked for.",
            ),
        ],
        tolerance=1e-5,
    )
    far = torch.tensor([-200.0, -30.0, 30.0, 200.0])
    ones = torch.ones(4)
    dx = ask_c("gelu_backward", gelu_body, unset(4), ones, far, 4)[0]
    demand_written(
        dx, "dx", "for x far from 0: coshf overflows, and 1 - t * t does not"
    )
    same(
        dx,
        torch.tensor([0.0, 0.0, 1.0, 1.0]),
        "The slope at -200, -30, 30 and 200",
    )


def gelu_slope(
    x: Tensor, dout: Tensor | None = None, form: str = "tanh"
) -> Tensor:
    """The gradient of GELU by PyTorch."""
    x = x.clone().requires_grad_()
    y = torch.nn.functional.gelu(x, approximate=form)
    return torch.autograd.grad(
        y, x, torch.ones_like(x) if dout is None else dout
    )[0]


# ---- F.4: the order of loops.

COUNTED = """
static int64_t last = -2, jumps = 0;
static float read_w(const float *w, int64_t at) {
    if (at != last && at != last + 1) jumps++;
    last = at;
    return w[at];
}
#define W(at) read_w(w, at)
"""
ENTRY = """
void product_counted(float *out, int64_t *jumped, const float *x, const float *w, int64_t N,
                     int64_t I, int64_t O) {
    product(out, x, w, N, I, O);
    *jumped = jumps;
}
"""


@exercise("F.4")
def check_f_4(product_body: str) -> None:
    """The product, and how often the next number of w does not lie beside the last one."""
    for N, I, O in ((1, 1, 1), (2, 3, 4), (5, 7, 6)):  # noqa: E741
        x, w = torch.randn(N, I), torch.randn(I, O)
        jumped = torch.zeros(1, dtype=torch.int64)
        source = c_function(
            "product", product_body if isinstance(product_body, str) else ""
        )
        source = source.replace(HEAD, HEAD + COUNTED) + ENTRY
        out, jumped, *_ = ask_c(
            "product",
            product_body,
            unset(N, O),
            jumped,
            x,
            w,
            N,
            I,
            O,
            source=source,
            call="product_counted",
        )
        shown = f"a product of ({N}, {I}) and ({I}, {O})"
        demand_written(
            out, "out", f"after {shown}: set it to 0 before you add to it"
        )
        turned = x @ w.reshape(O, I).T
        same(
            out,
            x @ w,
            f"out, after {shown},",
            [
                (
                    turned,
                    "w is read as (O, I), but its rows are I rows of O numbers.",
                )
            ],
        )
        demand(
            "W(" in product_body and int(jumped) > 0,
            "Read w by W(at), the element at this place: that is how the check sees the order.",
        )
        demand(
            int(jumped) <= 2 * N,
            f"In {shown} the next number of w lay elsewhere {int(jumped)} times, where {N} "
            "times are enough: let the innermost loop run over neighbours.",
        )


# ---- F.5: turning pairs.


@exercise("F.5")
def check_f_5(forward_body: str, backward_body: str) -> None:
    """Chapter 5's rotate, its gradient by PyTorch, and that one takes the other back."""
    for N, D in ((2, 2), (3, 4), (5, 8)):
        x, angle, dout = (
            torch.randn(N, D),
            torch.randn(N, D // 2) * 3,
            torch.randn(N, D),
        )
        out = ask_c("rope_forward", forward_body, unset(N, D), x, angle, N, D)[
            0
        ]
        demand_written(out, "out")
        inputs = x.clone().requires_grad_()
        wanted = rotate(inputs, angle.cos(), angle.sin())
        pairs = x.reshape(N, -1, 2)
        neighbours = rotate(
            pairs.transpose(1, 2).reshape(N, D), angle.cos(), angle.sin()
        )
        neighbours = neighbours.reshape(N, 2, -1).transpose(1, 2).reshape(N, D)
        mistakes = [
            (
                rotate(x, angle.cos(), -angle.sin()),
                "Every pair is turned by the negative angle.",
            ),
            (
                neighbours,
                "Neighbours are paired: number i goes with i + D / 2.",
            ),
        ]
        wanted_out = wanted.detach()
        same(out, wanted_out, f"out, for {N} rows of {D} numbers,", mistakes)
        dx = ask_c(
            "rope_backward", backward_body, unset(N, D), dout, angle, N, D
        )[0]
        demand_written(dx, "dx")
        (slope,) = torch.autograd.grad(wanted, inputs, dout)
        on = rotate(dout, angle.cos(), angle.sin())
        same(
            dx,
            slope,
            f"dx, for {N} rows of {D} numbers,",
            [
                (
                    on,
                    "The gradient is turned on by the angle: the way back turns it back.",
                )
            ],
        )
        back = ask_c(
            "rope_backward", backward_body, unset(N, D), out, angle, N, D
        )[0]
        same(back, x, "What rope_backward makes of rope_forward's result")


# ---- F.6: a backward pass with a pencil.


@exercise("F.6")
def check_f_6(rmsnorm_body: str) -> None:
    """PyTorch's gradient of RMSNorm."""
    for N, C in ((2, 3), (4, 6), (3, 2)):
        x, scale, dout = (
            2 * torch.randn(N, C),
            torch.randn(C),
            torch.randn(N, C),
        )
        dx = ask_c(
            "rmsnorm_backward", rmsnorm_body, unset(N, C), dout, x, scale, N, C
        )[0]
        demand_written(dx, "dx")
        inputs = x.clone().requires_grad_()
        r = ((inputs**2).mean(-1, keepdim=True) + 1e-5) ** -0.5
        (wanted,) = torch.autograd.grad(inputs * r * scale, inputs, dout)
        r, g = r.detach(), dout * scale
        n = x * r
        dot = (g * n).mean(-1, keepdim=True)
        same(
            dx,
            wanted,
            f"dx, for {N} rows of {C} numbers,",
            [
                (
                    r * g,
                    "r is treated as a constant, but each x changes it: a term is missing.",
                ),
                (
                    r * (g - g.mean(-1, keepdim=True) - n * dot),
                    "RMSNorm subtracts no mean: this is LayerNorm's gradient.",
                ),
                (
                    r * (g - n * dot * C),
                    "The sum of g n is to be divided by C.",
                ),
                (
                    r * (dout - n * (dout * n).mean(-1, keepdim=True)),
                    "The scale is missing: g is dout times scale.",
                ),
            ],
        )


# ---- F.7: what an operation costs.


@exercise("F.7")
def check_f_7(linear_cost: Callable, seconds: Callable) -> None:
    """The counts of some linear layers, and the roofline above and below its bend."""
    for N, I, O in ((1, 2, 3), (2048, 256, 768), (1, 768, 3072), (7, 5, 1)):  # noqa: E741
        got = ask_formula(linear_cost, N, I, O)
        what = f"linear_cost({N}, {I}, {O})"
        demand(
            isinstance(got, tuple) and len(got) == 2,
            f"{what} is to give two whole numbers, operations and bytes.",
        )
        flop, numbers = 2 * N * I * O + N * O, N * I + I * O + O + N * O
        same(
            got[0],
            flop,
            f"The operations of {what}",
            [
                (
                    N * I * O,
                    "A multiplication and an addition are two operations.",
                ),
                (
                    N * I * O + N * O,
                    "A multiplication and an addition are two operations.",
                ),
                (
                    2 * N * I * O,
                    "The bias is added to each of N O numbers, which counts as well.",
                ),
            ],
        )
        same(
            got[1],
            4 * numbers,
            f"The bytes of {what}",
            [
                (numbers, "These are numbers, and a float32 has 4 bytes."),
                (
                    4 * (numbers - N * O),
                    "What is written counts as well: N O results.",
                ),
                (4 * (numbers - O), "The biases are read as well."),
                (
                    4 * (3 * N * I * O),
                    "Every array counts once, however often it is used.",
                ),
            ],
        )
    peak, bandwidth = 250e9, 40e9
    for flop, n_bytes in (
        (10**9, 10**6),
        (10**6, 10**9),
        (25 * 10**7, 4 * 10**7),
    ):
        got = ask_formula(seconds, flop, n_bytes, peak, bandwidth)
        computing, moving = flop / peak, n_bytes / bandwidth
        what = f"seconds({flop}, {n_bytes}, {peak:.3g}, {bandwidth:.3g})"
        same(
            got,
            max(computing, moving),
            what,
            [
                (
                    computing + moving,
                    "A processor reads ahead while it computes: the longer counts.",
                ),
                (
                    min(computing, moving),
                    "The shorter of the two times is no limit: the longer is.",
                ),
                (
                    computing,
                    f"{what} forgets that {n_bytes} bytes have to be moved.",
                ),
                (
                    moving,
                    f"{what} forgets that {flop} operations have to be done.",
                ),
            ],
            tolerance=1e-6,
        )


# ---- F.8: threads in six orders.

SCAN = """
#include "cuda_on_cpu.h"
__global__ void scan(float *out, const float *x) {
#line 1
BODY
}
int main(int n, char **order) {
    static float xs[64], outs[64];
    float *x = xs, *out = outs;
    cuda_order = atoi(order[1]);
    for (int i = 0; i < 64; i++) x[i] = i % 7 - 2, out[i] = NAN;
    const char *failure = LAUNCH(scan, 1, 64, 0, out, x);
    if (failure) return puts(failure), 0;
    for (int i = 0; i < 64; i++) printf("%g ", out[i]);
}
"""
N_ORDERS = 6
ORDER_NAMES = {0: "forward", 1: "backward"}


def run_scan(body: str) -> list[str | Tensor]:
    """The kernel's results in six orders of threads, or what went wrong in one of them.

    Raises: NoCompiler, or ValueError if the kernel is no CUDA, crashes or does not come to an end.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, program = Path(folder) / "scan.cu", Path(folder) / "scan"
        source.write_text(SCAN.replace("BODY", body), encoding="utf-8")
        if problem := compiler.compile(source, program, EMULATED):
            first = next(
                (line for line in problem.splitlines() if "error" in line),
                problem,
            )
            raise ValueError(
                f"the kernel does not compile: {first.replace(str(source), 'line')}"
            )
        results = []
        for order in range(N_ORDERS):
            said, error = run([str(program), str(order)], timeout=20)
            if error:
                raise ValueError(
                    f"the kernel crashes or does not come to an end: {error}"
                )
            numbers = said.split()
            is_result = len(numbers) == 64
            results.append(
                torch.tensor([float(x) for x in numbers])
                if is_result
                else said.strip()
            )
    return results


@exercise("F.8")
def check_f_8(scan_body: str) -> None:
    """The running sums of 64 numbers, with the threads forward, backward and shuffled."""
    demand(
        isinstance(scan_body, str), "The body of scan is to be given as text."
    )
    if not scan_body.replace("...", "").strip():
        raise NotDone
    try:
        results = run_scan(scan_body)
    except NoCompiler as error:
        raise NotDone(f"The check compiles it: {error}.") from None
    except ValueError as error:
        raise Wrong(one_sentence(error)) from None
    wanted = (torch.arange(64) % 7 - 2.0).cumsum(0)
    for order, result in enumerate(results):
        name = ORDER_NAMES.get(order, "shuffled")
        if isinstance(result, str):
            raise Wrong(
                f"With the threads {name}: CudaError: {result.rstrip('.')}."
            )
        if agree(result, wanted):
            continue
        place = int((result != wanted).nonzero()[0])
        others = any(
            not isinstance(other, str) and agree(other, wanted)
            for other in results
        )
        race = (
            "in another order it is right, so there is a race"
            if others
            else "a barrier is missing"
        )
        raise Wrong(
            f"With the threads {name}, out[{place}] is {result[place]:g}, but {wanted[place]:g} is "
            f"asked for: {race}."
        )
