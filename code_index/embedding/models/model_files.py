"""Facts about a model, read from its folder.

Belongs here: the facts of the sentence-transformers folder layout (modules, pooling, prompts, lengths) and the
identity of the vectors. Only small JSON files are read, so the query path pays milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from code_index.core.embedding_text import TextRecipe, recipe_version
from code_index.core.errors import ModelError, SettingsError
from code_index.embedding.backends.registry import AUTO
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.models.data_only import read_config, read_modules, require_data_only
from code_index.embedding.models.lookup import (
    DEFAULT_MODEL,
    DEFAULT_MODEL_SHA256,
    FAST,
    find_model,
    full_name,
    is_default_model,
    names_folder,
    require_default_weights,
)
from code_index.embedding.models.static_table import distilled_sha256, table_dimension
from code_index.embedding.models.weights import weights_digest, weights_files

_DEFAULT_MODEL_WINDOW: Final = 128
"""Tokens. Of the default model's windows the best for code: MRR@10 0.65 against 0.60 at 256, at twice the speed."""
_LONGEST_DEFAULT_WINDOW: Final = 512
"""Tokens. Long enough for a chunk of 2,000 characters; a model's own window may be many thousands."""
_PROMPTS_FILE: Final = "config_sentence_transformers.json"
_WIDTHS: Final = ("hidden_size", "dim", "d_model")
"""A transformer's width by its family's name for it."""
_POOLING_MODES: Final = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_SINGLE_FILE_ONNX_BYTES: Final = 1_900_000_000
"""Protocol buffers end at 2 GiB; larger graphs need side files."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on disk.

    `graph_obstacle` says why the model cannot become one graph from tokens to vectors, and so needs the library that
    it was made with. It is None for other models, whose `pooling` is `mean` or `cls`. `dimension` is the vectors'
    length according to the folder, None where only the library knows. A `static` model is a table of token vectors.
    """

    name: str
    folder: Path
    transformer_folder: Path
    weights_sha256: str
    model_limit_tokens: int
    own_window_tokens: int
    pooling: str | None
    document_prompt: str
    query_prompt: str
    lower_case: bool
    graph_obstacle: str | None
    dimension: int | None = None
    default_prompt: str = ""
    static: bool = False

    def window(self, max_tokens: int) -> int:
        """Number of tokens of a text that the model reads: `max_tokens`, or for 0 the model's measured or own window.

        Raises:
            SettingsError: the model cannot read that many.
        """
        if not max_tokens:
            if self.weights_sha256 == DEFAULT_MODEL_SHA256:
                return _DEFAULT_MODEL_WINDOW
            return min(self.own_window_tokens, _LONGEST_DEFAULT_WINDOW)
        if max_tokens > self.model_limit_tokens:
            raise SettingsError(
                f"max_tokens = {max_tokens}: {self.name} reads at most {self.model_limit_tokens} tokens"
            )
        return max_tokens

    def model_id(self, max_tokens: int, recipe: TextRecipe | str = TextRecipe.FULL) -> str:
        """Identity of the vectors: name, weights, window, recipe, and the prompts and pooling where they are unusual."""
        parts = [f"{self.name}@{self.weights_sha256[:12]}", f"tokens={self.window(max_tokens)}"]
        unusual = [self.pooling, self.document_prompt, self.query_prompt, self.lower_case]
        if unusual != ["mean", "", "", False]:
            parts.append(f"config={hashlib.sha256(json.dumps(unusual).encode()).hexdigest()[:8]}")
        return ";".join([*parts, f"text={recipe_version(recipe)}"])


def configured_model_files(config: EmbedderConfig) -> ModelFiles:
    """The files of the model that a configuration names; its prompts replace those of the folder.

    Raises:
        ModelError: as `load_model_files`.
    """
    files = load_model_files(config.model, allow_download=config.allow_download, revision=config.revision)
    return replace(
        files,
        document_prompt=files.document_prompt if config.document_prompt == AUTO else config.document_prompt,
        query_prompt=files.query_prompt if config.query_prompt == AUTO else config.query_prompt,
    )


