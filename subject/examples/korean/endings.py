"""Verb endings: 먹다 becomes 먹어요, 먹습니다, 먹었어요, 드세요.

The ending 아 or 어 follows the last vowel of the stem: 아 after ㅏ and ㅗ, else 어 (vowel
harmony), and melts with a vowel before it: 가 + 아 is 가, 오 + 아 is 와. Five classes of verbs
change their last consonant before a vowel; they are named by it (IRREGULAR).
"""

FIRST, VOWELS, FINALS = (
    "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ",
    "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ",
    ["", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"],
)
IRREGULAR = {
    "ㅂ": "춥다 덥다 돕다 굽다 줍다 눕다 맵다 쉽다 어렵다 가볍다 무겁다 뜨겁다 차갑다 가깝다 고맙다 "
    "무섭다 반갑다 아름답다 귀엽다 시끄럽다 두껍다 어둡다 싱겁다 즐겁다 외롭다 부드럽다 더럽다 새롭다 밉다 가렵다",
    "ㄷ": "듣다 걷다 묻다 싣다 깨닫다",
    "ㅅ": "짓다 낫다 붓다 젓다 잇다",
    "르": "모르다 부르다 빠르다 다르다 고르다 자르다 흐르다 누르다 오르다 기르다 바르다 게으르다 "
    "나르다 마르다 서두르다",
    "ㅎ": "빨갛다 노랗다 파랗다 하얗다 까맣다 그렇다 이렇다 어떻다",
}  # fmt: skip
CLASS = {verb: name for name, verbs in IRREGULAR.items() for verb in verbs.split()}
# Verbs that politeness replaces: a grandmother does not 먹다.
HONORIFIC = {"먹다": "드시다", "마시다": "드시다", "자다": "주무시다", "있다": "계시다",
             "말하다": "말씀하시다"}  # fmt: skip
# A vowel that melts with 아 or 어.
MELTS = {"ㅏㅏ": "ㅏ", "ㅓㅓ": "ㅓ", "ㅐㅓ": "ㅐ", "ㅔㅓ": "ㅔ", "ㅗㅏ": "ㅘ", "ㅜㅓ": "ㅝ",
         "ㅣㅓ": "ㅕ", "ㅚㅓ": "ㅙ", "ㅕㅓ": "ㅕ"}  # fmt: skip


def take_apart(syllable: str) -> tuple[str, str, str]:
    """The first consonant, the vowel and the final consonant, or "": 삼 is ㅅ, ㅏ, ㅁ."""
    rest, final = divmod(ord(syllable) - 0xAC00, 28)
    first, vowel = divmod(rest, 21)
    return FIRST[first], VOWELS[vowel], FINALS[final]


def join(first: str, vowel: str, final: str = "") -> str:
    """The syllable of these letters: ㅅ, ㅏ, ㅁ is 삼."""
    number = (FIRST.index(first) * 21 + VOWELS.index(vowel)) * 28 + FINALS.index(final)
    return chr(0xAC00 + number)


def with_final(text: str, final: str) -> str:
    """The text with another final consonant: 가 with ㅂ is 갑."""
    first, vowel, _ = take_apart(text[-1])
    return text[:-1] + join(first, vowel, final)


def stem_of(verb: str) -> str:
    """먹 of 먹다. Raises: ValueError if this is no dictionary form."""
    if len(verb) < 2 or not verb.endswith("다"):
        raise ValueError(f"{verb!r} is not a verb as a dictionary lists it, such as 먹다")
    return verb[:-1]


def open_stem(verb: str) -> str:
    """The stem with 아 or 어: 먹어, 가, 도와, 몰라, 해."""
    stem, of_class = stem_of(verb), CLASS.get(verb)
    if verb in ("이다", "아니다"):
        return {"이다": "이어", "아니다": "아니어"}[verb]
    if stem.endswith("하"):
        return stem[:-1] + "해"
    if of_class == "르":
        before = take_apart(stem[-2])[1]
        return with_final(stem[:-1], "ㄹ") + ("라" if before in "ㅏㅗ" else "러")
    first, vowel, final = take_apart(stem[-1])
    if of_class == "ㅎ":
        return stem[:-1] + join(first, "ㅒ" if vowel == "ㅑ" else "ㅐ")
    if of_class == "ㅂ":
        return with_final(stem, "") + ("와" if verb in ("돕다", "곱다") else "워")
    added = "ㅏ" if vowel in "ㅏㅑㅗ" else "ㅓ"
    if of_class == "ㄷ":
        return with_final(stem, "ㄹ") + join("ㅇ", added)
    if of_class == "ㅅ":
        return with_final(stem, "") + join("ㅇ", added)
    if final:
        return stem + join("ㅇ", added)
    if vowel == "ㅡ":  # it goes, and the syllable before it decides: 바빠, 커
        before = take_apart(stem[-2])[1] if len(stem) > 1 else ""
        return stem[:-1] + join(first, "ㅏ" if before and before in "ㅏㅗ" else "ㅓ")
    if vowel + added in MELTS:
        return stem[:-1] + join(first, MELTS[vowel + added])
    return stem + join("ㅇ", added)  # 쉬어


def polite(verb: str) -> str:
    """The 해요 form of the present: 먹어요."""
    return open_stem(verb) + "요"


def past(verb: str, ending: str = "어요") -> str:
    """The past: 먹었어요, and with another ending 먹었습니다, 먹었다, 먹었고."""
    return with_final(open_stem(verb), "ㅆ") + ending


def formal(verb: str) -> str:
    """The 합니다 form of the present: 먹습니다, 갑니다, 만듭니다."""
    stem = stem_of(verb)
    final = take_apart(stem[-1])[2]
    return with_final(stem, "ㅂ") + "니다" if final in ("", "ㄹ") else stem + "습니다"


def before_vowel(verb: str, ending: str) -> str:
    """The stem with an ending such as 으면, 으러, 으세요, whose 으 only a consonant needs."""
    stem, of_class = stem_of(verb), CLASS.get(verb)
    final = take_apart(stem[-1])[2]
    if of_class == "ㅂ":
        return with_final(stem, "") + "우" + ending[1:]
    if of_class == "ㅎ":
        return with_final(stem, "") + ending[1:]
    if of_class == "ㄷ":
        return with_final(stem, "ㄹ") + ending
    if of_class == "ㅅ":
        return with_final(stem, "") + ending
    if final == "ㄹ":  # 만들면, 만들러, but 만드세요
        return (with_final(stem, "") if ending[1] in "세니" else stem) + ending[1:]
    return stem + (ending if final else ending[1:])


def honorific(verb: str) -> str:
    """The form that honours who does it, in the present of 해요: 가세요, 드세요."""
    special = HONORIFIC.get(verb, "")
    return special[:-2] + "세요" if special else before_vowel(verb, "으세요")


def plain(verb: str, describes: bool) -> str:
    """The 한다 form of the present: 먹는다, 간다, 만든다; of a description 작다."""
    stem = stem_of(verb)
    if describes or verb in ("있다", "없다"):
        return verb
    final = take_apart(stem[-1])[2]
    return with_final(stem, "ㄴ") + "다" if final in ("", "ㄹ") else stem + "는다"


def describing(verb: str, describes: bool) -> str:
    """The form before a noun: 작은, 큰, 추운; of an action 먹는, 만드는."""
    stem = stem_of(verb)
    final = take_apart(stem[-1])[2]
    if not describes or stem.endswith(("있", "없")):
        return (with_final(stem, "") if final == "ㄹ" else stem) + "는"
    if CLASS.get(verb) == "ㅂ":
        return with_final(stem, "") + "운"
    if final in ("", "ㄹ", "ㅎ") and (final != "ㅎ" or CLASS.get(verb) == "ㅎ"):
        return with_final(stem, "ㄴ")
    return stem + "은"
