"""Finetune a GPT to tell spam from other short messages ("ham").

python -m ch06.gpt_class_finetune                        # train, test, save
python -m ch06.gpt_class_finetune --classify "MESSAGE"   # ask what was saved
python -m ch06.gpt_class_finetune --web                  # ask it in the browser
python -m ch06.gpt_class_finetune --table                # the chapter's tables

Dimension key: N messages, B batch, T tokens, C embedding, K classes.
"""

import argparse
import copy
import hashlib
import json
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset
from tqdm.auto import tqdm

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, choose_device, count_parameters
from ch04.kv_cache import evaluating
from ch05.files import check_writable, saved_whole
from ch05.gpt_weights import load_pretrained
from ch05.precision import autocast, choose_precision
from ch06.messages import make_messages
from ch06.uci_messages import read_uci
from course.files import written_whole
from course.terminal import replace_unprintable

END_MARK = "\n"  # after a message, as in the pretraining
LABELS = ("ham", "spam")  # the number of a class is its place here
SPLITS = ("train", "validation", "test")
TOKENS = ("end", "last", "first", "padded")  # what the head may read
LAYERS = ("head", "last-block", "all")  # what may be trained


def split_at_random(messages: pd.DataFrame, seed: int = 123) -> pd.DataFrame:
    """Give 70 of 100 messages to training, 10 to validation, 20 to the test.

    A text comes only once. Texts that differ only in capitals and white space
    count as the same: a forwarded copy may differ so.
    """
    form = messages.text.str.lower().str.split().str.join(" ")
    messages = messages[~form.duplicated()].sample(frac=1, random_state=seed)
    n_train, n_validation = len(messages) * 7 // 10, len(messages) // 10
    n_test = len(messages) - n_train - n_validation
    splits = (
        ["train"] * n_train + ["validation"] * n_validation + ["test"] * n_test
    )
    return messages.assign(split=splits).reset_index(drop=True)


def load_messages(data: str | None = None) -> pd.DataFrame:
    """Load messages with their label and split: those of the course, or of uci.

    Without data, COURSE_DATA names them.
    Raises: ValueError for other data, OSError if uci cannot be fetched.
    """
    data = data or os.environ.get("COURSE_DATA") or "course"
    if data == "course":  # divided already: no story stands in two parts
        return pd.DataFrame(make_messages())[["label", "text", "split"]]
    if data == "uci":
        table = pd.DataFrame(read_uci(), columns=["label", "text"])
        return split_at_random(table)
    known = "choose course or uci"
    raise ValueError(f"there are no messages called {data!r}: {known}")


def balance(
    messages: pd.DataFrame, n_per_class: int | None = None, seed: int = 123
) -> pd.DataFrame:
    """Draw equally many messages of each class, in random order.

    Without n_per_class, as many as the rarer class has.
    Raises: ValueError if a class has fewer than n_per_class.
    """
    counts = messages.label.value_counts().reindex(LABELS, fill_value=0)
    n = counts.min() if n_per_class is None else n_per_class
    if not 1 <= n <= counts.min():
        has = counts.to_dict()
        raise ValueError(f"cannot draw {n} of each class from {has}")
    drawn = messages.groupby("label").sample(int(n), random_state=seed)
    return drawn.sample(frac=1, random_state=seed).reset_index(drop=True)


def interval(n_right: int, n: int) -> tuple[float, float]:
    """Where the true share lies with 95% confidence, if n_right of n are right.

    Raises: ValueError unless 0 <= n_right <= n and n >= 1.
    Source: Wilson 1927, "Probable inference, the law of succession, and
    statistical inference".
    """
    if not (n >= 1 and 0 <= n_right <= n):
        raise ValueError(f"{n_right} of {n} is no share")
    z, share = 1.96, n_right / n
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


def measure(said: pd.Series, labels: pd.Series) -> dict[str, float]:
    """How good answers are: shares, and the interval of the first.

    right: of all answers, with its interval (low, high); ham and spam: the
    recall of each class; precision: of what is called spam; balanced: the
    mean of the two recalls. A share of nothing is nan.
    """
    right, spam = said == labels, labels == "spam"
    low, high = interval(int(right.sum()), len(right))
    shares = {"ham": right[~spam].mean(), "spam": right[spam].mean()}
    return {
        "right": right.mean(),
        "low": low,
        "high": high,
        **shares,
        "precision": right[said == "spam"].mean(),
        "balanced": sum(shares.values()) / 2,
    }


