"""The checks of chapter 6's exercises: padding, what is read, what learns, and what is counted.

Dimension key: N messages, B batch, T tokens, C embedding, K classes.
"""

import copy
import functools
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.flop_counter import FlopCounterMode

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch06.gpt_class_finetune import (
    LABELS,
    GPTClassifier,
    MessageDataset,
    Setting,
    accuracy,
    classification_loss,
    create_message_dataloader,
    predict,
    recalls,
    train_classifier,
    train_only,
    train_setting,
)
from exercises.checking import (
    article,
    ask,
    ask_kindly,
    call,
    demand,
    describe,
    exercise,
    same,
)

WORDS = (
    "the scale lorry badger onion ticket Thursday bridge soup kettle".split()
)
SPAM_WORD = " prize"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@functools.cache
def toy_tokenizer() -> BPETokenizer:
    return BPETokenizer.train((" ".join(WORDS) + SPAM_WORD + " ") * 9, 320)


def toy_gpt(n_layers: int = 3) -> GPTModel:
    """A GPT that runs in milliseconds, with weights so large that every token matters."""
    sizes = {
        "context_length": 32,
        "emb_dim": 24,
        "n_heads": 3,
        "n_layers": n_layers,
    }
    gpt = GPTModel(
        GPTConfig(toy_tokenizer().vocab_size, drop_rate=0.0, **sizes)
    ).eval()
    for parameter in gpt.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.2)
    return gpt


def toy_messages(n: int, seed: int, inverted: bool = False) -> MessageDataset:
    """Messages of 3 to 8 words; the last word of spam is one that ham never has."""
    draw, rows = random.Random(seed), []
    for i in range(n):
        text = " ".join(draw.choice(WORDS) for _ in range(draw.randint(3, 8)))
        is_spam = i % 2 == 1
        rows.append((LABELS[is_spam != inverted], text + SPAM_WORD * is_spam))
    return MessageDataset(
        pd.DataFrame(rows, columns=["label", "text"]), toy_tokenizer(), 32
    )


class Recorder(MessageDataset):
    """Messages that keep a list of which of them were asked for."""

    def __init__(self, dataset: MessageDataset):
        self.ids, self.labels, self.end_id = (
            dataset.ids,
            dataset.labels,
            dataset.end_id,
        )
        self.asked = []

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.asked.append(int(index))
        return super().__getitem__(index)


def random_rows(n: int, seed: int, end_id: int) -> tuple[Tensor, Tensor]:
    """A padded batch of n messages (B, T), some with end marks inside, and their ends (B,)."""
    draw = random.Random(seed)
    others = [i for i in range(12) if i != end_id]
    rows = []
    for _ in range(n):
        inside = [
            draw.choice([*others, end_id]) for _ in range(draw.randint(0, 6))
        ]
        rows.append(torch.tensor([*inside, draw.choice(others), end_id]))
    ends = torch.tensor([len(row) - 1 for row in rows])
    return pad_sequence(rows, batch_first=True, padding_value=end_id), ends


def demand_pair(got: Any, what: str, parts: str) -> None:
    is_pair = isinstance(got, tuple | list) and len(got) == 2
    demand(
        is_pair,
        f"{what} is {describe(got)}, but two things are asked for: {parts}.",
    )


