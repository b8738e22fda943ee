"""The tables of an index, free of Dagster. Public: `IndexStore`, `SearchFilter` and the results."""

import os

# Lance warns once per query on a table with unindexed rows; it reads this when it is imported.
os.environ.setdefault("LANCEDB_LOG", "error")

from resources.lancedb_store.chunks import ReplaceResult
from resources.lancedb_store.filters import SearchFilter
from resources.lancedb_store.maintenance import TableInfo
from resources.lancedb_store.store import IndexStore
from resources.lancedb_store.sync import SyncResult
from resources.lancedb_store.tables import MergeCounts

__all__ = ["IndexStore", "MergeCounts", "ReplaceResult", "SearchFilter", "SyncResult", "TableInfo"]
