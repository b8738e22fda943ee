"""Dagster's storages on PostgreSQL, with a few kept sessions; those of runs and schedules.

Need the extra `postgres`; named in `dagster.yaml` under `run_storage` and `schedule_storage`, with the configuration of
`dagster-postgres`. The event log has more of its own (`resources.postgres_event_log`).

Decision: Dagster opens a session for each statement, and looks for its tables with each `DagsterInstance`, of which a code
server makes one for each tick of a sensor: dozens of sessions a second with 40 indexes. Here a process keeps two sessions,
and looks for the tables once. Rejected: a pooler beside the server (pgbouncer), one more program for a team to run; it does
no harm either.

A restart of the server ends what is under way. What reads, or writes the same when it is done again, is done again; the
event log says itself how it does that with events.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import sqlalchemy as db

from resources.dagster_internals import (
    ConfigurableClassData,
    PostgresRunStorage,
    PostgresScheduleStorage,
    get_token_provider_from_config,
    pg_url_from_config,
)
from resources.postgres_sessions import outliving_sessions

_KEPT: Final = 2
_READING: Final = ("get_", "has_", "fetch", "all_")
_WRITING_THE_SAME: Final = {
    "add_run_tags",
    "handle_run_event",
    "add_daemon_heartbeat",
    "set_cursor_values",
    "add_dynamic_partitions",
    "delete_dynamic_partition",
    "delete_dynamic_partitions",
    "free_concurrency_slots_for_run",
    "free_concurrency_slot_for_step",
    "update_tick",
    "update_instigator_state",
}

_with_tables: set[tuple[type, str]] = set()


def _outliving(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def done(self: object, *arguments: Any, **options: Any) -> Any:
        return outliving_sessions(functools.partial(method, self, *arguments, **options))

    return done


class PooledSessions:
    """Base that a storage of dagster-postgres inherits first, to share the sessions of its process."""

    _engine: db.Engine

    def __init_subclass__(cls) -> None:
        """Let a storage's methods that may be called twice outlive the sessions that they ask."""
        super().__init_subclass__()
        for name in dir(cls):
            if (name.startswith(_READING) or name in _WRITING_THE_SAME) and inspect.isfunction(getattr(cls, name)):
                setattr(cls, name, _outliving(getattr(cls, name)))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Build the storage that `dagster.yaml` describes."""
        url, tokens = pg_url_from_config(config_value), get_token_provider_from_config(config_value)
        makes_tables = config_value.get("should_autocreate_tables", True) and (cls, url) not in _with_tables
        make: Any = cls
        storage: Self = make(
            inst_data=inst_data, postgres_url=url, should_autocreate_tables=makes_tables, token_provider=tokens
        )
        _with_tables.add((cls, url))
        if tokens is None:  # a token is of one session
            storage._engine = _engine(url, os.getpid())
        return storage


@functools.cache
def _engine(url: str, process: int) -> db.Engine:
    """The engine of a process, whose sessions no other can use; one that ended meanwhile is replaced when it is taken."""
    del process
    return db.create_engine(url, isolation_level="AUTOCOMMIT", pool_size=_KEPT, max_overflow=-1, pool_pre_ping=True)


class PooledPostgresRunStorage(PooledSessions, PostgresRunStorage):
    """`PostgresRunStorage` on the sessions of its process; the same tables."""


class PooledPostgresScheduleStorage(PooledSessions, PostgresScheduleStorage):
    """`PostgresScheduleStorage` on the sessions of its process; the same tables."""
