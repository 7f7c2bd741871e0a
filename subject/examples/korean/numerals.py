"""Numbers as Korean says them: 세 개, 스무 권, but 삼 층, 오백 원; hours are 세 시, minutes 삼 분.

Things are counted in native numbers, before a counter that the thing chooses; money, minutes and
months take Sino-Korean ones.
"""

ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}
# A part of the day and the hour at which it ends.
HOURS = (("아침", 11), ("오전", 12), ("낮", 17), ("저녁", 21), ("밤", 25))
SINO = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")


def native(n: int, counted: bool = True) -> str:
    """A native number, in the form before a counter: 세, 스무, 스물한.

    Raises: ValueError if it is not between 1 and 99.
    """
    if not 1 <= n <= 99:
        raise ValueError(f"{n} has no native number: they go from 1 to 99")
    tens, ones = TENS[n // 10], ONES[n % 10]
    if not counted:
        return tens + ones
    return tens + BEFORE_COUNTER.get(ones, ones) if ones else BEFORE_COUNTER.get(tens, tens)


def sino(n: int) -> str:
    """A Sino-Korean number below ten thousand: 삼, 백이십, 천오백.

    Raises: ValueError if it is not between 1 and 9,999.
    """
    if not 1 <= n <= 9999:
        raise ValueError(f"{n} is not between 1 and 9,999")
    said = ""
    for unit, name in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = n // unit % 10
        if digit:
            said += ("" if digit == 1 and name else SINO[digit]) + name
    return said


def counted(n: int, counter: str) -> str:
    """A number before its counter: 세 마리."""
    return f"{native(n)} {counter}"


def hour(n: int) -> str:
    """An hour of the day: 아침 일곱 시, 낮 열두 시, 저녁 여섯 시, 밤 열 시."""
    part = next(name for name, end in HOURS if n < end)
    return f"{part} {native((n - 1) % 12 + 1)} 시"


def month(n: int) -> str:
    """A month; June and October lose a consonant: 유월, 시월."""
    return {6: "유", 10: "시"}.get(n, sino(n)) + "월"
