"""What the parts of `IndexStore` share: the tables and their readers, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from code_index.core.errors import UsageError
from code_index.tables.read_handles import Reading
from code_index.tables.tables import Tables

FILES_TABLE = "files"
CHUNKS_TABLE = "chunks"
VECTORS_TABLE = "vectors"
RETIRED_TABLE = "retired_vectors"
ERRORS_TABLE = "embedding_errors"


class StorePart:
    """One concern of the store; `IndexStore` joins them all over one folder of tables."""

    def __init__(self, tables_dir: Path, *, model_id: str | None = None) -> None:
        self.tables = Tables(Path(tables_dir), model_id=model_id)
        self.reading = Reading(Path(tables_dir), stored_name=self.tables.stored_name)
        self._views: dict[str, Self] = {}

    def for_model(self, model_id: str) -> Self:
        """The store with the vectors of that model; itself where it reads those anyway."""
        registry = self.tables.registry()
        if registry is None or (self.tables.model_id or registry.serving) == model_id:
            return self
        if model_id not in self._views:
            self._views[model_id] = type(self)(self.tables.directory, model_id=model_id)
        return self._views[model_id]

    def refuse_other_model(self, model_id: str) -> None:
        """Refuse to compare with the vectors of another model than these.

        Raises:
            UsageError: what to do instead.
        """
        registry = self.tables.registry()
        if registry is not None and (mine := self.tables.model_id or registry.serving) != model_id:
            raise UsageError(
                f"The vectors in use are of {mine}; those of {model_id} cannot be compared with them. Search with the "
                "model in use (`serving_embedder`), or embed all chunks with the other one: `code-index index`."
            )
