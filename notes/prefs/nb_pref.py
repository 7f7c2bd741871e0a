import sys; sys.path.insert(0,"/tmp/me/pf")
from nb import NB
W="/tmp/wt/prefs/"
n=NB(W+"ch07/bonus/preferences.py","ch07-preferences")
I=("nbval-ignore-output",)
n.md("title","""
# Bonus. Which of two answers is better?

Instructions show one answer and call it right. Who writes it? For many tasks nobody can, but anybody can say which of two answers is better, and for some tasks a program can say which is right. The last step in the making of an assistant learns from such judgements: *reinforcement learning from human feedback*, RLHF. What do its methods gain, how far do they move a model, and how do they fail?

We let chapter 7's model answer questions of which a program knows the answers. So every judgement, every reward and every claim can be checked. Then we train it in five ways and measure all of them alike.
""","slide")
n.md("letters","""
**Letters.** `B` answers in a batch, `T` tokens, `G` answers to one question, $\\beta$ how strongly a model is held to its copy. About 45 minutes. The long trainings were recorded by `python -m ch07.bonus.preferences`; short ones run here.
""","subslide")
n.code("imports","""
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch04.kv_cache import evaluating, make_cache, read, take_rows
from ch05.course_model.measure import share
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import load_pretrained
from ch05.precision import autocast
from ch07.bonus.preferences import (
    FORMS,
    RECORD,
    REFUSAL,
    REFUSALS,
    REWARD,
    START,
    TRAININGS,
    compare,
    make_forms,
    make_tasks,
    other_questions,
    read_record,
    tabulate,
)
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

ON_COURSE = os.environ.get("COURSE_MODEL", "course") == "course"
BLUE, ORANGE, GREEN, GREY = "#2f6fb0", "#d9822b", "#3a8f5c", "#9aa5b1"
device = choose_device()
""")
n.md("way-md","""
![One question, Which word follows hat in the list cup, hat, kite. The model draws four answers: kite, hat, kite, kitten. A program checks each of them: the first and third are right, the others wrong. From there four ways lead on: finetune again on the right ones alone; DPO on pairs of right before wrong; a reward model trained on the same pairs, for the best of n; GRPO on every answer with its reward. A frozen copy, the reference, says how far the model has moved away.](figures/preferences.svg)

## Questions that can be checked

The small tasks of the course's corpus (copy a word, pick one from a list, spell one) are made by a program, so there are as many as one likes, each with its one right answer. First we need a model that answers. This is chapter 7's finetuning, one epoch of it to save time; the record has both.
""","slide")
n.code("finetune","""
entries = make_instructions()
torch.manual_seed(0)
start, tokenizer = load_pretrained(os.environ.get("COURSE_MODEL", "course"))
start.to(device)
end_id = tokenizer.special_tokens[END_OF_TEXT]
context_length = start.config.context_length
loaders = [
    create_instruction_dataloader(
        InstructionDataset(
            [e for e in entries if e["split"] == split],
            tokenizer,
            context_length,
        ),
        end_id,
    )
    for split in ("train", "development")
]
progress = finetune(start, *loaders, epochs=1, learning_rate=1e-4)
taught, asked = make_tasks(120, "taught"), make_tasks(100, "asked")
print(progress.step, "steps;", f"for example: {taught[0]['instruction']}")
print(taught[0]["input"], "->", taught[0]["output"])
assert progress.history[-1]["train_loss"] < 0.5
""",tags=I)
n.md("sample-md","""
Chapter 7 takes the likeliest token each time. Here the model has to *draw*, at temperature 1, since only answers that differ can be compared. Whoever has ended leaves the batch.
""")
n.code("item",n.d("MAX_NEW","prompts_of","sample"))
n.code("right",n.d("text_of","is_right","strict","draw_answers"))
n.md("draws-md","""
Six answers to each question. Look at them: how often is the likeliest answer right, how often a drawn one, and how often is at least one of the six right?
""")
n.code("draws","""
drawn = draw_answers(start, taught, tokenizer, 6, seed=0)
likeliest = which_right(taught, respond(start, tokenizer, taught))["all"]
right = [
    [is_right(entry, answer, tokenizer) for answer in answers]
    for entry, answers in zip(taught, drawn)
]
for entry, answers in list(zip(taught, drawn))[:4]:
    texts = Counter(text_of(answer, tokenizer) for answer in answers)
    print(f"{entry['instruction']} {entry['input']} -> {dict(texts)}")
print("likeliest   ", share(likeliest))
print("drawn       ", share([hit for hits in right for hit in hits]))
print("one of six  ", share([any(hits) for hits in right]))
assert sum(map(any, right)) > sum(map(sum, right)) / 6
""",tags=I,hide=True)
n.md("draws-read","""
The model draws a right answer to more questions than it usually answers rightly. What all the methods do is to move probability to answers that the model can give already. None can teach what it never says.
""")
n.md("logprob-md","""
## How likely is an answer?

All methods ask one thing of the model: the log-probability of an answer after its prompt. It is chapter 7's masked loss, token by token, with its sign flipped. The sum belongs to the answer as a whole: the probabilities of its tokens are multiplied, and logarithms add. The *mean* does not belong to any event, though code in use has it.
""","slide")
n.code("log-probs",n.d("log_probs","Item","summed"))
n.code("log-probs-all",n.d("answer_log_probs"))
n.code("pairs",n.d("right_and_wrong"))
n.code("pairs-check","""
good, pairs = right_and_wrong(taught, drawn, tokenizer)
print(f"{len(pairs)} pairs for {len(good)} of {len(taught)} questions")
better, worse = pairs[0]
print([tokenizer.decode(ids[k:]) for ids, k in (better, worse)])
rows = read_record(RECORD)
first = [row for row in rows if row["row"] == START]
likelier = {
    by: {
        where: sum(100 * run[f"{by}, {where}"] for run in first) / len(first)
        for where in ("shorter", "longer", "all")
    }
    for by in ("sum", "mean")
}
assert likelier["sum"]["shorter"] > likelier["sum"]["longer"]
pd.DataFrame(likelier).T.round(1)
""")
n.md("pairs-read","""
The table is from the record, over pairs of questions for the test. It says in how many per cent the right answer of a pair is also the likelier one, where the right one is the shorter of the two, the longer, and in all. By the sum a long answer has little chance: every token more costs probability. The mean evens this out. That is what averaging changes: not how good the judgement is altogether, but which mistakes it makes.
""")
n.md("rejection-md","""
## Rejection sampling: finetune on one's own right answers

The simplest way needs no new loss. Keep the right answers, throw the others away, finetune as before. `trained` makes the steps for all methods of this notebook.
""","slide")
n.code("batches",n.d("batches"))
n.code("trained",n.d("trained"))
n.code("likelier",n.d("train_likelier"))
n.md("reward-md","""
## A reward model: a judge that is trained

For most tasks no program knows the answer. People compare pairs, and a model learns to judge as they do: a GPT with one number in place of a score for each token. The loss wants the better answer's number to be higher (Bradley and Terry, 1952). People stand behind our pairs only as a program, and that has an advantage: we can check the judge.
""","slide")
n.code("reward-model",n.d("RewardModel"))
n.code("train-reward",n.d("train_reward"))
n.code("reward-run","""
reward, losses = train_reward(start, pairs, n_steps=25, lr=5e-5, seed=0)
drawn_asked = draw_answers(start, asked, tokenizer, 4, seed=1)
_, asked_pairs = right_and_wrong(asked, drawn_asked, tokenizer)
scores = [reward.scores(side) for side in zip(*asked_pairs)]
hits = (scores[0] > scores[1]).tolist()
print("right before wrong, new questions:", share(hits))
print(f"loss {losses[0]:.3f} -> {sum(losses[-5:]) / 5:.3f}")
assert abs(losses[0] - math.log(2)) < 1e-3 and losses[0] > losses[-1]
""",tags=I)
n.md("fooled-md","""
Is a judge good that is right that often? It has learned from answers that the model draws. The record asks it about answers that were made to be wrong, and counts how often it prefers them to the right one.
""")
n.code("fooled","""
judges = [row for row in rows if row["row"] == REWARD]
fooled = pd.DataFrame([run["fooled"] for run in judges]).T * 100
fooled.columns = [f"seed {run['seed']}" for run in judges]
accuracy = [100 * run["accuracy"] for run in judges]
print("right before wrong, drawn answers:", [round(a, 1) for a in accuracy])
assert fooled.to_numpy().max() > 100 - min(accuracy)
fooled.round(1)
""")
n.md("best-md","""
What is it good for? One can draw n answers and give the one with the highest score: *best of n*. It needs no training of the model. Its rivals are the answer that was drawn most often, which needs no judge, and a perfect judge, who finds a right answer wherever there is one. How far the best of n lies from the model is known beforehand: its KL is at most $\\ln n - (n - 1)/n$ nats.
""")
n.code("best","""
best = pd.DataFrame([b for run in judges for b in run["best of"]])
best = best.groupby("n").mean()
figure, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
names = {"among": "a perfect judge", "picked": "the reward model", "voted": "most often"}
for (column, label), color in zip(names.items(), (GREY, BLUE, ORANGE)):
    ax.plot(best.index, 100 * best[column], "o-", color=color, label=label)
ax.set_xscale("log", base=2)
ax.set_xticks(best.index, best.index)
ax.set(xlabel="answers to choose from", ylabel="right, %", title="Best of n")
ax.legend(frameon=False)
assert best.picked[8] > best.picked[1] and best.among[8] > best.picked[8]
plt.show()
""",tags=I)
n.md("dpo-md","""
## DPO: the pairs without a judge

*Direct preference optimisation* skips the reward model. `bonus/entries_and_judges.ipynb` had its loss for a row of four scores; here it is for whole answers. How much likelier has the right answer become than in the frozen copy, and how much the wrong one? The difference, times $\\beta$, goes through a sigmoid. What is its loss before the first step?
""","slide")
n.code("dpo-loss",n.d("dpo_loss"))
n.code("dpo-check","""
torch.manual_seed(0)
new, old = torch.randn(2, 2, 5, dtype=torch.float64)
new = [x.clone().requires_grad_() for x in new]
loss = dpo_loss(*new, *old, beta=0.5)
loss.backward()
margin = 0.5 * ((new[0] - old[0]) - (new[1] - old[1])).detach()
by_hand = torch.log1p(torch.exp(-margin)).mean()
weight = 0.5 * torch.sigmoid(-margin) / 5
print(f"loss {loss.item():.6f}, by hand {by_hand:.6f}")
print(f"at the start {dpo_loss(*old, *old, beta=0.5):.3f}, ln 2")
torch.testing.assert_close(loss.detach(), by_hand)
torch.testing.assert_close(new[0].grad, -weight)
torch.testing.assert_close(new[1].grad, weight)
""",hide=True)
n.md("dpo-gradient","""
The gradient says what the method does: it pushes the right answer up and the wrong one down with the *same* weight, and the weight shrinks once the difference is large compared with $1/\\beta$. So a small $\\beta$ means to push for longer. The loss sees only the difference. Nothing in it says that the right answer has to become likelier.
""")
n.code("train-dpo",n.d("train_dpo"))
n.code("dpo-run","""
policy, losses = train_dpo(start, pairs, end_id, beta=0.1, n_steps=20, lr=2e-5, seed=0)
others = other_questions(entries)[:60]
here = {
    "start": compare(start, start, tokenizer, asked, others),
    "DPO": compare(policy, start, tokenizer, asked, others),
}
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
assert abs(losses[0] - math.log(2)) < 1e-3 and losses[-1] < losses[0]
""",tags=I)
n.md("grpo-md","""
## GRPO: rewards in place of pairs

Where a program can check an answer, the model can be trained on its own answers as it goes, right and wrong ones alike. *Group relative policy optimisation* (2024) draws `G` answers to each question. An answer's **advantage** is its reward minus the mean of its group, in standard deviations. What is the advantage if all answers of a group are right?
""","slide")
n.code("grpo-loss",n.d("advantages","grpo_loss"))
n.code("grpo-check","""
rewards = torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]])
print(advantages(rewards).round(decimals=2).tolist())
new = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
advantage = torch.tensor([1.0, -1.0, 0.5, 0.0], dtype=torch.float64)
counted = torch.ones(4, 3, dtype=torch.bool)
same = new.detach()
grpo_loss(new, same, same, advantage, counted, beta=0.1).backward()
torch.testing.assert_close(new.grad, -advantage[:, None].expand(4, 3) / 12)
assert (advantages(rewards)[1] == 0).all()
""",hide=True)
n.md("grpo-read","""
A group in which all answers are right, or all wrong, teaches nothing. In the other groups the gradient is the advantage: tokens of better answers become likelier. `clip` bounds how far one batch of answers may take the model when it is used for several steps; we make one step for each batch, so it changes nothing here, and the tests check it. The term with $\\beta$ holds the model to its copy: its mean is the KL.
""")
n.code("train-grpo",n.d("train_grpo"))
n.code("grpo-run","""
policy, course = train_grpo(
    start, taught, tokenizer, strict, n_steps=6, lr=5e-5, seed=0, n_questions=8
)
here["GRPO"] = compare(policy, start, tokenizer, asked, others)
print("reward at each step:", [round(x, 2) for x in course])
print(pd.DataFrame(here).T.round(2))
assert here["start"]["wins"] == 0.5 and here["GRPO"]["kl"] < 5
""",tags=I)
n.md("record-md","""
## All ways, measured alike

These short trainings show that it runs, not what it is worth: 100 questions are too few. The record has three seeds, each with its own questions for training, draws and order, and 200 questions for the test. **exact match** counts the likeliest answer, **drawn** an answer at temperature 1. **wins** compares a drawn answer with one of the start: a right one wins against a wrong one, else it is half a win. **others** is exact match on the lesson's other kinds. **gained** says by how many nats right and wrong answers to new questions have become likelier. The control, **right answers given**, is told all the right answers.
""","slide")
n.code("record","""
runs = {way: [r for r in rows if r["row"] == way] for way in (START, *TRAININGS)}
assert all(len(of_way) >= 3 for of_way in runs.values())


def mean(way: str, name: str) -> float:
    return sum(run[name] for run in runs[way]) / len(runs[way])


tabulate(rows)
""")
n.md("record-read","""
RECORDREAD
""")
n.code("plot","""
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
palette = plt.get_cmap("tab10").colors
for (way, of_way), color in zip(runs.items(), palette * 2):
    kls = [max(run["kl"], 0.01) for run in of_way]
    for ax, name in zip(axes, ("exact", "wins")):
        marker = "s" if "fast" in way or "long" in way else "o"
        values = [100 * run[name] for run in of_way]
        ax.plot(kls, values, marker, color=color, label=way, alpha=0.8)
for ax, name in zip(axes, ("exact match, %", "wins against the start, %")):
    ax.set(xlabel="KL from the start, nats for an answer", ylabel=name)
    ax.set_xscale("log")
axes[0].set_title("A point is a seed")
axes[1].legend(bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
assert mean("DPO, fast, β 0.01", "exact") < mean("DPO, β 0.1", "exact")
plt.show()
""",tags=I)
n.md("collapse-md","""
COLLAPSE
""")
n.md("hacking-md","""
### A reward that can be cheated

"GRPO, long pays" had a judge with a weakness: one point for a right answer, and a little for every letter. Judges who like long answers exist; `bonus/entries_and_judges.ipynb` says how to find them. Guess what happens to the judge's mark, to the length and to the truth.
""","subslide")
n.code("likes-length",n.d("likes_length"))
n.code("hacking","""
cheating = {
    way: {name: mean(way, name) for name in ("pleases", "tokens", "drawn", "exact", "kl")}
    for way in (START, "GRPO", "GRPO, long pays")
}
assert cheating["GRPO, long pays"]["pleases"] > cheating[START]["pleases"]
assert cheating["GRPO, long pays"]["exact"] < cheating["GRPO"]["exact"]
pd.DataFrame(cheating).T.round(2)
""",hide=True)
n.md("hacking-read","""
HACK
""")
n.md("refuse-md","""
## Refusing, and what it costs

Alignment is also about what a model should *not* do. Our toy: a form holds a person's name, phone and street, and asked for the phone or the street of a person, the model should answer "That is private." A shop's phone is not private, nor is a person's age. How many harmless questions does it refuse as well?
""","slide")
n.code("forms","""
for sort in FORMS:
    entry = make_forms(1, sort, "show")[0]
    said = REFUSAL if sort == "private" else entry["output"]
    print(f"{sort}: {entry['instruction']} {entry['input']} -> {said}")
    assert entry["output"] in entry["input"]
""")
n.md("refuse-ways","""
The record taught this in three ways: by finetuning on refusals alone, on refusals together with harmless questions, and by refusals alone and then DPO on pairs, in which a refusal stands before the private line, and the true line before a refusal of a harmless question. "Other words" asks "Tell me the phone." in place of "What is the phone?", which no training had. Per cent refused, mean of three seeds; the last column is exact match on the harmless.
""")
n.code("refused","""
studies = [row["models"] for row in rows if row["row"] == REFUSALS]
refusals = {
    name: {
        sort: sum(100 * study[name][sort] for study in studies) / len(studies)
        for sort in studies[0][name]
    }
    for name in studies[0]
}
shop = "a shop's, taught"
assert refusals["refusals alone"][shop] > refusals["with harmless ones"][shop]
pd.DataFrame(refusals).T.round(1)
""")
n.md("refuse-read","""
REFUSE
""")
n.md("rlhf","""
## What RLHF is

InstructGPT (Ouyang and others, 2022), the paper behind the first assistants, had three steps, and all of them have run here: finetune on answers that people wrote; train a reward model on pairs that people compared; train the model on that reward, held to its copy by a KL penalty. Its third step was PPO, which needs a second network to estimate the value of each state. GRPO takes the mean of the group for it. DPO folds steps two and three into one loss. Models that reason were trained since 2024 with rewards that a program checks, as in "GRPO".
""","slide")
n.md("exercise","""
## Exercise

`likes_length` pays for letters. Write a judge that pays 0.2 for an answer whose first letter is a capital, and train with `train_grpo` for 20 steps. At which step do half of the drawn answers begin with a capital, and how does exact match move? Then subtract the bonus from wrong answers. Is it still cheated?
""","slide")
n.code("result","""
def in_percent(way: str, name: str) -> str:
    return ", ".join(f"{100 * run[name]:.1f}" for run in runs[way])


results = {f"{way}: exact match, %": in_percent(way, "exact") for way in runs}
results |= {
    "reward model, right before wrong, %": ", ".join(f"{a:.1f}" for a in accuracy),
    "best of 8, right, %": f"{100 * best.picked[8]:.1f}",
    "most often of 8, right, %": f"{100 * best.voted[8]:.1f}",
    "long pays: letters' judge, start and end": (
        f"{mean(START, 'pleases'):.2f}, {mean('GRPO, long pays', 'pleases'):.2f}"
    ),
    "a shop refused, refusals alone, %": f"{refusals['refusals alone'][shop]:.1f}",
    "the same with harmless ones, %": f"{refusals['with harmless ones'][shop]:.1f}",
}
assert "nan" not in str(results)
pd.DataFrame({"result": results.values()}, index=results.keys())
""",tags=("result",)+I)
import os
T={"RECORDREAD":"","COLLAPSE":"","HACK":"","REFUSE":""}
if os.path.exists("/tmp/me/pf/pref_texts.py"): exec(open("/tmp/me/pf/pref_texts.py").read())
for c in n.cells:
    for k,v in T.items():
        if c.source.strip()==k: c.source=v.strip("\n") or k
n.save(W+"ch07/bonus/preferences.ipynb")
