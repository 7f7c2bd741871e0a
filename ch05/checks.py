"""Checks of chapter 5's exercises: each judges an answer and prints one line.

Dimension key: B batch, T tokens, V vocabulary, N rows.
"""

import copy
import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from ch02.dataloader import create_dataloader, read_text
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, count_parameters, generate_greedy
from ch04.kv_cache import evaluating
from ch05.gpt_generate import generate, next_token_probabilities
from ch05.gpt_train import (
    IGNORE,
    next_token_loss,
    save_checkpoint,
    train,
)
from ch05.gpt_weights import load_pretrained
from exercises.checking import (
    NotDone,
    agree,
    ask,
    ask_by_hand,
    ask_kindly,
    demand,
    exercise,
    same,
)

TOY = torch.tensor([2.0, 1.0, 0.0, -1.0])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny_model(
    vocab_size: int = 32, drop_rate: float = 0.0, seed: int = 1, **sizes
) -> GPTModel:
    """A GPT that is built and run in milliseconds."""
    torch.manual_seed(seed)
    shape = {
        "context_length": 8,
        "emb_dim": 16,
        "n_heads": 2,
        "n_layers": 1,
    } | sizes
    return GPTModel(GPTConfig(vocab_size, drop_rate=drop_rate, **shape))


@functools.cache
def tiny_tokenizer(vocab_size: int) -> BPETokenizer:
    return BPETokenizer.train(read_text()[:3000], vocab_size)


# ---- 5.1 to 5.3: drawing.


@exercise("5.1")
def check_5_1(expected_count: Callable) -> None:
    """The expected count on several score tables and temperatures, against chapter 5's function."""
    for scores, token, temperature, n_draws in [
        (torch.zeros(2), 0, 1.0, 10),
        (TOY, 3, 2.0, 1000),
        (TOY, 3, 0.5, 1000),
        (TOY, 0, 5.0, 100),
        (torch.randn(77, generator=seeded(5)) * 3, 41, 1.7, 123_457),
    ]:
        got = ask_kindly(
            expected_count, scores.clone(), token, temperature, n_draws
        )
        again = ask(expected_count, scores.clone(), token, temperature, n_draws)
        demand(
            agree(got, again, tolerance=1e-9) or isinstance(got, Tensor),
            "Two calls give two counts: the expectation is asked for, and it needs no draw.",
        )
        share = next_token_probabilities(scores.unsqueeze(0), temperature)[
            0, token
        ].item()
        plain = scores.softmax(-1)
        mistakes = [
            (
                share,
                "This is the probability of one draw, not the count in n_draws.",
            ),
            (
                n_draws * (scores * temperature).softmax(-1)[token].item(),
                "The scores are multiplied by the temperature: a high one must flatten.",
            ),
            (
                n_draws * plain[token].item(),
                "The temperature makes no difference.",
            ),
            (
                n_draws * plain[token].item() / temperature,
                "The temperature divides the scores, before the softmax, not the probability.",
            ),
            (
                n_draws * (plain / temperature).softmax(-1)[token].item(),
                "The softmax is taken twice: the temperature divides the scores themselves.",
            ),
        ]
        what = f"The count at temperature {temperature} in {n_draws} draws"
        same(got, n_draws * share, what, mistakes)


PROMPT = "Clara is a baker, and Otto is a miller."
N_TEXTS, N_DRAWN = 12, 16


def measure(setting: dict[str, Any]) -> dict[str, float]:
    """Let the course's model go on with a sentence twelve times, and tell how it has drawn.

    Units: `texts` is how many differ; `first` the share of tokens that were the likeliest;
    `beyond 10` the share that was not among the ten likeliest; `farthest` the largest rank.
    """
    return dict(measured(tuple(setting.items())))


@functools.cache
def measured(setting: tuple) -> dict[str, float]:
    """What measure tells, kept for settings that are asked for again."""
    model, tokenizer = load_pretrained("course")
    idx = torch.tensor([tokenizer.encode(PROMPT)]).repeat(N_TEXTS, 1)
    written = generate(
        model, idx, N_DRAWN, generator=seeded(0), **dict(setting)
    )
    with torch.no_grad():
        # (12, 16, V), before each drawn token
        logits = model(written[:, :-1])[:, -N_DRAWN:]
    drawn = written[:, -N_DRAWN:]
    ranks = 1 + (logits > logits.gather(-1, drawn.unsqueeze(-1))).sum(dim=-1)
    return {
        "texts": len({tuple(row) for row in drawn.tolist()}),
        "first": (ranks == 1).float().mean().item(),
        "beyond 10": (ranks > 10).float().mean().item(),
        "farthest": int(ranks.max()),
    }


