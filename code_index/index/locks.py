"""Locks of an index: one process per phase and one per duty, known by name.

An advisory `flock` on a file that names its owner. The kernel frees the lock when the
process ends, however it ends, so that a dead owner never blocks anyone. Rejected: process-id
files (a dead owner can be told from a living one only by a guess) and Dagster's concurrency slots
(a killed process keeps its slot until a daemon frees it, and the command line runs no daemon).
The phases of an index whose tables are at a store are locked at a server (`code_index.index.server_locks`).
"""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from code_index.core.errors import IndexBusyError, StoreError
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import load_json
from code_index.index.permissions import tolerating_no_permissions
from code_index.system.file_locks import is_locked, try_lock
from code_index.system.processes import namespace

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from code_index.index.server_locks import LockServer

_POLL_S = 0.2
# Another process looks who holds a lock, or writes its name into it, within microseconds.
_BLINK_S = 0.002
_NAME_ATTEMPTS = 250
_OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600


class Phase(StrEnum):
    """A phase with a lock of its own: files may be parsed while others are embedded."""

    PARSE = "parse"
    EMBED = "embed"


class Duty(StrEnum):
    """A duty that one process at a time has for as long as it runs."""

    SERVE = "serve"
    """Answer on the socket of the index."""
    FOLLOW = "follow"
    """Start runs when the repository changes: `code-index serve`, or `code-index ui --watch`."""
    EXPIRE = "expire"
    """Remove from a library of vectors what has no room."""


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The holder of a lock; `since` is UTC in ISO 8601, `namespace` that of its number, None from an earlier version."""

    host: str
    pid: int
    since: str
    command: str
    run_id: str | None = None
    namespace: str | None = None

    def __str__(self) -> str:
        """Describe the owner, for messages."""
        return f"process {self.pid} on {self.host} since {self.since} ({self.command})"


class _Lock(Protocol):
    """One lock that can be taken, at a place of its own."""

    place: str
    """The index that it is about, for messages."""
    poll_s: float

    def try_once(self) -> bool: ...
    def name_holder(self, text: str) -> None: ...
    def holder(self) -> str | None: ...
    def check(self) -> None: ...
    def free(self) -> None: ...


class _Held:
    """A lock of this process: its thread, its depth, its run."""

    def __init__(self, lock: _Lock) -> None:
        self.lock = lock
        self.depth = 1
        self.thread = threading.get_ident()
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self.run_id: str | None = None

    def write_owner(self, run_id: str | None) -> None:
        """Note the owner at the lock."""
        self.run_id = run_id
        me = LockOwner(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self.since,
            command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500],
            run_id=run_id,
            namespace=namespace(),
        )
        self.lock.name_holder(json.dumps(asdict(me)))


_held: dict[tuple[Path | LockServer, Phase | Duty], _Held] = {}
_held_guard = threading.Lock()


@contextmanager
def hold(
    place: Path | LockServer,
    phase: Phase | Duty,
    *,
    run_id: str | None = None,
    wait_s: float | None = None,
    on_wait: Callable[[LockOwner | None], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of a phase or duty; the same thread may hold it several times.

    Args:
        place: folder of the lock files, or the server that keeps the locks.
        phase: the phase or duty to lock.
        run_id: the Dagster run that the lock is for, for `status`.
        wait_s: time to wait for another owner; `None` for as long as it takes.
        on_wait: called once, with the owner, when there is something to wait for.

    Raises:
        IndexBusyError: another process still holds it after `wait_s`.
        StoreError: the lock file cannot be written, or the server not be reached.
    """
    key = _key(place, phase)
    held = _held_here(key)
    if held is not None:
        held.depth += 1
    else:
        held = _Held(_taken(place, phase, wait_s, on_wait))
        with _held_guard:
            _held[key] = held
    outer_run_id = held.run_id
    try:
        if held.depth == 1 or run_id is not None:
            held.write_owner(run_id)
        yield
    finally:
        with _held_guard:
            held.depth -= 1
            last = held.depth == 0
            if last:
                del _held[key]
        if last:
            held.lock.free()
        elif run_id is not None:
            held.write_owner(outer_run_id)


@contextmanager
def hold_all(
    place: Path | LockServer,
    *,
    wait_s: float | None = None,
    on_wait: Callable[[LockOwner | None], None] | None = None,
) -> Iterator[None]:
    """Hold the locks of both phases, so that nobody else writes to the index; arguments and errors as for `hold`."""
    with (
        hold(place, Phase.PARSE, wait_s=wait_s, on_wait=on_wait),
        hold(place, Phase.EMBED, wait_s=wait_s, on_wait=on_wait),
    ):
        yield


def check_held(place: Path | LockServer, phase: Phase) -> None:
    """Make sure, before a commit, that this thread still has the lock that it took: a server may have given it away.

    Raises:
        IndexBusyError: another process has it, or had it meanwhile.
        StoreError: the server that keeps it cannot be reached.
    """
    held = _held_here(_key(place, phase))
    if held is not None:
        held.lock.check()


