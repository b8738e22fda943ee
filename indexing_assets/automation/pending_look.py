"""The look of `pending_chunks_sensor`: the chunks against the vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import dagster as dg

from code_index.embedding.loader import is_table
from indexing_assets.automation.look import Found, digest, request_runs, table_versions
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.runs.index_names import CHUNK_VECTORS, LIBRARY_VECTORS, IndexNames
from indexing_assets.runs.job_names import EMBED_JOB, LIBRARY_JOB
from indexing_assets.runs.live_runs import close_dead_runs, keys_of_runs, unfinished_runs
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.planning import batches_given, batches_to_embed, serve_kept_vectors
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

_LEAST_BATCHES: Final = 2
"""Batches of a run on another host: one is embedded sooner than such a run starts."""
_MOST_BATCHES: Final = 64
"""Batches of such a run at most: minutes of work, after which a quick host gets more. While hosts are at work as many are
taken into the index at once, where search finds them."""
_LEAST_RUNS: Final = 2
"""Runs on other hosts: a single one would only add the way through the library."""


class PendingLook:
    """Compares the chunks with the vectors."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        resource: IndexResource,
        embedder: EmbedderResource,
        names: IndexNames,
        *,
        several_hosts: bool = False,
    ) -> None:
        """Set what is compared.

        Args:
            instance: has the records of runs.
            resource: the index.
            embedder: its model.
            names: names of the index.
            several_hosts: ask for as many runs at once as the settings have hosts; else for one, which this process can be.
        """
        self._instance = instance
        self._resource = resource
        self._embedder = embedder
        self._names = names
        self._several_hosts = several_hosts

    def take(self, cursor: SensorCursor) -> Found:
        """Ask for a run over all batches with chunks that wait for a vector, or for runs that share them, if there are any."""
        index = open_index(self._instance, self._resource, self._names, must_exist=False)
        close_dead_runs(self._instance, index)
        busy = unfinished_runs(index, CHUNK_VECTORS)
        if busy:
            return Found(cursor, reason=f"Run {busy[0].run_id} embeds; the next look follows its end.")
        model_id = self._embedder.get_for_queries(index.settings).model_id
        versions = table_versions(index, "chunks", "vectors", "embedding_errors")
        hosts = index.settings.embedding_hosts if self._several_hosts else 1
        shared = hosts > 1 and not is_table(self._embedder.embedder_config(index.settings))
        # In this order: what a run gives that ends between the two counts as at work, and not as left.
        sharing = unfinished_runs(index, LIBRARY_VECTORS) if shared else []
        at_work = keys_of_runs(index, LIBRARY_VECTORS, sharing)
        given = (batches_given(index, model_id) if shared else set()) - at_work
        stand = digest([model_id, *versions, *sorted(given), *(run.run_id for run in sharing)])
        if cursor.idle == stand:
            return Found(cursor, reason=_nothing(sharing))
        index.folder.check()
        keys = batches_to_embed(index, model_id, retry_transient=False)
        if not keys:
            serve_kept_vectors(index.store, model_id)
            return Found(replace(cursor, idle=stand), reason=_nothing(sharing))
        if not shared:
            return request_runs(index, [(EMBED_JOB, keys)], stand, cursor)
        shares = _shares([key for key in keys if key not in at_work], given, len(sharing), hosts)
        if not shares:
            return Found(replace(cursor, idle=stand), reason=_nothing(sharing))
        return request_runs(index, shares, stand, cursor)


def _shares(keys: Sequence[str], given: set[str], sharing: int, hosts: int) -> list[tuple[str, list[str]]]:
    """Cut batches into runs of similar size for the hosts that are free, and one that takes what hosts gave already.

    That one, which also embeds what is too little for a host, is asked for when no host is at work, or it has much to take.

    Args:
        keys: batches without vectors that no host is at work on.
        given: those whose vectors are in a library.
        sharing: number of hosts at work.
        hosts: how many there are.
    """
    left = [key for key in keys if key not in given]
    runs = min(hosts - sharing, len(left) // _LEAST_BATCHES)
    if runs + sharing < _LEAST_RUNS:
        runs = 0
    size = min(len(left), runs * _MOST_BATCHES)
    cuts = [size * place // runs for place in range(runs + 1)] if runs else []
    shares = [(LIBRARY_JOB, left[first:last]) for first, last in pairwise(cuts)]
    others = bool(shares or sharing)
    taken = keys if not others else [key for key in keys if key in given or len(left) < _LEAST_BATCHES]
    if taken and (len(taken) >= _MOST_BATCHES or not others):
        shares.append((EMBED_JOB, [*taken]))
    return shares


def _nothing(sharing: Sequence[dg.DagsterRun]) -> str:
    if sharing:
        return f"{len(sharing)} runs embed for the library; the next look follows what they give."
    return "Every chunk has its vector, or failed for a reason that lasts."
