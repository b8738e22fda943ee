"""Ctrl-C and SIGTERM while a command works: the first ends it in order and says what is kept, the second ends it at once.

Belongs here: what the signals do. Does not belong here: what is said (`indexing_assets.cli.outcome`), and the time before
the command is known (`indexing_assets.cli.entry`).

Decision: the second signal is seen by a thread, through Python's wakeup descriptor. A handler is not enough: Dagster puts
its own in place of any during a run, and none is called while native code works. To end at once is safe, as is a kill.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from code_index.core.errors import CodeIndexError
from indexing_assets.cli.output import show_cursor, tell_on
from indexing_assets.cli.streams import terminal_of_stderr

STATUS = 130
_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
# Nobody needs to be told of a second Ctrl-C where the first takes no longer.
_PATIENCE_S = 1.0
_AGAIN_S = 0.05
_STOPPING = "Stopping: what is at hand is stored first. Press Ctrl-C again to end at once, and lose it."

_received = threading.Event()


class Stopped(KeyboardInterrupt):
    """Somebody stopped the command; the message says what is kept and how to go on."""


def raise_interrupts() -> None:
    """Let Ctrl-C, unless it is ignored, and SIGTERM raise `KeyboardInterrupt`, also where Python would only print it."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)  # of `_raise_later`; it counts as no second signal
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _raise_later


def ignore_interrupts() -> None:
    """Ignore both signals from now on, where only the exit is left."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def was_interrupted() -> bool:
    """Tell whether a signal came: an error that follows it, as of a module whose import it ended, is no fault."""
    return _received.is_set()


def stop_if_interrupted() -> None:
    """Stop where a signal came and what ran since made a failure of it, or went on.

    Raises:
        KeyboardInterrupt: there was a signal.
    """
    if was_interrupted():
        raise KeyboardInterrupt


@contextmanager
def saying_what_is_kept(what_is_kept: Callable[[], str]) -> Iterator[None]:
    """Say what is kept, and how to go on, when somebody stops the block; end at once when they do it twice.

    Raises:
        Stopped: somebody stopped the block.
    """
    with _ended_by_a_second():
        try:
            yield
        except KeyboardInterrupt as error:
            try:
                said = what_is_kept()
            except CodeIndexError as trouble:  # such as an index that was just deleted
                said = f"Stopped. {trouble}"
            raise Stopped(said) from error


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _received.set()
    raise KeyboardInterrupt


def _raise_later(unraisable: "sys.UnraisableHookArgs", /) -> Any:
    """Interrupt again where the first time fell into a callback, whose exceptions Python prints and forgets."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


@contextmanager
def _ended_by_a_second() -> Iterator[None]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    with terminal_of_stderr() as terminal:
        watching = threading.Thread(
            target=_end_at_second, args=(reading, terminal), name="code-index second Ctrl-C", daemon=True
        )
        watching.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(writing)
            watching.join()
            os.close(reading)


def _end_at_second(reading: int, terminal: TextIO | None) -> None:
    """Count the signals until the other end is closed."""
    signals, told = 0, False
    while True:
        if signals and terminal and not told and not select.select([reading], [], [], _PATIENCE_S)[0]:
            tell_on(terminal, _STOPPING)
            told = True
        numbers = os.read(reading, 1)
        if not numbers:
            return
        if numbers[0] in _SIGNALS:
            _received.set()
            signals += 1
        if signals > 1:
            if terminal:
                show_cursor(terminal)
            os._exit(STATUS)
