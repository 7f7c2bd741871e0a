"""Learn from which answer is better: pairs, a reward model, DPO, GRPO, refusals.

    python -m ch07.bonus.preferences  # makes ch07/recorded/preferences.json

The questions are the small tasks of the course's corpus, of which there are as
many as one likes, and whose answers a program can check. Each seed finetunes as
chapter 7 does, and every way starts from that model. Given again, the command
goes on.

Dimension key: B answers, T tokens, G answers to one question.
Source: DPO, Rafailov et al. 2023 (arXiv:2305.18290); GRPO, Shao et al. 2024
(arXiv:2402.03300).
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from random import Random

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch04.kv_cache import evaluating, make_cache, read
from ch05.course_model.tasks import TASK_KINDS, Tasks
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import load_pretrained
from ch05.precision import autocast, choose_precision
from ch07.gpt_instruction_finetuning import (
    InstructionDataset,
    collate,
    create_instruction_dataloader,
    finetune,
    format_prompt,
    respond,
    which_right,
)
from ch07.instructions import make_instructions

MAX_NEW = 24  # tokens of a sampled answer


def make_tasks(n: int, seed: str) -> list[dict]:
    """So many different small tasks, each with its one right answer."""
    tasks, rng, made = Tasks(Random(seed)), Random(f"kinds {seed}"), {}
    kinds = [kind for kind in TASK_KINDS if kind != "unknown"]
    while len(made) < n:
        kind = rng.choice(kinds)
        task = getattr(tasks, kind)()
        made[task.instruction, task.input] = {
            "instruction": task.instruction,
            "input": task.input,
            "output": task.output,
            "kind": kind,
        }
    return list(made.values())


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
    """Draw an answer to each prompt at temperature 1: ids, the end with them."""
    device = next(model.parameters()).device
    answers = [[] for _ in prompts]
    for start in range(0, len(prompts), batch_size):
        rows = range(start, min(start + batch_size, len(prompts)))
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
            for row, i in enumerate(rows):
                if new[row]:
                    answers[i].append(drawn[row])
                    new[row] = [] if drawn[row] == end_id else [drawn[row]]
            if not any(new):
                break
    return answers


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


def advantages(rewards: Tensor) -> Tensor:
    """How much better each answer is than its group, in standard deviations.

    Shapes: (questions, G) -> (questions, G).
    """
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return centred / (rewards.std(dim=1, keepdim=True) + 1e-4)


def grpo_loss(
    new: Tensor,
    old: Tensor,
    reference: Tensor,
    advantage: Tensor,
    counted: Tensor,
    beta: float,
    clip: float = 0.2,
) -> Tensor:
    """Make good answers likelier, within a trust region, near the reference.

    Shapes: log-probabilities new, old, reference (B, T), advantage (B,),
    counted (B, T), truth values -> ().
    """
    ratio = (new - old).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(
        ratio * advantage[:, None], clipped * advantage[:, None]
    )
    away = (reference - new).exp() - (reference - new) - 1  # >= 0, mean: the KL
    per_token = (gain - beta * away) * counted
    per_answer = per_token.sum(dim=1) / counted.sum(dim=1)
    return -per_answer.mean()


def trained(
    model: GPTModel,
    n_steps: int,
    lr: float,
    loss_of: Callable[[GPTModel, int], Tensor],
    parameters: Sequence[nn.Parameter] | None = None,
) -> list[float]:
    """Make so many steps with AdamW on loss_of(model, step); give the losses."""
    parameters = list(parameters or model.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    losses = []
    for step in range(n_steps):
        for group in optimizer.param_groups:  # a short warmup
            group["lr"] = lr * min(1, (step + 1) / 10)
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


# An answer as chapter 7 trains on it: its prompt's ids and its own, and how
# many of them are the prompt.
Item = tuple[list[int], int]


def batches(n: int, size: int, n_steps: int, seed: int) -> Iterator[list[int]]:
    """Indices of so many batches, each epoch in an order of its own."""
    rng, order = Random(seed), []
    for _ in range(n_steps):
        if len(order) < size:
            order += rng.sample(range(n), n)
        yield [order.pop(0) for _ in range(size)]


@torch.no_grad()
def answer_log_probs(
    model: GPTModel, items: Sequence[Item], end_id: int, averaged: bool = False
) -> Tensor:
    """The log-probability of each whole answer, or of its average token."""
    return torch.cat(
        [
            summed(model, items[i : i + 64], end_id, averaged)
            for i in range(0, len(items), 64)
        ]
    )


def summed(
    model: GPTModel, items: Sequence[Item], end_id: int, averaged: bool = False
) -> Tensor:
    """The same with a gradient, for one batch: (B,)."""
    device = next(model.parameters()).device
    inputs, targets = (x.to(device) for x in collate(items, end_id))
    of_tokens = log_probs(model, inputs, targets)
    n = (targets != IGNORE).sum(dim=1) if averaged else 1
    return of_tokens.sum(dim=1) / n


def train_dpo(
    model: GPTModel,
    pairs: Sequence[tuple[Item, Item]],
    end_id: int,
    beta: float,
    n_steps: int,
    lr: float,
    seed: int,
    averaged: bool = False,
    batch_size: int = 16,
) -> tuple[GPTModel, list[float]]:
    """A copy of the model that prefers the first answer of each pair."""
    sides = [list(side) for side in zip(*pairs)]
    reference = [answer_log_probs(model, s, end_id, averaged) for s in sides]
    chosen_batches = list(batches(len(pairs), batch_size, n_steps, seed))

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = chosen_batches[step]
        new = summed(
            policy,
            [side[i] for side in sides for i in rows],
            end_id,
            averaged,
        ).chunk(2)
        return dpo_loss(*new, *(r[rows] for r in reference), beta)

    policy = deepcopy(model)
    return policy, trained(policy, n_steps, lr, loss_of)


def train_likelier(
    model: GPTModel,
    items: Sequence[Item],
    end_id: int,
    n_steps: int,
    lr: float,
    seed: int,
    batch_size: int = 16,
) -> tuple[GPTModel, list[float]]:
    """A copy of the model, finetuned on these answers as chapter 7 does."""
    chosen_batches = list(batches(len(items), batch_size, n_steps, seed))

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = [items[i] for i in chosen_batches[step]]
        inputs, targets = collate(rows, end_id)
        of_tokens = log_probs(policy, inputs, targets)
        return -of_tokens.sum() / (targets != IGNORE).sum()

    policy = deepcopy(model)
    return policy, trained(policy, n_steps, lr, loss_of)


def train_grpo(
    model: GPTModel,
    entries: Sequence[dict],
    tokenizer: BPETokenizer,
    reward_of: Callable[[dict, str], float],
    n_steps: int,
    lr: float,
    seed: int,
    beta: float = 0.02,
    n_questions: int = 12,
    n_answers: int = 8,
) -> tuple[GPTModel, list[float]]:
    """A copy of the model that learned from the rewards of its own answers.

    Also the mean reward at each step.
    """
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    generator = torch.Generator().manual_seed(seed)
    chosen_batches = list(batches(len(entries), n_questions, n_steps, seed))
    prompts, rewards = prompts_of(entries, tokenizer), []

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = [i for i in chosen_batches[step] for _ in range(n_answers)]
        answers = sample(policy, [prompts[i] for i in rows], end_id, generator)
        reward = torch.tensor(
            [
                reward_of(entries[i], text_of(answer, tokenizer))
                for i, answer in zip(rows, answers)
            ]
        )
        rewards.append(reward.mean().item())
        advantage = advantages(reward.view(-1, n_answers)).flatten()
        items = [
            (prompts[i] + a, len(prompts[i])) for i, a in zip(rows, answers)
        ]
        inputs, targets = collate(items, end_id)
        new = log_probs(policy, inputs, targets)
        with torch.no_grad():
            reference = log_probs(model, inputs, targets)
        # One step for each batch of answers: what drew them is the policy.
        return grpo_loss(
            new, new.detach(), reference, advantage, targets != IGNORE, beta
        )

    policy = deepcopy(model)
    trained(policy, n_steps, lr, loss_of)
    return policy, rewards


def text_of(answer: list[int], tokenizer: BPETokenizer) -> str:
    """The text of a drawn answer, without its end."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    return tokenizer.decode([i for i in answer if i != end_id]).strip()
