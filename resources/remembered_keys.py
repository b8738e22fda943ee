"""Partition keys that a process reads from its event log once: an addition to Dagster's SQLite event log.

One run asks some fifteen times which keys there are, and three times which are materialized: 1 s for 60,000. What is
remembered holds as long as no other connection committed (SQLite's `data_version` tells); own changes are followed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import dagster as dg
import sqlalchemy as db

from resources.dagster_internals import SqlEventLogStorage, SqlEventLogStorageTable


@dataclass(slots=True)
class _Remembered:
    """Keys in their order, as of a state of the database; of events those up to the id `last`."""

    state: object
    keys: dict[str, None]
    last: int = 0


class RememberedKeys(SqlEventLogStorage):
    """Mix-in for a SQLite event log of Dagster's; comes before it among the base classes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._remembering = threading.RLock()
        self._existing: dict[str, _Remembered] = {}
        self._materialized: dict[dg.AssetKey, _Remembered] = {}
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """List the keys of a definition, in the order in which they were added."""
        with self._remembering:
            state, _ = self._state()
            known = self._existing.get(partitions_def_name)
            if known is None or known.state != state:
                known = _Remembered(state, dict.fromkeys(super().get_dynamic_partitions(partitions_def_name)))
                self._existing[partitions_def_name] = known
            return list(known.keys)

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add keys; existing ones keep their place."""
        with self._changing(partitions_def_name) as keys:
            super().add_dynamic_partitions(partitions_def_name, partition_keys)
            keys.update(dict.fromkeys(partition_keys))

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Delete a key."""
        with self._changing(partitions_def_name) as keys:
            super().delete_dynamic_partition(partitions_def_name, partition_key)
            keys.pop(partition_key, None)

    def delete_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Delete keys, in one transaction."""
        with self._changing(partitions_def_name) as keys:
            cast("Any", super()).delete_dynamic_partitions(partitions_def_name, partition_keys)
            for key in partition_keys:
                keys.pop(key, None)

    def move_dynamic_partitions_to_end(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Move keys after all others, in this order, in one transaction."""
        with self._changing(partitions_def_name) as keys:
            cast("Any", super()).move_dynamic_partitions_to_end(partitions_def_name, partition_keys)
            for key in partition_keys:
                keys.pop(key, None)
                keys[key] = None

    def get_materialized_partitions(
        self, asset_key: dg.AssetKey, before_cursor: int | None = None, after_cursor: int | None = None
    ) -> set[str]:
        """List the keys that an event of the asset names as materialized."""
        if before_cursor is not None or after_cursor is not None:
            return super().get_materialized_partitions(asset_key, before_cursor, after_cursor)
        with self._remembering:
            state, last = self._state()
            known = self._materialized.get(asset_key)
            if known is None or known.state != state or last < known.last:
                known = self._materialized[asset_key] = _Remembered(state, {})
            if last > known.last:
                found = super().get_materialized_partitions(asset_key, after_cursor=known.last or None)
                known.keys.update(dict.fromkeys(found))
                known.last = last
            return set(known.keys)

    def forget_events(self) -> None:
        """Read again what is materialized: this process removed events."""
        with self._remembering:
            self._materialized.clear()

    def wipe(self) -> None:
        """Delete every event and key."""
        with self._remembering:
            self._existing.clear()
            self._materialized.clear()
            super().wipe()

    def wipe_asset(self, asset_key: dg.AssetKey) -> None:
        """Forget the events of an asset."""
        with self._remembering:
            self._materialized.clear()
            super().wipe_asset(asset_key)

    @contextmanager
    def _changing(self, definition: str) -> Iterator[dict[str, None]]:
        """Give what is remembered of a definition, to be changed as the database is; nothing is after a failure."""
        with self._remembering:
            known = self._existing.pop(definition, None)
            yield {} if known is None else known.keys
            if known is not None:
                self._existing[definition] = known

    def _state(self) -> tuple[object, int]:
        """The connection with the number that changes when another one commits, and the id of the last event."""
        with self.index_connection() as connection:
            changed = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
            last = connection.execute(db.select(db.func.max(SqlEventLogStorageTable.c.id))).scalar_one()
            return (connection.engine, changed), int(last or 0)
