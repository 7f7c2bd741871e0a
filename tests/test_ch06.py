"""Chapter 6: messages and their download, batches, the classifier, what training may change."""

import copy
import errno
import hashlib
import http.server
import inspect
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT, read_notebook
from scipy.stats import binomtest
from torch import nn

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, count_parameters
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch06 import gpt_class_finetune, uci_messages
from ch06.gpt_class_finetune import (
    CHANGES,
    END_MARK,
    FEW,
    LABELS,
    LAYERS,
    SETTINGS,
    SETTINGS_FOR_ALL,
    SPLITS,
    TOKENS,
    GPTClassifier,
    MessageDataset,
    Setting,
    SimilarLengths,
    accuracy,
    as_percent,
    bag_of_words,
    balance,
    cache_vectors,
    classification_loss,
    classify,
    create_message_dataloader,
    differences,
    fingerprint,
    interval,
    keep_answers,
    label_messages,
    lead,
    load_classifier,
    load_messages,
    measure,
    predict,
    read_runs,
    recalls,
    run_bag,
    run_setting,
    save_classifier,
    save_splits,
    split_at_random,
    summarize,
    train_classifier,
    train_only,
    train_setting,
)
from ch06.messages import make_messages

WORDS = "the a dog cat bread rain river won prize call free home late tea".split()
TOKENIZER = BPETokenizer.train(" ".join(WORDS) * 9, 300)
CORPUS = make_messages()
(PAD,) = TOKENIZER.encode(END_MARK)


def random_gpt(**changes) -> GPTModel:
    """A small GPT with weights large enough that every token matters."""
    sizes = {"context_length": 32, "emb_dim": 12, "n_heads": 3, "n_layers": 3, "drop_rate": 0.0}
    gpt = GPTModel(GPTConfig(TOKENIZER.vocab_size, **(sizes | changes))).eval()
    for parameter in gpt.parameters():
        nn.init.normal_(parameter, std=0.3)
    return gpt


def some_messages(n: int, seed: int = 0) -> pd.DataFrame:
    """Messages of 1 to 12 words; those that are spam have a word that ham has not."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(n):
        length = int(torch.randint(1, 12, (1,), generator=draw))
        words = [WORDS[j] for j in torch.randint(0, 7, (length,), generator=draw)]
        rows.append((LABELS[i % 2], " ".join(words + ["prize"] * (i % 2))))
    return pd.DataFrame(rows, columns=["label", "text"])


def loader_of(messages: pd.DataFrame, max_length: int = 32, **settings):
    return create_message_dataloader(MessageDataset(messages, TOKENIZER, max_length), **settings)


# ---- The messages.


def test_the_courses_messages_are_those_of_the_corpus():
    table = load_messages("course")
    assert list(table.columns) == ["label", "text", "split"]
    assert [tuple(row) for row in table.values] == [m[:3] for m in CORPUS]


def test_the_switch_chooses_and_an_unknown_name_is_refused(monkeypatch):
    monkeypatch.setattr(gpt_class_finetune, "read_uci", lambda: [("ham", "Hi"), ("spam", "Win")])
    monkeypatch.setattr(gpt_class_finetune, "make_messages", lambda: pytest.fail("not asked for"))
    monkeypatch.setenv("COURSE_DATA", "uci")
    assert set(load_messages().text) == {"Hi", "Win"}
    monkeypatch.setenv("COURSE_DATA", "sms")
    with pytest.raises(ValueError, match="no messages called 'sms': choose course or uci"):
        load_messages()


def test_a_random_split_has_its_shares_and_no_text_twice():
    """Copies that differ in capitals and white space are copies."""
    copies = [f"  {'My' if i % 2 else 'mY'} \n text {i}\t" for i in range(100)]
    messages = pd.DataFrame({"label": "ham", "text": [f"my text {i}" for i in range(900)] + copies})
    split = split_at_random(messages, seed=1)
    assert sorted(split.text) == sorted(messages.text[:900])
    assert split.split.value_counts().to_dict() == {"train": 630, "validation": 90, "test": 180}
    assert split.equals(split_at_random(messages, seed=1))
    assert not split.equals(split_at_random(messages, seed=2))


@pytest.mark.parametrize("n", [None, 7])
def test_balanced_classes_are_equal_in_number_and_drawn_without_repetition(n):
    messages = pd.concat([some_messages(60), some_messages(60).query("label == 'ham'")])
    messages["text"] = [f"{text} {i}" for i, text in enumerate(messages.text)]
    drawn = balance(messages, n, seed=3)
    assert drawn.label.value_counts().to_dict() == dict.fromkeys(LABELS, n or 30)
    assert drawn.text.is_unique and set(drawn.text) <= set(messages.text)
    assert (drawn.label != drawn.label.iloc[0]).iloc[: len(drawn) // 2].any()  # mixed


@pytest.mark.parametrize("n", [0, 6])
def test_more_than_there_are_cannot_be_drawn(n):
    with pytest.raises(ValueError, match=f"cannot draw {n} of each class from {{'ham': 5, 'spam'"):
        balance(some_messages(10), n)
    with pytest.raises(ValueError, match="cannot draw 0 of each class"):
        balance(some_messages(10).query("label == 'ham'"))


def test_saved_splits_are_read_back(tmp_path):
    texts = ['say "hi", Bo', "£5; ’quoted’", "a\nb", "NA"]
    messages = pd.DataFrame({"label": "ham", "text": texts, "split": [*SPLITS, "test"]})
    save_splits(messages, tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        f"{s}.csv" for s in sorted(SPLITS)
    ]
    read = pd.read_csv(tmp_path / "new" / "test.csv", keep_default_na=False)
    assert read.text.tolist() == texts[2:] and list(read.columns) == ["label", "text"]


# ---- How good answers are, and judges that understand nothing.


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 40), (7, 40), (152, 156), (90, 90)])
def test_the_interval_is_wilsons(n_right, n):
    theirs = binomtest(n_right, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert interval(n_right, n) == pytest.approx((theirs.low, theirs.high), abs=1e-4)


@pytest.mark.parametrize(("n_right", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_a_share_that_cannot_be_is_refused(n_right, n):
    with pytest.raises(ValueError, match=f"{n_right} of {n} is no share"):
        interval(n_right, n)


def test_measures_are_what_counting_gives():
    labels = pd.Series(["ham"] * 8 + ["spam"] * 4)
    said = pd.Series(["ham"] * 6 + ["spam"] * 2 + ["spam"] * 3 + ["ham"])
    found = measure(said, labels)
    assert list(found) == ["right", "low", "high", "ham", "spam", "precision", "balanced"]
    assert found["right"] == 9 / 12 and (found["low"], found["high"]) == interval(9, 12)
    assert (found["ham"], found["spam"], found["precision"]) == (6 / 8, 3 / 4, 3 / 5)
    assert found["balanced"] == 0.75
    assert math.isnan(measure(pd.Series(["ham"] * 12), labels)["precision"])
    assert math.isnan(measure(said[:8], labels[:8])["balanced"])


def test_percent_leave_counts_as_they_are():
    table = pd.DataFrame({"runs": [3.0], "test": [0.12345]})
    assert as_percent(table).to_dict("list") == {"runs": [3], "test": [12.3]}
    assert as_percent(table[["test"]]).to_dict("list") == {"test": [12.3]}


def test_a_bag_of_words_knows_the_words_and_not_their_order():
    judge = bag_of_words(some_messages(60))
    assert list(judge.predict(["the prize cat", "the cat", "cat the prize"])) == [
        *("spam", "ham", "spam")
    ]
    texts = ["bread rain prize", "prize rain bread"]
    assert (judge.predict_proba(texts)[0] == judge.predict_proba(texts)[1]).all()


def test_labels_come_in_the_tables_order():
    model, messages = GPTClassifier(random_gpt()), some_messages(41)
    nn.init.normal_(model.head.weight)
    logits, _ = predict(model, loader_of(messages))
    with torch.no_grad():  # so that each class gets about half of the messages
        model.head.bias[1] += (logits[:, 0] - logits[:, 1]).median() + 1e-3
    messages = messages.set_axis(range(500, 541))  # a part of a larger table
    said = label_messages(model, TOKENIZER, messages, 32)
    assert list(said.index) == list(messages.index) and said.nunique() == 2
    assert said.tolist() == [classify(text, model, TOKENIZER)[0] for text in messages.text]


# ---- Batches.


def test_an_end_mark_and_then_only_padding_stand_after_each_message():
    messages = some_messages(21)
    by_ids = {
        tuple(TOKENIZER.encode_ordinary(text)): label
        for text, label in zip(messages.text, messages.label)
    }
    n = 0
    for idx, end, labels in loader_of(messages, batch_size=4, seed=1):
        assert idx.shape[1] == end.max() + 1  # no longer than its longest message
        for row, e, label in zip(idx.tolist(), end.tolist(), labels.tolist()):
            assert by_ids[tuple(row[:e])] == LABELS[label]
            assert set(row[e:]) == {PAD}
            n += 1
    assert n == len(messages)


def test_messages_are_cut_and_padded_to_a_given_length():
    (batch,) = loader_of(some_messages(8), max_length=5, batch_size=8, pad_to=9)
    idx, end, _ = batch
    assert idx.shape == (8, 9) and end.max() == 4  # four tokens and the end mark
    assert (idx[torch.arange(8), end] == PAD).all()
    with pytest.raises(ValueError, match="a message of 5 tokens is longer than pad_to=4"):
        loader_of(some_messages(8), max_length=5, pad_to=4)


def test_batches_hold_similar_lengths_and_every_message_once():
    lengths = torch.randint(1, 100, (203,)).tolist()
    batches = SimilarLengths(lengths, 10, torch.Generator().manual_seed(0))
    first, second = list(batches), list(batches)
    assert len(first) == len(batches) == 21 and first != second
    for epoch in (first, second):
        assert sorted(i for batch in epoch for i in batch) == list(range(203))
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in first]
    assert sum(spread) / len(spread) < 20
    again = list(SimilarLengths(lengths, 10, torch.Generator().manual_seed(0)))
    assert again == first
    assert list(SimilarLengths(lengths, 10)) == list(SimilarLengths(lengths, 10))


def test_special_tokens_in_a_message_are_only_text():
    dataset = MessageDataset(
        pd.DataFrame({"label": ["ham"], "text": ["a <|endoftext|>"]}), TOKENIZER, 32
    )
    assert PAD not in dataset.ids[0].tolist()[:-1]


@pytest.mark.parametrize(
    ("rows", "max_length", "message"),
    [
        ([("ham", "tea"), ("spam", "")], 8, "message 1 is empty: there is nothing to learn from"),
        ([("eggs", "tea")], 8, "label 'eggs' is none of ham, spam"),
        ([("eggs", "tea"), (math.nan, "bread")], 8, "label 'eggs' is none of ham, spam"),
        ([("ham", "tea")], 1, "max_length=1 must be at least 2"),
    ],
)
def test_bad_messages_are_refused(rows, max_length, message):
    with pytest.raises(ValueError, match=message):
        MessageDataset(pd.DataFrame(rows, columns=["label", "text"]), TOKENIZER, max_length)


def test_an_impossible_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        loader_of(some_messages(4), batch_size=0)


# ---- The classifier.


def a_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three rows of which the end marks stand at 8, 4 and 1."""
    idx, end = torch.randint(PAD, (3, 9)), torch.tensor([8, 4, 1])
    for row, e in zip(idx, end):
        row[e:] = PAD
    return idx, end


