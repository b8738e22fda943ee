"""Documentation comments as plain text.

Belongs here: taking off the markers of every supported language's comments.
Does not belong here: which comments belong to a definition (`definitions`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
_PYTHON_STRING: Final = re.compile(r"^[rRuUbBfF]*")
_ATTRIBUTE: Final = re.compile(r"@(?:type|module)?doc\s*\(?\s*(?:~[sS])?")
_QUOTES: Final = ('"""', "'''", '"', "'")


def clean_comments(comments: Sequence[str]) -> str | None:
    """The text of neighbouring comments without markers and common indentation; `None` when nothing is left."""
    lines = [_clean_comment(comment) for comment in comments]
    text = _RULE.sub("", dedent("\n".join(lines))).strip()
    if text.startswith("<") or "\n<" in text:
        text = _XML_TAG.sub("", text).strip()
    return text or None


def clean_string(literal: str) -> str | None:
    """The text of a documentation string as the source spells it: prefix, quotes, common indentation gone."""
    literal = literal.removeprefix("~S").removeprefix("~s")
    body = literal[_PYTHON_STRING.match(literal).end() :]  # type: ignore[union-attr]  # matches anything
    for quote in _QUOTES:
        if body.startswith(quote) and len(body) >= 2 * len(quote):
            body = body[len(quote) :].removesuffix(quote)
            break
    first, _, rest = body.partition("\n")
    return f"{first.strip()}\n{dedent(rest)}".strip() or None


def _clean_comment(comment: str) -> str:
    attribute = _ATTRIBUTE.match(comment)
    if attribute:
        value = comment[attribute.end() :]
        return (clean_string(value) or "") if value.startswith(_QUOTES) else ""
    opening = _OPEN.match(comment)
    if opening:
        body = _CLOSE.sub("", comment[opening.end() :])
        return dedent(_BLOCK_LINE.sub("", body)).strip("\n")
    return _LINE_MARK.sub("", comment).rstrip()
