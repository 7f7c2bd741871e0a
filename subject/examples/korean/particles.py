"""Korean particles that depend on the last sound before them: 사과를, but 빵을.

A Hangul syllable is one character, and its number in Unicode is
    0xAC00 + (first consonant * 21 + vowel) * 28 + final consonant,
so the remainder by 28 is the final consonant, and 0 stands for none. Digits and Latin letters
count as they are read aloud: 3 is 삼, 7 is 칠.

A Noun carries its particle into an f-string or a template:

    >>> thing, name = Noun("사과"), Noun("하늘")
    >>> f"{name:은} {thing:을} 샀어요."
    '하늘은 사과를 샀어요.'
"""

from exercises.language import last_sound

# The form after a final consonant -> (that form, the form after a vowel).
PAIRS = {
    "은": ("은", "는"),
    "이": ("이", "가"),
    "을": ("을", "를"),
    "과": ("과", "와"),
    "으로": ("으로", "로"),
    "이랑": ("이랑", "랑"),
    "이나": ("이나", "나"),
    "이에요": ("이에요", "예요"),
    "이었어요": ("이었어요", "였어요"),
    "이고": ("이고", "고"),
    "이다": ("이다", "다"),
    "이었다": ("이었다", "였다"),
    "아": ("아", "야"),  # calls somebody: 하늘아, 지우야
}
# The five that the measures look at; each noun meets them everywhere.
MEASURED = ("은", "이", "을", "과", "으로")
FORMS = {form: pair for pair in MEASURED for form in PAIRS[pair]}


def particle(word: str, pair: str) -> str:
    """The form of a pair, named by its first form, that follows a word.

    Raises: ValueError for a pair that is not known, or a word without a letter or digit.
    """
    if pair not in PAIRS:
        raise ValueError(f"{pair!r} is not one of the pairs {', '.join(PAIRS)}")
    if not any(sign.isalnum() for sign in word):
        raise ValueError(f"{word!r} has no letter or digit, so no particle can follow it")
    sound, (after_consonant, after_vowel) = last_sound(word), PAIRS[pair]
    if pair == "으로":  # ㄹ counts as a vowel here: 쌀로, 서울로
        return after_consonant if sound == "x" else after_vowel
    return after_consonant if sound else after_vowel


def with_particle(word: str, pair: str) -> str:
    """A word and the form that follows it: 사과를."""
    return word + particle(word, pair)


class Noun(str):
    """A word that takes its particle from the format: f"{noun:을}" is 사과를 or 빵을."""

    def __format__(self, pair: str) -> str:
        return with_particle(str(self), pair) if pair else str(self)
