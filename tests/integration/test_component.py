"""Indexes as a component of another Dagster project: its YAML, what it adds, and what it leaves alone."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster.components.testing import create_defs_folder_sandbox

import indexing_assets
from code_index.core.errors import SettingsError
from code_index.index.deployment import DeployedIndex
from code_index.tables import IndexStore
from indexing_assets.component import CodeIndexComponent, CodeIndexScaffolder, ScaffoldParams
from indexing_assets.definitions import build_defs
from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partitions import range_tags
from indexing_assets.upkeep.expiry import expire_records
from resources.index_resource import IndexResource

# Of Dagster's own code that loads components.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore:`parse_obj_as` is deprecated")

_TWO = """
indexes:
  one:
    repository: one
    settings: {model: deterministic}
  two:
    repository: "{{ env.FOLDER_OF_TWO }}"
    index_dir: indexes/two
    settings: {model: deterministic, max_chunk_characters: 1000}
"""


@contextmanager
def _loaded(*files: str, own: str = "") -> Iterator[tuple[dg.Definitions, Path]]:
    """The definitions of a project with these files of attributes, and the project's folder."""
    with create_defs_folder_sandbox() as sandbox:
        for number, text in enumerate(files):
            folder = sandbox.defs_folder_path / f"component_{number}"
            folder.mkdir()
            attributes = textwrap.indent(text.strip(), "  ")
            (folder / "defs.yaml").write_text(
                f"type: indexing_assets.CodeIndexComponent\nattributes:\n{attributes}\n", encoding="utf-8"
            )
        if own:
            (sandbox.defs_folder_path / "own.py").write_text(textwrap.dedent(own), encoding="utf-8")
        with sandbox.build_all_defs() as definitions:
            yield definitions, sandbox.project_root


def _refusal(text: str) -> str:
    """All that is said of a file of attributes that cannot be used."""
    with pytest.raises(Exception) as raised, _loaded(text):
        pass
    said, error = [], raised.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__
    return "\n".join(said)


@pytest.fixture
def _two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER_OF_TWO", str(tmp_path / "two"))


def test_the_component_is_found_under_its_short_name() -> None:
    assert indexing_assets.CodeIndexComponent is CodeIndexComponent
    assert "CodeIndexComponent" in dir(indexing_assets)


@pytest.mark.usefixtures("_two")
def test_a_component_adds_what_the_deployment_file_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _loaded(_TWO) as (definitions, _):
        added = _names(definitions)
    deployment = tmp_path / "deployment.toml"
    deployment.write_text('[indexes.one]\nrepository = "one"\n[indexes.two]\nrepository = "two"\n', encoding="utf-8")
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(deployment))
    assert added == _names(build_defs())
    assert "one/parsed_chunks" in added["assets"]
    assert "two_embed_chunks_job" in added["jobs"]


def _names(definitions: dg.Definitions) -> dict[str, set[str]]:
    repository = definitions.get_repository_def()
    return {
        "assets": {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()},
        "checks": {str(key) for key in repository.asset_graph.asset_check_keys},
        "jobs": set(repository.job_names),
        "sensors": {sensor.name for sensor in repository.sensor_defs},
        "schedules": {schedule.name for schedule in repository.schedule_defs},
    }


@pytest.mark.usefixtures("_two")
def test_paths_count_from_the_project_and_settings_are_those_of_each_index(tmp_path: Path) -> None:
    with _loaded(_TWO) as (definitions, project):
        with dg.build_resources({key: definitions.resources[key] for key in ("one_index", "two_index")}) as built:
            one, two = built.one_index.folder("one"), built.two_index.folder("two")
        graph = definitions.resolve_asset_graph()
        versions = {name: graph.get(dg.AssetKey([name, "parsed_chunks"])).code_version for name in ("one", "two")}
    assert (one.repository_root, one.path) == (project / "one", project / "one/.code-index")
    assert (two.repository_root, two.path) == (tmp_path / "two", project / "indexes/two")
    assert (one.settings().max_chunk_characters, two.settings().max_chunk_characters) == (2_000, 1_000)
    assert versions["one"] != versions["two"]


