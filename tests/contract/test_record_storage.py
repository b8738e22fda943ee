"""Dagster's records may be opened for the first time by several processes, and by one that is killed at it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from code_index.core.errors import SettingsError
from resources.instance_config import instance_config
from resources.record_storage import PRIVATE_TAGS, SharedSqliteRunStorage, SharedSqliteScheduleStorage, create_once
from tests.waiting import PATIENCE_S, started

_OPEN = """
import sys
from pathlib import Path
import dagster as dg
print("ready", flush=True)
sys.stdin.readline()
with dg.DagsterInstance.get() as instance:
    instance.get_runs_count()
    instance.all_instigator_state()
    instance.add_dynamic_partitions("keys", [sys.argv[1]])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text(instance_config(), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_a_process_looks_for_the_schema_of_a_database_once_and_again_where_it_was_made_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_scripts = ScriptDirectory.from_config
    looks: list[object] = []

    def reading(config: Config) -> ScriptDirectory:
        looks.append(config)
        return read_scripts(config)

    monkeypatch.setattr(ScriptDirectory, "from_config", reading)

    def used() -> None:
        with dg.DagsterInstance.get() as instance:
            assert instance.get_runs_count() == 0
            assert instance.all_instigator_state() == []
            instance.add_dynamic_partitions("keys", ["one"])
            assert instance.get_dynamic_partitions("keys") == ["one"]

    used()
    used()
    looks.clear()
    used()
    assert looks == []
    for folder in ("history", "schedules"):
        shutil.rmtree(home / folder)
    used()
    assert looks


@pytest.mark.slow
def test_processes_that_open_a_new_instance_at_once_all_can(home: Path) -> None:
    for _round in range(3):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with ExitStack() as stack:
            processes = [
                stack.enter_context(started(sys.executable, "-c", _OPEN, number, **pipes)) for number in range(4)
            ]
            for process in processes:
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                process.stdin.write("\n")
                process.stdin.flush()
            for process in processes:
                _, errors = process.communicate(timeout=PATIENCE_S)
                assert process.returncode == 0, errors
        with dg.DagsterInstance.get() as instance:
            assert set(instance.get_dynamic_partitions("keys")) == {"0", "1", "2", "3"}
        shutil.rmtree(home / "history")
        shutil.rmtree(home / "schedules")


def test_what_a_killed_maker_left_is_removed_and_made_anew(tmp_path: Path) -> None:
    left = tmp_path / ".making-left"
    left.mkdir()
    (left / "some.db").write_text("half", encoding="utf-8")
    create_once(tmp_path / "some.db", lambda folder: _write(folder / "some.db", "whole"))
    assert (tmp_path / "some.db").read_text(encoding="utf-8") == "whole"
    assert not left.exists()


def test_a_maker_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        _write(folder / "some.db", "half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        create_once(tmp_path / "some.db", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".making.lock"]


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "some.db").write_text("first", encoding="utf-8")
    create_once(tmp_path / "some.db", lambda folder: pytest.fail("made again"))
    assert (tmp_path / "some.db").read_text(encoding="utf-8") == "first"


def test_the_instance_uses_these_storages_in_dagsters_own_places(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_storage, SharedSqliteRunStorage)
        assert isinstance(instance.schedule_storage, SharedSqliteScheduleStorage)
    assert (home / "history" / "runs.db").is_file()
    assert (home / "schedules" / "schedules.db").is_file()


def test_a_run_that_is_executed_again_inherits_no_private_tag(home: Path) -> None:
    tags = {f"{PRIVATE_TAGS}pid": "1", "team": "search"}
    with dg.DagsterInstance.get() as instance:
        parent = instance.create_run_for_job(_job, tags=tags)
        again = instance.create_run_for_job(_job, tags=tags, parent_run_id=parent.run_id, root_run_id=parent.run_id)
        stored = instance.get_run_by_id(again.run_id)
        assert stored is not None
        assert stored.tags == again.tags
        assert parent.tags.items() >= tags.items()
        assert (again.tags["team"], f"{PRIVATE_TAGS}pid" in again.tags) == ("search", False)
        assert not instance.get_runs(dg.RunsFilter(run_ids=[again.run_id], tags={f"{PRIVATE_TAGS}pid": "1"}))


def test_the_database_of_a_run_is_in_write_ahead_mode(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(_job)
        instance.report_run_failed(run)
    path = home / "history" / "runs" / f"{run.run_id}.db"
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


@dg.job
def _job() -> None:
    """Nothing."""


def test_without_a_place_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for storage in (SharedSqliteRunStorage, SharedSqliteScheduleStorage):
        with pytest.raises(SettingsError, match="DAGSTER_HOME"):
            storage.from_config_value(None, {})


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1, 1))