@pytest.mark.parametrize("token", ["end", "last", "first"])
@torch.no_grad()
def test_more_padding_does_not_change_what_a_tokens_own_place_says(token):
    model = GPTClassifier(random_gpt(), token=token).eval()
    idx, end = a_batch()
    for n_more in (1, 20):
        longer = F.pad(idx, (0, n_more), value=PAD)
        torch.testing.assert_close(model(longer, end), model(idx, end))


@torch.no_grad()
def test_padding_changes_what_the_padded_token_says():
    model = GPTClassifier(random_gpt(), token="padded").eval()
    nn.init.normal_(model.head.weight)
    idx, end = a_batch()
    assert ((model(F.pad(idx, (0, 3), value=PAD), end) - model(idx, end)).abs() > 1e-3).any()


@torch.no_grad()
def test_the_last_token_does_not_see_the_end_mark_after_it():
    model = GPTClassifier(random_gpt(), token="last").eval()
    nn.init.normal_(model.head.weight)
    idx, end = a_batch()
    other = idx.clone()
    other[torch.arange(3), end] = 7
    torch.testing.assert_close(model(other, end), model(idx, end))
    model.token = "end"
    assert ((model(other, end) - model(idx, end)).abs() > 1e-3).any()


@torch.no_grad()
def test_the_first_token_sees_only_itself_and_saves_the_rest():
    gpt = random_gpt()
    model = GPTClassifier(gpt, token="first").eval()
    idx, end = a_batch()
    torch.testing.assert_close(model(idx, end), model.head(gpt.features(idx)[:, 0]))
    other = idx.clone()
    other[:, 1:] = (other[:, 1:] + 1) % PAD
    assert torch.equal(model(idx, end), model(other, end))


@torch.no_grad()
def test_the_vectors_are_those_of_the_gpts_own_positions():
    gpt = random_gpt(tie_weights=True)
    idx, end = a_batch()
    x = gpt.features(idx)
    expected = {
        "end": torch.stack([x[b, end[b]] for b in range(3)]),
        "last": torch.stack([x[b, end[b] - 1] for b in range(3)]),
        "first": x[:, 0],
        "padded": x[:, -1],
    }
    assert list(expected) == list(TOKENS)
    for token, vectors in expected.items():
        model = GPTClassifier(gpt, n_classes=5, token=token)
        torch.testing.assert_close(model.vectors(idx, end), vectors)
        assert model(idx, end).shape == (3, 5)


def test_the_pretrained_model_is_copied():
    gpt = random_gpt(tie_weights=True)
    before = copy.deepcopy(gpt.state_dict())
    model = GPTClassifier(gpt)
    train_only(model, "all")
    train_classifier(model, loader_of(some_messages(16)), epochs=1, progress=False)
    assert all(torch.equal(w, before[name]) for name, w in gpt.state_dict().items())
    assert all(p.requires_grad for p in gpt.parameters())


