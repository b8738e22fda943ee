"""One parse run: which files it parses, what it stores, and what it records.

Belongs here: the work over a range of file partitions. Does not belong here: the asset, its parser processes and its
checks (`indexing_assets.assets.parsed_chunks`), and the order within a commit
(`indexing_assets.runs.phase_one_commit`).
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa

from code_index.chunking import masked_source
from code_index.chunking.declared_encoding import UTF_8
from code_index.core.errors import RepositoryError
from code_index.core.model import FileStatus
from code_index.core.quoting import printable
from code_index.core.secret_masks import named_counts
from code_index.index.locks import Phase, check_held
from code_index.parsing.parser_pool import ParsedGroup
from code_index.parsing.parser_worker import ParseOutcome, ParseTask
from code_index.sharing.published_version import fetched_version
from code_index.system.memory import FreedMemory
from code_index.tables.files import masked_rows
from code_index.tables.own_commits import MANY_FILES
from code_index.tables.schemas import FILES
from code_index.tables.sql import is_in
from indexing_assets.assets.chunk_preview import chunk_preview
from indexing_assets.runs.index_names import PARSED_CHUNKS, REFERENCES, SOURCE_FILES
from indexing_assets.runs.live_runs import stop_if_ended
from indexing_assets.runs.materializations import log_materializations, log_observations
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.partitions import delete_partitions
from indexing_assets.runs.phase_one_commit import PhaseOneCommits
from indexing_assets.runs.planning import (
    chunker_code_version,
    chunker_identity,
    stored_chunk_counts,
    stored_reference_counts,
)
from indexing_assets.runs.progress import Progress, report

# A commit costs 0.2-0.5 s nearly whatever is in it (docs/decisions/0006-tables.md): large ones are
# cheap a file, and these bounds say how much work a crash may cost.
COMMIT_CHUNKS = 10_000
_COMMIT_S = 5.0
_LISTED = 5
_TASK_COLUMNS = (
    "file_path",
    "file_hash",
    "language",
    "size_bytes",
    "subproject_name",
    "subproject_path",
    "working_tree_encoding",
)


@dataclass(slots=True)
class _Tally:
    """Counts of one run."""

    started: float = field(default_factory=time.perf_counter)
    files: int = 0
    chunks: int = 0
    references: int = 0
    reused: int = 0
    masked_keys: int = 0
    superseded: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        seconds = max(time.perf_counter() - self.started, 1e-9)
        return {
            "run_files": self.files,
            "run_chunks": self.chunks,
            "run_references": self.references,
            "run_failed_files": len(self.failures),
            "run_superseded_files": self.superseded,
            "run_masked_keys": self.masked_keys,
            "files_per_s": round(self.files / seconds, 1),
            "chunks_per_s": round(self.chunks / seconds, 1),
        }


class ParseRun:
    """One run over a range of file partitions."""

    def __init__(self, context: dg.AssetExecutionContext, index: OpenIndex) -> None:
        self.context = context
        self.index = index
        self.store = index.store
        self.identity = chunker_identity(index.settings)
        self.commits = PhaseOneCommits(index)
        self.tally = _Tally()
        self.tasks: dict[str, ParseTask] = {}
        self.file_paths: list[str] = []
        self._keys: dict[str, str] = {}
        self._replaced: list[str] = []
        self._freed = FreedMemory()

    def plan(self, *, force: bool) -> None:
        """Find the files to parse, in path order; what is stored already is only recorded."""
        wanted = self.context.partition_keys
        where = is_in("partition_key", wanted) if len(wanted) <= MANY_FILES else None
        files = pl.DataFrame(self.store.files.read(where=where))
        files = files.filter(pl.col("partition_key").is_in(wanted)).sort("file_path")
        self.file_paths = files["file_path"].to_list()
        self._replaced = sorted(set(wanted) - set(files["partition_key"]))
        if not force:
            files = files.join(self._record_stored(files), on="file_path", how="anti")
        for row in files.iter_rows(named=True):
            self._keys[row["file_path"]] = row["partition_key"]
            self.tasks[row["file_path"]] = ParseTask(
                **{name: row[name] for name in _TASK_COLUMNS},
                # An earlier version may have scanned the file; a scan does not read it again until it changes.
                detect_language=row["chunker_version"] != self.identity,
            )

    def _record_stored(self, files: pl.DataFrame) -> pl.DataFrame:
        """Finish what a killed run left half done; returns the paths that need no parsing.

        It stored chunks and died before it could say so: in the manifest, or in an event. A
        partition with an event is parsed again, because somebody asked for it.
        """
        paths = files["file_path"].to_list() if files.height <= MANY_FILES else None
        stored = files.join(stored_chunk_counts(self.store, paths), on=["file_path", "file_hash"], how="left")
        # A file that was parsed before and is pending again has chunks that must change (its subproject did).
        never_parsed = pl.col("chunker_version").is_null()
        unsaid = stored.filter(
            (pl.col("status") == FileStatus.PENDING.value) & (pl.col("stored_chunks") > 0) & never_parsed
        )
        # Not what an earlier version of the program stored, which made no references.
        unsaid = unsaid.filter(pl.lit(self.store.references.exists()))
        said = stored.filter(
            (pl.col("status") == FileStatus.PARSED.value)
            & (pl.col("chunker_version") == self.identity)
            & (pl.col("chunk_count") == pl.col("stored_chunks").fill_null(0))
        )
        if not said.is_empty():
            materialized = self.index.materialized_keys(PARSED_CHUNKS)
            said = said.filter(~pl.col("partition_key").is_in(list(materialized)))
        outcomes = self._stored_outcomes(unsaid)
        unsaid = unsaid.filter(pl.col("file_path").is_in([outcome.file_path for outcome in outcomes]))
        if outcomes:
            self.store.sync.vectors([outcome.file_path for outcome in outcomes], now=datetime.now(UTC))
            self.store.files.upsert(self._file_rows(outcomes, datetime.now(UTC)))
        done = pl.concat([unsaid, said])
        self._record(
            {
                key: {"chunks": count or 0, "stored_by": _stored_by(run_id)}
                for key, count, run_id in done.select("partition_key", "stored_chunks", "run_id").iter_rows()
            },
            dict(done.select("partition_key", "file_hash").iter_rows()),
        )
        self.tally.reused += done.height
        return done.select("file_path")

    def _stored_outcomes(self, files: pl.DataFrame) -> list[ParseOutcome]:
        """The outcomes of files whose chunks are stored, but not what is said of them; the file is read for it.

        A file that is no longer what its chunks were made of has none.
        """
        repository = self.index.repository()
        outcomes = []
        columns = ("file_path", "file_hash", "stored_chunks", "working_tree_encoding")
        references = stored_reference_counts(self.store, files["file_path"].to_list())
        for path, file_hash, count, declared in files.select(columns).iter_rows():
            try:
                read = repository.read(path)
            except RepositoryError:
                continue
            if read.file_hash == file_hash:
                source = masked_source(read.content, declared_encoding=declared)
                outcomes.append(
                    ParseOutcome(
                        path,
                        file_hash,
                        chunk_count=count,
                        reference_count=references.get((path, file_hash), 0),
                        note=source.encoding_guess,
                        masked=source.masked,
                        encoding=source.encoding,
                        encoding_guess=source.encoding_guess,
                    )
                )
        return outcomes

    def commit(self, groups: Sequence[ParsedGroup]) -> None:
        """Make groups durable. A failed file's old chunks go too: they are not current."""
        now = datetime.now(UTC)
        outcomes = [outcome for group in groups for outcome in group.outcomes if not outcome.superseded]
        self._leave([outcome for group in groups for outcome in group.outcomes if outcome.superseded])
        paths = [outcome.file_path for outcome in outcomes]
        chunks = pa.concat_tables([group.chunks for group in groups])
        references = pa.concat_tables([group.references for group in groups])
        if outcomes:
            check_held(self.index.folder.locks, Phase.PARSE)
            self.commits.commit(
                paths,
                chunks,
                references,
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
        self._freed.after_commit()
        stop_if_ended(self.context)

    def _leave(self, outcomes: Sequence[ParseOutcome]) -> None:
        """Leave file versions that are gone to the next scan, which takes the files as they are then.

        Their partitions stay missing until then. The chunks of an older version stay too, as after any edit.
        """
        if not outcomes:
            return
        said = {outcome.file_path: outcome.error or "" for outcome in outcomes}
        rows = self.store.files.read(where=is_in("file_path", said)).to_pylist()
        left = [
            {**row, "status": FileStatus.PENDING.value, "reason": said[row["file_path"]], "transient": None}
            for row in rows
        ]
        self.store.files.upsert(pa.Table.from_pylist(left, schema=FILES))
        self.tally.files += len(outcomes)
        self.tally.superseded += len(outcomes)
        self.context.log.info(
            "%d files were edited or deleted while this run was under way; the next scan takes them as they are: %s",
            len(outcomes),
            printable(", ".join(f"{path} ({reason})" for path, reason in list(said.items())[:_LISTED])),
        )
        log_observations(
            self.context,
            {
                self._keys[path]: {
                    "state": "superseded: this version of the file is gone. The next scan drops its partition.",
                    "reason": printable(reason),
                }
                for path, reason in said.items()
            },
            asset_key=self.index.names.asset_key(PARSED_CHUNKS),
        )

    def drop_replaced(self) -> None:
        """Drop the keys of file versions that were edited or deleted since the run was asked for."""
        if self._replaced:
            delete_partitions(self.index.instance, self.index.names.partitions(PARSED_CHUNKS), self._replaced)
            self.context.log.info(
                "%d file versions of this run are no longer in the repository; their partitions are gone: %s",
                len(self._replaced),
                printable(", ".join(self._replaced[:_LISTED])),
            )

    def _log(self, outcomes: Sequence[ParseOutcome], chunks: pa.Table) -> None:
        events: dict[str, dict[str, Any]] = {}
        for outcome in outcomes:
            key = self._keys[outcome.file_path]
            self.tally.files += 1
            if outcome.error is not None:
                self.tally.failures[key] = outcome.error
                self.context.log.error("%s", printable(f"{outcome.file_path}: {outcome.error}"))
            else:
                self.tally.chunks += outcome.chunk_count
                self.tally.references += outcome.reference_count
                events[key] = {
                    "dagster/partition_row_count": outcome.chunk_count,
                    "parse_ms": round(outcome.duration_s * 1e3, 1),
                }
                if outcome.masked:
                    self.tally.masked_keys += sum(outcome.masked.values())
                    events[key]["masked_keys"] = named_counts(outcome.masked)
                if outcome.encoding not in {None, UTF_8}:
                    events[key]["encoding"] = outcome.encoding
                if outcome.note is not None:
                    events[key]["note"] = printable(outcome.note)
                    self.context.log.warning("%s", printable(f"{outcome.file_path}: {outcome.note}"))
        if events:
            # The asset's page shows the newest event: it carries the run's figures and a sample.
            events[next(reversed(events))].update(self.tally.metadata(), preview=chunk_preview(chunks))
        versions = {self._keys[outcome.file_path]: outcome.file_hash for outcome in outcomes}
        counts = {self._keys[outcome.file_path]: outcome.reference_count for outcome in outcomes}
        self._record(events, versions, {key: counts[key] for key in events})

    def _record(
        self,
        events: Mapping[str, dict[str, Any]],
        versions: Mapping[str, str],
        references: Mapping[str, int] | None = None,
    ) -> None:
        """Write the events of both assets; the second's first, since those of chunks say that a file is done."""
        counts: Mapping[str, int | None] = references or dict.fromkeys(events)
        of_references = {
            key: {} if count is None else {"dagster/partition_row_count": count} for key, count in counts.items()
        }
        for asset, metadata in ((REFERENCES, of_references), (PARSED_CHUNKS, events)):
            log_materializations(
                self.context,
                metadata,
                code_version=chunker_code_version(self.index.settings),
                data_versions=versions,
                parent=self.index.names.asset_key(SOURCE_FILES),
                asset_key=self.index.names.asset_key(asset),
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
                    "language": outcome.language or row["language"],
                    "status": (FileStatus.ERROR if failed else FileStatus.PARSED).value,
                    "reason": outcome.error or outcome.note,
                    "transient": outcome.transient if failed else None,
                    "attempts": (row["attempts"] or 0) + 1 if failed else None,
                    "run_id": self.context.run.run_id,
                    "chunk_count": outcome.chunk_count,
                    "reference_count": outcome.reference_count,
                    "masked_keys": masked_rows(outcome.masked),
                    "encoding": outcome.encoding,
                    "encoding_guessed": outcome.encoding_guess is not None,
                    "chunker_version": self.identity,
                    "parsed_at": now,
                }
            )
        return pa.Table.from_pylist(rows, schema=FILES)


def _stored_by(run_id: str | None) -> str:
    version = fetched_version(run_id)
    return (
        f"version {version}, which was fetched" if version else "an earlier run that ended before it could record this"
    )


def commits_of(groups: Iterable[ParsedGroup], max_files: int) -> Iterator[list[ParsedGroup]]:
    """Collect groups until they are worth a commit."""
    collected: list[ParsedGroup] = []
    files = chunks = 0
    since = time.perf_counter()
    for group in groups:
        collected.append(group)
        files += len(group.outcomes)
        chunks += group.chunks.num_rows
        if files >= max_files or chunks >= COMMIT_CHUNKS or time.perf_counter() - since >= _COMMIT_S:
            yield collected
            collected, files, chunks, since = [], 0, 0, time.perf_counter()
    if collected:
        yield collected
