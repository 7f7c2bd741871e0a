"""A learner's copies: made once, kept for ever; the course's changes come beside them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from course_files import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output
from tornado.web import HTTPError

from course import my

CH01, EXERCISES = "ch01/ch01.ipynb", "ch01/exercises.ipynb"
GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]


def write(path: Path, *sources: str, said: str = "", **metadata) -> None:
    """A notebook with these code cells, the first of which has said something."""
    cells = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    if said:
        cells[0].outputs = [new_output("stream", text=said)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)


def sources(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a change")


def publish(course: Path, name: str, *sources: str) -> None:
    """A new version of one of the course's notebooks."""
    write(course / name, *sources)
    commit(course)


@pytest.fixture
def course(tmp_path) -> Path:
    """A small course in git, with a figure, a module, and a bonus notebook."""
    root = tmp_path / "course"
    shutil.copytree(ROOT / "course", root / "course", ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copy(ROOT / ".gitignore", root)
    write(root / CH01, "1", said="one")
    write(root / EXERCISES, "...")
    write(root / "ch01" / "bonus" / "fast.ipynb", "2")
    (root / "ch01" / "figures").mkdir()
    (root / "ch01" / "figures" / "a.svg").write_text("<svg/>")
    (root / "ch01" / "bigram.py").write_text("N = 1\n")
    write(root / "ch01" / "exercises-anna.ipynb", "hers")
    git(root, "init", "-q", "-b", "main")
    commit(root)
    return root


@pytest.fixture
def clone(course, tmp_path) -> Path:
    """A learner's clone."""
    git(tmp_path, "clone", "-q", str(course), "clone")
    return tmp_path / "clone"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command, as it stands in a folder."""
    command = [sys.executable, "-m", "course.my", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# ---- Copies.


def test_copies_are_made_once_with_their_figures(course):
    assert my.make_copies(course) == ["Copies of the course in my: 4 new."]
    wanted = [".copies.json", "ch01/bonus/fast.ipynb", CH01, EXERCISES, "ch01/figures/a.svg"]
    assert files_in(course / "my") == wanted  # not what a reader has copied by hand
    assert (course / "my" / CH01).read_bytes() == (course / CH01).read_bytes()
    assert my.make_copies(course) == []
    assert git(course, "status", "--porcelain") == ""  # git does not look there


def test_every_notebook_of_the_course_has_a_copy_with_its_pictures():
    names = my.originals()
    tracked = [n for n in names if n.endswith(".ipynb")]
    assert {f"ch0{i}/ch0{i}.ipynb" for i in range(1, 8)} <= set(tracked)
    assert {"ch03/exercises.ipynb", "ch03/bonus/efficient_attention.ipynb"} <= set(tracked)
    assert "ch03/figures/causal-mask.svg" in names and "ch03/bonus/figures/blocks.svg" in names


def test_what_a_learner_has_done_is_never_written_to(course):
    my.make_copies(course)
    write(course / "my" / EXERCISES, "solved", said="Exercise 1.1: right.\n")
    mine = (course / "my" / EXERCISES).read_bytes()
    assert my.make_copies(course) == []
    publish(course, EXERCISES, "...", "more")
    said = "The course has changed ch01/exercises.ipynb: its new version is my/ch01/exercises "
    assert my.make_copies(course) == [said + "(new).ipynb."]
    assert (course / "my" / EXERCISES).read_bytes() == mine
    assert sources(course / "my" / "ch01" / "exercises (new).ipynb") == ["...", "more"]
    assert my.make_copies(course) == []  # it is said once


def test_on_a_korean_machine_copies_are_korean_where_there_is_korean(course, monkeypatch):
    my.make_copies(course)
    write(course / "my" / EXERCISES, "solved")
    write(course / "ko" / CH01, "1", said="하나")
    write(course / "ko" / EXERCISES, "… 한국어")
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    said = my.make_copies(course)
    assert "my/ch01/exercises (new).ipynb" in said[0] and said[1].endswith("my: 1 renewed.")
    assert (course / "my" / CH01).read_bytes() == (course / "ko" / CH01).read_bytes()
    assert sources(course / "my" / EXERCISES) == ["solved"]
    assert sources(course / "my" / "ch01" / "bonus" / "fast.ipynb") == ["2"]  # there is no other
    assert my.make_copies(course) == []


def test_a_copy_without_work_is_renewed(course):
    my.make_copies(course)
    # It was opened in an editor, which has written its own marks.
    opened = nbformat.read(course / "my" / CH01, as_version=4)
    opened.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    nbformat.write(opened, course / "my" / CH01)
    publish(course, CH01, "1 + 1")
    assert my.make_copies(course) == ["Copies of the course in my: 1 renewed."]
    assert sources(course / "my" / CH01) == ["1 + 1"]
    assert not list((course / "my").rglob("*(new)*"))


def test_a_new_version_without_work_is_renewed_and_one_with_work_gets_another_beside_it(course):
    my.make_copies(course)
    write(course / "my" / CH01, "mine")
    for version in ("second", "third"):
        publish(course, CH01, version)
        my.make_copies(course)
    assert sources(course / "my" / "ch01" / "ch01 (new).ipynb") == ["third"]
    write(course / "my" / "ch01" / "ch01 (new).ipynb", "mine, too")
    publish(course, CH01, "fourth")
    my.make_copies(course)
    found = {p.name: sources(p) for p in (course / "my" / "ch01").glob("ch01*.ipynb")}
    assert found == {
        "ch01.ipynb": ["mine"],
        "ch01 (new).ipynb": ["mine, too"],
        "ch01 (new 2).ipynb": ["fourth"],
    }


def test_a_copy_that_was_thrown_away_is_made_again_and_a_new_version_is_not(course):
    my.make_copies(course)
    (course / "my" / CH01).unlink()
    assert my.make_copies(course) == ["Copies of the course in my: 1 new."]
    write(course / "my" / CH01, "mine")
    publish(course, CH01, "second")
    my.make_copies(course)
    (course / "my" / "ch01" / "ch01 (new).ipynb").unlink()
    assert my.make_copies(course) == []


@pytest.mark.parametrize("record", ["", "no JSON", "[]", None])
def test_without_its_record_a_copy_counts_as_worked_in(course, record):
    my.make_copies(course)
    if record is None:
        (course / "my" / ".copies.json").unlink()
    else:
        (course / "my" / ".copies.json").write_text(record)
    assert my.make_copies(course) == []
    (course / "my" / ".copies.json").unlink()
    publish(course, CH01, "second")
    my.make_copies(course)
    assert sources(course / "my" / CH01) == ["1"]
    assert sources(course / "my" / "ch01" / "ch01 (new).ipynb") == ["second"]


def test_a_damaged_copy_is_kept(course):
    my.make_copies(course)
    (course / "my" / CH01).write_text('{"cells": ')
    publish(course, CH01, "second")
    my.make_copies(course)
    assert (course / "my" / CH01).read_text() == '{"cells": '


def test_work_done_in_the_course_itself_goes_into_the_first_copy_and_is_kept(clone):
    write(clone / EXERCISES, "solved here")
    my.make_copies(clone)
    assert sources(clone / "my" / EXERCISES) == ["solved here"]
    git(clone, "checkout", "-q", "HEAD", "--", EXERCISES)
    write(clone / EXERCISES, "...", "more")
    commit(clone)
    my.make_copies(clone)
    assert sources(clone / "my" / EXERCISES) == ["solved here"]
    assert sources(clone / "my" / "ch01" / "exercises (new).ipynb") == ["...", "more"]


def test_without_git_there_are_copies_all_the_same(course):
    shutil.rmtree(course / ".git")
    assert my.make_copies(course) == ["Copies of the course in my: 4 new."]


def test_a_copy_knows_its_original(tmp_path):
    for folder in ("", "my", "ko"):
        path = tmp_path / folder / CH01
        assert my.my_copy(tmp_path / CH01, tmp_path) == tmp_path / CH01
        assert my.original_of(path, tmp_path) == tmp_path / CH01
    write(tmp_path / "my" / CH01, "1")
    assert my.my_copy(tmp_path / CH01, tmp_path) == tmp_path / "my" / CH01


def test_a_notebook_in_my_itself_finds_the_chapters(course, tmp_path):
    """The folder my/ch01 is not taken for the package ch01, as JupyterLab is started."""
    (course / "ch01" / "__init__.py").touch()
    my.make_copies(course)
    done = subprocess.run(
        [sys.executable, "-c", "import ch01.bigram; print(ch01.bigram.N)"],
        cwd=course / "my",
        env=os.environ | {"PYTHONPATH": str(course)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1\n", done.stderr


# ---- JupyterLab.


def test_jupyterlab_is_started_on_the_copies(course, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: calls.append((*a, k)) or 0)
    assert my.lab(["--no-browser"], course) == 0
    ((command, how),) = calls
    assert command[1:3] == ["-m", "jupyterlab"] and command[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab/tree/my/ch01/ch01.ipynb" in command
    extensions = course / "setup" / "jupyter" / "labextensions"
    assert f"--LabApp.extra_labextensions_path={extensions}" in command
    assert how["env"]["PYTHONPATH"].split(os.pathsep)[0] == str(course)
    assert how["env"]["JUPYTER_CONFIG_PATH"].startswith(str(course / "setup" / "jupyter"))
    settings = ROOT / "setup" / "jupyter" / "labconfig" / "default_setting_overrides.json"
    (only,) = json.loads(settings.read_text()).values()
    assert only == {"checkForUpdates": False, "fetchNews": "false"}  # no question about news


def save(root: Path, name: str, notebook: dict) -> dict:
    """What would be written if JupyterLab saved this notebook."""
    manager = SimpleNamespace(_get_os_path=lambda path: str(root / path))
    model = {"type": "notebook", "content": json.loads(json.dumps(notebook))}
    my.keep_the_course(model=model, path=name, contents_manager=manager)
    return model["content"]


def opened(path: Path) -> dict:
    """A notebook as JupyterLab holds it: its kernel has told it about the language."""
    notebook = nbformat.read(path, as_version=4)
    info = {"name": "python", "version": "3.12.1", "codemirror_mode": {"name": "ipython"}}
    notebook.metadata["language_info"] = info
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    for cell in notebook.cells:
        cell.metadata["trusted"] = True
    return notebook


@pytest.mark.parametrize("name", ["ch03/ch03.ipynb", "ch03/exercises.ipynb", "ch03/quiz.ipynb"])
def test_opening_and_saving_an_original_changes_no_byte(tmp_path, name: str):
    saved = nbformat.from_dict(save(ROOT, name, opened(ROOT / name)))
    nbformat.write(saved, tmp_path / "saved.ipynb")
    assert (tmp_path / "saved.ipynb").read_bytes() == (ROOT / name).read_bytes()


def test_opening_and_saving_a_copy_changes_what_a_kernel_says_of_itself_only(course, tmp_path):
    my.make_copies(course)
    saved = save(course, f"my/{CH01}", opened(course / "my" / CH01))
    assert saved["metadata"]["language_info"] == {"name": "python"}
    nbformat.write(nbformat.from_dict(saved), course / "my" / CH01)
    assert my.is_untouched(course, CH01, my.read_record(course)[CH01][CH01])


def test_an_original_that_was_worked_in_is_not_saved(monkeypatch):
    notebook = opened(ROOT / "ch03/exercises.ipynb")
    notebook.cells[-1].source += " more"
    with pytest.raises(HTTPError) as refused:
        save(ROOT, "ch03/exercises.ipynb", notebook)
    assert "Your copy is my/ch03/exercises.ipynb" in refused.value.log_message
    assert save(ROOT, "my/not-there.ipynb", notebook)["cells"] == json.loads(
        json.dumps(notebook.cells)
    )


def test_other_files_are_saved_as_they_are():
    model = {"type": "file", "content": "text"}
    my.keep_the_course(model=model, path="a.txt", contents_manager=None)
    assert model["content"] == "text"


# ---- The course's changes.


def digests(folder: Path) -> dict[str, str]:
    read = {name: (folder / name).read_bytes() for name in files_in(folder)}
    return {name: hashlib.sha256(content).hexdigest() for name, content in read.items()}


@pytest.fixture
def worked(course, clone) -> Path:
    """A clone in which somebody has worked in my/, and whose course has changed since."""
    assert run(clone).returncode == 0
    write(clone / "my" / EXERCISES, "solved")
    (clone / "my" / "notes.txt").write_text("mine")
    write(clone / "ch01" / "exercises-ben.ipynb", "his, from before")
    write(course / EXERCISES, "...", "more")
    write(course / CH01, "1 + 1")
    (course / "ch01" / "bigram.py").write_text("N = 2\n")
    commit(course)
    return clone


def test_an_update_brings_the_changes_and_keeps_the_work(course, worked):
    before = digests(worked / "my")
    done = run(worked, "update")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines() == [
        "The course is up to date: 3 files have changed.",
        "The course has changed ch01/exercises.ipynb: its new version is "
        "my/ch01/exercises (new).ipynb.",
        "Copies of the course in my: 1 renewed.",
    ]
    assert git(worked, "rev-parse", "HEAD") == git(course, "rev-parse", "HEAD")
    assert git(worked, "status", "--porcelain") == ""
    assert sources(worked / "my" / CH01) == ["1 + 1"]
    assert sources(worked / "ch01" / "exercises-ben.ipynb") == ["his, from before"]
    after = digests(worked / "my")
    kept = {n for n in before if n not in (CH01, ".copies.json")}
    assert {n: after[n] for n in kept} == {n: before[n] for n in kept}
    again = run(worked, "update")
    assert (again.returncode, again.stdout) == (0, "The course has not changed.\n")


def test_an_update_keeps_what_was_edited_in_the_course(course, worked):
    write(worked / EXERCISES, "solved in the course's own notebook")
    write(worked / CH01, "1", said="one", language_info={"name": "python", "version": "3.12"})
    (worked / "ch01" / "bigram.py").write_text("N = 'mine'\n")
    (worked / "ch01" / "new.py").write_text("mine\n")
    (worked / "README.md").write_text("mine, and staged\n")
    git(worked, "add", "README.md")
    for name in ("ch01/new.py", "README.md"):  # the course has files of these names now, too
        (course / name).write_text("the course's\n")
    commit(course)
    done = run(worked, "update")
    assert done.returncode == 0, done.stderr
    assert git(worked, "status", "--porcelain") == ""
    assert (worked / "ch01" / "bigram.py").read_text() == "N = 2\n"
    assert (worked / "README.md").read_text() == "the course's\n"
    mine = worked / "my"
    assert (mine / "ch01" / "bigram (edited).py").read_text() == "N = 'mine'\n"
    assert (mine / "ch01" / "new (edited).py").read_text() == "mine\n"
    assert (mine / "README (edited).md").read_text() == "mine, and staged\n"
    assert sources(mine / EXERCISES) == ["solved"]
    (edited,) = mine.glob("ch01/exercises (edited).ipynb")
    assert sources(edited) == ["solved in the course's own notebook"]
    assert "yours is my/ch01/exercises (edited).ipynb." in done.stdout
    assert sources(mine / CH01) == ["1 + 1"]  # that one was only opened
    assert not list(mine.glob("ch01/ch01 (*"))


def test_an_update_before_there_are_copies_takes_the_work_into_them(course, clone):
    write(clone / EXERCISES, "solved")
    write(course / EXERCISES, "...", "more")
    commit(course)
    done = run(clone, "update")
    assert done.returncode == 0, done.stderr
    assert sources(clone / "my" / EXERCISES) == ["solved"]
    assert sources(clone / "my" / "ch01" / "exercises (new).ipynb") == ["...", "more"]
    assert sources(clone / EXERCISES) == ["...", "more"]


def test_an_update_leaves_alone_what_the_course_has_not_changed(course, worked):
    write(worked / "ch01" / "bonus" / "fast.ipynb", "edited")
    assert run(worked, "update").returncode == 0
    assert git(worked, "status", "--porcelain") == " M ch01/bonus/fast.ipynb\n"
    assert sources(worked / "my" / "ch01" / "bonus" / "fast.ipynb") == ["2"]


def test_a_file_that_was_deleted_comes_back(course, worked):
    (worked / "ch01" / "bigram.py").unlink()
    assert run(worked, "update").returncode == 0
    assert (worked / "ch01" / "bigram.py").read_text() == "N = 2\n"


def test_an_update_says_when_packages_have_changed(course, clone):
    (course / "pyproject.toml").write_text("[project]\n")
    commit(course)
    done = run(clone, "update")
    assert "the next `make lab` installs them" in done.stdout and not (clone / "my").exists()


def own_commit(clone: Path, course: Path) -> None:
    (clone / "mine.txt").touch()
    commit(clone)


def gone(clone: Path, course: Path) -> None:
    course.rename(course.with_name("moved"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (own_commit, "`git pull --rebase`"),
        (gone, "could not be reached"),
        (lambda clone, _: git(clone, "switch", "-q", "-c", "other"), "`git switch main`"),
        (lambda clone, _: git(clone, "switch", "-q", "--detach"), "`git switch main`"),
        (lambda clone, _: shutil.rmtree(clone / ".git"), "no clone of the course"),
        (lambda clone, _: (clone / ".git/MERGE_HEAD").write_text("0" * 40), "A merge is under"),
    ],
)
def test_an_update_that_cannot_be_says_why_and_changes_nothing(course, worked, spoil, words):
    write(worked / EXERCISES, "edited")
    spoil(worked, course)
    before = digests(worked / "ch01") | digests(worked / "my")
    done = run(worked, "update")
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1
    assert digests(worked / "ch01") | digests(worked / "my") == before


def test_without_git_an_update_says_so(clone, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(my.Refused, match="git is not installed"):
        my.update(clone)


def test_the_command_refuses_what_it_does_not_know(course):
    done = run(course, "copy", "--no-browser")
    assert done.returncode == 2 and "unrecognized arguments: --no-browser" in done.stderr
