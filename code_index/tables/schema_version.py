"""The version of the tables' layout, in a small file next to them.

A file rather than table metadata: it is read before any table is opened, and there is one for
all tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.core.regular_files import load_json
from code_index.tables.table_folder import table_folder

SCHEMA_VERSION = 2  # 2: each model has tables of its own (models.json)
VERSION_FILE = "schema_version.json"
_SHOWN = 200  # characters of what is wrong with the file


def check_version(directory: Path | Bucket) -> None:
    """Refuse tables that a newer code-index wrote, or whose version cannot be read.

    Raises:
        StoreError: with both versions, or with the file that is damaged.
    """
    stored_version(directory)


def stored_version(directory: Path | Bucket) -> int | None:
    """Read the version of the tables in a folder; None where nothing was ever stored.

    Raises:
        StoreError: as `check_version`.
    """
    path = directory / VERSION_FILE
    try:
        if (record := table_folder(directory).record(VERSION_FILE, recent=True)) is None:
            return None
        found = _version_in(load_json(record))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f'{path} is damaged ({str(error)[:_SHOWN]}). Write {{"schema_version": {SCHEMA_VERSION}}} into it if this '
            "version of code-index made the index; else remove the index and index again."
        ) from error
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"The tables in {directory} have schema version {found}; this code-index knows versions up to "
            f"{SCHEMA_VERSION}. Upgrade code-index, or index again into another folder; nothing was touched."
        )
    return found


def _version_in(content: Any) -> int:
    version = content["schema_version"]
    if not isinstance(version, int):
        raise TypeError("its 'schema_version' is not a whole number")
    return version


def upgrade(directory: Path | Bucket, steps: Mapping[int, Callable[[], None]]) -> None:
    """Bring older tables to the present version, in place; the caller holds the locks of what the steps touch.

    A step takes tables from its version to the next, is repeatable, and leaves them readable for an older program.
    The version file is replaced at the end: a process that is killed before has changed nothing for anyone.

    Args:
        directory: folder of the tables.
        steps: each by the version that it starts from; a version without a step needs none.
    """
    found = stored_version(directory)
    if found is None or found == SCHEMA_VERSION:
        return
    for version in range(found, SCHEMA_VERSION):
        if version in steps:
            steps[version]()
    replace_version(directory)


def write_version(directory: Path | Bucket) -> None:
    """Write the version file unless it is there.

    Raises:
        StoreError: the place is one where commits may get lost.
    """
    folder = table_folder(directory)
    if folder.record(VERSION_FILE) is None:
        folder.refuse_unfit()
        replace_version(directory)


def replace_version(directory: Path | Bucket) -> None:
    """Write the present version; atomic, so that a reader never sees half of it."""
    table_folder(directory).write_record(VERSION_FILE, json.dumps({"schema_version": SCHEMA_VERSION}) + "\n")
