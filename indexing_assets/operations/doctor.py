"""`code-index doctor`: what is wrong with an index, and its repair without loss.

Belongs here: claims about the folder, Dagster's databases, locks, disk and model, beside those of
`indexing_assets.checks`; and the mending of tables that a plain index run cannot mend. Does not
belong here: what is printed.

Decision: nothing is deleted that cannot be made again from the repository; a damaged file is put
aside, into a folder named `damaged-<time>` next to it. Rows that are wrong are removed, and the next
run makes them anew, from retired vectors where there are any.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from code_index.core.errors import CodeIndexError, StoreError
from code_index.core.model import FileStatus
from code_index.index.folder import IndexFolder
from code_index.index.locks import Phase, hold, owner
from code_index.repository.source_repository import SourceRepository
from code_index.tables import IndexStore
from indexing_assets.checks import CheckOutcome, Severity, Subject, evaluate
from indexing_assets.checks.outcomes import Check, Finding
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.dagster_runs import close_dead_runs, dead_runs
from indexing_assets.runs.index_names import PARSED_CHUNKS
from indexing_assets.runs.open_index import OpenIndex

REPAIR = "code-index doctor --repair"
# Dagster advises no more partitions of an asset than 100,000.
_MANY_PARTITIONS = 90_000
# A commit writes the rows of some seconds of work; an index run needs room for several.
_FREE_BYTES = 512 << 20
_NORM_TOLERANCE = 1e-3
_VECTORS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An outcome, and what `--repair` would do about it; empty where only a person can."""

    outcome: CheckOutcome
    repair: str


def examine(folder: IndexFolder, *, every_file: bool = False) -> Iterator[Diagnosis]:
    """Check everything, from the outside in; what cannot be looked at because of an earlier fault is left out.

    Args:
        folder: an existing index.
        every_file: read all files of the repository rather than a sample of 500.
    """
    broken = False
    for claim, severity in _OUTSIDE:
        outcome = _judged(claim, folder, severity)
        broken |= not outcome.passed and outcome.severity is Severity.ERROR
        yield _diagnosis(outcome)
    if broken:
        return
    with Pipeline(folder) as pipeline:
        yield _diagnosis(_judged(_runs_have_a_living_process(pipeline.index), folder, Severity.ERROR))
        yield _diagnosis(_judged(_partitions_are_not_too_many(pipeline.index), folder, Severity.WARNING))
        for outcome in evaluate(_subject(pipeline, every_file=every_file)):
            yield _diagnosis(outcome)


def repair(folder: IndexFolder, failed: Collection[str], *, tell: Callable[[str], None]) -> None:
    """Mend what checks of these names found, then index again; safe to be killed and repeated.

    Raises:
        IndexBusyError: another process holds the index.
        CodeIndexError: it cannot be mended; the message says why.
    """
    with hold(folder.locks_dir, Phase.PARSE, wait_s=0), hold(folder.locks_dir, Phase.EMBED, wait_s=0):
        if "dagster_records_can_be_read" in failed:
            for path in _damaged_databases(folder):
                tell(f"Put {path} aside as {_put_aside(path, ('', '-wal', '-shm'))}")
        store = IndexStore(folder.tables_dir)
        for name in _unreadable_tables(store):
            version = store.upkeep.restore_readable(name)
            if version is not None:
                tell(f"Table {name}: went back to version {version}, the newest that can be read.")
            else:
                tell(f"Table {name}: put aside as {_put_aside(store.tables.path(name))}")
        with Pipeline(folder) as pipeline:
            for run_id in close_dead_runs(pipeline.instance):
                tell(f"Closed run {run_id}, whose process is gone.")
            for what in _mend_rows(pipeline.store):
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


def _subject(pipeline: Pipeline, *, every_file: bool) -> Subject:
    folder, settings = pipeline.folder, pipeline.settings
    return Subject(
        pipeline.index,
        encoder=pipeline.query_encoder,
        repository=SourceRepository(
            folder.repository_root,
            max_file_bytes=settings.max_file_bytes,
            exclude=settings.ignore,
            index_dir=folder.path,
        ),
        sampled_files=None if every_file else 500,
        seed=datetime.now(UTC).toordinal(),
    )


