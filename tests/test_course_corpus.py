"""The corpus of the course's own model: what it must hold, and what it must never say."""

import re
from collections import Counter, defaultdict
from itertools import islice

import pytest

from ch02.tokenizer import BPETokenizer
from ch05.course_model.corpus import (
    BYTES_PER_TOKEN,
    LATE_BYTES_PER_TOKEN,
    PERSON_KINDS,
    REGISTERS,
    SEPARATOR,
    capital,
    generate_documents,
    main,
    phrasing_name,
    static_slots,
    write_documents,
)
from ch05.course_model.recall import ALSO_ASKED, KINDS
from ch05.course_model.world import FACTS, HELD_OUT_SUMS, PEOPLE, is_held_out_sum, lexicon, split
from ch05.course_model.world.phrasings import PHRASINGS
from ch05.course_model.world.words import WEEKDAYS
from ch05.gpt_weights import load_pretrained
from ch06.messages import make_messages

SAMPLE_BYTES = 4_000_000
PER_MILLION = 6  # every fact is told at least so often in a million tokens,
PER_MILLION_OF_PEOPLE = 3  # what a person likes is colour; no exercise asks for it,
PER_MILLION_ON_AVERAGE = 10  # and the facts of each kind so often on average


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(generate_documents(seed=1, n_bytes=SAMPLE_BYTES))


@pytest.fixture(scope="module")
def sample(texts) -> str:
    return "\n".join(texts)


def sentences_of(text: str) -> list[str]:
    return [s for s in re.split(r'(?<=[.!?])\s+|(?<=[.!?]")\s+|\n', text) if s]


def words_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+|\d+", text)


def find_all(pattern: str, text: str) -> Counter:
    return Counter(match.group() for match in re.finditer(pattern, text))


# --- the same again, and never the same twice


def test_a_seed_writes_one_corpus():
    first, again, other = (list(generate_documents(seed, 200)) for seed in (3, 3, 4))
    assert first == again
    assert len(set(first) & set(other)) < 5  # a few short messages may agree


def test_size_is_given_in_documents_or_bytes():
    assert len(list(generate_documents(0, n_documents=7))) == 7
    sizes = [len(text) for text in generate_documents(0, n_bytes=20_000)]
    assert sum(sizes) - sizes[-1] < 20_000 <= sum(sizes)
    with pytest.raises(ValueError, match="n_documents=-1"):
        next(generate_documents(0, n_documents=-1))


def test_every_register_is_written():
    seen = Counter(document.register for document in islice(write_documents(0), 2000))
    assert seen.keys() == REGISTERS.keys()


def test_documents_begin_in_many_ways(texts):
    openings = Counter(sentences_of(text)[0] for text in texts)
    assert len(openings) > len(texts) / 3
    assert openings.most_common(1)[0][1] < len(texts) / 50
    long = [text for text in texts if len(text) > 200]
    assert len(set(long)) > 0.999 * len(long)


# --- the world


def test_world_is_large_enough():
    assert len(PEOPLE) >= 60
    assert len(FACTS["plural"]) >= 250
    assert len(FACTS["past"]) >= 160
    assert len(FACTS["opposite"]) >= 180  # ninety pairs, both ways
    assert len(FACTS["region"]) >= 60 and len(FACTS["capital"]) >= 50
    assert len(lexicon()) > 1500


def test_people_keep_names_apart():
    for trait in ("trade", "habit", "favourite"):
        assert len({getattr(person, trait) for person in PEOPLE.values()}) == len(PEOPLE)


def test_a_key_has_one_answer_and_some_facts_are_asked():
    for kind, facts in FACTS.items():
        assert len({fact.key for fact in facts}) == len(facts), kind
        assert 0.35 < sum(fact.asked for fact in facts) / len(facts) < 0.65, kind


@pytest.mark.parametrize("kind", FACTS)
def test_a_split_keeps_what_gives_each_other_away_together(kind):
    train, held_out = split(kind, 0.3)
    assert sorted(train + held_out) == sorted(FACTS[kind])
    assert 0.2 < len(held_out) / len(FACTS[kind]) < 0.4
    assert split(kind, 0.3) == (train, held_out) != split(kind, 0.3, seed=1)
    if kind in ("opposite", "sum"):
        told = {frozenset((*f.key, f.answer)) for f in train}
        assert not told & {frozenset((*f.key, f.answer)) for f in held_out}


def test_split_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="kind='sms' is not one of"):
        split("sms")


# --- what is told


