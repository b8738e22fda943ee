"""A PostgreSQL server for tests, on a socket and not on a port.

Needs its programs (`apt-get install postgresql`); without them the tests that ask for a server are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class PostgresServer:
    """A running server; `url` takes the name of a database, of which `postgres` is there from the start."""

    def __init__(self, place: Path, programs: Path) -> None:
        self.url = f"postgresql+psycopg2://postgres@/{{}}?host={place}"
        self._place = place
        self._programs = programs
        self._as_user: list[str] = []
        if os.getuid() == 0:  # it refuses to run as root
            shutil.chown(place, "postgres")
            self._as_user = ["runuser", "-u", "postgres", "--"]
        self._call("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--no-sync")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._place} -c fsync=off"
        self._call("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """End it, and every session with it."""
        self._call("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._programs / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._place)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server of its own for the block."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed")
    place = Path(tempfile.mkdtemp(prefix="code-index-postgres-"))
    try:
        server = PostgresServer(place, programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None
