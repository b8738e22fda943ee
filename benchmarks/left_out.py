"""Figures of fitted weights on what they were not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Weights = TypeVar("Weights")


def left_out(
    names: Sequence[str], fit: Callable[[Sequence[str]], Weights], score: Callable[[Weights, str], float]
) -> dict[str, tuple[Weights, float]]:
    """For each name the weights fitted on all others, and their score on it.

    Args:
        names: repositories, two at least; one is left out at a time.
        fit: weights that are best for the repositories that it is given.
        score: figure of weights on one repository.

    Raises:
        ValueError: with fewer than two names nothing is left to fit on.
    """
    if len(names) < 2:
        raise ValueError("leaving one repository out needs two")
    fitted = {name: fit([other for other in names if other != name]) for name in names}
    return {name: (weights, score(weights, name)) for name, weights in fitted.items()}
