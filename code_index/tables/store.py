"""`IndexStore`: the tables of one index behind one object.

Belongs here: the parts, each with the others that it needs. Does not belong here: their work, each in its own module.
"""

from __future__ import annotations

from pathlib import Path

from code_index.core.addresses import Bucket
from code_index.tables.chunk_status import ChunkStatuses
from code_index.tables.chunks import ChunkRows
from code_index.tables.embedding_errors import ErrorRows
from code_index.tables.files import FileRows
from code_index.tables.lance_tables import LanceTables
from code_index.tables.model_switching import ModelSwitching
from code_index.tables.read_handles import ReadHandles
from code_index.tables.references import ReferenceRows
from code_index.tables.search_rows import SearchRows
from code_index.tables.table_upkeep import TableUpkeep
from code_index.tables.vector_sync import VectorSync
from code_index.tables.vectors import VectorRows


class IndexStore:
    """Reader and writer of the tables of one index.

    Cheap to construct and free to share: nothing is opened before it is used, a table is created
    by its first write, and reads of tables that do not exist give no rows. Safe in several threads
    and processes; picklable, so that a spawned process opens its own handles.
    """

    tables: LanceTables
    files: FileRows
    chunks: ChunkRows
    references: ReferenceRows
    vectors: VectorRows
    errors: ErrorRows
    statuses: ChunkStatuses
    sync: VectorSync
    models: ModelSwitching
    search: SearchRows
    upkeep: TableUpkeep

    def __init__(self, where: Path | Bucket, *, model_id: str | None = None) -> None:
        """Set where the tables lie; the vectors are the model's, or for None those that search reads."""
        self.tables = LanceTables(where, model_id=model_id)
        self.files = FileRows(self.tables)
        self.errors = ErrorRows(self.tables)
        self.chunks = ChunkRows(self.tables, self.errors)
        self.references = ReferenceRows(self.tables)
        self.vectors = VectorRows(self.tables)
        self.statuses = ChunkStatuses(self.tables, self.chunks, self.vectors)
        self.sync = VectorSync(self.tables, self.chunks, self.vectors, self.errors)
        self.models = ModelSwitching(self.tables, self.vectors, self.statuses)
        self.search = SearchRows(self.tables, ReadHandles(self.tables.where, stored_name=self.tables.stored_name))
        self.upkeep = TableUpkeep(self.tables)
        self._views: dict[str, IndexStore] = {}

    def for_model(self, model_id: str) -> IndexStore:
        """Return the store with the vectors of that model; itself where it reads those anyway."""
        if self.tables.reads_model(model_id):
            return self
        if model_id not in self._views:
            self._views[model_id] = IndexStore(self.tables.where, model_id=model_id)
        return self._views[model_id]
