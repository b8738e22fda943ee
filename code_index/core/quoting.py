"""Text from a repository, made harmless for where it is shown: in a terminal or a log, in Markdown, in HTML, in JSON.

Belongs here: names of files and definitions, reasons, texts of errors, code. All of them may be chosen by a stranger.
Dagster renders descriptions and Markdown metadata with links, images and literal addresses, which a browser then asks
for; logs and terminals obey escape sequences.
"""

from __future__ import annotations

import html
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

_LAYOUT: Final = "\n\t"
# Control characters (escape sequences begin with one, C1 ones included), direction marks, separators of lines.
_COMMANDING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS: Final = frozenset("\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH NO-BREAK SPACE}")
_LOOKALIKES: Final = str.maketrans({"`": "'", "|": "¦"})
"""What would end a code span or a table's cell: Markdown dialects disagree on how these are escaped there."""


def printable(text: str, *, keep: str = "") -> str:
    """Text with control characters, direction marks and lone surrogates as backslash escapes; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def printable_code(line: str) -> str:
    """A line of code as it is, but for what commands a terminal or makes it show another order than the real one.

    Spaces of other scripts, private and unassigned characters, and the joiners of emoji stay: they do no harm.
    """
    if line.isprintable():
        return line
    return "".join(_escaped(c) if c not in _HARMLESS and unicodedata.category(c) in _COMMANDING else c for c in line)


def printable_message(text: str) -> str:
    """A message of several lines with all other control characters escaped."""
    return printable(text, keep=_LAYOUT)


def code_span(text: str, *, longest: int | None = None) -> str:
    """Text as Markdown's inline code on one line, cut to `longest` characters; empty for text of blanks.

    Inside of code nothing is markup: no link, image, tag or literal address. Escaping each special character was
    rejected, because an address becomes a link whatever is escaped in it.
    """
    line = printable(" ".join(text.split())).translate(_LOOKALIKES)[:longest]
    return f"`{line}`" if line else ""


def code_block(text: str, language: str) -> str:
    """Text of several lines as Markdown's fenced code."""
    shown = printable(text, keep=_LAYOUT)
    # A fence longer than any in the code.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    word = re.sub(r"[^\w+#-]", "", language)
    return f"{fence}{word}\n{shown}\n{fence}"


def html_text(text: str) -> str:
    """Text for HTML, between tags and in a quoted attribute."""
    return html.escape(printable(text, keep=_LAYOUT), quote=True)


def json_text(data: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII, so that nothing in it commands a terminal; a number that JSON cannot spell is `null`."""
    text = json.dumps(_json_value(data), indent=indent, ensure_ascii=True, allow_nan=False, default=str)
    return text.replace("\x7f", "\\u007f")


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
