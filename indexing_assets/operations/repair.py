"""`code-index doctor --repair`: the fix of what checks found, without loss.

Belongs here: tables, rows and records that a plain index run cannot fix. Does not belong here: finding what is
wrong (`indexing_assets.operations.examination`); what a repair does about a check is said at the check.

Decision: nothing is deleted that the repository cannot give again; a damaged file is moved into a folder named
`damaged-<time>` next to it. Wrong rows are removed, and the next run makes them again, from retired vectors where
there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from code_index.core.errors import StoreError
from code_index.core.model import FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.locks import hold_all
from code_index.tables import IndexStore
from indexing_assets.checks.index_folder import damaged_databases
from indexing_assets.checks.per_run import lengths_off_unit
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.live_runs import close_dead_runs
from indexing_assets.runs.planning import files_without_references

_VECTORS_AT_ONCE = 20_000


def repair(folder: IndexFolder, failed: Collection[str], *, tell: Callable[[str], None]) -> None:
    """Fix what checks of these names found, then index again; safe to be killed and repeated.

    Raises:
        IndexBusyError: another process holds the index.
        CodeIndexError: it cannot be fixed; the message says why.
    """
    with hold_all(folder.locks, wait_s=0):
        if "dagster_records_can_be_read" in failed:
            for path in damaged_databases(folder):
                tell(f"Moved {path} to {_put_aside(path, ('', '-wal', '-shm'))}")
        store = IndexStore(folder.tables)
        for name in _unreadable_tables(store):
            version = store.upkeep.restore_readable(name)
            if version is not None:
                tell(f"Table {name}: restored version {version}, the newest that can be read.")
            else:
                tell(
                    f"Table {name}: moved to {_put_aside(folder.tables_dir / f'{store.tables.stored_name(name)}.lance')}"
                )
        with Pipeline(folder) as pipeline:
            for run_id in close_dead_runs(pipeline.instance, pipeline.index):
                tell(f"Closed run {run_id}, whose process is gone.")
            for what in _remove_wrong_rows(pipeline.store):
                tell(what)
            results = {
                "scan": pipeline.scan(verify="source_matches_the_manifest" in failed),
                "parse": pipeline.parse(),
                "embed": pipeline.embed(),
                "cleanup": pipeline.cleanup(),
            }
        for name, result in results.items():
            if result.error is not None and not result.partial:
                raise StoreError(f"The {name} phase failed: {result.error} (Dagster run {result.run_id})")
            tell(f"{name}: {result.partitions} partitions" if name in {"parse", "embed"} else f"{name}: done")


def _unreadable_tables(store: IndexStore) -> list[str]:
    unreadable = []
    for name in store.tables.names():
        try:
            if (schema := store.tables.schema(name)) is not None:
                for _ in store.tables.iter_read(name, schema):
                    pass
        except StoreError:
            unreadable.append(name)
    return unreadable


def _put_aside(path: Path, endings: tuple[str, ...] = ("",)) -> Path:
    target = path.parent / f"damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    target.mkdir(exist_ok=True)
    for ending in endings:
        file = path.with_name(path.name + ending)
        if file.exists():
            file.rename(target / file.name)
    return target / path.name


def _remove_wrong_rows(store: IndexStore) -> Iterator[str]:
    """Remove wrong rows, so that the next run makes them again; yield what was removed."""
    now = datetime.now(UTC)
    chunks = pl.DataFrame(store.chunks.read(["chunk_id", "file_path", "file_hash", "embedding_batch_id"]))
    files = pl.DataFrame(store.files.read(["file_path", "file_hash", "status"]))
    indexed = files.filter(pl.col("status") != FileStatus.SKIPPED.value)
    known = chunks.join(indexed, on="file_path", how="left", suffix="_current")
    outdated = (pl.col("file_hash") != pl.col("file_hash_current")) & (pl.col("status") != FileStatus.PENDING.value)
    wrong = {
        "chunks that were stored more than once": chunks.filter(pl.col("chunk_id").is_duplicated()),
        "chunks of files that are gone": known.filter(pl.col("status").is_null()) if files.height else known.clear(),
        "chunks of older versions": known.filter(outdated),
        "chunks without a batch": chunks.filter(pl.col("embedding_batch_id").is_null()),
    }
    for what, rows in wrong.items():
        if paths := rows["file_path"].unique().sort().to_list():
            store.chunks.delete_by_file(paths)
            yield f"Removed {what}, to be parsed again: {len(paths)} files, such as {paths[0]}."
    # A manifest that was lost says nothing of anything; the next run takes what is stored.
    if files.height and (wrong_names := sorted(files_without_references(store))):
        store.references.delete_by_file(wrong_names)
        yield f"Removed references, to be made again: {len(wrong_names)} files, such as {wrong_names[0]}."
    if bad := _bad_vectors(store):
        store.vectors.delete(bad)
        yield f"Removed {len(bad)} vectors that are not of length 1, to be embedded again."
    ids = pl.Series(store.vectors.read(["chunk_id"]).column("chunk_id"))
    if repeated := ids.filter(ids.is_duplicated()).unique().to_list():
        store.vectors.retire(now=now, chunk_ids=repeated)
        yield f"Retired {len(repeated)} vectors that were stored more than once; each returns once, unchanged."
    if retired := store.sync.vectors(now=now):
        yield f"Retired {retired} vectors without a chunk."


def _bad_vectors(store: IndexStore) -> list[str]:
    schema = store.tables.schema("vectors")
    if schema is None:
        return []
    bad: list[str] = []
    for batch in store.tables.iter_read("vectors", schema, columns=["chunk_id", "vector"], batch_size=_VECTORS_AT_ONCE):
        bad += lengths_off_unit(pa.Table.from_batches([batch]))
    return bad
