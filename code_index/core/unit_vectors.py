"""Lengths of vectors, normalization to length 1, and the tolerance for it.

Belongs here: arithmetic on arrays of vectors, with numpy only. Does not belong here: how vectors are made
(`code_index.embedding`) and stored (`code_index.tables.vectors`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""(n, dim) float32."""

UNIT_TOLERANCE: Final = 1e-3
"""Greatest distance from 1 of a stored vector's length: float16 models end within 5e-4 before they are normalized."""


def vector_lengths(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Length of each row, computed in float64; NaN or infinite where the row is not finite."""
    squares: npt.NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.sqrt(squares)


def off_unit(lengths: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Indexes of the lengths that are not 1, in order; NaN and infinity are among them."""
    return np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))  # NaN fails any comparison


def normalized(vectors: Vectors) -> Vectors:
    """The rows scaled to length 1; zero rows stay zero, NaN stays NaN. The caller must refuse infinity."""
    lengths = vector_lengths(vectors)[:, np.newaxis]
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths != 0, casting="same_kind")
