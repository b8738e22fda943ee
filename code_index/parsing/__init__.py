"""Parser processes: files in, rows of chunks out."""
