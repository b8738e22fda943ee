"""Publishing and fetching are killed with SIGKILL at their durable steps; run again, both end as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from code_index.sharing.places import Place
from code_index.sharing.published_index import PublishedIndex
from tests.faults.harness import findings, fresh_state, small_steps, write_repository
from tests.lanes import every
from tests.waiting import PATIENCE_S

_SAMPLED = 4  # texts that a fetch embeds to compare them


def command(log: Path, kill: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.victim", str(log), kill, *map(str, arguments)],
        env=small_steps(dict(os.environ)),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )


def done(log: Path, *arguments: object) -> None:
    result = command(log, "none", *arguments)
    assert result.returncode == 0, result.stderr.decode()


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose index is published at the folder `place` beside it."""
    folder = tmp_path_factory.mktemp("origin")
    (folder / "place").mkdir()
    root = write_repository(folder / "repository")
    done(folder / "log", "index", root)
    done(folder / "log", "publish", folder / "place", root)
    return root


@pytest.fixture(scope="module")
def undisturbed(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_steps({}).items():
            patch.setenv(name, value)
        return fresh_state(origin, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    return write_repository(tmp_path / "repository")


_FETCH_KILLS = [
    "append:1:after",
    "append:2:before",
    "append:2:after",
    "append:3:before",
    "append:3:after",
    "add_dynamic_partitions:2:before",
    "merge:2:before",
    "merge:2:after",
    "write_registry:1:after",
    "build:2:before",
    "store_event_batch:3:after",
]


@pytest.mark.parametrize("kill", every(3, _FETCH_KILLS))
def test_a_killed_fetch_is_whole_when_it_is_run_again(
    root: Path, tmp_path: Path, origin: Path, undisturbed: dict[str, pl.DataFrame], kill: str
) -> None:
    log = tmp_path / "log"
    died = command(log, kill, "fetch", origin.parent / "place", root)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    done(log, "fetch", origin.parent / "place", root)
    assert findings(root, undisturbed) == []
    embedded = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("embedded")]
    assert len(embedded) <= 2 * _SAMPLED


def test_index_after_a_killed_fetch_makes_the_rest(
    root: Path, tmp_path: Path, origin: Path, undisturbed: dict[str, pl.DataFrame]
) -> None:
    died = command(tmp_path / "log", "merge:2:before", "fetch", origin.parent / "place", root)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    done(tmp_path / "log", "index", root)
    assert findings(root, undisturbed) == []


@pytest.mark.parametrize("kill", ["write:1:after", "write:3:after", "write:4:before"])
def test_a_killed_publish_has_published_nothing_and_the_next_one_writes_the_rest(
    origin: Path, tmp_path: Path, kill: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    published = PublishedIndex(Place(str(place)))
    died = command(tmp_path / "log", kill, "publish", place, origin)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert published.names() == []
    stored = published.stored_parts()
    done(tmp_path / "log", "publish", place, origin)
    [name] = published.names()
    version = published.version(name)
    assert published.stored_parts() == stored | {part.sha256: part.size for part in version.parts}
    steps = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert steps.count("step\twrite") == len(version.parts) + 1 + (kill == "write:4:before")
