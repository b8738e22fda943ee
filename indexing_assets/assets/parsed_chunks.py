"""Phase 1: the chunks of each file version, parsed with tree-sitter and stored without vectors."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
from pydantic import Field

from code_index.core.model import ChunkingOptions, FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, hold
from code_index.index.settings import Settings
from code_index.parsing.parser_pool import GROUP_FILES, ParsedGroup, ParserPool
from code_index.parsing.parser_worker import ParseOutcome, ParserConfig, ParseTask
from code_index.tables.schemas import FILES
from code_index.tables.sql import is_in
from indexing_assets.assets.column_descriptions import table_metadata
from indexing_assets.checks import Subject, evaluate
from indexing_assets.checks.asset_checks import check_specs, results
from indexing_assets.runs.index_names import PARSED_CHUNKS, SOURCE_FILES, IndexNames
from indexing_assets.runs.live_runs import stop_if_cancelled, tag_process
from indexing_assets.runs.materializations import log_materializations
from indexing_assets.runs.open_index import OpenIndex, open_index
from indexing_assets.runs.partition_failures import partitions_failed
from indexing_assets.runs.partitions import delete_partitions, partitions_definition
from indexing_assets.runs.phase_one_commit import PhaseOneCommits
from indexing_assets.runs.planning import chunker_identity, stored_chunk_counts
from indexing_assets.runs.pools import PARSE_POOL
from indexing_assets.runs.progress import Progress, report
from indexing_assets.upkeep.compaction import CHUNK_TABLES, PeriodicCompaction, compact_due
from indexing_assets.upkeep.small_batches import match_batches
from resources.index_resource import IndexResource

# A commit costs 0.2-0.5 s nearly whatever is in it (docs/decisions/0006-tables.md): large ones are
# cheap a file, and these bounds say how much work a crash may cost.
_COMMIT_CHUNKS = 10_000
_COMMIT_S = 5.0
_LISTED = 5
# The preview stands in one event a commit.
_PREVIEW_CHUNKS = 5
_PREVIEW_LINES = 12
_PREVIEW_COLUMNS = 120
_TASK_COLUMNS = ("file_path", "file_hash", "language", "size_bytes", "subproject_name", "subproject_path")


class ParsedChunksConfig(dg.Config):
    """Options of one run."""

    force: bool = Field(
        default=False, description="Parse every file of the run again, also those whose chunks are stored."
    )


@dataclass(slots=True)
class _Tally:
    """Counts of one run."""

    started: float = field(default_factory=time.perf_counter)
    files: int = 0
    chunks: int = 0
    reused: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        seconds = max(time.perf_counter() - self.started, 1e-9)
        return {
            "run_files": self.files,
            "run_chunks": self.chunks,
            "run_failed_files": len(self.failures),
            "files_per_s": round(self.files / seconds, 1),
            "chunks_per_s": round(self.chunks / seconds, 1),
        }


def build_parsed_chunks(names: IndexNames, folder: IndexFolder, settings: Settings) -> dg.AssetsDefinition:
    """The asset `parsed_chunks` of an index.

    Args:
        names: names of the index.
        folder: where its tables are, for the links in its metadata.
        settings: limits of the chunker, part of the code version.
    """

    @dg.asset(
        key=names.asset_key(PARSED_CHUNKS),
        partitions_def=partitions_definition(names, PARSED_CHUNKS),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        deps=[names.asset_key(SOURCE_FILES)],
        group_name=names.group_name,
        kinds={"python", "treesitter", "lancedb"},
        owners=["team:code-index"],
        code_version=chunker_identity(settings),
        metadata=table_metadata(names, PARSED_CHUNKS, folder),
        pool=PARSE_POOL,
        check_specs=check_specs(names, PARSED_CHUNKS),
    )
    def parsed_chunks(
        context: dg.AssetExecutionContext, config: ParsedChunksConfig, index: IndexResource
    ) -> Iterator[dg.AssetCheckResult]:
        """Functions, classes, methods and module code of each file, in the table `chunks`, without vectors.

        One partition per file version. A file that cannot be parsed fails alone: its partition shows
        as failed, with the reason in the run's log, in the table `files` and in `code-index status --failed`.
        """
        # A generator without an output: for one, as for a plain return, Dagster would write a second
        # event for every partition of the run.
        yield from _parse(context, config, index, names)

    return parsed_chunks


def _parse(
    context: dg.AssetExecutionContext, config: ParsedChunksConfig, index: IndexResource, names: IndexNames
) -> Iterator[dg.AssetCheckResult]:
    opened = open_index(context.instance, index, names)
    folder, settings = opened.folder, opened.settings
    tag_process(context)
    with hold(folder.locks_dir, Phase.PARSE, run_id=context.run.run_id):
        run = _Run(context, opened)
        run.plan(force=config.force)
        parser_config = ParserConfig(
            repository_root=str(folder.repository_root),
            max_file_bytes=settings.max_file_bytes,
            options=ChunkingOptions(
                max_characters=settings.max_chunk_characters, min_characters=settings.min_chunk_characters
            ),
            timeout_s=settings.parse_timeout_s,
            memory_bytes=settings.parse_memory_bytes,
        )
        commits = PhaseOneCommits(opened)
        bound = settings.parse_checkpoint_files
        context.log.info(
            "%d file versions to parse, %.1f MB; %d are stored already.",
            len(run.tasks),
            sum(task.size_bytes for task in run.tasks.values()) / 1e6,
            run.tally.reused,
        )
        # Of a first index nobody waits for words before it is there, and each compaction leaves a copy for a while.
        compaction = PeriodicCompaction(opened.store, CHUNK_TABLES) if opened.store.chunks.count() else None
        if run.tasks:
            with (
                ParserPool(parser_config, workers=settings.parse_workers, group_files=min(GROUP_FILES, bound)) as pool,
                # During a commit the files of the next are parsed, no more: what a crash can cost stays bounded.
                closing(pool.parse_ahead(run.tasks.values(), files=bound, chunks=_COMMIT_CHUNKS)) as ahead,
            ):
                for groups in _commits(ahead, bound):
                    run.commit(groups, commits)
                    if compaction is not None:
                        compaction.after_commit()
        commits.finish()
        match_batches(opened)
        compact_due(opened.store, CHUNK_TABLES)
        run.drop_replaced()
        outcomes = list(evaluate(Subject(opened, file_paths=run.file_paths), asset=PARSED_CHUNKS))
    tally = run.tally
    summary = tally.metadata()
    context.log.info(
        "Parsed %d files into %d chunks (%s files/s, %s chunks/s); %d were stored already, %d failed.",
        tally.files - len(tally.failures),
        tally.chunks,
        summary["files_per_s"],
        summary["chunks_per_s"],
        tally.reused,
        len(tally.failures),
    )
    yield from results(names, PARSED_CHUNKS, outcomes)
    if tally.failures:
        raise partitions_failed("file", tally.failures, summary)


class _Run:
    """One run over a range of file partitions."""

    def __init__(self, context: dg.AssetExecutionContext, index: OpenIndex) -> None:
        self.context = context
        self.index = index
        self.store = index.store
        self.identity = chunker_identity(index.settings)
        self.tally = _Tally()
        self.tasks: dict[str, ParseTask] = {}
        self.file_paths: list[str] = []
        self._keys: dict[str, str] = {}
        self._replaced: list[str] = []

    def plan(self, *, force: bool) -> None:
        """Find the files to parse, in path order; what is stored already is only recorded."""
        wanted = self.context.partition_keys
        files = pl.DataFrame(self.store.files.read()).filter(pl.col("partition_key").is_in(wanted)).sort("file_path")
        self.file_paths = files["file_path"].to_list()
        self._replaced = sorted(set(wanted) - set(files["partition_key"]))
        if not force:
            files = files.join(self._record_stored(files), on="file_path", how="anti")
        for row in files.iter_rows(named=True):
            self._keys[row["file_path"]] = row["partition_key"]
            self.tasks[row["file_path"]] = ParseTask(**{name: row[name] for name in _TASK_COLUMNS})

    def _record_stored(self, files: pl.DataFrame) -> pl.DataFrame:
        """Finish what a killed run left half done; returns the paths that need no parsing.

        It stored chunks and died before it could say so: in the manifest, or in an event. A
        partition with an event is parsed again, because somebody asked for it.
        """
        stored = files.join(stored_chunk_counts(self.store), on=["file_path", "file_hash"], how="left")
        # A file that was parsed before and is pending again has chunks that must change (its subproject did).
        never_parsed = pl.col("chunker_version").is_null()
        unsaid = stored.filter(
            (pl.col("status") == FileStatus.PENDING.value) & (pl.col("stored_chunks") > 0) & never_parsed
        )
        said = stored.filter(
            (pl.col("status") == FileStatus.PARSED.value)
            & (pl.col("chunker_version") == self.identity)
            & (pl.col("chunk_count") == pl.col("stored_chunks").fill_null(0))
        )
        if not said.is_empty():
            materialized = self.index.materialized_keys(PARSED_CHUNKS)
            said = said.filter(~pl.col("partition_key").is_in(list(materialized)))
        outcomes = [
            ParseOutcome(path, file_hash, chunk_count=count)
            for path, file_hash, count in unsaid.select("file_path", "file_hash", "stored_chunks").iter_rows()
        ]
        if outcomes:
            self.store.sync.vectors([outcome.file_path for outcome in outcomes], now=datetime.now(UTC))
            self.store.files.upsert(self._file_rows(outcomes, datetime.now(UTC)))
        done = pl.concat([unsaid, said])
        log_materializations(
            self.context,
            {
                key: {"chunks": count or 0, "stored_by": "an earlier run that ended before it could record this"}
                for key, count in done.select("partition_key", "stored_chunks").iter_rows()
            },
            code_version=self.identity,
            data_versions=dict(done.select("partition_key", "file_hash").iter_rows()),
            parent=self.index.names.asset_key(SOURCE_FILES),
        )
        self.tally.reused += done.height
        return done.select("file_path")

    def commit(self, groups: Sequence[ParsedGroup], commits: PhaseOneCommits) -> None:
        """Make groups durable. A failed file's old chunks go too: they are not current."""
        now = datetime.now(UTC)
        outcomes = [outcome for group in groups for outcome in group.outcomes]
        paths = [outcome.file_path for outcome in outcomes]
        chunks = pa.concat_tables([group.chunks for group in groups])
        commits.commit(
            paths,
            chunks,
            files=self._file_rows(outcomes, now),
            record=lambda: self._log(outcomes, chunks),
            now=now,
        )
        seconds = max(time.perf_counter() - self.tally.started, 1e-9)
        self.context.log.info(
            "Stored %d chunks of %d files; %d of %d files done, %.0f chunks/s.",
            chunks.num_rows,
            len(paths),
            self.tally.files,
            len(self.tasks),
            self.tally.chunks / seconds,
        )
        report(Progress("parse", "files", self.tally.files, len(self.tasks)))
        stop_if_cancelled(self.context)

    def drop_replaced(self) -> None:
        """Drop the keys of file versions that were edited or deleted since the run was asked for."""
        if self._replaced:
            delete_partitions(self.index.instance, self.index.names.partitions(PARSED_CHUNKS), self._replaced)
            self.context.log.info(
                "%d file versions of this run are no longer in the repository; their partitions are gone: %s",
                len(self._replaced),
                ", ".join(self._replaced[:_LISTED]),
            )

    def _log(self, outcomes: Sequence[ParseOutcome], chunks: pa.Table) -> None:
        events: dict[str, dict[str, Any]] = {}
        for outcome in outcomes:
            key = self._keys[outcome.file_path]
            self.tally.files += 1
            if outcome.error is not None:
                self.tally.failures[key] = outcome.error
                self.context.log.error("%s: %s", outcome.file_path, outcome.error)
            else:
                self.tally.chunks += outcome.chunk_count
                events[key] = {
                    "chunks": outcome.chunk_count,
                    "dagster/partition_row_count": outcome.chunk_count,
                    "parse_ms": round(outcome.duration_s * 1e3, 1),
                }
                if outcome.note is not None:
                    events[key]["note"] = outcome.note
                    self.context.log.warning("%s: %s", outcome.file_path, outcome.note)
        if events:
            # The asset's page shows the newest event: it carries the run's figures and a sample.
            events[next(reversed(events))].update(self.tally.metadata(), preview=_preview(chunks))
        log_materializations(
            self.context,
            events,
            code_version=self.identity,
            data_versions={self._keys[outcome.file_path]: outcome.file_hash for outcome in outcomes},
            parent=self.index.names.asset_key(SOURCE_FILES),
        )

    def _file_rows(self, outcomes: Sequence[ParseOutcome], now: datetime) -> pa.Table:
        """The manifest's rows with the outcomes written in."""
        by_path = {outcome.file_path: outcome for outcome in outcomes}
        rows = []
        for row in self.store.files.read(where=is_in("file_path", by_path)).to_pylist():
            outcome = by_path[row["file_path"]]
            failed = outcome.error is not None
            rows.append(
                {
                    **row,
                    "status": (FileStatus.ERROR if failed else FileStatus.PARSED).value,
                    "reason": outcome.error or outcome.note,
                    "transient": outcome.transient if failed else None,
                    "attempts": (row["attempts"] or 0) + 1 if failed else None,
                    "run_id": self.context.run.run_id,
                    "chunk_count": outcome.chunk_count,
                    "chunker_version": self.identity,
                    "parsed_at": now,
                }
            )
        return pa.Table.from_pylist(rows, schema=FILES)