def load_model_files(model: str, *, allow_download: bool = False, revision: str = "") -> ModelFiles:
    """Find a model and read its facts; the built-in model's weights are checked against their published digest.

    Raises:
        ModelError: the model is missing, damaged, not in sentence-transformers layout, or more than data.
    """
    folder = find_model(model, allow_download=allow_download, revision=revision)
    require_data_only(folder)
    modules = _modules(folder)
    # The first module holds weights and tokenizer, whatever its kind; only a transformer must have a config.json.
    transformer = folder / next(iter(modules.values()), "")
    config = _json(transformer / "config.json", missing=None if not modules or "Transformer" in modules else {})
    files = weights_files(transformer)
    digest = weights_digest(files)
    if is_default_model(model):
        require_default_weights(digest, files[0])
    if model == FAST:
        digest = distilled_sha256(DEFAULT_MODEL_SHA256)
    sentence = _json(transformer / "sentence_bert_config.json", missing={})
    prompts, default_prompt = _prompts(folder / _PROMPTS_FILE)
    pooling = _pooling(folder, modules)
    static = "StaticEmbedding" in modules and set(modules) <= {"StaticEmbedding", "Normalize"}
    limit = _limit(config, transformer)
    own = sentence.get("max_seq_length")
    return ModelFiles(
        name=DEFAULT_MODEL if digest == DEFAULT_MODEL_SHA256 else _display_name(full_name(model), folder),
        folder=folder,
        transformer_folder=transformer,
        weights_sha256=digest,
        model_limit_tokens=limit,
        own_window_tokens=min(limit, own) if isinstance(own, int) and own > 0 else limit,
        pooling=pooling,
        document_prompt=prompts.get("document") or prompts.get("passage") or prompts.get(default_prompt or "") or "",
        query_prompt=prompts.get("query") or prompts.get(default_prompt or "") or "",
        lower_case=bool(sentence.get("do_lower_case", False)),
        graph_obstacle=_graph_obstacle(transformer, config, modules, pooling, files),
        dimension=table_dimension(transformer) if static else _dimension(folder, modules, config, pooling),
        default_prompt=prompts.get(default_prompt or "") or "",
        static=static,
    )


def _prompts(path: Path) -> tuple[dict[str, str | None], str | None]:
    """The prompts by name, and the name of the one for texts without a prompt of their own."""
    config = _json(path, missing={})
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise ModelError(
            f"{path} has the key 'prompts', which is not an object of texts by name. Correct or remove it."
        )
    if not isinstance(default, str | None):
        raise ModelError(f"{path} has the key 'default_prompt_name', which is not a text. Correct or remove it.")
    return prompts, default


def _dimension(folder: Path, modules: dict[str, str], config: dict[str, Any], pooling: str | None) -> int | None:
    """Length of a vector: that of the last layer, else of the pooling, else the transformer's width."""
    if "Dense" in modules:
        found = _json(folder / modules["Dense"] / "config.json", missing={}).get("out_features")
    elif set(modules) - {"Transformer", "Pooling", "Normalize"} or (modules and pooling is None):
        return None
    else:
        pooled = _json(folder / modules["Pooling"] / "config.json", missing={}) if "Pooling" in modules else {}
        widths = [pooled.get("word_embedding_dimension"), *(config.get(name) for name in _WIDTHS)]
        found = next((width for width in widths if isinstance(width, int)), None)
    return found if isinstance(found, int) else None


def _graph_obstacle(
    transformer: Path, config: dict[str, Any], modules: dict[str, str], pooling: str | None, weights: list[Path]
) -> str | None:
    """The reason why the model is not one plain graph of transformer, pooling and normalization; None when it is."""
    extra = sorted(set(modules) - {"Transformer", "Pooling", "Normalize"})
    size = sum(path.stat().st_size for path in weights)
    obstacles = {
        f"it has the module {', '.join(extra)}": bool(extra),
        "it has no transformer": bool(modules) and "Transformer" not in modules,
        "its pooling is neither mean nor cls": pooling is None,
        "it has an encoder and a decoder": bool(config.get("is_encoder_decoder")),
        "it has no tokenizer.json": not (transformer / "tokenizer.json").is_file(),
        f"its weights take {size:,} bytes, more than one graph file holds": size > _SINGLE_FILE_ONNX_BYTES,
    }
    return next((reason for reason, holds in obstacles.items() if holds), None)


def _modules(folder: Path) -> dict[str, str]:
    """Class name → subfolder of each module; empty for a plain transformers folder, which gets mean pooling."""
    try:
        return dict(read_modules(folder))
    except FileNotFoundError:
        return {}


def _pooling(folder: Path, modules: dict[str, str]) -> str | None:
    if not modules:
        return "mean"
    if "Pooling" not in modules:
        return None
    config = _json(folder / modules["Pooling"] / "config.json")
    if config.get("include_prompt") is False:
        return None
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return mode if mode in _POOLING_MODES.values() else None
    chosen = [name for name, on in config.items() if name.startswith("pooling_mode_") and on]
    return _POOLING_MODES.get(chosen[0]) if len(chosen) == 1 else None


def _limit(config: dict[str, Any], transformer: Path) -> int:
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        # These families number positions after the padding token's, which leaves two fewer for tokens.
        padded = config.get("model_type") in {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}
        return positions - 2 if padded else positions
    length = _json(transformer / "tokenizer_config.json", missing={}).get("model_max_length")
    return int(length) if isinstance(length, int | float) and 0 < length < 1 << 20 else _LONGEST_DEFAULT_WINDOW


def _display_name(model: str, folder: Path) -> str:
    return folder.name if names_folder(model) else model


def _json(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        content = read_config(path)
    except FileNotFoundError as error:
        if missing is not None:
            return missing
        raise ModelError(f"{path} is missing: name a model folder in sentence-transformers layout") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object")
    return content
