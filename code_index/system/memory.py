"""Memory that is freed, and still this process's.

Belongs here: giving it back to the operating system. Does not belong here: limits of memory (`code_index.system.limits`).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa


def give_back_memory() -> None:
    """Give back what Arrow's pool and the C library keep of freed memory.

    glibc keeps whole pages between blocks that are in use, and gives back only what lies at the end: after some commits to large
    tables half of a process's memory was such pages. Other C libraries have no such call.
    """
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
