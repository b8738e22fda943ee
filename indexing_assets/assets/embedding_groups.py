"""Groups of batches on their way through a model: the next one is read and embedded while one is stored.

Belongs here: what the runs of `chunk_vectors` and of `library_vectors` share, from the chunks of a range of batches to their
vectors. Does not belong here: where the vectors go, and what is recorded (`indexing_assets.assets.embed_run`,
`indexing_assets.assets.library_run`).
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.batching import checkpoint_groups
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.model import EmbeddingStatus
from code_index.core.partition_keys import batch_id_of
from code_index.core.quoting import printable
from code_index.embedding.embedder import Embedder, verified_result
from code_index.index.vector_sources import MODEL
from code_index.sharing.libraries import Libraries
from code_index.tables.vectors import COPIED_COLUMNS
from indexing_assets.assets.embedded_rows import known_vectors
from indexing_assets.runs.live_runs import retries_lasting, stop_if_ended
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.progress import Progress, report
from indexing_assets.runs.run_figures import VECTORS_FROM

# Chunks in the first checkpoint, before the rate is known.
_FIRST_CHECKPOINT_CHUNKS = 512
_FEW_BATCHES = 1_000  # in one condition


@dataclass(slots=True)
class Tally:
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
        """The figures as an event's metadata."""
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
class Group:
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

    def reuse(self, before: "Group") -> None:
        """Take vectors of texts that the group before has as well: they were not stored yet when this one was read."""
        known = {text_hash for text_hash in self.missing if text_hash in before.vector_of}
        self.vector_of |= {text_hash: before.vector_of[text_hash] for text_hash in known}
        self.missing = {text_hash: item for text_hash, item in self.missing.items() if text_hash not in known}

    def new(self) -> dict[str, np.ndarray]:
        """Vectors that the model gave, by text hash."""
        return {text_hash: self.vector_of[text_hash] for text_hash in self.missing if text_hash not in self.reasons}

    def failed(self) -> dict[str, str]:
        """Reasons by chunk id, of the chunks whose text has no vector."""
        pairs = zip(self.rows, self.hashes, strict=True)
        return {row["chunk_id"]: self.reasons[text_hash] for row, text_hash in pairs if text_hash in self.reasons}