def test_a_new_head_finds_both_classes_about_equally_likely():
    model = GPTClassifier(random_gpt())
    loss, logits = classification_loss(model, next(iter(loader_of(some_messages(16)))))
    assert abs(loss.item() - math.log(2)) < 0.2 and logits.shape == (16, 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GPTClassifier(random_gpt(), token="middle"), "token='middle' is none of end"),
        (lambda: train_only(GPTClassifier(random_gpt()), "first"), "layers='first' is none of"),
    ],
)
def test_unknown_choices_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_gpt2s_count_of_trained_parameters():
    """The head alone is 768 weights for each class and a bias: 1,538, as in the book."""
    with torch.device("meta"):
        model = GPTClassifier(GPTModel(GPTConfig(qkv_bias=True, tie_weights=True)))
    counts = []
    for layers in LAYERS:
        train_only(model, layers)
        counts.append(count_parameters(model))
    # A block: attention 4 C² + 4 C, feed-forward 8 C² + 5 C, two norms 4 C; the final norm 2 C.
    C = 768
    block = 12 * C**2 + 13 * C
    assert counts == [2 * C + 2, 2 * C + 2 + block + 2 * C, 124_439_808 + 2 * C + 2]


# ---- Loss and accuracy.


def test_the_loss_is_cross_entropy_and_by_hand():
    model = GPTClassifier(random_gpt())
    nn.init.normal_(model.head.weight)
    idx, end, labels = batch = next(iter(loader_of(some_messages(16))))
    loss, logits = classification_loss(model, batch)
    torch.testing.assert_close(logits, model(idx, end))
    torch.testing.assert_close(loss, F.cross_entropy(model(idx, end), labels))
    by_hand = [-math.log(row.softmax(0)[k]) for row, k in zip(logits.detach(), labels)]
    assert loss.item() == pytest.approx(sum(by_hand) / 16, abs=1e-5)


def test_accuracy_and_recalls_are_what_counting_gives():
    logits, labels = torch.randn(50, 3), torch.randint(3, (50,))
    said = [max(range(3), key=lambda k: row[k]) for row in logits.tolist()]
    right = [a == b for a, b in zip(said, labels.tolist())]
    assert accuracy(logits, labels) == pytest.approx(sum(right) / 50)
    for k, recall in enumerate(recalls(logits, labels)):
        of_class = [r for r, label in zip(right, labels.tolist()) if label == k]
        assert recall == pytest.approx(sum(of_class) / len(of_class))
    assert math.isnan(recalls(logits[:1], torch.zeros(1, dtype=torch.long))[1])


def test_predictions_are_those_of_one_message_at_a_time_without_dropout():
    model = GPTClassifier(random_gpt(drop_rate=0.5)).train()
    messages = some_messages(13)
    logits, labels = predict(model, loader_of(messages, batch_size=4))
    assert model.training
    model.eval()
    order = [
        i
        for batch in SimilarLengths([len(TOKENIZER.encode(t)) for t in messages.text], 4)
        for i in batch
    ]
    for i, row, label in zip(order, logits, labels):
        ids = TOKENIZER.encode(messages.text[i])
        alone = model(torch.tensor([[*ids, PAD]]), torch.tensor([len(ids)]))[0]
        torch.testing.assert_close(row, alone.detach(), atol=1e-5, rtol=1e-4)
        assert LABELS[label] == messages.label[i]


# ---- Training.


@pytest.mark.parametrize("layers", LAYERS)
def test_only_what_is_not_frozen_changes(layers):
    model = GPTClassifier(random_gpt(qkv_bias=True))
    train_only(model, layers)
    before = copy.deepcopy(model.state_dict())
    train_classifier(model, loader_of(some_messages(32), seed=0), epochs=2, progress=False)
    moved = {n for n, w in model.state_dict().items() if not torch.equal(w, before[n])}
    allowed = {
        "head": ("head.",),
        "last-block": ("head.", "gpt.final_norm.", "gpt.blocks.2."),
        "all": ("",),
    }[layers]
    assert moved == {name for name in before if name.startswith(allowed)}


def test_what_can_be_learned_is_learned_and_the_history_tells():
    model = GPTClassifier(random_gpt())
    train_only(model, "all")
    train, val = some_messages(64, seed=1), some_messages(40, seed=2)
    history = train_classifier(
        model, loader_of(train, seed=0), loader_of(val), 20, 1e-2, eval_every=3, progress=False
    )
    assert [row["step"] for row in history] == [*range(3, 80, 3), 80]
    assert history[-1]["train_accuracy"] > 0.95 and history[-1]["val_accuracy"] > 0.9
    logits, labels = predict(model, loader_of(val))
    assert history[-1]["val_accuracy"] == accuracy(logits, labels)
    assert history[-1]["val_loss"] == pytest.approx(F.cross_entropy(logits, labels).item())


def test_the_same_seed_gives_the_same_training():
    losses = []
    for _ in range(2):
        torch.manual_seed(4)
        model = GPTClassifier(random_gpt())
        history = train_classifier(
            model, loader_of(some_messages(32), seed=5), epochs=2, progress=False
        )
        losses.append([row["train_loss"] for row in history])
    assert losses[0] == losses[1]


def test_both_precisions_learn_alike_and_only_the_products_are_in_16_bits():
    losses, seen = {}, []

    def remember(head, inputs, output):
        seen.append(output.dtype)

    for precision in ("float32", "bfloat16"):
        torch.manual_seed(4)
        model = GPTClassifier(random_gpt())
        model.head.register_forward_hook(remember)
        train_only(model, "all")
        history = train_classifier(
            model,
            loader_of(some_messages(64), seed=5),
            epochs=15,
            learning_rate=1e-2,
            progress=False,
            precision=precision,
        )
        assert seen.pop() == getattr(torch, precision)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        losses[precision] = [row["train_loss"] for row in history]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.1)
    assert losses["bfloat16"][-1] < losses["bfloat16"][0] / 2


def test_a_loss_that_explodes_is_refused():
    model = GPTClassifier(random_gpt())
    with pytest.raises(ValueError, match="lower the learning rate"):
        train_classifier(
            model, loader_of(some_messages(32)), epochs=9, learning_rate=1e30, progress=False
        )


def test_no_epoch_at_all_is_refused():
    with pytest.raises(ValueError, match="epochs=0 must be at least 1"):
        train_classifier(GPTClassifier(random_gpt()), loader_of(some_messages(4)), epochs=0)


def test_a_head_trained_on_cached_vectors_is_the_head_of_the_frozen_model():
    model = GPTClassifier(random_gpt())
    messages = some_messages(20)
    cached = cache_vectors(model, loader_of(messages, batch_size=8))
    torch.testing.assert_close(
        model.head(cached.tensors[0]).detach(), predict(model, loader_of(messages))[0]
    )
    assert cached.tensors[1].tolist() == predict(model, loader_of(messages))[1].tolist()


class Watched(GPTClassifier):
    """A classifier that remembers how it began."""

    def __init__(self, gpt: GPTModel, *args, **kwargs):
        super().__init__(gpt, *args, **kwargs)
        self.began = copy.deepcopy(self.state_dict())


@pytest.fixture(scope="module")
def toy_gpt() -> GPTModel:
    torch.manual_seed(2)
    return random_gpt()


@pytest.fixture(scope="module")
def toy_splits() -> pd.DataFrame:
    """More ham than spam in every split, and no text in two of them."""
    parts = []
    for seed, (split, n) in enumerate(zip(SPLITS, (30, 12, 8))):
        part = some_messages(4 * n, seed).assign(split=split)
        spam = part.label == "spam"
        parts.append(part[~spam | (spam.cumsum() <= n)])
    messages = pd.concat(parts, ignore_index=True)
    messages["text"] += [f" {'cat ' * (i % 3)}{i}" for i in range(len(messages))]
    return messages


