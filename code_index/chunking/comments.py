"""Documentation comments as plain text.

Belongs here: removing the markers that most languages use.
Does not belong here: markers of one language (`languages`), and the choice of a definition's comments (`leading`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from textwrap import dedent
from typing import Final

_OPEN: Final = re.compile(r"^(?:/\*+!?|\{-+[ \t]*[|^]?|--\[(=*)\[|=begin\b[^\n]*)")
_CLOSE: Final = re.compile(r"(?:\*+/|-+\}|--\]\]|\](=*)\]|^=end\b[^\n]*)\s*$", re.MULTILINE)
_BLOCK_LINE: Final = re.compile(r"^[ \t]*\*(?!/)[ \t]?", re.MULTILINE)
_LINE_MARK: Final = re.compile(r"^[ \t]*(?://[/!]*<?|#+['!|]?|--+[ \t]?[|^]?|;+|%+)[ \t]?", re.MULTILINE)
_RULE: Final = re.compile(r"(?:^[ \t]*[-=*#/~+_]{4,}[ \t]*\n?)|(?:[ \t]*[-=*#/~]{4,}[ \t]*$)", re.MULTILINE)
_XML_TAG: Final = re.compile(
    r"</?(?:summary|remarks|para|returns|value|example|code|c|param|typeparam|exception|inheritdoc)\b[^>]*>"
)
_PYTHON_STRING: Final = re.compile(r"^(?:[rRuUbBfF]*(?=[\"']))?")
QUOTES: Final = ('"""', "'''", '"', "'")


def without_markers(comment: str) -> str:
    """The text of one comment."""
    opening = _OPEN.match(comment)
    if opening:
        body = _CLOSE.sub("", comment[opening.end() :])
        return dedent(_BLOCK_LINE.sub("", body)).strip("\n")
    return _LINE_MARK.sub("", comment).rstrip()


def clean_comments(comments: Sequence[str], text_of: Callable[[str], str] = without_markers) -> str | None:
    """The text of neighbouring comments without markers and common indentation; `None` when nothing is left.

    `text_of` removes the markers of one comment.
    """
    return clean_texts([text_of(comment) for comment in comments])


def clean_texts(texts: Sequence[str]) -> str | None:
    """The text of neighbouring comments whose markers are removed, without common indentation; `None` when nothing is left."""
    text = _RULE.sub("", dedent("\n".join(texts))).strip()
    if text.startswith("<") or "\n<" in text:
        text = _XML_TAG.sub("", text).strip()
    return text or None


def clean_string(*literals: str) -> str | None:
    """The text of a documentation string, without prefix, quotes and common indentation.

    Several literals are one string. Python takes neither bytes nor formatted strings for documentation.
    """
    text = ""
    for literal in literals:
        body = literal.removeprefix("~S").removeprefix("~s")
        prefix = _PYTHON_STRING.match(body)[0]  # type: ignore[index]  # matches anything
        if not set(prefix.lower()).isdisjoint("bf"):
            return None
        body = body[len(prefix) :]
        for quote in QUOTES:
            if body.startswith(quote) and len(body) >= 2 * len(quote):
                body = body[len(quote) :].removesuffix(quote)
                break
        text += body
    first, _, rest = text.partition("\n")
    return f"{first.strip()}\n{dedent(rest)}".strip() or None
