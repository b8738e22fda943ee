"""Search over the tables of an index."""
