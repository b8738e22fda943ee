"""An embedder without a model: hashed character trigrams.

For tests, trials and machines without the model: texts that share trigrams are near each other, and the
same text gives the same vector on every machine. Nothing is loaded, and meaning plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from code_index.core.embedding_text import TextRecipe, recipe_version
from code_index.core.errors import EmbeddingError
from code_index.core.unit_vectors import Vectors, normalized
from code_index.embedding.embedder import EmbeddingResult, Progress, mix_names

_DIMENSION = 64
_FIBONACCI = np.uint32(2_654_435_769)
"""2^32 over the golden ratio: spreads neighbouring trigrams. Source: Knuth, TAOCP 3, 6.4."""


class DeterministicEmbedder:
    """An `Embedder` whose vectors are counts of hashed trigrams; no text fails."""

    def __init__(self, dimension: int = _DIMENSION, *, recipe: TextRecipe | str = TextRecipe.FULL) -> None:
        self._dimension = dimension
        self._recipe = recipe

    @property
    def model_id(self) -> str:
        """See `Embedder`."""
        return f"deterministic-{self._dimension};text={recipe_version(self._recipe)}"

    @property
    def dimension(self) -> int:
        """See `Embedder`."""
        return self._dimension

    @property
    def device(self) -> str:
        """See `Embedder`."""
        return "cpu"

    def describe(self) -> str:
        """See `Embedder`."""
        return f"{self.model_id} on CPU, hashed trigrams, no model"

    def embed_documents(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> Vectors:
        """See `Embedder`."""
        return self.embed_documents_detailed(texts, names, progress=progress).vectors

    def embed_documents_detailed(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> EmbeddingResult:
        """See `Embedder`."""
        if len(texts) != len(names):
            raise EmbeddingError(f"{len(texts)} texts but {len(names)} names: give each text a name, or an empty one")
        vectors = mix_names(
            self._rows(texts), self._rows(names) * np.array([[bool(name)] for name in names], np.float32).reshape(-1, 1)
        )
        if progress is not None and texts:
            progress(len(texts))
        return EmbeddingResult(vectors=vectors)

    def embed_query(self, text: str) -> Vectors:
        """See `Embedder`."""
        vector: Vectors = self._rows([text])[0]
        return vector

    def _rows(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            # Two marks at each end: every text has a trigram, and an empty one has a vector.
            data = np.frombuffer(b"\x02\x02" + text.lower().encode("utf-8", "surrogatepass") + b"\x03", np.uint8)
            codes = data.astype(np.uint32)
            trigrams = (codes[:-2] << np.uint32(16)) | (codes[1:-1] << np.uint32(8)) | codes[2:]
            places = (trigrams * _FIBONACCI >> np.uint32(12)) % np.uint32(
                self._dimension
            )  # low bits: last character only
            row[:] = np.bincount(places, minlength=self._dimension)
        return normalized(rows)
