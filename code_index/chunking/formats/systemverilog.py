"""SystemVerilog."""

from __future__ import annotations

from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._verilog import extract_verilog

FORMAT: Final = FormatSpec(
    name="systemverilog", title="SystemVerilog", revision=1, extensions="sv svh svi sva", extract=extract_verilog
)
