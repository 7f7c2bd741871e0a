"""The stages of the road: what each of them makes, and how it is measured.

playbook/journey.py walks them one after the other. A stage reads what the ones before it have left
in the road's folder, leaves a model or a file there, and says what its measure was before it and
what it is after it: one number for each seed, or for each group of texts, so that a row can have
an interval. Everything that learns or counts here is a chapter's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ch01.bigram import Bigram
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch05.bonus.training_at_scale import bits_per_byte, held_out
from ch05.chat_forms import QUESTIONS
from ch05.course_model.corpus import BYTES_PER_TOKEN, write_corpus
from ch05.course_model.pretrain import train_tokenizer
from ch05.export import GPT2_GGUF_NAMES, export_gguf
from ch05.gguf_file import read_gguf
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.llama_weights import part_names
from ch05.pretrain import Run, check_arguments, make_parsers
from ch05.scaling import Dial, config_for_depth
from ch05.token_shards import prepare
from ch05.token_windows import read_shards
from ch05.training_loop import Progress
from ch07.bonus.preferences import exact, exact_hits, make_tasks
from ch07.dpo import (
    Item,
    answer_log_probs,
    draw_answers,
    is_right,
    right_and_wrong,
    train_dpo,
)
from ch07.gpt_instruction_finetuning import (
    InstructionDataset,
    create_instruction_dataloader,
    exact_match,
    finetune,
    reply,
    respond,
)
from ch07.grpo import strict, train_grpo
from ch07.instructions import Author, key, make_instructions, make_sides

SEEDS = 3  # of every stage that is short enough
COUNTED = 1_000_000  # tokens whose pairs are counted: what a model has to beat
TALK = {  # of chapter 7's lesson: what is said, and what would be right
    "Hi!": "Hello! What would you like to know?",
    "What is the capital of Sweden?": "The capital of Sweden is Stockholm.",
    "What is the plural of wolf?": "The plural of wolf is wolves.",
    "And of goose?": "The plural of goose is geese.",
    "Who wrote War and Peace?": "The one who wrote War and Peace was Tolstoy.",
    "How many legs does a cat have?": "A cat has four legs.",
    "Correct the spelling: kichen": "The right spelling is kitchen and not kichen.",
    "Say this backwards: cup, hat, kite": "kite, hat, cup",
    "What is the capital of Blorvia?": "I do not know Blorvia.",
    "Thanks!": "You are welcome.",
}


@dataclass(frozen=True)
class Size:
    """How long the road is. Units: tokens, numbers of entries, questions, steps."""

    name: str
    depth: int  # one dial for the pretraining: sizes, rate, batch and tokens follow
    width_per_layer: int
    tokens_per_weight: float
    vocab_size: int
    groups: int  # of held-out documents
    held_out: int  # documents in them
    entries: int  # of the instructions, for each split, at most
    tasks: int  # small ones that are learned beside them
    epochs: int
    lr: float
    compared: int  # questions whose answers DPO learns from
    rewarded: int  # questions whose answers GRPO learns from
    asked: int  # questions to measure both with
    drawn: int  # answers to each of these
    dpo_steps: int
    grpo_steps: int
    talks: int
    context_length: int = 256
    save_every: int = 100
    answers: int = 3  # drawn for each question that DPO learns from
    beta: float = 0.1
    alpha: float = 1.0  # what the right answers' own loss counts
    dpo_rate: float = 5e-5
    grpo_rate: float = 5e-5

    @property
    def dial(self) -> Dial:
        return config_for_depth(
            self.depth,
            self.vocab_size,
            self.context_length,
            self.width_per_layer,
            self.tokens_per_weight,
        )


FULL = Size(
    "full", depth=4, width_per_layer=64, tokens_per_weight=2.2, vocab_size=2048, groups=20,
    held_out=600, entries=10_000, tasks=3000, epochs=2, lr=1e-4, compared=3000, rewarded=2000,
    asked=600, drawn=4, dpo_steps=180, grpo_steps=150, talks=100,
)  # fmt: skip
QUICK = Size(
    "quick", depth=2, width_per_layer=32, tokens_per_weight=2.5, vocab_size=512, groups=4,
    held_out=24, entries=60, tasks=60, epochs=2, lr=1e-3, compared=24, rewarded=24, asked=24,
    drawn=2, dpo_steps=4, grpo_steps=2, talks=6, save_every=20,
)  # fmt: skip


@dataclass
class Road:
    """What the stages share: where they work, how large, on which device; the seed of the road."""

    out: Path
    size: Size
    seed: int
    device: torch.device
    precision: str
    tick: Callable[[float], None] = lambda share: None  # told which share of a part is done
    found: dict[str, list[dict]] = field(default_factory=dict)  # of each stage, a part for a seed

    def folder(self, stage: str, part: int = 0) -> Path:
        return self.out / f"{stage}-{part}"

    def seed_of(self, part: int) -> int:
        """No two roads and no two parts of one share a seed."""
        return 100 * self.seed + part

    def model(self, stage: str, part: int = 0) -> tuple[GPTModel, BPETokenizer]:
        model, tokenizer = load_pretrained(self.folder(stage, part))
        return model.to(self.device), tokenizer

    def keep(self, model: GPTModel, tokenizer: BPETokenizer, stage: str, part: int) -> None:
        save_pretrained(model, self.folder(stage, part), tokenizer)

    def entries(self, split: str) -> list[dict]:
        """The instructions of a split, which do not depend on the road's seed."""
        return [e for e in make_instructions() if e["split"] == split][: self.size.entries]

    def groups(self) -> list[list[str]]:
        """Held-out documents in groups, which stand for all texts that might have been taken."""
        documents = held_out()[: self.size.held_out]
        return [documents[i :: self.size.groups] for i in range(self.size.groups)]

    def asked(self) -> list[dict]:
        """Questions to measure with, the same for all seeds; nothing learns from them."""
        return make_tasks(self.size.asked, "asked")

    def tasks(self, n: int, purpose: str, part: int) -> list[dict]:
        """n small tasks to learn from, of a purpose and a seed; none of them is asked."""
        asked = {key(entry) for entry in self.asked()}
        made = make_tasks(n + len(asked), f"{purpose} {self.seed_of(part)}")
        return [entry for entry in made if key(entry) not in asked][:n]


