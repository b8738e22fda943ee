"""Vectors of another model, built beside those in use, and the switch to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from code_index.tables.chunk_status import ChunkStatuses
from code_index.tables.lance_tables import LanceTables
from code_index.tables.model_registry import (
    ModelEntry,
    ModelRegistry,
    read_registry,
    suffix_of,
    write_registry,
)
from code_index.tables.schema_version import upgrade
from code_index.tables.table_names import VECTORS_TABLE
from code_index.tables.vectors import VectorRows


class ModelSwitching:
    """Tell which model's vectors search reads, and change it. Writers hold the lock of phase 2."""

    def __init__(self, tables: LanceTables, vectors: VectorRows, statuses: ChunkStatuses) -> None:
        self._tables = tables
        self._vectors = vectors
        self._statuses = statuses

    def serving(self) -> tuple[str, Mapping[str, Any]] | None:
        """Return the identity of the model that search reads, and the settings that name it; None before the first run."""
        registry = self._tables.registry()
        return None if registry is None else (registry.serving, registry.models[registry.serving].settings)

    def begin(self, model_id: str, settings: Mapping[str, Any]) -> None:
        """Prepare tables for a model's vectors, which `IndexStore.for_model` then writes and reads.

        The first model of an index gets the plain tables and is served at once. Any further one gets tables of
        its own, and is served once `serve_if_complete` says so.
        """
        # An older program stored vectors of the first model, whichever the settings name now.
        upgrade(self._tables.where, {1: lambda: self._write_first_registry(model_id)})
        registry = read_registry(self._tables.where) or self._first_registry(model_id)
        known = registry.models.get(model_id)
        entry = ModelEntry(suffix=suffix_of(model_id) if known is None else known.suffix, settings=dict(settings))
        if known != entry:
            write_registry(self._tables.where, registry.with_model(model_id, entry))

    def serve_if_complete(self, model_id: str, *, now: datetime) -> bool:
        """Let search read the model's vectors from now on, if no chunk waits for one; tell whether that changed anything.

        One file is replaced. The vectors that were read before stay, for going back, until `forget`.
        """
        registry = read_registry(self._tables.where)
        if registry is None or registry.serving == model_id or model_id not in registry.models:
            return False
        if self._statuses.count(model_id)["pending"]:
            return False
        moment = now.isoformat(timespec="seconds")
        models = {
            name: replace(entry, replaced_at=None if name == model_id else entry.replaced_at or moment)
            for name, entry in registry.models.items()
        }
        write_registry(self._tables.where, replace(registry, serving=model_id, models=models))
        return True

    def vector_counts(self) -> dict[str, int]:
        """Count the vectors of each model that has any, in use or not."""
        registry = read_registry(self._tables.where)
        counts = self._vectors.counts()
        for model_id in registry.models if registry is not None else ():
            for name, count in self._vectors.of_model(model_id).counts().items():
                counts.setdefault(name, count)
        return counts

    def stale_batches(self, model_id: str) -> int:
        """Count the batches that have vectors of the model in use, and not all of that model."""
        registry = read_registry(self._tables.where)
        if registry is None or registry.serving == model_id:
            return 0
        wanted = self._statuses.pending_batches(model_id)["embedding_batch_id"]
        served = self._statuses.batches(registry.serving)
        served = served.filter(pc.greater(served["complete"], 0))["embedding_batch_id"]
        return pc.sum(pc.is_in(served, wanted)).as_py() or 0

    def replaced_vectors(self, *, before: datetime) -> int:
        """Count the vectors that `forget` would remove."""
        return sum(self._vectors.of_model(model_id).count() for model_id in self._replaced(before))

    def forget(self, *, before: datetime) -> int:
        """Remove the vectors of models that were replaced before that time; returns how many."""
        forgotten = 0
        for model_id in self._replaced(before):
            vectors = self._vectors.of_model(model_id)
            forgotten += vectors.count()
            vectors.drop()
            registry = read_registry(self._tables.where)
            if registry is not None:
                left = {name: entry for name, entry in registry.models.items() if name != model_id}
                write_registry(self._tables.where, replace(registry, models=left))
        return forgotten

    def _replaced(self, before: datetime) -> list[str]:
        registry = read_registry(self._tables.where)
        if registry is None:
            return []
        return [
            name
            for name, entry in registry.models.items()
            if name != registry.serving
            and entry.replaced_at is not None
            and datetime.fromisoformat(entry.replaced_at) < before
        ]

    def _write_first_registry(self, model_id: str) -> None:
        if read_registry(self._tables.where) is None:
            write_registry(self._tables.where, self._first_registry(model_id))

    def _first_registry(self, model_id: str) -> ModelRegistry:
        """Make the registry of an index without one: the model that has most of the stored vectors serves."""
        counts = self._vectors.counts() if self._tables.open(VECTORS_TABLE) is not None else {}
        serving = model_id if model_id in counts or not counts else max(counts, key=lambda name: counts[name])
        return ModelRegistry(serving=serving, models={serving: ModelEntry(suffix="")})
