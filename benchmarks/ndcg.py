"""NDCG@10 of chunk search against targets that are files or line ranges.

Source: the metric of the semble benchmark (MinishLab), as described with its queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

DEPTH = 10


@dataclass(frozen=True, slots=True)
class Target:
    """Something a query should find: a file, or lines of one (1-based, inclusive)."""

    path: str
    start_line: int | None = None
    end_line: int | None = None

    @classmethod
    def parse(cls, raw: str | dict[str, Any]) -> Target:
        """A target as the query files spell it: a path, or an object with lines."""
        if isinstance(raw, str):
            return cls(raw)
        return cls(raw["path"], raw.get("start_line"), raw.get("end_line"))


@dataclass(frozen=True, slots=True)
class Span:
    """Where a chunk stands; lines are 1-based and inclusive."""

    path: str
    start_line: int
    end_line: int


def covers(span: Span, target: Target) -> bool:
    """Whether the chunk is of the target's file (paths may lack leading folders) and touches its lines."""
    same = span.path == target.path or span.path.endswith(f"/{target.path}") or target.path.endswith(f"/{span.path}")
    if not same or target.start_line is None or target.end_line is None:
        return same
    return span.start_line <= target.end_line and span.end_line >= target.start_line


def reachable(targets: Iterable[Target], index: Iterable[Span]) -> list[Target]:
    """The targets that any chunk of the index covers."""
    spans = list(index)
    return [target for target in targets if any(covers(span, target) for span in spans)]


def ndcg(hits: Sequence[Span], targets: Sequence[Target], *, reachable_count: int) -> float:
    """NDCG@10: each target counts at its first hit's rank, and a rank counts once.

    Args:
        hits: what search returned, best first; at most the first 10 count.
        targets: what should be found.
        reachable_count: targets that a perfect search could find; 0 gives 0.
    """
    ranks = set()
    for target in targets:
        rank = next((rank for rank, hit in enumerate(hits[:DEPTH], start=1) if covers(hit, target)), None)
        if rank is not None:
            ranks.add(rank)
    ideal = sum(_gain(rank) for rank in range(1, min(DEPTH, reachable_count) + 1))
    return sum(map(_gain, ranks)) / ideal if ideal else 0.0


def best_order(reached: int, reachable_count: int) -> float:
    """NDCG@10 of a pool that holds `reached` of the targets that can be found, with these first."""
    ideal = sum(_gain(rank) for rank in range(1, min(DEPTH, reachable_count) + 1))
    return sum(_gain(rank) for rank in range(1, min(DEPTH, reached) + 1)) / ideal if ideal else 0.0


def _gain(rank: int) -> float:
    return 1.0 / math.log2(rank + 1)
