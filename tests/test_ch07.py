"""Chapter 7: batches of instructions, answers in batches, the command lines."""

import ast
import builtins
import json
import re
import shlex
import sys
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT, read_notebook

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_generate import generate
from ch05.gpt_train import IGNORE, next_token_loss
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch07 import chat, gpt_instruction_finetuning
from ch07.chat import stream_reply
from ch07.gpt_instruction_finetuning import (
    InstructionDataset,
    check_entries,
    collate,
    create_instruction_dataloader,
    crop_history,
    exact_match,
    finetune,
    format_prompt,
    parse_arguments,
    pick,
    read_entries,
    reply,
    respond,
    save_responses,
    which_right,
)
from ch07.instructions import make_instructions

ENTRIES = make_instructions()
TRAIN = [entry for entry in ENTRIES if entry["split"] == "train"]
WITH_HISTORY = [entry for entry in TRAIN if "history" in entry]
TEXT = " ".join(format_prompt(entry) + entry["output"] for entry in TRAIN)
CONTEXT = 160  # the longest entry has 134 tokens in the tests' vocabulary


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(TEXT, 500)


@pytest.fixture
def model(tokenizer) -> GPTModel:
    torch.manual_seed(0)
    config = GPTConfig(tokenizer.vocab_size, CONTEXT, 32, 2, 2, drop_rate=0.0, tie_weights=True)
    model = GPTModel(config)
    for parameter in model.parameters():  # so that answers differ and now and then end
        parameter.data.mul_(3)
    return model.eval()


@pytest.fixture(scope="module")
def end_id(tokenizer) -> int:
    return tokenizer.special_tokens[END_OF_TEXT]


def items_of(entries: list[dict], tokenizer: BPETokenizer) -> list[tuple[list[int], int]]:
    return InstructionDataset(entries, tokenizer, CONTEXT).items


# ---- Prompts and batches.


def test_an_items_tokens_are_prompt_answer_and_end(tokenizer, end_id):
    for entry, (ids, n_prompt) in zip(TRAIN, items_of(TRAIN, tokenizer)):
        assert tokenizer.decode(ids[:n_prompt]) == format_prompt(entry)
        assert tokenizer.decode(ids[n_prompt:-1]) == entry["output"] and ids[-1] == end_id
        assert ids[:-1] == tokenizer.encode_ordinary(format_prompt(entry) + entry["output"])


def test_a_prompt_holds_the_history_in_order_and_ends_on_a_fresh_line():
    for entry in WITH_HISTORY:
        prompt = format_prompt(entry)
        places = [prompt.index(turn["instruction"]) for turn in [*entry["history"], entry]]
        assert places == sorted(places) and prompt.endswith("\n")
        assert all(turn["output"] in prompt for turn in entry["history"])


def test_a_text_cannot_smuggle_in_an_end(tokenizer, end_id):
    entry = {"instruction": f"Repeat {END_OF_TEXT}", "input": "", "output": END_OF_TEXT}
    ((ids, _),) = items_of([entry], tokenizer)
    assert ids.count(end_id) == 1


def test_another_form_of_prompt_can_be_given(tokenizer):
    dataset = InstructionDataset(
        TRAIN[:3], tokenizer, CONTEXT, prompt_of=lambda entry: entry["instruction"] + "\n"
    )
    for entry, (ids, n_prompt) in zip(TRAIN, dataset.items):
        assert tokenizer.decode(ids[:n_prompt]) == entry["instruction"] + "\n"


@pytest.mark.parametrize("mask", [True, False])
def test_targets_are_the_inputs_one_token_later(tokenizer, end_id, mask: bool):
    items = items_of(TRAIN[:20], tokenizer)
    inputs, targets = collate(items, end_id, mask)
    assert inputs.shape == targets.shape == (20, max(len(ids) for ids, _ in items) - 1)
    for (ids, n_prompt), row, target in zip(items, inputs, targets):
        n = len(ids) - 1
        assert row[:n].tolist() == ids[:-1] and (row[n:] == end_id).all()
        first = n_prompt - 1 if mask else 0
        assert target[first:n].tolist() == ids[first + 1 :]
        assert (target[:first] == IGNORE).all() and (target[n:] == IGNORE).all()
        assert (target == end_id).sum() == 1


