"""Faults that people really meet: interrupted runs, other texts, damaged files, full disks."""

import os
import subprocess
import sys

import pytest
from course_files import ROOT, read_notebook

from ch02.dataloader import STORY
from ch04.gpt import GPT2_SIZES

# ---- Runs that go on, and runs that must not.


@pytest.mark.parametrize("value", ["gpt3", "Course", "llama"])
def test_a_switch_of_chapter_5_that_is_none_is_named(value, monkeypatch):
    (cell,) = (
        c for c in read_notebook(ROOT / "ch05" / "ch05.ipynb").cells if c.id == "ch05-switch"
    )
    monkeypatch.setenv("COURSE_MODEL", value)
    names = {"os": os, "STORY": STORY, "GPT2_SIZES": GPT2_SIZES}
    with pytest.raises(ValueError, match=f"COURSE_MODEL={value} is none of course, smollm2, gpt2"):
        exec(cell.source, names)


# ---- Disks that are full, and processes that are lost.


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is POSIX")
@pytest.mark.parametrize("what", ["model", "classifier", "adapter"])
def test_a_full_disk_is_named_and_what_was_there_stays(what, tmp_path):
    """The limit on a file's size plays the full disk; each size ends the writing elsewhere."""
    program = f"""
import resource, sys, torch
from pathlib import Path
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_weights import save_pretrained
from ch06.gpt_class_finetune import GPTClassifier, save_classifier
sys.path.insert(0, "appendix-E")
from lora import add_lora, save_lora
model = GPTModel(GPTConfig(257, 8, 32, 2, 1))
classifier = GPTClassifier(model)
adapted = GPTModel(GPTConfig(257, 8, 32, 2, 1))
add_lora(adapted, rank=32, alpha=32)
folder = Path({str(tmp_path)!r})
BPETokenizer.train("a b", 257).save(folder / "v")
def save():
    if {what!r} == "model":
        save_pretrained(model, folder)
    elif {what!r} == "classifier":
        save_classifier(classifier, BPETokenizer.load(folder / "v"), folder)
    else:
        save_lora(adapted, folder / "adapter.safetensors")
save()
before = {{path.name: path.read_bytes() for path in folder.iterdir()}}
for limit in (20_000, 3000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save()
    except OSError as error:
        said = str(error)
        assert "could not be written" in said and "is the disk full" in said, said
        assert "\\n" not in said, said
    else:
        sys.exit(f"nothing was refused at {{limit}}")
    assert before == {{path.name: path.read_bytes() for path in folder.iterdir()}}
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
