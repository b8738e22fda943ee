"""Structured formats and plain text: one extractor each."""
