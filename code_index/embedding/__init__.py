"""Embedding: texts and queries to unit vectors, on a GPU or the CPU.

Callers need `get_embedder(EmbedderConfig(...))` and the `Embedder` contract. Importing the package loads no
model library.
"""

from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.embedder import Embedder, EmbeddingResult, TextEmbedder
from code_index.embedding.loader import get_embedder, load_embedder

__all__ = [
    "DeterministicEmbedder",
    "Embedder",
    "EmbedderConfig",
    "EmbeddingResult",
    "TextEmbedder",
    "get_embedder",
    "load_embedder",
]
