"""The manifest of the repository: every file, its version, and why some are not indexed."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from code_index.core.model import FileStatus, SourceFile
from code_index.core.partition_keys import file_partition_key
from code_index.core.quoting import printable
from code_index.index.folder import IndexFolder
from code_index.index.last_scan import LastScan, write_last_scan
from code_index.index.locks import Phase, check_held, hold
from code_index.index.source import newest_source, walk_options
from code_index.repository.content_rules import Changes, plan_changes
from code_index.repository.fingerprint import RepositoryState, commit_state, git_state, walked_state
from code_index.repository.source_repository import ScanResult
from code_index.tables import IndexStore
from code_index.tables.schemas import FILES
from code_index.tables.sql import is_in
from indexing_assets.assets.column_descriptions import table_metadata
from indexing_assets.checks import Subject, evaluate
from indexing_assets.checks.asset_checks import check_specs, results
from indexing_assets.runs.index_names import INDEX_RESOURCE, IO_MANAGER, PARSED_CHUNKS, SOURCE_FILES, IndexNames
from indexing_assets.runs.index_resources import index_of
from indexing_assets.runs.live_runs import close_dead_runs, keys_of_unfinished_runs, tag_process
from indexing_assets.runs.materializations import markdown_table
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partitions import as_one_range, delete_partitions
from indexing_assets.runs.pools import PARSE_POOL
from indexing_assets.runs.progress import Progress, report
from indexing_assets.upkeep.compaction import CHUNK_TABLES, expire_copies, index_left_words
from indexing_assets.upkeep.small_batches import match_batches
from resources.index_resource import IndexResource
from resources.instance_config import instance_config

_SCANNED = tuple(SourceFile.__dataclass_fields__)
_SHAPING = ("language", "subproject_name", "subproject_path", "working_tree_encoding")
_LISTED = 20
# Metadata entry: the state of the repository that the scan saw, which sensors compare.
STATE_METADATA = "repository_state"
# Metadata entry: the scan's warnings, which a command prints at its end.
WARNINGS_METADATA = "warnings"
# The daily schedule scans: an index that nothing scanned for longer may be behind its repository.
FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=25))


class SourceFilesConfig(dg.Config):
    """Options of one scan."""

    verify: bool = Field(
        default=False, description="Read every file and compare contents, not only sizes and modification times."
    )


@dataclass(frozen=True, slots=True)
class _Partitions:
    added: int
    removed: int


def build_source_files(names: IndexNames, folder: IndexFolder) -> dg.AssetsDefinition:
    """The asset `source_files` of an index.

    Args:
        names: names of the index.
        folder: where its tables are, for the links in its metadata.
    """

    @dg.asset(
        key=names.asset_key(SOURCE_FILES),
        group_name=names.group_name,
        kinds={"python", "git", "lancedb"},
        owners=["team:code-index"],
        code_version="1",
        metadata=table_metadata(names, SOURCE_FILES, folder),
        freshness_policy=FRESHNESS,
        pool=PARSE_POOL,
        check_specs=check_specs(names, SOURCE_FILES),
        required_resource_keys={names.prefixed(INDEX_RESOURCE)},
        io_manager_key=names.prefixed(IO_MANAGER),
    )
    def source_files(
        context: dg.AssetExecutionContext, config: SourceFilesConfig
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Every file of the repository with its content hash, in the table `files`.

        Adds a partition of `parsed_chunks` for each new file version; what is gone loses its
        partition and its rows in `chunks` and `vectors`. A repository that cannot be read is an
        error: the index stays as it was.

        The environment variable `CODE_INDEX_REPOSITORY` names the repository; where it is not set, that is the
        working directory of Dagster, or the nearest folder above it that has an index.
        """
        yield _scan(context, config, index_of(context, names), names)

    return source_files


