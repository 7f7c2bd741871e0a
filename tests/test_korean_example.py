"""The Korean example: particles and endings, what the corpus tells and asks, and its measures."""

import re
from random import Random

import pytest
import torch
from course_files import ROOT
from safetensors.torch import load_file

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, count_parameters
from ch05.gpt_generate import stream_text
from ch05.gpt_weights import load_pretrained
from ch07.chat import stream_reply
from ch07.gpt_instruction_finetuning import N_NEW, reply, respond
from subject.examples.korean.card import card
from subject.examples.korean.corpus import FORM, write_documents, write_entries
from subject.examples.korean.endings import (
    describing,
    formal,
    honorific,
    past,
    plain,
    polite,
    take_apart,
)
from subject.examples.korean.endings import join as join_letters
from subject.examples.korean.facts import CLAUSES, DIVIDED, FACTS, QUESTIONS
from subject.examples.korean.long_training import MODEL, digest, first_documents
from subject.examples.korean.measure import (
    NOUNS,
    choose_particles,
    choose_the_frequent_form,
    find_particles,
    interval,
    look_at,
    loops,
    particle_items,
    read_record,
    sentences,
)
from subject.examples.korean.numerals import counted, hour, month, native, sino
from subject.examples.korean.particles import FORMS, PAIRS, Noun, particle, with_particle
from subject.examples.korean.tasks import KINDS, PARTS, Tasks
from subject.examples.korean.world import COUNTERS, HELD_OUT_NOUNS, STRANGERS


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, str]]:
    return [*write_documents(0, 40_000)]


@pytest.fixture(scope="module")
def entries() -> list[dict]:
    return write_entries()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("사과", "사과는 사과가 사과를 사과와 사과로 사과예요"),
        ("빵", "빵은 빵이 빵을 빵과 빵으로 빵이에요"),
        ("쌀", "쌀은 쌀이 쌀을 쌀과 쌀로 쌀이에요"),  # ㄹ takes 로
        ("3", "3은 3이 3을 3과 3으로 3이에요"),  # 삼
        ("7", "7은 7이 7을 7과 7로 7이에요"),  # 칠
        ("5", "5는 5가 5를 5와 5로 5예요"),  # 오
        ("100", "100은 100이 100을 100과 100으로 100이에요"),  # 백
        ("USB", "USB는 USB가 USB를 USB와 USB로 USB예요"),  # 비
        ("PM", "PM은 PM이 PM을 PM과 PM으로 PM이에요"),  # 엠
    ],
)
def test_a_particle_fits_the_last_sound(word: str, said: str):
    pairs = ("은", "이", "을", "과", "으로", "이에요")
    assert " ".join(with_particle(word, pair) for pair in pairs) == said


def test_the_last_letter_of_a_syllable_is_its_number_by_28():
    for syllable in "가각간값하힣뷁":
        first, vowel, final = take_apart(syllable)
        assert join_letters(first, vowel, final) == syllable
        assert (final == "") == ((ord(syllable) - 0xAC00) % 28 == 0)
        assert particle(syllable, "은") == ("은" if final else "는")


def test_a_noun_carries_its_particle_into_a_template():
    slots = {"A": Noun("하람"), "thing": Noun("사과")}
    assert "{A:은} {thing:을} 샀어요.".format_map(slots) == "하람은 사과를 샀어요."
    assert f"{Noun('지우'):이랑} {Noun('보람'):이랑}" == "지우랑 보람이랑"
    with pytest.raises(ValueError, match="'도' is not one of the pairs"):
        f"{Noun('사과'):도}"
    with pytest.raises(ValueError, match="has no letter or digit"):
        particle("…", "은")


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("먹다", "먹어요 먹습니다 먹었어요 드세요"),
        ("가다", "가요 갑니다 갔어요 가세요"),
        ("오다", "와요 옵니다 왔어요 오세요"),
        ("배우다", "배워요 배웁니다 배웠어요 배우세요"),
        ("마시다", "마셔요 마십니다 마셨어요 드세요"),
        ("만들다", "만들어요 만듭니다 만들었어요 만드세요"),
        ("듣다", "들어요 듣습니다 들었어요 들으세요"),
        ("받다", "받아요 받습니다 받았어요 받으세요"),  # ㄷ that stays
        ("돕다", "도와요 돕습니다 도왔어요 도우세요"),
        ("굽다", "구워요 굽습니다 구웠어요 구우세요"),
        ("입다", "입어요 입습니다 입었어요 입으세요"),  # ㅂ that stays
        ("짓다", "지어요 짓습니다 지었어요 지으세요"),
        ("씻다", "씻어요 씻습니다 씻었어요 씻으세요"),  # ㅅ that stays
        ("부르다", "불러요 부릅니다 불렀어요 부르세요"),
        ("고르다", "골라요 고릅니다 골랐어요 고르세요"),
        ("바쁘다", "바빠요 바쁩니다 바빴어요 바쁘세요"),
        ("크다", "커요 큽니다 컸어요 크세요"),
        ("쉬다", "쉬어요 쉽니다 쉬었어요 쉬세요"),
        ("하얗다", "하얘요 하얗습니다 하얬어요 하야세요"),
        ("일하다", "일해요 일합니다 일했어요 일하세요"),
        ("자다", "자요 잡니다 잤어요 주무세요"),
    ],
)
def test_verbs_change_as_korean_has_it(verb: str, forms: str):
    assert f"{polite(verb)} {formal(verb)} {past(verb)} {honorific(verb)}" == forms


