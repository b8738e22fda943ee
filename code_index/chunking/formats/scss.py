"""SCSS: CSS with line comments and interpolation."""

from __future__ import annotations

from functools import partial
from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.css import extract_css

FORMAT: Final = FormatSpec(
    name="scss", title="SCSS", extensions="scss", extract=partial(extract_css, line_comments=True)
)
