"""The time that a tick takes for watching and waiting, by the number of indexes."""

from __future__ import annotations

import pytest

from indexing_assets.automation.changes_look import WatchTimes


def test_one_index_is_watched_for_four_seconds_and_waited_for() -> None:
    assert WatchTimes.of_round(1) == WatchTimes()
    assert (WatchTimes().watch_s, WatchTimes().quiet_s, WatchTimes().patience_s) == (4.0, 0.5, 2.0)


@pytest.mark.parametrize("indexes", [1, 2, 7, 30, 31, 300, 10_000])
def test_a_round_of_sensors_one_after_the_other_watches_and_waits_for_less_than_20_seconds(indexes: int) -> None:
    times = WatchTimes.of_round(indexes)
    waits_s = times.patience_s if times.patience_s >= times.quiet_s else 0.0
    assert indexes * (times.watch_s + waits_s) <= 19.0


def test_up_to_30_indexes_are_waited_for_within_the_tick() -> None:
    assert WatchTimes.of_round(30).patience_s >= WatchTimes().quiet_s > WatchTimes.of_round(31).patience_s
