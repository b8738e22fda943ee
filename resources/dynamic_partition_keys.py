"""Partition keys by the thousand in one transaction: an addition to Dagster's event logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as db
from sqlalchemy.engine import Connection

from resources.dagster_internals import DynamicPartitionsTable, SqlEventLogStorage

# SQLite refuses statements with more than 32,766 variables (dagster issue 16260), PostgreSQL with more than 65,535.
_KEYS_PER_STATEMENT = 5_000


class BatchedPartitionKeys(SqlEventLogStorage):
    """Mix-in for an event log of Dagster's; comes before it among the base classes."""

    def _insert_keys(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows of keys; existing keys keep their place."""
        raise NotImplementedError

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add any number of keys in one transaction; existing keys keep their place.

        Dagster's own SQLite storage looks first, then adds: of two processes that add one key, one fails.
        """
        self._check_partitions_table()
        with self.index_transaction() as connection:
            self._add_keys(connection, partitions_def_name, partition_keys)

    def delete_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Delete many keys in one transaction; Dagster's own interface deletes one at a time."""
        with self.index_transaction() as connection:
            _delete_keys(connection, partitions_def_name, partition_keys)

    def move_dynamic_partitions_to_end(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Move keys after all others, in this order, in one transaction: no process sees them missing."""
        with self.index_transaction() as connection:
            _delete_keys(connection, partitions_def_name, partition_keys)
            self._add_keys(connection, partitions_def_name, partition_keys)

    def _add_keys(self, connection: Connection, definition: str, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _KEYS_PER_STATEMENT):
            some = keys[start : start + _KEYS_PER_STATEMENT]
            self._insert_keys(connection, [{"partitions_def_name": definition, "partition": key} for key in some])


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
