"""Requirements and constraints of pip by package."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats._entries import extract_entries

_LINE: Final = re.compile(
    rb"^(?:(?P<comment>[ \t]*\#)[^\n]*|(?P<blank>[ \t\r]*$)"
    rb"|[ \t]*(?:(?:-e|--editable)[ \t=]+[^\n]*?(?:\#egg=(?P<egg>[\w.-]+))?[^\n]*|-[^\n]*|(?P<name>[A-Za-z0-9][\w.-]*+)?(?:[^\n\\]|\\(?s:.))*+))",
    re.MULTILINE,
)

FORMAT: Final = FormatSpec(
    name="requirements",
    title="Requirements",
    revision=1,
    file_names="requirements.txt requirements.in constraints.txt requirements-dev.txt requirements_dev.txt dev-requirements.txt "
    "test-requirements.txt requirements-test.txt",
    extract=partial(extract_entries, line=_LINE),
)
