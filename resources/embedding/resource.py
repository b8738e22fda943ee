"""The embedder as a Dagster resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from resources.embedding.configuration import EmbedderConfig
from resources.embedding.embedder import Embedder
from resources.embedding.loader import get_embedder
from resources.embedding.model_lookup import DEFAULT_MODEL


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Gives the process's embedder; constructing it loads nothing.

    Definitions must load without a model, torch or a network, so values that only the model can judge
    are refused by `get`.
    """

    model: str = Field(
        default=DEFAULT_MODEL,
        min_length=1,
        description="The built-in model's name, a folder in sentence-transformers layout, a hub's model name, "
        "or `deterministic` (hashed trigrams, no model: for trials).",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where documents are embedded: auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:<number> or mps.",
    )
    backend: str = Field(
        default="auto",
        pattern="^(auto|onnx|torch)$",
        description="onnx: CPU only, no torch once the model is exported. torch: any device, any model. "
        "auto: onnx on the CPU where the model allows it.",
    )
    precision: str = Field(
        default="auto",
        pattern="^(auto|float32|float16|bfloat16|int8)$",
        description="Arithmetic of the model; auto takes the fastest that keeps the vectors. Vectors are float32.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Tokens of a text that the model reads; the default suits the model (128 for the built-in one). "
        "Another value means other vectors: all is embedded again.",
    )
    token_budget: int | None = Field(
        default=None, ge=1, description="Most tokens in one batch, padding included; by default as suits the device."
    )
    threads: int | None = Field(
        default=None, ge=1, le=1_024, description="CPU threads; by default the physical cores of this process."
    )
    allow_download: bool = Field(
        default=False, description="Whether a model that is not here may be downloaded from the hub."
    )

    def get(self) -> Embedder:
        """The embedder for documents, loaded by the first call in the process.

        Raises:
            ModelError: the model is missing or cannot be loaded, or the device cannot be used.
            SettingsError: the fields contradict each other or the model.
        """
        return get_embedder(self.embedder_config(), "documents")

    def get_for_queries(self) -> Embedder:
        """The embedder for queries: the same space, on the CPU and without torch unless a device is named.

        Raises:
            ModelError, SettingsError: as `get`.
        """
        return get_embedder(self.embedder_config(), "query")

    def embedder_config(self) -> EmbedderConfig:
        """The fields as the Dagster-free configuration."""
        return EmbedderConfig(
            model=self.model,
            device=self.device,
            backend=self.backend,
            precision=self.precision,
            max_tokens=self.max_tokens,
            token_budget=self.token_budget,
            threads=self.threads,
            allow_download=self.allow_download,
        )
