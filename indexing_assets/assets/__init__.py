"""The assets of an index, one module each."""
