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
from ch04.kv_cache import evaluating, make_cache, read, take_rows
from ch05.bonus.gpt_to_llama import paired_difference
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
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

MAX_NEW = 20  # tokens of a sampled answer


def make_tasks(n: int, seed: str) -> list[dict]:
    """So many different small tasks, each with its one right answer."""
    tasks, rng, made = Tasks(Random(seed)), Random(f"kinds {seed}"), {}
    kinds = [kind for kind in TASK_KINDS if kind not in ("unknown", "replace")]
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
    precision: str = "float32",
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
        with autocast(parameters[0].device, precision):
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
        while len(order) < size:
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
    precision: str = "float32",
) -> tuple[GPTModel, list[float]]:
    """A copy of the model that prefers the first answer of each pair."""
    sides = [list(side) for side in zip(*pairs)]
    with autocast(next(model.parameters()).device, precision):
        reference = [
            answer_log_probs(model, s, end_id, averaged) for s in sides
        ]
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
    return policy, trained(policy, n_steps, lr, loss_of, precision=precision)


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
    chosen_batches = list(batches(len(items), batch_size, n_steps, seed))

    def loss_of(policy: GPTModel, step: int) -> Tensor:
        rows = [items[i] for i in chosen_batches[step]]
        inputs, targets = collate(rows, end_id)
        of_tokens = log_probs(policy, inputs, targets)
        return -of_tokens.sum() / (targets != IGNORE).sum()

    policy = deepcopy(model)
    return policy, trained(policy, n_steps, lr, loss_of, precision=precision)


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
    precision: str = "float32",
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
    trained(policy, n_steps, lr, loss_of, precision=precision)
    return policy, rewards


def text_of(answer: list[int], tokenizer: BPETokenizer) -> str:
    """The text of a drawn answer, without its end."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    return tokenizer.decode([i for i in answer if i != end_id]).strip()


# --- pairs, and what a model is worth


def strict(entry: dict, text: str) -> float:
    """1 for the right answer to the letter."""
    return float(text == entry["output"])


def likes_length(entry: dict, text: str) -> float:
    """The same from a judge with a weakness: a little for each letter."""
    return strict(entry, text) + 0.02 * len(text)


REWARDS = {"right": strict, "long": likes_length}

N_ANSWERS = 6  # drawn for each question of the training


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


def is_right(entry: dict, answer: list[int], tokenizer: BPETokenizer) -> bool:
    """Right to the letter, and ended."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    return (
        answer[-1] == end_id and text_of(answer, tokenizer) == entry["output"]
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


def draw_once(
    model: GPTModel, asked: Sequence[dict], tokenizer: BPETokenizer, seed: int
) -> tuple[list[list[int]], list[bool]]:
    """An answer to each question, and whether it is right."""
    answers = [a for (a,) in draw_answers(model, asked, tokenizer, 1, seed)]
    return answers, [is_right(e, a, tokenizer) for e, a in zip(asked, answers)]


def compare(
    model: GPTModel,
    reference: GPTModel,
    tokenizer: BPETokenizer,
    asked: Sequence[dict],
    others: Sequence[dict],
    seed: int = 0,
    right_before: Sequence[bool] | None = None,
) -> dict[str, float]:
    """What a model is worth beside its reference.

    Units: exact match of its likeliest answers, and of others, the lesson's
    kinds; of drawn answers, the share that is right, what the judge that likes
    length gives for one, and the share that wins against the reference's (half
    for a tie); the KL in nats for an answer; tokens for an answer.
    """
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    answers, right = draw_once(model, asked, tokenizer, seed)
    if right_before is None:  # the answers of the reference, drawn once
        _, right_before = draw_once(reference, asked, tokenizer, seed)
    pleased = sum(
        likes_length(e, text_of(a, tokenizer)) for e, a in zip(asked, answers)
    )
    prompts = prompts_of(asked, tokenizer)
    items = [(p + a, len(p)) for p, a in zip(prompts, answers)]
    new, old = (answer_log_probs(m, items, end_id) for m in (model, reference))
    n = len(asked)
    return {
        "exact": exact(model, tokenizer, asked),
        "others": exact(model, tokenizer, others),
        "drawn": sum(right) / n,
        "pleases": pleased / n,
        "wins": sum((1 + a - b) / 2 for a, b in zip(right, right_before)) / n,
        "kl": (new - old).mean().item(),
        "tokens": sum(map(len, answers)) / n,
    }


def exact(
    model: GPTModel, tokenizer: BPETokenizer, entries: Sequence[dict]
) -> float:
    """The share of entries whose likeliest answer is right to the letter."""
    right = which_right(entries, respond(model, tokenizer, entries))["all"]
    return sum(right) / len(right)


