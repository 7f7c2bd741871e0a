"""Run a notebook in place, and keep a record of the run beside it.

A committed notebook must be the same whoever ran it, so what differs from run to run (the date,
the seconds, the versions, the device) never goes into it. It goes into playbook/_runs/NAME.json,
which git ignores, together with a digest of each cell's source and outputs. By these digests the
build knows later whether the notebook still shows that run, and whether a cell was edited since.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm.auto import tqdm

from playbook.read import ROOT, BadInput, describe, git, load

SWITCHES = ("COURSE_MODEL", "COURSE_DATA", "COURSE_DEVICE")
PACKAGES = ("torch", "numpy", "tiktoken", "matplotlib")


def runs_folder(root: Path = ROOT) -> Path:
    return root / "playbook" / "_runs"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def device_name() -> str:
    """The device that the chapters choose here."""
    try:
        import torch

        from ch04.gpt import choose_device

        device = choose_device()
    except Exception as error:  # a record without a device is better than none
        return f"unknown ({type(error).__name__})"
    return f"cuda, {torch.cuda.get_device_name(0)}" if device.type == "cuda" else device.type


def environment(root: Path = ROOT) -> dict:
    """What may make a difference between two runs: versions, device, commit, switches."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    commit = (git(root, "rev-parse", "--short=10", "HEAD") or "").strip()
    changed = commit and git(root, "status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return {
        "device": device_name(),
        "versions": versions,
        "commit": commit + (", with changed modules" if changed else ""),
        "system": f"{platform.system()} {platform.machine()}",
        "switches": {name: os.environ[name] for name in SWITCHES if os.environ.get(name)},
    }


def read_record(name: str, root: Path = ROOT) -> dict | None:
    """The record of a notebook's last run, or None. Raises: BadInput if the file is damaged."""
    path = runs_folder(root) / f"{name}.json"
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["cells"], record["environment"], record["seconds"]
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path} is damaged: delete it; the next run writes it anew.") from None
    return record


def merge(executed: Mapping, now: Mapping) -> bool:
    """Put the outputs of a run into the notebook as it is now; False if its code has changed.

    A reflection may be written while the notebook runs, and must not get lost.
    """
    ran = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    here = [cell for cell in now["cells"] if cell["cell_type"] == "code"]
    if [cell["source"] for cell in ran] != [cell["source"] for cell in here]:
        return False
    for old, new in zip(here, ran):
        old["outputs"], old["execution_count"] = new["outputs"], new["execution_count"]
    return True


def client_for(notebook: nbformat.NotebookNode, path: Path, **options: object) -> NotebookClient:
    """What executes a notebook in the folder of its file, in a new kernel.

    A frontend's widgets and clock times are left out: they change with every run.
    """
    return NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        **options,
    )


def run_notebook(name: str, path: Path, root: Path = ROOT) -> dict:
    """Execute a notebook in its folder, keep its outputs in it, and write and give the record.

    If a cell fails, the notebook stays as it was, the attempt is kept in playbook/_runs, and the
    record says so, with the cells as they stand in the notebook.
    """
    notebook = load(path)
    client = client_for(notebook, path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    bar = tqdm(total=len(code), desc=name, unit="cell", leave=True)
    client.on_cell_executed = lambda cell, cell_index, execute_reply: bar.update()
    record = {"date": datetime.now().astimezone().isoformat(timespec="seconds")}
    record["environment"] = environment(root)
    start = time.monotonic()
    failed = ""
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        reason = getattr(error, "ename", "") or "the kernel died"
        at = next((c.id for c in code if c.execution_count is None or errors(c)), "")
        attempt = runs_folder(root) / f"{name}-failed.ipynb"
        write_whole(attempt, nbformat.writes(notebook))
        failed = f"Its last run broke off at cell `{at}` ({reason}); look into {attempt.name} in "
        failed += "playbook/_runs. What is shown here is from before."
    finally:
        bar.close()
    record["seconds"] = round(time.monotonic() - start, 1)
    now = load(path)
    if not failed:
        if merge(notebook, now):
            write_whole(path, nbformat.writes(now) + "\n")
        else:
            failed = "Its code was changed while it ran, so the outputs of that run were not kept."
    chapter = describe(name, now)
    record["failed"], record["title"], record["result"] = failed, chapter.title, chapter.result
    record["cells"] = [asdict(cell) for cell in chapter.cells]
    write_whole(runs_folder(root) / f"{name}.json", json.dumps(record, indent=1))
    return record


def errors(cell: Mapping) -> bool:
    tags = cell["metadata"].get("tags", [])
    found = any(output["output_type"] == "error" for output in cell["outputs"])
    return found and "raises-exception" not in tags


def run_all(notebooks: Mapping[str, Path], root: Path = ROOT) -> None:
    """Run notebooks one after the other, with a bar for each."""
    for name, path in notebooks.items():
        record = run_notebook(name, path, root)
        if record["failed"]:
            print(f"{name}: {record['failed']}", file=sys.stderr)
