"""The asset `language_figures`: its table equals the index, upkeep and checks know it, each index has its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from code_index.core.errors import StoreError
from code_index.index.folder import resolve_index_folder
from code_index.report.figures import language_figures
from code_index.tables import IndexStore
from indexing_assets.definitions import build_defs
from indexing_assets.operations.examination import examine
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.operations.repair import repair
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.fakes import obstruct

_TABLE = "language_figures"


@pytest.fixture
def pipeline(small_repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    with Pipeline(resolve_index_folder(small_repository)) as opened:
        assert [result.error for result in (opened.scan(), opened.parse(), opened.embed())] == [None] * 3
        yield opened


def _maintained(pipeline: Pipeline) -> dg.ExecuteInProcessResult:
    """Run the nightly job on the index, which nothing but the resource names."""
    folder = pipeline.folder
    definitions = build_defs(
        {
            "index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path)),
            "embedder": EmbedderResource(model="deterministic"),
        }
    )
    return definitions.resolve_job_def("maintain_index_job").execute_in_process(instance=pipeline.instance)


def _stored(store: IndexStore) -> pl.DataFrame:
    return pl.DataFrame(store.tables.open(_TABLE).to_arrow()).drop("_row_id")


def test_the_nightly_job_stores_a_row_for_each_language(pipeline: Pipeline) -> None:
    result = _maintained(pipeline)
    assert result.success
    rows = _stored(pipeline.store)
    chunks = pl.DataFrame(pipeline.store.chunks.read(["language"]))
    assert dict(rows.select("language", "chunks").rows()) == dict(chunks.group_by("language").len().rows())
    python = rows.row(by_predicate=pl.col("language") == "python", named=True)
    text = (pipeline.folder.repository_root / "app/greeting.py").read_bytes()
    assert python == {
        "language": "python",
        "files": 1,
        "chunks": 5,
        "vectors": 5,
        "lines": len(text.splitlines()),
        "bytes": len(text),
        "mean_complexity": 1.0,
    }
    assert rows.row(by_predicate=pl.col("language") == "typescript", named=True)["mean_complexity"] == 1.5
    assert rows.row(by_predicate=pl.col("language") == "toml", named=True)["mean_complexity"] is None
    (event,) = result.asset_materializations_for_node(_TABLE)
    assert event.metadata["dagster/table_name"].value == _TABLE
    assert event.metadata["dagster/row_count"].value == 4
    assert "| `python` |" in event.metadata["languages"].value


def test_skipped_and_failed_files_count_as_in_the_report(
    pipeline: Pipeline, write: Callable[[Path, Mapping[str, str | bytes]], None]
) -> None:
    root = pipeline.folder.repository_root
    write(root, {"app/lost.py": "x = 1\n", "app/picture.py": b"\x00\x01\x02"})
    assert pipeline.scan().error is None
    obstruct(root / "app/lost.py")
    assert pipeline.parse().partial
    figures = language_figures(pipeline.store)
    assert figures.row(by_predicate=pl.col("language") == "python", named=True)["files"] == 2
    assert figures["chunks"].sum() == pipeline.store.chunks.count()


def test_an_index_without_anything_in_it_has_an_empty_table(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    shutil.rmtree(small_repository)
    small_repository.mkdir()
    with Pipeline(resolve_index_folder(small_repository)) as pipeline:
        assert _maintained(pipeline).success
        assert _stored(pipeline.store).is_empty()


def test_checks_and_doctor_stay_green_and_sizes_include_the_table(pipeline: Pipeline) -> None:
    assert _maintained(pipeline).success
    assert pipeline.store.upkeep.disk_bytes()[_TABLE] > 0
    outcomes = {outcome.name: outcome for outcome in examine(pipeline.folder)}
    assert [outcome.description for outcome in outcomes.values() if not outcome.passed] == []
    assert outcomes["tables_can_be_read"].figures["language_figures_rows"] == 4


def test_a_damaged_table_of_an_asset_is_restored_or_moved_away_and_not_removed(pipeline: Pipeline) -> None:
    assert _maintained(pipeline).success
    table = pipeline.store.tables.path(_TABLE)
    (data,) = (table / "data").iterdir()
    data.write_bytes(b"")
    (failed,) = [outcome for outcome in examine(pipeline.folder) if not outcome.passed]
    assert failed.name == "tables_can_be_read"
    assert failed.description.endswith("`code-index doctor --repair`")
    told: list[str] = []
    repair(pipeline.folder, [failed.name], tell=told.append)
    assert any(line.startswith(f"Table {_TABLE}: moved to") for line in told)
    assert _maintained(pipeline).success
    assert _stored(IndexStore(pipeline.folder.tables_dir)).height == 4


def test_upkeep_removes_old_versions_of_the_table_and_copies_of_it_leave_nothing_to_do(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("code_index.tables.table_upkeep.MIN_RETENTION", timedelta(milliseconds=1))
    for _ in range(3):
        assert _maintained(pipeline).success
    store = IndexStore(pipeline.folder.tables_dir)
    assert store.upkeep.asset_tables() == [_TABLE]
    store.upkeep.optimize(timedelta(milliseconds=1), tables=sorted(set(store.tables.names()) - {_TABLE}))
    before = store.upkeep.disk_bytes()[_TABLE]
    assert before > 1.5 * store.upkeep.live_bytes()[_TABLE]
    assert not store.upkeep.copies_on_disk(), "an index that is complete would be looked at all over again, for ever"
    store.upkeep.optimize(timedelta(milliseconds=1), tables=store.upkeep.asset_tables())
    assert store.upkeep.disk_bytes()[_TABLE] < before


def test_each_index_of_a_deployment_has_a_table_of_its_own(
    tmp_path: Path, make_small_repository: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        make_small_repository(tmp_path / name)
    (tmp_path / "two/extra.py").write_text("def only_in_two():\n    return 2\n", encoding="utf-8")
    (tmp_path / "deployment.toml").write_text(
        '[indexes.one]\nrepository = "one"\n\n[indexes.two]\nrepository = "two"\n', encoding="utf-8"
    )
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(tmp_path / "deployment.toml"))
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    definitions = build_defs()
    seen: list[int] = []

    @dg.asset(key_prefix="two", ins={_TABLE: dg.AssetIn(["two", _TABLE])}, io_manager_key="lancedb_io_manager")
    def own(language_figures: pl.DataFrame) -> pl.DataFrame:
        seen.extend(language_figures.filter(language="python")["files"])
        return language_figures

    @dg.asset(io_manager_key="lancedb_io_manager")
    def of_no_index() -> pl.DataFrame:
        return pl.DataFrame({"a": [1]})

    with dg.instance_for_test() as instance:
        for name in ("one", "two"):
            for job in ("scan_source_files_job", "maintain_index_job"):
                assert definitions.resolve_job_def(f"{name}_{job}").execute_in_process(instance=instance).success
        merged = dg.Definitions.merge(definitions, dg.Definitions(assets=[own, of_no_index]))
        job = merged.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(instance=instance, asset_selection=[own.key]).success
        with pytest.raises(StoreError, match="give it one of one, two as `key_prefix`"):
            job.execute_in_process(instance=instance, asset_selection=[of_no_index.key])
    tables = {name: IndexStore(tmp_path / name / ".code-index/tables") for name in ("one", "two")}
    assert {name: _stored(store)["files"].sum() for name, store in tables.items()} == {"one": 4, "two": 5}
    assert seen == [2]
    assert tables["one"].upkeep.asset_tables() == [_TABLE]
    assert tables["two"].upkeep.asset_tables() == [_TABLE, "own"]
