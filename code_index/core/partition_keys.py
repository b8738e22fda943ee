"""Partition keys of both phases: readable, unique and within Dagster's rules.

A file's key is never parsed; the tables hold the full facts.
"""

from __future__ import annotations

import hashlib

# Dagster's web pages and command line give these a meaning in a list of keys (`a, "b", [c...d], *`).
_RESERVED = frozenset('%,"*')
_MAX_PATH_CHARACTERS = 180
_BATCH_DIGITS = 8


def file_partition_key(file_hash: str, file_path: str) -> str:
    """Key of one version of one file, such as `3f2a9c1b7d4e:src/flask/app.py`.

    Characters that Dagster forbids or reserves are percent-encoded. A path that was encoded or
    cut short ends with a digest of the original, so that no two files share a key.

    Args:
        file_hash: SHA-256 of the content, 64 hex digits.
        file_path: POSIX path relative to the root.
    """
    if file_path.isprintable() and _RESERVED.isdisjoint(file_path):  # most: a twentieth of the time
        escaped = file_path.replace("...", "%2E%2E%2E")
    else:
        escaped = "".join(_escape(character) for character in file_path).replace("...", "%2E%2E%2E")
    if escaped == file_path and len(escaped) <= _MAX_PATH_CHARACTERS:
        return f"{file_hash[:12]}:{escaped}"
    digest = hashlib.sha256(file_path.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if len(escaped) > _MAX_PATH_CHARACTERS:
        # The end of a path says more than its start.
        escaped = "~" + escaped[-_MAX_PATH_CHARACTERS:]
    return f"{file_hash[:12]}:{escaped}~{digest}"


def batch_partition_key(batch_id: int) -> str:
    """Key of an embedding batch: its number, zero-padded so that keys sort as numbers do."""
    return f"{batch_id:0{_BATCH_DIGITS}d}"


def batch_id_of(partition_key: str) -> int:
    """Number of an embedding batch; the inverse of `batch_partition_key`.

    Raises:
        ValueError: the key is not a batch number.
    """
    if not (partition_key.isascii() and partition_key.isdigit()):
        raise ValueError(f"{partition_key!r} is not a batch number.")
    return int(partition_key)


def _escape(character: str) -> str:
    if character in _RESERVED or not character.isprintable():
        return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    return character
