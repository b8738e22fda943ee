"""Identity of a process beyond its number, which is used again, and which another container uses as well.

Belongs here: telling one process from a later one of the same number, and from one that cannot be seen from here. Does not
belong here: its runs (`indexing_assets.runs.live_runs`).
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

import psutil

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE: Final = Path("/proc/self/ns/pid")
# Positions after the name in `/proc/<pid>/stat`. Source: proc(5), fields 3 and 22.
_STATE, _START_TIME = 0, 19
_ZOMBIE = "Z"


def start_stamp(pid: int) -> str:
    """Return the start time of a living process, as a stamp that only this process has; empty where there is none.

    On Linux it counts ticks since the machine started, not the time of day: that moves with the clock, and a
    process would look like another as soon as somebody sets it. macOS only tells the time of day. A process that ended and
    whose parent has not asked for its status yet (a zombie) is not living.
    """
    fields = _fields_of(pid)
    if fields is not None:
        return "" if fields[_STATE] == _ZOMBIE else f"{_boot_id()}:{fields[_START_TIME]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


def namespace() -> str:
    """The space of process numbers that this process is in, as in `4026531836`; empty on macOS, which has one only.

    Containers of one name, as those of a pod, have one each: what is a process in one is nobody, or another one, elsewhere.
    """
    try:
        return os.readlink(_NAMESPACE).removeprefix("pid:[").removesuffix("]")  # noqa: PTH115 - not a path
    except OSError:
        return ""


def space_name() -> str:
    """A name, fit for a file, of this space of process numbers since the machine started."""
    return f"{_boot_id()}-{namespace()}"


def is_seen_from_here(host: str | None, space: str | None) -> bool:
    """Tell whether a process of this host name and `namespace` can be looked for by its number here.

    A `space` of None is one that an earlier version of the program did not note: the host name decides.
    """
    return host == socket.gethostname() and space in {None, namespace()}


def is_this_or_above(pid: int) -> bool:
    """Tell whether a process is this one, or one of those that started it."""
    me = psutil.Process()
    return pid in {me.pid, *(process.pid for process in me.parents())}


def _fields_of(pid: int) -> list[str] | None:
    """Read Linux's fields of a process; `None` where there is no such process, or no Linux."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name is in brackets and may hold brackets and blanks itself.
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
