"""EJS templates."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._templates import template

FORMAT: Final = FormatSpec(
    name="ejs", title="EJS", revision=1, extensions="ejs", has_parts=True, extract=template("javascript")
)
