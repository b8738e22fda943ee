"""Twig templates: what they name is written as in Jinja."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.jinja import extract_jinja

FORMAT: Final = FormatSpec(name="twig", title="Twig", revision=1, extensions="twig", extract=extract_jinja)
