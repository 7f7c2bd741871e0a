"""Finetune a GPT to follow instructions, from Python or from the command line.

    python -m ch07.gpt_instruction_finetuning --out runs/instructions
    python -m ch07.gpt_instruction_finetuning --data FILE.json

The file may be any in Alpaca's form.

Dimension key: B batch, T tokens.
Source: the form of the data is that of Alpaca (Taori et al. 2023).
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPT2_SIZES, GPTModel, choose_device, count_parameters
from ch04.kv_cache import evaluating, make_cache, read, take_rows
from ch05.course_model.measure import share
from ch05.files import check_writable
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.precision import choose_precision
from ch05.training_loop import Progress, train
from ch06.gpt_class_finetune import SimilarLengths
from ch07.instructions import SPLITS, make_instructions
from course.files import written_whole
from course.terminal import replace_unprintable

N_NEW = 32  # tokens that an answer of the command line may have


def check_entries(
    entries: object, may_be_empty: Sequence[str] = ("input",)
) -> list[dict]:
    """Return the entries if they are in Alpaca's form.

    Raises: ValueError that names the first entry and the field that is wrong.
    """
    if not isinstance(entries, list) or not entries:
        raise ValueError(
            "a list of entries is needed, and this is none or an empty one"
        )
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"entry {i} is not an entry but {entry!r:.40}")
        kind = entry.get("kind", "?")
        if not isinstance(kind, str) or kind in ("", "all"):
            raise ValueError(
                f"entry {i}: kind is {kind!r:.40}, and has to be a text, "
                "not “all”"
            )
        history = entry.get("history", [])
        if not isinstance(history, list) or not all(
            isinstance(turn, dict) for turn in history
        ):
            raise ValueError(f"entry {i}: history is not a list of entries")
        for turn in [*history, entry]:
            for name in ("instruction", "input", "output"):
                text = turn.get(name, "" if name == "input" else None)
                if not isinstance(text, str):
                    raise ValueError(
                        f"entry {i}: {name} is {text!r:.40} and not a text"
                    )
                if not text.strip() and name not in may_be_empty:
                    raise ValueError(f"entry {i}: {name} is empty")
    return entries


def read_entries(
    path: str | Path, may_be_empty: Sequence[str] = ("input",)
) -> list[dict]:
    """Read a JSON file of entries.

    Raises: OSError if there is no such file, ValueError if it is not JSON or
    as check_entries.
    """
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        return check_entries(entries, may_be_empty)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def format_turn(entry: dict) -> str:
    """One turn of a prompt, up to the line on which the answer begins."""
    text = f"{entry['instruction']}\n{entry.get('input', '')}".strip()
    return f"Question:\n{text}\nAnswer:\n"


def format_prompt(entry: dict) -> str:
    """The prompt of an entry: earlier turns, answered, then its own."""
    earlier = (
        f"{format_turn(turn)}{turn['output']}\n"
        for turn in entry.get("history", [])
    )
    return "".join(earlier) + format_turn(entry)


class InstructionDataset(Dataset):
    """Entries as token ids, and how many of them are the prompt.

    The ids are the prompt, the output, and <|endoftext|>.
    Raises: ValueError that names the entry that does not fit into the context.
    """

    def __init__(
        self,
        entries: Sequence[dict],
        tokenizer: BPETokenizer,
        context_length: int,
        prompt_of: Callable[[dict], str] = format_prompt,
    ):
        end_id = tokenizer.special_tokens[END_OF_TEXT]
        self.items = []
        for i, entry in enumerate(entries):
            prompt = tokenizer.encode_ordinary(prompt_of(entry))
            ids = [
                *prompt,
                *tokenizer.encode_ordinary(entry["output"].strip()),
                end_id,
            ]
            if len(ids) - 1 > context_length:  # the last one is only a target
                raise ValueError(
                    f"entry {i} has {len(ids) - 1} tokens to read, and the "
                    f"context holds {context_length}"
                )
            self.items.append((ids, len(prompt)))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[list[int], int]:
        return self.items[index]


def collate(
    items: Sequence[tuple[list[int], int]],
    pad_id: int,
    mask_instruction: bool = True,
) -> tuple[Tensor, Tensor]:
    """Pad items to the longest; padding and prompts have no targets that count.

    Shapes: B items of different lengths -> inputs and targets (B, T).
    """
    T = max(len(ids) for ids, _ in items) - 1
    inputs = torch.full((len(items), T), pad_id)
    targets = torch.full((len(items), T), IGNORE)
    for row, (ids, n_prompt) in enumerate(items):
        # The prompt's last token predicts the answer's first one.
        first = n_prompt - 1 if mask_instruction else 0
        inputs[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        targets[row, first : len(ids) - 1] = torch.tensor(ids[first + 1 :])
    return inputs, targets


def create_instruction_dataloader(
    dataset: InstructionDataset,
    pad_id: int,
    batch_size: int = 16,
    mask_instruction: bool = True,
    shuffle: bool = True,
    seed: int = 0,
) -> DataLoader:
    """Serve batches, padded little, in an order that the seed decides.

    Shapes: each batch is inputs (B, T) and targets (B, T), with its own T.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = [len(ids) for ids, _ in dataset.items]
    return DataLoader(
        dataset,
        batch_sampler=SimilarLengths(
            lengths, batch_size, generator if shuffle else None
        ),
        collate_fn=partial(
            collate, pad_id=pad_id, mask_instruction=mask_instruction
        ),
        generator=generator,
    )


