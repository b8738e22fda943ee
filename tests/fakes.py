"""Stand-ins that several tests use: an embedder that remembers what it was asked and fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.embedder import EmbeddingResult
from resources.embedder_resource import EmbedderResource

Fault = Callable[[Sequence[str], EmbeddingResult], EmbeddingResult]


def obstruct(path: Path) -> None:
    """Put a link in place of a scanned file: parsing it fails for a reason that may pass. Unlink it before a write."""
    path.unlink()
    path.symlink_to(path.name)


def refusing(*words: str) -> Fault:
    """A fault of single texts: those that contain one of the words have no vector."""

    def fault(texts: Sequence[str], result: EmbeddingResult) -> EmbeddingResult:
        errors = {at: f"the text contains {word!r}" for word in words for at, text in enumerate(texts) if word in text}
        result.vectors[list(errors)] = 0
        return EmbeddingResult(vectors=result.vectors, errors=errors)

    return fault


@contextmanager
def texts_asked() -> Iterator[list[str]]:
    """The texts that every deterministic embedder of this process is asked for meanwhile."""
    asked: list[str] = []
    embed = DeterministicEmbedder.embed_documents_detailed

    def recorded(self, texts, names, **options) -> EmbeddingResult:
        asked.extend(texts)
        return embed(self, texts, names, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeterministicEmbedder, "embed_documents_detailed", recorded)
        yield asked


class Faulty(DeterministicEmbedder):
    """The deterministic embedder, with every text that it was asked for."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.calls = 0
        self.asked: list[str] = []

    def embed_documents_detailed(self, texts, names, **options) -> EmbeddingResult:
        self.calls += 1
        self.asked += texts
        result = super().embed_documents_detailed(texts, names, **options)
        return result if self.fault is None else self.fault(texts, result)


class GivenEmbedder(EmbedderResource):
    """Hands out what `give` was told last: Dagster makes resources from configuration, which no object fits in."""

    def get(self, settings=None):
        return _given[0]

    get_for_queries = get


_given: list[DeterministicEmbedder] = [Faulty()]
E = TypeVar("E", bound=DeterministicEmbedder)


def give(embedder: E) -> E:
    """Have the resource hand out this embedder from now on."""
    _given[0] = embedder
    return embedder
