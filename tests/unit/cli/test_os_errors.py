"""Errors of databases that are damaged are told in words, with the fix."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy

from indexing_assets.cli.os_errors import trouble


def _garbage(path):
    path.write_bytes(b"not a database" * 1_000)


def _malformed(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE runs (id INTEGER)")
        database.executemany("INSERT INTO runs VALUES (?)", [(number,) for number in range(2_000)])
        database.commit()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * 8_192)


@pytest.mark.parametrize("damage", [_garbage, _malformed])
def test_a_damaged_database_of_dagsters_points_to_the_repair(tmp_path, damage):
    damage(tmp_path / "runs.db")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'runs.db'}")

    with pytest.raises(sqlalchemy.exc.DatabaseError) as met, engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT count(id) FROM runs")).all()
    engine.dispose()

    said = trouble(met.value)
    assert said is not None
    assert "is damaged" in said
    assert "code-index doctor --repair" in said
    assert "Free space" not in said
