"""Tables at a store: `TableFolder` by requests.

Decision: the records beside the tables are rows of a table of their own. Its commits are conditional puts, which keep a machine
that was cut off from writing over what others wrote meanwhile; and LanceDB makes them, so that no further client is needed.
"""

from __future__ import annotations

import math
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
from code_index.tables.retries import with_retries
from code_index.tables.schemas import with_primary_key
from code_index.tables.sql import equals, sql_literal

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
_seen: dict[tuple[str, str], tuple[float, bytes | None]] = {}  # records of stores, and when this process read them


class FolderAtStore:
    """Tables below a prefix of a bucket; readers ask for a newer version once in `STALE_S`."""

    def __init__(self, where: Bucket) -> None:
        self._where = where
        self._files = ObjectFiles(where)
        self._records: Any = None
        self._states: dict[str, _State] = {}  # whether there is a table, and the moment of the look

    def record(self, name: str, *, recent: bool = False) -> bytes | None:
        seen_at, seen = _seen.get((str(self._where), name), (-math.inf, None))
        if recent and time.monotonic() - seen_at < STALE_S:
            return seen

        def read() -> bytes | None:
            if (table := self._record_table()) is None:
                return None
            found = table.search().where(equals("name", name)).select(["content"]).limit(1).to_arrow()
            return found["content"][0].as_py().encode() if found.num_rows else None

        content: bytes | None = self._retried(read)
        _seen[str(self._where), name] = (time.monotonic(), content)
        return content

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

        def merge() -> int:
            if (table := self._record_table()) is None:
                table = self._made_record_table()
            row = pa.table({"name": [name], "content": [content]}, schema=_RECORDS_SCHEMA)
            done = chosen(table.merge_insert("name")).use_index(False).execute(row)
            if done.version % _RECORD_VERSIONS == 0:
                table.optimize(cleanup_older_than=_OLD_RECORDS)
            return int(done.num_inserted_rows + done.num_updated_rows)

        changed = self._retried(merge)
        _seen[str(self._where), name] = (time.monotonic(), content.encode()) if changed else (-math.inf, None)
        return changed

    def _record_table(self) -> Any | None:
        if self._records is None and self.has_data(_RECORDS):
            self._records = self.connect().open_table(_RECORDS)
        return self._records

    def _made_record_table(self) -> Any:
        try:
            self._records = self.connect().create_table(_RECORDS, schema=_RECORDS_SCHEMA)
        except ValueError as error:
            if "already exists" not in str(error):
                raise
            self._records = self.connect().open_table(_RECORDS)  # another machine was quicker
        return self._records

    def _retried(self, action: Callable[[], T]) -> T:
        return with_retries(action, table=_RECORDS, directory=self._where)

    def connect(self) -> Any:
        options = Endpoint.named().storage_options()
        return load_lancedb().connect(str(self._where), read_consistency_interval=timedelta(0), storage_options=options)

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
        kept = with_retries(partial(_kept_of_commits_at_once, FolderAtStore(where)), table="probe", directory=where)
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
