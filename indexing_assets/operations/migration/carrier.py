"""Rows of an old table as the new tables will hold them, some files at a time, counted by what became of them.

Belongs here: which file a row is of, whether that file is still the one that the row was made of, and which vectors can
be used. Does not belong here: the meaning of a row's columns (`indexing_assets.operations.migration.old_index.rows`) and
writing of any kind (`indexing_assets.operations.migration.staging`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from code_index.chunking.language_detection import detect_language
from code_index.core.errors import MigrationError, RepositoryError
from code_index.core.model import FileStatus, SourceFile
from code_index.core.partition_keys import file_partition_key
from code_index.core.unit_vectors import normalized, off_unit, vector_lengths
from code_index.index.source import source_repository
from code_index.tables.files import masked_rows
from indexing_assets.operations.migration.old_index.layout import TABLE
from indexing_assets.operations.migration.old_index.rows import (
    FileOfRows,
    carried_rows,
    covers,
    relative_path,
    stand_in_hash,
)
from indexing_assets.operations.migration.old_index.table import OldTable, matrix_of
from indexing_assets.operations.migration.plan import Plan
from indexing_assets.runs.planning import chunker_identity
from indexing_assets.runs.progress import Progress, report

_ROWS_AT_ONCE = 8_192  # of 384 components: 13 MB of vectors, as much again of content
_NAMED = 5


@dataclass(slots=True)
class MigrationReport:
    """The rows and files of the old index, counted by what became of them."""

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
        """Tell whether every row is a chunk or has a reason why it is none."""
        left_out = self.repeated_rows + sum(self.unusable_rows.values()) + self.rows_from_elsewhere
        return self.rows == self.chunks + left_out

    def note_file(self, kind: str, path: str) -> None:
        """Count a file of that kind and keep the first few names."""
        self.files[kind] = self.files.get(kind, 0) + 1
        named = self.examples.setdefault(kind, [])
        if len(named) < _NAMED:
            named.append(path)


@dataclass(frozen=True, slots=True)
class CarriedFiles:
    """Some files with their chunks: rows of `files` and of `chunks`, and for each chunk its vector and its old row.

    `vectors` is (chunks, dimension) float32 with unit rows, zeros where there is no usable one.
    """

    files: list[dict[str, Any]]
    chunks: list[Mapping[str, Any]]
    vectors: npt.NDArray[np.float32]
    usable: npt.NDArray[np.bool_]
    old_rows: npt.NDArray[np.uint64]


class Carrier:
    """Reads an old table once, in the order of paths; `report` counts what it met so far."""

    def __init__(self, plan: Plan, table: OldTable) -> None:
        """Survey the table.

        Raises:
            MigrationError: it is damaged, or its vectors are of another model than the plan's.
        """
        self.plan = plan
        self.table = table
        self.now = datetime.now(UTC)
        self.survey = table.survey()
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
        self._repository = source_repository(plan.folder, plan.settings)
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
                f"{self.survey.repeated_ids} rows have the id of another; all get new ids, so none is lost"
            )

    def carry(self) -> Iterator[CarriedFiles]:
        """Yield all files of the table that are of this repository, some thousand rows at a time.

        Raises:
            MigrationError: not one row can be carried over, or the table is damaged.
        """
        scan = self._repository.scan({})
        found = {file.file_path: file for file in scan.files}
        rows_of, stored_paths = self._by_path()
        done = 0
        for paths in _groups(sorted(rows_of), rows_of):
            yield self._carry_files(paths, rows_of, stored_paths, found)
            done += sum(rows_of[path].size for path in paths)
            report(Progress("migrate", "rows", done, self.survey.rows))
        if not self.report.chunks:
            raise MigrationError(
                f"None of the {self.survey.rows} rows of {self.table.folder / TABLE}.lance can be carried over: "
                f"{_reasons(self.report)}. Their paths were taken to begin with {' or '.join(self.plan.roots)}; "
                "name another root with --old-root. Nothing was changed."
            )

    def vectors_of(self, old_rows: Sequence[int]) -> tuple[list[int], npt.NDArray[np.float32]]:
        """Read usable vectors again: the row numbers in the order found, and a unit vector for each."""
        rows = self.table.fetch(np.asarray(old_rows, np.uint64), ["vector"])
        values, _ = matrix_of(rows, self.dimension)
        _to_unit_length(values)
        return rows.column("_rowid").to_pylist(), values

    def _by_path(self) -> tuple[dict[str, npt.NDArray[np.uint64]], dict[str, str]]:
        """Sort the row numbers by path relative to the root; also the path as stored."""
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

    def _carry_files(
        self,
        paths: Sequence[str],
        rows_of: Mapping[str, npt.NDArray[np.uint64]],
        stored_paths: Mapping[str, str],
        found: Mapping[str, SourceFile],
    ) -> CarriedFiles:
        rows = self.table.fetch(np.concatenate([rows_of[path] for path in paths]))
        numbers = np.asarray(rows.column("_rowid")).astype(np.uint64)
        position_of = {number: at for at, number in enumerate(numbers.tolist())}
        plain = rows.drop_columns(["vector"]).to_pylist()
        files: list[dict[str, Any]] = []
        chunks: list[Mapping[str, Any]] = []
        positions: list[int] = []
        masked_positions: list[int] = []
        for path in paths:
            at = [position_of[number] for number in rows_of[path].tolist()]
            at = [position for position in at if self._has_content(plain[position])]
            of_file = [plain[position] for position in at]
            file, manifest = self._file_and_manifest(path, stored_paths[path], of_file, found.get(path))
            carried = carried_rows(of_file, file)
            self.report.repeated_rows += len(of_file) - len(carried)
            chunks += [row.values for row in carried]
            positions += [at[row.position] for row in carried]
            masked: Counter[str] = Counter()
            for row in carried:
                masked.update(row.masked)
                masked_positions += [at[row.position]] if row.masked else []
            files.append({**manifest, "chunk_count": len(carried), "masked_keys": masked_rows(masked)})
        matrix, usable = matrix_of(rows, self.dimension)
        # These vectors were made from keys.
        usable[masked_positions] = False
        matrix[masked_positions] = 0
        kept = np.asarray(positions, np.int64)
        carried_files = CarriedFiles(files, chunks, matrix[kept], usable[kept], numbers[kept])
        uneven = _to_unit_length(carried_files.vectors)
        self.report.chunks += len(chunks)
        self.report.vectors += int(carried_files.usable.sum())
        self.report.chunks_without_vector += int((~carried_files.usable).sum())
        self.report.normalized_vectors += int(carried_files.usable[uneven].sum())
        return carried_files

    def _has_content(self, row: Mapping[str, Any]) -> bool:
        if row["content"]:
            return True
        self.report.unusable_rows["no content"] = self.report.unusable_rows.get("no content", 0) + 1
        return False

    def _file_and_manifest(
        self, path: str, stored_path: str, rows: Sequence[Mapping[str, Any]], file: SourceFile | None
    ) -> tuple[FileOfRows, dict[str, Any]]:
        """Describe the file of some rows, for their chunks and for the manifest.

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
            "reference_count": 0,
            "chunker_version": chunker_identity(self.plan.settings),
            "parsed_at": self.now,
        }
        return FileOfRows(path, file_hash, language, name, place), manifest

    def _kind(self, path: str, stored_path: str, rows: Sequence[Mapping[str, Any]], file: SourceFile | None) -> str:
        if file is None:
            return "gone" if not (self.plan.folder.repository_root / path).is_file() else "not indexed any more"
        if file.status is FileStatus.SKIPPED:
            return "not indexed any more"
        recorded = self.plan.old.mtimes_s.get(stored_path)
        if recorded is not None and _same_time(recorded, file.mtime_ns):
            return "unchanged"
        try:
            content = self._repository.read(path).content
        except RepositoryError:
            return "changed"
        return "unchanged" if covers(content.decode("utf-8", "replace"), rows) else "changed"


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
    """Tell whether a time in seconds, as a double holds it, is that of the file; archives keep only whole seconds."""
    if mtime_ns % 1_000_000_000 == 0:
        return int(recorded_s) == mtime_ns // 1_000_000_000
    return abs(recorded_s - mtime_ns / 1e9) < 1e-6  # noqa: PLR2004 - a double holds times to 0.2 microseconds


def _to_unit_length(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Bring the rows of another length than 1 to it, in place, and return their indexes; rows of zeros stay zeros."""
    uneven = off_unit(vector_lengths(vectors))
    vectors[uneven] = normalized(vectors[uneven])
    return uneven


def _reasons(counted: MigrationReport) -> str:
    reasons = {
        "from elsewhere": counted.rows_from_elsewhere,
        "repeated": counted.repeated_rows,
        **counted.unusable_rows,
    }
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count) or "it has none"