def test_every_way_to_train_is_run_as_it_says(toy_gpt, toy_splits, monkeypatch):
    """What each run starts from, reads, trains and is asked; the training is left out."""
    trained, asked = [], []

    def train(setting, model, loader, seed):
        trained.append((setting, model, loader.dataset, list(loader), seed))

    def watched(model, tokenizer, messages, max_length, pad_to=None):
        said = label_messages(model, tokenizer, messages, max_length, pad_to)
        asked.append((model, messages, max_length, pad_to, said))
        return said

    monkeypatch.setattr(gpt_class_finetune, "GPTClassifier", Watched)
    monkeypatch.setattr(gpt_class_finetune, "train_setting", train)
    monkeypatch.setattr(gpt_class_finetune, "label_messages", watched)
    plan = [(seed, name) for seed in (1, 2) for name in SETTINGS]
    rows = [
        run_setting(toy_gpt, TOKENIZER, toy_splits, SETTINGS[name], seed, 8, 32)
        for seed, name in plan
    ]
    texts, starts, heads = {1: set(), 2: set()}, {1: set(), 2: set()}, {1: set(), 2: set()}
    drawn = toy_splits[toy_splits.split == "train"]
    for i, ((seed, name), run, row) in enumerate(zip(plan, trained, rows)):
        setting, model, dataset, batches, given_seed = run
        assert (setting, given_seed, model.token) == (SETTINGS[name], seed, SETTINGS[name].token)
        same = all(
            torch.equal(model.began[f"gpt.{name}"], w)
            for name, w in toy_gpt.state_dict().items()
            if not name.startswith("out_head")
        )
        assert same == setting.pretrained
        if not setting.pretrained:
            starts[seed].add(model.began["gpt.tok_emb.weight"].sum().item())
        else:
            heads[seed].add(model.began["head.weight"].sum().item())
        known = {
            tuple(TOKENIZER.encode_ordinary(t)): label
            for label, t in drawn[["label", "text"]].values
        }
        labels = [LABELS.index(known[tuple(ids[:-1].tolist())]) for ids in dataset.ids]
        assert dataset.labels.tolist() == labels and labels.count(0) == labels.count(1) == 8
        texts[seed].add(tuple(sorted(tuple(ids.tolist()) for ids in dataset.ids)))
        for idx, end, _ in batches:
            assert idx.shape[1] == (32 if setting.token == "padded" else end.max() + 1)
        of_run = asked[3 * i : 3 * i + 3]  # training, validation and test
        for model_asked, _, max_length, pad_to, _ in of_run:
            assert model_asked is model and max_length == 32
            assert pad_to == (32 if setting.token == "padded" else None)
        own, _, _, _, said = of_run[0]
        assert row["training"] == round((said == of_run[0][1].label).mean(), 4)
        for split, (_, part, _, _, said) in zip(SPLITS[1:], of_run[1:]):
            assert part.equals(toy_splits[toy_splits.split == split])
            assert row[split] == "".join(label[0] for label in said)
    for found in (texts, starts, heads):
        assert len(found[1]) == len(found[2]) == 1 and found[1] != found[2]


