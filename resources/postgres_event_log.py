"""Dagster's event log on PostgreSQL, for a team's server, with planned events written in batches.

`dagster-postgres` writes materializations of a batch in one statement, but the planned event of each partition by
itself, over two new connections: most of what a partition costs there (benchmarks/bookkeeping.py). Needs the extra
`postgres`; named in `dagster.yaml` under `event_log_storage`, with the configuration of `dagster-postgres`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as db
from dagster import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import DynamicPartitionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

# PostgreSQL refuses statements with more than 65,535 variables; an event's row takes eight, a key two.
_EVENTS_PER_STATEMENT = 5_000
_KEYS_PER_STATEMENT = 20_000


class BatchingPostgresEventLogStorage(PostgresEventLogStorage):
    """`PostgresEventLogStorage` with batched planned events and partition keys; the same tables."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingPostgresEventLogStorage:
        """Build the storage that `dagster.yaml` describes."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, in order; planned materializations in one transaction.

        The result is that of `store_event` called for each of them.
        """
        if {event.dagster_event_type for event in events} != {DagsterEventType.ASSET_MATERIALIZATION_PLANNED}:
            super().store_event_batch(events)
            return
        last: dict[Any, tuple[EventLogEntry, int]] = {}
        with self.index_transaction() as connection:
            for start in range(0, len(events), _EVENTS_PER_STATEMENT):
                some = events[start : start + _EVENTS_PER_STATEMENT]
                insert = self.prepare_insert_event_batch(some).returning(SqlEventLogStorageTable.c.id)
                ids = sorted(int(row[0]) for row in connection.execute(insert))
                self._store_asset_event_tags(connection, some, ids)
                last |= {event.get_dagster_event().asset_key: (event, i) for event, i in zip(some, ids, strict=True)}
            # The asset's own row keeps the last event alone.
            for event, event_id in last.values():
                self._store_asset_event(connection, event, event_id)

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add keys, as many as there are, in one transaction; those that are there stay where they are."""
        self._check_partitions_table()
        with self.index_transaction() as connection:
            _add_keys(connection, partitions_def_name, partition_keys)

    def delete_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Delete many keys in one transaction; Dagster's own interface deletes one at a time."""
        with self.index_transaction() as connection:
            _delete_keys(connection, partitions_def_name, partition_keys)

    def move_dynamic_partitions_to_end(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Put keys behind all others, in this order, in one transaction: no process sees them missing."""
        with self.index_transaction() as connection:
            _delete_keys(connection, partitions_def_name, partition_keys)
            _add_keys(connection, partitions_def_name, partition_keys)


def _add_keys(connection: Connection, definition: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        rows = [
            {"partitions_def_name": definition, "partition": key} for key in keys[start : start + _KEYS_PER_STATEMENT]
        ]
        connection.execute(postgresql.insert(DynamicPartitionsTable).values(rows).on_conflict_do_nothing())


def _delete_keys(connection: Connection, definition: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        connection.execute(
            DynamicPartitionsTable.delete().where(
                db.and_(
                    DynamicPartitionsTable.c.partitions_def_name == definition,
                    DynamicPartitionsTable.c.partition.in_(list(keys[start : start + _KEYS_PER_STATEMENT])),
                )
            )
        )
