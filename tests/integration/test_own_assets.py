"""Assets of a user on the index: the page docs/own-assets.md runs as written, and keeps what it promises."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
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
_MODULE, _PARTITIONED = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
_INDEX_ASSETS = ["source_files", "parsed_chunks", "chunk_vectors"]


@pytest.fixture
def folder(
    small_repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, Mapping[str, str | bytes]], None],
) -> IndexFolder:
    """A whole index, which the environment names."""
    branches = "".join(f"    if number == {number}:\n        return {number}\n" for number in range(12))
    write(small_repository, {"app/bare.py": f"def bare(number):\n{branches}    return number\n"})
    folder = resolve_index_folder(small_repository)
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    for name, value in folder.environment().items():
        monkeypatch.setenv(name, value)
    with Pipeline(folder, embedder=EmbedderResource(model="deterministic")) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return folder


def _own_module(*blocks: str) -> dict[str, Any]:
    """What a module with these parts of the page defines."""
    module: dict[str, Any] = {"__name__": "own_assets"}
    for block in blocks:
        exec(compile(block, "own_assets.py", "exec", dont_inherit=True), module)  # with its own imports only
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
    (tmp_path / "own_assets.py").write_text(_MODULE, encoding="utf-8")
    (command,) = re.findall(r"^dagster (asset materialize .*)$", _PAGE, re.MULTILINE)
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


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # `backfill_policy`
def test_the_partitioned_asset_of_the_page_keeps_partitions_apart(folder: IndexFolder) -> None:
    module = _own_module(_MODULE, _PARTITIONED)
    definitions = dg.Definitions.merge(module["defs"], dg.Definitions(assets=[module["complex_functions"]]))
    ends = {"dagster/asset_partition_range_start": "python", "dagster/asset_partition_range_end": "typescript"}
    assert _materialize(definitions, "complex_functions", tags=ends).success
    assert _materialize(definitions, "complex_functions", partition_key="typescript").success
    rows = _table(folder, "complex_functions")
    assert rows.select("language", "function_name").rows() == [("python", "bare")]


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


def test_some_partitions_of_a_table_without_their_keys_are_refused(folder: IndexFolder) -> None:
    @dg.asset(
        ins={
            "parsed_chunks": dg.AssetIn(
                input_manager_key="lancedb_io_manager", partition_mapping=dg.LastPartitionMapping()
            )
        }
    )
    def reader(parsed_chunks: pl.DataFrame) -> None: ...

    with pytest.raises(StoreError, match="has no 'partition_expr'"):
        _materialize(dg.Definitions.merge(build_defs(), dg.Definitions(assets=[reader])), "reader")


@pytest.mark.parametrize("name", ["files", "chunks", "vectors", "retired_vectors", "embedding_errors"])
def test_no_asset_can_write_over_a_table_of_the_index(folder: IndexFolder, name: str) -> None:
    before = IndexStore(folder.tables_dir).upkeep.versions()

    @dg.asset(name=name, io_manager_key="lancedb_io_manager")
    def own() -> pa.Table:
        return pa.table({"a": [1]})

    with pytest.raises(StoreError, match=f"'{name}' is the index's own: name another one in the metadata 'table'"):
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
