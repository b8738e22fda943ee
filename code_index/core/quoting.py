"""Text from a repository, made harmless for where it is shown: as plain text, in Markdown, in HTML.

Belongs here: names of files and definitions, reasons, texts of errors, code. All of them may be chosen by a stranger.
Dagster renders descriptions and Markdown metadata with links, images and literal addresses, which a browser then asks
for; logs and terminals obey escape sequences.
"""

from __future__ import annotations

import html
import re
from typing import Final

_LOOKALIKES: Final = str.maketrans({"`": "'", "|": "¦"})
"""What would end a code span or a table's cell: Markdown dialects disagree on how these are escaped there."""


def printable(text: str, *, keep: str = "") -> str:
    """Text with control characters, direction marks and lone surrogates as backslash escapes; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def code_span(text: str, *, longest: int | None = None) -> str:
    """Text as Markdown's inline code on one line, cut to `longest` characters; empty for text of blanks.

    Inside of code nothing is markup: no link, image, tag or literal address. Escaping each special character was
    rejected, because an address becomes a link whatever is escaped in it.
    """
    line = printable(" ".join(text.split())).translate(_LOOKALIKES)[:longest]
    return f"`{line}`" if line else ""


def code_block(text: str, language: str) -> str:
    """Text of several lines as Markdown's fenced code."""
    shown = printable(text, keep="\n\t")
    # A fence longer than any in the code.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    word = re.sub(r"[^\w+#-]", "", language)
    return f"{fence}{word}\n{shown}\n{fence}"


def html_text(text: str) -> str:
    """Text for HTML, between tags and in a quoted attribute."""
    return html.escape(printable(text, keep="\n\t"), quote=True)
