"""Pass on the output of other programs to the terminal, escaped line by line and without their colours.

A process of its own (`escaped_output`): it lives until the last of the writers ends, also after the command that started
it, so that none of them ever writes to a pipe that nobody reads.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from code_index.core.quoting import printable_message

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE_BYTES = 1 << 16
# Seconds for the last lines of programs that have ended.
_LAST_LINES_S = 5


@contextmanager
def escaped_output(needed: Sequence[Path] = ()) -> Iterator[int]:
    """A descriptor to give to a process as its output; what it writes appears on standard error.

    Args:
        needed: files without which the process can only complain: once one of them is gone, nothing appears.
    """
    source, sink = os.pipe()
    command = [sys.executable, "-P", "-m", "indexing_assets.cli.relay", *map(str, needed)]
    # Ctrl-C ends the writers, not what shows their last words.
    relay = subprocess.Popen(command, stdin=source, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True)
    os.close(source)
    try:
        yield sink
    finally:
        os.close(sink)
        with suppress(subprocess.TimeoutExpired):
            relay.wait(_LAST_LINES_S)


def pass_on() -> None:
    """Copy standard input to standard error until it ends; where nobody takes it, read on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline(_LINE_BYTES):
        if not all(map(os.path.exists, sys.argv[1:])):
            continue
        text = printable_message(_COLOUR.sub("", line.decode("utf-8", "backslashreplace")))
        with suppress(OSError):
            sys.stderr.buffer.write(text.encode(sys.stderr.encoding, "backslashreplace"))
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    pass_on()
