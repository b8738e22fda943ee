"""Claims about each phase's tables, cheap enough to be checked at the end of each run.

They read columns of ids, or the rows of the run's slice, and compare them in memory. In a process that has looked at all
rows, and as long as nobody else commits, they look at the rows of files that changed since; `code-index doctor` always
looks at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from code_index.core.model import FileStatus
from code_index.core.partition_keys import batch_partition_key
from code_index.core.unit_vectors import off_unit, vector_lengths
from code_index.tables.schemas import vectors
from code_index.tables.sql import is_in
from code_index.tables.table_names import CHUNKS_TABLE, FILES_TABLE, REFERENCES_TABLE, VECTORS_TABLE
from indexing_assets.checks.check import EMBED_AGAIN, INDEX, PARSE_AGAIN, RESUME, Finding, Subject, check
from indexing_assets.checks.checked_rows import changed_files, chunk_labels, few_files, in_files, in_flux, manifest
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, REFERENCES, SOURCE_FILES
from indexing_assets.runs.planning import files_without_references

# Vectors looked at after a run; the check of the whole index looks at all.
_SAMPLED_VECTORS = 1_000
_VECTORS_AT_ONCE = 20_000
# Parsing removes chunks in one commit and their vectors in the next, a second or two later.
SETTLE_S = 2.0


@check(SOURCE_FILES, blocking=True, repair="scan, which adds and removes partition keys")
def every_indexed_file_has_its_partition(subject: Subject) -> Finding:
    """The partition keys of parsed_chunks are those of the manifest's files, no more and no less."""
    files = manifest(subject)
    existing = set(subject.index.partition_keys(PARSED_CHUNKS))
    keys = dict(zip(files["partition_key"], files["file_path"], strict=True))
    keyless = sorted(path for key, path in keys.items() if key not in existing and key is not None)
    # Keys of a queued run stay until it is done: without them it could not start.
    left_over = sorted(existing - keys.keys())
    if left_over:
        flux = in_flux(subject, PARSED_CHUNKS)
        left_over = [key for key in left_over if key not in flux]
    return Finding(
        culprits=[*keyless, *(f"partition {key}" for key in left_over)],
        noun="file or partition",
        problem="without the other (a file's partition is missing, or a partition's file is gone)",
        fix=f"`{INDEX}`",
        figures={"files": files.height, "partitions": len(existing)},
    )


@check(SOURCE_FILES, repair="remove those rows")
def no_rows_of_files_that_are_gone(subject: Subject) -> Finding:
    """Chunks and vectors are of files that the manifest lists, in the version that it lists."""
    paths, holds = changed_files(subject, "no rows of files that are gone", FILES_TABLE, CHUNKS_TABLE, VECTORS_TABLE)
    files = manifest(subject, "chunk_count", file_paths=paths)
    versions = pl.DataFrame(subject.index.store.chunks.read(["file_path", "file_hash"], in_files(paths))).unique()
    known = versions.join(files, on="file_path", how="left", suffix="_current")
    gone = set(known.filter(pl.col("status").is_null())["file_path"])
    of_vectors = pl.DataFrame(subject.index.store.vectors.read(["file_path"], in_files(paths))).unique()
    gone |= set(of_vectors.join(files, on="file_path", how="anti")["file_path"])
    # The rows of a changed file stay until its new version is parsed.
    outdated = known.filter(
        (pl.col("file_hash") != pl.col("file_hash_current")) & (pl.col("status") != FileStatus.PENDING.value)
    )
    fix = RESUME
    if gone:
        fix = subject.rebuild_chunks()
    elif not outdated.filter((pl.col("status") != FileStatus.PARSED.value) | (pl.col("chunk_count") == 0)).is_empty():
        fix = PARSE_AGAIN  # no chunks are expected of these: none of them would be parsed again by itself
    if not gone and outdated.is_empty():
        holds()
    return Finding(
        culprits=[*sorted(gone), *sorted(f"{path} (an older version)" for path in outdated["file_path"].unique())],
        noun="file",
        problem="left rows behind",
        fix=f"`{fix}`",
        figures={"files_with_chunks": versions["file_path"].n_unique(), "files_with_vectors": of_vectors.height},
    )


@check(PARSED_CHUNKS, repair="parse these files again")
def stored_chunks_match_the_manifest(subject: Subject) -> Finding:
    """Each parsed file has as many chunks in the table as the manifest says."""
    paths = few_files(subject)
    files = manifest(subject, "chunk_count", file_paths=paths).filter(pl.col("status") == FileStatus.PARSED.value)
    if subject.file_paths is not None:
        files = files.filter(pl.col("file_path").is_in(list(subject.file_paths)))
    rows = pl.DataFrame(subject.index.store.chunks.read(["file_path", "file_hash"], in_files(paths)))
    stored = rows.group_by("file_path", "file_hash").agg(pl.len().alias("stored"))
    counted = files.join(stored, on=["file_path", "file_hash"], how="left").with_columns(pl.col("stored").fill_null(0))
    wrong = counted.filter(pl.col("chunk_count").ne_missing(pl.col("stored"))).sort("file_path")
    return Finding(
        culprits=[
            f"{path} ({stored} stored, {expected} expected)"
            for path, stored, expected in wrong.select("file_path", "stored", "chunk_count").iter_rows()
        ],
        noun="file",
        problem="with another number of chunks than the manifest says",
        fix=f"`{RESUME}`",
        figures={"files": files.height, "chunks": rows.height},
    )


