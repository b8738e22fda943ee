"""Rows of phase 2: vectors that are known, and failures."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from code_index.embedding.backend import TransientReason
from code_index.embedding.embedder import Embedder
from code_index.tables import IndexStore
from code_index.tables.schemas import EMBEDDING_ERRORS


def known_vectors(store: IndexStore, text_hashes: Sequence[str], embedder: Embedder) -> dict[str, np.ndarray]:
    """Vectors that the model once gave for these texts, by text hash."""
    known = store.vectors.by_text_hash(text_hashes, embedder.model_id)
    matrix = known["vector"].combine_chunks().flatten().to_numpy().reshape(-1, embedder.dimension)
    return dict(zip(known["text_hash"].to_pylist(), matrix, strict=True))


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
