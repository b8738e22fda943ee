"""The state of an index with what Dagster's records add: which batches are being embedded, and how fast runs were.

Does not belong here: what the tables say (`code_index.index.contents`).
"""

from code_index.core.partition_keys import batch_id_of
from code_index.index.contents import IndexStatus, index_status
from code_index.index.locks import LockOwner, Phase, owner
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run

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


def last_embedding(index: OpenIndex) -> dict[str, int]:
    """Chunks of the newest run that embedded, and how many of their vectors were computed, reused, and of these from libraries."""
    runs = runs_of(index, CHUNK_VECTORS)
    names = {"chunks": "run_chunks", "embedded": "run_embedded", "reused": "run_reused"}
    names["from_libraries"] = "run_from_libraries"
    return {name: int(runs[-1].get(figure, 0)) for name, figure in names.items()} if runs else {}


def throughput(index: OpenIndex) -> dict[str, float]:
    """Rates of each phase per second, from the largest run among its newest events: a run of one file says nothing."""
    figures: dict[str, float] = {}
    for name, rates in {PARSED_CHUNKS: ("files_per_s", "chunks_per_s"), CHUNK_VECTORS: ("chunks_per_s",)}.items():
        runs = runs_of(index, name)
        if runs:
            largest = max(runs, key=lambda run: float(run["run_chunks"]))
            figures |= {f"{name}.{rate}": float(largest[rate]) for rate in rates if rate in largest}
    return figures
