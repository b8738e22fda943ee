"""Handles for searching: refreshed once a search, and queried concurrently.

Belongs here: opening tables for readers that must be quick, noticing that a table has changed, and running
LanceDB's asynchronous calls for callers that wait. Does not belong here: the queries (`search_rows`).

Decisions: `LanceTables` asks the disk for a newer version at every call; a writer needs that, but a search with
six calls pays for it six times. Here a handle stays at its version until the folder of the versions looks
different (one listing, 0.05 ms; at a store, until a second has passed), so one search reads a table at one version as a rule, and the facts of
that version (rows, columns, indexes) are asked once. LanceDB's asynchronous interface, because two
queries then use two processors, and because the other one checks and copies each query first (2 ms).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.tables.retries import TableUnreadableError, explained
from code_index.tables.schema_version import check_version
from code_index.tables.sql import sql_literal
from code_index.tables.table_folder import table_folder

T = TypeVar("T")
_State: TypeAlias = tuple[Hashable, ...]

_STOPPING_S = 10.0
STABLE_S = 2.0
"""A version that searches have found unchanged for so long is loaded: a command that asks once has ended by then,
and beside a writer that commits every second nothing is loaded in vain."""


class ReadHandle:
    """A table at one version, with the known facts of that version."""

    def __init__(self, table: Any, state: _State, version: int, rows: int, schema: pa.Schema) -> None:
        self.table = table  # lancedb.AsyncTable
        self.state = state
        self.version = version
        self.rows = rows
        self.schema: pa.Schema = schema
        self._holds_only: dict[str, bool] = {}
        self._since = time.monotonic()
        self._loading: asyncio.Future[Any] | None = None
        self._indexes: list[Any] | None = None

    def kept(self, load: Callable[[Any], Coroutine[Any, Any, T]]) -> T | None:
        """Return what `load` made of the table, kept with the version; `None` before it is there.

        It is loaded beside the searches, once they have found the version unchanged for `STABLE_S`. One handle
        keeps one result. An error of the loading is raised here.
        """
        if self._loading is None and time.monotonic() - self._since >= STABLE_S:
            self._loading = asyncio.ensure_future(load(self.table))
        return self._loading.result() if self._loading is not None and self._loading.done() else None

    async def has_vector_index(self) -> bool:
        """Tell whether an approximate index answers vector queries."""
        return any("vector" in index.columns for index in await self._listed_indexes())

    async def rows_outside_index(self, column: str) -> int:
        """Count the rows that are not in the index of a column: all of them where there is none."""
        of_column = [index for index in await self._listed_indexes() if list(index.columns) == [column]]
        return min((int(index.num_unindexed_rows) for index in of_column), default=self.rows)

    async def _listed_indexes(self) -> list[Any]:
        if self._indexes is None:
            self._indexes = list(await self.table.list_indices())
        return self._indexes

    async def holds_only(self, model: str) -> bool:
        """Tell whether every vector is of that model."""
        if model not in self._holds_only:
            others = self.table.query().where(f"embedding_model != {sql_literal(model)}").select(["chunk_id"]).limit(1)
            self._holds_only[model] = not (await others.to_arrow()).num_rows
        return self._holds_only[model]


class ReadHandles:
    """Handles on the tables of one folder, opened lazily; usable from several threads."""

    def __init__(self, where: Path | Bucket, *, stored_name: Callable[[str], str] = str) -> None:
        """Set where the tables lie; `stored_name` gives the name of a table there at the moment."""
        self.where = where
        self._stored_name = stored_name
        self._reset()

    def __getstate__(self) -> tuple[Path | Bucket, Callable[[str], str]]:
        return self.where, self._stored_name  # handles stay behind: a spawned process opens its own

    def __setstate__(self, state: tuple[Path | Bucket, Callable[[str], str]]) -> None:
        self.where, self._stored_name = state
        self._reset()

    def _reset(self) -> None:
        self._folder = table_folder(self.where)
        self._connection: Any = None
        self._handles: dict[str, ReadHandle] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._owner = 0  # process that opened the connection

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin to read; the future gets the result or the error of `work`.

        Raises:
            StoreError: the process was forked off one that had read already.
        """
        if self._connection is not None and self._owner != os.getpid():
            work.close()
            raise StoreError("LanceDB does not survive a fork: start worker processes with spawn or forkserver.")
        return asyncio.run_coroutine_threadsafe(work, _loop())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and wait for its result."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def ask(self, name: str, question: Callable[[ReadHandle], Awaitable[T]]) -> T | None:
        """Ask a table at its newest version; `None` when it was never written.

        Raises:
            TableUnreadableError: files of the table are missing or damaged.
            StoreError: any other refusal, or a newer schema version.
        """
        if (handle := await self.current(name)) is None:
            return None
        try:
            return await self._explaining(name, question(handle))
        except TableUnreadableError:
            # The files may have been exchanged: a table that was removed and made again.
            self._handles.pop(name, None)
            if (handle := await self.current(name)) is None:
                return None
            return await self._explaining(name, question(handle))

    async def current(self, name: str) -> ReadHandle | None:
        """Return the table's handle at the newest version; `None` when the table was never written."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            # At a store it may take requests, for which other searches need not wait.
            at_store = isinstance(self.where, Bucket)
            state = await asyncio.to_thread(self._state, name) if at_store else self._state(name)
            known = self._handles.get(name)
            if state is None:
                self._handles.pop(name, None)
                return None
            if known is None or known.state[:2] != state[:2]:
                handle = await self._explaining(name, self._opened(name, state))
            elif known.state != state:
                handle = await self._explaining(name, self._moved_on(known, state))
            else:
                return known
            self._handles[name] = handle
            return handle

    async def _opened(self, name: str, state: _State) -> ReadHandle:
        if self._connection is None:
            check_version(self.where)
            self._owner = os.getpid()
            self._connection = await self._folder.connect_reader()
            _stop_at_exit()
        table = await self._connection.open_table(self._stored_name(name))
        return ReadHandle(table, state, await table.version(), await table.count_rows(), await table.schema())

    @staticmethod
    async def _moved_on(known: ReadHandle, state: _State) -> ReadHandle:
        await known.table.checkout_latest()
        version = await known.table.version()
        if version == known.version:  # a file that is no version came or went
            known.state = state
            return known
        return ReadHandle(known.table, state, version, await known.table.count_rows(), await known.table.schema())

    def _state(self, name: str) -> _State | None:
        """Fingerprint of a table, from before it is read; the first two tell it from another table."""
        stored = self._stored_name(name)
        state = self._folder.state(stored)
        return None if state is None else (stored, *state)

    async def _explaining(self, name: str, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except (RuntimeError, ValueError, OSError) as error:
            raise explained(error, table=name, directory=self.where) from error


_readers: dict[int, tuple[asyncio.AbstractEventLoop, threading.Thread]] = {}  # by process: no thread survives a fork
_starting = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all readers of the process, in a thread of its own."""
    with _starting:
        if (reader := _readers.get(os.getpid())) is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="code-index-reading", daemon=True)
            reader = _readers[os.getpid()] = loop, thread
            thread.start()
        return reader[0]


@cache
def _stop_at_exit() -> None:
    """Let no query begin while the process ends: LanceDB's own end, which is registered by now, would wait for ever."""
    atexit.register(_stop)


def _stop() -> None:
    _starting.acquire()  # for good: who asks for the loop now, waits until the process is gone
    if (reader := _readers.get(os.getpid())) is not None:
        loop, thread = reader
        asyncio.run_coroutine_threadsafe(_stop_when_read(loop), loop)
        thread.join()


async def _stop_when_read(loop: asyncio.AbstractEventLoop) -> None:
    """Wait for what is being read, or imported for it, and stop the loop."""
    if under_way := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(under_way, timeout=_STOPPING_S)
    loop.stop()
