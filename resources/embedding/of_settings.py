"""The embedder that an index's settings name; free of Dagster, for the search path."""

from __future__ import annotations

from dataclasses import replace

from resources.embedding.configuration import EmbedderConfig
from resources.embedding.embedder import Embedder
from resources.embedding.loader import get_embedder
from resources.settings import Settings


def embedder_config(settings: Settings) -> EmbedderConfig:
    """The settings' part that concerns the model; 0 stands for what suits model and machine."""
    return EmbedderConfig(
        model=settings.model,
        device=settings.device,
        backend=settings.backend,
        precision=settings.precision,
        max_tokens=settings.max_tokens or None,
        token_budget=settings.token_budget or None,
        threads=settings.embed_threads or None,
        allow_download=settings.allow_download,
        document_prompt=settings.document_prompt,
        query_prompt=settings.query_prompt,
        text_recipe=settings.text_recipe,
    )


def query_embedder(settings: Settings) -> Embedder:
    """The embedder for queries, on the CPU and without torch whatever device documents take.

    Raises:
        ModelError: the model is missing or cannot be loaded.
        SettingsError: settings contradict each other or the model.
    """
    return get_embedder(replace(embedder_config(settings), device="auto"), "query")
