"""Where the parts of the course lie, for the tests that look at files."""

import re
from functools import cache
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(
    path
    for path in ROOT.iterdir()
    if path.is_dir() and re.fullmatch(r"ch0\d|appendix-[A-Z]", path.name)
)
NOTEBOOKS = sorted(
    path
    for folder in [*CHAPTERS, *(ROOT / name for name in ("exercises", "playbook", "subject"))]
    for path in folder.glob("**/*.ipynb")
    if not any(part.startswith((".", "_")) for part in path.relative_to(ROOT).parts)
    and not path.name.startswith("exercises-")  # a reader's own
)
BONUS = [  # the depth: chNN/bonus/NAME.ipynb, and what it grows may stand in NAME.py beside it
    path for path in NOTEBOOKS if path.parent.name == "bonus" and path.parents[1] in CHAPTERS
]
MODULES = sorted(path for folder in CHAPTERS for path in folder.glob("**/*.py"))

# Modules beside a notebook that are not distilled from it: checks, the making of data, and what
# only the machine is asked for (which precision pays, whether a file can be written).
# The key-value cache has a lesson, ch04/bonus/serving.ipynb, which grows a cache for one row and
# holds it against this one; rows of several lengths would fill the hour. The real model's weights
# under other names and its tokenizer are read as ch05/bonus/real_llm.ipynb explains, which grows
# the reader of their file. Pages are told from outside, by their tests. Appendix F teaches C
# and CUDA: its modules build them, wrap them and hold them beside PyTorch. Long trainings and what
# they will take are a command, which ch05/bonus/training_at_scale.ipynb runs and looks into. How
# a model is measured and handed on to other programs is a command, too.
NOT_DISTILLED = (
    *("__init__.py", "checks.py", "messages.py", "precision.py", "files.py"),
    *("uci_messages.py", "instructions.py", "chat.py", "kv_cache.py"),
    *("chat_page.py", "spam_page.py"),
    *("llama_weights.py", "llama_tokenizer.py", "llama_gguf.py"),
    "architectures.py",
    *("text_stream.py", "duplicates.py", "token_shards.py", "token_windows.py"),
    *("optimizers.py", "checkpoints.py", "training_loop.py", "run_folder.py", "pretrain.py"),
    *("scaling.py", "scaling_check.py", "machine.py"),
    *("export.py", "chat_forms.py", "merge_list.py", "gguf_writer.py"),
    *("foundations.py", "multiple_choice.py", "win_rate.py"),
    # Appendix F shows what these hold by name, out of the files: C stands in no cell of Python.
    *("python_gpt.py", "numpy_gpt.py", "four_ways.py", "native.py", "c_gpt.py", "compare.py"),
    *("mapping.py", "kernels.py", "cuda_gpt.py"),
)
DISTILLED = [  # what repeats the definitions of a main or bonus notebook
    path
    for path in MODULES
    if (path.parent in CHAPTERS or path.parent.name == "bonus") and path.name not in NOT_DISTILLED
]

COMMANDS = sorted(  # what `python -m` or, in setup, `python` starts
    path
    for folder in [
        *CHAPTERS,
        *(ROOT / name for name in ("course", "exercises", "korean", "playbook", "setup")),
        *(ROOT / name for name in ("slides", "subject")),
    ]
    for path in folder.glob("**/*.py")
    if '\nif __name__ == "__main__":\n' in path.read_text(encoding="utf-8")
)


def relative(path: Path) -> str:
    """A path as the tests' names and messages show it."""
    return path.relative_to(ROOT).as_posix()


def chapter_of(path: Path) -> str:
    """The package that a file belongs to: ch05, appendix_e, or playbook."""
    return package_of(path.relative_to(ROOT).parts[0])


def dotted_name(path: Path) -> str:
    """The name under which a module is imported: ch05.gpt_train."""
    inside = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join([chapter_of(path), *(part for part in inside if part != "__init__")])


def package_of(folder: str) -> str:
    """The importable name of a chapter's folder: appendix-E is imported as appendix_e."""
    return folder.lower().replace("-", "_")


def main_notebook(folder: Path) -> Path:
    return folder / f"{folder.name}.ipynb"


def bonus_notebooks(folder: Path) -> list[Path]:
    return [path for path in BONUS if path.parents[1] == folder]


@cache
def read_notebook(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def python_of(cell_source: str) -> str:
    """The Python that IPython runs for a cell; the body of a %%time or %%capture cell counts."""
    cell_source = re.sub(r"\A\s*%%(time|capture)\b.*\n", "", cell_source)
    return TransformerManager().transform_cell(cell_source)


def python_cells(path: Path) -> list[str]:
    """The code cells of a notebook as Python."""
    return [python_of(c.source) for c in read_notebook(path).cells if c.cell_type == "code"]
