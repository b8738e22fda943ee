"""Description of a model from its small files, in milliseconds and without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from code_index.core.embedding_text import TextRecipe
from code_index.embedding.configuration import DETERMINISTIC, EmbedderConfig
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.models.model_files import configured_model_files, load_model_files


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Identity and shape of the vectors of a configuration; `dimension` None where only the library knows it.

    `window_tokens` 0 means that the model has no window.
    """

    model_id: str
    dimension: int | None
    window_tokens: int
    document_prompt: str
    query_prompt: str


def describe_model(config: EmbedderConfig) -> ModelDescription:
    """Describe the model that a configuration names.

    Raises:
        ModelError: the model is missing or damaged; the message says what to do.
        SettingsError: the configuration contradicts the model.
    """
    if config.model == DETERMINISTIC:
        embedder = DeterministicEmbedder(recipe=config.text_recipe)
        return ModelDescription(embedder.model_id, embedder.dimension, 0, "", "")
    files = configured_model_files(config)
    return ModelDescription(
        model_id=files.model_id(config.max_tokens, config.text_recipe),
        dimension=files.dimension,
        window_tokens=files.window(config.max_tokens),
        document_prompt=files.document_prompt,
        query_prompt=files.query_prompt,
    )


def settings_for_plain_encoding(model: str, *, allow_download: bool = False) -> dict[str, Any]:
    """Settings that give the vectors of the model's own `encode`: its window, its default prompt, plain text.

    Raises:
        ModelError: the model is missing or damaged.
    """
    plain: dict[str, Any] = {"model": model, "text_recipe": TextRecipe.SOURCE.value}
    if model == DETERMINISTIC:
        return plain
    files = load_model_files(model, allow_download=allow_download)
    plain["max_tokens"] = files.own_window_tokens
    if (files.document_prompt, files.query_prompt) != (files.default_prompt, files.default_prompt):
        plain |= {"document_prompt": files.default_prompt, "query_prompt": files.default_prompt}
    return plain
