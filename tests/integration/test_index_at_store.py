"""An index of a deployment whose tables are at a store and whose locks are in PostgreSQL: the same rows as on one machine."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner
from lancedb.table import LanceTable
from polars.testing import assert_frame_equal

from code_index import Index, Indexes
from code_index.core import object_stores
from code_index.core.addresses import Bucket
from code_index.core.errors import IndexMissingError, StoreError, UsageError
from code_index.core.object_stores import be_patient
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.locks import Phase, hold, holders
from code_index.index.server_locks import POSTGRES_VARIABLE
from code_index.serving.mcp.definitions import Served
from code_index.serving.mcp.tools import Tools
from code_index.tables import IndexStore, lance_tables
from code_index.tables.table_upkeep import TableUpkeep
from indexing_assets.checks import Subject, evaluate
from indexing_assets.cli.main import cli
from indexing_assets.definitions import build_defs
from indexing_assets.runs import live_runs
from indexing_assets.runs.index_names import IndexNames
from indexing_assets.runs.open_index import open_index
from indexing_assets.runs.partitions import range_tags
from resources.index_resource import IndexResource
from tests.contract.rows import chunk_rows
from tests.object_store import ObjectStore, without_conditions
from tests.postgres_server import PostgresServer, running_server
from tests.waiting import PATIENCE_S, wait_until

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TIMES_AND_RUNS = {"mtime_ns", "parsed_at", "updated_at", "embedded_at", "run_id", "created_at"}


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server for the locks."""
    with running_server() as server:
        yield server


