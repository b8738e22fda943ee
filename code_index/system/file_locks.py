"""Advisory locks of open files (`flock`), which the kernel frees when the process ends, however it ends.

Linux and macOS have them alike; on a network file system they hold as far as its server keeps them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE: Final = 0o600
_shared: dict[Path, int] = {}
"""Descriptors of the files that this process shares until it ends."""


def try_lock(descriptor: int) -> bool:
    """Lock a file for this process, without waiting; false where a process has it, shared or not."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Tell whether a process holds the lock: only then is a shared one refused. Not for a file that this process locked."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def share_until_the_end(path: Path) -> None:
    """Hold a lock on a file, beside others that do, until this process ends; the file and its folder are made.

    Raises:
        OSError: the file cannot be made.
    """
    if path in _shared:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, _MODE)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits only for one that looks (`is_left`), which takes no time
    _shared[path] = descriptor


def is_left(path: Path) -> bool:
    """Tell whether all processes that held the lock of a file ended; false also where there is no such file to ask."""
    try:
        descriptor = os.open(path, os.O_RDWR | _FLAGS)
    except OSError:
        return False
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of a file, whose descriptor is given, for as long as it takes to get it; the file is made.

    Raises:
        OSError: the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
