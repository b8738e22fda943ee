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
    for asset in ("parsed_chunks", "chunk_vectors"):
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