def crop_history(
    entry: dict,
    tokenizer: BPETokenizer,
    n_tokens: int,
    prompt_of: Callable[[dict], str] = format_prompt,
) -> list[int]:
    """The ids of a prompt that fits n_tokens: its oldest turns go first.

    Raises: ValueError if the last turn alone is longer.
    """
    history = entry.get("history", [])
    for start in range(len(history) + 1):
        ids = tokenizer.encode_ordinary(
            prompt_of(entry | {"history": history[start:]})
        )
        if len(ids) <= n_tokens:
            return ids
    raise ValueError(
        f"the instruction has {len(ids)} tokens, and only {n_tokens} fit: "
        f"{entry['instruction']!r:.60}"
    )


@torch.no_grad()
def respond(
    model: GPTModel,
    tokenizer: BPETokenizer,
    entries: Sequence[dict],
    max_new_tokens: int = 32,
    batch_size: int = 64,
    one_line: bool = False,
    prompt_of: Callable[[dict], str] = format_prompt,
) -> list[str]:
    """Answer each entry with the likeliest tokens up to <|endoftext|>.

    With one_line an answer also ends before its first line break. Many entries
    are answered at once: each row grows at its own end, and the padding stands
    after it, where no token looks.
    Raises: ValueError if a prompt leaves no room for an answer in the context.
    """
    device = next(model.parameters()).device
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    stops = {end_id}
    if one_line:
        stops.update(
            i
            for i in range(tokenizer.vocab_size)
            if "\n" in tokenizer.decode([i])
        )
    room = model.config.context_length - max_new_tokens
    prompts = [
        crop_history(entry, tokenizer, room, prompt_of) for entry in entries
    ]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers = [[] for _ in prompts]
    starts = range(0, len(order), batch_size)
    for start in tqdm(
        starts, desc="answering", leave=False, disable=len(starts) < 4
    ):
        # Which entry stands in which row, and what each row reads next:
        # nothing when it has ended.
        rows = order[start : start + batch_size]
        new = [prompts[i] for i in rows]
        cache = make_cache(model, len(rows), len(new[-1]) + max_new_tokens)
        for _ in range(max_new_tokens):
            T = max(map(len, new))
            idx = torch.tensor(
                [ids + [end_id] * (T - len(ids)) for ids in new], device=device
            )
            with evaluating(model):  # no dropout while reading
                # (B, V)
                logits, cache = read(
                    model, cache, idx, [len(ids) for ids in new]
                )
            next_ids = logits.argmax(dim=-1).tolist()
            new = [
                [i] if ids and i not in stops else []
                for i, ids in zip(next_ids, new)
            ]
            for i, ids in zip(rows, new):
                answers[i].extend(ids)
            going = [row for row, ids in enumerate(new) if ids]
            if not going:
                break
            if len(going) <= len(rows) // 2:  # go on without the others
                cache = take_rows(cache, going)
                rows = [rows[row] for row in going]
                new = [new[row] for row in going]
    return [tokenizer.decode(ids).strip() for ids in answers]


def which_right(
    entries: Sequence[dict], responses: Sequence[str]
) -> dict[str, list[bool]]:
    """Whether each response is the output to the letter, by kind and all."""
    right = {}
    for entry, response in zip(entries, responses, strict=True):
        for kind in (entry.get("kind", "task"), "all"):
            right.setdefault(kind, []).append(
                response.strip() == entry["output"].strip()
            )
    right["all"] = right.pop("all", [])  # the last row
    return right


def exact_match(
    entries: Sequence[dict], responses: Sequence[str]
) -> dict[str, float]:
    """The share of responses that are right to the letter, by kind and all."""
    right = which_right(entries, responses)
    return {kind: sum(hits) / max(1, len(hits)) for kind, hits in right.items()}


