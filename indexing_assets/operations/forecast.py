"""Forecast of an index run: files, chunks, seconds, bytes; nothing is written.

Belongs here: the scan that a run would make, chunks from a sample of its files, and times from measured rates. Does not
belong here: how it is said (`indexing_assets.cli.dry_run`).

Decision: a sample is parsed here and now, by the run's own parser processes. Bytes a chunk differ by a factor of five
between languages and between styles in one, and so does the speed of processors: a table of either would be wrong where
the answer matters most. A repository that is no larger than the sample is counted, not estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.errors import ModelError
from code_index.core.lazy_imports import importing
from code_index.core.model import EmbeddingStatus, FileStatus, SourceFile
from code_index.embedding.backends.registry import device_kind
from code_index.embedding.configuration import DETERMINISTIC, EmbedderConfig
from code_index.embedding.devices import choose_device
from code_index.embedding.loader import is_table
from code_index.embedding.models.description import ModelDescription, describe_model
from code_index.embedding.models.lookup import preset_of
from code_index.embedding.models.measured import MEASURED
from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.index.skipped import counted
from code_index.index.source import source_repository
from code_index.parsing.configuration import parser_config
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import ParseTask
from code_index.repository.content_rules import plan_changes
from code_index.sharing.libraries import Libraries
from code_index.system.hardware import available_processors, available_threads
from code_index.tables import IndexStore

# A second of one processor, as a rule.
_SAMPLE_BYTES: Final = 1_500_000
_SAMPLE_FILES: Final = 400
_SAMPLE_CHUNKS: Final = 2_000
# Source: first runs over 17, 100 and 1,058 files with 746, 1,555 and 10,659 chunks on 2 busy processors, 2026-11-27.
_RUN_S: Final = 3.0
_FILE_S: Final = 0.004
_MODEL_SHARE: Final = 0.7
"""Of the seconds of an embedding run, those of the model; the others read chunks, and store and record vectors."""
_INDEX_BYTES: Final = 1_000_000
_FILE_BYTES: Final = 24_000
"""Nearly all of it Dagster's records."""
_CHUNK_BYTES: Final = 4_200
_EMBED_RATE: Final = "chunk_vectors.chunks_per_s"


@dataclass(frozen=True, slots=True)
class LanguageForecast:
    """Files of a language that are indexed, their bytes, and their chunks."""

    files: int
    bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """A run before it begins; sizes in bytes, times in seconds.

    `new`, `changed` and `removed` count files against what is indexed, `skipped` what is left out, by reason. `exact` says
    that `chunks`, `texts` (those to embed) and `from_libraries` (those whose vectors libraries have) were counted; else they
    come from a sample. `embed_s` is by preset, for all chunks, and has the configured model under its name, for `texts`; None
    where nothing was measured, as on a GPU.
    """

    repository_root: str
    index_dir: str
    files: int
    bytes: int
    languages: Mapping[str, LanguageForecast]
    skipped: Mapping[str, int]
    new: int
    changed: int
    removed: int
    chunks: int
    texts: int
    from_libraries: int
    exact: bool
    parse_s: float
    model: str
    device: str
    threads: int
    embed_s: Mapping[str, float | None]
    disk_bytes: int

    @property
    def configured_s(self) -> float | None:
        """Seconds that the configured model needs."""
        return self.embed_s[self.model]


@dataclass(slots=True)
class _Sample:
    """Figures of parsing some of the files; `seconds` are those of one processor."""

    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    chunks: Counter[str] = field(default_factory=Counter)
    bytes_by_language: Counter[str] = field(default_factory=Counter)
    inputs: list[EmbeddingInput] = field(default_factory=list)

    @property
    def seconds_a_byte(self) -> float:
        """Seconds of one processor for a byte."""
        return self.seconds / self.bytes if self.bytes else 0.0

    def chunks_of(self, language: str, size: int) -> float:
        """Chunks that so many bytes of a language give."""
        if seen := self.bytes_by_language[language]:
            return size * self.chunks[language] / seen
        return size * self.chunks.total() / self.bytes if self.bytes else 0.0


