"""Following a repository without Dagster's web server: the looks of its sensors, and their runs, as one process.

`code-index serve` starts it as a child, so that answers wait for neither Dagster nor a run, and reads what it says: a
line of JSON whenever its state changes. It ends with its parent, however that ends. Where another process follows the
repository (`Duty.FOLLOW`) it waits for its turn.

Belongs here: the child. Does not belong here: what there is to do (`indexing_assets.automation`), and the parent's end
(`indexing_assets.operations.follower`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from code_index.core.errors import CodeIndexError, IndexBusyError
from code_index.index.folder import resolve_index_folder
from code_index.index.locks import Duty, hold
from indexing_assets.automation.look import Look
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.progress import Progress, listening

# Seconds until a look that failed, or one that finds another process in its place, is taken again.
_RETRY_S = 2.0
# Answers to people go before runs that nobody waits for.
_NICENESS = 5


class Follower:
    """Takes the looks in turn, and runs what they ask for."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._looks: list[tuple[Look, SensorCursor]] = [(look, SensorCursor()) for look in pipeline.looks()]

    def take_looks(self) -> None:
        """Take each look once, and run what it asks for. One that fails is told, and taken again later."""
        for number, (look, cursor) in enumerate(self._looks):
            try:
                found = look.take(cursor)
            except (CodeIndexError, OSError) as error:
                _say(state="waiting", reason=str(error))
                time.sleep(_RETRY_S)
                continue
            self._looks[number] = look, found.cursor
            if not found.requests:
                _say(state="fresh" if number else "looking", reason=found.reason)
            for request in found.requests:
                _say(state="running", reason=str(request.job_name))
                result = self._pipeline.run_request(request)
                if result.error is not None:
                    _say(state="failed", reason=f"{result.error} (Dagster run {result.run_id})")


class _Said:
    """The last line, so that only changes are sent."""

    line = ""


def _say(**said: Any) -> None:
    # ASCII, and one line: what it quotes may hold anything.
    line = json.dumps(said)
    if line != _Said.line:
        _Said.line = line
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _tell_progress(progress: Progress) -> None:
    _say(state="running", phase=progress.phase, unit=progress.unit, done=progress.done, total=progress.total)


def follow(repository: Path, index_dir: Path) -> None:
    """Follow a repository until this process is interrupted."""
    folder = resolve_index_folder(repository, index_dir)
    while True:
        try:
            with hold(folder.locks_dir, Duty.FOLLOW, wait_s=0), Pipeline(folder) as pipeline:
                follower = Follower(pipeline)
                with listening(_tell_progress):
                    while True:
                        follower.take_looks()
        except IndexBusyError as error:
            _say(state="left", reason=str(error))
            time.sleep(_RETRY_S)


def _interrupt_at_the_end_of(pipe: int) -> None:
    """Wait until the parent closes its end, or is no more."""
    while os.read(pipe, 1):
        continue
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Follow the repository and the index that the arguments name, as long as standard input is open."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.nice(_NICENESS)
    threading.Thread(target=_interrupt_at_the_end_of, args=(sys.stdin.fileno(),), daemon=True).start()
    with suppress(KeyboardInterrupt):
        follow(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