@check(REFERENCES, repair="parse these files again")
def stored_references_match_the_manifest(subject: Subject) -> Finding:
    """Each parsed file has as many references in the table as the manifest says, and no other file has any."""
    paths, holds = changed_files(subject, "references match the manifest", FILES_TABLE, REFERENCES_TABLE)
    wrong = files_without_references(subject.index.store, paths)
    if not wrong:
        holds()
    return Finding(
        culprits=[
            f"{path} ({stored} stored, {expected} expected)" for path, (stored, expected) in sorted(wrong.items())
        ],
        noun="file",
        problem="with another number of references than the manifest says",
        fix=f"`{RESUME}`" if all(expected for _, expected in wrong.values()) else f"`{subject.rebuild('references')}`",
        figures={"references": subject.index.store.references.count()},
    )


@check(
    PARSED_CHUNKS,
    blocking=True,
    repair="remove the chunks of these files and parse them again; no text is embedded again",
)
def chunk_ids_are_unique(subject: Subject) -> Finding:
    """No two rows of chunks share an id."""
    paths, holds = changed_files(subject, "chunk ids are unique", CHUNKS_TABLE)
    repeated = _repeated(subject.index.store.chunks.read, paths)
    if not repeated:
        holds()
    return Finding(
        culprits=list(chunk_labels(subject, repeated).values()),
        noun="chunk",
        problem="stored more than once",
        fix=f"`{subject.rebuild_chunks()}` (no text is embedded again)",
        figures={"chunks": subject.index.store.chunks.count(), "repeated": len(repeated)},
        count=len(repeated),
    )


@check(PARSED_CHUNKS, blocking=True, repair="parse these files again, or add the batches' partitions")
def every_chunk_has_a_batch_with_a_partition(subject: Subject) -> Finding:
    """Each chunk is in an embedding batch, and each batch has its partition key."""
    store = subject.index.store
    without = store.chunks.read(["chunk_id"], "embedding_batch_id IS NULL").column("chunk_id").to_pylist()
    batches = store.statuses.batches().column("embedding_batch_id").to_pylist()
    existing = set(subject.index.partition_keys(CHUNK_VECTORS))
    keyless = [key for key in map(batch_partition_key, batches) if key not in existing]
    return Finding(
        culprits=[*(f"batch {key}" for key in keyless), *chunk_labels(subject, without).values()],
        noun="batch or chunk",
        problem="that no embedding run would find (a batch without a partition key, a chunk without a batch)",
        fix=f"`{subject.rebuild_chunks()}` (no text is embedded again)" if without else f"`{RESUME}`",
        figures={"batches": len(batches), "chunks_without_batch": len(without)},
        count=len(keyless) + len(without),
    )


@check(CHUNK_VECTORS, repair="retire these vectors, for code that returns")
def every_vector_has_its_chunk(subject: Subject) -> Finding:
    """The chunk of each vector is in the table chunks."""
    paths, holds = changed_files(subject, "every vector has its chunk", CHUNKS_TABLE, VECTORS_TABLE)
    orphans = _orphaned_vectors(subject, paths)
    if orphans:
        # A parsing run may be between its two commits.
        time.sleep(SETTLE_S)
        later = set(_orphaned_vectors(subject, paths))
        orphans = [chunk_id for chunk_id in orphans if chunk_id in later]
    if not orphans:
        holds()
    rows = subject.index.store.vectors.read(["chunk_id", "file_path", "start_line"], is_in("chunk_id", orphans[:20]))
    return Finding(
        culprits=sorted(f"{row['file_path']}:{row['start_line']} ({row['chunk_id']})" for row in rows.to_pylist()),
        noun="vector",
        problem="without a chunk",
        fix=f"`{subject.rebuild_chunks()}` (no text is embedded again)",
        figures={"vectors": subject.index.store.vectors.count(), "orphans": len(orphans)},
        count=len(orphans),
    )


@check(CHUNK_VECTORS, repair="keep one vector each; no text is embedded again")
def no_chunk_has_two_vectors(subject: Subject) -> Finding:
    """No two rows of vectors share a chunk."""
    paths, holds = changed_files(subject, "no chunk has two vectors", VECTORS_TABLE)
    repeated = _repeated(subject.index.store.vectors.read, paths)
    if not repeated:
        holds()
    return Finding(
        culprits=list(chunk_labels(subject, repeated).values()),
        noun="chunk",
        problem="with more than one vector",
        fix=f"`{subject.rebuild('vectors')}` (all is embedded again)",
        figures={"vectors": subject.index.store.vectors.count(), "repeated": len(repeated)},
        count=len(repeated),
    )


