"""Claims about the whole index: that its tables can be read and agree with Dagster's records, and all is done.

They may read whole tables or files, so they run on a schedule or when somebody asks.
"""

from __future__ import annotations

import polars as pl

from code_index.core.errors import StoreError
from code_index.core.model import EmbeddingStatus, FileStatus
from code_index.core.partition_keys import batch_id_of, batch_partition_key
from indexing_assets.checks.check import REINDEXED, RESUME, Finding, Severity, Subject, check
from indexing_assets.checks.checked_rows import chunk_labels, in_flux, manifest
from indexing_assets.runs.index_names import CHUNK_VECTORS, INDEX_REPORT, PARSED_CHUNKS, SOURCE_FILES
from indexing_assets.runs.job_names import RERUN_JOB
from indexing_assets.runs.planning import failed_partitions, stored_chunk_counts

_ROWS_AT_ONCE = 8_192


@check(
    INDEX_REPORT,
    fixed_by=SOURCE_FILES,
    repair="go back to the newest version of the table that can be read, else move it away; then " + REINDEXED,
)
def tables_can_be_read(subject: Subject) -> Finding:
    """Every table opens, and every row of it can be read."""
    tables = subject.index.store.tables
    rows: dict[str, int] = {}
    damaged: dict[str, str] = {}
    for name in tables.names():
        try:
            if (schema := tables.schema(name)) is not None:
                rows[name] = sum(batch.num_rows for batch in tables.iter_read(name, schema, batch_size=_ROWS_AT_ONCE))
        except StoreError as error:
            damaged[name] = str(error)
    return Finding(
        culprits=[f"{name} ({reason})" for name, reason in damaged.items()],
        noun="table",
        problem="cannot be read",
        fix=" and ".join(f"`{subject.rebuild(name)}`" for name in damaged),
        figures={f"{name}_rows": count for name, count in rows.items()},
    )


@check(INDEX_REPORT, fixed_by=PARSED_CHUNKS, repair=REINDEXED)
def records_agree_with_the_tables(subject: Subject) -> Finding:
    """Everything stored is recorded as materialized, and everything recorded is stored."""
    culprits = [*_files_that_disagree(subject), *_batches_that_disagree(subject)]
    return Finding(
        culprits=culprits,
        noun="partition",
        problem="on which Dagster's records and the tables disagree",
        fix=f"`{RESUME}`",
        figures={"partitions_that_disagree": len(culprits)},
    )


@check(
    INDEX_REPORT,
    severity=Severity.WARNING,
    fixed_by=CHUNK_VECTORS,
    repair="embed what is pending; what failed for good needs `code-index resume --failed`",
)
def every_chunk_has_its_vector(subject: Subject) -> Finding:
    """Each chunk is embedded with the model that the settings name, or a run is about to."""
    running = [batch_id_of(key) for key in in_flux(subject, CHUNK_VECTORS)]
    model_id = subject.model().model_id
    statuses = subject.index.store.statuses.read(model_id, running_batches=running)
    of_status = dict(statuses.group_by("embedding_status").agg(pl.col("chunk_id")).iter_rows())
    failed = of_status.get(EmbeddingStatus.ERROR.value, [])
    pending = of_status.get(EmbeddingStatus.PENDING.value, [])
    reasons = _reasons(subject, model_id)
    named_failed = [f"{place} ({reasons[chunk_id]})" for chunk_id, place in chunk_labels(subject, failed).items()]
    fix = " and ".join(
        [*([f"`{RESUME}`"] if pending else []), *([f"`{RESUME} --failed` for those that failed"] if failed else [])]
    )
    return Finding(
        culprits=[*named_failed, *chunk_labels(subject, pending).values()],
        noun="chunk",
        problem=f"without a vector ({len(pending):,} pending, {len(failed):,} failed)",
        fix=fix,
        figures={
            "pending_chunks": len(pending),
            "failed_chunks": len(failed),
            "chunks_in_progress": len(of_status.get(EmbeddingStatus.IN_PROGRESS.value, [])),
            "complete_chunks": len(of_status.get(EmbeddingStatus.COMPLETE.value, [])),
        },
        count=len(pending) + len(failed),
    )


