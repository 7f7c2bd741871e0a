"""What people answer to the exercises of chapter 6 when they are not right yet."""

import random
import re

import torch
import torch.nn.functional as F

from ch06.checks import (
    check_6_1,
    check_6_2,
    check_6_3,
    check_6_4,
    check_6_5,
    check_6_6,
    check_6_7,
    check_6_8,
    check_6_9,
)
from ch06.gpt_class_finetune import (
    GPTClassifier,
    Setting,
    accuracy,
    create_message_dataloader,
    predict,
    recalls,
    train_classifier,
    train_only,
    train_setting,
)

# ---- 6.1


def pad_right(idx, length, end_id):
    return F.pad(idx, (0, length - idx.shape[1]), value=end_id)


def pad_in_place(idx, length, end_id):
    padded = pad_right(idx, length, end_id)
    idx[0, 0] = end_id
    return padded


def times_right(lengths, batch_size, length):
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    return len(lengths) * length / sum(len(batch) * max(batch) for batch in batches)


def times_sorted(lengths, batch_size, length):
    return times_right(sorted(lengths), batch_size, length)


def times_sorting_the_list(lengths, batch_size, length):
    lengths.sort(reverse=True)
    return times_right(lengths, batch_size, length)


def times_full_batches(lengths, batch_size, length):
    starts = range(0, len(lengths), batch_size)
    full = sum(batch_size * max(lengths[i : i + batch_size]) for i in starts)
    return len(lengths) * length / full


def change_with(measure=lambda change: change.abs().max(), move_end=False, token=None):
    """Right; each argument changes one thing."""

    def largest_change(model, idx, end, length, end_id):
        longer = pad_right(idx, length, end_id)
        with torch.no_grad():
            moved = torch.full_like(end, length - 1) if move_end else end
            return measure(model(longer, moved) - model(idx, end)).item()

    return largest_change


def change_of_probabilities(model, idx, end, length, end_id):
    longer = pad_right(idx, length, end_id)
    with torch.no_grad():
        return (model(longer, end).softmax(-1) - model(idx, end).softmax(-1)).abs().max().item()


def pads(pad_to=pad_right, times_as_many=times_right, largest_change=None):
    return pad_to, times_as_many, largest_change or change_with()


# ---- 6.2


def finetune_with(
    freeze=True,
    seed_first=True,
    loader_seed=True,
    epochs=lambda given: given,
    times_the_rate=1,
    batch_size=16,
    measured="val",
    percent=False,
    head_seed=None,
    copied=True,
    token="end",
):
    """Right; each argument changes one thing."""

    def finetune(gpt, layers, train_set, val_set, seed, n_epochs, learning_rate):
        if seed_first:
            torch.manual_seed(seed if head_seed is None else head_seed)
        model = GPTClassifier(gpt, token=token)
        if not copied:
            out_head, model.gpt = gpt.out_head, gpt
            gpt.out_head = torch.nn.Identity()
        if freeze:
            train_only(model, layers)
        order = seed if loader_seed else 5
        loader = create_message_dataloader(train_set, batch_size, order)
        rate = times_the_rate * learning_rate
        train_classifier(model, loader, None, epochs(n_epochs), rate, progress=False)
        if not copied:
            gpt.out_head = out_head
        share = accuracy(
            *predict(model, create_message_dataloader(val_set if measured == "val" else train_set))
        )
        return model, 100 * share if percent else share

    return finetune


def finetune_with_one_loader():
    loaders = {}

    def finetune(gpt, layers, train_set, val_set, seed, epochs, learning_rate):
        torch.manual_seed(seed)
        model = GPTClassifier(gpt)
        train_only(model, layers)
        loader = loaders.setdefault(seed, create_message_dataloader(train_set, 16, seed))
        train_classifier(model, loader, None, epochs, learning_rate, progress=False)
        return model, accuracy(*predict(model, create_message_dataloader(val_set)))

    return finetune


def finetune_only_the_last_block(gpt, layers, train_set, val_set, seed, epochs, learning_rate):
    return finetune_with()(gpt, "last-block", train_set, val_set, seed, epochs, learning_rate)


def finetune_without_accuracy(gpt, layers, train_set, val_set, seed, epochs, learning_rate):
    return finetune_with()(gpt, layers, train_set, val_set, seed, epochs, learning_rate)[0]


def work_right(n_blocks, n_trained):
    return 3 * n_blocks / (n_blocks + 2 * n_trained)


# ---- 6.3


