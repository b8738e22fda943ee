"""Partition keys and their states that a process reads from its event log once: an addition to Dagster's SQLite event log.

One run asks some fifteen times which keys there are, and three times which are materialized: 1 s for 60,000. What is
remembered of keys holds as long as no other connection committed (SQLite's `data_version` tells); own changes are followed.

Each page of an asset asks several times for the states of all its partitions, which Dagster reads from a text of some
megabytes and writes as one, to see whether it changed. Such answers hold until any connection has changed a row, this one
included (`total_changes`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
import sqlalchemy as db

from resources.dagster_internals import SqlEventLogStorage, SqlEventLogStorageTable

if TYPE_CHECKING:
    from resources.dagster_internals import AssetRecord, AssetStatusCacheValue, LoadingContext


def _is_settled(state: AssetStatusCacheValue | None) -> bool:
    """Tell whether the database of events says all of it: the end of a run under way stands in another one."""
    return state is not None and state.earliest_in_progress_materialization_event_id is None


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
        # What was answered in one state of the database, and that state.
        self._answers: tuple[object, dict[Hashable, Any]] = (None, {})
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """List the keys of a definition, in the order in which they were added."""
        with self._remembering:
            return list(self._existing_keys(partitions_def_name))

    def get_existing_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> AbstractSet[str]:
        """Tell which of the keys a definition has."""
        with self._remembering:
            return {*filter(self._existing_keys(partitions_def_name).__contains__, partition_keys)}

    def _existing_keys(self, definition: str) -> dict[str, None]:
        state, _ = self._state()
        known = self._existing.get(definition)
        if known is None or known.state != state:
            known = _Remembered(state, dict.fromkeys(super().get_dynamic_partitions(definition)))
            self._existing[definition] = known
        return known.keys

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

    def get_latest_storage_id_by_partition(
        self, asset_key: dg.AssetKey, event_type: dg.DagsterEventType, *args: Any, **kwargs: Any
    ) -> Mapping[str, int]:
        """Tell the id of the last event of a kind for each partition of an asset."""
        ask = super().get_latest_storage_id_by_partition
        if any(value is not None for value in (*args, *kwargs.values())):
            return ask(asset_key, event_type, *args, **kwargs)
        return dict(self._answer(("ids", asset_key, event_type), lambda: ask(asset_key, event_type)))

    def get_asset_records(self, asset_keys: Sequence[dg.AssetKey] | None = None) -> Sequence[AssetRecord]:
        """Tell what is stored of assets as a whole; of all where none are named."""
        ask = super().get_asset_records
        question = ("records", None if asset_keys is None else tuple(asset_keys))
        return list(self._answer(question, lambda: ask(asset_keys)))

    def get_asset_status_cache_values(
        self,
        partitions_defs_by_key: Iterable[tuple[dg.AssetKey, dg.PartitionsDefinition | None]],
        context: LoadingContext,
    ) -> Sequence[AssetStatusCacheValue | None]:
        """Tell which partitions of assets are materialized, failed or under way."""
        ask = super().get_asset_status_cache_values

        def state_of(
            asset_key: dg.AssetKey, definition: dg.PartitionsDefinition | None
        ) -> AssetStatusCacheValue | None:
            def compute() -> AssetStatusCacheValue | None:
                return ask([(asset_key, definition)], context)[0]

            # Others depend on more than the database, such as the time of day.
            if not isinstance(definition, dg.DynamicPartitionsDefinition) or definition.name is None:
                return compute()
            question = ("states", asset_key, definition.name)
            return cast("AssetStatusCacheValue | None", self._answer(question, compute, _is_settled))

        return [state_of(asset_key, definition) for asset_key, definition in partitions_defs_by_key]

    def _answer(
        self, question: Hashable, ask: Callable[[], Any], is_kept: Callable[[Any], bool] = lambda _answer: True
    ) -> Any:
        """Answer a question about the index database, as it was answered before where no row has changed since."""
        state = self._rows_state()
        known, answers = self._answers
        if known != state:
            answers = {}
            self._answers = state, answers
        if question not in answers:
            answer = ask()
            # In between the database may have changed; the next question is then asked in another state.
            if not is_kept(answer):
                return answer
            answers[question] = answer
        return answers[question]

    def _rows_state(self) -> object:
        """Something that changes whenever a row does: by another connection (its commit), or by this one."""
        with self.index_connection() as connection:
            changed = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
            # SQLAlchemy's types know what every database has.
            own: Any = connection.connection.dbapi_connection
            return connection.engine, changed, own.total_changes

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
