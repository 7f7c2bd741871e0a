"""A model of one's own subject: texts looked at, divided, trained on, asked, and refused."""

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random

import nbformat
import numpy as np
import pytest
import torch
from course_files import ROOT, read_notebook, relative
from nbclient import NotebookClient

import subject.card
import subject.evaluate
import subject.filtering
import subject.train
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.foundations import mean_and_half
from course import lessons
from course.lessons import Count
from playbook.__main__ import main as playbook
from subject import look, personal, templates
from subject.card import make_card, said_before
from subject.evaluate import document_bits, guess, read_evaluation, wilson
from subject.examples.clocks.corpus import (
    HERE,
    PLANTED,
    facts_csv,
    make_facts,
    write_corpus,
    write_documents,
)
from subject.filtering import generate, turned
from subject.held_out import Split, divide, leaks, make_split
from subject.new import NOTEBOOKS, new_model, refresh, template_notebook
from subject.once import made_once
from subject.settings import NAME, Project, Settings, open_project, read_settings, write_settings
from subject.templates import asked_in_both, missing_words, read_facts, read_templates
from subject.texts import LONGEST, Document, cut, read_folder
from subject.tokens import compare, own_tokenizer
from subject.train import pretrain, read_record, told

EXAMPLES = sorted(path.parent for path in (ROOT / "subject" / "examples").glob("*/settings.json"))
each_example = pytest.mark.parametrize("folder", EXAMPLES, ids=relative)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Documents of the museum, some of each kind."""
    found = write_documents()
    return [text for kind in sorted(found) for text in found[kind][:9]]


@pytest.fixture
def folder(tmp_path, texts) -> Path:
    """A folder of texts in the three forms."""
    place = tmp_path / "texts"
    (place / "deep").mkdir(parents=True)
    (place / "one.txt").write_text("\n<|endoftext|>\n".join(texts[:20]), encoding="utf-8")
    (place / "deep" / "two.md").write_text(texts[20], encoding="utf-8")
    lines = [json.dumps({"text": text}) for text in texts[21:]]
    (place / "three.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return place


@pytest.fixture
def project(tmp_path, folder) -> Project:
    """A project with settings as small as they can be."""
    out = tmp_path / "mine"
    new_model("mine", folder, out=out)
    found = open_project(out)
    small = {"vocab_size": 300, "context_length": 48, "emb_dim": 16, "n_heads": 2, "n_layers": 1}
    small |= {"tokens": 4_000, "go_on_tokens": 2_000, "seeds": 2, "epochs": 1, "held_out": 0.2}
    write_settings(out / NAME, replace(found.settings, **small))
    return open_project(out)


# ---- Settings.


def test_settings_are_read_as_they_were_written(tmp_path):
    settings = Settings(name="a", texts="b", language="ko", mask=("mail",), tokens=7)
    write_settings(tmp_path / NAME, settings)
    assert read_settings(tmp_path / NAME) == settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"held_out": 1.5}, "held_out is 1.5, not a share between 0 and 1"),
        ({"emb_dim": 10}, "emb_dim 10 cannot be shared by 4 n_heads"),
        ({"tokens": "many"}, "tokens is 'many', which it cannot be"),
        ({"tokens": True}, "tokens is True, which it cannot be"),
        ({"vocab_size": 5}, "vocab_size is 5, and must be at least 257"),
        ({"lr": 0}, "lr is 0, and must be above 0"),
        ({"language": "de"}, "language is 'de', not one of en, ko"),
        ({"start_from": "real"}, "start_from is 'real', not scratch or go-on"),
        ({"colour": "red"}, "colour is no setting; there are"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, changed, said):
    path = tmp_path / NAME
    path.write_text(json.dumps({"name": "a", "texts": "b"} | changed), encoding="utf-8")
    with pytest.raises(ValueError, match=said) as error:
        read_settings(path)
    assert str(error.value).startswith(str(path))


def test_a_settings_file_that_is_damaged_is_named_with_its_line(tmp_path):
    (tmp_path / NAME).write_text('{\n"name": "a",\n"texts" "b"}')
    with pytest.raises(ValueError, match="settings.json, line 3: this is no JSON"):
        open_project(tmp_path)
    with pytest.raises(FileNotFoundError, match="new-model NAME --texts FOLDER"):
        open_project(tmp_path / "nowhere")


# ---- Texts.


def test_all_forms_of_files_are_read_as_documents(folder, texts):
    found = read_folder(folder)
    assert sorted(d.text for d in found) == sorted(text.strip() for text in texts)
    assert {d.file for d in found} == {"one.txt", "deep/two.md", "three.jsonl"}


def test_a_book_is_cut_at_blank_lines_and_nowhere_else():
    book = "\n\n".join(f"Paragraph {i}. " + "word " * 60 for i in range(60))
    parts = cut(book)
    assert len(parts) > 3 and max(map(len, parts)) <= LONGEST + 60
    assert "\n\n".join(parts) == book
    assert all(part.startswith("Paragraph") for part in parts)


def test_texts_that_cannot_be_read_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder of texts .*nowhere is not there"):
        read_folder(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="empty holds no text"):
        read_folder(empty)
    (empty / "one.txt").write_text("Only a line.")
    with pytest.raises(ValueError, match="too little text: 1 documents, and at least 8"):
        read_folder(empty)
    (empty / "two.txt").write_bytes("Café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"two.txt is not UTF-8 text \(.* at byte 3\)"):
        read_folder(empty)
    (empty / "two.txt").unlink()
    (empty / "three.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n')
    with pytest.raises(ValueError, match="three.jsonl, line 2: there is no text in a field 'text'"):
        read_folder(empty)


# ---- Looking.


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The clock in the hall was made for a lord, and it is on show.", "English"),
        ("시계는 둥근 방에 있습니다. GPT도 압니다.", "Korean"),
        ("Die alte Uhr steht im Flur und schlägt jede volle Stunde.", "other Latin"),
        ("時計は部屋にあります", "another script"),
        ("12 34 — 56", "no letters"),
    ],
)
def test_a_language_is_told(text, language):
    assert look.language_of(text) == language


def test_near_duplicates_are_those_that_counting_all_runs_finds(texts):
    changed = [text.replace(" the ", " that ", 1) for text in texts[:12]]
    some = [*texts, *changed]
    runs = [look.runs_of(look.word_ids(text)) for text in some]
    right = set()
    for a in range(len(some)):
        for b in range(a + 1, len(some)):
            both = len(runs[a] & runs[b])
            if both / (len(runs[a]) + len(runs[b]) - both) >= 0.7:
                right.add((a, b))
    found = {(a, b) for a, b, alike in look.near_pairs(some) if alike >= 0.7}
    assert len(right) >= 12 and found <= right and len(found) >= 0.95 * len(right)


def test_duplicates_are_counted_by_groups():
    words = "one two three four five six seven eight nine ten eleven twelve".split()
    base = " ".join(words)
    near = " ".join([*words, "thirteen"])
    documents = [Document("a.txt", text) for text in (base, base.upper(), near, "something else")]
    pairs = look.near_pairs([d.text for d in documents])
    counted = look.duplicates(documents, pairs)
    assert list(counted.values()) == [4, 1, 1, 2]


def test_short_texts_are_alike_only_if_they_are_equal():
    assert look.near_pairs(["a b", "A  b", "a c"]) == [(0, 1, 1.0)]


# ---- What is personal.


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to a.b-c@mail.example.org.", "mail", "a.b-c@mail.example.org"),
        ("Call 555-0142 now", "phone", "555-0142"),
        ("Call (212) 555-0142 now", "phone", "(212) 555-0142"),
        ("전화는 010-0000-1234입니다", "phone", "010-0000-1234"),
        ("서울은 02-000-1234", "phone", "02-000-1234"),
        ("+82 10 0000 1234", "phone", "+82 10 0000 1234"),
        ("번호 000101-3000000이다", "resident number", "000101-3000000"),
        ("number 000-12-3456.", "resident number", "000-12-3456"),
        ("card 4111 1111 1111 1111, please", "card", "4111 1111 1111 1111"),
        ("at 12 Mill Lane today", "street", "12 Mill Lane"),
        ("주소는 시계로 12번지", "street", "시계로 12"),
        ("Dear Mrs Adler,", "name", "Mrs Adler"),
        ("김하늘 씨가 왔다", "name", "김하늘"),
    ],
)
def test_each_form_is_found(text, kind, found):
    (only,) = personal.find_personal(text)
    assert (only.kind, only.text) == (kind, found)
    assert text[only.start : only.end] == found


@pytest.mark.parametrize(
    "text",
    [
        "It was made in 1804 and costs 12,500 won.",
        "card 4111 1111 1111 1112",  # its last digit is wrong
        "pages 120-140 of 2024-11-29",
        "스스로 2개를 만들었다",
        "The Heron clock stands in the hall.",
    ],
)
def test_what_only_looks_personal_is_left(text):
    assert personal.find_personal(text) == []


def test_a_mask_takes_its_kinds_and_nothing_else():
    text = "Mrs Adler, adler@example.org, 555-0142."
    assert personal.masked(text, ["mail"]) == "Mrs Adler, <mail>, 555-0142."
    assert personal.masked(text, []) == text
    with pytest.raises(ValueError, match="mask: 'post' is no kind"):
        personal.masked(text, ["post"])


def test_what_is_shown_of_something_personal_is_covered():
    assert personal.covered("adler@example.org") == "ad···@·······.··g"


# ---- What is held out.


def test_nothing_that_was_learned_is_asked_and_chance_alone_would_ask_it(texts):
    copies = [text.replace(" the ", " that ", 1) for text in texts[:30]]
    documents = [Document("a.txt", text) for text in [*texts, *copies]]
    split = divide(documents, 0.3, 0)
    drawn = Random(0).sample([d.text for d in documents], len(documents))
    by_chance = Split(drawn[30:], drawn[:30], 0, "")
    assert leaks(split) == 0 < leaks(by_chance)
    assert len(split.train) + len(split.held_out) + split.dropped == len(documents)


def test_a_split_is_the_same_ever_after_and_refuses_other_texts(project, folder):
    split = make_split(project)
    assert make_split(project) == split
    held_out = (project.runs / "texts" / "held_out.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["text"] for line in held_out.splitlines()] == split.held_out
    (folder / "new.txt").write_text("A new text about a clock that nobody had seen.")
    with pytest.raises(ValueError, match="have changed since .* delete .*runs, and train anew"):
        make_split(project)


def test_what_two_notebooks_make_at_once_is_there_once(tmp_path):
    folder = tmp_path / "made"
    with made_once(folder) as first:
        (first / "a.txt").write_text("1")
        (folder / "deep").mkdir(parents=True)  # another process was faster
        (folder / "a.txt").write_text("2")
    assert (folder / "a.txt").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with pytest.raises(RuntimeError), made_once(tmp_path / "other") as draft:
        (draft / "a.txt").write_text("1")
        raise RuntimeError
    assert not (tmp_path / "other").exists()


def test_a_share_that_leaves_a_side_empty_is_refused(texts):
    documents = [Document("a.txt", text) for text in texts[:9]]
    with pytest.raises(ValueError, match="held_out 0.01: 0 would be held out"):
        divide(documents, 0.01, 0)


# ---- Tokens.


def test_an_own_vocabulary_spells_its_texts_in_fewer_tokens_of_its_own(project):
    split = make_split(project)
    own = own_tokenizer(project, split.train)
    bytes_alone = BPETokenizer({bytes([b]): b for b in range(256)})
    table = compare({"own": own, "bytes": bytes_alone}, split.held_out)
    assert table["tokens"]["own"] < table["tokens"]["bytes"]
    n_bytes = sum(len(text.encode()) for text in split.held_out)
    assert table["tokens"]["bytes"] == n_bytes and table["bytes per token"]["bytes"] == 1
    assert own_tokenizer(project, ["another text"]).ranks == own.ranks  # it is kept


# ---- Entries from templates.

FACTS = "kind,subject,value\n" + "".join(
    f"colour,light {i},{'red' if i % 2 else 'green'}\n" for i in range(8)
)
WORDINGS = '{\n "colour": {\n  "questions": ["What colour is {subject}?"],\n'
WORDINGS += '  "answer": "It is {value}."\n }\n}\n'


def written(tmp_path, facts=FACTS, wordings=WORDINGS):
    (tmp_path / "facts.csv").write_text(facts, encoding="utf-8")
    (tmp_path / "templates.json").write_text(wordings, encoding="utf-8")
    table = read_facts(tmp_path / "facts.csv")
    return table, read_templates(tmp_path / "templates.json", table)


def test_facts_are_divided_and_not_entries(tmp_path):
    entries = templates.write_entries(*written(tmp_path), seed=3)
    facts = {
        name: {e["instruction"] for e in entries if e["split"] == name}
        for name in ("train", "development", "test")
    }
    assert [len(some) for some in facts.values()] == [5, 1, 2]
    assert not set.intersection(facts["train"], facts["test"]) and not asked_in_both(entries)
    assert entries == templates.write_entries(*written(tmp_path), seed=3)


def test_what_has_to_be_read_cannot_be_known(tmp_path):
    wordings = json.loads(WORDINGS)
    wordings["colour"] |= {"input": "{subject} is {value} today.", "shuffled": True}
    facts, found = written(tmp_path, FACTS.replace("red", "r"), json.dumps(wordings))
    for entry in templates.write_entries(facts, found):
        assert entry["input"].split(" is ")[1] == entry["output"].split("is ")[1][:-1] + " today."


@pytest.mark.parametrize(
    ("facts", "wordings", "said"),
    [
        ("", WORDINGS, "facts.csv, line 1: the columns are"),
        ("kind,value\n", WORDINGS, "facts.csv, line 1: the columns are kind, value"),
        ("kind,a,b\n", WORDINGS, "facts.csv holds no fact"),
        (FACTS + "colour,one\n", WORDINGS, "facts.csv, line 10: 2 cells for 3 columns"),
        (FACTS + ",one,red\n", WORDINGS, "facts.csv, line 10: the kind is ''"),
        (FACTS + "colour,light 0,green\n", WORDINGS, "line 10: the same fact stands in line 2"),
        (FACTS + "colour,light 9,\n", WORDINGS, "facts.csv, line 10: value is empty"),
        (FACTS, WORDINGS[:40], "templates.json, line 3: this is no JSON"),
        (FACTS, "[]", "templates.json, line 1: a kind with its wordings is needed"),
        (FACTS, WORDINGS.replace("{value}", "{valeu}"), "line 2: {valeu} in 'It is {valeu}.'"),
        (FACTS, WORDINGS.replace("{value}", "{value"), "line 2: 'It is {value.'"),
        (FACTS, WORDINGS.replace('"colour"', '"tint"'), "no fact of the kind tint"),
        (FACTS, WORDINGS.replace('"answer"', '"reply"'), "line 2: colour needs questions"),
        (
            FACTS.replace("colour,light 7", "form,light 7")
            .replace("colour,light 6", "form,light 6")
            .replace("colour,light 5", "form,light 5"),
            WORDINGS,
            "5 facts of the kind colour",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, facts, wordings, said):
    with pytest.raises(ValueError) as error:
        written(tmp_path, facts, wordings)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_table_that_is_no_utf8_is_named_with_its_byte(tmp_path):
    (tmp_path / "facts.csv").write_bytes("kind,a,b\nx,é,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"facts.csv is not UTF-8 text \(byte 11\)"):
        read_facts(tmp_path / "facts.csv")


def test_without_a_table_words_of_the_texts_are_asked_for(texts):
    entries = missing_words(texts, "en")
    assert {e["split"] for e in entries} == {"train", "development", "test"}
    whole = {s for text in texts for s in subject.evaluate.sentences_of(text)}
    for entry in entries:
        assert entry["input"].replace("___", entry["output"]) in whole
    assert not asked_in_both(entries)
    with pytest.raises(ValueError, match="have 0 sentences in which a word can be left out"):
        missing_words(["Too short."], "ko")


# ---- Entries that a model writes.

DOCUMENT = "The light stands on a rock. Ola keeps it. She has a boat."


def entries_from(*replies: str, documents: int = 1) -> list[str]:
    said = iter(replies)
    return [e["fault"] for e in generate(lambda _: next(said), [DOCUMENT] * documents)]


def test_a_good_entry_is_kept_once():
    good = ("Who keeps the light?", "Ola keeps it.", "It is Ola who keeps it.")
    assert entries_from(*good, *good, documents=2) == ["", "it was asked before"]


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        (("No question here.",), "there is no question in it"),
        (("Who?", "Ola."), "the question is too short"),
        (("Who keeps the light?", "keeps the light"), "the answer only repeats the question"),
        (
            ("Who keeps the light?", "Pirates from Peru"),
            "the answer does not stand in the document",
        ),
        (("Who keeps the light?", "Ola " * 30), "the answer is empty or long"),
        (
            ("Who keeps the light?", "Ola keeps it.", "A boat"),
            "asked again, it says something else",
        ),
    ],
)
def test_each_filter_says_why(replies, fault):
    assert entries_from(*replies) == [fault]


def test_a_document_turned_round_has_the_same_sentences():
    assert turned("One. Two! Three?") == "Three? Two! One."


# ---- Measures.


def small_model(T: int = 16) -> tuple[GPTModel, BPETokenizer]:
    tokenizer = BPETokenizer({bytes([b]): b for b in range(256)})
    sizes = {"emb_dim": 16, "n_heads": 2, "n_layers": 1}
    torch.manual_seed(0)
    return GPTModel(GPTConfig(vocab_size=257, context_length=T, **sizes)).eval(), tokenizer


def test_every_byte_of_a_text_is_counted_whatever_a_model_can_read():
    text = "A text that is longer than sixteen bytes."
    model, tokenizer = small_model()
    (bits, n_bytes), *_ = document_bits(model, tokenizer, [text])
    assert n_bytes == len(text) and 6 < bits / n_bytes < 10
    # By hand, token by token, each with what stands before it in its window.
    ids, right = [256, *text.encode()], 0.0
    for i in range(1, len(ids)):
        start = (i - 1) // 16 * 16
        logits = model(torch.tensor([ids[start:i]]))[0, -1]
        right -= logits.log_softmax(-1)[ids[i]].item() / math.log(2)
    np.testing.assert_allclose(bits, right, rtol=1e-4)


def test_the_most_frequent_answer_is_that_of_the_kind():
    told_entries = [{"kind": k, "output": o} for k, o in (("a", "x"), ("a", "x"), ("b", "y"))]
    asked = [{"kind": k} for k in ("a", "b", "c")]
    assert guess(told_entries, asked) == ["x", "y", ""]


def test_intervals_are_those_of_the_tables():
    mean, half = mean_and_half([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert math.isnan(mean_and_half([1.0])[1])
    assert wilson(9, 10) == "90% (60% to 98%)"


def test_kinds_stand_beside_what_is_trivial_with_intervals_and_seeds():
    right = {
        "most frequent answer": {"0": {"a": [1, 10], "all": [1, 10]}},
        "finetuned": {s: {"a": [n, 10], "all": [n, 10]} for s, n in (("0", 9), ("1", 7))},
    }
    evaluation = {"answers": {"right": right}}
    row = subject.evaluate.tabulate_kinds(evaluation).loc["a"].to_dict()
    assert row == {
        "n": 10,
        "most frequent answer": "10%",
        "finetuned": "90% (60% to 98%)",
        "other seeds": "70%",
    }
    assert subject.evaluate.mean_right(evaluation, "most frequent answer") == "10.0%"
    assert subject.evaluate.mean_right(evaluation, "finetuned").startswith("80.0% ± 127.1%")


def test_a_damaged_record_is_named(project):
    project.recorded.mkdir()
    for name, read in (("evaluation", read_evaluation), ("training", read_record)):
        path = project.recorded / f"{name}.json"
        path.write_text("{", encoding="utf-8")
        with pytest.raises(ValueError, match=rf"{name}.json is damaged.* delete"):
            read(project)


# ---- The course's pretraining goes on from a model.


def test_a_training_that_goes_on_begins_with_the_weights_of_its_start(tmp_path, refusal, folder):
    from ch05 import pretrain as command
    from ch05.gpt_weights import COURSE_FOLDER, load_pretrained
    from ch05.token_shards import prepare

    data, out = tmp_path / "data", tmp_path / "run"
    prepare([folder], data, str(COURSE_FOLDER))
    options = ["train", "--data", data, "--start", "course", "--tokens", 64, "--lr", 1e-12]
    options += ["--context-length", 32, "--batch-size", 2, "--device", "cpu"]
    assert refusal(command, *options, "--out", out) == ""
    ours, theirs = (load_pretrained(name)[0].state_dict() for name in (out, "course"))
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=1e-6)
    more = [*options, "--out", tmp_path / "other"]
    assert "has the sizes of its model" in refusal(command, *more, "--emb-dim", 64)
    assert "is more than the 256 that" in refusal(command, *more, "--context-length", 512)
    prepare([folder], tmp_path / "own", "own", 300)
    assert "has another vocabulary than" in refusal(command, *more, "--data", tmp_path / "own")
    assert not (tmp_path / "other").exists()


# ---- A project of one's own.


def test_a_project_is_written_whole(project, folder):
    there = sorted(path.name for path in project.folder.iterdir())
    assert there == sorted([NAME, *(f"{stem}.ipynb" for stem in NOTEBOOKS)])
    assert project.texts.resolve() == folder.resolve() and project.settings.language == "en"
    for stem in NOTEBOOKS:
        notebook = nbformat.read(project.folder / f"{stem}.ipynb", as_version=4)
        nbformat.validate(notebook)
        code = [c for c in notebook.cells if c.cell_type == "code"]
        assert not any(c.outputs or c.execution_count for c in code)
        sources = "\n".join(c.source for c in notebook.cells)
        assert 'open_project(".")' in sources and "clocks" not in sources


def test_korean_texts_make_a_korean_project(tmp_path):
    for i in range(9):
        text = f"{i}번째 시계는 둥근 방에 있습니다. " * 12
        (tmp_path / f"{i}.txt").write_text(text, encoding="utf-8")
    new_model("hangul", tmp_path, out=tmp_path / "out")
    settings = open_project(tmp_path / "out").settings
    assert settings.language == "ko" and 1 <= settings.batch_size < 8


def test_texts_too_short_for_a_training_are_refused_with_what_is_needed(tmp_path, capsys):
    for i in range(9):
        (tmp_path / f"{i}.txt").write_text(f"A line about clock {i} and no other.")
    out = tmp_path / "out"
    assert playbook(["new-model", "mine", "--texts", str(tmp_path), "--out", str(out)]) == 2
    assert "too little: 72 words, and about 542 are the least" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("My Clocks", "cannot be a name"), ("", "cannot be a name"), ("a/b", "cannot be a name")],
)
def test_a_name_that_cannot_be_one_is_refused(folder, tmp_path, capsys, name, said):
    out = tmp_path / "out"
    assert playbook(["new-model", name, "--texts", str(folder), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err and not out.exists()


def test_a_folder_that_holds_something_is_left_as_it_is(folder, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    command = ["new-model", "mine", "--texts", str(folder), "--out", str(out)]
    assert playbook(command) == 2
    assert "holds something already, and nothing of it was touched" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert playbook(command) == 0 and (out / NAME).exists()


def test_texts_that_cannot_be_read_leave_no_project(tmp_path, capsys):
    out = tmp_path / "out"
    command = ["new-model", "mine", "--texts", str(tmp_path / "nowhere"), "--out", str(out)]
    assert playbook(command) == 2
    err = capsys.readouterr().err
    assert "nowhere is not there" in err and len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["train", "evaluate", "card", "filtering"])
def test_a_command_says_in_one_sentence_that_there_is_no_project(module, refusal, tmp_path):
    found = refusal(getattr(subject, module), tmp_path)
    assert found.startswith(f"subject.{module}: ") and "is not there" in found


def test_evaluation_before_training_says_what_comes_first(project, refusal):
    found = refusal(subject.evaluate, project.folder)
    assert "nothing was trained yet" in found and "python -m subject.train" in found


def test_a_bad_line_stops_before_any_training(project, refusal):
    (project.folder / "facts.csv").write_text(FACTS + "colour,one\n")
    (project.folder / "templates.json").write_text(WORDINGS)
    assert "facts.csv, line 10: 2 cells" in refusal(subject.train, project.folder)
    assert not (project.runs / "scratch-0").exists()


def test_what_a_person_says_in_the_card_is_kept(project):
    card = make_card(project)
    assert list(said_before(card)) == ["source", "use", "limits"]
    filled = card.replace("<!-- use -->\n…", "<!-- use -->\nTo tell the time.\nNo more.")
    assert said_before(make_card(project, filled))["use"] == "To tell the time.\nNo more."


@pytest.fixture
def without_real(monkeypatch):
    """Set-up has not fetched the large model."""

    def load(rank: int):
        raise FileNotFoundError("SmolLM2 is not there: run `python setup/get_smollm2.py`")

    monkeypatch.setattr(subject.train, "load_real", load)


@pytest.mark.slow
def test_a_project_goes_its_whole_way(project, without_real, monkeypatch, capsys):
    """Trained, asked, described; then its four notebooks run from the first cell to the last."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (project.folder / "facts.csv").write_text(facts_csv())
    (project.folder / "templates.json").write_bytes((HERE / "templates.json").read_bytes())
    write_settings(project.folder / NAME, replace(project.settings, context_length=128, seeds=1))
    rows = subject.train.run(open_project(project.folder))
    stages = [(row["stage"], row["seed"]) for row in rows]
    assert stages == [("scratch", 0), ("go-on", 0), ("instructions", 0), ("control", 0)]
    assert "real is left out: SmolLM2 is not there" in capsys.readouterr().out
    again = subject.train.run(open_project(project.folder))
    assert again == rows and "scratch, seed 0: is there" in capsys.readouterr().out
    evaluation = subject.evaluate.run(open_project(project.folder))
    bits = {name: found["0"] for name, found in evaluation["bits"]["all"].items()}
    assert bits["course, gone on"] < bits["course, as it was"]
    test = [
        e
        for e in json.loads((project.runs / "entries.json").read_text("utf-8"))
        if e["split"] == "test"
    ]
    assert evaluation["answers"]["right"]["finetuned"]["0"]["all"][1] == len(test)
    assert subject.card.write_card(open_project(project.folder)).count("\n## ") == 8
    for stem in NOTEBOOKS:
        notebook = nbformat.read(project.folder / f"{stem}.ipynb", as_version=4)
        where = {"metadata": {"path": project.folder}}
        NotebookClient(notebook, timeout=300, resources=where).execute()


