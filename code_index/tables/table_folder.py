"""The place where the tables of one index or library lie: a folder of this machine, or a prefix in a bucket of a store.

Belongs here: what is asked about tables and small files beside them without LanceDB, and how LanceDB is led there. Does
not belong here: rows (`lance_tables`).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import pyarrow as pa

from code_index.core.addresses import Bucket
from code_index.core.atomic_writes import write_atomically
from code_index.core.errors import StoreError
from code_index.core.object_stores import Endpoint, ObjectFiles
from code_index.core.regular_files import MAX_SMALL_FILE_BYTES, read_regular_file
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.retries import with_retries

_PROBES: Final = 4
"""Commits at once of which a store that overwrites keeps fewer: each looks for the newest version, then writes the next."""


class TableFolder(Protocol):
    """The needs of tables at the place where they lie; names of tables are those in the folder."""

    def read(self, name: str) -> bytes:
        """Read a small file; `FileNotFoundError` where there is none."""

    def has(self, name: str) -> bool:
        """Tell whether there is a small file of that name."""

    def write(self, name: str, content: str) -> None:
        """Write a small file whole."""

    def connect(self) -> Any:
        """Connect LanceDB, whose handles look for a newer version at each call."""

    def has_data(self, table: str) -> bool:
        """Tell whether there is a version or a data file of a table."""

    def is_there(self, table: str) -> bool:
        """Tell whether a table that was opened may still be used: quick, and wrong only where its use fails plainly."""

    def names(self) -> set[str]:
        """Name the tables."""

    def disk_bytes(self, table: str) -> int:
        """Add up the bytes of a table, old versions and indexes included."""

    def ages_s(self, table: str) -> list[float]:
        """Seconds since each version of a table was written."""

    def refuse_unfit(self) -> None:
        """Refuse a place where commits of several writers may get lost, before its first table is made."""


def table_folder(where: Path | Bucket) -> TableFolder:
    """Tables in a folder or a bucket; nothing is opened."""
    return _AtStore(where) if isinstance(where, Bucket) else _OnDisk(where)


class _OnDisk:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, name: str) -> bytes:
        return read_regular_file(self._directory / name)

    def has(self, name: str) -> bool:
        return (self._directory / name).exists()

    def write(self, name: str, content: str) -> None:
        write_atomically(self._directory / name, content)

    def connect(self) -> Any:
        return load_lancedb().connect(str(self._directory), read_consistency_interval=timedelta(0))

    def has_data(self, table: str) -> bool:
        path = self._path(table)
        return any(path.glob("_versions/*")) or any(path.glob("data/*"))

    def is_there(self, table: str) -> bool:
        return (self._path(table) / "_versions").is_dir()

    def names(self) -> set[str]:
        return {path.name.removesuffix(".lance") for path in self._directory.glob("*.lance") if path.is_dir()}

    def disk_bytes(self, table: str) -> int:
        total = 0
        for path in self._path(table).rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:  # a writer or `optimize` removed it in between
                continue
        return total

    def ages_s(self, table: str) -> list[float]:
        ages = []
        now = time.time()
        for path in (self._path(table) / "_versions").glob("*.manifest"):
            with suppress(FileNotFoundError):  # `optimize` removed it in between
                ages.append(now - path.stat().st_mtime)
        return ages

    def refuse_unfit(self) -> None:
        """Nothing: a file of a name is made once on each disk."""

    def _path(self, table: str) -> Path:
        return self._directory / f"{table}.lance"


class _AtStore:
    def __init__(self, where: Bucket) -> None:
        self._where = where
        self._files = ObjectFiles(where)

    def read(self, name: str) -> bytes:
        return self._files.read(name, MAX_SMALL_FILE_BYTES)

    def has(self, name: str) -> bool:
        return any(one.name == name for one in self._files.listed(""))

    def write(self, name: str, content: str) -> None:
        self._files.write(name, content.encode())

    def connect(self) -> Any:
        options = Endpoint.named().storage_options()
        return load_lancedb().connect(str(self._where), read_consistency_interval=timedelta(0), storage_options=options)

    def has_data(self, table: str) -> bool:
        return any(self._files.listed(f"{table}.lance/{folder}") for folder in ("_versions", "data"))

    def is_there(self, table: str) -> bool:  # noqa: ARG002 - a request for each call would tell no more than the call itself
        return True

    def names(self) -> set[str]:
        found = {name.removesuffix(".lance") for name in self._files.folders() if name.endswith(".lance")}
        return {name for name in found if self.has_data(name)}  # some stores keep the folders of what was deleted

    def disk_bytes(self, table: str) -> int:
        return sum(one.bytes for one in self._files.listed(f"{table}.lance", below=True))

    def ages_s(self, table: str) -> list[float]:
        now = time.time()
        return [now - one.modified.timestamp() for one in self._files.listed(f"{table}.lance/_versions")]

    def refuse_unfit(self) -> None:
        """Commit rows at once to a table of its own, and count them.

        LanceDB's commits are puts with `If-None-Match`: a store that ignores it, or looks and writes in two steps, keeps the
        last of several that collide. So they have to collide; a put after the other would not find the second kind.
        """
        where = self._where / "probe"
        kept = with_retries(partial(_kept_of_commits_at_once, _AtStore(where)), table="probe", directory=where)
        if kept < _PROBES:
            raise StoreError(
                f"{Endpoint.named()} loses writes: of {_PROBES} commits at once to {self._where} it kept {kept}, for it does "
                "not keep If-None-Match. Use a store with conditional writes, or a folder."
            )


def _kept_of_commits_at_once(folder: _AtStore) -> int:
    connection = folder.connect()
    name = uuid4().hex
    row = pa.table({"row": [0]})
    connection.create_table(name, schema=row.schema)
    handles = [connection.open_table(name) for _ in range(_PROBES)]
    with ThreadPoolExecutor(_PROBES) as threads:
        list(threads.map(lambda handle: handle.add(row), handles))
    kept = int(connection.open_table(name).count_rows())
    connection.drop_table(name)
    return kept
