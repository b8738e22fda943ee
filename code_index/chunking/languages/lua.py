"""Lua."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._lua import FAMILY

LANGUAGE: Final = replace(
    FAMILY,
    name="lua",
    title="Lua",
    extensions="lua rockspec",
    interpreters="lua luajit",
    query=FAMILY.query
    + """
(goto_statement) @jump
""",
)
