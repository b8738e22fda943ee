"""Java properties by key."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._entries import extract_entries

_LINE: Final = re.compile(
    rb"^(?:(?P<comment>[ \t\f]*[#!])[^\n]*|(?P<blank>[ \t\f\r]*$)|[ \t\f]*(?P<name>(?:[^\s=:\\]|\\[^\n])++)(?:[^\n\\]|\\(?s:.))*+)",
    re.MULTILINE,
)

FORMAT: Final = FormatSpec(
    name="properties",
    title="Properties",
    revision=1,
    extensions="properties",
    extract=partial(extract_entries, line=_LINE),
)
