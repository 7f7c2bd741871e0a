"""The course's instructions: nothing of the test is given away, and every answer is right."""

import json
import re
import sys
from collections import Counter

import pytest
from test_course_model_tasks import CHECKS as TASK_CHECKS

from ch05.course_model.corpus import THINGS, generate_documents
from ch05.course_model.measure import INVENTED_KINDS
from ch05.course_model.tasks import Task
from ch05.course_model.world import FACTS, PEOPLE, VERBS, Fact, is_held_out_sum
from ch05.course_model.world.earth import DEED_OF
from ch05.course_model.world.words import MONTHS, WEEKDAYS
from ch07 import instructions
from ch07.gpt_instruction_finetuning import check_entries
from ch07.instructions import (
    FACT_KIND,
    FOLLOW_UPS,
    KINDS,
    MANNERS,
    SIZES,
    SPLITS,
    TEXTS,
    WORDINGS,
    divide,
    key,
    make_instructions,
)

ENTRIES = make_instructions()
OF = {name: [entry for entry in ENTRIES if entry["split"] == name] for name in SPLITS}
FACT_OF = {kind: {fact.key: fact for fact in facts} for kind, facts in FACTS.items()}
# How a fact is said that somebody asks for.
SENTENCES = {
    "plural": "The plural of {x} is {y}.",
    "past": "The past tense of {x} is {y}.",
    "opposite": "The opposite of {x} is {y}.",
    "category": "{ax} is {ay}.",
    "spelling": "The right spelling is {y} and not {x}.",
    "capital": "The capital of {x} is {y}.",
    "continent": "{x} is a country in {y}.",
    "language": "The people of {x} speak {y}.",
    "river": "The river that flows through {x} is the {y}.",
    "maker": "The one who {v} {x} was {y}.",
    "workplace": "{ax} works in {ay}.",
    "material": "People make {x} from {y}.",
    "count": "{x} has {y} {z}.",
    "colour": "The {x} is {y}.",
    "sound": "{ax} can {y}.",
    "home": "The home of the {x} is the {y}.",
    "young": "A young {x} is called {ay}.",
}


def turns(entry: dict) -> list[dict]:
    return [*entry.get("history", []), entry]


