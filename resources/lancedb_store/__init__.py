"""The tables of an index, free of Dagster. Public: `IndexStore`."""

import os

# Lance warns once per query on a table with unindexed rows; it reads this when it is imported.
os.environ.setdefault("LANCEDB_LOG", "error")

from resources.lancedb_store.store import IndexStore

__all__ = ["IndexStore"]
