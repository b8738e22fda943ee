"""C."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._c import FAMILY, HEAD_WITHOUT_PARAMETERS, prototypes

LANGUAGE: Final = replace(
    FAMILY,
    name="c",
    title="C",
    extensions="c h",
    modes="c",
    query=FAMILY.query
    + HEAD_WITHOUT_PARAMETERS
    + prototypes("(identifier) (field_identifier)", ("pointer_declarator",)),
)