def text_of(entry: dict) -> str:
    return " ".join(t[n] for t in turns(entry) for n in ("instruction", "input", "output"))


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def words_in_order(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def asked_key(entry: dict) -> tuple[str, ...]:
    """What a question of a kind of fact is about: found in its text, not taken from its making."""
    text = f"{entry['instruction']} {entry['input']}"
    kind = FACT_KIND[entry["kind"]]
    if kind == "sum":
        return tuple(map(str, numbers(text)))
    found = [
        k
        for k in FACT_OF[kind]
        if all(re.search(rf"\b{re.escape(part)}\b", text, flags=re.I) for part in k)
    ]
    wording = words(" ".join(WORDINGS[entry["kind"]]))
    if others := [k for k in found if not words(k[0]) <= wording]:
        return max(others, key=lambda k: len(k[0]))
    return max(found, key=lambda k: text.lower().rfind(k[0].lower()))  # "write down ... of give"


def fact_sentence(kind: str, fact: Fact) -> re.Pattern:
    """The sentence that answers a question for a fact, from the table of facts."""
    x, y = re.escape(fact.key[0]), re.escape(fact.answer)
    texts = {"x": x, "y": y, "ax": f"An? {x}", "ay": f"an? {y}", "z": re.escape(fact.key[-1])}
    if kind == "maker":
        texts["v"] = DEED_OF[fact.key[0]][0]
    if SENTENCES[kind].startswith("{x}"):
        texts["x"] = x[0].upper() + x[1:]
    return re.compile(re.sub(r"\.$", r"\.", SENTENCES[kind]).format_map(texts))


def has_right_fact(entry: dict) -> bool:
    """Whether an answer tells the fact whose key stands in the question."""
    fact = FACT_OF[FACT_KIND[entry["kind"]]][asked_key(entry)]
    return fact_sentence(entry["kind"], fact).fullmatch(entry["output"]) is not None


def has_right_turns(entry: dict) -> bool:
    """Whether each turn tells its fact: of the kind that the last complete question asks for."""
    kind = None
    for turn in turns(entry):
        asked = turn["instruction"]
        for name, (question, _) in FOLLOW_UPS.items():
            pattern = re.escape(question)
            pattern = re.sub(r"\\{a?\w\\}", ".+", pattern)
            kind = name if re.fullmatch(pattern, asked) else kind
        facts = FACT_OF[FACT_KIND[kind]].values()
        named = [
            fact
            for fact in facts
            if re.search(rf"\b{re.escape(fact.key[0])}( live| make)?\?$", asked)
            and (kind != "maker" or f" {DEED_OF[fact.key[0]][0]} " in asked)
        ]
        fact = max(named, key=lambda fact: len(fact.key[0]))
        if not fact_sentence(kind, fact).fullmatch(turn["output"]):
            return False
    return True


SLOT_FORMS = {"A": "|".join(PEOPLE), "B": "|".join(PEOPLE), "athing": r"an? [\w-]+"}
SLOT_FORMS |= {"thing": r"[\w-]+", "n": "[a-z]+", "did": ".+", "fav": ".+", "hour": ".+"}


def pattern_of(template: str, known: dict[str, str]) -> re.Pattern:
    """A template turned round: what is known is put in, and the other slots are groups."""

    def group(slot: re.Match) -> str:
        name = slot[1]
        if name in known:
            return re.escape(known[name])
        return f"(?P<{name}>{SLOT_FORMS.get(name, '.+')})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)))


def answers_in(entry: dict) -> set[str]:
    """What a text says to its question: by the template of both, which are read backwards."""
    asked = entry["instruction"].removeprefix("Read the text and answer: ")
    told = re.findall(r"[^.]+\.", entry["input"])
    found = set()
    for sentence, question, answer in TEXTS:
        if not (of_question := pattern_of(question, {}).fullmatch(asked)):
            continue
        known = of_question.groupdict()
        if "thing" in known:
            known["athing"] = ("an " if known["thing"][0] in "aeiou" else "a ") + known["thing"]
        for text in told:
            if of_sentence := pattern_of(sentence, known).fullmatch(text.strip()):
                found.add(answer.format_map(known | of_sentence.groupdict()))
    return found


def has_right_reading(entry: dict) -> bool:
    """Whether an answer is what the text says, and the only thing that it says to the question."""
    return answers_in(entry) == {entry["output"]}


def has_right_task(entry: dict) -> bool:
    """Whether the answer is right for one of the tasks of the pretraining corpus."""
    task = Task(entry["instruction"], entry["input"], entry["output"])
    for check in TASK_CHECKS.values():
        try:
            if check(task):
                return True
        except (ValueError, KeyError, IndexError):
            continue  # a task of another kind
    return False


CHECK_OF = {kind: has_right_fact for kind in FACT_KIND if kind != "sum"}
CHECK_OF |= {"follow-up": has_right_turns, "reading": has_right_reading, "task": has_right_task}


@pytest.mark.parametrize("kind", CHECK_OF)
def test_every_answer_is_the_one_of_its_question(kind: str):
    of_kind = [entry for entry in ENTRIES if entry["kind"] == kind]
    assert [entry for entry in of_kind if not CHECK_OF[kind](entry)] == []
    # The check itself: with the output of another entry none is right.
    others = [entry["output"] for entry in of_kind[1:] + of_kind[:1]]
    wrong = [e | {"output": o} for e, o in zip(of_kind, others) if o != e["output"]]
    assert len(wrong) > 0.7 * len(of_kind)
    assert [entry for entry in wrong if CHECK_OF[kind](entry)] == []


def test_earlier_turns_are_answered_right_too():
    histories = [entry["history"] for entry in ENTRIES if "history" in entry]
    assert len(histories) > 80
    for *before, last in histories:
        assert has_right_turns(last | {"history": before}), last
        assert not has_right_turns(last | {"output": "The plural of goose is gooses."})


def test_every_entry_is_in_alpacas_form():
    assert check_entries(ENTRIES) is ENTRIES
    assert {entry["kind"] for entry in ENTRIES} == set(KINDS) and len(KINDS) >= 12
    for text in (
        t[n] for e in ENTRIES for t in turns(e) for n in ("instruction", "input", "output")
    ):
        assert text == text.strip() and not re.search(r"[{}|]", text), text


def test_the_sizes_are_as_planned_and_the_kinds_about_equal():
    counts = {name: Counter(entry["kind"] for entry in OF[name]) for name in SPLITS}
    assert set(counts["train"]) == set(KINDS) - {"new sum"}
    assert set(counts["train"].values()) == {SIZES["train"]}
    assert set(counts["test"]) == set(KINDS) and min(counts["test"].values()) >= 10
    assert max(counts["test"].values()) == SIZES["test"] and len(OF["test"]) >= 600
    assert set(counts["development"]) == set(KINDS)


def test_at_least_half_of_the_facts_are_true_in_the_real_world():
    assert not {*FACT_KIND.values()} & {*INVENTED_KINDS}
    of_earth = ("capital", "continent", "language", "river", "maker", "workplace", "material")
    assert {*of_earth, "count"} <= {*FACT_KIND} and len(FACT_KIND) >= 16


def test_what_a_greeting_is_answered_with_is_learned_from_other_words():
    said = {
        name: {(e["instruction"], e["output"]) for e in OF[name] if e["kind"] == "manners"}
        for name in SPLITS
    }
    pairs = [[(text, output) for text in texts] for texts, output in MANNERS]
    assert said["train"] == {pair for of_one in pairs for pair in of_one[:-3]}
    assert said["development"] < {of_one[-3] for of_one in pairs}
    assert said["test"] == {pair for of_one in pairs for pair in of_one[-2:]}


def test_nothing_is_known_of_what_does_not_exist():
    for entry in (entry for entry in ENTRIES if entry["kind"] == "unknown"):
        (what,) = re.fullmatch(r"I do not know (\w+)\.", entry["output"]).groups()
        assert what in words_in_order(entry["instruction"]) and entry["input"] == ""
        for facts in FACT_OF.values():
            assert (what.lower(),) not in facts and (what,) not in facts, entry


def test_no_question_occurs_twice():
    assert len({key(entry) for entry in ENTRIES}) == len(ENTRIES)


def test_the_seed_decides_everything():
    assert make_instructions(0) == ENTRIES
    other = make_instructions(1)
    assert other != ENTRIES and Counter(e["kind"] for e in other) == Counter(
        e["kind"] for e in ENTRIES
    )


@pytest.mark.parametrize("kind", sorted(set(FACT_KIND.values())))
def test_the_splits_share_no_fact_and_none_that_gives_one_away(kind: str):
    sides = divide(kind)
    assert sorted(sum(sides.values(), [])) == sorted(FACTS[kind])
    groups = [{tuple(sorted((*f.key, f.answer))) for f in sides[name]} for name in SPLITS]
    assert all(groups)
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


@pytest.mark.parametrize("kind", [kind for kind in FACT_KIND if kind != "sum"])
def test_no_held_out_fact_stands_in_a_training_entry(kind: str):
    """In no turn of a training entry, of whatever kind, stand both the word and the answer."""
    trained = [words(text_of(turn | {"history": []})) for e in OF["train"] for turn in turns(e)]
    n_tested = 0
    for entry in OF["test"]:
        if entry["kind"] != kind:
            continue
        n_tested += 1
        fact = FACT_OF[FACT_KIND[kind]][asked_key(entry)]
        both = words(" ".join(fact.key)) | words(fact.answer)
        if fact.key[0].lower() == fact.answer.lower():
            continue  # put, put
        assert not [text for text in trained if both <= text], (fact, entry)
    assert n_tested >= 10


@pytest.mark.slow
def test_the_facts_of_a_test_are_in_the_corpus():
    corpus = "\n".join(generate_documents(5, n_bytes=4_000_000))
    sentences = [set(re.findall(r"\w+", s)) for s in re.split(r"[.\n;?!]", corpus.lower())]
    with_word = {}
    for i, sentence in enumerate(sentences):
        for word in sentence:
            with_word.setdefault(word, set()).add(i)
    for entry in OF["test"]:
        if entry["kind"] in ("plural", "opposite", "capital", "river", "maker", "young"):
            fact = FACT_OF[FACT_KIND[entry["kind"]]][asked_key(entry)]
            both = words(" ".join(fact.key)) | words(fact.answer)
            assert set.intersection(*(with_word.get(w, set()) for w in both)), fact


def test_sums_are_right_and_new_ones_were_never_added():
    for entry in ENTRIES:
        if entry["kind"] in ("sum", "new sum"):
            a, b = numbers(f"{entry['instruction']} {entry['input']}")
            assert entry["output"] == f"{a} plus {b} is {a + b}."
            assert is_held_out_sum(a, b) == (entry["kind"] == "new sum")
    trained = {
        frozenset(numbers(f"{e['instruction']} {e['input']}"))
        for e in OF["train"]
        if e["kind"] == "sum"
    }
    for entry in OF["test"]:
        if entry["kind"] == "sum":
            assert frozenset(numbers(f"{entry['instruction']} {entry['input']}")) not in trained


def test_lists_are_reversed_and_of_words_that_no_training_list_has():
    seen = {"train": set(), "test": set()}
    for entry in ENTRIES:
        if entry["kind"] == "reverse":
            given = entry["input"] or entry["instruction"].partition(": ")[2]
            assert list(reversed(given.split(", "))) == entry["output"].split(", ")
            if entry["split"] in seen:
                seen[entry["split"]] |= set(given.split(", "))
    assert not seen["train"] & seen["test"] and seen["test"] <= set(THINGS)


def test_patterns_go_on_as_they_began_and_the_tests_begin_otherwise():
    names = [list(row) * 2 for row in (WEEKDAYS, MONTHS)]
    beginnings = {name: set() for name in SPLITS}
    for entry in ENTRIES:
        if entry["kind"] == "pattern":
            given = entry["input"] or entry["instruction"].partition(": ")[2].rstrip("?")
            series = [*given.split(", "), entry["output"]]
            beginnings[entry["split"]].add(tuple(series[:2]))
            if series[0].isdigit():
                steps = {int(b) - int(a) for a, b in zip(series, series[1:])}
                assert len(steps) == 1
            else:
                rows = [row for row in names if series[0] in row]
                i = rows[0].index(series[0]) if rows else 0
                row = rows[0] if rows else series[:2] * 4
                assert row[i : i + len(series)] == series
    assert not beginnings["train"] & beginnings["test"] and len(beginnings["test"]) > 15


def test_passives_use_a_participle_and_verbs_that_training_has_not():
    of_participle = {(v.participle, r): v for v in VERBS.values() for r in v.rests if v.transitive}
    used = {name: set() for name in SPLITS}
    for entry in ENTRIES:
        if entry["kind"] == "passive":
            what, did, who = re.fullmatch(r"(.*) was (\w+) by (\w+)\.", entry["output"]).groups()
            verb = of_participle[did, what[0].lower() + what[1:]]
            used[entry["split"]].add(verb.base)
            text = f"{who} {verb.past} {what[0].lower()}{what[1:]}."
            assert text in f"{entry['instruction']} {entry['input']}"
    assert not used["train"] & used["test"] and len(used["test"]) > 10


def test_questions_keep_their_words_and_begin_with_the_helper():
    for entry in ENTRIES:
        if entry["kind"] == "question":
            first, *rest = entry["output"].rstrip("?").split()
            assert first in ("Did", "Will", "Can", "Is", "Was") and entry["output"].endswith("?")
            given = words(f"{entry['instruction']} {entry['input']}")
            missing = {word.lower() for word in rest} - given
            assert len(missing) <= (first == "Did")  # only the verb has another form


def test_a_follow_up_asks_what_the_turn_before_asked():
    of_first = {}
    for entry in ENTRIES:
        if entry["kind"] == "follow-up":
            assert 1 <= len(entry["history"]) <= 2 and len(entry["instruction"].split()) <= 6
            last = entry["history"][-1]
            assert entry["output"] != "" and last["instruction"] != entry["instruction"]
            of_first.setdefault(last["instruction"].split()[0], set()).add(entry["output"])
    assert len(of_first) >= 4 and all(len(outputs) > 1 for outputs in of_first.values())


def test_the_command_writes_what_check_entries_accepts(tmp_path, capsys):
    instructions.main(["--out", str(tmp_path / "new" / "i.json")])
    assert f"{len(OF['train'])} for train" in capsys.readouterr().out
    read = json.loads((tmp_path / "new" / "i.json").read_text(encoding="utf-8"))
    assert check_entries(read) == ENTRIES


@pytest.mark.skipif(sys.platform == "win32", reason="folders are made otherwise there")
def test_the_command_says_why_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="^instructions: "):
        instructions.main(["--out", str(tmp_path / "file" / "i.json")])
