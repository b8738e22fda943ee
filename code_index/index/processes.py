"""Identity of a process beyond its number, which is used again.

Belongs here: telling one process from a later one of the same number. Does not belong here: its
runs (`indexing_assets.runs.live_runs`).
"""

from __future__ import annotations

from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Positions after the name in `/proc/<pid>/stat`. Source: proc(5), fields 3 and 22.
_STATE, _START_TIME = 0, 19
_ZOMBIE = "Z"


def start_stamp(pid: int) -> str:
    """Return the start time of a living process, as a stamp that only this process has; empty where there is none.

    On Linux it counts ticks since the machine started, not the time of day: that moves with the clock, and a
    process would look like another as soon as somebody sets it. A process that ended and whose parent has not
    asked for its status yet (a zombie) is not living.
    """
    fields = _fields_of(pid)
    if fields is not None:
        return "" if fields[_STATE] == _ZOMBIE else f"{_boot_id()}:{fields[_START_TIME]}"
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return ""


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
