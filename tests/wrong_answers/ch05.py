"""Typical wrong answers to the exercises of chapter 5."""

import copy
import math

import torch
import torch.nn.functional as F

from ch02.dataloader import create_dataloader
from ch04.gpt import count_parameters, generate_greedy
from ch05.bonus.faster_training import train_step
from ch05.checks import (
    check_5_1,
    check_5_2,
    check_5_3,
    check_5_4,
    check_5_5,
    check_5_6,
    check_5_7,
    check_5_8,
    check_5_9,
    check_5_10,
    check_5_11,
    check_5_12,
)
from ch05.gpt_generate import generate
from ch05.gpt_train import evaluate, load_checkpoint, train

LN2 = math.log(2)

# ---- 5.1


def probability_only(scores, token, temperature, n_draws):
    return (scores / temperature).softmax(-1)[token].item()


def multiplied(scores, token, temperature, n_draws):
    return n_draws * (scores * temperature).softmax(-1)[token].item()


def divided_after(scores, token, temperature, n_draws):
    return n_draws * scores.softmax(-1)[token].item() / temperature


def really_drawn(scores, token, temperature, n_draws):
    draws = torch.multinomial((scores / temperature).softmax(-1), n_draws, replacement=True)
    return float((draws == token).sum())


def divided_in_place(scores, token, temperature, n_draws):
    return n_draws * scores.div_(temperature).softmax(-1)[token].item()


# ---- 5.2 and 5.3

RIGHT_5_2 = {
    "ticket": {"temperature": 0},
    "tale": {"temperature": 1.0, "top_k": 5},
    "names": {"temperature": 3.0, "top_k": 100},
}
RIGHT_5_3 = {"temperature": 0, "top_k": 1, "top_p": 1e-5}
ONE_GENERATOR = torch.Generator().manual_seed(3)


def right_again(model, idx, n_tokens, seed):
    return generate(model, idx, n_tokens, generator=torch.Generator().manual_seed(seed))


def goes_on(model, idx, n_tokens, seed):
    return generate(model, idx, n_tokens, generator=ONE_GENERATOR)


def turns_back(model, idx, n_tokens, seed):
    torch.manual_seed(seed)
    return generate(model, idx, n_tokens)


def drawing_with(**options):
    """A draw that is repeatable, but not the one that is asked for."""

    def draw_again(model, idx, n_tokens, seed):
        generator = torch.Generator().manual_seed(seed)
        return generate(model, idx, n_tokens, generator=generator, **options)

    return draw_again


def always_greedy(model, idx, n_tokens, seed):
    return generate_greedy(model, idx, n_tokens)


def ignores_the_model(model, idx, n_tokens, seed):
    draw = torch.Generator().manual_seed(seed)
    new = torch.randint(0, model.config.vocab_size, (len(idx), n_tokens), generator=draw)
    return torch.cat([idx, new], dim=1)


def without_prompt(model, idx, n_tokens, seed):
    return right_again(model, idx, n_tokens, seed)[:, idx.shape[1] :]


# ---- 5.4


def one_epoch_in_all(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, model, optimizer)
    return train(model, train_loader, val_loader, optimizer, 1, history=history)


def progress_forgotten(path, model, optimizer, train_loader, val_loader):
    load_checkpoint(path, model, optimizer)
    return train(model, train_loader, val_loader, optimizer, 1)


def three_epochs(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, model, optimizer)
    return train(model, train_loader, val_loader, optimizer, 3, history=history)


def new_optimizer(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, model, optimizer)
    other = torch.optim.AdamW(model.parameters(), lr=3e-3)
    optimizer.state.clear()
    epochs = len(history) + 1
    return train(model, train_loader, val_loader, other, epochs, history=history)


def weights_not_loaded(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, copy.deepcopy(model), optimizer)
    epochs = len(history) + 1
    return train(model, train_loader, val_loader, optimizer, epochs, history=history)


def loaders_swapped(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, model, optimizer)
    epochs = len(history) + 1
    return train(model, val_loader, train_loader, optimizer, epochs, history=history)


def pretends(path, model, optimizer, train_loader, val_loader):
    history = load_checkpoint(path, model, optimizer)
    return [*history, history[-1] | {"step": history[-1]["step"] + 5}]


# ---- 5.5 and 5.6


def last_batch_dropped(model, tokenizer, text, context_length):
    ids = tokenizer.encode_ordinary(text)
    size = 2 if len(ids) < 100 else 4
    return evaluate(model, create_dataloader(ids, context_length, size, shuffle=False))


