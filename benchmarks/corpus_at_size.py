"""An index of any number of chunks, made of one real repository through the store's own methods.

**Text.** Each chunk of Django 5.2 (cut by the real chunker) stands as often as it takes, in a folder of its own for
each copy. Words that fewer than 20 chunks of Django hold are other words in each copy, as they would be in other
repositories: so frequent words have the posting lists of an index of that size, and rare words stay rare.

**Vectors.** A random sample of Django's chunks is embedded by the real model. Every vector of the index is one of
these, mixed with another (weight 0.5) and with noise (weight 0.35) and normalized: cosine 0.85 to its origin. Real
clusters, of which each holds chunks that differ.

Everything follows from the seed. Indexes are built and kept by the code that the phases call.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.pipeline import fetch
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.partition_keys import file_partition_key
from code_index.core.unit_vectors import normalized
from code_index.embedding.embedder import Embedder
from code_index.index.folder import IndexFolder
from code_index.tables import IndexStore
from code_index.tables.schemas import CHUNKS, FILES
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.upkeep.compaction import compact_due

SEED = 20_250_101
CORPUS = "Django==5.2"
RARE = 20  # chunks
OTHER_WEIGHT, NOISE_WEIGHT = 0.5, 0.35
_NOW = datetime(2025, 1, 1, tzinfo=UTC)
_COPIED = ("file_path", "start_line", "end_line", "language", "chunk_type", "function_name", "class_name")


def base_index(folder: Path) -> IndexStore:
    """Chunks of the corpus, parsed once."""
    corpus = fetch(CORPUS)
    root = folder / "base" / corpus.name
    if not root.is_dir():
        shutil.copytree(corpus, root)
    place = IndexFolder(path=folder / "base" / "index", repository_root=root)
    with Pipeline(place) as pipeline:
        for phase in (pipeline.scan, pipeline.parse):
            if (result := phase()).error is not None:
                raise SystemExit(f"The corpus cannot be indexed: {result.error}")
        return IndexStore(place.tables_dir)


def work_tree(folder: Path, store: IndexStore) -> Path:
    """The files of an index that `build` made, links to those of the corpus; the index gets their sizes and times."""
    root, corpus = folder / "repository", fetch(CORPUS).name
    files, found = store.files.read(), []
    for path in files.column("file_path").to_pylist():
        target = root / path
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / "base" / corpus / Path(*Path(path).parts[1:]), target)
        found.append(target.stat())
    known = {"size_bytes": [one.st_size for one in found], "mtime_ns": [one.st_mtime_ns for one in found]}
    for name, values in known.items():
        files = files.set_column(files.schema.get_field_index(name), FILES.field(name), pa.array(values))
    store.files.upsert(files)
    return root


def real_vectors(folder: Path, chunks: pa.Table, encoder: Embedder, count: int) -> np.ndarray:
    """Vectors of a random sample of the chunks: (count, dim) float32, unit rows; embedded once, then kept."""
    place = folder / f"vectors-{hashlib.sha256(encoder.model_id.encode()).hexdigest()[:12]}-{count}.npy"
    if place.is_file():
        return np.load(place)
    picked = np.random.default_rng(SEED).permutation(chunks.num_rows)[:count]
    rows = chunks.select(list(EMBEDDED_FIELDS)).take(pa.array(np.sort(picked))).to_pylist()
    inputs = [EmbeddingInput.of_chunk(**row) for row in rows]
    found = encoder.embed_documents([item.text for item in inputs], [item.name for item in inputs])
    np.save(place, found)
    return found


class Copies:
    """Rows of the copies of a corpus."""

    def __init__(self, chunks: pa.Table, real: np.ndarray, model: str) -> None:
        self._chunks = chunks.sort_by(
            [("file_path", "ascending"), ("start_line", "ascending"), ("chunk_id", "ascending")]
        )
        self._real = real
        self._model = model
        words = pc.split_pattern(self._chunks.column("search_text").combine_chunks(), " ")
        encoded = words.flatten().dictionary_encode()
        self._offsets = words.offsets
        self._codes = encoded.indices.to_numpy()
        self._words = encoded.dictionary
        # Chunks that hold a word: each counted once.
        lines = np.repeat(np.arange(self._chunks.num_rows), np.diff(np.asarray(self._offsets)))
        once = np.unique(lines.astype(np.int64) * len(self._words) + self._codes)
        self._rare = pa.array(np.bincount(once % len(self._words), minlength=len(self._words)) < RARE)

    def rows(self, copy: int) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Rows of `files`, `chunks` and `vectors` of one copy."""
        folder, chunks = f"part{copy:03}/", self._chunks
        words = self._words
        if copy:
            words = pc.if_else(self._rare, pc.binary_join_element_wise(words, f"{copy:x}q", ""), words)
        text = pc.binary_join(pa.ListArray.from_arrays(self._offsets, words.take(pa.array(self._codes))), " ")
        changed = {
            "chunk_id": pa.array([_identity(copy, value) for value in chunks.column("chunk_id").to_pylist()]),
            "file_path": pc.binary_join_element_wise(folder, chunks.column("file_path"), ""),
            "search_text": text,
            "parent_chunk_id": pa.nulls(chunks.num_rows, pa.string()),
            "child_chunk_ids": pa.nulls(chunks.num_rows, pa.list_(pa.string())),
            "subproject_name": pa.array([f"part{copy:03}"] * chunks.num_rows),
        }
        for name, column in changed.items():
            chunks = chunks.set_column(chunks.schema.get_field_index(name), CHUNKS.field(name), column)
        first = chunks.group_by("file_path").aggregate(
            [("file_hash", "min"), ("language", "min"), ("chunk_id", "count")]
        )
        paths, hashes = first.column("file_path").to_pylist(), first.column("file_hash_min").to_pylist()
        files = {
            "file_path": paths,
            "file_hash": hashes,
            "partition_key": [file_partition_key(digest, path) for digest, path in zip(hashes, paths, strict=True)],
            "language": first.column("language_min"),
            "status": ["parsed"] * len(paths),
            "chunk_count": first.column("chunk_id_count").cast(pa.int32()),
        }
        values = self._vectors(copy)
        embedded = {
            "chunk_id": chunks.column("chunk_id"),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1]),
            "text_hash": chunks.column("chunk_id"),
            "embedding_model": [self._model] * chunks.num_rows,
            "embedded_at": pa.repeat(pa.scalar(_NOW, FILES.field("parsed_at").type), chunks.num_rows),
            **{name: chunks.column(name) for name in (*_COPIED, "subproject_name")},
        }
        return pa.table(files), chunks, pa.table(embedded)

    def _vectors(self, copy: int) -> np.ndarray:
        rng = np.random.default_rng((SEED, copy))
        count, dimension = self._chunks.num_rows, self._real.shape[1]
        origin, other = rng.integers(0, len(self._real), (2, count))
        noise = rng.standard_normal((count, dimension), dtype=np.float32) / np.float32(np.sqrt(dimension))
        mixed = self._real[origin] + OTHER_WEIGHT * self._real[other] + NOISE_WEIGHT * noise
        mixed = mixed.astype(np.float32)
        return normalized(mixed)


