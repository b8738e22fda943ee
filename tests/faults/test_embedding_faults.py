"""The model fails in every way that it can: what it gave before stays, the rest is named, tried again, or left alone.

All through the pipeline. What the embedder itself does about memory and single texts is in
`tests/unit/embedding/test_embedder.py`; a poisoned text that an edit or a repaired model heals in `test_pipeline.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from code_index.core import embedding_text
from code_index.core.errors import EmbeddingError, ModelError, StoreError
from code_index.embedding.backend import DeviceLostError, TransientReason
from code_index.embedding.embedder import EmbeddingResult
from code_index.index.contents import failed_chunks
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import search
from code_index.tables.vectors import VectorRows
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.live_runs import RETRY_LASTING_TAG
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.runs.planning import batches_to_embed, transient_failures_due
from tests.fakes import Fault, Faulty, GivenEmbedder, give
from tests.faults.harness import findings, fresh_state, small_steps, write_repository
from tests.indexed_copies import copy_indexed
from tests.waiting import PATIENCE_S, wait_until

VECTORS = dg.AssetKey("chunk_vectors")
_POISON = "function_3_2"  # one chunk of 60


@pytest.fixture
def embedder() -> Faulty:
    return give(Faulty())


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that is scanned and parsed: 60 chunks in 6 batches wait for their vectors."""
    root = write_repository(tmp_path_factory.mktemp("parsed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_steps({}).items():
            patch.setenv(name, value)
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse())] == [None, None]
    return root


