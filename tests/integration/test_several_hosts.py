"""Several hosts embed one index: they give vectors to a shared library, and one run takes them from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import dagster as dg
import numpy as np
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.index.locks import Phase, hold
from code_index.index.vector_sources import MODEL, vector_sources
from code_index.sharing.vector_library import VectorLibrary
from indexing_assets.automation import pending_look
from indexing_assets.automation.pending_look import PendingLook
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.cli.main import cli
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, LIBRARY_VECTORS, UNNAMED
from indexing_assets.runs.partitions import keys_of_run
from indexing_assets.runs.planning import Wanted, batches_given, wanted_partitions
from indexing_assets.runs.pools import prepare_pools
from resources.index_resource import IndexResource
from tests.conftest import write_files
from tests.fakes import Faulty, GivenEmbedder, give, refusing
from tests.waiting import wait_until

_HOSTS = 3
_FILES = 24  # of one chunk
_BATCHES = _FILES // 2
_EMBED, _SHARE = "embed_chunks_job", "embed_for_library_job"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a library that all hosts reach."""
    place = tmp_path / "library"
    place.mkdir()
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", str(place))
    monkeypatch.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_HOSTS", str(_HOSTS))
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_BATCH_CHUNKS", "2")
    return place


def _module(number: int) -> dict[str, str | bytes]:
    return {f"module_{number:02}.py": f"def works_{number}():\n    return {number}\n"}


class _Hosts:
    """A parsed index, and hosts that are asked for by hand."""

    def __init__(self, root: Path) -> None:
        for number in range(_FILES):
            write_files(root, _module(number))
        self.root = root
        self.embedder = give(Faulty())
        self.pipeline = Pipeline(resolve_index_folder(root), embedder=GivenEmbedder())
        self.index, self.store = self.pipeline.index, self.pipeline.store
        self.cursor = SensorCursor()
        self.parse()

    def parse(self) -> None:
        assert self.pipeline.scan().error is None
        assert self.pipeline.parse().error is None

    def look(self) -> dict[str, list[list[str]]]:
        """One look: the keys of each run that it asks for, by job."""
        resource = IndexResource(repository_root=str(self.root))
        look = PendingLook(self.index.instance, resource, GivenEmbedder(), UNNAMED, several_hosts=True)
        found = look.take(self.cursor)
        self.cursor, self.requests, self.reason = found.cursor, list(found.requests), found.reason
        asked: dict[str, list[list[str]]] = {}
        for request in found.requests:
            asked.setdefault(str(request.job_name), []).append(self.keys(request))
        return asked

    def keys(self, request: dg.RunRequest) -> list[str]:
        return keys_of_run(request.tags, self.index.partition_keys(CHUNK_VECTORS))

    def run(self, *requests: dg.RunRequest) -> list[str | None]:
        return [self.pipeline.run_request(request).error for request in requests]

    def start(self, request: dg.RunRequest) -> dg.DagsterRun:
        """Have a run under way on another host."""
        job = build_defs({"index": IndexResource(repository_root=str(self.root))}, indexes=[UNNAMED])
        return self.index.instance.create_run_for_job(
            job.resolve_job_def(str(request.job_name)), tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED
        )

    def given(self) -> set[str]:
        return batches_given(self.index, self.embedder.model_id)

    def check_complete(self) -> None:
        """Every chunk has the vector of its text, once."""
        chunks = self.store.chunks.read(["chunk_id"])["chunk_id"].to_pylist()
        vectors = self.store.vectors.read(["chunk_id", "vector"])
        assert sorted(vectors["chunk_id"].to_pylist()) == sorted(chunks)
        assert self.index.materialized_keys(CHUNK_VECTORS) >= set(self.index.partition_keys(CHUNK_VECTORS))
        assert self.look() == {}


@pytest.fixture
def hosts(tmp_path: Path, library: Path) -> Iterator[_Hosts]:
    one = _Hosts(tmp_path / "repository")
    with one.pipeline:
        yield one


