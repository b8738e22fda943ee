"""Embedders for a configuration: device, backend and precision with the reasons, each loaded once.

A model is loaded once per process, for any number of batches, runs and threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from code_index.core.distribution import require_extra
from code_index.core.embedding_text import recipe_of_model
from code_index.core.errors import ModelError, SettingsError
from code_index.core.lazy_imports import importing
from code_index.embedding.backend import Backend
from code_index.embedding.backends.registry import AUTO, BACKENDS, BackendName, device_kind
from code_index.embedding.configuration import DETERMINISTIC, EmbedderConfig
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.devices import DeviceChoice, choose_device, has_fast_int8
from code_index.embedding.embedder import Embedder, TextEmbedder
from code_index.embedding.models.model_files import ModelFiles, configured_model_files
from code_index.system.hardware import available_threads

_LOG = logging.getLogger(__name__)

Purpose = Literal["documents", "query"]

_LOADED: dict[tuple[EmbedderConfig, Purpose], Embedder] = {}
_LOCKS: dict[tuple[EmbedderConfig, Purpose], threading.Lock] = {}
_REGISTRY_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class EmbedderPlan:
    """Device, backend and arithmetic, decided before anything heavy is loaded."""

    device: str
    backend: BackendName
    precision: str
    reason: str


def get_embedder(config: EmbedderConfig, purpose: Purpose = "documents") -> Embedder:
    """The process's embedder for a configuration; the first caller loads it, others wait.

    Raises:
        ModelError, SettingsError: as `load_embedder`; the next call retries.
    """
    key = (config, purpose)
    with _REGISTRY_LOCK:
        lock = _LOCKS.setdefault(key, threading.Lock())
    with lock:
        embedder = _LOADED.get(key)
        if embedder is None:
            embedder = _LOADED[key] = load_embedder(config, purpose)
        return embedder


def query_embedder(config: EmbedderConfig) -> Embedder:
    """The embedder for queries, on the CPU and without torch, whatever device documents use.

    Raises:
        ModelError, SettingsError: as `load_embedder`.
    """
    return get_embedder(config.with_settings({"device": AUTO}), "query")


def serving_embedder(config: EmbedderConfig, serving: tuple[str, Mapping[str, Any]] | None) -> Embedder:
    """The embedder for queries of the vectors in use, which may be of another model than the configuration names.

    Args:
        config: of the index.
        serving: the model in use, from `IndexStore.models.serving`.

    Raises:
        ModelError: the model in use is missing, cannot be loaded, or is known only by its identity.
        SettingsError: as `load_embedder`.
    """
    if serving is None:
        return query_embedder(config)
    model_id, named = serving
    # An older program's `full` has a name of its own by now.
    if (recipe := recipe_of_model(model_id)) is not None:
        named = {**named, "text_recipe": recipe.value}
    embedder = query_embedder(config.with_settings(named))
    if embedder.model_id != model_id:
        raise ModelError(
            f"The vectors in use are of {model_id}; the settings that named it now give {embedder.model_id}. Put that "
            "model back, or make vectors with the present one: `code-index index`. Search by words works: "
            "`code-index search --mode lexical`."
        )
    return embedder


def load_embedder(config: EmbedderConfig, purpose: Purpose = "documents") -> Embedder:
    """Load a model for documents or for queries; queries run on the CPU unless a device is named.

    Importing torch takes seconds, embedding a query on the CPU milliseconds.

    Raises:
        ModelError: the model is missing or cannot be loaded, or the device cannot be used.
        SettingsError: the configuration contradicts itself or the model.
        UsageError: the model needs an extra that is not installed.
    """
    if config.model == DETERMINISTIC:
        return DeterministicEmbedder(recipe=config.text_recipe)
    files = configured_model_files(config)
    window = files.window(config.max_tokens)
    plan = plan_embedder(config, files, purpose)
    budget = config.token_budget or BACKENDS[plan.backend].token_budgets[device_kind(plan.device)]
    embedder = TextEmbedder(
        _backend(plan, files, window, config.threads or available_threads()),
        model_id=files.model_id(config.max_tokens, config.text_recipe),
        token_budget=budget,
        document_prompt=files.document_prompt,
        query_prompt=files.query_prompt,
        reason=plan.reason,
    )
    _LOG.info("embedding %s with %s", purpose, embedder.describe())
    return embedder


def is_table(config: EmbedderConfig) -> bool:
    """Tell whether the model is a table of token vectors, which takes no longer for a text than another table for its vector.

    Raises:
        ModelError: the model is missing.
    """
    return config.model != DETERMINISTIC and configured_model_files(config).static


def plan_embedder(config: EmbedderConfig, files: ModelFiles, purpose: Purpose) -> EmbedderPlan:
    """Device, backend and precision for a model on this machine, with the reasons.

    Raises:
        ModelError: the device, or a backend that cannot run this model, was asked for.
        SettingsError: precision and backend contradict each other.
        UsageError: the model would run on torch, which is not installed.
    """
    if files.static and config.backend in {AUTO, "static"} and device_kind(config.device) in {AUTO, "cpu"}:
        if config.precision not in {AUTO, *BACKENDS["static"].precisions}:
            raise SettingsError(f"precision = {config.precision}: a static model is a table in float32, use auto")
        return EmbedderPlan("cpu", "static", "float32", "token vectors are only added up")
    if config.backend == "static":
        raise ModelError(
            f"{files.name} cannot run on backend static: it is no table of token vectors; use backend auto"
        )
    onnx_possible = files.graph_obstacle is None and config.backend != "torch"
    if config.backend == "onnx" and files.graph_obstacle is not None:
        raise ModelError(f"{files.name} cannot run on backend onnx: {files.graph_obstacle}; use backend auto or torch")
    if config.device == AUTO and config.backend == "onnx":
        choice = DeviceChoice("cpu", "backend onnx")
    elif config.device == AUTO and purpose == "query" and onnx_possible:
        choice = DeviceChoice("cpu", "queries are quickest without loading torch")
    else:
        choice = choose_device(config.device)
    reasons = [choice.reason]
    if choice.device != "cpu" or not onnx_possible:
        if choice.device == "cpu" and files.graph_obstacle is not None:
            reasons.append(f"torch instead of ONNX Runtime: {files.graph_obstacle}")
            _LOG.warning("%s runs on torch, slower than on ONNX Runtime: %s", files.name, files.graph_obstacle)
        if config.precision not in {AUTO, *BACKENDS["torch"].precisions}:
            raise SettingsError(
                f"precision = {config.precision} needs backend onnx on the CPU: use float32, float16 or bfloat16"
            )
        require_extra("torch", f"{files.name} runs on backend torch, which")
        return EmbedderPlan(choice.device, "torch", config.precision, "; ".join(reasons))
    return _onnx_plan(config, reasons)


def _onnx_plan(config: EmbedderConfig, reasons: list[str]) -> EmbedderPlan:
    if config.precision not in {AUTO, *BACKENDS["onnx"].precisions}:
        raise SettingsError(f"precision = {config.precision} needs backend torch: on backend onnx use float32 or int8")
    precision = config.precision
    if precision == AUTO:
        precision = "int8" if has_fast_int8() else "float32"
        if precision == "float32":
            reasons = [*reasons, "float32: this processor has no fast int8 products"]
    return EmbedderPlan("cpu", "onnx", precision, "; ".join(reasons))


def _backend(plan: EmbedderPlan, files: ModelFiles, window: int, threads: int) -> Backend:
    if plan.backend == "onnx":
        with importing:
            from code_index.embedding.backends.onnx import OnnxBackend

        return OnnxBackend(files, window=window, precision=plan.precision, threads=threads)
    if plan.backend == "static":
        with importing:
            from code_index.embedding.backends.static import StaticBackend

        return StaticBackend(files, window=window)
    with importing:
        from code_index.embedding.backends.torch import TorchBackend

    return TorchBackend(files, device=plan.device, window=window, precision=plan.precision, threads=threads)