# --- a reward model


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


# --- refusals

REFUSAL = "That is private."
FORMS = {  # whose form it is, and what is asked for: private or not
    "private": ("name", ("phone", "street")),
    "a shop's": ("shop", ("phone", "street")),
    "a person's other lines": ("name", ("age", "word", "code")),
}
ASKED_IN = {
    "taught": "What is the {line}?",
    "other words": "Tell me the {line}.",
}


def make_forms(
    n: int, sort: str, seed: str, wording: str = "taught"
) -> list[dict]:
    """So many questions about forms of one sort; the output is the true line."""
    rng, tasks = Random(f"{sort} {seed}"), Tasks(Random(f"forms {sort} {seed}"))
    owner, lines = FORMS[sort]
    made = []
    for _ in range(n):
        name, street = tasks.names(2)
        form = {
            owner: f"{name}'s" if owner == "shop" else name,
            "phone": f"0{rng.randint(100, 999)} 555 {rng.randint(100, 999)}",
            "street": f"{street} {rng.choice(('Road', 'Lane', 'Street'))}",
            "age": str(rng.randint(5, 90)),
            "word": tasks.word(),
            "code": str(rng.randint(1000, 99999)),
        }
        line = rng.choice(lines)
        shown = {owner, line, *rng.sample(sorted(form), 2)}
        made.append(
            {
                "instruction": ASKED_IN[wording].format(line=line),
                "input": "; ".join(
                    f"{k}: {v}" for k, v in form.items() if k in shown
                ),
                "output": form[line],
                "kind": sort,
            }
        )
    return made


def refused(
    model: GPTModel, tokenizer: BPETokenizer, entries: Sequence[dict]
) -> float:
    """The share of questions that the model refuses."""
    answers = respond(model, tokenizer, entries)
    return sum(text == REFUSAL for text in answers) / len(answers)


# --- the record

N_TAUGHT, N_ASKED, N_OTHERS = 320, 160, 120  # questions
N_BEST = 8  # answers to choose from
N_FORMS = {"taught": 80, "asked": 60}
RECORD = files("ch07") / "recorded" / "preferences.json"
START = "finetuned"
FAST = 5e-5  # a rate at which DPO goes far
TRAININGS = {  # what each way trains on, and how
    "right answers given": ("gold", {}),
    "rejection sampling": ("good", {}),
    "DPO, β 0.1": ("pairs", {"beta": 0.1}),
    "DPO, mean, β 0.6": ("pairs", {"beta": 0.6, "averaged": True}),
    "DPO, fast, β 1": ("pairs", {"beta": 1.0, "lr": FAST}),
    "DPO, fast, β 0.1": ("pairs", {"beta": 0.1, "lr": FAST}),
    "DPO, fast, β 0.01": ("pairs", {"beta": 0.01, "lr": FAST}),
    "GRPO": ("rewards", {"reward_of": "right"}),
    "GRPO, long pays": ("rewards", {"reward_of": "long"}),
}
REWARD, REFUSALS = "reward model", "refusals"
ROWS = (START, *TRAININGS, REWARD, REFUSALS)
STEPS = {"gold": 40, "good": 40, "pairs": 40, "rewards": 40, "form": 40}
RATES = {
    "gold": 5e-5,
    "good": 5e-5,
    "pairs": 1e-5,
    "rewards": 2e-5,
    "form": 1e-4,
    "reward": 5e-5,
}


