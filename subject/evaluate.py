"""Measure a project's models on what was held out: python -m subject.evaluate PROJECT

Bits per byte of the documents held out, for each model and for what is trivial; exact match of the
test entries by kind, with intervals; and the wrong answers as a table. The result is kept in
recorded/evaluation.json.
"""

import argparse
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from appendix_e.lora import load_lora
from ch01.bigram import Bigram
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch05.bonus.training_at_scale import count_bits
from ch05.files import check_writable
from ch05.foundations import mean_and_half
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.llama_gguf import load_smollm2
from ch07.gpt_instruction_finetuning import N_NEW, read_entries, respond, which_right
from course.commands import one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.held_out import Split, make_split
from subject.settings import Project, open_project
from subject.tokens import own_tokenizer
from subject.train import entries_path, load_real, read_record

N_REAL = 12  # documents that the large model reads, and every other one as well, to compare
AT_ONCE = 512  # tokens of a window, if the model can read as many


def record_path(project: Project) -> Path:
    return project.recorded / "evaluation.json"


def read_evaluation(project: Project) -> dict:
    """What was measured of a project, empty if nothing was. Raises: ValueError if it is damaged."""
    path = record_path(project)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"bits", "answers"} <= found.keys():
            raise ValueError("no evaluation is in it")
        return found
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete it, and evaluate the project again"
        ) from None


# ---- Bits per byte.


@torch.no_grad()
def document_bits(model: GPTModel, tokenizer: BPETokenizer, texts: Sequence[str]) -> np.ndarray:
    """How many bits a model needs for each text, all of it, in windows that it can read.

    A window knows nothing of the one before it, but for one token. Every byte counts for every
    model, whatever its tokens are.
    Shapes: (n, 2), bits and bytes.
    """
    end, rows = tokenizer.special_tokens[END_OF_TEXT], []
    device, T = next(model.parameters()).device, min(model.config.context_length, AT_ONCE)
    model.eval()
    for text in texts:
        ids, nats = [end, *tokenizer.encode_ordinary(text)], 0.0
        for start in range(0, len(ids) - 1, T):
            idx = torch.tensor([ids[start : start + T + 1]], device=device)
            nats += cross_entropy(model(idx[:, :-1])[0], idx[0, 1:], reduction="sum").item()
        rows.append((nats / math.log(2), len(text.encode())))
    return np.array(rows)


def counted_bits(
    tokenizer: BPETokenizer, train: Sequence[str], texts: Sequence[str]
) -> dict[str, float]:
    """What is trivial: counts of bytes, of pairs of bytes, of tokens, of pairs of tokens."""
    found = count_bits(list(texts), list(train))
    end = tokenizer.special_tokens[END_OF_TEXT]
    ids, asked = (
        [i for text in some for i in (end, *tokenizer.encode_ordinary(text))]
        for some in (train, texts)
    )
    n_bytes, V = sum(len(text.encode()) for text in texts), tokenizer.vocab_size
    # As often as it was met, and once more, so that a new token is rare and not impossible.
    counts = Counter(ids)
    single = -sum(math.log2((counts[i] + 1) / (len(ids) + V)) for i in asked if i != end)
    pairs = sum(bits for bits, i in zip(Bigram(ids, V).surprise(asked), asked[1:]) if i != end)
    return found | {
        "counts of tokens": round(single / n_bytes, 4),
        "counts of pairs of tokens": round(pairs / n_bytes, 4),
    }


Load = Callable[[], tuple[GPTModel, BPETokenizer]]


def load_with_lora(project: Project, seed: int) -> tuple[GPTModel, BPETokenizer]:
    model, tokenizer = load_real(project.settings.rank)
    load_lora(model, project.runs / f"real-{seed}" / "lora.safetensors")
    return model, tokenizer


def models_of(project: Project) -> Iterator[tuple[str, int, Load, bool]]:
    """The models at hand: name, seed, how to load it, and whether it is a large one.

    Raises: FileNotFoundError if a model of the record is not there.
    """
    yield "course, as it was", 0, lambda: load_pretrained("course"), False
    names = {"scratch": "from scratch", "go-on": "course, gone on"}
    for row in read_record(project):
        stage, seed = row["stage"], row["seed"]
        if stage in names:
            folder = project.runs / f"{stage}-{seed}"
            yield names[stage], seed, lambda folder=folder: load_pretrained(folder), False
        elif stage == "real":
            yield "SmolLM2, as it was", 0, load_smollm2, True
            yield "SmolLM2, LoRA", seed, lambda s=seed: load_with_lora(project, s), True


