"""The backend for static models: a table with a vector of each token, and the mean of a text's.

numpy and the Rust tokenizer only: a text costs little more than its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from code_index.core.unit_vectors import Vectors
from code_index.embedding.backend import Tokens
from code_index.embedding.models.model_files import ModelFiles
from code_index.embedding.models.static_table import read_table
from code_index.embedding.tokenization import Tokenizer


class StaticBackend:
    """A `Backend` on the CPU, for models that are a table of token vectors. Several threads may call it at once."""

    length_multiple = 1
    parallelism = 1

    def __init__(self, files: ModelFiles, *, window: int) -> None:
        """Load table and tokenizer.

        Raises:
            ModelError: one of them cannot be read.
        """
        self._tokenizer = Tokenizer(
            files.transformer_folder, window=window, lower_case=files.lower_case, special_tokens=False
        )
        self._table = read_table(files.transformer_folder)
        self.dimension = int(self._table.shape[1])
        self.device = "cpu"
        self.description = "CPU, a table of token vectors"

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """See `Backend`."""
        return self._tokenizer.tokenize(texts, prompt)

    def forward(self, batch: Sequence[Tokens]) -> Vectors:
        """See `Backend`; a text without tokens has the zero vector."""
        vectors = np.zeros((len(batch), self.dimension), dtype=np.float32)
        for row, item in enumerate(batch):
            if item.length:
                vectors[row] = self._table[np.asarray(item.ids)].mean(axis=0)
        return vectors

    def release_memory(self) -> None:
        """See `Backend`; nothing is kept between calls."""
