"""Registry of the models that have tables of vectors, and of the one that search reads.

Vectors of another model are built beside those in use, in tables of their own; one small file says which are in use.
Replacing that file is the whole switch, there and back. Without the file there is one table of vectors, the
first model's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from code_index.core.addresses import Bucket
from code_index.core.errors import StoreError
from code_index.core.regular_files import load_json
from code_index.tables.table_folder import table_folder
from code_index.tables.table_names import RETIRED_TABLE, VECTORS_TABLE

REGISTRY_FILE = "models.json"
_SUFFIX = r"(__[0-9a-f]{12})?"
_SHOWN = 40  # characters of a value that is wrong
TABLES_OF_A_MODEL = frozenset({VECTORS_TABLE, RETIRED_TABLE})


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that has tables.

    `suffix` ends their names, and is empty for the first model. `settings` name the model, for queries; empty where
    nobody knows them. `replaced_at` is the time when another one replaced it (ISO 8601, UTC).
    """

    suffix: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    replaced_at: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The models of an index by identity; `serving` is the one that search reads, `record` what was read of them."""

    serving: str
    models: Mapping[str, ModelEntry]
    record: bytes | None = field(default=None, compare=False, repr=False)

    def suffix(self, model_id: str | None) -> str:
        """Return the end of the names of a model's tables (the serving one's for None), existing or not."""
        entry = self.models.get(model_id or self.serving)
        return suffix_of(model_id or self.serving) if entry is None else entry.suffix

    def with_model(self, model_id: str, entry: ModelEntry) -> ModelRegistry:
        """Return the registry with that entry for the model."""
        return replace(self, models={**self.models, model_id: entry})


def suffix_of(model_id: str) -> str:
    """Make the end of the names of the tables of any model but an index's first."""
    return f"__{hashlib.sha256(model_id.encode()).hexdigest()[:12]}"


def read_registry(where: Path | Bucket) -> ModelRegistry | None:
    """Read the record beside the tables; None where there is none.

    Raises:
        StoreError: the record is damaged.
    """
    try:
        record = table_folder(where).record(REGISTRY_FILE)
        return None if record is None else replace(_registry(load_json(record)), record=record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{where / REGISTRY_FILE} is damaged ({error!r}). Remove it: the vectors of the first model are read then, and "
            "others are made again."
        ) from error


def _registry(content: Any) -> ModelRegistry:
    models = {name: _entry(found) for name, found in content["models"].items()}
    if not isinstance(content["serving"], str):
        raise TypeError("'serving' is not the name of a model")
    return ModelRegistry(serving=content["serving"], models=models)


def _entry(found: Mapping[str, Any]) -> ModelEntry:
    entry = ModelEntry(**found)
    if not re.fullmatch(_SUFFIX, entry.suffix):
        raise ValueError(f"'suffix' is {entry.suffix[:_SHOWN]!r}")
    if not isinstance(entry.settings, dict):
        raise TypeError("'settings' is not an object")
    if entry.replaced_at is not None and datetime.fromisoformat(entry.replaced_at).tzinfo is None:
        raise ValueError("'replaced_at' is a time without a zone")
    return entry


def write_registry(where: Path | Bucket, registry: ModelRegistry) -> None:
    """Put the registry in the place of the one that it was made from, in one step.

    Raises:
        StoreError: another machine replaced that one meanwhile.
    """
    content = {"serving": registry.serving, "models": {name: asdict(entry) for name, entry in registry.models.items()}}
    text = json.dumps(content, indent=2) + "\n"
    table_folder(where).replace_record(REGISTRY_FILE, text, instead_of=registry.record)
