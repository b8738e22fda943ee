"""Lengths of vectors, and what counts as length 1."""

from __future__ import annotations

import numpy as np
import pytest

from code_index.core.unit_vectors import UNIT_TOLERANCE, normalized, off_unit, vector_lengths


def test_lengths_are_computed_in_float64_and_show_what_is_not_finite() -> None:
    rows = np.array([[3e30, 4e30], [0, 0], [np.nan, 1], [np.inf, 1]], np.float32)
    found = vector_lengths(rows)
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(5e30, rel=1e-6)
    assert found[1] == 0
    assert np.isnan(found[2])
    assert np.isinf(found[3])
    assert vector_lengths(np.zeros((0, 3), np.float32)).shape == (0,)


def test_only_lengths_within_the_tolerance_are_unit() -> None:
    inside, outside = UNIT_TOLERANCE * 0.99, UNIT_TOLERANCE * 1.01
    found = np.array([1, 1 - inside, 1 + inside, 1 - outside, 1 + outside, 0, np.nan, np.inf])
    assert off_unit(found).tolist() == [3, 4, 5, 6, 7]


def test_rows_are_brought_to_length_1_and_zero_and_nan_stay() -> None:
    rows = np.array([[3, 4], [0, 0], [np.nan, 1], [1e-30, 0]], np.float32)
    unit = normalized(rows)
    assert unit.dtype == np.float32
    np.testing.assert_array_equal(unit, np.array([[0.6, 0.8], [0, 0], [np.nan, np.nan], [1, 0]], np.float32))
    assert rows[0].tolist() == [3, 4]