def forecast(folder: IndexFolder, settings: Settings, *, rates: Mapping[str, float] | None = None) -> Forecast:
    """Look at the repository as a run would, and tell what that run would do.

    Args:
        folder: of the index, which need not exist.
        settings: of the index.
        rates: those of its last runs (`indexing_assets.runs.index_status.throughput`), where there were any.

    Raises:
        RepositoryError: the repository cannot be read.
        ModelError: the settings name a model or a device that is not there.
        StoreError: a table cannot be read.
    """
    known, stored = _indexed(folder, settings)
    scan = source_repository(folder, settings).scan(known)
    changes = plan_changes(known, scan.files)
    files = [file for file in scan.files if file.status is not FileStatus.SKIPPED]
    changed = {file.file_path for file in changes.changed}
    kept = {
        file.file_path: stored[file.file_path]
        for file in files
        if file.file_path in stored and file.file_path not in changed
    }
    waiting = [file for file in files if file.file_path not in kept]
    sample = _parsed(folder, settings, _chosen(waiting))
    by_language: dict[str, list[SourceFile]] = {}
    for file in files:
        by_language.setdefault(file.language, []).append(file)
    languages = {}
    for language, of_language in sorted(by_language.items(), key=lambda item: -len(item[1])):
        parsed = sum(kept.get(file.file_path, 0) for file in of_language)
        to_parse = sum(file.size_bytes for file in of_language if file.file_path not in kept)
        languages[language] = LanguageForecast(
            len(of_language),
            sum(file.size_bytes for file in of_language),
            parsed + round(sample.chunks_of(language, to_parse)),
        )
    chunks = sum(one.chunks for one in languages.values())
    workers = settings.parse_workers or available_processors()
    waiting_bytes = sum(file.size_bytes for file in waiting)
    vectors = _Vectors.of(folder, settings)
    pending = vectors.pending()
    looked = [
        (chunks - sum(kept.values()), sample.inputs),
        (len(pending), vectors.inputs(pending[:_SAMPLE_CHUNKS], settings.embedder.text_recipe)),
    ]
    needs = [(count, vectors.shares(inputs)) for count, inputs in looked]
    texts = sum(round(count * to_embed) for count, (to_embed, _) in needs)
    model, device, threads = embedding_by(settings.embedder)
    return Forecast(
        repository_root=str(folder.repository_root),
        index_dir=str(folder.path),
        files=len(files),
        bytes=sum(file.size_bytes for file in files),
        languages=languages,
        skipped=counted(file.reason for file in scan.files if file.status is FileStatus.SKIPPED),
        new=len(changes.new),
        changed=len(changes.changed),
        removed=len(changes.removed) + sum(file.file_path in stored for file in changes.skipped),
        chunks=chunks,
        texts=texts,
        from_libraries=sum(round(count * there) for count, (_, there) in needs),
        exact=sample.files == len(waiting) and len(pending) <= _SAMPLE_CHUNKS,
        parse_s=_RUN_S + len(waiting) * _FILE_S + waiting_bytes * sample.seconds_a_byte / workers,
        model=model,
        device=device,
        threads=threads,
        embed_s={
            name: embed_seconds(texts if name == model else chunks, name, device, threads)
            for name in dict.fromkeys([model, *MEASURED])
        }
        | ({model: texts / rate} if (rate := (rates or {}).get(_EMBED_RATE)) else {}),
        disk_bytes=_INDEX_BYTES + _FILE_BYTES * len(files) + _CHUNK_BYTES * chunks,
    )


def embedding_by(config: EmbedderConfig) -> tuple[str, str, int]:
    """The preset, or else the name, of the configured model, its device and its threads.

    Raises:
        ModelError: the settings name a device that is not there.
    """
    device = "cpu" if config.backend in {"onnx", "static"} else choose_device(config.device).device
    return preset_of(config.model) or config.model, device, config.threads or available_threads()


def embed_seconds(texts: int, model: str, device: str, threads: int) -> float | None:
    """Seconds for embedding so many texts, from the rates that were measured; None where none was."""
    if model == DETERMINISTIC:  # hashes
        return 0.0
    measured = MEASURED.get(model)
    if measured is None or device_kind(device) != "cpu":
        return None
    return texts / (measured.chunks_per_core_second * threads * _MODEL_SHARE)


def _indexed(folder: IndexFolder, settings: Settings) -> tuple[dict[str, SourceFile], dict[str, int]]:
    """The manifest by path, and the chunks of each file that a run would leave as it is unless it changed."""
    if not (folder.exists and folder.tables_dir.is_dir()):
        return {}, {}
    with importing:
        from indexing_assets.assets.source_files import known_files
        from indexing_assets.runs.planning import chunker_identity

    store = IndexStore(folder.tables)
    columns = ["file_path", "status", "chunk_count", "chunker_version"]
    rows = store.files.read(columns=columns).to_pylist()
    current = chunker_identity(settings)
    done = {FileStatus.PARSED.value, FileStatus.ERROR.value}
    return known_files(store), {
        row["file_path"]: row["chunk_count"] or 0
        for row in rows
        if row["status"] in done and row["chunker_version"] == current
    }


