"""Bounds of what one question may ask for."""

from __future__ import annotations

from typing import Final

from code_index.core.errors import UsageError

MOST_HITS: Final = 100_000
"""Hits of one answer: each holds its text."""


def refuse_limit(name: str, value: int) -> None:
    """Refuse a number of hits that is out of bounds.

    Raises:
        UsageError: with the bounds.
    """
    if not 1 <= value <= MOST_HITS:
        raise UsageError(f"{name} is {value}, but must be at least 1 and at most {MOST_HITS:,}.")
