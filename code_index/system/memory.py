"""Memory that is freed, and still this process's.

Belongs here: giving it back to the operating system. Does not belong here: limits of memory (`code_index.system.limits`).
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import pyarrow as pa

# What is given back is asked for again: after each commit, it took a tenth of an embedding run without a model.
_PAUSE_S: Final = 10.0


def give_back_memory() -> None:
    """Give back what Arrow's pool and the C library keep of freed memory.

    glibc keeps whole pages between blocks that are in use, and gives back only what lies at the end: after some commits to large
    tables half of a process's memory was such pages. Other C libraries have no such call.
    """
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class FreedMemory:
    """Gives freed memory back while a phase commits, every ten seconds at most."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._not_before = clock()

    def after_commit(self) -> None:
        """Give it back, unless that was done just before."""
        if self._clock() >= self._not_before:
            give_back_memory()
            self._not_before = self._clock() + _PAUSE_S
