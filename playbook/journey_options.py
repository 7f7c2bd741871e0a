"""The options of the road, apart from it: whoever asks for help needs no PyTorch."""

import argparse

from course.language import translate_help


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m playbook journey`."""
    parser.description = "From the course's corpora to a model that one talks with."
    add = parser.add_argument
    add("--out", default="runs/journey", help="the folder of the road [%(default)s]")
    add("--quick", action="store_true", help="a small road: it shows the way and learns little")
    add("--seed", type=int, default=0, help="of everything on the road, 0 to 9 [%(default)s]")
    add("--threads", type=int, help="of the processor [as many as there are cores]")
    add("--device", help="cpu, cuda or mps [the best one here]")
    translate_help(parser)
