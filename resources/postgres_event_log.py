"""Dagster's event log on PostgreSQL, for a team's server, with planned events written in batches.

`dagster-postgres` writes materializations of a batch in one statement, but the planned event of each partition by
itself, over two new connections: most of the cost of a partition there (benchmarks/bookkeeping.py). Needs the extra
`postgres`; named in `dagster.yaml` under `event_log_storage`, with the configuration of `dagster-postgres`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import dagster as dg
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from resources.dagster_internals import DynamicPartitionsTable, PostgresEventLogStorage, SqlEventLogStorageTable
from resources.dynamic_partition_keys import BatchedPartitionKeys
from resources.postgres_sessions import outliving_sessions
from resources.postgres_storages import PooledSessions

# PostgreSQL refuses statements with more than 65,535 variables; an event's row takes eight.
_EVENTS_PER_STATEMENT = 5_000


class BatchingPostgresEventLogStorage(PooledSessions, BatchedPartitionKeys, PostgresEventLogStorage):
    """`PostgresEventLogStorage` with batched planned events and partition keys, and kept sessions; the same tables."""

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, also while the server is restarted."""
        self._stored([event], functools.partial(super().store_event, event))

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events, in order; planned materializations that follow each other in one transaction.

        The result is that of `store_event` called for each of them. A run's batch has its planned checks as well.
        """
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        for are_planned, group in groupby(events, lambda event: event.dagster_event_type is planned):
            some = list(group)
            store = self._store_planned if are_planned else super().store_event_batch
            self._stored(some, functools.partial(store, some))

    def _stored(self, events: Sequence[dg.EventLogEntry], store: Callable[[], None]) -> None:
        """Store events, and again where the server ends the session meanwhile; each is then there once."""
        outliving_sessions(store, undo=functools.partial(self._remove, events))

    def _remove(self, events: Sequence[dg.EventLogEntry]) -> None:
        table = SqlEventLogStorageTable
        with self.index_connection() as connection:
            for event in events:
                own = (table.c.run_id == event.run_id, table.c.event == dg.serialize_value(event))
                connection.execute(table.delete().where(*own))

    def _store_planned(self, events: Sequence[dg.EventLogEntry]) -> None:
        last: dict[Any, tuple[dg.EventLogEntry, int]] = {}
        with self.index_transaction() as connection:
            for start in range(0, len(events), _EVENTS_PER_STATEMENT):
                some = events[start : start + _EVENTS_PER_STATEMENT]
                insert = self.prepare_insert_event_batch(some).returning(SqlEventLogStorageTable.c.id)
                ids = sorted(int(row[0]) for row in connection.execute(insert))
                self._store_asset_event_tags(connection, some, ids)
                last |= {event.get_dagster_event().asset_key: (event, i) for event, i in zip(some, ids, strict=True)}
            # The asset's own row keeps only the last event.
            for event, event_id in last.values():
                self._store_asset_event(connection, event, event_id)

    def _insert_keys(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        connection.execute(postgresql.insert(DynamicPartitionsTable).values(rows).on_conflict_do_nothing())
