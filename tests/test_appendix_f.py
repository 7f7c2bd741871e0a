"""Appendix F: the C computes what PyTorch computes, for every shape, and refuses what it cannot."""

import ctypes
import gc
import json
import os
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT
from safetensors.torch import load_file, save_file

from appendix_f import compare, native
from appendix_f.c_gpt import CGPT, use_threads
from appendix_f.mapping import MAPPING
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_weights import COURSE_FOLDER

FOLDER = ROOT / "appendix-F"
C_FILES = [FOLDER / name for name in ("ops.c", "gpt.c", "ladder.c")]
SMALL = GPTConfig(11, 8, 8, 2, 2, 0.0, True, True)
REFERENCE = re.compile(r"((?:ch\d\d|appendix-\w)/[\w/]+\.py):(\d+)\s+`([^`]+)`")


@pytest.fixture(scope="module")
def compiler() -> native.Compiler:
    try:
        return native.find_compiler()
    except native.NoCompiler as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """A cache of this test's own, and no compiler known yet."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    native.find_compiler.cache_clear()
    yield tmp_path
    native.find_compiler.cache_clear()


def flat(text: str) -> str:
    """A source on one line, without the marks of comments at the beginnings of lines."""
    return re.sub(r"\n *(?://|\*)? *", " ", text)


# ---- The files


def test_the_c_is_short_and_plain():
    texts = {path.name: path.read_text(encoding="utf-8") for path in C_FILES}
    assert sum(text.count("\n") for text in texts.values()) <= 620
    for name, text in texts.items():
        assert max(map(len, text.splitlines())) <= 100, name
        assert not re.search(r"immintrin|arm_neon|_mm\d*_|__builtin_(ia32|neon)", text), name
    assert not re.search(r"fast-?math|-Ofast", " ".join(native.FLAGS))


def test_every_line_of_the_course_that_is_named_is_there():
    found = [
        (path.name, *reference)
        for path in sorted(FOLDER.iterdir())
        if path.suffix in (".c", ".cu", ".h", ".py")
        for reference in REFERENCE.findall(flat(path.read_text(encoding="utf-8")))
    ]
    assert len(found) >= len(MAPPING) + 15
    wrong = []
    for name, file, number, what in found:
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        if what not in lines[int(number) - 1]:
            at = [n for n, line in enumerate(lines, 1) if what in line]
            wrong.append(f"{name}: {file}:{number} holds no `{what}`; lines {at} do")
    assert not wrong, "\n".join(wrong)


def test_every_function_says_what_it_stands_for():
    for path in C_FILES[:2]:
        text = path.read_text(encoding="utf-8")
        for name in native.read_types(text):
            if name.endswith(
                ("_forward", "_backward", "adamw", "cross_entropy", "learn", "update")
            ):
                above = flat(native.function_text(path.name, name).partition("\nAPI")[0])
                assert REFERENCE.search(above), f"{path.name}: {name}"


def test_the_mapping_names_every_operation():
    ops = native.read_types(C_FILES[0].read_text(encoding="utf-8"))
    assert {op.ours for op in MAPPING} == set(ops) - {"use_threads"}
    assert len({op.name for op in MAPPING}) == len(MAPPING)
    for op in MAPPING:
        assert REFERENCE.fullmatch(op.course), op


def test_the_c_builds_without_a_warning(compiler, tmp_path):
    for path in C_FILES[1:]:
        options = (*compiler.flags, "-Wall", "-Wextra", "-Werror", *native.SHARED)
        assert compiler.compile(path, tmp_path / "out.so", options) == ""


# ---- The same numbers


@pytest.fixture(scope="module")
def values(compiler) -> list[dict]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    use_threads(2)
    rows = compare.values()
    torch.set_num_threads(threads)
    return rows


@pytest.mark.slow
def test_the_course_model_is_the_same_in_c(values):
    assert len(values) == 6
    for row in values:
        assert row["C"] <= row["bound"], row


@pytest.mark.slow
def test_any_small_gpt_is_the_same_in_c(compiler):
    rows = compare.configurations(int(os.environ.get("COURSE_DRAWS", 150)))
    assert max(row["gradients"] for row in rows) <= 2e-5
    assert max(row["cached logits"] for row in rows) <= 1e-4
    assert max(row["PyTorch's"] for row in rows) > 0


SANITIZED = """
import torch
from appendix_f import compare, native
from appendix_f.c_gpt import CGPT
torch.set_num_threads(1)
library = native.load("gpt.c", ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"))
library.use_threads(2)
rows = compare.configurations(40, library, seed=1)
assert max(row["gradients"] for row in rows) <= 2e-5
gpt = CGPT.from_folder("course", library=library)
gpt.generate([1, 2, 3], 5)
print("clean", len(rows))
"""


@pytest.mark.slow
def test_sanitizers_find_nothing(compiler):
    if sys.platform != "linux" or compiler.command[0] != "gcc":
        pytest.skip("only gcc on Linux can load its sanitizer into Python")
    asan = native.run(["gcc", "-print-file-name=libasan.so"])[0].strip()
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED],
        env=os.environ | {"LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "clean 40", done.stderr[-3000:]


def test_threads_change_no_bit(compiler):
    config = GPTConfig(300, 96, 96, 3, 2, 0.0, True, False)
    gpt = CGPT.from_model(GPTModel(config), 5 * 96)
    inputs, targets = torch.randint(300, (2, 5, 96))
    before, seen = use_threads(), []
    for n in (1, 2, 3, 2):
        use_threads(n)
        seen.append((gpt.learn(inputs, targets), gpt.gradients.clone()))
    use_threads(before)
    for loss, gradients in seen[1:]:
        assert loss == seen[0][0]
        assert torch.equal(gradients, seen[0][1])


def test_the_loss_follows_the_gradient(compiler):
    rows = compare.gradient()
    errors = [row["relative error"] for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] <= 1e-4


@pytest.mark.slow
def test_learning_a_batch_by_heart_goes_the_same_way(compiler):
    rows = compare.overfit(10)
    assert rows[-1]["C"] < 0.8 * rows[0]["C"]
    assert max(abs(row["C"] - row["float64"]) for row in rows) <= 1e-4


def test_each_operation_is_pytorchs(compiler):
    config = GPTConfig(257, 40, 48, 3, 2, 0.0, True, True)
    names = []
    for name, _, flop, n_bytes, _, ours, error in compare.cases(config, 3, 37):
        assert flop > 0 and n_bytes > 0
        ours()
        assert error() <= 2e-6, name
        names.append(name)
    assert sorted(names) == sorted(op.name for op in MAPPING)


@pytest.mark.parametrize("sizes", [(7, 5, 3), (33, 100, 70), (1, 17, 9), (4, 64, 4)])
def test_every_rung_is_the_same_product(compiler, sizes):
    N, I, O = sizes  # noqa: E741
    ladder, x, w = native.load("ladder.c"), torch.randn(N, I), torch.randn(O, I)
    for name in ("product_1", "product_2", "product_3"):
        out = torch.full((N, O), torch.nan)
        getattr(ladder, name)(out, x, w, N, I, O)
        assert compare.relative(out, x @ w.T) <= 1e-6, name
    out = torch.full((N, O), torch.nan)
    ladder.linear_forward(out, x, w, None, N, I, O)
    assert compare.relative(out, x @ w.T) <= 1e-6


def test_a_product_of_gpt2s_head_passes_32_bits(compiler):
    """The last row of a logits array of more than 2^31 floats, if it had all rows, is in reach."""
    types = native.read_types(native.read_source("gpt.c"))
    for name, (_, arguments) in types.items():
        assert ctypes.c_int not in arguments, name


@pytest.mark.slow
def test_logits_of_rows_at_a_time_are_those_of_all_at_once(compiler):
    config = GPTConfig(2**23, 4, 2, 1, 1, 0.0, True, True)  # 5 rows of logits at a time
    gpt = CGPT.from_model(GPTModel(config), 12)
    inputs, targets = torch.randint(2**23, (2, 3, 4))
    right = F.cross_entropy(gpt.logits(inputs).flatten(0, 1), targets.flatten())
    assert gpt.loss(inputs, targets) == pytest.approx(right.item(), rel=1e-6)


def test_no_target_counts(compiler):
    gpt = CGPT.from_model(GPTModel(SMALL))
    inputs = torch.zeros(1, 3, dtype=torch.int64)
    assert gpt.learn(inputs, torch.full_like(inputs, -100)) == 0
    assert not gpt.gradients.any()


# ---- Writing, reading, remembering


def test_a_prompt_at_once_or_token_by_token(compiler):
    gpt = CGPT.from_model(GPTModel(SMALL))
    at_once = gpt.next_logits([1, 2, 3])
    gpt.next_logits([1])
    gpt.next_logits([2], 1)
    torch.testing.assert_close(gpt.next_logits([3], 2), at_once)
    assert len(gpt.generate([1, 2], 6)) == 8


def test_a_tensor_keeps_the_memory_that_it_shows(compiler):
    model = GPTModel(SMALL)
    gpt = CGPT.from_model(model)
    weights, right = gpt.weights, torch.nn.utils.parameters_to_vector(model.parameters())
    del gpt
    gc.collect()
    torch.empty(1_000_000).fill_(7)
    assert torch.equal(weights, right)


def test_named_weights_are_those_of_the_model(compiler):
    model = GPTModel(GPTConfig(11, 8, 8, 2, 2, 0.0, False, False))
    named = CGPT.from_model(model).named(CGPT.from_model(model).weights)
    assert list(named) == [name for name, _ in model.named_parameters()]
    for name, p in model.named_parameters():
        assert torch.equal(named[name], p), name


def spoil(folder: Path, how: str) -> None:
    """A copy of the course's model with one thing wrong."""
    state = load_file(str(Path(COURSE_FOLDER) / "model.safetensors"))
    config = json.loads((Path(COURSE_FOLDER) / "config.json").read_text(encoding="utf-8"))
    name = "transformer.h.1.mlp.c_fc.weight"
    if how == "missing":
        del state[name]
    elif how == "size":
        state[name] = state[name][:-1].contiguous()
    elif how == "type":
        state[name] = state[name].to(torch.bfloat16)
    elif how == "layers":
        config["n_layer"] += 1
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    data = (folder / "model.safetensors").read_bytes()
    if how == "cut":
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif how == "header":
        (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    elif how == "empty":
        (folder / "model.safetensors").write_bytes(b"")


@pytest.mark.parametrize(
    ("how", "named"),
    [
        *[("missing", "h.1.mlp.c_fc.weight"), ("size", "h.1.mlp.c_fc.weight")],
        *[("type", "h.1.mlp.c_fc.weight"), ("layers", "h.4.ln_1.weight")],
        *[("cut", "wte.weight"), ("header", "its header"), ("empty", "its header")],
    ],
)
def test_a_wrong_file_is_refused(compiler, tmp_path, how, named):
    spoil(tmp_path, how)
    with pytest.raises(ValueError, match=re.escape(named)) as refused:
        CGPT.from_folder(tmp_path)
    assert "does not fit its config.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_of_32_bits_are_read(compiler, tmp_path):
    spoil(tmp_path, "nothing")
    state = load_file(str(tmp_path / "model.safetensors"))
    save_file({k.removeprefix("transformer."): v.float() for k, v in state.items()}, tmp_path / "m")
    (tmp_path / "m").replace(tmp_path / "model.safetensors")
    assert torch.equal(CGPT.from_folder(tmp_path).weights, CGPT.from_folder("course").weights)


# ---- What C would not notice


REFUSED = {
    "idx holds torch.int32": lambda g, x: g.loss(x.int(), x),
    "idx has gaps": lambda g, x: g.loss(x.repeat(1, 2)[:, ::2], x),
    "idx is on meta": lambda g, x: g.features(x.to("meta")),
    "idx is a list": lambda g, x: g.features([[1]]),
    "idx is (6,), and must be (B, T)": lambda g, x: g.features(x.flatten()),
    "9 tokens do not fit into context_length=8": lambda g, x: g.features(x.new_zeros(1, 9)),
    "a batch of 24 tokens is above max_tokens=16": lambda g, x: g.features(x.new_zeros(3, 8)),
    "id 11 is outside vocab_size=11": lambda g, x: g.features(x + 11),
    "id -1 is outside vocab_size=11": lambda g, x: g.features(x - 1),
    "targets are (1, 3), and idx is (2, 3)": lambda g, x: g.learn(x, x[:1]),
    "target 11 is neither an id": lambda g, x: g.train_step(x, x + 11),
    "target -5 is neither an id": lambda g, x: g.loss(x, x - 5),
    "targets holds torch.float32": lambda g, x: g.loss(x, x.float()),
    "2 tokens from position 7 on do not fit": lambda g, x: g.next_logits([1, 1], 7),
    "position 2 is asked for after 1 tokens": lambda g, x: [
        g.next_logits([1]),
        g.next_logits([1], 2),
    ],
    "position 1 is asked for after 0 tokens": lambda g, x: [
        g.next_logits([1]),
        g.features(x),
        g.next_logits([1], 1),
    ],
    "0 tokens from position 0 on": lambda g, x: g.next_logits([]),
    "id 99 is outside vocab_size=11": lambda g, x: g.next_logits([99]),
    "2 tokens and 7 more do not fit": lambda g, x: g.generate([1, 2], 7),
    "the model has": lambda g, x: g.copy_weights(torch.nn.Linear(2, 2)),
    "max_tokens=0 must be at least 1": lambda g, x: CGPT(SMALL, 0),
    "drop_rate=0.1 must be 0": lambda g, x: CGPT(GPTConfig(11, 8, 8, 2, 2, 0.1)),
    "-1 threads": lambda g, x: use_threads(-1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_wrong_argument_is_refused(compiler, message):
    gpt = CGPT.from_model(GPTModel(SMALL), 16)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        REFUSED[message](gpt, torch.zeros(2, 3, dtype=torch.int64))
    assert "\n" not in str(refused.value)


def test_a_function_of_c_refuses_another_array(compiler):
    ops, x = native.load("ops.c"), torch.randn(4, 4)
    for wrong, why in ((x.double(), "torch.float64"), (x.T, "has gaps"), ("x", "a str")):
        with pytest.raises(ctypes.ArgumentError, match=re.escape(why)):
            ops.gelu_forward(x, wrong, 16)
    with pytest.raises(TypeError):
        ops.gelu_forward(x, x)  # the size is missing


# ---- Compilers


def test_without_a_compiler_one_sentence_says_what_to_do(monkeypatch, own_cache, refusal):
    monkeypatch.setattr(native, "commands", list)
    with pytest.raises(native.NoCompiler) as refused:
        native.load.__wrapped__("gpt.c")
    assert "none was found: " in str(refused.value) and "\n" not in str(refused.value)
    assert any(way in str(refused.value) for way in native.INSTALL.values())
    assert "a C compiler is needed" in refusal(compare, "gradient")


def test_a_compiler_that_does_not_work_is_named(monkeypatch, own_cache):
    monkeypatch.setenv("CC", "no-such-compiler --fast")
    with pytest.raises(native.NoCompiler, match="no-such-compiler --fast cannot build a library"):
        native.find_compiler()


def test_a_library_with_functions_missing_does_not_count(compiler, tmp_path):
    missing = "int nowhere(void);\nint probe(void) { return nowhere(); }\n"
    assert native.works(compiler, native.PROBE, (), tmp_path)
    assert not native.works(compiler, missing, (), tmp_path)
    assert native.run(["no-such-program"])[1]


def test_a_compiler_without_threads_still_has_vectors(compiler, monkeypatch, own_cache):
    if os.name == "nt":
        pytest.skip("the compiler of this test is a shell script")
    script, real = own_cache / "plain-cc", " ".join(compiler.command)
    script.write_text(
        f'#!/bin/sh\nfor a in "$@"; do [ "$a" = -fopenmp ] && exit 1; done\nexec {real} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(script))
    found = native.find_compiler()
    assert "-fopenmp-simd" in found.flags and not found.threads
    library = native.load.__wrapped__("gpt.c", (), found)
    assert library.use_threads(3) == 1
    rows = compare.configurations(3, library)
    assert max(row["gradients"] for row in rows) <= 2e-5


@pytest.mark.slow
def test_a_library_is_built_once_and_whole(compiler, monkeypatch, own_cache):
    first = native.build("ladder.c")
    built = first.stat().st_mtime_ns
    assert native.build("ladder.c") == first and first.stat().st_mtime_ns == built
    assert native.build("ladder.c", ("-O0",)) != first
    monkeypatch.setattr(native, "processor", lambda: "another one")
    assert native.build("ladder.c") != first
    folder = first.parent
    before = sorted(folder.iterdir())
    with pytest.raises(ValueError, match=r"could not be built: .*no-such-option"):
        native.build("ladder.c", ("--no-such-option",))
    assert sorted(folder.iterdir()) == before


def test_fast_math_is_refused(compiler):
    with pytest.raises(ValueError, match="-ffast-math"):
        native.build("ops.c", ("-ffast-math",))


def test_a_readers_c_runs_apart(compiler):
    head = "#include <stdint.h>\n"
    double = head + "void f(float *o, const float *x, int64_t n, float by) {\n%s\n}\n"
    x = torch.arange(6.0).view(2, 3)

    def call(body: str, timeout: float = 20) -> list[torch.Tensor]:
        return native.call_safely(double % body, "f", torch.zeros(2, 3), x, 6, 0.5, timeout=timeout)

    out, same = call("for (int64_t i = 0; i < n; i++) o[i] = by * x[i];")
    assert torch.equal(out, x / 2) and torch.equal(same, x)
    with pytest.raises(ValueError, match="line:3.*error"):
        call("o[0] = y;")
    with pytest.raises(ValueError, match="did not come to an end"):
        call("while (by > 0) o[0] += 1;", timeout=1)
    if "address" in " ".join(native.find_sanitizers()):
        with pytest.raises(ValueError, match="heap-buffer-overflow, in line 3"):
            call("for (int64_t i = 0; i <= n; i++) o[i] = x[i];")
    with pytest.raises(ValueError, match="use float32 or int64"):
        native.call_safely(double % "", "f", x.double())


def test_functions_are_shown_with_what_stands_above_them():
    text = native.function_text("ops.c", "softmax")
    assert text.startswith("// x = factor softmax") and text.endswith("\n}")
    assert native.function_text("ops.c", "turned").count("\n") == 0
    with pytest.raises(ValueError, match="gpt.c has no function gpt_missing"):
        native.function_text("gpt.c", "gpt_missing")


def test_the_check_of_the_setup_has_a_row_that_stops_nothing(compiler, monkeypatch):
    check = runpy.run_path(str(ROOT / "setup" / "check_environment.py"))["check_compiler"]
    row = check()
    assert compiler.version in row.found and not row.advice

    def none() -> native.Compiler:
        raise native.NoCompiler("none")

    monkeypatch.setattr(native, "find_compiler", none)
    row = check()
    assert row.advice.startswith("only appendix F wants one: ") and not row.fatal


# ---- The command


def test_the_aims_stand_beside_what_was_measured():
    notes = compare.notes(compare.read_record())
    assert len(notes) == 5
    assert re.fullmatch(r"step, C, native: \d+\.\d\d of PyTorch, the aim is 1\.6", notes[0])
    assert compare.notes({}) == []


class Busy:
    share = 0.7

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_nothing_is_timed_while_others_compute(monkeypatch, refusal):
    monkeypatch.setattr(compare, "Others", Busy)
    monkeypatch.setattr(compare.time, "sleep", lambda seconds: None)
    assert "other programs use 0.7 processors" in refusal(compare, "ladder")


def test_a_table_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["compare", "speed"])
    with pytest.raises(SystemExit) as stopped:
        compare.main()
    assert stopped.value.code == 2 and "speed is no table" in capsys.readouterr().err


def test_tables_are_kept_and_read_again(compiler, monkeypatch, tmp_path, capsys):
    record = tmp_path / "record.json"
    options = ["mapping", "gradient", "configurations", "--draws", "2", "--record", str(record)]
    monkeypatch.setattr("sys.argv", ["compare", *options])
    compare.main()
    tables = compare.read_record(record)
    assert [len(rows) for rows in tables.values()] == [len(MAPPING), 3, 2]
    assert "by differences" in capsys.readouterr().out


def test_the_committed_record_is_whole():
    tables = compare.read_record()
    assert set(tables) == set(compare.TABLES) - {"configurations"}
    assert tables["mapping"] == compare.mapping()
    assert all(row["C"] <= row["bound"] for row in tables["values"])
    assert [row["operation"] for row in tables["operations"][:-1]] == [op.name for op in MAPPING]
    assert len(tables["overfit"]) == 100


# What llm.c's train_gpt2.c offers, on our gpt.c: its checkpoint is read as llm.c reads it.
FAKE_LLMC = """
#include "%s/gpt.c"
typedef struct { GPT *g; float mean_loss; int *ids, *targets; int B, T; } GPT2;
static void gpt2_build_from_checkpoint(GPT2 *model, const char *path) {
    FILE *file = fopen(path, "rb");
    int header[256];
    if (!file || fread(header, 4, 256, file) != 256 || header[0] != 20240326 || header[1] != 3)
        exit(1);
    Int T = header[2], V = header[3], L = header[4], H = header[5], C = header[6];
    GPT *g = model->g = gpt_new(V, T, C, H, L, 1, 1, 4096);
    Int sizes[] = {C, C, 3 * C * C, 3 * C, C * C, C, C, C, 4 * C * C, 4 * C, 4 * C * C, C};
    size_t n = fread(g->w.tok, 4, V * C, file) + fread(g->w.pos, 4, T * C, file);
    for (int j = 0; j < 12; j++)
        for (Int i = 0; i < L; i++) n += fread(g->block[i].w.each[j], 4, sizes[j], file);
    n += fread(g->w.scale, 4, C, file) + fread(g->w.shift, 4, C, file);
    if ((Int)n != g->size || fgetc(file) != EOF) exit(2);
}
static void gpt2_forward(GPT2 *m, int *ids, int *targets, size_t B, size_t T) {
    m->ids = ids, m->targets = targets, m->B = B, m->T = T;
    m->mean_loss = 0;
}
static void gpt2_zero_grad(GPT2 *model) { (void)model; }
static void gpt2_backward(GPT2 *m) {
    static int64_t ids[4096], targets[4096];
    for (int i = 0; i < m->B * m->T; i++) ids[i] = m->ids[i], targets[i] = m->targets[i];
    m->mean_loss = gpt_learn(m->g, ids, targets, m->B, m->T);
}
static void gpt2_update(GPT2 *m, float lr, float b1, float b2, float eps, float wd, int t) {
    (void)t;
    gpt_update(m->g, lr, b1, b2, eps, wd);
}
"""


def test_a_checkout_of_llmc_is_given_the_same_model(compiler, monkeypatch, tmp_path):
    monkeypatch.setattr(compare, "LLMC_FLAGS", ("-O2",))  # -Ofast is wrong for our exp_
    (tmp_path / "train_gpt2.c").write_text(FAKE_LLMC % FOLDER, encoding="utf-8")
    model = GPTModel(GPTConfig(50, 16, 24, 3, 2, 0.0, True, True))
    inputs, targets = torch.randint(50, (2, 4, 16))
    steps = compare.llmc_run(tmp_path, model, inputs, targets, 5)
    right = compare.trained_losses(model, [(inputs, targets)] * 5)
    assert [loss for loss, _ in steps] == pytest.approx(right, abs=1e-4)
    assert compare.llmc_step(tmp_path, model, inputs, targets, 2) >= 0
    with pytest.raises(ValueError, match="holds no train_gpt2.c"):
        compare.llmc_run(tmp_path / "elsewhere", model, inputs, targets, 1)