def test_every_fact_is_told_often_enough(sample):
    facts_of = defaultdict(list)  # first word of the key -> facts and the words each one needs
    for fact in (fact for facts in FACTS.values() for fact in facts):
        facts_of[words_of(fact.key[0])[0]].append((fact, {*words_of(" ".join(fact.key))}))
    told = Counter()
    for sentence in re.split(r'(?<=[.!?"])\s|\n|;', sample):
        words = words_of(sentence)
        words = {*words, *(word[0].lower() + word[1:] for word in words)}
        for word in words:
            for fact, key in facts_of.get(word, ()):
                if key <= words and fact.answer in sentence.replace("\n", " "):
                    told[fact] += 1
                elif key <= words and fact.answer.capitalize() in sentence:
                    told[fact] += 1
    millions = len(sample) / BYTES_PER_TOKEN / 1e6
    every = [fact for facts in FACTS.values() for fact in facts]
    for fact in every:
        enough = PER_MILLION_OF_PEOPLE if fact.kind in PERSON_KINDS else PER_MILLION
        assert told[fact] / millions >= enough, fact
    for kind, facts in FACTS.items():
        average = sum(told[fact] for fact in facts) / len(facts) / millions
        assert average >= PER_MILLION_ON_AVERAGE, (kind, average)


def test_answers_stand_behind_a_space_and_at_the_start_of_a_line(sample):
    lines = {line.split(" ")[0].strip(".,;:") for line in sample.split("\n")}
    for kind in ("plural", "past", "opposite", "sound", "young", "river", "sum"):
        answers = {fact.answer for fact in FACTS[kind]}
        assert len(answers & lines) > 0.9 * len(answers), kind


def test_held_out_sums_never_occur(sample):
    assert len(HELD_OUT_SUMS) == 40
    pairs = re.findall(r"(?<!between )\b(\d+) (?:plus|and|\+|\w+ and gets) (\d+)", sample)
    assert len(pairs) > 1000
    assert not [pair for pair in pairs if is_held_out_sum(*map(int, pair))]
    pairs = re.findall(r"(\d+) (?:minus|less|-|take away|\w+ and gives away) (\d+)", sample)
    assert len(pairs) > 1000
    assert not [(c, b) for c, b in pairs if is_held_out_sum(int(c) - int(b), int(b))]
    for sentence in re.split(r"(?<=[.!?])\s|\n|;|, (?=\d+ (?:and|less) )", sample):
        numbers = [int(number) for number in re.findall(r"\d+", sentence)]
        for a, b, c in zip(numbers, numbers[1:], numbers[2:]):
            assert not (a + b == c and is_held_out_sum(a, b)), sentence
            assert not (a - b == c and is_held_out_sum(b, c)), sentence
            assert not (b - c == a and is_held_out_sum(a, c)), sentence


def test_facts_that_are_not_asked_are_never_answered(sample):
    """In any words of PHRASINGS; people apart, with the one exception that is known."""
    seen = {text.strip() for text in re.findall(r'[^.!?\n"]*[.?]', sample)}
    seen.update(sample.split("\n"))
    asked = defaultdict(Counter)  # kind and question -> how many facts it asks for, by their mark
    for fact in (fact for kind in FACTS.keys() - {*PERSON_KINDS} for fact in FACTS[kind]):
        for question in PHRASINGS[phrasing_name(fact)].questions:
            if "{xthings}" not in question:  # which things is a matter of chance
                text = capital(question.format_map(static_slots(fact)))
                is_there = text in (sample if ". " in text else seen)
                asked[fact.kind, question][fact.asked] += is_there
    assert all(counts[True] for counts in asked.values())
    wrong = {kind_and_question for kind_and_question, counts in asked.items() if counts[False]}
    assert wrong == {("category", "What is {ax}?")}


def test_recall_is_measured_on_kinds_that_are_only_told():
    assert {*ALSO_ASKED} == {*PERSON_KINDS, "category"} and not {*ALSO_ASKED} & {*KINDS}


def test_nobody_joins_after_the_third_sentence(texts):
    for text in texts:
        sentences = sentences_of(text)
        known = set(words_of(" ".join(sentences[:3]))) & PEOPLE.keys()
        later = set(words_of(" ".join(sentences[3:]))) & PEOPLE.keys()
        assert later <= known, text


