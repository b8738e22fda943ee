"""TypeScript."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._javascript import FAMILY, TYPES

LANGUAGE: Final = replace(
    FAMILY,
    name="typescript",
    title="TypeScript",
    extensions="ts mts cts",
    interpreters="deno bun tsx ts-node ts-node-esm",
    query=FAMILY.query + TYPES,
)
