"""Locks that processes of several hosts hold: advisory locks of PostgreSQL.

The server frees a lock when the session that took it ends: at once where the holder's process dies, and within 20 s where
its host or its link does, by the time-outs below. The holder is not told of that, so it asks before each commit whether it
still has its lock (`ServerLock.check`); every commit is safe by itself besides. A session that was lost, as at a restart of
the server, is made again and the lock taken again, unless another process had it meanwhile: the row that names a holder has
a token that only this holder knows. Others leave a lock alone for as long after the server's start as that may take.

Belongs here: sessions, and who holds which name. Does not belong here: phases and threads (`code_index.index.locks`).
Rejected: a row with a heartbeat (a holder that pauses loses it, and its clock counts) and locks as objects of the store (the
same, with requests that cost).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from code_index.core.errors import IndexBusyError, StoreError, UsageError
from code_index.core.lazy_imports import importing

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names the class so

POSTGRES_VARIABLE: Final = "CODE_INDEX_POSTGRES_URL"

# Seconds. Keepalives notice a peer that is gone while nothing is sent, the time-out one that confirms nothing: with
# keepalives only, a lock outlived its holder's link by a minute; with both, by 12.6 s (PostgreSQL 15, November 2026).
_KEEPALIVE: Final = {"idle": 5, "interval": 2, "count": 3}
_UNCONFIRMED_S: Final = 12
_CONNECT_S: Final = 10
_LOOK_S: Final = 2.0
"""Time between two looks of a holder at its session."""
_RESTORED_S: Final = 15
"""Time after the server's start in which holders take their locks again, and nobody else does."""
_OUTAGE_S: Final = 60.0
"""Time for which the server may be out of reach before a holder that has something to commit gives up."""
_POLL_S: Final = 0.5

_SETTINGS: Final = (
    *(f"SET tcp_keepalives_{name} = {value}" for name, value in _KEEPALIVE.items()),
    f"SET tcp_user_timeout = '{_UNCONFIRMED_S}s'",
    "SET idle_session_timeout = 0",
    # Two sessions that make the table at once would fail.
    "SELECT pg_advisory_xact_lock(hashtext('code_index_locks'))",
    """CREATE TABLE IF NOT EXISTS code_index_locks (
        key bigint PRIMARY KEY, name text NOT NULL, token text NOT NULL, session integer NOT NULL, holder text NOT NULL
    )""",
)
_IS_YOUNG: Final = "SELECT now() - pg_postmaster_start_time() < make_interval(secs => %s)"
_MAY_BE_TAKEN_AGAIN: Final = """
    SELECT now() - pg_postmaster_start_time() < make_interval(secs => %s)
    AND EXISTS (SELECT FROM code_index_locks WHERE key = %s)
"""
# pg_locks has a key of 64 bits in two parts.
_HELD_KEYS: Final = """
    SELECT coalesce(array_agg((classid::bigint << 32) | objid::bigint), '{}') FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_HOLDER: Final = """
    SELECT coalesce((SELECT holder FROM code_index_locks WHERE key = %s AND session = pid), '') FROM pg_locks
    WHERE (classid::bigint << 32) | objid::bigint = %s AND locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class LockServer:
    """A PostgreSQL that keeps locks, and the `scope` of their names, such as the address of an index's tables."""

    url: str = field(repr=False)  # it may have a password
    scope: str

    @classmethod
    def named(cls, scope: str) -> LockServer:
        """Return the server that the environment names.

        Raises:
            UsageError: it names none.
        """
        url = os.environ.get(POSTGRES_VARIABLE)
        if not url:
            raise UsageError(
                f"{scope} has its locks in PostgreSQL. Name it in {POSTGRES_VARIABLE}, as in "
                "postgresql+psycopg2://USER@HOST/DATABASE."
            )
        return cls(url, scope)

    def lock(self, name: str) -> ServerLock:
        """Return a lock that nobody has taken yet."""
        return ServerLock(self, name)

    def unheld(self, names: Iterable[str]) -> set[str]:
        """Return those of the names whose locks nobody holds; none while holders may be taking them again.

        Raises:
            StoreError: the server cannot be reached.
        """
        by_key = {_key(self.scope, name): name for name in names}
        try:
            connection = _connect(self.url)
            try:
                young = _ask(connection, _IS_YOUNG, _RESTORED_S)
                held = _ask(connection, _HELD_KEYS)
            finally:
                connection.close()
        except _Unreachable as error:
            raise _out_of_reach(self.scope, error) from error
        return set() if young[0] else {name for key, name in by_key.items() if key not in held[0]}


