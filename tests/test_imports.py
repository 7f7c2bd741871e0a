"""Rooms know only earlier rooms: what a chapter may import, and from where it comes."""

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from course_files import (
    CHAPTERS,
    MODULES,
    NOTEBOOKS,
    ROOT,
    chapter_of,
    dotted_name,
    package_of,
    python_cells,
    python_of,
    relative,
)

# A chapter may import those with a smaller number. Appendix A stands alone, both ways.
LEVEL = {f"ch0{n}": n for n in range(1, 8)} | {"appendix_d": 8, "appendix_e": 8}
LEVEL |= {"appendix_f": 8, "playbook": 9, "subject": 10}
PACKAGES = {
    package_of(folder.name): folder
    for folder in [*CHAPTERS, ROOT / "course"]
    if (folder / "__init__.py").exists()
}
# Below all rooms: what even appendix A, the exercises and set-up need, and what therefore imports
# nothing of the course itself.
BELOW = "course"
# The tour of chapter 1 shows what the course will build, so its notebook borrows from the finished
# chapters before the reader has built them: these names and no others, and no module of ch01 does.
# Its depth may borrow them too.
TOUR = ROOT / "ch01" / "ch01.ipynb"
TOURS = [TOUR, *sorted((ROOT / "ch01" / "bonus").glob("*.ipynb"))]
BORROWED = {
    "ch02.dataloader": {"create_dataloader", "read_text"},
    "ch02.tokenizer": {"END_OF_TEXT", "gpt2_encoding"},
    "ch04.gpt": {"choose_device", "count_parameters"},
    "ch05.course_model.corpus": {"generate_documents"},
    "ch05.course_model.recall": {"Gap", "KINDS", "questions", "recalled"},
    "ch05.gpt_generate": {"generate"},
    "ch05.gpt_weights": {"COURSE_FOLDER", "load_pretrained"},
}
# The depth of chapter 4 is about what a trained model keeps, loses or serves, and chapter 4 has
# none: its modules and notebooks borrow the course's, the text to train it on, and its measures.
DEPTH = ROOT / "ch04" / "bonus"
BORROWED_TO_SERVE = {
    "ch05.gpt_generate": {"generate", "next_token_probabilities"},
    "ch05.gpt_weights": {"load_pretrained"},
}
BORROWED_TO_TRAIN = {
    "ch05.bonus.gpt_to_llama": {"paired_difference"},
    "ch05.course_model.corpus": {"BYTES_PER_TOKEN", "generate_documents"},
    "ch05.course_model.measure": {"perplexity"},
    "ch05.course_model.pretrain": {"encode_documents", "warmup_cosine"},
    "ch05.gpt_weights": {"load_pretrained"},
}
# Whoever gives a model new words needs one that has learned the old ones, and a corpus to compare
# vocabularies on.
WORDS = ROOT / "ch02" / "bonus"
BORROWED_FOR_WORDS = {
    "ch04.gpt": {"GPTConfig", "GPTModel", "count_parameters"},
    "ch05.bonus.gpt_to_llama": {"paired_difference"},
    "ch05.course_model.corpus": {"generate_documents"},
    "ch05.course_model.measure": {"perplexity"},
    "ch05.course_model.pretrain": {"encode_documents", "warmup_cosine"},
    "ch05.gpt_weights": {"load_pretrained"},
}
BORROWED_FOR_SPEED = {
    "ch05.bonus.faster_training": {"fast_loss"},
    "ch05.precision": {"autocast"},
}
# Appendix F writes chapter 4's GPT once more, in numbers: those of appendix A.
NUMBERS = {
    ROOT / "appendix-F" / "python_gpt.py": {"appendix_a.autograd": {"Value", "cross_entropy"}}
}
# The comparison of classifiers tries LoRA beside the chapter's ways.
COMPARED = ROOT / "ch06" / "bonus" / "classifiers.py"
BORROWED_TO_COMPARE = {"appendix_e.lora": {"add_lora"}}
LENT = (
    {path: BORROWED for path in TOURS}
    | NUMBERS
    | {
        WORDS / "new_tokens.py": BORROWED_FOR_WORDS,
        WORDS / "new_tokens.ipynb": BORROWED_FOR_WORDS,
        DEPTH / "serving.ipynb": BORROWED_TO_SERVE,
        DEPTH / "attention_zoo.py": BORROWED_TO_TRAIN,
        DEPTH / "attention_zoo.ipynb": BORROWED_TO_TRAIN,
        DEPTH / "experts_and_states.py": BORROWED_TO_TRAIN,
        DEPTH / "experts_and_states.ipynb": BORROWED_TO_TRAIN,
        DEPTH / "speed.py": BORROWED_FOR_SPEED,
        DEPTH / "speed.ipynb": BORROWED_FOR_SPEED,
        COMPARED: BORROWED_TO_COMPARE,
        COMPARED.with_suffix(".ipynb"): BORROWED_TO_COMPARE,
    }
)
OWN_NAMES = {path.stem for path in MODULES} - {"__init__"} | LEVEL.keys() | {"appendix_a", BELOW}


