"""Finetune a GPT to tell spam from other short messages ("ham"), from Python or the command line.

    python -m ch06.gpt_class_finetune                          # train, test, save to runs/spam
    python -m ch06.gpt_class_finetune --classify "MESSAGE"     # ask what was saved
    python -m ch06.gpt_class_finetune --compare                # seven ways to train, three seeds

Dimension key: N messages, B batch, T tokens, C embedding, K classes.
"""

import argparse
import copy
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset
from tqdm.auto import tqdm

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, choose_device, count_parameters
from ch04.kv_cache import evaluating
from ch05.files import check_writable
from ch05.gpt_weights import load_pretrained
from ch05.precision import autocast, choose_precision
from ch06.messages import make_messages
from ch06.uci_messages import read_uci
from course.files import written_whole
from course.terminal import replace_unprintable

END_MARK = "\n"  # behind a message: where a text goes on to say what became of it
LABELS = ("ham", "spam")  # the number of a class is its place here
SPLITS = ("train", "validation", "test")
TOKENS = ("end", "last", "first", "padded")  # what the head may read; end: the mark after the text
LAYERS = ("head", "last-block", "all")  # what may be trained


def split_at_random(messages: pd.DataFrame, seed: int = 123) -> pd.DataFrame:
    """Give 70 of 100 messages to training, 10 to validation, 20 to the test, a text only once.

    Texts that differ only in capitals and white space count as the same.
    """
    form = messages.text.str.lower().str.split().str.join(" ")  # a forwarded copy may differ so
    messages = messages[~form.duplicated()].sample(frac=1, random_state=seed)
    n_train, n_validation = len(messages) * 7 // 10, len(messages) // 10
    n_test = len(messages) - n_train - n_validation
    splits = ["train"] * n_train + ["validation"] * n_validation + ["test"] * n_test
    return messages.assign(split=splits).reset_index(drop=True)


def load_messages(data: str | None = None) -> pd.DataFrame:
    """Load the messages of data (course or uci), or of COURSE_DATA: label, text and split of each.

    Raises: ValueError for other data, OSError if uci is not here and cannot be fetched.
    """
    data = data or os.environ.get("COURSE_DATA") or "course"
    if data == "course":  # made with its own split: no template stands in two parts
        return pd.DataFrame(make_messages())[["label", "text", "split"]]
    if data == "uci":
        return split_at_random(pd.DataFrame(read_uci(), columns=["label", "text"]))
    raise ValueError(f"there are no messages called {data!r}: choose course or uci")


def balance(
    messages: pd.DataFrame, n_per_class: int | None = None, seed: int = 123
) -> pd.DataFrame:
    """Draw equally many messages of each class (as many as the rarer has), in random order.

    Raises: ValueError if a class has fewer than n_per_class.
    """
    counts = messages.label.value_counts().reindex(LABELS, fill_value=0)
    n = counts.min() if n_per_class is None else n_per_class
    if not 1 <= n <= counts.min():
        raise ValueError(f"cannot draw {n} of each class from {counts.to_dict()}")
    drawn = messages.groupby("label").sample(int(n), random_state=seed)
    return drawn.sample(frac=1, random_state=seed).reset_index(drop=True)


def save_splits(messages: pd.DataFrame, folder: str | Path) -> None:
    """Write train.csv, validation.csv and test.csv, each whole or not at all."""
    for split in SPLITS:
        part = messages.loc[messages.split == split, ["label", "text"]]
        with written_whole(Path(folder) / f"{split}.csv") as draft:
            part.to_csv(draft, index=False, encoding="utf-8")


