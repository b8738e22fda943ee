"""A parser process that outlives its run: it starts in 0.35 s, of which an edited file takes a hundredth.

Belongs here: which process waits for the next run, and its end. Does not belong here: starting one and parsing
(`code_index.parsing.parser_pool`).

One waits at most, for a minute, and only in a process that said that further runs may come: it has some 85 MiB.
"""

from __future__ import annotations

import threading
from typing import Final, Protocol

from code_index.parsing.parser_worker import ParserConfig

_WAITS_S: Final = 60.0


class Endable(Protocol):
    """A parser process."""

    def is_alive(self) -> bool:
        """Tell whether it can be used."""

    def end(self) -> None:
        """End it, and wait until it has ended."""


class KeptParser:
    """The parser process that waits in this process; usable from several threads."""

    def __init__(self, *, waits_s: float = _WAITS_S) -> None:
        """Set how long one waits."""
        self._waits_s = waits_s
        self._lock = threading.Lock()
        self._expecting: set[int] = set()
        self._waiting: tuple[ParserConfig, Endable] | None = None
        self._timer: threading.Timer | None = None

    def expect(self, owner: object) -> None:
        """Let a process wait between the runs of an owner, until it expects no more."""
        with self._lock:
            self._expecting.add(id(owner))

    def expect_no_more(self, owner: object) -> None:
        """End the process that waits, unless others expect a run."""
        with self._lock:
            self._expecting.discard(id(owner))
            if self._expecting:
                return
        self.end()

    def take(self, config: ParserConfig) -> Endable | None:
        """Hand over the process that waits, if it has that configuration; else end it."""
        waiting = self._emptied()
        if waiting is None:
            return None
        known, process = waiting
        if known == config and process.is_alive():
            return process
        process.end()
        return None

    def give(self, config: ParserConfig, process: Endable) -> None:
        """Let an idle process wait for the next run, or end it."""
        with self._lock:
            if self._expecting and self._waiting is None:
                self._waiting = config, process
                self._timer = threading.Timer(self._waits_s, self.end)
                self._timer.daemon = True
                self._timer.start()
                return
        process.end()

    def end(self) -> None:
        """End the process that waits."""
        if (waiting := self._emptied()) is not None:
            waiting[1].end()

    def _emptied(self) -> tuple[ParserConfig, Endable] | None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return waiting


OF_THIS_PROCESS: Final = KeptParser()
