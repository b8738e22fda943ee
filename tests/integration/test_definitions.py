"""What Dagster loads: assets, partitions, dependencies and jobs spelled out, and at what cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from indexing_assets.definitions import build_defs, defs

_ROOT = Path(__file__).parents[2]


def _graph():
    return defs.resolve_asset_graph()


def test_the_assets_and_their_dependencies_are_these() -> None:
    graph = _graph()
    parents = {
        key.to_user_string(): {p.to_user_string() for p in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "source_files": set(),
        "parsed_chunks": {"source_files"},
        "references": {"source_files"},
        "chunk_vectors": {"parsed_chunks"},
        "search_indexes": {"chunk_vectors"},
        "language_figures": {"search_indexes"},
        "index_report": {"search_indexes"},
    }


@pytest.mark.parametrize(
    ("asset", "partitions", "group"),
    [
        ("source_files", None, "code_index"),
        ("parsed_chunks", "file_hash", "code_index"),
        ("references", "file_hash", "code_index"),
        ("chunk_vectors", "embedding_batch", "code_index"),
        ("search_indexes", None, "code_index"),
        ("language_figures", None, "code_index"),
        ("index_report", None, "code_index"),
    ],
)
def test_each_asset_has_its_partitions_group_kinds_owner_and_description(
    asset: str, partitions: str | None, group: str
) -> None:
    node = _graph().get(dg.AssetKey(asset))
    definition = node.partitions_def
    assert (definition.name if isinstance(definition, dg.DynamicPartitionsDefinition) else None) == partitions
    assert node.group_name == group
    assert node.kinds
    assert node.owners
    assert node.description
    assert node.code_version


def test_the_partitioned_assets_take_many_partitions_in_one_run() -> None:
    for asset in ("parsed_chunks", "references", "chunk_vectors"):
        assert _graph().get(dg.AssetKey(asset)).backfill_policy == dg.BackfillPolicy.single_run()


def test_the_jobs_are_these() -> None:
    names = {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert names == {
        "scan_source_files_job",
        "parse_chunks_job",
        "index_changes_job",
        "embed_chunks_job",
        "maintain_index_job",
        "clean_index_job",
        "materialize_partitions",
        "rerun_failed_partitions",
    }


def test_resources_can_be_replaced() -> None:
    from resources.index_resource import IndexResource

    other = IndexResource(repository_root="/somewhere")
    assert build_defs({"index": other}).resources is not None


def test_definitions_load_without_a_model_library_a_table_or_a_repository(tmp_path: Path) -> None:
    code = (
        "import sys, indexing_assets.definitions as d; d.defs.resolve_all_job_defs();"
        "print([m for m in ('torch', 'onnxruntime', 'sentence_transformers', 'transformers', 'lancedb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dagster_validates_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_instance_file_of_the_project_is_the_one_that_indexes_get() -> None:
    assert (_ROOT / "dagster.yaml").read_bytes() == (_ROOT / "resources/dagster.yaml").read_bytes()


def test_the_workspace_names_the_definitions() -> None:
    assert "python_module: indexing_assets.definitions" in (_ROOT / "workspace.yaml").read_text()


_REDIRECTED = {
    "index": {"repository_root": "/", "index_dir": "/tmp/other"},
    "embedder": {"model": "somebody/model", "allow_download": True},
    "lancedb_io_manager": {"repository_root": "/", "index_dir": "/tmp/other", "tables_dir": "/tmp/other"},
    "io_manager": {"base_dir": "/tmp/other"},
}
_JOBS = [job.name for job in defs.resolve_all_job_defs()]


@pytest.mark.parametrize("job", _JOBS)
@pytest.mark.parametrize(
    ("resource", "field", "value"),
    [(resource, field, value) for resource, values in _REDIRECTED.items() for field, value in values.items()],
)
def test_no_run_config_redirects_a_resource(job: str, resource: str, field: str, value: object) -> None:
    definition = defs.resolve_job_def(job)
    dg.validate_run_config(definition, {})
    with pytest.raises(dg.DagsterInvalidConfigError, match=f'unexpected config entry "{field}"'):
        dg.validate_run_config(definition, {"resources": {resource: {"config": {field: value}}}})


@pytest.mark.parametrize("job", _JOBS)
def test_run_config_has_no_resource_but_bound_ones_and_no_option_that_names_a_place(job: str) -> None:
    fields = defs.resolve_job_def(job).run_config_schema.config_type.fields
    assert set(fields["resources"].config_type.fields) == set(_REDIRECTED)
    options = {
        f"{op}.{option}"
        for op, of_op in fields["ops"].config_type.fields.items()
        if "config" in of_op.config_type.fields
        for option in getattr(of_op.config_type.fields["config"].config_type, "fields", {})
    }
    assert options <= {
        "source_files.verify",
        "parsed_chunks.force",
        "chunk_vectors.force",
        "search_indexes.keep_versions_minutes",
        "search_indexes.keep_unused_vectors_days",
        "search_indexes.keep_runs",
        "rerun_partitions.transient_only",
        "partitions.wanted",
        "partitions.asset",
    }
    assert not [op for op, of_op in fields["ops"].config_type.fields.items() if "inputs" in of_op.config_type.fields]


def test_a_run_that_redirects_a_resource_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(dg.DagsterInvalidConfigError):
        defs.resolve_job_def("scan_source_files_job").execute_in_process(
            instance=instance,
            run_config={"resources": {"index": {"config": {"repository_root": str(tmp_path)}}}},
        )
    assert list(tmp_path.iterdir()) == []


def test_a_bound_resource_keeps_its_values_also_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.bound_values import bound
    from resources.index_resource import IndexResource

    monkeypatch.setenv("PLACE_OF_THE_INDEX", "/srv/index")
    given = bound(IndexResource(repository_root="/srv/repository", index_dir=dg.EnvVar("PLACE_OF_THE_INDEX")))
    with dg.build_resources({"index": given}) as built:
        assert (built.index.repository_root, built.index.index_dir) == ("/srv/repository", "/srv/index")


def test_a_resource_that_its_maker_leaves_open_stays_open() -> None:
    from resources.bound_values import bound
    from resources.index_resource import IndexResource

    left_open = IndexResource.configure_at_launch()
    assert bound(left_open) is left_open
