"""The corpus of the course's own model: what it must hold, and what it must never say."""

import re
from collections import Counter, defaultdict
from itertools import islice

import pytest

from ch02.tokenizer import BPETokenizer
from ch05.course_model import pretrain
from ch05.course_model.corpus import (
    BYTES_PER_TOKEN,
    PERSON_KINDS,
    REGISTERS,
    SEPARATOR,
    Writer,
    capital,
    generate_documents,
    main,
    phrasing_name,
    static_slots,
    write_documents,
)
from ch05.course_model.measure import INVENTED_KINDS
from ch05.course_model.recall import ALSO_ASKED, KINDS
from ch05.course_model.tasks import read_texts
from ch05.course_model.world import FACTS, HELD_OUT_SUMS, PEOPLE, is_held_out_sum, lexicon, split
from ch05.course_model.world.earth import CONTINENTS, LANGUAGES, MAKERS
from ch05.course_model.world.phrasings import BACKWARDS, PHRASINGS, WITH_INPUT
from ch05.course_model.world.places import CAPITALS

SAMPLE_BYTES = 4_000_000
N_TOLD = 20  # every fact is told so often in the corpus of the recipe, as far as a sample can say,
PER_MILLION_OF_EARTH = 4  # facts of a kind so often on average in a million tokens,
PER_MILLION_INVENTED = 2  # and those of invented towns and people
WRITTEN = ("phone", "prose")  # registers that were written one by one
WITH_TASKS = ("page", "dialogue")  # registers in which words of tasks may stand in any order
DIGIT_VOCABULARY = 2048


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(generate_documents(seed=1, n_bytes=SAMPLE_BYTES))


@pytest.fixture(scope="module")
def sample(texts) -> str:
    return "\n".join(texts)


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    """The register and the text of some thousand documents."""
    return [*islice(write_documents(seed=2), 6000)]


@pytest.fixture(scope="module")
def made(documents) -> str:
    """What was made of templates."""
    apart = (*WRITTEN, *WITH_TASKS, "mail")
    return "\n".join(text for register, text in documents if register not in apart)


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
    openings.pop("Question:")  # as chapter 7's prompt does
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
    for kind in ("river", "continent", "language", "maker", "workplace", "material", "count"):
        assert len(FACTS[kind]) >= 40, kind
    assert len(lexicon()) > 1500


def test_people_keep_names_apart():
    for trait in ("trade", "habit", "favourite"):
        assert len({getattr(person, trait) for person in PEOPLE.values()}) == len(PEOPLE)


def test_a_key_has_one_answer_and_some_facts_are_asked():
    for kind, facts in FACTS.items():
        assert len({fact.key for fact in facts}) == len(facts), kind
        assert 0.75 < sum(fact.asked for fact in facts) / len(facts) < 0.85, kind


def test_countries_are_spelled_alike_in_all_tables():
    """A name that only one table knows could be a slip."""
    known = Counter([*CAPITALS, *CONTINENTS, *LANGUAGES])
    assert {*CONTINENTS.values()} == {"Europe", "Asia", "Africa", "North America", "South America"}
    assert sum(n == 1 for n in known.values()) < len(known) / 4
    assert not {name for name in known if known[name] == 1} & {*FACTS["region"]}


def test_who_made_what_is_true():
    """A few that everybody knows, against a table that is not the course's."""
    known = {"Hamlet": "Shakespeare", "the Mona Lisa": "Leonardo", "the Magic Flute": "Mozart"}
    known |= {"Emma": "Austen", "penicillin": "Fleming", "the Odyssey": "Homer"}
    assert [what for what, who in known.items() if who not in MAKERS[what]] == []


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
    recipe = pretrain.parse_arguments([]).tokens
    every = [fact for facts in FACTS.values() for fact in facts]
    rare = [fact for fact in every if told[fact] / millions * recipe < N_TOLD]
    # In the sample a fact may have bad luck; twice as often as one in a hundred is no luck.
    assert len(rare) < 0.02 * len(every), rare[:5]
    for kind, facts in FACTS.items():
        average = sum(told[fact] for fact in facts) / len(facts) / millions
        enough = PER_MILLION_INVENTED if kind in INVENTED_KINDS else PER_MILLION_OF_EARTH
        assert average >= enough, (kind, average)


def test_answers_stand_behind_a_space_and_at_the_start_of_a_line(sample):
    lines = {line.split(" ")[0].strip(".,;:") for line in sample.split("\n")}
    for kind in ("plural", "past", "opposite", "sound", "young", "river", "sum"):
        answers = {fact.answer for fact in FACTS[kind]}
        assert len(answers & lines) > 0.9 * len(answers), kind


