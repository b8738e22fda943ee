"""SQL by statement.

Belongs here: ends of statements in the common dialects, and the object of each statement.
Does not belong here: the grammar inside statements.

A tokenizer was chosen over a grammar: dumps and migrations mix dialects, procedural bodies, client commands
and templates, which become error nodes that swallow the statements after them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.format_spec import FormatSpec
from code_index.chunking.formats.text import paragraph_starts
from code_index.chunking.spans import finish, label, line_rest, line_start
from code_index.core.model import ChunkType

_STANDARD_STRING: Final = rb"[eE]'(?:[^'\\]+|\\(?s:.)|'')*+'?|'[^']*'?"
_BACKSLASH_STRING: Final = rb"'(?:[^'\\]+|\\(?s:.)|'')*+'?"
_REST: Final = (
    rb"|--[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)|\"[^\"]*\"?|`[^`\n]*`?"
    rb"|^[ \t]*DELIMITER[ \t]+(?P<delimiter>\S+)[^\n]*|(?P<batch>^[ \t]*(?:GO|/)[ \t\r]*$)"
    rb"|\)\s*+,\s*+(?P<row>\()|(?P<end>;+|//|\|{1,2}|@@|!!|&&)"
    rb"|\b(?:(?P<closes>END(?:[ \t]+CASE)?)\b(?![ \t]+(?:IF|LOOP|WHILE|REPEAT|FOR)\b)"
    rb"|(?P<opens>BEGIN(?![ \t]+(?:TRAN|TRANSACTION|WORK)\b)|CASE)\b)"
)
_FLAGS: Final = re.IGNORECASE | re.MULTILINE
_TOKEN: Final = re.compile(_STANDARD_STRING + _REST, _FLAGS)
_BACKSLASH_TOKEN: Final = re.compile(_BACKSLASH_STRING + _REST, _FLAGS)

_IDENTIFIER: Final = rb"(?:\"[^\"\n]+\"|`[^`\n]+`|\[[^\]\n]+\]|[\w$#@\-{}]+)"
_LEADING: Final = re.compile(rb"(?:\s+|--[^\n]*|/\*(?s:.*?)\*/)*+")
_OBJECT: Final = re.compile(
    rb"(?:(?P<verb>CREATE|ALTER|DROP|REPLACE)\b(?:\s+OR\s+(?:REPLACE|ALTER))?(?:\s+(?!(?:TABLE|VIEW)\b)[\w=@`'%.]+){0,5}?\s+"
    rb"(?P<kind>TABLE|VIEW|FUNCTION|PROCEDURE|PROC|TRIGGER|INDEX|TYPE|SCHEMA|DATABASE|SEQUENCE|DOMAIN|EXTENSION|AGGREGATE"
    rb"|OPERATOR|POLICY|ROLE|USER|EVENT|PACKAGE(?:\s+BODY)?|RULE|MACRO|STREAM|SERVER|TABLESPACE|SYNONYM|ENUM)\b"
    rb"(?:\s+CONCURRENTLY)?(?:\s+IF\s+(?:NOT\s+)?EXISTS)?(?:\s+ONLY)?"
    rb"|INSERT\s+(?:OR\s+\w+\s+|IGNORE\s+|OVERWRITE\s+)*(?:INTO\s+)?(?:TABLE\s+)?|MERGE\s+INTO|COPY|UPDATE|DELETE\s+FROM)"
    rb"\s*(?P<name>" + _IDENTIFIER + rb"(?:\s*\.\s*" + _IDENTIFIER + rb")*)",
    re.IGNORECASE,
)
_PACKAGE: Final = re.compile(rb"CREATE\b[^;(]{0,200}?\bPACKAGE\b", re.IGNORECASE)
_MEMBER: Final = re.compile(rb"^[ \t]*(?P<kind>PROCEDURE|FUNCTION)\s++(?P<name>\"[^\"\n]+\"|[\w$#]+)", _FLAGS)
_MEMBER_END: Final = re.compile(rb"\bEND\s++\"?(?P<name>[\w$#]+)\"?\s*+;", re.IGNORECASE)
_MEMBER_BODY: Final = re.compile(
    rb"(?:'[^']*+'|\((?:[^()]|\([^()]*+\))*+\)|(?!\b(?:IS|AS)\b)[^;'(]){0,4000}+(?:;|\b(?P<opens>IS|AS)\b)",
    re.IGNORECASE,
)
_ROUTINE: Final = re.compile(
    rb"(?:CREATE|ALTER)\b[^;(]{0,200}?\b(?:FUNCTION|PROCEDURE|PROC|TRIGGER|PACKAGE|EVENT|TYPE\s+BODY)\b", re.IGNORECASE
)
_BARE_BLOCK: Final = re.compile(
    rb"BEGIN\b(?!\s*(?:;|TRAN|WORK|ISOLATION|READ|NOT|DEFERR|IMMEDIATE|EXCLUSIVE|CONCURRENT))", re.IGNORECASE
)
_BATCH_LINE: Final = re.compile(rb"^[ \t]*(?:GO|/)[ \t\r]*$", _FLAGS)
_NEW_ROUTINE: Final = re.compile(
    rb"^CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE|PROC|TRIGGER|PACKAGE|VIEW)\b", _FLAGS
)
_LINE_TAIL: Final = re.compile(rb"[ \t]*--[^\n]*\n?")
_BLANK_LINE: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_SPACE: Final = re.compile(rb"\s*")
_QUOTING: Final = re.compile(rb"[\"`\[\]\s]")
_COPY_DATA: Final = re.compile(rb"COPY\b[^;]{0,4000}?\bFROM\s+stdin\b[^;]{0,500};[ \t]*\r?\n", re.IGNORECASE)
_COPY_END: Final = re.compile(rb"^\\\.\r?(?:\n|\Z)", re.MULTILINE)
_MAX_UNCLOSED_DOLLARS: Final = 50


def extract_sql(source: bytes) -> Extraction:
    """Statements about a named object (created, altered, filled); all statements and rows are break points."""
    reader = _Reader(source)
    reader.read()
    found = finish(reader.blocks, reader.points, remainder_type=ChunkType.STATEMENT)
    for block in found.blocks:
        if _PACKAGE.match(source, _after_comments(source, block.start)):
            block.children = _members(source, block)
    return found


def _after_comments(source: bytes, start: int) -> int:
    found = _LEADING.match(source, start)
    return found.end() if found else start


def _members(source: bytes, package: Block) -> list[Block]:
    """The procedures and functions of a PL/SQL package; those inside another one are part of it."""
    closers: dict[bytes, list[int]] = {}  # by name in lower case: where it is closed
    for close in _MEMBER_END.finditer(source, package.start, package.end):
        closers.setdefault(close["name"].lower(), []).append(close.end())
    found: list[Block] = []
    position = package.start
    while (match := _MEMBER.search(source, position, package.end)) is not None:
        name = match["name"].strip(b'"')
        body = _MEMBER_BODY.match(source, match.end(), package.end)
        position = body.end() if body else match.end()
        if body and body["opens"]:
            ends = closers.get(name.lower(), [])
            index = bisect_right(ends, position)
            following = _MEMBER.search(source, position, package.end) if index == len(ends) else None
            position = ends[index] if index < len(ends) else following.start() if following else package.end
        start = line_start(source, match.start("kind"))
        found.append(Block(start, line_rest(source, position), ChunkType.STATEMENT, name=label(name)))
    return found


class _Reader:
    """One pass over the tokens; `start` is the start of the statement being read, white space included."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.blocks: list[Block] = []
        self.points: list[int] = []
        self.start = 0
        self.keyword = -1
        self.depth = 0  # of BEGIN and CASE
        self.delimiter = b";"
        self.has_batches = _BATCH_LINE.search(source) is not None
        self.unclosed_dollars = 0
        self.copies_end = True

    def read(self) -> None:
        # MySQL quotes names with backticks and escapes with backslashes; others do neither.
        pattern = _BACKSLASH_TOKEN if b"`" in self.source else _TOKEN
        position = 0
        while (match := pattern.search(self.source, position)) is not None:
            position = self._take(match)
        self._end_statement(len(self.source))

    def _take(self, match: re.Match[bytes]) -> int:
        """Process one token; return the offset after it."""
        if match["end"] or (match["dollar"] and match["dollar"] == self.delimiter):
            return self._at_delimiter(match)
        if match["dollar"]:
            return self._after_dollar_quote(match)
        if match["opens"]:
            self.depth += 1
        elif match["closes"]:
            self.depth = max(self.depth - 1, 0)
        elif match["row"]:
            self.points.append(match.start("row"))
        elif match["delimiter"] or match["batch"]:
            self._end_statement(match.start())
            self.start = line_rest(self.source, match.end())
            self.delimiter = match["delimiter"] or self.delimiter
        return match.end()

    def _at_delimiter(self, match: re.Match[bytes]) -> int:
        token, end = match[0], match.end()
        if token[:1] == b";" and self.delimiter[:1] == b";":
            if self._is_open(end):
                self.points.append(line_rest(self.source, end))
                return end
        elif token != self.delimiter:
            if token[:1] == b";":
                self.points.append(line_rest(self.source, end))
            return end
        tail = _LINE_TAIL.match(self.source, end)
        return self._end_statement(tail.end() if tail else line_rest(self.source, end))

    def _is_open(self, end: int) -> bool:
        """Tell whether the semicolon before `end` is inside a body that goes on."""
        if not self.depth and not self.has_batches:
            return False
        following = line_rest(self.source, end)
        if following > end and _NEW_ROUTINE.match(self.source, following):
            return False
        keyword = self._keyword()
        if _ROUTINE.match(self.source, keyword):
            return True
        return self.depth > 0 and _BARE_BLOCK.match(self.source, keyword) is not None

    def _after_dollar_quote(self, match: re.Match[bytes]) -> int:
        # Each failed search reads the rest of the file, so they are counted.
        if self.unclosed_dollars < _MAX_UNCLOSED_DOLLARS:
            close = self.source.find(match["dollar"], match.end())
            if close >= 0:
                self.points += paragraph_starts(self.source, match.end(), close)
                return close + len(match["dollar"])
            self.unclosed_dollars += 1
        return match.end()

    def _keyword(self) -> int:
        """Offset of the statement's first word; found once per statement."""
        if self.keyword < self.start:
            found = _LEADING.match(self.source, self.start)
            self.keyword = found.end() if found else self.start
        return self.keyword

    def _end_statement(self, end: int) -> int:
        """Record the statement up to `end`, with the data after `COPY ... FROM stdin`; return its end."""
        source, keyword = self.source, self._keyword()
        if keyword < end:
            end = self._after_copied_rows(keyword, end)
            start = self._first_line(keyword)
            self.points.append(start)
            found = _OBJECT.match(source, keyword, end)
            if found is not None:
                name = label(_QUOTING.sub(b"", found["name"]))
                self.blocks.append(Block(start=start, end=end, chunk_type=ChunkType.STATEMENT, name=name))
        self.start, self.depth = end, 0
        return end

    def _after_copied_rows(self, keyword: int, end: int) -> int:
        """Offset after the rows that follow `COPY ... FROM stdin;`, else `end`."""
        if self.copies_end and _COPY_DATA.match(self.source, keyword):
            rows_end = _COPY_END.search(self.source, end)
            if rows_end is not None:
                return rows_end.end()
            self.copies_end = False  # no later search can find one either
        return end

    def _first_line(self, keyword: int) -> int:
        """Start of the statement, or of the comment directly above it without a blank line between."""
        start = self.start
        for blank in _BLANK_LINE.finditer(self.source, start, keyword):
            start = blank.end()
        found = _SPACE.match(self.source, start, keyword)
        return line_start(self.source, found.end()) if found and found.end() > start else start


FORMAT: Final = FormatSpec(
    name="sql", title="SQL", extensions="sql ddl dml pgsql psql plsql pks pkb mysql hql tsql", extract=extract_sql
)