def ceiling_right(ids, labels, n_seen):
    groups = {}
    for message, label in zip(ids, labels):
        groups.setdefault(tuple(message[:n_seen]), []).append(label)
    return sum(max(g.count(0), g.count(1)) for g in groups.values()) / len(labels)


def ceiling_of_groups(ids, labels, n_seen):
    groups = {}
    for message, label in zip(ids, labels):
        groups.setdefault(tuple(message[:n_seen]), []).append(label)
    return sum(max(g.count(0), g.count(1)) / len(g) for g in groups.values()) / len(groups)


def ceiling_without_reading(ids, labels, n_seen):
    return max(labels.count(0), labels.count(1)) / len(labels)


def ceiling_from_the_end(ids, labels, n_seen):
    return ceiling_right([message[::-1] for message in ids], labels, n_seen)


def ceiling_of_digits(ids, labels, n_seen):
    joined = [["".join(map(str, message[:n_seen]))] for message in ids]
    return ceiling_right(joined, labels, 1)


def ceiling_of_one_token(ids, labels, n_seen):
    return ceiling_right([message[n_seen - 1 : n_seen] for message in ids], labels, 1)


def judge_with(layers="head", token=None, epochs=30, head_seed=True, loader_seed=True, rate=0.01):
    """Right; each argument changes one thing."""

    def judge_by(gpt, asked, train_set, seed):
        if head_seed:
            torch.manual_seed(seed)
        model = GPTClassifier(gpt, token=token or asked)
        order = seed if loader_seed else 4
        loader = create_message_dataloader(train_set, 16, order)
        train_setting(Setting(rate, epochs, layers, model.token), model, loader, order)
        return model

    return judge_by


def judge_without_the_first(gpt, token, train_set, seed):
    if token != "first":
        return judge_with()(gpt, token, train_set, seed)
    torch.manual_seed(seed)
    return GPTClassifier(gpt, token=token)


def judge_renamed(gpt, token, train_set, seed):
    model = judge_with(token="end")(gpt, token, train_set, seed)
    model.token = token
    return model


# ---- 6.4


def mask_right(idx, end_id):
    T = idx.shape[1]
    last = torch.where(idx != end_id, torch.arange(T), 0).amax(dim=1, keepdim=True)
    return torch.arange(T) > last + 1


def mask_of_all_marks(idx, end_id):
    return idx == end_id


def mask_of_all_but_the_end(idx, end_id):
    return (idx == end_id) & ~F.one_hot(ends_right(idx, end_id), idx.shape[1]).bool()


def mask_with_the_end_mark(idx, end_id):
    return mask_right(idx, end_id) | F.one_hot(ends_right(idx, end_id), idx.shape[1]).bool()


def mask_from_first_mark(idx, end_id):
    first = (idx == end_id).long().argmax(dim=1, keepdim=True)
    return torch.arange(idx.shape[1]) > first


def mask_of_repeated_marks(idx, end_id):
    is_end = idx == end_id
    return is_end & F.pad(is_end[:, :-1], (1, 0))


def mask_by_heart(idx, end_id):
    rows = [[False, False, False, True], [False, False, True, True]]
    return torch.tensor(rows)


def ends_right(idx, end_id):
    return (~mask_right(idx, end_id)).sum(dim=1) - 1


def ends_first_mark(idx, end_id):
    return (idx == end_id).long().argmax(dim=1)


def ends_by_counting(idx, end_id):
    return (idx != end_id).sum(dim=1)


# ---- 6.5


def at_end(x, end, head):
    return head(x[torch.arange(len(x)), end])


def mean_with(padding=False, by=lambda end, T: end + 1, end_mark=True):
    """Right; each argument changes one thing."""

    def logits_of_mean(x, end, head):
        last = end if end_mark else (end - 1).clamp(min=0)
        real = (torch.arange(x.shape[1]) <= last.unsqueeze(1)).unsqueeze(2) | torch.tensor(padding)
        return head((x * real).sum(dim=1) / torch.as_tensor(by(last, x.shape[1])).view(-1, 1))

    return logits_of_mean


def mean_in_place(x, end, head):
    for row, e in zip(x, end):
        row[e + 1 :] = 0
    return head(x.sum(dim=1) / (end + 1).unsqueeze(1))


# ---- 6.6


