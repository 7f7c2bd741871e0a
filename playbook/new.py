"""An empty notebook with the four stations, for a chapter of the learner's own."""

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbformat.v4 import new_notebook as notebook_of

from playbook.read import BadInput
from playbook.run import write_whole

EVENT = """**Event.** One sentence: what do I want to know, and how will I see it?

Before I run anything, I expect: …

Time: … minutes."""
ACTION = """## 1 What I change

One thing differs from the chapter that I start from, and it is: …"""
RESULT = """results = {
    "name of a number": 0.0,
}
pd.DataFrame({"result": results.values()}, index=results.keys())"""
REFLECTION = """### Reflection

Did the result meet what I expected before the run, and if not, why?

*Your answer:*

What did I learn that I did not ask for?

*Your answer:*

Next: …"""


def new_notebook(name: str, root: Path) -> int:
    """Write playbook/NAME.ipynb. Raises: BadInput if the name cannot be a file's, or is taken."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise BadInput(f"{name!r} cannot be a name: take small letters, digits and hyphens.")
    if len(name) > 40:  # the ids of cells contain it
        raise BadInput(f"The name has {len(name)} letters: take one of 40 at most.")
    path = root / "playbook" / f"{name}.ipynb"
    if name == "index":
        raise BadInput("index is the front page's name: choose another one.")
    if path.exists() or path.with_suffix(".md").exists() or (root / name).exists():
        raise BadInput(f"{name} is taken: choose another name, or go on in {path}.")
    parts = [
        ("title", "markdown", "slide", f"# {name.replace('-', ' ').capitalize()}"),
        ("event", "markdown", "slide", EVENT),
        ("imports", "code", "-", "import pandas as pd\nimport torch\n\ntorch.manual_seed(123)"),
        ("action", "markdown", "slide", ACTION),
        ("run", "code", "-", "# what I run"),
        ("result", "code", "slide", RESULT),
        ("reflection", "markdown", "slide", REFLECTION),
    ]
    cells = []
    for part, kind, slide, source in parts:
        metadata: dict = {"slideshow": {"slide_type": slide}}
        if part in ("event", "result", "reflection"):
            metadata["tags"] = [part]
        make = new_code_cell if kind == "code" else new_markdown_cell
        cells.append(make(source, id=f"playbook-{name}-{part}", metadata=metadata))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    write_whole(path, nbformat.writes(notebook_of(cells=cells, metadata=metadata)) + "\n")
    print(f"{path.relative_to(root)} is written: open it, run it, and make the playbook again.")
    return 0
