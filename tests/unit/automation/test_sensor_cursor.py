"""What sensors remember: nothing is asked for twice in haste, and a cursor survives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing_assets.automation.sensor_cursor import FIRST_WAIT_S, LONGEST_WAIT_S, SensorCursor


def test_what_was_never_asked_for_needs_no_wait() -> None:
    assert SensorCursor().wait_s("a", now_s=100.0) == 0
    assert SensorCursor().asked("a", 100.0).wait_s("b", now_s=100.0) == 0


def test_each_attempt_at_the_same_doubles_the_wait_up_to_an_hour() -> None:
    cursor = SensorCursor()
    waits = []
    for _ in range(12):
        cursor = cursor.asked("a", 1_000.0)
        waits.append(cursor.wait_s("a", now_s=1_000.0))
    assert waits[:4] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S, 8 * FIRST_WAIT_S]
    assert waits[-1] == LONGEST_WAIT_S


def test_the_wait_passes_with_the_time() -> None:
    cursor = SensorCursor().asked("a", 1_000.0)
    assert cursor.wait_s("a", now_s=1_000.0 + FIRST_WAIT_S - 1) == pytest.approx(1)
    assert cursor.wait_s("a", now_s=1_000.0 + FIRST_WAIT_S) == 0


def test_another_target_starts_over() -> None:
    cursor = SensorCursor().asked("a", 0.0).asked("a", 0.0).asked("b", 0.0)
    assert cursor.attempts == 1
    assert cursor.wait_s("b", now_s=0.0) == FIRST_WAIT_S


def test_a_clock_that_went_backwards_makes_nobody_wait_longer_than_the_back_off() -> None:
    cursor = SensorCursor().asked("a", 1_000_000.0)
    assert cursor.wait_s("a", now_s=0.0) == FIRST_WAIT_S


@given(
    st.builds(
        SensorCursor,
        target=st.text(),
        attempts=st.integers(0, 100),
        requested_at_s=st.floats(0, 1e10),
        idle=st.text(),
        restless_since_s=st.none() | st.floats(0, 1e10),
    )
)
def test_a_cursor_comes_back_as_it_was(cursor: SensorCursor) -> None:
    assert SensorCursor.from_text(cursor.to_text()) == cursor


@pytest.mark.parametrize("text", [None, "", "no json", "[]", "{}", '{"unknown": 1}', "3"])
def test_a_cursor_that_cannot_be_read_counts_as_none(text: str | None) -> None:
    assert SensorCursor.from_text(text) == SensorCursor()
