"""One embedding run: which chunks it embeds, what it stores, and what it records.

Belongs here: the work over a range of batches. Does not belong here: the asset, its model and its checks
(`indexing_assets.assets.chunk_vectors`).
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.batching import checkpoint_groups
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.model import EmbeddingStatus
from code_index.core.partition_keys import batch_id_of, batch_partition_key
from code_index.core.quoting import printable
from code_index.embedding.embedder import Embedder, verified_result
from code_index.index.locks import Phase, check_held
from code_index.index.vector_sources import MODEL, THIS_INDEX, note_vectors
from code_index.sharing.libraries import Libraries
from code_index.tables.vectors import COPIED_COLUMNS, vector_rows
from indexing_assets.assets.embedded_rows import error_rows, known_vectors
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.live_runs import keys_of_unfinished_runs, retries_lasting, stop_if_ended
from indexing_assets.runs.materializations import log_materializations
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import embedding_identity, match_batch_partitions
from indexing_assets.runs.progress import Progress, report
from indexing_assets.runs.run_figures import VECTORS_FROM
from indexing_assets.upkeep.compaction import VECTOR_TABLES, PeriodicCompaction

# Chunks in the first checkpoint, before the rate is known.
_FIRST_CHECKPOINT_CHUNKS = 512
_LISTED = 5
_FEW_BATCHES = 1_000  # in one condition


@dataclass(slots=True)
class _Tally:
    """Counts of one run; `sources` those of its vectors, by where they came from."""

    started: float = field(default_factory=time.perf_counter)
    chunks: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    model_s: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    failed_chunks: int = 0

    @property
    def embedded(self) -> int:
        """Texts that the model embedded."""
        return self.sources[MODEL]

    @property
    def reused(self) -> int:
        """Chunks whose vector was there."""
        return self.sources.total() - self.embedded

    @property
    def rate(self) -> float:
        """Chunks per second of the whole run."""
        return self.chunks / max(time.perf_counter() - self.started, 1e-9)

    def metadata(self, embedder: Embedder) -> dict[str, Any]:
        return {
            "run_chunks": self.chunks,
            "run_embedded": self.embedded,
            "run_reused": self.reused,
            **{f"{VECTORS_FROM}{source}": count for source, count in self.sources.items()},
            "run_failed_chunks": self.failed_chunks,
            "chunks_per_s": round(self.rate, 1),
            "model_s": round(self.model_s, 2),
            "device": embedder.device,
            "model": embedder.model_id,
        }


@dataclass(slots=True)
class _Group:
    """The chunks of one commit.

    `hashes` names the text of each row. `missing` are the texts without a vector, by hash; the model adds theirs to
    `vector_of`, or says why not in `reasons`. `read` counts the run's chunks up to this group's last, and `sources` the vectors
    that each library gave.
    """

    batch_ids: Sequence[int]
    rows: list[dict[str, Any]]
    hashes: list[str]
    vector_of: dict[str, np.ndarray]
    missing: dict[str, EmbeddingInput]
    read: int
    sources: Counter[str]
    reasons: dict[str, str] = field(default_factory=dict)
    embedded: Future[None] = field(default_factory=Future)

    def reuse(self, before: "_Group") -> None:
        """Take vectors of texts that the group before has as well: they were not stored yet when this one was read."""
        known = {text_hash for text_hash in self.missing if text_hash in before.vector_of}
        self.vector_of |= {text_hash: before.vector_of[text_hash] for text_hash in known}
        self.missing = {text_hash: item for text_hash, item in self.missing.items() if text_hash not in known}


class EmbedRun:
    """One run over a range of batches."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        index: OpenIndex,
        embedder: Embedder,
        libraries: Libraries,
        *,
        recipe: str,
        force: bool,
    ) -> None:
        self.context = context
        self.index = index
        self.store = index.store
        self.embedder = embedder
        self.libraries = libraries
        self.recipe = recipe
        self.force = force
        # Asked for once: phase 1 may drop an empty batch meanwhile, and Dagster refuses a range without its end.
        self.batch_ids = [batch_id_of(key) for key in context.partition_keys]
        self.tally = _Tally()
        self._total = 0
        self._all_again = False
        self._read = 0
        self._ended = threading.Event()

    def retire_other_models(self) -> None:
        """Retire vectors of other models that an older program stored in this model's table."""
        for model, count in self.store.vectors.counts().items():
            if model != self.embedder.model_id:
                self.store.vectors.retire(now=datetime.now(UTC), model=model)
                self.context.log.info(
                    "Retired %d vectors of %s; the model is now %s.", count, model, self.embedder.model_id
                )

    def embed_batches(self) -> None:
        """Work through the run's batches, one checkpoint after the other."""
        batch_ids, settings = self.batch_ids, self.index.settings
        few = batch_ids if len(batch_ids) <= _FEW_BATCHES else None
        statuses = self.store.statuses.read(self.embedder.model_id, batches=few).filter(
            pl.col("embedding_batch_id").is_in(batch_ids)
        )
        todo = statuses if self.force else statuses.filter(pl.col("embedding_status") != EmbeddingStatus.COMPLETE.value)
        given_up = self._given_up()
        todo = todo.filter(~pl.col("chunk_id").is_in(list(given_up)))
        wanted: dict[int, list[str]] = dict(
            todo.group_by("embedding_batch_id", maintain_order=True).agg(pl.col("chunk_id")).iter_rows()
        )
        self._total = todo.height
        self._all_again = todo.height == self.store.chunks.count()
        self.context.log.info(
            "%d chunks to embed in %d of %d batches; the others have their vectors.",
            todo.height,
            len(wanted),
            len(batch_ids),
        )
        self._log_batches([batch_id for batch_id in batch_ids if batch_id not in wanted], given_up)

        remaining = [(batch_id, len(wanted[batch_id])) for batch_id in batch_ids if batch_id in wanted]
        bound = min(_FIRST_CHECKPOINT_CHUNKS, settings.checkpoint_chunks)
        compaction = PeriodicCompaction(self.store, VECTOR_TABLES)
        started = time.perf_counter()
        # The model works on one group while the one before is stored, and the next is read.
        waiting: deque[_Group] = deque()
        model = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        try:
            while remaining or waiting:
                if remaining:
                    group_ids = checkpoint_groups(remaining, max_chunks=bound)[0]
                    remaining = remaining[len(group_ids) :]
                    group = self._group(group_ids, [chunk_id for at in group_ids for chunk_id in wanted[at]])
                    group.embedded = model.submit(self._embed_missing, group, waiting[-1] if waiting else None)
                    waiting.append(group)
                    if remaining and len(waiting) == 1:
                        continue
                stored = self._finish(waiting.popleft(), given_up)
                seconds, started = max(time.perf_counter() - started, 1e-3), time.perf_counter()
                self._log_progress()
                if remaining:
                    compaction.after_commit()
                stop_if_ended(self.context)
                bound = max(1, min(settings.checkpoint_chunks, int(stored / seconds * settings.checkpoint_s)))
        finally:
            self._ended.set()
            model.shutdown(cancel_futures=True)

    def _given_up(self) -> dict[str, str]:
        """Chunks that this run does not retry, with the reason why they failed."""
        if self.force or retries_lasting(self.context.run):
            return {}
        errors = self.store.errors.read(self.embedder.model_id).select(["chunk_id", "error_message", "transient"])
        return {row["chunk_id"]: row["error_message"] for row in errors.to_pylist() if not row["transient"]}

    def drop_empty_batches(self) -> None:
        """Drop the keys of batches whose chunks another process removed meanwhile: it leaves them to this run."""
        others = keys_of_unfinished_runs(self.index, CHUNK_VECTORS, but=self.context.run.run_id)
        match_batch_partitions(self.index, kept=others)
        left = {batch_id_of(key) for key in self.index.partition_keys(CHUNK_VECTORS)}
        if gone := [batch_partition_key(batch_id) for batch_id in self.batch_ids if batch_id not in left]:
            self.context.log.info(
                "%d batches of this run have no chunks any more, for their files were edited or deleted; their "
                "partitions are gone: %s",
                len(gone),
                ", ".join(gone[:_LISTED]),
            )

    def _log_progress(self) -> None:
        tally = self.tally
        left_s = (self._total - tally.chunks) / max(tally.rate, 1e-9)
        self.context.log.info(
            "%d of %d chunks, %.0f chunks/s, about %.0f s left.", tally.chunks, self._total, tally.rate, left_s
        )

    def _group(self, batch_ids: Sequence[int], chunk_ids: Sequence[str]) -> _Group:
        """Read the chunks of one commit, and find the vectors that are known already."""
        # By batches, of which there are few: a condition with 10,000 ids takes longer than the reading.
        found = self.store.chunks.of_batches(batch_ids, sorted({"chunk_id", *EMBEDDED_FIELDS, *COPIED_COLUMNS}))
        rows = found.filter(pc.is_in(found.column("chunk_id"), pa.array(chunk_ids, pa.string()))).to_pylist()
        inputs = [EmbeddingInput.of_row(row, self.recipe) for row in rows]
        hashes = [item.text_hash for item in inputs]
        by_hash = dict(zip(hashes, inputs, strict=True))
        taken_before = Counter(self.libraries.taken)
        vector_of = {} if self.force else known_vectors(self.store, list(by_hash), self.embedder)
        if not self.force:
            unknown = {text_hash: item for text_hash, item in by_hash.items() if text_hash not in vector_of}
            vector_of.update(self.libraries.ask(unknown, dimension=self.embedder.dimension))
        missing = {text_hash: item for text_hash, item in by_hash.items() if text_hash not in vector_of}
        self._read += len(rows)
        sources = self.libraries.taken - taken_before
        return _Group(batch_ids, rows, hashes, vector_of, missing, read=self._read, sources=sources)

    def _finish(self, group: _Group, given_up: Mapping[str, str]) -> int:
        """Wait for a group's vectors, store them, and record its batches; returns the number of its chunks."""
        group.embedded.result()
        failed = self._store(group)
        self._log_batches(group.batch_ids, {**given_up, **failed})
        return len(group.rows)

    def _store(self, group: _Group) -> dict[str, str]:
        """Give each chunk of a group its vector, in one commit; returns chunk id to reason for those without."""
        rows, hashes, vector_of, reasons = group.rows, group.hashes, group.vector_of, group.reasons
        new = {text_hash: vector_of[text_hash] for text_hash in group.missing if text_hash not in reasons}
        check_held(self.index.folder.locks, Phase.EMBED)
        self.libraries.give(new, group.missing, replace=self.force)
        now = datetime.now(UTC)
        kept = [place for place, text_hash in enumerate(hashes) if text_hash in vector_of]
        stored, stored_hashes = [rows[place] for place in kept], [hashes[place] for place in kept]
        failed = {row["chunk_id"]: reasons[h] for row, h in zip(rows, hashes, strict=True) if h in reasons}
        if stored:
            self.store.vectors.add(
                vector_rows(
                    stored,
                    np.stack([vector_of[text_hash] for text_hash in stored_hashes]),
                    text_hashes=stored_hashes,
                    model=self.embedder.model_id,
                    embedded_at=now,
                )
            )
            self.store.errors.clear([row["chunk_id"] for row in stored], self.embedder.model_id)
        if failed:
            self.store.errors.record(error_rows(failed, self.embedder, now))
            for row in rows:
                if row["chunk_id"] in failed:
                    place = f"{row['file_path']}:{row['start_line']} {row['qualified_name']}".strip()
                    self.context.log.error("%s", printable(f"{place}: {failed[row['chunk_id']]}"))
        self.tally.chunks += len(rows)
        sources = group.sources + Counter({MODEL: len(new)})
        sources[THIS_INDEX] = len(stored) - sources.total()
        self._note(sources)
        self.tally.failed_chunks += len(failed)
        return failed

    def _note(self, sources: Counter[str]) -> None:
        """Note where the vectors of a commit came from."""
        self.tally.sources += sources  # which drops what is zero
        note_vectors(self.index.folder, self.embedder.model_id, sources, replace=self._all_again)
        self._all_again = False

    def _embed_missing(self, group: _Group, before: _Group | None) -> None:
        """Add what the model gives for the group's missing texts, vectors and reasons; runs beside the main thread.

        Raises:
            CancelledError: the run has ended meanwhile.
        """
        if before is not None:
            group.reuse(before)
        done = group.read - len(group.rows)

        def advance(texts_done: int) -> None:
            nonlocal done
            if self._ended.is_set():
                raise CancelledError
            done += texts_done
            report(Progress("embed", "chunks", done, self._total))

        if group.missing:
            self._add_vectors(group, advance)
        report(Progress("embed", "chunks", group.read, self._total))

    def _add_vectors(self, group: _Group, advance: Callable[[int], None]) -> None:
        started = time.perf_counter()
        result = verified_result(
            self.embedder.embed_documents_detailed(
                [item.text for item in group.missing.values()],
                [item.name for item in group.missing.values()],
                progress=advance,
            ),
            texts=len(group.missing),
            embedder=self.embedder,
        )
        self.tally.model_s += time.perf_counter() - started
        hashes = list(group.missing)
        group.reasons = {hashes[position]: reason for position, reason in result.errors.items()}
        found = zip(hashes, result.vectors, strict=True)
        group.vector_of.update({text_hash: vector for text_hash, vector in found if text_hash not in group.reasons})

    def _log_batches(self, batch_ids: Sequence[int], failed: Mapping[str, str]) -> None:
        """Materialize the batches whose chunks all have vectors; note the others as failed."""
        members = self.store.chunks.of_batches(batch_ids, columns=["chunk_id", "embedding_batch_id"])
        counts: dict[int, int] = dict.fromkeys(batch_ids, 0)
        reasons: dict[int, str] = {}
        for row in members.to_pylist():
            counts[row["embedding_batch_id"]] += 1
            if row["chunk_id"] in failed:
                reasons.setdefault(row["embedding_batch_id"], failed[row["chunk_id"]])
        for batch_id, reason in reasons.items():
            self.tally.failures[batch_partition_key(batch_id)] = reason
        events: dict[str, dict[str, Any]] = {
            batch_partition_key(batch_id): {"chunks": count, "dagster/partition_row_count": count}
            for batch_id, count in counts.items()
            if count and batch_id not in reasons
        }
        if events:
            # The asset's page shows the newest event: it carries the run's figures.
            events[next(reversed(events))].update(self.tally.metadata(self.embedder))
            log_materializations(self.context, events, code_version=embedding_identity(self.index.settings))
