"""Figures of the runs of an asset, from the metadata of its newest events.

Belongs here: what follows from the events. Does not belong here: where they are read (`index_status`, and without Dagster
`resources.plain_records`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS

# Events looked at.
RECENT_EVENTS = 1_000
OF_A_RUN = "run_chunks"  # the metadata entry of an event that carries a run's figures
VECTORS_FROM = "vectors from "
"""Before the name of a source, in the metadata of a run that embeds: how many of its vectors came from there."""
Figures: TypeAlias = dict[str, float | str]


def figures_of_runs(events: Iterable[tuple[str, float, Mapping[str, Any]]]) -> list[Figures]:
    """Figures of each run among events (run id, time, metadata; newest first), oldest run first.

    A run writes its figures into one event of each commit; of these the newest counts.
    """
    found: dict[str, Figures] = {}
    for run_id, at, values in events:
        if OF_A_RUN in values and run_id not in found:
            plain = {key: value for key, value in values.items() if isinstance(value, int | float | str)}
            found[run_id] = {**plain, "run_id": run_id, "at": at}
    return list(reversed(found.values()))


@dataclass(frozen=True, slots=True)
class LastEmbedding:
    """The newest run that embedded: its chunks, texts that the model embedded, vectors reused, and all by their source."""

    chunks: int = 0
    embedded: int = 0
    reused: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)


def last_embedding(runs_of: Callable[[str], list[Figures]]) -> LastEmbedding:
    """Read the figures of the newest run that embedded; zeros where none is recorded."""
    run = next(reversed(runs_of(CHUNK_VECTORS)), {})
    chunks, embedded, reused = (int(run.get(name, 0)) for name in ("run_chunks", "run_embedded", "run_reused"))
    named = {key.removeprefix(VECTORS_FROM): int(count) for key, count in run.items() if key.startswith(VECTORS_FROM)}
    return LastEmbedding(chunks, embedded, reused, named)


def throughput(runs_of: Callable[[str], list[Figures]]) -> dict[str, float]:
    """Rates of each phase per second, from the largest run among its newest events: a run of one file says nothing.

    Nor does one that found most of its vectors.
    """
    figures: dict[str, float] = {}
    for name, rates in {PARSED_CHUNKS: ("files_per_s", "chunks_per_s"), CHUNK_VECTORS: ("chunks_per_s",)}.items():
        runs = [run for run in runs_of(name) if 2 * float(run.get("run_reused", 0)) <= float(run[OF_A_RUN])]
        if runs:
            largest = max(runs, key=lambda run: float(run[OF_A_RUN]))
            figures |= {f"{name}.{rate}": float(largest[rate]) for rate in rates if rate in largest}
    return figures