def _scan(
    context: dg.AssetExecutionContext, config: SourceFilesConfig, index: IndexResource, names: IndexNames
) -> dg.MaterializeResult[None]:
    tag_process(context, index.folder(names.index).locks)
    index.folder(names.index).create(instance_config())
    opened = open_index(context.instance, index, names)
    folder, store = opened.folder, opened.store
    with hold(folder.locks, Phase.PARSE, run_id=context.run.run_id):
        started = time.perf_counter()
        expire_copies(store, CHUNK_TABLES)
        index_left_words(store)
        # From before anything is read: a change during the scan gives another state, and so another scan.
        options = walk_options(folder, opened.settings)
        scanned_at, commit = time.time(), newest_source(folder)
        if folder.origin is not None and commit is not None:
            of_git: RepositoryState | str = commit_state(commit, options)
        else:
            of_git = git_state(folder.repository_root, options)
        known = known_files(store)
        scan = opened.repository().scan(known, verify=config.verify)
        state = walked_state(scan.walk, options, reason=of_git) if isinstance(of_git, str) else of_git
        changes = plan_changes(known, scan.files)
        for warning in scan.warnings:
            context.log.warning("%s", printable(warning))
        for place, reason in scan.unreadable.items():
            context.log.warning("%s: %s; what is indexed of it stays.", printable(place), printable(reason))
        partitions = _apply(opened, changes, scan.files)
        write_last_scan(folder, LastScan(scanned_at, commit, state.token))
        seconds = time.perf_counter() - started
        outcomes = list(evaluate(Subject(opened, since_last_look=True), asset=SOURCE_FILES))
    report(Progress("scan", "files", len(scan.files), len(scan.files)))
    context.log.info(
        "Scanned %d files in %.1f s: %d new, %d changed, %d removed, %d skipped; read %d.",
        len(scan.files),
        seconds,
        len(changes.new),
        len(changes.changed),
        len(changes.removed),
        sum(file.status is FileStatus.SKIPPED for file in scan.files),
        scan.read_count,
    )
    reasons = Counter((file.reason or "").partition(":")[0] for file in scan.files if file.status is FileStatus.SKIPPED)
    if reasons:
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        context.log.info("Skipped by reason: %s. `code-index status --skipped` lists them.", printable(counts))
    if partitions.added or partitions.removed:
        context.log.info("Partitions of parsed_chunks: %d added, %d removed.", partitions.added, partitions.removed)
    return dg.MaterializeResult(
        metadata={**_metadata(scan, changes, partitions, seconds), STATE_METADATA: state.token},
        check_results=list(results(names, SOURCE_FILES, outcomes, context.run)),
    )


def known_files(store: IndexStore) -> dict[str, SourceFile]:
    """The manifest as the last scan left it, by path."""
    columns = store.files.read(columns=_SCANNED).to_pydict()
    statuses = {status.value: status for status in FileStatus}
    columns["status"] = [statuses[value] for value in columns["status"]]
    # By position, and without a mapping for each row: 60,000 files take a third of the time.
    return dict(zip(columns["file_path"], map(SourceFile, *(columns[name] for name in _SCANNED)), strict=True))


def _apply(index: OpenIndex, changes: Changes, files: Sequence[SourceFile]) -> _Partitions:
    """Make the tables and partition keys those of the scan.

    The order makes a kill at any line harmless: rows of what is gone go before the manifest
    forgets the file, and keys are compared with the whole manifest, whatever an earlier scan did.
    """
    store = index.store
    check_held(index.folder.locks, Phase.PARSE)
    gone = [*changes.removed, *(file.file_path for file in changes.skipped)]
    if gone:
        store.references.delete_by_file(gone)
        store.chunks.delete_by_file(gone)
        store.sync.vectors(gone, now=datetime.now(UTC))
    if changes.removed:
        store.files.delete(changes.removed)
    rows = _manifest_rows(store, changes)
    if rows.num_rows:
        store.files.upsert(rows)
    if gone:
        match_batches(index)
    return _update_partitions(index, files)


