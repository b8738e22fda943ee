"""Svelte components: HTML."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.html import extract_html

FORMAT: Final = FormatSpec(name="svelte", title="Svelte", extensions="svelte", has_parts=True, extract=extract_html)
