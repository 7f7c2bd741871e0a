"""Prefer one answer to another: draw answers, make pairs of them, DPO.

Dimension key: B answers, T tokens, V vocabulary.
Source: Rafailov et al. 2023 (arXiv:2305.18290), equation 7.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch04.kv_cache import evaluating, make_cache, read, take_rows
from ch05.gpt_train import IGNORE
from ch05.precision import autocast
from ch07.gpt_instruction_finetuning import collate, format_prompt

MAX_NEW = 20  # tokens of a sampled answer


def prompts_of(
    entries: Sequence[dict], tokenizer: BPETokenizer
) -> list[list[int]]:
    return [tokenizer.encode_ordinary(format_prompt(e)) for e in entries]


@torch.no_grad()
def sample(
    model: GPTModel,
    prompts: Sequence[list[int]],
    end_id: int,
    generator: torch.Generator,
    max_new_tokens: int = MAX_NEW,
    batch_size: int = 128,
) -> list[list[int]]:
    """Draw an answer to each prompt at temperature 1: ids, with the end."""
    device = next(model.parameters()).device
    answers = [[] for _ in prompts]
    for start in range(0, len(prompts), batch_size):
        rows = list(range(start, min(start + batch_size, len(prompts))))
        new = [prompts[i] for i in rows]
        longest = max(map(len, new)) + max_new_tokens
        cache = make_cache(model, len(rows), longest)
        for _ in range(max_new_tokens):
            T = max(map(len, new))
            idx = [ids + [end_id] * (T - len(ids)) for ids in new]
            with evaluating(model):
                logits, cache = read(
                    model,
                    cache,
                    torch.tensor(idx, device=device),
                    [len(ids) for ids in new],
                )
            probs = logits.softmax(dim=-1).cpu()
            drawn = probs.multinomial(1, generator=generator)[:, 0].tolist()
            for i, token in zip(rows, drawn):
                answers[i].append(token)
            going = [k for k, token in enumerate(drawn) if token != end_id]
            if not going:
                break
            rows, new = [rows[k] for k in going], [[drawn[k]] for k in going]
            if len(going) < len(drawn):  # go on without who has ended
                cache = take_rows(cache, going)
    return answers


def text_of(answer: list[int], tokenizer: BPETokenizer) -> str:
    """The text of a drawn answer, without its end."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    return tokenizer.decode([i for i in answer if i != end_id]).strip()


def is_right(entry: dict, answer: list[int], tokenizer: BPETokenizer) -> bool:
    """Right to the letter, and ended."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    return (
        answer[-1] == end_id and text_of(answer, tokenizer) == entry["output"]
    )


def draw_answers(
    model: GPTModel,
    entries: Sequence[dict],
    tokenizer: BPETokenizer,
    n: int,
    seed: int,
) -> list[list[list[int]]]:
    """n answers to each question, at temperature 1."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    prompts = [p for p in prompts_of(entries, tokenizer) for _ in range(n)]
    generator = torch.Generator().manual_seed(seed)
    drawn = sample(model, prompts, end_id, generator)
    return [drawn[i : i + n] for i in range(0, len(drawn), n)]


# An answer as chapter 7 trains on it: its prompt's ids and its own, and how
# many of them are the prompt.
Item = tuple[list[int], int]


