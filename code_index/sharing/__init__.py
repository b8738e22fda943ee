"""Sharing between indexes: libraries of vectors."""