@exercise("5.2")
def check_5_2(settings: dict[str, dict]) -> None:
    """Twelve texts drawn by the course's model with each setting, judged by what was measured."""
    uses = ("ticket", "tale", "names")
    demand(
        isinstance(settings, dict) and set(settings) == set(uses),
        "settings must be a dict with the keys ticket, tale and names.",
    )
    for use in uses:
        setting = settings[use]
        if (
            setting is ...
            or isinstance(setting, dict)
            and ... in setting.values()
        ):
            raise NotDone
        demand(
            isinstance(setting, dict)
            and set(setting) <= {"temperature", "top_k"},
            f"settings['{use}'] must be a dict of temperature, top_k, or both.",
        )
        found = ask(measure, setting)
        texts, first, farthest = (
            found["texts"],
            found["first"],
            found["farthest"],
        )
        if use == "ticket":
            demand(
                texts == 1,
                f"ticket: {texts} different texts in {N_TEXTS} draws, but every ticket must "
                "bear the same words.",
            )
        elif use == "tale":
            demand(
                texts >= 10,
                f"tale: only {texts} of {N_TEXTS} texts differ, 10 are asked for.",
            )
            demand(
                farthest <= 10,
                f"tale: the model's choice number {farthest} was drawn, but none beyond its tenth "
                "may be: the temperature alone cannot forbid a token.",
            )
            demand(
                first >= 0.5,
                f"tale: only {first:.0%} of the tokens were the likeliest ones, half are asked "
                "for: the draw is too flat.",
            )
        else:
            demand(
                found["beyond 10"] >= 0.25,
                f"names: {found['beyond 10']:.0%} of the tokens lie beyond the tenth choice, a "
                "quarter is asked for: the draw is too sharp.",
            )
            demand(
                farthest <= 100,
                f"names: the model's choice number {farthest} was drawn, but none beyond its "
                "hundredth may be.",
            )


@exercise("5.3")
def check_5_3(fixed: dict[str, float], draw_again: Callable) -> None:
    """Each setting on sure and unsure scores; draw_again by what repeats, and what must not."""
    names = ("temperature", "top_k", "top_p")
    demand(
        isinstance(fixed, dict) and set(fixed) == set(names),
        "fixed must be a dict with the keys temperature, top_k and top_p.",
    )
    unsure = torch.zeros(2, 50_257)
    for name in names:
        if fixed[name] is ...:
            raise NotDone
        for kind, logits in (
            ("a model that is sure", TOY.repeat(2, 1) * 3),
            ("a model that is unsure", unsure),
        ):
            probabilities = ask(
                next_token_probabilities, logits, **{name: fixed[name]}
            )
            n = int((probabilities > 1e-6).sum(dim=-1).max())
            demand(
                n == 1,
                f"With {name}={fixed[name]!r} {kind} still draws among {n:,} "
                f"of {logits.shape[1]:,} tokens.",
            )

    model, idx = tiny_model(vocab_size=50), torch.tensor([[1, 2, 3]])
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = ask(draw_again, model, idx, 12, 7)
    demand(
        isinstance(first, Tensor)
        and first.shape == (1, 15)
        and torch.equal(first[:, :3], idx),
        "draw_again must return the ids that generate returns: the prompt, then n_tokens more.",
    )
    demand(
        torch.equal(torch.get_rng_state(), before),
        "draw_again uses up the program's own random numbers: give generate a generator of its "
        "own.",
    )
    torch.manual_seed(12)
    demand(
        torch.equal(first, ask(draw_again, model, idx, 12, 7)),
        "A second call with the same seed draws other tokens: a generator goes on from where it "
        "was, so each call needs a new one.",
    )
    others = [ask(draw_again, model, idx, 12, seed) for seed in range(20, 28)]
    demand(
        len({tuple(ids[0].tolist()) for ids in [first, *others]}) == 9,
        "Two different seeds draw the same tokens: draw at temperature 1, and use the seed.",
    )
    with torch.no_grad():  # sure of each next token, so every draw is greedy
        model.out_head.weight *= 10_000
    demand(
        torch.equal(
            ask(draw_again, model, idx, 12, 7), generate_greedy(model, idx, 12)
        ),
        "The drawn tokens are not those of the model: one that is sure must be followed.",
    )
    # Unequal tokens tell a temperature, tokens that are nearly alike a cut.
    n_draws = 20_000
    for factor in (1 / 100, 1 / 50):
        with torch.no_grad():
            model.out_head.weight *= factor
            shares = next_token_probabilities(model(idx)[:, -1])[0]
        many = ask(draw_again, model, idx.repeat(n_draws, 1), 1, 7)
        drawn = many[:, -1].bincount(minlength=50) / n_draws
        errors = (shares * (1 - shares) / n_draws).sqrt() + 1e-4
        farthest = int(((drawn - shares) / errors).abs().argmax())
        demand(
            abs(drawn[farthest] - shares[farthest]) < 6 * errors[farthest],
            f"Of {n_draws:,} draws {drawn[farthest] * n_draws:.0f} gave one token, but at "
            f"temperature 1 and from all tokens about {n_draws * shares[farthest].item():.0f} are "
            "expected.",
        )


