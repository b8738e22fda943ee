"""Items that a thread takes ahead of the caller."""

import threading
from collections.abc import Iterator

import pytest

from code_index.parsing.read_ahead import read_ahead
from tests.waiting import PATIENCE_S


def _ahead(source, *, bound=100.0, stop=lambda: None):
    return read_ahead(source, size=lambda _item: 1, bound=bound, stop=stop)


def test_items_come_in_their_order():
    assert list(_ahead(number for number in range(50))) == list(range(50))


def test_the_source_goes_on_while_the_caller_is_busy_but_only_to_the_bound():
    taken: list[int] = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            if number == 3:
                full.set()
            yield number

    items = _ahead(source(), bound=3)
    assert next(items) == 0
    assert full.wait(PATIENCE_S)
    assert len(taken) <= 5
    assert list(items) == list(range(1, 50))


def test_an_item_larger_than_the_bound_gets_through():
    assert list(read_ahead((n for n in range(3)), size=lambda _item: 10, bound=1, stop=lambda: None)) == [0, 1, 2]


def test_an_error_of_the_source_comes_after_the_items_before_it():
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = _ahead(source())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_a_caller_that_ends_early_stops_and_closes_the_source():
    stopped = threading.Event()
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield 1
            stopped.wait(PATIENCE_S)  # blocked until `stop`
            yield 2
        finally:
            closed.set()

    items = _ahead(source(), stop=stopped.set)
    assert next(items) == 1
    items.close()
    assert stopped.is_set()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_what_is_never_asked_for_starts_no_thread():
    _ahead(number for number in range(3)).close()

    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
