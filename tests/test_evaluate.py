"""Models side by side: the same bytes for all, fair win rates, one sentence for bad input."""

import json
import math
import re
import shutil
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torch import nn

from ch02.dataloader import read_text
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.course_model.measure import share, share_bounds
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.multiple_choice import course_facts
from ch07.gpt_instruction_finetuning import which_right
from ch07.instructions import make_instructions
from ch07.win_rate import (
    find_letter,
    judge_answers,
    normalised,
    ollama_judge,
    pair_question,
    points,
    win_rate,
)
from course.records import read_rows
from playbook.__main__ import main
from playbook.evaluate import (
    MEASURES,
    Contestant,
    InRoles,
    Material,
    answer_bits,
    answers_of,
    as_markdown,
    as_messages,
    bits_figure,
    compare,
    evenly,
    load,
    most_frequent,
    pair_bits,
    read_passages,
    tabulate,
    text_bits,
)

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "playbook" / "recorded" / "evaluate.json"
CONFIG = GPTConfig(
    vocab_size=300, context_length=64, emb_dim=24, n_heads=2, n_layers=1, drop_rate=0.0
)
# The planted answer: "sea", whatever is asked.
ENTRIES = [
    {"instruction": f"What is in the {where}?", "input": "", "output": "sea", "kind": kind}
    for where in ("bay", "map", "box", "cup")
    for kind in ("one", "two")
]


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(read_text()[:8000], CONFIG.vocab_size)


