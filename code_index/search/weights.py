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
    "words": 2.1,  # best chunk by words
    "chunks": 1.1,  # sum over the file's chunks, of the largest sum
    "name_words": 0.9,  # share of the file name's words that the query has
    "folder_words": 0.6,  # share of the folder's
    "named_alike": 2.0,  # the query is a name, and the file is called so; chosen: before what extends it elsewhere
    "defines": 6.0,  # the query is a name, and the file defines it; chosen: more than both lists together
    "exports": 4.0,  # the query is a name that nothing found defines, and a package's root names it; chosen
    "docs": -1.1,
    "docs_clear_words": 3.3,  # of documentation, where it is first by words: its score by words, times how clear that list is
    "tests": -1.6,
    "older_version": -3.6,  # v1 beside v2, or beside the same file without a version
    "other_platform": -1.5,  # win/ where the search runs on Linux; chosen: a twin comes after its equal
    "has_body_elsewhere": -1.5,  # a stub or header of a body among the candidates; chosen, likewise
    "tiny": -0.7,  # its best chunk is of three lines at most
    "depth": -0.18,  # for each folder on the way
}
"""What a file's score is made of. Source: fitted, but where it says chosen."""

CHUNK_WEIGHTS: Final[Mapping[str, float]] = {
    "meaning": 3.4,
    "words": 0.8,
    "docs_clear_words": 3.4,
    "query_words": 2.7,  # share of the query's words that the name of a definition has
    "function": 0.5,
    "module": -1.0,  # what stands between definitions; chosen: half of what questions for functions give
    "defines": 10.0,  # chosen: more than both lists together
}
"""What a chunk's score among those of its file is made of. Source: fitted, but where it says chosen."""

FIRST_HIT_POWER: Final = 0.1
"""Power of a chunk's share of its file at the file's first hit: 0 counts the file only, 1 the chunk in full."""
FURTHER_HITS: Final = (0.1, 0.6)
"""Factor on a chunk's share at further hits of its file: for a short query, which names a topic, and for a long one, which
describes a place. Source: chosen."""
FURTHER_HITS_OF_DOCS: Final = 0.6
"""The same for documentation, whose sections are answers of their own. Source: chosen."""
EVEN_KINDS: Final = 0.25
"""Share of documentation, or of the rest, from which on one of each is among the first three. Source: chosen."""
