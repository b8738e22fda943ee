"""Standard input, output and error of a command: there, escaped, and none of them able to end the command.

Belongs here: what a command may meet in the streams that it is started with. One may be closed, its reader may go away
(`| head`), its disk may be full, its encoding may lack a character. Does not belong here: what is printed
(`indexing_assets.cli.output`).

Decision: a stream that cannot be written swallows the rest, so that the work and its exit status stay what they are;
only standard output on a disk that is full makes a command fail, at its end (`finish`). Raising where something is
printed was rejected: a message about progress would end an index that could go on.
"""

import atexit
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO, cast

from code_index.core.quoting import printable_message
from indexing_assets.cli.output import tell


class EscapingStream:
    """A text stream that escapes what is written to it by whomever: Python, click, Dagster, loggers."""

    # Any character can be written: what the terminal's encoding lacks is shown by its number.
    encoding = "utf-8"

    def __init__(self, plain: TextIO) -> None:
        self.plain = plain
        self.trouble: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    @property
    def buffer(self) -> "_Bytes":
        """The bytes below, with the same care."""
        return _Bytes(self)

    def write(self, text: str) -> int:
        """Write text with its control characters escaped."""
        self.write_plain(printable_message(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines as `write` does."""
        for line in lines:
            self.write(line)

    def write_plain(self, text: str) -> None:
        """Write text that is escaped already and may hold colours."""
        with self.outliving():
            self.plain.write(text)

    def flush(self) -> None:
        """Hand over what was written."""
        with self.outliving():
            self.plain.flush()

    @contextmanager
    def outliving(self) -> Iterator[None]:
        """Swallow what the block writes, and all that follows, where nobody takes it."""
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.trouble = error
            with suppress(OSError):  # a stream without a descriptor
                _discard(self.plain.fileno())


class _Bytes:
    def __init__(self, stream: EscapingStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream.plain.buffer, name)

    def write(self, data: bytes) -> int:
        with self._stream.outliving():
            self._stream.plain.buffer.write(data)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


def open_streams() -> None:
    """Make `sys.stdin`, `sys.stdout` and `sys.stderr` usable, however the command was started."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Free numbers are given from the lowest on: a table would be opened as standard output.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, EscapingStream):
            continue
        if stream is None:
            stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, EscapingStream(stream))


@contextmanager
def terminal_of_stderr() -> Iterator[TextIO | None]:
    """The terminal that is standard error, for what draws on it and prints no value; None where it is none.

    It has a descriptor of its own: during a step Dagster turns that of standard error to a file.
    """
    plain = getattr(sys.stderr, "plain", sys.stderr)
    if not plain.isatty():
        yield None
        return
    with os.fdopen(os.dup(plain.fileno()), "w", encoding=plain.encoding, errors="backslashreplace") as terminal:
        yield terminal


@contextmanager
def escaping_stderr() -> Iterator[None]:
    """Escape what is written to standard error while something else has taken its place."""
    before = sys.stderr
    sys.stderr = cast("TextIO", EscapingStream(before))
    try:
        yield
    finally:
        sys.stderr = before


@contextmanager
def giving_back() -> Iterator[None]:
    """Put standard output and error back where something else takes their place, also if Ctrl-C keeps it from giving them back."""
    before = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def finish(status: int) -> int:
    """Hand over all output; returns the exit status, 1 in place of 0 where output was lost."""
    sys.stdout.flush()
    trouble = getattr(sys.stdout, "trouble", None)
    if trouble is None:
        return status
    tell(f"Standard output cannot be written: {trouble.strerror or trouble}. What it should hold is not complete.")
    return status or 1


def end_process(status: int) -> NoReturn:
    """End the process, and do not take the interpreter apart: threads of LanceDB that still answer would abort in that."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads, as at any end
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def _discard(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, descriptor)
    finally:
        os.close(null)
