"""CSS by rule, with the additions of SCSS and Less.

Belongs here: rules and at-rules with their blocks.
Does not belong here: declarations, selectors' meaning, the indented Sass syntax.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.spans import MAX_DEPTH, finish, label, line_rest, line_start
from code_index.core.model import ChunkType

_COMMON: Final = (
    rb"/\*(?s:.*?)(?:\*/|\Z)|\"(?:[^\"\\\n]+|\\(?s:.))*+\"?|'(?:[^'\\\n]+|\\(?s:.))*+'?"
    rb"|[uU][rR][lL]\([ \t]*[^\s\"')][^)\n]*\)?|[\#@]\{[^{}\n]*\}|[{};]"
)
_TOKEN: Final = re.compile(_COMMON)
_TOKEN_WITH_LINE_COMMENTS: Final = re.compile(rb"//[^\n]*|" + _COMMON)
_MAX_OPEN: Final = 4 * MAX_DEPTH
"""Maximum of open rules; deeper ones are part of their parent's text."""
_SPACE: Final = re.compile(rb"\s*")
_BLANK_LINE: Final = re.compile(rb"[ \t]*\r?\n[ \t]*\r?\n")
_COMMENT: Final = re.compile(rb"/\*(?s:.*?)\*/|(?<!:)//[^\n]*")


def extract_css(source: bytes, *, line_comments: bool = False) -> Extraction:
    """Rules named by selector or at-rule, nested; a rule starts with the comment directly above it.

    `line_comments`: read `//` comments, as in SCSS and Less.
    """
    root = Block(start=0, end=len(source), chunk_type=ChunkType.RULE)
    stack = [root]
    points: list[int] = []
    statement = 0  # earliest start of the present declaration or rule, white space included
    skipped = 0  # blocks that are open beyond the deepest one that counts
    pattern = _TOKEN_WITH_LINE_COMMENTS if line_comments else _TOKEN
    for match in pattern.finditer(source):
        token = match[0]
        if skipped or (token == b"{" and len(stack) > _MAX_OPEN):
            skipped += (token == b"{") - (token == b"}")
        elif token == b"{":
            found = _SPACE.match(source, statement, match.start())
            start = line_start(source, found.end() if found else statement)
            name = label(_COMMENT.sub(b" ", source[start : match.start()]))
            rule = Block(start=start, end=start, chunk_type=ChunkType.RULE, name=name)
            points.append(start)
            stack[-1].children.append(rule)
            stack.append(rule)
            statement = match.end()
        elif token == b"}":
            statement = line_rest(source, match.end())
            if len(stack) > 1:
                stack.pop().end = statement
        elif token == b";":
            statement = match.end()
        elif token[:2] in {b"/*", b"//"} and _stands_apart(source, statement, match):
            points.append(line_start(source, match.start()))
            statement = match.end()
    for rule in stack:
        rule.end = len(source)
    return finish(root.children, points, remainder_type=ChunkType.RULE)


def _stands_apart(source: bytes, statement: int, comment: re.Match[bytes]) -> bool:
    """Tell whether a blank line separates the comment from the rule below: it then describes the file or a group."""
    before = _SPACE.match(source, statement, comment.start())
    return (
        before is not None and before.end() == comment.start() and _BLANK_LINE.match(source, comment.end()) is not None
    )


FORMAT: Final = FormatSpec(name="css", title="CSS", extensions="css", extract=extract_css)
