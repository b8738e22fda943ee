"""Weights of the ranking, in one table, and where each comes from.

Fitted: a listwise logistic regression (softmax over a query's files, with ridge) with the signs below held, over
the sets that docs/search.md names; a fit that leaves a repository out scores that repository. Chosen: a round value
between those that the same page lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FUSED_DEPTH: Final = 100
"""Length of the part of each list that is ranked."""

FILE_WEIGHTS: Final[Mapping[str, float]] = {
    "meaning": 2.1,  # best chunk by meaning, of its list
    "words": 2.2,  # best chunk by words
    "chunks": 1.0,  # sum over the file's chunks, of the largest sum
    "name_words": 0.7,  # share of the file name's words that the query has
    "folder_words": 0.4,  # share of the folder's
    "query_words": 0.9,  # share of the query's words that the file name has
    "named_alike": 2.0,  # the query is a name, and the file is called so; chosen: before what extends it elsewhere
    "defines": 6.0,  # the query is a name, and the file defines it; chosen: more than both lists together
    "docs": -1.6,
    "docs_by_words": 0.5,  # of documentation, times its lead over code by words
    "docs_clear_words": 3.7,  # of documentation, times its score by words and how clear that list is
    "tests": -2.0,
    "outdated": -1.2,  # compat, legacy, deprecated
    "older_version": -3.9,  # v1 beside v2, or beside the same file without a version
    "declares": -0.9,  # stubs and headers
    "tiny": -0.9,  # its best chunk is of three lines at most
}
"""What a file's score is made of. Source: fitted, but where it says chosen."""

CHUNK_WEIGHTS: Final[Mapping[str, float]] = {
    "meaning": 5.5,
    "words": 2.3,
    "docs_clear_words": 2.0,
    "query_words": 1.0,  # share of the query's words that the name of a definition has
    "defines": 10.0,  # more than both lists together
}
"""What a chunk's score among those of its file is made of. Source: chosen, about twice what a fit gives."""

FIRST_HIT_POWER: Final = 0.1
"""Power of a chunk's share of its file at the file's first hit: 0 counts the file only, 1 the chunk in full."""
FURTHER_HITS: Final = 0.4
"""Factor on a chunk's share at further hits of its file. Source: chosen."""
EVEN_KINDS: Final = 0.25
"""Share of documentation, or of the rest, from which on one of each is among the first three. Source: chosen."""