# ---- 5.4 to 5.6: trainings.


def tiny_run(seed: int = 9) -> tuple:
    """Model, optimizer and both loaders of a training with dropout, five steps in each epoch."""
    model = tiny_model(drop_rate=0.2, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    ids = torch.randint(0, 32, (20 * 8 + 1,), generator=seeded(4))
    val_loader = create_dataloader(
        ids[:57], 8, 4, shuffle=False, drop_last=False
    )
    return model, optimizer, create_dataloader(ids, 8, 4, seed=2), val_loader


@exercise("5.4")
def check_5_4(one_more_epoch: Callable) -> None:
    """Two trainings, stopped after two epochs and after one, against ones that were not stopped."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        for done in (2, 1):
            model, optimizer, *loaders = tiny_run()
            torch.manual_seed(30)
            save_checkpoint(
                path, model, optimizer, train(model, *loaders, optimizer, done)
            )
            whole, optimizer, *loaders = tiny_run()
            torch.manual_seed(30)
            train(whole, *loaders, optimizer, done + 1)

            model, optimizer, *loaders = tiny_run(seed=31)
            with torch.enable_grad():
                history = ask(one_more_epoch, path, model, optimizer, *loaders)
            judge_resumed(history, done, model, optimizer, whole)


def judge_resumed(
    history: list[dict],
    done: int,
    model: GPTModel,
    optimizer: torch.optim.Optimizer,
    whole: GPTModel,
) -> None:
    demand(
        isinstance(history, list) and all("step" in row for row in history),
        "one_more_epoch must return the history that train returns.",
    )
    steps = int(next((s["step"] for s in optimizer.state.values()), 0))
    n_complete = len(history)
    was = f"The checkpoint holds {done} complete {'epoch' if done == 1 else 'epochs'}"
    demand(
        n_complete != done
        or history[-1]["step"] > 5 * done
        or steps > 5 * done,
        f"{was}, and no step followed: epochs counts from the beginning of the training, so it "
        f"must be {done + 1} here.",
    )
    demand(
        n_complete >= done + 1,
        f"{was}, but at the end the history has {n_complete}: the training began anew. Hand "
        "train what load_checkpoint returns.",
    )
    demand(
        n_complete == done + 1,
        f"{was}, and at the end there are {n_complete}, but one more is asked for.",
    )
    demand(
        steps == 5 * (done + 1),
        f"The optimizer that was given has counted {steps} steps, but {5 * (done + 1)} belong to "
        "the training: its memory must come from the checkpoint too.",
    )
    largest = max(
        (weight - model.state_dict()[name]).abs().max().item()
        for name, weight in whole.state_dict().items()
    )
    demand(
        largest < 1e-6,
        f"The weights differ by up to {largest:.3f} from those of a training without a stop.",
    )


def window_losses(
    model: GPTModel, ids: list[int], context_length: int, shift: int = 1
) -> Tensor:
    """The mean loss of each window by itself, without any loader. Shapes: (number of windows,)."""
    losses = []
    with evaluating(model), torch.no_grad():
        for start in range(0, len(ids) - context_length, context_length):
            window = torch.tensor([ids[start : start + context_length]])
            targets = torch.tensor(
                ids[start + shift : start + shift + context_length]
            )
            losses.append(F.cross_entropy(model(window)[0], targets))
    return torch.stack(losses)


def loss_mistakes(losses: Tensor) -> list[tuple[float, str]]:
    """What a loss becomes if batches of 2 to 8 windows are cut short or averaged wrongly."""
    mistakes = []
    for size in range(2, 9):
        batches = [batch.mean() for batch in losses.split(size)]
        if len(losses) % size:
            mean = torch.stack(batches).mean().item()
            mistakes.append(
                (
                    mean,
                    "The mean of the batches' losses lets a small last batch count too much.",
                )
            )
        full = losses[: len(losses) // size * size]
        if 0 < len(full) < len(losses):
            mistakes.append(
                (full.mean().item(), "The last windows are missing: a loader drops a batch that "
                 "is not full, unless drop_last=False.")
            )  # fmt: skip
    return mistakes


@exercise("5.5")
def check_5_5(text_loss: Callable) -> None:
    """The loss of three texts with small models, against a loop over the windows one by one."""
    story = read_text()[500:]
    for text, vocab_size, context_length, drop_rate in [
        (story[:60], 260, 8, 0.0),
        ("<|endoftext|>" + story[:400], 300, 8, 0.0),
        (story[:1111], 400, 12, 0.3),
    ]:
        tokenizer = tiny_tokenizer(vocab_size)
        ids = tokenizer.encode_ordinary(text)
        model = tiny_model(vocab_size, drop_rate, context_length=16)
        for weight in model.parameters():
            # So that the model has opinions, and its mistakes can be told.
            weight.data.mul_(3)
        model.train()
        losses = window_losses(model, ids, context_length)
        got = ask(text_loss, model, tokenizer, text, context_length)
        again = ask(text_loss, model, tokenizer, text, context_length)
        demand(
            isinstance(got, float),
            "text_loss must return a float, as evaluate does.",
        )
        model.eval()
        quiet = ask(text_loss, model, tokenizer, text, context_length)
        wanted = losses.mean().item()
        if drop_rate and not agree(got, again) and agree(quiet, wanted):
            demand(
                False,
                "Two calls give two losses for one text: dropout is on while measuring.",
            )
        per_window = [
            (
                window_losses(model, ids, context_length, shift=0)
                .mean()
                .item(),
                "The targets are the inputs themselves: they must be one token further on.",
            ),
            (
                losses.sum().item(),
                "The windows' losses are summed, but their mean is asked for.",
            ),
            (
                wanted * context_length,
                "The loss is that of a window, not of a token.",
            ),
            *loss_mistakes(losses),
        ]
        same(got, wanted, f"The loss of {len(losses)} windows", per_window)


@exercise("5.6")
def check_5_6(compare: Callable) -> None:
    """Parameters and bits per byte of small models with different tokenizers."""
    story, length = read_text(), 32
    start = story.index("The café stood")
    for n_characters, n_models in ((500, 1), (907, 3)):
        text = story[start : start + n_characters]
        models, wanted = {}, {}
        for i in range(n_models):
            tokenizer = tiny_tokenizer(260 + 90 * i)
            model = tiny_model(
                tokenizer.vocab_size,
                seed=i,
                context_length=64,
                n_layers=1 + i,
                tie_weights=i != 1,
            )
            models[f"model {i}"] = (model.eval(), tokenizer)
        found = ask(compare, dict(models), text)
        demand(
            isinstance(found, dict) and list(found) == list(models),
            "compare must return a dict with the names of the models, in their order.",
        )
        for name, (model, tokenizer) in models.items():
            ids = tokenizer.encode_ordinary(text)
            losses = window_losses(model, ids, length)
            per_token = losses.mean().item()
            n_bytes, bit = len(text.encode()), math.log(2)
            per_byte = len(ids) / n_bytes / bit
            wanted = per_token * per_byte
            demand(
                isinstance(found[name], tuple | list) and len(found[name]) == 2,
                "Each model needs a pair: its number of parameters, and its bits per byte.",
            )
            n_parameters, loss = found[name]
            states = sum(
                weight.numel() for weight in model.state_dict().values()
            )
            same(
                n_parameters,
                count_parameters(model),
                f"The number of parameters of {name}",
                [
                    (
                        states,
                        "A matrix that is used twice, as tie_weights does, counts only once.",
                    )
                ],
            )
            share = len(losses) * length
            mistakes = [
                (per_token, "This is the loss per token: a model with longer tokens has fewer of "
                 "them, so multiply by the number of tokens for each byte."),
                (per_token / bit, "These are bits per token: multiply by the number of tokens for "
                 "each byte."),
                (wanted * bit, "The logarithm is the natural one: divide by ln 2 to have bits."),
                (wanted * bit**2, "A natural logarithm is divided by ln 2 to have bits, not "
                 "multiplied."),
                (per_token / bit * n_bytes / len(ids), "Turn the ratio round: a token has several "
                 "bytes, so the loss per byte is smaller than that per token."),
                (wanted * n_bytes / len(text), "The text's characters are counted, not its "
                 "bytes: é is one character of two bytes."),
                (wanted * share / len(ids), "Windows leave a rest of the text out: take the "
                 "mean loss of a token times all tokens of the text."),
                (wanted * n_bytes, "These are the bits of the whole text: divide by its number "
                 "of bytes."),
                *[(value * per_byte, words) for value, words in loss_mistakes(losses)],
            ]  # fmt: skip
            same(loss, wanted, f"The bits per byte of {name}", mistakes)


# ---- 5.7 to 5.9: loss and loop.


@exercise("5.7")
def check_5_7(cross_entropy: Callable) -> None:
    """Values and gradients against PyTorch's own: huge scores, and targets that do not count."""
    torch.manual_seed(2)
    for logits, targets in [
        (torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])),
        (TOY.repeat(3, 1), torch.tensor([0, 3, 1])),
        (torch.randn(7, 7), torch.tensor([6, 0, 2, 2, 5, 1, 3])),
        (
            torch.randn(11, 5),
            torch.tensor([4, 0, 1, IGNORE, 2, 2, IGNORE, 3, 0, 1, IGNORE]),
        ),
        (torch.randn(9, 6) * 400, torch.tensor([0, 5, 1, 2, 4, 3, 3, 0, 1])),
    ]:
        given, ids = logits.clone().requires_grad_(), targets.clone()
        with torch.enable_grad():
            got = ask_by_hand(
                ["cross_entropy", "nll_loss"], cross_entropy, given, ids
            )
        judged = logits.clone().requires_grad_()
        loss = F.cross_entropy(judged, targets, ignore_index=IGNORE)
        wanted, n = loss.detach(), len(targets)
        demand(
            not isinstance(got, Tensor) or got.isfinite().all().item(),
            f"The loss is not finite where scores lie {int(logits.max() - logits.min())} apart: "
            "their logarithm must be taken without the probability itself.",
        )
        counted = targets != IGNORE
        picked = logits[torch.arange(n), targets.clamp(min=0)]
        total = wanted * counted.sum()
        mistakes = [
            (-wanted, "The sign is wrong: a loss is positive."),
            (
                total,
                "This is the sum over the rows, but their mean is asked for.",
            ),
            (
                total / n,
                "The mean is over all rows: one whose target is -100 does not count.",
            ),
            (
                F.cross_entropy(logits, targets.clamp(min=0)),
                "A row whose target is -100 is counted as if its target were token 0.",
            ),
            (
                -picked.mean(),
                "These are the bare scores: the softmax is missing.",
            ),
            (
                F.cross_entropy(logits.softmax(dim=-1), targets),
                "The softmax is taken twice: the logarithm of the first one is enough.",
            ),
            (
                -logits.log_softmax(dim=0)[
                    torch.arange(n), targets.clamp(min=0)
                ].mean(),
                "The softmax runs over the rows, but each row has its own, over its V scores.",
            ),
        ]
        same(got, wanted, f"The loss of {n} rows", mistakes)
        demand(
            got.requires_grad,
            "The loss has no gradient: it must be computed from tensors.",
        )
        gradient, true_gradient = (
            torch.autograd.grad(value, scores)[0]
            for value, scores in ((got, given), (loss, judged))
        )
        same(gradient, true_gradient, f"The gradient of the loss of {n} rows")


