"""Dagster's records in SQLite files that several processes may open, and make, at the same moment.

Dagster's own storages make a database step by step in its final place: of four processes that open
a new instance at once, two fail on average, some leave a database behind that no process can open
again ("more than one head present"), and so does a process killed in between. Here one process at a
time makes a database in a folder of its own, then moves it, whole, to its place.

`resources.own_instance` names them for the instance of an index; `resources.event_log` does the same for events.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

import dagster as dg
import sqlalchemy as db
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from code_index.core.errors import SettingsError, StoreError
from code_index.index.permissions import tolerating_no_permissions
from code_index.system.file_locks import try_lock
from resources.dagster_internals import (
    HIDDEN_TAG_PREFIX,
    ConfigurableClassData,
    SqliteRunStorage,
    SqliteScheduleStorage,
    UserConfigSchema,
    create_db_conn_string,
)

# Tags of runs that only this program reads: no page shows them.
PRIVATE_TAGS = f"{HIDDEN_TAG_PREFIX}code_index_"

CONFIG_TYPE: UserConfigSchema = {"base_dir": dg.Field(dg.StringSource, is_required=False)}
_LOCK_NAME = ".making.lock"
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_MODE = 0o600
_MAKING_PREFIX = ".making-"
BUSY_TIMEOUT_S: Final = 30  # for other writers of a database; older Dagsters give up after five
# Seconds. Making a database takes one; a stopped process would be waited for without a word and without end.
_CREATION_PATIENCE_S = 120.0
_POLL_S = 0.05
# Databases in which this process has found Dagster's schema: path, device and inode.
_LOOKED_AT: set[tuple[str, int, int]] = set()


def folder_of_records(config: Mapping[str, Any], *default: str) -> str:
    """The folder that a storage's config names; by default these parts of a path below `DAGSTER_HOME`.

    Raises:
        SettingsError: neither `base_dir` nor the environment variable `DAGSTER_HOME` is set.
    """
    named = config.get("base_dir")
    if named:
        return str(named)
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        raise SettingsError(
            "Dagster's records have no folder: set the environment variable DAGSTER_HOME to the instance's folder "
            '(`eval "$(code-index env PATH)"`), or base_dir in the config of each storage in dagster.yaml.'
        )
    return str(Path(home, *default))


def create_once(path: Path, make: Callable[[Path], None]) -> None:
    """Create a database file, whole, unless it exists; safe among processes, and after one that was killed.

    Args:
        path: the file.
        make: creates a file of that name in the given folder, and closes it.

    Raises:
        OSError: the folder cannot be written.
        StoreError: another process makes databases here and does not end.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with _creation_lock(path.parent):
        if path.exists():
            return
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=_MAKING_PREFIX))
        try:
            make(folder)
            (folder / path.name).replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def look_once(path: Path, look: Callable[[], object]) -> None:
    """Let Dagster look for its schema in a database, unless this process has done so.

    For a look Dagster imports some 80 scripts of alembic's. A code server makes an instance for each tick of a sensor, and
    each of its three databases was looked at: half of the tick.

    Args:
        path: the file.
        look: looks, and makes what is missing.
    """
    try:
        status = path.stat()
    except FileNotFoundError:  # another process has wiped it
        look()
        return
    database = (str(path), status.st_dev, status.st_ino)
    if database not in _LOOKED_AT:
        look()
        _LOOKED_AT.add(database)


@contextmanager
def _creation_lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / _LOCK_NAME, _LOCK_FLAGS, _LOCK_MODE)
    try:
        # Whatever the umask: who can open the file can hold the lock.
        with tolerating_no_permissions():
            os.fchmod(descriptor, _LOCK_MODE)
        _lock(descriptor, folder)
        # Nobody else creates anything here now: leftovers are of killed processes.
        for left in folder.glob(f"{_MAKING_PREFIX}*/"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _CREATION_PATIENCE_S
    while not try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise StoreError(
                f"Another process has been making Dagster's records in {folder} for {_CREATION_PATIENCE_S:.0f} s: "
                "it may be stopped. Continue it or end it, then run again."
            )
        time.sleep(_POLL_S)


class SharedSqliteRunStorage(SqliteRunStorage):
    """`SqliteRunStorage` that any number of processes may open first; same file, same schema.

    A run that is executed again inherits its parent's tags, but not those that only this program reads.
    """

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Config schema: `base_dir`, by default `history` in `DAGSTER_HOME`."""
        return CONFIG_TYPE

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]
    ) -> Self:
        """Build the storage that `dagster.yaml` describes; raises `SettingsError` where no folder is set."""
        return cls.from_local(folder_of_records(config_value, "history"), inst_data)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """Open the database in `base_dir`; create a missing one."""

        def make(folder: Path) -> None:
            SqliteRunStorage.from_local(str(folder))

        path = Path(base_dir) / "runs.db"
        create_once(path, make)
        look_once(path, lambda: SqliteRunStorage.from_local(base_dir))
        return cls(create_db_conn_string(base_dir, "runs"), inst_data)

    def add_run(self, dagster_run: dg.DagsterRun) -> dg.DagsterRun:
        """Store a run; returns it as it is stored."""
        if dagster_run.parent_run_id is not None:
            kept = {tag: value for tag, value in dagster_run.tags.items() if not tag.startswith(PRIVATE_TAGS)}
            dagster_run = dagster_run.with_tags(kept)
        return super().add_run(dagster_run)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection that waits half a minute for other writers; older Dagsters give up after five seconds."""
        with _patient_connection(self._conn_string) as connection:
            yield connection


class SharedSqliteScheduleStorage(SqliteScheduleStorage):
    """`SqliteScheduleStorage` that any number of processes may open first; same file, same schema."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Config schema: `base_dir`, by default `schedules` in `DAGSTER_HOME`."""
        return CONFIG_TYPE

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SharedSqliteScheduleStorage:
        """Build the storage that `dagster.yaml` describes; raises `SettingsError` where no folder is set."""
        return cls.from_local(folder_of_records(config_value, "schedules"), inst_data)

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> SharedSqliteScheduleStorage:
        """Open the database in `base_dir`; create a missing one."""

        def make(folder: Path) -> None:
            SqliteScheduleStorage.from_local(str(folder))

        path = Path(base_dir) / "schedules.db"
        create_once(path, make)
        look_once(path, lambda: SqliteScheduleStorage.from_local(base_dir))
        return cls(create_db_conn_string(base_dir, "schedules"), inst_data)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection that waits half a minute for other writers; older Dagsters give up after five seconds."""
        with _patient_connection(self._conn_string) as connection:
            yield connection


@contextmanager
def _patient_connection(address: str) -> Iterator[Connection]:
    with _engine(address).connect() as connection, connection.begin():
        yield connection


@lru_cache(maxsize=8)
def _engine(address: str) -> Engine:
    """The engine of a database. It keeps no connection, but the statements that it has compiled."""
    return db.create_engine(address, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