def test_batches_are_cut_into_a_run_for_each_host_and_one_run_takes_all_vectors_without_the_model(
    hosts: _Hosts, library: Path
) -> None:
    asked = hosts.look()
    assert asked.keys() == {_SHARE}
    assert [len(keys) for keys in asked[_SHARE]] == [_BATCHES // _HOSTS] * _HOSTS
    assert sorted(key for keys in asked[_SHARE] for key in keys) == sorted(hosts.index.partition_keys(CHUNK_VECTORS))
    assert hosts.run(*hosts.requests) == [None] * _HOSTS
    assert len(set(hosts.embedder.asked)) == len(hosts.embedder.asked) == _FILES
    assert hosts.store.vectors.count() == 0
    hosts.embedder.asked.clear()
    assert [len(keys) for keys in hosts.look()[_EMBED]] == [_BATCHES]
    assert hosts.run(*hosts.requests) == [None]
    assert hosts.embedder.asked == []
    assert vector_sources(hosts.index.folder, hosts.embedder.model_id) == {str(library): _FILES}
    hosts.check_complete()


def test_a_model_goes_on_while_a_gift_takes_long(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_CHECKPOINT_CHUNKS", "2")
    given, groups_embedded = VectorLibrary.give, []
    with (hosts := _Hosts(tmp_path / "repository")).pipeline:

        def give_slowly(*arguments: object, **options: object) -> None:
            least = min(_FILES // _HOSTS, 2 * len(groups_embedded) + 6)  # two groups more than are given
            wait_until(lambda: len(hosts.embedder.asked) >= least, "the model to go on")
            groups_embedded.append(len(hosts.embedder.asked))
            given(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(VectorLibrary, "give", give_slowly)
        hosts.look()
        assert hosts.run(hosts.requests[0]) == [None]
        assert len(groups_embedded) == _BATCHES // _HOSTS
        assert len(hosts.given()) == _BATCHES // _HOSTS


def test_a_page_tells_the_host_and_the_run_of_each_batch(hosts: _Hosts) -> None:
    hosts.look()
    hosts.run(hosts.requests[0])
    for key in hosts.keys(hosts.requests[0]):
        (record,) = hosts.index.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(LIBRARY_VECTORS), asset_partitions=[key]), limit=10
        ).records
        assert record.asset_materialization is not None
        assert record.asset_materialization.metadata["chunks"].value == 2
        assert record.asset_materialization.metadata["host"].value
        assert record.run_id in {run.run_id for run in hosts.index.instance.get_runs()}


def test_vectors_are_taken_while_others_are_at_work_once_there_are_many(
    hosts: _Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_look, "_MOST_BATCHES", _BATCHES // _HOSTS)
    hosts.look()
    first, second, third = hosts.requests
    started = hosts.start(second)
    hosts.start(third)
    keys = {request.run_key: hosts.keys(request) for request in hosts.requests}
    hosts.run(first)
    asked = hosts.look()
    assert asked == {_EMBED: [keys[first.run_key]]}
    assert hosts.run(*hosts.requests) == [None]
    assert hosts.store.vectors.count() == len(keys[first.run_key]) * 2
    assert [hosts.keys(second), hosts.keys(third)] == [keys[second.run_key], keys[third.run_key]], "they are started"
    assert hosts.look() == {}
    assert hosts.reason == "2 runs embed for the library; the next look follows what they give."
    hosts.index.instance.report_run_failed(started, "its host lost power")
    assert hosts.look() == {_SHARE: [keys[second.run_key][:2], keys[second.run_key][2:]]}


def test_a_run_that_was_killed_leaves_what_it_gave_and_the_rest_is_asked_for_again(
    hosts: _Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_CHECKPOINT_CHUNKS", "2")
    hosts.look()
    give_all, calls = VectorLibrary.give, []

    def dies(self, *arguments, **options) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        give_all(self, *arguments, **options)

    monkeypatch.setattr(VectorLibrary, "give", dies)
    with pytest.raises(KeyboardInterrupt):
        hosts.run(hosts.requests[0])
    monkeypatch.setattr(VectorLibrary, "give", give_all)
    assert len(hosts.given()) == 2
    asked = hosts.look()
    left = {key for keys in asked[_SHARE] for key in keys}
    assert left == set(hosts.index.partition_keys(CHUNK_VECTORS)) - hosts.given()
    assert hosts.run(*hosts.requests) == [None] * _HOSTS
    hosts.look()
    assert hosts.run(*hosts.requests) == [None]
    hosts.check_complete()


def test_a_text_that_fails_is_tried_by_both_and_kept_with_its_reason_by_one(hosts: _Hosts) -> None:
    hosts.embedder = give(Faulty(refusing("works_7(")))
    hosts.look()
    errors = [error for error in hosts.run(*hosts.requests) if error is not None]
    assert len(errors) == 1
    assert "the text contains 'works_7('" in errors[0]
    assert hosts.given() == set(hosts.index.partition_keys(CHUNK_VECTORS)), "it was tried"
    (failed,) = wanted_partitions(hosts.index, LIBRARY_VECTORS, Wanted.failed, lambda: hosts.embedder.model_id)
    hosts.embedder.asked.clear()
    hosts.look()
    (error,) = hosts.run(*hosts.requests)
    assert error is not None
    assert "the text contains 'works_7('" in error
    assert len(hosts.embedder.asked) == 1
    assert hosts.store.errors.read(hosts.embedder.model_id).num_rows == 1
    assert hosts.look() == {}, "it lasts"
    hosts.embedder = give(Faulty())
    assert hosts.pipeline.run_partitions(LIBRARY_VECTORS, lambda _: [failed], force=False).error is None
    assert hosts.pipeline.run_partitions(CHUNK_VECTORS, lambda _: [failed], force=False).error is None
    hosts.check_complete()


def test_an_edit_between_a_host_and_the_commit_costs_what_was_edited(hosts: _Hosts) -> None:
    hosts.look()
    shares = hosts.requests
    assert hosts.run(*shares) == [None] * _HOSTS
    write_files(hosts.root, {"module_03.py": "def edited():\n    return 'after'\n"})
    (hosts.root / "module_04.py").unlink()
    (hosts.root / "module_05.py").unlink()
    hosts.parse()
    hosts.embedder.asked.clear()
    hosts.look()
    assert hosts.run(*hosts.requests) == [None]
    assert ["edited" in text for text in hosts.embedder.asked] == [True]
    hosts.check_complete()


def test_an_edit_while_hosts_are_at_work_moves_none_of_their_batches(hosts: _Hosts) -> None:
    hosts.look()
    started = [hosts.start(request) for request in hosts.requests]
    keys = [hosts.keys(request) for request in hosts.requests]
    for number in (3, 4, 5):
        (hosts.root / f"module_{number:02}.py").unlink()
    hosts.parse()
    assert [hosts.keys(request) for request in hosts.requests] == keys
    for run, request in zip(started, list(hosts.requests), strict=True):
        hosts.index.instance.report_run_failed(run, "only this test's")
        assert hosts.run(request) == [None]
    hosts.look()
    assert hosts.run(*hosts.requests) == [None]
    hosts.check_complete()


def test_as_many_runs_are_let_through_as_there_are_hosts_until_somebody_says_otherwise(hosts: _Hosts) -> None:
    storage = hosts.index.instance.event_log_storage
    prepare_pools(hosts.index.instance, hosts.index.settings)
    limits = {limit.name: limit.limit for limit in storage.get_pool_limits()}
    assert (limits["code_index_library"], limits["code_index_embed"]) == (_HOSTS, 1)
    storage.set_concurrency_slots("code_index_library", 8)
    prepare_pools(hosts.index.instance, hosts.index.settings)
    assert {limit.name: limit.limit for limit in storage.get_pool_limits()}["code_index_library"] == 8


def test_few_batches_are_embedded_by_one_run(hosts: _Hosts) -> None:
    hosts.pipeline.embed()
    write_files(hosts.root, _module(90) | _module(91) | _module(92))
    hosts.parse()
    asked = hosts.look()
    assert asked.keys() == {_EMBED}
    assert hosts.run(*hosts.requests) == [None]
    hosts.check_complete()


def test_a_host_takes_no_lock_of_the_index(hosts: _Hosts) -> None:
    hosts.look()
    with hold(hosts.index.folder.locks, Phase.EMBED), hold(hosts.index.folder.locks, Phase.PARSE):
        assert hosts.run(hosts.requests[0]) == [None]


def test_a_library_that_cannot_be_written_fails_the_run_and_not_in_silence(
    hosts: _Hosts, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.look()

    def refuse(self, *arguments, **options) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(VectorLibrary, "give", refuse)
    (error,) = hosts.run(hosts.requests[0])
    assert error is not None
    assert "shared_libraries" in error
    assert hosts.given() == set()
    again = hosts.look()
    assert again == {}
    assert "was asked for 1 times" in hosts.reason


def test_another_models_vectors_are_embedded_again_by_the_hosts(hosts: _Hosts) -> None:
    hosts.look()
    hosts.run(*hosts.requests)
    hosts.embedder, hosts.cursor = give(_Other()), SensorCursor()
    assert sum(map(len, hosts.look()[_SHARE])) == _BATCHES


class _Other(Faulty):
    @property
    def model_id(self) -> str:
        return "another"


def test_vectors_of_both_ways_are_the_same(hosts: _Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.look()
    hosts.run(*hosts.requests)
    hosts.look()
    hosts.run(*hosts.requests)
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_HOSTS", "1")
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", "")
    alone = _Hosts(tmp_path / "alone")
    with alone.pipeline:
        assert alone.pipeline.embed().error is None
        assert vector_sources(alone.index.folder, alone.embedder.model_id) == {MODEL: _FILES}
        columns = ["chunk_id", "file_path", "start_line", "text_hash", "embedding_model", "vector"]
        tables = [one.store.vectors.read(columns).sort_by("chunk_id") for one in (hosts, alone)]
    assert tables[0].drop(["vector"]).equals(tables[1].drop(["vector"]))
    np.testing.assert_array_equal(*(np.array(table["vector"].to_pylist()) for table in tables))


def test_a_command_materializes_the_asset_where_it_is_and_says_where_not(
    hosts: _Hosts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(["materialize", LIBRARY_VECTORS, str(hosts.root)], standalone_mode=False)
    assert f"{LIBRARY_VECTORS}: {_BATCHES} of {_BATCHES} partitions ran" in capsys.readouterr().out
    cli(["materialize", LIBRARY_VECTORS, str(hosts.root)], standalone_mode=False)
    assert f"{LIBRARY_VECTORS}: nothing is missing" in capsys.readouterr().out
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_HOSTS", "1")
    with pytest.raises(click.ClickException, match="set embedding_hosts"):
        cli(["materialize", LIBRARY_VECTORS, str(hosts.root)], standalone_mode=False)
