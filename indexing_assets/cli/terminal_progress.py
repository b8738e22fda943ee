"""Running phases from a terminal: progress bars where there is one, plain lines where not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from code_index.index.locks import LockOwner
from indexing_assets.cli.output import tell
from indexing_assets.cli.streams import escaping_stderr, giving_back, terminal_of_stderr
from indexing_assets.runs import progress as reports

_TITLES = {
    "scan": "Scanning",
    "parse": "Parsing",
    "embed": "Embedding",
    "migrate": "Importing",
    "publish": "Publishing",
    "fetch": "Fetching",
}
_PLAIN_EVERY_S = 5.0


@contextmanager
def showing_progress() -> Iterator[None]:
    """Show the reports of the phases while the block runs; on standard error, so that output can be piped."""
    with giving_back(), terminal_of_stderr() as terminal, _lines() if terminal is None else _bars(terminal):
        yield


@contextmanager
def _bars(terminal: TextIO) -> Iterator[None]:
    tasks: dict[str, TaskID] = {}
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]} {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(file=terminal, highlight=False),
        transient=True,
    ) as bars:
        started: dict[str, float] = {}

        def show(report: reports.Progress) -> None:
            if report.phase not in tasks:
                tasks[report.phase] = bars.add_task(
                    _TITLES[report.phase], total=report.total, unit=report.unit, rate=""
                )
                started[report.phase] = time.monotonic()
            seconds = time.monotonic() - started[report.phase]
            rate = f"({report.done / seconds:,.0f}/s)" if report.done and seconds > 1 else ""
            bars.update(tasks[report.phase], completed=report.done, total=report.total, unit=report.unit, rate=rate)

        # Lines of others appear above the bars: `Progress` stands in for standard error.
        with escaping_stderr(), reports.listening(show):
            yield


@contextmanager
def _lines() -> Iterator[None]:
    started: dict[str, float] = {}
    shown: dict[str, float] = {}
    finished: set[str] = set()

    def show(report: reports.Progress) -> None:
        now = time.monotonic()
        begun = started.setdefault(report.phase, now)
        done = report.done >= report.total
        # One line every few seconds, and one at the end.
        if report.phase in finished or (not done and now - shown.setdefault(report.phase, now) < _PLAIN_EVERY_S):
            return
        shown[report.phase] = now
        if done:
            finished.add(report.phase)
        pace = _pace(report, now - begun)
        tell(f"{_TITLES[report.phase]}: {report.done:,} of {report.total:,} {report.unit}{pace}")

    with reports.listening(show):
        yield


def _pace(report: reports.Progress, seconds: float) -> str:
    """Rate and time left, once there is something to tell."""
    if not report.done or seconds < 1:
        return ""
    rate = report.done / seconds
    left = f", about {(report.total - report.done) / rate:,.0f} s left" if report.done < report.total else ""
    return f", {rate:,.0f}/s{left}"


def tell_waiting(holder: LockOwner | None) -> None:
    """Say which process the command waits for."""
    tell(f"Waiting: the index is held by {holder or 'another process'}.")
