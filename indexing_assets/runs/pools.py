"""Dagster's concurrency pools: which runs take turns."""

import dagster as dg
from sqlalchemy.exc import DBAPIError

from code_index.embedding.backends.registry import AUTO
from code_index.index.settings import Settings

# Scans, parsing and maintenance take turns, as do embedding runs on a device: Dagster queues the others.
PARSE_POOL = "code_index_parse"
EMBED_POOL = "code_index_embed"
# Runs of library_vectors are on hosts of their own, each with a device: a pool beside that of embedding runs.
LIBRARY_POOL = "code_index_library"


def embed_pool(settings: Settings) -> str:
    """The concurrency pool of embedding runs: one for each device that settings name."""
    return _of_device(EMBED_POOL, settings)


def library_pool(settings: Settings) -> str:
    """The concurrency pool of runs of `library_vectors`: one for each device that settings name."""
    return _of_device(LIBRARY_POOL, settings)


def _of_device(pool: str, settings: Settings) -> str:
    device = settings.embedder.device
    return pool if device == AUTO else f"{pool}_{device.replace(':', '_')}"


def prepare_pools(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Give the pools of an index the instance's limit before a run asks for them; runs on other hosts as many as these.

    Dagster's daemon would do that when it first sees a pool, and let all runs of that moment through.
    """
    known = _limited(instance)
    of_hosts = {library_pool(settings)} if settings.embedding_hosts > 1 else set()
    for pool in {PARSE_POOL, embed_pool(settings), *of_hosts} - known:
        try:
            instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
        except DBAPIError:  # on PostgreSQL it fails where another process adds the limit at once
            if pool not in _limited(instance):
                raise
    for pool in of_hosts - known:
        instance.event_log_storage.set_concurrency_slots(pool, settings.embedding_hosts)


def _limited(instance: dg.DagsterInstance) -> set[str]:
    return {limit.name for limit in instance.event_log_storage.get_pool_limits()}
