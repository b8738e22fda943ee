"""Indexes of a deployment whose source is at a git host: the rows of a clone's index, on each machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from code_index import Index
from code_index.core.errors import SettingsError, UsageError
from code_index.index.deployment import DeployedIndex, deployed_indexes
from code_index.index.last_scan import read_last_scan
from code_index.tables import IndexStore
from indexing_assets.automation.changes_look import WatchTimes
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.checks import Subject, evaluate
from indexing_assets.component import CodeIndexComponent
from indexing_assets.definitions import build_defs
from indexing_assets.runs.index_names import PARSED_CHUNKS, SOURCE_FILES, IndexNames
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partitions import range_tags
from resources.index_resource import IndexResource
from tests.checkout import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

_TIMES_AND_RUNS = {"mtime_ns", "parsed_at", "updated_at", "embedded_at", "run_id", "created_at"}
_HERE, _HOST = IndexNames("here"), IndexNames("host")


@pytest.fixture
def host(tmp_path: Path, make_small_repository: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of a git host, and a deployment of two indexes: `host` of it and `here` of a clone."""
    root = make_small_repository(tmp_path / "host")
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, {".gitignore": "*.gen.py\n"})
    (root / "kept.gen.py").write_text("def kept():\n    return 1\n")
    git(root, "add", "--force", "kept.gen.py")
    commit(root, {})
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    path = tmp_path / "deployment.toml"
    path.write_text(
        '[indexes.host]\ngit = "host"\nref = "main"\nindex_dir = "indexes/host"\n\n'
        '[indexes.here]\nrepository = "clone"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(path))
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    return root


def commit(root: Path, files: Mapping[str, str]) -> str:
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message=change")
    return git(root, "rev-parse", "HEAD").strip()


def run(instance: dg.DagsterInstance, names: IndexNames, job: str, keys: str | None = None) -> bool:
    definition = build_defs().resolve_job_def(names.prefixed(job))
    partitions = instance.get_dynamic_partitions(names.prefixed(keys)) if keys else []
    tags = range_tags(partitions) if partitions else {}
    return definition.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def scan(instance: dg.DagsterInstance, names: IndexNames) -> bool:
    return run(instance, names, "scan_source_files_job")


def parse(instance: dg.DagsterInstance, names: IndexNames) -> bool:
    return run(instance, names, "parse_chunks_job", "file_hash")


def rows(instance: dg.DagsterInstance, names: IndexNames) -> dict[str, pl.DataFrame]:
    store: IndexStore = open_index(instance, IndexResource(), names).store
    found = {
        "files": pl.DataFrame(store.files.read()),
        "chunks": pl.DataFrame(store.chunks.read()),
        "references": pl.DataFrame(store.references.read()),
    }
    kept = {name: one.drop(_TIMES_AND_RUNS & set(one.columns)) for name, one in found.items()}
    # The index of the clone lies in it, and is skipped there.
    kept["files"] = kept["files"].filter(pl.col("file_path") != ".code-index/")
    return {name: one.sort(one.columns[:2], maintain_order=True) for name, one in kept.items()}


def assert_same_rows(instance: dg.DagsterInstance) -> None:
    ours, theirs = rows(instance, _HOST), rows(instance, _HERE)
    assert ours["chunks"].height > 3
    for name, one in ours.items():
        assert_frame_equal(one, theirs[name])


def test_rows_are_those_of_a_clone_s_index_also_after_commits(host: Path, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        for _ in range(2):
            for names in (_HERE, _HOST):
                assert scan(instance, names)
                assert parse(instance, names)
            assert_same_rows(instance)
            head = git(host, "rev-parse", "HEAD").strip()
            index = open_index(instance, IndexResource(), _HOST)
            scanned = read_last_scan(index.folder)
            assert scanned is not None
            assert scanned.commit == head
            shutil.rmtree(host / "web", ignore_errors=True)
            commit(host, {"app/greeting.py": "def wave():\n    return 'o/'\n", "new.py": "def new():\n    return 1\n"})
            git(tmp_path / "clone", "pull", "--quiet")
        outcomes = [one for asset in (SOURCE_FILES, PARSED_CHUNKS) for one in evaluate(Subject(index), asset=asset)]
        outcomes += [one for one in evaluate(Subject(index)) if one.name == "source_matches_the_manifest"]
        assert len(outcomes) > 3
        assert [one.description for one in outcomes if not one.passed] == []


def test_parsing_is_of_the_commit_that_was_scanned_on_each_machine(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.instance_for_test() as instance:
        for names in (_HERE, _HOST):
            assert scan(instance, names)
        commit(host, {"app/greeting.py": "def later():\n    return 2\n"})
        monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache of another machine"))
        for names in (_HERE, _HOST):
            assert parse(instance, names)
        assert_same_rows(instance)
        assert not Index.of(IndexResource().folder("host")).search("later", mode="lexical")


def test_a_host_that_does_not_answer_costs_the_run_and_nothing_of_the_index(host: Path, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        for names in (_HERE, _HOST):
            assert scan(instance, names)
            assert parse(instance, names)
        host.rename(tmp_path / "away")
        assert not scan(instance, _HOST)
        assert_same_rows(instance)


def test_the_sensor_asks_the_host_for_its_commit_and_has_no_checkout(host: Path, tmp_path: Path) -> None:
    asked, unread = _looking(every_s=0.0), tmp_path / "cache"
    with dg.instance_for_test() as instance:
        assert asked(instance)[0] == ["host_scan_source_files_job"]
        assert not list(unread.rglob("checkouts")), "the daemon's machine checks nothing out"
        assert scan(instance, _HOST)
        assert asked(instance)[0] == ["host_parse_chunks_job"]
        assert parse(instance, _HOST)
        shutil.rmtree(unread)
        asks, why = asked(instance)
        assert not asks
        assert "up to date" in why
        commit(host, {"new.py": "def new():\n    return 1\n"})
        assert asked(instance)[0] == ["host_scan_source_files_job"]
        assert not list(unread.rglob("checkouts"))
        host.rename(tmp_path / "away")
        asks, why = asked(instance)
        assert not asks
        assert f"main of {host}: git ls-remote failed" in why


def test_the_sensor_asks_a_host_once_a_minute(host: Path) -> None:
    asked = _looking(every_s=60.0)
    with dg.instance_for_test() as instance:
        assert scan(instance, _HOST)
        assert parse(instance, _HOST)
        assert not asked(instance)[0]
        commit(host, {"new.py": "def new():\n    return 1\n"})
        asks, why = asked(instance)
        assert not asks
        assert "The git host is asked for its commit in " in why


def _looking(*, every_s: float) -> Callable[[dg.DagsterInstance], tuple[list[str | None], str]]:
    times = WatchTimes(ask_host_every_s=every_s)
    sensors = build_sensors(_HOST, build_asset_jobs(_HOST), dg.DefaultSensorStatus.STOPPED, times)
    sensor = next(sensor for sensor in sensors if sensor.name == "host_repo_changes_sensor")
    cursors: list[str | None] = [None]

    def look(instance: dg.DagsterInstance) -> tuple[list[str | None], str]:
        with dg.build_sensor_context(
            instance=instance,
            cursor=cursors[0],
            resources={"host_index": IndexResource()},
            repository_def=build_defs().get_repository_def(),
        ) as context:
            found = sensor.evaluate_tick(context)
        cursors[0] = found.cursor
        return [request.job_name for request in found.run_requests or ()], found.skip_message or ""

    return look


def test_a_search_says_that_there_is_no_working_tree_to_compare(host: Path) -> None:
    with dg.instance_for_test() as instance:
        assert scan(instance, _HOST)
        assert parse(instance, _HOST)
        index = Index.of(IndexResource().folder("host"))
    fresh = index.freshness()
    assert fresh.commit == git(host, "rev-parse", "HEAD").strip()
    assert (fresh.newer_files, fresh.newer_count, fresh.current_commit) == (None, None, None)
    assert [hit.state for hit in index.search("greet", mode="lexical")]
    with pytest.raises(UsageError, match="is searched without its repository"):
        index.search("greet", changed_since="HEAD")


def test_each_index_has_one_source_and_one_place(tmp_path: Path) -> None:
    refused = {
        "": "either `repository`, a folder, or `git`",
        'repository = "a"\ngit = "https://host/a"\ntables = "s3://bucket/a"': "either `repository`, a folder, or `git`",
        'git = "https://host/a"': "needs `tables` at a store, or an `index_dir`",
        'git = "https://me:sesame@host/a"\ntables = "s3://bucket/a"': "no address of a git repository",
        'git = "ext::sh"\ntables = "s3://bucket/a"': "no address of a git repository",
        'git = "https://host/a"\nref = "--all"\ntables = "s3://bucket/a"': "no name of a ref",
        'repository = "a"\nref = "main"': "`ref` belongs to `git`",
    }
    path = tmp_path / "deployment.toml"
    for text, message in refused.items():
        path.write_text(f"[indexes.one]\n{text}\n", encoding="utf-8")
        with pytest.raises(SettingsError, match=r"indexes\.one: ") as raised:
            deployed_indexes({"CODE_INDEX_DEPLOYMENT": str(path)})
        assert message in str(raised.value)
        assert "sesame" not in str(raised.value)


def test_what_this_machine_keeps_of_an_index_lies_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    indexes = [
        DeployedIndex(git="https://host/a", tables="s3://bucket/a"),
        DeployedIndex(git="https://host/a", ref="dev", tables="s3://bucket/dev"),
        DeployedIndex(git="https://host/b", index_dir=str(tmp_path / "b")),
    ]
    folders = [index.folder() for index in indexes]
    assert len({folder.repository_root for folder in folders}) == 3
    assert all(folder.repository_root.is_relative_to(tmp_path / "cache") for folder in folders)
    assert [folder.source_is_elsewhere for folder in folders] == [True] * 3
    assert [folder.origin for folder in folders if folder.origin is None] == []


def test_a_component_takes_the_same_fields(host: Path, tmp_path: Path) -> None:
    fields = {"git": str(host), "ref": "main", "index_dir": str(tmp_path / "of component")}
    component = CodeIndexComponent(indexes={"code": fields})  # type: ignore[dict-item]
    assert component.indexes["code"].ref == "main"
