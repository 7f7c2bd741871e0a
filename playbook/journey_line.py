"""One line that knows the end: which stage of how many, the share of the whole, the time left.

What each part of the road takes is expected from a recorded run of the same size. How much slower
or faster this machine is, the parts that are done here tell.
"""

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from course.language import say

ALMOST = 0.95  # of a part that takes longer than expected, until it is done
Part = tuple[str, int]  # a stage, and which of its seeds


class Line:
    """The progress of a road whose parts are expected to take so many seconds each."""

    def __init__(self, expected: Mapping[Part, float], stages: Sequence[str], file=None):
        self.expected, self.stages = dict(expected), list(stages)
        self.total = sum(self.expected.values())
        self.done: dict[Part, float] = {}  # the seconds that a part took here
        self.now: Part | None = None
        self.share = 0.0
        file = file or sys.stderr
        # A file in the terminal's place gets few lines.
        every = 1.0 if file.isatty() else 60.0
        self.bar = tqdm(
            total=100,
            file=file,
            mininterval=every,
            bar_format="{desc} {percentage:3.0f}%|{bar}|{postfix}",
            dynamic_ncols=True,
        )
        self.every = every

    @property
    def pace(self) -> float:
        """How many seconds an expected second takes here."""
        took, expected = sum(self.done.values()), sum(self.expected[p] for p in self.done)
        if self.now and self.share > 0.1:
            took += time.monotonic() - self.began
            expected += (self.share - self.start) * self.expected[self.now]
        return took / expected if expected > 1 and took > 0 else 1.0

    def whole(self) -> float:
        """The share of the whole road that is behind us."""
        behind = sum(self.expected[part] for part in self.done)
        if self.now:
            behind += self.share * self.expected[self.now]
        return behind / self.total

    def left(self) -> float:
        """The seconds that are left, at the pace of this machine."""
        return (1 - self.whole()) * self.total * self.pace

    def tick(self, share: float) -> None:
        """The part that is under way is so far."""
        if not self.told:  # one that goes on has begun there
            self.start, self.began = share, time.monotonic()
        self.share, self.told = share, True

    def show(self) -> None:
        if self.now and not self.told:
            spent = time.monotonic() - self.began
            usual = max(1e-9, self.expected[self.now] * self.pace)
            self.share = min(ALMOST, spent / usual)
        number = self.stages.index(self.now[0]) + 1 if self.now else len(self.stages)
        name = self.stages[number - 1]
        self.bar.set_description_str(
            say("stage {i} of {n}: {name}", i=number, n=len(self.stages), name=name), refresh=False
        )
        minutes = self.left() / 60
        self.bar.set_postfix_str(say("about {minutes:.0f} min left", minutes=minutes), False)
        self.bar.n = round(100 * self.whole(), 1)
        self.bar.refresh()

    @contextmanager
    def part(self, part: Part) -> Iterator[None]:
        """A part from its beginning to its end, with a line that moves on beside it."""
        self.now, self.share, self.start, self.told = part, 0.0, 0.0, False
        self.began, over = time.monotonic(), threading.Event()

        def move() -> None:
            self.show()
            while not over.wait(self.every):
                self.show()

        mover = threading.Thread(target=move, daemon=True)
        mover.start()
        try:
            yield
        finally:
            over.set()
            mover.join()

    def end(self, part: Part, seconds: float) -> None:
        """A part is done, here and now or in an earlier session."""
        self.done[part], self.now = seconds, None

    def write(self, text: str) -> None:
        """Print above the line."""
        self.bar.clear()
        print(text, flush=True)

    def close(self) -> None:
        self.bar.leave = False
        self.bar.close()
