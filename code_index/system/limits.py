"""Limits of the system on a process, and what it used.

Belongs here: reading and setting them. Does not belong here: which of them are too low for what
(`indexing_assets.cli.limits`).
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_OWN_PAGES: Final = Path("/proc/self/statm")
_CONTAINER_THREADS: Final = Path("/sys/fs/cgroup/pids.max")
# macOS takes no more unless its administrator allows it, whatever it says of the limit. Source: setrlimit(2) of macOS,
# OPEN_MAX.
_OPEN_FILES_OF_MACOS: Final = 10_240
# `ru_maxrss` counts KiB, on macOS bytes. Source: getrusage(2) of both.
_KIB: Final = 1024


def address_space_bytes() -> int | None:
    """The most address space that this process may have (`ulimit -v`); None for no limit."""
    return _soft(resource.RLIMIT_AS)


def file_size_bytes() -> int | None:
    """The most bytes that a file of this process may have (`ulimit -f`); None for no limit."""
    return _soft(resource.RLIMIT_FSIZE)


def open_files() -> int | None:
    """The most files that this process may have open (`ulimit -n`); None for no limit."""
    return _soft(resource.RLIMIT_NOFILE)


def threads() -> int | None:
    """The most threads of the user (`ulimit -u`; on macOS: processes) or of the container (Linux); None for no limit."""
    of_container = None
    with suppress(OSError, ValueError):  # no container, or "max"
        of_container = int(_CONTAINER_THREADS.read_text(encoding="ascii"))
    return min((limit for limit in (_soft(resource.RLIMIT_NPROC), of_container) if limit is not None), default=None)


def raise_open_files(wanted: int) -> None:
    """Raise the limit of open files to `wanted`, or as far as the system lets this process; it is never lowered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for attempt in (wanted, _OPEN_FILES_OF_MACOS):
        limit = attempt if hard == resource.RLIM_INFINITY else min(hard, attempt)
        if soft == resource.RLIM_INFINITY or soft >= limit:
            return
        with suppress(ValueError, OSError):  # a sandbox may refuse what the system allows
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return


def bound_own_memory(more_bytes: int) -> bool:
    """Bound the address space of this process, counted from what it has with its libraries and threads.

    False, and no limit, where the system is not Linux: macOS does not enforce the limit, or refuses to set it.
    """
    if sys.platform != "linux":
        return False
    pages = int(_OWN_PAGES.read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    return True


def bound_memory_of(pid: int, limit_bytes: int) -> bool:
    """Bound the address space of another process of this user.

    False, and no limit, where the process ended already, and where the system is not Linux: elsewhere no process can limit
    another one.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_AS, (limit_bytes, limit_bytes))
            return True
    return False


def peak_memory_bytes(usage: resource.struct_rusage | None = None) -> int:
    """The most memory that a process held at once: the one whose usage `os.wait4` told, by default this one."""
    usage = usage or resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else _KIB)


def _soft(kind: int) -> int | None:
    limit, _ = resource.getrlimit(kind)
    return None if limit == resource.RLIM_INFINITY else limit