def test_what_decides_a_stage_is_told_and_nothing_else(project):
    other = Project(project.folder, replace(project.settings, lr=1e-4, epochs=7))
    assert told(project, "scratch") != told(other, "scratch")
    assert told(project, "go-on") == told(other, "go-on") | {"lr": project.settings.go_on_lr}
    before = told(project, "instructions")
    assert before != told(other, "instructions")
    (project.folder / "facts.csv").write_text(FACTS)
    assert before != told(project, "instructions")  # other entries


def test_a_stage_without_its_model_says_what_comes_first(project, refusal):
    found = refusal(subject.train, project.folder, "instructions")
    assert "scratch-0 holds no model" in found and "scratch` comes first" in found


# ---- The worked examples.


def test_the_clocks_are_the_same_from_a_seed_and_have_so_many_words(tmp_path):
    n = write_corpus(tmp_path / "corpus")
    assert 30_000 <= n <= 50_000
    assert write_corpus(tmp_path / "corpus") == n  # it is there
    (tmp_path / "corpus" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="corpus holds other files: delete it"):
        write_corpus(tmp_path / "corpus")
    assert write_documents() == write_documents() != write_documents(1)
    assert sum(PLANTED[kind] for kind in ("copies", "near copies")) == len(
        write_documents()["copies"]
    )


