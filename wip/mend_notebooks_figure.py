"""Name the figure of a chapter's handout in its notebook's metadata (course.figure), where it is
not the first one. Run again on any state: python /work/brief/mend_notebooks_figure.py [CHAPTER…]
"""

import re
import sys
from pathlib import Path

import nbformat

FIGURES = {
    "ch01": "figures/architecture.svg",
    "ch03": "figures/qkv.svg",
    "ch07": "figures/collate.svg",
}
for name in sys.argv[1:] or FIGURES:
    path = Path(f"{name}/{name}.ipynb")
    notebook = nbformat.read(path, as_version=4)
    shown = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    figure = FIGURES.get(name)
    if not figure or not re.search(rf"\]\({re.escape(figure)}\)", shown):
        print(f"{name}: {figure} is not shown in it, so the first figure stays")
        notebook.metadata.course.pop("figure", None)
    elif notebook.metadata.course.get("figure") != figure:
        notebook.metadata.course["figure"] = figure
        print(f"{name}: {figure}")
    nbformat.write(notebook, path)
