"""A thread that takes items from their source while the caller works on earlier ones.

Belongs here: the thread, and how far it may go ahead. Does not belong here: what the items are.

The caller keeps its own thread for its work between two items (commits, events, the reaction to Ctrl-C). A thread
for that work was rejected: signals reach only the main thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")


def read_ahead(
    source: Generator[T, None, None], *, size: Callable[[T], float], bound: float, stop: Callable[[], None]
) -> Generator[T, None, None]:
    """The items of `source`, in order; its error is raised after the items before it.

    Args:
        source: runs in a thread, and is closed there.
        size: of an item.
        bound: total size of waiting items from which the thread takes no further item.
        stop: called when the caller ends early; must make `source` end soon, since this waits for it.
    """
    buffer = _Buffer[T](bound)
    thread = threading.Thread(target=_fill, args=(buffer, source, size), name="read-ahead", daemon=True)
    thread.start()
    try:
        while (item := buffer.take()) is not None:
            yield item[0]
    finally:
        if thread.is_alive():
            buffer.close()
            stop()
            thread.join()
    if buffer.error is not None:
        raise buffer.error


class _Buffer(Generic[T]):
    """The items that wait for the caller."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._items: deque[tuple[T, float]] = deque()
        self._held = 0.0
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self.error: BaseException | None = None

    def put(self, item: T, size: float) -> bool:
        """Add an item, then wait for room; false when the caller wants no more."""
        with self._changed:
            self._items.append((item, size))
            self._held += size
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._held < self._bound or not self._items or self._closed)
            return not self._closed

    def take(self) -> tuple[T] | None:
        """The next item; none when there are no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended)
            if not self._items:
                return None
            item, size = self._items.popleft()
            self._held -= size
            self._changed.notify_all()
            return (item,)

    def end(self, error: BaseException | None) -> None:
        """Declare that no more items come."""
        with self._changed:
            self._ended = True
            self.error = error
            self._changed.notify_all()

    def close(self) -> None:
        """Declare that the caller wants no more items."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _fill(buffer: _Buffer[T], source: Generator[T, None, None], size: Callable[[T], float]) -> None:
    failure: BaseException | None = None
    try:
        for item in source:
            if not buffer.put(item, size(item)):
                break
        source.close()
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        failure = error
    buffer.end(failure)