def finetune(
    model: GPTModel,
    train_loader: DataLoader,
    val_loader: DataLoader,
    epochs: int,
    learning_rate: float,
    eval_every: int = 50,
    after_epoch: Callable[[Progress], None] | None = None,
    precision: str = "float32",
) -> Progress:
    """Train on instructions; the rate rises for a tenth of it, then falls.

    It reaches learning_rate, and is close to 0 at the last step.
    """
    n_steps = epochs * len(train_loader)
    n_warm = max(1, n_steps // 10)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        fused=True,
    )

    def part_of_rate(step: int) -> float:
        falls = (n_steps - step) / (n_steps - n_warm + 1)
        return min((step + 1) / n_warm, falls)

    def after_step(progress: Progress, row: dict) -> None:
        if after_epoch and progress.step % len(train_loader) == 0:
            after_epoch(progress)

    progress = train(
        model,
        train_loader,
        optimizer,
        n_steps,
        val_loader,
        eval_every=eval_every,
        schedule=part_of_rate,
        precision=precision,
        after_step=after_step,
    )
    model.eval()
    return progress


def save_responses(
    path: str | Path, entries: Sequence[dict], responses: Sequence[str]
) -> None:
    """Write the entries with their responses as JSON, whole or not at all."""
    kept = [
        entry | {"response": text}
        for entry, text in zip(entries, responses, strict=True)
    ]
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    with written_whole(path) as draft:
        # Half a character, which has no bytes, is spelled: \ud83d.
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")


def reply(
    model: GPTModel, tokenizer: BPETokenizer, history: Sequence[dict], text: str
) -> dict:
    """Answer the next turn of a dialogue, and return it for the history."""
    turn = {"instruction": text, "input": "", "output": ""}
    (output,) = respond(model, tokenizer, [turn | {"history": list(history)}])
    return turn | {"output": output}


def pick(entries: list[dict], seed: int) -> dict[str, list[dict]]:
    """The entries of each split: as they say, or drawn, 85%, 5%, 10%.

    Raises: ValueError if only some entries say a split, or another one, or a
    split has none.
    """
    if any("split" in entry for entry in entries):
        for i, entry in enumerate(entries):
            if entry.get("split") not in SPLITS:
                split = repr(entry.get("split"))
                raise ValueError(
                    f"entry {i}: split is {split:.40} and not one of {SPLITS}"
                )
        chosen = {
            name: [e for e in entries if e["split"] == name] for name in SPLITS
        }
    else:
        drawn = Random(seed).sample(entries, len(entries))
        a, b = len(drawn) * 85 // 100, len(drawn) * 90 // 100
        chosen = {
            "train": drawn[:a],
            "development": drawn[a:b],
            "test": drawn[b:],
        }
    for name, of_split in chosen.items():
        if not of_split:
            raise ValueError(
                f"{len(entries)} entries leave none for the {name} split"
            )
    return chosen


def prepare(
    args: argparse.Namespace, model: GPTModel, tokenizer: BPETokenizer
) -> tuple[dict[str, list[dict]], dict[str, InstructionDataset]]:
    """The entries of each split, and the data sets that the training reads.

    Raises: ValueError, before the training, for what does not fit the context.
    """
    entries = read_entries(args.data) if args.data else make_instructions()
    splits, datasets = pick(entries, args.seed), {}
    for name in ("train", "development"):
        try:
            dataset = InstructionDataset(
                splits[name], tokenizer, model.config.context_length
            )
        except ValueError as error:
            raise ValueError(f"the {name} split: {error}") from None
        datasets[name] = dataset
    for entry in splits[args.split]:
        crop_history(entry, tokenizer, model.config.context_length - N_NEW)
    return splits, datasets


def describe_run(
    args: argparse.Namespace, progress: Progress, seed: int, seconds: float
) -> dict:
    """What a run was asked for and how it went, without what it answered."""
    row, settings = progress.history[-1], vars(args)
    names = ("split", "epochs", "lr", "batch_size", "random_weights", "no_mask")
    return {
        "command": f"python -m ch07.gpt_instruction_finetuning {shlex.join(sys.argv[1:])}".strip(),
        "seed": seed,
        **{name: settings[name] for name in names},
        "steps": progress.step,
        "seconds": round(seconds),
        "train_loss": round(row["train_loss"], 4),
        "val_loss": round(row["val_loss"], 4),
    }


