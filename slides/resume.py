"""What the rest of a notebook needs of the cells above, brought back in seconds.

    resume("ch04", 3)                   # above section 3, which starts here in a new kernel
    resume("ch06", after="ch06-run")    # below a long training, to go on without waiting for it

In a kernel in which the cells above have run it does nothing, and says nothing. The first such run
leaves a file for each such cell, slides/_build/state/ch04/3.pt, with the values of the names that
the rest of the notebook reads: numbers, texts, tensors, tables, and the weights of models. In a
new kernel these values come from the file. Functions, classes, imports and objects do not: the
statements that make them are run again, without what they print and draw, and a model then gets
its weights from the file. So a training is not run again. Without a file, or with one of another
state of the notebook, all cells above are run, and a line says so.
"""

import ast
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from course.lessons import ROOT
from slides.chapter import RESUME, Cell, notebook_of, read_chapter
from slides.needs import Statement, needed, statements, that_make
from slides.words import say

SLOW = 1.0  # seconds: of a cell that runs longer, only what builds an object is run again


def source_of_cell(name: str, place: int | str) -> str:
    """What the cell above a section says, or the one below a cell that takes long."""
    first = "from slides.resume import resume  # "
    if isinstance(place, int):
        return f'{first}a new kernel starts here\n\nresume("{name}", {place})'
    return f'{first}or go on without waiting\n\nresume("{name}", after="{place}")'


@dataclass(frozen=True)
class Start:
    """How to start at one place: what stands above it, and what the rest needs of that."""

    title: str
    above: tuple[Cell, ...]  # code cells
    statements: Sequence[Statement]
    names: frozenset[str]
    own: frozenset[str]  # names that nothing makes but the long cell directly above
    slow: frozenset[str]  # cells of which only what builds an object is run again
    path: Path  # of the saved values

    @property
    def mark(self) -> str:
        """A digest of the cells above and of the names: values of others do not fit."""
        text = "\0".join([*(cell.source for cell in self.above), *sorted(self.names)])
        return hashlib.sha256(text.encode()).hexdigest()

    def is_behind(self, names: Set[str]) -> bool:
        """Whether a kernel with these names has come past this place.

        Whoever has changed a long training and run it keeps what came out.
        """
        return self.names | self.own <= names


def start_of(name: str, place: int | str, root: Path = ROOT) -> Start:
    """How to start a chapter at a section, counted from 1, or below a cell with this id.

    Raises: BadInput if there is no such chapter, ValueError if it has no such place.
    """
    return read_start(name, place, root, notebook_of(name, root).stat().st_mtime_ns)


@cache
def read_start(name: str, place: int | str, root: Path, _changed: int) -> Start:
    chapter = read_chapter(name, root)
    code = [cell for cell in chapter.code if RESUME not in cell.tags]
    ids = [cell.id for cell in code]
    if isinstance(place, str):
        if place not in ids:
            raise ValueError(f"{name} has no code cell {place}")
        n_above, title = ids.index(place) + 1, say("cells after", cell=place)
    else:
        if not 1 <= place <= len(chapter.sections):
            raise ValueError(f"{name} has sections 1 to {len(chapter.sections)}, and no {place}")
        here = {cell.id for section in chapter.sections[place - 1 :] for cell in section.cells}
        n_above, title = sum(i not in here for i in ids), chapter.sections[place - 1].title
    before = statements((cell.id, cell.source) for cell in code[:n_above])
    after = statements((cell.id, cell.source) for cell in code[n_above:])
    return Start(
        title=title,
        above=tuple(code[:n_above]),
        statements=before,
        names=frozenset(needed(before, after)),
        own=only_made_by(place, before) if isinstance(place, str) else frozenset(),
        slow=frozenset(c.id for c in code if (c.seconds or 0) > SLOW) | {*chapter.waits, place},
        path=root / "slides" / "_build" / "state" / name / f"{place}.pt",
    )


