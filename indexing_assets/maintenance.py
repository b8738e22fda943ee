"""Upkeep that a phase does at its end, so that readers never wait for it."""

from collections.abc import Collection

from resources.lancedb_store import IndexStore
from resources.lancedb_store.maintenance import MIN_RETENTION


def keep_fast(store: IndexStore, tables: Collection[str]) -> None:
    """Build missing indexes, and compact those of the phase's tables that many small writes made slow.

    Each phase looks after its own tables: `optimize` loses races against writers, and the
    phase's lock keeps other writers of these tables away.

    Args:
        store: tables of the index.
        tables: names of the tables that the calling phase writes.
    """
    store.ensure_indexes()
    due = [name for name in store.due_for_optimize() if name in tables]
    if due:
        # Hundreds of edits an hour leave as many versions: none is read for longer than some minutes.
        store.optimize(MIN_RETENTION, tables=due)