def test_an_environment_variable_wins_over_the_settings_of_a_component_and_those_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = DeployedIndex(repository=str(tmp_path), settings={"parse_workers": 3, "max_file_bytes": 10})
    (tmp_path / ".code-index").mkdir()
    folder = index.folder()
    folder.settings_path.write_text("parse_workers = 2\nmin_chunk_characters = 7\n", encoding="utf-8")
    monkeypatch.setenv("CODE_INDEX_MAX_FILE_BYTES", "20")
    settings = folder.settings()
    assert (settings.parse_workers, settings.max_file_bytes, settings.min_chunk_characters) == (3, 20, 7)


_OWN = """
    import dagster as dg

    @dg.asset
    def mine() -> int:
        return 1

    @dg.asset
    def next_to_mine(mine: int) -> int:
        return mine + 1

    @dg.definitions
    def all_of_mine():
        return dg.Definitions(
            assets=[mine, next_to_mine],
            jobs=[dg.define_asset_job("embed_chunks_job", [mine, next_to_mine])],
            resources={"index": 1, "embedder": 2, "lancedb_io_manager": 3, "io_manager": dg.mem_io_manager},
            executor=dg.multiprocess_executor,
        )
"""


def test_two_components_and_a_project_with_resources_and_an_executor_of_its_own_go_together(
    tmp_path: Path, make_small_repository: Callable[[Path], Path]
) -> None:
    make_small_repository(tmp_path / "one")
    text = "indexes: {{{name}: {{repository: {path}, settings: {{model: deterministic}}}}}}"
    files = [text.format(name=name, path=tmp_path / name) for name in ("one", "two")]
    with _loaded(*files, own=_OWN) as (definitions, _), dg.DagsterInstance.ephemeral() as instance:
        assert definitions.executor is dg.multiprocess_executor
        assert definitions.resources["index"] == 1
        for job in ("one_scan_source_files_job", "two_rerun_failed_partitions"):
            assert definitions.resolve_job_def(job).executor_def is dg.in_process_executor
        assert definitions.resolve_job_def("embed_chunks_job").execute_in_process(instance=instance).success
        assert definitions.resolve_job_def("one_scan_source_files_job").execute_in_process(instance=instance).success


@pytest.mark.parametrize("job", ["one_scan_source_files_job", "one_embed_chunks_job", "one_maintain_index_job"])
def test_no_run_config_redirects_the_resources_of_a_component(job: str) -> None:
    with _loaded("indexes: {one: {repository: one}}") as (definitions, _):
        of_job = definitions.resolve_job_def(job)
        resources = of_job.run_config_schema.config_type.fields["resources"].config_type.fields
        assert {"one_index", "one_lancedb_io_manager"} <= set(resources)
        for key in set(resources) & {"one_index", "one_embedder", "one_lancedb_io_manager"}:
            with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entr"):
                dg.validate_run_config(of_job, {"resources": {key: {"config": {"indexes": {}, "model": "x"}}}})


@pytest.mark.usefixtures("_two")
def test_an_index_is_made_and_kept_on_an_instance_with_dagsters_own_storages(
    tmp_path: Path, make_small_repository: Callable[[Path], Path]
) -> None:
    make_small_repository(tmp_path / "two")
    with _loaded(_TWO) as (definitions, project), dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage

        def run(job: str, **options: object) -> None:
            assert definitions.resolve_job_def(f"two_{job}").execute_in_process(instance=instance, **options).success

        run("scan_source_files_job")
        for job, partitions in (("parse_chunks_job", "file_hash"), ("embed_chunks_job", "embedding_batch")):
            run(job, tags=range_tags(instance.get_dynamic_partitions(f"two_{partitions}")))
        run("maintain_index_job")
        for asset, partitions in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch")):
            keys = set(instance.get_dynamic_partitions(f"two_{partitions}"))
            assert instance.get_materialized_partitions(dg.AssetKey(["two", asset])) == keys != set()
        store = IndexStore(project / "indexes/two/tables")
        assert store.vectors.read(["chunk_id"]).num_rows == store.chunks.read(["chunk_id"]).num_rows > 0
        assert store.tables.version("language_figures")


