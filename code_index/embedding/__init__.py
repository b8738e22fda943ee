"""Embedding: texts and queries to unit vectors, on a GPU or the CPU.

`configuration` has a caller's choices, `loader` makes an embedder from them, `embedder` is the contract. The package
imports nothing by itself: settings are read without numpy.
"""