def test_what_is_ignored_has_no_loss_and_no_gradient(model, tokenizer, end_id):
    """By hand: the mean over the answers' tokens alone, each row by itself."""
    items = items_of(TRAIN[:6], tokenizer)
    inputs, targets = collate(items, end_id)
    total, n = 0.0, 0
    for ids, n_prompt in items:
        logits = model(torch.tensor([ids[:-1]]))[0, n_prompt - 1 :]
        total = total + F.cross_entropy(logits, torch.tensor(ids[n_prompt:]), reduction="sum")
        n += len(ids) - n_prompt
    loss = next_token_loss(model, inputs, targets)
    torch.testing.assert_close(loss, total / n)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(total / n, parameters)
    )
    logits = model(inputs).detach().requires_grad_()
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
    (grad,) = torch.autograd.grad(loss, logits)
    assert (grad[targets == IGNORE] == 0).all() and (grad[targets != IGNORE] != 0).any()


def test_the_seed_decides_the_batches(tokenizer, end_id):
    dataset = InstructionDataset(TRAIN[:100], tokenizer, CONTEXT)

    def batches(**options) -> list[list]:
        loader = create_instruction_dataloader(dataset, end_id, 8, **options)
        return [inputs.tolist() for inputs, _ in loader]

    assert batches(seed=1) == batches(seed=1) != batches(seed=2)
    lengths = [len(rows[0]) for rows in batches(shuffle=False)]
    assert lengths == sorted(lengths)


# ---- Answers.


def test_many_at_once_answer_as_one_at_a_time(model, tokenizer):
    entries = [*TRAIN[:20], *WITH_HISTORY[:10]]
    together = respond(model, tokenizer, entries, 12, batch_size=7)
    alone = [respond(model, tokenizer, [entry], 12)[0] for entry in entries]
    assert together == alone and len(set(together)) > 10


def test_an_answer_is_what_greedy_generation_gives(model, tokenizer, end_id):
    for entry in TRAIN[:20]:
        prompt = tokenizer.encode_ordinary(format_prompt(entry))
        idx = generate(model, torch.tensor([prompt]), 12, temperature=0, stop_id=end_id)[0]
        expected = idx[len(prompt) :].tolist()
        expected = expected[: expected.index(end_id)] if end_id in expected else expected
        assert respond(model, tokenizer, [entry], 12) == [tokenizer.decode(expected).strip()]


def test_an_answer_of_one_line_ends_where_the_line_does(model, tokenizer):
    whole = respond(model, tokenizer, TRAIN[:60], 24)
    lines = respond(model, tokenizer, TRAIN[:60], 24, one_line=True)
    assert not any("\n" in line for line in lines)
    assert all(text.startswith(line) for text, line in zip(whole, lines))


def test_answering_leaves_the_model_as_it_was(model, tokenizer):
    model.train()
    before = [p.clone() for p in model.parameters()]
    respond(model, tokenizer, TRAIN[:2], 4)
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert respond(model, tokenizer, []) == []


def test_the_oldest_turns_are_dropped_whole(tokenizer):
    turn = {"instruction": "What is the plural of goose?", "input": "", "output": "geese"}
    turns = [turn | {"instruction": f"What is {n}?"} for n in range(40)]
    for limit in (40, 60, 100):
        text = tokenizer.decode(crop_history(turn | {"history": turns}, tokenizer, limit))
        n_kept = text.count("Question:") - 1
        assert text == format_prompt(turn | {"history": turns[40 - n_kept :]})
        longer = format_prompt(turn | {"history": turns[40 - n_kept - 1 :]})
        assert len(tokenizer.encode_ordinary(text)) <= limit < len(tokenizer.encode(longer))


def test_a_question_without_room_for_an_answer_is_refused(model, tokenizer):
    entry = {"instruction": "goose " * 200, "input": "", "output": ""}
    with pytest.raises(ValueError, match=r"\d+ tokens, and only 128 fit: 'goose goose"):
        respond(model, tokenizer, [entry])