def moved(model: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """The names of the weights that differ from what they were."""
    return {
        name
        for name, w in model.state_dict().items()
        if not torch.equal(w, before[name])
    }


def distance(gpt: GPTModel, other: GPTModel) -> float:
    """How far apart the weights of two GPTs are; a classifier's has no output layer."""
    others = dict(other.named_parameters())
    return math.sqrt(
        sum(
            ((w - others[n]) ** 2).sum().item()
            for n, w in gpt.named_parameters()
        )
    )


def meant_to_learn(model: GPTClassifier) -> set[str]:
    """The names of the weights of the last block, the final norm and the head."""
    last = f"gpt.blocks.{model.gpt.config.n_layers - 1}."
    names = dict(model.named_parameters())
    return {
        name
        for name in names
        if name.startswith((last, "gpt.final_norm.", "head."))
    }


# ---- 6.1 to 6.3: the book's questions.


@exercise("6.1")
def check_6_1(
    pad_to: Callable, times_as_many: Callable, largest_change: Callable
) -> None:
    """Padded rows, the positions of both ways of padding, and logits before and after."""
    for rows, length, end_id in [
        (torch.tensor([[5, 6, 9], [7, 9, 9]]), 5, 9),
        (torch.tensor([[5, 6, 9], [7, 9, 9]]), 3, 9),
        (random_rows(5, 1, 0)[0], 17, 0),
        (random_rows(1, 2, 4)[0], 256, 4),
    ]:
        what, extra = call(pad_to, rows, length, end_id), length - rows.shape[1]
        mistakes = [
            (
                F.pad(rows, (extra, 0), value=end_id),
                f"{what} pads on the left: the end is right.",
            ),
            (
                F.pad(rows, (0, extra)),
                f"{what} pads with zeros: the end mark {end_id} is asked.",
            ),
            (
                F.pad(rows, (0, length), value=end_id),
                f"{what} adds {length} columns: {length} in all are asked for.",
            ),
            (
                F.pad(rows, (0, 0, 0, extra), value=end_id),
                f"{what} adds rows instead of columns.",
            ),
        ]
        wanted = F.pad(rows, (0, extra), value=end_id)
        same(ask_kindly(pad_to, rows, length, end_id), wanted, what, mistakes)

    sizes = [([2, 4, 4, 8], 2, 16), ([3, 9, 5], 2, 10), ([7], 4, 7)]
    draw = random.Random(3)
    sizes += [
        ([draw.randint(1, 30) for _ in range(n)], b, 64)
        for n, b in ((10, 3), (31, 8))
    ]
    for lengths, batch_size, length in sizes:
        n = len(lengths)
        batches = [lengths[i : i + batch_size] for i in range(0, n, batch_size)]
        rows = [[torch.zeros(m) for m in batch] for batch in batches]
        positions = sum(pad_sequence(batch).numel() for batch in rows)
        wanted, what = (
            n * length / positions,
            call(times_as_many, lengths, batch_size, length),
        )
        full = sum(batch_size * max(batch) for batch in batches)
        mistakes = [
            (
                positions / (n * length),
                f"{what} is upside down: the longer padding comes first.",
            ),
            (
                n * length / sum(lengths),
                f"{what} counts only real tokens below the line: a batch is padded, too, to its "
                "longest message.",
            ),
            (
                length / max(lengths),
                f"{what}: each batch has a longest message of its own.",
            ),
            (
                n * length / full,
                f"{what} counts the last batch as full, but it is smaller.",
            ),
            (
                len(batches) * batch_size * length / full,
                f"{what} counts the last batch as full.",
            ),
        ]
        same(
            ask_kindly(times_as_many, lengths, batch_size, length),
            wanted,
            what,
            mistakes,
        )

    model = GPTClassifier(toy_gpt()).eval()
    nn.init.normal_(model.head.weight)
    for seed, length in ((4, 20), (5, 32)):
        idx, end = random_rows(4, seed, end_id=9)
        longer = F.pad(idx, (0, length - idx.shape[1]), value=9)
        with torch.no_grad():
            for token in ("end", "padded", "last"):
                model.token = token
                got = ask_kindly(largest_change, model, idx, end, length, 9)
                what = (
                    f"largest_change of a model that reads the token {token!r}"
                )
                is_number = isinstance(got, float)
                demand(
                    is_number,
                    f"{what} is {article(got)}, but a float is asked for.",
                )
                before, after = model(idx, end), model(longer, end)
                change = after - before
                if token != "padded":
                    demand(
                        abs(got) < 1e-3,
                        f"{what} is {got:.3g}, but the causal mask hides the padding from that "
                        "token: hand the model the same end both times.",
                    )
                    continue
                mistakes = [
                    (
                        change.abs().mean().item(),
                        f"{what} is a mean: the largest is asked for.",
                    ),
                    (
                        change.max().item(),
                        f"{what} overlooks changes downwards: take abs first.",
                    ),
                    (
                        change.abs().sum().item(),
                        f"{what} is a sum: the largest is asked for.",
                    ),
                    (
                        (after.softmax(-1) - before.softmax(-1))
                        .abs()
                        .max()
                        .item(),
                        f"{what} compares probabilities: the logits are asked for.",
                    ),
                ]
                same(got, change.abs().max().item(), what, mistakes)


def measured_work(n_blocks: int, layers: str) -> int:
    """The multiplications of one training step, counted by PyTorch."""
    model = GPTClassifier(toy_gpt(n_blocks))
    train_only(model, layers)
    idx, end = random_rows(4, 6, end_id=9)
    with FlopCounterMode(display=False) as counter:
        classification_loss(model, (idx, end, torch.tensor([0, 1, 0, 1])))[
            0
        ].backward()
    return counter.get_total_flops()


@exercise("6.2")
def check_6_2(finetune: Callable, times_the_work: Callable) -> None:
    """Trainings of a toy: what moved and how far, what repeats; the work by PyTorch's count."""
    gpt, train, sizes = toy_gpt(), Recorder(toy_messages(40, seed=1)), []

    def record(module: nn.Module, given: tuple[Tensor], out: Tensor) -> None:
        if module.training:
            sizes.append(len(out))

    def demand_steps(epochs: int) -> None:
        most, n = max(sizes, default=0), len(sizes)
        demand(
            most == 16,
            f"A batch of the training holds up to {most} messages: 16 are asked for.",
        )
        demand(
            n == 3 * epochs,
            f"With epochs={epochs}, 40 messages in batches of 16 make {3 * epochs} steps, but "
            f"finetune takes {n}.",
        )

    gpt.tok_emb.register_forward_hook(record)  # a copy of the GPT has it, too
    # So that the two accuracies lie far apart.
    val = toy_messages(20, seed=2, inverted=True)
    weights, runs = copy.deepcopy(gpt.state_dict()), {}
    for layers, seed in (("last-block", 1), ("all", 1), ("all", 1), ("all", 2)):
        train.asked.clear(), sizes.clear()
        # What was drawn before must not matter.
        torch.manual_seed(len(runs) + 77)
        got = ask(finetune, gpt, layers, train, val, seed, 2, 3e-3)
        demand_pair(
            got, "What finetune returns", "the classifier and its accuracy"
        )
        model, share = got
        is_model = isinstance(model, GPTClassifier) and isinstance(share, float)
        demand(
            is_model,
            "finetune must return a GPTClassifier, then its accuracy as a float.",
        )
        reads = f"The classifier of finetune reads the token {model.token!r}"
        demand(model.token == "end", f"{reads}, but the end mark is asked for.")
        demand(
            not moved(gpt, weights),
            "finetune trains the given GPT itself: train a copy.",
        )
        before = {f"gpt.{name}": w for name, w in weights.items()}
        names = {name for name, _ in model.gpt.named_parameters(prefix="gpt")}
        changed = {
            name
            for name in names
            if not torch.equal(model.state_dict()[name], before[name])
        }
        learns = (
            meant_to_learn(model) & names if layers == "last-block" else names
        )
        what = f"With layers={layers!r}"
        for name in sorted(changed - learns):
            demand(False, f"{what}, {name} has moved: freeze before you train.")
        for name in sorted(learns - changed):
            demand(False, f"{what}, {name} has not moved: it should learn.")
        demand_steps(2)
        right = accuracy(*predict(model, create_message_dataloader(val)))
        order = tuple(train.asked[:40])
        on_train = accuracy(*predict(model, create_message_dataloader(train)))
        mistakes = [
            (
                on_train,
                "The accuracy is that of the training messages: take val_set.",
            ),
            (
                100 * right,
                "The accuracy is in percent: a share between 0 and 1 is asked for.",
            ),
        ]
        same(share, right, "The accuracy on val_set", mistakes)
        twin = GPTClassifier(gpt)  # trained by the chapter's own functions
        train_only(twin, layers)
        loader = create_message_dataloader(train, seed=9)
        train_classifier(twin, loader, None, 2, 3e-3, progress=False)
        times = distance(model.gpt, gpt) / distance(twin.gpt, gpt)
        demand(
            0.7 < times < 1.4,
            f"{what}, a rate of 0.003 moves the weights {times:.2g} times as far as it should: "
            "hand the learning rate on as it is given.",
        )
        state = copy.deepcopy(model.state_dict())
        if (layers, seed) in runs:
            first, first_order = runs[layers, seed]
            demand(
                order == first_order,
                "Two calls with the same seed see the messages in another order: give the loader "
                "the seed, in each call a new one.",
            )
            demand(
                not moved(model, first),
                "Two calls with the same seed give different weights: set the seed before the "
                "classifier draws its head.",
            )
        runs[layers, seed] = state, order
    demand(
        runs["all", 1][1] != runs["all", 2][1],
        "The batches come in the same order whatever the seed: give the loader the seed.",
    )
    heads = []
    for layers, seed in (("all", 1), ("last-block", 1), ("all", 2)):
        sizes.clear()  # a rate of nothing leaves the head as it was drawn
        heads.append(
            ask(finetune, gpt, layers, train, val, seed, 3, 0.0)[0].head.weight
        )
        demand_steps(3)
    one_seed, two_seeds = (
        torch.equal(heads[0], heads[1]),
        torch.equal(heads[0], heads[2]),
    )
    demand(
        one_seed,
        "With one seed, the two ways of training start from different heads.",
    )
    demand(
        not two_seeds,
        "The head starts alike with the seeds 1 and 2: use the seed.",
    )

    for n_blocks, n_trained in ((12, 1), (3, 1), (4, 4), (5, 2), (48, 12)):
        wanted = 3 * n_blocks / (n_blocks + 2 * n_trained)
        what = f"times_the_work({n_blocks}, {n_trained})"
        reason = f"{what} is {describe(wanted)} and not this:"
        mistakes = [
            (n_blocks / n_trained, f"{reason} every block still runs forward."),
            (
                n_blocks / n_trained * 3,
                f"{reason} the frozen blocks have no backward pass, but they do run forward.",
            ),
            (
                3.0,
                f"{reason} the blocks that learn have a backward pass in both ways.",
            ),
            (
                (n_blocks + 2 * n_trained) / (3 * n_blocks),
                f"{reason} it is upside down.",
            ),
            (
                3 * n_blocks / (n_blocks + n_trained),
                f"{reason} a backward pass costs 2.",
            ),
            (
                2 * n_blocks / (n_blocks + n_trained),
                f"{reason} a backward pass costs 2.",
            ),
        ]
        same(
            ask(times_the_work, n_blocks, n_trained),
            wanted,
            what,
            mistakes[: 6 * (wanted != 1)],
        )
    counted = measured_work(6, "all") / measured_work(6, "last-block")
    off = f"PyTorch counts {counted:.2f} times the work for 6 blocks."
    demand(abs(ask(times_the_work, 6, 1) / counted - 1) < 0.1, off)


def best_judge(prefixes: list[tuple], labels: list[int]) -> float:
    """Try every way to give a class to each beginning, and keep the best."""
    known = sorted(set(prefixes))
    judges = (
        dict(zip(known, guess))
        for guess in itertools.product((0, 1), repeat=len(known))
    )
    right = (
        sum(judge[p] == k for p, k in zip(prefixes, labels)) for judge in judges
    )
    return max(right) / len(labels)


@exercise("6.3")
def check_6_3(ceiling: Callable, judge_by: Callable) -> None:
    """The ceiling against all judges that there could be; a toy's head by what it reads."""
    examples = [
        ([[3, 7, 0], [3, 8, 0], [4, 7, 0], [3, 8, 5, 0]], [0, 1, 1, 1], 1)
    ]
    several = [
        [3, 3, 1, 0],
        [2, 3, 0],
        [3, 2, 3, 0],
        [2, 1, 0],
        [2, 2, 3, 0],
        [3, 3, 0],
        [1, 2, 0],
        [2, 1, 2, 0],
    ]
    examples += [(several, [0, 1, 1, 0, 1, 1, 0, 0], n) for n in (2, 3)]
    two_digits = [
        [1, 12, 0],
        [11, 2, 0],
        [1, 12, 5],
        [11, 2, 7],
        [3, 1],
        [3, 2],
    ]
    examples.append((two_digits, [0, 1, 0, 1, 1, 0], 2))
    draw = random.Random(5)
    for n in (1, 5, 9, 14):
        ids = [
            [draw.randint(1, 3) for _ in range(draw.randint(1, 3))] + [0]
            for _ in range(n)
        ]
        examples += [
            (ids, [draw.randint(0, 1) for _ in ids], n_seen)
            for n_seen in (1, 2, 9)
        ]
    for ids, labels, n_seen in examples:
        prefixes = [tuple(message[:n_seen]) for message in ids]
        if len(set(prefixes)) > 12:
            continue
        wanted, what = (
            best_judge(prefixes, labels),
            call(ceiling, ids, labels, n_seen),
        )
        what = f"ceiling({ids}, {labels}, {n_seen})" if len(ids) <= 8 else what
        groups = [
            [k for q, k in zip(prefixes, labels) if q == p]
            for p in sorted(set(prefixes))
        ]
        shares = [
            max(group.count(0), group.count(1)) / len(group) for group in groups
        ]
        one = [p[:1] for p in prefixes]
        joined = [("".join(map(str, p)),) for p in prefixes]
        ends = [tuple(message[-n_seen:]) for message in ids]
        single = [tuple(message[n_seen - 1 : n_seen]) for message in ids]
        off = f"{what} is {describe(wanted)}, not this:"
        mistakes = [
            (
                sum(shares) / len(shares),
                f"{off} a frequent beginning counts once per message.",
            ),
            (
                max(labels.count(0), labels.count(1)) / len(labels),
                f"{off} for each beginning the judge may answer differently.",
            ),
            (
                best_judge(joined, labels),
                f"{off} [1, 12] and [11, 2] are two beginnings: do not join the digits.",
            ),
            (
                best_judge(one, labels),
                f"{off} the first {n_seen} tokens are seen, not only one.",
            ),
            (
                best_judge(single, labels),
                f"{off} all of the first {n_seen} tokens are seen.",
            ),
            (
                best_judge(ends, labels),
                f"{off} the first tokens are seen, not the last ones.",
            ),
            (
                1.0,
                f"{off} messages that begin alike and have two classes cannot all be right.",
            ),
        ]
        same(ask_kindly(ceiling, ids, labels, n_seen), wanted, what, mistakes)

    gpt, train = toy_gpt(), toy_messages(60, seed=3)
    weights, loader = (
        copy.deepcopy(gpt.state_dict()),
        create_message_dataloader(train),
    )
    shortened = [
        (idx[:, :1], torch.zeros_like(end), labels)
        for idx, end, labels in loader
    ]
    heads = []
    for token, seed in (
        ("first", 1),
        ("last", 1),
        ("end", 1),
        ("end", 1),
        ("end", 2),
    ):
        torch.manual_seed(len(heads) + 7)
        model = ask(judge_by, gpt, token, train, seed)
        demand(
            isinstance(model, GPTClassifier),
            f"judge_by returns {describe(model)}, but a GPTClassifier is asked for.",
        )
        has = f"The classifier of judge_by with token={token!r}"
        demand(model.token == token, f"{has} reads the token {model.token!r}.")
        demand(
            not moved(
                model.gpt,
                {k: v for k, v in weights.items() if k != "out_head.weight"},
            ),
            f"{has} has trained the GPT, too: only the head should learn.",
        )
        demand(
            not moved(gpt, weights),
            "judge_by changes the given GPT: train a copy.",
        )
        logits, labels = predict(model, loader)
        loss = F.cross_entropy(logits, labels).item()
        # Trained by the chapter's own function.
        twin = GPTClassifier(gpt, token=token)
        shuffled = create_message_dataloader(train, seed=9)
        train_setting(
            Setting(0.01, 30, layers="head", token=token), twin, shuffled, 9
        )
        reached = F.cross_entropy(*predict(twin, loader)).item()
        demand(
            abs(loss - reached) <= 0.25 * (math.log(2) - reached),
            f"{has} has a loss of {loss:.3f} on 60 toy messages, but with 30 epochs at a rate of "
            f"0.01 the head comes to about {reached:.3f}.",
        )
        if token == "first":
            same(
                logits,
                predict(model, shortened)[0],
                f"{has} on shortened messages",
            )
        heads.append(model.head.weight.detach().clone())
    _, _, once, again, other = heads
    demand(
        torch.equal(once, again),
        "Two calls with the same seed give two heads: set the seed.",
    )
    demand(
        not torch.equal(once, other),
        "The seeds 1 and 2 give the same head: use the seed.",
    )


# ---- 6.4 and 6.5: padding, and the token that is read.


@exercise("6.4")
def check_6_4(padding_mask: Callable, end_places: Callable) -> None:
    """Mask and places of batches whose messages are known, with end marks inside of them."""
    small = torch.tensor([[4, 5, 9, 9], [3, 9, 9, 9]]), torch.tensor([2, 1])
    inside = (
        torch.tensor([[4, 9, 5, 9, 9], [1, 2, 3, 4, 9]]),
        torch.tensor([3, 4]),
    )
    twice = torch.tensor([[4, 9, 9, 5, 9, 9], [1, 2, 3, 4, 5, 9]])
    examples = [(*small, 9), (*inside, 9), (twice, torch.tensor([4, 5]), 9)]
    for n, end_id in ((1, 3), (2, 0), (7, 5), (40, 11)):
        examples.append((*random_rows(n, n, end_id), end_id))
    for idx, ends, end_id in examples:
        wanted = torch.arange(idx.shape[1]) > ends.unsqueeze(1)
        got, what = (
            ask_kindly(padding_mask, idx, end_id),
            call(padding_mask, idx, end_id),
        )
        what = what if len(idx) < 4 else "padding_mask of a larger batch"
        first = (idx == end_id).long().argmax(dim=1, keepdim=True)
        is_end = idx == end_id
        follows = F.pad(is_end[:, :-1], (1, 0)) & is_end
        mistakes = [
            (
                follows,
                f"{what} takes the second of two line breaks inside a message for padding: the "
                "last tokens decide.",
            ),
            (
                (idx == end_id)
                & (torch.arange(idx.shape[1]) != ends.unsqueeze(1)),
                f"{what} takes a line break inside a message for padding.",
            ),
            (
                ~wanted,
                f"{what} is the wrong way round: True stands for padding.",
            ),
            (
                wanted.long(),
                f"{what} holds numbers: True and False are asked for.",
            ),
            (
                torch.arange(idx.shape[1]) >= ends.unsqueeze(1),
                f"{what} takes the end mark after the message for padding: it is not.",
            ),
            (
                torch.arange(idx.shape[1]) > first,
                f"{what} lets a message end at its first line break: the last tokens decide.",
            ),
        ]
        same(got, wanted, what, mistakes)
        got, what = (
            ask_kindly(end_places, idx, end_id),
            call(end_places, idx, end_id),
        )
        what = what if len(idx) < 4 else "end_places of a larger batch"
        mistakes = [
            (
                ends - 1,
                f"{what} gives the last token of the message: one place on is its end.",
            ),
            (ends + 1, f"{what} counts the tokens: places are counted from 0."),
            (
                first.squeeze(1),
                f"{what} stops at a line break inside a message.",
            ),
            (
                torch.full_like(ends, idx.shape[1] - 1),
                f"{what} gives the last column, where padding stands in the shorter rows.",
            ),
            (
                (idx != end_id).sum(dim=1),
                f"{what} overlooks the line break inside a message.",
            ),
        ]
        same(got, ends, what, mistakes)


@exercise("6.5")
def check_6_5(logits_at_end: Callable, logits_of_mean: Callable) -> None:
    """Logits of random vectors against a loop over the messages, for many sizes."""
    for B, T, C, K in (
        (2, 4, 3, 2),
        (3, 5, 4, 2),
        (1, 1, 2, 2),
        (1, 6, 8, 3),
        (9, 7, 16, 5),
    ):
        x, head = torch.randn(B, T, C), nn.Linear(C, K)
        end = torch.randint(T, (B,))
        end[0] = T // 2
        size = f"for x of shape {(B, T, C)} and end {describe(end)}"
        rows = range(B)
        with torch.no_grad():
            wanted = torch.stack([head(x[b, end[b]]) for b in rows])
            before = torch.stack([head(x[b, end[b] - 1]) for b in rows])
            after = torch.stack([head(x[b, (end[b] + 1) % T]) for b in rows])
            what = f"logits_at_end {size}"
            mistakes = [
                (
                    head(x[:, -1]),
                    f"{what} reads the last column, where padding may stand.",
                ),
                (head(x[:, 0]), f"{what} reads the first token."),
                (before, f"{what} reads the token before the end mark."),
                (after, f"{what} reads the token after the end mark."),
                (
                    head(x),
                    f"{what} has logits for each token: one row per message is asked for.",
                ),
                (
                    head(x[:, end]),
                    f"{what} takes all B places from each row: row b needs its own place end[b].",
                ),
                (
                    wanted.softmax(-1),
                    f"{what} gives probabilities: logits are asked for.",
                ),
                (
                    x[torch.arange(B), end],
                    f"{what} gives the vectors: the head is missing.",
                ),
            ]
            same(
                ask_kindly(logits_at_end, x, end, head), wanted, what, mistakes
            )
            means = [x[b, : end[b] + 1].mean(dim=0) for b in rows]
            wanted, what = head(torch.stack(means)), f"logits_of_mean {size}"
            sums = [x[b, : end[b] + 1].sum(dim=0) for b in rows]
            short = [x[b, : max(1, end[b])].mean(dim=0) for b in rows]
            mistakes = [
                (
                    head(x.mean(dim=1)),
                    f"{what} counts the padding in: stop at the end mark.",
                ),
                (
                    head(torch.stack(sums)),
                    f"{what} takes the sum: divide by the number of tokens.",
                ),
                (
                    head(torch.stack(sums) / T),
                    f"{what} divides by T: a message has end + 1 tokens.",
                ),
                (
                    head(torch.stack(short)),
                    f"{what} leaves the end mark out: it belongs to the message.",
                ),
                (
                    head(
                        torch.stack(
                            [s / e for s, e in zip(sums, end.clamp(min=1))]
                        )
                    ),
                    f"{what} divides by end: with place 0 a message has end + 1 tokens.",
                ),
            ]
            same(
                ask_kindly(logits_of_mean, x, end, head), wanted, what, mistakes
            )


# ---- 6.6 and 6.7: what is counted.


@exercise("6.6")
def check_6_6(balanced_places: Callable) -> None:
    """Counts, repeats and chances of what is drawn, for two and more classes."""
    small = torch.tensor([0, 0, 1, 0, 0, 1, 0])
    for labels in (
        small,
        torch.tensor([1, 0]),
        torch.tensor([2, 0, 1, 1, 2, 2, 0, 0, 0]),
        torch.randint(4, (97,)),
    ):
        what = f"balanced_places({describe(labels)}, generator)"
        places = ask_kindly(balanced_places, labels, seeded(1))
        is_row = (
            isinstance(places, Tensor)
            and places.dtype == torch.long
            and places.dim() == 1
        )
        demand(
            is_row,
            f"{what} must be a row of places as torch.long, not {describe(places)}.",
        )
        in_range = bool(((places >= 0) & (places < len(labels))).all())
        demand(in_range, f"{what} has places outside 0 to {len(labels) - 1}.")
        counts = labels.bincount()
        rarest = int(counts.min())
        got = labels[places].bincount(minlength=len(counts)).tolist()
        sentence = f"{what} draws {got} of the classes, but {rarest} of each are asked for."
        if got == [int(counts.max())] * len(counts):
            off = "leave frequent ones out instead"
            sentence = f"{what} draws the rare messages several times: {off}."
        demand(got == [rarest] * len(counts), sentence)
        demand(
            len(places.unique()) == len(places), f"{what} draws a place twice."
        )
        again = ask(balanced_places, labels, seeded(1))
        same_again = torch.equal(places, again)
        demand(
            same_again,
            f"{what} differs for two generators of one seed: draw from them alone.",
        )
    before = torch.get_rng_state()
    drawn = torch.stack(
        [ask(balanced_places, small, seeded(seed)) for seed in range(400)]
    )
    kept = torch.equal(before, torch.get_rng_state())
    demand(
        kept,
        "balanced_places uses up the program's own random numbers: use the generator.",
    )
    what = f"In 400 draws from {describe(small)}"
    how_often = drawn.flatten().bincount(minlength=7)
    # Each is drawn in 2 of 5 cases: 160 times, give or take 10.
    for place in (
        0,
        1,
        3,
        4,
        6,
    ):
        often = int(how_often[place])
        demand(
            100 <= often <= 220,
            f"{what}, ham at place {place} comes {often} times, but each ham should come about "
            "160 times: draw it at random.",
        )
    for position in range(4):  # 200 times, give or take 10
        spam = int(small[drawn[:, position]].sum())
        demand(
            140 <= spam <= 260,
            f"{what}, item {position} of the result is spam {spam} times, but about 200 are "
            "asked for: mix the classes.",
        )


@exercise("6.7")
def check_6_7(accuracy_and_recalls: Callable, in_the_field: Callable) -> None:
    """Shares of right answers against the chapter's functions; the field against a count."""
    toy = torch.tensor([[2.0, 0.0], [0.5, 0.6], [1.0, -1.0], [0.3, 0.1]])
    examples = [
        (toy, torch.tensor([0, 1, 1, 1])),
        (toy, torch.tensor([0, 0, 0, 0])),
    ]
    for n, K in ((1, 2), (30, 2), (50, 4)):
        examples.append((torch.randn(n, K), torch.randint(K, (n,))))
    for logits, labels in examples:
        guesses, K = logits.argmax(dim=-1), logits.shape[1]
        what = f"accuracy_and_recalls for {len(labels)} messages of {K} classes"
        if logits is toy:
            what = (
                f"accuracy_and_recalls({describe(logits)}, {describe(labels)})"
            )
        got = ask_kindly(accuracy_and_recalls, logits, labels)
        demand_pair(got, what, "the accuracy and the list of recalls")
        share, parts = got
        wanted, each = accuracy(logits, labels), recalls(logits, labels)
        mistakes = [
            (
                torch.tensor(each).nanmean().item(),
                f"The accuracy of {what} is the mean of the recalls: a frequent class counts more.",
            ),
            (
                float(guesses.eq(labels).sum()),
                f"The accuracy of {what} is a count, not a share.",
            ),
            (
                100 * wanted,
                f"The accuracy of {what} is in percent: give a share.",
            ),
        ]
        same(share, wanted, f"The accuracy of {what}", mistakes)
        is_list = isinstance(parts, list) and all(
            isinstance(part, float) for part in parts
        )
        demand(
            is_list,
            f"The recalls of {what} must be a list of floats, not {describe(parts)}.",
        )
        has = len(parts)
        demand(
            has == K,
            f"The recalls of {what} are {has}, but {K} classes have one each.",
        )
        hits = [(guesses.eq(k) & labels.eq(k)).sum() for k in range(K)]
        precisions = torch.stack(
            [h / guesses.eq(k).sum() for k, h in enumerate(hits)]
        )
        of_all = torch.stack(hits) / len(labels)
        wanted, off = torch.tensor(each), f"The recalls of {what}"
        mistakes = [
            (
                precisions,
                f"{off} divide by what was called a class: divide by what is of the class.",
            ),
            (
                wanted.nan_to_num(0.0),
                f"{off} are 0 for a class without messages: nan is asked.",
            ),
            (
                wanted.nan_to_num(1.0),
                f"{off} are 1 for a class without messages: nan is asked.",
            ),
            (
                of_all,
                f"{off} divide by all messages: divide by those of the class.",
            ),
        ]
        same(torch.tensor(parts), wanted, off, mistakes)

    for h, s, n_spam in (
        (95, 80, 20),
        (90, 90, 10),
        (50, 50, 50),
        (100, 40, 5),
        (60, 100, 1),
    ):
        # Of 100 messages; each is counted 100 times to avoid fractions.
        n_ham = 100 - n_spam
        found, lost = s * n_spam, (100 - h) * n_ham
        right = (h * n_ham + found) / 100**2
        example = h / 100, s / 100, n_spam / 100
        what = f"in_the_field({', '.join(map(str, example))})"
        got = ask(in_the_field, *example)
        demand_pair(
            got,
            what,
            "the accuracy and the share of spam in what is called spam",
        )
        mistakes = [
            (
                (h + s) / 200,
                f"The accuracy of {what} treats the classes as equally frequent.",
            ),
            (
                (s * n_ham + h * n_spam) / 100**2,
                f"The accuracy of {what} swaps the two classes.",
            ),
        ]
        same(got[0], right, f"The accuracy of {what}", mistakes)
        off = f"The second number of {what}"
        mistakes = [
            (
                s / 100,
                f"{off} is the share of spam that is found: ask it of what is called spam.",
            ),
            (
                s / (s + 100 - h),
                f"{off} treats the classes as equally frequent: ham is called spam more often.",
            ),
            (
                lost / (found + lost),
                f"{off} is the share of ham in what is called spam.",
            ),
            (
                found / 100**2,
                f"{off} is a share of all messages: divide by what is called spam.",
            ),
        ]
        same(got[1], found / (found + lost), off, mistakes)


# ---- 6.8 and 6.9: what learns, and from what.


@exercise("6.8")
def check_6_8(freeze_but_last: Callable) -> None:
    """What may learn, by name, after any state before; then what one step has moved."""
    for n_layers, all_learn in ((3, True), (1, True), (5, False), (2, None)):
        model = GPTClassifier(toy_gpt(n_layers)).train()
        before = copy.deepcopy(model.state_dict())
        for i, parameter in enumerate(model.parameters()):
            parameter.requires_grad = (
                bool(i % 2) if all_learn is None else all_learn
            )
        names = ask(freeze_but_last, model)
        what = f"Of a model with blocks 0 to {n_layers - 1},"
        wanted = meant_to_learn(model)
        learns = {
            name for name, p in model.named_parameters() if p.requires_grad
        }
        for name in sorted(learns - wanted):
            demand(
                False,
                f"{what} {name} may still learn: set requires_grad of its parameters.",
            )
        frozen_too = (
            "" if all_learn else ": it was so before, and you must thaw it"
        )
        for name in sorted(wanted - learns):
            demand(
                False,
                f"{what} {name} is frozen, but it should learn{frozen_too}.",
            )
        is_list = isinstance(names, list) and all(
            isinstance(name, str) for name in names
        )
        demand(
            is_list,
            f"freeze_but_last returns {describe(names)}, but a list of names is asked.",
        )
        demand(
            sorted(names) == sorted(wanted),
            f"{what} {len(wanted)} parameters may learn, but {len(names)} names are returned, or "
            "others.",
        )
        demand(
            not moved(model, before),
            f"{what} weights have changed: freezing changes none.",
        )
        optimizer = torch.optim.AdamW(
            (p for p in model.parameters() if p.requires_grad), lr=0.1
        )
        idx, end = random_rows(4, 8, end_id=9)
        classification_loss(model, (idx, end, torch.tensor([0, 1, 0, 1])))[
            0
        ].backward()
        optimizer.step()
        demand(
            moved(model, before) == wanted,
            f"{what} a step has not moved what it should.",
        )


def plain(text: str) -> str:
    return " ".join(text.lower().split())


@exercise("6.9")
def check_6_9(split_places: Callable) -> None:
    """Parts by their sizes, by what stands in them, and by chance, with texts sent twice."""
    twice = [
        "Soup is ready",
        "soup  is READY",
        "Call me",
        "Call me",
        "Bring onions",
    ]
    numbers = "one two three four five six seven eight nine ten".split()
    distinct = [
        f"The lorry {a} takes {b} tons" for a in numbers for b in numbers
    ]
    draw = random.Random(9)
    large = distinct + [draw.choice(distinct).upper() for _ in range(60)]
    large += [draw.choice(distinct).replace(" ", " \n ") for _ in range(60)]
    large += [f" {draw.choice(distinct)}\n" for _ in range(9)]
    draw.shuffle(large)
    for texts in (
        twice,
        twice * 4 + ["Thursday", "friday"],
        numbers,
        distinct[:90],  # of which 0.7 is a little less than 63
        large,
    ):
        what = f"split_places of {len(texts)} texts"
        what = f"split_places({texts}, 1)" if texts is twice else what
        parts = ask_kindly(split_places, texts, 1)
        are_lists = isinstance(parts, tuple | list) and len(parts) == 3
        are_lists = are_lists and all(isinstance(part, list) for part in parts)
        demand(
            are_lists,
            f"{what} must be three lists of places, but it is {describe(parts)}.",
        )
        places = [place for part in parts for place in part]
        are_places = all(
            type(place) is int and 0 <= place < len(texts) for place in places
        )
        demand(
            are_places,
            f"{what} must hold places from 0 to {len(texts) - 1}, as ints.",
        )
        seen = {}
        for part, name in zip(
            parts, ("the training part", "the validation part", "the test part")
        ):
            for place in part:
                text = plain(texts[place])
                if text in seen:
                    first, where = seen[text]
                    both = f"{texts[first]!r} in {where} and {texts[place]!r} in {name}"
                    demand(False, f"{what} has {both}, the same text.")
                seen[text] = place, name
        n = len({plain(text) for text in texts})
        has = len(seen)
        demand(
            has == n,
            f"{what} has {has} different texts left, but there are {n}.",
        )
        sizes = [len(part) for part in parts]
        wanted = [n * 7 // 10, n // 10, n - n * 7 // 10 - n // 10]
        demand(
            sizes == wanted,
            f"{what} has parts of {sizes}, but {wanted} are asked for: 7, 1 and 2 of 10 different "
            "texts, rounded down but for the last.",
        )
        again = ask(split_places, texts, 1)
        same_again = [list(part) for part in again] == [
            list(part) for part in parts
        ]
        demand(
            same_again, f"{what} differs from call to call: draw by the seed."
        )
    tests = [set(ask(split_places, numbers, seed)[2]) for seed in range(200)]
    # 40, give or take 6.
    often = [sum(place in test for test in tests) for place in range(10)]
    for place, times in enumerate(often):
        demand(
            10 <= times <= 75,
            f"With 200 seeds, place {place} of 10 is a test text {times} times, but about 40 are "
            "asked for: mix the texts by the seed before you cut.",
        )
