"""Ways to make a classifier, the tests that compare them, and messages from elsewhere."""

import json
import math
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_weights import load_pretrained
from ch06.bonus import classifiers
from ch06.bonus.classifiers import (
    ALL,
    ENCODER,
    FEW,
    OF_GPT,
    PUBLISHED,
    RECORD,
    TRIED,
    Bench,
    VariedClassifier,
    Way,
    as_runs,
    bigrams,
    find_encoder,
    is_row,
    letters,
    look_around,
    mcnemar,
    one_run_each,
    plan_rows,
    prepare,
    read_below,
    read_collection,
    read_elsewhere,
    run_way,
    seeds_that_differ,
    sentence_vectors,
    sizes_for,
    unpaired,
    verdict,
)
from ch06.gpt_class_finetune import (
    LABELS,
    MessageDataset,
    create_message_dataloader,
    fingerprint,
    load_messages,
)
from course.records import read_rows

CONFIG = GPTConfig(
    vocab_size=2048, context_length=128, emb_dim=16, n_heads=2, n_layers=3, drop_rate=0.0
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)


@pytest.fixture(scope="module")
def tokenizer():
    return load_pretrained("course")[1]


@pytest.fixture
def gpt() -> GPTModel:
    torch.manual_seed(1)
    return GPTModel(CONFIG)


def made_messages(n: int = 12, split: str = "train") -> pd.DataFrame:
    """Messages of unequal length; spam speaks of prizes."""
    texts = ["see you at six", "win a prize now"]
    rows = [(LABELS[i % 2], f"{texts[i % 2]} {'and so on ' * (i % 5)}{i}", split) for i in range(n)]
    return pd.DataFrame(rows, columns=["label", "text", "split"])


# ---- The model and what learns.


def test_without_a_mask_a_block_is_a_softmax_over_all_that_is_seen(gpt):
    block, x = gpt.blocks[0], torch.randn(2, 5, 16)
    seen = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    with torch.no_grad():
        ours = look_around(block, x, seen)
        for row, n in enumerate((5, 3)):
            normed = block.norm1(x[row, :n])
            q, k, v = (p.view(n, 2, 8) for p in block.attention.qkv(normed).split(16, -1))
            heads = [(q[:, h] @ k[:, h].T / math.sqrt(8)).softmax(-1) @ v[:, h] for h in range(2)]
            y = x[row, :n] + block.attention.proj(torch.cat(heads, -1))
            y = y + block.feed_forward(block.norm2(y))
            torch.testing.assert_close(ours[row, :n], y)


@pytest.mark.parametrize(
    ("causal", "token"), [*product((True, False), ("end", "last", "mean", "first"))]
)
def test_padding_changes_nothing_that_is_read(gpt, causal: bool, token: str):
    model = VariedClassifier(gpt, token, causal).eval()
    idx, end = torch.randint(9, 99, (3, 7)), torch.tensor([6, 6, 6])
    more = torch.cat([idx, torch.randint(9, 99, (3, 4))], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model(idx, end), model(more, end))


@pytest.mark.parametrize("causal", [True, False])
def test_only_without_the_mask_the_first_token_sees_the_last(gpt, causal: bool):
    model = VariedClassifier(gpt, "first", causal).eval()
    idx, end = torch.randint(9, 99, (1, 7)), torch.tensor([6])
    other = idx.clone()
    other[0, -1] += 1
    with torch.no_grad():
        assert torch.equal(model(idx, end), model(other, end)) is causal


def test_the_end_mark_and_the_last_token_are_read_as_the_chapter_reads_them(gpt):
    idx, end = torch.randint(9, 99, (2, 6)), torch.tensor([5, 3])
    for token in ("end", "last", "first"):
        torch.manual_seed(3)
        ours = VariedClassifier(gpt, token).eval()
        torch.manual_seed(3)
        theirs = classifiers.GPTClassifier(gpt, token=token).eval()
        with torch.no_grad():
            torch.testing.assert_close(ours(idx, end), theirs(idx, end))


