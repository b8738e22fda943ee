"""Index runs in the background: programs of their own, one at a time for an index.

Belongs here: starting a run and knowing how it goes. Does not belong here: what it does, and who may ask for one (`tools`).

A run goes on when this process ends, however it ends: it was asked for, and what it stores is safe at any moment. Its
output goes to a file without a name, so that nothing stays and nothing blocks it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from code_index.core.child_python import child_environment
from code_index.core.errors import StoreError
from code_index.index.folder import IndexFolder
from code_index.index.locks import holders
from code_index.serving.mcp.memory import SPARING

_LAST_BYTES: Final = 2_000


@dataclass(frozen=True, slots=True)
class RunState:
    """State of the last run of this process: its exit status is None while it goes on, `said` are its last lines."""

    seconds: float
    status: int | None
    said: str


@dataclass(slots=True)
class _Run:
    process: subprocess.Popen[bytes]
    output: int
    began: float
    ended: RunState | None = None


class IndexRuns:
    """Runs that this process started, by index folder; safe in several threads."""

    def __init__(self, command: Sequence[str]) -> None:
        """Keep the command that indexes: it gets the repository and `--index-dir` with the folder as further arguments."""
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}

    def start(self, folder: IndexFolder) -> bool:
        """Start a run; False where one is under way, of this process or of another one.

        Raises:
            StoreError: the system cannot start a process.
        """
        with self._lock:
            run = self._runs.get(str(folder.path))
            if (run is not None and run.process.poll() is None) or is_being_indexed(folder):
                return False
            if run is not None:
                self._looked_at(run)
            try:
                with tempfile.TemporaryFile() as file:
                    process = subprocess.Popen(
                        [*self._command, str(folder.repository_root), "--index-dir", str(folder.path)],
                        env={name: value for name, value in child_environment().items() if SPARING.get(name) != value},
                        cwd="/",
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                    output = os.dup(file.fileno())
            except OSError as error:
                raise StoreError(f"No index run could be started: {error.strerror}. Free memory or space.") from error
            self._runs[str(folder.path)] = _Run(process, output, time.monotonic())
            return True

    def state(self, folder: IndexFolder) -> RunState | None:
        """State of the last run that this process started on the index; None where there was none."""
        with self._lock:
            run = self._runs.get(str(folder.path))
            return None if run is None else self._looked_at(run)

    def _looked_at(self, run: _Run) -> RunState:
        if run.ended is not None:
            return run.ended
        status = run.process.poll()
        # Both processes share one position in the file, which is the run's.
        said = os.pread(run.output, _LAST_BYTES, max(0, os.fstat(run.output).st_size - _LAST_BYTES))
        state = RunState(time.monotonic() - run.began, status, said.decode("utf-8", "replace").strip())
        if status is not None:
            os.close(run.output)
            run.ended = state
        return state


def is_being_indexed(folder: IndexFolder) -> bool:
    """Tell whether a process writes to the index at the moment."""
    return bool(holders(folder))