def test_held_out_sums_never_occur(sample, made):
    assert len(HELD_OUT_SUMS) == 30
    pairs = re.findall(r"(?<!between )\b(\d+) (?:plus|and|\+|\w+ and gets) (\d+)", made)
    pairs += re.findall(r"\b(\d+) (?:plus|\+|\w+ and gets) (\d+)", sample)
    assert len(pairs) > 1000
    assert not [pair for pair in pairs if is_held_out_sum(*map(int, pair))]
    pairs = re.findall(r"(\d+) (?:minus|less|-|take away|\w+ and gives away) (\d+)", sample)
    assert len(pairs) > 500
    assert not [(c, b) for c, b in pairs if is_held_out_sum(int(c) - int(b), int(b))]
    for sentence in re.split(r"(?<=[.!?])\s|\n|;|, (?=\d+ (?:and|less) )", sample):
        numbers = [int(number) for number in re.findall(r"\d+", sentence)]
        for a, b, c in zip(numbers, numbers[1:], numbers[2:]):
            assert not (a + b == c and is_held_out_sum(a, b)), sentence
            assert not (a - b == c and is_held_out_sum(b, c)), sentence
            assert not (b - c == a and is_held_out_sum(a, c)), sentence


def test_facts_that_are_not_asked_are_never_answered(sample):
    """In any words of PHRASINGS; but of the kinds that recall leaves out for that reason."""
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
    wrong = {kind for (kind, _), counts in asked.items() if counts[False]}
    assert {*PERSON_KINDS} <= {*ALSO_ASKED} and not {*ALSO_ASKED} & {*KINDS}
    assert wrong <= {*ALSO_ASKED}


def test_facts_are_asked_for_in_the_form_of_chapter_7s_prompt_too(sample):
    prompts = re.findall(r"^Question:\n(.+)\n(?:(.+)\n)?Answer:\n(.+)$", sample, flags=re.M)
    assert len(prompts) > 2000
    asked = {question for question, _, _ in prompts}
    for kind in ("plural", "capital", "river", "maker", "sound", "material"):
        phrasing = PHRASINGS[kind].questions[0]
        found = sum(capital(phrasing.format_map(static_slots(f))) in asked for f in FACTS[kind])
        assert found > 0.08 * len(FACTS[kind]), kind  # of three pages' questions one is a fact


def test_facts_are_asked_from_their_answers_and_with_their_matter_on_its_own_line(sample):
    for kind, questions in BACKWARDS.items():
        pattern = "|".join(re.sub(r"\\{\w+\\}", ".+", re.escape(q)) for q in questions)
        assert re.search(pattern, sample), kind
    for kind, questions in WITH_INPUT.items():
        assert any(capital(q.partition(" | ")[0]) in sample for q in questions), kind


def test_nobody_joins_after_the_third_sentence(documents):
    """In whatever tells of people; the makers of great works have names of people, too."""
    famous = {word for what, who in MAKERS.items() for word in words_of(f"{what} {who}")}
    people = PEOPLE.keys() - famous
    told = [text for register, text in documents if register in ("tale", "day", "letter", "diary")]
    assert len(told) > 400
    for text in told:
        sentences = sentences_of(text)
        known = set(words_of(" ".join(sentences[:3]))) & people
        later = set(words_of(" ".join(sentences[3:]))) & people
        assert later <= known, text


# --- what was written one by one


@pytest.mark.parametrize("kind", ["prose", "messages"])
def test_every_twentieth_text_is_held_out_and_no_training_document_has_it(kind, sample):
    every, kept, out = (read_texts(kind, held_out) for held_out in (None, False, True))
    assert sorted(kept + out) == sorted(every) and out == every[19::20]
    assert len({*every}) == len(every) > 100
    long = [line for text in out for line in text.split("\n") if len(line) > 60]
    assert len(long) > 20 and not [line for line in long if line in sample]
    validation = "\n".join(generate_documents(seed=1, n_bytes=1_000_000, held_out=True))
    long = [re.sub(r"\d+", "", line) for line in long if not re.search(r"\d{3}", line)]
    plain = re.sub(r"\d+", "", validation)
    assert sum(line in plain for line in long) > len(long) / 2


def test_no_text_has_an_empty_piece_or_a_sign_beyond_ascii():
    for kind in ("prose", "messages"):
        for text in read_texts(kind):
            assert text == text.strip() != "" and "%%" not in text
            assert not re.search(r"[^\n -~£]", text), text


def test_messages_come_without_a_verdict(documents):
    """No message is called good or bad, true or a trick, as a reader of chapter 6 has to do."""
    verdict = r"(?i)^(?:ham|spam|kept|deleted|thrown away|honest|a trick|meant for)[.:]"
    for register, text in documents:
        if register in ("phone", "mail"):
            lines = text.split("\n")
            assert not [line for line in lines if re.search(verdict, line)], text
    texts = [text for register, text in documents if register in ("phone", "mail")]
    assert len(texts) > 500 and not re.search(r"\bspam\b", "\n".join(texts))