@exercise("5.8")
def check_5_8(perplexity: Callable) -> None:
    """Batches of equal and of unequal size, against the loss of all their tokens together."""
    random = seeded(8)
    for counts in ([1], [4, 4], [8, 1], [100, 37, 5], [64, 0, 3]):
        log_probs = [-torch.rand(n, generator=random) * 5 - 0.1 for n in counts]
        batches = [
            (-p.mean().item() if len(p) else 0.0, len(p)) for p in log_probs
        ]
        got = ask_kindly(perplexity, list(batches))
        loss = -torch.cat(log_probs).mean()
        losses = torch.tensor([loss for loss, _ in batches])
        weights = torch.tensor(counts) / sum(counts)
        mistakes = [
            (loss.item(), "This is the mean loss: the perplexity is its exponential."),
            (2 ** loss.item(), "The loss is in natural logarithms, so the base is e and not 2."),
            (losses.mean().exp().item(), "All batches count alike, but a batch of few tokens must "
             "count little."),
            (losses.exp().mean().item(), "The perplexities are averaged: average the losses, and "
             "take the exponential once."),
            ((losses.exp() * weights).sum().item(), "The perplexities are averaged: average the "
             "losses, and take the exponential once."),
            ((losses * torch.tensor(counts)).sum().exp().item(), "The losses are summed over the "
             "tokens, but their mean is asked for."),
        ]  # fmt: skip
        same(
            got,
            loss.exp().item(),
            f"The perplexity of batches of {counts} tokens",
            mistakes,
        )


