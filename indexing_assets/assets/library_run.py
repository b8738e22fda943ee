"""One run of `library_vectors`: what it gives to the shared libraries, and what it records.

Belongs here: the work over a range of batches. Does not belong here: the way to a vector
(`indexing_assets.assets.embedding_groups`); the asset and its model (`indexing_assets.assets.library_vectors`).
"""

import socket
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import dagster as dg

from code_index.core.errors import StoreError
from code_index.core.partition_keys import batch_partition_key
from code_index.embedding.embedder import Embedder
from code_index.index.vector_sources import MODEL
from code_index.sharing.libraries import Libraries
from code_index.sharing.vector_library import VectorLibrary
from indexing_assets.assets.embedding_groups import EmbeddingGroups, Group
from indexing_assets.runs.index_names import LIBRARY_VECTORS
from indexing_assets.runs.materializations import log_materializations, log_observations
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import embedding_identity


class LibraryRun:
    """One of several runs that embed an index together; it writes to no table of the index, and takes no lock of it."""

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
        # What is in the library of this host's user only reaches no other host.
        libraries.own = None
        self._context = context
        self._index = index
        self._embedder = embedder
        # Of its own handles, for gifts are made beside what is asked for.
        gifts = [VectorLibrary(library.place, library.model_id) for library in libraries.written]
        self._gifts = Libraries(own=None, written=gifts)
        self._gifts_under_way: deque[tuple[Group, Future[None]]] = deque()
        self._force = force
        self._groups = EmbeddingGroups(context, index, embedder, libraries, recipe=recipe, force=force)
        self.tally = self._groups.tally

    def embed_batches(self) -> None:
        """Give the libraries the vectors of the run's batches, one checkpoint after the other.

        Raises:
            StoreError: no library can be written.
        """
        given_up = self._groups.given_up()
        wanted = self._groups.wanted(given_up)
        self._record([batch_id for batch_id in self._groups.batch_ids if batch_id not in wanted], given_up)
        # Hosts that give at once wait for each other, for seconds at some stores: the model goes on meanwhile.
        with (
            ThreadPoolExecutor(1, thread_name_prefix="gifts") as gifts,
            closing(self._groups.embedded(wanted)) as embedded,
        ):
            for group in embedded:
                self._gifts_under_way.append((group, gifts.submit(self._give, group)))
                self._record_gifts(given_up, most_left=self._index.settings.checkpoint_chunks)
            self._record_gifts(given_up, most_left=0)

    def _give(self, group: Group) -> None:
        self._gifts.give(group.new(), group.missing, replace=self._force)
        if not self._gifts.written:
            raise StoreError(
                "None of the shared libraries can be written, and no other host would find these vectors: the run's log "
                "says why. Correct shared_libraries, or allow writing there."
            )

    def _record_gifts(self, given_up: Mapping[str, str], *, most_left: int) -> None:
        """Record the gifts that are made, and wait for so many that at most so many chunks are under way."""
        under_way = self._gifts_under_way
        while under_way:
            group, given = under_way[0]
            if not given.done() and sum(len(one.rows) for one, _ in under_way) <= most_left:
                return
            given.result()
            under_way.popleft()
            self._groups.log_failed(group)
            self.tally.sources += group.sources + Counter({MODEL: len(group.new())})
            self.tally.failed_chunks += len(group.failed())
            self._record(group.batch_ids, {**given_up, **group.failed()})

    def _record(self, batch_ids: Sequence[int], failed: Mapping[str, str]) -> None:
        """Materialize the batches whose texts all have vectors; of the others an observation says that they were tried."""
        counts, reasons = self._groups.outcomes(batch_ids, failed)
        events: dict[str, dict[str, Any]] = {
            batch_partition_key(batch_id): {"chunks": count, "host": socket.gethostname()}
            for batch_id, count in counts.items()
        }
        model_id = self._embedder.model_id
        if events:
            # The asset's page shows the newest event: it carries the run's figures.
            events[next(reversed(events))].update(self.tally.metadata(self._embedder))
            log_materializations(
                self._context,
                events,
                code_version=embedding_identity(self._index.settings),
                data_versions=dict.fromkeys(events, model_id),
            )
        tried = {batch_partition_key(batch_id): reason for batch_id, reason in reasons.items()}
        self.tally.failures |= tried
        log_observations(
            self._context,
            {key: {"reason": reason, "host": socket.gethostname()} for key, reason in tried.items()},
            asset_key=self._index.names.asset_key(LIBRARY_VECTORS),
            data_version=model_id,
        )