# --- grammar


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("an unfilled place", r".{20}[{}|].{20}"),
        ("a doubled word", r"\b([A-Za-z]+) \1\b"),
        ("a doubled space", r".{20}  .{20}"),
        ("a space before a stop", r".{20} [.,;:?!](?!\w).{5}"),
        ("two stops", r".{20}[.,;:?!][.,;:].{5}"),
        ("a for an", r"\b[Aa] (?!useful|uni|one|eu)[aeiouAEIOU]\w*"),
        ("an for a", r"\b[Aa]n (?!hour|honest)[^aeiouAEIOU\W]\w*"),
        ("a sentence without a capital", r".{20}[a-z][.!?] [a-z]\w*"),
        ("a sign beyond ASCII", r"[^\n -~]"),
        ("an object as subject", r"\b(?:him|her) (?:is|was|has)\b"),
        ("one of many", r"\b1 (?!mile)\w+s\b(?<!glass)(?<!bus)(?<!dress)"),
    ],
)
def test_grammar(sample, fault, pattern):
    found = find_all(pattern, sample)
    for harmless in ("one one", "her was", "her is", "1 plus", "1 less", "1 minus", "1 is"):
        found.pop(harmless, None)
    assert not found, (fault, found.most_common(5))


def test_numbers_agree_with_their_plurals(sample):
    singular = {fact.key[0]: fact.answer for fact in FACTS["plural"]}
    numbers = "two|three|four|five|six|seven|eight|nine|[2-9]|[1-9][0-9]"
    counted = re.findall(rf"\b(?:{numbers}) ([a-z-]+)\b", sample)
    wrong = [noun for noun in counted if singular.get(noun, noun) != noun]
    assert len(counted) > 1000 and not wrong, Counter(wrong).most_common(5)


# --- as material


def test_text_does_not_saturate_the_tokenizer(sample):
    tokenizer = BPETokenizer.train(sample[:3_000_000], 3000)
    assert tokenizer.vocab_size == 3000
    text = sample[-500_000:]
    assert len(text) / len(tokenizer.encode_ordinary(text)) == pytest.approx(
        BYTES_PER_TOKEN, rel=0.05
    )


def test_command_writes_the_corpus(tmp_path, capsys):
    out = tmp_path / "corpus.txt"
    main(["--megabytes", "0.2", "--seed", "5", "--out", str(out)])
    text = out.read_text(encoding="utf-8")
    assert 200_000 <= out.stat().st_size < 205_000
    parts = text.split(SEPARATOR)
    assert parts[:-1] == list(generate_documents(5, len(parts) - 1)) and parts[-1] == ""
    assert "documents" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--tokens", "--megabytes"])
@pytest.mark.parametrize("size", ["0", "-1", "inf", "nan", "1e-7"])
def test_a_size_that_is_none_is_refused(option, size, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([option, size, "--out", str(tmp_path / "corpus.txt")])
    assert stopped.value.code == 2 and "the size must be one byte" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_place_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="corpus: .*file"):
        main(["--megabytes", "0.1", "--out", str(tmp_path / "file" / "corpus.txt")])
    with pytest.raises(SystemExit):
        main(["--megabytes", "0.1", "--out", str(tmp_path)])
    assert "is a folder" in capsys.readouterr().err


# --- the late part: mail


def word_runs(text: str, n: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9£']+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


@pytest.fixture(scope="module")
def mail():
    documents = islice(write_documents(seed=3, late=True), 12_000)
    return [text for register, text in documents if register == "mail"]


def test_about_half_of_the_late_part_is_mail():
    documents = [*islice(write_documents(seed=4, late=True), 3000)]
    sizes = Counter()
    for register, text in documents:
        sizes[register] += len(text)
    assert 0.35 < sizes["mail"] / sizes.total() < 0.6
    assert "mail" not in {register for register, _ in islice(write_documents(seed=4), 3000)}


def test_no_six_words_of_a_message_of_chapter_6_stand_in_the_mail(mail):
    """The model may know the manners of such messages, never the sentences it will be tested on."""
    read = set().union(*(word_runs(text, 6) for text in mail))
    shared = {run for m in make_messages() for run in word_runs(m.text, 6)} & read
    times = {"half", "past", "noon", *(day.lower() for day in WEEKDAYS)}  # "on Sunday at half past"
    assert not {run for run in shared if not times & {*run}}


def test_the_late_part_has_fewer_bytes_to_a_token():
    tokenizer = load_pretrained("course")[1]
    for late, expected in ((False, BYTES_PER_TOKEN), (True, LATE_BYTES_PER_TOKEN)):
        text = "\n".join(generate_documents(seed=6, n_bytes=400_000, late=late))
        measured = len(text) / len(tokenizer.encode_ordinary(text))
        assert measured == pytest.approx(expected, rel=0.02)


def test_mail_is_filled(mail):
    assert not [text for text in mail if re.search(r"[{}]", text)]
    assert len({*mail}) > 0.9 * len(mail)
