"""Environment of processes that this program starts, and the signals that they hear.

The working directory may be the repository, whose `json.py` would be imported for Python's. `-P` keeps Python from
adding the directory by itself, but PYTHONPATH may name it: an empty entry, as in `PYTHONPATH=$PYTHONPATH:/other` where
the variable was not set, stands for it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

IMPORT_ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder from which this program is imported."""


def child_environment(more_paths: Iterable[str] = ()) -> dict[str, str]:
    """Our environment, with a PYTHONPATH that leads neither into the working directory nor to a relative path.

    Args:
        more_paths: entries before those of PYTHONPATH; the same holds for them.
    """
    entries = [*more_paths, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if fit := [entry for entry in entries if os.path.isabs(entry) and not _is_here(Path(entry))]:  # noqa: PTH117
        environment["PYTHONPATH"] = os.pathsep.join(fit)
    return environment | {"PYTHONSAFEPATH": "1"}


@contextmanager
def deaf_children() -> Iterator[None]:
    """Let no process that this thread starts in the block hear Ctrl-C, which reaches all of a terminal.

    For those that end with this one, and would else print a traceback. One that comes meanwhile waits for the block's end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_here(path: Path) -> bool:
    return path.resolve() == Path.cwd().resolve() != IMPORT_ROOT