def measure_bits(project: Project, split: Split) -> dict:
    """Bits per byte of the documents held out: by model, a number for each seed.

    "some" are those of the first documents alone, which the large model reads too.
    """
    own = own_tokenizer(project, split.train)
    some = split.held_out[:N_REAL]
    found = {"all": defaultdict(dict), "some": defaultdict(dict)}
    found["counted"] = counted_bits(own, split.train, split.held_out)
    for name, seed, load, is_large in tqdm(list(models_of(project)), desc="bits per byte"):
        rows = document_bits(*load(), some if is_large else split.held_out)
        parts = {"some": rows[: len(some)]} | ({} if is_large else {"all": rows})
        for part, of_part in parts.items():
            bits, n_bytes = of_part.sum(axis=0)
            found[part][name][str(seed)] = round(bits / n_bytes, 4)
    return found | {"documents": len(split.held_out), "some documents": len(some)}


# ---- What the models write.


def sentences_of(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?])\s+", " ".join(text.split())) if len(s.split()) > 3]


def measure_samples(project: Project, split: Split, n: int = 20, n_tokens: int = 64) -> dict:
    """What models write behind the first words of documents held out, and how much is copied.

    Units: of the whole sentences, those that stand in the training texts to the letter.
    """
    found = {}
    known = {s for text in split.train for s in sentences_of(text)}
    for name, seed, load, is_large in models_of(project):
        if seed or is_large or name == "course, as it was":
            continue
        model, tokenizer = load()
        draw, written = torch.Generator().manual_seed(project.settings.seed), []
        end = tokenizer.special_tokens[END_OF_TEXT]
        for text in split.held_out[:n]:
            prompt = " ".join(text.split()[:3])
            idx = torch.tensor([tokenizer.encode_ordinary(prompt)])
            ids = generate(model, idx, n_tokens, 0.7, 40, stop_id=end, generator=draw)[0].tolist()
            written.append(tokenizer.decode([i for i in ids if i != end]))
        sentences = [s for text in written for s in sentences_of(text) if s[-1] in ".!?"]
        found[name] = {
            "written": written[:3],
            "sentences": len(sentences),
            "copied": sum(s in known for s in sentences),
        }
    return found


# ---- Answers.


def guess(train: Sequence[dict], asked: Sequence[dict]) -> list[str]:
    """To each question the most frequent answer of its kind in the training: what is trivial."""
    outputs = defaultdict(Counter)
    for entry in train:
        outputs[entry["kind"]][entry["output"]] += 1
    return [
        outputs[entry["kind"]].most_common(1)[0][0] if outputs[entry["kind"]] else ""
        for entry in asked
    ]


def counts(entries: Sequence[dict], responses: Sequence[str]) -> dict[str, list[int]]:
    """How many responses of each kind are right, and how many there are."""
    right = which_right(entries, responses)
    return {kind: [sum(hits), len(hits)] for kind, hits in right.items()}


def measure_answers(project: Project, split: Split) -> dict:
    """The test entries, answered by each finetuned model, its controls, and what is trivial."""
    entries = read_entries(entries_path(project, split))
    train, test = ([e for e in entries if e["split"] == s] for s in ("train", "test"))
    found = {"most frequent answer": {"0": counts(test, guess(train, test))}}
    talk = []
    for row in read_record(project):
        stage, seed = row["stage"], str(row["seed"])
        if stage not in ("instructions", "control"):
            continue
        name = {"instructions": "finetuned", "control": "finetuned, not pretrained"}[stage]
        found.setdefault(name, {})[seed] = row["right"]
        path = project.runs / f"{stage}-{seed}" / "responses.json"
        if stage == "instructions" and seed == "0":
            answered = json.loads(path.read_text(encoding="utf-8"))
            names = ("kind", "instruction", "input", "output", "response")
            talk = [{n: e.get(n, "") for n in names} for e in answered]
            start = load_pretrained(project.runs / f"{project.settings.start_from}-0")
            said = respond(*start, test, N_NEW, one_line=True)
            found["pretrained only"] = {"0": counts(test, said)}
    return {"right": found, "talk": talk}