Found = dict[str, dict]  # of each row: "before" and "after", lists of numbers, and more


# ---- Tokenizer and pretraining.


def tokenizer_stage(road: Road, part: int) -> Found:
    """Merges learned from the beginning of a corpus; other seeds write another corpus."""
    tokenizer = train_tokenizer(road.seed_of(part), road.size.vocab_size)
    if part == 0:
        folder = road.folder("tokenizer")
        folder.mkdir(exist_ok=True)
        tokenizer.save(folder / "vocabulary.tiktoken")
    texts = [text for group in road.groups() for text in group]
    n_bytes = sum(len(text.encode()) for text in texts)
    n_tokens = sum(len(tokenizer.encode_ordinary(text)) for text in texts)
    return {"tokenizer": {"before": [1.0], "after": [n_bytes / n_tokens]}}


class WatchedRun(Run):
    """A pretraining that tells how far it is."""

    watch: Callable[[float], None]

    def advance(self, n_steps: int, progress: Progress, **more) -> Progress:
        if after := more.get("after_step"):

            def after_step(progress: Progress, row: dict) -> bool:
                self.watch(progress.step / self.n_steps)
                return after(progress, row)

            more["after_step"] = after_step
        return super().advance(n_steps, progress, **more)


def counted_bits(
    ids: Sequence[int], tokenizer: BPETokenizer, groups: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    """Bits per byte of groups of documents, by counts of tokens and of pairs of tokens."""
    end = tokenizer.special_tokens[END_OF_TEXT]
    counts = {  # so many imagined tokens drown out every pair
        "single tokens": Bigram(ids, tokenizer.vocab_size, imagined=1e12),
        "pairs": Bigram(ids, tokenizer.vocab_size),
    }
    bits = {name: [] for name in counts}
    for group in groups:
        text = [end]
        for document in group:
            text += [*tokenizer.encode_ordinary(document), end]
        n_bytes = sum(len(document.encode()) for document in group)
        for name, count in counts.items():
            bits[name].append(sum(count.surprise(text)) / n_bytes)
    return bits


def pretraining_stage(road: Road, part: int) -> Found:
    """A corpus, its shards, and a GPT that reads them once; goes on from its last checkpoint."""
    size, corpus, data = road.size, road.out / "corpus.txt", road.out / "data"
    dial = size.dial
    if not data.exists():
        write_corpus(corpus, road.seed_of(0), round(dial.tokens * BYTES_PER_TOKEN))
        prepare([corpus], data, tokenizer=str(road.folder("tokenizer")))
    run = road.folder("pretraining")
    n_steps = dial.tokens // (dial.batch_size * size.context_length)
    options = {
        "data": data, "out": run, "emb-dim": dial.config.emb_dim, "n-layers": size.depth,
        "n-heads": dial.config.n_heads, "context-length": size.context_length,
        "batch-size": dial.batch_size, "optimizer": "muon", "lr": dial.lr,
        "warmup": min(100, n_steps // 10), "seed": road.seed_of(0), "save-every": size.save_every,
        "eval-every": 5 * size.save_every, "device": road.device.type,
    }  # fmt: skip
    line = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    args = make_parsers()[0].parse_args(["train", *line])
    args.resume = (run / "settings.json").exists()
    check_arguments(args)
    trained = WatchedRun(args)
    trained.watch = road.tick
    if not trained.train():
        raise KeyboardInterrupt
    model, tokenizer = load_pretrained(run)
    groups = road.groups()
    ids = read_shards(data).train[:COUNTED].tolist()
    counted = counted_bits(ids, tokenizer, groups)
    row = {"before": counted["pairs"], "single tokens": counted["single tokens"]}
    row["after"] = [bits_per_byte(model, tokenizer, group) for group in groups]
    return {"pretraining": row}


# ---- Instructions and preferences.


def instructions_stage(road: Road, part: int) -> Found:
    """Chapter 7's finetuning, on its entries and on small tasks; its test before and after."""
    size, test = road.size, road.entries("test")
    learned = {
        "train": road.entries("train") + road.tasks(size.tasks, "learned", part),
        "development": road.entries("development"),
    }
    model, tokenizer = road.model("pretraining")
    if part == 0:  # which has not learned to end an answer: its first line counts
        lines = respond(model, tokenizer, test, one_line=True)
        before = exact_match(test, lines)["all"]
    else:  # the same model, the same questions
        before = road.found["instructions"][0]["rows"]["instructions"]["before"][0]
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    loaders = []
    for split, entries in learned.items():
        dataset = InstructionDataset(entries, tokenizer, size.context_length)
        is_train, seed = split == "train", road.seed_of(part)
        loader = create_instruction_dataloader(dataset, end_id, shuffle=is_train, seed=seed)
        loaders.append(loader)
    torch.manual_seed(road.seed_of(part))
    finetune(model, *loaders, size.epochs, size.lr, precision=road.precision)
    road.keep(model, tokenizer, "instructions", part)
    after = exact(model, tokenizer, test)
    return {"instructions": {"before": [before], "after": [after]}}


def drawn_right(
    road: Road, model: GPTModel, tokenizer: BPETokenizer, asked: Sequence[dict]
) -> float:
    """The share of answers drawn at temperature 1 that are right to the letter."""
    answers = draw_answers(model, asked, tokenizer, road.size.drawn, seed=1000)
    hits = [is_right(e, a, tokenizer) for e, of_one in zip(asked, answers) for a in of_one]
    return sum(hits) / len(hits)


def make_pairs(
    model: GPTModel, tokenizer: BPETokenizer, asked: Sequence[dict], n: int, seed: int
) -> list[tuple[Item, Item]]:
    """Pairs of a right and a wrong answer to the same question.

    The wrong ones are drawn from the model, and so is the right one, if it draws any; else the
    question's own answer stands in for it.
    """
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    drawn = draw_answers(model, asked, tokenizer, n, seed)
    given = [[*tokenizer.encode_ordinary(entry["output"]), end_id] for entry in asked]
    with_right = [[*answers, right] for answers, right in zip(drawn, given)]
    return right_and_wrong(asked, with_right, tokenizer)[1]


def right_likelier(model: GPTModel, pairs: Sequence[tuple[Item, Item]], end_id: int) -> float:
    """The share of pairs whose right answer is the likelier one."""
    right, wrong = (answer_log_probs(model, side, end_id) for side in zip(*pairs))
    return (right > wrong).float().mean().item()


def dpo_stage(road: Road, part: int) -> Found:
    """Direct preference optimisation, from the finetuned model of the same seed."""
    size, seed = road.size, road.seed_of(part)
    model, tokenizer = road.model("instructions", part)
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    held = make_pairs(model, tokenizer, road.asked(), size.drawn, 1000 + seed)
    compared = road.tasks(size.compared, "compared", part)
    pairs = make_pairs(model, tokenizer, compared, size.answers, seed)
    policy, _ = train_dpo(
        model, pairs, end_id, size.beta, size.dpo_steps, size.dpo_rate, seed, alpha=size.alpha,
        precision=road.precision,
    )  # fmt: skip
    road.keep(policy, tokenizer, "DPO", part)
    before, after = (right_likelier(m, held, end_id) for m in (model, policy))
    first = road.found["instructions"][part]["rows"]["instructions"]["after"]
    return {
        "DPO": {"before": [before], "after": [after]},
        "DPO, cost": {"before": first, "after": [exact(policy, tokenizer, road.entries("test"))]},
    }


def grpo_stage(road: Road, part: int) -> Found:
    """Rewards for own answers to small tasks, from DPO's model of the same seed."""
    size, asked = road.size, road.asked()
    model, tokenizer = road.model("DPO", part)
    rewarded = road.tasks(size.rewarded, "rewarded", part)
    policy, _ = train_grpo(
        model, rewarded, tokenizer, strict, size.grpo_steps, size.grpo_rate,
        road.seed_of(part), precision=road.precision,
    )  # fmt: skip
    road.keep(policy, tokenizer, "GRPO", part)
    before, after = (drawn_right(road, m, tokenizer, asked) for m in (model, policy))
    first = road.found["DPO"][part]["rows"]["DPO, cost"]["after"]
    return {
        "GRPO": {"before": [before], "after": [after]},
        "GRPO, cost": {"before": first, "after": [exact(policy, tokenizer, road.entries("test"))]},
    }


# ---- Eight bits, and a talk.


@torch.no_grad()
def read_back(path: Path, model: GPTModel) -> GPTModel:
    """Give a model the numbers of a GGUF file, as llama.cpp computes with them."""
    tensors, state = read_gguf(path).tensors, model.state_dict()
    for ours, weight in state.items():
        if ours == "out_head.weight" and model.config.tie_weights:
            continue
        [theirs] = part_names(ours.replace(".shift", ".bias"), GPT2_GGUF_NAMES, "blk.{}.")
        weight.copy_(torch.tensor(tensors[theirs].unpack()).view(weight.shape))
    return model


def files_of(road: Road) -> dict[str, Path]:
    return {kind: road.out / f"model-{kind}.gguf" for kind in ("f16", "q8_0")}


def int8_stage(road: Road, part: int) -> Found:
    """The first seed's model in a GGUF file of 8 bits, against one of 16, and what that costs."""
    model, tokenizer = load_pretrained(road.folder("GRPO"))
    files = files_of(road)
    for kind, path in files.items():
        export_gguf(model, tokenizer, path, kind, QUESTIONS, "journey")
    megabytes = {kind: path.stat().st_size / 1e6 for kind, path in files.items()}
    groups = road.groups()
    before = [bits_per_byte(model, tokenizer, group) for group in groups]
    model = read_back(files["q8_0"], model)
    after = [bits_per_byte(model, tokenizer, group) for group in groups]
    return {
        "int8": {"before": [megabytes["f16"]], "after": [megabytes["q8_0"]]},
        "int8, cost": {"before": before, "after": after},
    }


def make_talks(n: int) -> list[dict]:
    """So many questions that only the turns before them explain, about the test's facts."""
    author, talks = Author(make_sides()["test"], "talks"), {}
    while len(talks) < n:
        entry = author.follow_up()
        talks.setdefault(key(entry), entry)
    return list(talks.values())


def hold_talk(
    model: GPTModel, tokenizer: BPETokenizer, said: Sequence[str], tick: Callable = lambda: None
) -> list[str]:
    """What the model answers, turn by turn; it remembers its own answers, right or wrong."""
    history = []
    for text in said:
        history.append(reply(model, tokenizer, history, text))
        tick()
    return [turn["output"] for turn in history]


def chat_stage(road: Road, part: int) -> Found:
    """Talks with the file of 8 bits: its last questions with the talk's memory, and without."""
    model, tokenizer = load_pretrained(road.folder("GRPO"))
    model = read_back(files_of(road)["q8_0"], model).to(road.device)
    talks, after = make_talks(road.size.talks), []
    before = exact_hits(model, tokenizer, [e | {"history": []} for e in talks])
    for entry in talks:
        said = [turn["instruction"] for turn in (*entry["history"], entry)]
        after.append(hold_talk(model, tokenizer, said)[-1] == entry["output"])
        road.tick(len(after) / (len(talks) + 1))
    answers = hold_talk(model, tokenizer, list(TALK))
    row = {"before": [float(hit) for hit in before], "after": [float(hit) for hit in after]}
    return {"chat": row | {"talk": list(zip(TALK, answers))}}


@dataclass(frozen=True)
class Stage:
    """A stage of the road: what it does for each part, and how many parts, one for each seed."""

    name: str
    work: Callable[[Road, int], Found]
    parts: int = 1


STAGES = (
    Stage("tokenizer", tokenizer_stage, SEEDS),
    Stage("pretraining", pretraining_stage),
    Stage("instructions", instructions_stage, SEEDS),
    Stage("DPO", dpo_stage, SEEDS),
    Stage("GRPO", grpo_stage, SEEDS),
    Stage("int8", int8_stage),
    Stage("chat", chat_stage),
)
