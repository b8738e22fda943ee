"""Record of the last scan: when it was, of which commit, and of which state of the repository.

A search says by it how old its answer may be. It is no part of the tables: a scan that finds nothing new writes no row, and
yet makes the index younger. Losing it costs a walk over the repository and the figures of age and commit, nothing else.

Belongs here: the file. Does not belong here: comparing it with the repository (`code_index.search.freshness`).
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from code_index.core.regular_files import load_json
from code_index.index.folder import IndexFolder
from code_index.index.records import read_record, write_record

LAST_SCAN_FILE: Final = "scan.json"


@dataclass(frozen=True, slots=True)
class LastScan:
    """The last scan: `at` is Unix time in seconds, `commit` that of HEAD, `token` that of `repository_state`."""

    at: float
    commit: str | None
    token: str


def write_last_scan(folder: IndexFolder, scan: LastScan) -> None:
    """Record a scan; a disk that is full costs the record, nothing else."""
    with suppress(OSError):
        write_record(folder, LAST_SCAN_FILE, json.dumps(asdict(scan)) + "\n")


def read_last_scan(folder: IndexFolder, *, recent: bool = False) -> LastScan | None:
    """Return the last scan; None where none is recorded, or the record cannot be read. `recent` as in `read_record`."""
    try:
        if (content := read_record(folder, LAST_SCAN_FILE, recent=recent)) is None:
            return None
        record = load_json(content)
        at, commit = float(record["at"]), record["commit"]
        if not math.isfinite(at):
            return None
        return LastScan(at, None if commit is None else str(commit), str(record["token"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
