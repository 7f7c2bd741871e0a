"""CSV files as competitions give and take them, and texts of several classes.

Dimension key: N rows, K classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel
from ch05.bonus.gpt_to_llama import paired_difference
from ch06.gpt_class_finetune import (
    END_MARK,
    GPTClassifier,
    create_message_dataloader,
    predict,
    train_classifier,
)
from course.files import written_whole


def read_table(
    path: str | Path, columns: Sequence[str], key: str
) -> pd.DataFrame:
    """Read a CSV file whose columns are texts, in the file's order.

    Nothing is taken for a missing value: NA is a label in one of the files.
    Raises: FileNotFoundError if it is not there, ValueError if it is no CSV,
    lacks a column or a row, or has a key twice.
    """
    path = Path(path)
    if not path.exists():
        what = "the folder of the competition's files is needed"
        raise FileNotFoundError(f"there is no {path}: {what}")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
    ) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a CSV file: {reason}") from None
    if missing := [name for name in columns if name not in table]:
        has = ", ".join(table.columns)
        raise ValueError(
            f"{path} lacks the column {missing[0]!r}; it has {has}"
        )
    if table.empty:
        raise ValueError(f"{path} has no rows")
    if (twice := table[key].duplicated()).any():
        raise ValueError(
            f"{path} has {key} {table[key][twice].iloc[0]!r} twice"
        )
    return table


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a CSV file whole or not at all."""
    with written_whole(path) as draft:
        table.to_csv(draft, index=False, encoding="utf-8")


def check_rows(
    path: str | Path,
    table: pd.DataFrame,
    columns: Sequence[str],
    ids: pd.Series,
) -> None:
    """Raise a ValueError unless these are the columns and the ids, in order."""
    if list(table.columns) != list(columns):
        has, needs = ",".join(table.columns), ",".join(columns)
        raise ValueError(f"{path} has the columns {has}; it needs {needs}")
    key = columns[0]
    if len(table) != len(ids):
        raise ValueError(
            f"{path} has {len(table)} rows; the test has {len(ids)}"
        )
    for i, (told, true) in enumerate(zip(table[key], ids)):
        if told != true:
            what = f"{key} {told!r} where the test has {true!r}"
            raise ValueError(f"{path}, row {i + 1}: {what}")


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of a few seeds' values, and where it lies with 95% confidence.

    With one value the ends are nan.
    """
    mean, half = paired_difference(values, [0.0] * len(values))
    return mean, mean - half, mean + half


class TextDataset(Dataset):
    """Texts as token ids, an end mark after each, and their class's number.

    A text is a list of parts. If they are too long together, each part is cut
    at its end to an equal share, so that no part pushes another out.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[str]],
        labels: Sequence[int],
        tokenizer: BPETokenizer,
        max_length: int,
    ):
        (self.end_id,) = tokenizer.encode_ordinary(END_MARK)
        self.ids, self.labels = [], torch.tensor(labels)
        for parts in texts:
            ids = [tokenizer.encode_ordinary(part) for part in parts]
            if sum(map(len, ids)) >= max_length:
                share = (max_length - 1) // len(ids)
                ids = [part[:share] for part in ids]
            self.ids.append(torch.tensor([*sum(ids, []), self.end_id]))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.ids[index], self.labels[index]


class TextJudge:
    """A finetuned GPT that gives each text a probability for each class."""

    def __init__(
        self,
        gpt: GPTModel,
        tokenizer: BPETokenizer,
        texts: Sequence[Sequence[str]],
        labels: Sequence[int],
        n_classes: int,
        seed: int,
        epochs: int = 3,
        learning_rate: float = 3e-4,
        precision: str = "float32",
    ):
        torch.manual_seed(seed)  # of the new head
        self.tokenizer, self.max_length = tokenizer, gpt.config.context_length
        self.model = GPTClassifier(gpt, n_classes)
        self.model.to(next(gpt.parameters()).device)
        data = TextDataset(texts, labels, tokenizer, self.max_length)
        train_classifier(
            self.model,
            create_message_dataloader(data, 16, seed),
            epochs=epochs,
            learning_rate=learning_rate,
            progress=False,
            precision=precision,
        )

    def __call__(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """Probabilities (N, K), in the order of the texts."""
        data = TextDataset(
            texts, [0] * len(texts), self.tokenizer, self.max_length
        )
        loader = create_message_dataloader(data, 32)
        logits, _ = predict(self.model, loader)
        order = [
            i for batch in loader.batch_sampler for i in batch
        ]  # by length
        found = np.empty((len(texts), logits.shape[1]))
        found[order] = logits.double().softmax(dim=-1).numpy()
        return found