def batches_alike(model, tokenizer, text, context_length):
    ids = tokenizer.encode_ordinary(text)
    loader = create_dataloader(ids, context_length, 4, shuffle=False, drop_last=False)
    losses = [evaluate(model, [batch]) for batch in loader]
    return sum(losses) / len(losses)


def not_shifted(model, tokenizer, text, context_length):
    ids = tokenizer.encode_ordinary(text)
    loader = create_dataloader(ids, context_length, 8, shuffle=False, drop_last=False)
    return evaluate(model, [(inputs, inputs) for inputs, _ in loader])


def special_token_looked_for(model, tokenizer, text, context_length):
    ids = tokenizer.encode(text)
    return evaluate(model, create_dataloader(ids, context_length, 8, drop_last=False))


def with_dropout(model, tokenizer, text, context_length):
    ids = tokenizer.encode_ordinary(text)
    loader = create_dataloader(ids, context_length, 1, shuffle=False)
    with torch.no_grad():
        losses = [F.cross_entropy(model(x).flatten(0, 1), y.flatten()) for x, y in loader]
    return torch.stack(losses).mean().item()


def as_tensor(model, tokenizer, text, context_length):
    return torch.tensor(last_batch_dropped(model, tokenizer, text, context_length))


def compared_by(number):
    """An answer to 5.6 that makes its number from loss per token, ids and text."""

    def compare(models, text):
        found = {}
        for name, (model, tokenizer) in models.items():
            ids = tokenizer.encode_ordinary(text)
            loss = evaluate(model, create_dataloader(ids, 32, 8, shuffle=False, drop_last=False))
            found[name] = (count_parameters(model), number(loss, ids, text))
        return found

    return compare


def counted_twice(models, text):
    found = compared_by(lambda loss, ids, text: loss * len(ids) / len(text.encode()) / LN2)(
        models, text
    )
    for name, (model, _) in models.items():
        n_parameters = sum(weight.numel() for weight in model.state_dict().values())
        found[name] = (n_parameters, found[name][1])
    return found


# ---- 5.7 to 5.9


def picked(log_probs, targets):
    return log_probs.gather(1, targets.clamp(min=0).unsqueeze(1))[:, 0]


def summed(logits, targets):
    return -picked(logits.log_softmax(-1), targets)[targets != -100].sum()


def all_rows(logits, targets):
    losses = -picked(logits.log_softmax(-1), targets) * (targets != -100)
    return losses.mean()


def padding_counted(logits, targets):
    return -picked(logits.log_softmax(-1), targets).mean()


def overflows(logits, targets):
    counted = targets != -100
    return -picked(logits.softmax(-1), targets)[counted].log().mean()


def wrong_axis(logits, targets):
    return -picked(logits.log_softmax(0), targets)[targets != -100].mean()


def no_gradient(logits, targets):
    return -picked(logits.log_softmax(-1), targets)[targets != -100].mean().detach()


def softmax_twice(logits, targets):
    return -picked(logits.softmax(-1).log_softmax(-1), targets)[targets != -100].mean()


def bare_scores(logits, targets):
    return -picked(logits, targets)[targets != -100].mean()


def mean_of_batches(batches):
    return torch.tensor([loss for loss, _ in batches]).mean().exp().item()


def mean_of_perplexities(batches):
    n_tokens = sum(n for _, n in batches)
    return sum(torch.tensor(loss).exp().item() * n / n_tokens for loss, n in batches)


def mean_loss(batches):
    return sum(loss * n for loss, n in batches) / sum(n for _, n in batches)


def to_the_base_of_two(batches):
    return 2 ** mean_loss(batches)


def loop(model, batches, optimizer, empty=True, step=True, keep=torch.Tensor.item, mode=True):
    """The training loop, with a line of it left out."""
    if mode:
        model.train()
    losses = []
    for inputs, targets in batches:
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        if empty:
            optimizer.zero_grad()
        loss.backward()
        if step:
            optimizer.step()
        losses.append(keep(loss))
    return losses


def gradients_pile_up(model, batches, optimizer):
    return loop(model, batches, optimizer, empty=False)


def never_steps(model, batches, optimizer):
    return loop(model, batches, optimizer, step=False)


def keeps_graphs(model, batches, optimizer):
    return loop(model, batches, optimizer, keep=lambda loss: loss)


def stays_in_eval(model, batches, optimizer):
    return loop(model, batches, optimizer, mode=False)


