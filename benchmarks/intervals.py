"""95 % intervals of means by the bootstrap, with a fixed seed: the same scores give the same interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SEED = 20_251_127
_SAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the ends of its interval, and how many scores it is of."""

    mean: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


def estimate(groups: Sequence[Sequence[float]]) -> Estimate:
    """The mean over groups of each group's mean; scores are drawn again within their group, so a group is never missing.

    It says how sure the figure is for these groups (repositories), with other questions; not for other repositories.
    Source: Efron, percentile bootstrap, 2,000 samples.

    Raises:
        ValueError: there is no score, or a group is empty.
    """
    if not groups or not all(groups):
        raise ValueError("an interval needs at least one group, and a score in each")
    rng = np.random.default_rng(SEED)
    samples = np.zeros(_SAMPLES)
    for group in groups:
        values = np.asarray(group, dtype=np.float64)
        samples += values[rng.integers(0, len(values), (_SAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(samples / len(groups), (2.5, 97.5))
    mean = float(np.mean([np.mean(group) for group in groups]))
    return Estimate(mean, float(low), float(high), sum(map(len, groups)))
