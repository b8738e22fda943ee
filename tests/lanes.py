"""Which of many similar cases run in `make test`, and which in `make long` only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def every(step: int, cases: Sequence[Any]) -> list[Any]:
    """The cases, of which each `step`-th one runs in `make test`, and the others in `make long` only."""
    return [
        case if number % step == 0 else pytest.param(*_values(case), marks=pytest.mark.long)
        for number, case in enumerate(cases)
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
