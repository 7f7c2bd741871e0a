"""To present a chapter: its sections start in new kernels, the sheet, the rehearsal, the quiz."""

import ast
import json
import os
import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from course_files import CHAPTERS, ROOT, main_notebook, read_notebook
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sklearn.linear_model import LogisticRegression
from torch import nn

from ch01.bigram import Bigram
from ch04.gpt import GPTConfig
from course.lessons import chapters
from exercises.quiz import place_of_right
from playbook.read import BadInput
from playbook.tools import Missing
from slides import live, rehearse, sheet, state
from slides.__main__ import main
from slides.chapter import INSTEAD, LATE, RESUME, read_chapter
from slides.needs import lacking, needed, statements, that_make
from slides.quiz import ask, draw, plain, questions_of
from slides.resume import resume, source_of_cell, start_of
from slides.words import ENGLISH, KOREAN, say

NAMES = [f.name for f in CHAPTERS if main_notebook(f).exists()]

each_chapter = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.delenv("LANGUAGE", raising=False)


# ---- A small chapter.

CELLS = {
    "numbers": "data = [1, 2, 3]\nprint(data)",
    "train": (
        "from pathlib import Path\n\nimport torch\n\n"
        "with Path('trained').open('a') as file:\n    file.write('x')\n"
        "torch.manual_seed(1)\nmodel = torch.nn.Linear(2, 1)\n"
        "for _ in range(3):\n    model.weight.data += 1\nlosses = [0.5, 0.25]"
    ),
    "use": "def double(x):\n    return 2 * x\n\n\nprint(double(losses[-1]), len(data))",
    "last": "print(double(data[0]), f'{model.weight.sum().item():.3f}')",
}
PRINTS = {"numbers": "[1, 2, 3]\n", "use": "0.5 3\n", "last": "2 6.052\n"}


GO_ON = (
    "from pathlib import Path\n\nfrom slides.resume import resume\n\n"
    "resume('ch09', root=Path.cwd().parent, after='train')"
)


def small_notebook() -> nbformat.NotebookNode:
    cells = [new_markdown_cell("# Chapter 9. Small\n\nIt counts.", id="title")]
    sections = {"9.1 One": ["numbers", "train"], "9.2 Two": ["use"], "9.3 Three": ["last"]}
    for number, (title, own) in enumerate(sections.items(), start=1):
        if number > 1:
            source = "from pathlib import Path\n\nfrom slides.resume import resume\n\n"
            source += f"resume('ch09', {number}, Path.cwd().parent)"
            cell = new_code_cell(source, id=f"resume-{number}")
            cell.metadata["tags"] = [RESUME]
            cells.append(cell)
        cells.append(new_markdown_cell(f"## {title}\n\nIt is one. How many are there?"))
        for name in own:
            text = [new_output("stream", text=PRINTS[name])] if name in PRINTS else []
            cells.append(new_code_cell(CELLS[name], id=name, outputs=text))
            if name == "train":
                cells.append(new_code_cell(GO_ON, id="go-on"))
                cells[-1].metadata["tags"] = [RESUME, INSTEAD]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
    notebook = new_notebook(cells=cells)
    notebook.metadata["course"] = {
        "sections": [{"title": title, "minutes": 5} for title in sections],
        "asked": [{"question": "Why?", "answer": "Because."}],
    }
    return notebook


@pytest.fixture
def root(tmp_path) -> Path:
    """A course of one small chapter."""
    (tmp_path / "ch09").mkdir()
    nbformat.write(small_notebook(), tmp_path / "ch09" / "ch09.ipynb")
    return tmp_path


@pytest.fixture
def kernel(root, monkeypatch):
    """Run cells of the small chapter as a new kernel does; give its names."""
    monkeypatch.chdir(root / "ch09")

    def run(*ids: str, history: bool = True, **changed: str) -> dict:
        shell = InteractiveShell.instance()
        shell.reset(new_session=True)
        cells = {cell.id: cell.source for cell in read_chapter("ch09", root).cells} | changed
        for cell_id in ids:
            shell.run_cell(cells[cell_id], store_history=history).raise_error()
        return dict(shell.user_ns)

    yield run
    InteractiveShell.clear_instance()


# ---- What a section needs.