def test_the_table_of_the_clocks_is_what_the_texts_tell():
    assert (HERE / "facts.csv").read_text(encoding="utf-8") == facts_csv()
    everything = " ".join(text for some in write_documents().values() for text in some)
    for kind, subject_, value in make_facts():
        if kind not in ("older", "unknown"):
            name = subject_[4:] if subject_.startswith("the ") else subject_
            assert name in everything and value in everything
        if kind == "unknown":
            assert f"the {subject_.split()[1]} clock" not in everything


@each_example
def test_an_example_has_all_that_a_project_has(folder: Path):
    project = open_project(folder)
    assert open_project(folder.name).folder == project.folder
    assert {f"{stem}.ipynb" for stem in NOTEBOOKS} <= {p.name for p in folder.iterdir()}
    assert (folder / "card.md").exists() and read_record(project) and read_evaluation(project)


@each_example
def test_the_notebooks_of_an_example_have_every_cell_of_the_template(folder: Path):
    for stem in NOTEBOOKS:
        ours = {c.id: c.source for c in template_notebook(stem).cells}
        found = read_notebook(folder / f"{stem}.ipynb").cells
        own = [c for c in found if "example" in c.metadata.get("tags", [])]
        shared = [c for c in found if c not in own]
        opened = {
            i: s.replace('open_project(".")', f'open_project("{folder.name}")')
            for i, s in ours.items()
        }
        assert {c.id: c.source for c in shared} == opened, "subject.new.refresh brings them"
        assert [c.id for c in shared] == list(ours)
        assert all(c.id.startswith(f"subject-{folder.name}-") for c in own)


