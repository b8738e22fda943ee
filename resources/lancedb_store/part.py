"""What the parts of `IndexStore` share: the tables and their readers, nothing else."""

from __future__ import annotations

from pathlib import Path

from resources.lancedb_store.reading import Reading
from resources.lancedb_store.tables import Tables

FILES_TABLE = "files"
CHUNKS_TABLE = "chunks"
VECTORS_TABLE = "vectors"
RETIRED_TABLE = "retired_vectors"
ERRORS_TABLE = "embedding_errors"


class StorePart:
    """One concern of the store; `IndexStore` joins them all over one folder of tables."""

    def __init__(self, tables_dir: Path) -> None:
        self.tables = Tables(Path(tables_dir))
        self.reading = Reading(Path(tables_dir))
