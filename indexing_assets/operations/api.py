"""The index in one call, for programs that want neither phases nor Dagster.

Belongs here: two functions and their records. They run the same assets as the command line and leave the same
records; nothing here is another way to index.

    from indexing_assets import GivenChunk, add_chunks, index_repository

    counts = index_repository("/path/to/repository")
    print(counts.files, counts.chunks, counts.vectors)
    add_chunks("/path/to/repository", [GivenChunk("notes.txt", 1, 2, "how the parser works")])
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from code_index.core.embedding_text import EmbeddingInput
from code_index.core.errors import StoreError, UsageError
from code_index.core.hashing import chunk_id
from code_index.core.model import Chunk, ChunkType, EmbeddingStatus, FileStatus
from code_index.core.secret_masks import mask_string
from code_index.core.unit_vectors import Vectors, normalized, vector_lengths
from code_index.index.folder import resolve_index_folder
from code_index.index.locks import hold_all
from code_index.parsing.chunk_rows import chunks_to_batch
from code_index.tables import schemas
from code_index.tables.files import masked_rows
from code_index.tables.sql import is_in
from code_index.tables.store import IndexStore
from code_index.tables.vectors import vector_rows
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult
from indexing_assets.runs.index_names import PARSED_CHUNKS, REFERENCES, SOURCE_FILES
from indexing_assets.runs.materializations import record_outside_runs
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.runs.phase_one_commit import PhaseOneCommits
from indexing_assets.runs.planning import chunker_code_version, chunker_identity, match_batch_partitions
from indexing_assets.upkeep.compaction import index_left_words
from resources.embedder_resource import EmbedderResource

_NAMED = 5


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """Contents of an index after `index_repository`, and what this call did.

    `chunks`, `vectors` and `files` count what is stored; `parsed_files` and `embedded_batches` what was done now;
    `failed_files` and `failed_chunks` what could not be done (`code-index status --failed` says why).

    Example:
        >>> from indexing_assets import index_repository
        >>> counts = index_repository("repository")
        >>> counts.files, counts.chunks == counts.vectors, counts.failed_files, counts.failed_chunks
        (4, True, 0, 0)
    """

    files: int
    chunks: int
    vectors: int
    parsed_files: int
    embedded_batches: int
    failed_files: int
    failed_chunks: int


@dataclass(frozen=True, slots=True)
class GivenChunk:
    """A chunk that the caller cut itself.

    `file_path` is POSIX and relative to the repository; lines are 1-based and inclusive. `language` None means that
    of the file. Names may be left out; `qualified_name` is then made of class and function.

    Example:
        >>> from indexing_assets import GivenChunk
        >>> GivenChunk("app/greeting.py", 4, 6, "greets a person", function_name="greet").chunk_type
        'text'
    """

    file_path: str
    start_line: int
    end_line: int
    content: str
    chunk_type: str = ChunkType.TEXT.value
    function_name: str | None = None
    class_name: str | None = None
    qualified_name: str | None = None
    docstring: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AddedCounts:
    """Files and chunks that `add_chunks` stored, vectors that were given, and chunks that were embedded or failed.

    Example:
        >>> from indexing_assets import GivenChunk, add_chunks
        >>> add_chunks("repository", [GivenChunk("app/greeting.py", 1, 3, "how to install")])
        AddedCounts(files=1, chunks=1, given_vectors=0, embedded=1, failed=0)
    """

    files: int
    chunks: int
    given_vectors: int
    embedded: int
    failed: int


def index_repository(
    path: str | Path,
    *,
    index_dir: str | Path | None = None,
    force: bool = False,
    verify: bool = False,
    wait_s: float | None = None,
    embedder: EmbedderResource | None = None,
) -> IndexCounts:
    """Index a folder through both phases, as `code-index index` does; what is stored already is not done again.

    Args:
        path: the repository.
        index_dir: folder of the index; `.code-index` in the repository by default.
        force: parse and embed everything again.
        verify: compare the contents of files, not only sizes and times.
        wait_s: how long to wait for another process; None for as long as it takes.
        embedder: in place of the model that the settings name.

    Returns:
        counts. Single files or chunks that failed are in them, and raise nothing.

    Raises:
        RepositoryError: the folder cannot be read.
        ModelError: the model is missing; known before anything is parsed.
        SettingsError: a setting cannot be used.
        IndexBusyError: another process writes, still after `wait_s`.
        StoreError: a phase failed as a whole; what was stored before is safe.

    Example:
        >>> from indexing_assets import index_repository
        >>> index_repository("repository").parsed_files
        0
    """
    folder = resolve_index_folder(path, index_dir)
    with Pipeline(folder, embedder=embedder, wait_s=wait_s) as pipeline:
        model_id = pipeline.model_id
        _require(pipeline.scan(verify=verify))
        parsed = _require(pipeline.parse(force=force))
        embedded = _require(pipeline.embed(force=force))
        files = pipeline.store.files.counts()
        chunks = pipeline.store.statuses.count(model_id)
    return IndexCounts(
        files=files.get(FileStatus.PARSED.value, 0),
        chunks=sum(chunks.values()),
        vectors=chunks[EmbeddingStatus.COMPLETE.value],
        parsed_files=parsed.partitions,
        embedded_batches=embedded.partitions,
        failed_files=files.get(FileStatus.ERROR.value, 0),
        failed_chunks=chunks[EmbeddingStatus.ERROR.value],
    )


def add_chunks(
    path: str | Path,
    chunks: Sequence[GivenChunk],
    *,
    vectors: npt.ArrayLike | None = None,
    index_dir: str | Path | None = None,
    wait_s: float | None = None,
    embedder: EmbedderResource | None = None,
) -> AddedCounts:
    """Replace the chunks of some files with the given ones, which may bring their vectors.

    All chunks of a file are given at once: they replace what is stored of it, until the file is edited (then it is
    parsed as any other) or `index_repository(force=True)`. Chunks without a vector are embedded. Keys in texts and names are
    masked; a chunk that had one is embedded, because its given vector was made from the key.

    Args:
        path: the repository.
        chunks: at least one; their files must be in the repository and not skipped.
        vectors: (n, dimension), one row a chunk, made with the index's model; a row of NaN stands for none. They
            are brought to unit length.
        index_dir: as for `index_repository`.
        wait_s: as for `index_repository`.
        embedder: as for `index_repository`.

    Raises:
        UsageError: a chunk, or the shape of the vectors, cannot be used; nothing was stored.
        RepositoryError, ModelError, SettingsError, IndexBusyError, StoreError: as for `index_repository`.

    Example:
        >>> from code_index import Index
        >>> from indexing_assets import GivenChunk, add_chunks
        >>> added = add_chunks("repository", [GivenChunk("app/greeting.py", 1, 3, "how to install")])
        >>> Index.open("repository").search("install", mode="lexical")[0].content
        'how to install'
    """
    if not chunks:
        raise UsageError("No chunks are given.")
    folder = resolve_index_folder(path, index_dir)
    with Pipeline(folder, embedder=embedder, wait_s=wait_s) as pipeline:
        encoder = pipeline.query_encoder()
        matrix = _matrix(vectors, len(chunks), encoder.embed_query("dimension").size) if vectors is not None else None
        with hold_all(folder.locks, wait_s=wait_s):
            _require(pipeline.scan())
            manifest = _manifest(pipeline, chunks)
            without_keys = [_without_keys(chunk) for chunk in chunks]
            if matrix is not None:
                matrix[[bool(masked) for _, masked in without_keys]] = np.nan
            rows = _chunks([chunk for chunk, _ in without_keys], manifest)
            masked_keys: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for chunk, masked in without_keys:
                masked_keys[chunk.file_path] += masked
            given = _store(pipeline, rows, matrix, manifest, masked_keys, encoder.model_id)
            index_left_words(pipeline.store)
            before = pipeline.store.statuses.count(encoder.model_id)
            _require(pipeline.embed())
            after = pipeline.store.statuses.count(encoder.model_id)
    complete, error = EmbeddingStatus.COMPLETE.value, EmbeddingStatus.ERROR.value
    return AddedCounts(
        files=len(manifest),
        chunks=len(rows),
        given_vectors=given,
        embedded=after[complete] - before[complete],
        failed=after[error] - before[error],
    )


def _require(result: PhaseResult) -> PhaseResult:
    if result.error is not None and not result.partial:
        raise StoreError(f"{result.error} (Dagster run {result.run_id}). What was stored before is safe.")
    return result


def _matrix(vectors: npt.ArrayLike, rows: int, dimension: int) -> Vectors:
    """The given vectors with unit rows; those that stand for none stay NaN."""
    matrix = np.array(vectors, dtype=np.float32)
    if matrix.shape != (rows, dimension):
        raise UsageError(
            f"vectors have the shape {matrix.shape}; {rows} chunks and the index's model need ({rows}, {dimension})."
        )
    found = vector_lengths(matrix)
    if np.any(found == 0) or np.any(np.isinf(found)):
        raise UsageError("A vector is zero or infinite. Leave it out with a row of NaN, and its chunk is embedded.")
    return normalized(matrix)


def _manifest(pipeline: Pipeline, chunks: Sequence[GivenChunk]) -> dict[str, dict[str, Any]]:
    """The manifest's rows of the chunks' files by path."""
    paths = list(dict.fromkeys(chunk.file_path for chunk in chunks))
    found = {row["file_path"]: row for row in pipeline.store.files.read(where=is_in("file_path", paths)).to_pylist()}
    missing = [path for path in paths if path not in found or found[path]["status"] == FileStatus.SKIPPED.value]
    if missing:
        reasons = [
            f"{path} ({found[path]['reason'] if path in found else 'no such file'})" for path in missing[:_NAMED]
        ]
        raise UsageError(
            f"{len(missing)} of the chunks' files are not indexed: {', '.join(reasons)}. Paths are POSIX and relative "
            "to the repository."
        )
    return found


def _without_keys(chunk: GivenChunk) -> tuple[GivenChunk, Counter[str]]:
    """The chunk with masks in place of keys, and how many of each kind."""
    masked: Counter[str] = Counter()

    def text_of(text: str | None) -> str | None:
        if text is None:
            return None
        without, counts = mask_string(text)
        masked.update(counts)
        return without

    changed = replace(
        chunk,
        content=text_of(chunk.content) or "",
        function_name=text_of(chunk.function_name),
        class_name=text_of(chunk.class_name),
        qualified_name=text_of(chunk.qualified_name),
        docstring=text_of(chunk.docstring),
    )
    return changed, masked


def _chunks(chunks: Sequence[GivenChunk], manifest: dict[str, dict[str, Any]]) -> list[Chunk]:
    occurrences: Counter[tuple[str, str, str, str]] = Counter()
    made = []
    for chunk in chunks:
        if not chunk.content or not 1 <= chunk.start_line <= chunk.end_line:
            raise UsageError(
                f"{chunk.file_path}:{chunk.start_line}-{chunk.end_line}: a chunk needs content and lines from 1 on."
            )
        if chunk.chunk_type not in list(ChunkType):
            raise UsageError(f"chunk_type {chunk.chunk_type!r} is none of {', '.join(ChunkType)}.")
        name = chunk.qualified_name
        if name is None:
            name = ".".join(filter(None, (chunk.class_name, chunk.function_name)))
        same = (chunk.file_path, chunk.chunk_type, name, chunk.content)
        file = manifest[chunk.file_path]
        made.append(
            Chunk(
                chunk_id=chunk_id(
                    file_path=chunk.file_path,
                    chunk_type=chunk.chunk_type,
                    qualified_name=name,
                    content=chunk.content,
                    occurrence=occurrences[same],
                ),
                file_path=chunk.file_path,
                file_hash=file["file_hash"],
                start_line=chunk.start_line,
                end_line=chunk.end_line,
                content=chunk.content,
                language=chunk.language or file["language"],
                chunk_type=ChunkType(chunk.chunk_type),
                qualified_name=name,
                function_name=chunk.function_name,
                class_name=chunk.class_name,
                docstring=chunk.docstring,
                lines_of_code=chunk.end_line - chunk.start_line + 1,
                subproject_name=file["subproject_name"],
                subproject_path=file["subproject_path"],
            )
        )
        occurrences[same] += 1
    return made


def _store(
    pipeline: Pipeline,
    chunks: Sequence[Chunk],
    matrix: Vectors | None,
    manifest: dict[str, dict[str, Any]],
    masked_keys: Mapping[str, Counter[str]],
    model_id: str,
) -> int:
    """Write chunks, vectors, manifest and records, in the order of a parse run; returns how many vectors."""
    index, settings = pipeline.index, pipeline.settings
    now = datetime.now(UTC)
    given = 0

    def add_given_vectors() -> None:
        nonlocal given
        if matrix is not None:
            index.store.models.begin(model_id, settings.embedder.identity())
            view = index.store.for_model(model_id)
            given = _add_vectors(view, chunks, matrix, model_id, settings.embedder.text_recipe, now)
            view.sync.vectors(list(manifest), now=now)

    counts = Counter(chunk.file_path for chunk in chunks)
    identity = chunker_identity(settings)
    parsed = {"status": FileStatus.PARSED.value, "reason": None, "transient": None, "attempts": None, "parsed_at": now}
    files = [
        {
            **row,
            **parsed,
            "chunk_count": counts[path],
            "reference_count": 0,
            "masked_keys": masked_rows(masked_keys[path]),
            "chunker_version": identity,
        }
        for path, row in manifest.items()
    ]
    commits = PhaseOneCommits(index)
    commits.commit(
        list(manifest),
        pa.Table.from_batches([chunks_to_batch(chunks)]),
        schemas.REFERENCES.empty_table(),
        files=pa.Table.from_pylist(files, schema=schemas.FILES),
        record=lambda: _record_given(index, files),
        now=now,
        with_chunks=add_given_vectors,
    )
    commits.finish()
    match_batch_partitions(index)
    return given


def _record_given(index: OpenIndex, files: Sequence[Mapping[str, Any]]) -> None:
    """Write the events of chunks that were given: of their files' references, of which there are none, and of them."""
    for asset, name, column in (
        (REFERENCES, "references", "reference_count"),
        (PARSED_CHUNKS, "chunks", "chunk_count"),
    ):
        record_outside_runs(
            index.instance,
            index.names.asset_key(asset),
            {
                row["partition_key"]: {
                    name: row[column],
                    "dagster/partition_row_count": row[column],
                    "stored_by": "add_chunks",
                }
                for row in files
            },
            code_version=chunker_code_version(index.settings),
            data_versions={row["partition_key"]: row["file_hash"] for row in files},
            parent=index.names.asset_key(SOURCE_FILES),
        )


def _add_vectors(
    store: IndexStore, chunks: Sequence[Chunk], matrix: Vectors, model_id: str, recipe: str, now: datetime
) -> int:
    kept = [at for at in range(len(chunks)) if np.isfinite(matrix[at]).all()]
    if not kept:
        return 0
    given = [chunks[at]._asdict() for at in kept]
    hashes = [EmbeddingInput.of_row(chunk, recipe).text_hash for chunk in given]
    store.vectors.add(vector_rows(given, matrix[kept], text_hashes=hashes, model=model_id, embedded_at=now))
    return len(kept)
