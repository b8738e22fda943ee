"""Locks of an index: one process per phase and one per duty, known by name.

An advisory `flock` on a file that names its owner. The kernel frees the lock when the
process ends, however it ends, so that a dead owner never blocks anyone. Rejected: process-id
files (a dead owner can be told from a living one only by a guess) and Dagster's concurrency slots
(a killed process keeps its slot until a daemon frees it, and the command line runs no daemon).
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
from typing import TYPE_CHECKING

from code_index.core.errors import IndexBusyError, StoreError
from code_index.core.lazy_imports import importing
from code_index.core.regular_files import load_json
from code_index.index.permissions import tolerating_no_permissions
from code_index.system.file_locks import is_locked, try_lock
from code_index.system.processes import namespace

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder

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


class _Held:
    """A lock of this process: its thread, its depth, its run."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.depth = 1
        self.thread = threading.get_ident()
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self.run_id: str | None = None

    def write_owner(self, run_id: str | None) -> None:
        """Write the owner into the lock file."""
        self.run_id = run_id
        me = LockOwner(
            host=socket.gethostname(),
            pid=os.getpid(),
            since=self.since,
            command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500],
            run_id=run_id,
            namespace=namespace(),
        )
        try:
            os.ftruncate(self.descriptor, 0)
            os.pwrite(self.descriptor, json.dumps(asdict(me)).encode(), 0)
        except OSError as error:
            raise _unwritable(self.path, error) from error


_held: dict[Path, _Held] = {}
_held_guard = threading.Lock()


@contextmanager
def hold(
    locks_dir: Path,
    phase: Phase | Duty,
    *,
    run_id: str | None = None,
    wait_s: float | None = None,
    on_wait: Callable[[LockOwner | None], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of a phase or duty; the same thread may hold it several times.

    Args:
        locks_dir: folder of the lock files.
        phase: the phase or duty to lock.
        run_id: the Dagster run that the lock is for, for `status`.
        wait_s: time to wait for another owner; `None` for as long as it takes.
        on_wait: called once, with the owner, when there is something to wait for.

    Raises:
        IndexBusyError: another process still holds it after `wait_s`.
        StoreError: the lock file cannot be written.
    """
    path = locks_dir.resolve() / f"{phase}.lock"
    with _held_guard:
        held = _held.get(path)
        if held is not None and held.thread == threading.get_ident():
            held.depth += 1
        else:
            held = None
    if held is None:
        held = _Held(path, _acquire(path, phase, wait_s, on_wait))
        with _held_guard:
            _held[path] = held
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
                del _held[path]
        if last:
            os.ftruncate(held.descriptor, 0)
            os.close(held.descriptor)
        elif run_id is not None:
            held.write_owner(outer_run_id)


@contextmanager
def hold_all(
    locks_dir: Path, *, wait_s: float | None = None, on_wait: Callable[[LockOwner | None], None] | None = None
) -> Iterator[None]:
    """Hold the locks of both phases, so that nobody else writes to the index; arguments and errors as for `hold`."""
    with (
        hold(locks_dir, Phase.PARSE, wait_s=wait_s, on_wait=on_wait),
        hold(locks_dir, Phase.EMBED, wait_s=wait_s, on_wait=on_wait),
    ):
        yield


def owner(locks_dir: Path, phase: Phase | Duty) -> LockOwner | None:
    """Find the living process that holds the lock of a phase or duty, or `None`."""
    path = locks_dir / f"{phase}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
    except (FileNotFoundError, PermissionError):  # the locks of an index that another user shares are closed
        return None
    try:
        return _read_owner(descriptor) if is_locked(descriptor) else None
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


def _acquire(
    path: Path, phase: Phase | Duty, wait_s: float | None, on_wait: Callable[[LockOwner | None], None] | None
) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN_FLAGS, _MODE)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _refuse_foreign_file(descriptor, path)
        _wait_for_lock(descriptor, path, phase, wait_s, on_wait)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_foreign_file(descriptor: int, path: Path) -> None:
    """Refuse what is no lock file; one that older versions made is closed: who can open it can hold the lock."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"The lock file {path} is not a regular file. Delete it.")
    if stat.S_IMODE(status.st_mode) & ~_MODE:
        with tolerating_no_permissions():
            os.fchmod(descriptor, _MODE)


def _wait_for_lock(
    descriptor: int,
    path: Path,
    phase: Phase | Duty,
    wait_s: float | None,
    on_wait: Callable[[LockOwner | None], None] | None,
) -> None:
    deadline = None if wait_s is None else time.monotonic() + wait_s
    told = False
    while not _try_lock(descriptor):
        holder = _read_owner(descriptor)
        if deadline is not None and time.monotonic() >= deadline:
            if isinstance(phase, Duty):
                raise IndexBusyError(f"{holder or 'Another process'} has the duty to {phase} {path.parent.parent}.")
            raise IndexBusyError(
                f"The index at {path.parent.parent} is busy: {holder or 'another process'} holds its {phase} "
                "phase. Wait until it ends, or run again without --no-wait to queue behind it."
            )
        if on_wait is not None and not told:
            on_wait(holder)
            told = True
        time.sleep(_POLL_S)


def _try_lock(descriptor: int) -> bool:
    """Lock, unless another process has; one that only looks (`owner`) is waited for: it takes no time."""
    while True:
        if try_lock(descriptor):
            return True
        if is_locked(descriptor):
            return False
        # Two processes that look at once would stay in step for ever without a random wait.
        time.sleep(random.uniform(0, _BLINK_S))  # noqa: S311


def _read_owner(descriptor: int) -> LockOwner | None:
    # The owner writes its name just after it gets the lock: the file may still be empty.
    for _ in range(_NAME_ATTEMPTS):
        try:
            return LockOwner(**load_json(os.pread(descriptor, 1 << 16, 0)))
        except (ValueError, TypeError):
            time.sleep(_BLINK_S)
    return None


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"Cannot write the lock file {path}: {error.strerror}. Free space or allow writing.")