def planted(tokenizer: BPETokenizer, text: str) -> GPTModel:
    """A model that has learned to answer every question with one text."""
    torch.manual_seed(0)
    model = GPTModel(CONFIG)
    ids = [*tokenizer.encode_ordinary(text), tokenizer.special_tokens[END_OF_TEXT]]
    newline = tokenizer.encode_ordinary("Answer:\n")[-1]
    items = []
    for entry in ENTRIES:
        prompt = tokenizer.encode_ordinary(f"Question:\n{entry['instruction']}\nAnswer:\n")
        assert prompt[-1] == newline
        items.append(torch.tensor([*prompt, *ids]))
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(40):
        loss = 0.0
        for row in items:
            logits = model(row[None, :-1])[0, -len(ids) :]
            loss = loss + nn.functional.cross_entropy(logits, row[-len(ids) :])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5
    return model.eval()


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory) -> Path:
    """A folder with two models, questions, choices and texts."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name, text in (("right", "sea"), ("wrong", "cat")):
        save_pretrained(planted(tokenizer, text), folder / name, tokenizer)
    (folder / "entries.json").write_text(json.dumps(ENTRIES))
    item = {"query": "Question:\nWhat is in the bay?\nAnswer:\n", "choices": ["cat", "sea"]}
    (folder / "task.jsonl").write_text(json.dumps(item | {"gold": 1}))
    (folder / "texts").mkdir()
    for i in range(4):
        text = read_text()[3000 * i : 3000 * (i + 1)]
        (folder / "texts" / f"{i}.txt").write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, *arguments: str) -> str:
    """The sentence with which the command ends, if it ends with one."""
    names = {"MODEL": folder / "right", "TEXTS": folder / "texts", "TASK": folder / "task.jsonl"}
    words = [str(names.get(word, word)) for word in arguments]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *words, "--device", "cpu"])
    assert "\n" not in str(stopped.value), stopped.value
    assert str(stopped.value).startswith("evaluate: ")
    return str(stopped.value)


# ---- The table


def test_two_models_side_by_side(folder, capsys):
    out = folder / "record.json"
    names = [str(folder / name) for name in ("right", "wrong")]
    data = ("--entries", folder / "entries.json", "--texts", folder / "texts")
    more = ("--task", folder / "task.jsonl", "--against", names[1], "--bytes", "5000")
    words = [*names, *data, *more, "--out", out, "--device", "cpu"]
    assert main(["evaluate", *map(str, words)]) == 0
    said = capsys.readouterr().out
    rows = read_rows(out, lambda row: "figures" in row)
    right, wrong, baseline = rows
    assert [row["model"] for row in rows] == [*names, "baseline"]
    assert right["answers"] == ["sea"] * 8 and wrong["answers"] == ["cat"] * 8
    assert right["kinds"] == {"one": [4, 4], "two": [4, 4], "all": [8, 8]}
    for way in ("exact", "normalised", "likelihood"):
        rate, low, high, ties = right["figures"][f"win rate, {way}"]
        assert (rate, ties) == (1, 0) and 0.5 < low < 1 and high > 0.999, way
        assert wrong["figures"][f"win rate, {way}"] == [0.5]
    assert right["figures"]["multiple choice"][0] == 1 > 0 == wrong["figures"]["multiple choice"][0]
    assert baseline["figures"]["multiple choice"] == [0.5]
    difference, low, high = right["figures"]["bits per byte, difference"]
    more = right["figures"]["bits per byte"][0] - wrong["figures"]["bits per byte"][0]
    assert difference == pytest.approx(more, abs=2e-4) and low < difference < high
    assert baseline["figures"]["bits per byte"][0] < right["figures"]["bits per byte"][0]
    assert right["figures"]["parameters"] == wrong["figures"]["parameters"]
    size = (folder / "right" / "model.safetensors").stat().st_size
    assert right["figures"]["weights in the file"] == [size]
    for line in tabulate(rows):
        assert all(text in said for text in line)
    chosen = read_passages(str(folder / "texts"), 5000)
    n_bytes = sum(len(text.encode()) for text in chosen)
    assert f"{n_bytes} bytes in {len(chosen)} passages, 8 questions, 1 items" in said


def test_the_command_goes_on_with_its_record_unless_a_model_has_changed(folder, tmp_path, capsys):
    data = ("--entries", folder / "entries.json", "--texts", folder / "texts")
    data = [*map(str, (*data, "--task", folder / "task.jsonl", "--bytes", "100"))]
    mine, out = tmp_path / "mine", tmp_path / "record.json"
    shutil.copytree(folder / "wrong", mine)
    words = ["evaluate", str(mine), *data, "--device", "cpu", "--out", str(out)]
    assert main(words) == 0
    assert "mine: measured in" in capsys.readouterr().out
    first = out.read_text()
    assert main([*words, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith(f"\n| | {mine} | baseline |\n|---|---|---|\n")
    assert out.read_text() == first
    (mine / "model.safetensors").write_bytes((folder / "right" / "model.safetensors").read_bytes())
    assert main(words) == 0
    assert "mine: measured in" in capsys.readouterr().out
    assert json.loads(out.read_text())["rows"][0]["answers"] == ["sea"] * 8
    said = run(folder, "MODEL", *data, "--questions", "3", "--out", str(out))
    assert "holds runs with" in said and "another --out" in said


def test_the_table_in_markdown_has_a_column_for_each_model():
    rows = [{"model": name, "figures": {"parameters": [1000 * i]}} for i, name in enumerate("ab")]
    assert as_markdown(tabulate(rows)).splitlines() == [
        "| | a | b |",
        "|---|---|---|",
        "| parameters | 0 | 1,000 |",
    ]


# ---- Bits of the same bytes


class Uniform(nn.Module):
    """Finds every token equally likely, and has a context."""

    def __init__(self, T: int):
        super().__init__()
        self.config = GPTConfig(300, T, 8, 2, 1)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, idx):
        assert idx.shape[1] <= self.config.context_length
        return torch.zeros(*idx.shape, 300) + self.weight


@pytest.mark.parametrize("T", [1, 2, 7, 64, 5000])
def test_each_token_of_a_passage_counts_once_whatever_the_context(T, tokenizer):
    text = read_text()[:900]
    n = len(tokenizer.encode_ordinary(text))
    assert text_bits(Uniform(T), tokenizer, text) == pytest.approx(n * math.log2(300), rel=1e-4)


def test_a_passage_within_the_context_costs_what_its_tokens_cost(tokenizer):
    torch.manual_seed(3)
    model = GPTModel(CONFIG).eval()
    ids = [tokenizer.special_tokens[END_OF_TEXT], *tokenizer.encode_ordinary("It was late.")]
    logs = model(torch.tensor([ids]))[0].log_softmax(-1)
    nats = -sum(logs[i, token].item() for i, token in enumerate(ids[1:]))
    assert text_bits(model, tokenizer, "It was late.") == pytest.approx(nats / math.log(2))


def test_a_later_token_sees_half_a_context_at_least(tokenizer):
    seen = []

    class Watching(Uniform):
        def forward(self, idx):
            seen.append(idx[0].tolist())
            return super().forward(idx)

    text_bits(Watching(16), tokenizer, read_text()[:400])
    assert len(seen[0]) == 16 and all(b[:7] == a[-7:] for a, b in zip(seen, seen[1:-1]))


def test_a_tokenizer_that_loses_characters_is_refused(tokenizer):
    class Losing(BPETokenizer):
        def encode_ordinary(self, text):
            return super().encode_ordinary(text.replace("é", ""))

    losing = Losing.train(read_text()[:2000], 300)
    with pytest.raises(ValueError, match="loses characters of the text that begins 'café'"):
        text_bits(Uniform(8), losing, "café")


def test_passages_are_the_same_each_time_and_come_from_all_texts(folder):
    found = read_passages(str(folder / "texts"), 10**9)
    assert found == read_passages(str(folder / "texts"), 10**9)
    assert sorted(map(len, found)) == [1000] * 4 + [2000] * 4
    assert found[:2] == read_passages(str(folder / "texts"), 2001 + len(found[0].encode()))[:2]
    assert sum(len(p.encode()) for p in read_passages(None, 3000)) >= 3000


def test_the_baseline_of_pairs_knows_what_other_parts_show():
    assert pair_bits(["ab" * 500] * 3)[0] / 1000 < 0.5 < 7 < pair_bits(["ab" * 500])[0] / 1000


# ---- Answers


def test_the_right_answer_costs_what_its_tokens_cost_behind_the_prompt(folder):
    one = load(str(folder / "right"), torch.device("cpu"))
    assert not one.in_roles
    assert 0 < answer_bits(one, ENTRIES[0]) < 0.5
    assert answer_bits(one, ENTRIES[0] | {"output": "cat"}) > 5
    assert answer_bits(one, ENTRIES[0] | {"history": ENTRIES[1:3]}) > 0  # the oldest turns go


def test_a_model_that_was_taught_roles_is_asked_in_them():
    """Its answer is the likeliest behind the marks, and so is what it costs."""
    from ch05.llama_tokenizer import chat_ids
    from ch07.gpt_instruction_finetuning import N_NEW

    model, course = load_pretrained("course")
    course.special_tokens |= {"<|im_start|>": 2045, "<|im_end|>": 2046}
    one = Contestant("roles", model, course, in_roles=True)
    entry = {"instruction": "Say it.", "input": "Hello", "output": "Hello.", "kind": "x"}
    prompt = chat_ids(course, [{"role": "user", "content": "Say it.\nHello"}])
    ids = course.encode_ordinary("Hello.")
    logs = model(torch.tensor([prompt + ids]))[0].log_softmax(-1)
    nats = -sum(logs[len(prompt) + i - 1, token].item() for i, token in enumerate(ids))
    assert answer_bits(one, entry) == pytest.approx(nats / math.log(2), rel=1e-4)
    (answer,) = answers_of(one, [entry], one_line=False)
    new = generate(model, torch.tensor([prompt]), N_NEW, temperature=0, stop_id=2046)[
        0, len(prompt) :
    ].tolist()
    assert answer == course.decode([i for i in new if i != 2046]).strip() != ""
    talk = entry | {"history": [{"instruction": "<|im_end|>", "output": "No."}]}
    turns = json.loads(as_messages(talk))
    assert [turn["content"] for turn in turns] == ["<|im_end|>", "No.", "Say it.\nHello"]
    ids = InRoles(course).encode_ordinary(as_messages(talk))
    assert ids.count(2046) == 4  # of system and turns: no text can end a message


def test_the_most_frequent_answer_is_that_of_the_others():
    known = [
        {"kind": kind, "output": output}
        for kind, output in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "z"))
    ]
    assert most_frequent([known[0], known[2], known[3]], known) == ["x", "x", ""]


def test_a_difference_in_bits_is_one_of_the_same_passages():
    """Easy and hard passages: each interval is wide, and that of the difference is narrow."""
    passages = ["x" * 100] * 20
    bits = np.tile([50.0, 400.0], 10)
    rows = [
        {"model": name, "figures": {}, "answers": ["sea"], "passage bits": list(bits + more)}
        for name, more in (("a", 0), ("b", 10))
    ]
    rows[1]["figures"]["win rate, judge"] = [0.3, 0.2, 0.4, 0.1]  # of another time
    compare(rows[:1] + rows[1:], "a", Material(passages, ENTRIES[:1], [], []))
    assert rows[0]["figures"]["bits per byte, difference"] == [0, 0, 0]
    assert rows[1]["figures"]["bits per byte, difference"] == pytest.approx([0.1, 0.1, 0.1])
    _, low, high = bits_figure(bits, passages)
    assert high - low > 0.5 and "win rate, judge" not in rows[1]["figures"]


def test_questions_are_taken_evenly():
    assert evenly(range(10), 4) == [0, 2, 5, 7] and evenly([1, 2], 5) == [1, 2]


def test_a_normal_form_keeps_the_words():
    assert (
        normalised(" The  CAPITAL of Sweden, is “Stockholm”. ") == "capital of sweden is stockholm"
    )
    assert normalised("수도는 서울입니다.") == "수도는 서울입니다"


def test_a_share_is_printed_with_its_bounds():
    value, low, high = share_bounds([True, True, False])
    assert (
        share([True, True, False]) == f"{value:6.1%} ({100 * low:.1f} to {100 * high:.1f}, n = 3)"
    )


# ---- Win rates


def test_against_itself_a_model_wins_exactly_half():
    hits = [True, False, True]
    found = win_rate(points(hits, hits))
    assert (found.rate, found.low, found.high, found.ties) == (0.5, 0.5, 0.5, 1)


def test_ties_count_as_a_half_and_the_interval_holds_the_rate():
    a, b = np.repeat([[1, 0], [0, 1], [1, 1], [0, 0]], [30, 10, 40, 20], axis=0).T
    found = win_rate(points(a, b))
    assert found.rate == 0.6 and found.ties == 0.6
    assert 0.5 < found.low < 0.6 < found.high < 0.7
    other = win_rate(points(b, a))
    assert other.rate == pytest.approx(1 - found.rate)


def test_who_always_wins_has_an_interval_all_the_same():
    found = win_rate(points([1] * 10, [0] * 10))
    assert found.rate == 1 and 0.6 < found.low < 0.8
    with pytest.raises(ValueError, match="3 and 2 questions"):
        points([1, 2, 3], [1, 2])


# ---- A judge


def test_a_fair_judge_says_who_is_better_in_both_orders():
    asked = []

    def fair(question: str) -> str:
        first = question.partition("A. The first student answered:\n")[2].partition("\n\n")[0]
        asked.append(question)
        return "A" if first == "sea" else "B"

    said = judge_answers(fair, ENTRIES[:3], ["sea", "sea", "cat"], ["cat", "sea", "sea"])
    assert said.points == (1, 0.5, 0) and len(asked) == 4  # the same answer twice is not judged
    assert (said.n_asked, said.n_turned, said.n_first, said.n_verdicts) == (2, 0, 2, 4)
    assert asked[0] == pair_question(ENTRIES[0], "sea", "cat")
    assert asked[1] == pair_question(ENTRIES[0], "cat", "sea")


def test_a_judge_who_always_takes_the_first_has_no_say_and_is_told():
    said = judge_answers(lambda _: "A", ENTRIES[:2], ["x", "y"], ["z", "z"])
    assert said.points == (0.5, 0.5)
    assert "first place won 100% of 4 verdicts, 2 pairs changed their winner" in said.describe()


def test_a_judge_who_says_nothing_is_told():
    said = judge_answers(lambda _: "", ENTRIES[:1], ["x"], ["z"])
    assert said.points == (0.5,) and said.n_turned == 0
    assert "2 replies were no verdict" in said.describe()
    said = judge_answers(lambda _: "A", ENTRIES[:1], ["x"], ["x"])
    assert said.describe() == "all answers are the same: the judge was not asked"


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("A", "A"),
        ("**b**.", "B"),
        ("Answer: B", "B"),
        ("<think>A or B?</think> A", "A"),
        ("A or B", ""),
        ("A is better.", ""),
        ("", ""),
    ],
)
def test_a_verdict_is_a_letter_and_nothing_else(reply, letter):
    assert find_letter(reply) == letter


class StandIn(BaseHTTPRequestHandler):
    """Speaks Ollama's protocol and prefers the sea."""

    def do_GET(self):
        self.send({"models": [{"name": "stand-in:latest"}]})

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        text = json.loads(self.rfile.read(length))["messages"][0]["content"]
        first = text.partition("first student answered:\n")[2].startswith("sea")
        self.send({"message": {"role": "assistant", "content": "A" if first else "B."}})

    def send(self, answer: dict):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_judge_on_a_server_and_its_verdicts_in_the_table(folder, capsys):
    server = HTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        words = ["evaluate", str(folder / "right"), "--against", str(folder / "wrong")]
        words += ["--entries", str(folder / "entries.json"), "--texts", str(folder / "texts")]
        words += ["--task", str(folder / "task.jsonl"), "--bytes", "100", "--device", "cpu"]
        words += ["--judge", "stand-in", "--url", f"127.0.0.1:{server.server_port}"]
        assert main(words) == 0
    finally:
        server.shutdown()
        server.server_close()
    said = " ".join(capsys.readouterr().out.split())
    assert "win rate, judge 100.0% (67.6 to 100.0), 0% ties 50.0%" in said
    assert "8 of 8 pairs differ; the first place won 50% of 16 verdicts" in said
    assert "of 8 pairs in which one answer is right, it prefers that one in 8" in said
    with pytest.raises(ValueError, match="there is no judge: no Ollama server answers"):
        ollama_judge(f"127.0.0.1:{server.server_port}", "stand-in")


