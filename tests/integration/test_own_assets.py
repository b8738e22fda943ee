"""Assets of a user on the index: the page docs/own-assets.md runs as written, and keeps what it promises."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import lancedb
import polars as pl
import pyarrow as pa
import pytest

from code_index.core.errors import IndexMissingError, StoreError
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.tables import IndexStore
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from resources.embedder_resource import EmbedderResource
from resources.lancedb_io_manager import LanceDBIOManager

_PAGE = (Path(__file__).parents[2] / "docs/own-assets.md").read_text(encoding="utf-8")
_EXAMPLE = Path(__file__).parents[2] / "examples/own_assets/own_assets.py"
_INDEX_ASSETS = ["source_files", "parsed_chunks", "chunk_vectors"]


@pytest.fixture
def folder(
    small_repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, Mapping[str, str | bytes]], None],
) -> IndexFolder:
    """A whole index, which the environment names."""
    branches = "".join(f"    if number == {number}:\n        return {number}\n" for number in range(12))
    write(
        small_repository,
        {"app/bare.py": f"import os\nimport sys\n\n\ndef bare(number):\n{branches}    return number\n"},
    )
    folder = resolve_index_folder(small_repository)
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    for name, value in folder.environment().items():
        monkeypatch.setenv(name, value)
    with Pipeline(folder, embedder=EmbedderResource(model="deterministic")) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return folder


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_assets", _EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _materialize(definitions: dg.Definitions, *assets: str, **options: Any) -> dg.ExecuteInProcessResult:
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.get() as instance:
        return job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets], **options
        )


def _table(folder: IndexFolder, name: str) -> pl.DataFrame:
    return pl.DataFrame(lancedb.connect(str(folder.tables_dir)).open_table(name).to_arrow()).drop("_row_id")


def test_the_page_runs_as_written(folder: IndexFolder, tmp_path: Path) -> None:
    shutil.copy(_EXAMPLE, tmp_path)
    command, *_of_partitions = re.findall(r"^dagster (asset materialize .*)$", _PAGE, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *shlex.split(command)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    functions = _table(folder, "undocumented_functions")
    assert functions["function_name"].to_list()[0] == "bare"
    assert set(functions["function_name"]) >= {"bare", "lookup", "increment"}
    assert "greet" not in functions["function_name"].to_list()
    languages = {row["language"]: row for row in _table(folder, "undocumented_languages").to_dicts()}
    assert languages.keys() == {"python", "typescript"}
    assert languages["typescript"]["per_1000_lines"] == 1000 * languages["typescript"]["functions"] / 10


def _files(folder: IndexFolder) -> dict[str, str]:
    """Partition key of each indexed file, by path, in the order of Dagster's keys."""
    paths = {row["partition_key"]: row["file_path"] for row in IndexStore(folder.tables_dir).files.read().to_pylist()}
    with dg.DagsterInstance.get() as instance:
        return {paths[key]: key for key in instance.get_dynamic_partitions("file_hash")}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # `backfill_policy`
def test_the_assets_of_the_example_are_materialized_for_one_many_and_all_partitions(
    folder: IndexFolder, write: Callable[[Path, Mapping[str, str | bytes]], None]
) -> None:
    definitions = _example().defs
    files = _files(folder)
    keys = list(files.values())
    own = ("file_summaries", "file_imports")

    assert _materialize(definitions, *own, partition_key=files["app/bare.py"]).success
    (summary,) = _table(folder, "file_summaries").to_dicts()
    assert summary == {
        "file_version": files["app/bare.py"],
        "file_path": "app/bare.py",
        "functions": 1,
        "documented": 0,
        "complexity": 13,
    }

    ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]}
    assert _materialize(definitions, *own, tags=ends).success
    assert set(_table(folder, "file_summaries")["file_version"]) == {*keys[:2], files["app/bare.py"]}

    ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    assert _materialize(definitions, *own, tags=ends).success
    summaries = _table(folder, "file_summaries")
    assert dict(summaries.select("file_path", "file_version").iter_rows()) == files
    store = IndexStore(folder.tables_dir)
    functions = store.chunks.read(["function_name"]).column("function_name").drop_null()
    assert summaries["functions"].sum() == len(functions)
    imported = {
        (row["file_path"], module)
        for row in store.chunks.read(["file_path", "imports"]).to_pylist()
        for module in row["imports"] or ()
    }
    paths = {key: path for path, key in files.items()}
    rows = _table(folder, "file_imports").rows()
    assert len(rows) == len(imported) > 0
    assert {(paths[version], module) for version, module in rows} == imported


