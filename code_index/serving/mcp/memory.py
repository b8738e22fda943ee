"""Memory of a process that stays beside an agent, mostly idle.

Belongs here: what the allocators may keep. Does not belong here: what is loaded (`server`).
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

SPARING: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Variables of this process only: what it starts has other work to do."""

# Source: glibc, mallopt(3).
_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def spare_memory() -> None:
    """Let allocators give back what searches no longer need; call it before there are threads.

    LanceDB searches in 20 threads, and glibc keeps free memory for each: 350 MB instead of 305 after 130 searches of an index of
    2,000 chunks, at the same speed. Other C libraries have no such setting.
    """
    for name, value in SPARING.items():
        os.environ.setdefault(name, value)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give the system what allocators keep free; it takes a millisecond, and the next search some more."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)  # Source: glibc, malloc_trim(3).