def one_number(model, batches, optimizer):
    return sum(loop(model, batches, optimizer))


def trains_in_eval(model, batches, optimizer):
    losses = loop(model, batches, optimizer, mode=False)
    model.train()
    return losses


def asks_by_number(model, batches, optimizer):
    return loop(model, (batches[i] for i in range(len(batches))), optimizer)


def asks_the_chapter(model, batches, optimizer):
    model.train()
    return [train_step(model, optimizer, inputs, targets) for inputs, targets in batches]


def last_step_missing(model, batches, optimizer):
    *others, last = batches
    losses = loop(model, others, optimizer)
    inputs, targets = last
    return [*losses, F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).item()]


# ---- 5.10 to 5.12


def softmax_only(logits, temperature, k):
    return (logits / temperature).softmax(-1)


def not_renormalised(logits, temperature, k):
    probabilities = (logits / temperature).softmax(-1)
    edge = probabilities.topk(min(k, logits.shape[1])).values[:, -1:]
    return probabilities * (probabilities >= edge)


def zeros_for_scores(logits, temperature, k):
    edge = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return (logits.masked_fill(logits < edge, 0.0) / temperature).softmax(-1)


def one_threshold(logits, temperature, k):
    edge = logits[0].topk(min(k, logits.shape[1])).values[-1]
    return (logits.masked_fill(logits < edge, -torch.inf) / temperature).softmax(-1)


def changes_its_logits(logits, temperature, k):
    edge = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return (logits.masked_fill_(logits < edge, -torch.inf) / temperature).softmax(-1)


def k_too_large(logits, temperature, k):
    edge = logits.topk(k).values[:, -1:]
    return (logits.masked_fill(logits < edge, -torch.inf) / temperature).softmax(-1)


def multiplied_scores(logits, temperature, k):
    edge = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return (logits.masked_fill(logits < edge, -torch.inf) * temperature).softmax(-1)


def cut_sorted(probabilities, p, before=True, back=True, normal=True, reached=torch.ge):
    """Top-p, with a part of it left out."""
    ordered, order = probabilities.sort(dim=-1, descending=True)
    total = ordered.cumsum(-1)
    kept = ordered * (~reached(total - ordered, p) if before else (total <= p))
    if normal:
        kept = kept / kept.sum(-1, keepdim=True)
    return torch.zeros_like(kept).scatter(-1, order, kept) if back else kept


def crossing_token_missing(probabilities, p):
    return cut_sorted(probabilities, p, before=False)


def one_token_more(probabilities, p):
    return cut_sorted(probabilities, p, reached=torch.gt)


def left_sorted(probabilities, p):
    return cut_sorted(probabilities, p, back=False)


def sum_below_one(probabilities, p):
    return cut_sorted(probabilities, p, normal=False)


def never_sorted(probabilities, p):
    kept = probabilities * (probabilities.cumsum(-1) - probabilities < p)
    return kept / kept.sum(-1, keepdim=True)


def adamw(
    weight, gradient, state, lr, betas, eps, decay, correct=True, keep=True, order="beside", up=1
):
    """A step of AdamW, with a part of it left out."""
    memory = state if keep else {}
    memory.setdefault("step", 0)
    if order == "in gradient":
        gradient = gradient + decay * weight
    memory["step"] += 1
    for name, beta, value in (("m", betas[0], gradient), ("v", betas[1], gradient**2)):
        memory[name] = beta * memory.get(name, 0.0) + (1 - beta) * value
    m, v = memory["m"], memory["v"]
    if correct:
        m, v = m / (1 - betas[0] ** memory["step"]), v / (1 - betas[1] ** memory["step"])
    shrink = {"beside": lr * decay, "without lr": decay}.get(order, 0.0)
    return weight * (1 - shrink) - up * lr * m / (v.sqrt() + eps)


def adamw_with(**options):
    def adamw_step(*arguments):
        return adamw(*arguments, **options)

    return adamw_step


def fixed_betas(weight, gradient, state, lr, betas, eps, decay):
    return adamw(weight, gradient, state, lr, (0.9, 0.999), eps, decay)


def eps_in_the_root(weight, gradient, state, lr, betas, eps, decay):
    moved = adamw(weight, gradient, state, 1.0, betas, 0.0, 0.0, up=1)
    step = weight - moved  # the first average over the root of the second
    root = (state["v"] / (1 - betas[1] ** state["step"])).sqrt()
    return weight * (1 - lr * decay) - lr * step * root / (root**2 + eps).sqrt()