def run(args: argparse.Namespace) -> None:
    """Finetune as the arguments say; leave model and results in the --out folder."""
    for name in ("epochs", "batch_size", "seeds"):
        if getattr(args, name) < 1:
            raise ValueError(f"{name}={getattr(args, name)} must be at least 1")
    if args.lr <= 0:
        raise ValueError(f"lr={args.lr} must be more than 0")
    device = choose_device(args.device)
    precision = choose_precision(device)
    model, tokenizer = load_pretrained(args.model)
    splits, datasets = prepare(args, model, tokenizer)
    out, asked = Path(args.out), splits[args.split]
    check_writable(out)
    print(
        ", ".join(
            f"{len(of_split)} entries for {n}" for n, of_split in splits.items()
        )
    )
    print(
        f"{count_parameters(model):,} parameters are trained on {device} in {precision}"
    )
    end_id, runs = tokenizer.special_tokens[END_OF_TEXT], []
    for seed in range(args.seed, args.seed + args.seeds):
        torch.manual_seed(seed)
        model, _ = load_pretrained(args.model)
        if args.random_weights:
            model = type(model)(model.config)
        model.to(device)
        loaders = [
            create_instruction_dataloader(
                dataset,
                end_id,
                args.batch_size,
                not args.no_mask,
                name == "train",
                seed,
            )
            for name, dataset in datasets.items()
        ]
        started = time.perf_counter()
        progress = finetune(
            model, *loaders, args.epochs, args.lr, precision=precision
        )
        result = describe_run(
            args, progress, seed, time.perf_counter() - started
        )
        responses = respond(model, tokenizer, asked, N_NEW)
        # What took long is kept before anything is counted, after every seed.
        save_pretrained(
            model, out, None if args.model in GPT2_SIZES else tokenizer
        )
        save_responses(out / "responses.json", asked, responses)
        seen = splits["train"][:200]
        fit = which_right(seen, respond(model, tokenizer, seen, N_NEW))["all"]
        right = which_right(asked, responses)
        counts = {kind: [sum(hits), len(hits)] for kind, hits in right.items()}
        fits = [sum(fit), len(fit)]
        runs.append(result | {"training_entries_right": fits, "right": counts})
        with written_whole(out / "results.json") as draft:
            draft.write_text(
                json.dumps(runs, indent=1) + "\n", encoding="utf-8"
            )
        losses = f"{result['train_loss']:.3f} in training, {result['val_loss']:.3f} in development"
        print(f"seed {seed}: {result['steps']} steps, loss {losses}")
        print(f"{'trained on':12}{share(fit)}")
        for kind, hits in right.items():
            print(f"{kind:12}{share(hits)}")
    if len(runs) > 1:
        shares = [
            100 * run["right"]["all"][0] / run["right"]["all"][1]
            for run in runs
        ]
        mean, spread = statistics.mean(shares), statistics.stdev(shares)
        print(
            f"{len(runs)} seeds: {mean:.1f}% on average, standard deviation {spread:.1f}"
        )
    print(
        f"model and responses.json are in {args.out}; python -m ch07.chat talks with it"
    )


def parse_arguments(
    arguments: Sequence[str] | None = None,
) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m ch07.gpt_instruction_finetuning",
        description="Finetune a GPT to follow instructions, and say how much it gets right.",
    )
    add = parser.add_argument
    add(
        "--data",
        help="a JSON file in Alpaca's form [the course's own instructions]",
    )
    add(
        "--model",
        default="course",
        help="a model folder, or course, gpt2, … [%(default)s]",
    )
    add(
        "--out",
        default="runs/instructions",
        help="the folder to write [%(default)s]",
    )
    add("--epochs", type=int, default=2, help="[%(default)s]")
    add(
        "--lr",
        type=float,
        default=1e-4,
        help="AdamW's learning rate [%(default)s]",
    )
    add(
        "--batch-size",
        type=int,
        default=16,
        help="entries for each step [%(default)s]",
    )
    add(
        "--random-weights",
        action="store_true",
        help="forget the pretraining: the control",
    )
    add(
        "--no-mask",
        action="store_true",
        help="learn to predict the instructions, too",
    )
    add(
        "--split",
        default="test",
        choices=SPLITS[1:],
        help="what to answer [%(default)s]",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="of the order of the entries [%(default)s]",
    )
    add(
        "--seeds",
        type=int,
        default=1,
        help="train so many in turn, keep the last [%(default)s]",
    )
    add("--device", help="cpu, cuda or mps [the best one here]")
    return parser.parse_args(arguments)


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_instruction_finetuning: {error}") from None
    except KeyboardInterrupt:
        what = "stopped; it saves what is trained to its end"
        raise SystemExit(f"\ngpt_instruction_finetuning: {what}") from None


if __name__ == "__main__":
    main()