def test_a_reply_has_read_the_history(model, tokenizer):
    history = [{"instruction": "Add 1 and 2.", "input": "", "output": "3"}]
    turn = reply(model, tokenizer, history, "And 3?")
    (expected,) = respond(
        model, tokenizer, [{"instruction": "And 3?", "input": "", "history": history}]
    )
    assert turn == {"instruction": "And 3?", "input": "", "output": expected}
    assert len(history) == 1


def test_a_streamed_reply_is_the_reply(model, tokenizer):
    history = []
    for entry in TRAIN[:15]:
        pieces = list(stream_reply(model, tokenizer, history, entry["instruction"]))
        turn = reply(model, tokenizer, history, entry["instruction"])
        assert "".join(pieces) == turn["output"] and all(pieces)
        history.append(turn)
    assert len(pieces) > 1


def test_a_streamed_reply_has_no_white_space_around_it(model, tokenizer, end_id, monkeypatch):
    for said in ("", " \n", " a", "a b \n c \n", "\n\n가 나 "):
        ids = [*tokenizer.encode_ordinary(said), end_id, *tokenizer.encode_ordinary("no")]
        monkeypatch.setattr(chat, "stream_tokens", lambda *a, ids=ids, **k: iter(ids))
        assert "".join(stream_reply(model, tokenizer, [], "Say.")) == said.strip()


def test_an_error_in_an_answer_leaves_the_model_in_training(model, tokenizer, monkeypatch):
    def interrupted(*arguments):
        assert not model.training
        raise KeyboardInterrupt

    monkeypatch.setattr(gpt_instruction_finetuning, "read", interrupted)
    model.train()
    with pytest.raises(KeyboardInterrupt):
        respond(model, tokenizer, TRAIN[:2])
    assert model.training
    model.eval()


def test_exact_match_counts_by_hand():
    entries = [{"output": "geese", "kind": "a"}, {"output": "7 ", "kind": "b"}, {"output": "7"}]
    assert exact_match(entries, ["geese ", "8", "7"]) == {"a": 1, "b": 0, "task": 1, "all": 2 / 3}
    assert list(exact_match(entries, ["", "", ""]))[-1] == "all"
    with pytest.raises(ValueError, match="shorter"):
        exact_match(entries, ["geese"])


def test_which_are_right_is_said_in_the_order_of_the_entries():
    entries = [{"output": "geese", "kind": "a"}, {"output": "7 "}, {"output": "mice", "kind": "a"}]
    right = which_right(entries, ["goose", " 7", "mice"])
    assert right == {"a": [False, True], "task": [True], "all": [False, True, True]}
    assert which_right([], []) == {"all": []}
    with pytest.raises(ValueError, match="shorter"):
        which_right(entries, ["geese"])


def test_finetuning_learns_a_few_entries_by_heart(model, tokenizer, end_id):
    few = [entry for entry in TRAIN if entry["kind"] in ("sum", "plural")][:12]
    loader = create_instruction_dataloader(
        InstructionDataset(few, tokenizer, CONTEXT), end_id, batch_size=3
    )
    torch.manual_seed(0)
    learner = GPTModel(model.config)
    progress = finetune(learner, loader, loader, epochs=60, learning_rate=5e-3, eval_every=1000)
    assert progress.step == 240 and not learner.training
    assert exact_match(few, respond(learner, tokenizer, few))["all"] > 0.6