def balanced_with(mix_first=True, mix_last=True, n_more=0, chance=None):
    """Right; each argument changes one thing."""

    def balanced_places(labels, generator):
        generator = generator if chance is None else chance()
        n = int(labels.bincount().min()) + n_more
        order = torch.arange(len(labels))
        if mix_first:
            order = order[torch.randperm(len(labels), generator=generator)]
        parts = [order[labels[order] == k][:n] for k in range(int(labels.max()) + 1)]
        drawn = torch.cat(parts)
        return drawn[torch.randperm(len(drawn), generator=generator)] if mix_last else drawn

    return balanced_places


def balanced_by_repeating(labels, generator):
    n = int(labels.bincount().max())
    parts = [(labels == k).nonzero().flatten().repeat(n)[:n] for k in range(int(labels.max()) + 1)]
    drawn = torch.cat(parts)
    return drawn[torch.randperm(len(drawn), generator=generator)]


def balanced_with_replacement(labels, generator):
    n = int(labels.bincount().min())
    weights = 1 / labels.bincount()[labels].double()
    drawn = torch.multinomial(weights, 500, replacement=True, generator=generator)
    return torch.cat([drawn[labels[drawn] == k][:n] for k in range(int(labels.max()) + 1)])


def balanced_for_two(labels, generator):
    labels = labels.clamp(max=1)
    return balanced_with()(labels, generator)


def balanced_labels(labels, generator):
    return labels[balanced_with()(labels, generator)].float()


# ---- 6.7


def shares_right(logits, labels):
    return accuracy(logits, labels), recalls(logits, labels)


def shares_with_precision(logits, labels):
    guesses = logits.argmax(dim=-1)
    right = (guesses == labels).double()
    return right.mean().item(), [right[guesses == k].mean().item() for k in range(logits.shape[1])]


def shares_of_all(logits, labels):
    right = logits.argmax(dim=-1) == labels
    parts = [(right & (labels == k)).double().mean().item() for k in range(logits.shape[1])]
    return right.double().mean().item(), parts


def shares_mean_of_recalls(logits, labels):
    parts = recalls(logits, labels)
    return sum(parts) / len(parts), parts


def shares_zero_for_none(logits, labels):
    share, parts = shares_right(logits, labels)
    return share, [0.0 if part != part else part for part in parts]


def shares_of_present(logits, labels):
    share, parts = shares_right(logits, labels)
    return share, [part for part in parts if part == part]


def shares_of_two_classes(logits, labels):
    return accuracy(logits, labels), recalls(logits[:, :2], labels)


def field_right(ham, spam, share):
    found, lost = spam * share, (1 - ham) * (1 - share)
    return ham * (1 - share) + found, found / (found + lost)


def field_as_if_equal(ham, spam, share):
    return (ham + spam) / 2, field_right(ham, spam, share)[1]


def field_swapped(ham, spam, share):
    return ham * share + spam * (1 - share), field_right(ham, spam, share)[1]


def field_recall(ham, spam, share):
    return field_right(ham, spam, share)[0], spam


def field_without_shares(ham, spam, share):
    return field_right(ham, spam, share)[0], spam / (spam + 1 - ham)


def field_of_ham(ham, spam, share):
    accurate, is_spam = field_right(ham, spam, share)
    return accurate, 1 - is_spam


# ---- 6.8


def freeze_right(model):
    model.requires_grad_(False)
    for part in (model.gpt.blocks[-1], model.gpt.final_norm, model.head):
        part.requires_grad_(True)
    return learning(model)