def test_a_section_needs_what_it_reads_and_what_that_calls():
    before = statements([("a", "import math\nk, s = 2, 3\ndef f(x):\n    return k * g(x)")])
    before += statements(
        [("b", "def g(x):\n    y = math.pi\n    return y * x\nz = [q for q in s]")]
    )
    after = statements([("c", "w = f(3)\nprint(w, z)")])
    assert needed(before, after) == {"f", "g", "k", "math", "z"}


def test_what_a_section_binds_before_it_reads_it_is_not_needed():
    before = statements([("a", "x = 1\nrows = []")])
    assert needed(before, statements([("b", "x = 2\nprint(x)")])) == set()
    assert needed(before, statements([("b", "x += 2")])) == {"x"}
    assert needed(before, statements([("b", "for x in range(3):\n    rows.append(x)")])) == {"rows"}


def test_a_caught_exception_is_no_name_of_the_notebook():
    caught = "try:\n    x = f()\nexcept ValueError as error:\n    print(error)"
    before = statements([("a", f"def f():\n    return 1\n\n\n{caught}")])
    assert needed(before, statements([("b", caught)])) == {"f"}


def test_known_values_leave_out_what_only_they_need():
    source = "n = 3\ndata = make(n)\nmodel = Net(n)\nmodel.fit(data)\nlosses = model.losses"
    before = statements([("a", "from somewhere import Net, make"), ("b", source)])
    chosen = that_make({"model", "losses"}, before, known={"losses", "data"}, slow={"b"})
    texts = [ast.unparse(s.node) for s in chosen]
    assert texts == ["from somewhere import Net, make", "n = 3", "model = Net(n)"]
    quick = that_make({"model"}, before, known={"data"}, slow=set())
    assert "model.fit(data)" in [ast.unparse(s.node) for s in quick]


def test_a_seed_comes_back_before_what_it_seeds():
    source = "import torch\ntorch.manual_seed(1)\nlayer = torch.nn.Linear(2, 2)\ntorch.rand(3)"
    chosen = that_make({"layer"}, statements([("a", source)]), known=set(), slow=set())
    assert [ast.unparse(s.node).partition("(")[0] for s in chosen] == [
        "import torch",
        "torch.manual_seed",
        "layer = torch.nn.Linear",
    ]


def test_a_loop_is_not_run_for_an_object_whose_form_is_enough():
    source = "model = Net()\nfor seed in range(5):\n    model = Net()\n    model.fit()\nn = 3"
    before = statements([("a", source)])
    for built, n_chosen in (({"model"}, 1), (set(), 2)):
        chosen = that_make({"model", "n"}, before, {"n"}, set(), built)
        assert len(chosen) == n_chosen and ast.unparse(chosen[0].node) == "model = Net()"


def test_a_call_whose_result_is_kept_may_change_what_it_is_handed():
    source = "model = Net()\nadded = widen(model, 2)\nn = len(added)"
    before = statements([("a", source)])
    for changed, n_chosen in (({"model"}, 2), (set(), 1)):
        chosen = that_make({"model", "added"}, before, {"added"}, set(), set(), changed)
        assert len(chosen) == n_chosen


def test_a_value_bound_anew_is_not_taken_for_the_earlier_one():
    before = statements([("a", "x = 1\ny = Thing(x)\nx = 2")])
    chosen = that_make({"x", "y"}, before, known={"x"}, slow=set())
    assert [ast.unparse(s.node) for s in chosen] == ["x = 1", "y = Thing(x)"]


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [
        ({"b"}, {"c": {"y"}}),
        ({"a"}, {"b": {"x"}, "d": {"runs"}, "e": {"runs"}}),
        ({"c"}, {}),
        ({"d"}, {"e": {"runs"}}),  # which reads an item that d sets
    ],
)
def test_what_is_missing_without_a_cell_is_found(left_out: set, missing: dict):
    cells = {"a": "x, runs = 1, {}", "b": "y = x", "c": "print(y)"}
    cells |= {"d": "runs['b'] = 2", "e": "print(runs)"}
    assert lacking(statements(cells.items()), left_out) == missing


# ---- Values in a file.