INSTALLED = packages_distributions()
BESIDE = sorted(
    p
    for name in (BELOW, "exercises", "korean", "playbook", "slides", "subject")
    for p in (ROOT / name).glob("**/*.py" if name == "subject" else "*.py")
    if "runs" not in p.parts
)
IMPORTABLE = [dotted_name(path) for path in [*MODULES, *BESIDE]]


def wrong_imports(
    sources: list[str], chapter: str, borrowed: dict[str, set[str]] | None = None
) -> list[str]:
    """Every import of the course's own code that a file of this chapter should not have."""
    wrong = []
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            text = ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom) else ""
            if isinstance(node, ast.Import):
                if any(a.name.partition(".")[0] in OWN_NAMES for a in node.names):
                    wrong.append(f"{text}: write `from chNN.module import name`")
            elif isinstance(node, ast.ImportFrom):
                package, _, module = (node.module or "").partition(".")
                if node.level:
                    wrong.append(f"{text}: a relative import does not work in a notebook")
                elif package not in OWN_NAMES:
                    continue
                elif {a.name for a in node.names} <= (borrowed or {}).get(node.module, set()):
                    continue
                elif package not in LEVEL and package not in (chapter, BELOW):
                    wrong.append(f"{text}: {package} is not a chapter that others import")
                elif not module or any(a.name == "*" for a in node.names):
                    wrong.append(f"{text}: write `from chNN.module import name`")
                elif package in (chapter, BELOW) and chapter != BELOW:
                    continue
                elif package != chapter and LEVEL[package] >= LEVEL.get(chapter, 0):
                    wrong.append(f"{text}: {chapter} imports only what comes before it")
            elif isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
                wrong.append("sys.path: the packages are installed, nothing has to be found")
    return wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_comes_from_this_checkout(package: str):
    where = Path(importlib.import_module(package).__file__).resolve()
    assert where == PACKAGES[package] / "__init__.py"


@pytest.mark.parametrize(
    "path",
    [
        *MODULES,
        *(path for path in BESIDE if chapter_of(path) in (BELOW, "subject")),
        # The museum shows faults of every chapter; the playbook is a learner's own.
        *(path for path in NOTEBOOKS if chapter_of(path) not in ("playbook", "exercises")),
    ],
    ids=relative,
)
def test_imports_point_only_downward(path: Path):
    if path.suffix == ".py":
        sources = [path.read_text(encoding="utf-8")]
    else:
        sources = python_cells(path)
    assert wrong_imports(sources, chapter_of(path), LENT.get(path)) == []


