"""One embedding run: what it stores of the batches of its range, and what it records.

Belongs here: the rows of the index and their events. Does not belong here: the way to a vector
(`indexing_assets.assets.embedding_groups`); the asset, its model and its checks (`indexing_assets.assets.chunk_vectors`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np

from code_index.core.partition_keys import batch_id_of, batch_partition_key
from code_index.embedding.embedder import Embedder
from code_index.index.locks import Phase, check_held
from code_index.index.vector_sources import MODEL, THIS_INDEX, note_vectors
from code_index.sharing.libraries import Libraries
from code_index.system.memory import FreedMemory
from code_index.tables.vectors import vector_rows
from indexing_assets.assets.embedded_rows import error_rows
from indexing_assets.assets.embedding_groups import EmbeddingGroups, Group
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.live_runs import keys_of_unfinished_runs
from indexing_assets.runs.materializations import log_materializations
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import embedding_identity, match_batch_partitions
from indexing_assets.upkeep.compaction import VECTOR_TABLES, PeriodicCompaction

_LISTED = 5


class EmbedRun:
    """One run over a range of batches."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        index: OpenIndex,
        embedder: Embedder,
        libraries: Libraries,
        *,
        recipe: str,
        force: bool,
    ) -> None:
        self.context = context
        self.index = index
        self.store = index.store
        self.embedder = embedder
        self.libraries = libraries
        self.force = force
        self.groups = EmbeddingGroups(context, index, embedder, libraries, recipe=recipe, force=force)
        self.batch_ids = self.groups.batch_ids
        self.tally = self.groups.tally
        self._all_again = False

    def retire_other_models(self) -> None:
        """Retire vectors of other models that an older program stored in this model's table."""
        for model, count in self.store.vectors.counts().items():
            if model != self.embedder.model_id:
                self.store.vectors.retire(now=datetime.now(UTC), model=model)
                self.context.log.info(
                    "Retired %d vectors of %s; the model is now %s.", count, model, self.embedder.model_id
                )

    def embed_batches(self) -> None:
        """Work through the run's batches, one checkpoint after the other."""
        given_up = self.groups.given_up()
        wanted = self.groups.wanted(given_up)
        self._all_again = self.groups.total == self.store.chunks.count()
        self._log_batches([batch_id for batch_id in self.batch_ids if batch_id not in wanted], given_up)
        compaction, freed = PeriodicCompaction(self.store, VECTOR_TABLES), FreedMemory()
        with closing(self.groups.embedded(wanted)) as embedded:
            for group in embedded:
                failed = self._store(group)
                self._log_batches(group.batch_ids, {**given_up, **failed})
                if group.read < self.groups.total:
                    compaction.after_commit()
                freed.after_commit()

    def drop_empty_batches(self) -> None:
        """Drop the keys of batches whose chunks another process removed meanwhile: it leaves them to this run."""
        others = keys_of_unfinished_runs(self.index, CHUNK_VECTORS, but=self.context.run.run_id)
        match_batch_partitions(self.index, kept=others)
        left = {batch_id_of(key) for key in self.index.partition_keys(CHUNK_VECTORS)}
        if gone := [batch_partition_key(batch_id) for batch_id in self.batch_ids if batch_id not in left]:
            self.context.log.info(
                "%d batches of this run have no chunks any more, for their files were edited or deleted; their "
                "partitions are gone: %s",
                len(gone),
                ", ".join(gone[:_LISTED]),
            )

    def _store(self, group: Group) -> dict[str, str]:
        """Give each chunk of a group its vector, in one commit; returns chunk id to reason for those without."""
        rows, hashes, vector_of, new, failed = group.rows, group.hashes, group.vector_of, group.new(), group.failed()
        check_held(self.index.folder.locks, Phase.EMBED)
        self.libraries.give(new, group.missing, replace=self.force)
        now = datetime.now(UTC)
        kept = [place for place, text_hash in enumerate(hashes) if text_hash in vector_of]
        stored, stored_hashes = [rows[place] for place in kept], [hashes[place] for place in kept]
        if stored:
            self.store.vectors.add(
                vector_rows(
                    stored,
                    np.stack([vector_of[text_hash] for text_hash in stored_hashes]),
                    text_hashes=stored_hashes,
                    model=self.embedder.model_id,
                    embedded_at=now,
                )
            )
            self.store.errors.clear([row["chunk_id"] for row in stored], self.embedder.model_id)
        if failed:
            self.store.errors.record(error_rows(failed, self.embedder, now))
            self.groups.log_failed(group)
        sources = group.sources + Counter({MODEL: len(new)})
        sources[THIS_INDEX] = len(stored) - sources.total()
        self._note(sources)
        self.tally.failed_chunks += len(failed)
        return failed

    def _note(self, sources: Counter[str]) -> None:
        """Note where the vectors of a commit came from."""
        self.tally.sources += sources  # which drops what is zero
        note_vectors(self.index.folder, self.embedder.model_id, sources, replace=self._all_again)
        self._all_again = False

    def _log_batches(self, batch_ids: Sequence[int], failed: Mapping[str, str]) -> None:
        """Materialize the batches whose chunks all have vectors; note the others as failed."""
        counts, reasons = self.groups.outcomes(batch_ids, failed)
        for batch_id, reason in reasons.items():
            self.tally.failures[batch_partition_key(batch_id)] = reason
        events: dict[str, dict[str, Any]] = {
            batch_partition_key(batch_id): {"chunks": count, "dagster/partition_row_count": count}
            for batch_id, count in counts.items()
        }
        if events:
            # The asset's page shows the newest event: it carries the run's figures.
            events[next(reversed(events))].update(self.tally.metadata(self.embedder))
            log_materializations(self.context, events, code_version=embedding_identity(self.index.settings))
