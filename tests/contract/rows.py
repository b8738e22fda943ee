"""Rows that tests of several tables write."""

import numpy as np
import pyarrow as pa


def unit_rows(count, dimension, seed=0):
    """Random vectors of length 1: (count, dimension) float32."""
    values = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def chunk_rows(*ids_and_paths, **columns):
    """Chunks from (chunk_id, file_path) pairs; further columns by name."""
    count = len(ids_and_paths)
    return pa.table(
        {
            "chunk_id": pa.array([chunk_id for chunk_id, _ in ids_and_paths], pa.string()),
            "file_path": pa.array([path for _, path in ids_and_paths], pa.string()),
            "file_hash": pa.array(["h"] * count, pa.string()),
            **columns,
        }
    )