# ---- Tables.


def tabulate_bits(evaluation: dict, part: str = "all") -> pd.DataFrame:
    """Bits per byte, with half of the interval where there are several seeds; the worst first.

    The counts are those of all documents.
    """
    rows = {
        name: (*mean_and_half(list(by_seed.values())), len(by_seed))
        for name, by_seed in evaluation["bits"][part].items()
    }
    if part == "all":
        rows |= {name: (bits, math.nan, 0) for name, bits in evaluation["bits"]["counted"].items()}
    table = pd.DataFrame(rows, index=["bits per byte", "±", "seeds"]).T
    table["seeds"] = table["seeds"].astype(int)
    return table.sort_values("bits per byte", ascending=False).round(3)


def wilson(right: int, n: int) -> str:
    """A share with its 95% interval (Wilson), in per cent."""
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    return f"{right / n:.0%} ({low:.0%} to {high:.0%})"


def tabulate_kinds(evaluation: dict) -> pd.DataFrame:
    """Exact match by kind: the finetuned model's first seed with its interval, and the others."""
    found = evaluation["answers"]["right"]
    rows = {}
    for kind in found["most frequent answer"]["0"]:
        rows[kind] = {"n": found["most frequent answer"]["0"][kind][1]}
        for name, by_seed in found.items():
            (right, n), *others = (by_seed[seed][kind] for seed in sorted(by_seed))
            if name != "finetuned":
                rows[kind][name] = f"{right / n:.0%}"
                continue
            rows[kind][name] = wilson(right, n)
            rows[kind]["other seeds"] = ", ".join(f"{a / b:.0%}" for a, b in others)
    return pd.DataFrame(rows).T


def mean_right(evaluation: dict, name: str) -> str:
    """The share of right answers over all kinds: mean over seeds, and half of its interval."""
    by_seed = evaluation["answers"]["right"][name].values()
    mean, half = mean_and_half([found["all"][0] / found["all"][1] for found in by_seed])
    return f"{mean:.1%}" + ("" if math.isnan(half) else f" ± {half:.1%}")


def is_right(entry: dict) -> bool:
    return entry["response"].strip() == entry["output"].strip()


def tabulate_errors(evaluation: dict, n: int = 2) -> pd.DataFrame:
    """The first wrong answers of each kind, and how many there are."""
    by_kind = defaultdict(list)
    for entry in evaluation["answers"]["talk"]:
        if not is_right(entry):
            by_kind[entry["kind"]].append(entry)
    rows = [
        (kind, len(some), f"{e['instruction']} {e['input']}".strip(), e["output"], e["response"])
        for kind, some in sorted(by_kind.items(), key=lambda item: -len(item[1]))
        for e in some[:n]
    ]
    return pd.DataFrame(rows, columns=["kind", "wrong", "asked", "right answer", "answered"])


# ---- The command.


def run(project: Project) -> dict:
    """Measure all that is there, and keep it."""
    split = make_split(project)
    if not read_record(project, split):
        raise FileNotFoundError(
            f"nothing was trained yet: `python -m subject.train {project.shown}` comes first"
        )
    check_writable(project.recorded)
    evaluation = {
        "bits": measure_bits(project, split),
        "answers": measure_answers(project, split),
        "samples": measure_samples(project, split),
    }
    with written_whole(record_path(project)) as draft:
        text = json.dumps(evaluation, indent=1, ensure_ascii=False) + "\n"
        draft.write_text(text, encoding="utf-8")
    return evaluation


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.evaluate",
        description="Measure a project's models on what was held out before the training.",
    )
    parser.add_argument("project", help="the folder of a project, or the name of an example")
    args = parser.parse_args(arguments)
    with one_sentence("subject.evaluate"):
        project = open_project(args.project)
        evaluation = run(project)
        print(tabulate_bits(evaluation).to_string(na_rep=""), end="\n\n")
        if len(evaluation["answers"]["right"]) > 1:
            print(tabulate_kinds(evaluation).to_string())
        print(f"{record_path(project)} has it all, and the wrong answers")


if __name__ == "__main__":
    main()
