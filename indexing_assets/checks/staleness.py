"""Claims about the whole index: that what is stored is of the present chunker, model and source.

They may read whole tables or files, so they run on a schedule or when somebody asks.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import polars as pl

from code_index.core.errors import RepositoryError
from code_index.core.model import FileStatus
from code_index.core.partition_keys import batch_partition_key
from code_index.repository.source_repository import reason_of
from indexing_assets.checks.check import INDEX, REINDEXED, RESUME, Finding, Severity, Subject, check
from indexing_assets.checks.checked_rows import manifest
from indexing_assets.runs.index_names import CHUNK_VECTORS, INDEX_REPORT, PARSED_CHUNKS, SOURCE_FILES
from indexing_assets.runs.planning import chunker_identity

_SHOWN = 80


@check(
    INDEX_REPORT,
    severity=Severity.WARNING,
    fixed_by=PARSED_CHUNKS,
    repair="parse these files again; unchanged chunks keep their vectors",
)
def stored_chunks_are_of_the_current_chunker(subject: Subject) -> Finding:
    """Every file was cut by this version of the chunker, with the limits of the settings."""
    wanted = chunker_identity(subject.index.settings)
    files = manifest(subject, "chunker_version").filter(pl.col("chunker_version").is_not_null())
    stale = files.filter(pl.col("chunker_version") != wanted).sort("file_path")
    return Finding(
        culprits=[
            f"{path} ({_difference(version, wanted)})"
            for path, version in stale.select("file_path", "chunker_version").iter_rows()
        ],
        noun="file",
        problem="cut by another version of the chunker, or with other limits",
        fix=f"`{INDEX}`, or a backfill of all partitions of parsed_chunks",
        figures={"files": files.height, "stale_files": stale.height},
    )


def _difference(version: str, wanted: str) -> str:
    """The parts of a chunker's identity that another one does not have: there is a part for each language."""
    wanted_parts = wanted.split("+")
    return ", ".join(part for part in version.split("+") if part not in wanted_parts)[:_SHOWN] or "fewer languages"


@check(
    INDEX_REPORT,
    severity=Severity.WARNING,
    fixed_by=CHUNK_VECTORS,
    repair="retire vectors of other models and embed what is missing",
)
def stored_vectors_are_of_the_current_model(subject: Subject) -> Finding:
    """Every vector was made by the model that the settings name."""
    model_id = subject.model().model_id
    rows = pl.DataFrame(subject.index.store.vectors.read(["chunk_id", "embedding_model"]))
    stale = rows.filter(pl.col("embedding_model") != model_id)
    batches = (
        pl.DataFrame(subject.index.store.chunks.read(["chunk_id", "embedding_batch_id"]))
        .join(stale, on="chunk_id")
        .group_by("embedding_batch_id", "embedding_model")
        .len()
        .drop_nulls()
        .sort("embedding_batch_id")
    )
    return Finding(
        culprits=[
            f"batch {batch_partition_key(batch_id)} ({count} vectors of {model})"
            for batch_id, model, count in batches.iter_rows()
        ],
        noun="batch",
        problem=f"with vectors of another model than {model_id}",
        fix=f"`{RESUME}`, or a backfill of all partitions of chunk_vectors",
        figures={"stale_vectors": stale.height, "stale_batches": batches["embedding_batch_id"].n_unique()},
    )


@check(
    INDEX_REPORT,
    severity=Severity.WARNING,
    fixed_by=SOURCE_FILES,
    repair="scan with every file read, then " + REINDEXED,
)
def source_matches_the_manifest(subject: Subject) -> Finding:
    """The files of the repository are those that the last scan saw, byte for byte; by default a sample is read."""
    if subject.index.folder.origin is not None:
        return Finding([], figures={"files_read": 0, "changed_files": 0})  # of a commit, which stays as it is
    differing = _sample_that_differs(subject) if subject.sampled_files is not None else _all_that_differ(subject)
    read = differing.pop("", "0")
    return Finding(
        culprits=[f"{path} ({what})" for path, what in sorted(differing.items())],
        noun="file",
        problem="changed since the scan",
        fix=f"`{INDEX} --verify`",
        figures={"files_read": int(read), "changed_files": len(differing)},
    )


def _all_that_differ(subject: Subject) -> dict[str, str]:
    """Differences by path, with every file read; the entry "" counts the files read."""
    # Nothing is known to the scan: so it reads everything.
    scan = subject.index.repository().scan({})
    known = _known_hashes(subject)
    found = {file.file_path: file.file_hash for file in scan.files if file.status is not FileStatus.SKIPPED}
    differing = {path: reason for path, reason in scan.unreadable.items() if path in known}
    for path in known.keys() | found.keys():
        if path not in found:
            if not any(path == place or (place.endswith("/") and path.startswith(place)) for place in scan.unreadable):
                differing[path] = "gone, or no longer indexed"
        elif path not in known:
            differing[path] = "new"
        elif known[path] != found[path]:
            differing[path] = "another content"
    return {**differing, "": str(scan.read_count)}


def _sample_that_differs(subject: Subject) -> dict[str, str]:
    """The same of files drawn at random; new files are not seen."""
    known = _known_hashes(subject)
    paths = sorted(known)
    drawn = random.Random(subject.seed).sample(paths, min(subject.sampled_files or 0, len(paths)))  # noqa: S311
    repository = subject.index.repository()
    differing: dict[str, str] = {}
    for path in drawn:
        try:
            if repository.read(path).file_hash != known[path]:
                differing[path] = "another content"
        except RepositoryError as error:
            differing[path] = reason_of(error, path)
    return {**differing, "": str(len(drawn))}


def _known_hashes(subject: Subject) -> Mapping[str, str]:
    return dict(manifest(subject).select("file_path", "file_hash").iter_rows())
