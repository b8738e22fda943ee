"""Taking over a single-table index: its rows become chunks and vectors, without a model call.

Belongs here: the order in which that happens. Does not belong here: what a row means (`indexing_assets.operations.migration.old_index.rows`), how
the table is read (`indexing_assets.operations.migration.old_index`) and what is printed (the command line).

The old index is only read. What it holds is backed up, built anew in a staging folder, compared with the backup,
and put in place by one rename; a process that is killed before it leaves an index as it was, and one that is killed
after it leaves only records to write. See docs/decisions/0010-migration.md.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from dagster._core.definitions.data_version import compute_logical_data_version

from code_index.chunking.language_detection import detect_language
from code_index.core.batching import BatchAllocator
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput, TextRecipe
from code_index.core.errors import MigrationError, SettingsError, StoreError, UsageError
from code_index.core.identifiers import full_text
from code_index.core.model import FileStatus, SourceFile
from code_index.core.partition_keys import batch_partition_key, file_partition_key
from code_index.core.vectors import normalized, off_unit, vector_lengths
from code_index.embedding.models.description import (
    ModelDescription,
    describe_model,
    settings_for_plain_encoding,
)
from code_index.index.folder import IndexFolder
from code_index.index.locks import LockOwner, Phase, hold
from code_index.index.settings import ENVIRONMENT_PREFIX, Settings, settings_template, settings_with
from code_index.repository.source_repository import SourceRepository
from code_index.tables import IndexStore
from code_index.tables.schemas import CHUNKS, FILES, vectors
from code_index.tables.table_names import CHUNKS_TABLE, FILES_TABLE, VECTORS_TABLE
from indexing_assets.operations.migration.old_index import OldIndex, OldTable, Survey, find_old_index
from indexing_assets.operations.migration.old_index.layout import CONFIG_FILE, METADATA_FILE, TABLE
from indexing_assets.operations.migration.old_index.rows import (
    CarriedRow,
    FileFacts,
    carried_rows,
    covers,
    relative_path,
    stand_in_hash,
)
from indexing_assets.operations.migration.old_index.table import matrix_of
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, SOURCE_FILES, UNNAMED
from indexing_assets.runs.materializations import record_outside_runs
from indexing_assets.runs.partitions import delete_partitions
from indexing_assets.runs.planning import chunker_identity, embedding_identity, next_batch_id
from indexing_assets.runs.progress import Progress, report
from resources.instance_config import instance_config

RECORD_FILE = "migration.json"
_STAGING = ".migration"
_ROWS_AT_ONCE = 8_192  # of 384 components: 13 MB of vectors, as much again of content
_SAMPLE = 1_000
_NAMED = 5


@dataclass(slots=True)
class MigrationReport:
    """What became of each row and file of the old index."""

    source: str
    program: str
    model_id: str
    rows: int
    chunks: int = 0
    vectors: int = 0
    repeated_rows: int = 0
    unusable_rows: dict[str, int] = field(default_factory=dict)
    rows_from_elsewhere: int = 0
    chunks_without_vector: int = 0
    normalized_vectors: int = 0
    verified_vectors: int = 0
    files: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def accounted(self) -> bool:
        """Whether every row is a chunk or has a reason why it is none."""
        left_out = self.repeated_rows + sum(self.unusable_rows.values()) + self.rows_from_elsewhere
        return self.rows == self.chunks + left_out

    def note_file(self, kind: str, path: str) -> None:
        """Count a file of that kind and keep the first few names."""
        self.files[kind] = self.files.get(kind, 0) + 1
        named = self.examples.setdefault(kind, [])
        if len(named) < _NAMED:
            named.append(path)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration will do, decided before anything is written."""

    folder: IndexFolder
    old: OldIndex
    roots: tuple[str, ...]
    values: Mapping[str, Any]
    settings: Settings
    model: ModelDescription