def test_the_rate_rises_to_the_one_asked_for_and_falls_to_nothing(
    model, tokenizer, end_id, monkeypatch
):
    rates = []

    class Recorder(torch.optim.AdamW):
        def step(self, *args, **kwargs):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "AdamW", Recorder)
    few = InstructionDataset(TRAIN[:10], tokenizer, CONTEXT)
    loader = create_instruction_dataloader(few, end_id, batch_size=5)
    for epochs in (1, 20):
        rates.clear()
        finetune(GPTModel(model.config), loader, loader, epochs, 0.01, eval_every=1000)
        top = rates.index(0.01)
        assert len(rates) == 2 * epochs and top == max(1, len(rates) // 10) - 1
        assert rates[: top + 1] == sorted(rates[: top + 1])
        assert rates[top:] == sorted(rates[top:], reverse=True) and 0 < rates[-1] < 0.0101 / epochs


# ---- Files.


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "a list of entries is needed"),
        ([], "a list of entries is needed"),
        (["Add 1 and 1."], "entry 0 is not an entry"),
        ([TRAIN[0], {"instruction": "Add.", "input": "1 and 1"}], "entry 1: output is None"),
        ([{"instruction": "Add.", "output": 2}], "entry 0: output is 2"),
        ([{"instruction": " ", "output": "2"}], "entry 0: instruction is empty"),
        ([{"instruction": "Add.", "input": 3, "output": "2"}], "entry 0: input is 3"),
        ([TRAIN[0] | {"history": "none"}], "entry 0: history is not a list"),
        ([TRAIN[0] | {"kind": None}], "entry 0: kind is None"),
        ([TRAIN[0] | {"kind": ["plural"]}], "entry 0: kind is \\['plural'\\]"),
        ([TRAIN[0] | {"kind": "all"}], "entry 0: kind is 'all'"),
        ([TRAIN[0] | {"history": [{"instruction": "a"}]}], "entry 0: output is None"),
    ],
)
def test_entries_of_another_form_are_refused_by_number_and_field(entries, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        check_entries(entries)
    path = tmp_path / "entries.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"entries\.json: {message}"):
        read_entries(path)


def test_an_entry_may_lack_its_input():
    assert format_prompt({"instruction": "Add 1 and 1.", "output": "2"}).count("\n") == 3
    assert check_entries([{"instruction": "Add 1 and 1.", "output": "2"}])


def test_a_file_that_is_not_json_is_refused_by_name(tmp_path):
    for text in (b"{", b"\xff\xfe\x00", b""):
        (tmp_path / "entries.json").write_bytes(text)
        with pytest.raises(ValueError, match="entries.json is not a JSON file"):
            read_entries(tmp_path / "entries.json")


def test_an_entry_longer_than_the_context_is_refused_by_number(tokenizer):
    long = {"instruction": "Repeat.", "input": "goose " * 200, "output": "goose"}
    with pytest.raises(ValueError, match=rf"entry 1 has \d+ tokens .* holds {CONTEXT}"):
        InstructionDataset([TRAIN[0], long], tokenizer, CONTEXT)


def test_entries_are_split_as_they_say_or_by_lot():
    assert pick(ENTRIES, 0)["train"] == TRAIN
    plain = [{"instruction": str(i), "input": "", "output": "x"} for i in range(100)]
    by_lot = pick(plain, 0)
    assert [len(part) for part in by_lot.values()] == [85, 5, 10]
    assert sorted(map(str, sum(by_lot.values(), []))) == sorted(map(str, plain))
    assert pick(plain, 0) == by_lot != pick(plain, 1)
    with pytest.raises(ValueError, match="3 entries leave none for the development split"):
        pick(plain[:3], 0)
    for split, shown in ((None, "None"), ("validation", "'validation'")):
        with pytest.raises(ValueError, match=f"entry 1: split is {shown} and not one of"):
            pick([ENTRIES[0], ENTRIES[1] | {"split": split}, *ENTRIES[2:]], 0)
    with pytest.raises(ValueError, match="entry 100: split is None"):
        pick([TRAIN[0], *TRAIN[1:100], plain[0]], 0)


def test_responses_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "responses.json"
    save_responses(path, TRAIN[:2], ["a", "ä"])
    read = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["response"] for entry in read] == ["a", "ä"]
    assert read[0]["instruction"] == TRAIN[0]["instruction"]
    with pytest.raises(ValueError):
        save_responses(path, TRAIN[:2], ["b"])
    with pytest.raises(TypeError):
        save_responses(path, [{"output": object()}], ["b"])
    assert json.loads(path.read_text(encoding="utf-8")) == read
    assert [p.name for p in tmp_path.iterdir()] == ["responses.json"]


