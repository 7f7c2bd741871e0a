"""Put the resume cells into main notebooks, on any state of them: PYTHONPATH=ROOT python this ROOT CHAPTER...

Above the heading of each section but the first stands one cell, tagged resume, and below each cell of
LONG one tagged resume and instead, which goes on without it. They print nothing, so the outputs stay
those of the last run; only the numbers in front of the cells move, and with them
playbook/reference.json (its digests of sources and outputs stay).
"""
import json, sys
from pathlib import Path
import nbformat
from dataclasses import asdict

# Longer than 20 seconds on two quiet cores; after a chapter has changed, ask `make rehearse CH=...` again.
LONG = {"ch05": ["ch05-train-run"], "ch06": ["ch06-run"], "ch07": ["ch07-finetune-run"]}

root = Path(sys.argv[1]).resolve()
from course.lessons import chapters, sections_of
from playbook.read import read_cells
from slides.resume import source_of_cell
import re

for name in sys.argv[2:]:
    path = chapters(root)[name]
    nb = nbformat.read(path, as_version=4)
    titles = [t for t, _ in sections_of(nb)]
    cells = [c for c in nb.cells if "resume" not in c.metadata.get("tags", [])]
    executed = all(c.execution_count for c in cells if c.cell_type == "code")
    out = []
    for cell in cells:
        heads = re.findall(r"^## +(.+?)\s*$", cell.source, flags=re.M) if cell.cell_type == "markdown" else []
        number = next((titles.index(h) + 1 for h in heads if h in titles), 1)
        if number > 1:
            out.append(nbformat.v4.new_code_cell(
                source_of_cell(name, number), id=f"{name.lower()}-resume-{number}",
                metadata={"slideshow": {"slide_type": "skip"}, "tags": ["resume"]}))
        out.append(cell)
        if cell.id in LONG.get(name, ()):
            out.append(nbformat.v4.new_code_cell(
                source_of_cell(name, cell.id), id=f"{cell.id}-instead",
                metadata={"slideshow": {"slide_type": "skip"}, "tags": ["resume", "instead"]}))
    nb.cells = out
    if executed:
        for i, c in enumerate([c for c in out if c.cell_type == "code"], 1):
            c.execution_count = i
            for o in c.outputs:
                if o.output_type == "execute_result":
                    o.execution_count = i
    nbformat.write(nb, path)
    ref = root / "playbook/reference.json"
    text = ref.read_text()
    data = json.loads(text)
    if executed and name in data["chapters"]:
        data["chapters"][name]["cells"] = [asdict(c) for c in read_cells(nb)]
        lines = [f"{json.dumps(n, ensure_ascii=False)}: {json.dumps(c, ensure_ascii=False)}" for n, c in data["chapters"].items()]
        print(name, sum("resume" in c.metadata.get("tags", []) for c in out), "resume cells")
        from playbook import build
        new = build.reference_text(data) if hasattr(build, "reference_text") else None
        if new is None:
            new = '{"chapters": {\n' + ",\n".join(lines) + "\n}}\n"
        ref.write_text(new)