def as_percent(table: pd.DataFrame) -> pd.DataFrame:
    """A table of shares in percent; the columns runs and seeds are counts."""
    counts = [name for name in ("runs", "seeds") if name in table.columns]
    kept = {name: table[name].astype(int) for name in counts}
    return (100 * table).round(1).assign(**kept)


def bag_of_words(train: pd.DataFrame) -> Pipeline:
    """A judge that weighs the words of a message, whatever their order.

    Its predict gives the labels of texts.
    """
    judge = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000))
    return judge.fit(train.text, train.label)


def save_splits(messages: pd.DataFrame, folder: str | Path) -> None:
    """Write a CSV file for each split, whole or not at all."""
    for split in SPLITS:
        part = messages.loc[messages.split == split, ["label", "text"]]
        with written_whole(Path(folder) / f"{split}.csv") as draft:
            part.to_csv(draft, index=False, encoding="utf-8")


class MessageDataset(Dataset):
    """Messages as token ids, an end mark after each, and their class's number.

    A message is cut to at most max_length tokens, its end mark included.
    Raises: ValueError for an empty message, an unknown label, or
    max_length < 2.
    """

    def __init__(
        self, messages: pd.DataFrame, tokenizer: BPETokenizer, max_length: int
    ):
        if max_length < 2:
            what = "must be at least 2: a token and the end"
            raise ValueError(f"max_length={max_length} {what}")
        (self.end_id,) = tokenizer.encode_ordinary(END_MARK)
        self.ids = []
        for i, text in enumerate(messages.text):
            ids = tokenizer.encode_ordinary(text)[: max_length - 1]
            if not ids:
                what = "is empty: there is nothing to learn from"
                raise ValueError(f"message {i} {what}")
            self.ids.append(torch.tensor([*ids, self.end_id]))
        if unknown := set(messages.label) - set(LABELS):
            label = min(unknown, key=str)
            raise ValueError(f"label {label!r} is none of {', '.join(LABELS)}")
        numbers = [LABELS.index(label) for label in messages.label]
        self.labels = torch.tensor(numbers)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.ids[index], self.labels[index]


class SimilarLengths(Sampler):
    """Batches of texts of about the same length, so that little is padded.

    With a generator, neighbours in length are mixed and the batches shuffled,
    anew in each epoch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        generator: torch.Generator | None = None,
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
        batches = (
            (self.lengths + noise).argsort(stable=True).split(self.batch_size)
        )
        order = torch.randperm(len(batches), generator=self.generator)
        return (batches[i].tolist() for i in order)


def create_message_dataloader(
    dataset: MessageDataset,
    batch_size: int = 16,
    seed: int | None = None,
    pad_to: int | None = None,
) -> DataLoader:
    """Batches: ids (B, T), places of the end marks (B,), and classes (B,).

    A batch is padded with further end marks to its longest message, or to
    pad_to tokens. It is shuffled if a seed is given; without one the order is
    that of the lengths.
    Raises: ValueError if batch_size < 1 or a message is longer than pad_to.
    """
    lengths, end_id = [len(ids) for ids in dataset.ids], dataset.end_id
    if pad_to is not None and max(lengths) > pad_to:
        what = f"a message of {max(lengths)} tokens"
        raise ValueError(f"{what} is longer than pad_to={pad_to}")

    def collate(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        ids, labels = zip(*items)
        idx = pad_sequence(ids, batch_first=True, padding_value=end_id)
        if pad_to is not None:
            idx = F.pad(idx, (0, pad_to - idx.shape[1]), value=end_id)
        end = torch.tensor([len(message) - 1 for message in ids])
        return idx, end, torch.stack(labels)

    generator = None
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
    batches = SimilarLengths(lengths, batch_size, generator)
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate)


class GPTClassifier(nn.Module):
    """A GPT that scores classes: a new head reads the vector of one token.

    The GPT is copied, so that one pretrained model can start many classifiers.
    Shapes: idx (B, T), end (B,), the places of the end marks -> logits (B, K).
    Raises: ValueError for an unknown token.
    """

    def __init__(
        self, gpt: GPTModel, n_classes: int = len(LABELS), token: str = "end"
    ):
        super().__init__()
        if token not in TOKENS:
            raise ValueError(f"token={token!r} is none of {', '.join(TOKENS)}")
        self.token = token
        self.gpt = copy.deepcopy(gpt)
        self.gpt.out_head = nn.Identity()  # no scores for tokens any more
        self.head = nn.Linear(gpt.config.emb_dim, n_classes)
        nn.init.normal_(self.head.weight, std=0.02)  # as GPT-2's weights
        nn.init.zeros_(self.head.bias)

    def vectors(self, idx: Tensor, end: Tensor) -> Tensor:
        """What the head reads: (B, T), (B,) -> (B, C)."""
        if self.token == "first":  # the others cannot change what it sees
            return self.gpt.features(idx[:, :1])[:, 0]
        x = self.gpt.features(idx)  # (B, T, C)
        if self.token == "padded":
            return x[:, -1]
        place = end if self.token == "end" else end - 1
        return x[torch.arange(len(x)), place]

    def forward(self, idx: Tensor, end: Tensor) -> Tensor:
        return self.head(self.vectors(idx, end))


def train_only(model: GPTClassifier, layers: str) -> None:
    """Freeze all weights but those of these layers.

    last-block: the last block, the norm after it, and the head.
    Raises: ValueError for unknown layers.
    """
    if layers not in LAYERS:
        raise ValueError(f"layers={layers!r} is none of {', '.join(LAYERS)}")
    trained = {
        "head": [model.head],
        "last-block": [
            model.gpt.blocks[-1],
            model.gpt.final_norm,
            model.head,
        ],
        "all": [model],
    }
    model.requires_grad_(False)
    for module in trained[layers]:
        module.requires_grad_(True)


def classification_loss(
    model: nn.Module, batch: Sequence[Tensor], precision: str = "float32"
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and logits (B, K) of a batch: inputs, then classes."""
    device = next(model.parameters()).device
    *inputs, labels = (tensor.to(device) for tensor in batch)
    with autocast(device, precision):
        logits = model(*inputs).float()
    return F.cross_entropy(logits, labels), logits


