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


def run(folder: Path, changes: dict[str, str], last: str = "") -> None:
    """Run the cells of a chapter's main notebook, up to the last one, with changes to its text."""
    names, made = {"__name__": "__main__"}, []
    for cell in read_notebook(main_notebook(folder)).cells:
        if cell.cell_type == "code":
            source = cell.source
            for old, new in changes.items():
                made += [old] * source.count(old)
                source = source.replace(old, new)
            code = compile(python_of(source), cell.id, "exec")
            if "raises-exception" in cell.metadata.get("tags", []):
                with pytest.raises(Exception):  # noqa: B017
                    exec(code, names)
            else:
                exec(code, names)
        if cell.id == last:
            break
    assert made == list(changes)


@pytest.fixture(params=TEXTS)
def text_file(request, tmp_path) -> dict[str, str]:
    """The change that puts another text in place of the story."""
    path = tmp_path / "text.txt"
    path.write_text(TEXTS[request.param], encoding="utf-8")
    return {"TEXT_FILE = STORY\n": f"TEXT_FILE = {str(path)!r}\n"}


@pytest.mark.slow
def test_chapter_2_runs_with_another_text(text_file):
    run(ROOT / "ch02", text_file)


@pytest.mark.slow
def test_chapter_5_runs_with_another_text(text_file):
    """In 4 epochs, and up to the last cell that reads the text."""
    epochs = {"epochs = 48\n": "epochs = 4\n"}
    run(ROOT / "ch05", text_file | epochs, last="ch05-improves-holds")
