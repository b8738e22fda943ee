"""HEEx templates."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._templates import template

FORMAT: Final = FormatSpec(
    name="heex", title="HEEx", revision=1, extensions="heex eex leex", has_parts=True, extract=template("elixir")
)
