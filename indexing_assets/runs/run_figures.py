"""Figures of the runs of an asset, from the metadata of its newest events.

Belongs here: what follows from the events. Does not belong here: where they are read (`index_status`, and without Dagster
`resources.plain_records`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS

# Events looked at.
RECENT_EVENTS = 1_000
OF_A_RUN = "run_chunks"  # the metadata entry of an event that carries a run's figures
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


def last_embedding(runs_of: Callable[[str], list[Figures]]) -> dict[str, int]:
    """Chunks of the newest run that embedded, and how many of their vectors were computed, reused, and of these from libraries."""
    runs = runs_of(CHUNK_VECTORS)
    names = {"chunks": "run_chunks", "embedded": "run_embedded", "reused": "run_reused"}
    names["from_libraries"] = "run_from_libraries"
    return {name: int(runs[-1].get(figure, 0)) for name, figure in names.items()} if runs else {}


def throughput(runs_of: Callable[[str], list[Figures]]) -> dict[str, float]:
    """Rates of each phase per second, from the largest run among its newest events: a run of one file says nothing."""
    figures: dict[str, float] = {}
    for name, rates in {PARSED_CHUNKS: ("files_per_s", "chunks_per_s"), CHUNK_VECTORS: ("chunks_per_s",)}.items():
        runs = runs_of(name)
        if runs:
            largest = max(runs, key=lambda run: float(run["run_chunks"]))
            figures |= {f"{name}.{rate}": float(largest[rate]) for rate in rates if rate in largest}
    return figures
