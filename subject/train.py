"""Train a project's models: python -m subject.train PROJECT [scratch|go-on|real|instructions]

    python -m subject.train my/my-subject             # all stages, each with all its seeds
    python -m subject.train my/my-subject scratch     # one stage

    scratch       a model of the project's sizes and tokenizer, from random weights
    go-on         the course's model, which learned English, goes on with the texts
    real          SmolLM2 with LoRA, where setup/get_smollm2.py has fetched it
    instructions  the pretrained models learn to answer, and one that was not pretrained does

What is there is not made again: a command that was stopped goes on, and a pretraining goes on at
its last checkpoint. Each training has a row in recorded/training.json.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from torch.utils.data import DataLoader

from appendix_e.lora import add_lora, save_lora
from ch02.dataloader import create_dataloader
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, choose_device
from ch05.course_model.pretrain import warmup_cosine
from ch05.files import check_writable
from ch05.gpt_weights import COURSE_FOLDER
from ch05.llama_gguf import load_smollm2
from ch05.optimizers import MuonWithAdamW
from ch05.precision import choose_precision
from ch05.token_shards import prepare
from ch05.training_loop import train
from ch07.gpt_instruction_finetuning import read_entries
from course.commands import one_sentence
from course.files import written_whole
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable
from subject.held_out import Split, make_split
from subject.settings import Project, open_project
from subject.templates import make_entries
from subject.tokens import own_tokenizer, tokenizer_folder

STAGES = ("scratch", "go-on", "real", "instructions")
COURSE_CONTEXT = 256  # tokens that the course's model can read


def record_path(project: Project) -> Path:
    return project.recorded / "training.json"


def is_row(row: dict) -> bool:
    return {"stage", "seed", "told", "cpu_seconds"} <= row.keys()


def read_record(project: Project, split: Split | None = None) -> list[dict]:
    """The trainings that were made of a project, none if there is no record.

    Raises: ValueError if the record is damaged, or of another split.
    """
    settings = {"name": project.settings.name, "split": split.digest} if split else None
    try:
        return read_rows(record_path(project), is_row, settings)
    except ValueError as error:
        reason = str(error).partition(": ")[0]
        raise ValueError(
            f"{reason}: delete {record_path(project)} and {project.runs}, and train anew"
        ) from None


# ---- What a training is told.


def told(project: Project, stage: str) -> dict:
    """The settings that decide a stage: a row counts as long as they are the same."""
    s = project.settings
    own = {"tokens": s.tokens, "lr": s.lr, "batch_size": s.batch_size}
    own |= {"context_length": s.context_length}
    sizes = {n: getattr(s, n) for n in ("vocab_size", "emb_dim", "n_heads", "n_layers")}
    if stage == "scratch":
        return own | sizes
    if stage == "go-on":
        context = min(s.context_length, COURSE_CONTEXT)
        tokens = s.go_on_tokens or s.tokens
        return own | {"tokens": tokens, "lr": s.go_on_lr, "context_length": context}
    if stage == "real":
        return {"tokens": s.real_tokens, "lr": s.real_lr, "rank": s.rank}
    finetuning = {"start_from": s.start_from, "epochs": s.epochs, "lr": s.finetune_lr}
    finetuning["entries"] = entries_digest(project)
    return {"start": told(project, s.start_from)} | finetuning


def entries_digest(project: Project) -> str:
    """What tells whether entries are still made of the same; nothing if they are made of texts."""
    names = [project.settings.instructions] if project.settings.instructions else []
    hashed = hashlib.sha256()
    for name in names or ["facts.csv", "templates.json"]:
        path = project.folder / name
        hashed.update(path.read_bytes() if path.exists() else b"")
    return hashed.hexdigest()[:12]


def plan(project: Project, stages: Sequence[str]) -> list[tuple[str, int]]:
    """Stages and seeds: all stages with the first seed, so that there is something to look at.

    The large model has one seed, and the control, which has read nothing, too.
    """
    wanted = []
    for seed in range(project.settings.seeds):
        for stage in stages:
            if stage != "real" or seed == 0:
                wanted.append((stage, seed))
            if stage == "instructions" and seed == 0:
                wanted.append(("control", 0))
    return wanted


def is_done(row: dict, project: Project, stage: str, seed: int) -> bool:
    return (row["stage"], row["seed"]) == (stage, seed) and row["told"] == told(project, stage)


# ---- The stages.


def cpu_seconds() -> float:
    """Of this process and those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_command(module: str, *options: object) -> None:
    """Run a command of the course. Raises: ValueError if it fails; it has said why."""
    command = [sys.executable, "-m", module, *map(str, options)]
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path})
    if done.returncode:
        said = "what it said stands above" if done.returncode > 0 else "it was killed"
        raise ValueError(f"`python -m {module}` ended with an error: {said}")


