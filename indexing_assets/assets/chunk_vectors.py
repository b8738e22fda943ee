"""Phase 2: one vector per chunk, embedded batch by batch and stored where search reads."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from code_index.core.batching import checkpoint_groups
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.model import EmbeddingStatus
from code_index.core.partition_keys import batch_id_of, batch_partition_key
from code_index.embedding.backend import TransientReason
from code_index.embedding.embedder import Embedder, usable
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, hold
from code_index.index.settings import Settings
from code_index.tables import IndexStore
from code_index.tables.schemas import EMBEDDING_ERRORS, vectors
from indexing_assets.assets.column_descriptions import table_metadata
from indexing_assets.checks import Subject, evaluate
from indexing_assets.checks.asset_checks import check_specs, results
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, IndexNames
from indexing_assets.runs.live_runs import keys_of_unfinished_runs, retries_lasting, stop_if_cancelled, tag_process
from indexing_assets.runs.materializations import log_materializations
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partition_failures import partitions_failed
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.runs.planning import embedding_identity, match_batch_partitions
from indexing_assets.runs.pools import embed_pool
from indexing_assets.runs.progress import Progress, report
from indexing_assets.upkeep.compaction import VECTOR_TABLES, PeriodicCompaction, compact_due, expire_copies
from indexing_assets.upkeep.expiry import compact_and_expire
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

_COPIED_COLUMNS = (
    "chunk_id",
    "file_path",
    "start_line",
    "end_line",
    "language",
    "chunk_type",
    "function_name",
    "class_name",
    "subproject_name",
)
# Chunks in the first checkpoint, before the rate is known.
_FIRST_CHECKPOINT_CHUNKS = 512


class ChunkVectorsConfig(dg.Config):
    """Options of one run."""

    force: bool = Field(default=False, description="Embed every chunk of the run again, also those with a vector.")


@dataclass(slots=True)
class _Tally:
    """Counts of one run."""

    started: float = field(default_factory=time.perf_counter)
    chunks: int = 0
    embedded: int = 0
    reused: int = 0
    model_s: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    failed_chunks: int = 0

    @property
    def rate(self) -> float:
        """Chunks per second of the whole run."""
        return self.chunks / max(time.perf_counter() - self.started, 1e-9)

    def metadata(self, embedder: Embedder) -> dict[str, Any]:
        return {
            "run_chunks": self.chunks,
            "run_embedded": self.embedded,
            "run_reused": self.reused,
            "run_failed_chunks": self.failed_chunks,
            "chunks_per_s": round(self.rate, 1),
            "model_s": round(self.model_s, 2),
            "device": embedder.device,
            "model": embedder.model_id,
        }


def build_chunk_vectors(names: IndexNames, folder: IndexFolder, settings: Settings) -> dg.AssetsDefinition:
    """The asset `chunk_vectors` of an index.

    Args:
        names: names of the index.
        folder: where its tables are, for the links in its metadata.
        settings: model and device; the model is part of the code version, the device names the pool.
    """

    @dg.asset(
        key=names.asset_key(CHUNK_VECTORS),
        partitions_def=partitions_definition(names, CHUNK_VECTORS),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        # A batch mixes chunks of many files: no file partition is named, so that Dagster resolves
        # none of 60,000 upstream keys per run or page; the tables know what is pending.
        deps=[dg.AssetDep(names.asset_key(PARSED_CHUNKS), partition_mapping=dg.SpecificPartitionsPartitionMapping([]))],
        group_name=names.group_name,
        kinds={"python", "huggingface", "lancedb"},
        owners=["team:code-index"],
        code_version=embedding_identity(settings),
        metadata=table_metadata(names, CHUNK_VECTORS, folder),
        pool=embed_pool(settings),
        check_specs=check_specs(names, CHUNK_VECTORS),
    )
    def chunk_vectors(
        context: dg.AssetExecutionContext,
        config: ChunkVectorsConfig,
        index: IndexResource,
        embedder: EmbedderResource,
    ) -> Iterator[dg.AssetCheckResult]:
        """The vector of each chunk, in the table `vectors` that search reads.

        One partition per batch of chunks. A text that the model cannot embed fails alone: its chunk
        has the status `error` with the reason, its batch shows as failed, all others are stored.
        """
        # A generator without an output: for one, as for a plain return, Dagster would write a second
        # event for every partition of the run.
        yield from _embed(context, config, index, embedder, names)

    return chunk_vectors


def _embed(
    context: dg.AssetExecutionContext,
    config: ChunkVectorsConfig,
    index: IndexResource,
    embedder: EmbedderResource,
    names: IndexNames,
) -> Iterator[dg.AssetCheckResult]:
    opened = open_index(context.instance, index, names)
    settings = opened.settings
    tag_process(context)
    with hold(opened.folder.locks_dir, Phase.EMBED, run_id=context.run.run_id):
        model = embedder.get(settings)
        configured = embedder.embedder_config(settings)
        opened.store.models.begin(model.model_id, configured.identity())
        opened = replace(opened, store=opened.store.for_model(model.model_id))
        run = _Run(context, opened, model, recipe=configured.text_recipe, force=config.force)
        context.log.info("Embedding with %s.", run.embedder.describe())
        expire_copies(opened.store, VECTOR_TABLES)
        # What a killed run left half-copied is made good before anything is counted, and chunks
        # that another process dropped meanwhile lose their vectors at the end.
        chunks_version = opened.store.tables.version("chunks")
        opened.store.sync.vectors(now=datetime.now(UTC))
        run.put_other_models_aside()
        run.embed_batches()
        if opened.store.tables.version("chunks") != chunks_version:  # it looks at every row of both tables
            opened.store.sync.vectors(now=datetime.now(UTC))
        run.drop_empty_batches()
        if opened.store.models.serve_if_complete(model.model_id, now=datetime.now(UTC)):
            context.log.info("Search reads the vectors of %s from now on.", model.model_id)
        compact_due(opened.store, VECTOR_TABLES)
        if cleaned := compact_and_expire(opened):
            context.log.info("Cleaned: %s.", cleaned)
        subject = Subject(opened, encoder=lambda: run.embedder, batch_ids=run.batch_ids)
        outcomes = list(evaluate(subject, asset=CHUNK_VECTORS))
    summary = run.tally.metadata(run.embedder)
    context.log.info(
        "%d chunks: %d embedded, %d vectors taken over, %d failed (%s chunks/s, %s).",
        run.tally.chunks,
        run.tally.embedded,
        run.tally.reused,
        run.tally.failed_chunks,
        summary["chunks_per_s"],
        run.embedder.device,
    )
    yield from results(names, CHUNK_VECTORS, outcomes)
    if run.tally.failures:
        raise partitions_failed("batch", run.tally.failures, summary)


class _Run:
    """One run over a range of batches."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        index: OpenIndex,
        embedder: Embedder,
        *,
        recipe: str,
        force: bool,
    ) -> None:
        self.context = context
        self.index = index
        self.store = index.store
        self.embedder = embedder
        self.recipe = recipe
        self.force = force
        # Asked for once: phase 1 may drop an empty batch meanwhile, and Dagster refuses a range without its end.
        self.batch_ids = [batch_id_of(key) for key in context.partition_keys]
        self.tally = _Tally()
        self._total = 0

    def put_other_models_aside(self) -> None:
        """Keep vectors of other models out of this model's table, where an older program stored them side by side."""
        for model, count in self.store.vectors.counts().items():
            if model != self.embedder.model_id:
                self.store.vectors.retire(now=datetime.now(UTC), model=model)
                self.context.log.info(
                    "Put %d vectors of %s aside; the model is now %s.", count, model, self.embedder.model_id
                )

    def embed_batches(self) -> None:
        """Work through the run's batches, one checkpoint after the other."""
        batch_ids, settings = self.batch_ids, self.index.settings
        statuses = self.store.statuses.read(self.embedder.model_id).filter(
            pl.col("embedding_batch_id").is_in(batch_ids)
        )
        todo = statuses if self.force else statuses.filter(pl.col("embedding_status") != EmbeddingStatus.COMPLETE.value)
        given_up = self._given_up()
        todo = todo.filter(~pl.col("chunk_id").is_in(list(given_up)))
        wanted: dict[int, list[str]] = dict(
            todo.group_by("embedding_batch_id", maintain_order=True).agg(pl.col("chunk_id")).iter_rows()
        )
        self._total = todo.height
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
        while remaining:
            group = checkpoint_groups(remaining, max_chunks=bound)[0]
            remaining = remaining[len(group) :]
            chunk_ids = [chunk_id for batch_id in group for chunk_id in wanted[batch_id]]
            started = time.perf_counter()
            failed = self._embed_chunks(chunk_ids)
            self._log_batches(group, given_up | failed)
            seconds = max(time.perf_counter() - started, 1e-3)
            self._log_progress()
            if remaining:
                compaction.after_commit()
            stop_if_cancelled(self.context)
            bound = max(1, min(settings.checkpoint_chunks, int(len(chunk_ids) / seconds * settings.checkpoint_s)))

    def _given_up(self) -> dict[str, str]:
        """Chunks that this run does not try again, with the reason why they failed."""
        if self.force or retries_lasting(self.context.run):
            return {}
        errors = self.store.errors.read(self.embedder.model_id).select(["chunk_id", "error_message", "transient"])
        return {row["chunk_id"]: row["error_message"] for row in errors.to_pylist() if not row["transient"]}

    def drop_empty_batches(self) -> None:
        """Drop the keys of batches whose chunks another process removed meanwhile: it leaves them to this run."""
        others = keys_of_unfinished_runs(self.index, CHUNK_VECTORS, but=self.context.run.run_id)
        match_batch_partitions(self.index, kept=others)

    def _log_progress(self) -> None:
        tally = self.tally
        left_s = (self._total - tally.chunks) / max(tally.rate, 1e-9)
        self.context.log.info(
            "%d of %d chunks, %.0f chunks/s, about %.0f s left.", tally.chunks, self._total, tally.rate, left_s
        )

    def _embed_chunks(self, chunk_ids: Sequence[str]) -> dict[str, str]:
        """Give each chunk its vector, in one commit; returns chunk id to reason for those without."""
        rows = self.store.chunks.by_ids(chunk_ids, columns=sorted({*EMBEDDED_FIELDS, *_COPIED_COLUMNS})).to_pylist()
        inputs = [
            EmbeddingInput.of_chunk(**{name: row[name] for name in EMBEDDED_FIELDS}, recipe=self.recipe) for row in rows
        ]
        hashes = [item.text_hash for item in inputs]
        by_hash = dict(zip(hashes, inputs, strict=True))
        vector_of = {} if self.force else _known_vectors(self.store, list(by_hash), self.embedder)
        missing = {text_hash: item for text_hash, item in by_hash.items() if text_hash not in vector_of}
        reasons = self._embed_missing(missing, vector_of)

        now = datetime.now(UTC)
        stored = [(row, text_hash) for row, text_hash in zip(rows, hashes, strict=True) if text_hash in vector_of]
        failed = {row["chunk_id"]: reasons[h] for row, h in zip(rows, hashes, strict=True) if h in reasons}
        if stored:
            self.store.vectors.add(_vector_rows(stored, vector_of, self.embedder, now))
            self.store.errors.clear([row["chunk_id"] for row, _ in stored], self.embedder.model_id)
        if failed:
            self.store.errors.record(_error_rows(failed, self.embedder, now))
            for row in rows:
                if row["chunk_id"] in failed:
                    place = f"{row['file_path']}:{row['start_line']} {row['qualified_name']}".strip()
                    self.context.log.error("%s: %s", place, failed[row["chunk_id"]])
        self.tally.chunks += len(rows)
        self.tally.reused += len(stored) - (len(missing) - len(reasons))
        self.tally.failed_chunks += len(failed)
        report(Progress("embed", "chunks", self.tally.chunks, self._total))
        return failed

    def _embed_missing(self, missing: Mapping[str, EmbeddingInput], vector_of: dict[str, np.ndarray]) -> dict[str, str]:
        """Add the vectors of what is missing, by hash; returns hash to reason for what has none."""
        if not missing:
            return {}
        started = time.perf_counter()
        done = self.tally.chunks

        def advance(texts_done: int) -> None:
            nonlocal done
            done += texts_done
            report(Progress("embed", "chunks", done, self._total))

        result = usable(
            self.embedder.embed_documents_detailed(
                [item.text for item in missing.values()],
                [item.name for item in missing.values()],
                progress=advance,
            ),
            texts=len(missing),
            embedder=self.embedder,
        )
        self.tally.model_s += time.perf_counter() - started
        hashes = list(missing)
        reasons = {hashes[position]: reason for position, reason in result.errors.items()}
        found = zip(hashes, result.vectors, strict=True)
        vector_of.update((text_hash, vector) for text_hash, vector in found if text_hash not in reasons)
        self.tally.embedded += len(missing) - len(reasons)
        return reasons

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


