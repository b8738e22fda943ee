"""The state of an index with what Dagster's records add: which batches are being embedded, and how fast runs were.

Does not belong here: what the tables say (`code_index.index.contents`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from code_index.core.partition_keys import batch_id_of
from code_index.index.contents import IndexStatus, index_status
from code_index.index.locks import LockOwner, Phase, owner
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run

VECTORS_FROM = "vectors from "
"""Before the name of a source, in the metadata of a run that embeds: how many of its vectors came from there."""

# Events looked at for rates.
_RECENT_EVENTS = 1_000


def read_status(index: OpenIndex, model_id: str) -> IndexStatus:
    """Gather the figures; the chunks that a living run embeds are in progress.

    Raises:
        StoreError: a table cannot be read.
    """
    running = _running_batches(index, owner(index.folder.locks_dir, Phase.EMBED))
    return index_status(index.folder, index.store, model_id, running_batches=running)


def _running_batches(index: OpenIndex, holder: LockOwner | None) -> list[int]:
    """Numbers of the batches that a living run works on: those of the run that holds the lock."""
    run = index.instance.get_run_by_id(holder.run_id) if holder is not None and holder.run_id else None
    if run is None:
        return []
    return [batch_id_of(key) for key in keys_of_run(run.tags, index.partition_keys(CHUNK_VECTORS))]


def runs_of(index: OpenIndex, asset: str) -> list[dict[str, float | str]]:
    """Figures of the runs among an asset's newest events, oldest first: metadata, run_id, and `at` (seconds since 1970).

    A run writes its figures into one event of each commit; of these the newest counts.
    """
    records = index.instance.fetch_materializations(index.names.asset_key(asset), limit=_RECENT_EVENTS).records
    found: dict[str, dict[str, float | str]] = {}
    for record in records:
        event = record.asset_materialization
        if event is not None and "run_chunks" in event.metadata and record.run_id not in found:
            values = {key: value.value for key, value in event.metadata.items()}
            found[record.run_id] = {
                **{key: value for key, value in values.items() if isinstance(value, int | float | str)},
                "run_id": record.run_id,
                "at": record.timestamp,
            }
    return list(reversed(found.values()))


@dataclass(frozen=True, slots=True)
class LastEmbedding:
    """The newest run that embedded: its chunks, texts that the model embedded, vectors reused, and all by their source."""

    chunks: int = 0
    embedded: int = 0
    reused: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)


def last_embedding(index: OpenIndex) -> LastEmbedding:
    """Read the figures of the newest run that embedded; zeros where none is recorded."""
    run = next(reversed(runs_of(index, CHUNK_VECTORS)), {})
    chunks, embedded, reused = (int(run.get(name, 0)) for name in ("run_chunks", "run_embedded", "run_reused"))
    named = {key.removeprefix(VECTORS_FROM): int(count) for key, count in run.items() if key.startswith(VECTORS_FROM)}
    return LastEmbedding(chunks, embedded, reused, named)


def throughput(index: OpenIndex) -> dict[str, float]:
    """Rates of each phase per second, from the largest run among its newest events: a run of one file says nothing.

    Nor does one that found most of its vectors.
    """
    figures: dict[str, float] = {}
    for name, rates in {PARSED_CHUNKS: ("files_per_s", "chunks_per_s"), CHUNK_VECTORS: ("chunks_per_s",)}.items():
        runs = [run for run in runs_of(index, name) if 2 * float(run.get("run_reused", 0)) <= float(run["run_chunks"])]
        if runs:
            largest = max(runs, key=lambda run: float(run["run_chunks"]))
            figures |= {f"{name}.{rate}": float(largest[rate]) for rate in rates if rate in largest}
    return figures