def prepared(project: Project, split: Split, stage: str) -> Path:
    """The texts as tokens: the project's own, or those of the course's model."""
    out, tokenizer = project.runs / "data-course", COURSE_FOLDER
    if stage == "scratch":
        own_tokenizer(project, split.train)
        tokenizer = tokenizer_folder(project)
        out = project.runs / f"data-own-{project.settings.vocab_size}"
    if not (out / "index.json").exists():
        prepare([project.runs / "texts" / "train.jsonl"], out, str(tokenizer))
    return out


def pretrain(project: Project, split: Split, stage: str, seed: int) -> dict:
    """Pretrain a model on the texts, by ch05.pretrain; what its log says."""
    out, data = project.runs / f"{stage}-{seed}", prepared(project, split, stage)
    s, numbers = project.settings, told(project, stage)
    options = ["--data", data, "--out", out, "--seed", s.seed + seed, "--optimizer", "muon"]
    for name in ("tokens", "lr", "batch_size", "context_length"):
        options += [f"--{name.replace('_', '-')}", numbers[name]]
    if stage == "scratch":
        for name in ("emb_dim", "n_heads", "n_layers"):
            options += [f"--{name.replace('_', '-')}", numbers[name]]
    else:
        options += ["--start", "course"]
    n_steps = numbers["tokens"] // (numbers["batch_size"] * numbers["context_length"])
    options += ["--warmup", max(1, min(100, n_steps // 10)), "--prompt", split.train[0][:20]]
    options += ["--eval-every", max(50, n_steps // 5)]
    if not (out / "model.safetensors").exists():
        again = ["--resume"] if (out / "settings.json").exists() else []
        run_command("ch05.pretrain", "train", *options, *again)
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    bits = [row["bits_per_byte"] for row in rows[-20:]]
    size = json.loads((out / "config.json").read_text(encoding="utf-8"))
    return {"steps": len(rows), "bits in training": round(sum(bits) / len(bits), 4)} | {
        "vocab_size": size["vocab_size"],
        "context_length": size["n_positions"],
    }


def small_model(project: Project, tokenizer: BPETokenizer, seed: int = 0) -> GPTModel:
    """A model of the project's sizes with random weights."""
    names = ("context_length", "emb_dim", "n_heads", "n_layers")
    sizes = {name: getattr(project.settings, name) for name in names}
    torch.manual_seed(seed)
    config = GPTConfig(
        vocab_size=tokenizer.vocab_size, drop_rate=0.0, qkv_bias=True, tie_weights=True, **sizes
    )
    return GPTModel(config)


def train_briefly(
    model: GPTModel,
    tokenizer: BPETokenizer,
    texts: Sequence[str],
    n_tokens: int,
    lr: float,
    batch_size: int = 8,
    seed: int = 0,
) -> GPTModel:
    """Train a model on so many tokens of texts, in windows of at most 128: for a notebook."""
    T = min(128, model.config.context_length)
    torch.manual_seed(seed)
    batch_size = min(batch_size, max(1, n_tokens // T))
    loader = batches_of(tokenizer, texts, n_tokens, T, seed, batch_size)
    n_steps = len(loader)
    schedule = warmup_cosine(n_steps, max(1, n_steps // 10))
    optimizer = MuonWithAdamW(model, lr)
    train(model, loader, optimizer, n_steps, eval_every=n_steps + 1, schedule=schedule, quiet=True)
    return model.eval()


def batches_of(
    tokenizer: BPETokenizer, texts: Sequence[str], n: int, T: int, seed: int, batch_size: int = 1
) -> DataLoader:
    """So many tokens of texts, ends of documents among them, in windows of T."""
    end, ids = tokenizer.special_tokens[END_OF_TEXT], []
    while len(ids) <= n:
        for text in texts:
            ids += [*tokenizer.encode_ordinary(text), end]
    return create_dataloader(torch.tensor(ids[: n + 1]), T, batch_size, seed=seed)


def load_real(rank: int) -> tuple[GPTModel, BPETokenizer]:
    """SmolLM2 with LoRA beside the layers of its blocks.

    Raises: FileNotFoundError if set-up has not fetched it.
    """
    model, tokenizer = load_smollm2()
    torch.manual_seed(0)
    add_lora(model, rank, 2 * rank)
    return model, tokenizer


def train_real(project: Project, split: Split, seed: int) -> dict:
    """Train LoRA beside the real model's weights, and keep what was learned."""
    s, T = project.settings, 256
    device = choose_device()
    model, tokenizer = load_real(s.rank)
    model.to(device)
    texts = Random(s.seed + seed).sample(split.train, len(split.train))
    loader = batches_of(tokenizer, texts, s.real_tokens, T, s.seed + seed)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=s.real_lr, weight_decay=0.0)
    n_steps = len(loader)
    progress = train(
        model,
        loader,
        optimizer,
        n_steps,
        eval_every=n_steps + 1,
        schedule=warmup_cosine(n_steps, max(1, n_steps // 10)),
        precision=choose_precision(device),
        clip=1.0,
    )
    save_lora(model, project.runs / f"real-{seed}" / "lora.safetensors")
    return {"steps": progress.step, "learned": sum(p.numel() for p in learned)} | {
        "parameters": sum(p.numel() for p in model.parameters())
    }


def entries_path(project: Project, split: Split) -> Path:
    """The project's entries: the file that settings name, or one made now.

    Raises: FileNotFoundError or ValueError if there is none, or a line of it is bad.
    """
    if project.settings.instructions:
        path = project.folder / project.settings.instructions
        read_entries(path)
        return path
    path = project.runs / "entries.json"
    entries = make_entries(project, split.train)
    with written_whole(path) as draft:
        text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
        draft.write_text(text, encoding="utf-8")
    return path


def finetune(project: Project, split: Split, stage: str, seed: int) -> dict:
    """Let a pretrained model learn to answer, by ch07's command; what it got right."""
    s = project.settings
    start, out = project.runs / f"{s.start_from}-{seed}", project.runs / f"{stage}-{seed}"
    if not (start / "model.safetensors").exists():
        raise FileNotFoundError(
            f"{start} holds no model: `python -m subject.train {project.shown} {s.start_from}` "
            "comes first"
        )
    options = ["--data", entries_path(project, split), "--model", start, "--out", out]
    options += ["--seed", s.seed + seed, "--epochs", s.epochs, "--lr", s.finetune_lr]
    if stage == "control":
        options.append("--random-weights")
    run_command("ch07.gpt_instruction_finetuning", *options)
    (run,) = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {n: run[n] for n in ("steps", "train_loss", "val_loss", "right")}


def do(project: Project, split: Split, stage: str, seed: int) -> dict:
    """One training: its row."""
    begun, clock = cpu_seconds(), time.perf_counter()
    if stage == "real":
        found = train_real(project, split, seed)
    elif stage in ("scratch", "go-on"):
        found = pretrain(project, split, stage, seed)
    else:
        found = finetune(project, split, stage, seed)
    row = {"stage": stage, "seed": seed, "told": told(project, stage), **found}
    seconds = {"cpu_seconds": cpu_seconds() - begun, "seconds": time.perf_counter() - clock}
    return row | {name: round(value, 1) for name, value in seconds.items()}


def run(project: Project, stages: Sequence[str] = STAGES) -> list[dict]:
    """Do what the record lacks, and keep each row as soon as it is there."""
    split = make_split(project)
    check_writable(project.recorded)
    rows = read_record(project, split)
    if "instructions" in stages:
        entries_path(project, split)  # a bad line is found before hours of training, not after them
    for stage, seed in plan(project, stages):
        if any(is_done(row, project, stage, seed) for row in rows):
            print(f"{stage}, seed {seed}: is there", flush=True)
            continue
        try:
            row = do(project, split, stage, seed)
        except FileNotFoundError as error:
            if stage != "real":
                raise
            print(f"real is left out: {error}", flush=True)
            continue
        rows = [r for r in rows if (r["stage"], r["seed"]) != (stage, seed)] + [row]
        settings = {"name": project.settings.name, "split": split.digest}
        write_rows(record_path(project), settings, rows)
        print(f"{stage}, seed {seed}: {row['cpu_seconds']:.0f} s of CPU", flush=True)
    return rows


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m subject.train",
        description="Train a project's models, and keep a row of each.",
    )
    parser.add_argument("project", help="the folder of a project, or the name of an example")
    parser.add_argument(
        "stages", nargs="*", metavar="stage", help=f"{', '.join(STAGES)} [all of them]"
    )
    args = parser.parse_args(arguments)
    if unknown := set(args.stages) - set(STAGES):
        parser.error(f"{min(unknown)} is no stage; there are {', '.join(STAGES)}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    args = parse_arguments(arguments)
    with one_sentence("subject.train"):
        run(open_project(args.project), args.stages or STAGES)


if __name__ == "__main__":
    main()
