"""Tables at a store: `TableFolder` by requests.

Decision: the records beside the tables are rows of a table of their own. Its commits are conditional puts, which keep a machine
that was cut off from writing over what others wrote meanwhile; and LanceDB makes them, so that no further client is needed.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar
from uuid import uuid4

import pyarrow as pa

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.core.object_stores import Endpoint, ObjectFiles
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.retries import TableUnreadableError, with_retries
from code_index.tables.schemas import with_primary_key
from code_index.tables.sql import sql_literal

T = TypeVar("T")

_PROBES: Final = 4
"""Commits at once of which a store that overwrites keeps fewer: each looks for the newest version, then writes the next."""

STALE_S: Final = 1.0
"""Time for which a reader at a store does not ask for what other machines wrote: asking is a request each time."""

_State: TypeAlias = tuple[bool, int]
_RECORDS: Final = "records"
_RECORDS_SCHEMA: Final = with_primary_key(
    pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("content", pa.string(), nullable=False)]),
    ["name"],
)
_RECORD_VERSIONS: Final = 64  # after which older ones are removed
_OLD_RECORDS: Final = timedelta(minutes=10)


class _Records:
    """The records of one place, as this process read them last; usable from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._table: Any = None
        self._version = 0
        self._contents: dict[str, str] = {}
        self._read_at = -math.inf

    def read(self, folder: FolderAtStore, *, recent: bool) -> dict[str, str]:
        """Return all contents by name, with one request where nobody wrote since, and none where `recent` ones do."""
        with self._lock:
            if not (recent and time.monotonic() - self._read_at < STALE_S):
                read_at = time.monotonic()
                self._look(folder)
                self._read_at = read_at
            return self._contents

    def _look(self, folder: FolderAtStore) -> None:
        if self._table is None:
            if not folder.has_data(_RECORDS):
                return
            self._table = folder.connect(None).open_table(_RECORDS)
        self._table.checkout_latest()
        if (version := self._table.version) != self._version:
            rows = self._table.to_arrow()
            self._contents = dict(zip(rows["name"].to_pylist(), rows["content"].to_pylist(), strict=True))
            self._version = version

    def merge(self, folder: FolderAtStore, name: str, content: str, chosen: Callable[[Any], Any]) -> int:
        """Merge one record by the clauses that are chosen; returns how many rows that changed."""
        with self._lock:
            table = self._opened_or_made(folder)
            row = pa.table({"name": [name], "content": [content]}, schema=_RECORDS_SCHEMA)
            done = chosen(table.merge_insert("name")).use_index(False).execute(row)
            self._read_at = -math.inf
            if done.version % _RECORD_VERSIONS == 0:
                table.optimize(cleanup_older_than=_OLD_RECORDS)
            return int(done.num_inserted_rows + done.num_updated_rows)

    @staticmethod
    def _opened_or_made(folder: FolderAtStore) -> Any:
        connection = folder.connect()
        if folder.has_data(_RECORDS):
            return connection.open_table(_RECORDS)
        try:
            return connection.create_table(_RECORDS, schema=_RECORDS_SCHEMA)
        except ValueError as error:
            if "already exists" not in str(error):
                raise
            return connection.open_table(_RECORDS)  # another machine was quicker


_known: dict[tuple[int, str], _Records] = {}


class FolderAtStore:
    """Tables below a prefix of a bucket; readers ask for a newer version once in `STALE_S`."""

    def __init__(self, where: Bucket) -> None:
        self._where = where
        self._files = ObjectFiles(where)
        self._states: dict[str, _State] = {}  # whether there is a table, and the moment of the look

    def record(self, name: str, *, recent: bool = False) -> bytes | None:
        content = self._retried(partial(self._records.read, self, recent=recent)).get(name)
        return None if content is None else content.encode()

    def stamp(self, name: str) -> Hashable:
        return self.record(name, recent=True)

    def write_record(self, name: str, content: str) -> None:
        self._merge_record(name, content, lambda merge: merge.when_matched_update_all().when_not_matched_insert_all())

    def replace_record(self, name: str, content: str, *, instead_of: bytes | None) -> None:
        def conditional(merge: Any) -> Any:
            if instead_of is None:
                return merge.when_not_matched_insert_all()
            return merge.when_matched_update_all(where=f"target.content = {sql_literal(instead_of.decode())}")

        # A commit that went through and whose answer was lost is repeated: it then finds its own content.
        if not self._merge_record(name, content, conditional) and self.record(name) != content.encode():
            raise StoreError(f"Another machine wrote {self._where / name} meanwhile. Nothing was written; run again.")

    def _merge_record(self, name: str, content: str, chosen: Callable[[Any], Any]) -> int:
        """Merge a record into the table, which is made first; returns how many rows that changed."""
        return self._retried(partial(self._records.merge, self, name, content, chosen))

    @property
    def _records(self) -> _Records:
        """Those of this place that the process knows; a forked one knows none, whose handles it could not use."""
        return _known.setdefault((os.getpid(), str(self._where)), _Records())

    def _retried(self, action: Callable[[], T]) -> T:
        return with_retries(action, table=_RECORDS, directory=self._where)

    def connect(self, looking_after: timedelta | None = timedelta(0)) -> Any:
        options = Endpoint.named().storage_options()
        return load_lancedb().connect(
            str(self._where), read_consistency_interval=looking_after, storage_options=options
        )

    async def connect_reader(self) -> Any:
        return await load_lancedb().connect_async(str(self._where), storage_options=Endpoint.named().storage_options())

    def state(self, table: str) -> _State | None:
        """Return another state each `STALE_S`, in which whoever reads asks for the newest version."""
        moment = int(time.monotonic() / STALE_S)
        known = self._states.get(table)
        if known is None or (not known[0] and known[1] != moment):
            known = self._states[table] = (self.has_data(table), moment)
        return (True, moment) if known[0] else None

    def identity(self, table: str) -> str:  # noqa: ARG002 - versions tell nothing of a table that was made again
        return uuid4().hex

    def leftovers(self, patterns: Sequence[str]) -> Iterator[Path]:  # noqa: ARG002
        return iter(())

    def has_data(self, table: str) -> bool:
        return any(self._files.listed(f"{table}.lance/{folder}") for folder in ("_versions", "data"))

    def is_there(self, table: str) -> bool:  # noqa: ARG002 - a request for each call would tell no more than the call itself
        return True

    def names(self) -> set[str]:
        found = {name.removesuffix(".lance") for name in self._files.folders() if name.endswith(".lance")} - {_RECORDS}
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
        try:
            kept = with_retries(partial(_kept_of_commits_at_once, FolderAtStore(where)), table="probe", directory=where)
        except TableUnreadableError:  # one was replaced while another was at work on it
            kept = 0
        if kept < _PROBES:
            raise StoreError(
                f"{Endpoint.named()} loses writes: of {_PROBES} commits at once to {self._where} it kept {kept}, for it does "
                "not keep If-None-Match. Use a store with conditional writes, or a folder."
            )


def _kept_of_commits_at_once(folder: FolderAtStore) -> int:
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
