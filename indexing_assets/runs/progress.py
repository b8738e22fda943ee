"""Progress of a phase, for whoever runs it in this process; Dagster's log has its own lines.

A listener is a plain function; without one, reports go nowhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a phase; `unit` counts `done` and `total` (`files`, `chunks`)."""

    phase: str
    unit: str
    done: int
    total: int


Listener = Callable[[Progress], None]

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send reports of this process to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report(progress: Progress) -> None:
    """Tell the listeners."""
    for listener in tuple(_listeners):
        listener(progress)
