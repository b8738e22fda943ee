"""JSP templates."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._templates import template

FORMAT: Final = FormatSpec(
    name="jsp", title="JSP", revision=1, extensions="jsp jspx jspf tag", has_parts=True, extract=template("java")
)