def _manifest_rows(store: IndexStore, changes: Changes) -> pa.Table:
    rows = [_row(file) for file in (*changes.new, *changes.changed, *changes.skipped)]
    touched = {file.file_path: file for file in changes.touched}
    for before in store.files.read(where=is_in("file_path", touched)).to_pylist() if touched else ():
        file = touched[before["file_path"]]
        if any(getattr(file, name) != before[name] for name in _SHAPING):
            # Chunks carry or come from these: they have to be written again.
            file = replace(file, status=FileStatus.PENDING, reason=None)
        rows.append({**before, **_row(file)})
    return pa.Table.from_pylist(rows, schema=FILES)


def _row(file: SourceFile) -> dict[str, Any]:
    skipped = file.status is FileStatus.SKIPPED
    return {
        **asdict(file),
        "status": file.status.value,
        "partition_key": None if skipped else file_partition_key(file.file_hash, file.file_path),
    }


def _update_partitions(index: OpenIndex, files: Sequence[SourceFile]) -> _Partitions:
    expected = {
        file_partition_key(file.file_hash, file.file_path): None
        for file in files
        if file.status is not FileStatus.SKIPPED
    }
    instance, definition = index.instance, index.names.partitions(PARSED_CHUNKS)
    known = set(index.partition_keys(PARSED_CHUNKS))
    new = [key for key in expected if key not in known]
    if new:
        instance.add_dynamic_partitions(definition, new)
    removed = sorted(known - expected.keys())
    failed = [file_partition_key(file.file_hash, file.file_path) for file in files if file.status is FileStatus.ERROR]
    if removed or failed:
        # A run whose range loses its ends cannot start; `parsed_chunks` drops what it finds gone.
        close_dead_runs(instance, index)
        busy = keys_of_unfinished_runs(index, PARSED_CHUNKS)
        removed = sorted(set(removed) - busy)
        delete_partitions(instance, definition, removed)
        if not busy:
            # Side by side, so that a backfill of what failed is one run and not one for each.
            as_one_range(instance, definition, failed)
    return _Partitions(added=len(new), removed=len(removed))


def _metadata(scan: ScanResult, changes: Changes, partitions: _Partitions, seconds: float) -> Mapping[str, Any]:
    indexed = [file for file in scan.files if file.status is not FileStatus.SKIPPED]
    skipped = [file for file in scan.files if file.status is FileStatus.SKIPPED]
    by_language: dict[str, list[int]] = {}
    for file in indexed:
        counts = by_language.setdefault(file.language, [0, 0])
        counts[0] += 1
        counts[1] += file.size_bytes
    languages = sorted(by_language.items(), key=lambda item: -item[1][0])
    new = [{"file": file.file_path, "bytes": file.size_bytes} for file in (*changes.new, *changes.changed)[:_LISTED]]
    return {
        "dagster/row_count": len(scan.files),
        "indexed_files": len(indexed),
        "indexed_bytes": sum(file.size_bytes for file in indexed),
        "skipped_files": len(skipped),
        "new_files": len(changes.new),
        "changed_files": len(changes.changed),
        "removed_files": len(changes.removed),
        "read_files": scan.read_count,
        "unreadable": len(scan.unreadable),
        "subprojects": len(scan.subprojects),
        **({WARNINGS_METADATA: [printable(warning) for warning in scan.warnings[:_LISTED]]} if scan.warnings else {}),
        "partitions_added": partitions.added,
        "partitions_removed": partitions.removed,
        "scan_s": round(seconds, 2),
        "languages": markdown_table(
            [{"language": name, "files": count, "bytes": size} for name, (count, size) in languages[:_LISTED]]
        ),
        "new_or_changed": markdown_table(new),
        "skipped": markdown_table([{"file": file.file_path, "reason": file.reason} for file in skipped[:_LISTED]]),
    }
