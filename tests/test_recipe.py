"""A folder of books becomes tokens, and a search among recipes is held against luck."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from ch05.bonus import recipe as module
from ch05.bonus.recipe import (
    FULL,
    NOISE_SEEDS,
    RATES,
    RECORD,
    SEEDS,
    Recipe,
    Runs,
    all_experiments,
    best_rate,
    clean_books,
    count_bits,
    cut_book,
    draw_recipes,
    expected_best,
    is_row,
    make_model,
    make_optimizer,
    open_data,
    prepare_stand_ins,
    random_search,
    rate_share,
    read_book,
    repeat_again,
    successive_halving,
    tokens_to,
    train_once,
    unwrap,
    write_stand_ins,
)
from ch05.token_shards import prepare
from course.records import read_rows

# ---- Books.

NEW = "*** {} OF THE PROJECT GUTENBERG EBOOK A TITLE ***\n"
MARKERS = [
    (NEW.format("START"), NEW.format("END")),
    (NEW.format("START").replace("THE", "THIS"), NEW.format("END").replace("THE", "THIS")),
    ("***START OF THE PROJECT GUTENBERG EBOOK A***\n", "***END OF THE PROJECT GUTENBERG EBOOK A"),
    ("*** START OF THE PROJECT GUTENBERG EBOOK A\nTITLE ***\n", "End of Project Gutenberg's A"),
    ("*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n", "End of the Project "
     "Gutenberg Etext of A Title"),
    ("*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.10/04/01*END*\n", "End of this Project "
     "Gutenberg EBook"),
]  # fmt: skip


@pytest.mark.parametrize(("begin", "end"), MARKERS)
def test_a_book_is_cut_at_its_markers_of_whatever_year(begin: str, end: str):
    book = "CHAPTER I\n\nIt began *** so.\n\nThe end of the story."
    front = f"Title: A\nLicence.\n{begin}\n\nProduced by somebody\nand others\n\n"
    text = f"{front}\n{book}\n\n\n{end}\nFull"
    assert cut_book(text) == book


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A story without any marker.", "where the book begins"),
        (NEW.format("START") + "It broke o", "where the book ends"),
        (NEW.format("END") + NEW.format("START") + "The wrong way round", "where the book ends"),
    ],
)
def test_what_is_no_whole_book_is_refused_with_its_reason(text: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        cut_book(text)


def test_lines_of_a_paragraph_are_joined_and_verse_stays():
    text = "One\nparagraph.\n\n  A verse\n  and another\n \n\nOne\nmore."
    assert unwrap(text) == "One paragraph.\n\n  A verse\n  and another\n\nOne more."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_book_is_read_in_its_encoding(encoding: str, tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes("Zoë said “no”.\r\n".encode(encoding))
    assert read_book(path) == "Zoë said “no”.\n"


def test_books_are_written_and_the_others_are_named(tmp_path: Path):
    write_stand_ins(tmp_path / "books", 4, 3000)
    left_out = clean_books(tmp_path / "books", tmp_path / "texts")
    assert [*left_out] == ["04-part.txt", "note.txt"]
    texts = {p.name: p.read_text("utf-8") for p in (tmp_path / "texts").iterdir()}
    assert [*sorted(texts)] == [
        "01-0.txt",
        "02-0.txt",
        "02-8.txt",
        "03-0.txt",
        "03-8.txt",
        "04-0.txt",
    ]
    for text in texts.values():
        assert "Zoë Kim" in text and "\r" not in text
        assert not any(
            word in text for word in ("Gutenberg", "GUTENBERG", "Section 1.", "Produced")
        )
    assert texts["02-0.txt"].lower() == texts["02-8.txt"].lower()
    assert texts["03-0.txt"] != texts["03-8.txt"]


def test_duplicates_are_found_behind_the_cut(tmp_path: Path):
    write_stand_ins(tmp_path / "books", 4, 20_000)
    clean_books(tmp_path / "books", tmp_path / "texts")
    index = prepare([tmp_path / "texts"], tmp_path / "data", "own", 300, "near")
    assert index["dropped"] == {"exact": 1, "near": 1, "empty": 0}


def test_the_command_cleans_a_folder_and_refuses_what_it_cannot(refusal, tmp_path, capsys):
    write_stand_ins(tmp_path / "books", 2, 1000)
    out = tmp_path / "texts"
    assert refusal(module, "books", tmp_path / "books", "--out", out) == ""
    assert "left out: note.txt: no marker says" in capsys.readouterr().out
    said = refusal(module, "books", tmp_path / "books", "--out", out)
    assert said == f"recipe: {out} holds something already: take another folder"
    (tmp_path / "empty").mkdir()
    said = refusal(module, "books", tmp_path / "empty", "--out", tmp_path / "new")
    assert "holds no book in Project Gutenberg's form" in said
    assert not (tmp_path / "new").exists()


# ---- Runs.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    write_stand_ins(folder / "books", 4, 20_000)
    return open_data(prepare_stand_ins(folder, folder / "books"), 4096)


def test_held_out_halves_are_no_part_of_the_training_and_share_nothing(data):
    n = len(data.shards.validation)
    chosen, reported = (
        torch.cat([y[y >= 0] for _, y in half]).tolist() for half in (data.choose, data.report)
    )
    stream = data.shards.validation[:n].tolist()
    assert chosen == stream[1 : len(chosen) + 1]
    middle = min(n, 4096) // 2
    assert reported == stream[middle + 1 : middle + 1 + len(reported)]
    assert data.shards.train.stop == data.shards.validation.start


def test_the_same_seed_makes_the_same_run_and_another_one_another(data):
    runs = [train_once(Recipe(), data, 2048, seed) for seed in (1, 1, 2)]
    bits = [(row["bits"], row["report"], row["curve"]) for row in runs]
    assert bits[0] == bits[1] != bits[2]
    assert 0 < runs[0]["bits"] < math.log2(512)


def test_a_run_that_breaks_counts_as_one_that_knows_nothing(data, monkeypatch):
    def broken(*_, **__):
        raise ValueError("the loss of step 3 is nan")

    monkeypatch.setattr(module, "train_steps", broken)
    row = train_once(Recipe(), data, 2048, 1)
    guess = data.bits(math.log(data.shards.tokenizer.vocab_size))
    assert row["bits"] == row["report"] == round(guess, 4) and row["curve"] == []


def test_counting_costs_less_than_guessing_and_as_much_as_the_entropy(data):
    guess = data.bits(math.log(data.shards.tokenizer.vocab_size))
    targets = torch.cat([y[y >= 0] for _, y in data.choose]).numpy()
    shares = np.bincount(targets) / len(targets)
    assert data.bits(stats.entropy(shares)) < count_bits(data) < guess


@pytest.mark.parametrize("schedule", ["constant", "cosine", "wsd"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_a_schedule_rises_to_the_peak_and_never_above(schedule: str, warmup: float):
    share = rate_share(Recipe(warmup=warmup, schedule=schedule), 100)
    shares = [share(step) for step in range(100)]
    assert max(shares) == 1 and min(shares) > 0
    top = shares.index(1)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert shares[-1] == {"constant": 1, "cosine": shares[-1], "wsd": 1 / 20}[schedule]
    assert schedule != "cosine" or shares[-1] < 0.01
    assert share(79) == 1 or schedule == "cosine"


@pytest.mark.parametrize("width", [32, 64])
def test_first_weights_suit_the_width(width: int):
    model = make_model(width, 300, seed=0)
    assert model.tok_emb.weight.std().item() == pytest.approx(0.02 * (768 / width) ** 0.5, rel=0.05)
    assert model.config.emb_dim // model.config.n_heads == 16


@pytest.mark.parametrize("name", RATES)
def test_each_optimizer_moves_every_weight_with_the_recipes_rate(name: str):
    model = make_model(32, 300, seed=0)
    optimizer = make_optimizer(Recipe(lr=0.01, weight_decay=0.5, optimizer=name), model)
    assert {group["lr"] for group in optimizer.param_groups} == {0.01}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.5}
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters()}


# ---- Searches.


class Pretended(Runs):
    """Runs whose bits a formula gives."""

    def __init__(self, bits):
        super().__init__(None)
        self.bits = bits

    def __call__(self, recipe: Recipe, tokens: int, seed: int) -> dict:
        row = {"recipe": asdict(recipe), "tokens": tokens, "seed": seed}
        self.rows.append(row | {"bits": self.bits(recipe, tokens, seed)})
        return self.rows[-1]


def test_recipes_are_drawn_over_all_powers_of_ten_and_again_the_same():
    recipes = draw_recipes(2000)
    powers = np.log10([r.lr for r in recipes])
    assert np.histogram(powers, bins=3, range=(-4, -1))[0] == pytest.approx([667] * 3, abs=100)
    assert {r.batch_size for r in recipes} == {4, 8, 16}
    assert recipes[:40] == draw_recipes(40) != draw_recipes(40, seed=1)


def test_random_search_tries_each_once_with_a_seed_of_its_own():
    runs = Pretended(lambda recipe, tokens, seed: recipe.lr)
    recipes = draw_recipes(10)
    rows = random_search(runs, recipes, 100)
    assert [row["recipe"]["lr"] for row in rows] == sorted(r.lr for r in recipes)
    assert {row["seed"] for row in runs.rows} == set(range(100, 110))
    assert repeat_again(rows) == [Recipe(**rows[i]["recipe"]) for i in (0, 1, 2, 5)]


def test_halving_keeps_the_better_half_and_costs_what_a_search_costs():
    runs = Pretended(lambda recipe, tokens, seed: recipe.lr)
    recipes = draw_recipes(40)
    rounds = successive_halving(runs, recipes, 100)
    assert [len(rows) for rows in rounds] == [40, 20, 10, 5]
    assert rounds[-1][0]["recipe"]["lr"] == min(r.lr for r in recipes)
    assert sum(row["tokens"] for row in runs.rows) == 40 * 400
    best = sorted(r.lr for r in recipes)
    assert [row["recipe"]["lr"] for row in rounds[1]] == best[:20]


def test_the_best_rate_is_that_of_the_lowest_mean():
    def bits(recipe, tokens, seed):
        lucky = recipe.lr == 0.016 and seed == 2  # one run is the best of all
        return 0.0 if lucky else abs(math.log2(recipe.lr / 0.004)) + 1

    assert best_rate(Pretended(bits), Recipe(), 100).lr == 0.004


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_expected_best_is_that_of_draws(n: int):
    drawn = np.random.default_rng(0).normal(size=(40_000, n)).min(axis=1)
    assert expected_best(n) == pytest.approx(drawn.mean(), abs=4 * stats.sem(drawn))


def test_tokens_to_a_loss_lie_on_the_curve_and_not_outside():
    tokens, curve = [100, 200, 400], [3.0, 2.5, 2.0]
    assert tokens_to(2.5, tokens, curve) == pytest.approx(200)
    assert tokens_to(2.25, tokens, curve) == pytest.approx(200 * 2**0.5)
    for bits in (3.1, 1.9):
        with pytest.raises(ValueError, match="lie outside of the curve"):
            tokens_to(bits, tokens, curve)


def test_a_run_is_made_once_and_a_record_alone_makes_none(data):
    kept = []
    runs = Runs(data, keep=lambda rows: kept.append(len(rows)))
    first = runs(Recipe(), 512, 1)
    assert runs(Recipe(), 512, 1) is first and kept == [1]
    runs(Recipe(), 512, 2)
    known = Runs(None, json.loads(json.dumps(runs.rows)))
    assert known(Recipe(), 512, 2) == runs.rows[1]
    with pytest.raises(LookupError, match="the record has no run"):
        known(Recipe(), 512, 3)


# ---- The record.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens")
    write_stand_ins(path / "books", 4, 5000)
    return prepare_stand_ins(path, path / "books")


def test_the_command_keeps_every_run_and_goes_on(refusal, folder, tmp_path, monkeypatch, capsys):
    path, made, stop_at = tmp_path / "record.json", [], [30]

    def quick(recipe: Recipe, data, n_tokens: int, seed: int) -> dict:
        if len(made) == stop_at[0]:
            raise KeyboardInterrupt
        made.append((recipe, n_tokens, seed))
        bits = abs(math.log10(recipe.lr / 0.01)) + 1e5 / n_tokens + seed / 1e4
        return {"bits": bits, "report": bits, "cpu_seconds": 1.0, "curve": [bits]}

    monkeypatch.setattr(module, "train_once", quick)
    options = ("record", "--data", folder, "--record", path, "--configurations", 8)
    assert refusal(module, *options) == "\nrecipe: stopped; what is done is kept"
    assert len(json.loads(path.read_text())["rows"]) == 30
    stop_at[0] = None
    assert refusal(module, *options) == ""
    assert len(made) == len(set(made)) > 30  # none twice
    assert f"{len(made)} runs, " in capsys.readouterr().out
    said = refusal(module, *options, "--tokens", 1024)
    assert "holds runs with tokens 65536, not 1024" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tokens", 10), "--tokens 10 must be at least 512"),
        (("--configurations", 4), "--configurations 4 must be at least 8"),
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--data", "nowhere"), "nowhere/index.json is not there"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    said = refusal(module, "record", "--record", path, *options)
    assert said.replace("\\", "/").startswith(f"recipe: {message}") and not path.exists()


def test_a_damaged_record_is_refused(refusal, folder, tmp_path):
    path = tmp_path / "record.json"
    path.write_text('{"settings": {}, "rows": [{"recipe": {"speed": 1}}]}')
    said = refusal(module, "record", "--data", folder, "--record", path)
    assert said == f"recipe: {path} is damaged: take another --record, or delete it"


def test_the_record_has_every_run_that_the_experiments_ask_for():
    rows = read_rows(Path(str(RECORD)), is_row)
    runs = Runs(None, rows)
    all_experiments(runs, 40, FULL)  # trains nothing: a run that is missing is an error
    assert len({Runs.key(**row) for row in rows}) == len(rows)
    assert len(SEEDS) == 3 and len(NOISE_SEEDS) >= 8
    assert sum(row["cpu_seconds"] for row in rows) < 30 * 60


def test_the_records_text_is_still_what_the_stand_ins_are(tmp_path):
    settings = json.loads(RECORD.read_text(encoding="utf-8"))["settings"]
    data = open_data(prepare_stand_ins(tmp_path))
    assert data.shards.index["sha256"].startswith(settings["data"])
    assert count_bits(data) == pytest.approx(settings["counts"], abs=1e-3)
