"""Live logs: new events of a run, passed to the web interface as they come.

Dagster's `SqliteEventLogStorage` waits until the file system reports a change of the database
file. Lasting connections leave their writes in the write-ahead log, and the report about that file
can come before the writes are readable, so the last events of a run could be missed. A poll twice a
second costs about a millisecond and misses nothing. Rejected: Dagster's `SqlPollingEventWatcher`,
which polls only every 16 s after a quiet minute.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import dagster as dg

from resources.dagster_internals import EventHandlerFn, EventLogCursor, EventLogStorage

_POLL_S = 0.5
_FINAL = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_logger = logging.getLogger(__name__)


class RunWatcher(threading.Thread):
    """A thread that calls back for each event of a run after a cursor, in order, until stopped or the run ends."""

    def __init__(self, storage: EventLogStorage, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        super().__init__(name=f"events of run {run_id}", daemon=True)
        self._storage = storage
        self._run_id = run_id
        self._cursor = cursor
        self._callback = callback
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Stop the calls; the thread ends by itself."""
        self._stopped.set()

    def run(self) -> None:
        """Poll for new events until stopped."""
        while not self._stopped.is_set():
            found = self._storage.get_records_for_run(self._run_id, self._cursor)
            self._cursor = found.cursor
            for record in found.records:
                if self._stopped.is_set():
                    return
                status: Any = None
                try:
                    status = self._callback(
                        record.event_log_entry, str(EventLogCursor.from_storage_id(record.storage_id))
                    )
                except Exception:
                    # As in Dagster: an error of one reader must not end its log.
                    _logger.exception("A watcher of run %s failed on an event.", self._run_id)
                if status in _FINAL:
                    self._stopped.set()
            self._stopped.wait(_POLL_S)
