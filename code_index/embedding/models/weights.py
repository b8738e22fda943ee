"""Identity of a model's weights.

The digest goes into the identity of every vector, so it is computed from the bytes, not from a name. Hashing
90 MB takes 60-190 ms, too long for a query: the result is kept with the file's size and mtime.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from code_index.core.atomic_writes import write_atomically
from code_index.core.cache import cache_folder
from code_index.core.errors import ModelError
from code_index.core.regular_files import load_json, read_regular_file

_LOG = logging.getLogger(__name__)
_PATTERN = "*.safetensors"
"""No other form is read: opening one of the others may run code (`code_index.embedding.models.data_only`)."""


def weights_files(folder: Path) -> list[Path]:
    """The weights in a model's folder, sorted by name: one file, or its shards.

    Raises:
        ModelError: there are none.
    """
    if files := sorted(folder.glob(_PATTERN)):
        return files
    raise ModelError(f"{folder} has no weights ({_PATTERN}): name a folder in sentence-transformers layout")


def weights_digest(files: list[Path]) -> str:
    """SHA-256 of the weights, 64 hex digits: the file's own, or that of the shards' digests.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        digests = [_file_digest(path) for path in files]
    except OSError as error:
        raise ModelError(f"the weights {error.filename} cannot be read: {error.strerror}") from error
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    path = path.resolve()
    status = path.stat()
    stamp = {"path": str(path), "size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    key = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    record = cache_folder() / "weights" / f"{key}.json"
    known = _read(record)
    if known.get("stamp") == stamp and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        write_atomically(record, json.dumps({"stamp": stamp, "sha256": digest}))
    except OSError as error:  # costs only time at the next start
        _LOG.warning("the digest of %s cannot be kept in %s: %s", path, record, error)
    return digest


def _read(record: Path) -> dict[str, object]:
    try:
        known = load_json(read_regular_file(record))
    except (OSError, ValueError):  # absent or damaged: made again
        return {}
    return known if isinstance(known, dict) else {}
