"""`code-index fetch`: an index that begins with what somebody published of the repository.

The scan of this repository says which files there are; of those that are not parsed yet, whatever the published version has with
the same hash is stored, after it was checked (`code_index.sharing.checked_rows`), in the order in which phase 1 stores files. So a
process that is killed at any line leaves an index that holds some of the files, and the next one takes the rest. What the version
does not have, or says wrongly, is parsed and embedded as ever.

Belongs here: the order of the steps. Does not belong here: which version (`choice`), and the sample (`sample`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final, get_args

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.errors import StoreError
from code_index.core.model import FileStatus
from code_index.core.partition_keys import batch_partition_key
from code_index.embedding.loader import is_table
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, hold_all
from code_index.index.vector_sources import note_vectors
from code_index.repository.source_repository import SourceRepository
from code_index.sharing.checked_rows import PublishedRows, refuse_unfit, untrue
from code_index.sharing.libraries import Libraries
from code_index.sharing.published_index import PublishedIndex
from code_index.sharing.published_parts import FILE_COLUMNS, group_of, unpacked, vectors_from_bytes
from code_index.sharing.published_version import PartTable, Version, fetched_by
from code_index.tables.schemas import FILES, PARSED_CHUNKS
from code_index.tables.sql import equals, is_in
from code_index.tables.vectors import vector_rows
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.operations.publishing.choice import choose
from indexing_assets.operations.publishing.sample import refuse_wrong_sample
from indexing_assets.runs.index_names import CHUNK_VECTORS
from indexing_assets.runs.index_names import PARSED_CHUNKS as PARSED_CHUNKS_ASSET
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.phase_one_commit import PhaseOneCommits
from indexing_assets.runs.planning import chunker_identity
from indexing_assets.runs.progress import Progress, report

_COMMIT_CHUNKS: Final = 50_000
"""A commit costs a look at the keys that are there: few large ones. With vectors of 384 components, 200 MB."""
_AHEAD: Final = 4  # groups that are read while others are checked and stored
_SAMPLED_GROUPS: Final = 4

# Of a file's row in `files`, those that a scan here and the version must agree on: chunks depend on them.
_AGREED: Final = ("file_path", "file_hash", "subproject_name", "subproject_path", "working_tree_encoding")


@dataclass(slots=True)
class Fetched:
    """The result of fetching a version.

    `files` and `chunks` were taken, `left_files` parsed and embedded here, since the version did not have them as they are.
    `untrue` has the reason for each file of which the version said what is not so. `withdrawn_files` had come from versions
    that are not published any more. `bytes` were read, and `searchable_s` seconds passed until all of it could be searched.
    """

    name: str
    version: Version
    files: int = 0
    chunks: int = 0
    bytes: int = 0
    left_files: int = 0
    withdrawn_files: int = 0
    untrue: dict[str, str] = field(default_factory=dict)
    searchable_s: float = 0.0


def fetch(
    folder: IndexFolder,
    published: PublishedIndex,
    *,
    name: str | None = None,
    wait_s: float | None = None,
    on_wait: Callable[[LockOwner | None], None] | None = None,
) -> Fetched:
    """Take from a published version what this repository has, then parse and embed what differs.

    Args:
        folder: the index; made where it is missing.
        published: where from.
        name: of the version; by default that of the nearest commit.
        wait_s: how long to wait for another process; `None` for as long as it takes.
        on_wait: called with the process that holds the index.

    Raises:
        UsageError: there is no such version, or none that fits this code-index and these settings.
        StoreError: a part was changed, or a sample of the version is wrong; nothing of that part is stored.
        IndexBusyError: another process holds the index after `wait_s`.
    """
    started = time.perf_counter()
    with Pipeline(folder, wait_s=wait_s, on_wait=on_wait) as pipeline:
        index = pipeline.index
        chosen, version = choose(published, folder, index.settings, pipeline.model_id, name=name)
        result = Fetched(chosen, version)
        with hold_all(folder.locks, wait_s=wait_s, on_wait=on_wait):
            result.withdrawn_files = _remove_withdrawn(index, published)
            scan = pipeline.scan()
            if scan.error is not None:
                raise StoreError(f"The repository cannot be scanned: {scan.error} (Dagster run {scan.run_id})")
            taken = _take(pipeline, published, result)
            index.store.upkeep.ensure_indexes()
            result.left_files = _index_what_differs(pipeline)
            result.searchable_s = round(time.perf_counter() - started, 2)
            _give_to_libraries(pipeline, taken)
    return result


def _pending(index: OpenIndex) -> pl.DataFrame:
    """Rows of `files` that wait to be parsed."""
    return pl.DataFrame(index.store.files.read(where=equals("status", FileStatus.PENDING.value))).sort("file_path")


def _remove_withdrawn(index: OpenIndex, published: PublishedIndex) -> int:
    """Remove what came from versions that were withdrawn since; returns of how many files. Repeatable."""
    runs = [fetched_by(name) for name in published.withdrawn()]
    rows = index.store.files.read(where=is_in("run_id", runs)).to_pylist() if runs else []
    if not rows:
        return 0
    paths = [row["file_path"] for row in rows]
    store = index.store
    # For good, vectors too: retired ones would come back.
    store.vectors.delete(store.chunks.read(["chunk_id"], is_in("file_path", paths)).column("chunk_id").to_pylist())
    store.references.delete_by_file(paths)
    store.chunks.delete_by_file(paths)
    pending = {"status": FileStatus.PENDING.value, "run_id": None, "chunker_version": None, "chunk_count": None}
    store.files.upsert(pa.Table.from_pylist([row | pending for row in rows], schema=FILES))
    return len(rows)


def _give_to_libraries(pipeline: Pipeline, file_paths: Sequence[str]) -> None:
    """Add the vectors of files that were fetched to the libraries, for the next index of these texts."""
    index, model = pipeline.index, pipeline.model_id
    config = index.settings.embedder
    libraries = Libraries.none() if is_table(config) else Libraries.of(index.settings, model)
    if not file_paths or (libraries.own is None and not libraries.written):
        return
    vectors, fetched = index.store.for_model(model).vectors, pa.array(file_paths, pa.string())
    for batch in index.store.chunks.iter_read(["chunk_id", *EMBEDDED_FIELDS]):
        rows = batch.filter(pc.is_in(batch.column("file_path"), value_set=fetched)).to_pylist()
        texts = {row["chunk_id"]: EmbeddingInput.of_row(row, config.text_recipe) for row in rows}
        if not texts:
            continue
        stored = vectors.read(["chunk_id", "text_hash", "vector"], is_in("chunk_id", list(texts)))
        hashes = zip(stored.column("chunk_id").to_pylist(), stored.column("text_hash").to_pylist(), strict=True)
        matrix = stored.column("vector").combine_chunks().flatten().to_numpy().reshape(stored.num_rows, -1)
        right = {
            text_hash: vector
            for (chunk_id, text_hash), vector in zip(hashes, matrix, strict=True)
            if text_hash == texts[chunk_id].text_hash
        }
        libraries.give(right, {item.text_hash: item for item in texts.values()}, replace=False)


def _index_what_differs(pipeline: Pipeline) -> int:
    """Parse and embed what the version did not have, before anything is recorded of what it had; returns how many files."""
    keys = _pending(pipeline.index)["partition_key"].to_list()
    if keys:
        pipeline.run_partitions(PARSED_CHUNKS_ASSET, lambda _: keys, force=False)
    batches = pl.DataFrame(pipeline.store.statuses.batches(pipeline.model_id)).filter(pl.col("pending") > 0)
    if waiting := [batch_partition_key(number) for number in batches["embedding_batch_id"].sort()]:
        pipeline.run_partitions(CHUNK_VECTORS, lambda _: waiting, force=False)
    return len(keys)


def _take(pipeline: Pipeline, published: PublishedIndex, result: Fetched) -> list[str]:
    """Store what the version has of the files that wait here; returns their paths."""
    index, version = pipeline.index, result.version
    pending = _pending(index)
    wanted = {group_of(path, version.groups) for path in pending["file_path"]}
    groups = sorted(wanted & {part.group for part in version.parts})
    if not groups:
        return []
    drawn = secrets.SystemRandom().sample(groups, min(_SAMPLED_GROUPS, len(groups)))
    refuse_wrong_sample(pipeline, (_wanted(_read(published, version, group), pending) for group in drawn))
    taken: list[str] = []
    model = pipeline.model_id
    index.store.models.begin(model, index.settings.embedder.identity())
    commits = PhaseOneCommits(index)
    # Checking is Python, storing is not: one thread each.
    with ThreadPoolExecutor(1) as storing:
        stored: Future[None] | None = None
        for rows in _true_rows(_groups(published, groups, pending, result), index.repository(), result):
            if stored is not None:
                stored.result()
            taken += [path for one in rows for path in one.files.column("file_path").to_pylist()]
            stored = storing.submit(_store, index, commits, rows, result, model)
        if stored is not None:
            stored.result()
    commits.finish()
    note_vectors(index.folder, model, {f"{fetched_by(result.name)} at {published.place.address}": result.chunks})
    index.store.models.serve_if_complete(model, now=datetime.now(UTC))
    return taken


def _groups(
    published: PublishedIndex, groups: Sequence[int], pending: pl.DataFrame, result: Fetched
) -> Iterator[PublishedRows]:
    """Rows of the files that wait here, group by group; a few groups are read ahead."""
    version = result.version

    def load(group: int) -> PublishedRows:
        return _wanted(_read(published, version, group), pending)

    with ThreadPoolExecutor(_AHEAD) as pool:
        rest = iter(groups)
        ahead: list[Future[PublishedRows]] = [pool.submit(load, group) for group in islice(rest, _AHEAD)]
        done = 0
        while ahead:
            rows = ahead.pop(0).result()
            ahead += [pool.submit(load, group) for group in islice(rest, 1)]
            done += 1
            result.bytes += sum(part.size for part in version.parts_of(groups[done - 1]).values())
            report(Progress("fetch", "parts", done, len(groups)))
            yield rows


def _read(published: PublishedIndex, version: Version, group: int) -> PublishedRows:
    """Read the rows of a group.

    Raises:
        StoreError: a part is missing or was changed.
    """
    found = version.parts_of(group)
    if found.keys() != set(get_args(PartTable)):
        raise StoreError(f"Group {group} of the version has not one part for each table. Publish again.")
    rows = {table: unpacked(part, published.part(part), dimension=version.dimension) for table, part in found.items()}
    return PublishedRows(rows["files"], rows["chunks"], rows["references"])


def _wanted(rows: PublishedRows, pending: pl.DataFrame) -> PublishedRows:
    """The rows of the files that wait here in the very version that was published."""
    local = pending.select(_AGREED)
    agreed = pl.DataFrame(rows.files.select(list(_AGREED))).join(local, on=list(_AGREED), how="semi", nulls_equal=True)
    return rows if agreed.height == rows.files.num_rows else rows.of(agreed["file_path"].to_list())


def _true_rows(
    groups: Iterable[PublishedRows], repository: SourceRepository, result: Fetched
) -> Iterator[list[PublishedRows]]:
    """Check groups, and collect what is true of this repository until it is worth a commit."""
    waiting: list[PublishedRows] = []
    for rows in groups:
        refuse_unfit(rows)
        wrong = untrue(rows, repository.read)
        result.untrue |= wrong
        true = [path for path in rows.files.column("file_path").to_pylist() if path not in wrong]
        if true:
            waiting.append(rows.of(true) if wrong else rows)
        if sum(one.chunks.num_rows for one in waiting) >= _COMMIT_CHUNKS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _store(
    index: OpenIndex, commits: PhaseOneCommits, waiting: Sequence[PublishedRows], result: Fetched, model: str
) -> None:
    files = pa.concat_tables([rows.files for rows in waiting])
    chunks = pa.concat_tables([rows.chunks for rows in waiting])
    references = pa.concat_tables([rows.references for rows in waiting])
    paths = files.column("file_path").to_pylist()
    now = datetime.now(UTC)

    def add_vectors() -> None:
        if chunks.num_rows:
            vectors = index.store.for_model(model).vectors
            known = vectors.read(["chunk_id"], is_in("file_path", paths), limit=1)
            rows = vector_rows(
                chunks,
                vectors_from_bytes(chunks.column("vector")),
                text_hashes=chunks.column("text_hash"),
                model=model,
                embedded_at=now,
            )
            vectors.add(rows, are_new=not known.num_rows)

    commits.commit(
        paths,
        chunks.select(PARSED_CHUNKS.names),
        references,
        files=_file_rows(index, files, result.name, now),
        record=lambda: None,  # the parse phase records what the tables hold
        now=now,
        with_chunks=add_vectors,
    )
    result.files += len(paths)
    result.chunks += chunks.num_rows


def _file_rows(index: OpenIndex, files: pa.Table, name: str, now: datetime) -> pa.Table:
    """The manifest's rows of these files, with what the version says of them."""
    paths = files.column("file_path")
    known = index.store.files.read(where=is_in("file_path", paths.to_pylist()))
    said = files.take(pc.index_in(known.column("file_path").combine_chunks(), paths.combine_chunks()))
    here = {
        "status": FileStatus.PARSED.value,
        "transient": None,
        "attempts": None,
        "run_id": fetched_by(name),
        "chunker_version": chunker_identity(index.settings),
        "parsed_at": now,
    }
    columns = [
        pa.repeat(pa.scalar(here[field.name], field.type), known.num_rows)
        if field.name in here
        else (said if field.name in FILE_COLUMNS else known).column(field.name)
        for field in FILES
    ]
    return pa.table(columns, schema=FILES)