class EmbeddingGroups:
    """The batches of one run, and what the model and the libraries give for them."""

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
        self._context = context
        self._settings = index.settings
        self._store = index.store
        self._embedder = embedder
        self._libraries = libraries
        self._recipe = recipe
        self._force = force
        # Asked for once: phase 1 may drop an empty batch meanwhile, and Dagster refuses a range without its end.
        self.batch_ids = [batch_id_of(key) for key in context.partition_keys]
        self.tally = Tally()
        self.total = 0
        self._read = 0
        self._ended = threading.Event()

    def wanted(self, given_up: Collection[str]) -> dict[int, list[str]]:
        """List the chunks that are to be embedded, by batch: those without a vector, or with `force` all.

        Args:
            given_up: chunks that are left out.
        """
        few = self.batch_ids if len(self.batch_ids) <= _FEW_BATCHES else None
        statuses = self._store.statuses.read(self._embedder.model_id, batches=few).filter(
            pl.col("embedding_batch_id").is_in(self.batch_ids)
        )
        todo = (
            statuses if self._force else statuses.filter(pl.col("embedding_status") != EmbeddingStatus.COMPLETE.value)
        )
        todo = todo.filter(~pl.col("chunk_id").is_in(list(given_up)))
        wanted = dict(todo.group_by("embedding_batch_id", maintain_order=True).agg(pl.col("chunk_id")).iter_rows())
        self.total = todo.height
        self._context.log.info(
            "%d chunks to embed in %d of %d batches; the others have their vectors.",
            todo.height,
            len(wanted),
            len(self.batch_ids),
        )
        return wanted

    def given_up(self) -> dict[str, str]:
        """Chunks that this run does not retry, with the reason why they failed."""
        if self._force or retries_lasting(self._context.run):
            return {}
        errors = self._store.errors.read(self._embedder.model_id).select(["chunk_id", "error_message", "transient"])
        return {row["chunk_id"]: row["error_message"] for row in errors.to_pylist() if not row["transient"]}

    def embedded(self, wanted: Mapping[int, Sequence[str]]) -> Generator[Group, None, None]:
        """Yield groups of batches, in order, whose texts went through the model; the next one does while a group is stored.

        A group is stored before the next is asked for: how long that took shapes the groups that follow.
        """
        remaining = [(batch_id, len(wanted[batch_id])) for batch_id in self.batch_ids if batch_id in wanted]
        bound = min(_FIRST_CHECKPOINT_CHUNKS, self._settings.checkpoint_chunks)
        started = time.perf_counter()
        waiting: deque[Future[Group]] = deque()
        reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        model = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        try:
            while remaining or waiting:
                if remaining:
                    group_ids = checkpoint_groups(remaining, max_chunks=bound)[0]
                    remaining = remaining[len(group_ids) :]
                    chunk_ids = [chunk_id for at in group_ids for chunk_id in wanted[at]]
                    read = reader.submit(self._group, group_ids, chunk_ids)
                    waiting.append(model.submit(self._embed_missing, read, waiting[-1] if waiting else None))
                    if remaining and len(waiting) == 1:
                        continue
                group = waiting.popleft().result()
                self.tally.chunks += len(group.rows)
                yield group
                seconds, started = max(time.perf_counter() - started, 1e-3), time.perf_counter()
                self._log_progress()
                stop_if_ended(self._context)
                bound = max(
                    1,
                    min(self._settings.checkpoint_chunks, int(len(group.rows) / seconds * self._settings.checkpoint_s)),
                )
        finally:
            self._ended.set()
            reader.shutdown(cancel_futures=True)
            model.shutdown(cancel_futures=True)

    def log_failed(self, group: Group) -> None:
        """Say in the run's log where each text of a group stands that has no vector, and why."""
        failed = group.failed()
        for row in group.rows if failed else ():
            if row["chunk_id"] in failed:
                place = f"{row['file_path']}:{row['start_line']} {row['qualified_name']}".strip()
                self._context.log.error("%s", printable(f"{place}: {failed[row['chunk_id']]}"))

    def outcomes(self, batch_ids: Sequence[int], failed: Mapping[str, str]) -> tuple[dict[int, int], dict[int, str]]:
        """Count the chunks of batches, and name a reason for each batch that has failed chunks.

        Args:
            batch_ids: the batches.
            failed: chunk id to reason.

        Returns:
            the number of chunks of each batch, without those that are empty or have a reason; the reasons.
        """
        sizes = self._store.statuses.batches()  # read once, while nobody writes chunks
        asked = sizes.filter(pc.is_in(sizes["embedding_batch_id"], pa.array(batch_ids, pa.int64())))
        counts = dict(zip(asked["embedding_batch_id"].to_pylist(), asked["chunks"].to_pylist(), strict=True))
        reasons: dict[int, str] = {}
        columns = ["chunk_id", "embedding_batch_id"]
        for row in self._store.chunks.of_batches(batch_ids, columns).to_pylist() if failed else ():
            if row["chunk_id"] in failed:
                reasons.setdefault(row["embedding_batch_id"], failed[row["chunk_id"]])
        return {at: counts[at] for at in batch_ids if at in counts and at not in reasons}, reasons

    def _log_progress(self) -> None:
        tally = self.tally
        left_s = (self.total - tally.chunks) / max(tally.rate, 1e-9)
        self._context.log.info(
            "%d of %d chunks, %.0f chunks/s, about %.0f s left.", tally.chunks, self.total, tally.rate, left_s
        )

    def _group(self, batch_ids: Sequence[int], chunk_ids: Sequence[str]) -> Group:
        """Read the chunks of one commit, and find the vectors that are known already; runs beside the main thread."""
        # By batches, of which there are few: a condition with 10,000 ids takes longer than the reading.
        found = self._store.chunks.of_batches(batch_ids, sorted({"chunk_id", *EMBEDDED_FIELDS, *COPIED_COLUMNS}))
        rows = found.filter(pc.is_in(found.column("chunk_id"), pa.array(chunk_ids, pa.string()))).to_pylist()
        inputs = [EmbeddingInput.of_row(row, self._recipe) for row in rows]
        hashes = [item.text_hash for item in inputs]
        by_hash = dict(zip(hashes, inputs, strict=True))
        taken_before = Counter(self._libraries.taken)
        vector_of = {} if self._force else known_vectors(self._store, list(by_hash), self._embedder)
        if not self._force:
            unknown = {text_hash: item for text_hash, item in by_hash.items() if text_hash not in vector_of}
            vector_of.update(self._libraries.ask(unknown, dimension=self._embedder.dimension))
        missing = {text_hash: item for text_hash, item in by_hash.items() if text_hash not in vector_of}
        self._read += len(rows)
        sources = self._libraries.taken - taken_before
        return Group(batch_ids, rows, hashes, vector_of, missing, read=self._read, sources=sources)

    def _embed_missing(self, read: Future[Group], before: Future[Group] | None) -> Group:
        """Add what the model gives for a group's missing texts, vectors and reasons; runs beside the main thread.

        Raises:
            CancelledError: the run has ended meanwhile.
        """
        group = read.result()
        if before is not None:
            group.reuse(before.result())
        done = group.read - len(group.rows)

        def advance(texts_done: int) -> None:
            nonlocal done
            if self._ended.is_set():
                raise CancelledError
            done += texts_done
            report(Progress("embed", "chunks", done, self.total))

        if group.missing:
            self._add_vectors(group, advance)
        report(Progress("embed", "chunks", group.read, self.total))
        return group

    def _add_vectors(self, group: Group, advance: Callable[[int], None]) -> None:
        started = time.perf_counter()
        result = verified_result(
            self._embedder.embed_documents_detailed(
                [item.text for item in group.missing.values()],
                [item.name for item in group.missing.values()],
                progress=advance,
            ),
            texts=len(group.missing),
            embedder=self._embedder,
        )
        self.tally.model_s += time.perf_counter() - started
        hashes = list(group.missing)
        group.reasons = {hashes[position]: reason for position, reason in result.errors.items()}
        found = zip(hashes, result.vectors, strict=True)
        group.vector_of.update({text_hash: vector for text_hash, vector in found if text_hash not in group.reasons})
