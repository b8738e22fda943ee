"""The index as a folder: its settings, locks and markers."""
