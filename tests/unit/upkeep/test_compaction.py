"""Compaction during a long phase: often enough for readers, seldom enough for the phase."""

import pytest

from indexing_assets.upkeep import compaction
from indexing_assets.upkeep.compaction import PeriodicCompaction


class Clock:
    """A clock that only moves when told, and by what a `compact_due` takes."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def kept(monkeypatch, clock):
    """The tables of each call of `compact_due`, which takes two seconds."""
    calls = []

    def compact_due(_store, tables, *, under_way):
        assert under_way
        calls.append(tables)
        clock.now += 2

    monkeypatch.setattr(compaction, "compact_due", compact_due)
    return calls


def test_a_short_phase_does_nothing_before_its_end(clock, kept):
    periodic = PeriodicCompaction(None, ("vectors",), clock=clock)
    clock.now += 9
    assert not periodic.after_commit()
    assert kept == []


def test_a_long_phase_looks_after_its_own_tables_for_a_twentieth_of_its_time(clock, kept):
    periodic = PeriodicCompaction(None, ("vectors",), clock=clock)
    started = clock.now
    while clock.now < started + 1_000:
        clock.now += 1
        periodic.after_commit()
    assert kept
    assert set(kept) == {("vectors",)}
    assert 0.03 < 2 * len(kept) / (clock.now - started) <= 0.05