def loop_run() -> tuple:
    """A tiny model, its optimizer, and five batches of which the last is smaller."""
    model = tiny_model(seed=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    windows = torch.randint(0, 32, (5, 3, 7), generator=seeded(6))
    batches = [(window[:, :-1], window[:, 1:]) for window in windows]
    batches[-1] = tuple(part[:1] for part in batches[-1])
    return model, batches, optimizer


@exercise("5.9")
def check_5_9(train_epoch: Callable) -> None:
    """Losses and weights after an epoch, against the four lines of the lesson."""
    true_model, batches, optimizer = loop_run()
    with torch.enable_grad():
        wanted = []
        for batch in batches:
            loss = next_token_loss(true_model, *batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wanted.append(loss.item())
        model, batches, optimizer = loop_run()
        untrained, modes = copy.deepcopy(model), []
        block = model.blocks[0]
        block.register_forward_pre_hook(lambda b, _: modes.append(b.training))
        model.eval()  # as evaluate or generate could have left it
        loader = DataLoader(batches, batch_size=None)  # it has no index
        with mock.patch("ch05.bonus.faster_training.processes") as used:
            used.return_value = (0, 1)
            losses = ask(train_epoch, model, loader, optimizer)
    demand(
        not used.called,
        "This calls a step that is written already: write it yourself.",
    )
    demand(
        isinstance(losses, list) and len(losses) == len(batches),
        f"train_epoch must return a list with one loss for each of the {len(batches)} batches.",
    )
    demand(
        all(isinstance(loss, float) for loss in losses),
        "A loss in the list is no float: take loss.item(), because a tensor keeps its whole graph "
        "in memory.",
    )
    demand(
        not torch.equal(model.tok_emb.weight, untrained.tok_emb.weight),
        "No weight has changed: without backward() and then optimizer.step() nothing is learned.",
    )
    got, true_losses = torch.tensor(losses), torch.tensor(wanted)
    if not agree(got, true_losses):
        judge_loop(got, true_losses, batches, untrained)
    largest = max(
        (weight - model.state_dict()[name]).abs().max().item()
        for name, weight in true_model.state_dict().items()
    )
    demand(
        largest < 1e-4,
        f"The losses are right, but at the end a weight differs by {largest:.3f}: each batch makes "
        "one step, the last one too.",
    )
    demand(
        all(modes),
        "The model trains in evaluation mode: with dropout, none would drop.",
    )


def judge_loop(
    got: Tensor, wanted: Tensor, batches: list, model: GPTModel
) -> None:
    """Say which line of the loop is missing or in the wrong place."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    added = []  # the losses of a loop that never empties the gradients
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        added.append(loss.item())
    mistakes = [
        (
            torch.tensor(added),
            "The gradients of all batches pile up: zero_grad() is missing before backward().",
        )
    ]
    unequal = (got - wanted).abs() > 1e-4
    first = int(unequal.nonzero()[0])
    if first == 1:
        demand(
            False,
            "After the first batch the step is not the one that its gradient asks for.",
        )
    same(got, wanted, "The list of losses", mistakes)


# ---- 5.10 to 5.12: by hand.


@exercise("5.10")
def check_5_10(top_k_probabilities: Callable) -> None:
    """Several batches, temperatures and k, against chapter 5's next_token_probabilities."""
    random = seeded(10)
    for logits, temperature, k in [
        (TOY.unsqueeze(0), 1.0, 4),
        (TOY.unsqueeze(0), 1.0, 2),
        (TOY.unsqueeze(0), 0.5, 3),
        (
            torch.randn(3, 9, generator=random) * 2
            + torch.tensor([[0.0], [3.0], [-3.0]]),
            1.0,
            4,
        ),
        (torch.randn(5, 101, generator=random) * 3, 1.8, 13),
        (torch.randn(2, 5, generator=random), 1.0, 1),
        (torch.randn(2, 5, generator=random), 0.7, 8),
    ]:
        got = ask_kindly(top_k_probabilities, logits.clone(), temperature, k)
        wanted = next_token_probabilities(logits, temperature, top_k=k)
        kept = wanted > 0
        plain = (logits / temperature).softmax(-1)
        edge = logits[0].topk(min(k, logits.shape[1])).values[-1]
        mistakes = [
            (
                plain,
                f"All {logits.shape[1]} tokens can still be drawn, but only {k} may be.",
            ),
            (
                next_token_probabilities(logits, 1 / temperature, top_k=k),
                "The scores are multiplied by the temperature: a high one must flatten.",
            ),
            (
                next_token_probabilities(logits, top_k=k),
                "The temperature makes no difference.",
            ),
            (
                plain * kept,
                f"A row sums to {(plain * kept).sum(-1)[0].item():.3f} and not to 1: the kept "
                "tokens must share what the others lose.",
            ),
            (
                (logits / temperature).masked_fill(~kept, 0.0).softmax(-1),
                "The other scores are set to 0, and exp(0) is 1: set them to minus infinity.",
            ),
            (
                (logits / temperature)
                .masked_fill(logits < edge, -torch.inf)
                .softmax(-1),
                "The first row's threshold is used for all rows: each row has its own.",
            ),
            (
                next_token_probabilities(logits, temperature, top_k=k + 1),
                f"{k + 1} tokens are kept, but {k} are asked for.",
            ),
        ]
        what = f"top_k_probabilities of {tuple(logits.shape)} scores with k={k}"
        same(got, wanted, what, mistakes)


@exercise("5.11")
def check_5_11(top_p_probabilities: Callable) -> None:
    """Sure and unsure rows in any order, against chapter 5's next_token_probabilities."""
    random = seeded(11)
    for probabilities, p in [
        (torch.tensor([[0.5, 0.3, 0.15, 0.05]]), 0.7),
        (torch.tensor([[0.5, 0.3, 0.15, 0.05]]), 0.4),
        (torch.tensor([[0.5, 0.25, 0.125, 0.125]]), 0.75),
        (torch.tensor([[0.05, 0.5, 0.15, 0.3]]), 0.6),
        (torch.tensor([[0.1, 0.2, 0.4, 0.3], [0.97, 0.01, 0.01, 0.01]]), 0.85),
        ((torch.randn(5, 83, generator=random) * 2).softmax(-1), 0.93),
        ((torch.randn(3, 6, generator=random)).softmax(-1), 1.0),
    ]:
        got = ask_kindly(top_p_probabilities, probabilities.clone(), p)
        # A sum that is exactly p may have become a little less, through logarithm and softmax.
        wanted = next_token_probabilities(probabilities.log(), top_p=p - 1e-6)
        ordered, order = probabilities.sort(dim=-1, descending=True)
        too_few, too_many = (
            torch.zeros_like(probabilities).scatter(-1, order, ordered * kept)
            for kept in (
                ordered.cumsum(-1) <= p,
                ordered.cumsum(-1) - ordered <= p,
            )
        )
        unsorted = probabilities * (
            probabilities.cumsum(-1) - probabilities < p
        )
        mistakes = [
            (probabilities, f"Nothing is left out, although fewer tokens reach {p}."),
            (probabilities * (wanted > 0), "What is kept must be divided by its sum, to reach 1."),
            (
                too_few / too_few.sum(-1, keepdim=True),
                f"The token that carries the sum over {p} is missing: without it the kept ones do "
                "not reach p.",
            ),
            (
                too_many / too_many.sum(-1, keepdim=True),
                "The sum reaches p already, and one token more is kept.",
            ),
            (too_few, f"The token that carries the sum over {p} is missing, and what is kept must "
             "be divided by its sum."),
            (wanted.gather(-1, order), "The probabilities come back sorted: each must return to "
             "the place of its token."),
            (unsorted / unsorted.sum(-1, keepdim=True), "The sum runs in the order of the "
             "vocabulary, but it must begin with the likeliest token."),
        ]  # fmt: skip
        what = f"top_p_probabilities of {tuple(probabilities.shape)} with p={p}"
        same(got, wanted, what, mistakes)


def keeping_state(
    adamw_step: Callable, *rule: Any
) -> Callable[[Tensor, Tensor], Tensor]:
    """The answer with a state of its own, which it may change, unlike weight and gradient."""
    state = {}

    @functools.wraps(adamw_step)
    def step(weight: Tensor, gradient: Tensor) -> Tensor:
        return adamw_step(weight, gradient, state, *rule)

    return step


@exercise("5.12")
def check_5_12(adamw_step: Callable) -> None:
    """Four steps on weights of several shapes and settings, against torch.optim.AdamW."""
    random = seeded(12)
    for shape, lr, betas, eps, decay in [
        ((1,), 0.1, (0.9, 0.999), 1e-8, 0.0),
        ((3,), 0.1, (0.9, 0.999), 1e-8, 0.5),
        ((2, 5), 0.3, (0.8, 0.95), 0.1, 0.1),
    ]:
        start = torch.randn(shape, generator=random) * 3
        gradients = [torch.randn(shape, generator=random) for _ in range(4)]
        options = {"lr": lr, "betas": betas, "eps": eps}
        rules = {
            "right": torch.optim.AdamW(
                [start.clone()], weight_decay=decay, **options
            ),
            "no decay": torch.optim.AdamW(
                [start.clone()], weight_decay=0.0, **options
            ),
            "in gradient": torch.optim.Adam(
                [start.clone()], weight_decay=decay, **options
            ),
        }
        weight = start.clone()
        stepping = keeping_state(adamw_step, lr, betas, eps, decay)
        for step, gradient in enumerate(gradients, start=1):
            got = ask_kindly(stepping, weight.clone(), gradient.clone())
            results = {}
            for name, rule in rules.items():
                moved = rule.param_groups[0]["params"][0]
                moved.grad = gradient.clone()
                rule.step()
                results[name] = moved.clone()
            wanted = results["right"]
            mistakes = [
                (results["no decay"], "The weight decay is missing."),
                (
                    results["in gradient"],
                    "The decay is added to the gradient, as in the older Adam: AdamW shrinks the "
                    "weight itself, beside the step.",
                ),
                (
                    2 * weight * (1 - lr * decay) - wanted,
                    "The step goes uphill: turn its sign.",
                ),
            ]
            if step == 1:
                mistakes += first_step_mistakes(
                    weight, gradient, lr, betas, eps, decay, wanted
                )
            if step == 2 and not agree(got, wanted):
                demand(
                    not agree(
                        got, alone(weight, gradient, lr, betas, eps, decay)
                    ),
                    "The first step is right, but the second has forgotten it: the averages and "
                    "the count must be kept in state.",
                )
            same(got, wanted, f"The weight after step {step}", mistakes)
            weight = got.detach().clone()


def alone(
    weight: Tensor,
    gradient: Tensor,
    lr: float,
    betas: tuple,
    eps: float,
    decay: float,
):
    """Where a first AdamW step leads from here."""
    moved = weight.clone()
    moved.grad = gradient.clone()
    torch.optim.AdamW(
        [moved], lr=lr, betas=betas, eps=eps, weight_decay=decay
    ).step()
    return moved.detach()


def first_step_mistakes(
    weight, gradient, lr, betas, eps, decay, wanted
) -> list:
    """What the first step becomes if a part of the rule is left out."""
    shrunk = weight * (1 - lr * decay)
    mean, square = (1 - betas[0]) * gradient, (1 - betas[1]) * gradient**2
    return [
        (
            shrunk - lr * mean / (square.sqrt() + eps),
            "The averages begin at 0, and the first ones are too small: divide them by "
            "1 - beta ** step.",
        ),
        (
            shrunk - lr * gradient,
            "This is plain gradient descent, without the two averages.",
        ),
        (
            shrunk - lr * gradient / (gradient**2 + eps),
            "The square root of the second average is missing.",
        ),
        (
            shrunk - lr * gradient / (gradient**2 + eps).sqrt(),
            "eps stands inside the root: it is added to the root.",
        ),
        (
            shrunk - lr * gradient.sign(),
            f"The eps that is given, {eps}, is not used.",
        ),
        (
            wanted - shrunk + weight * (1 - decay),
            "The decay must be multiplied by the learning rate.",
        ),
    ]
