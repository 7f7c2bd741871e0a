"""The notebooks that take a text run with other texts than the course's, too."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from course_files import ROOT, main_notebook, python_of, read_notebook

from ch05.course_model.corpus import generate_documents

KOREAN = (
    "할머니는 아침마다 시장에 가셨다. 오늘은 비가 와서 길이 미끄러웠지만, 우산을 쓰고 천천히 "
    "걸으셨다. “사과가 얼마예요?” 하고 물으시니 주인이 웃으며 대답했다. 우리는 {} 개를 샀고, "
    "집에 와서 {} 조각으로 잘라 먹었다.\n"
)
TEXTS = {
    "English prose": "\n\n".join(generate_documents(5, n_bytes=20_000)),
    "Korean prose": "".join(KOREAN.format(i, i * i % 97) for i in range(120)),
    "source code": (ROOT / "ch05" / "gpt_train.py").read_text(encoding="utf-8"),
    "one line": "The kettle sings at seven\n" * 600,
}


@pytest.fixture(autouse=True)
def as_in_a_notebook(monkeypatch):
    """No picture opens a window, and no setting of the notebook outlives it."""
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    yield
    torch.set_printoptions(profile="default")


def run(folder: Path, text: str, tmp_path: Path) -> None:
    """Run the cells of a chapter's main notebook with a text of ours in place of STORY."""
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    names, n_switches = {"__name__": "__main__"}, 0
    for cell in read_notebook(main_notebook(folder)).cells:
        if cell.cell_type == "code":
            n_switches += cell.source.count("TEXT_FILE = STORY\n")
            source = cell.source.replace("TEXT_FILE = STORY\n", f"TEXT_FILE = {str(path)!r}\n")
            code = compile(python_of(source), cell.id, "exec")
            if "raises-exception" in cell.metadata.get("tags", []):
                with pytest.raises(Exception):  # noqa: B017
                    exec(code, names)
            else:
                exec(code, names)
    assert n_switches == 1


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_chapter_2_runs_with_another_text(text, tmp_path):
    run(ROOT / "ch02", text, tmp_path)
