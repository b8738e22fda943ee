"""TSX."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._javascript import FAMILY, TYPES

LANGUAGE: Final = replace(
    FAMILY,
    name="tsx",
    title="TSX",
    extensions="tsx",
    query=FAMILY.query + TYPES,
)
