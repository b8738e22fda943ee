"""Deterministic logic: no clock, no I/O, no Dagster, no LanceDB, no torch."""