def _chosen(files: Sequence[SourceFile]) -> list[SourceFile]:
    """The files to parse: all, or so many in the order of their hashes, which is none, with the first of each language."""
    chosen: list[SourceFile] = []
    size, seen = 0, set()
    for file in sorted(files, key=lambda file: file.file_hash):
        if (size < _SAMPLE_BYTES and len(chosen) < _SAMPLE_FILES) or file.language not in seen:
            chosen.append(file)
            seen.add(file.language)
            size += file.size_bytes
    return chosen


def _parsed(folder: IndexFolder, settings: Settings, files: Sequence[SourceFile]) -> _Sample:
    sample, by_path = _Sample(), {file.file_path: file for file in files}
    tasks = [
        ParseTask(
            file.file_path,
            file.file_hash,
            file.language,
            file.size_bytes,
            file.subproject_name,
            file.subproject_path,
            file.working_tree_encoding,
        )
        for file in files
    ]
    recipe = settings.embedder.text_recipe
    with ParserPool(parser_config(folder, settings), workers=settings.parse_workers) as pool:
        for group in pool.parse(tasks):
            for outcome in group.outcomes:
                file = by_path[outcome.file_path]
                sample.files += 1
                sample.bytes += file.size_bytes
                sample.bytes_by_language[file.language] += file.size_bytes
                sample.chunks[file.language] += outcome.chunk_count
                sample.seconds += outcome.duration_s
            sample.inputs += [
                EmbeddingInput.of_chunk(**row, recipe=recipe)
                for row in group.chunks.select(EMBEDDED_FIELDS).to_pylist()
            ]
    return sample


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The vectors of the configured model that are there: those of the index, and those of libraries, which are only read.

    `model` is None where it has to be downloaded first: then nobody can tell which vectors are of it.
    """

    store: IndexStore | None
    model: ModelDescription | None
    libraries: Libraries

    @classmethod
    def of(cls, folder: IndexFolder, settings: Settings) -> _Vectors:
        store = IndexStore(folder.tables) if folder.exists and folder.tables_dir.is_dir() else None
        here = settings.embedder.model_copy(update={"allow_download": False})
        try:
            model = describe_model(here)
        except ModelError:
            if not settings.embedder.allow_download:
                raise
            return cls(store, None, Libraries.none())
        asked = model.dimension is not None and not is_table(here)
        return cls(store, model, Libraries.of(settings, model.model_id, read_only=True) if asked else Libraries.none())

    def pending(self) -> list[str]:
        """Ids of the stored chunks without a vector, in their order, which is none."""
        if self.store is None:
            return []
        statuses = self.store.statuses.read("" if self.model is None else self.model.model_id)
        waits = statuses.get_column("embedding_status") == EmbeddingStatus.PENDING.value
        return sorted(statuses.filter(waits).get_column("chunk_id").to_list())

    def inputs(self, chunk_ids: Sequence[str], recipe: str) -> list[EmbeddingInput]:
        """Texts of stored chunks."""
        if self.store is None or not chunk_ids:
            return []
        rows = self.store.chunks.by_ids(chunk_ids, columns=EMBEDDED_FIELDS).to_pylist()
        return [EmbeddingInput.of_chunk(**row, recipe=recipe) for row in rows]

    def shares(self, inputs: Sequence[EmbeddingInput]) -> tuple[float, float]:
        """The shares of these chunks whose texts have to be embedded, and whose vectors libraries have; each text counts once."""
        if not inputs:
            return 0.0, 0.0
        missing = {item.text_hash: item for item in inputs}
        if self.model is None:
            return len(missing) / len(inputs), 0.0
        if self.store is not None:
            vectors = self.store.for_model(self.model.model_id).vectors
            for text_hash in vectors.by_text_hash(sorted(missing), self.model.model_id).column("text_hash").to_pylist():
                missing.pop(text_hash, None)
        found = len(self.libraries.ask(missing, dimension=self.model.dimension or 0))
        return (len(missing) - found) / len(inputs), found / len(inputs)