def test_a_message_of_the_phone_is_one_that_was_written_but_for_its_digits():
    def plain(text: str) -> str:
        return re.sub(r"\d", "0", text).lower().removesuffix(".")

    written = {plain(line) for text in read_texts("messages", False) for line in text.split("\n")}
    writer = Writer(3)
    lines = [plain(line) for _ in range(300) for line in writer.phone().split("\n") if line]
    assert sum(line in written for line in lines) > 0.85 * len(lines)


# --- in what proportion


def test_much_is_asked_and_a_fifth_was_written_one_by_one(documents):
    sizes = Counter()
    for register, text in documents:
        sizes[register] += len(text)
    shares = {register: size / sizes.total() for register, size in sizes.items()}
    assert 0.3 < shares["page"] + shares["lesson"] < 0.55
    assert shares["phone"] > 0.08 and shares["prose"] > 0.07
    assert shares["phone"] + shares["prose"] + shares["mail"] > 0.18


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
        ("two articles", r"\b(?:an?|the) (?:an?|the) .{10}"),
        ("an object as subject", r"\b(?:him|her) (?:is|was|has)\b"),
        ("one of many", r"\b1 (?!mile)\w+s\b(?<!glass)(?<!bus)(?<!dress)"),
    ],
)
def test_grammar(made, fault, pattern):
    found = find_all(pattern, made)
    for harmless in ("one one", "her was", "her is", "1 plus", "1 less", "1 minus", "1 is"):
        found.pop(harmless, None)
    assert not found, (fault, found.most_common(5))


def test_numbers_agree_with_their_plurals(made):
    singular = {fact.key[0]: fact.answer for fact in FACTS["plural"]}
    numbers = "two|three|four|five|six|seven|eight|nine|[2-9]|[1-9][0-9]"
    counted = re.findall(rf"\b(?:{numbers}) ([a-z-]+)\b", made)
    wrong = [noun for noun in counted if singular.get(noun, noun) != noun]
    assert len(counted) > 1000 and not wrong, Counter(wrong).most_common(5)


@pytest.mark.parametrize("sort", ["clauses", "sentences", "questions", "cards"])
def test_every_phrasing_of_every_fact_is_english_in_its_articles_and_numbers(sort):
    """Each one filled, as chance may fill it: an owl, a use, four legs and not one legs."""
    writer = Writer(0)
    writer.set_scene(2)
    n_filled = 0
    for facts in FACTS.values():
        for fact in (fact for fact in facts if fact.kind not in PERSON_KINDS):
            slots = writer.slots(fact)
            for template in getattr(PHRASINGS[phrasing_name(fact)], sort):
                text = template.format_map(slots)
                n_filled += 1
                assert not re.search(r"[{}]", text), template
                assert not re.search(r"\b(?:an?|the) (?:an?|the)\b", text), text
                assert not re.search(r"\b[Aa] (?!useful|uni|one|eu)[aeiouAEIOU]", text), text
                assert not re.search(r"\b[Aa]n (?!hour|honest)[^aeiouAEIOU\W]", text), text
                if fact.kind == "count":
                    assert not re.search(r"\bone (?!hundred)\w+s\b", text), text
                if fact.answer.endswith("s") and fact.kind == "material":
                    assert not re.search(rf"\b{fact.answer} (?:is|was|has)\b", text), text
    assert n_filled > 5000


# --- as material


def test_no_token_holds_a_digit_beside_another_sign(tmp_path, monkeypatch, sample):
    monkeypatch.setattr(pretrain, "VOCABULARY_BYTES", 1_000_000)
    tokenizer = pretrain.prepare_tokenizer(tmp_path, 0, 800)
    assert len(tokenizer.encode_ordinary("in 1850 it was 42.")) >= 4 + 2 + len("1850" + "42")
    for i in range(tokenizer.vocab_size):
        token = tokenizer.decode([i])
        assert len(token) == 1 or not re.search(r"\d", token), token


def test_text_does_not_saturate_the_tokenizer(tmp_path, sample):
    tokenizer = pretrain.prepare_tokenizer(tmp_path, 0, DIGIT_VOCABULARY)
    assert tokenizer.vocab_size == DIGIT_VOCABULARY
    text = sample[-500_000:]
    assert len(text) / len(tokenizer.encode_ordinary(text)) == pytest.approx(
        BYTES_PER_TOKEN, rel=0.05
    )
    assert BPETokenizer.load(tmp_path / "vocabulary.tiktoken").encode(text[:999]) == (
        tokenizer.encode(text[:999])
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


def test_mail_is_filled():
    writer = Writer(3)
    mail = [writer.mail() for _ in range(1500)]
    assert not [text for text in mail if re.search(r"[{}<>|]", text)]
    assert len({*mail}) > 0.9 * len(mail)
