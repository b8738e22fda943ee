"""The sensors under the real daemon, over a real git repository: the index always ends as a fresh one would be."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline
from resources.instance_config import instance_config
from tests.checkout import git
from tests.waiting import PATIENCE_S, wait_until

_BEFORE = "def {0}(x):\n    return x + {1}\n\n\n"


class _Followed:
    """A git repository whose index the daemon keeps, and an upstream that it is reset to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder: IndexFolder = resolve_index_folder(root)

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def functions(self) -> set[str]:
        """Names of the functions that have a vector."""
        return set(
            IndexStore(self.folder.tables_dir).vectors.read(columns=["function_name"])["function_name"].to_pylist()
        )

    def wait_for(self, functions: set[str]) -> None:
        """Until exactly these functions have vectors."""
        wait_until(lambda: self.functions() - {None} == functions, f"vectors of exactly {functions}", every_s=0.2)

    def wait_until_idle(self, instance: dg.DagsterInstance) -> None:
        unfinished = [
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.NOT_STARTED,
        ]
        runs = dg.RunsFilter(statuses=unfinished)
        wait_until(lambda: not instance.get_runs(filters=runs), "every run has ended", every_s=0.2)


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Followed]:
    """The repository with a daemon that runs the sensors, as `code-index ui --watch` starts them."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    repository = _Followed(tmp_path / "repository")
    repository.root.mkdir()
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.write({"app/first.py": _BEFORE.format("first", 1), "app/second.py": _BEFORE.format("second", 2)})
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message=begin")
    repository.folder.create(instance_config())
    environment = {**os.environ, **repository.folder.environment(), "CODE_INDEX_WATCH": "1", "PYTHONWARNINGS": "ignore"}
    with (tmp_path / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-m", "indexing_assets.definitions"],
            env=environment,
            cwd=repository.folder.dagster_home,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield repository
            assert daemon.poll() is None, "the daemon ended by itself"
        finally:
            daemon.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(PATIENCE_S)
            _kill_group(daemon.pid)
            daemon.wait()
            print((tmp_path / "daemon.log").read_text(encoding="utf-8", errors="replace")[-4_000:])  # noqa: T201


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _state(store: IndexStore) -> dict[str, pl.DataFrame]:
    """The tables without what depends on when and in which order things were indexed."""
    files = pl.DataFrame(store.files.read()).drop("run_id", "parsed_at", "mtime_ns").sort("file_path")
    chunks = pl.DataFrame(store.chunks.read()).drop("created_at", "updated_at", "embedding_batch_id").sort("chunk_id")
    vectors = pl.DataFrame(store.vectors.read()).drop("embedded_at").sort("chunk_id")
    return {"files": files, "chunks": chunks, "vectors": vectors}


def _fresh(root: Path, place: Path) -> dict[str, pl.DataFrame]:
    """The tables of an index of a copy of the same tree, made from nothing."""
    copy = place / root.name
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".code-index"), symlinks=True)
    with Pipeline(resolve_index_folder(copy)) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
        return _state(pipeline.store)


@pytest.mark.slow
def test_the_index_follows_a_git_repository_through_all_that_happens_to_it(followed: _Followed, tmp_path: Path) -> None:
    steps: dict[str, tuple[Callable[[], object], set[str]]] = {
        "first look": (lambda: None, {"first", "second"}),
        "edit": (
            lambda: followed.write({"app/first.py": _BEFORE.format("edited", 1)}),
            {"edited", "second"},
        ),
        "commit": (
            lambda: (
                followed.write({"lib/third.py": _BEFORE.format("third", 3)}),
                followed.git("add", "--all"),
                followed.git("commit", "--quiet", "--message=third"),
            ),
            {"edited", "second", "third"},
        ),
        "branch switch": (
            lambda: (
                followed.git("switch", "--quiet", "--create", "other", "HEAD~1"),
                followed.write({"other.py": _BEFORE.format("other", 4)}),
            ),
            {"first", "second", "other"},
        ),
        "delete": ((followed.root / "other.py").unlink, {"first", "second"}),
        "branch switched back": (lambda: followed.git("switch", "--quiet", "main"), {"edited", "second", "third"}),
        "rename": (
            lambda: (
                followed.git("mv", "app/second.py", "app/renamed.py"),
                followed.write({"app/renamed.py": _BEFORE.format("second", 2) + _BEFORE.format("fifth", 5)}),
            ),
            {"edited", "second", "third", "fifth"},
        ),
        "force-push": (
            lambda: (
                followed.git("add", "--all"),
                followed.git("commit", "--quiet", "--amend", "--message=rewritten"),
                followed.git("reset", "--quiet", "--hard", "HEAD~1"),
            ),
            {"first", "second"},
        ),
    }
    os.environ.update(followed.folder.environment())
    with dg.DagsterInstance.get() as instance:
        for name, (change, functions) in steps.items():
            change()
            followed.wait_for(functions)
            followed.wait_until_idle(instance)
            assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}, name
        requested = [run.tags.get("dagster/run_key") for run in instance.get_runs()]
        assert len(set(requested)) == len(requested), "something was asked for twice"
        keys = set(instance.get_dynamic_partitions("file_hash"))
        assert instance.get_materialized_partitions(dg.AssetKey("parsed_chunks")) >= keys
        parsed = (
            IndexStore(followed.folder.tables_dir).files.read(columns=["partition_key"])["partition_key"].to_pylist()
        )
        assert keys == set(filter(None, parsed))
    for variable in followed.folder.environment():
        os.environ.pop(variable)
    ours, fresh = _state(IndexStore(followed.folder.tables_dir)), _fresh(followed.root, tmp_path / "fresh")
    for table, expected in fresh.items():
        assert ours[table].equals(expected), f"{table}\n{ours[table]}\n{expected}"
