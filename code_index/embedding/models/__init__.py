"""A model's files: found, checked, described and exported."""
