"""`code-index publish`: the index of a commit as a version at a place that others read.

Only an index that is whole is published: nothing left to do, the files of one commit, no check that fails. The parts are written
first and the version's record last, so that a process which is killed at any line has published nothing, and the next one writes
only what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.distribution import distribution_version
from code_index.core.errors import StoreError, UsageError
from code_index.core.model import FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, hold_all
from code_index.repository.commits import changed_since, checked_out_commit
from code_index.repository.content_rules import plan_changes
from code_index.sharing.checked_rows import PublishedRows
from code_index.sharing.published_index import PublishedIndex
from code_index.sharing.published_parts import (
    FILE_COLUMNS,
    group_of,
    groups_for,
    packed,
    part_schema,
    vectors_as_bytes,
)
from code_index.sharing.published_version import Part, PartTable, Version, now_for_a_version
from code_index.tables import IndexStore
from code_index.tables.row_checks import shortened
from code_index.tables.schemas import PARSED_CHUNKS
from code_index.tables.sql import equals, is_in
from indexing_assets.assets.source_files import known_files
from indexing_assets.checks import Severity
from indexing_assets.checks.whole_index import no_partition_is_left_failed
from indexing_assets.operations.examination import examine
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.planning import chunker_identity
from indexing_assets.runs.progress import Progress, report

_FAILED_FILES = no_partition_is_left_failed.name
"""The check that does not block: a file that failed is in no version, and whoever fetches tries it again."""


@dataclass(frozen=True, slots=True)
class Published:
    """A version that was published, and what it took: parts and bytes that were not there yet."""

    name: str
    version: Version
    new_parts: int
    new_bytes: int
    freed_bytes: int


def publish(
    folder: IndexFolder,
    published: PublishedIndex,
    *,
    keep: int | None = None,
    wait_s: float | None = None,
    on_wait: Callable[[LockOwner | None], None] | None = None,
) -> Published:
    """Publish the index as a version.

    Args:
        folder: a complete index.
        published: where to.
        keep: versions that stay there; None keeps all.
        wait_s: how long to wait for another process; `None` for as long as it takes.
        on_wait: called with the process that holds the index.

    Raises:
        UsageError: the index is not that of one commit, or not complete.
        StoreError: a check fails, or the place cannot be written.
        IndexBusyError: another process holds the index after `wait_s`.
    """
    folder.check()
    with hold_all(folder.locks, wait_s=wait_s, on_wait=on_wait):
        with Pipeline(folder) as pipeline:
            commit = _published_commit(pipeline.index)
            _refuse_incomplete(pipeline)
        _refuse_failed_checks(folder)
        with Pipeline(folder) as pipeline:
            name, version, new_parts, new_bytes = _write(pipeline, published, commit)
    freed = 0 if keep is None else published.prune(keep=keep)
    return Published(name, version, new_parts, new_bytes, freed)


def _published_commit(index: OpenIndex) -> str | None:
    """The commit that the index is of.

    Raises:
        UsageError: an indexed file differs from it, or from what is indexed.
    """
    root = index.folder.repository_root
    known = known_files(index.store)
    changes = plan_changes(known, index.repository().scan(known).files)
    differing = [*changes.removed, *(f.file_path for f in (*changes.new, *changes.changed, *changes.skipped))]
    if differing:
        raise UsageError(
            f"{shortened(differing)} changed since {root} was indexed. Run `code-index index {root}`, then publish again."
        )
    commit = checked_out_commit(root)
    indexed = {path for path, file in known.items() if file.status is not FileStatus.SKIPPED}
    if commit and (uncommitted := [path for path in changed_since(root, commit) if path in indexed]):
        raise UsageError(
            f"{shortened(uncommitted)} of {root} differs from the commit {commit[:12]}, and a version is that of a commit. "
            "Commit or remove it, index and publish again; a fresh clone is the surest."
        )
    return commit


def _refuse_incomplete(pipeline: Pipeline) -> None:
    store, root = pipeline.store, pipeline.folder.repository_root
    serving = store.models.serving()
    counts = store.files.counts()
    if not counts.get(FileStatus.PARSED.value):
        raise UsageError(f"Nothing of {root} is indexed. Run `code-index index {root}` first.")
    unembedded = (
        store.chunks.count() - store.vectors.count(pipeline.model_id) - store.errors.read(pipeline.model_id).num_rows
    )
    if counts.get(FileStatus.PENDING.value) or unembedded or serving is None or serving[0] != pipeline.model_id:
        raise UsageError(f"The index of {root} is not complete. Run `code-index index {root}`, then publish again.")


def _refuse_failed_checks(folder: IndexFolder) -> None:
    blocking = (one for one in examine(folder) if one.severity is Severity.ERROR and one.name != _FAILED_FILES)
    failed = [one for one in blocking if not one.passed]
    if failed:
        raise StoreError(
            f"Nothing was published: {'; '.join(f'{one.name}: {one.description}' for one in failed)} "
            "`code-index doctor --repair` fixes what can be fixed."
        )


def _write(pipeline: Pipeline, published: PublishedIndex, commit: str | None) -> tuple[str, Version, int, int]:
    store, model = pipeline.store, pipeline.model_id
    there = published.stored_parts()
    parts: list[Part] = []
    new_parts = new_bytes = 0
    groups = groups_for(store.chunks.count())
    for part, content in _parts(store, _whole_files(store, model), groups):
        if there.get(part.sha256) != part.size:
            published.put_part(part, content)
            new_parts += 1
            new_bytes += part.size
        parts.append(part)
    rows = {table: sum(part.rows for part in parts if part.table == table) for table in get_args(PartTable)}
    version = Version(
        made_at=now_for_a_version(),
        program=distribution_version(),
        commit=commit,
        chunker=chunker_identity(pipeline.settings),
        model=model,
        dimension=store.vectors.dimension() or 1,
        files=rows["files"],
        chunks=rows["chunks"],
        references=rows["references"],
        groups=groups,
        parts=tuple(parts),
    )
    name = published.put(version)
    return name, version, new_parts, new_bytes


def _whole_files(store: IndexStore, model: str) -> list[str]:
    """Paths of the files that are parsed and whose chunks all have vectors: the others are left to whoever fetches."""
    parsed = store.files.read(["file_path"], equals("status", FileStatus.PARSED.value)).column("file_path").to_pylist()
    failed = store.errors.read(model).column("chunk_id").to_pylist()
    return sorted(set(parsed) - set(store.chunks.by_ids(failed, ["file_path"]).column("file_path").to_pylist()))


def _parts(store: IndexStore, file_paths: Sequence[str], groups: int) -> Iterator[tuple[Part, bytes]]:
    """Make the parts, group by group."""
    members: list[list[str]] = [[] for _ in range(groups)]
    for path in file_paths:
        members[group_of(path, groups)].append(path)
    done = 0
    for group, paths in enumerate(members):
        if not paths:
            continue
        rows = _rows_of(store, paths)
        yield packed("files", group, rows.files)
        yield packed("chunks", group, rows.chunks)
        yield packed("references", group, rows.references)
        done += len(paths)
        report(Progress("publish", "files", done, len(file_paths)))


def _rows_of(store: IndexStore, paths: Sequence[str]) -> PublishedRows:
    where = is_in("file_path", paths)
    chunks = store.chunks.read(PARSED_CHUNKS.names, where)
    vectors = store.vectors.read(["chunk_id", "text_hash", "vector"], where)
    places = pc.index_in(chunks.column("chunk_id").combine_chunks(), vectors.column("chunk_id").combine_chunks())
    if places.null_count:
        raise StoreError(f"{places.null_count} chunks have no vector. Run `code-index doctor`.")
    beside = vectors.take(places)
    dimension = vectors.schema.field("vector").type.list_size
    schema = part_schema("chunks", dimension)
    columns = [*chunks.columns, beside.column("text_hash"), vectors_as_bytes(beside.column("vector"))]
    return PublishedRows(
        store.files.read(list(FILE_COLUMNS), where).cast(part_schema("files", dimension)),
        pa.table(columns, schema=schema),
        store.references.read(None, where).cast(part_schema("references", dimension)),
    )