@pytest.fixture
def deployment(
    tmp_path: Path,
    postgres: PostgresServer,
    object_store: ObjectStore,
    make_small_repository: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Two indexes of one repository: `there` at a store, whose address this is, and `here`."""
    repository = make_small_repository(tmp_path / "repository")
    address = object_store.new_place(monkeypatch)
    path = tmp_path / "deployment.toml"
    path.write_text(
        f'[indexes.there]\nrepository = "{repository}"\ntables = "{address}"\n\n'
        f'[indexes.here]\nrepository = "{repository}"\nindex_dir = "{tmp_path / "here"}"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(path))
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(POSTGRES_VARIABLE, postgres.url.format("postgres"))
    return address


def _indexed(name: str, instance: dg.DagsterInstance) -> None:
    definitions = build_defs()
    assert definitions.resolve_job_def(f"{name}_scan_source_files_job").execute_in_process(instance=instance).success
    for job, keys in (("parse_chunks_job", "file_hash"), ("embed_chunks_job", "embedding_batch")):
        partitions = instance.get_dynamic_partitions(f"{name}_{keys}")
        if partitions:
            run = definitions.resolve_job_def(f"{name}_{job}")
            assert run.execute_in_process(instance=instance, tags=range_tags(partitions)).success


def _rows(store: IndexStore) -> dict[str, pl.DataFrame]:
    found = {
        "files": pl.DataFrame(store.files.read()),
        "chunks": pl.DataFrame(store.chunks.read()),
        "vectors": pl.DataFrame(store.vectors.read()),
        "references": pl.DataFrame(store.references.read()),
    }
    kept = {name: rows.drop(_TIMES_AND_RUNS & set(rows.columns)) for name, rows in found.items()}
    return {name: rows.sort(rows.columns[:2], maintain_order=True) for name, rows in kept.items()}


def test_rows_are_those_of_a_local_index_also_after_edits(deployment: str, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        for name in ("here", "there"):
            _indexed(name, instance)
        index = open_index(instance, IndexResource(), IndexNames("there"))
        assert index.store.vectors.count() == index.store.chunks.count() > 5
        (tmp_path / "repository/app/greeting.py").write_text("def wave():\n    return 'o/'\n", encoding="utf-8")
        shutil.rmtree(tmp_path / "repository/web")
        for name in ("here", "there"):
            _indexed(name, instance)
        there, here = _rows(index.store), _rows(open_index(instance, IndexResource(), IndexNames("here")).store)
        assert there.keys() == here.keys()
        for name, rows in there.items():
            assert_frame_equal(rows, here[name])
        outcomes = list(evaluate(Subject(index, encoder=DeterministicEmbedder)))
    assert outcomes
    assert [(one.name, one.description) for one in outcomes if not one.passed] == []
    assert not list(tmp_path.glob("cache/user-*/indexes/*/tables")), "this machine keeps no table"


def test_an_index_at_a_store_is_searched_by_its_address(deployment: str, tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match=f"There is no index at {deployment} yet"):
        Index.open(deployment)
    unmade = Tools(Served((deployment,), command=("code-index", "index"))).answer("search", {"query": "greet"})
    assert unmade.text.endswith("It is only read here: the runs of its deployment make it. Until then, use grep.")
    with dg.instance_for_test() as instance:
        _indexed("there", instance)
    shutil.rmtree(tmp_path / "repository")
    index = Index.open(deployment)
    answer = Indexes((index,)).ask("greet a person by name", limit=1)
    assert [(hit.file_path, hit.qualified_name, hit.state, hit.repository) for hit in answer.hits] == [
        ("app/greeting.py", "greet", "current", deployment)
    ]
    assert answer.freshness[0].newer_count is None, "there is nothing here to compare with"
    assert index.symbol("Counter").hits[0].file_path == "app/greeting.py"
    assert index.outline("app/greeting.py").hits
    status = index.status()
    assert (status.repository_root, status.chunks["pending"], dict(status.holders)) == (deployment, 0, {})
    shown = CliRunner().invoke(cli, ["status", deployment])
    assert shown.exit_code == 0, shown.output
    lines = dict(line.split("  ", 1) for line in shown.output.splitlines())
    assert lines["Repository"].strip() == deployment
    assert lines["Index"].strip().startswith(f"{deployment} (")
    with pytest.raises(UsageError, match="searched without its repository"):
        index.search("greet", changed_since="HEAD")


def test_a_reader_sees_a_commit_of_another_machine(deployment: str, tmp_path: Path) -> None:
    with dg.instance_for_test() as instance:
        _indexed("there", instance)
        reader = Index.open(deployment)
        assert not reader.search("zebra", mode="lexical")
        (tmp_path / "repository/zebra.py").write_text("def zebra():\n    return 1\n", encoding="utf-8")
        _indexed("there", instance)
    wait_until(
        lambda: [hit.file_path for hit in reader.search("zebra", mode="lexical")] == ["zebra.py"], "the commit is seen"
    )


def test_the_phases_are_locked_at_postgresql(deployment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = IndexResource().folder("there")
    with hold(folder.locks, Phase.EMBED, run_id="a run"):
        held = holders(folder)
        assert {phase: who.run_id for phase, who in held.items()} == {"embed": "a run"}
    assert holders(folder) == {}
    monkeypatch.delenv(POSTGRES_VARIABLE)
    with pytest.raises(UsageError, match=f"Name it in {POSTGRES_VARIABLE}"), hold(folder.locks, Phase.EMBED):
        pass
    assert holders(folder) == {}


def test_an_index_is_not_begun_at_a_store_that_loses_commits(
    deployment: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_conditions(object_store) as url, dg.instance_for_test() as instance:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        scan = build_defs().resolve_job_def("there_scan_source_files_job")
        with pytest.raises(
            StoreError, match=r"loses writes: of 4 commits at once to .* for it does not keep If-None-Match"
        ):
            scan.execute_in_process(instance=instance)
        assert IndexResource().store("there").tables.names() == []


@pytest.fixture
def tables(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> IndexStore:
    """Empty tables at a store."""
    return _tables(object_store.new_place(monkeypatch))


def _tables(address: str) -> IndexStore:
    return IndexStore(Bucket(*address.removeprefix("s3://").split("/", maxsplit=1)))


def _written(index: IndexStore, files: int) -> list[str]:
    """Write 20 chunks of each file, in a commit each; returns all ids, sorted."""
    expected = []
    for file in range(files):
        ids = [f"{file}-{number}" for number in range(20)]
        expected += ids
        rows = chunk_rows(*((one, str(file)) for one in ids))
        index.chunks.replace([str(file)], rows, now=_NOW, is_only_writer=True)
    return sorted(expected)


def test_the_rest_of_a_table_is_read_again_after_a_fault_that_passes(
    tables: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _written(tables, 3)
    streams: list[Iterator[Any]] = []

    class Faulty:
        """A query of LanceDB whose streams end with a fault after the first batch, but for the third one."""

        def __init__(self, query: Any) -> None:
            self._query = query

        def offset(self, rows: int) -> Faulty:
            return Faulty(self._query.offset(rows))

        def to_batches(self, size: int) -> Iterator[Any]:
            streams.append(self._batches(self._query.to_batches(size), fails=len(streams) < 2))
            return streams[-1]

        def _batches(self, batches: Any, *, fails: bool) -> Iterator[Any]:
            for batch in batches:
                yield batch
                if fails:
                    tables.tables.delete("chunks", "file_path = '2'")  # somebody commits meanwhile
                    raise OSError("lance error: error sending request: connection refused")

    query = lance_tables._query
    monkeypatch.setattr(lance_tables, "_query", lambda *arguments: Faulty(query(*arguments)))
    batches = list(tables.chunks.iter_read(["chunk_id"], batch_size=7))
    assert sorted(one for batch in batches for one in batch.column("chunk_id").to_pylist()) == expected
    assert len(streams) == 3


def test_rows_whose_commit_got_no_answer_are_not_added_twice(
    tables: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.chunks.replace(["a"], chunk_rows(("1", "a")), now=_NOW)
    asked = []

    def without_answer(table: Any, rows: Any) -> Any:
        asked.append(rows)
        done = add(table, rows)
        if len(asked) == 1:
            raise OSError("error sending request: connection closed before message completed")
        return done

    add = LanceTable.add
    monkeypatch.setattr(LanceTable, "add", without_answer)
    tables.chunks.replace(["b"], chunk_rows(("2", "b"), ("3", "b")), now=_NOW, is_only_writer=True)
    tables.chunks.replace(["c"], chunk_rows(("4", "c")), now=_NOW, is_only_writer=True)
    assert sorted(tables.chunks.read(["chunk_id"]).column("chunk_id").to_pylist()) == ["1", "2", "3", "4"]
    assert len(asked) == 2


@pytest.fixture
def mortal_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ObjectStore, IndexStore]]:
    """A store that the test may kill, and tables there; calls wait for it for as long as a test may.

    LanceDB tries for about a minute by itself, after which it says that the store is away.
    """
    (tmp_path / "store").mkdir()
    with ObjectStore(tmp_path / "store") as store:
        address = store.new_place(monkeypatch)
        be_patient(PATIENCE_S)
        yield store, _tables(address)


@pytest.mark.long
def test_a_store_that_is_killed_while_a_table_is_read_loses_no_row_and_doubles_none(
    mortal_store: tuple[ObjectStore, IndexStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, index = mortal_store
    expected = _written(index, 40)  # a file of the table for each: few of them are read ahead
    queries = []

    def counted(*arguments: Any) -> Any:
        queries.append(arguments)
        return query(*arguments)

    query = lance_tables._query
    monkeypatch.setattr(lance_tables, "_query", counted)
    batches = index.chunks.iter_read(["chunk_id"], batch_size=10)
    found = next(batches).column("chunk_id").to_pylist()
    store.kill()

    def start() -> None:
        wait_until(lambda: len(queries) > 1, "the table is read again")
        store.start()

    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(start)
        found += [one for batch in batches for one in batch.column("chunk_id").to_pylist()]
        started.result()
    assert sorted(found) == expected


@pytest.mark.long
def test_the_upkeep_of_tables_waits_for_a_store_that_is_killed_in_each_of_its_steps(
    deployment: str, mortal_store: tuple[ObjectStore, IndexStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, index = mortal_store
    path = tmp_path / "deployment.toml"
    path.write_text(path.read_text("utf-8").replace(deployment, str(index.tables.where)), encoding="utf-8")
    missed = threading.Event()
    killed: list[str] = []

    def noticed(error: BaseException) -> bool:
        missed.set()
        return passes(error)

    passes = object_stores.passes
    monkeypatch.setattr(object_stores, "passes", noticed)
    monkeypatch.setattr(live_runs, "be_patient", lambda: None)  # `mortal_store` is more patient
    with dg.instance_for_test() as instance, ThreadPoolExecutor(1) as threads:
        _indexed("there", instance)
        before = _rows(index)

        def start() -> None:
            wait_until(missed.is_set, "the outage is noticed")
            store.start()

        def with_outage(step: str, action: Callable[..., Any]) -> Callable[..., Any]:
            def taken(*arguments: Any, **options: Any) -> Any:
                if step in killed:
                    return action(*arguments, **options)
                killed.append(step)
                missed.clear()
                store.kill()
                started = threads.submit(start)
                done = action(*arguments, **options)
                started.result()
                return done

            return taken

        for step in ("disk_bytes", "ensure_indexes", "optimize"):
            monkeypatch.setattr(TableUpkeep, step, with_outage(step, getattr(TableUpkeep, step)))
        assert build_defs().resolve_job_def("there_clean_index_job").execute_in_process(instance=instance).success
    assert killed == ["disk_bytes", "ensure_indexes", "optimize"]
    for name, rows in _rows(index).items():
        assert_frame_equal(rows, before[name])
    assert index.upkeep.unindexed_rows("chunks", "search_text") == 0
