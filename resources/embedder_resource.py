"""The embedder as a Dagster resource."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
from pydantic import Field

from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder
from code_index.index.embedder_settings import embedder_config
from code_index.index.settings import BACKEND_PATTERN, DEVICE_PATTERN, PRECISION_PATTERN, RECIPE_PATTERN, Settings

# Fields whose setting has another name.
_SETTING_OF = {"threads": "embed_threads", "revision": "model_revision"}


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Gives the process's embedder; constructing it loads nothing.

    A field that is left out takes the index's setting of that name. Definitions must load without a
    model, torch or a network, so values that only the model can judge are refused by `get`.
    """

    model: str | None = Field(
        default=None,
        min_length=1,
        description="The built-in model's name, a folder in sentence-transformers layout, a hub's model name, "
        "or `deterministic` (hashed trigrams, no model: for trials).",
    )
    device: str | None = Field(
        default=None,
        pattern=DEVICE_PATTERN,
        description="Where documents are embedded: auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:<number> or mps.",
    )
    backend: str | None = Field(
        default=None,
        pattern=BACKEND_PATTERN,
        description="onnx: CPU only, no torch once the model is exported. torch: any device, any model. "
        "auto: onnx on the CPU where the model allows it.",
    )
    precision: str | None = Field(
        default=None,
        pattern=PRECISION_PATTERN,
        description="Arithmetic of the model; auto takes the fastest that keeps the vectors. Vectors are float32.",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=0,
        description="Tokens of a text that the model reads; 0 for what suits the model (128 for the built-in one). "
        "Another value means other vectors: all is embedded again.",
    )
    token_budget: int | None = Field(
        default=None, ge=0, description="Most tokens in one batch, padding included; 0 for what suits the device."
    )
    threads: int | None = Field(
        default=None, ge=0, le=1_024, description="CPU threads; 0 for the physical cores of this process."
    )
    revision: str | None = Field(
        default=None,
        description="Branch, tag or commit of a hub's model; empty for the one that is here, or the newest.",
    )
    document_prompt: str | None = Field(
        default=None, description="Text put before each chunk for the model; auto for what the model's folder says."
    )
    query_prompt: str | None = Field(
        default=None, description="Text put before each query for the model; auto for what the model's folder says."
    )
    text_recipe: str | None = Field(
        default=None,
        pattern=RECIPE_PATTERN,
        description="What of a chunk is embedded: full (path, names and source) or source (the source alone).",
    )
    allow_download: bool | None = Field(
        default=None, description="Whether a model that is not here may be downloaded from the hub."
    )

    def get(self, settings: Settings | None = None) -> Embedder:
        """The embedder for documents, loaded by the first call in the process.

        Args:
            settings: of the index; defaults without.

        Raises:
            ModelError: the model is missing or cannot be loaded, or the device cannot be used.
            SettingsError: the fields contradict each other or the model.
        """
        return get_embedder(self.embedder_config(settings), "documents")

    def get_for_queries(self, settings: Settings | None = None) -> Embedder:
        """The embedder for queries: the same space, on the CPU and without torch whatever device documents take.

        Raises:
            ModelError, SettingsError: as `get`.
        """
        return get_embedder(replace(self.embedder_config(settings), device="auto"), "query")

    def embedder_config(self, settings: Settings | None = None) -> EmbedderConfig:
        """Fields and settings as the Dagster-free configuration."""
        values = {name: getattr(self, name) for name in EmbedderResource.model_fields}
        named = {_SETTING_OF.get(name, name): value for name, value in values.items() if value is not None}
        return embedder_config((settings or Settings()).model_copy(update=named))