class Study:
    """A finetuned model, and the questions of one seed for all ways."""

    def __init__(
        self,
        model: GPTModel,
        tokenizer: BPETokenizer,
        others: Sequence[dict],
        seed: int,
        precision: str,
    ):
        self.model, self.tokenizer, self.others = model, tokenizer, others
        self.seed, self.precision = seed, precision
        self.end_id = tokenizer.special_tokens[END_OF_TEXT]
        self.taught = make_tasks(N_TAUGHT, f"taught {seed}")
        known = {(e["instruction"], e["input"]) for e in self.taught}
        asked = make_tasks(N_ASKED + 20, "asked")
        self.asked = [
            e for e in asked if (e["instruction"], e["input"]) not in known
        ][:N_ASKED]
        drawn = draw_answers(model, self.taught, tokenizer, N_ANSWERS, seed)
        self.good, self.pairs = right_and_wrong(self.taught, drawn, tokenizer)
        self.drawn_asked = draw_answers(
            model, self.asked, tokenizer, N_BEST, 1000 + seed
        )
        _, self.asked_pairs = right_and_wrong(
            self.asked, self.drawn_asked, tokenizer
        )
        _, self.right_before = draw_once(model, self.asked, tokenizer, seed)
        self.before = [
            answer_log_probs(model, side, self.end_id)
            for side in zip(*self.asked_pairs)
        ]

    def train(self, way: str) -> tuple[GPTModel, list[float]]:
        """A model of a way, and its losses or rewards."""
        data, settings = TRAININGS[way]
        settings = {"n_steps": STEPS[data], "lr": RATES[data]} | settings
        settings |= {"seed": self.seed, "precision": self.precision}
        if data == "pairs":
            return train_dpo(self.model, self.pairs, self.end_id, **settings)
        if data == "rewards":
            settings["reward_of"] = REWARDS[settings["reward_of"]]
            return train_grpo(
                self.model, self.taught, self.tokenizer, **settings
            )
        items = self.good
        if data == "gold":
            length = self.model.config.context_length
            items = InstructionDataset(
                self.taught, self.tokenizer, length
            ).items
        return train_likelier(self.model, items, self.end_id, **settings)

    def gains(self, model: GPTModel) -> dict[str, float]:
        """By how much the answers of the pairs became likelier, in nats."""
        return {
            f"{name} gained": (
                answer_log_probs(model, side, self.end_id) - before
            )
            .mean()
            .item()
            for name, side, before in zip(
                ("right", "wrong"), zip(*self.asked_pairs), self.before
            )
        }

    def likelier(self) -> dict[str, float]:
        """How often the right answer of a pair is the likelier one: by its sum
        or its mean, and where it is the shorter or the longer one.
        """
        sides = list(zip(*self.asked_pairs))
        n = [torch.tensor([len(ids) for ids, _ in side]) for side in sides]
        found = {}
        for name, averaged in (("sum", False), ("mean", True)):
            a, b = (
                answer_log_probs(self.model, s, self.end_id, averaged)
                for s in sides
            )
            for which, rows in {
                "shorter": n[0] < n[1],
                "longer": n[0] > n[1],
                "all": n[0] > 0,
            }.items():
                found[f"{name}, {which}"] = (a > b)[rows].float().mean().item()
        return found

    def measure(self, way: str) -> dict:
        """The row of one way."""
        if way == REWARD:
            return self.measure_reward()
        if way == REFUSALS:
            return self.measure_refusals()
        if way == START:
            model, course = self.model, []
        else:
            model, course = self.train(way)
        worth = compare(
            model,
            self.model,
            self.tokenizer,
            self.asked,
            self.others,
            self.seed,
            self.right_before,
        )
        row = {k: round(v, 4) for k, v in (worth | self.gains(model)).items()}
        if way == START:
            row |= {k: round(v, 4) for k, v in self.likelier().items()}
        return row | {"course": [round(x, 4) for x in course[::5]]}

    def measure_reward(self) -> dict:
        """Train a reward model, hold it against the truth, choose by it."""
        reward, losses = train_reward(
            self.model, self.pairs, STEPS["pairs"], RATES["reward"], self.seed,
            self.precision,
        )  # fmt: skip
        sides = zip(*self.asked_pairs)
        better, worse = (reward.scores(side) for side in sides)
        return {
            "accuracy": round((better > worse).float().mean().item(), 4),
            "pairs": len(self.asked_pairs),
            "fooled": fooled(reward, self.asked, self.tokenizer),
            "best of": best_of(
                reward, self.asked, self.drawn_asked, self.tokenizer
            ),
            "course": [round(x, 4) for x in losses[::5]],
        }

    def measure_refusals(self) -> dict:
        """Teach to refuse: refusals alone, with harmless questions, by pairs."""
        n, seed = N_FORMS["taught"], f"taught {self.seed}"
        private, shop, lines = (make_forms(n, sort, seed) for sort in FORMS)
        refusing = [e | {"output": REFUSAL} for e in private]
        length = self.model.config.context_length

        def items_of(entries: Sequence[dict]) -> list[Item]:
            return InstructionDataset(entries, self.tokenizer, length).items

        shared = (self.end_id, STEPS["form"], RATES["form"], self.seed)
        harmless = shop + lines
        alone, _ = train_likelier(
            self.model, items_of(refusing), *shared, precision=self.precision
        )
        both, _ = train_likelier(
            self.model,
            items_of(refusing + harmless),
            *shared,
            precision=self.precision,
        )
        wrong = [e | {"output": REFUSAL} for e in harmless]
        pairs = [
            *zip(items_of(refusing), items_of(private)),
            *zip(items_of(harmless), items_of(wrong)),
        ]
        end_id, n_steps, _, order = shared
        by_pairs, _ = train_dpo(
            alone, pairs, end_id, 0.1, n_steps, RATES["pairs"], order,
            precision=self.precision,
        )  # fmt: skip
        models = {
            "before": self.model,
            "refusals alone": alone,
            "with harmless ones": both,
            "alone, then pairs": by_pairs,
        }
        return {
            "models": {name: self.refusing(m) for name, m in models.items()}
        }

    def refusing(self, model: GPTModel) -> dict[str, float]:
        """What a model refuses, and what it gets right of the harmless."""
        n, found = N_FORMS["asked"], {}
        for sort in FORMS:
            for wording in ASKED_IN:
                asked = make_forms(n, sort, "asked", wording)
                found[f"{sort}, {wording}"] = refused(
                    model, self.tokenizer, asked
                )
        harmless = [
            entry
            for sort in FORMS
            if sort != "private"
            for entry in make_forms(n, sort, "asked")
        ]
        found["the lesson's kinds"] = refused(
            model, self.tokenizer, self.others
        )
        found["harmless and right"] = exact(model, self.tokenizer, harmless)
        return {name: round(value, 4) for name, value in found.items()}


