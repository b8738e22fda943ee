"""The look of `pending_chunks_sensor`: the chunks against the vectors."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg

from indexing_assets.automation.look import Found, digest, request_run, table_versions
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import CHUNK_VECTORS, IndexNames
from indexing_assets.runs.job_names import EMBED_JOB
from indexing_assets.runs.live_runs import close_dead_runs, unfinished_runs
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.planning import batches_to_embed, serve_kept_vectors
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource


class PendingLook:
    """Compares the chunks with the vectors."""

    def __init__(
        self, instance: dg.DagsterInstance, resource: IndexResource, embedder: EmbedderResource, names: IndexNames
    ) -> None:
        self._instance = instance
        self._resource = resource
        self._embedder = embedder
        self._names = names

    def take(self, cursor: SensorCursor) -> Found:
        """Ask for a run over all batches with chunks that wait for a vector, if there are any."""
        index = open_index(self._instance, self._resource, self._names)
        close_dead_runs(self._instance, index)
        busy = unfinished_runs(index, CHUNK_VECTORS)
        if busy:
            return Found(cursor, reason=f"Run {busy[0].run_id} embeds; the next look follows its end.")
        model_id = self._embedder.get_for_queries(index.settings).model_id
        stand = digest([model_id, *table_versions(index.store, "chunks", "vectors", "embedding_errors")])
        nothing = "Every chunk has its vector, or failed for a reason that lasts."
        if cursor.idle == stand:
            return Found(cursor, reason=nothing)
        keys = batches_to_embed(index, model_id, retry_transient=False)
        if not keys:
            serve_kept_vectors(index.store, model_id)
            return Found(replace(cursor, idle=stand), reason=nothing)
        return request_run(index, EMBED_JOB, keys, stand, cursor)