def _identity(copy: int, chunk_id: str) -> str:
    return hashlib.sha256(f"{copy}/{chunk_id}".encode()).hexdigest()[: len(chunk_id)]


def copies(folder: Path, encoder: Embedder, real_count: int) -> Copies:
    """The corpus, ready to be copied."""
    chunks = base_index(folder).chunks.read()
    return Copies(chunks, real_vectors(folder, chunks, encoder, real_count), encoder.model_id)


def slices(source: Copies, count: int) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
    """Whole copies, and of the last one the files that still fit, until there are `count` chunks."""
    left, copy = count, 0
    while left > 0:
        files, chunks, embedded = source.rows(copy)
        if chunks.num_rows > left:
            chunks, embedded = chunks.slice(0, left), embedded.slice(0, left)
            held = pc.is_in(files.column("file_path"), pc.unique(chunks.column("file_path")))
            files = files.filter(held)
        yield files, chunks, embedded
        left -= chunks.num_rows
        copy += 1


def build(tables: Path, corpus: Callable[[], Copies], count: int) -> dict[str, Any]:
    """Write an index of `count` chunks and build its indexes; returns seconds of each part. Kept when it is whole."""
    done = tables.parent / f"{tables.name}.json"
    if done.is_file():
        return dict(json.loads(done.read_text("utf-8")))
    shutil.rmtree(tables, ignore_errors=True)
    store, seconds = IndexStore(tables), {"rows_s": 0.0, "indexes_s": 0.0}
    started = time.perf_counter()
    batch = 0
    for files, chunks, embedded in slices(corpus(), count):

        def batches(rows: int, first: int = batch) -> list[int]:
            return [1 + (first + place) // 512 for place in range(rows)]

        store.files.upsert(files)
        paths = files.column("file_path").to_pylist()
        store.chunks.replace(paths, chunks, now=_NOW, assign_batch=batches)
        store.vectors.add(embedded)
        batch += chunks.num_rows
        print(f"  {batch:,} chunks, {time.perf_counter() - started:.0f} s", flush=True)
    seconds["rows_s"] = time.perf_counter() - started
    started = time.perf_counter()
    compact_due(store, store.tables.names())
    seconds["indexes_s"] = time.perf_counter() - started
    done.write_text(json.dumps(seconds), "utf-8")
    return seconds