def plan_migration(
    folder: IndexFolder, *, source: Path | None = None, model: str | None = None, old_root: str | None = None
) -> Plan:
    """Find the old index, its model and its root.

    Args:
        folder: the index that takes it over.
        source: folder of the old index; found by itself where there is one in the repository.
        model: name of its model, where its config does not say or the model has another name here.
        old_root: the folder that its absolute paths begin with, where its config does not say.

    Raises:
        MigrationError: there is none, or it cannot be taken over.
        ModelError: its model is not here; the message says what to do.
        SettingsError: the environment asks for another model.
    """
    old = find_old_index(folder.repository_root, source)
    if old is None:
        place = source or folder.repository_root
        raise MigrationError(
            f"There is no single-table index (a table {TABLE}.lance) in {place}. Name its folder with --from."
        )
    name = model or old.model
    if name is None:
        raise MigrationError(f"{old.folder / CONFIG_FILE} does not name the embedding model. Name it with --model.")
    current = folder.settings()
    values = settings_for_plain_encoding(name, allow_download=current.embedder.allow_download)
    for key, value in values.items():
        variable = ENVIRONMENT_PREFIX + key.upper()
        if os.environ.get(variable, str(value)) != str(value):
            raise SettingsError(
                f"environment variable {variable} = {os.environ[variable]!r}, but the vectors of {old.folder} need "
                f"{key} = {value!r}. Unset it and run the migration again."
            )
    settings = current.with_settings(values)
    roots = [old_root] if old_root else [old.project_root, str(folder.repository_root)]
    return Plan(folder, old, tuple(filter(None, roots)), values, settings, describe_model(settings.embedder))


def can_migrate(folder: IndexFolder) -> OldIndex | None:
    """The old index of a repository whose own index has no chunks yet."""
    if folder.exists and IndexStore(folder.tables_dir).chunks.count():
        return None
    return find_old_index(folder.repository_root)


def dry_run(plan: Plan) -> MigrationReport:
    """Read everything as a migration would, and write nothing.

    Raises:
        MigrationError: the migration could not be done.
    """
    started = time.perf_counter()
    _refuse_filled(plan.folder)
    carrier = _Carrier(plan, OldTable(plan.old.table_folder), staging=None)
    carrier.carry()
    return _finished(carrier.report, started)