FRAME = pd.DataFrame({"n": [1, 2], "share": [0.5, np.nan]}, index=["a", "b"])


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, 0.1, "한글", (1, [2, {"a": {3}}])),
        *({1: "one", ("a", 2): None}, np.float64(0.1), np.arange(3), range(0)),
        *(FRAME, FRAME.share, FRAME["n"].rename("rows")),
        torch.arange(3.0, requires_grad=True),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value, tmp_path):
    if isinstance(value, range):
        with pytest.raises(state.NotKept):
            state.encode(value)
        return
    state.save(tmp_path / "a.pt", {"value": value}, "mark")
    back = state.decode(state.load(tmp_path / "a.pt", "mark")["values"]["value"])
    assert type(back) is type(value)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value)
    elif isinstance(value, torch.Tensor):
        assert torch.equal(back, value) and back.requires_grad
    else:
        assert np.array_equal(back, value) if isinstance(value, np.ndarray) else back == value


def test_a_model_and_its_optimizer_get_their_states(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    model[0].bias.requires_grad_(False)
    state.save(tmp_path / "a.pt", {"model": model, "optimizer": optimizer}, "mark")
    states = state.load(tmp_path / "a.pt", "mark")["states"]
    other = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    its_optimizer = torch.optim.AdamW(other.parameters())
    state.put_state(other, states["model"])
    state.put_state(its_optimizer, states["optimizer"])
    assert torch.equal(other[0].weight, model[0].weight)
    assert not other[1].training and not other[0].bias.requires_grad
    assert its_optimizer.param_groups[0]["lr"] == 0.5 and its_optimizer.state


@pytest.mark.parametrize(
    "counts", [{}, {3: 2, 5: 1}, {(1, 2): 4, (2, 2): 1}], ids=["none", "numbers", "pairs"]
)
def test_counts_come_back(counts):
    back = state.decode(state.encode(Counter(counts)))
    assert type(back) is Counter and back == counts


def test_a_fitted_judge_comes_back():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    labels = np.where(rows[:, 0] > 0, "spam", "ham").astype(object)
    judge = LogisticRegression(C=0.5).fit(rows, labels)
    back = state.decode(state.encode(judge))
    assert np.array_equal(back.predict_proba(rows), judge.predict_proba(rows))
    assert repr(back) == repr(judge) and list(back.predict(rows)) == list(judge.predict(rows))


def test_a_model_of_other_layers_is_refused_though_its_weights_fit():
    saved = state.state_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with pytest.raises(ValueError, match="other layers"):
        state.put_state(nn.Sequential(nn.Linear(2, 2), nn.GELU()), saved)


@pytest.mark.parametrize("counts", [{"a": 1}, {1: 0.5}, {(1, 2): 1, (1, 2, 3): 1}, {(1,): 1, 2: 1}])
def test_counts_of_something_else_are_not_kept(counts):
    with pytest.raises(state.NotKept):
        state.encode(Counter(counts))


def test_a_bigram_model_comes_back_and_predicts_the_same():
    bigram = Bigram([1, 2, 1, 2, 3, 1], 4)
    back = state.decode(state.encode(bigram))
    assert back.probability(1, 2) == bigram.probability(1, 2) and vars(back) == vars(bigram)


def test_a_dataclass_of_the_course_is_kept_and_no_other():
    config = GPTConfig(vocab_size=50, n_layers=3)
    assert state.decode(state.encode(config)) == config
    with pytest.raises(state.NotKept):
        state.encode(rehearse.Run())
    tag, kind, _, name, own = state.encode(config)
    with pytest.raises(state.NotKept):
        state.decode((tag, kind, "slides.rehearse", "Run", own))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("here",)


def test_a_file_of_saved_values_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.pt").write_bytes(pickle.dumps({"mark": Evil()}))
    torch.save({"mark": Evil()}, "b.pt")
    assert state.load(Path("a.pt"), "") is None and state.load(Path("b.pt"), "") is None
    assert not Path("here").exists()


# ---- A section in a new kernel.


def test_a_whole_run_says_nothing_and_a_new_kernel_trains_nothing_again(kernel, root, capsys):
    ids = ["numbers", "train", "resume-2", "use", "resume-3", "last"]
    kernel(*ids)
    assert capsys.readouterr().out == "".join(PRINTS.values())
    again = kernel("resume-3", "last")
    said = capsys.readouterr().out
    assert "9.3 Three" in said and said.endswith(PRINTS["last"])
    assert (root / "ch09" / "trained").read_text() == "x"
    assert "losses" not in again  # which section 3 does not need
    assert kernel("resume-2", "use")["losses"] == [0.5, 0.25]


def test_a_run_of_nbval_which_keeps_no_history_is_kept(kernel, root):
    kernel("numbers", "train", "resume-2", "use", "resume-3", history=False)
    assert start_of("ch09", 2, root).path.exists() and start_of("ch09", 3, root).path.exists()


def test_without_a_saved_run_all_cells_above_run(kernel, root, capsys):
    kernel("resume-2", "use", "resume-3", "last")
    said = capsys.readouterr().out
    assert say("no saved state", section="9.2 Two") in said and said.endswith(PRINTS["last"])
    assert "[1, 2, 3]" not in said  # the cells above print nothing
    assert (root / "ch09" / "trained").read_text() == "x"


@pytest.mark.parametrize("last", ["torch.nn.Linear(2, 1)", "torch.nn.Linear(2, 1, bias=False)"])
def test_a_loop_that_builds_other_models_is_run_if_the_first_is_not_like_the_last(
    kernel, root, last, capsys
):
    path, loop = root / "ch09" / "ch09.ipynb", f"for _ in 'ab':\n    model = {last}\nlosses = "
    loop = loop.replace("    model", "    Path('trained').open('a').write('y')\n    model")
    notebook = path.read_text().replace("losses = ", json.dumps(loop)[1:-1], 1)
    path.write_text(notebook)
    first = kernel("numbers", "train", "resume-2", "use", "resume-3")["model"]
    capsys.readouterr()
    back = kernel("resume-3")["model"]
    assert torch.equal(back.weight, first.weight) and repr(back) == repr(first)
    assert say("no saved state", section="9.3 Three") not in capsys.readouterr().out
    assert (root / "ch09" / "trained").read_text() == "xyy" + ("yy" if "bias" in last else "")


def test_values_of_another_state_of_the_notebook_are_not_taken(kernel, root, capsys):
    kernel("numbers", "train", "resume-2")
    path = root / "ch09" / "ch09.ipynb"
    path.write_text(path.read_text().replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    assert len(kernel("resume-2")["data"]) == 4
    assert say("no saved state", section="9.2 Two") in capsys.readouterr().out


def test_a_run_of_other_code_is_not_kept(kernel, root):
    ids = ["numbers", "train", "resume-2"]
    path = root / "ch09" / "ch09.ipynb"
    as_it_is = path.read_text()
    path.write_text(as_it_is.replace("0.25]", "0.125]"))
    sources = {c.id: c.source for c in read_chapter("ch09", root).cells}
    path.write_text(as_it_is)
    kernel()
    shell = InteractiveShell.instance()
    for cell_id in ids:
        shell.run_cell(sources[cell_id], store_history=True).raise_error()
    assert not start_of("ch09", 2, root).path.exists()


def test_one_goes_on_without_waiting_for_a_training(kernel, root, capsys):
    kernel("numbers", "train", "go-on")
    assert capsys.readouterr().out == PRINTS["numbers"]
    again = kernel("numbers", "go-on", "resume-2", "use", "resume-3", "last")
    said = capsys.readouterr().out
    assert say("cells after", cell="train") in said
    assert said.endswith(PRINTS["use"] + PRINTS["last"])  # and the sections had all they need
    assert (root / "ch09" / "trained").read_text() == "x"
    assert again["model"].weight.sum().item() > 5


def test_who_has_changed_a_training_and_run_it_keeps_what_came_out(kernel, root):
    kernel("numbers", "train", "go-on")
    other = CELLS["train"].replace("0.25]", "0.125]")
    assert kernel("numbers", "train", "go-on", train=other)["losses"] == [0.5, 0.125]


def test_a_training_is_shown_beside_the_presenters_kernel(kernel, root, capsys, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda by: by)
    path = root / "ch09" / "ch09.ipynb"
    path.write_text(path.read_text().replace("[0.5, 0.25]", "[0.5, 0.25]\\nprint('epoch 3')"))
    kernel()
    assert live.train(read_chapter("ch09", root), root) == 0
    said = capsys.readouterr().out
    assert f"{say('trains', cell='train')}\nepoch 3\n" in said and "took 0.0 minutes" in said
    assert PRINTS["numbers"] not in said  # what comes before is quiet
    assert kernel("numbers", "go-on")["losses"] == [0.5, 0.25]
    assert (root / "ch09" / "trained").read_text() == "x"


def test_a_chapter_whose_training_fails_or_that_has_none_says_so(kernel, root, capsys, monkeypatch):
    monkeypatch.setattr(os, "nice", lambda by: by)
    path = root / "ch09" / "ch09.ipynb"
    path.write_text(path.read_text().replace("data = [1, 2, 3]", "data = [1, 2, 3] / 0"))
    kernel()
    with pytest.raises(BadInput, match="ch09: cell numbers fails. TypeError: unsupported"):
        live.train(read_chapter("ch09", root), root)
    assert live.train(read_chapter("ch03"), root) == 0
    assert say("nothing long", chapter="ch03", limit=20) in capsys.readouterr().out
    assert main(["live"]) == 2 and say("one long chapter") in capsys.readouterr().err


def test_a_cell_is_long_by_the_courses_run_or_by_the_last_rehearsal(root):
    (root / "slides").mkdir()
    (root / "slides" / "seconds.json").write_text('{"ch09": {"numbers": 21.0, "use": 19.0}}')
    chapter = read_chapter("ch09", root)
    run = rehearse.Run(seconds={"last": 30.0, "resume-3": 30.0})
    rehearse.keep(rehearse.Rehearsal(chapter, run, {}), root)
    assert [cell.id for cell in live.long_cells(chapter, root)] == ["numbers", "train", "last"]


def test_a_section_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="ch04 has sections 1 to 7, and no 8"):
        start_of("ch04", 8)
    with pytest.raises(BadInput, match="No chapter is called ch4"):
        resume("ch4", 1)
    with pytest.raises(ValueError, match="ch04 has no code cell ch04-nothing"):
        start_of("ch04", "ch04-nothing")


@each_chapter
def test_every_section_but_the_first_has_its_cell_above_its_heading(name: str):
    cells = read_notebook(main_notebook(ROOT / name)).cells
    for section in read_chapter(name).sections[1:]:
        first = section.cells[0]
        assert RESUME in first.tags, section.title
        assert first.source == source_of_cell(name, section.number)
        assert first.slide == "skip" and not first.outputs
    chapter = read_chapter(name)
    for long, below in chapter.waits.items():
        assert below.source == source_of_cell(name, long)
        assert below.slide == "skip" and not below.outputs
        assert start_of(name, long).own  # by which a kernel that has run the long cell is known
    n = sum(RESUME in cell.metadata.get("tags", []) for cell in cells)
    assert n == len(chapter.sections) - 1 + len(chapter.waits)


START = """
import json, os, sys, time
import matplotlib
matplotlib.use("Agg")
from IPython.core.interactiveshell import InteractiveShell
from slides.chapter import RESUME, read_chapter
from slides.needs import needed, statements
from slides.rehearse import LIBRARIES
from slides.resume import SLOW, start_of
exec(LIBRARIES)
chapter = read_chapter(sys.argv[1])
os.chdir(chapter.folder)
shell, wrong, seconds = InteractiveShell.instance(), [], {}
for section in chapter.sections[1:]:
    shell.reset(new_session=True)
    code = [c for c in section.code if not c.starts and c.id not in chapter.waits]
    start = start_of(chapter.name, section.number)
    began = time.process_time()
    if not shell.run_cell(section.code[0].source).success or not start.names <= set(shell.user_ns):
        wrong.append([section.title, "resume"])
    seconds[section.title] = round(time.process_time() - began, 1)
    for cell in code:
        if (cell.seconds or 0) > SLOW:
            break
        if not shell.run_cell(cell.source).success and "raises-exception" not in cell.tags:
            wrong.append([section.title, cell.id])
            break
    else:
        after = chapter.sections[section.number:]
        wanted = start_of(chapter.name, section.number + 1).names if after else set()
        wrong += [[section.title, f"lacks {name}"] for name in wanted - set(shell.user_ns)]
with open(sys.argv[2], "w") as file:
    json.dump([wrong, seconds], file)
"""


@pytest.mark.slow
@each_chapter
def test_every_section_starts_without_the_cells_above(name: str, tmp_path):
    """Each in names of its own, until its first training; the next one then has what it needs.

    So each start leads to the end. `make rehearse` does it in new kernels, with the trainings.
    A start may take five seconds of CPU, beyond the import of the libraries: the clock says nothing
    on a machine that runs other tests.
    """
    chapter = read_chapter(name)
    last = start_of(name, len(chapter.sections))
    above = sum(60 if cell.seconds is None else cell.seconds for cell in last.above)
    if above > 15 and state.load(last.path, last.mark) is None:
        pytest.skip(f"no whole run is saved: run `make rehearse CH={name}`, or the notebook")
    out = tmp_path / "wrong.json"
    done = subprocess.run(
        [sys.executable, "-c", START, name, str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert out.exists(), done.stderr[-2000:]
    wrong, seconds = json.loads(out.read_text())
    assert wrong == [], done.stdout[-2000:]
    assert max(seconds.values()) <= rehearse.RESCUE, seconds


# ---- The run-sheet.


@each_chapter
def test_what_is_left_out_when_late_nobody_needs(name: str):
    chapter = read_chapter(name)
    code = [cell for cell in chapter.code if RESUME not in cell.tags]
    late = {cell.id for cell in code if LATE in cell.tags}
    assert late and not any("result" in cell.tags for cell in code if cell.id in late)
    assert lacking(statements((cell.id, cell.source) for cell in code), late) == {}


@each_chapter
def test_it_is_known_what_viewers_ask(name: str):
    asked = read_chapter(name).asked
    assert 3 <= len(asked) <= 5
    assert all(a.question.strip().endswith(("?", ".")) and len(a.answer) > 60 for a in asked)


@each_chapter
def test_a_sheet_has_the_clock_the_questions_and_no_answer_too_early(name: str):
    found = sheet.sheet_of(read_chapter(name))
    text = sheet.as_text(found)
    for part in found.parts:
        assert f"{part.section.clock}  {part.section.title}" in text
        assert all(stop.question for stop in part.stops), part.stops
    folded = [cell.id for cell in found.chapter.code if cell.folded]
    assert [stop.cell for part in found.parts for stop in part.stops] == folded
    if found.questions:
        assert len(found.questions) == 10
        body, _, answers = text.rpartition(say("answers"))
        right = "ABCDEF"[place_of_right(found.questions[0])]
        assert f"1 {right}, 2 " in answers and f"1 {right}, 2 " not in body
    assert len(max(text.splitlines(), key=len)) < 140


def test_the_sheet_of_chapter_4_asks_and_expects():
    found = sheet.sheet_of(read_chapter("ch04"))
    stop = found.parts[0].stops[0]
    assert "50,257 tokens" in stop.question and stop.question.endswith("our six?")
    assert "301,542 scores" in stop.answer[0]
    assert found.parts[3].section.clock == "21–25 min"
    letter = "\n".join(sheet.invitation(found))
    assert "my/ch04/ch04.ipynb" in letter and "chapter 4 of the book" in letter
    assert "slides/_build/ch04.html" in letter and "{" not in letter


def test_a_sheet_does_not_expect_a_progress_bar_or_a_formulas_tail():
    found = sheet.sheet_of(read_chapter("appendix-D"))
    rows = {row.id: row for part in found.parts for row in part.rows}
    assert rows["appendix-d-five"].shows.startswith("[4.35, 4.3, ")
    stops = {stop.cell: stop for part in found.parts for stop in part.stops}
    assert stops["appendix-d-cosine-run"].answer[0].startswith("0.01, warmup ")
    assert stops["appendix-d-first-step"].question.startswith("How far will the first step")


def test_the_page_of_a_sheet_folds_its_answers(root, monkeypatch):
    chapter = read_chapter("ch09", root)
    monkeypatch.setattr(sheet, "questions_of", lambda chapter: questions_of(read_chapter("ch04")))
    page = sheet.write_page(sheet.sheet_of(chapter, root=root), root)
    text = page.read_text(encoding="utf-8")
    assert text.count("<details>") == 10 + 1  # and what viewers ask
    assert "Chapter 9. Small" in text and "Because." in text


def test_seconds_of_a_rehearsal_stand_in_the_sheet(root):
    chapter = read_chapter("ch09", root)
    run = rehearse.Run(seconds={"numbers": 1.26})
    rehearse.keep(rehearse.Rehearsal(chapter, run, {}), root)
    found = sheet.sheet_of(chapter, root=root)
    assert found.parts[0].rows[0].here == "1.3" and "fit" in found.rehearsed


# ---- The rehearsal.


@pytest.fixture
def no_slides(monkeypatch):
    monkeypatch.setattr(rehearse, "overflows", lambda chapter: ([], []))


@pytest.mark.slow
def test_a_chapter_that_is_fit_and_one_that_is_not(root, no_slides, monkeypatch):
    chapter = read_chapter("ch09", root)
    found = rehearse.rehearse(chapter, root=root)
    assert found.problems == [], rehearse.report(found)
    said = "\n".join(found.notes)
    assert "The cell below train brings back its result in" in said
    assert "“9.2 Two” is ready after" in said and "“9.3 Three” is ready after" in said
    assert say("fit", chapter="ch09") in rehearse.report(found)
    path = root / "ch09" / "ch09.ipynb"
    before = path.read_text()
    path.write_text(before.replace("2 6.052", "2 7.052").replace("0.5 3\\n", "0.51 3\\n"))
    monkeypatch.setattr(rehearse, "SLOW", -1)  # on a busy machine it may take no CPU second
    found = rehearse.rehearse(read_chapter("ch09", root), with_rescue=False, root=root)
    assert say("differs", cell="last") in found.problems  # and 0.51 is near enough to 0.5
    assert say("differs", cell="use") not in found.problems
    assert any(problem.startswith("Cell last runs") for problem in found.problems)
    assert any(note.startswith("Cell train runs") for note in found.notes)  # off the path


@pytest.mark.slow
def test_a_cell_that_fails_ends_the_rehearsal(root, no_slides):
    path = root / "ch09" / "ch09.ipynb"
    path.write_text(path.read_text().replace("return 2 * x", "return 2 / 0"))
    found = rehearse.rehearse(read_chapter("ch09", root), root=root)
    assert found.problems == ["Cell use fails: ZeroDivisionError: division by zero"]
    assert say("not fit", chapter="ch09") in rehearse.report(found)


@pytest.mark.parametrize("said", ["make slides says what is missing", ""])
def test_slides_are_built_and_measured_or_a_note_says_why_not(root, monkeypatch, said):
    chapter = read_chapter("ch09", root)

    def write_deck(chapter):
        if said:
            raise Missing(said)

    monkeypatch.setattr("slides.deck.write_deck", write_deck)
    monkeypatch.setattr("slides.measure.faults", lambda names: [f"{names[0]}, slide 1.2: too wide"])
    found = ([], [said]) if said else (["ch09, slide 1.2: too wide"], [])
    assert rehearse.overflows(chapter) == found


@pytest.mark.slow
def test_the_sheet_does_not_call_fit_what_has_failed_since(root, no_slides, monkeypatch, capsys):
    monkeypatch.setattr(rehearse, "read_chapters", lambda names: [read_chapter("ch09", root)])
    monkeypatch.setattr(rehearse, "keep", lambda found, keep=rehearse.keep: keep(found, root))
    path = root / "ch09" / "ch09.ipynb"
    path.write_text(path.read_text().replace("return 2 * x", "return 2 / 0"))
    assert main(["rehearse", "ch09"]) == 1
    assert "not fit" in capsys.readouterr().out
    found = sheet.sheet_of(read_chapter("ch09", root), root=root)
    assert "not yet fit" in found.rehearsed and "found 1 to mend" in found.rehearsed


def test_more_than_50_minutes_are_too_long(root):
    run = rehearse.Run(seconds={"numbers": 30.0, "train": 600.0, "last": 60.0})
    found = rehearse.Rehearsal(read_chapter("ch09", root), run, {1: 20.0, 2: 20.0, 3: 10.0})
    assert found.minutes(1) == 20.5 and found.total == 51.5


@pytest.mark.parametrize(("elsewhere", "counted"), [(1.0, 10.0), (12.0, 4.0)])
def test_seconds_of_cpu_count_where_other_programs_keep_the_machine_busy(elsewhere, counted):
    meter = rehearse.Meter()
    meter.clock, meter.cpu, meter.elsewhere = {"a": 10.0}, {"a": 4.0}, elsewhere
    assert meter.seconds == {"a": counted}


def test_a_kernels_own_seconds_are_those_of_its_processes():
    meter = rehearse.Meter()
    meter.begin("a", os.getpid())
    stop = time.process_time() + 0.5
    while time.process_time() < stop:
        pass
    meter.end()
    assert 0.4 < meter.cpu["a"] < 0.9 and meter.clock["a"] > 0.4


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("loss 4.71", "loss 4.72", True),
        ("loss 4.71", "loss 5.71", False),
        ("<a at 0x7f0000000001>", "<a at 0x7f0000000002>", True),
        ("a\nb", "a", False),
    ],
)
def test_outputs_are_compared_up_to_their_numbers(a: str, b: str, same: bool):
    assert rehearse.same_text(a, b) is same


def test_the_reference_keeps_the_seconds_of_each_cell(root):
    (root / "slides").mkdir()
    chapter = read_chapter("ch09", root)
    run = rehearse.Run(seconds={cell.id: 1.23 for cell in chapter.code})
    rehearse.write_reference([rehearse.Rehearsal(chapter, run, {})], root)
    again = read_chapter("ch09", root)
    assert [cell.seconds for cell in again.code if RESUME not in cell.tags] == [1.2] * 4
    assert {cell.seconds for cell in again.code if RESUME in cell.tags} == {None}


# ---- The quiz.


def test_a_seed_decides_questions_and_their_order():
    questions = questions_of(read_chapter("ch04"))
    one, again, other = draw(questions, 3), draw(questions, 3), draw(questions, 4)
    assert one == again and one != other and len(one) == 10
    assert {q["section"] for q in one} == {q["section"] for q in questions}  # all seven
    texts = {q["question"]: {c["text"] for c in q["choices"]} for q in questions}
    assert all({c["text"] for c in q["choices"]} == texts[q["question"]] for q in one)


def test_some_questions_are_marked_as_harder():
    for name in NAMES:
        if (ROOT / name / "quiz.yaml").exists():
            hard = [q.get("hard", False) for q in questions_of(read_chapter(name))]
            assert 0.2 <= sum(hard) / len(hard) <= 0.4, name


def test_the_terminal_asks_and_counts(monkeypatch):
    questions = draw(questions_of(read_chapter("ch04")), 3, n=3)
    right = "ABCDEF"[place_of_right(questions[0])]
    wrong = "AB"[place_of_right(questions[1]) == 0]
    answers = iter(["x", right.lower(), wrong, ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    said = list(ask(questions))
    assert say("right", letter=right) in "\n".join(said)
    assert said[-1].strip() == say("quiz score", right=1, asked=2)


def test_the_quiz_ends_where_the_input_does(monkeypatch, capsys):
    def ended(prompt):
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    assert main(["quiz", "--seed", "3", "ch04"]) == 0
    assert say("quiz score", right=0, asked=0) in capsys.readouterr().out


def test_a_chapter_without_a_quiz_or_none_at_all_is_refused(root, capsys):
    with pytest.raises(BadInput, match="^ch09 has no quiz.$"):
        questions_of(read_chapter("ch09", root))
    assert main(["sheet", "ch4"]) == 2
    assert f"there are {', '.join(chapters())}" in capsys.readouterr().err


def test_texts_of_the_terminal_have_no_marks_of_markdown():
    text = r"**Two** `a * b` in *italics*: $5 \cdot 1.1$, $\frac{1}{2}$"
    assert plain(text) == "Two a * b in italics: 5 · 1.1, 1/2"


# ---- Words.


def test_korean_has_every_word_with_the_same_values():
    def values(words: dict[str, str]) -> dict[str, list[str]]:
        return {key: sorted(re.findall(r"{[^}]*}", text)) for key, text in words.items()}

    assert values(KOREAN) == values(ENGLISH)
    assert all(re.search("[가-힣]", text) for text in KOREAN.values())


def test_a_language_without_a_word_says_it_in_english(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "ko_KR:en")
    monkeypatch.setitem(KOREAN, "together", "모두")
    monkeypatch.delitem(KOREAN, "no quiz", raising=False)
    assert say("together") == "모두" and say("no quiz", chapter="ch04") == "ch04 has no quiz."
