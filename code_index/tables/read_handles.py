"""Handles for searching: looked over once a search, and asked side by side.

Belongs here: opening tables for readers that must be quick, telling that a table has changed, and running
LanceDB's asynchronous calls for callers that wait. What is asked is known by `search`.

Decisions: `tables.Tables` asks the disk for a newer version at every call, which a writer needs and of which a
search with six calls pays six times. Here a handle stays at its version until the folder of the versions looks
different (one listing, 0.05 ms), so all that one search reads of a table is of one version as a rule, and what is
known of that version (rows, columns, indexes) is asked once. LanceDB's asynchronous interface, because two
queries then use two processors, and because the other one checks and copies each query first (2 ms).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from code_index.core.errors import StoreError
from code_index.tables.lancedb_import import load_lancedb
from code_index.tables.retries import TableUnreadableError, explained
from code_index.tables.sql import sql_literal
from code_index.tables.version import check_version

T = TypeVar("T")
_State = tuple[int, int, int, str, str]

STABLE_S = 2.0
"""A version that searches have found unchanged for so long is loaded: a command that asks once has ended by then,
and beside a writer that commits every second nothing is loaded in vain."""


class Reader:
    """A table at one version; what was found out about that version is kept with it."""

    def __init__(self, handle: Any, state: _State, version: int, rows: int, schema: pa.Schema) -> None:
        self.handle = handle  # lancedb.AsyncTable
        self.state = state
        self.version = version
        self.rows = rows
        self.schema: pa.Schema = schema
        self._holds_only: dict[str, bool] = {}
        self._since = time.monotonic()
        self._loading: asyncio.Future[Any] | None = None
        self._has_vector_index: bool | None = None

    def kept(self, load: Callable[[Any], Coroutine[Any, Any, T]]) -> T | None:
        """What `load` makes of the handle, kept with the version; `None` before it is there.

        Loaded beside the searches, once searches have found the version unchanged for `STABLE_S`. One reader
        keeps one thing. Raises what the loading raised.
        """
        if self._loading is None and time.monotonic() - self._since >= STABLE_S:
            self._loading = asyncio.ensure_future(load(self.handle))
        return self._loading.result() if self._loading is not None and self._loading.done() else None

    async def has_vector_index(self) -> bool:
        """Whether an approximate index answers vector queries."""
        if self._has_vector_index is None:
            indexes = await self.handle.list_indices()
            self._has_vector_index = any("vector" in index.columns for index in indexes)
        return self._has_vector_index

    async def holds_only(self, model: str) -> bool:
        """Whether every vector is of that model."""
        if model not in self._holds_only:
            others = self.handle.query().where(f"embedding_model != {sql_literal(model)}").select(["chunk_id"]).limit(1)
            self._holds_only[model] = not (await others.to_arrow()).num_rows
        return self._holds_only[model]


class Reading:
    """The tables of one folder, for readers. Opens lazily; usable from several threads."""

    def __init__(self, directory: Path, *, stored_name: Callable[[str], str] = str) -> None:
        """Tables of a folder; `stored_name` says under which name a table lies there at the moment."""
        self.directory = Path(directory)
        self._stored_name = stored_name
        self._forget()

    def __getstate__(self) -> tuple[Path, Callable[[str], str]]:
        return self.directory, self._stored_name  # handles stay behind: a spawned process opens its own

    def __setstate__(self, state: tuple[Path, Callable[[str], str]]) -> None:
        self.directory, self._stored_name = state
        self._forget()

    def _forget(self) -> None:
        self._connection: Any = None
        self._readers: dict[str, Reader] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._owner = 0  # process that opened the connection

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin to read; the future's result is what `work` returns or raises.

        Raises:
            StoreError: the process was forked off one that had read already.
        """
        if self._connection is not None and self._owner != os.getpid():
            work.close()
            raise StoreError("LanceDB does not survive a fork: start worker processes with spawn or forkserver.")
        return asyncio.run_coroutine_threadsafe(work, _loop())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, for a caller that waits."""
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def ask(self, name: str, question: Callable[[Reader], Awaitable[T]]) -> T | None:
        """The answer of a table at its newest version; `None` when it was never written.

        Raises:
            TableUnreadableError: files of the table are missing or damaged.
            StoreError: any other refusal, or a newer schema version.
        """
        if (reader := await self.reader(name)) is None:
            return None
        try:
            return await self._explaining(name, question(reader))
        except TableUnreadableError:
            # The files may have been exchanged: a table that was removed and made again.
            self._readers.pop(name, None)
            if (reader := await self.reader(name)) is None:
                return None
            return await self._explaining(name, question(reader))

    async def reader(self, name: str) -> Reader | None:
        """The table's reader, moved on to the newest version; `None` when it was never written."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            state = self._state(name)
            known = self._readers.get(name)
            if state is None:
                self._readers.pop(name, None)
                return None
            if known is None or known.state[0] != state[0]:
                reader = await self._explaining(name, self._opened(name, state))
            elif known.state != state:
                reader = await self._explaining(name, self._moved_on(known, state))
            else:
                return known
            self._readers[name] = reader
            return reader

    async def _opened(self, name: str, state: _State) -> Reader:
        if self._connection is None:
            check_version(self.directory)
            self._owner = os.getpid()
            # Without an interval handles stay at their version.
            self._connection = await load_lancedb().connect_async(str(self.directory))
        handle = await self._connection.open_table(self._stored_name(name))
        return Reader(handle, state, await handle.version(), await handle.count_rows(), await handle.schema())

    @staticmethod
    async def _moved_on(known: Reader, state: _State) -> Reader:
        await known.handle.checkout_latest()
        version = await known.handle.version()
        if version == known.version:  # a file that is no version came or went
            known.state = state
            return known
        return Reader(known.handle, state, version, await known.handle.count_rows(), await known.handle.schema())

    def _state(self, name: str) -> _State | None:
        """What tells that a table has changed, from before it is read: its folder of versions, and what is in it.

        Each commit adds a name. The folder's number and time tell a table that was removed and made again.
        """
        folder = self.directory / f"{self._stored_name(name)}.lance" / "_versions"
        try:
            status = folder.stat()
            names = os.listdir(folder)  # noqa: PTH208 - names alone, for every search
        except FileNotFoundError:
            names = []
        if not names:
            # A killed writer leaves a folder without data: no table. Data without a version is a damaged one.
            if any(folder.parent.glob("data/*")):
                raise TableUnreadableError(
                    f"Files of table {name!r} in {self.directory} are missing or damaged (no version). Put the folder "
                    f"{name}.lance back as it was, or remove it and index again to rebuild it."
                )
            return None
        return status.st_ino, status.st_mtime_ns, len(names), min(names), max(names)

    async def _explaining(self, name: str, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except (RuntimeError, ValueError, OSError) as error:
            raise explained(error, table=name, directory=self.directory) from error


_loops: dict[int, asyncio.AbstractEventLoop] = {}  # by process: a thread does not survive a fork
_starting = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of all readers of the process, in a thread of its own."""
    with _starting:
        if (loop := _loops.get(os.getpid())) is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="code-index-reading", daemon=True).start()
        return loop