# ---- The command lines.


def texts_of(entries: list[dict]) -> list[str]:
    return [entry["response"] for entry in entries]


def run_main(module, monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    module.main()


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    save_pretrained(model, tmp_path / "model", tokenizer)
    return tmp_path


def test_a_switch_of_the_command_takes_no_word(capsys):
    parse = gpt_instruction_finetuning.parse_arguments
    assert parse(["--no-mask"]).no_mask and not parse([]).no_mask
    with pytest.raises(SystemExit):
        parse(["--no-mask", "False"])
    assert "unrecognized arguments: False" in capsys.readouterr().err


def test_the_command_finetunes_and_keeps_model_and_responses(folder, monkeypatch, capsys):
    data = folder / "data.json"
    plain = [{n: e[n] for n in ("instruction", "input", "output")} for e in TRAIN[:60]]
    data.write_text(json.dumps(plain), encoding="utf-8")
    arguments = ["--data", data, "--model", folder / "model", "--epochs", 1, "--device", "cpu"]
    run_main(
        gpt_instruction_finetuning, monkeypatch, *arguments, "--out", folder / "out", "--no-mask"
    )
    control = ["--random-weights", "--out", folder / "control"]
    run_main(gpt_instruction_finetuning, monkeypatch, *arguments, *control)
    weights = [load_pretrained(folder / name)[0].tok_emb.weight for name in ("out", "control")]
    assert weights[0].std() > 2 * weights[1].std()  # the fixture's are three times as large
    out = capsys.readouterr().out
    assert "51 entries for train, 3 entries for development, 6 entries for test" in out
    read = json.loads((folder / "out" / "responses.json").read_text(encoding="utf-8"))
    assert len(read) == 6 and all("response" in entry for entry in read)
    (result,) = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    counts = {
        kind: [sum(hits), len(hits)] for kind, hits in which_right(read, texts_of(read)).items()
    }
    assert result["right"] == counts and result["no_mask"] and not result["random_weights"]

    # And the model in that folder can be talked with.
    said = iter(["Add 1 and 2.", "", "/help", "And 3?", "goose " * 200, "/reset", "/quit"])
    histories = []

    def spy(model, tokenizer, history, text):
        histories.append(len(history))
        yield from stream_reply(model, tokenizer, history, text)

    monkeypatch.setattr(builtins, "input", lambda prompt: next(said))
    monkeypatch.setattr(chat, "stream_reply", spy)
    chat.main(["--model", str(folder / "out"), "--device", "cpu"])
    out = capsys.readouterr().out
    assert histories == [0, 1, 2]
    assert "(forgotten)" in out and "/reset and /quit" in out and "(the instruction has" in out
    assert next(said, "all was read") == "all was read"


def test_several_seeds_are_trained_in_turn_and_the_development_items_can_be_asked(
    folder, monkeypatch, capsys
):
    data = folder / "data.json"
    few = [*TRAIN[:32], *(e for e in ENTRIES if e["split"] == "development"), ENTRIES[-1]]
    data.write_text(json.dumps(few), encoding="utf-8")
    arguments = ["--data", data, "--model", folder / "model", "--epochs", 1, "--device", "cpu"]
    arguments += ["--split", "development", "--seeds", 2, "--seed", 5, "--out", folder / "out"]
    run_main(gpt_instruction_finetuning, monkeypatch, *arguments)
    out = capsys.readouterr().out
    runs = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
    n = sum(entry["split"] == "development" for entry in few)
    assert [run["seed"] for run in runs] == [5, 6] and "2 seeds: " in out
    assert [run["right"]["all"][1] for run in runs] == [n, n]
    assert [run["training_entries_right"][1] for run in runs] == [32, 32]
    assert all(run["split"] == "development" and run["steps"] == 2 for run in runs)
    read = json.loads((folder / "out" / "responses.json").read_text(encoding="utf-8"))
    assert {entry["split"] for entry in read} == {"development"}
    assert sum(which_right(read, texts_of(read))["all"]) == runs[-1]["right"]["all"][0]


def test_the_seed_decides_a_run(folder, monkeypatch):
    data = folder / "data.json"
    plain = [{n: e[n] for n in ("instruction", "input", "output")} for e in TRAIN[:40]]
    data.write_text(json.dumps(plain), encoding="utf-8")
    weights = []
    for name, seeds in (("a", ["--seed", 3]), ("b", ["--seed", 2, "--seeds", 2])):
        arguments = ["--data", data, "--model", folder / "model", "--epochs", 1, "--device", "cpu"]
        monkeypatch.setattr(
            gpt_instruction_finetuning, "pick", lambda entries, seed: pick(entries, 0)
        )
        run_main(
            gpt_instruction_finetuning, monkeypatch, *arguments, *seeds, "--out", folder / name
        )
        weights.append(load_pretrained(folder / name)[0].tok_emb.weight)
    assert torch.equal(*weights)


def test_a_talk_ends_with_its_input_and_a_reset_forgets(folder, monkeypatch, capsys):
    histories = []

    def spy(model, tokenizer, history, text):
        histories.append(len(history))
        yield "yes"

    said = iter(["one", "two", "/reset", "three"])

    def read(prompt: str) -> str:
        for text in said:
            return text
        raise EOFError

    monkeypatch.setattr(chat, "stream_reply", spy)
    monkeypatch.setattr(builtins, "input", read)
    chat.main(["--model", str(folder / "model"), "--device", "cpu"])
    assert histories == [0, 1, 0]
    assert capsys.readouterr().out.count("yes") == 3


def test_without_a_model_the_talk_says_which_command_makes_one(tmp_path):
    with pytest.raises(SystemExit, match="python -m ch07.gpt_instruction_finetuning --out"):
        chat.main(["--model", str(tmp_path / "none")])


def test_the_command_refuses_in_one_sentence(folder, monkeypatch):
    bad = folder / "bad.json"
    bad.write_text(json.dumps([TRAIN[0], {"instruction": "Add.", "input": ""}]), encoding="utf-8")
    long = TRAIN[1] | {"input": "goose " * ((CONTEXT - 20) // 2), "output": "geese"}
    fits, too_long = folder / "fits.json", folder / "too_long.json"
    for path, test in ((fits, TRAIN[3]), (too_long, long)):
        splits = zip(("train", "train", "development", "test"), (*TRAIN[:3], test))
        path.write_text(json.dumps([entry | {"split": name} for name, entry in splits]))
    given = ["--model", folder / "model", "--out", folder / "out", "--device", "cpu"]
    monkeypatch.setattr(gpt_instruction_finetuning, "finetune", None)  # all is refused before it
    for arguments, message in (
        (["--data", too_long], r"the instruction has \d+ tokens, and only"),
        (["--data", fits, "--out", bad], "bad.json"),
        (["--data", bad], "bad.json: entry 1: output is None"),
        (["--data", folder / "none.json"], "none.json"),
        (["--epochs", 0], "epochs=0"),
        (["--lr", 0], "lr=0"),
        (["--batch-size", 0], "batch_size=0 must be at least 1"),
        (["--seeds", 0], "seeds=0 must be at least 1"),
        (["--model", folder], "config.json is not there"),
    ):
        with pytest.raises(SystemExit, match=f"gpt_instruction_finetuning: .*{message}"):
            run_main(gpt_instruction_finetuning, monkeypatch, *given, *arguments)
    assert not (folder / "out").exists()


def test_ctrl_c_stops_an_answer_and_not_the_talk(folder, monkeypatch, capsys):
    histories = []

    def interrupted(model, tokenizer, history, text):
        histories.append([turn["instruction"] for turn in history])
        if text == "long":
            yield "half an"
            raise KeyboardInterrupt
        yield from ("y", "es")

    said = iter(["one", "long", "two", "/quit"])
    monkeypatch.setattr(chat, "stream_reply", interrupted)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(said))
    chat.main(["--model", str(folder / "model"), "--device", "cpu"])
    assert histories == [[], ["one"], ["one"]]  # what was stopped is not remembered
    out = capsys.readouterr().out
    assert out.count("yes") == 2 and out.count("(stopped)") == 1


# ---- What the course says of its own runs.

# The other records are of the bonus notebooks' own commands.
RECORDED = [
    ROOT / "ch07" / "recorded" / f"{name}.json"
    for name in ("no-mask", "pretrained", "random-weights")
]
NOTEBOOK = {cell.id: cell for cell in read_notebook(ROOT / "ch07" / "ch07.ipynb").cells}


def test_the_notebooks_settings_are_the_commands():
    found = re.search(
        r"epochs, learning_rate, batch_size = (\d+), ([\de.-]+), (\d+)",
        NOTEBOOK["ch07-switch"].source,
    )
    args = parse_arguments([])
    assert [*map(float, found.groups())] == [args.epochs, args.lr, args.batch_size]


def test_the_kept_responses_are_of_one_test_and_the_judge_saw_pairs():
    folder = ROOT / "ch07" / "recorded"
    kept = [
        json.loads((folder / "responses" / f"{way}-the-mask.json").read_text(encoding="utf-8"))
        for way in ("with", "without")
    ]
    questions = [[{**entry, "response": ""} for entry in entries] for entries in kept]
    assert questions[0] == questions[1] and len(questions[0]) > 500
    items = json.loads((folder / "judge.json").read_text(encoding="utf-8"))["items"]
    for right, wrong in zip(items[::2], items[1::2], strict=True):
        assert (right["sort"], wrong["sort"]) == ("right", "wrong")
        assert right["response"] == right["output"] == wrong["output"] != wrong["response"]


def test_the_facts_of_the_figure_stand_where_it_says():
    """ch07/figures/where-a-fact-stands.svg"""
    for name, noun, city in (("train", "geese", "Cairo"), ("test", "wolves", "Oslo")):
        texts = [entry["output"] for entry in ENTRIES if entry["split"] == name]
        assert any(text.startswith("The plural") and noun in text for text in texts)
        assert any(text.startswith("The capital") and city in text for text in texts)
    trained = [entry["output"] for entry in ENTRIES if entry["split"] == "train"]
    assert not any("wolves" in text or "Oslo" in text for text in trained)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_run_is_one_of_the_command_on_todays_test(path):
    runs = json.loads(path.read_text(encoding="utf-8"))
    kinds = Counter(entry["kind"] for entry in ENTRIES if entry["split"] == "test")
    assert [run["seed"] for run in runs] == [0, 1, 2][: len(runs)]
    for run in runs:
        command = shlex.split(run["command"])
        assert command[:3] == ["python", "-m", "ch07.gpt_instruction_finetuning"]
        args = vars(parse_arguments(command[3:]))
        names = ("split", "epochs", "lr", "batch_size", "random_weights", "no_mask")
        assert {name: run[name] for name in names} == {name: args[name] for name in names}
        assert run["random_weights"] == (path.stem == "random-weights") and run["split"] == "test"
        assert run["no_mask"] == (path.stem == "no-mask")
        asked = {kind: n for kind, (_, n) in run["right"].items()}
        assert asked == {**kinds, "all": kinds.total()}
        assert (
            sum(right for kind, (right, _) in run["right"].items() if kind != "all")
            == (run["right"]["all"][0])
        )
    defaults = parse_arguments([])
    if path.stem == "pretrained":
        assert all(run["epochs"] == defaults.epochs and run["lr"] == defaults.lr for run in runs)


def test_the_talk_in_the_readme_is_that_of_the_notebook():
    """Turn by turn: the notebook's cell asserts that most of its answers are right."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(> .*?)```", readme, flags=re.DOTALL)
    written = "".join(output.get("text", "") for output in NOTEBOOK["ch07-dialogue"].outputs)
    turns = re.findall(r"> (.+)\n(.+)\n", block)
    assert len(turns) >= 3
    talk = ast.parse(NOTEBOOK["ch07-dialogue"].source).body[0]  # talk = {question: answer, ...}
    right_answers = ast.literal_eval(talk.value)
    for question, answer in turns:
        assert f"> {question}\n{answer}\n> " in written
        assert right_answers[question] == answer
