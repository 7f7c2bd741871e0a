"""A judge that learns from pairs, held against the truth.

Dimension key: B answers, T tokens, C embedding.
"""

import math
from collections.abc import Sequence
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch07.dpo import (
    Item,
    batches,
    is_right,
    prompts_of,
    text_of,
    trained,
)


class RewardModel(nn.Module):
    """A GPT that has one number to say about a question with its answer.

    Shapes: ids (B, T), and the place of each one's last token (B,) -> (B,).
    """

    def __init__(self, model: GPTModel):
        super().__init__()
        self.model = deepcopy(model)
        self.head = nn.Linear(model.config.emb_dim, 1)
        nn.init.zeros_(self.head.weight)

    def forward(self, idx: Tensor, last: Tensor) -> Tensor:
        x = self.model.features(idx)  # (B, T, C)
        rows = torch.arange(len(idx), device=idx.device)
        return self.head(x[rows, last])[:, 0].float()

    def score(self, items: Sequence[Item]) -> Tensor:
        """The scores of answers, with a gradient: (B,)."""
        device = self.head.weight.device
        T = max(len(ids) for ids, _ in items)
        idx = [ids + [0] * (T - len(ids)) for ids, _ in items]
        last = [len(ids) - 1 for ids, _ in items]
        return self(
            torch.tensor(idx, device=device), torch.tensor(last, device=device)
        )

    @torch.no_grad()
    def scores(self, items: Sequence[Item]) -> Tensor:
        """The scores of many answers: (B,)."""
        parts = range(0, len(items), 64)
        return torch.cat([self.score(items[i : i + 64]) for i in parts])


def train_reward(
    model: GPTModel,
    pairs: Sequence[tuple[Item, Item]],
    n_steps: int,
    lr: float,
    seed: int,
    precision: str = "float32",
    batch_size: int = 16,
) -> tuple[RewardModel, list[float]]:
    """A reward model that scores the first answer of each pair higher.

    Source: the loss is that of Bradley and Terry (1952).
    """
    torch.manual_seed(seed)
    chosen_batches = list(batches(len(pairs), batch_size, n_steps, seed))

    def loss_of(reward: RewardModel, step: int) -> Tensor:
        rows = [pairs[i] for i in chosen_batches[step]]
        both = reward.score([*(a for a, _ in rows), *(b for _, b in rows)])
        better, worse = both.chunk(2)
        return -F.logsigmoid(better - worse).mean()

    reward = RewardModel(model)
    losses = trained(reward, n_steps, lr, loss_of, precision=precision)
    return reward, losses


def fooled(
    reward: RewardModel, entries: Sequence[dict], tokenizer: BPETokenizer
) -> dict[str, float]:
    """How often an answer that is wrong by design scores above the right one."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    outputs = [entry["output"] for entry in entries]
    designs = {
        "right": outputs,
        "the last letter twice": [text + text[-1] for text in outputs],
        "another question's answer": outputs[1:] + outputs[:1],
        "the question's own text": [e["input"] or "it" for e in entries],
        "the right one, and more": [f"{text}, or so" for text in outputs],
    }
    scores = {}
    for name, texts in designs.items():
        items = [
            (p + tokenizer.encode_ordinary(text) + [end_id], len(p))
            for p, text in zip(prompts_of(entries, tokenizer), texts)
        ]
        scores[name] = reward.scores(items)
    different = {
        name: torch.tensor([a != b for a, b in zip(texts, outputs)])
        for name, texts in designs.items()
    }
    return {
        name: (scores[name] > scores["right"])[different[name]]
        .float()
        .mean()
        .item()
        for name in designs
        if name != "right"
    }


def best_of(
    reward: RewardModel,
    entries: Sequence[dict],
    drawn: Sequence[Sequence[list[int]]],
    tokenizer: BPETokenizer,
    ns: Sequence[int] = (1, 2, 4, 8),
) -> list[dict[str, float]]:
    """Of n drawn answers, take the one with the highest score, or the one that
    was drawn most often; and whether a right one was among them.

    Units: shares; the KL of the best of n in nats, which is at most this.
    """
    prompts, rows = prompts_of(entries, tokenizer), []
    scores = [
        reward.scores([(p + a, len(p)) for a in answers]).tolist()
        for p, answers in zip(prompts, drawn)
    ]
    for n in (n for n in ns if n <= min(map(len, drawn))):
        picked = voted = among = 0
        for entry, answers, of_them in zip(entries, drawn, scores):
            right = [is_right(entry, a, tokenizer) for a in answers[:n]]
            picked += right[max(range(n), key=lambda i: of_them[i])]
            texts = [text_of(a, tokenizer) for a in answers[:n]]
            voted += max(texts, key=texts.count) == entry["output"]
            among += any(right)
        m = len(entries)
        rows.append(
            {
                "n": n,
                "picked": picked / m,
                "voted": voted / m,
                "among": among / m,
                "kl": math.log(n) - (n - 1) / n,
            }
        )
    return rows
