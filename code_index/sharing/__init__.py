"""Sharing between indexes: libraries of vectors, and places with files."""
