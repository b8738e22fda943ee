"""A process that serves an index (`code-index serve`), for tests that ask it or open its page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from code_index.index.folder import IndexFolder, locate_index_folder
from code_index.serving.questions import ask
from code_index.serving.server import WHERE
from tests.waiting import PATIENCE_S, wait_until


class Served:
    """A process that serves an index, and what it printed."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, folder: IndexFolder) -> None:
        self.process = process
        self.log = log
        self.folder = folder

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def address(self) -> str:
        """The address of the page, with its token."""
        return str(re.search(r"http://\S+", self.printed())[0])

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def served(root: Path, *options: str) -> Iterator[Served]:
    """Serve until the block ends; a process that is still there then ends in order, with status 0."""
    folder = locate_index_folder(root)
    log = root.parent / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "indexing_assets.cli.main", "serve", str(root), *options],
            env=dict(os.environ),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    served = Served(process, log, folder)
    try:

        def answers() -> object:
            assert process.poll() is None, served.printed()[-3_000:]
            return ask(folder, WHERE, {})

        wait_until(answers, "it answers")
        yield served
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0, served.printed()[-3_000:]
        print(served.printed()[-4_000:])  # noqa: T201
