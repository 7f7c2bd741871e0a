"""Token ids become batches of inputs and targets for next-token prediction.

Dimension key: N windows, B batch, T tokens (context_length).
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

# The course's text; any other may take its place.
STORY = files("ch02") / "the-thursday-weight.txt"


def read_text(path: str | Path = STORY) -> str:
    """Read a text file; its line ends become newlines.

    Raises: ValueError if the file is empty or is not UTF-8 text.
    """
    remedy = "save it as UTF-8"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text ({error.reason} at byte "
            f"{error.start}): {remedy}"
        ) from None
    if (place := text.find("\0")) >= 0:  # UTF-16 writes an "a" as a and zero
        raise ValueError(
            f"{path} is not UTF-8 text (character {place} is a zero, as in "
            f"UTF-16): {remedy}"
        )
    if not text:
        raise ValueError(f"{path} is empty: there is nothing to learn from")
    return text


class GPTDataset(Dataset):
    """Windows of tokens; the target is the same window one token later.

    The ids are kept once; the windows are a view of them, so a smaller
    stride costs no memory.
    Shapes: item i is a pair of inputs and targets, (T,) each; a list of
    items (B, T) each.
    Raises: ValueError if the text is empty or shorter than one window, or
    stride < 1.
    """

    def __init__(
        self,
        ids: Sequence[int] | np.ndarray | Tensor,
        context_length: int,
        stride: int,
    ):
        if context_length < 1:
            raise ValueError(
                f"context_length={context_length} must be at least 1"
            )
        if stride < 1:
            raise ValueError(
                f"stride={stride} must be at least 1: windows have to move on"
            )
        is_tensor = isinstance(ids, Tensor)
        ids = ids.long() if is_tensor else torch.tensor(ids, dtype=torch.long)
        if len(ids) == 0:
            raise ValueError("the text is empty: it has no token to learn from")
        if len(ids) <= context_length:
            raise ValueError(
                f"a text of {len(ids)} tokens holds no window of "
                f"context_length={context_length} and the token after it: "
                "take a longer text or a smaller context_length"
            )
        # (N, T + 1), a view
        self.windows = ids.unfold(0, context_length + 1, stride)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        window = self.windows[index]
        return window[:-1], window[1:]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """A whole batch by one indexing operation."""
        batch = self.windows.index_select(0, torch.tensor(indices))
        return batch[:, :-1], batch[:, 1:]  # (B, T) each, copied


def create_dataloader(
    ids: Sequence[int] | np.ndarray | Tensor,
    context_length: int,
    batch_size: int,
    stride: int | None = None,
    shuffle: bool = True,
    drop_last: bool = True,
    seed: int = 0,
) -> DataLoader:
    """Serve batches of inputs and targets from token ids.

    Windows touch unless stride is given. The order depends on the seed and
    on how often the loader has been iterated, and on no other code.
    Shapes: each batch is inputs (B, T) and targets (B, T).
    Raises: ValueError as GPTDataset, or if drop_last leaves no batch at all.
    """
    if stride is None:
        stride = context_length
    dataset = GPTDataset(ids, context_length, stride)
    if drop_last and len(dataset) < batch_size:
        raise ValueError(
            f"{len(dataset)} windows do not fill one batch of "
            f"batch_size={batch_size}: take a smaller batch or stride, "
            "or drop_last=False"
        )
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        generator=torch.Generator().manual_seed(seed),
        collate_fn=tuple,  # __getitems__ has stacked the batch already
    )
