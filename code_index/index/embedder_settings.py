"""The embedder that an index's settings name; free of Dagster, for the search path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from code_index.core.errors import ModelError
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder
from code_index.index.settings import Settings


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
        revision=settings.model_revision or None,
        document_prompt=None if settings.document_prompt == "auto" else settings.document_prompt,
        query_prompt=None if settings.query_prompt == "auto" else settings.query_prompt,
        text_recipe=settings.text_recipe,
    )


def query_embedder(settings: Settings) -> Embedder:
    """The embedder for queries, on the CPU and without torch whatever device documents take.

    Raises:
        ModelError: the model is missing or cannot be loaded.
        SettingsError: settings contradict each other or the model.
    """
    return get_embedder(replace(embedder_config(settings), device="auto"), "query")


def identity_settings(config: EmbedderConfig) -> dict[str, Any]:
    """The settings that decide what vectors a model gives: what is kept with them, to embed queries later."""
    return {
        "model": config.model,
        "model_revision": config.revision or "",
        "max_tokens": config.max_tokens or 0,
        "text_recipe": config.text_recipe,
        "document_prompt": "auto" if config.document_prompt is None else config.document_prompt,
        "query_prompt": "auto" if config.query_prompt is None else config.query_prompt,
    }


def serving_embedder(settings: Settings, serving: tuple[str, Mapping[str, Any]] | None) -> Embedder:
    """The embedder for queries of the vectors in use, which may be of another model than the settings name.

    Args:
        settings: of the index.
        serving: what `ModelSwitching.serving` says.

    Raises:
        ModelError: the model in use is missing, cannot be loaded, or is known by its identity alone.
        SettingsError: settings contradict each other or the model.
    """
    if serving is None:
        return query_embedder(settings)
    model_id, named = serving
    embedder = query_embedder(Settings.model_validate(settings.model_dump() | dict(named)))
    if embedder.model_id != model_id:
        raise ModelError(
            f"The vectors in use are of {model_id}; the settings that named it now give {embedder.model_id}. Put that "
            "model back, or make vectors with the present one: `code-index index`. Search by words works: "
            "`code-index search --mode lexical`."
        )
    return embedder
