"""Tag the cells that a presenter leaves out when late: PYTHONPATH=ROOT python this ROOT CHAPTER...

A code cell of the list is tagged late-skip, and the prose directly above it too, unless this opens a section or
holds the takeaway, or a cell that is kept stands below it first. Can be run again on any state; unknown ids are named.
"""
import re, sys
from pathlib import Path
import nbformat

LATE = {
"ch01": ["ch01-invent", "ch01-masks", "ch01-walk", "ch01-parts"],
"ch02": ["ch02-word-map", "ch02-v1-error", "ch02-gpt2-words", "ch02-sizes", "ch02-order"],
"ch03": ["ch03-softmax-stable", "ch03-hand-heat", "ch03-variance-table", "ch03-dropout", "ch03-causal-check"],
"ch04": ["ch04-ff-count", "ch04-block-variants-table", "ch04-model-printed", "ch04-generate-equal", "ch04-eval-shown"],
"ch05": ["ch05-underflow", "ch05-modes", "ch05-zero-grad", "ch05-next-token-agrees", "ch05-settings", "ch05-square"],
"ch06": ["ch06-read-them", "ch06-pick", "ch06-curves-hold", "ch06-live", "ch06-mistakes"],
"ch07": ["ch07-first-taught", "ch07-collate-check", "ch07-no-gradient", "ch07-curves", "ch07-dialogue-without-code"],
"appendix-A": ["appendix-a-dims", "appendix-a-detach", "appendix-a-shapes", "appendix-a-wrong"],
"appendix-D": ["appendix-d-corners", "appendix-d-spike", "appendix-d-norm-toy", "appendix-d-clip-check", "appendix-d-refuses"],
"appendix-E": ["appendix-e-data-draws", "appendix-e-start", "appendix-e-add-lora-refuses", "appendix-e-compare-plot", "appendix-e-live"],
}
TAG = "late-skip"
root = Path(sys.argv[1])
from course.lessons import chapters, count, Count
from slides.needs import lacking, statements
for name in sys.argv[2:]:
    path = chapters(root)[name]
    nb = nbformat.read(path, as_version=4)
    ids = [c.id for c in nb.cells]
    for i in LATE[name]:
        if i not in ids: print(f"{name}: no cell {i}")
    chosen = {i for i in LATE[name] if i in ids}
    for k, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown" and not re.search(r"^#{1,2} |\*\*Takeaway", cell.source, re.M):
            if k + 1 < len(nb.cells) and nb.cells[k + 1].id in chosen:
                following = []
                for c in nb.cells[k + 1:]:
                    if c.cell_type == "markdown": break
                    following.append(c.id)
                if set(following) <= chosen: chosen.add(cell.id)
    for cell in nb.cells:
        tags = [t for t in cell.metadata.get("tags", []) if t != TAG]
        if cell.id in chosen: tags.append(TAG)
        if tags: cell.metadata["tags"] = tags
        else: cell.metadata.pop("tags", None)
    st = statements((c.id, c.source) for c in nb.cells if c.cell_type == "code" and "resume" not in c.metadata.get("tags", []))
    if problems := lacking(st, chosen): print(name, "LACKING", problems)
    saved = sum((count(c).minutes for c in nb.cells if c.id in chosen), 0.0)
    print(name, len(chosen), f"cells, {saved:.1f} min", sorted(chosen - set(LATE[name])))
    nbformat.write(nb, path)