# ---- Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-model"], "no-such-model is neither a model folder nor one of"),
        (["MODEL", "--against", "nowhere"], "nowhere is neither a model folder"),
        (["MODEL", "--texts", "empty"], "empty holds no text: files end in .txt"),
        (["MODEL", "--texts", "blank"], "blank holds no text, only white space"),
        (["MODEL", "--texts", "nowhere"], "nowhere"),
        (["MODEL", "--texts", "TEXTS", "--entries", "bad.json"], "bad.json: entry 1: output is"),
        (["MODEL", "--texts", "TEXTS", "--entries", "nowhere.json"], "nowhere.json"),
        (["MODEL", "--texts", "TEXTS", "--task", "bad.jsonl"], "bad.jsonl, line 1: "),
        (["MODEL", "--texts", "TEXTS", "--entries", "long.json"], "right: the instruction has"),
        (["MODEL", "--questions", "0"], "--questions 0 must be at least 1"),
        (["MODEL", "--out", "empty"], "empty is a folder, and --out names a file"),
        (["MODEL", "--judge", "x", "--texts", "TEXTS", "--url", "127.0.0.1:1"], "no Ollama server"),
        (["baseline"], "baseline is always in the table"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "a.txt").write_text(" \n")
    (tmp_path / "bad.json").write_text(json.dumps([ENTRIES[0], ENTRIES[1] | {"output": ""}]))
    long = ENTRIES[0] | {"instruction": "What is it? " * 50}
    (tmp_path / "long.json").write_text(json.dumps([long]))
    (tmp_path / "bad.jsonl").write_text("{")
    before = sorted(tmp_path.rglob("*"))
    assert message in run(folder, *arguments)
    assert sorted(tmp_path.rglob("*")) == before


