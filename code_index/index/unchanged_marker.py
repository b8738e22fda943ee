"""Marker of an unchanged repository: one small file, which `code-index index` reads before anything else.

A command that finds nothing to do would spend seconds on opening Dagster and the tables, and a moment on the
question. After a run that left nothing to do, the file holds what that run saw: the state of the repository, the
settings, the program's versions, and size and time of each file of the tables and of Dagster's event log. While all of
it is as it was, there is nothing to do; after any difference the command works as if there were no such file.

It is a cache: losing it costs those seconds. Belongs here: the file. Does not belong here: finding that a run left
nothing to do (`indexing_assets.operations.pipeline`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from code_index.chunking import CHUNKER_VERSION
from code_index.core.atomic_writes import write_atomically
from code_index.core.distribution import DISTRIBUTION
from code_index.core.embedding_text import TEXT_RECIPE_VERSION
from code_index.core.regular_files import load_json, read_regular_file
from code_index.embedding.configuration import DETERMINISTIC
from code_index.embedding.models.lookup import DEFAULT, DEFAULT_MODEL, FAST
from code_index.index.folder import IndexFolder
from code_index.index.last_scan import LastScan, write_last_scan
from code_index.index.settings import Settings
from code_index.index.source import walk_options
from code_index.repository.commits import checked_out_commit
from code_index.repository.fingerprint import repository_state

COMPLETE_FILE: Final = "complete.json"
# A scan is due at times for Dagster: its page shows how fresh the index is.
TRUSTED_FOR: Final = timedelta(hours=12)
# Other models are files that may change without a trace here.
_KNOWN_MODELS: Final = (DEFAULT, DEFAULT_MODEL, FAST, DETERMINISTIC)
_PACKAGES: Final = (DISTRIBUTION, "dagster", "lancedb", "tree-sitter", "tree-sitter-language-pack")


@dataclass(frozen=True, slots=True)
class Counts:
    """Contents of the index; `skipped` counts what is left out, by reason (`code_index.index.skipped`)."""

    files: int
    chunks: int
    vectors: int
    skipped: Mapping[str, int] = field(default_factory=dict)


def tables_fingerprint(folder: IndexFolder) -> str:
    """Fingerprint of the files of the tables; the same as long as nobody writes."""
    return _digest(sorted(_files(folder.tables_dir)))


def write_marker(
    folder: IndexFolder, *, token: str, tables: str, counts: Counts, trusted_for: timedelta = TRUSTED_FOR
) -> bool:
    """Record that nothing is left to do. The process must have closed the tables and Dagster's instance.

    Args:
        folder: the index.
        token: of `repository_state`, from before the scan whose files are all in the index.
        tables: of `tables_fingerprint`, from before it was found that nothing is left to do.
        counts: contents of the index now.
        trusted_for: time after which everything is looked at again, whatever changed.

    Returns:
        True if that was recorded; not if somebody wrote meanwhile, or the model may change without a trace.
    """
    settings = folder.settings()
    if settings.embedder.model not in _KNOWN_MODELS:
        return False
    fingerprint = _fingerprint(folder, settings)
    if tables != tables_fingerprint(folder):
        return False
    now = time.time()
    record = {
        "at": now,
        "until": now + trusted_for.total_seconds(),
        "token": token,
        "index": fingerprint,
        "counts": asdict(counts),
    }
    try:
        write_atomically(folder.path / COMPLETE_FILE, json.dumps(record) + "\n")
    except OSError:  # a full disk costs the short cut, nothing else
        return False
    return True


def read_marker(folder: IndexFolder) -> Counts | None:
    """Return the contents of the index if nothing is left to do; None where that is not sure.

    Raises:
        CodeIndexError: the settings, the folder or the repository cannot be used.
    """
    try:
        record = load_json(read_regular_file(folder.path / COMPLETE_FILE))
        at, until = float(record["at"]), float(record["until"])
        token, index = str(record["token"]), str(record["index"])
        numbers = dict(record["counts"])
        skipped = {str(reason): int(count) for reason, count in numbers.pop("skipped").items()}
        counts = Counts(**{name: int(value) for name, value in numbers.items()}, skipped=skipped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):  # a count may be Infinity
        return None
    if not at <= time.time() < until:
        return None
    folder.check()
    settings = folder.settings()
    if settings.embedder.model not in _KNOWN_MODELS or index != _fingerprint(folder, settings):
        return None
    now = time.time()
    state = repository_state(folder.repository_root, walk_options(folder, settings))
    if state.token != token:
        return None
    # A scan would have found the same.
    write_last_scan(folder, LastScan(now, checked_out_commit(folder.repository_root), token))
    return counts


def _fingerprint(folder: IndexFolder, settings: Settings) -> str:
    """Fingerprint of all but the repository that decides whether there is something to do."""
    parts: list[Any] = [
        settings.model_dump_json(),
        # A computer may suit another precision or device.
        platform.node(),
        CHUNKER_VERSION,
        TEXT_RECIPE_VERSION,
        *(version(package) for package in _PACKAGES),
        *sorted(_files(folder.tables_dir)),
        *sorted(_files(folder.dagster_home / "history" / "runs", only="index.db")),
    ]
    return _digest(parts)


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _files(directory: Path, *, only: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of the files under a folder; with `only` of those directly in it that begin so."""
    pending = [str(directory)]
    while pending:
        with suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not only:
                        pending.append(entry.path)
                elif entry.name.startswith(only) and not entry.name.endswith("-shm"):
                    status = entry.stat(follow_symlinks=False)
                    yield os.path.relpath(entry.path, directory), status.st_size, status.st_mtime_ns
