"""Indexes of a single table, as the ancestor of this design wrote them: found and read, never written."""

from resources.single_table.layout import OldIndex, find_old_index
from resources.single_table.table import OldTable, Survey

__all__ = ["OldIndex", "OldTable", "Survey", "find_old_index"]