def only_made_by(cell: str, made: Sequence[Statement]) -> frozenset[str]:
    """The names that one cell binds, and no cell before it."""
    own = set().union(*(s.makes for s in made if s.cell == cell))
    return frozenset(own.difference(*(s.makes for s in made if s.cell != cell)))


@contextmanager
def silent() -> Iterator[None]:
    """Let nothing be printed, shown or drawn."""
    import matplotlib.pyplot as plt
    from IPython.utils.capture import capture_output

    old = plt.get_fignums()
    with capture_output():
        yield
    for number in set(plt.get_fignums()) - set(old):
        plt.close(number)


def run_statements(chosen: Sequence[Statement], names: dict[str, Any]) -> None:
    for statement in chosen:
        module = ast.Module([statement.node], type_ignores=[])
        exec(compile(module, f"<cell {statement.cell}>", "exec"), names)


def brought_back(start: Start, names: dict[str, Any], saved: Mapping) -> bool:
    """Whether what a section needs is among the names now, with the saved values.

    A model is first built as simply as can be. If its saved state does not fit, then a loop builds
    the last one otherwise, or a call such as added = add_lora(model) changes its layers.
    """
    states = saved["states"].keys()
    for built, changed in ((states, set()), (set(), set()), (states, states)):
        try:
            bring_back(start, names, saved, built, changed)
        except Exception as error:  # whatever it is, all cells can still be run
            reason = f"{type(error).__name__}: {error}"
        else:
            return start.names <= names.keys()
    print(say("does not fit", error=reason))
    return False


def bring_back(
    start: Start, names: dict[str, Any], saved: Mapping, built: Set[str], changed: Set[str]
) -> None:
    """Put what a section needs among the names, with the saved values; built and changed are those
    of that_make.

    Raises: whatever a statement raises, KeyError or ValueError if a state has no object that fits.
    """
    from slides import state

    values = {name: state.decode(data) for name, data in saved["values"].items()}
    names.update(values)
    before, slow = start.statements, start.slow
    chosen = that_make(start.names, before, values.keys(), slow, built, changed)
    with silent():
        run_statements(chosen, names)
    names.update(values)  # what a statement made beside an object is not the last value
    for name, data in saved["states"].items():
        state.put_state(names[name], data)
    state.set_random_state(saved["random"])


def run_above(start: Start, names: dict[str, Any]) -> None:
    """Run all cells above, silently, with a bar."""
    from tqdm.auto import tqdm

    for cell in tqdm(start.above, desc=say("cells above")):
        with silent():
            try:
                run_statements(statements([(cell.id, cell.source)]), names)
            except Exception:
                if "raises-exception" not in cell.tags:
                    raise


def resume(name: str, section: int = 1, root: Path = ROOT, after: str = "") -> None:
    """Bring back what a section needs, or the cells after one; where it is there, do nothing."""
    begin = time.perf_counter()
    from IPython import get_ipython

    from slides import state

    shell = get_ipython()
    start = start_of(name, after or section, root)
    if shell is None:  # the notebook's code runs as a program, from its top
        return
    if start.is_behind(shell.user_ns.keys()):
        # A program that keeps no history, as nbval does, runs every cell as it stands.
        ran = {source.strip() for source in shell.history_manager.input_hist_raw} - {""}
        as_it_stands = not ran or {cell.source.strip() for cell in start.above} <= ran
        if as_it_stands and state.load(start.path, start.mark) is None:
            state.save(start.path, {n: shell.user_ns[n] for n in start.names}, start.mark)
        return
    saved = state.load(start.path, start.mark)
    if saved is None or not brought_back(start, shell.user_ns, saved):
        print(say("no saved state", section=start.title), flush=True)
        run_above(start, shell.user_ns)
    seconds = time.perf_counter() - begin
    print(say("resumed", section=start.title, n=len(start.names), seconds=seconds))
