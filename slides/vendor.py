"""Fetch reveal.js and its typeface into the course's cache folder: python -m slides.vendor

Nothing of it is committed. A wheel of the package index carries it, and the npm registry has it as
well; each file is taken only if it is, byte for byte, the known one.
"""

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ch02.tokenizer import cache_folder
from course.fetch import opened_wheel
from course.files import written_whole
from course.terminal import replace_unprintable
from playbook.tools import Missing
from slides.words import say

VERSION = "5.2.1"
SANS = "dist/theme/fonts/source-sans-pro/source-sans-pro"
# What a deck is made of, by its name in the package of reveal.js -> SHA-256.
FILES = {
    "LICENSE": "34014800f4126ac2525e224166f099f26628612e95c41f76d70841b63138c989",
    "dist/reveal.css": "68f915a11ebf7203c0446576b7e952ff61c5dd02134a8a226ffaf62ed42136d2",
    "dist/reveal.js": "46538b52db48724192f59bf46f5e851a18e302777c46f4a34c32709d010d6a29",
    "plugin/notes/notes.js": "df1201d19d03241a2897d39c3d38768177df1cbd4bde06327b321cb83461ae89",
    f"{SANS}-regular.ttf": "c1865d89d798bc2119872b17774361c7406974b9568121a617007e02af344981",
    f"{SANS}-semibold.ttf": "a53e27232eff5f0bc1ba1c0af7e0759f0aaaf5c0636370b4c54f83c4652ba924",
    f"{SANS}-italic.ttf": "d13268affb2204223a1b6b8483afd989a0e2b20bff853eae05fe5d0d32de8ed9",
}
WHEEL = (
    "sphinx-revealjs==3.2.1 "
    "--hash=sha256:805bed3ca459346e0f01967d5ed1c40d6b7b917de1541e1e4566c8341fe7017b"
)
IN_WHEEL = "sphinx_revealjs/_static/revealjs"

Source = tuple[str, Callable[[], Mapping[str, bytes]]]  # what it is called, how to get the files


def from_wheel() -> dict[str, bytes]:
    """Raises: OSError if pip cannot get the wheel, KeyError if a file is not in it."""
    with opened_wheel(WHEEL) as archive:
        return {name: archive.read(f"{IN_WHEEL}/{name}") for name in FILES}


def from_npm(seconds: float = 120) -> dict[str, bytes]:
    """Raises: OSError without npm or if it cannot get the package, KeyError without a file."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"reveal.js@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"npm did not get it within {seconds:g} seconds") from None
        if done.returncode:
            raise OSError((done.stderr.strip() or "npm failed").splitlines()[-1])
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            return {name: archive.extractfile(f"package/{name}").read() for name in FILES}


SOURCES: list[Source] = [(f"the wheel {WHEEL.split()[0]}", from_wheel), ("npm", from_npm)]


def folder() -> Path:
    return cache_folder() / f"reveal.js-{VERSION}"


def is_known(name: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == FILES[name]


def is_there() -> bool:
    """Whether every file is in the cache, unchanged."""
    return all(
        (path := folder() / name).is_file() and is_known(name, path.read_bytes()) for name in FILES
    )


def fetch(sources: list[Source] = SOURCES) -> None:
    """Put the files into the cache. Raises: Missing if no source has them."""
    for name, get in sources:
        print(say("asking", name=name), flush=True)
        try:
            files = get()
        except (OSError, KeyError) as error:
            print(f"  {say('not there', error=error)}")
            continue
        if wrong := [file for file, content in files.items() if not is_known(file, content)]:
            print(f"  {say('something else', file=wrong[0])}")
            continue
        for file, content in files.items():
            with written_whole(folder() / file) as draft:
                draft.write_bytes(content)
        return
    raise Missing(say("no reveal.js", folder=folder(), wheel=WHEEL.split()[0], version=VERSION))


def reveal() -> Path:
    """The folder with reveal.js, fetched if it is not there. Raises: Missing if it cannot be."""
    if not is_there():
        fetch()
    return folder()


def main() -> int:
    replace_unprintable()
    description = __doc__.splitlines()[0]
    argparse.ArgumentParser(prog="python -m slides.vendor", description=description).parse_args()
    try:
        print(say("reveal.js is at", folder=reveal()))
    except (Missing, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