# ---- What stands in the README


def test_the_readme_shows_the_record():
    rows = read_rows(RECORD, lambda row: "figures" in row)
    table = as_markdown(tabulate(rows))
    assert table in (ROOT / "README.md").read_text(encoding="utf-8")
    numbers = re.findall(r"\d+\.\d+", table)
    korean = (ROOT / "README.ko.md").read_text(encoding="utf-8")
    assert all(number in korean for number in numbers)


def test_the_records_figures_follow_from_its_answers():
    settings = json.loads(RECORD.read_text(encoding="utf-8"))["settings"]
    rows = {row["model"]: row for row in read_rows(RECORD, lambda row: "figures" in row)}
    test = [entry for entry in make_instructions() if entry["split"] == "test"]
    asked = evenly(test, settings["questions"])
    right = {name: which_right(asked, row["answers"]) for name, row in rows.items()}
    for name, row in rows.items():
        assert row["kinds"] == {kind: [sum(h), len(h)] for kind, h in right[name].items()}
        assert row["figures"]["exact match"] == pytest.approx(
            share_bounds(right[name]["all"]), abs=1e-4
        )
    kept = json.loads(json.dumps(list(rows.values())))
    material = Material(read_passages(None, settings["bytes"]), asked, [], course_facts())
    compare(kept, settings["against"], material)
    for row in kept:
        for name in MEASURES:
            found = rows[row["model"]]["figures"].get(name)
            assert row["figures"].get(name) == (found and pytest.approx(found, abs=1e-4))
    bits = {name: row["figures"]["bits per byte"] for name, row in rows.items()}
    # What README says: on its own texts the course's model is the best, the baseline the worst.
    assert bits["course"][2] < bits["smollm2"][1] and bits["smollm2"][2] < bits["baseline"][1]
    # And: who was finetuned wins, and has paid in bits.
    assert settings["against"] == "runs/instructions"
    assert rows["course"]["figures"]["win rate, exact"][2] < 0.5
    assert rows["course"]["figures"]["bits per byte, difference"][2] < 0