def _judged(claim: Callable[[IndexFolder], Finding], folder: IndexFolder, severity: Severity) -> CheckOutcome:
    name = claim.__name__.lstrip("_")
    description = (claim.__doc__ or "").strip().splitlines()[0]

    def function(_subject: Subject | None) -> Finding:
        return claim(folder)

    return Check(name, "", description, function, severity)(None)  # type: ignore[arg-type]


def _index_folder_can_be_used(folder: IndexFolder) -> Finding:
    """The folder belongs to this repository, this program knows its format, and its settings are valid."""
    folder.check()
    folder.settings()
    missing = [] if folder.repository_root.is_dir() else [str(folder.repository_root)]
    return Finding(missing, "repository", "not there", mend="mount it, or name another one")


def _index_folder_can_be_written(folder: IndexFolder) -> Finding:
    """Every part of the index folder can be written."""
    culprits = []
    for part in (folder.path, folder.tables_dir, folder.dagster_home, folder.locks_dir):
        try:
            part.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=part) as file:
                file.write(b"x")
        except OSError as error:
            culprits.append(f"{part} ({error.strerror})")
    return Finding(culprits, "folder", "cannot be written", mend="allow writing, or free space")


def _disk_has_room(folder: IndexFolder) -> Finding:
    """The disk has room for another commit of every table."""
    free = shutil.disk_usage(folder.path).free
    culprits = [f"{folder.path} ({free / 1e6:,.0f} MB free)"] if free < _FREE_BYTES else []
    return Finding(culprits, "disk", "nearly full", mend="free space, or `code-index cleanup`", figures={"free": free})


def _no_other_process_writes(folder: IndexFolder) -> Finding:
    """No other process holds the index at the moment."""
    holders = [(phase, owner(folder.locks_dir, phase)) for phase in Phase]
    culprits = [f"{phase} phase: {who}" for phase, who in holders if who is not None and who.pid != os.getpid()]
    return Finding(culprits, "process", "at work, so that what follows may be of the moment", mend="wait for its end")


def _dagster_records_can_be_read(folder: IndexFolder) -> Finding:
    """Dagster's databases are whole."""
    damaged = _damaged_databases(folder)
    return Finding(
        [f"{path} ({reason})" for path, reason in damaged.items()], "database", "damaged", mend=f"`{REPAIR}`"
    )


def _model_can_be_loaded(folder: IndexFolder) -> Finding:
    """The model that the settings name is here and is the right one."""
    from code_index.index.embedder_settings import query_embedder

    try:
        _ = query_embedder(folder.settings()).model_id
    except CodeIndexError as error:
        return Finding([str(error)], "model", "cannot be loaded", mend="correct `model` in settings.toml")
    return Finding([])


_OUTSIDE: tuple[tuple[Callable[[IndexFolder], Finding], Severity], ...] = (
    (_index_folder_can_be_used, Severity.ERROR),
    (_index_folder_can_be_written, Severity.ERROR),
    (_disk_has_room, Severity.WARNING),
    (_no_other_process_writes, Severity.WARNING),
    (_dagster_records_can_be_read, Severity.ERROR),
    (_model_can_be_loaded, Severity.ERROR),
)


def _runs_have_a_living_process(index: OpenIndex) -> Callable[[IndexFolder], Finding]:
    def runs_have_a_living_process(_folder: IndexFolder) -> Finding:
        """Every run that shows as under way has a process."""
        return Finding(
            [run.run_id for run in dead_runs(index.instance)], "run", "without a process", mend=f"`{REPAIR}`"
        )

    return runs_have_a_living_process


def _partitions_are_not_too_many(index: OpenIndex) -> Callable[[IndexFolder], Finding]:
    def partitions_are_not_too_many(_folder: IndexFolder) -> Finding:
        """There are fewer file partitions than Dagster can show well."""
        count = len(index.partition_keys(PARSED_CHUNKS))
        culprits = [f"parsed_chunks ({count:,} partitions)"] if count >= _MANY_PARTITIONS else []
        mend = "exclude generated or vendored files in .codeindexignore, or index parts of the repository by themselves"
        return Finding(
            culprits, "asset", "near the 100,000 partitions that Dagster advises at most", mend, {"partitions": count}
        )

    return partitions_are_not_too_many