@pytest.mark.parametrize(
    ("way", "learns"),
    [
        (Way(1, 1, 0), {"head"}),
        (Way(1, 1, 1), {"blocks.2", "final_norm", "head"}),
        (Way(1, 1, 2), {"blocks.1", "blocks.2", "final_norm", "head"}),
        (Way(1, 1, ALL), {"tok_emb", "pos_emb", "blocks.0", "blocks.1", "blocks.2"}),
        (Way(1, 1, 1, depth=2), {"blocks.1", "final_norm", "head"}),
        (Way(1, 1, rank=2), {"lora", "head"}),
    ],
)
def test_what_learns_is_what_the_way_says(gpt, way: Way, learns: set):
    model = prepare(gpt, way, 1)
    names = {n for n, p in model.named_parameters() if p.requires_grad}
    parts = learns | ({"final_norm", "head"} if way.blocks == ALL else set())
    assert all(any(part in name for part in parts) for name in names)
    assert all(any(part in name for name in names) for part in parts)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_vectors_that_were_kept_give_the_same_scores(gpt, tokenizer, causal: bool, blocks: int):
    model = prepare(gpt, Way(1, 1, blocks, causal=causal), 1).eval()
    dataset = MessageDataset(made_messages(), tokenizer, 40)
    kept = read_below(model, dataset)
    assert [len(x) for x in kept.ids] == [len(ids) for ids in dataset.ids]
    pairs = zip(*(create_message_dataloader(d, 5) for d in (dataset, kept)))
    with torch.no_grad():
        for (idx, end, _), (x, kept_end, _) in pairs:
            torch.testing.assert_close(model(idx, end), model(x, kept_end))
    assert letters(model, dataset) == letters(model, kept)


@pytest.mark.parametrize("way", [Way(1e-2, 12), Way(1e-2, 12, rank=2), Way(5e-3, 12, ALL)])
def test_a_way_learns_its_messages_and_leaves_the_gpt_alone(gpt, tokenizer, way: Way):
    before = {name: w.clone() for name, w in gpt.state_dict().items()}
    messages = made_messages(24)
    train = MessageDataset(messages, tokenizer, 40)
    row = run_way(gpt, way, train, {"test": train}, seed=1)
    said, true = row["test"], "".join(label[0] for label in messages.label)
    assert row["training"] > 0.9
    assert row["training"] == round(sum(map(str.__eq__, said, true)) / 24, 4)
    assert all(torch.equal(w, before[name]) for name, w in gpt.state_dict().items())


# ---- Comparing.


def test_mcnemar_counts_only_where_two_judges_differ():
    both, neither = [True] * 40, [False] * 7
    for ahead, behind in product(range(7), repeat=2):
        a = np.array(both + [True] * ahead + [False] * behind + neither)
        b = np.array(both + [False] * ahead + [True] * behind + neither)
        n, least = ahead + behind, min(ahead, behind)
        tail = sum(math.comb(n, k) for k in range(least + 1)) / 2**n
        assert mcnemar(a, b) == pytest.approx(min(1, 2 * tail))
        assert mcnemar(a, b) == mcnemar(b, a)


def runs_of(answers: dict[str, list[str]]) -> pd.DataFrame:
    rows = [
        {"setting": way, "seed": seed, "said": said}
        for way, of_way in answers.items()
        for seed, said in enumerate(of_way, 1)
    ]
    return pd.DataFrame(rows)


def test_equal_seeds_never_differ_and_opposite_ones_do():
    labels = pd.Series(["ham", "spam"] * 20)
    right = "hs" * 20
    wrong = "sh" * 20
    runs = runs_of({"same": [right] * 4, "mixed": [right, right, wrong]})
    assert seeds_that_differ(runs, "same", labels) == (0, 6)
    assert seeds_that_differ(runs, "mixed", labels) == (2, 3)


def test_a_table_of_one_run_each_is_sure_of_what_is_always_right():
    labels = pd.Series(["ham", "ham", "ham", "spam"] * 10)
    right, wrong = "hhhs" * 10, "ssss" * 10
    runs = runs_of({"good": [right] * 2, "bad": [wrong] * 2, "coin": [right, wrong]})
    assert one_run_each(runs, "good", "bad", labels) == {"ahead": 1, "equal": 0, "behind": 0}
    assert one_run_each(runs, "bad", "good", labels)["behind"] == 1
    half = one_run_each(runs, "good", "coin", labels)
    assert half["equal"] == pytest.approx(0.5, abs=0.05) and half["behind"] == 0


