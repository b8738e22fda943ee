"""Several repositories in one Dagster deployment, one index each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import RepoBackedJob
from dagster._core.execution.api import execute_run

from code_index.core.errors import SettingsError
from code_index.index.deployment import deployed_indexes
from code_index.tables import IndexStore
from indexing_assets.automation.changes_look import WatchTimes
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.checks.dagster_records import partitions_are_not_too_many
from indexing_assets.definitions import build_defs
from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.job_names import JOBS
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partitions import range_tags
from resources.index_resource import IndexResource

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def deployment(tmp_path: Path, make_small_repository: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment file with two repositories; one has its index elsewhere."""
    make_small_repository(tmp_path / "one")
    make_small_repository(tmp_path / "two")
    (tmp_path / "two/extra.py").write_text("def only_in_two():\n    return 2\n", encoding="utf-8")
    path = tmp_path / "deployment.toml"
    path.write_text(
        '[indexes.one]\nrepository = "one"\n\n[indexes.two]\nrepository = "two"\nindex_dir = "indexes/two"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(path))
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return path


def test_each_index_has_assets_partitions_jobs_and_sensors_of_its_own(deployment: Path) -> None:
    repository = build_defs().get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert {"one/source_files", "one/parsed_chunks", "two/chunk_vectors"} <= keys
    assert not {key for key in keys if not key.startswith(("one/", "two/"))}
    partitions = {
        repository.asset_graph.get(dg.AssetKey([name, "parsed_chunks"])).partitions_def for name in ("one", "two")
    }
    assert {definition.name for definition in partitions} == {"one_file_hash", "two_file_hash"}
    assert {"one_repo_changes_sensor", "two_repo_changes_sensor"} <= {s.name for s in repository.sensor_defs}
    assert {"one_parse_chunks_job", "two_rerun_failed_partitions"} <= set(repository.job_names)


@pytest.mark.parametrize(
    ("job", "loaded"),
    [
        ("two_parse_chunks_job", {"two"}),
        ("two_rerun_failed_partitions", {"two"}),
        ("__ASSET_JOB", {"one", "two"}),
        ("job_of_another_location", {"one", "two"}),
    ],
)
def test_the_process_of_a_run_loads_only_the_index_of_its_job(
    deployment: Path, monkeypatch: pytest.MonkeyPatch, job: str, loaded: set[str]
) -> None:
    whole = build_defs().get_repository_def()
    monkeypatch.setenv("DAGSTER_RUN_JOB_NAME", job)
    repository = build_defs().get_repository_def()
    assert {key.path[0] for key in repository.asset_graph.get_all_asset_keys()} == loaded
    if len(loaded) == 1:
        assert repository.get_job(job).get_job_snapshot_id() == whole.get_job(job).get_job_snapshot_id()
    for name in loaded:  # no job is left out of the list that tells an index by them
        of_index = {known for known in whole.job_names if known.startswith(f"{name}_")}
        assert of_index <= {IndexNames(name).prefixed(known) for known in JOBS}


def _scan_both(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    for name in ("one", "two"):
        scan = definitions.resolve_job_def(f"{name}_scan_source_files_job")
        assert scan.execute_in_process(instance=instance).success


def test_sensors_watch_for_less_time_the_more_indexes_are_asked_beside_them(
    deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[WatchTimes] = []

    def build(*arguments: Any) -> list[dg.SensorDefinition]:
        given.append(arguments[-1])
        return build_sensors(*arguments)

    monkeypatch.setattr("indexing_assets.index_definitions.build_sensors", build)
    build_defs()
    assert given == [WatchTimes.of_round(2)] * 2


def test_runs_of_one_index_leave_the_other_alone(deployment: Path, tmp_path: Path) -> None:
    definitions = build_defs()
    with dg.instance_for_test() as instance:
        _scan_both(definitions, instance)
        keys = instance.get_dynamic_partitions("two_file_hash")
        assert len(keys) == len(instance.get_dynamic_partitions("one_file_hash")) + 1
        for job, definition in (("parse_chunks_job", "file_hash"), ("embed_chunks_job", "embedding_batch")):
            tags = range_tags(instance.get_dynamic_partitions(f"two_{definition}"))
            assert definitions.resolve_job_def(f"two_{job}").execute_in_process(instance=instance, tags=tags).success
        assert instance.get_materialized_partitions(dg.AssetKey(["two", "parsed_chunks"])) == set(keys)
        assert instance.get_materialized_partitions(dg.AssetKey(["one", "parsed_chunks"])) == set()
    assert "only_in_two" in IndexStore(tmp_path / "indexes/two/tables").vectors.read()["function_name"].to_pylist()
    assert IndexStore(tmp_path / "one/.code-index/tables").chunks.read(["chunk_id"]).num_rows == 0
    assert not (tmp_path / "two/.code-index").exists()


def test_what_is_missing_of_one_index_is_run_by_its_own_job(deployment: Path, tmp_path: Path) -> None:
    definitions = build_defs()
    with dg.instance_for_test() as instance:
        _scan_both(definitions, instance)
        repository = definitions.get_repository_def()
        run = instance.create_run_for_job(repository.get_job("two_materialize_partitions"))
        assert execute_run(RepoBackedJob(run.job_name, repository), run, instance).success
    two = IndexStore(tmp_path / "indexes/two/tables")
    assert two.vectors.count() == two.chunks.count() > 0
    assert IndexStore(tmp_path / "one/.code-index/tables").chunks.read(["chunk_id"]).num_rows == 0


def test_the_doctor_counts_the_partitions_of_the_index_that_it_examines(deployment: Path) -> None:
    definitions = build_defs()
    counted = {}
    with dg.instance_for_test() as instance:
        _scan_both(definitions, instance)
        for name in ("one", "two"):
            index = open_index(instance, IndexResource(), IndexNames(name))
            counted[name] = partitions_are_not_too_many(index).figures["partitions"]
            assert counted[name] == len(instance.get_dynamic_partitions(f"{name}_file_hash"))
    assert counted["two"] == counted["one"] + 1 > 1


def test_dagster_validates_a_deployment(deployment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_paths_count_from_the_file_and_variables_of_a_single_index_do_not_count(
    deployment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_DIR", str(tmp_path / "wrong"))
    monkeypatch.chdir("/")
    folder = IndexResource().folder("one")
    assert (folder.repository_root, folder.path) == (tmp_path / "one", tmp_path / "one/.code-index")
    assert IndexResource().folder("two").path == tmp_path / "indexes/two"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("indexes = 3", "indexes"),
        ("", "indexes"),
        ("[indexes]", "indexes"),
        ("[indexes.one]", "indexes.one: .*either `repository`"),
        ('[indexes.one]\nrepository = "a"\nmodel = "x"', "indexes.one.model"),
        ('[indexes.One]\nrepository = "a"', "'One' must be lower-case"),
        ('[indexes."a-b"]\nrepository = "a"', "'a-b' must be lower-case"),
        ('[indexes.a]\nrepository = "x"\n[indexes.b]\nrepository = "x"', "'a' and 'b' share the index"),
        ("[indexes", "not valid TOML"),
    ],
)
def test_a_deployment_file_that_cannot_be_used_is_refused_with_the_entry(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "deployment.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message) as raised:
        deployed_indexes({"CODE_INDEX_DEPLOYMENT": str(path)})
    assert str(path) in str(raised.value)


def test_a_deployment_file_that_is_missing_is_an_error_rather_than_no_index(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        deployed_indexes({"CODE_INDEX_DEPLOYMENT": str(tmp_path / "none.toml")})


def test_an_index_that_the_deployment_does_not_have_is_refused_with_those_it_has(deployment: Path) -> None:
    with pytest.raises(SettingsError, match="no index 'three', it has one, two"):
        IndexResource().folder("three")


def test_a_job_has_the_resources_of_its_own_index_only(deployment: Path) -> None:
    """All of a project's in each job would make the snapshots of many indexes grow with the square of their number."""
    repository = build_defs().get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    assert len(jobs) > 10
    for job in jobs:
        index = job.name.split("_")[0]
        own = {f"{index}_index", f"{index}_embedder", f"{index}_lancedb_io_manager", "io_manager"}
        assert set(job.resource_defs) == own, job.name
        assert set(job.asset_layer.asset_graph.get_all_asset_keys()) <= {
            key for key in repository.asset_graph.get_all_asset_keys() if key.path[0] == index
        }


def test_a_change_of_the_deployment_file_is_seen(deployment: Path) -> None:
    before = deployed_indexes()
    assert deployed_indexes() is before, "it is not read again as long as it is the same"
    deployment.write_text(f'[indexes.three]\nrepository = "{deployment.parent}"\n', encoding="utf-8")
    assert list(deployed_indexes()) == ["three"]
