"""Waiting for facts rather than for a time, and for the processes that a test starts.

Belongs here: the one bound of all waits, and what waits. Does not belong here: what a test waits for.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

PATIENCE_S = 600.0
"""Seconds until something that does not come is missed: what takes seconds takes minutes on a very busy machine."""


def wait_until(condition: Callable[[], T], what: str, *, every_s: float = 0.02) -> T:
    """Wait until something holds, and return what the condition then said."""
    ends = time.monotonic() + PATIENCE_S
    while not (said := condition()):
        assert time.monotonic() < ends, f"not within {PATIENCE_S:g} s: {what}"
        time.sleep(every_s)
    return said


@contextmanager
def started(*command: object, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that ends with the block, by force where it still runs."""
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        finally:
            process.kill()


def if_running(read: Callable[[], T], ended: T) -> T:
    """A fact of another process, or what stands for it where the process ended, waited for or not."""
    try:
        return read()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ended


def busy_parser(parent: psutil.Process, *, bytes_at_least: int) -> psutil.Process:
    """Wait for the parser process that has grown so large: it is in the middle of a file."""

    def grown() -> psutil.Process | None:
        for child in parent.children():
            memory = if_running(child.memory_info, None)
            if memory and memory.rss > bytes_at_least and "parser_worker" in " ".join(if_running(child.cmdline, [])):
                return child
        return None

    return wait_until(grown, f"a parser process of {bytes_at_least} bytes")
