"""The whole road: gone once in small, stopped and gone on with; its line, its rows, its page."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from course_files import ROOT

import playbook.journey_line
from ch07.instructions import key
from course.language import KOREAN
from playbook.__main__ import main
from playbook.journey_line import Line
from playbook.journey_page import OWN, PARTS, part_of_page
from playbook.journey_stages import FULL, QUICK, STAGES, TALK, Road, make_talks
from playbook.journey_table import (
    LEAST,
    MEASURE_OF,
    MEASURES,
    band_of,
    make_row,
    number,
    read_record,
    record_path,
    reference,
)
from playbook.pages import make_book

PAGE = (ROOT / "playbook" / "journey.md").read_text(encoding="utf-8")
ROWS = [measure.row for measure in MEASURES]


def go(out: Path, *options: str) -> int | str:
    """The status or the sentence with which a small road ends, in this process."""
    threads = torch.get_num_threads()
    try:
        return main(["journey", "--quick", "--threads", "1", "--out", str(out), *options])
    except SystemExit as stopped:
        return stopped.code
    finally:
        torch.set_num_threads(threads)


def numbers_of(out: Path) -> dict:
    """All that a road has measured, without the time it took."""
    rows = json.loads((out / "journey.json").read_text(encoding="utf-8"))["rows"]
    return {row["row"]: (row["befores"], row["values"], row.get("talk")) for row in rows}


# ---- The road.


@pytest.fixture(scope="module")
def road(tmp_path_factory) -> tuple[Path, int]:
    out = tmp_path_factory.mktemp("road") / "quick"
    return out, go(out)


@pytest.mark.slow
def test_the_quick_road_reaches_its_end_and_says_what_no_stage_gained(road):
    out, status = road
    record = json.loads((out / "journey.json").read_text(encoding="utf-8"))
    assert [row["row"] for row in record["rows"]] == ROWS
    assert record["settings"].items() >= asdict(QUICK).items()
    failed = [row["row"] for row in record["rows"] if row["improves"] is False]
    assert status == bool(failed)
    improved = {row["row"] for row in record["rows"] if row["improves"]}
    assert improved >= {"tokenizer", "int8"}
    assert sum(row["cpu"] for row in record["rows"]) < 60
    assert (out / "GRPO-0" / "model.safetensors").exists()


@pytest.mark.slow
def test_a_finished_road_is_shown_again_and_nothing_is_done_anew(road, capsys):
    out, status = road
    before = {path: path.stat().st_mtime_ns for path in out.glob("*-*/*")}
    numbers = numbers_of(out)
    assert go(out) == status
    assert numbers_of(out) == numbers
    assert {path: path.stat().st_mtime_ns for path in out.glob("*-*/*")} == before
    shown = capsys.readouterr().out
    assert all(measure.what in shown for measure in MEASURES) and f"> {[*TALK][0]}" in shown


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_road_killed_in_its_pretraining_ends_with_the_same_rows(road, tmp_path):
    whole, _ = road
    out, log = tmp_path / "killed", tmp_path / "killed" / "pretraining-0" / "log.jsonl"
    (out / "parts").mkdir(parents=True)
    for name in ("settings.json", "tokenizer-0", "data"):  # the beginning is as it was
        copy = shutil.copytree if (whole / name).is_dir() else shutil.copy
        copy(whole / name, out / name)
    for path in whole.glob("parts/tokenizer-*.json"):
        shutil.copy(path, out / "parts")
    command = [sys.executable, "-m", "playbook", "journey", "--quick", "--threads", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        [*command, "--out", out], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    n_steps = 2 * QUICK.save_every  # a checkpoint is behind it
    try:
        for _ in range(1200):
            if log.exists() and log.read_text().count("\n") > n_steps:
                break
            assert running.poll() is None
            time.sleep(0.1)
    finally:
        running.kill()
        running.wait()
    assert not (out / "parts" / "pretraining-0.json").exists()
    go(out)
    assert numbers_of(out) == numbers_of(whole)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_time_is_kept(road, tmp_path, monkeypatch):
    whole, _ = road
    out = tmp_path / "stopped"
    shutil.copytree(whole, out)
    (out / "parts" / "chat-0.json").unlink()

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("playbook.journey_stages.hold_talk", stop)
        sentence = go(out)
    assert "stopped; the same command goes on" in sentence
    spent = json.loads((out / "parts" / "spent.json").read_text())
    assert (
        spent["chat-0"][0] > json.loads((whole / "parts" / "spent.json").read_text())["chat-0"][0]
    )
    go(out)
    assert numbers_of(out) == numbers_of(whole)


# ---- What cannot be gone.


def settings_with(**changed) -> str:
    kept = {"road": {"seed": 0, **asdict(QUICK), **changed}, "precision": "float32"}
    return json.dumps(kept)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, ["--seed", "10"], "--seed 10 must be at most 9"),
        ({}, ["--seed", "-1"], "--seed -1 must be at least 0"),
        ({}, ["--threads", "0"], "--threads 0 must be at least 1"),
        ({}, ["--device", "tpu"], "tpu"),
        ({"thesis.txt": "all of it"}, [], "holds something else: take another --out folder"),
        ({"settings.json": "{"}, [], "settings.json is damaged: take another --out folder"),
        ({"settings.json": "[]"}, [], "settings.json is damaged: take another --out folder"),
        ({"settings.json": settings_with(depth=5)}, [], f"depth 5, not {QUICK.depth}"),
        ({"settings.json": settings_with(seed=1)}, [], "a road with seed 1, not 0"),
        (
            {"settings.json": settings_with(), "parts/tokenizer-0.json": '{"rows": {}'},
            [],
            "tokenizer-0.json is damaged: delete it",
        ),
    ],
)
def test_what_cannot_be_gone_is_said_in_one_sentence(tmp_path, files, options, message):
    for name, text in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    there = sorted(tmp_path.glob("out/*"))
    sentence = go(tmp_path / "out", *options)
    assert isinstance(sentence, str) and sentence.startswith("journey: ")
    assert message in sentence and len(sentence.splitlines()) == 1
    assert {*there} <= {*tmp_path.glob("out/*")} <= {*there, tmp_path / "out" / "parts"}


def test_a_file_is_no_folder_for_a_road(tmp_path):
    (tmp_path / "taken").write_text("")
    assert "taken" in go(tmp_path / "taken")


# ---- The line.


def test_the_line_knows_the_end(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(playbook.journey_line.time, "monotonic", lambda: now[0])
    expected = {("a", 0): 10.0, ("b", 0): 30.0, ("b", 1): 60.0}
    line = Line(expected, ["a", "b"], io.StringIO())
    assert line.whole() == 0 and line.left() == 100
    with line.part(("a", 0)):
        now[0] += 20
    line.end(("a", 0), 20.0)  # twice as slow as expected
    assert line.whole() == pytest.approx(0.1) and line.left() == pytest.approx(180)
    with line.part(("b", 0)):
        line.tick(0.5)  # goes on from there
        now[0] += 30
        line.tick(1.0)
        assert line.whole() == pytest.approx(0.4) and line.left() == pytest.approx(120)
    line.end(("b", 0), 60.0)
    line.end(("b", 1), 120.0)
    assert line.whole() == 1 and line.left() == 0
    line.close()


def test_a_part_that_takes_too_long_does_not_pass_its_end(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(playbook.journey_line.time, "monotonic", lambda: now[0])
    file = io.StringIO()
    line = Line({("a", 0): 10.0, ("b", 0): 10.0}, ["a", "b"], file)
    with line.part(("a", 0)):
        now[0] += 1000
        line.show()
        assert line.whole() < 0.5
    assert "stage 1 of 2: a" in file.getvalue()
    line.close()


# ---- Rows and bands.


def test_a_gain_counts_only_beyond_its_interval():
    measure = MEASURE_OF["DPO"]
    sure = make_row(measure, [0.40, 0.42, 0.41], [0.50, 0.52, 0.52])
    luck = make_row(measure, [0.40, 0.42, 0.41], [0.50, 0.40, 0.45])
    worse = make_row(measure, [0.50, 0.52, 0.52], [0.40, 0.42, 0.41])
    assert [row["improves"] for row in (sure, luck, worse)] == [True, False, False]
    less = make_row(MEASURE_OF["pretraining"], [2.0, 2.1, 2.2], [1.0, 1.1, 1.2])
    assert less["improves"] and less["gain"] == pytest.approx(-1)
    assert make_row(MEASURE_OF["DPO, cost"], [0.5, 0.5], [0.1, 0.2])["improves"] is None


def test_an_interval_is_students_or_wilsons():
    row = make_row(MEASURE_OF["DPO"], [0.0, 0.0, 0.0], [0.1, 0.2, 0.3])
    assert row["interval"] == pytest.approx([0.2 - 0.2484, 0.2 + 0.2484], abs=1e-4)
    talk = make_row(MEASURE_OF["chat"], [0.0] * 10, [1.0] * 10)
    assert talk["interval"] == pytest.approx([0.7225, 1.0], abs=1e-4)
    counted = make_row(MEASURE_OF["int8"], [2.0], [1.0])
    assert counted["interval"] == [1.0, 1.0] and counted["improves"]


def test_a_band_is_as_wide_as_seeds_differ_and_never_narrower_than_said():
    same = make_row(MEASURE_OF["DPO"], [0.4] * 3, [0.5] * 3)
    assert band_of(same) == pytest.approx([0.44, 0.56])
    apart = make_row(MEASURE_OF["DPO"], [0.4] * 3, [0.3, 0.5, 0.7])
    half = 4.3027 * 0.2 * (2 / 3) ** 0.5
    assert band_of(apart) == pytest.approx([0.5 - half, 0.5 + half], abs=1e-4)
    assert LEAST == {"%": 6.0, "": 0.03}
    assert "six points to either side of a share, and three percent" in PAGE


# ---- What is asked, and what is learned from.


@pytest.mark.parametrize("part", range(3))
def test_no_stage_learns_from_a_question_that_is_asked(tmp_path, part):
    road = Road(tmp_path, FULL, 0, torch.device("cpu"), "float32")
    asked = {key(entry) for entry in road.asked()}
    assert len(asked) == FULL.asked
    sizes = {"learned": FULL.tasks, "compared": FULL.compared, "rewarded": FULL.rewarded}
    for purpose, n in sizes.items():
        learned = {key(entry) for entry in road.tasks(n, purpose, part)}
        assert len(learned) == n and not learned & asked
    assert "with the same questions, from which no stage learns" in PAGE


# ---- The talks.


def test_a_talks_last_question_needs_the_ones_before_it():
    talks = make_talks(FULL.talks)
    assert len({json.dumps(talk, sort_keys=True) for talk in talks}) == FULL.talks
    assert all(talk["history"] and len(talk["instruction"]) < 60 for talk in talks)


# ---- The record, and its page.


@pytest.mark.parametrize("size", [FULL, QUICK], ids=lambda size: size.name)
def test_the_record_follows_from_todays_code(size):
    record = read_record(record_path(size.name))
    assert record["settings"].items() >= {"seed": 0, **asdict(size)}.items()
    assert [*record["rows"]] == ROWS
    for name, row in record["rows"].items():
        again = make_row(MEASURE_OF[name], row["befores"], row["values"])
        assert again == {key: row[key] for key in again}
        low, high = band_of(row)
        assert low <= row["value"] <= high
    assert {row["row"] for row in record["rows"].values() if row["cpu"]} == {
        stage.name for stage in STAGES
    }


def test_the_recorded_road_took_no_hour_and_held_the_whole_talk():
    """By the clock, on two cores that did nothing else."""
    record = reference("full")
    rows = record["rows"]
    assert record["settings"]["threads"] == 2
    assert sum(row["seconds"] for row in rows.values()) < 3600
    assert [said for said, _ in rows["chat"]["talk"]] == list(TALK)


@pytest.mark.parametrize(("name", "language"), [("journey.md", "en"), ("journey.ko.md", "ko")])
def test_the_page_shows_the_records_numbers(name, language, monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", language)
    env = {"device": "cpu", "system": "s", "versions": {}, "commit": "c", "switches": {}}
    _, page = make_book({}, [], env, ROOT, ["journey"]).pages
    text = page.text
    record = reference("full")
    for row in record["rows"].values():
        for value in (row["before"], row["value"]):
            assert number(value, MEASURE_OF[row["row"]].unit) in text
        if row["cpu"]:
            assert f"| {row['seconds'] / 60:.1f} | {row['cpu'] / 60:.1f} |" in text
    assert record["settings"]["processor"] in text
    assert all(answer in text for _, answer in record["rows"]["chat"]["talk"])
    assert ("사전 훈련" in text) == (language == "ko")
    # Every number of a run comes from the record: the page itself has none.
    assert not re.findall(r"\d\.\d", (ROOT / "playbook" / name).read_text(encoding="utf-8"))


def test_the_page_shows_the_readers_own_road_if_there_is_one(tmp_path):
    path = record_path("full")
    (tmp_path / OWN).parent.mkdir(parents=True)
    own = json.loads(path.read_text(encoding="utf-8"))
    own["settings"]["processor"] = "my own"
    (tmp_path / OWN).write_text(json.dumps(own))
    assert "| my own |" in part_of_page("where", tmp_path, str)
    own["rows"] = own["rows"][:3]  # on its way
    (tmp_path / OWN).write_text(json.dumps(own))
    assert "| my own |" not in part_of_page("where", tmp_path, str)
    (tmp_path / OWN).write_text("{")
    with pytest.raises(ValueError, match="journey.json is damaged"):
        part_of_page("rows", tmp_path, str)
    with pytest.raises(ValueError, match="'costs' is no part of the road; there are: where"):
        part_of_page("costs", tmp_path, str)


def test_the_page_asks_for_every_part():
    assert re.findall(r'journey\("(\w+)"\)', PAGE) == [*PARTS]
    for stage in STAGES:
        assert f"| {stage.name} |" in PAGE


def test_every_word_of_a_row_has_its_korean():
    words = {word for m in MEASURES for word in (m.row, m.what, m.against)}
    assert {word for word in words if word not in KOREAN} == {"DPO", "GRPO"}