def learning(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def freeze_the_module(model):
    model.requires_grad = False
    for part in (model.gpt.blocks[-1], model.gpt.final_norm, model.head):
        part.requires_grad = True
    return learning(model)


def freeze_without_norm(model):
    model.requires_grad_(False)
    model.gpt.blocks[-1].requires_grad_(True)
    model.head.requires_grad_(True)
    return learning(model)


def freeze_the_head_too(model):
    freeze_right(model)
    model.head.requires_grad_(False)
    return learning(model)


def freeze_without_thawing(model):
    for name, parameter in model.named_parameters():
        last = f"gpt.blocks.{len(model.gpt.blocks) - 1}."
        if not name.startswith((last, "gpt.final_norm", "head")):
            parameter.requires_grad = False
    return learning(model)


def freeze_blocks_only(model):
    freeze_right(model)
    model.gpt.tok_emb.requires_grad_(True)
    return learning(model)


def freeze_block_two(model):
    model.requires_grad_(False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(("gpt.blocks.2.", "gpt.final_norm.", "head."))
    return learning(model)


def freeze_and_return_parts(model):
    freeze_right(model)
    return ["gpt.blocks", "gpt.final_norm", "head"]


def freeze_by_zeros(model):
    names = freeze_right(model)
    with torch.no_grad():
        model.head.weight.zero_()
    return names


# ---- 6.9


def split_with(form=lambda text: " ".join(text.lower().split()), mix=True, by_seed=True, up=0):
    """Right; each argument changes one thing."""

    def split_places(texts, seed):
        places = list({form(text): place for place, text in enumerate(texts)}.values())
        if mix:
            (random.Random(seed) if by_seed else random).shuffle(places)
        n = len(places)
        first, second = n * 7 // 10 + up, n * 7 // 10 + up + n // 10
        return places[:first], places[first:second], places[second:]

    return split_places


def split_by_decimals(texts, seed):
    first, second, third = split_with()(texts, seed)
    places = [*first, *second, *third]
    a = int(len(places) * 0.7)
    b = a + int(len(places) * 0.1)
    return places[:a], places[a:b], places[b:]


def split_then_drop(texts, seed):
    places = list(range(len(texts)))
    random.Random(seed).shuffle(places)
    first, second = len(texts) * 7 // 10, len(texts) * 8 // 10
    parts = places[:first], places[first:second], places[second:]
    return [list({texts[i].lower(): i for i in part}.values()) for part in parts]


def split_without_all_copies(texts, seed):
    forms = [" ".join(text.lower().split()) for text in texts]
    places = [i for i, form in enumerate(forms) if forms.count(form) == 1]
    return places[: len(places) // 2], [], places[len(places) // 2 :]


def split_into_texts(texts, seed):
    return tuple([texts[i] for i in part] for part in split_with()(texts, seed))


WRONG = [
    (check_6_1, pads(lambda idx, n, e: F.pad(idx, (n - idx.shape[1], 0), value=e)), "on the left"),
    (check_6_1, pads(lambda idx, n, e: F.pad(idx, (0, n - idx.shape[1]))), "pads with zeros"),
    (check_6_1, pads(lambda idx, n, e: F.pad(idx, (0, n), value=e)), "5 in all are asked for"),
    (check_6_1, pads(pad_in_place), "changes what it is given"),
    (check_6_1, pads(lambda idx, n, e: idx), "has shape (2, 3), but (2, 5)"),
    (check_6_1, pads(times_as_many=lambda m, b, n: 1 / times_right(m, b, n)), "upside down"),
    (check_6_1, pads(times_as_many=lambda m, b, n: len(m) * n / sum(m)), "only real tokens"),
    (check_6_1, pads(times_as_many=lambda m, b, n: n / max(m)), "longest message of its own"),
    (check_6_1, pads(times_as_many=times_full_batches), "the last batch as full"),
    (check_6_1, pads(times_as_many=times_sorted), "is asked for"),
    (check_6_1, pads(times_as_many=times_sorting_the_list), "changes what it is given"),
    (check_6_1, pads(times_as_many=lambda m, b, n: 64 / 24), "but 1.30435 is asked for"),
    (check_6_1, pads(largest_change=change_with(move_end=True)), "the same end both times"),
    (check_6_1, pads(largest_change=lambda *given: 0.0), "the token 'padded' is 0, but"),
    (check_6_1, pads(largest_change=change_with(lambda c: c.abs().mean())), "is a mean"),
    (check_6_1, pads(largest_change=change_with(lambda c: c.max())), "overlooks changes downwards"),
    (check_6_1, pads(largest_change=change_with(lambda c: c.abs().sum())), "is a sum"),
    (check_6_1, pads(largest_change=change_of_probabilities), "compares probabilities"),
    (check_6_2, (finetune_with(freeze=False), work_right), "has moved: freeze before you train"),
    (check_6_2, (finetune_only_the_last_block, work_right), "has not moved: it should learn"),
    (check_6_2, (finetune_with(copied=False), work_right), "trains the given GPT itself"),
    (check_6_2, (finetune_with(seed_first=False), work_right), "before the classifier draws"),
    (check_6_2, (finetune_with(loader_seed=False), work_right), "same order whatever the seed"),
    (check_6_2, (finetune_with_one_loader(), work_right), "in each call a new one"),
    (check_6_2, (finetune_with(epochs=lambda n: 1), work_right), "make 6 steps, but"),
    (check_6_2, (finetune_with(epochs=lambda n: 2), work_right), "make 9 steps, but"),
    (check_6_2, (finetune_with(epochs=lambda n: 10), work_right), "but finetune takes 30"),
    (check_6_2, (finetune_with(batch_size=5), work_right), "up to 5 messages: 16"),
    (check_6_2, (finetune_with(batch_size=40), work_right), "up to 40 messages: 16"),
    (
        check_6_2,
        (finetune_with(times_the_rate=0.01), work_right),
        "learning rate on as it is given",
    ),
    (check_6_2, (finetune_with(times_the_rate=30), work_right), "learning rate on as it is given"),
    (check_6_2, (finetune_with(measured="train"), work_right), "that of the training messages"),
    (check_6_2, (finetune_with(percent=True), work_right), "is in percent"),
    (check_6_2, (finetune_with(head_seed=3), work_right), "alike with the seeds 1 and 2"),
    (check_6_2, (finetune_with(token="last"), work_right), "reads the token 'last'"),
    (check_6_2, (finetune_without_accuracy, work_right), "two things are asked for"),
    (check_6_2, (finetune_with(), lambda n, trained: n / trained), "every block still runs"),
    (check_6_2, (finetune_with(), lambda n, trained: 3 * n / trained), "they do run forward"),
    (check_6_2, (finetune_with(), lambda n, trained: 3.0), "a backward pass in both ways"),
    (check_6_2, (finetune_with(), lambda n, trained: 3 * n / (n + trained)), "pass costs 2"),
    (check_6_2, (finetune_with(), lambda n, trained: 1 / work_right(n, trained)), "upside down"),
    (check_6_3, (ceiling_of_groups, judge_with()), "counts once per message"),
    (check_6_3, (ceiling_without_reading, judge_with()), "may answer differently"),
    (check_6_3, (ceiling_from_the_end, judge_with()), "not the last ones"),
    (check_6_3, (lambda ids, k, n: ceiling_right(ids, k, 1), judge_with()), "not only one"),
    (check_6_3, (ceiling_of_digits, judge_with()), "do not join the digits"),
    (check_6_3, (ceiling_of_one_token, judge_with()), "all of the first"),
    (check_6_3, (lambda ids, labels, n_seen: 1.0, judge_with()), "cannot all be right"),
    (check_6_3, (lambda ids, labels, n_seen: 0.75, judge_with()), "not this: "),
    (check_6_3, (ceiling_right, judge_with(token="end")), "reads the token 'end'"),
    (check_6_3, (ceiling_right, judge_with(layers="last-block", epochs=1)), "trained the GPT, too"),
    (check_6_3, (ceiling_right, judge_with(epochs=1)), "with 30 epochs at a rate of 0.01"),
    (check_6_3, (ceiling_right, judge_with(epochs=300, rate=0.03)), "with 30 epochs at a rate"),
    (check_6_3, (ceiling_right, judge_without_the_first), "token='first' has a loss of"),
    (check_6_3, (ceiling_right, judge_renamed), "with 30 epochs at a rate of 0.01"),
    (check_6_3, (ceiling_right, judge_with(head_seed=False)), "same seed give two heads"),
    (check_6_3, (ceiling_right, lambda gpt, token, train_set, seed: gpt), "a GPTClassifier is"),
    (check_6_4, (mask_of_all_marks, ends_right), "after the message for padding"),
    (check_6_4, (mask_with_the_end_mark, ends_right), "after the message for padding"),
    (check_6_4, (mask_of_all_but_the_end, ends_right), "a line break inside a message"),
    (check_6_4, (mask_from_first_mark, ends_right), "at its first line break"),
    (check_6_4, (lambda idx, e: ~mask_right(idx, e), ends_right), "the wrong way round"),
    (check_6_4, (lambda idx, e: mask_right(idx, e).float(), ends_right), "decimal numbers"),
    (check_6_4, (mask_of_repeated_marks, ends_right), "the second of two line breaks inside"),
    (check_6_4, (mask_by_heart, ends_right), "has shape (2, 4), but (2, 5)"),
    (check_6_4, (mask_right, ends_first_mark), "stops at a line break inside"),
    (check_6_4, (mask_right, ends_by_counting), "overlooks the line break inside"),
    (check_6_4, (mask_right, lambda idx, e: ends_right(idx, e) - 1), "one place on is its end"),
    (check_6_4, (mask_right, lambda idx, e: ends_right(idx, e) + 1), "counted from 0"),
    (
        check_6_4,
        (mask_right, lambda idx, e: torch.full((len(idx),), idx.shape[1] - 1)),
        "gives the last column",
    ),
    (check_6_5, (lambda x, end, head: head(x[:, -1]), mean_with()), "reads the last column"),
    (check_6_5, (lambda x, end, head: head(x[:, 0]), mean_with()), "reads the first token"),
    (check_6_5, (lambda x, end, head: at_end(x, end - 1, head), mean_with()), "before the end"),
    (check_6_5, (lambda x, end, head: head(x[:, end]), mean_with()), "needs its own place"),
    (check_6_5, (lambda x, end, head: head(x), mean_with()), "has logits for each token"),
    (check_6_5, (lambda x, e, head: x[torch.arange(len(x)), e], mean_with()), "head is missing"),
    (check_6_5, (at_end, mean_with(padding=True, by=lambda end, T: T)), "counts the padding in"),
    (check_6_5, (at_end, mean_with(by=lambda end, T: 1)), "takes the sum"),
    (check_6_5, (at_end, mean_with(by=lambda end, T: T)), "divides by T"),
    (check_6_5, (at_end, mean_with(end_mark=False)), "leaves the end mark out"),
    (check_6_5, (at_end, mean_in_place), "changes what it is given"),
    (check_6_6, (balanced_with(mix_first=False),), "each ham should come about"),
    (check_6_6, (balanced_with(mix_last=False),), "mix the classes"),
    (check_6_6, (balanced_with(n_more=1),), "of each are asked for"),
    (check_6_6, (balanced_by_repeating,), "draws the rare messages several times"),
    (check_6_6, (balanced_with_replacement,), "draws a place twice"),
    (check_6_6, (balanced_for_two,), "of the classes, but"),
    (check_6_6, (balanced_labels,), "a row of places as torch.long"),
    (check_6_6, (balanced_with(chance=lambda: None),), "draw from them alone"),
    (
        check_6_6,
        (balanced_with(chance=lambda: torch.Generator().manual_seed(1)),),
        "draw it at random",
    ),
    (check_6_7, (shares_with_precision, field_right), "divide by what was called a class"),
    (check_6_7, (shares_of_all, field_right), "divide by all messages"),
    (check_6_7, (shares_mean_of_recalls, field_right), "the mean of the recalls"),
    (check_6_7, (shares_zero_for_none, field_right), "are 0 for a class without messages"),
    (check_6_7, (shares_of_present, field_right), "but 2 classes have one each"),
    (check_6_7, (shares_of_two_classes, field_right), "but 4 classes have one each"),
    (check_6_7, (shares_right, field_as_if_equal), "treats the classes as equally frequent"),
    (check_6_7, (shares_right, field_swapped), "swaps the two classes"),
    (check_6_7, (shares_right, field_recall), "ask it of what is called spam"),
    (check_6_7, (shares_right, field_without_shares), "ham is called spam more often"),
    (check_6_7, (shares_right, field_of_ham), "the share of ham in what is called spam"),
    (check_6_7, (shares_right, lambda ham, spam, share: (0.9, 0.5)), "is 0.9, but 0.92"),
    (check_6_8, (freeze_the_module,), "may still learn: set requires_grad of its parameters"),
    (check_6_8, (freeze_without_norm,), "gpt.final_norm.scale is frozen"),
    (check_6_8, (freeze_the_head_too,), "head.bias is frozen"),
    (check_6_8, (freeze_without_thawing,), "you must thaw it"),
    (check_6_8, (freeze_blocks_only,), "gpt.tok_emb.weight may still learn"),
    (check_6_8, (freeze_block_two,), "gpt.blocks.0.attention.proj.bias is frozen"),
    (check_6_8, (freeze_and_return_parts,), "3 names are returned"),
    (check_6_8, (freeze_by_zeros,), "freezing changes none"),
    (check_6_9, (split_with(form=str.lower),), "the same text"),
    (check_6_9, (split_with(form=lambda text: " ".join(text.split())),), "the same text"),
    (check_6_9, (split_with(form=lambda text: re.sub(r"\s+", " ", text.lower())),), "same text"),
    (check_6_9, (split_then_drop,), "the same text"),
    (check_6_9, (split_with(mix=False),), "mix the texts by the seed"),
    (check_6_9, (split_with(by_seed=False),), "differs from call to call"),
    (check_6_9, (split_with(up=1),), "rounded down but for the last"),
    (check_6_9, (split_by_decimals,), "[62, 9, 19], but [63, 9, 18] are asked for"),
    (check_6_9, (split_without_all_copies,), "different texts left, but there are 3"),
    (check_6_9, (split_into_texts,), "must hold places"),
]
