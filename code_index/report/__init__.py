"""The report on an index: figures, page and plots."""
