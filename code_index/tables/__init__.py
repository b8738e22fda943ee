"""The tables of an index, free of Dagster. Public: `IndexStore`, `SearchFilter` and the results.

Importing the package loads neither LanceDB nor Arrow: the version of the tables is asked for where nothing else is.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Lance warns once per query on a table with unindexed rows; it reads this when it is imported.
os.environ.setdefault("LANCEDB_LOG", "error")

if TYPE_CHECKING:
    from code_index.tables.chunks import ReplaceResult
    from code_index.tables.filters import SearchFilter
    from code_index.tables.store import IndexStore
    from code_index.tables.sync import SyncResult
    from code_index.tables.table_upkeep import TableInfo
    from code_index.tables.tables import MergeCounts

__all__ = ["IndexStore", "MergeCounts", "ReplaceResult", "SearchFilter", "SyncResult", "TableInfo"]

_MODULES = {
    "IndexStore": "store",
    "MergeCounts": "tables",
    "ReplaceResult": "chunks",
    "SearchFilter": "filters",
    "SyncResult": "sync",
    "TableInfo": "table_upkeep",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