def migrate(
    plan: Plan, *, wait_s: float | None = None, on_wait: Callable[[LockOwner | None], None] | None = None
) -> MigrationReport:
    """Take the old index over; run again after a kill, it goes on or starts anew, whichever is right.

    Raises:
        MigrationError: it cannot be taken over; the index and the old index are as they were.
        IndexBusyError: another process writes to the index.
        StoreError: the disk is full or cannot be written.
    """
    started = time.perf_counter()
    folder = plan.folder
    folder.create(instance_config())
    with _alone(folder, wait_s, on_wait):
        if (known := read_record(folder)) is not None:
            _register(folder, known)
            return _finished(MigrationReport(**known["report"]), started)
        _refuse_filled(folder)
        back_up(plan)
        staging = folder.path / _STAGING
        _remove(staging)
        carrier = _Carrier(plan, OldTable(folder.backup_dir), staging=staging)
        carrier.carry()
        carrier.verify()
        report_ = carrier.report
        report_.seconds = time.perf_counter() - started
        record = {
            "source": str(plan.old.folder),
            "table": str(plan.old.table_path),
            "migrated_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "report": asdict(report_),
        }
        (staging / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        adopt_settings(plan)
        switch_over(folder, staging)
        _register(folder, record)
    return _finished(report_, started)


def rollback(folder: IndexFolder) -> dict[str, Any]:
    """Undo a migration: the index is empty again, its settings are those before; the old index is as it was.

    Returns:
        the record of the migration that is undone.

    Raises:
        UsageError: there is nothing to undo, or the backup is gone.
    """
    folder.check()
    with _alone(folder, None, None):
        undone = folder.path / f"{_STAGING}-undone"
        record = read_record(folder)
        if record is None and undone.is_dir():
            record = _read_json(undone / RECORD_FILE)
        if record is None:
            raise UsageError(f"{folder.path} does not come from a migration: there is nothing to undo.")
        backup = folder.backup_dir
        if not (backup / f"{TABLE}.lance").is_dir():
            raise UsageError(f"The backup {backup} is gone: the migration cannot be undone any more.")
        table = Path(record["table"])
        if not table.exists():
            restore_old_table(backup, table)
        if folder.tables_dir.exists() and not undone.exists():
            folder.tables_dir.rename(undone)
        folder.tables_dir.mkdir(exist_ok=True)
        before = backup / "settings.toml"
        if before.exists():
            _write(folder.settings_path, before.read_text(encoding="utf-8"))
        with Pipeline(folder) as pipeline:
            for name, asset in (
                (UNNAMED.partitions(PARSED_CHUNKS), PARSED_CHUNKS),
                (UNNAMED.partitions(CHUNK_VECTORS), CHUNK_VECTORS),
            ):
                delete_partitions(pipeline.instance, name, list(pipeline.instance.get_dynamic_partitions(name)))
                pipeline.instance.wipe_assets([UNNAMED.asset_key(asset)])
        # The next migration keeps the settings of its own time.
        before.unlink(missing_ok=True)
        _remove(undone)
    return record


def remove_old_index(folder: IndexFolder) -> int:
    """Remove the old table and the backup of a migration for good; returns the bytes that were won.

    Raises:
        UsageError: there was no migration, so that the table is somebody else's.
    """
    record = read_record(folder)
    if record is None:
        raise UsageError(
            f"{folder.path} does not come from a migration: no old table is removed. `code-index migrate` takes one over."
        )
    with _alone(folder, None, None):
        won = sum(_bytes(place) for place in (Path(record["table"]), folder.backup_dir))
        _remove(folder.backup_dir)
        _remove(Path(record["table"]))
    return won


def read_record(folder: IndexFolder) -> dict[str, Any] | None:
    """What the migration that the tables come from left in them; None for tables that were never migrated."""
    return _read_json(folder.tables_dir / RECORD_FILE)


def back_up(plan: Plan) -> None:
    """Keep the old index beside the new one; what a program adds to the old table later is not in it.

    Files of the table never change, so that hard links will do where the disk has them.
    """
    backup = plan.folder.backup_dir
    temporary = backup.with_name(f"{backup.name}.tmp")
    _remove(temporary)
    temporary.mkdir()
    # The manifests first: whatever they name was there before them.
    for part in ("_versions", ""):
        _link_tree(plan.old.table_path / part, temporary / f"{TABLE}.lance" / part)
    for name in (CONFIG_FILE, METADATA_FILE):
        if (plan.old.folder / name).exists():
            shutil.copy2(plan.old.folder / name, temporary / name)
    kept = backup / "settings.toml"
    shutil.copy2(kept if kept.exists() else plan.folder.settings_path, temporary / "settings.toml")
    _remove(backup)
    temporary.rename(backup)


def restore_old_table(backup: Path, table: Path) -> None:
    """Put the old table back from the backup."""
    temporary = table.with_name(f"{table.name}.tmp")
    _remove(temporary)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    _link_tree(backup / f"{TABLE}.lance", temporary)
    temporary.rename(table)


def adopt_settings(plan: Plan) -> None:
    """Write the settings of the old vectors' model into `settings.toml`."""
    path = plan.folder.settings_path
    text = path.read_text(encoding="utf-8") if path.exists() else settings_template()
    _write(path, settings_with(text, plan.values))


def switch_over(folder: IndexFolder, staging: Path) -> None:
    """Put the staged tables in place by one rename; what is there has no rows."""
    for leftover in list(folder.tables_dir.iterdir()):
        _remove(leftover)
    staging.rename(folder.tables_dir)


class _Carrier:
    """Carries the rows of a table over into staged tables; without a folder it only counts."""

    def __init__(self, plan: Plan, table: OldTable, *, staging: Path | None) -> None:
        self.plan = plan
        self.table = table
        self.store = None if staging is None else IndexStore(staging)
        self.identity = chunker_identity(plan.settings)
        self.now = datetime.now(UTC)
        self.embedded_at = _moment(plan.old.indexed_at) or self.now
        self.survey: Survey = table.survey()
        dimension = self.survey.dimension or plan.model.dimension
        if dimension is None:
            raise MigrationError(
                f"Neither {table.folder / TABLE}.lance nor the model {plan.values['model']} says how many components "
                "its vectors have. Name the model's folder with --model."
            )
        if plan.model.dimension not in {None, dimension}:
            raise MigrationError(
                f"The vectors of {table.folder / TABLE}.lance have {dimension} components, those of "
                f"{plan.values['model']} {plan.model.dimension}: another model made them. Name it with --model."
            )
        self.dimension = dimension
        self.allocator = BatchAllocator(first_id=1, batch_chunks=plan.settings.embedding_batch_chunks)
        self.report = MigrationReport(
            source=str(plan.old.folder),
            program=plan.old.program,
            model_id=plan.model.model_id,
            rows=self.survey.rows,
            unusable_rows=dict(self.survey.unusable),
            notes=list(plan.old.notes),
        )
        if self.survey.repeated_ids:
            self.report.notes.append(
                f"{self.survey.repeated_ids} rows have the id of another; ids are made anew, so none is lost"
            )
        # Row number in the old table, chunk id, whether its vector was normalized.
        self._sample: list[tuple[int, str]] = []
        self._every = max(1, self.survey.row_ids.size // _SAMPLE)
        self._seen = 0

    def carry(self) -> None:
        """Write chunks, vectors and manifest, file by file in the order of paths.

        Raises:
            MigrationError: not one row can be carried over.
        """
        root = self.plan.folder.repository_root
        if self.store is not None:
            next_id = 1
            if self.plan.folder.exists:
                with Pipeline(self.plan.folder) as pipeline:
                    next_id = next_batch_id(replace(pipeline.index, store=self.store))
            self.allocator = BatchAllocator(first_id=next_id, batch_chunks=self.plan.settings.embedding_batch_chunks)
        scan = SourceRepository(
            root,
            max_file_bytes=self.plan.settings.max_file_bytes,
            exclude=self.plan.settings.ignore,
            index_dir=self.plan.folder.path,
        ).scan({})
        found = {file.file_path: file for file in scan.files}
        rows_of, paths = self._by_path()
        files: list[dict[str, Any]] = []
        done = 0
        for group in _groups(sorted(rows_of), rows_of):
            files += self._carry_group(group, rows_of, paths, found)
            done += sum(rows_of[path].size for path in group)
            report(Progress("migrate", "rows", done, self.survey.rows))
        if not self.report.chunks:
            raise MigrationError(
                f"None of the {self.survey.rows} rows of {self.table.folder / TABLE}.lance can be carried over: "
                f"{_reasons(self.report)}. Their paths were taken to begin with {' or '.join(self.plan.roots)}; "
                "name another root with --old-root. Nothing was changed."
            )
        if self.store is not None:
            self.store.models.begin(self.plan.model.model_id, self.plan.settings.embedder.identity())
            self.store.files.upsert(pa.Table.from_pylist(files, schema=FILES))
            self.store.upkeep.ensure_indexes()

    def verify(self) -> None:
        """Compare what is staged with the backup: the counts, and a sample of vectors bit by bit.

        Raises:
            MigrationError: something differs; nothing was switched over.
        """
        store = self.store
        if store is None:
            return
        counts = {CHUNKS_TABLE: self.report.chunks, VECTORS_TABLE: self.report.vectors}
        for name, expected in counts.items():
            if (stored := store.tables.count(name)) != expected:
                raise MigrationError(f"{stored} rows are staged in {name}, {expected} were carried over.")
        if not self.report.accounted:
            raise MigrationError(f"Not every one of the {self.report.rows} rows is accounted for: {self.report}.")
        for start in range(0, len(self._sample), _ROWS_AT_ONCE):
            self._compare(store, dict(self._sample[start : start + _ROWS_AT_ONCE]))
        self.report.verified_vectors = len(self._sample)

    def _by_path(self) -> tuple[dict[str, npt.NDArray[np.uint64]], dict[str, str]]:
        """Row numbers by path relative to the root, and the path as stored."""
        survey = self.survey
        order = np.argsort(survey.path_of, kind="stable")
        bounds = np.searchsorted(survey.path_of[order], np.arange(len(survey.paths) + 1))
        rows_of: dict[str, npt.NDArray[np.uint64]] = {}
        stored: dict[str, str] = {}
        for place, path in enumerate(survey.paths):
            numbers = survey.row_ids[order[bounds[place] : bounds[place + 1]]]
            relative = relative_path(path, self.plan.roots)
            if relative is None:
                self.report.rows_from_elsewhere += int(numbers.size)
                self.report.note_file("from elsewhere", path)
                continue
            rows_of[relative] = np.concatenate([rows_of[relative], numbers]) if relative in rows_of else numbers
            stored[relative] = path
        return rows_of, stored

    def _carry_group(
        self,
        group: Sequence[str],
        rows_of: Mapping[str, npt.NDArray[np.uint64]],
        stored_paths: Mapping[str, str],
        found: Mapping[str, SourceFile],
    ) -> list[dict[str, Any]]:
        rows = self.table.fetch(np.concatenate([rows_of[path] for path in group]))
        matrix, usable = matrix_of(rows, self.dimension)
        places = {number: at for at, number in enumerate(rows.column("_rowid").to_pylist())}
        plain = rows.drop_columns(["vector"]).to_pylist()
        files, chunks, old_places = [], [], []
        for path in group:
            at = [places[number] for number in rows_of[path].tolist()]
            at = [place for place in at if self._has_content(plain[place])]
            of_file = [plain[place] for place in at]
            facts, manifest = self._facts(path, stored_paths[path], of_file, found.get(path))
            carried = carried_rows(of_file, facts)
            self.report.repeated_rows += len(of_file) - len(carried)
            chunks += carried
            old_places += [at[row.place] for row in carried]
            files.append({**manifest, "chunk_count": len(carried)})
        self._write(chunks, matrix, usable, np.asarray(old_places, np.int64), rows)
        return files

    def _has_content(self, row: Mapping[str, Any]) -> bool:
        if row["content"]:
            return True
        self.report.unusable_rows["no content"] = self.report.unusable_rows.get("no content", 0) + 1
        return False

    def _facts(
        self, path: str, stored_path: str, rows: Sequence[Mapping[str, Any]], file: SourceFile | None
    ) -> tuple[FileFacts, dict[str, Any]]:
        """What the rows' chunks say of their file, and the manifest's row.

        A file that is not, or not certainly, the one that the rows were made of gets a hash that no file has:
        its rows are found until the next scan, which sees a changed file.
        """
        kind = self._kind(path, stored_path, rows, file)
        self.report.note_file(kind, path)
        if kind == "unchanged" and file is not None:
            size, mtime, file_hash = file.size_bytes, file.mtime_ns, file.file_hash
            language, name, place = file.language, file.subproject_name, file.subproject_path
        else:
            size, mtime, file_hash = 0, 0, stand_in_hash(rows)
            language, name, place = detect_language(path), None, None
        manifest = {
            "file_path": path,
            "file_hash": file_hash,
            "partition_key": file_partition_key(file_hash, path),
            "size_bytes": size,
            "mtime_ns": mtime,
            "language": language,
            "subproject_name": name,
            "subproject_path": place,
            "status": FileStatus.PARSED.value,
            "chunker_version": self.identity,
            "parsed_at": self.now,
        }
        return FileFacts(path, file_hash, language, name, place), manifest

    def _kind(self, path: str, stored_path: str, rows: Sequence[Mapping[str, Any]], file: SourceFile | None) -> str:
        if file is None:
            return "gone" if not (self.plan.folder.repository_root / path).is_file() else "not indexed any more"
        if file.status is FileStatus.SKIPPED:
            return "not indexed any more"
        recorded = self.plan.old.mtimes_s.get(stored_path)
        if recorded is not None and _same_time(recorded, file.mtime_ns):
            return "unchanged"
        try:
            content = (self.plan.folder.repository_root / path).read_bytes()
        except OSError:
            return "changed"
        return "unchanged" if covers(content.decode("utf-8", "replace"), rows) else "changed"

    def _write(
        self,
        chunks: Sequence[CarriedRow],
        matrix: npt.NDArray[np.float32],
        usable: npt.NDArray[np.bool_],
        places: npt.NDArray[np.int64],
        rows: pa.Table,
    ) -> None:
        if not chunks:
            return
        values = matrix[places]
        good = usable[places]
        uneven = off_unit(vector_lengths(values))
        values[uneven] = normalized(values[uneven])
        batches = self.allocator.take(len(chunks))
        self.report.chunks += len(chunks)
        self.report.vectors += int(good.sum())
        self.report.chunks_without_vector += int((~good).sum())
        self.report.normalized_vectors += int(good[uneven].sum())
        numbers = rows.column("_rowid").to_pylist()
        for at in np.flatnonzero(good).tolist():
            self._seen += 1
            if self._seen % self._every == 0:
                self._sample.append((numbers[places[at]], chunks[at].values["chunk_id"]))
        if self.store is not None:
            columns = [chunk.values for chunk in chunks]
            self.store.tables.append(CHUNKS_TABLE, CHUNKS, self._chunk_rows(columns, batches), keys=("chunk_id",))
            schema = vectors(self.dimension)
            self.store.tables.append(
                VECTORS_TABLE, schema, self._vector_rows(columns, values, good), keys=("chunk_id",)
            )

    def _chunk_rows(self, chunks: Sequence[Mapping[str, Any]], batches: Sequence[int]) -> pa.Table:
        columns = {item.name: [chunk[item.name] for chunk in chunks] for item in CHUNKS if item.name in chunks[0]}
        columns["search_text"] = [
            full_text(
                file_path=chunk["file_path"], qualified_name=chunk["qualified_name"], content=chunk["content"]
            ).lower()
            for chunk in chunks
        ]
        columns["embedding_batch_id"] = list(batches)
        columns["created_at"] = columns["updated_at"] = [self.now] * len(chunks)
        return pa.table([pa.array(columns[item.name], item.type) for item in CHUNKS], schema=CHUNKS)

    def _vector_rows(
        self, chunks: Sequence[Mapping[str, Any]], values: npt.NDArray[np.float32], good: npt.NDArray[np.bool_]
    ) -> pa.Table:
        schema = vectors(self.dimension)
        kept = [chunk for chunk, with_vector in zip(chunks, good, strict=True) if with_vector]
        columns: dict[str, Any] = {
            item.name: [chunk[item.name] for chunk in kept] for item in schema if item.name in chunks[0]
        }
        columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(values[good].reshape(-1)), self.dimension)
        columns["text_hash"] = [
            EmbeddingInput.of_chunk(
                **{name: chunk[name] for name in EMBEDDED_FIELDS}, recipe=TextRecipe.SOURCE
            ).text_hash
            for chunk in kept
        ]
        columns["embedding_model"] = [self.plan.model.model_id] * len(kept)
        columns["embedded_at"] = [self.embedded_at] * len(kept)
        return pa.table(
            [
                columns[item.name] if item.name == "vector" else pa.array(columns[item.name], item.type)
                for item in schema
            ],
            schema=schema,
        )

    def _compare(self, store: IndexStore, sample: Mapping[int, str]) -> None:
        old = self.table.fetch(np.asarray(list(sample), np.uint64), ["vector"])
        before, _ = matrix_of(old, self.dimension)
        uneven = off_unit(vector_lengths(before))
        before[uneven] = normalized(before[uneven])
        ids = [sample[number] for number in old.column("_rowid").to_pylist()]
        stored = pl.DataFrame(store.chunks.by_ids(ids, ["chunk_id"])).height
        now = _vectors_of(store, ids, self.dimension)
        if stored != len(ids) or before.tobytes() != now.tobytes():
            raise MigrationError(
                f"A sample of {len(ids)} vectors does not equal the old ones bit by bit; nothing was switched over. "
                "Please report this; the old index is as it was."
            )


def _vectors_of(store: IndexStore, chunk_ids: Sequence[str], dimension: int) -> npt.NDArray[np.float32]:
    from code_index.tables.sql import is_in

    rows = store.vectors.read(["chunk_id", "vector"], is_in("chunk_id", chunk_ids))
    places = pc.index_in(pa.array(chunk_ids, pa.string()), rows.column("chunk_id").combine_chunks())
    if places.null_count:
        return np.zeros((0, dimension), np.float32)
    matrix, _ = matrix_of(rows.take(places), dimension)
    return matrix


def _register(folder: IndexFolder, record: Mapping[str, Any]) -> None:
    """Partition keys and materializations of what was migrated, with a note of where it came from; repeatable."""
    with Pipeline(folder) as pipeline:
        instance, store, settings = pipeline.instance, pipeline.store, pipeline.settings
        note = {
            "migrated_from": record["source"],
            "migrated_from_program": record["report"]["program"],
            "migrated_at": record["migrated_at"],
        }
        source_files = UNNAMED.asset_key(SOURCE_FILES)
        if instance.get_latest_materialization_event(source_files) is None:
            # The version that a scan gets: what was made from this one is not stale after the next.
            version = compute_logical_data_version("1", {}).value
            counts: dict[str | None, dict[str, Any]] = {
                None: {**note, "dagster/row_count": len(store.files.read(["file_path"]))}
            }
            record_outside_runs(instance, source_files, counts, code_version="1", data_versions={None: version})
        files = store.files.read(["partition_key", "file_hash", "chunk_count"]).to_pylist()
        keys = [row["partition_key"] for row in files]
        known = set(instance.get_dynamic_partitions(UNNAMED.partitions(PARSED_CHUNKS)))
        instance.add_dynamic_partitions(UNNAMED.partitions(PARSED_CHUNKS), [key for key in keys if key not in known])
        done = instance.get_materialized_partitions(UNNAMED.asset_key(PARSED_CHUNKS))
        new = [row for row in files if row["partition_key"] not in done]
        record_outside_runs(
            instance,
            UNNAMED.asset_key(PARSED_CHUNKS),
            {
                row["partition_key"]: {
                    **note,
                    "chunks": row["chunk_count"],
                    "dagster/partition_row_count": row["chunk_count"],
                }
                for row in new
            },
            code_version=chunker_identity(settings),
            data_versions={row["partition_key"]: row["file_hash"] for row in new},
            parent=source_files,
        )
        batches = pl.DataFrame(store.statuses.batches(record["report"]["model_id"]))
        batch_keys = [batch_partition_key(number) for number in batches["embedding_batch_id"]]
        known = set(instance.get_dynamic_partitions(UNNAMED.partitions(CHUNK_VECTORS)))
        instance.add_dynamic_partitions(
            UNNAMED.partitions(CHUNK_VECTORS), [key for key in batch_keys if key not in known]
        )
        done = instance.get_materialized_partitions(UNNAMED.asset_key(CHUNK_VECTORS))
        complete = batches.filter((pl.col("pending") == 0) & (pl.col("errors") == 0))
        record_outside_runs(
            instance,
            UNNAMED.asset_key(CHUNK_VECTORS),
            {
                key: {**note, "chunks": chunks, "dagster/partition_row_count": chunks}
                for key, chunks in zip(
                    map(batch_partition_key, complete["embedding_batch_id"]), complete["chunks"], strict=True
                )
                if key not in done
            },
            code_version=embedding_identity(settings),
        )


def _refuse_filled(folder: IndexFolder) -> None:
    if read_record(folder) is not None:
        return
    store = IndexStore(folder.tables_dir)
    filled = [name for name in store.tables.names() if name != FILES_TABLE and store.tables.count(name)]
    if filled:
        raise MigrationError(
            f"{folder.path} holds an index already ({store.chunks.count()} chunks). To take the old index over, name "
            f"another folder with --index-dir, or remove {folder.path} first. Nothing was changed."
        )


@contextmanager
def _alone(
    folder: IndexFolder, wait_s: float | None, on_wait: Callable[[LockOwner | None], None] | None
) -> Iterator[None]:
    with (
        hold(folder.locks_dir, Phase.PARSE, wait_s=wait_s, on_wait=on_wait),
        hold(folder.locks_dir, Phase.EMBED, wait_s=wait_s, on_wait=on_wait),
    ):
        yield


def _groups(paths: Sequence[str], rows_of: Mapping[str, npt.NDArray[np.uint64]]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for path in paths:
        if group and size + rows_of[path].size > _ROWS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(path)
        size += int(rows_of[path].size)
    if group:
        yield group


def _same_time(recorded_s: float, mtime_ns: int) -> bool:
    """Whether a time in seconds, as a double holds it, is that of the file; archives keep whole seconds alone."""
    if mtime_ns % 1_000_000_000 == 0:
        return int(recorded_s) == mtime_ns // 1_000_000_000
    return abs(recorded_s - mtime_ns / 1e9) < 1e-6  # noqa: PLR2004 - a double holds times to 0.2 microseconds


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _reasons(report_: MigrationReport) -> str:
    reasons = {
        "from elsewhere": report_.rows_from_elsewhere,
        "repeated": report_.repeated_rows,
        **report_.unusable_rows,
    }
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count) or "it has none"


def _finished(report_: MigrationReport, started: float) -> MigrationReport:
    report_.seconds = round(time.perf_counter() - started, 2)
    return report_


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}. Restore it from a backup, or index again.") from error
    return found


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _link_tree(source: Path, target: Path) -> None:
    """Hard links of all files below a folder, copies where the disk has no links; what is there stays."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, place)
            except OSError:
                shutil.copy2(path, place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_nlink == 1)
