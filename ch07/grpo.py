"""Learn from rewards of one's own answers: GRPO.

Dimension key: B answers, T tokens, G answers to one question.
Source: Shao et al. 2024 (arXiv:2402.03300), section 4.1.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel
from ch05.gpt_train import IGNORE
from ch07.dpo import (
    batches,
    log_probs,
    prompts_of,
    sample,
    text_of,
    trained,
)
from ch07.gpt_instruction_finetuning import collate


def strict(entry: dict, text: str) -> float:
    """1 for the right answer to the letter."""
    return float(text == entry["output"])


def likes_length(entry: dict, text: str) -> float:
    """The same from a judge with a weakness: a little for each letter."""
    return strict(entry, text) + 0.05 * len(text)


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

    Raises: ValueError if a group has fewer than two answers to compare.
    """
    if n_answers < 2:
        raise ValueError(f"n_answers={n_answers} must be at least 2")
    device = next(model.parameters()).device
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
        groups = reward.view(-1, n_answers)
        advantage = advantages(groups).flatten().to(device)
        items = [
            (prompts[i] + a, len(prompts[i])) for i, a in zip(rows, answers)
        ]
        inputs, targets = (x.to(device) for x in collate(items, end_id))
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
