"""Indexes of a single table, as the ancestor of this design wrote them: found and read, never written."""

from indexing_assets.operations.migration.old_index.layout import OldIndex, find_old_index
from indexing_assets.operations.migration.old_index.table import OldTable, Survey

__all__ = ["OldIndex", "OldTable", "Survey", "find_old_index"]
