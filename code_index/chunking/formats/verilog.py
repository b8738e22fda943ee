"""Verilog."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._verilog import extract_verilog

# Coq, and the language V.
FORMAT: Final = FormatSpec(
    name="verilog",
    title="Verilog",
    revision=1,
    extensions="v vh vlg",
    modes="verilog",
    extract=extract_verilog,
)
