"""C."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from code_index.chunking.languages._c import FAMILY, HEAD_WITHOUT_PARAMETERS, OBJECTIVE_C_MARKS, prototypes

_CPP_MARKS: Final = re.compile(
    rb"^[ \t]*(?:class[ \t]+(?:\w+[ \t]+)?\w+(?:[ \t]+final)?\s*[;{:]|namespace(?:[ \t]+[\w:]+)?\s*\{|template[ \t]*<"
    rb"|using[ \t]+(?:namespace\b|\w+[ \t]*=|\w+::)|(?:public|private|protected)[ \t]*:|#[ \t]*include[ \t]*<[a-z_]+>"
    rb"|(?:inline[ \t]+)?constexpr\b|enum[ \t]+class\b|[^/*\n]*\bstd::)",
    re.MULTILINE,
)
_EXTERN_C_GUARD: Final = re.compile(
    rb"#[ \t]*if(?:def[ \t]+|[ \t]+defined[ \t]*\(?[ \t]*)__cplusplus.*?#[ \t]*endif", re.DOTALL
)


def _language_of_header(head: bytes) -> str:
    """C, C++ or Objective-C. The guard of `extern "C" {` for C++ callers is no evidence."""
    if OBJECTIVE_C_MARKS.search(head):
        return "objective-c"
    return "cpp" if _CPP_MARKS.search(_EXTERN_C_GUARD.sub(b"", head)) else "c"


LANGUAGE: Final = replace(
    FAMILY,
    name="c",
    title="C",
    extensions="c h",
    modes="c",
    by_content={"h": _language_of_header},
    query=FAMILY.query
    + HEAD_WITHOUT_PARAMETERS
    + prototypes("(identifier) (field_identifier)", ("pointer_declarator",)),
)
