"""Tell documents that were met before, to the letter or nearly.

Two texts are alike as far as they share runs of five tokens. 112 hashes, of
each the smallest over all runs of a text, estimate that share; in 14 bands of
8 hashes, alike texts have one band in common. The bands met so far are in a
file, so that memory stays flat.
Source: Broder 1997, "On the resemblance and containment of documents"; bands as
in Penedo et al. 2024, "FineWeb".
"""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np

DUPLICATES = ("keep", "exact", "near")
# Near duplicates: 14 bands of 8 hashes (Penedo et al. 2024, "FineWeb").
N_BANDS, BAND, SHINGLE = 14, 8, 5
FACTORS = np.random.default_rng(5).integers(
    1, 2**63, SHINGLE + N_BANDS * BAND, np.uint64
) | np.uint64(1)


def signature(ids: np.ndarray) -> np.ndarray:
    """112 numbers, of which two texts share as many as they share 5-token runs.

    Each is the smallest of all runs' hashes, with another hash for each number.
    Source: Broder 1997, "On the resemblance and containment of documents".
    """
    wide, found = ids.astype(np.uint64), None
    runs = np.zeros(max(0, len(ids) - SHINGLE + 1), np.uint64)
    for i, factor in enumerate(FACTORS[:SHINGLE]):
        runs = (runs + wide[i : i + len(runs)]) * factor
        runs ^= runs >> np.uint64(31)
    found = np.full(N_BANDS * BAND, 2**64 - 1, np.uint64)
    for i in range(0, len(runs), 2048):
        hashes = runs[i : i + 2048, None] * FACTORS[SHINGLE:]
        np.minimum(found, hashes.min(axis=0), out=found)
    return found


class SeenDocuments:
    """Which documents have been met, exactly or nearly; kept in a file, not in memory.

    Of two documents that share a share s of their runs, the second is dropped
    with a chance of 1 - (1 - s^8)^14: half of them at s = 0.68, 99% at 0.87.
    """

    def __init__(self, path: Path, near: bool):
        self.near = near
        self.data = sqlite3.connect(path, isolation_level=None)
        self.data.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE seen (hash BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN"
        )

    def _knows(self, hashes: list[bytes]) -> bool:
        marks = ", ".join("?" * len(hashes))
        query = f"SELECT 1 FROM seen WHERE hash IN ({marks}) LIMIT 1"
        if self.data.execute(query, hashes).fetchone():
            return True
        rows = [(value,) for value in hashes]
        self.data.executemany("INSERT OR IGNORE INTO seen VALUES (?)", rows)
        return False

    def judge(self, digest: bytes, found: np.ndarray | None) -> str | None:
        """Whether a document is an "exact" or a "near" duplicate, or None."""
        if self._knows([digest]):
            return "exact"
        if not self.near or found[0] == 2**64 - 1:  # too short to have a run
            return None
        bands = found.reshape(N_BANDS, BAND)
        hashes = [
            hashlib.blake2b(
                bytes([i]) + band.tobytes(), digest_size=12
            ).digest()
            for i, band in enumerate(bands)
        ]
        return "near" if self._knows(hashes) else None

    def close(self) -> None:
        self.data.close()