@torch.no_grad()
def predict(model: nn.Module, loader: DataLoader) -> tuple[Tensor, Tensor]:
    """The logits (N, K) of all messages of a loader, and their classes (N,)."""
    logits, labels = [], []
    with evaluating(model):
        for batch in loader:
            logits.append(classification_loss(model, batch)[1].cpu())
            labels.append(batch[-1])
    return torch.cat(logits), torch.cat(labels)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """The share of messages whose class has the highest score."""
    return (logits.argmax(dim=-1) == labels).double().mean().item()


def recalls(logits: Tensor, labels: Tensor) -> list[float]:
    """For each class, the share of its messages that is recognised, or nan."""
    classes = [labels == k for k in range(logits.shape[1])]
    return [accuracy(logits[own], labels[own]) for own in classes]


def train_classifier(
    model: nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader | None = None,
    epochs: int = 3,
    learning_rate: float = 2e-4,
    eval_every: int | None = None,
    progress: bool = True,
    precision: str = "float32",
) -> list[dict]:
    """Train what is not frozen with AdamW, at a rate that rises, then falls.

    It reaches learning_rate after a tenth of the steps, and is near to 0 at
    the last one. precision is that of the matrix products in training.

    After every eval_every steps (without it, after each epoch) the history
    gets a row: step, epoch, loss and accuracy on what was trained on since
    the last row, and on val_loader if there is one.
    Raises: ValueError if the loss is not finite, or epochs < 1.
    """
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1")
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(learning, lr=learning_rate)
    n_steps = epochs * len(train_loader)
    n_warm = max(1, n_steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / n_warm, (n_steps - i) / (n_steps - n_warm + 1)),
    )
    history, losses, rights, step = [], [], [], 0
    bar = tqdm(total=n_steps, desc="finetuning", disable=not progress)
    model.train()
    for epoch in range(1, epochs + 1):
        for batch in train_loader:
            loss, logits = classification_loss(model, batch, precision)
            if not loss.isfinite():
                what = f"the loss is {loss.item()}"
                raise ValueError(f"{what}: lower the learning rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses += [loss.item()] * len(logits)
            rights += (logits.argmax(dim=-1).cpu() == batch[-1]).tolist()
            step += 1
            bar.update()
            every = eval_every or len(train_loader)
            if step % every == 0 or step == n_steps:
                row = {"step": step, "epoch": epoch}
                row["train_loss"] = sum(losses) / len(losses)
                row["train_accuracy"] = sum(rights) / len(rights)
                if val_loader is not None:
                    scores, labels = predict(model, val_loader)
                    loss = F.cross_entropy(scores, labels)
                    row["val_loss"] = loss.item()
                    row["val_accuracy"] = accuracy(scores, labels)
                history.append(row)
                losses, rights = [], []
    bar.close()
    return history


@torch.no_grad()
def cache_vectors(model: GPTClassifier, loader: DataLoader) -> TensorDataset:
    """What the head will read of each message, once and for all epochs.

    It holds as long as the GPT below the head is frozen.
    """
    device = next(model.parameters()).device
    model.eval()
    vectors, classes = [], []
    for idx, end, labels in loader:
        vectors.append(model.vectors(idx.to(device), end.to(device)).cpu())
        classes.append(labels)
    return TensorDataset(torch.cat(vectors), torch.cat(classes))


@dataclass(frozen=True)
class Setting:
    """One way to train a classifier."""

    learning_rate: float
    epochs: int
    layers: str = "last-block"
    token: str = "end"
    pretrained: bool = True


FEW = 40  # messages of each class, where labels are few
# The rates were chosen on the validation messages with few labels, those of
# the two rivals that train all layers each for itself. There are as many
# epochs as it takes to know the training messages.
SETTINGS = {  # with few labels
    "all layers": Setting(1e-4, 10, layers="all"),
    "all layers, random weights": Setting(
        5e-4, 20, layers="all", pretrained=False
    ),
    "head only": Setting(1e-2, 30, layers="head"),
    "head only, random weights": Setting(
        1e-2, 30, layers="head", pretrained=False
    ),
    "last block": Setting(1e-3, 10),
    "last block, last token": Setting(1e-3, 10, token="last"),
    "last block, first token": Setting(1e-3, 10, token="first"),
    "last block, padded token": Setting(1e-3, 10, token="padded"),
}
SETTINGS_FOR_ALL = {  # with all balanced messages
    "all layers": Setting(2e-4, 3, layers="all"),
    "all layers, random weights": Setting(
        5e-4, 10, layers="all", pretrained=False
    ),
    "head only": Setting(1e-2, 40, layers="head"),
}
CHANGES = {  # two ways to train that differ in this one thing
    "pretraining, if all layers learn": (
        "all layers",
        "all layers, random weights",
    ),
    "pretraining, if the head learns": (
        "head only",
        "head only, random weights",
    ),
    "all layers instead of the last block": ("all layers", "last block"),
    "the last block instead of the head": ("last block", "head only"),
    "the end mark instead of the last token": (
        "last block",
        "last block, last token",
    ),
    "the end mark instead of the first token": (
        "last block",
        "last block, first token",
    ),
    "the end mark instead of padding": (
        "last block",
        "last block, padded token",
    ),
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
        train_loader = DataLoader(
            vectors, batch_size=16, shuffle=True, generator=shuffled
        )
    return train_classifier(
        trained,
        train_loader,
        epochs=setting.epochs,
        learning_rate=setting.learning_rate,
        progress=False,
    )


def label_messages(
    model: GPTClassifier,
    tokenizer: BPETokenizer,
    messages: pd.DataFrame,
    max_length: int,
    pad_to: int | None = None,
) -> pd.Series:
    """The label that a classifier gives to each message, in their order."""
    dataset = MessageDataset(messages, tokenizer, max_length)
    loader = create_message_dataloader(dataset, 32, pad_to=pad_to)
    logits, _ = predict(model, loader)
    order = [i for batch in loader.batch_sampler for i in batch]  # by length
    said = [LABELS[k] for k in logits.argmax(dim=-1).tolist()]
    return pd.Series(said, messages.index[order]).reindex(messages.index)


def keep_answers(
    judge: Callable[[pd.DataFrame], pd.Series],
    train: pd.DataFrame,
    messages: pd.DataFrame,
) -> dict:
    """What a judge says of every message, as letters: h is ham, s is spam.

    training is the share of its own training messages that it knows.
    """
    row = {"training": round((judge(train) == train.label).mean(), 4)}
    for split in SPLITS[1:]:
        said = judge(messages[messages.split == split])
        row[split] = "".join(label[0] for label in said)
    return row


def run_setting(
    gpt: GPTModel,
    tokenizer: BPETokenizer,
    messages: pd.DataFrame,
    setting: Setting,
    seed: int,
    n_per_class: int | None = None,
    max_length: int = 128,
) -> dict:
    """Train one classifier as a setting says, and keep its answers.

    The seed draws training messages, head, order, and random weights.
    """
    train = balance(messages[messages.split == "train"], n_per_class, seed)
    torch.manual_seed(seed)
    start = gpt if setting.pretrained else type(gpt)(gpt.config)
    model = GPTClassifier(start, token=setting.token)
    model.to(next(gpt.parameters()).device)
    pad_to = max_length if setting.token == "padded" else None
    dataset = MessageDataset(train, tokenizer, max_length)
    loader = create_message_dataloader(dataset, 16, seed, pad_to)
    train_setting(setting, model, loader, seed)
    told = {"max_length": max_length, "pad_to": pad_to}
    judge = partial(label_messages, model, tokenizer, **told)
    return keep_answers(judge, train, messages)


def run_bag(
    messages: pd.DataFrame, seed: int, n_per_class: int | None = None
) -> dict:
    """Give the draw of run_setting to a bag of words, and keep its answers."""
    train = balance(messages[messages.split == "train"], n_per_class, seed)
    bag = bag_of_words(train)
    return keep_answers(lambda part: bag.predict(part.text), train, messages)


def read_runs(
    path: str | Path, messages: pd.DataFrame, split: str
) -> pd.DataFrame:
    """Recorded runs: what each said of a split, and what measure makes of it.

    Raises: ValueError if the record is of other messages.
    """
    labels = messages.label[messages.split == split]
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    if record["messages"] != fingerprint(messages):
        raise ValueError(f"{path} is a record of other messages")
    words, runs = {label[0]: label for label in LABELS}, []
    for row in record["rows"]:
        said = pd.Series([words[c] for c in row[split]], labels.index)
        run = {k: row[k] for k in ("labels", "setting", "seed", "training")}
        runs.append(run | measure(said, labels) | {"said": row[split]})
    return pd.DataFrame(runs)


def fingerprint(messages: pd.DataFrame) -> str:
    """The same for the same messages in the same order, and for no others."""
    text = messages[["label", "text", "split"]].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """For each way: the number of runs, the means, and the spread of balanced.

    The spread is the standard deviation over the runs.
    """
    grouped = runs.groupby(["labels", "setting"], sort=False)
    names = ["training", "right", "ham", "spam", "precision", "balanced"]
    table = grouped[names].mean()
    table.insert(0, "runs", grouped.size())
    return table.assign(spread=grouped.balanced.std())


def differences(
    runs: pd.DataFrame, changes: dict[str, tuple[str, str]], split: str = "test"
) -> pd.DataFrame:
    """How far the first way of each change is ahead of the second, by seed.

    split names the column that is compared. ahead is the mean over the seeds
    that both ways have, error its standard error.
    """
    by_seed = runs.pivot(index="seed", columns="setting", values=split)
    rows = {}
    for change, (way, other) in changes.items():
        ahead = (by_seed[way] - by_seed[other]).dropna()
        rows[change] = {
            "seeds": len(ahead),
            "ahead": ahead.mean(),
            "error": ahead.sem(),
        }
    return pd.DataFrame(rows).T


def lead(
    runs: pd.DataFrame,
    way: str,
    other: str,
    labels: pd.Series,
    n_draws: int = 2000,
) -> dict[str, float]:
    """How far one way is ahead in balanced accuracy, with a 95% interval.

    The two are paired seed by seed and message by message. Seeds are drawn
    anew n_draws times, and messages too, each class by itself.
    """
    said = runs.pivot(index="seed", columns="setting", values="said")
    said = said[[way, other]].dropna()
    true = np.array([label[0] for label in labels])
    right = [np.array([*map(list, said[w])]) == true for w in (way, other)]
    ahead = right[0].astype(float) - right[1]  # (seeds, messages)
    classes = [np.flatnonzero(true == label[0]) for label in LABELS]
    draw, drawn = np.random.default_rng(1), []
    for _ in range(n_draws):
        seeds = draw.integers(len(ahead), size=len(ahead))
        each = ahead[seeds].mean(axis=0)  # (messages,)
        drawn.append([each[draw.choice(c, len(c))].mean() for c in classes])
    low, high = np.quantile(np.mean(drawn, axis=1), [0.025, 0.975])
    mean = np.mean([ahead[:, c].mean() for c in classes])
    return {"seeds": len(ahead), "ahead": mean, "low": low, "high": high}


def classify(
    text: str, model: GPTClassifier, tokenizer: BPETokenizer
) -> tuple[str, float]:
    """The class of a message, and the probability that the model gives to it.

    Raises: ValueError if the text is no string, is empty, or does not fit.
    """
    if not isinstance(text, str):
        raise ValueError(f"the message must be a text, not {text!r}")
    text = text.strip()  # a line break at its end would be a second end mark
    if not text:
        raise ValueError("the message is empty: there is nothing to classify")
    ids = tokenizer.encode_ordinary(text)
    if len(ids) > (limit := model.gpt.config.context_length - 1):
        what = f"{len(ids)} tokens, but the model reads at most {limit}"
        raise ValueError(f"the message has {what}")
    idx = torch.tensor([[*ids, *tokenizer.encode_ordinary(END_MARK)]])
    batch = idx, torch.tensor([len(ids)]), torch.tensor([0])
    logits, _ = predict(model, [batch])
    probabilities = logits[0].softmax(dim=-1)
    best = int(probabilities.argmax())
    return LABELS[best], probabilities[best].item()


def save_classifier(
    model: GPTClassifier, tokenizer: BPETokenizer, folder: str | Path
) -> None:
    """Write a folder that load_classifier reads: weights, words, their meaning.

    Raises: ValueError for a classifier that reads the padded token or is not
    made of a GPTModel, OSError if a file cannot be written.
    """
    if type(model.gpt) is not GPTModel:
        what = f"is made of a {type(model.gpt).__name__}, not of a GPTModel"
        raise ValueError(f"the classifier is not saved: it {what}")
    if model.token == "padded":
        what = "its answer depends on the padding"
        raise ValueError(f"token='padded' is not saved: {what}")
    folder, config = Path(folder), asdict(model.gpt.config)
    described = {"labels": LABELS, "token": model.token, "config": config}
    text = json.dumps(described, indent=2) + "\n"
    weights = {name: w.cpu() for name, w in model.state_dict().items()}
    with saved_whole(folder / "model.safetensors") as draft:
        save_file(weights, draft)
    with saved_whole(folder / "classifier.json") as draft:
        draft.write_text(text, encoding="utf-8")
    with saved_whole(folder / "vocabulary.tiktoken") as draft:
        tokenizer.save(draft)


def load_classifier(folder: str | Path) -> tuple[GPTClassifier, BPETokenizer]:
    """Read a classifier and its tokenizer, ready for classify.

    Raises: FileNotFoundError if there is none in the folder, ValueError if a
    file is damaged or the classes are not LABELS.
    """
    folder = Path(folder)
    names = ("classifier.json", "model.safetensors", "vocabulary.tiktoken")
    if not all((folder / name).exists() for name in names):
        what = "`python -m ch06.gpt_class_finetune` makes one"
        raise FileNotFoundError(f"there is no classifier in {folder}: {what}")
    try:
        text = (folder / "classifier.json").read_text(encoding="utf-8")
        described = json.loads(text)
        gpt = GPTModel(GPTConfig(**described["config"]))
        labels = tuple(described["labels"])
        model = GPTClassifier(gpt, len(labels), described["token"])
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (
        SafetensorError,
        RuntimeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        what = f"is damaged: {' '.join(str(error).split())[:200]}"
        raise ValueError(f"the classifier in {folder} {what}") from None
    if labels != LABELS:
        what = f"knows the classes {labels}, not {LABELS}"
        raise ValueError(f"the classifier in {folder} {what}")
    return model.eval(), BPETokenizer.load(folder / "vocabulary.tiktoken")


BAG = "bag of words"  # a way of --table, beside SETTINGS
NOT_FOR_TABLE = "out layers token random-weights epochs batch-size lr".split()


def parse_arguments() -> argparse.Namespace:
    """Read the command line.

    Raises: ValueError for an option that --table would ignore.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ch06.gpt_class_finetune",
        description="Finetune a GPT to tell spam from other messages.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--classify", metavar="TEXT", help="classify with what is in --out")
    browser = "show in the browser where messages turn into spam, with what is "
    add("--web", action="store_true", help=f"{browser}in --out")
    listens = "with --web: the address; another than this one needs the token "
    add("--host", default="127.0.0.1", help=f"{listens}that is printed")
    add("--port", type=int, default=8766, help="with --web")
    add(
        "--table",
        nargs="?",
        const="ch06/recorded/table.json",
        metavar="FILE",
        help="instead, train in every way with --seeds seeds and keep the "
        "answers in FILE, a row for each run; goes on where it was stopped",
    )
    add("--out", default="runs/spam", help="the folder for the classifier")
    default = {
        name: os.environ.get(f"COURSE_{name}") or "course"
        for name in ("MODEL", "DATA")
    }
    names = "a model folder, or course, gpt2, …"
    add("--model", default=default["MODEL"], help=names)
    sets = ("course", "uci")
    add("--data", default=default["DATA"], choices=sets, help="the messages")
    add("--layers", default="all", choices=LAYERS, help="what is trained")
    add("--token", default="end", choices=TOKENS, help="what the head reads")
    add("--random-weights", action="store_true", help="forget the pretraining")
    add("--epochs", type=int, default=3)
    add("--batch-size", type=int, default=16, help="messages for each step")
    add("--lr", type=float, default=2e-4, help="AdamW's highest learning rate")
    cut = "cut a message after so many tokens; if not given, 128"
    add("--max-length", type=int, help=cut)
    few = "training messages of each class; if not given, all of the rarer "
    few += f"one's, and with --table {FEW} as well"
    add("--per-class", type=int, help=few)
    add("--seed", type=int, default=1, help="with --table: the first one")
    add("--seeds", type=int, default=5, help="with --table: how many")
    only = "with --table: only this way; may be repeated"
    add("--way", action="append", choices=[*SETTINGS, BAG], help=only)
    seen = "with --table: which answers to print"
    add("--split", default="test", choices=SPLITS[1:], help=seen)
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    if args.table:
        for option in NOT_FOR_TABLE:
            name = option.replace("-", "_")
            if getattr(args, name) != parser.get_default(name):
                what = "--table has settings of its own"
                raise ValueError(f"{what}: leave out --{option}")
    return args


def load_gpt(args: argparse.Namespace) -> tuple[GPTModel, BPETokenizer]:
    """Load the model that is named, and settle where messages are cut."""
    gpt, tokenizer = load_pretrained(args.model)
    limit = gpt.config.context_length
    if args.max_length is None:
        args.max_length = min(128, limit)
    if args.max_length > limit:
        what = f"is more than the context of {limit} tokens"
        raise ValueError(f"max_length={args.max_length} {what}")
    return gpt, tokenizer


def plan_table(args: argparse.Namespace, n_all: int) -> list[tuple]:
    """The runs of --table: (labels of each class, way, seed), seed by seed."""
    sizes = [FEW, n_all] if args.per_class is None else [args.per_class]
    plan = []
    for seed in range(args.seed, args.seed + args.seeds):
        for n in sizes:
            ways = SETTINGS if n < n_all else SETTINGS_FOR_ALL
            plan += [(n, way, seed) for way in (BAG, *ways)]
    return [run for run in plan if args.way is None or run[1] in args.way]


def describe_table(args: argparse.Namespace, gpt: GPTModel) -> dict:
    """What has to be the same for all rows of a table."""
    weights = hashlib.sha256()
    for name, w in sorted(gpt.state_dict().items()):
        weights.update(name.encode() + w.cpu().numpy().tobytes())
    return {
        "model": f"{args.model} {weights.hexdigest()[:16]}",
        "messages": fingerprint(load_messages(args.data)),
        "max_length": args.max_length,
        "device": choose_device(args.device).type,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
    }


def read_record(path: Path, described: dict) -> list[dict]:
    """The rows that a table has already.

    Raises: ValueError if they were made with anything else than described.
    """
    if not path.exists():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    for name, value in described.items():
        if record.get(name) != value:
            what = f"{name} was {record.get(name)} and is {value} now"
            raise ValueError(f"{path}: {what}; name another file or delete it")
    return record["rows"]


def write_record(path: Path, described: dict, rows: list[dict]) -> None:
    """Write a table whole or not at all, a line for each row."""
    command = ["python", "-m", "ch06.gpt_class_finetune", *sys.argv[1:]]
    head = json.dumps({"command": shlex.join(command), **described}, indent=1)
    lines = ",\n".join(json.dumps(row) for row in rows)
    with written_whole(path) as draft:
        text = f'{head[:-2]},\n "rows": [\n{lines}\n]}}\n'
        draft.write_text(text, encoding="utf-8")


def run_table(args: argparse.Namespace) -> None:
    """Train in every way and with every seed; keep each run when it is done."""
    if args.seeds < 1:
        raise ValueError(f"seeds={args.seeds} must be at least 1")
    gpt, tokenizer = load_gpt(args)
    gpt.to(choose_device(args.device))
    messages = load_messages(args.data)
    in_train = messages.label[messages.split == "train"]
    n_all = int(in_train.value_counts().min())
    path, described = Path(args.table), describe_table(args, gpt)
    rows = read_record(path, described)
    check_writable(path.parent)
    known = {(row["labels"], row["setting"], row["seed"]) for row in rows}
    plan = [run for run in plan_table(args, n_all) if run not in known]
    for n, way, seed in tqdm(plan, desc="runs"):
        started = time.perf_counter()
        if way == BAG:
            row = run_bag(messages, seed, n)
        else:
            settings = SETTINGS if n < n_all else SETTINGS_FOR_ALL
            told = messages, settings[way], seed, n, args.max_length
            row = run_setting(gpt, tokenizer, *told)
        seconds = round(time.perf_counter() - started)
        run = {"labels": n, "setting": way, "seed": seed, "seconds": seconds}
        rows.append(run | row)
        write_record(path, described, rows)
    table = summarize(read_runs(path, messages, args.split))
    print(as_percent(table).to_string())
    print(f"{len(rows)} runs are in {path}")


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, save the classifier, and report."""
    if args.token == "padded":
        what = "its answer depends on the padding"
        raise ValueError(f"token='padded' is for --table only: {what}")
    device = choose_device(args.device)
    precision = choose_precision(device)
    gpt, tokenizer = load_gpt(args)
    if type(gpt) is not GPTModel:
        what = f"a classifier made of a {type(gpt).__name__} is not saved"
        raise ValueError(f"--model {args.model} is for --table only: {what}")
    torch.manual_seed(args.seed)
    if args.random_weights:
        gpt = type(gpt)(gpt.config)
    model = GPTClassifier(gpt, token=args.token).to(device)
    train_only(model, args.layers)
    messages = load_messages(args.data)
    parts, loaders = {}, {}
    for split in SPLITS:
        part = messages[messages.split == split]
        if split != "test":
            n = args.per_class if split == "train" else None
            part = balance(part, n, args.seed)
        dataset = MessageDataset(part, tokenizer, args.max_length)
        seed = args.seed if split == "train" else None
        loaders[split] = create_message_dataloader(
            dataset, args.batch_size, seed
        )
        spam = (part.label == "spam").mean()
        print(f"{split:10s} {len(part):5,} messages, {spam:.0%} spam")
        parts[split] = part
    count = count_parameters(model)
    where = f"on {device} in {precision}"
    print(f"{args.layers}: {count:,} parameters are trained {where}")
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
    test = parts["test"]
    bag = bag_of_words(parts["train"]).predict(test.text)
    judges = {
        "always ham": pd.Series("ham", test.index),
        "bag of words": pd.Series(bag, test.index),
        "this classifier": label_messages(
            model, tokenizer, test, args.max_length
        ),
    }
    rows = {name: measure(said, test.label) for name, said in judges.items()}
    table = pd.DataFrame(rows).T
    print(f"the {len(test):,} test messages, in percent:")
    print(as_percent(table).to_string())
    print(f"classifier in {args.out}")


def show_page(args: argparse.Namespace) -> None:
    """Answer in the browser, until Ctrl+C."""
    # What trains and classifies in the terminal needs no web server.
    from ch06.spam_page import spam_routes
    from course.web import serve

    model, tokenizer = load_classifier(args.out)
    model.to(choose_device(args.device))
    routes = spam_routes(model, tokenizer, args.out)
    serve(routes, args.host, args.port)


def main() -> None:
    replace_unprintable()
    try:
        args = parse_arguments()
        if args.classify is not None:
            label, probability = classify(
                args.classify, *load_classifier(args.out)
            )
            print(f"{label} ({probability:.0%})")
        elif args.web:
            show_page(args)
        elif args.table:
            run_table(args)
        else:
            run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_class_finetune: {error}") from None
    except KeyboardInterrupt:
        what = "stopped; it saves what is trained to its end"
        raise SystemExit(f"\ngpt_class_finetune: {what}") from None


if __name__ == "__main__":
    main()