def test_the_interval_of_two_shares_holds_their_difference_in_95_of_100_trials():
    draw, held = np.random.default_rng(1), 0
    for _ in range(2000):
        a, b = draw.binomial(300, [0.95, 0.9]) / 300
        low, high = unpaired(a, b, 300)
        held += low <= 0.05 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_a_claim_survives_only_if_its_whole_interval_is_above_zero():
    assert verdict(0.1, 2) == "survives"
    assert verdict(-2, -0.1) == "is reversed"
    assert verdict(-1, 1) == verdict(0, 1) == "cannot be told from 0"


# ---- Frozen vectors.


def test_vectors_of_all_messages_are_those_of_each_message_alone(gpt, tokenizer):
    messages = made_messages(9)
    bench = Bench(gpt, tokenizer, messages)
    for setting, token in OF_GPT.items():
        model = VariedClassifier(gpt, token).eval()
        for i in range(len(messages)):
            dataset = MessageDataset(messages[i : i + 1], tokenizer, 128)
            idx, end, _ = next(iter(create_message_dataloader(dataset, 1)))
            with torch.no_grad():
                alone = model.vectors(idx, end)[0]
            torch.testing.assert_close(torch.tensor(bench.vectors(setting)[i]), alone)


@pytest.mark.parametrize("setting", ["bag of words", "bigrams", *OF_GPT])
def test_a_judge_learns_from_the_draw_and_answers_the_test(gpt, tokenizer, setting: str):
    messages = pd.concat([made_messages(60), made_messages(20, "test")])
    row = Bench(gpt, tokenizer, messages).run(setting, 15, seed=2)
    assert set(row["test"]) <= {"h", "s"} and len(row["test"]) == 20
    assert row["training"] > 0.9
    if setting not in OF_GPT:  # whose weights are random here
        assert row["test"] == "hs" * 10


def test_pairs_of_words_tell_what_words_do_not():
    texts = ["not good but bad", "not bad but good"] * 20
    train = pd.DataFrame({"text": texts, "label": [*LABELS] * 20})
    assert (bigrams(train).predict(train.text) == train.label).all()
    assert len(set(classifiers.bag_of_words(train).predict(train.text))) == 1


def tiny_encoder(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"a b c d".split()]
    tokenizer = Tokenizer(models.WordLevel(dict(zip(words, range(8))), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=8, intermediate_size=16, **sizes)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def test_a_sentence_is_the_mean_of_its_tokens_whatever_stands_beside_it(tmp_path):
    tiny_encoder(tmp_path)
    assert find_encoder(tmp_path) == tmp_path
    texts = ["a b c d a b", "c", "b a"]
    together = sentence_vectors(tmp_path, texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    for text, vector in zip(texts, together):
        np.testing.assert_allclose(sentence_vectors(tmp_path, [text])[0], vector, atol=1e-5)
    from transformers import BertModel

    ids = torch.tensor([[2, 6, 3]])  # [CLS] c [SEP]
    with torch.no_grad():
        x = BertModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()(ids)
    mean = x.last_hidden_state[0].mean(0)
    np.testing.assert_allclose(together[1], mean / mean.norm(), atol=1e-5)


def test_a_folder_without_an_encoder_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="lacks config.json"):
        find_encoder(tmp_path)
    monkeypatch.setattr(classifiers, "find_spec", lambda name: None)
    assert find_encoder() is None


# ---- Messages from elsewhere.


def write_sms(folder: Path, lines: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "SMSSpamCollection").write_bytes("\n".join([*lines, ""]).encode())
    return folder


def test_the_sms_collection_is_read_line_by_line(tmp_path):
    lines = [f"{LABELS[i % 2]}\tmessage {i} with\u0085 a\ttab" for i in range(40)]
    table, names = read_collection(write_sms(tmp_path, [*lines, lines[0]]))
    assert names == {"ham": "ham", "spam": "spam"}
    assert len(table) == 40  # the copy is left out
    assert table.text.str.fullmatch(r"message \d+ with\x85 a\ttab").all()
    assert table.split.value_counts().to_dict() == {"train": 28, "test": 8, "validation": 4}


@pytest.mark.parametrize("line", ["eggs\tno such label", "ham", "ham\t ", ""])
def test_a_wrong_line_of_the_sms_collection_is_named(tmp_path, line: str):
    with pytest.raises(ValueError, match="line 2 is not ham or spam, a tab and a message"):
        read_collection(write_sms(tmp_path, ["ham\tfine", line, "ham\talso fine"]))


def write_imdb(folder: Path) -> None:
    for split, name in product(("train", "test"), ("pos", "neg")):
        (place := folder / split / name).mkdir(parents=True)
        for i in range(10):
            text = f"{name} {split}<br /><br />number  {i}é"
            (place / f"{i}_{8 if name == 'pos' else 2}.txt").write_text(text, "utf-8")
    (folder / "train" / "unsup").mkdir()
    (folder / "train" / "unsup" / "0_0.txt").write_text("no label", "utf-8")


@pytest.mark.parametrize("inner", [".", "aclImdb"])
def test_reviews_are_read_with_their_split_and_class(tmp_path, inner: str):
    write_imdb(tmp_path / inner)
    table, names = read_collection(tmp_path)
    assert names == {"ham": "neg", "spam": "pos"}
    assert table.split.value_counts().to_dict() == {"test": 20, "train": 18, "validation": 2}
    for row in table.itertuples():
        where = "test" if row.split == "test" else "train"
        assert row.text.startswith(f"{names[row.label]} {where} number ")
    assert table.text.nunique() == 40


def test_a_folder_that_holds_neither_or_only_a_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds neither SMSSpamCollection nor"):
        read_collection(tmp_path)
    write_imdb(tmp_path)
    for path in (tmp_path / "test" / "pos").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="pos holds no file NUMBER_STARS.txt"):
        read_collection(tmp_path)


