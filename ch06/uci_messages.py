"""Fetch the SMS Spam Collection, 5,574 short messages that people sent: python -m ch06.uci_messages

It comes from the UCI Machine Learning Repository (data set 228, licence CC BY 4.0), or from the
address in COURSE_UCI_ADDRESS, once; then it lies in the course's cache folder.
Source: Almeida, Gómez Hidalgo and Yamakami 2011, "Contributions to the study of SMS spam
filtering: new collection and results".
"""

import argparse
import hashlib
import http.client
import io
import os
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from ch02.tokenizer import cache_folder
from course.files import written_whole
from course.terminal import replace_unprintable

ADDRESS = "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip"  # 203,415 bytes
MEMBER = "SMSSpamCollection"  # the file in the archive that holds the messages
SHA256 = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"  # of that file
MAX_BYTES = 5_000_000  # whatever is larger is something else
SECONDS_SILENT, SECONDS_IN_ALL = 20, 300


def download(address: str, path: Path) -> None:
    """Get a file, going on from what an earlier try left at path.

    Raises: OSError if it does not come whole; what came stays at path for the next try.
    """
    have = path.stat().st_size if path.exists() else 0
    stop = time.monotonic() + SECONDS_IN_ALL
    try:
        request = urllib.request.Request(address)
        if have:
            request.add_header("Range", f"bytes={have}-")
        with urllib.request.urlopen(
            request, timeout=SECONDS_SILENT
        ) as response:
            total = response.headers.get("Content-Length")
            total = int(total) if total else None  # of what is sent now
            if have and response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            ):
                total = None if total is None else have + total
            else:
                have = 0  # this server sends everything from the start
            with path.open("ab" if have else "wb") as file:
                # Whatever is there already.
                while chunk := response.read1(2**14):
                    file.write(chunk)
                    file.flush()
                    have += len(chunk)
                    if have > MAX_BYTES:
                        raise OSError(
                            f"more than {MAX_BYTES:,} bytes: this is something else"
                        )
                    if time.monotonic() > stop:
                        raise TimeoutError(
                            f"not complete after {SECONDS_IN_ALL} seconds"
                        )
        if total is not None and have < total:
            raise OSError(
                f"the connection broke off after {have:,} of {total:,} bytes"
            )
    except urllib.error.HTTPError as error:
        # What lies there is not a beginning of this file, or it is all of it.
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") != f"bytes */{have}":
            path.unlink()
            download(address, path)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def fetch(path: Path) -> None:
    """Fetch the archive and put the file of messages at path, whole or not at all.

    Raises: OSError that says what went wrong and how to go on.
    """
    address = os.environ.get("COURSE_UCI_ADDRESS") or ADDRESS
    archive = path.with_name("sms-spam-collection.zip.incomplete")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download(address, archive)
        try:
            with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as file:
                data = file.read(MEMBER)
            if hashlib.sha256(data).hexdigest() != SHA256:
                raise ValueError(
                    f"the SHA-256 of {MEMBER} is not the known one"
                )
        except (
            zipfile.BadZipFile,
            zlib.error,
            KeyError,
            RuntimeError,
            ValueError,
        ) as error:
            archive.unlink()  # going on from it would not make it right
            raise OSError(f"something else is there: {error}") from None
        with written_whole(path) as draft:
            draft.write_bytes(data)
        archive.unlink()
    except OSError as error:
        came = archive.stat().st_size if archive.exists() else 0
        raise OSError(
            f"the SMS Spam Collection could not be fetched from {address} ({error}): "
            f"try again{f', which goes on after the {came:,} bytes that came' if came else ''}, "
            "name a mirror in COURSE_UCI_ADDRESS, "
            f"put {MEMBER} at {path} by hand, or take the course's messages with COURSE_DATA=course"
        ) from None


def read_uci() -> list[tuple[str, str]]:
    """Read the label and the text of each message, in the collection's order; fetch it if need be.

    Raises: OSError if it cannot be fetched, ValueError if the file in the cache was damaged.
    """
    path = cache_folder() / MEMBER
    if not path.exists():
        fetch(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(
            f"{path} is not the SMS Spam Collection (its SHA-256 differs): delete it, and the "
            "next try fetches it again"
        )
    # splitlines would cut at U+0085.
    lines = data.decode("utf-8").removesuffix("\n").split("\n")
    return [tuple(line.removesuffix("\r").split("\t", 1)) for line in lines]


def main() -> None:
    replace_unprintable()
    argparse.ArgumentParser(
        prog="python -m ch06.uci_messages",
        description="Fetch the SMS Spam Collection into the course's cache folder.",
    ).parse_args()
    try:
        messages = read_uci()
    except (OSError, ValueError) as error:
        raise SystemExit(f"uci_messages: {error}") from None
    n_spam = sum(label == "spam" for label, _ in messages)
    print(
        f"{len(messages):,} messages, {n_spam} of them spam, in {cache_folder() / MEMBER}"
    )


if __name__ == "__main__":
    main()
