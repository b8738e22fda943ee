"""Verilog."""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.file_type import TEXT
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._verilog import extract_verilog

# Coq, and the language V.
_OTHERS: Final = re.compile(
    rb"^[ \t]*(?:(?:Require|From|Theorem|Lemma|Definition|Inductive|Fixpoint|Section|Module)\b[^;\n]*\.[ \t\r]*$|Proof\.)"
    rb"|^(?:pub[ \t]+)?fn[ \t]+[\w(]|^import[ \t]+[a-z][\w.]*[ \t\r]*$",
    re.MULTILINE,
)


def _language_of_v(head: bytes) -> str:
    return TEXT if _OTHERS.search(head) else "verilog"


FORMAT: Final = FormatSpec(
    name="verilog",
    title="Verilog",
    revision=1,
    extensions="v vh vlg",
    modes="verilog",
    by_content={"v": _language_of_v},
    extract=extract_verilog,
)
