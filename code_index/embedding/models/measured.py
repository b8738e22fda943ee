"""Size, quality and speed of the presets, as our own benchmarks measured them.

Belongs here: figures with the command, the date and the versions that they come from. They are compared with each other:
all were measured in one sitting, with one ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from code_index.embedding.models.lookup import DEFAULT, DEFAULT_MODEL, FAST, PRESETS, QUALITY, QUALITY_MODEL

PROVENANCE: Final = (
    "the queries of python -m benchmarks.retrieval (11 repositories, 25,000 chunks, 202 queries), transformers in int8, "
    "quality with max_tokens = 128, 2026-11-27, ONNX Runtime 1.32, tokenizers 0.23"
)


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A preset. `disk_bytes` counts what the CPU runs; NDCG@10 is of whole searches and of meaning by itself."""

    name: str
    model: str
    from_where: str
    dimension: int
    window_tokens: int
    disk_bytes: int
    hybrid_ndcg: float
    semantic_ndcg: float
    chunks_per_core_second: float


_MODELS: Final = (
    MeasuredModel(DEFAULT, DEFAULT_MODEL, "built in", 384, 128, 59_000_000, 0.829, 0.676, 135),
    MeasuredModel(
        FAST, f"distilled from {DEFAULT_MODEL}", "made here at first use", 384, 512, 47_000_000, 0.804, 0.638, 1_890
    ),
    MeasuredModel(QUALITY, QUALITY_MODEL, "from a model hub", 384, 128, 55_000_000, 0.829, 0.684, 70),
)
MEASURED: Final[Mapping[str, MeasuredModel]] = {name: next(m for m in _MODELS if m.name == name) for name in PRESETS}