def test_a_run_is_repeated(toy_gpt, toy_splits):
    setting = Setting(1e-2, 2, "all")
    rows = [run_setting(toy_gpt, TOKENIZER, toy_splits, setting, seed, 8, 32) for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


def write_runs(path: Path, messages: pd.DataFrame, rows: list[dict]) -> Path:
    path.write_text(json.dumps({"messages": fingerprint(messages), "rows": rows}))
    return path


def test_what_was_recorded_is_measured_and_summarized(toy_splits, tmp_path):
    labels = toy_splits.label[toy_splits.split == "test"]
    right = "".join(label[0] for label in labels)
    wrong = right[:5] + "".join("hs"[letter == "h"] for letter in right[5:])
    rows = [
        {"labels": 8, "setting": "a", "seed": 1, "training": 1.0, "test": right},
        {"labels": 8, "setting": "a", "seed": 2, "training": 0.5, "test": wrong},
        {"labels": 9, "setting": "a", "seed": 1, "training": 1.0, "test": wrong},
    ]
    path = write_runs(tmp_path / "table.json", toy_splits, rows)
    runs = read_runs(path, toy_splits, "test")
    assert runs.said.tolist() == [right, wrong, wrong] and runs.right[0] == 1
    said = pd.Series(["ham" if letter == "h" else "spam" for letter in wrong], labels.index)
    for name, value in measure(said, labels).items():
        assert runs[name][1] == value
    table = summarize(runs)
    assert list(table.index) == [(8, "a"), (9, "a")] and table.runs.tolist() == [2, 1]
    assert table.training[8, "a"] == 0.75
    pair = runs.balanced[:2]
    assert table.balanced[8, "a"] == pytest.approx(pair.mean())
    assert table.spread[8, "a"] == pytest.approx(pair.std())
    for others in (toy_splits[1:], toy_splits[::-1], toy_splits.assign(text="a")):
        with pytest.raises(ValueError, match="table.json is a record of other messages"):
            read_runs(path, others, "test")


def test_a_lead_is_paired_by_seed_and_message_and_knows_both_draws():
    labels = pd.Series(["ham"] * 30 + ["spam"] * 10)
    true = "h" * 30 + "s" * 10
    ham_lost = "s" * 3 + true[3:]
    rows = [("a", 1, true), ("a", 2, true), ("b", 1, ham_lost), ("b", 2, ham_lost)]
    runs = pd.DataFrame([*rows, ("a", 3, true)], columns=["setting", "seed", "said"])
    found = lead(runs, "a", "b", labels)
    assert found["seeds"] == 2 and found["ahead"] == pytest.approx(0.05)
    assert 0 <= found["low"] < 0.05 < found["high"] < 0.15
    other_way = lead(runs, "b", "a", labels)
    assert other_way["ahead"] == pytest.approx(-0.05)
    # One seed of two differs: the draw of the seeds shows in the interval.
    runs.loc[3, "said"] = true
    assert lead(runs, "a", "b", labels)["low"] == 0
    assert lead(runs, "a", "b", labels) == lead(runs, "a", "b", labels)


def test_ways_are_compared_seed_by_seed():
    """Over the seeds that both have, with the standard error of the mean difference."""
    rows = [("a", 1, 0.9), ("a", 2, 0.7), ("a", 3, 0.2), ("b", 1, 0.6), ("b", 2, 0.5)]
    runs = pd.DataFrame(rows, columns=["setting", "seed", "test"])
    found = differences(runs, {"a instead of b": ("a", "b")}).loc["a instead of b"]
    assert found.seeds == 2 and found.ahead == pytest.approx(0.25)
    assert found.error == pytest.approx(0.05)  # (0.3 - 0.2) / 2


def test_the_bag_of_words_gets_the_draws_of_the_others(toy_splits, monkeypatch):
    trained = []

    def train(messages):
        trained.append(messages)
        return bag_of_words(messages)

    monkeypatch.setattr(gpt_class_finetune, "bag_of_words", train)
    of_train = toy_splits[toy_splits.split == "train"]
    for seed in (1, 2):
        row = run_bag(toy_splits, seed, 8)
        assert trained[-1].equals(balance(of_train, 8, seed))
        judge = bag_of_words(trained[-1])
        for split in SPLITS[1:]:
            said = judge.predict(toy_splits.text[toy_splits.split == split])
            assert row[split] == "".join(label[0] for label in said)
        assert row["training"] == 1


def test_answers_are_kept_as_letters_in_the_tables_order(toy_splits):
    def judge(part: pd.DataFrame) -> pd.Series:
        return pd.Series(["spam" if "3" in t else "ham" for t in part.text], part.index)

    train = pd.DataFrame({"label": ["ham", "spam", "ham"], "text": ["3", "3", "4"]})
    row = keep_answers(judge, train, toy_splits)
    assert row["training"] == 0.6667 and list(row) == ["training", "validation", "test"]
    texts = toy_splits.text[toy_splits.split == "test"]
    assert row["test"] == "".join("hs"["3" in text] for text in texts)


@pytest.mark.parametrize("layers", LAYERS)
def test_a_setting_is_trained_as_it_says(layers, toy_gpt, toy_splits, monkeypatch):
    received = []

    def train(model, loader, **settings):
        received.append((model, loader, settings))
        return train_classifier(model, loader, **settings)

    monkeypatch.setattr(gpt_class_finetune, "train_classifier", train)
    model = Watched(toy_gpt)
    loader = loader_of(toy_splits, seed=1)
    history = train_setting(Setting(3e-3, 2, layers), model, loader, 1)
    ((trained, batches, settings),) = received
    assert settings == {"epochs": 2, "learning_rate": 3e-3, "progress": False}
    assert trained is (model.head if layers == "head" else model)
    assert (batches is loader) == (layers != "head") and history[-1]["epoch"] == 2
    moved = {n for n, w in model.state_dict().items() if not torch.equal(w, model.began[n])}
    assert any(n.startswith("head.") for n in moved)
    assert any(n.startswith("gpt.blocks.2.") for n in moved) == (layers != "head")
    assert any(n.startswith("gpt.blocks.0.") for n in moved) == (layers == "all")


@pytest.mark.parametrize(("n", "n_warm"), [(40, 4), (39, 3), (5, 1), (1, 1)])
def test_the_rate_rises_for_a_tenth_of_the_steps_then_falls(n, n_warm, monkeypatch):
    rates = []

    class Watching(torch.optim.AdamW):
        def step(self, *args, **kwargs):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(gpt_class_finetune, "AdamW", Watching)
    loader = loader_of(some_messages(2))
    train_classifier(GPTClassifier(random_gpt()), loader, None, n, 0.01, progress=False)
    up = [0.01 * (i + 1) / n_warm for i in range(n_warm)]
    down = [0.01 * i / (n - n_warm + 1) for i in range(n - n_warm, 0, -1)]
    assert rates == pytest.approx(up + down)


@pytest.mark.parametrize("change", CHANGES)
def test_the_two_ways_of_a_change_differ_in_one_thing(change):
    """Apart from the learning rate and the epochs, which suit each of them."""
    way, other = (SETTINGS[name] for name in CHANGES[change])
    differing = [
        name
        for name in ("layers", "token", "pretrained")
        if getattr(way, name) != getattr(other, name)
    ]
    assert len(differing) == 1


def test_every_way_to_train_is_in_a_comparison():
    assert {name for pair in CHANGES.values() for name in pair} == set(SETTINGS)
    assert {s.layers for s in SETTINGS.values()} == set(LAYERS)
    assert {s.token for s in SETTINGS.values()} == set(TOKENS)


# ---- New messages.


def test_a_message_is_classified_with_its_probability():
    model = GPTClassifier(random_gpt())
    nn.init.normal_(model.head.weight)
    for text in ("tea", "the dog won a prize"):
        ids = torch.tensor([[*TOKENIZER.encode(text), PAD]])
        row = model.eval()(ids, torch.tensor([ids.shape[1] - 1]))[0].softmax(-1)
        label, probability = classify(text, model.train(), TOKENIZER)
        assert label == LABELS[int(row.argmax())]
        assert probability == pytest.approx(row.max().item(), abs=1e-6) and model.training
        assert classify(f" {text}\n", model, TOKENIZER) == (label, probability)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the message must be a text, not None"),
        (7, "the message must be a text, not 7"),
        ("", "the message is empty"),
        (" \n\t", "the message is empty"),
        ("q" * 40, "the message has 40 tokens, but the model reads at most 31"),
    ],
)
def test_no_text_an_empty_one_and_too_long_a_one_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        classify(text, GPTClassifier(random_gpt()), TOKENIZER)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("token", ["end", "last", "first"])
def test_a_saved_classifier_is_read_back(tie_weights, token, tmp_path):
    model = GPTClassifier(random_gpt(tie_weights=tie_weights, drop_rate=0.1), token=token)
    save_classifier(model, TOKENIZER, tmp_path / "new" / "spam")
    assert sorted(path.name for path in (tmp_path / "new" / "spam").iterdir()) == [
        "classifier.json",
        "model.safetensors",
        "vocabulary.tiktoken",
    ]
    read, tokenizer = load_classifier(tmp_path / "new" / "spam")
    assert read.token == token and not read.training and read.gpt.config == model.gpt.config
    idx, end = a_batch()
    assert torch.equal(read(idx, end), model.eval()(idx, end))
    assert tokenizer.ranks == TOKENIZER.ranks


def test_a_classifier_whose_answer_depends_on_the_padding_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="token='padded' is not saved"):
        save_classifier(GPTClassifier(random_gpt(), token="padded"), TOKENIZER, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.fixture
def saved(tmp_path) -> Path:
    save_classifier(GPTClassifier(random_gpt()), TOKENIZER, tmp_path / "spam")
    return tmp_path / "spam"


@pytest.mark.parametrize("name", ["classifier.json", "model.safetensors", "vocabulary.tiktoken"])
def test_a_missing_classifier_is_named(name, saved):
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match="no classifier in .*spam.*gpt_class_finetune"):
        load_classifier(saved)


@pytest.mark.parametrize("name", ["classifier.json", "model.safetensors", "vocabulary.tiktoken"])
@pytest.mark.parametrize("keep", [0, 30, -9])
def test_a_damaged_classifier_is_refused(name, keep, saved):
    (saved / name).write_bytes((saved / name).read_bytes()[:keep])
    with pytest.raises(ValueError, match="is damaged|vocabulary file"):
        load_classifier(saved)