def test_records_of_others_on_the_instance_stay_when_those_of_an_index_expire(
    tmp_path: Path, make_small_repository: Callable[[Path], Path]
) -> None:
    index = {"repository": str(make_small_repository(tmp_path / "one")), "settings": {"model": "deterministic"}}
    text = f"indexes: {{one: {{repository: {tmp_path / 'one'}, settings: {{model: deterministic}}}}}}"
    with _loaded(text, own=_OWN) as (definitions, _), dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        for _ in range(2):
            for job in ("embed_chunks_job", "one_scan_source_files_job"):
                assert definitions.resolve_job_def(job).execute_in_process(instance=instance).success
        opened = open_index(instance, IndexResource(indexes={"one": index}), IndexNames("one"))
        removed = expire_records(opened, keep_runs=1)
        left = [run.job_name for run in instance.get_runs()]
        assert len(instance.fetch_materializations(dg.AssetKey("mine"), limit=9).records) == 2
    assert removed.count
    assert left.count("embed_chunks_job") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("indexes: {a: {repository: x}}\nmodel: y", ["attributes.model", "defs.yaml:4", "Extra inputs"]),
        ("indexes: {a: {repository: x, model: y}}", ["model", "defs.yaml:3", "Extra inputs"]),
        ("indexes: {a: {repository: x, settings: {chunk: 3}}}", ["defs.yaml:3", "no setting 'chunk'. Known: max_file"]),
        ("indexes: {a: {repository: x, settings: {max_file_bytes: 0}}}", ["defs.yaml:3", "max_file_bytes = 0: "]),
        ("indexes: {A: {repository: x}}", ["defs.yaml", "'A' must be lower-case"]),
        ("indexes: {a: {repository: x}, b: {repository: x}}", ["'a' and 'b' share the index", "an index_dir of its"]),
        ("indexes: {a: {repository: x, index_dir: x}}", ["is the repository itself. Name a folder"]),
        ("indexes: {}", ["attributes.indexes", "defs.yaml:3", "at least 1 item"]),
        ("indexes: {a: {repository: x}}\ntimezone: Mars", ["no time zone 'Mars'; name one such as Europe/Berlin"]),
        ("indexes: {a: {repository: x}}\nmaintenance_cron: daily", ["invalid cron schedule 'daily'"]),
    ],
)
def test_yaml_that_cannot_be_used_is_refused_with_the_place_and_the_fix(text: str, said: list[str]) -> None:
    refusal = _refusal(text)
    for words in said:
        assert words in refusal


@pytest.mark.parametrize(
    ("text", "sensors", "schedules"),
    [("watch: true", "RUNNING", "STOPPED"), ("schedules: true", "STOPPED", "RUNNING")],
)
def test_sensors_and_schedules_run_from_the_start_where_the_yaml_says_so(
    text: str, sensors: str, schedules: str
) -> None:
    times = "maintenance_cron: 0 5 * * 1\ntimezone: Europe/Berlin"
    with _loaded(f"{text}\n{times}\nindexes: {{a: {{repository: x}}}}") as (definitions, _):
        assert {sensor.default_status.value for sensor in definitions.sensors} == {sensors}
        assert {schedule.default_status.value for schedule in definitions.schedules} == {schedules}
        maintenance = definitions.resolve_schedule_def("a_maintenance_schedule")
        assert (maintenance.cron_schedule, maintenance.execution_timezone) == ("0 5 * * 1", "Europe/Berlin")


def test_a_scaffold_whose_folder_is_no_name_of_an_index_asks_for_one(tmp_path: Path) -> None:
    request = dg.ScaffoldRequest(
        "indexing_assets.CodeIndexComponent", tmp_path / "1x", "yaml", tmp_path, ScaffoldParams()
    )
    with pytest.raises(SettingsError, match="index name '1x' must be"):
        CodeIndexScaffolder().scaffold(request)
