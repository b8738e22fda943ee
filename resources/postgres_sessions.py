"""Sessions that Dagster's storages ask a PostgreSQL for, in a run that should outlive a restart of the server.

Belongs here: waiting for a session, and doing again what was under way in one that ended. Does not belong here: keeping
some (`resources.postgres_storages`), and the sessions of locks (`code_index.index.server_locks`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as db

# Dagster asks six times for a session, within 6 s, which a restart may take: so a run waits for a minute.
_EACH_WITHIN_S = 10.0
_POLL_S = 0.5
_TRIES: Final = 3

T = TypeVar("T")


@functools.cache
def wait_for_sessions() -> None:
    """Let each session that this process asks a PostgreSQL for wait for a server that is being restarted."""
    db.event.listen(db.Engine, "do_connect", _connected)


def _connected(dialect: Any, _record: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    if dialect.name != "postgresql":
        return None  # SQLAlchemy then connects by itself
    ends = time.monotonic() + _EACH_WITHIN_S
    while True:
        try:
            return dialect.connect(*arguments, **options)
        except dialect.loaded_dbapi.OperationalError:
            if time.monotonic() >= ends:
                raise
        time.sleep(_POLL_S)


def outliving_sessions(action: Callable[[], T], *, undo: Callable[[], None] | None = None) -> T:
    """Return what an action does, and do it again where the server ends its session meanwhile.

    Args:
        action: what may be done twice, or is undone first.
        undo: takes back what the server did before its answer was lost.
    """
    for tries in range(_TRIES):
        try:
            if tries and undo is not None:
                undo()
            return action()
        except db.exc.DBAPIError as error:
            if not error.connection_invalidated or tries == _TRIES - 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")
