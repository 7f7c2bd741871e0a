"""Train live while you talk: the chapter's long cell, with its progress line, beside your kernel.

    python -m slides live ch06      # in a second terminal, when you come to the training or before

A kernel that trains for a minute answers nothing else meanwhile, and on stage a minute is long. So
the presenter's kernel does not train: one shows the committed output and runs the cell below it
(slides/resume.py). Whoever wants viewers to see a training start it with this command in a terminal
beside the notebook; JupyterLab has one under File, New. It runs the chapter's cells in a process of
its own, at low priority, quietly up to the long one, of which it shows what it prints and the
progress bar. When it is done, its result is saved where the cell below the long one finds it. The
bar is a line of text because no kernel is asked: tqdm draws its other bar only in a notebook.
"""

import argparse
import os
import time
from contextlib import nullcontext
from pathlib import Path

from course.lessons import ROOT
from playbook.read import BadInput
from slides.chapter import RESUME, SLOW, Cell, Chapter, read_chapters
from slides.rehearse import last_rehearsal
from slides.words import say


def long_cells(chapter: Chapter, root: Path = ROOT) -> list[Cell]:
    """The cells that one does not wait for, and those that ran too long, in the course or here."""
    here = last_rehearsal(chapter.name, root).get("seconds", {})
    return [
        cell
        for cell in chapter.code
        if RESUME not in cell.tags
        and (cell.id in chapter.waits or max(cell.seconds or 0, here.get(cell.id, 0)) > SLOW)
    ]


def train(chapter: Chapter, root: Path = ROOT) -> int:
    """Run a chapter up to its last long cell, and what saves the result; give the exit status."""
    import matplotlib

    long = {cell.id for cell in long_cells(chapter, root)}
    if not long:
        print(say("nothing long", chapter=chapter.name, limit=SLOW))
        return 0
    from IPython.core.interactiveshell import InteractiveShell
    from tqdm import tqdm

    from slides.resume import silent

    matplotlib.use("Agg")
    shell = InteractiveShell.instance()
    os.chdir(chapter.folder)
    if hasattr(os, "nice"):
        os.nice(10)  # the presenter's kernel comes first
    last = max(i for i, cell in enumerate(chapter.code) if cell.id in long)
    cells = chapter.code[: last + 1]
    label = say("until", chapter=chapter.name, cell=cells[-1].id)
    cells += filter(None, [chapter.waits.get(cells[-1].id)])  # which saves the result
    bar = None
    for number, cell in enumerate(cells):
        is_long, began = cell.id in long, time.perf_counter()
        if is_long:
            print(say("trains", cell=cell.id), flush=True)
        elif bar is None:
            bar = tqdm(total=len(cells), initial=number, desc=label, unit="cell", leave=False)
        with nullcontext() if is_long else silent():
            found = shell.run_cell(cell.source, store_history=True)
        if bar is not None:
            bar.update()
            if cell is cells[-1] or cells[number + 1].id in long or not found.success:
                bar = bar.close()  # so that the cell's own bar is the only line
        if not found.success and "raises-exception" not in cell.tags:
            error = found.error_before_exec or found.error_in_exec
            reason = f"{type(error).__name__}: {error}"
            raise BadInput(say("live fails", chapter=chapter.name, cell=cell.id, reason=reason))
        if is_long:
            minutes = (time.perf_counter() - began) / 60
            print(say("trained", cell=cell.id, minutes=minutes), flush=True)
    return 0


def options(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> int:
    if len(arguments.chapters) != 1:
        raise BadInput(say("one long chapter"))
    (chapter,) = read_chapters(arguments.chapters)
    return train(chapter)