def test_other_forms_and_numbers():
    assert [describing(v, True) for v in ("작다", "크다", "춥다", "길다", "하얗다")] == [
        *("작은", "큰", "추운", "긴", "하얀"),
    ]
    assert [plain(v, False) for v in ("먹다", "가다", "만들다")] == ["먹는다", "간다", "만든다"]
    assert [native(n) for n in (1, 4, 11, 20, 21)] == ["한", "네", "열한", "스무", "스물한"]
    assert native(20, False) == "스물" and counted(3, "마리") == "세 마리"
    assert [sino(n) for n in (10, 15, 1500, 2026)] == ["십", "십오", "천오백", "이천이십육"]
    assert [month(n) for n in (6, 10, 12)] == ["유월", "시월", "십이월"]
    assert [hour(n) for n in (7, 11, 13, 18, 22)] == [
        *("아침 일곱 시", "오전 열한 시", "낮 한 시", "저녁 여섯 시", "밤 열 시"),
    ]
    for bad in (0, 100):
        with pytest.raises(ValueError, match="from 1 to 99"):
            native(bad)
    with pytest.raises(ValueError, match="먹어 *' is not a verb|is not a verb"):
        polite("먹어")


def test_the_corpus_follows_from_its_seed_and_has_its_size(corpus):
    n_words = sum(len(text.split()) for _, text in corpus)
    assert 30_000 <= n_words <= 50_000
    texts = [text for _, text in corpus]
    assert len(set(texts)) == len(texts)
    assert corpus == [*write_documents(0, 40_000)]
    assert texts[:50] != [text for _, text in write_documents(1, 5_000)][:50]


def test_every_particle_of_the_corpus_fits(corpus):
    found = [f for _, text in corpus for f in find_particles(text)]
    assert len(found) > 3000 and all(f.right for f in found)
    assert {f.form for f in found} == set(FORMS)


def test_a_noun_that_is_held_out_never_stands_before_such_a_particle(corpus, entries):
    texts = [text for _, text in corpus]
    for entry in entries:
        if entry["split"] == "train":
            texts += [entry["instruction"], entry["input"], entry["output"]]
    either = "|".join(HELD_OUT_NOUNS)
    met = sum(len(re.findall(rf"(?<![가-힣])(?:{either})", text)) for text in texts)
    assert met > 200  # they are words of the corpus, in other places
    assert [f for text in texts for f in find_particles(text, HELD_OUT_NOUNS)] == []


def test_no_text_and_no_training_entry_asks_for_a_fact_of_the_test(corpus, entries):
    asked = {
        fact.asked(i)
        for parts in DIVIDED.values()
        for fact in parts["test"]
        for i in range(len(QUESTIONS[fact.kind]))
    }
    said = "\n".join(text for _, text in corpus)
    assert [question for question in asked if question in said] == []
    training = [e for e in entries if e["split"] != "test"]
    assert {e["instruction"] for e in training} & asked == set()
    # and yet the texts tell them, most of them already in these forty thousand words
    facts = [fact for parts in DIVIDED.values() for fact in parts["test"]]
    told = [any(f.told(i) in said for i in range(len(CLAUSES[f.kind]))) for f in facts]
    assert sum(told) > 0.8 * len(told)


