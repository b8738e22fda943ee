"""The tables of an index, free of Dagster. Public: `IndexStore` and `SearchFilter`.

Importing the package loads neither LanceDB nor Arrow: the version of the tables is asked for where nothing else is.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from code_index.core.lazy_imports import importing

# Lance warns once per query on a table with unindexed rows; it reads this when it is imported.
os.environ.setdefault("LANCEDB_LOG", "error")

if TYPE_CHECKING:
    from code_index.tables.filters import SearchFilter
    from code_index.tables.store import IndexStore

__all__ = ["IndexStore", "SearchFilter"]

_MODULES = {
    "IndexStore": "store",
    "SearchFilter": "filters",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