def _damaged_databases(folder: IndexFolder) -> dict[Path, str]:
    """Dagster's databases that SQLite or Dagster cannot use, with the reason."""
    damaged = {}
    for path in sorted(folder.dagster_home.rglob("*.db")):
        if any(part.startswith(("damaged-", ".making-")) for part in path.parts):
            continue
        try:
            with closing(sqlite3.connect(path, timeout=10)) as database:
                said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
                heads = database.execute("SELECT count(*) FROM alembic_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            # Locked, read-only, a full disk: the file itself is not known to be damaged.
            if "no such table" in str(error):
                damaged[path] = str(error)
        except sqlite3.DatabaseError as error:
            damaged[path] = str(error)
        else:
            if said != "ok":
                damaged[path] = said
            elif heads != 1:
                damaged[path] = f"{heads} schema versions"
    return damaged


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
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(target / part.name)
    return target / path.name


def _mend_rows(store: IndexStore) -> Iterator[str]:
    """Remove rows that are wrong, so that the next run makes them anew; says what it removed."""
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
    if bad := _bad_vectors(store):
        store.vectors.delete(bad)
        yield f"Removed {len(bad)} vectors that are not of length 1, to be embedded again."
    ids = pl.Series(store.vectors.read(["chunk_id"]).column("chunk_id"))
    if repeated := ids.filter(ids.is_duplicated()).unique().to_list():
        store.vectors.retire(now=now, chunk_ids=repeated)
        yield f"Took {len(repeated)} vectors that were stored more than once out; each comes back once, unchanged."
    synced = store.sync.vectors(now=now)
    if synced.retired:
        yield f"Put {synced.retired} vectors without a chunk aside."


def _bad_vectors(store: IndexStore) -> list[str]:
    schema = store.tables.schema("vectors")
    if schema is None:
        return []
    bad: list[str] = []
    for batch in store.tables.iter_read("vectors", schema, columns=["chunk_id", "vector"], batch_size=_VECTORS_AT_ONCE):
        rows = pl.DataFrame(batch)
        squares = rows["vector"].arr.eval(pl.element() * pl.element()).arr.sum()
        fits = (squares.sqrt() - 1).abs() <= _NORM_TOLERANCE
        bad += rows.filter(~fits.fill_null(value=False))["chunk_id"].to_list()
    return bad


_REINDEXED = "index again: what is stored stays, what is missing is made"
_REPAIRS: Mapping[str, str] = {
    "dagster_records_can_be_read": "put the damaged database aside and record again what the tables hold, "
    "without parsing or embedding",
    "runs_have_a_living_process": "mark the run as failed; what it stored stays",
    "tables_can_be_read": "go back to the newest version of the table that can be read, else put it aside; then "
    + _REINDEXED,
    "every_indexed_file_has_its_partition": "scan, which adds and removes partition keys",
    "no_rows_of_files_that_are_gone": "remove those rows",
    "stored_chunks_match_the_manifest": "parse these files again",
    "chunk_ids_are_unique": "remove the chunks of these files and parse them again; no text is embedded again",
    "every_chunk_has_a_batch_with_a_partition": "parse these files again, or add the batches' partitions",
    "every_vector_has_its_chunk": "put these vectors aside, for code that returns",
    "no_chunk_has_two_vectors": "keep one vector each; no text is embedded again",
    "vectors_are_finite_and_of_unit_length": "remove these vectors and embed their texts again",
    "one_model_per_table": "put vectors of other models aside and embed what is missing",
    "stored_vectors_are_of_the_current_model": "put vectors of other models aside and embed what is missing",
    "stored_chunks_are_of_the_current_chunker": "parse these files again; unchanged chunks keep their vectors",
    "records_agree_with_the_tables": _REINDEXED,
    "every_chunk_has_its_vector": "embed what is pending; what failed for good needs `code-index resume --failed`",
    "search_indexes_are_current": "build and refresh the search indexes",
    "searching_finds_what_is_indexed": "build and refresh the search indexes",
    "source_matches_the_manifest": "scan with every file read, then " + _REINDEXED,
}


def _diagnosis(outcome: CheckOutcome) -> Diagnosis:
    return Diagnosis(outcome, "" if outcome.passed else _REPAIRS.get(outcome.name, ""))