def log_probs(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The log-probability of each target, 0 where none counts.

    Shapes: inputs and targets (B, T) -> (B, T).
    """
    loss = F.cross_entropy(
        model(inputs).float().flatten(0, 1),
        targets.flatten(),
        ignore_index=IGNORE,
        reduction="none",
    )
    return -loss.view(targets.shape)


def summed(
    model: GPTModel, items: Sequence[Item], end_id: int, averaged: bool = False
) -> Tensor:
    """The log-probability of each answer, or of its average token: (B,)."""
    device = next(model.parameters()).device
    inputs, targets = (x.to(device) for x in collate(items, end_id))
    of_tokens = log_probs(model, inputs, targets)
    n = (targets != IGNORE).sum(dim=1) if averaged else 1
    return of_tokens.sum(dim=1) / n


@torch.no_grad()
def answer_log_probs(
    model: GPTModel, items: Sequence[Item], end_id: int, averaged: bool = False
) -> Tensor:
    """The same of many answers, without a gradient."""
    return torch.cat(
        [
            summed(model, items[i : i + 64], end_id, averaged)
            for i in range(0, len(items), 64)
        ]
    )


def right_and_wrong(
    entries: Sequence[dict],
    drawn: Sequence[Sequence[list[int]]],
    tokenizer: BPETokenizer,
    n_wrong: int = 2,
) -> tuple[list[Item], list[tuple[Item, Item]]]:
    """A right answer to each question that has one among its draws, and its
    pairs with different wrong ones.
    """
    good, pairs = [], []
    prompts = prompts_of(entries, tokenizer)
    for entry, prompt, answers in zip(entries, prompts, drawn):
        different = [list(a) for a in dict.fromkeys(map(tuple, answers))]
        right = [a for a in different if is_right(entry, a, tokenizer)]
        wrong = [a for a in different if not is_right(entry, a, tokenizer)]
        if right:
            item = prompt + right[0], len(prompt)
            good.append(item)
            pairs += [
                (item, (prompt + a, len(prompt))) for a in wrong[:n_wrong]
            ]
    return good, pairs


def batches(n: int, size: int, n_steps: int, seed: int) -> Iterator[list[int]]:
    """Indices of so many batches, each epoch in an order of its own.

    Raises: ValueError if there is nothing to take them from.
    """
    if n < 1:
        raise ValueError("there are 0 examples to learn from: give at least 1")
    rng, order = Random(seed), []
    for _ in range(n_steps):
        while len(order) < size:
            order += rng.sample(range(n), n)
        yield [order.pop(0) for _ in range(size)]


def trained(
    model: GPTModel,
    n_steps: int,
    lr: float,
    loss_of: Callable[[GPTModel, int], Tensor],
    parameters: Sequence[nn.Parameter] | None = None,
    precision: str = "float32",
) -> list[float]:
    """Make steps with AdamW on loss_of(model, step); give the losses."""
    parameters = list(parameters or model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    losses = []
    for step in range(n_steps):
        for group in optimizer.param_groups:  # a short warmup
            group["lr"] = lr * min(1, (step + 1) / 10)
        optimizer.zero_grad()
        with autocast(parameters[0].device, precision):
            loss = loss_of(model, step)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


def train_likelier(
    model: GPTModel,
    items: Sequence[Item],
    end_id: int,
    n_steps: int,
    lr: float,
    seed: int,
    batch_size: int = 16,
    precision: str = "float32",
) -> tuple[GPTModel, list[float]]:
    """A copy of the model, finetuned on these answers as chapter 7 does."""
    device = next(model.parameters()).device
    chosen_batches = list(batches(len(items), batch_size, n_steps, seed))

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = [items[i] for i in chosen_batches[step]]
        inputs, targets = (x.to(device) for x in collate(rows, end_id))
        of_tokens = log_probs(policy, inputs, targets)
        return -of_tokens.sum() / (targets != IGNORE).sum()

    policy = deepcopy(model)
    return policy, trained(policy, n_steps, lr, loss_of, precision=precision)


def dpo_loss(
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
) -> Tensor:
    """How little the chosen answers have gained on the rejected ones.

    Shapes: log-probabilities of B answers each, (B,) -> ().
    """
    gained = chosen - reference_chosen
    margin = beta * (gained - (rejected - reference_rejected))
    return -F.logsigmoid(margin).mean()


def train_dpo(
    model: GPTModel,
    pairs: Sequence[tuple[Item, Item]],
    end_id: int,
    beta: float,
    n_steps: int,
    lr: float,
    seed: int,
    averaged: bool = False,
    alpha: float = 0.0,
    batch_size: int = 16,
    precision: str = "float32",
) -> tuple[GPTModel, list[float]]:
    """A copy of the model that prefers the first answer of each pair.

    alpha: what the loss of these answers themselves, for a token, counts
        beside DPO's (Pang et al. 2024, arXiv:2404.19733).
    """
    sides = [list(side) for side in zip(*pairs)]
    with autocast(next(model.parameters()).device, precision):
        reference = [
            answer_log_probs(model, s, end_id, averaged) for s in sides
        ]
    chosen_batches = list(batches(len(pairs), batch_size, n_steps, seed))
    n_tokens = [1 if averaged else len(ids) - n for ids, n in sides[0]]

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = chosen_batches[step]
        new = summed(
            policy,
            [side[i] for side in sides for i in rows],
            end_id,
            averaged,
        ).chunk(2)
        own = -new[0].sum() / sum(n_tokens[i] for i in rows)
        loss = dpo_loss(*new, *(r[rows] for r in reference), beta)
        return loss + alpha * own

    policy = deepcopy(model)
    return policy, trained(policy, n_steps, lr, loss_of, precision=precision)