# ---- The command and the record.


def command(monkeypatch, *arguments) -> None:
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    monkeypatch.setattr(sys, "argv", ["classifiers", *map(str, arguments)])
    classifiers.main()


def test_the_command_goes_on_and_refuses_other_messages(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(classifiers, "find_spec", lambda name: None)
    texts = ["see you at", "win a prize of"]
    lines = [f"{LABELS[i % 2]}\t{texts[i % 2]} {i}" for i in range(60)]
    folder, record = write_sms(tmp_path / "a", lines), tmp_path / "rows.json"
    told = "--data", folder, "--record", record, "--seeds", 2
    command(monkeypatch, *told, "--only", "bag of words")
    assert "without the sentence encoder" in capsys.readouterr().out
    first = json.loads(record.read_text())["rows"]
    assert [(r["labels"], r["seed"]) for r in first] == [
        *product(sizes_for(read_collection(folder)[0]), (1, 2))
    ]
    command(monkeypatch, *told, "--only", "bigrams", "--only", "bag of words")
    rows = json.loads(record.read_text())["rows"]
    assert rows[: len(first)] == first and len(rows) == 2 * len(first)
    other = write_sms(tmp_path / "b", [line + "!" for line in lines])
    with pytest.raises(SystemExit, match="holds runs with messages"):
        command(monkeypatch, "--data", other, "--record", record)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "0"), "seeds=0 must be at least 1"),
        (("--data", "."), "holds neither SMSSpamCollection"),
        (("--data", "uci"), "name a --record"),
        (("--encoder", "tests"), "is no encoder: it lacks config.json"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(classifiers, "load_messages", lambda data: made_messages(40))
    if arguments[0] == "--encoder":
        arguments = (*arguments, "--record", str(tmp_path / "new.json"))
    with pytest.raises(SystemExit, match=f"^classifiers: .*{message}"):
        command(monkeypatch, *arguments)


def test_too_few_messages_for_the_curve_are_refused():
    with pytest.raises(ValueError, match="6 messages of the rarer class"):
        sizes_for(made_messages(12))


def test_the_record_is_of_the_courses_messages_and_complete():
    messages = load_messages("course")
    settings = json.loads(Path(str(RECORD)).read_text("utf-8"))["settings"]
    assert settings["messages"] == fingerprint(messages)
    rows = read_rows(Path(str(RECORD)), is_row, settings)
    elsewhere = read_elsewhere(messages)
    known = {(row["labels"], row["setting"], row["seed"]) for row in rows}
    known |= set(zip(elsewhere["labels"], elsewhere.setting, elsewhere.seed))
    assert plan_rows(sizes_for(messages), 5, known, True) == []
    runs = pd.concat([as_runs(rows, messages), elsewhere])
    few = set(runs[runs["labels"] == FEW].setting)
    assert {ENCODER, *TRIED} <= few
    for way, other, *_ in PUBLISHED.values():
        assert {way, other} <= few