@check(CHUNK_VECTORS, repair="remove these vectors and embed their texts again")
def vectors_are_finite_and_of_unit_length(subject: Subject) -> Finding:
    """Vectors hold neither NaN nor infinity, and their length is 1; after a run a sample of its batches is read."""
    bad: dict[str, float] = {}
    seen = 0
    for piece in _pieces(subject):
        seen += piece.num_rows
        bad |= lengths_off_unit(piece)
    where = chunk_labels(subject, list(bad))
    batches = _batches_of(subject, list(where))
    return Finding(
        culprits=[
            f"{place} (length {bad[chunk_id]:.4g}, batch {batches.get(chunk_id, 'unknown')})"
            for chunk_id, place in where.items()
        ],
        noun="vector",
        problem="not of length 1",
        fix=f"`{EMBED_AGAIN}`, or only these batches from the page of chunk_vectors with `force: true`",
        figures={"vectors_read": seen, "bad_vectors": len(bad)},
        count=len(bad),
    )


@check(CHUNK_VECTORS, repair="retire vectors of other models and embed what is missing")
def one_model_per_table(subject: Subject) -> Finding:
    """All vectors are of the model that the settings name."""
    model_id = subject.model().model_id
    counts = subject.index.store.for_model(model_id).vectors.counts()
    others = {model: count for model, count in counts.items() if model != model_id}
    return Finding(
        culprits=[f"{model} ({count:,} vectors)" for model, count in sorted(others.items())],
        noun="other model",
        problem=f"beside {model_id}",
        fix=f"`{RESUME}`",
        figures={"vectors": counts.get(model_id, 0), "vectors_of_other_models": sum(others.values())},
    )


def _repeated(read: Callable[[list[str], str | None], pa.Table], file_paths: Sequence[str] | None) -> list[str]:
    """Ids that several rows have, among those of these files or among all."""
    ids = pl.Series(read(["chunk_id"], in_files(file_paths)).column("chunk_id"))
    if file_paths is not None:  # the other row may be of any file
        ids = pl.Series(read(["chunk_id"], is_in("chunk_id", ids.unique().to_list())).column("chunk_id"))
    return [] if ids.n_unique() == len(ids) else ids.filter(ids.is_duplicated()).unique(maintain_order=True).to_list()


def _orphaned_vectors(subject: Subject, file_paths: Sequence[str] | None) -> list[str]:
    """Ids of the vectors without a chunk, among those of these files or among all."""
    store, where = subject.index.store, in_files(file_paths)
    # Vectors first: a chunk that is added in between has its vector later.
    ids = pl.Series(store.vectors.read(["chunk_id"], where).column("chunk_id"))
    known = pl.Series(store.chunks.read(["chunk_id"], where).column("chunk_id"))
    return ids.filter(~ids.is_in(known.implode())).unique(maintain_order=True).to_list()


def _pieces(subject: Subject) -> Iterator[pa.Table]:
    """chunk_id and vector: a sample of the run's batches, else all there are."""
    store, columns = subject.index.store, ["chunk_id", "vector"]
    if subject.batch_ids is not None:
        rows = store.chunks.of_batches(subject.batch_ids, ["chunk_id"]).column("chunk_id").to_pylist()
        step = max(1, -(-len(rows) // _SAMPLED_VECTORS))
        yield store.vectors.read(columns, is_in("chunk_id", rows[::step]))
        return
    schema = vectors(store.vectors.dimension() or 1)
    for batch in store.tables.iter_read("vectors", schema, columns=columns, batch_size=_VECTORS_AT_ONCE):
        yield pa.Table.from_batches([batch])


def lengths_off_unit(rows: pa.Table) -> dict[str, float]:
    """Chunk id to length of the vectors that are not of length 1; a row without a vector has length 0."""
    column = rows.column("vector").combine_chunks()
    found = np.zeros(rows.num_rows)
    found[np.asarray(column.is_valid())] = vector_lengths(
        np.asarray(column.flatten()).reshape(-1, column.type.list_size)
    )
    ids = rows.column("chunk_id")
    return {ids[int(place)].as_py(): float(found[place]) for place in off_unit(found)}


def _batches_of(subject: Subject, chunk_ids: Sequence[str]) -> dict[str, str]:
    rows = subject.index.store.chunks.by_ids(chunk_ids, columns=["chunk_id", "embedding_batch_id"]).to_pylist()
    return {
        row["chunk_id"]: batch_partition_key(row["embedding_batch_id"])
        for row in rows
        if row["embedding_batch_id"] is not None
    }
