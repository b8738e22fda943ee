"""Retries of calls into LanceDB, and plain errors in place of its own.

LanceDB raises plain `RuntimeError` and `ValueError`: only their text tells a lost race from a
full disk. Every call into it goes through `with_retries`, which retries lost races and turns the rest
into `StoreError`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from code_index.core import object_stores
from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError

T = TypeVar("T")

ATTEMPTS = 12
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0

_LOST_RACE = ("commit conflict", "incompatible transaction", "too many concurrent writers")
_UNREADABLE = (
    "not found",
    "sufficient data",
    "corrupt",
    "invalid magic",
    "magic number",
    "decode error",
    "failed to decode",
    "unexpected end",
    "out of bounds",
    "invalid range",
)
_NO_TABLE = ("was not found",)  # a folder with data, but without a manifest
_DISK_FULL = ("no space left", "disk quota")

_random = random.SystemRandom()


class TableUnreadableError(StoreError):
    """Files of the table are missing or damaged."""


def with_retries(
    action: Callable[[], T], *, table: str, directory: Path | Bucket, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Run `action`, and again while it loses races against other writers, for about 12 seconds.

    Waits are random, and their limit doubles with each attempt, so that writers that
    collided once do not collide in step again. At a store each attempt also waits for faults that pass.

    Raises:
        TableUnreadableError: files of the table are missing or damaged.
        StoreError: any other refusal, with LanceDB's reason.
    """
    for attempt in range(ATTEMPTS):
        try:
            return object_stores.waited_for(action) if isinstance(directory, Bucket) else action()
        except (RuntimeError, ValueError, OSError) as error:
            if not is_lost_race(error):
                raise explained(error, table=table, directory=directory) from error
            if attempt == ATTEMPTS - 1:
                raise StoreError(
                    f"Other writers kept changing table {table!r} in {directory} during {ATTEMPTS} attempts. "
                    "Nothing was written; run the command again when they are done."
                ) from error
        sleep(_random.uniform(0, min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S)))
    raise AssertionError("unreachable: the last attempt returns or raises")


def is_lost_race(error: Exception) -> bool:
    """Tell whether a retry of the same call may succeed."""
    return isinstance(error, RuntimeError) and _says(error, _LOST_RACE)


def _says(error: Exception, phrases: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(phrase in text for phrase in phrases)


def explained(error: Exception, *, table: str, directory: Path | Bucket) -> StoreError:
    """Turn LanceDB's error into one that names the table, the reason and the fix."""
    if isinstance(directory, Bucket) and (said := object_stores.explained(error, f"{directory}/{table}.lance")):
        return said
    # LanceDB ends its messages with a line of its own sources: no use to a reader.
    reason = str(error).split(", /root/", maxsplit=1)[0].splitlines()[0] if str(error) else type(error).__name__
    if _says(error, _DISK_FULL):
        return StoreError(
            f"The disk that holds {directory} is full; table {table!r} kept its last version. Free space."
        )
    if _says(error, _NO_TABLE) or (isinstance(error, RuntimeError | OSError) and _says(error, _UNREADABLE)):
        return TableUnreadableError(
            f"Files of table {table!r} in {directory} are missing or damaged ({reason}). Put the folder "
            f"{table}.lance back as it was, or remove it and index again to rebuild it."
        )
    return StoreError(f"Table {table!r} in {directory} refused the request: {reason}")
