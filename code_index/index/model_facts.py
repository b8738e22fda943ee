"""What is known of a model before it is loaded: from small files alone, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from code_index.core.embedding_text import TextRecipe
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.loader import DETERMINISTIC
from code_index.embedding.models.files import load_model_files
from code_index.index.embedder_settings import embedder_config
from code_index.index.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Identity and shape of the vectors that settings ask for; `dimension` None where only the library knows it.

    `window_tokens` 0 means that the model has no window.
    """

    model_id: str
    dimension: int | None
    window_tokens: int
    document_prompt: str
    query_prompt: str


def model_facts(settings: Settings) -> ModelFacts:
    """Facts of the model that settings name; nothing is loaded.

    Raises:
        ModelError: the model is not here, or is damaged; the message says what to do.
        SettingsError: the settings contradict each other or the model.
    """
    config = embedder_config(settings)
    if config.model == DETERMINISTIC:
        embedder = DeterministicEmbedder(recipe=config.text_recipe)
        return ModelFacts(embedder.model_id, embedder.dimension, 0, "", "")
    files = load_model_files(config.model, allow_download=config.allow_download, revision=config.revision).with_prompts(
        document=config.document_prompt, query=config.query_prompt
    )
    return ModelFacts(
        model_id=files.model_id(config.max_tokens, config.text_recipe),
        dimension=files.dimension,
        window_tokens=files.window(config.max_tokens),
        document_prompt=files.document_prompt,
        query_prompt=files.query_prompt,
    )


def settings_of_plain_encoding(model: str, *, allow_download: bool = False) -> dict[str, Any]:
    """Settings under which vectors are those of the model's own `encode`: its window, its default prompt, plain text.

    Raises:
        ModelError: the model is not here, or is damaged.
    """
    plain: dict[str, Any] = {"model": model, "text_recipe": TextRecipe.SOURCE.value}
    if model == DETERMINISTIC:
        return plain
    files = load_model_files(model, allow_download=allow_download)
    plain["max_tokens"] = files.own_window_tokens
    if (files.document_prompt, files.query_prompt) != (files.default_prompt, files.default_prompt):
        plain |= {"document_prompt": files.default_prompt, "query_prompt": files.default_prompt}
    return plain