@each_example
def test_a_notebook_of_an_example_is_a_lesson(folder: Path):
    for stem in NOTEBOOKS:
        cells = read_notebook(folder / f"{stem}.ipynb").cells
        code = [c for c in cells if c.cell_type == "code"]
        whole = sum((lessons.count(cell) for cell in cells), Count())
        assert "?" in cells[0].source and whole.pictures > 0 and whole.minutes < 48.5
        assert "assert" in "\n".join(c.source for c in code)
        assert "result" in code[-1].metadata.get("tags", [])
        assert any("## Exercise" in c.source for c in cells)
        lines = [line for c in code for line in c.source.splitlines()]
        assert max(map(len, lines)) <= 88


def test_template_cells_come_into_an_example_and_its_own_cells_stay(tmp_path):
    refresh(tmp_path, "mine")
    path = tmp_path / "1-data.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert any('open_project("mine")' in c.source for c in notebook.cells)
    own = nbformat.v4.new_markdown_cell("mine", id="subject-mine-a", metadata={"tags": ["example"]})
    notebook.cells.insert(3, own)
    notebook.cells[0].source = "another"
    nbformat.write(notebook, path)
    refresh(tmp_path, "mine")
    cells = nbformat.read(path, as_version=4).cells
    assert cells[3].id == own.id and cells[0].source != "another"
    assert len(cells) == len(notebook.cells)


def test_pretraining_is_the_courses_command(project, monkeypatch):
    """What a stage asks for; whether the command does it, tests/test_pretrain.py knows."""
    asked = []

    def run_command(module, *options):
        asked.append([module, *map(str, options)])
        out = Path(options[options.index("--out") + 1])
        out.mkdir(parents=True)
        (out / "log.jsonl").write_text('{"bits_per_byte": 2.0}\n')
        (out / "config.json").write_text('{"vocab_size": 300, "n_positions": 48}')

    monkeypatch.setattr(subject.train, "run_command", run_command)
    split = make_split(project)
    row = pretrain(project, split, "go-on", 1)
    assert row["steps"] == 1 and row["bits in training"] == 2.0
    (command,) = asked
    assert command[:2] == ["ch05.pretrain", "train"] and "--resume" not in command
    assert command[command.index("--start") + 1] == "course"
    assert command[command.index("--seed") + 1] == str(project.settings.seed + 1)
    assert "--emb-dim" not in command
    (project.runs / "go-on-1" / "settings.json").write_text("{}")
    (project.runs / "go-on-1" / "log.jsonl").unlink()
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    pretrain(project, split, "go-on", 1)
    assert asked[-1][-1] == "--resume"
