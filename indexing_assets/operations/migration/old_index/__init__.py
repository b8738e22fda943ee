"""Indexes of a single table, as the ancestor of this design wrote them: found and read, never written."""