def _known_vectors(store: IndexStore, text_hashes: Sequence[str], embedder: Embedder) -> dict[str, np.ndarray]:
    """Vectors that the model once gave for these texts, by text hash."""
    known = store.vectors.by_text_hash(text_hashes, embedder.model_id)
    matrix = known["vector"].combine_chunks().flatten().to_numpy().reshape(-1, embedder.dimension)
    return dict(zip(known["text_hash"].to_pylist(), matrix, strict=True))


def _vector_rows(
    stored: Sequence[tuple[Mapping[str, Any], str]],
    vector_of: Mapping[str, np.ndarray],
    embedder: Embedder,
    now: datetime,
) -> pa.Table:
    schema = vectors(embedder.dimension)
    matrix = np.stack([vector_of[text_hash] for _, text_hash in stored]).astype(np.float32, copy=False)
    columns: dict[str, Any] = {name: [row[name] for row, _ in stored] for name in _COPIED_COLUMNS}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), embedder.dimension)
    columns["text_hash"] = [text_hash for _, text_hash in stored]
    columns["embedding_model"] = [embedder.model_id] * len(stored)
    columns["embedded_at"] = [now] * len(stored)
    return pa.table(
        [
            columns[item.name] if item.name == "vector" else pa.array(columns[item.name], type=item.type)
            for item in schema
        ],
        schema=schema,
    )


def _error_rows(failed: Mapping[str, str], embedder: Embedder, now: datetime) -> pa.Table:
    return pa.table(
        {
            "chunk_id": list(failed),
            "embedding_model": [embedder.model_id] * len(failed),
            "error_message": list(failed.values()),
            "attempts": pa.array([1] * len(failed), type=pa.int32()),
            "transient": [isinstance(reason, TransientReason) for reason in failed.values()],
            "failed_at": [now] * len(failed),
        },
        schema=EMBEDDING_ERRORS,
    )
