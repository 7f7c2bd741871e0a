"""What the commands that make records share: bounds of their options, and errors in a sentence."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager


def check_least(args: argparse.Namespace, **least: int) -> None:
    """Raise ValueError, with the option's name, if a value is below its least one."""
    for name, low in least.items():
        if (value := getattr(args, name)) < low:
            raise ValueError(f"--{name.replace('_', '-')} {value} must be at least {low}")


def check_rate(lr: float) -> None:
    """Raise ValueError if nobody can learn at this rate."""
    if not 0 < lr < math.inf:
        raise ValueError(f"--lr {lr} must be above 0, and finite")


@contextmanager
def one_sentence(command: str) -> Iterator[None]:
    """End the command with one sentence where an error comes up, or Ctrl-C."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise SystemExit(f"{command}: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(f"\n{command}: stopped; what is done is kept") from None
