"""Compaction of the tables that a phase writes, at its end and at times before, so that readers never wait for it."""

import time
from collections.abc import Callable, Collection

from code_index.system.memory import give_back_memory
from code_index.tables import IndexStore
from code_index.tables.table_upkeep import MIN_RETENTION

# The tables that each phase writes.
CHUNK_TABLES = ("files", "chunks", "references")
VECTOR_TABLES = ("vectors", "retired_vectors", "embedding_errors")
_FIRST_COMPACTION_S = 10.0  # a phase that is shorter compacts once, at its end
_SHARE = 20  # the pause after a compaction, in times of its duration


def compact_due(store: IndexStore, tables: Collection[str], *, under_way: bool = False) -> None:
    """Build missing indexes, and compact those of the phase's tables that many small writes made slow.

    Each phase looks after its own tables: `optimize` loses races against writers, and the
    phase's lock keeps other writers of these tables away.

    Args:
        store: tables of the index.
        tables: names of the tables that the calling phase writes.
        under_way: whether the phase goes on to write.
    """
    if new := store.upkeep.due_before_indexes(tables):
        store.upkeep.optimize(MIN_RETENTION, tables=new)
        give_back_memory()
    store.upkeep.ensure_indexes(under_way=under_way)
    due = store.upkeep.due_for_optimize(tables, under_way=under_way)
    if due:
        # Hundreds of edits an hour leave as many versions: none is read for longer than some minutes.
        store.upkeep.optimize(MIN_RETENTION, tables=due)
    give_back_memory()


def expire_copies(store: IndexStore, tables: Collection[str]) -> None:
    """Free the space of what the last compaction replaced, once no reader can need it.

    Call it at the beginning of a phase, when there is little to compact that would leave the next copy.

    Args:
        store: tables of the index.
        tables: names of the tables that the calling phase writes.
    """
    holding = store.upkeep.holding_copies(tables)
    if holding:
        store.upkeep.optimize(MIN_RETENTION, tables=holding)


def index_left_words(store: IndexStore) -> None:
    """Bring the word index up to date where a run that was killed left so much outside of it that searches leave it out.

    Call it at the beginning of a phase that writes chunks: the next one may have nothing to parse.
    """
    if store.upkeep.words_are_left_out():
        compact_due(store, CHUNK_TABLES)


class PeriodicCompaction:
    """Keeps the tables of a long phase fast while it runs, for a twentieth of its time at most.

    What a phase has written is outside the indexes until somebody adds it, and each search compares it row by row:
    a phase of an hour would make searching slower from minute to minute.
    """

    def __init__(
        self, store: IndexStore, tables: Collection[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._tables = tables
        self._clock = clock
        self._not_before = clock() + _FIRST_COMPACTION_S

    def after_commit(self) -> bool:
        """Compact what is due, unless the last time is too recent for what it took; tell whether it looked."""
        started = self._clock()
        if started < self._not_before:
            return False
        compact_due(self._store, self._tables, under_way=True)
        ended = self._clock()
        self._not_before = ended + max(_FIRST_COMPACTION_S, _SHARE * (ended - started))
        return True