class MessageDataset(Dataset):
    """Messages as token ids, a line break behind each, with the number of their class.

    A message is cut so that it has at most max_length tokens, its end mark included.
    Raises: ValueError for an empty message, an unknown label, or max_length < 2.
    """

    def __init__(self, messages: pd.DataFrame, tokenizer: BPETokenizer, max_length: int):
        if max_length < 2:
            raise ValueError(f"max_length={max_length} must be at least 2: a token and the end")
        (self.end_id,) = tokenizer.encode_ordinary(END_MARK)
        self.ids = []
        for i, text in enumerate(messages.text):
            ids = tokenizer.encode_ordinary(text)[: max_length - 1]
            if not ids:
                raise ValueError(f"message {i} is empty: there is nothing to learn from")
            self.ids.append(torch.tensor([*ids, self.end_id]))
        unknown = set(messages.label) - set(LABELS)
        if unknown:
            raise ValueError(f"label {min(unknown, key=str)!r} is none of {', '.join(LABELS)}")
        self.labels = torch.tensor([LABELS.index(label) for label in messages.label])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.ids[index], self.labels[index]


class SimilarLengths(Sampler):
    """Batches of texts of about the same length, so that little is padded.

    With a generator, neighbours in length are mixed and the batches shuffled, anew in each epoch.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, generator: torch.Generator | None = None
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self.lengths = torch.tensor(lengths, dtype=torch.float)
        self.batch_size, self.generator = batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)  # rounded up

    def __iter__(self) -> Iterator[list[int]]:
        if self.generator is None:
            batches = self.lengths.argsort(stable=True).split(self.batch_size)
            return (batch.tolist() for batch in batches)
        noise = 8 * torch.rand(len(self.lengths), generator=self.generator)
        batches = (self.lengths + noise).argsort(stable=True).split(self.batch_size)
        order = torch.randperm(len(batches), generator=self.generator)
        return (batches[i].tolist() for i in order)


def create_message_dataloader(
    dataset: MessageDataset,
    batch_size: int = 16,
    seed: int | None = None,
    pad_to: int | None = None,
) -> DataLoader:
    """Batches of ids (B, T), the place of each message's end mark (B,), and classes (B,).

    A batch is padded with further end marks to its longest message, or to pad_to tokens. It is
    shuffled if a seed is given; without one the order is that of the lengths.
    Raises: ValueError if batch_size < 1 or a message is longer than pad_to.
    """
    lengths = [len(ids) for ids in dataset.ids]
    if pad_to is not None and max(lengths) > pad_to:
        raise ValueError(f"a message of {max(lengths)} tokens is longer than pad_to={pad_to}")

    def collate(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        ids, labels = zip(*items)
        idx = pad_sequence(ids, batch_first=True, padding_value=dataset.end_id)  # (B, T)
        if pad_to is not None:
            idx = F.pad(idx, (0, pad_to - idx.shape[1]), value=dataset.end_id)
        return idx, torch.tensor([len(message) - 1 for message in ids]), torch.stack(labels)

    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = SimilarLengths(lengths, batch_size, generator)
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)


class GPTClassifier(nn.Module):
    """A GPT that scores classes: its output layer gives way to a head that reads one token.

    The GPT is copied, so that one pretrained model can start many classifiers.
    Shapes: idx (B, T), end (B,) the places of the end marks -> logits (B, K).
    Raises: ValueError for an unknown token.
    """

    def __init__(self, gpt: GPTModel, n_classes: int = len(LABELS), token: str = "end"):
        super().__init__()
        if token not in TOKENS:
            raise ValueError(f"token={token!r} is none of {', '.join(TOKENS)}")
        self.token = token
        self.gpt = copy.deepcopy(gpt)
        self.gpt.out_head = nn.Identity()  # a score for each token is not wanted any more
        self.head = nn.Linear(gpt.config.emb_dim, n_classes)
        nn.init.normal_(self.head.weight, std=0.02)  # as GPT-2's weights
        nn.init.zeros_(self.head.bias)

    def vectors(self, idx: Tensor, end: Tensor) -> Tensor:
        """The final vector of the token that the head reads: (B, T), (B,) -> (B, C)."""
        if self.token == "first":
            return self.gpt.features(idx[:, :1])[:, 0]  # the others cannot change what it sees
        x = self.gpt.features(idx)  # (B, T, C)
        if self.token == "padded":
            return x[:, -1]
        return x[torch.arange(len(x)), end if self.token == "end" else end - 1]

    def forward(self, idx: Tensor, end: Tensor) -> Tensor:
        return self.head(self.vectors(idx, end))


def train_only(model: GPTClassifier, layers: str) -> None:
    """Freeze all weights but those of the head, of the last block (with norm and head), or none.

    Raises: ValueError for unknown layers.
    """
    if layers not in LAYERS:
        raise ValueError(f"layers={layers!r} is none of {', '.join(LAYERS)}")
    trained = {
        "head": [model.head],
        "last-block": [model.gpt.blocks[-1], model.gpt.final_norm, model.head],
        "all": [model],
    }
    model.requires_grad_(False)
    for module in trained[layers]:
        module.requires_grad_(True)


def classification_loss(
    model: nn.Module, batch: Sequence[Tensor], precision: str = "float32"
) -> tuple[Tensor, Tensor]:
    """The mean cross-entropy of a batch (inputs first, classes last), and its logits (B, K)."""
    device = next(model.parameters()).device
    *inputs, labels = (tensor.to(device) for tensor in batch)
    with autocast(device, precision):
        logits = model(*inputs).float()
    return F.cross_entropy(logits, labels), logits


@torch.no_grad()
def predict(model: nn.Module, loader: DataLoader) -> tuple[Tensor, Tensor]:
    """The logits (N, K) of all messages of a loader, and their classes (N,)."""
    with evaluating(model):
        parts = [(classification_loss(model, batch)[1].cpu(), batch[-1]) for batch in loader]
    logits, labels = zip(*parts)
    return torch.cat(logits), torch.cat(labels)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of messages whose class has the highest score."""
    return (logits.argmax(dim=-1) == labels).double().mean().item()


