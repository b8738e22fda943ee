"""Plans: the partitions that have to run.

The tables are the truth about what is stored, the event log is the record of it. A partition has
to run when its rows are missing, and also when they are there but no event says so.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

import dagster as dg
import polars as pl
import pyarrow as pa

from code_index.chunking import CHUNKER_VERSION
from code_index.core.embedding_text import recipe_version
from code_index.core.errors import UsageError
from code_index.core.hashing import text_hash
from code_index.core.model import FileStatus
from code_index.core.partition_keys import batch_partition_key
from code_index.embedding.backends.registry import AUTO
from code_index.index.settings import Settings
from code_index.tables import IndexStore
from code_index.tables.filters import path_condition, refuse_broken_text
from code_index.tables.own_commits import MANY_FILES, OF_THIS_PROCESS
from code_index.tables.sql import all_of, is_in
from code_index.tables.table_names import CHUNKS_TABLE, FILES_TABLE, REFERENCES_TABLE
from indexing_assets.runs.index_names import CHUNK_VECTORS, LIBRARY_VECTORS, PARSED_CHUNKS
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import delete_partitions, partitions_definition
from resources.dagster_internals import DATA_VERSION_TAG

# Back-off of what failed for a reason that may pass by itself: 5 minutes, 20, 80, ... up to a day.
_FIRST_RETRY = timedelta(minutes=5)
_RETRY_FACTOR = 4
_LAST_RETRY = timedelta(days=1)
_PLANNED = "files to parse"
_FILE_COLUMNS = ("file_path", "file_hash", "partition_key", "status", "transient", "chunk_count", "chunker_version")


def chunker_identity(settings: Settings) -> str:
    """Version of the chunker with the limits that shape its chunks; stored with each parsed file."""
    return f"{CHUNKER_VERSION}/{settings.max_chunk_characters}/{settings.min_chunk_characters}"


def chunker_code_version(settings: Settings) -> str:
    """The name by which Dagster knows the chunker: a short form of its identity, since the events of each file hold it."""
    return text_hash(chunker_identity(settings))[:12]


def embedding_identity(settings: Settings) -> str:
    """Identity by which Dagster tells vectors of other settings apart: text recipe, model's name, tokens.

    The tables know more, the model's hash and arithmetic; but those take loading the model.
    """
    config = settings.embedder
    identity = f"{recipe_version(config.text_recipe)}/{config.model}/{config.max_tokens}"
    unusual = [config.revision, config.document_prompt, config.query_prompt]
    return identity if unusual == ["", AUTO, AUTO] else f"{identity}/{unusual}"


def files_to_parse(
    index: OpenIndex,
    *,
    force: bool = False,
    retry_failed: bool = False,
    retry_transient: bool = True,
) -> list[str]:
    """Partition keys of the files that have to be parsed, in path order.

    Args:
        index: its tables, its settings and their records.
        force: all files.
        retry_failed: also those that failed for a reason that lasts.
        retry_transient: also those that failed for a reason that may pass by itself.
    """
    store, columns = index.store, [*_FILE_COLUMNS]
    if force:
        return _to_be_indexed(store.files.read(columns)).sort("file_path")["partition_key"].to_list()
    identity = chunker_identity(index.settings)
    versions = store.tables.versions(FILES_TABLE, CHUNKS_TABLE, REFERENCES_TABLE)
    fact = (_PLANNED, identity, *versions)
    changed, last = OF_THIS_PROCESS.changed(fact, versions), OF_THIS_PROCESS.last(fact)
    materialized = index.materialized_keys(PARSED_CHUNKS)
    paths: list[str] | None = None
    if changed is not None and last is not None:
        unrecorded = [key for key in index.partition_keys(PARSED_CHUNKS) if key not in materialized]
        if len(unrecorded) + len(last.found) <= MANY_FILES:
            keyed = store.files.read(["file_path"], is_in("partition_key", unrecorded)).column("file_path").to_pylist()
            paths = sorted({*changed, *last.found, *keyed})
    where = None if paths is None else is_in("file_path", paths)
    files = _to_be_indexed(store.files.read(columns, where))
    stored = stored_chunk_counts(store, paths)
    recorded = pl.Series([key in materialized for key in files["partition_key"]], dtype=pl.Boolean)
    current = pl.col("chunker_version") == identity
    failed = pl.col("status") == FileStatus.ERROR.value
    done = (
        (pl.col("status") == FileStatus.PARSED.value)
        & current
        & (pl.col("chunk_count") == pl.col("stored_chunks").fill_null(0))
        & pl.col("recorded")
        & ~pl.col("file_path").is_in(list(files_without_references(store, paths)))
    )
    transient = pl.col("transient").fill_null(value=False)
    given_up = failed & current & ~(transient & retry_transient) & (not retry_failed)
    open_files = (
        files.with_columns(recorded=recorded)
        .join(stored, on=["file_path", "file_hash"], how="left")
        .filter(~done.fill_null(value=False))
        .sort("file_path")
    )
    OF_THIS_PROCESS.note(fact, versions, open_files["file_path"].to_list())
    return open_files.filter(~given_up.fill_null(value=False))["partition_key"].to_list()


def _to_be_indexed(files: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(files).filter(
        pl.col("partition_key").is_not_null() & (pl.col("status") != FileStatus.SKIPPED.value)
    )


def files_without_references(store: IndexStore, file_paths: Sequence[str] | None = None) -> dict[str, tuple[int, int]]:
    """Parsed files whose references are not as many as the manifest says: stored and expected number by path.

    Also files that have some and should have none. Of these paths, or of all; where the sums of all agree no row is read: a
    table has twenty rows a chunk.
    """
    columns = ["file_path", "file_hash", "status", "reference_count"]
    files = pl.DataFrame(store.files.read(columns, None if file_paths is None else is_in("file_path", file_paths)))
    parsed = files.filter((pl.col("status") == FileStatus.PARSED.value) & pl.col("reference_count").is_not_null())
    # Rows of an older version stay until the new one is parsed.
    pending = files.filter(pl.col("status") == FileStatus.PENDING.value)["file_path"].to_list()
    if file_paths is None:
        waiting = store.references.count(is_in("file_path", pending)) if pending else 0
        if store.references.count() == waiting + (parsed["reference_count"].sum() or 0):
            return {}
    stored = stored_reference_counts(store, file_paths)
    expected = {(path, file_hash): count for path, file_hash, _, count in parsed.iter_rows()}
    differing = {
        key: (stored.get(key, 0), expected.get(key, 0))
        for key in stored.keys() | expected.keys()
        if stored.get(key, 0) != expected.get(key, 0)
    }
    waits = set(pending)
    return {path: counts for (path, _), counts in differing.items() if path not in waits}


def stored_reference_counts(store: IndexStore, file_paths: Sequence[str] | None = None) -> dict[tuple[str, str], int]:
    """Rows of `references` by path and hash of their file; of these paths, or of all."""
    where = None if file_paths is None else is_in("file_path", file_paths)
    rows = pl.DataFrame(store.references.read(["file_path", "file_hash"], where))
    return {
        (path, file_hash): count for path, file_hash, count in rows.group_by("file_path", "file_hash").len().iter_rows()
    }


def stored_chunk_counts(store: IndexStore, file_paths: Sequence[str] | None = None) -> pl.DataFrame:
    """Chunks in the table per file version: file_path, file_hash, stored_chunks; of these paths, or of all."""
    where = None if file_paths is None else is_in("file_path", file_paths)
    return (
        pl.DataFrame(store.chunks.read(["file_path", "file_hash"], where))
        .group_by("file_path", "file_hash")
        .agg(pl.len().cast(pl.Int32).alias("stored_chunks"))
    )


def batches_to_embed(
    index: OpenIndex,
    model_id: str,
    *,
    force: bool = False,
    retry_failed: bool = False,
    retry_transient: bool = True,
) -> list[str]:
    """Partition keys of the batches that have to be embedded, in order.

    Args:
        index: its tables and their records.
        model_id: the model whose vectors are wanted.
        force: all batches.
        retry_failed: also those with nothing left but chunks that failed for a reason that lasts.
        retry_transient: also those with nothing left but chunks that failed for a reason that may pass by itself.
    """
    counts = pl.DataFrame(index.store.statuses.batches(model_id))
    if not force:
        recorded = [int(key) for key in index.materialized_keys(CHUNK_VECTORS) if key.isdecimal()]
        pending = pl.col("pending") > 0
        unrecorded = (pl.col("errors") == 0) & ~pl.col("embedding_batch_id").is_in(recorded)
        existing = [int(key) for key in index.partition_keys(CHUNK_VECTORS) if key.isdecimal()]
        keyless = ~pl.col("embedding_batch_id").is_in(existing)
        failed = (pl.col("errors") > 0) & retry_failed
        passing = pl.col("embedding_batch_id").is_in(
            _batches_of_transient(index.store, model_id) if retry_transient else []
        )
        counts = counts.filter(pending | unrecorded | keyless | failed | ((pl.col("errors") > 0) & passing))
    return [batch_partition_key(batch_id) for batch_id in counts.sort("embedding_batch_id")["embedding_batch_id"]]


def batches_given(index: OpenIndex, model_id: str) -> set[str]:
    """Partition keys of the batches whose vectors of a model a run of `library_vectors` gave to a library.

    Also those whose texts failed there: `chunk_vectors` tries them again, and keeps the reasons.
    """
    tags = index.instance.event_log_storage.get_latest_tags_by_partition
    asset_key = index.names.asset_key(LIBRARY_VECTORS)
    kinds = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION
    found = [tags(asset_key, kind, [DATA_VERSION_TAG]) for kind in kinds]
    return {key for kind in found for key, said in kind.items() if said[DATA_VERSION_TAG] == model_id}


def _batches_of_transient(store: IndexStore, model_id: str) -> list[int]:
    errors = pl.DataFrame(store.errors.read(model_id)).filter(pl.col("transient").fill_null(value=False))
    found = store.chunks.by_ids(errors["chunk_id"].to_list(), columns=["embedding_batch_id"])
    return sorted(set(found["embedding_batch_id"].drop_null().to_pylist()))


def serve_kept_vectors(store: IndexStore, model_id: str) -> bool:
    """Switch back to a model whose kept vectors are complete, without a run; tell whether that changed anything."""
    serving = store.models.serving()
    if serving is None or serving[0] == model_id:
        return False
    now = datetime.now(UTC)
    # Vectors out of use do not follow edits.
    store.for_model(model_id).sync.vectors(now=now)
    return store.models.serve_if_complete(model_id, now=now)


class Wanted(Enum):
    """A choice of partitions that a person makes; names and values are the words of options and of config."""

    missing = "missing"
    failed = "failed"
    all = "all"


def wanted_partitions(index: OpenIndex, asset: str, wanted: Wanted, model_id: Callable[[], str]) -> list[str]:
    """Partition keys of what is wanted of an asset.

    Args:
        index: its tables, its settings and their records.
        asset: `parsed_chunks`, `chunk_vectors` or `library_vectors`.
        wanted: missing is what `code-index index` would run: not what failed for a reason that lasts; of `library_vectors`
            what has no vector, neither in the index nor from a run of it.
        model_id: tells the model whose vectors are wanted; not asked for `parsed_chunks`.
    """
    force = wanted is Wanted.all
    if asset == PARSED_CHUNKS:
        return _failed_files(index) if wanted is Wanted.failed else files_to_parse(index, force=force)
    if wanted is Wanted.failed:
        return _failed(index, asset, ()) if asset == LIBRARY_VECTORS else _failed_batches(index, model_id())
    keys = batches_to_embed(index, model_id(), force=force)
    if asset == LIBRARY_VECTORS and not force:
        given = batches_given(index, model_id())
        return [key for key in keys if key not in given]
    return keys


def keys_of_files(index: OpenIndex, globs: Sequence[str]) -> list[str]:
    """Partition keys of the indexed files that any of the globs matches, in path order; globs are those of a search.

    Raises:
        UsageError: a glob matches no indexed file.
    """
    keys: dict[str, str] = {}
    for glob in globs:
        refuse_broken_text(glob)
        where = all_of("partition_key IS NOT NULL", path_condition(glob))
        found = index.store.files.read(columns=["file_path", "partition_key"], where=where).to_pylist()
        if not found:
            raise UsageError(
                f"No indexed file matches {glob!r}. Paths are relative to {index.folder.repository_root}; "
                "`code-index status --skipped` lists what is not indexed, `code-index materialize source_files` "
                "finds new files."
            )
        keys |= {row["file_path"]: row["partition_key"] for row in found}
    return [keys[path] for path in sorted(keys)]


def known_keys(index: OpenIndex, asset: str, keys: Sequence[str]) -> list[str]:
    """Partition keys as they were given, each once; of a batch its number is enough.

    Raises:
        UsageError: the asset has no such partition.
    """
    existing = set(index.partition_keys(asset))
    if asset != PARSED_CHUNKS:
        keys = [batch_partition_key(int(key)) if key.isascii() and key.isdecimal() else key for key in keys]
    unknown = [key for key in keys if key not in existing]
    if unknown:
        raise UsageError(
            f"{asset} has no partition {unknown[0]!r}. Dagster's page of the asset lists its {len(existing):,} "
            "partitions (`code-index ui`)."
        )
    return list(dict.fromkeys(keys))


def failed_partitions(index: OpenIndex, model_id: str) -> dict[str, list[str]]:
    """Failed partitions by asset: keys that Dagster shows as failed, and those whose rows say so.

    A run that failed as a whole leaves failed partitions that the tables do not know; a failure
    whose event is older than a materialization is known to the tables only.
    """
    return {PARSED_CHUNKS: _failed_files(index), CHUNK_VECTORS: _failed_batches(index, model_id)}


def _failed_files(index: OpenIndex) -> list[str]:
    files = index.store.files.read(columns=["partition_key"], where=f"status = '{FileStatus.ERROR.value}'")
    return _failed(index, PARSED_CHUNKS, set(files["partition_key"].to_pylist()))


def _failed_batches(index: OpenIndex, model_id: str) -> list[str]:
    batches = pl.DataFrame(index.store.statuses.batches(model_id)).filter(pl.col("errors") > 0)
    return _failed(index, CHUNK_VECTORS, {batch_partition_key(batch_id) for batch_id in batches["embedding_batch_id"]})


def _failed(index: OpenIndex, asset: str, of_rows: Collection[str]) -> list[str]:
    definition = partitions_definition(index.names, asset)
    existing = index.partition_keys(asset)
    statuses = index.instance.get_status_by_partition(index.names.asset_key(asset), existing, definition) or {}
    shown = {key for key, status in statuses.items() if status is not None and status.value == "FAILED"}
    return [key for key in existing if key in shown or key in of_rows]


def transient_failures_due(
    store: IndexStore, model_id: str, now: datetime, *, first_retry: timedelta = _FIRST_RETRY
) -> dict[str, list[str]]:
    """Partition keys, by asset, of what failed for a reason that may pass and has waited long enough.

    Args:
        store: tables of the index.
        model_id: the model whose vectors are wanted.
        now: UTC.
        first_retry: wait after the first failure; each further one waits four times as long.
    """
    files = pl.DataFrame(
        store.files.read(
            columns=["file_path", "partition_key", "attempts", "parsed_at"],
            where=f"status = '{FileStatus.ERROR.value}' AND transient = true",
        )
    )
    errors = pl.DataFrame(store.errors.read(model_id)).filter(pl.col("transient").fill_null(value=False))
    due_chunks = errors.filter(_due(errors["attempts"], errors["failed_at"], now, first_retry))
    batches = store.chunks.by_ids(due_chunks["chunk_id"].to_list(), columns=["embedding_batch_id"])
    return {
        PARSED_CHUNKS: files.filter(_due(files["attempts"], files["parsed_at"], now, first_retry))
        .sort("file_path")["partition_key"]
        .to_list(),
        CHUNK_VECTORS: [
            batch_partition_key(batch_id) for batch_id in sorted(set(batches["embedding_batch_id"].to_pylist()))
        ],
    }


def retry_wait(attempts: int, *, first_retry: timedelta = _FIRST_RETRY) -> timedelta:
    """Time to wait after so many failures."""
    wait = first_retry
    for _ in range(attempts - 1):
        wait *= _RETRY_FACTOR
        if wait >= _LAST_RETRY:
            return _LAST_RETRY
    return wait


def _due(attempts: pl.Series, failed_at: pl.Series, now: datetime, first_retry: timedelta) -> pl.Series:
    # A failure in the future is one of a clock that was wrong: waiting for it might take years.
    due = [
        then is None or then > now or then + retry_wait(count or 1, first_retry=first_retry) <= now
        for count, then in zip(attempts.to_list(), failed_at.to_list(), strict=True)
    ]
    return pl.Series(due, dtype=pl.Boolean)


def match_batch_partitions(index: OpenIndex, *, kept: Collection[str] = ()) -> None:
    """Make the partition keys of batches those of the chunks: empty batches lose theirs, lost ones come back.

    Args:
        index: its chunks and its keys.
        kept: keys that stay, because a run is to work on them: one whose range loses an end cannot start.
    """
    # Keys before rows: a key that another process adds meanwhile must not look like one of an empty batch.
    definition = index.names.partitions(CHUNK_VECTORS)
    existing = index.partition_keys(CHUNK_VECTORS)
    living = [
        batch_partition_key(batch_id) for batch_id in index.store.statuses.batches()["embedding_batch_id"].to_pylist()
    ]
    known, wanted = set(existing), {*living, *kept}
    delete_partitions(index.instance, definition, [key for key in existing if key not in wanted])
    missing = [key for key in living if key not in known]
    if missing:
        index.instance.add_dynamic_partitions(definition, missing)


def next_batch_id(index: OpenIndex) -> int:
    """A number that no batch has or had: events of a batch that is gone still carry its number."""
    keys = {*index.partition_keys(CHUNK_VECTORS), *index.materialized_keys(CHUNK_VECTORS)}
    highest = max((int(key) for key in keys if key.isdecimal()), default=0)
    return max(highest, index.store.chunks.max_batch_id(above=highest) or 0) + 1