@pytest.mark.parametrize("shape", [pa.Table, pa.RecordBatchReader, pl.DataFrame, pl.LazyFrame])
def test_an_input_reads_the_partitions_of_the_run_only(folder: IndexFolder, shape: type) -> None:
    seen: dict[str, list[Any]] = {}

    def own(asset: str, partitions: str) -> dg.AssetsDefinition:
        def reader(rows) -> None:
            read = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
            read = read.collect() if isinstance(read, pl.LazyFrame) else read
            seen[asset] = sorted((row["file_path"], row["start_line"]) for row in pl.DataFrame(read).to_dicts())

        reader.__annotations__["rows"] = shape
        return dg.asset(
            name=f"own_{asset}",
            ins={
                "rows": dg.AssetIn(
                    asset, input_manager_key="lancedb_io_manager", metadata={"columns": ["start_line", "file_path"]}
                )
            },
            partitions_def=dg.DynamicPartitionsDefinition(name=partitions),
        )(reader)

    assets = [own("parsed_chunks", "file_hash"), own("chunk_vectors", "embedding_batch")]
    definitions = dg.Definitions.merge(build_defs(), dg.Definitions(assets=assets))
    files = _files(folder)
    store = IndexStore(folder.tables_dir)
    assert _materialize(definitions, "own_parsed_chunks", partition_key=files["app/greeting.py"]).success
    expected = [
        (row["file_path"], row["start_line"])
        for row in store.chunks.read().to_pylist()
        if row["file_path"] == "app/greeting.py"
    ]
    assert seen["parsed_chunks"] == sorted(expected)
    assert _materialize(definitions, "own_chunk_vectors", partition_key="00000001").success
    assert len(seen["chunk_vectors"]) == store.vectors.count()


def test_inputs_are_whole_tables_of_the_index(folder: IndexFolder) -> None:
    seen: dict[str, pl.DataFrame] = {}

    @dg.asset(
        ins={
            asset: dg.AssetIn(input_manager_key="lancedb_io_manager", partition_mapping=dg.AllPartitionMapping())
            for asset in _INDEX_ASSETS
        }
    )
    def reader(source_files: pl.DataFrame, parsed_chunks: pl.DataFrame, chunk_vectors: pl.DataFrame) -> None:
        seen.update(source_files=source_files, parsed_chunks=parsed_chunks, chunk_vectors=chunk_vectors)

    assert _materialize(dg.Definitions.merge(build_defs(), dg.Definitions(assets=[reader])), "reader").success
    store = IndexStore(folder.tables_dir)
    assert seen["source_files"].height == store.files.read().num_rows == 6  # the index folder is one that is skipped
    assert set(seen["parsed_chunks"]["chunk_id"]) == set(store.chunks.read()["chunk_id"].to_pylist())
    assert set(seen["chunk_vectors"]["chunk_id"]) == set(store.vectors.read()["chunk_id"].to_pylist())


def test_a_partition_that_was_never_parsed_is_an_error_that_names_it(folder: IndexFolder) -> None:
    @dg.asset(
        ins={"parsed_chunks": dg.AssetIn(input_manager_key="lancedb_io_manager")},
        partitions_def=dg.DynamicPartitionsDefinition(name="file_hash"),
    )
    def reader(parsed_chunks: pl.DataFrame) -> None: ...

    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("file_hash", ["0123456789ab:new.py"])
    with pytest.raises(StoreError, match=r"no data for 1 of 1 partitions: 0123456789ab:new\.py"):
        _materialize(
            dg.Definitions.merge(build_defs(), dg.Definitions(assets=[reader])),
            "reader",
            partition_key="0123456789ab:new.py",
        )


@pytest.mark.parametrize(
    ("name", "metadata", "table"),
    [
        *((table, {}, table) for table in ("files", "chunks", "vectors", "retired_vectors", "embedding_errors")),
        # An asset of this name is there: Dagster refuses another one.
        ("own", {"table": "references"}, "references"),
    ],
)
def test_no_asset_can_write_over_a_table_of_the_index(
    folder: IndexFolder, name: str, metadata: dict[str, str], table: str
) -> None:
    before = IndexStore(folder.tables_dir).upkeep.versions()

    @dg.asset(name=name, metadata=metadata, io_manager_key="lancedb_io_manager")
    def own() -> pa.Table:
        return pa.table({"a": [1]})

    with pytest.raises(StoreError, match=f"'{table}' is the index's own: name another one in the metadata 'table'"):
        _materialize(dg.Definitions.merge(build_defs(), dg.Definitions(assets=[own])), name)
    assert IndexStore(folder.tables_dir).upkeep.versions() == before


def test_a_code_location_of_its_own_finds_the_tables_of_the_index(folder: IndexFolder) -> None:
    seen: list[int] = []
    assert _materialize(build_defs(), "language_figures").success

    @dg.asset(ins={"parsed_chunks": dg.AssetIn(metadata={"table": "chunks", "columns": ["chunk_id"]})})
    def counted(parsed_chunks: pl.LazyFrame, language_figures: pl.DataFrame) -> pl.DataFrame:
        seen.append(language_figures.height)
        return parsed_chunks.select(chunks=pl.len()).collect()

    inputs = [dg.AssetSpec("parsed_chunks"), dg.AssetSpec("language_figures")]
    own = dg.Definitions(assets=[counted, *inputs], resources={"io_manager": LanceDBIOManager()})
    assert _materialize(own, "counted").success
    assert seen == [4]
    assert _table(folder, "counted").to_dicts() == [{"chunks": IndexStore(folder.tables_dir).chunks.count()}]


def test_without_an_index_the_error_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_REPOSITORY", str(tmp_path))

    @dg.asset
    def own() -> pa.Table:
        return pa.table({"a": [1]})

    with pytest.raises(IndexMissingError, match="Run `code-index index"):
        dg.materialize([own], resources={"io_manager": LanceDBIOManager()})
    assert not list(tmp_path.iterdir())
