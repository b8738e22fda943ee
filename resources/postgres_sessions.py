"""Sessions that Dagster's storages ask a PostgreSQL for, in a run that should outlive a restart of the server.

Belongs here: waiting for a session. Does not belong here: what was under way in one that ended
(`resources.postgres_event_log`), keeping some (`resources.postgres_storages`), and the sessions of locks
(`code_index.index.server_locks`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as db

# Dagster asks six times for a session, within 6 s, which a restart may take: so a run waits for a minute.
_EACH_WITHIN_S = 10.0
_POLL_S = 0.5


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