def eps_of_its_own(weight, gradient, state, lr, betas, eps, decay):
    return adamw(weight, gradient, state, lr, betas, 1e-8, decay)


def moved_in_place(weight, gradient, state, lr, betas, eps, decay):
    return weight.copy_(adamw(weight, gradient, state, lr, betas, eps, decay))


def plain_descent(weight, gradient, state, lr, betas, eps, decay):
    return weight * (1 - lr * decay) - lr * gradient


WRONG = [
    (check_5_1, (probability_only,), "the probability of one draw"),
    (check_5_1, (multiplied,), "multiplied by the temperature"),
    (check_5_1, (divided_after,), "before the softmax, not the probability"),
    (check_5_1, (really_drawn,), "it needs no draw"),
    (check_5_1, (divided_in_place,), "changes what it is given"),
    (check_5_1, (lambda scores, token, temperature, n_draws: 5.0,), "is 5, but"),
    (check_5_2, (RIGHT_5_2 | {"ticket": {"temperature": 1.0}},), "must bear the same words"),
    (check_5_2, (RIGHT_5_2 | {"tale": {"temperature": 1.0}},), "cannot forbid a token"),
    (check_5_2, (RIGHT_5_2 | {"tale": {"top_k": 1}},), "only 1 of 12 texts differ"),
    (check_5_2, (RIGHT_5_2 | {"tale": {"temperature": 50.0, "top_k": 10}},), "too flat"),
    (check_5_2, (RIGHT_5_2 | {"names": {"temperature": 0.3, "top_k": 100}},), "too sharp"),
    (check_5_2, (RIGHT_5_2 | {"names": {"temperature": 3.0}},), "beyond its hundredth"),
    (check_5_2, (RIGHT_5_2 | {"names": {"top_p": 0.9}},), "temperature, top_k, or both"),
    (check_5_3, (RIGHT_5_3 | {"top_p": 0.1}, right_again), "top_p=0.1 a model that is unsure"),
    (check_5_3, (RIGHT_5_3 | {"temperature": 0.1}, right_again), "still draws among"),
    (check_5_3, (RIGHT_5_3 | {"top_p": 2e-5}, right_again), "draws among 2 of 50,257 tokens"),
    (check_5_3, (RIGHT_5_3 | {"temperature": 1e-6}, right_again), "draws among 50,257 of"),
    (check_5_3, (RIGHT_5_3 | {"top_k": 0}, right_again), "top_k=0 must be at least 1"),
    (check_5_3, (RIGHT_5_3, goes_on), "each call needs a new one"),
    (check_5_3, (RIGHT_5_3, turns_back), "the program's own random numbers"),
    (check_5_3, (RIGHT_5_3, always_greedy), "Two different seeds draw the same"),
    (check_5_3, (RIGHT_5_3, ignores_the_model), "not those of the model"),
    (check_5_3, (RIGHT_5_3, drawing_with(temperature=0.5)), "but at temperature 1 and from all"),
    (check_5_3, (RIGHT_5_3, drawing_with(temperature=0.85)), "but at temperature 1 and from all"),
    (check_5_3, (RIGHT_5_3, drawing_with(temperature=1.1)), "but at temperature 1 and from all"),
    (check_5_3, (RIGHT_5_3, drawing_with(top_k=8)), "from all tokens about"),
    (check_5_3, (RIGHT_5_3, drawing_with(top_k=40)), "from all tokens about"),
    (check_5_3, (RIGHT_5_3, drawing_with(top_p=0.9)), "from all tokens about"),
    (check_5_3, (RIGHT_5_3, drawing_with(temperature=3.0, top_k=40)), "but at temperature 1"),
    (check_5_3, (RIGHT_5_3, drawing_with(top_k=3)), "from all tokens about"),
    (check_5_3, (RIGHT_5_3, without_prompt), "the prompt, then n_tokens more"),
    (check_5_4, (one_epoch_in_all,), "no step followed"),
    (check_5_4, (progress_forgotten,), "the training began anew"),
    (check_5_4, (three_epochs,), "but one more is asked for"),
    (check_5_4, (new_optimizer,), "its memory must come from the checkpoint"),
    (check_5_4, (weights_not_loaded,), "The weights differ"),
    (check_5_4, (loaders_swapped,), "has counted"),
    (check_5_4, (pretends,), "has counted 10 steps"),
    (check_5_5, (last_batch_dropped,), "drop_last=False"),
    (check_5_5, (batches_alike,), "a small last batch count too much"),
    (check_5_5, (not_shifted,), "one token further on"),
    (check_5_5, (with_dropout,), "dropout is on"),
    (check_5_5, (special_token_looked_for,), "the text contains the special token"),
    (check_5_5, (as_tensor,), "must return a float"),
    (check_5_6, (compared_by(lambda loss, ids, text: loss),), "the loss per token"),
    (
        check_5_6,
        (compared_by(lambda loss, ids, text: loss / LN2 * len(text.encode()) / len(ids)),),
        "round",
    ),
    (check_5_6, (compared_by(lambda loss, ids, text: loss / LN2 * len(ids)),), "of the whole text"),
    (
        check_5_6,
        (compared_by(lambda loss, ids, text: loss / LN2 * len(ids) / len(text)),),
        "characters are counted",
    ),
    (
        check_5_6,
        (compared_by(lambda loss, ids, text: loss * len(ids) / len(text.encode())),),
        "divide by ln 2",
    ),
    (check_5_6, (counted_twice,), "counts only once"),
    (check_5_7, (summed,), "the sum over the rows"),
    (check_5_7, (all_rows,), "The mean is over all rows"),
    (check_5_7, (padding_counted,), "as if its target were token 0"),
    (check_5_7, (overflows,), "not finite where scores lie"),
    (check_5_7, (wrong_axis,), "each row has its own"),
    (check_5_7, (no_gradient,), "has no gradient"),
    (check_5_7, (softmax_twice,), "taken twice"),
    (check_5_7, (bare_scores,), "the softmax is missing"),
    (check_5_7, (F.cross_entropy,), "PyTorch's own cross_entropy"),
    (check_5_7, (lambda s, ids: F.nll_loss(s.log_softmax(-1), ids),), "PyTorch's own nll_loss"),
    (check_5_8, (mean_of_batches,), "All batches count alike"),
    (check_5_8, (mean_of_perplexities,), "average the losses"),
    (check_5_8, (mean_loss,), "its exponential"),
    (check_5_8, (to_the_base_of_two,), "the base is e"),
    (check_5_9, (gradients_pile_up,), "zero_grad() is missing"),
    (check_5_9, (never_steps,), "No weight has changed"),
    (check_5_9, (keeps_graphs,), "loss.item()"),
    (check_5_9, (stays_in_eval,), "evaluation mode"),
    (check_5_9, (trains_in_eval,), "evaluation mode"),
    (check_5_9, (asks_by_number,), "'DataLoader' object is not subscriptable"),
    (check_5_9, (asks_the_chapter,), "written already"),
    (check_5_9, (one_number,), "one loss for each of the 5 batches"),
    (check_5_9, (last_step_missing,), "the last one too"),
    (check_5_10, (softmax_only,), "All 4 tokens can still be drawn"),
    (check_5_10, (not_renormalised,), "and not to 1"),
    (check_5_10, (zeros_for_scores,), "minus infinity"),
    (check_5_10, (one_threshold,), "each row has its own"),
    (check_5_10, (changes_its_logits,), "changes what it is given"),
    (check_5_10, (k_too_large,), "raises RuntimeError"),
    (check_5_10, (multiplied_scores,), "multiplied by the temperature"),
    (check_5_11, (crossing_token_missing,), "carries the sum over"),
    (check_5_11, (one_token_more,), "one token more is kept"),
    (check_5_11, (left_sorted,), "come back sorted"),
    (check_5_11, (sum_below_one,), "divided by its sum"),
    (check_5_11, (never_sorted,), "begin with the likeliest"),
    (check_5_11, (lambda probabilities, p: probabilities,), "Nothing is left out"),
    (check_5_12, (adamw_with(correct=False),), "begin at 0"),
    (check_5_12, (adamw_with(keep=False),), "the second has forgotten it"),
    (check_5_12, (adamw_with(order="in gradient"),), "the older Adam"),
    (check_5_12, (adamw_with(order="none"),), "The weight decay is missing"),
    (check_5_12, (adamw_with(order="without lr"),), "multiplied by the learning rate"),
    (check_5_12, (adamw_with(up=-1),), "uphill"),
    (check_5_12, (eps_in_the_root,), "it is added to the root"),
    (check_5_12, (eps_of_its_own,), "The eps that is given, 0.1, is not used"),
    (check_5_12, (fixed_betas,), "The weight after step 2"),
    (check_5_12, (moved_in_place,), "changes what it is given"),
    (check_5_12, (plain_descent,), "plain gradient descent"),
]