@pytest.fixture
def pipeline(parsed: Path, embedder: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    root = copy_indexed(parsed, tmp_path / "repository")
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as opened:
        yield opened


def poisoned(make: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """A fault that spoils the vector of the one text."""

    def fault(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        vectors = result.vectors.copy()
        for at, text in enumerate(texts):
            if _POISON in text:
                vectors[at] = make(vectors[at])
        return replace(result, vectors=vectors)

    return fault


def refused(reason: str, *, text: str = _POISON) -> Fault:
    """A fault that gives that text a reason in place of a vector."""

    def fault(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        return replace(result, errors={at: reason for at, one in enumerate(texts) if text in one})

    return fault


def statuses(pipeline: Pipeline) -> dict[str, str]:
    """Batch to what Dagster shows."""
    keys = list(pipeline.instance.get_dynamic_partitions("embedding_batch"))
    found = (
        pipeline.instance.get_status_by_partition(VECTORS, keys, partitions_definition(UNNAMED, "chunk_vectors")) or {}
    )
    return {key: status.value if status is not None else "MISSING" for key, status in found.items()}


def batch_of(pipeline: Pipeline, function: str) -> str:
    (batch,) = pipeline.store.chunks.read(["embedding_batch_id"], f"function_name = '{function}'").to_pylist()
    return f"{batch['embedding_batch_id']:08d}"


def counts(pipeline: Pipeline) -> dict[str, int]:
    return {name: n for name, n in pipeline.store.statuses.count(pipeline.model_id).items() if n}


def assert_whole(pipeline: Pipeline, place: Path) -> None:
    assert not findings(pipeline.folder.repository_root, fresh_state(pipeline.folder.repository_root, place))


@pytest.mark.parametrize(
    "make",
    [
        lambda row: np.full_like(row, np.nan),
        lambda row: np.where(np.arange(row.size) == 5, np.float32(np.inf), row),
        lambda row: row * np.float32(3),
        lambda row: row * np.float32(0),
    ],
    ids=["nan", "infinity", "three times too long", "of no length"],
)
def test_a_vector_that_cannot_be_searched_fails_its_chunk_alone(
    pipeline: Pipeline, embedder: Faulty, make: Callable[[np.ndarray], np.ndarray]
) -> None:
    embedder.fault = poisoned(make)
    result = pipeline.embed()
    assert result.partial, result.error
    assert counts(pipeline) == {"complete": 59, "error": 1}
    [chunk] = failed_chunks(pipeline.store, pipeline.model_id)
    assert (chunk.qualified_name, chunk.reason.partition(" of length")[0]) == (_POISON, "the model gave a vector")
    failed = {key for key, status in statuses(pipeline).items() if status == "FAILED"}
    assert failed == {batch_of(pipeline, _POISON)}
    assert set(statuses(pipeline).values()) == {"FAILED", "MATERIALIZED"}
    assert len(search(pipeline.store, embedder, _POISON, limit=100)) == 60, "found by its words, the others as ever"


def _too_short(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
    return replace(result, vectors=result.vectors[:, :-1])


def _too_few(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
    return replace(result, vectors=result.vectors[:-1])


def _all_nan(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
    return replace(result, vectors=result.vectors * np.float32(np.nan))


@pytest.mark.parametrize("fault", [_too_short, _too_few, _all_nan])
def test_a_model_whose_answers_are_all_unusable_fails_the_run_and_blames_no_text(
    pipeline: Pipeline, embedder: Faulty, fault: Fault
) -> None:
    embedder.fault = fault
    result = pipeline.embed()
    assert not result.partial
    assert pipeline.model_id in (result.error or "")
    assert "code-index resume" in (result.error or "")
    assert counts(pipeline) == {"pending": 60}
    assert not failed_chunks(pipeline.store, pipeline.model_id)


@pytest.mark.parametrize("error", [EmbeddingError("CUDA error: out of memory"), DeviceLostError("the GPU fell off")])
def test_a_model_that_breaks_in_the_middle_loses_nothing_and_is_gone_on_with(
    pipeline: Pipeline, embedder: Faulty, tmp_path: Path, error: EmbeddingError
) -> None:
    def breaks(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        if embedder.calls >= 3:
            raise error
        return result

    embedder.fault = breaks
    result = pipeline.embed()
    assert str(error) in (result.error or "")
    assert counts(pipeline) == {"complete": 40, "pending": 20}
    shown = statuses(pipeline)
    assert sorted(shown.values()) == ["FAILED"] * 2 + ["MATERIALIZED"] * 4
    assert not failed_chunks(pipeline.store, pipeline.model_id), "no text was to blame"

    embedder.fault = None
    embedder.asked.clear()
    again = pipeline.embed()
    assert (again.error, again.partitions) == (None, 2)
    assert len(embedder.asked) == 20
    assert_whole(pipeline, tmp_path)


def test_a_failure_that_may_pass_is_tried_again_by_the_next_index_and_one_that_lasts_is_not(
    pipeline: Pipeline, embedder: Faulty
) -> None:
    embedder.fault = refused("the text is poisoned")
    assert pipeline.embed().partial
    embedder.asked.clear()
    assert pipeline.embed().partitions == 0
    assert embedder.asked == []

    embedder.fault = refused(TransientReason("out of memory (a single text of 9 tokens)"))
    assert pipeline.embed(retry_failed=True).partial
    embedder.fault = None
    embedder.asked.clear()
    assert pipeline.embed() == replace(_done, run_id=pipeline.instance.get_runs(limit=1)[0].run_id)
    assert len(embedder.asked) == 1
    assert counts(pipeline) == {"complete": 60}


_done = PhaseResult(partitions=1)


def test_automation_never_tries_again_what_failed_for_good_though_its_batch_runs_again(
    pipeline: Pipeline, embedder: Faulty
) -> None:
    other = "function_3_3"  # of the same file and batch
    assert batch_of(pipeline, other) == batch_of(pipeline, _POISON)
    lasting, passing = refused("the text is poisoned"), refused(TransientReason("out of memory"), text=other)
    embedder.fault = lambda texts, result: replace(
        result, errors={**lasting(texts, result).errors, **passing(texts, result).errors}
    )
    assert pipeline.embed().partial
    assert counts(pipeline) == {"complete": 58, "error": 2}
    store, instance, model_id = pipeline.store, pipeline.instance, pipeline.model_id

    # The sensor asks for neither, the schedule for the batch once the wait is over.
    assert batches_to_embed(pipeline.index, model_id, retry_transient=False) == []
    assert transient_failures_due(store, model_id, datetime.now(UTC))["chunk_vectors"] == []
    later = datetime.now(UTC) + timedelta(minutes=6)
    assert transient_failures_due(store, model_id, later)["chunk_vectors"] == [batch_of(pipeline, _POISON)]

    embedder.asked.clear()
    result = pipeline.embed()  # tagged as a run that nobody asked for
    assert instance.get_runs(limit=1)[0].tags[RETRY_LASTING_TAG] == "false"
    assert [other in text for text in embedder.asked] == [True]
    assert result.partial
    embedder.fault = lasting
    embedder.asked.clear()
    result = pipeline.embed()
    assert [other in text for text in embedder.asked] == [True]
    assert "the text is poisoned" in (result.error or ""), "the batch is not whole, and must not show as if it were"
    assert statuses(pipeline)[batch_of(pipeline, _POISON)] == "FAILED"
    assert counts(pipeline) == {"complete": 59, "error": 1}
    assert pipeline.embed().partitions == 0
    assert transient_failures_due(store, model_id, later + timedelta(days=9))["chunk_vectors"] == []


@pytest.mark.parametrize("what", ["another model", "another recipe for texts"])
def test_poisoned_chunks_recover_by_themselves_with_a_new_model_or_new_code(
    pipeline: Pipeline, embedder: Faulty, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    embedder.fault = refused("the text is poisoned")
    assert pipeline.embed().partial
    embedder.fault = None
    if what == "another model":
        monkeypatch.setattr(Faulty, "model_id", "better-64;text=2")
    else:
        version = embedding_text.TEXT_RECIPE_VERSION
        monkeypatch.setitem(embedding_text._VERSIONS, embedding_text.TextRecipe.FULL, f"{version}+1")
    result = pipeline.embed()
    assert result.error is None
    assert counts(pipeline) == {"complete": 60}
    assert not failed_chunks(pipeline.store, pipeline.model_id)
    assert set(statuses(pipeline).values()) == {"MATERIALIZED"}


def test_a_failed_batch_whose_poisoned_file_is_deleted_shows_as_done_without_a_model_call(
    pipeline: Pipeline, embedder: Faulty, tmp_path: Path
) -> None:
    embedder.fault = refused("the text is poisoned")
    assert pipeline.embed().partial
    (pipeline.folder.repository_root / "module_03.py").unlink()
    embedder.asked.clear()
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    assert embedder.asked == []
    assert set(statuses(pipeline).values()) == {"MATERIALIZED"}
    assert pl.DataFrame(pipeline.store.errors.read()).is_empty()
    assert_whole(pipeline, tmp_path)


def test_a_model_that_vanishes_between_the_phases_is_named_and_nothing_is_lost(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "models" / "mine"
    monkeypatch.setenv("CODE_INDEX_MODEL", str(gone))
    with Pipeline(pipeline.folder) as without, pytest.raises(ModelError, match=str(gone)):
        without.embed()
    _broken_model(gone)
    with Pipeline(pipeline.folder) as broken, pytest.raises(ModelError, match=str(gone)):
        broken.embed()
    assert counts(pipeline) == {"pending": 60}
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    assert pipeline.embed().error is None
    assert_whole(pipeline, tmp_path)


def _broken_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "modules.json").write_text("[{", encoding="utf-8")
    (folder / "config.json").write_bytes(b"\x00" * 64)


# --- the model beside the tables


def test_the_model_works_on_the_next_group_while_one_is_stored(
    pipeline: Pipeline, embedder: Faulty, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun = threading.Event()
    in_time = []

    def next_group(_texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        if embedder.calls == 2:
            begun.set()
        return result

    def add_late(rows: VectorRows, table: pa.Table) -> None:
        in_time.append(begun.wait(PATIENCE_S))
        add(rows, table)

    add = VectorRows.add
    embedder.fault = next_group
    monkeypatch.setattr(VectorRows, "add", add_late)
    assert pipeline.embed().error is None
    assert all(in_time)
    assert_whole(pipeline, tmp_path)


def test_a_text_in_two_neighbouring_groups_is_embedded_once(pipeline: Pipeline, embedder: Faulty) -> None:
    same = "def again(x):\n    return x\n\n\n"
    between = "".join(f"def between_{number}(x):\n    return x + {number}\n\n\n" for number in range(19))
    (pipeline.folder.repository_root / "twice.py").write_text(same + between + same, encoding="utf-8")
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    rows = pipeline.store.chunks.read(["embedding_batch_id"], "function_name = 'again'").to_pylist()
    assert len({row["embedding_batch_id"] for row in rows}) == 2
    assert sum("def again(" in text for text in embedder.asked) == 1
    assert counts(pipeline) == {"complete": 81}


def test_a_run_that_ends_ends_the_model_too(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Faulty):
        """Works on its second group until it is told to stop."""

        def embed_documents_detailed(self, texts, names, *, progress):
            result = super().embed_documents_detailed(texts, names)
            if self.calls == 2:
                begun.set()
                with pytest.raises(CancelledError):
                    wait_until(lambda: progress(0), "the run tells the model to stop")
                stopped.append(True)
            return result

    def refuse(_rows: VectorRows, _table: pa.Table) -> None:
        assert begun.wait(PATIENCE_S)
        raise StoreError("no space left")

    begun = threading.Event()
    stopped: list[bool] = []
    give(Endless())
    with monkeypatch.context() as patch:
        patch.setattr(VectorRows, "add", refuse)
        assert "no space left" in str(pipeline.embed().error)
    assert stopped == [True]
    give(Faulty())
    assert pipeline.embed().error is None
