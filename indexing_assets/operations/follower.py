"""The process that follows a repository, as its parent sees it: started, heard, started again, ended.

Belongs here: the parent's end, without Dagster. Does not belong here: what the child does
(`indexing_assets.operations.following`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, Self

from code_index.core.child_python import child_environment
from code_index.index.folder import IndexFolder

_MODULE: Final = "indexing_assets.operations.following"
# Seconds that it gets to end, and between two starts, doubled each time.
_STOP_S: Final = 30
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0


class FollowerProcess:
    """A child that follows the repository, and its newest words; a context manager that ends it."""

    def __init__(self, folder: IndexFolder, *, on_message: Callable[[str], None]) -> None:
        """Name the repository.

        Args:
            folder: of its index.
            on_message: takes a line that the child writes for people.
        """
        self._folder = folder
        self._on_message = on_message
        self._said: Mapping[str, Any] = {"state": "starting"}
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep_running, daemon=True)

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it: it closes its run in order, or is killed when that takes too long."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            _close(process.stdin)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        self._thread.join()

    @property
    def said(self) -> Mapping[str, Any]:
        """`state` (starting, looking, running, fresh, waiting, failed, left, ended), with `reason` or figures."""
        return self._said

    @property
    def is_running(self) -> bool:
        """Tell whether a run is under way."""
        return self._said.get("state") == "running"

    def _keep_running(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._stopping.is_set():
            process = self._started()
            if process is None:
                return
            heard = threading.Thread(target=self._pass_on, args=(process.stderr,), daemon=True)
            heard.start()
            assert process.stdout is not None
            for line in process.stdout:
                try:
                    self._said = json.loads(line)
                except ValueError:  # a library that prints where it should not
                    self._tell(line)
                else:
                    wait_s = _FIRST_WAIT_S
            status = process.wait()
            heard.join()
            for pipe in (process.stdin, process.stdout, process.stderr):
                _close(pipe)
            if self._stopping.is_set():
                return
            self._said = {"state": "ended", "reason": f"The process that follows ended with status {status}."}
            self._on_message(f"{self._said['reason']} It is started again in {wait_s:.0f} s.")
            self._stopping.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(self._folder.repository_root), str(self._folder.path)],
                env={**child_environment(), "PYTHONWARNINGS": "ignore", **self._folder.environment()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Of its own: Ctrl-C is for the parent, which ends this one in order.
                start_new_session=True,
            )
            return self._process

    def _pass_on(self, lines: IO[bytes] | None) -> None:
        assert lines is not None
        for line in lines:
            self._tell(line)

    def _tell(self, line: bytes) -> None:
        self._on_message(line.decode("utf-8", "replace").rstrip())


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except OSError:
            return
