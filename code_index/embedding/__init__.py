"""Embedding: texts and queries to unit vectors, on a GPU or the CPU.

`configuration` says what a caller may choose, `loader` makes an embedder of it, `embedder` is the contract. Importing
the package imports nothing: settings are read without numpy.
"""
