"""A migration is killed with SIGKILL at each of its durable steps; run again, it ends as an undisturbed one does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import lancedb
import polars as pl
import pytest

from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.migration import read_record
from tests.faults.harness import findings, small_steps, state, write_repository
from tests.lanes import every
from tests.old_index import write_old_index
from tests.waiting import PATIENCE_S

# What a migration did when the process died: before the switch the index must be as it was, after it all rows are there.
_KILLS = [
    ("back_up:1:after", False),
    ("append:2:before", False),
    ("adopt_settings:1:after", False),
    ("switch_over:1:before", False),
    ("switch_over:1:after", True),
    ("store_event_batch:2:after", True),
]


def command(place: Path, kill: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", str(place / "log"), kill, *map(str, arguments)],
        env=small_steps(dict(os.environ)),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The state after a migration that nothing happened to, of the same repository at another place."""
    place = tmp_path_factory.mktemp("undisturbed")
    root = write_repository(place / "repository")
    write_old_index(root)
    done = command(place, "none", "migrate", root)
    assert done.returncode == 0, done.stderr.decode()
    return state(root)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    repository = write_repository(tmp_path / "repository")
    write_old_index(repository)
    return repository


@pytest.mark.parametrize(("kill", "switched"), every(4, _KILLS))
def test_a_killed_migration_is_whole_when_it_is_run_again(
    root: Path, tmp_path: Path, undisturbed: dict[str, pl.DataFrame], kill: str, switched: bool
) -> None:
    old = root / ".mcp-vector-search"
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    died = command(tmp_path, kill, "migrate", root)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    folder = resolve_index_folder(root)
    assert (read_record(folder) is not None) == switched
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before
    assert lancedb.connect(old).open_table("code_search").search([0.1] * 64).limit(3).to_arrow().num_rows == 3

    again = command(tmp_path, "none", "migrate", root)
    assert again.returncode == 0, again.stderr.decode()
    assert findings(root, undisturbed) == []
    assert "embedded" not in (tmp_path / "log").read_text()


def test_index_after_a_migration_that_died_behind_the_switch_records_it_and_embeds_nothing(
    root: Path, tmp_path: Path, undisturbed: dict[str, pl.DataFrame]
) -> None:
    assert command(tmp_path, "switch_over:1:after", "migrate", root).returncode == -signal.SIGKILL
    indexed = command(tmp_path, "none", "index", root)
    assert indexed.returncode == 0, indexed.stderr.decode()
    # The scan notes in the manifest which folders it skips.
    assert findings(root, {name: undisturbed[name] for name in ("chunks", "vectors")}) == []
    log = (tmp_path / "log").read_text()
    assert "embedded" not in log
    assert "parsed" not in log


@pytest.mark.parametrize("kill", ["restore_old_table:1:after", "delete_dynamic_partitions:1:after"])
def test_a_killed_rollback_is_whole_when_it_is_run_again(root: Path, tmp_path: Path, kill: str) -> None:
    assert command(tmp_path, "none", "migrate", root).returncode == 0
    shutil.rmtree(root / ".mcp-vector-search" / "code_search.lance")
    kill = kill.removeprefix("_")
    died = command(tmp_path, kill, "migrate", root, "--rollback", "--yes")
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    again = command(tmp_path, "none", "migrate", root, "--rollback", "--yes")
    assert again.returncode == 0, again.stderr.decode()
    assert lancedb.connect(root / ".mcp-vector-search").open_table("code_search").count_rows() == 60
    assert all(table.is_empty() for table in state(root).values())