def test_splits_share_no_verb_noun_sum_or_stranger(entries):
    for kind, parts in PARTS.items():
        sides = [set(parts[split]) for split in ("train", "development", "test")]
        assert sum(map(len, sides)) == len(set().union(*sides)), kind
    for kind, parts in DIVIDED.items():
        assert sum(map(len, parts.values())) == len(FACTS[kind])
        keys = [{f.x for f in parts[split]} for split in ("train", "test")]
        assert keys[0] & keys[1] == set()
    questions = [(e["instruction"], e["input"]) for e in entries]
    assert len(set(questions)) == len(questions)
    assert {e["kind"] for e in entries if e["split"] == "test"} == {*FACTS, *KINDS}
    assert set(PARTS["particle"]["test"]) < set(HELD_OUT_NOUNS)


def test_the_texts_give_away_no_task_of_the_test(corpus):
    """Verbs, sums, nouns to count and strangers of the test are in no small task."""
    said = "\n".join(text for kind, text in corpus if kind in ("exercise", "lesson"))
    for verb in PARTS["verb"]["test"]:
        assert f"'{verb}'를" not in said and f"'{verb}'는 '" not in said
    asked = re.findall(r"(?<!\d)(\d+)원(?:과|짜리와|에) (\d+)원(?:을|짜리를)", said)
    asked = {tuple(sorted(map(int, pair))) for pair in asked}
    assert len(asked) > 20 and asked & set(PARTS["sum"]["test"]) == set()
    for stranger in PARTS["unknown"]["test"]:
        assert re.search(rf"(?<![가-힣]){stranger}(?:을|를) 몰라요", said) is None
    for noun in PARTS["counter"]["test"]:
        assert re.search(rf"'{noun}'(?:에 숫자|의 수가)", said) is None
    assert FORM.format(question="나", answer="너") == "Question:\n나\nAnswer:\n너\n"


def test_each_task_is_answered_by_its_rule():
    for split in ("train", "test"):
        tasks = Tasks(Random(3), split)
        for _ in range(200):
            noun = tasks.choice(PARTS["particle"][split])
            answer = tasks.particle(noun).answer
            assert answer in {with_particle(noun, pair) for pair in PAIRS}
            a, b = map(int, re.findall(r"\d+", (found := tasks.make("sum")).question)[:2])
            assert found.answer == f"{a + b}원이에요."
            found = tasks.make("reading")
            assert found.answer in found.question
            found = tasks.make("counter")
            assert found.answer.split()[2] == COUNTERS[found.answer.split()[0]]
    with pytest.raises(ValueError, match="split is 'all'"):
        Tasks(Random(0), "all")
    assert not set(STRANGERS) & NOUNS


def test_the_checker_finds_planted_errors(corpus):
    text = "\n".join(text for _, text in corpus[:400])
    wrong = {"은": "는", "는": "은", "이": "가", "가": "이", "을": "를", "를": "을"}
    wrong |= {"과": "와", "와": "과", "으로": "로", "로": "으로"}
    found = [*find_particles(text)]
    planted = 0
    for f in Random(0).sample(sorted(set(found)), 100):
        pattern = rf"(?<![가-힣]){f.noun}{f.form}(?![가-힣])"
        text, n = re.subn(pattern, f.noun + wrong[f.form], text, count=1)
        planted += n
    after = [*find_particles(text)]
    assert planted == 100 and sum(not f.right for f in after) == 100
    assert len(after) == len(found)
    # 종이 is a noun, and not 종 with a particle; a longer word is none of a shorter one's
    assert [*find_particles("종이 사과나무를 보았어요. 고양이는")] == []


def test_what_a_text_shows_is_counted():
    assert sentences("값\n사과 한 개. 지우는 왔어요! 아직") == ["사과 한 개.", "지우는 왔어요!"]
    assert loops("가 나 다 라 " * 3) and not loops("가 나 다 라 마 바 사")
    row = look_at(["지우는 사과을 샀어요. 지우는 갔다는."], {"지우는 갔다는."}, {"지우는"})
    assert row["particles right"] == [2, 3]  # 지우는 twice, and 사과을, which is wrong
    assert row["sentences with an ending"] == [1, 2]
    assert row["words of the training text"] == [2, 5]
    assert row["sentences not in the training text"] == [1, 2]
    assert interval(10, 10).startswith("100.0% (72.2 to 100") and interval(0, 0) == "none"