@check(INDEX_REPORT, fixed_by=RERUN_JOB)
def no_partition_is_left_failed(subject: Subject) -> Finding:
    """No file and no batch failed without being run again."""
    model_id = subject.model().model_id
    keys = failed_partitions(subject.index, model_id)
    files = manifest(subject, "reason").filter(pl.col("status") == FileStatus.ERROR.value)
    why_file = {
        key: f"{path}: {reason}"
        for key, path, reason in files.select("partition_key", "file_path", "reason").iter_rows()
    }
    why_batch = _failures_by_batch(subject, model_id)
    unsaid = [key for key in keys[PARSED_CHUNKS] if key not in why_file]
    unsaid += [key for key in keys[CHUNK_VECTORS] if key not in why_batch]
    culprits = [why_file.get(key, _ended_early("file", key)) for key in keys[PARSED_CHUNKS]]
    culprits += [why_batch.get(key, _ended_early("batch", key)) for key in keys[CHUNK_VECTORS]]
    rerun = f", or the job {subject.index.names.prefixed(RERUN_JOB)}" if unsaid else ""
    return Finding(
        culprits=culprits,
        noun="partition",
        problem="left failed",
        fix=f"`{RESUME} --failed`{rerun}; `code-index status --failed` shows all reasons",
        figures={"failed_files": len(keys[PARSED_CHUNKS]), "failed_batches": len(keys[CHUNK_VECTORS])},
    )


def _files_that_disagree(subject: Subject) -> list[str]:
    files = manifest(subject, "chunk_count").filter(
        (pl.col("status") == FileStatus.PARSED.value) & pl.col("partition_key").is_not_null()
    )
    materialized = subject.index.materialized_keys(PARSED_CHUNKS)
    flux = in_flux(subject, PARSED_CHUNKS)
    files = (
        files.filter(~pl.col("partition_key").is_in(list(flux)))
        .join(stored_chunk_counts(subject.index.store), on=["file_path", "file_hash"], how="left")
        .sort("file_path")
    )
    culprits = []
    for key, expected, stored in files.select("partition_key", "chunk_count", "stored_chunks").iter_rows():
        if key not in materialized:
            culprits.append(f"{key} (parsed, but not recorded)")
        elif expected and not stored:
            culprits.append(f"{key} (recorded, but without rows)")
    return culprits


def _batches_that_disagree(subject: Subject) -> list[str]:
    materialized = subject.index.materialized_keys(CHUNK_VECTORS)
    flux = in_flux(subject, CHUNK_VECTORS)
    chunks = pl.DataFrame(subject.index.store.chunks.read(["chunk_id", "embedding_batch_id"])).drop_nulls(
        "embedding_batch_id"
    )
    embedded = pl.Series(subject.index.store.vectors.read(["chunk_id"]).column("chunk_id")).implode()
    failed = pl.Series(subject.index.store.errors.read().column("chunk_id")).implode()
    batches = (
        chunks.group_by("embedding_batch_id")
        .agg(
            chunks=pl.len(),
            embedded=pl.col("chunk_id").is_in(embedded).sum(),
            failed=pl.col("chunk_id").is_in(failed).sum(),
        )
        .sort("embedding_batch_id")
    )
    culprits = []
    for batch_id, count, done, errors in batches.iter_rows():
        key = batch_partition_key(batch_id)
        if key in flux:
            continue
        if done == count and key not in materialized:
            culprits.append(f"batch {key} (embedded, but not recorded)")
        elif not done and not errors and key in materialized:
            culprits.append(f"batch {key} (recorded, but without vectors)")
    return culprits


def _reasons(subject: Subject, model_id: str) -> dict[str, str]:
    """Reasons why chunks could not be embedded, by id."""
    rows = subject.index.store.errors.read(model_id).to_pylist()
    return {row["chunk_id"]: row["error_message"] or "no reason given" for row in rows}


def _failures_by_batch(subject: Subject, model_id: str) -> dict[str, str]:
    """The first failed chunk of each batch and its reason, by partition key."""
    reasons = _reasons(subject, model_id)
    columns = ["chunk_id", "embedding_batch_id", "file_path", "start_line", "qualified_name"]
    said: dict[str, str] = {}
    for row in subject.index.store.chunks.by_ids(sorted(reasons), columns=columns).to_pylist():
        if row["embedding_batch_id"] is not None:
            key = batch_partition_key(row["embedding_batch_id"])
            place = f"{row['file_path']}:{row['start_line']} {row['qualified_name'] or ''}".strip()
            said.setdefault(key, f"batch {key}: {place}: {reasons[row['chunk_id']]}")
    return said


def _ended_early(noun: str, key: str) -> str:
    return f"{noun} {key}: its run ended before it was done"
