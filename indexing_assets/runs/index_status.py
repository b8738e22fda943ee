"""The state of an index with what Dagster's records add: which batches are being embedded, and how fast runs were.

Does not belong here: what the tables say (`code_index.index.contents`).
"""

from functools import partial

from code_index.core.partition_keys import batch_id_of
from code_index.index.contents import IndexStatus, index_status
from code_index.index.locks import LockOwner, Phase, owner
from indexing_assets.runs import run_figures
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import keys_of_run
from indexing_assets.runs.run_figures import RECENT_EVENTS, Figures, LastEmbedding, figures_of_runs


def read_status(index: OpenIndex, model_id: str) -> IndexStatus:
    """Gather the figures; the chunks that a living run embeds are in progress.

    Raises:
        StoreError: a table cannot be read.
    """
    running = _running_batches(index, owner(index.folder.locks, Phase.EMBED))
    return index_status(index.folder, index.store, model_id, running_batches=running)


def _running_batches(index: OpenIndex, holder: LockOwner | None) -> list[int]:
    """Numbers of the batches that a living run works on: those of the run that holds the lock."""
    run = index.instance.get_run_by_id(holder.run_id) if holder is not None and holder.run_id else None
    if run is None:
        return []
    return [batch_id_of(key) for key in keys_of_run(run.tags, index.partition_keys(CHUNK_VECTORS))]


def runs_of(index: OpenIndex, asset: str) -> list[Figures]:
    """Figures of the runs among an asset's newest events, oldest first: metadata, run_id, and `at` (seconds since 1970)."""
    records = index.instance.fetch_materializations(index.names.asset_key(asset), limit=RECENT_EVENTS).records
    return figures_of_runs(
        (record.run_id, record.timestamp, {key: value.value for key, value in event.metadata.items()})
        for record in records
        if (event := record.asset_materialization) is not None
    )


def last_embedding(index: OpenIndex) -> LastEmbedding:
    """Figures of the newest run that embedded (`run_figures.last_embedding`)."""
    return run_figures.last_embedding(partial(runs_of, index))


def throughput(index: OpenIndex) -> dict[str, float]:
    """Rates of each phase (`run_figures.throughput`)."""
    return run_figures.throughput(partial(runs_of, index))