def test_weights_of_another_model_are_refused(saved):
    described = json.loads((saved / "classifier.json").read_text())
    described["config"]["emb_dim"] = 24
    (saved / "classifier.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="is damaged: .*size mismatch"):
        load_classifier(saved)


@pytest.mark.parametrize("labels", [["spam", "ham"], ["a", "b"]])
def test_a_classifier_of_other_classes_is_refused(labels, saved):
    described = json.loads((saved / "classifier.json").read_text())
    (saved / "classifier.json").write_text(json.dumps(described | {"labels": labels}))
    with pytest.raises(ValueError, match=f"knows the classes .*{labels[0]}.*, not .*'ham', 'spam'"):
        load_classifier(saved)


def test_saving_onto_a_full_disk_keeps_the_old_file(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gpt_class_finetune, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_classifier(GPTClassifier(random_gpt()), TOKENIZER, saved)
    after = {path.name: path.read_bytes() for path in saved.iterdir()}
    assert after["model.safetensors"] == before["model.safetensors"]
    assert after.keys() == before.keys()  # no draft is left


# ---- The SMS Spam Collection, served by a machine like UCI's.

COLLECTION = "".join(f"{label}\t{text}\n" for label, text in some_messages(3000).values).encode()
COLLECTION += "spam\tA £1 prize\twith a tab\x85and more\n".encode()


def archive_of(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("readme", "about the collection")
        archive.writestr("SMSSpamCollection", data)
    return file.getvalue()


class Archive(http.server.BaseHTTPRequestHandler):
    """Serve self.server.content; it may break off, ignore Range, refuse, or fall silent."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        content, start = server.content, 0
        if server.refuses:
            self.send_error(server.refuses)
            return
        if asked and not server.ignores_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if server.breaks_after is None else start + server.breaks_after
        self.wfile.write(content[start:end])
        self.wfile.flush()
        if server.breaks_after is not None and server.silent:
            server.silent.wait(20)

    def log_message(self, *args):
        pass


@pytest.fixture
def uci(tmp_path, monkeypatch):
    """A server, an empty cache folder, and the hash of what the server has."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    server.daemon_threads = True
    server.content, server.asked = archive_of(COLLECTION), []
    server.breaks_after = server.ignores_range = server.refuses = server.silent = None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_UCI_ADDRESS", f"http://127.0.0.1:{server.server_port}/sms.zip")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(uci_messages, "SHA256", hashlib.sha256(COLLECTION).hexdigest())
    yield server
    server.shutdown()
    server.server_close()


def cached_files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def fetch_refused() -> str:
    """What reading says when it fails: one sentence that also says how to go on."""
    with pytest.raises(OSError) as refused:
        uci_messages.read_uci()
    said = str(refused.value)
    assert said.startswith("the SMS Spam Collection could not be fetched from http://127.0.0.1")
    assert "COURSE_DATA=course" in said and "COURSE_UCI_ADDRESS" in said and "\n" not in said
    return said


def test_the_collection_is_fetched_once_and_read(uci, tmp_path):
    for _ in range(2):
        messages = uci_messages.read_uci()
        assert len(messages) == 3001 and {label for label, _ in messages} == set(LABELS)
        assert messages[-1] == ("spam", "A £1 prize\twith a tab\x85and more")
    assert uci.asked == [None]
    assert cached_files(tmp_path) == ["SMSSpamCollection"]


def test_a_download_that_breaks_off_is_gone_on_with(uci, tmp_path):
    total = len(uci.content)
    uci.breaks_after = 20_000
    said = fetch_refused()
    assert f"broke off after 20,000 of {total:,} bytes" in said
    assert "goes on after the 20,000 bytes that came" in said
    assert cached_files(tmp_path) == ["sms-spam-collection.zip.incomplete"]
    assert "broke off after 40,000" in fetch_refused()
    uci.breaks_after = None
    assert len(uci_messages.read_uci()) == 3001
    assert uci.asked == [None, "bytes=20000-", "bytes=40000-"]
    assert cached_files(tmp_path) == ["SMSSpamCollection"]


def test_a_server_that_cannot_go_on_sends_everything_again(uci):
    uci.breaks_after, uci.ignores_range = 20_000, True
    fetch_refused()
    assert "broke off after 20,000" in fetch_refused()
    uci.breaks_after = None
    assert len(uci_messages.read_uci()) == 3001


@pytest.mark.parametrize("came", ["all of it", "more than all of it"])
def test_what_cannot_be_gone_on_from_is_no_trap(came, uci, tmp_path):
    """The server answers 416 when asked to go on behind the file's end."""
    left = tmp_path / "cache" / "sms-spam-collection.zip.incomplete"
    left.parent.mkdir()
    left.write_bytes(uci.content if came == "all of it" else b"?" * (len(uci.content) + 5))
    assert len(uci_messages.read_uci()) == 3001
    assert uci.asked[0] == f"bytes={len(uci.content) + 5 * came.startswith('more')}-"
    assert cached_files(tmp_path) == ["SMSSpamCollection"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Please log in</html>", "something else is there: File is not a zip file"),
        (archive_of(COLLECTION + b"spam\tone more\n"), "the SHA-256 of SMSSpamCollection is not"),
        (archive_of(COLLECTION)[:-40] + b"?" * 40, "something else is there"),
        (b"\0" * 6_000_000, "more than 5,000,000 bytes"),
    ],
)
def test_wrong_content_is_refused_and_the_next_try_starts_anew(content, message, uci, tmp_path):
    right, uci.content = uci.content, content
    assert message in fetch_refused()
    assert "SMSSpamCollection" not in cached_files(tmp_path)
    uci.content = right
    assert len(uci_messages.read_uci()) == 3001
    assert cached_files(tmp_path) == ["SMSSpamCollection"]


def test_a_beginning_of_something_else_does_not_stay(uci, tmp_path):
    left = tmp_path / "cache" / "sms-spam-collection.zip.incomplete"
    left.parent.mkdir()
    left.write_bytes(b"?" * 999)
    assert "something else is there" in fetch_refused()
    assert len(uci_messages.read_uci()) == 3001


class FullDisk(io.FileIO):
    """A file on a disk with room for 30,000 bytes."""

    def write(self, data) -> int:
        if self.tell() + len(data) > 30_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_full_disk_keeps_what_came_and_the_next_try_goes_on(uci, tmp_path, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(Path, "open", lambda path, mode: FullDisk(path, mode))
        assert "No space left on device" in fetch_refused()
    (left,) = (tmp_path / "cache").iterdir()
    n = left.stat().st_size
    assert 0 < n <= 30_000 and left.read_bytes() == uci.content[:n]
    assert len(uci_messages.read_uci()) == 3001
    assert uci.asked == [None, f"bytes={n}-"]


def test_a_disk_that_is_full_at_the_end_leaves_no_half_file(uci, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        assert "No space left on device" in fetch_refused()
    assert cached_files(tmp_path) == ["sms-spam-collection.zip.incomplete"]
    assert len(uci_messages.read_uci()) == 3001  # nothing has to come again
    assert uci.asked == [None, f"bytes={len(uci.content)}-"]


def test_silence_is_not_waited_for(uci, monkeypatch):
    monkeypatch.setattr(uci_messages, "SECONDS_SILENT", 0.3)
    uci.breaks_after, uci.silent = 5_000, threading.Event()
    said = fetch_refused()
    uci.silent.set()
    assert "timed out" in said and "goes on after the 5,000 bytes" in said


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/sms.zip", "refused"),
        ("no address", "unknown url type"),
    ],
)
def test_an_address_that_does_not_answer_is_named(address, message, uci, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_UCI_ADDRESS", address)
    with pytest.raises(OSError, match=f"could not be fetched from {address}.*{message}"):
        uci_messages.read_uci()
    assert cached_files(tmp_path) == []


def test_a_server_that_refuses_is_quoted(uci):
    uci.refuses = 503
    assert "503" in fetch_refused()


def test_a_damaged_cache_is_refused(uci, tmp_path):
    uci_messages.read_uci()
    path = tmp_path / "cache" / "SMSSpamCollection"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="is not the SMS Spam Collection .*delete it"):
        uci_messages.read_uci()


def test_uci_is_never_replaced_in_silence(uci, monkeypatch):
    uci.refuses = 404
    monkeypatch.setattr(gpt_class_finetune, "make_messages", lambda: pytest.fail("not asked for"))
    with pytest.raises(OSError, match="could not be fetched"):
        load_messages("uci")


def test_the_download_command_says_what_it_has(uci, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["uci_messages"])
    uci_messages.main()
    assert "3,001 messages, 1501 of them spam" in capsys.readouterr().out
    uci.refuses = 404
    (Path(os.environ["COURSE_CACHE"]) / "SMSSpamCollection").unlink()
    with pytest.raises(SystemExit) as stopped:
        uci_messages.main()
    assert str(stopped.value.code).startswith("uci_messages: the SMS Spam Collection could not")


# ---- The command.


@pytest.fixture(scope="module")
def gpt_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    torch.manual_seed(0)
    save_pretrained(random_gpt(context_length=64), folder, TOKENIZER)
    return folder


@pytest.fixture
def made_once(monkeypatch):
    """The corpus is read once; these tests take it from where it was read."""
    monkeypatch.setattr(gpt_class_finetune, "make_messages", lambda: CORPUS)


def test_the_command_trains_saves_and_classifies(
    gpt_folder, tmp_path, monkeypatch, capsys, made_once
):
    out = ["--out", tmp_path / "spam", "--device", "cpu"]
    small = ["--per-class", "16", "--epochs", "1", "--max-length", "24"]
    arguments = ["--model", gpt_folder, *out, *small]
    monkeypatch.setattr(sys, "argv", ["x", *map(str, arguments)])
    gpt_class_finetune.main()
    said = capsys.readouterr().out
    n_test = sum(m.split == "test" for m in CORPUS)
    parts = [
        "32 messages, 50% spam",
        "all: ",
        "val_accuracy",
        f"the {n_test:,} test messages",
    ]
    parts += ["always ham", "bag of words", "this classifier", "precision", "balanced"]
    assert [part for part in parts if part not in said] == []
    monkeypatch.setattr(sys, "argv", ["x", *map(str, out), "--classify", "Tea at four?"])
    gpt_class_finetune.main()
    label, probability = classify("Tea at four?", *load_classifier(tmp_path / "spam"))
    assert capsys.readouterr().out == f"{label} ({probability:.0%})\n"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"token": "last"},
        {"layers": "head"},
        {"layers": "last-block"},
        {"random_weights": True},
        {"epochs": 2},
        {"batch_size": 4},
        {"lr": 1e-2},
        {"max_length": 6},
        {"per_class": 5},
        {"seed": 7},
    ],
    ids=str,
)
def test_an_option_changes_what_is_saved_as_it_says(
    changed, gpt_folder, toy_splits, tmp_path, monkeypatch
):
    """The folder holds what the module's functions give with the same choices."""
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    monkeypatch.setattr(gpt_class_finetune, "load_messages", lambda data: toy_splits)
    options = {
        "model": gpt_folder,
        "device": "cpu",
        "out": tmp_path / "spam",
        "epochs": 1,
    } | changed
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in options.items()
    ]
    monkeypatch.setattr(sys, "argv", ["x", *words])
    gpt_class_finetune.main()

    chosen = {"token": "end", "layers": "all", "random_weights": False, "batch_size": 16}
    chosen |= {"lr": 2e-4, "max_length": 64, "per_class": None, "seed": 1} | options
    gpt, tokenizer = load_pretrained(gpt_folder)
    torch.manual_seed(chosen["seed"])
    gpt = GPTModel(gpt.config) if chosen["random_weights"] else gpt
    model = GPTClassifier(gpt, token=chosen["token"])
    train_only(model, chosen["layers"])
    train = balance(toy_splits[toy_splits.split == "train"], chosen["per_class"], chosen["seed"])
    dataset = MessageDataset(train, tokenizer, chosen["max_length"])
    loader = create_message_dataloader(dataset, chosen["batch_size"], chosen["seed"])
    train_classifier(model, loader, None, chosen["epochs"], chosen["lr"], progress=False)
    read, _ = load_classifier(tmp_path / "spam")
    described = json.loads((tmp_path / "spam" / "classifier.json").read_text())
    assert described["token"] == read.token == chosen["token"]
    for name, w in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], w), name


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_command_trains_in_the_precision_that_is_chosen(
    precision, gpt_folder, toy_splits, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(gpt_class_finetune, "load_messages", lambda data: toy_splits)
    monkeypatch.setenv("COURSE_PRECISION", precision)
    received = []

    def train(*arguments, **settings):
        received.append(settings["precision"])
        return train_classifier(*arguments, **settings)

    monkeypatch.setattr(gpt_class_finetune, "train_classifier", train)
    options = [
        "--model",
        gpt_folder,
        "--out",
        tmp_path / "spam",
        "--device",
        "cpu",
        "--epochs",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", ["x", *map(str, options)])
    gpt_class_finetune.main()
    assert received == [precision] and f"trained on cpu in {precision}" in capsys.readouterr().out


@pytest.mark.slow
def test_help_names_every_option():
    done = subprocess.run(
        [sys.executable, "-m", "ch06.gpt_class_finetune", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert done.returncode == 0 and done.stderr == ""
    for option in "model data layers token seed epochs out classify table way split".split():
        assert f"--{option}" in done.stdout


def refusal(monkeypatch, *arguments: str | Path) -> str:
    monkeypatch.setattr(sys, "argv", ["gpt_class_finetune", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        gpt_class_finetune.main()
    assert isinstance(stopped.value.code, str) and "\n" not in stopped.value.code
    assert stopped.value.code.startswith("gpt_class_finetune: ")
    return stopped.value.code


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs=0 must be at least 1"),
        (["--max-length", "65"], "max_length=65 is more than the context of 64 tokens"),
        (["--max-length", "0"], "max_length=0 must be at least 2"),
        (["--per-class", "5000"], "cannot draw 5000 of each class"),
        (["--device", "tpu"], "device 'tpu' is not here"),
        (["--lr", "-1"], "learning rate"),
        (["--model", "nowhere"], "nowhere is neither a model folder"),
        (["--token", "padded"], "token='padded' is for --table only"),
        (["--classify", "Tea?"], "there is no classifier in"),
        (["--table", "t/x.json", "--per-class", "5000"], "cannot draw 5000 of each class"),
        (["--table", "t/x.json", "--seeds", "0"], "seeds=0 must be at least 1"),
        (
            ["--table", "t/x.json", "--random-weights"],
            "settings of its own: leave out --random-weights",
        ),
        (
            ["--table", "t/x.json", "--batch-size", "8"],
            "settings of its own: leave out --batch-size",
        ),
        (["--table", "t/x.json", "--layers", "head"], "settings of its own: leave out --layers"),
        (["--table", "t/x.json", "--token", "last"], "settings of its own: leave out --token"),
        (["--table", "t/x.json", "--epochs", "1"], "settings of its own: leave out --epochs"),
        (["--table", "t/x.json", "--lr", "1e-3"], "settings of its own: leave out --lr"),
        (["--table", "t/x.json", "--out", "here"], "settings of its own: leave out --out"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    arguments, message, gpt_folder, tmp_path, monkeypatch, made_once
):
    monkeypatch.chdir(tmp_path)
    common = ["--model", gpt_folder, "--device", "cpu", "--per-class", "8"]
    assert message in refusal(monkeypatch, *common, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_a_bad_message(saved, monkeypatch):
    assert "the message is empty" in refusal(monkeypatch, "--out", saved, "--classify", " ")
    assert "at most 31" in refusal(monkeypatch, "--out", saved, "--classify", "q" * 99)


@pytest.fixture
def table(gpt_folder, toy_splits, tmp_path, monkeypatch):
    """Run --table on toys, with one epoch for every way; what it printed comes back."""
    for name in ("SETTINGS", "SETTINGS_FOR_ALL"):
        ways = getattr(gpt_class_finetune, name).items()
        short = {n: Setting(1e-3, 1, s.layers, s.token, s.pretrained) for n, s in ways}
        monkeypatch.setattr(gpt_class_finetune, name, short)
    monkeypatch.setattr(gpt_class_finetune, "FEW", 8)
    monkeypatch.setattr(gpt_class_finetune, "load_messages", lambda data: toy_splits)

    def run(*options: str) -> dict:
        words = ["--model", gpt_folder, "--device", "cpu", "--max-length", "32"]
        path = tmp_path / "new" / "table.json"
        monkeypatch.setattr(sys, "argv", ["x", *map(str, words), "--table", str(path), *options])
        gpt_class_finetune.main()
        return json.loads(path.read_text(encoding="utf-8"))

    return run


def keys_of(record: dict) -> list[tuple]:
    return [(row["labels"], row["setting"], row["seed"]) for row in record["rows"]]


def test_the_table_holds_every_way_with_few_and_all_labels(table, toy_splits, capsys):
    record = table("--seeds", "2")
    few, every = ["bag of words", *SETTINGS], ["bag of words", *SETTINGS_FOR_ALL]
    n_all = int((toy_splits[toy_splits.split == "train"].label == "spam").sum())
    wanted = [
        (n, way, seed) for seed in (1, 2) for n, ways in ((8, few), (n_all, every)) for way in ways
    ]
    assert keys_of(record) == wanted
    assert record["command"].startswith("python -m ch06.gpt_class_finetune --model")
    assert record["torch"] == torch.__version__ and record["messages"] == fingerprint(toy_splits)
    said = capsys.readouterr().out
    assert all(way in said for way in few) and f"{len(wanted)} runs are in" in said


def test_a_table_goes_on_where_it_was_stopped(table, monkeypatch):
    first = table("--seeds", "1", "--way", "head only", "--way", "bag of words")
    done, run = [], run_setting

    def watched(*arguments):
        done.append(arguments[3])
        if len(done) == 3:
            raise KeyboardInterrupt
        return run(*arguments)

    monkeypatch.setattr(gpt_class_finetune, "run_setting", watched)
    with pytest.raises(SystemExit, match="stopped"):
        table("--seeds", "1")
    monkeypatch.setattr(gpt_class_finetune, "run_setting", run)
    whole = table("--seeds", "1")
    assert whole["rows"][: len(first["rows"])] == first["rows"]
    assert (
        len(set(keys_of(whole))) == len(whole["rows"]) == len(SETTINGS) + 2 + len(SETTINGS_FOR_ALL)
    )


@pytest.mark.parametrize("name", ["model", "messages", "max_length", "torch"])
def test_a_table_of_other_things_is_not_gone_on_with(name, table, tmp_path):
    way = ["--seeds", "1", "--way", "bag of words"]
    path, record = tmp_path / "new" / "table.json", table(*way)
    path.write_text(json.dumps(record | {name: "another"}))
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=f"{name} was another and is .* now; name another file"):
        table(*way)
    assert path.read_bytes() == before


# ---- What the course says of its own runs.

RECORD = json.loads((ROOT / "ch06" / "recorded" / "table.json").read_text(encoding="utf-8"))
NOTEBOOKS = [ROOT / "ch06" / "ch06.ipynb", *sorted((ROOT / "ch06" / "bonus").glob("*.ipynb"))]
CELLS = {cell.id: cell for path in NOTEBOOKS for cell in read_notebook(path).cells}


def test_the_record_is_of_todays_messages_and_model():
    assert RECORD["messages"] == fingerprint(load_messages("course"))
    gpt, _ = load_pretrained("course")
    arguments = gpt_class_finetune.argparse.Namespace(
        model="course", data="course", device="cpu", max_length=RECORD["max_length"]
    )
    assert RECORD["model"] == gpt_class_finetune.describe_table(arguments, gpt)["model"]


def test_the_record_holds_an_answer_of_every_run_to_every_message():
    rows = pd.DataFrame(RECORD["rows"])
    for split in SPLITS[1:]:
        n = sum(m.split == split for m in CORPUS)
        assert set(rows[split].str.len()) == {n} and set("".join(rows[split])) == set("hs")
    assert not rows.duplicated(["labels", "setting", "seed"]).any()


def test_the_record_holds_every_way_with_the_same_seeds():
    rows = pd.DataFrame(RECORD["rows"])
    wanted = [(FEW, way) for way in ("bag of words", *SETTINGS)]
    wanted += [(rows["labels"].max(), way) for way in ("bag of words", *SETTINGS_FOR_ALL)]
    seeds = rows.groupby(["labels", "setting"]).seed.agg(tuple)
    assert set(seeds.index) <= set(wanted)
    if len(seeds) < len(wanted) or seeds.nunique() > 1:
        pytest.skip("the record is not whole: python -m ch06.gpt_class_finetune --table")


def test_the_live_run_of_the_lesson_is_the_commands_and_the_tables():
    """The same seed, rate, epochs, batches and cut, so that one can be held against the other."""
    setting = SETTINGS_FOR_ALL["all layers"]
    parameters = inspect.signature(train_classifier).parameters
    assert setting == Setting(
        parameters["learning_rate"].default, parameters["epochs"].default, layers="all"
    )
    run = CELLS["ch06-run"].source
    assert "torch.manual_seed(1)" in run and "seed=1" in run and "epochs" not in run
    assert "learning_rate" not in run and "precision" not in run
    assert "balance(train_messages, seed=1)" in CELLS["ch06-lesson-loader"].source
    assert f"MAX_LENGTH = {RECORD['max_length']}" in CELLS["ch06-lesson-loader"].source


def test_the_messages_that_the_lesson_judges_rightly_are_those_of_the_demo():
    source = CELLS["ch06-just-ask"].source + CELLS["ch06-classify-right"].source
    assert [text for _, text in DEMO[:3] if text not in source] == []


# ---- What the shipped recipe makes of messages that nobody trained on.

DEMO = [  # README shows the first two; no such sentence stands in the corpus
    ("spam", "You have won a bicycle! To get it, pay £4 at bike-prize.example today."),
    ("ham", "You left your bicycle at ours. Shall I bring it round tonight?"),
    ("ham", "Are you home by six? I am making soup and the cat misses you."),
    ("spam", "Your card was charged £89. Not you? Confirm your number at bank-help.example"),
    ("ham", "Hello, this is the dentist. Your check-up is on Monday at ten, nothing to pay."),
]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    """What the command of README leaves, by its own recipe on the course's model."""
    out = tmp_path_factory.mktemp("shipped") / "spam"
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("COURSE_MODEL", raising=False)
        patched.delenv("COURSE_DATA", raising=False)
        options = ["--out", out, "--device", "cpu"]
        patched.setattr(sys, "argv", ["x", *map(str, options)])
        gpt_class_finetune.main()
    return out


@pytest.mark.slow
def test_the_recipe_judges_the_messages_of_readme_and_three_more_rightly(shipped):
    classifier = load_classifier(shipped)
    right = [classify(text, *classifier)[0] == label for label, text in DEMO]
    assert all(right), right


def test_the_demo_of_readme_is_among_them_and_nothing_of_it_in_the_corpus():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r'--classify "(.*)" *# (\w+)', readme)
    assert [(label, text) for text, label in shown] == DEMO[:2]
    texts = {m.text.lower() for m in CORPUS}
    assert [text for _, text in DEMO if text.lower() in texts] == []