def owner(place: Path | LockServer, phase: Phase | Duty) -> LockOwner | None:
    """Find the living process that holds the lock of a phase or duty, or `None`."""
    if not isinstance(place, Path):
        lock = place.lock(phase)
        try:
            return _read_owner(lock)
        finally:
            lock.free()
    path = place / f"{phase}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except (FileNotFoundError, PermissionError):  # the locks of an index that another user shares are closed
        return None
    try:
        return _read_owner(_FileLock(path, descriptor)) if is_locked(descriptor) else None
    finally:
        os.close(descriptor)


def holders(folder: IndexFolder) -> dict[str, LockOwner]:
    """Find the processes that write at the moment, by phase; none are known to who only reads an index at a store.

    Raises:
        StoreError: the server of the locks cannot be asked.
    """
    if folder.tables_at is not None:
        with importing:
            from code_index.index.server_locks import POSTGRES_VARIABLE

        if not os.environ.get(POSTGRES_VARIABLE):
            return {}
    return {phase.value: who for phase in Phase if (who := owner(folder.locks, phase)) is not None}


def _key(place: Path | LockServer, phase: Phase | Duty) -> tuple[Path | LockServer, Phase | Duty]:
    return (place.resolve() if isinstance(place, Path) else place, phase)


def _held_here(key: tuple[Path | LockServer, Phase | Duty]) -> _Held | None:
    with _held_guard:
        held = _held.get(key)
    return held if held is not None and held.thread == threading.get_ident() else None


def _taken(
    place: Path | LockServer,
    phase: Phase | Duty,
    wait_s: float | None,
    on_wait: Callable[[LockOwner | None], None] | None,
) -> _Lock:
    lock = _FileLock.opened(place.resolve() / f"{phase}.lock") if isinstance(place, Path) else place.lock(phase)
    try:
        _wait_for_lock(lock, phase, wait_s, on_wait)
    except BaseException:
        lock.free()
        raise
    return lock


class _FileLock:
    """An advisory `flock` on a file that names its owner."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.place = str(path.parent.parent)
        self.poll_s = _POLL_S
        self._path = path
        self._descriptor = descriptor
        self._named = False

    @classmethod
    def opened(cls, path: Path) -> Self:
        """Open the file, made where it is missing."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, _MODE)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _refuse_foreign_file(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def try_once(self) -> bool:
        """Lock, unless another process has; one that only looks (`owner`) is waited for: it takes no time."""
        while True:
            if try_lock(self._descriptor):
                return True
            if is_locked(self._descriptor):
                return False
            # Two processes that look at once would stay in step for ever without a random wait.
            time.sleep(random.uniform(0, _BLINK_S))  # noqa: S311

    def name_holder(self, text: str) -> None:
        """Write the owner into the lock file."""
        self._named = True
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def holder(self) -> str:
        """Return what the file says of its owner, who holds it."""
        return os.pread(self._descriptor, 1 << 16, 0).decode(errors="replace")

    def check(self) -> None:
        """Do nothing: the kernel takes the lock from no living process."""

    def free(self) -> None:
        """Let go of the file, without the name that this process wrote."""
        if self._named:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _refuse_foreign_file(descriptor: int, path: Path) -> None:
    """Refuse what is no lock file; one that older versions made is closed: who can open it can hold the lock."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"The lock file {path} is not a regular file. Delete it.")
    if stat.S_IMODE(status.st_mode) & ~_MODE:
        with tolerating_no_permissions():
            os.fchmod(descriptor, _MODE)


def _wait_for_lock(
    lock: _Lock, phase: Phase | Duty, wait_s: float | None, on_wait: Callable[[LockOwner | None], None] | None
) -> None:
    deadline = None if wait_s is None else time.monotonic() + wait_s
    told = False
    while not lock.try_once():
        if deadline is not None and time.monotonic() >= deadline:
            holder = _read_owner(lock)
            if isinstance(phase, Duty):
                raise IndexBusyError(f"{holder or 'Another process'} has the duty to {phase} {lock.place}.")
            raise IndexBusyError(
                f"The index at {lock.place} is busy: {holder or 'another process'} holds its {phase} "
                "phase. Wait until it ends, or run again without --no-wait to queue behind it."
            )
        if on_wait is not None and not told:
            on_wait(_read_owner(lock))
            told = True
        time.sleep(lock.poll_s)


def _read_owner(lock: _Lock) -> LockOwner | None:
    # The owner writes its name just after it gets the lock: it may still be empty.
    for _ in range(_NAME_ATTEMPTS):
        text = lock.holder()
        if text is None:
            return None
        try:
            return LockOwner(**load_json(text))
        except (ValueError, TypeError):
            time.sleep(_BLINK_S)
    return None


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"Cannot write the lock file {path}: {error.strerror}. Free space or allow writing.")