class ServerLock:
    """One lock, as its holder has it: a session of its own, which a thread of its own keeps alive."""

    poll_s = _POLL_S

    def __init__(self, server: LockServer, name: str) -> None:
        self.place = server.scope
        self._url = server.url
        self._name = name
        self._key = _key(server.scope, name)
        self._connection: Connection | None = None
        self._guard = threading.RLock()
        self._held = False
        self._token: str | None = None
        self._lost: str | None = None
        self._freed = threading.Event()
        self._gives_up = time.monotonic() + _OUTAGE_S

    def try_once(self) -> bool:
        """Take the lock, unless another session has it or may take it again; false as well where the server is away.

        Raises:
            StoreError: the server cannot be reached for long.
        """
        try:
            connection = self._connected()
            if _ask(connection, _MAY_BE_TAKEN_AGAIN, _RESTORED_S, self._key)[0] or not self._taken(connection):
                self._gives_up = time.monotonic() + _OUTAGE_S
                return False
        except _Unreachable as error:
            self._close()
            if time.monotonic() < self._gives_up:
                return False
            raise _out_of_reach(self.place, error) from error
        self._held = True
        threading.Thread(target=self._keep, name=f"lock {self._name}", daemon=True).start()
        return True

    def name_holder(self, text: str) -> None:
        """Note the holder, for `holder`, and that nobody else has had the lock since.

        Raises:
            IndexBusyError, StoreError: as `check`.
        """
        self.check()
        token = self._token or uuid4().hex
        try:
            with self._guard:
                _ask(
                    self._connected(),
                    "INSERT INTO code_index_locks VALUES (%s, %s, %s, pg_backend_pid(), %s) ON CONFLICT (key) "
                    "DO UPDATE SET token = excluded.token, session = excluded.session, holder = excluded.holder",
                    *(self._key, f"{self.place} {self._name}", token, text),
                )
                self._token = token
        except _Unreachable as error:
            raise _out_of_reach(self.place, error) from error

    def holder(self) -> str | None:
        """Return what the holder noted of itself, empty where it has yet to; None where nobody holds the lock.

        Raises:
            StoreError: the server cannot be reached.
        """
        try:
            with self._guard:
                found = _ask(self._connected(), _HOLDER, self._key, self._key)
        except _Unreachable as error:
            self._close()
            raise _out_of_reach(self.place, error) from error
        return found[0] if found else None

    def check(self) -> None:
        """Make sure that this process still has the lock; waits for a server that is out of reach.

        Raises:
            IndexBusyError: another process has it, or had it meanwhile.
            StoreError: the server cannot be reached.
        """
        ends = time.monotonic() + _OUTAGE_S
        while (failure := self._failure()) is not None:
            if time.monotonic() >= ends:
                raise _out_of_reach(self.place, failure) from failure
            time.sleep(_POLL_S)

    def free(self) -> None:
        """Give the lock back."""
        self._freed.set()
        with self._guard:
            try:
                if self._connection is not None and self._held:
                    _ask(self._connection, "DELETE FROM code_index_locks WHERE token = %s", self._token)
                    # The end of the session would free it too, a moment later.
                    _ask(self._connection, "SELECT pg_advisory_unlock_all()")
            except _Unreachable:  # then the server frees it by itself, and the row stays until the next holder
                pass
            finally:
                self._close()

    def _keep(self) -> None:
        """Take the lock again as soon as its session is lost: before each commit would be too late for the others."""
        while not self._freed.wait(_LOOK_S):
            try:
                self._failure()
            except IndexBusyError:
                return

    def _failure(self) -> Exception | None:
        """Return why the lock is not held at the moment, or None; raises `IndexBusyError` where it is lost for good."""
        with self._guard:
            if self._lost is not None:
                raise IndexBusyError(self._lost)
            try:
                if self._connection is not None:
                    _ask(self._connection, "SELECT 1")
                    return None
                return None if self._taken_again() else TimeoutError("its old session has yet to end")
            except _Unreachable as error:
                self._close()
                return error

    def _taken_again(self) -> bool:
        connection = self._connected()
        taken = self._taken(connection)
        if self._token is not None and not _ask(
            connection,
            "UPDATE code_index_locks SET session = CASE WHEN %s THEN pg_backend_pid() ELSE session END "
            "WHERE key = %s AND token = %s RETURNING key",
            *(taken, self._key, self._token),
        ):
            self._close()
            self._lost = (
                f"This process lost its lock of the {self._name} phase of {self.place}: its connection to PostgreSQL "
                f"ended, and {'another process had it' if taken else 'another process has it'} since. "
                "What was stored before is safe; the next run does the rest."
            )
            raise IndexBusyError(self._lost)
        if not taken:
            self._close()
        return taken

    def _taken(self, connection: Connection) -> bool:
        return bool(_ask(connection, "SELECT pg_try_advisory_lock(%s)", self._key)[0])

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = _connect(self._url)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Unreachable(Exception):  # noqa: N818 - it never leaves this module
    """The session ended, or there is none to be had."""


def _connect(url: str) -> Connection:
    """Open a session.

    Raises:
        _Unreachable: the server refuses it, or does not answer.
        UsageError: the client of PostgreSQL is not installed.
    """
    try:
        with importing:
            import psycopg2
    except ImportError as error:
        raise UsageError('Locks in PostgreSQL need its client: pip install "code-index-search[postgres]".') from error
    try:
        connection = psycopg2.connect(
            re.sub(r"^postgres(ql)?(\+psycopg2)?://", "postgresql://", url),
            connect_timeout=_CONNECT_S,
            tcp_user_timeout=_UNCONFIRMED_S * 1000,
            application_name="code-index lock",
            **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()},
        )
    except psycopg2.Error as error:
        raise _Unreachable(str(error).strip()) from error
    connection.autocommit = True
    _ask(connection, "; ".join(_SETTINGS))
    return connection


def _ask(connection: Connection, question: str, *values: object) -> Any:
    """Return the first row of the answer, None where there is none.

    Raises:
        _Unreachable: the session ended.
        StoreError: the server refuses the question.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(question, values or None)
            return cursor.fetchone() if cursor.description else None
    except connection.Error as error:
        if error.pgcode is None or isinstance(error, connection.OperationalError):
            raise _Unreachable(str(error).strip()) from error
        raise StoreError(f"PostgreSQL refuses to keep locks: {str(error).strip()}.") from error


def _key(scope: str, name: str) -> int:
    """The number of a lock, 64 bits with a sign, as PostgreSQL counts them."""
    return int.from_bytes(hashlib.sha256(f"{scope}\0{name}".encode()).digest()[:8], "big", signed=True)


def _out_of_reach(place: str, error: Exception) -> StoreError:
    return StoreError(
        f"The PostgreSQL that keeps the locks of {place} cannot be reached: {' '.join(str(error).split())}. "
        f"Correct {POSTGRES_VARIABLE}, or start it."
    )
