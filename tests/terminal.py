"""Commands at a terminal, as a person starts them.

Belongs here: the terminal. Does not belong here: what is typed, and what is expected.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import PATIENCE_S


@contextmanager
def at_a_terminal(
    *arguments: str, cwd: Path, output: bool = False, program: Sequence[str] = ("-m", "indexing_assets.cli.main")
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A command, or another program of Python, whose standard input and error are a terminal, and the other end of it.

    Its output goes there as well with `output`, else into a pipe.
    """
    ours, theirs = pty.openpty()
    # In a session of its own, as the terminal's first process.
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        stdin=theirs,
        stderr=theirs,
        stdout=theirs if output else subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    os.close(theirs)
    try:
        yield process, ours
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def said_until(terminal: int, words: str) -> str:
    """Read a terminal until words come, the last program on it ends, or nothing comes any more."""
    said = ""
    while words not in said and select.select([terminal], [], [], PATIENCE_S)[0]:
        try:
            said += os.read(terminal, 1 << 16).decode()
        except OSError:  # Linux says so at the end
            break
    return said
