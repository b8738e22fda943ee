"""Rows of phase 2: vectors that are known, vectors and failures to be stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from code_index.embedding.backend import TransientReason
from code_index.embedding.embedder import Embedder
from code_index.tables import IndexStore
from code_index.tables.schemas import EMBEDDING_ERRORS, vectors

# What a row of `vectors` has from its chunk.
COPIED_COLUMNS = (
    "chunk_id",
    "file_path",
    "start_line",
    "end_line",
    "language",
    "chunk_type",
    "function_name",
    "class_name",
    "subproject_name",
)


def known_vectors(store: IndexStore, text_hashes: Sequence[str], embedder: Embedder) -> dict[str, np.ndarray]:
    """Vectors that the model once gave for these texts, by text hash."""
    known = store.vectors.by_text_hash(text_hashes, embedder.model_id)
    matrix = known["vector"].combine_chunks().flatten().to_numpy().reshape(-1, embedder.dimension)
    return dict(zip(known["text_hash"].to_pylist(), matrix, strict=True))


def vector_rows(
    stored: Sequence[tuple[Mapping[str, Any], str]],
    vector_of: Mapping[str, np.ndarray],
    embedder: Embedder,
    now: datetime,
) -> pa.Table:
    """Rows of `vectors` from chunks with the hashes of their texts, and the vector of each hash."""
    schema = vectors(embedder.dimension)
    matrix = np.stack([vector_of[text_hash] for _, text_hash in stored]).astype(np.float32, copy=False)
    columns: dict[str, Any] = {name: [row[name] for row, _ in stored] for name in COPIED_COLUMNS}
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), embedder.dimension)
    columns["text_hash"] = [text_hash for _, text_hash in stored]
    columns["embedding_model"] = [embedder.model_id] * len(stored)
    columns["embedded_at"] = [now] * len(stored)
    return pa.table(
        [
            columns[item.name] if item.name == "vector" else pa.array(columns[item.name], type=item.type)
            for item in schema
        ],
        schema=schema,
    )


def error_rows(failed: Mapping[str, str], embedder: Embedder, now: datetime) -> pa.Table:
    """Rows of `embedding_errors` from the reason for each chunk id."""
    return pa.table(
        {
            "chunk_id": list(failed),
            "embedding_model": [embedder.model_id] * len(failed),
            "error_message": list(failed.values()),
            "attempts": pa.array([1] * len(failed), type=pa.int32()),
            "transient": [isinstance(reason, TransientReason) for reason in failed.values()],
            "failed_at": [now] * len(failed),
        },
        schema=EMBEDDING_ERRORS,
    )
