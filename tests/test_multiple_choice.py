"""Multiple choice by likelihood: by hand, at its borders, and as lm-eval where it is installed."""

import json
import math

import pytest
import torch
import yaml

from ch05 import multiple_choice
from ch05.export import export_hf
from ch05.gpt_weights import load_pretrained
from ch05.multiple_choice import (
    Item,
    course_facts,
    log_likelihood,
    main,
    read_task,
    right_choices,
    scores,
    split_pair,
    without_query,
    write_task,
)

GOOSE = Item("Question:\nWhat is 2 plus 3?\nAnswer:\n", ("2 plus 3 is 5.", "2 plus 3 is 9."), 0)


@pytest.fixture(scope="module")
def course():
    return load_pretrained("course")


def test_the_task_is_the_same_each_time_and_its_answers_lie_anywhere():
    items = course_facts()
    assert items == course_facts() and items != course_facts(1)
    places = [item.gold for item in items]
    assert all(places.count(i) > len(items) / 6 for i in range(4))
    assert all(len(set(item.choices)) == len(item.choices) >= 2 for item in items)
    assert len({item.query for item in items}) == len(items)


def test_a_likelihood_is_the_sum_of_its_tokens(course):
    model, tokenizer = course
    context, ids = split_pair(tokenizer, "The sun rises in the", " east.")
    assert tokenizer.decode(context + ids) == "The sun rises in the east."
    by_hand = 0.0
    for i, token in enumerate(ids):
        logits = model(torch.tensor([context + ids[:i]]))[0, -1]
        by_hand += logits.log_softmax(-1)[token].item()
    found = log_likelihood(model, tokenizer, "The sun rises in the", " east.")
    assert found == pytest.approx(by_hand, abs=1e-4)


def test_white_space_before_a_choice_belongs_to_it(course):
    tokenizer = course[1]
    assert split_pair(tokenizer, "in the ", "east") == split_pair(tokenizer, "in the", " east")
    assert split_pair(tokenizer, "", "east")[0] == []


def test_of_a_long_query_the_end_is_read(course):
    model, tokenizer = course
    long = "It rained on the first day. " * 100 + "The sun rises in the"
    found = log_likelihood(model, tokenizer, long, " east.")
    assert -20 < found < 0
    with pytest.raises(ValueError, match="does not fit the context"):
        log_likelihood(model, tokenizer, "x", " east" * 300)


def test_the_choice_by_letter_does_not_favour_the_short_one():
    items = [Item("q", ("ab", "abcdefgh"), 1)]
    found = right_choices(items, [[-2.0, -4.0]])
    assert found == {"acc": [False], "acc_norm": [True]}


def test_the_course_model_knows_the_facts_and_not_without_the_question(course):
    items = course_facts()[::6]
    share = {}
    for name, asked in (("asked", items), ("blind", without_query(items))):
        right = right_choices(items, scores(*course, asked))["acc"]
        share[name] = sum(right) / len(right)
    assert share["asked"] > 0.75 and share["blind"] < 0.5


def test_a_task_is_written_and_read(tmp_path):
    items = course_facts()[:5]
    path = write_task(tmp_path / "task", items)
    assert read_task(path) == items
    told = yaml.safe_load(path.with_suffix(".yaml").read_text())
    assert told["dataset_kwargs"]["data_files"]["test"] == path.resolve().as_posix()
    assert told["doc_to_text"] == "{{query}}" and told["target_delimiter"] == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Expecting"),
        ("[]", "line 2: an item is"),
        ('{"query": "a", "choices": ["b", "c"]}', "line 2: an item is"),
        ('{"query": " ", "choices": ["b", "c"], "gold": 0}', "line 2: the query is"),
        ('{"query": "a", "choices": ["b", "b"], "gold": 0}', "line 2: choices must be"),
        ('{"query": "a", "choices": "bc", "gold": 0}', "line 2: choices must be"),
        ('{"query": "a", "choices": ["b", "c"], "gold": 2}', "line 2: gold is 2"),
        ('{"query": "a", "choices": ["b", "c"], "gold": true}', "line 2: gold is True"),
    ],
)
def test_a_bad_line_is_named(line, message, tmp_path):
    good = json.dumps({"query": "a", "choices": ["b", "c"], "gold": 1})
    (tmp_path / "t.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(SystemExit, match=f"t.jsonl, {message}"):
        main(["course", "--task", str(tmp_path / "t.jsonl")])


def test_the_command_says_what_is_missing(tmp_path, capsys):
    for arguments in (["course", "--task", "nowhere"], ["nowhere", "--write", str(tmp_path)]):
        with pytest.raises(SystemExit, match="multiple_choice: .*nowhere"):
            main(arguments)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(SystemExit, match="holds no item"):
        main(["course", "--task", str(tmp_path / "empty.jsonl")])
    with pytest.raises(SystemExit):
        main([])
    assert "name a model" in capsys.readouterr().err


def test_the_command_shows_chance_beside_the_model(tmp_path, capsys):
    task = tmp_path / "t.jsonl"
    lines = [json.dumps({"query": GOOSE.query, "choices": GOOSE.choices, "gold": 0})] * 3
    task.write_text("\n".join(lines))
    main(["course", "--task", str(task)])
    said = capsys.readouterr().out
    assert "3 items, by chance 50.0% right" in said and "acc without the question" in said


def test_lm_eval_has_the_same_numbers(course, tmp_path):
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager

    items = course_facts()[::5]
    write_task(tmp_path / "task", items)
    export_hf(*course, tmp_path / "hf", None)
    theirs = lm_eval.simple_evaluate(
        model="hf",
        model_args=f"pretrained={tmp_path / 'hf'},dtype=float32,device=cpu",
        tasks=[multiple_choice.TASK],
        task_manager=TaskManager(include_path=str(tmp_path / "task")),
        bootstrap_iters=0,
    )
    found = scores(*course, items)
    right = right_choices(items, found)
    results = theirs["results"][multiple_choice.TASK]
    for name, hits in right.items():
        assert results[f"{name},none"] == pytest.approx(sum(hits) / len(hits))
    for sample in theirs["samples"][multiple_choice.TASK]:
        logs = [response[0] for response in sample["filtered_resps"]]
        assert logs == pytest.approx(found[sample["doc_id"]], abs=1e-3)
    assert math.isclose(len(theirs["samples"][multiple_choice.TASK]), len(items))
