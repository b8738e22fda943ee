"""An embedder for tests of faults: it remembers what it was asked, and its answers may be spoilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.embedder import EmbeddingResult
from resources.embedder_resource import EmbedderResource

Fault = Callable[[Sequence[str], EmbeddingResult], EmbeddingResult]


class Faulty(DeterministicEmbedder):
    """The deterministic embedder, with every text that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Fault | None = None
        self.calls = 0
        self.asked: list[str] = []

    def embed_documents_detailed(self, texts, names, **options) -> EmbeddingResult:
        self.calls += 1
        self.asked += texts
        result = super().embed_documents_detailed(texts, names, **options)
        return result if self.fault is None else self.fault(texts, result)


class FaultyResource(EmbedderResource):
    """Hands out the test's embedder."""

    def get(self, settings=None):
        return _current[0]

    def get_for_queries(self, settings=None):
        return _current[0]


_current = [Faulty()]


def new_embedder() -> Faulty:
    """A fresh one, which the resource hands out from now on."""
    _current[0] = Faulty()
    return _current[0]