def test_two_sentences_differ_in_one_particle():
    for pair in FORMS.values():
        for noun, item in zip(("가위", "거울"), particle_items(("가위", "거울"), pair)):
            assert len(set(item.choices)) == 2
            assert f" {with_particle(noun, pair)} " in item.choices[item.gold]
    found = choose_the_frequent_form(HELD_OUT_NOUNS)
    assert sum(found["은"]) > 50 and found["all"][1] == 5 * len(HELD_OUT_NOUNS)


# ---- The kept model and its records.


@pytest.fixture(scope="module")
def kept() -> tuple[GPTModel, BPETokenizer]:
    return load_pretrained(MODEL)


def test_the_records_are_of_todays_entries_and_texts(entries):
    answers = read_record("answers")
    assert answers["digest"] == digest(entries)
    n_test = sum(entry["split"] == "test" for entry in entries)
    for run in answers["finetuned"]:
        assert run["right"]["all"][1] == n_test
    assert len(answers["finetuned"]) == 3
    assert read_record("pretraining")["first documents"] == first_documents()
    assert (MODEL / "README.md").read_text(encoding="utf-8") == card()


def test_the_model_is_small_and_in_16_bits(kept):
    size = sum(path.stat().st_size for path in MODEL.iterdir())
    assert size <= 6e6
    weights = load_file(MODEL / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    assert 2e6 <= count_parameters(kept[0]) <= 4e6


def test_the_kept_model_answers_as_the_record_says(kept):
    answers = read_record("answers")
    for name in ("right", "wrong"):
        asked = answers[name][:30]
        said = respond(*kept, asked, N_NEW)
        same = sum(a == entry["response"] for a, entry in zip(said, asked))
        # 16 bits, and another processor, may turn a close decision.
        assert same >= len(asked) - 3, name
    trivial = answers["most frequent answer"]["all"][0]
    assert answers["finetuned"][0]["right"]["all"][0] > 2 * trivial


def test_half_a_syllable_is_shown_only_where_the_model_wrote_no_whole_one(kept):
    """Tokens may end inside of a syllable; what is shown does not, unless nothing completes it."""
    model, tokenizer = kept
    half = "\N{REPLACEMENT CHARACTER}"
    text = "펭귄과 칫솔을 뷁에서 샀어요."
    ids = tokenizer.encode_ordinary(text)
    pieces = [*stream_text(tokenizer.decode, ids)]
    assert sum(half in tokenizer.decode([i]) for i in ids) > 3 and "".join(pieces) == text
    assert not any(half in piece for piece in pieces)
    answers = read_record("answers")
    for entry in [*answers["right"][:8], *answers["wrong"][:8]]:
        question = f"{entry['instruction']}\n{entry['input']}".strip()
        pieces = [*stream_reply(model, tokenizer, [], question)]
        whole = reply(model, tokenizer, [], question)["output"]
        assert "".join(pieces) == whole
        assert (half in whole) == any(half in piece for piece in pieces)
        assert half not in whole or whole != entry["output"]
    n_broken, n = answers["broken syllables"]
    assert n_broken < 0.1 * n


def test_the_model_writes_particles_that_fit(kept):
    """A few of the nouns; the record has them all."""
    written = read_record("writing")["written"]
    # A vocabulary of whole words brings its particles along, also where tokens are drawn by chance.
    assert all(
        row["particles right"][0] > 0.95 * row["particles right"][1] for row in written.values()
    )
    known = "words of the training text"
    words = [written[n][known][0] / written[n][known][1] for n in ("pairs of tokens", "model")]
    assert words[0] < words[1]
    assert written["corpus, another seed"]["particles right"][0] > 300
    corpus = written["corpus, another seed"]["particles right"]
    assert corpus[0] == corpus[1]
    found = choose_particles(
        *kept, ["사과", "수박", "연필", "의자", "책상", "감자", "모자", "공책"]
    )
    assert found["all"][0] >= 32  # of 40


def test_the_readme_tells_of_the_kept_model_and_of_the_texts(corpus):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    parameters = read_record("pretraining")["parameters"]
    assert f"a model of {parameters / 1e6:.1f} million parameters that comes with" in readme
    words = sum(len(text.split()) for _, text in corpus)
    assert f"a village market in {round(words, -3):,} words" in readme