def _commits(groups: Iterable[ParsedGroup], max_files: int) -> Iterator[list[ParsedGroup]]:
    """Collect groups until they are worth a commit."""
    collected: list[ParsedGroup] = []
    files = chunks = 0
    since = time.perf_counter()
    for group in groups:
        collected.append(group)
        files += len(group.outcomes)
        chunks += group.chunks.num_rows
        if files >= max_files or chunks >= _COMMIT_CHUNKS or time.perf_counter() - since >= _COMMIT_S:
            yield collected
            collected, files, chunks, since = [], 0, 0, time.perf_counter()
    if collected:
        yield collected


def _preview(chunks: pa.Table) -> dg.MarkdownMetadataValue:
    """A few chunks as a reader of the asset's page sees them: place, name, and the first lines of code."""
    columns = ["file_path", "start_line", "end_line", "chunk_type", "qualified_name", "language", "content"]
    parts = []
    for row in chunks.select(columns).slice(0, _PREVIEW_CHUNKS).to_pylist():
        lines = row["content"].splitlines()
        shown = "\n".join(line[:_PREVIEW_COLUMNS] for line in lines[:_PREVIEW_LINES])
        # A fence longer than any in the code.
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
        place = f"{row['file_path']}:{row['start_line']}-{row['end_line']}".replace("`", "'")
        more = "\n..." if len(lines) > _PREVIEW_LINES else ""
        name = (row["qualified_name"] or "").replace("`", "'")
        title = f"`{place}` {row['chunk_type']} `{name}`" if name else f"`{place}` {row['chunk_type']}"
        parts.append(f"{title}\n\n{fence}{row['language']}\n{shown}{more}\n{fence}")
    return dg.MetadataValue.md("\n\n".join(parts) or "(no chunks)")