def test_the_tour_borrows_what_is_listed_and_no_more():
    sources = [f"from {m} import {', '.join(names)}" for m, names in BORROWED.items()]
    assert wrong_imports(sources, "ch01", BORROWED) == []
    assert len(wrong_imports(sources, "ch01")) == len(BORROWED)  # a module of ch01 may not
    too_much = ["from ch05.gpt_train import train", "from ch05.gpt_generate import generate, main"]
    assert len(wrong_imports(too_much, "ch01", BORROWED)) == 2
    used = {}
    for path, lent in LENT.items():
        sources = python_cells(path) if path.suffix == ".ipynb" else [path.read_text("utf-8")]
        used.setdefault(id(lent), set()).update(
            f"{node.module}.{a.name}"
            for source in sources
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom)
            for a in node.names
        )
    for lent in LENT.values():
        listed = {f"{module}.{name}" for module, names in lent.items() for name in names}
        assert listed <= used[id(lent)]  # the list holds nothing that nobody uses


@pytest.mark.parametrize(
    ("source", "chapter"),
    [
        ("from ch05.gpt_train import train", "ch04"),
        ("from appendix_e.lora import LoRALayer", "ch07"),
        ("from appendix_d.training_extras import warmup", "appendix_e"),
        ("from ch04.gpt import GPTModel", "appendix_a"),
        ("from appendix_a.autograd import Value", "ch05"),
        ("def late():\n    from ch05.gpt_train import train", "ch04"),
        ("import gpt_train", "ch05"),
        ("from gpt_train import train", "ch05"),
        ("from gpt_train import train", "ch06"),
        ("import ch04.gpt", "ch05"),
        ("from ch04 import gpt", "ch05"),
        ("from ch05.gpt_train import *", "ch05"),
        ("from .gpt_train import train", "ch05"),
        ("import sys\nsys.path.insert(0, '..')", "ch05"),
        ("%%time\nfrom ch05.gpt_train import train", "ch04"),
        ("from ch02.tokenizer import BPETokenizer", "course"),
        ("from appendix_a.ddp import write_whole", "course"),
        ("from course import files", "ch02"),
        ("import course.files", "ch02"),
    ],
)
def test_a_wrong_import_is_found(source: str, chapter: str):
    assert len(wrong_imports([python_of(source)], chapter)) == 1


@pytest.mark.parametrize(
    ("source", "chapter"),
    [
        ("from ch04.gpt import GPTModel", "ch05"),
        ("from ch05.gpt_train import train", "ch05"),
        ("from ch04.bonus.kv_cache import generate", "playbook"),
        ("from ch07.ollama_evaluate import score", "appendix_e"),
        ("import torch.nn as nn\nfrom pathlib import Path", "ch02"),
        ("from course.files import written_whole", "ch02"),
        ("from course.files import written_whole", "appendix_a"),
        ("from course.files import written_whole", "course"),
    ],
)
def test_a_right_import_passes(source: str, chapter: str):
    assert wrong_imports([python_of(source)], chapter) == []


def test_every_package_is_listed_for_installation():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^packages = \[(.*)\]$", project, flags=re.M)
    packages = [dotted_name(p) for p in [*MODULES, *BESIDE] if p.name == "__init__.py"]
    assert sorted(re.findall(r'"([\w.]+)"', listed)) == sorted(packages)
    for package, folder in PACKAGES.items():
        assert package == folder.name or f'{package} = "{folder.name}"' in project


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_module_hides_another(path: Path):
    if path.name != "__init__.py":
        assert path.stem not in PACKAGES, "a folder's name: `import ch04` would find the file"
        assert path.stem not in sys.stdlib_module_names
        others = INSTALLED.get(path.stem, [])
        assert not others, f"{path.name} has the name of a package of {others}"


def test_importing_a_module_prints_nothing_and_opens_no_connection():
    program = f"""
import importlib, sys
def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request"):
        sys.exit(f"{{event}} {{args}}")
sys.addaudithook(refuse)
for name in {IMPORTABLE}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
