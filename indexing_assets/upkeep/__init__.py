"""Compaction of the tables, and expiry of what nothing needs any more."""