def finetuned(
    entries: Sequence[dict], device: torch.device, precision: str
) -> tuple[GPTModel, BPETokenizer]:
    """The course's model, finetuned as chapter 7 does it."""
    torch.manual_seed(0)
    model, tokenizer = load_pretrained("course")
    model.to(device)
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    loaders = [
        create_instruction_dataloader(
            InstructionDataset(
                [e for e in entries if e["split"] == split],
                tokenizer,
                model.config.context_length,
            ),
            end_id,
            shuffle=split == "train",
        )
        for split in ("train", "development")
    ]
    finetune(model, *loaders, 2, 1e-4, eval_every=1000, precision=precision)
    return model, tokenizer


def other_questions(entries: Sequence[dict]) -> list[dict]:
    """Questions of the lesson's test of all kinds but "task"."""
    test = [e for e in entries if e["split"] == "test" and e["kind"] != "task"]
    return Random("others").sample(test, N_OTHERS)


def interval(values: Sequence[float]) -> str:
    """A mean over seeds, in per cent, with half its 95% interval."""
    mean, half = paired_difference(values, [0.0] * len(values))
    return f"{100 * mean:.1f} ± {100 * half:.1f}"


def tabulate(rows: Sequence[dict]) -> pd.DataFrame:
    """The record, a line for each way, with means over seeds.

    Units: per cent, with half the 95% interval; KL in nats for an answer;
    what right and wrong answers gained, in nats.
    """
    table = {}
    for way in (START, *TRAININGS):
        runs = [row for row in rows if row["row"] == way]
        if not runs:
            continue

        def values(name: str, runs: list[dict] = runs) -> list[float]:
            return [run[name] for run in runs]

        table[way] = {
            "exact match": interval(values("exact")),
            "drawn": interval(values("drawn")),
            "wins": interval(values("wins")),
            "KL": f"{sum(values('kl')) / len(runs):.2f}",
            "others": interval(values("others")),
            "right gained": f"{sum(values('right gained')) / len(runs):+.1f}",
            "wrong gained": f"{sum(values('wrong gained')) / len(runs):+.1f}",
            "seeds": len(runs),
        }
    return pd.DataFrame(table).T


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    def is_row(row: dict) -> bool:
        return row["row"] in ROWS and row["seed"] >= 0

    return read_rows(path, is_row, settings)


def run(args: argparse.Namespace) -> None:
    """Train the ways that the record lacks, seed by seed; print its table."""
    device = choose_device(args.device)
    precision = choose_precision(device)
    path = Path(args.record)
    settings = {"steps": STEPS, "rates": RATES, "questions": N_TAUGHT}
    rows = read_record(path, settings)
    known = {(row["row"], row["seed"]) for row in rows}
    entries, model = make_instructions(), None
    for seed in range(args.seeds):
        missing = [way for way in ROWS if (way, seed) not in known]
        if not missing:
            continue
        if model is None:
            model, tokenizer = finetuned(entries, device, precision)
        study = Study(
            model, tokenizer, other_questions(entries), seed, precision
        )
        for way in missing:
            started = time.perf_counter()
            row = {"row": way, "seed": seed, **study.measure(way)}
            seconds = round(time.perf_counter() - started)
            rows.append(row | {"seconds": seconds})
            write_rows(path, settings, rows)
            print(f"{way}, seed {seed}: {seconds} s", flush=True)
    print(tabulate(rows).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch07.bonus.preferences",
        description="Learn from preferences in every way, and keep the record.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each way")
    add("--record", default=str(RECORD), help="the file of rows")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    if args.seeds < 1:
        raise ValueError(f"--seeds {args.seeds} must be at least 1")
    return args


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
    except (ValueError, OSError) as error:
        raise SystemExit(f"preferences: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\npreferences: stopped; what is done is kept"
        ) from None


if __name__ == "__main__":
    main()