def recalls(logits: Tensor, labels: Tensor) -> list[float]:
    """For each class, the share of its messages that were recognised (nan if there are none)."""
    return [accuracy(logits[labels == k], labels[labels == k]) for k in range(logits.shape[1])]


def train_classifier(
    model: nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader | None = None,
    epochs: int = 3,
    learning_rate: float = 5e-4,
    eval_every: int | None = None,
    progress: bool = True,
    precision: str = "float32",
) -> list[dict]:
    """Train what is not frozen with AdamW; the rate rises for a tenth of the steps, then falls.

    It reaches learning_rate, and is near to 0 at the last step.

    After every eval_every steps (by default, after each epoch) the history gets a row: step, epoch,
    loss and accuracy on what was trained on since the last row, and on val_loader if there is one.
    Raises: ValueError if the loss is not finite, or epochs < 1.
    """
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1")
    optimizer = AdamW((p for p in model.parameters() if p.requires_grad), lr=learning_rate)
    n_steps = epochs * len(train_loader)
    n_warm = max(1, n_steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / n_warm, (n_steps - step) / (n_steps - n_warm + 1)),
    )
    history, losses, rights, step = [], [], [], 0
    bar = tqdm(total=n_steps, desc="finetuning", disable=not progress)
    model.train()
    for epoch in range(1, epochs + 1):
        for batch in train_loader:
            loss, logits = classification_loss(model, batch, precision)
            if not loss.isfinite():
                raise ValueError(f"the loss is {loss.item()}: lower the learning rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses += [loss.item()] * len(logits)
            rights.append(logits.detach().argmax(dim=-1).cpu() == batch[-1])
            step += 1
            bar.update()
            if step % (eval_every or len(train_loader)) == 0 or step == n_steps:
                row = {
                    "step": step,
                    "epoch": epoch,
                    "train_loss": sum(losses) / len(losses),
                    "train_accuracy": torch.cat(rights).double().mean().item(),
                }
                if val_loader is not None:
                    scores, labels = predict(model, val_loader)
                    row["val_loss"] = F.cross_entropy(scores, labels).item()
                    row["val_accuracy"] = accuracy(scores, labels)
                history.append(row)
                losses, rights = [], []
    bar.close()
    return history


@torch.no_grad()
def cache_vectors(model: GPTClassifier, loader: DataLoader) -> TensorDataset:
    """What the head will read of each message, once and for all epochs: the GPT below is frozen."""
    device = next(model.parameters()).device
    model.eval()
    parts = []
    for idx, end, labels in loader:
        parts.append((model.vectors(idx.to(device), end.to(device)).cpu(), labels))
    vectors, labels = zip(*parts)
    return TensorDataset(torch.cat(vectors), torch.cat(labels))


@dataclass(frozen=True)
class Setting:
    """One way to train a classifier."""

    learning_rate: float
    epochs: int
    layers: str = "last-block"
    token: str = "end"
    pretrained: bool = True


# For few labels. The rates of the first and the fourth were chosen on the validation messages, and
# so many epochs that the training messages are known (see --compare --split validation).
SETTINGS = {
    "all layers": Setting(5e-4, 10, layers="all"),
    "last block": Setting(1e-3, 10),
    "head only": Setting(1e-2, 30, layers="head"),
    "all layers, random weights": Setting(5e-4, 10, layers="all", pretrained=False),
    "last block, last token": Setting(1e-3, 10, token="last"),
    "last block, first token": Setting(1e-3, 10, token="first"),
    "last block, padded token": Setting(1e-3, 10, token="padded"),
}


def train_setting(
    setting: Setting, model: GPTClassifier, train_loader: DataLoader, seed: int
) -> list[dict]:
    """Train a classifier as a setting says and return the history."""
    train_only(model, setting.layers)
    trained = model
    if setting.layers == "head":
        shuffled = torch.Generator().manual_seed(seed)
        vectors = cache_vectors(model, train_loader)
        trained = model.head
        train_loader = DataLoader(vectors, batch_size=16, shuffle=True, generator=shuffled)
    return train_classifier(
        trained,
        train_loader,
        epochs=setting.epochs,
        learning_rate=setting.learning_rate,
        progress=False,
    )


def compare(
    gpt: GPTModel,
    tokenizer: BPETokenizer,
    messages: pd.DataFrame,
    settings: dict[str, Setting],
    seeds: Sequence[int] = (1, 2, 3),
    n_per_class: int | None = None,
    max_length: int = 64,
    split: str = "test",
) -> pd.DataFrame:
    """Train with every setting and seed, and measure on a balanced split: a row for each run.

    A seed draws the training messages, the head, the order, and the random weights.
    """
    device = next(gpt.parameters()).device
    measured = MessageDataset(balance(messages[messages.split == split]), tokenizer, max_length)
    runs = []
    for seed, (name, setting) in tqdm(
        [(seed, item) for seed in seeds for item in settings.items()], desc="comparing"
    ):
        torch.manual_seed(seed)
        start = gpt if setting.pretrained else GPTModel(gpt.config)
        model = GPTClassifier(start, token=setting.token).to(device)
        train = balance(messages[messages.split == "train"], n_per_class, seed)
        pad_to = max_length if setting.token == "padded" else None
        train_loader = create_message_dataloader(
            MessageDataset(train, tokenizer, max_length), 16, seed, pad_to
        )
        history = train_setting(setting, model, train_loader, seed)
        logits, labels = predict(model, create_message_dataloader(measured, 32, pad_to=pad_to))
        ham, spam = recalls(logits, labels)
        runs.append(
            {
                "setting": name,
                "seed": seed,
                "training": history[-1]["train_accuracy"],
                split: accuracy(logits, labels),
                "ham": ham,
                "spam": spam,
            }
        )
    return pd.DataFrame(runs)


def summarize(runs: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """For each setting the mean over the seeds, and the spread: the standard deviation."""
    grouped = runs.groupby("setting", sort=False)
    table = grouped[["training", split, "ham", "spam"]].mean()
    table.insert(2, "spread", grouped[split].std())
    return table


def classify(text: str, model: GPTClassifier, tokenizer: BPETokenizer) -> tuple[str, float]:
    """The class of a message, and the probability that the model gives to it.

    Raises: ValueError if the text is no string, is empty, or is longer than the context.
    """
    if not isinstance(text, str):
        raise ValueError(f"the message must be a text, not {text!r}")
    text = text.strip()  # a line break at its end would be a second end mark
    if not text:
        raise ValueError("the message is empty: there is nothing to classify")
    ids, limit = tokenizer.encode_ordinary(text), model.gpt.config.context_length - 1
    if len(ids) > limit:
        raise ValueError(f"the message has {len(ids)} tokens, but the model reads at most {limit}")
    idx = torch.tensor([[*ids, *tokenizer.encode_ordinary(END_MARK)]])
    logits, _ = predict(model, [(idx, torch.tensor([len(ids)]), torch.tensor([0]))])
    probabilities = logits[0].softmax(dim=-1)
    best = int(probabilities.argmax())
    return LABELS[best], probabilities[best].item()


def save_classifier(model: GPTClassifier, tokenizer: BPETokenizer, folder: str | Path) -> None:
    """Write a folder that load_classifier reads: weights, vocabulary, and what they mean.

    Raises: ValueError for a classifier that reads the padded token.
    """
    if model.token == "padded":
        raise ValueError("token='padded' is not saved: its answer depends on the padding")
    folder = Path(folder)
    described = {"labels": LABELS, "token": model.token, "config": asdict(model.gpt.config)}
    tokenizer.save(folder / "vocabulary.tiktoken")
    with written_whole(folder / "classifier.json") as draft:
        draft.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    with written_whole(folder / "model.safetensors") as draft:
        save_file({name: w.cpu() for name, w in model.state_dict().items()}, draft)


def load_classifier(folder: str | Path) -> tuple[GPTClassifier, BPETokenizer]:
    """Read a classifier and its tokenizer, ready for classify.

    Raises: FileNotFoundError if there is none in the folder, ValueError if a file is damaged or
    the classes are not LABELS.
    """
    folder = Path(folder)
    names = ("classifier.json", "model.safetensors", "vocabulary.tiktoken")
    if not all((folder / name).exists() for name in names):
        raise FileNotFoundError(
            f"there is no classifier in {folder}: `python -m ch06.gpt_class_finetune` makes one"
        )
    try:
        described = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        gpt = GPTModel(GPTConfig(**described["config"]))
        labels = tuple(described["labels"])
        model = GPTClassifier(gpt, len(labels), described["token"])
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the classifier in {folder} is damaged: {reason}") from None
    if labels != LABELS:
        raise ValueError(f"the classifier in {folder} knows the classes {labels}, not {LABELS}")
    return model.eval(), BPETokenizer.load(folder / "vocabulary.tiktoken")


def parse_arguments() -> argparse.Namespace:
    """Read the command line. Raises: ValueError for an option that --compare would ignore."""
    parser = argparse.ArgumentParser(
        prog="python -m ch06.gpt_class_finetune",
        description="Finetune a GPT to tell spam from other messages, and use it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--classify", metavar="TEXT", help="classify a message with what is saved in --out")
    add("--compare", action="store_true", help="compare ways to train instead; saves nothing")
    add("--out", default="runs/spam", help="the folder for the classifier")
    model, data = (os.environ.get(f"COURSE_{name}") or "course" for name in ("MODEL", "DATA"))
    add("--model", default=model, help="a model folder, or course, gpt2, …")
    add("--data", default=data, choices=("course", "uci"), help="the messages")
    add("--layers", default="last-block", choices=LAYERS, help="what is trained")
    add("--token", default="end", choices=TOKENS, help="the token that the head reads")
    add("--random-weights", action="store_true", help="forget what was learned in pretraining")
    add("--epochs", type=int, default=3)
    add("--batch-size", type=int, default=16, help="messages for each step")
    add("--lr", type=float, default=5e-4, help="AdamW's learning rate at its highest")
    add("--max-length", type=int, help="cut a message after so many tokens; if not given, 128")
    add("--per-class", type=int, help="training messages of each class; all of the rarer one's")
    add("--seed", type=int, default=123)
    add("--seeds", type=int, default=3, help="with --compare: how many")
    add("--split", default="test", choices=SPLITS[1:], help="with --compare: what to measure on")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    if args.compare:
        for name in ("out", "layers", "token", "random_weights", "epochs", "batch_size", "lr"):
            if getattr(args, name) != parser.get_default(name):
                option = name.replace("_", "-")
                raise ValueError(f"--compare has settings of its own: leave out --{option}")
    return args


def load_gpt(args: argparse.Namespace) -> tuple[GPTModel, BPETokenizer]:
    """Load the pretrained model that the arguments name, and settle where messages are cut."""
    gpt, tokenizer = load_pretrained(args.model)
    limit = gpt.config.context_length
    if args.max_length is None:
        args.max_length = min(128, limit)
    if args.max_length > limit:
        raise ValueError(f"max_length={args.max_length} is more than the context of {limit} tokens")
    return gpt, tokenizer


def run_comparison(args: argparse.Namespace) -> None:
    """Compare SETTINGS with as many seeds as the arguments say, and print the table."""
    if args.seeds < 1:
        raise ValueError(f"seeds={args.seeds} must be at least 1")
    gpt, tokenizer = load_gpt(args)
    runs = compare(
        gpt.to(choose_device(args.device)),
        tokenizer,
        load_messages(args.data),
        SETTINGS,
        seeds=range(args.seed, args.seed + args.seeds),
        n_per_class=args.per_class,
        max_length=args.max_length,
        split=args.split,
    )
    print((100 * summarize(runs, args.split)).round(1).to_string())


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, report on the terminal, save the classifier."""
    if args.token == "padded":
        raise ValueError("token='padded' is for --compare only: its answer depends on the padding")
    device = choose_device(args.device)
    precision = choose_precision(device)
    gpt, tokenizer = load_gpt(args)
    torch.manual_seed(args.seed)
    if args.random_weights:
        gpt = GPTModel(gpt.config)
    model = GPTClassifier(gpt, token=args.token).to(device)
    train_only(model, args.layers)
    messages = load_messages(args.data)
    loaders = {}
    for split in SPLITS:
        part = messages[messages.split == split]
        if split != "test":
            part = balance(part, args.per_class if split == "train" else None, args.seed)
        dataset = MessageDataset(part, tokenizer, args.max_length)
        seed = args.seed if split == "train" else None
        loaders[split] = create_message_dataloader(dataset, args.batch_size, seed)
        print(f"{split:10s} {len(part):5,} messages, {(part.label == 'spam').mean():.0%} spam")
    n = count_parameters(model)
    print(f"{args.layers}: {n:,} parameters are trained on {device} in {precision}")
    check_writable(args.out)
    history = train_classifier(
        model,
        loaders["train"],
        loaders["validation"],
        args.epochs,
        args.lr,
        precision=precision,
    )
    save_classifier(model, tokenizer, args.out)
    print((pd.DataFrame(history).round(3)).to_string(index=False))
    logits, labels = predict(model, loaders["test"])
    ham, spam = recalls(logits, labels)
    print(
        f"test: {accuracy(logits, labels):.1%} of {len(labels):,} messages are classified rightly, "
        f"{ham:.1%} of ham and {spam:.1%} of spam; classifier in {args.out}"
    )


def main() -> None:
    replace_unprintable()
    try:
        args = parse_arguments()
        if args.classify is not None:
            label, probability = classify(args.classify, *load_classifier(args.out))
            print(f"{label} ({probability:.0%})")
        elif args.compare:
            run_comparison(args)
        else:
            run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_class_finetune: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\ngpt_class_finetune: stopped; it saves what is trained to its end"
        ) from None


if __name__ == "__main__":
    main()
