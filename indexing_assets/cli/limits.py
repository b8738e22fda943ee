"""Limits of the system on this process: raised where that is the process's own right, or too low to begin with.

Native libraries do not report a limit: where no thread can be started, or no memory mapped, they abort the process, or
wait for ever for a thread that never came. So what they need at least is asked for before they are loaded.

Does not belong here: how a limit is read and set (`code_index.system.limits`), and limits that are met later, and that an error reports (`indexing_assets.cli.os_errors`).
"""

import os
import threading

from code_index.core.errors import CodeIndexError
from code_index.system import limits

# A table of many small files has each of them open while it is read, and a process has 1,024 by default.
_OPEN_FILES = 65_536
# Source: `ulimit -v` on 2 processors, an index of 12 files: with 2.8 GB native code aborts, with 3.0 GB all is well.
_ADDRESS_SPACE_BYTES = 4_000_000_000
# Threads of LanceDB, Arrow, polars and numpy. Source: `ulimit -u` on 2 processors: 20 fail or hang, 40 do.
_THREADS = 24
_THREADS_PER_PROCESSOR = 8
_STACK_BYTES = 65_536
# Above it nobody meets the limit, and the threads need not be tried, which takes milliseconds.
_MANY_THREADS = 10_000


def raise_open_files() -> None:
    """Raise the limit of open files as far as the system lets this process, and no further than is of use."""
    limits.raise_open_files(_OPEN_FILES)


def refuse_low_limits() -> None:
    """Refuse limits under which no command can work.

    Raises:
        CodeIndexError: too little address space, or too few threads; the message names the limit.
    """
    space = limits.address_space_bytes()
    if space is not None and space < _ADDRESS_SPACE_BYTES:
        raise CodeIndexError(
            f"This process may use {space / 1e6:,.0f} MB of address space; LanceDB and its threads need "
            f"{_ADDRESS_SPACE_BYTES / 1e6:,.0f} MB. Raise the limit: `ulimit -v unlimited`."
        )
    threads = limits.threads()
    if threads is None or threads >= _MANY_THREADS:
        return
    wanted = _THREADS + _THREADS_PER_PROCESSOR * (os.cpu_count() or 1)
    if (started := _startable(wanted)) < wanted:
        raise CodeIndexError(
            f"The system lets this process start {started} threads; LanceDB and others need {wanted}. Raise the "
            "limit of processes: `ulimit -u`, or that of the container (`--pids-limit`)."
        )


def _startable(wanted: int) -> int:
    """Start threads until there are so many at once, or the system refuses one; return how many there were."""
    over = threading.Event()
    started: list[threading.Thread] = []
    before = threading.stack_size(_STACK_BYTES)
    try:
        for _ in range(wanted):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # the system refused
        pass
    finally:
        threading.stack_size(before)
        over.set()
        for thread in started:
            thread.join()
    return len(started)
