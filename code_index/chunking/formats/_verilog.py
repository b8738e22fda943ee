"""Verilog and SystemVerilog by keywords.

Belongs here: definitions, their signatures and documentation, and control flow. Does not belong here: expressions.

A scanner was chosen over the grammar, which is older than most SystemVerilog that people write: in 300 files of three
projects it gave up 40 of 100 lines (calls of methods, assignment patterns, macros), whole files among them. Keywords say
where each definition begins and ends, and macros cannot mislead a scanner that does not parse them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.comments import clean_texts, without_markers
from code_index.chunking.complexity import Construct, Span, measure
from code_index.chunking.documentation import documenting
from code_index.chunking.spans import MAX_DEPTH
from code_index.core.model import ChunkType, Parameter

_TOKEN: Final = re.compile(
    rb"(?P<comment>//[^\n]*+|/\*(?s:.*?)(?:\*/|\Z))|\"(?:[^\"\\\n]|\\(?s:.))*+\"?|\\\S+"
    rb"|`(?:define|undef)\b(?:[^\n\\]|\\(?s:.))*+|(?P<directive>`(?:ifn?def|elsif|else|endif)\b)|(?P<include>`include\b[^\n]*+)"
    rb"|`\w+|[0-9]*'[sS]?[bBoOdDhH][ \t]*[\w?]+|[0-9][\w.]*|\$\w+|(?P<word>[A-Za-z_]\w*)"
    rb"|(?P<logical>&&|\|\|)|::|(?P<sign>[;(){}?:,])"
)
_BLANKS: Final = rb"(?:\s++|//[^\n]*+|/\*(?s:.*?)\*/)*+"
_NEXT_ELSE: Final = re.compile(_BLANKS + rb"else\b")
_NEXT_WHILE: Final = re.compile(_BLANKS + rb"while\b")
_LABEL: Final = re.compile(rb"\s*+:\s*+(?!:)(\w++)")
_NAME: Final = re.compile(rb"\s*+(?:(?:automatic|static)\s++)?(\\\S+|\w++)")
_ROUTINE: Final = re.compile(
    rb"\s*+(?:(?:automatic|static)\s++)?(?P<type>(?:[^;(#]|#\s*+\([^()]*\)){0,300}?)(?<![\w$:])(?P<owner>\w++(?:\s*+#\s*+\([^()]*\))?\s*+::\s*+)?"
    rb"(?P<name>\w++|\\\S++)\s*+(?P<next>[(;])"
)
_DEFINED_TYPE: Final = re.compile(rb"(\w+)\s*(?:\[[^\]]*\]\s*)*$")
_COMMENT: Final = re.compile(rb"//[^\n]*|/\*(?s:.*?)\*/")
_COMMENT_IN_TEXT: Final = re.compile(r"//[^\n]*|/\*(?s:.*?)\*/")
_FORWARD: Final = re.compile(rb"typedef\s+(?:class|interface\s+class|enum|struct|union)?\s*\w+$")
_DIMENSIONS: Final = re.compile(r"\s*\[[^\]]*\]\s*$")
_DIRECTION: Final = re.compile(r"^(?:const\s+)?(?:(?:input|output|inout|ref)\b\s*)?(?:var\b\s*)?")

_CLOSED_BY: Final = {
    b"module": b"endmodule",
    b"macromodule": b"endmodule",
    b"interface": b"endinterface",
    b"program": b"endprogram",
    b"package": b"endpackage",
    b"class": b"endclass",
    b"checker": b"endchecker",
    b"primitive": b"endprimitive",
    b"config": b"endconfig",
    b"covergroup": b"endgroup",
    b"clocking": b"endclocking",
    b"function": b"endfunction",
    b"task": b"endtask",
    b"property": b"endproperty",
    b"sequence": b"endsequence",
}
_CLOSERS: Final = frozenset(_CLOSED_BY.values())
_ROUTINES: Final = frozenset({b"function", b"task"})
_CALLABLES: Final = _ROUTINES | {b"property", b"sequence"}
_NAMELESS: Final = frozenset({b"clocking"})
_QUALIFIERS: Final = frozenset(
    b"extern pure virtual static automatic local protected import export typedef forkjoin context".split()
)
_NO_BODY: Final = frozenset(b"extern pure import export".split())
_NO_OPENER: Final = {
    b"function": frozenset({b"with"}),
    b"interface": frozenset({b"virtual", b"typedef"}),
    b"class": frozenset({b"typedef"}),
    b"property": frozenset(b"assert assume cover restrict expect".split()),
    b"sequence": frozenset({b"cover"}),
    b"clocking": frozenset({b"default", b"global"}),
}
_LOOPS: Final = frozenset(b"for while repeat forever foreach do".split())
_CASES: Final = frozenset(b"case casex casez randcase".split())
_PROCESSES: Final = frozenset(b"always always_ff always_comb always_latch initial final".split())
_JOINS: Final = frozenset(b"join join_any join_none".split())
_MAX_HEADER: Final = 20_000
_MAX_OPEN: Final = 500
_MAX_INDENTATION: Final = 200


@dataclass(slots=True)
class _Open:
    """Something that is open: a definition, a block, a case, or a statement that waits for the one it controls."""

    kind: bytes
    start: int
    keyword_end: int = 0
    name: str = ""
    comments: list[str] = field(default_factory=list)
    doc_start: int = -1
    children: list[Block] = field(default_factory=list)
    role: Construct = Construct.BRANCH
    in_else: bool = False
    is_labelled: bool = False


def extract_verilog(source: bytes) -> Extraction:
    """The definitions of a file, nested as they are in the source."""
    return _Scanner(source).extraction()


class _Scanner:
    """One pass over the tokens of a file."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.root = _Open(b"", 0)
        self.stack = [self.root]
        self.conditionals: list[int] = []  # depths of the stack at each open `ifdef`
        self.constructs: list[tuple[int, int, Construct]] = []
        self.measured: dict[Span, Block] = {}
        self.imports: list[tuple[int, str]] = []
        self.comments: list[tuple[int, int]] = []
        self.lead: list[tuple[int, int]] = []  # comments directly before the token and its qualifiers
        self.run: list[tuple[bytes, int]] = []  # qualifiers directly before the token
        self.declared: tuple[int, list[str]] = (-1, [])  # documentation of the declaration that is being read
        self.previous = b""
        self.parens = self.braces = 0
        self.prototype: tuple[int, int] | None = None
        self.typedef = self.imported = -1
        self.logical: tuple[bytes, int] | None = None

    def extraction(self) -> Extraction:
        """The definitions found."""
        position = 0
        while (match := _TOKEN.search(self.source, position)) is not None:
            position = match.end()
            if match["comment"]:
                self._comment(*match.span())
            else:
                if not self.run:
                    self.lead = self.comments
                position = self._token(match)
                if match["word"] not in _QUALIFIERS:
                    self.run = []
                self.previous = match["word"] or b""
                self.comments = []
        while len(self.stack) > 1:
            self._close(len(self.source))
        figures = measure(self.constructs)
        for span, block in self.measured.items():
            figure = figures[span]
            block.cyclomatic_complexity = figure.cyclomatic
            block.cognitive_complexity = figure.cognitive
            block.max_nesting_depth = figure.max_nesting_depth
        self.imports.sort()
        return Extraction(
            blocks=self.root.children,
            imports=tuple(text for _, text in self.imports),
            import_offsets=tuple(offset for offset, _ in self.imports),
        )

    def _token(self, match: re.Match[bytes]) -> int:
        """Read one token; return where the scan continues."""
        if match["word"]:
            return self._word(match["word"], *match.span())
        if match["directive"]:
            self._directive(match["directive"])
        elif match["include"]:
            self.imports.append((match.start(), match[0].decode("utf-8", "replace").strip()))
        elif match["logical"]:
            self._logical(match["logical"], *match.span())
        elif match["sign"]:
            self._sign(match["sign"], match.start())
        return match.end()

    def _comment(self, start: int, end: int) -> None:
        """Add a comment to those directly above what follows, if it begins its line."""
        before = self.source[max(start - _MAX_INDENTATION, 0) : start].rpartition(b"\n")
        if before[2].strip() or not (before[1] or start < _MAX_INDENTATION):
            return
        if self.comments and self.source.count(b"\n", self.comments[-1][1], start) > 1:
            self.comments = []
        self.comments.append((start, end))

    def _directive(self, directive: bytes) -> None:
        """Of the branches of a conditional the last one that opens a definition counts."""
        if directive.startswith(b"`if"):
            self.conditionals.append(len(self.stack))
        elif self.conditionals:
            if directive != b"`endif":
                while len(self.stack) > self.conditionals[-1]:
                    dropped = self.stack.pop()
                    self.stack[-1].children += dropped.children
            else:
                self.conditionals.pop()

    def _logical(self, operator: bytes, start: int, end: int) -> None:
        first = self.logical[1] if self.logical and self.logical[0] == operator else start
        self.logical = (operator, first)
        self.constructs.append((first, end, Construct.AND if operator == b"&&" else Construct.OR))

    def _sign(self, sign: bytes, start: int) -> None:
        top = self.stack[-1]
        if sign == b"?" and not self.braces:
            self.constructs.append((start, start + 1, Construct.BRANCH))
        elif sign == b":":
            if top.kind in _CASES and not (top.is_labelled or self.parens or self.braces):
                top.is_labelled = True
                if self.previous != b"default":
                    self.constructs.append((start, start + 1, Construct.PATH))
            return
        self.logical = None
        self.parens = max(self.parens + (sign == b"(") - (sign == b")"), 0)
        self.braces = max(self.braces + (sign == b"{") - (sign == b"}"), 0)
        if sign == b";" and not self.parens and not self.braces:
            self._semicolon(start + 1)

    def _semicolon(self, end: int) -> None:
        if self.prototype is not None:
            start, keyword_end = self.prototype
            self._declare(self._routine(start, keyword_end, end))
        elif self.typedef >= 0:
            text = _COMMENT.sub(b"", self.source[max(self.typedef, end - _MAX_HEADER) : end - 1]).rstrip()
            name = _DEFINED_TYPE.search(text)
            if name is not None and not _FORWARD.fullmatch(text):
                self._declare(Block(self.typedef, end, ChunkType.CLASS, name[1].decode()))
        elif self.imported >= 0:
            text = self.source[self.imported : end]
            self.imports.append((self.imported, " ".join(text[:_MAX_HEADER].decode("utf-8", "replace").split())))
        self.prototype, self.typedef, self.imported = None, -1, -1
        self._completed(end)

    def _completed(self, end: int) -> None:
        """Close the statements that a complete statement completes."""
        while True:
            top = self.stack[-1]
            if top.kind in _CASES:
                top.is_labelled = False
            if top.kind == b"if" and not top.in_else and (other := _NEXT_ELSE.match(self.source, end)):
                top.in_else = True
                self.constructs.append((other.end() - 4, other.end(), Construct.ELSE))
                return
            if top.kind == b"do" and not top.in_else and _NEXT_WHILE.match(self.source, end):
                top.in_else = True
                return
            if top.kind != b"if" and top.kind not in _LOOPS and top.kind not in _PROCESSES:
                return
            self.stack.pop()
            if top.kind in _PROCESSES:
                if top.name:
                    self._finish(top, end, ChunkType.FUNCTION, Construct.FUNCTION)
                else:
                    self.stack[-1].children += top.children
            else:
                self.constructs.append((top.start, end, top.role))
                self.stack[-1].children += top.children

    def _word(self, word: bytes, start: int, end: int) -> int:
        """Read a word; return where the scan continues."""
        if word in _QUALIFIERS:
            self.run.append((word, start))
            if word == b"typedef":
                self.typedef = self.run[0][1]
                self.declared = self._documentation(self.typedef)
            elif word in (b"import", b"export") and not self.parens:
                self.imported = start
                self.declared = self._documentation(start)
        elif word in _CLOSED_BY:
            self._opener(word, start, end)
        elif word in _CLOSERS:
            end = self._closer(word, end)
        elif not self.braces and len(self.stack) < _MAX_OPEN:
            return self._control(word, start, end)
        return end

    def _opener(self, word: bytes, start: int, end: int) -> None:
        qualifiers = {qualifier for qualifier, _ in self.run} | {self.previous}
        if self.parens or self.braces or self.prototype or not _NO_OPENER.get(word, frozenset()).isdisjoint(qualifiers):
            if word in _ROUTINES or not self.parens:
                return
            if word not in {b"module", b"package", b"class"}:
                return
        first = self.run[0][1] if self.run else start
        is_declared = not _NO_BODY.isdisjoint(qualifiers) or (word in _ROUTINES and self.imported >= 0)
        if is_declared:
            if word in _ROUTINES:
                if self.imported < 0:
                    self.declared = self._documentation(first)
                self.prototype = (first if self.imported < 0 else self.imported, end)
                self.imported = -1
            return
        if word == b"class" and self.previous == b"interface" and self.stack[-1].kind == b"interface":
            first = self.stack.pop().start
        name = _NAME.match(self.source, end)
        opened = _Open(word, first, end, name[1].decode("utf-8", "replace") if name else "")
        opened.doc_start, opened.comments = self._documentation(first)
        self.parens = self.braces = 0
        if len(self.stack) < _MAX_OPEN:
            self.stack.append(opened)

    def _closer(self, word: bytes, end: int) -> int:
        """Close the innermost definition that ends with the word."""
        depth = next((at for at in range(len(self.stack) - 1, 0, -1) if _CLOSED_BY.get(self.stack[at].kind) == word), 0)
        label = _LABEL.match(self.source, end)
        end = label.end() if label else end
        if depth:
            while len(self.stack) > depth:
                self._close(end)
        self.parens = self.braces = 0
        self.prototype, self.typedef, self.imported = None, -1, -1
        return end

    def _control(self, word: bytes, start: int, end: int) -> int:
        """Read a word of control flow."""
        top = self.stack[-1]
        if word == b"if":
            is_else_if = top.kind == b"if" and top.in_else and self.previous == b"else"
            self.stack.append(_Open(word, start, role=Construct.ELSE_IF if is_else_if else Construct.BRANCH))
        elif word in _LOOPS:
            if not (word == b"while" and top.kind == b"do" and top.in_else):
                self.stack.append(_Open(word, start))
        elif word in _CASES:
            self.stack.append(_Open(word, start, role=Construct.SWITCH))
        elif word in _PROCESSES:
            opened = _Open(word, start)
            opened.doc_start, opened.comments = self._documentation(start)
            self.stack.append(opened)
        elif word == b"begin" or (word == b"fork" and self.previous not in {b"disable", b"wait"}):
            label = _LABEL.match(self.source, end)
            name = label[1].decode() if label else ""
            if top.kind in _PROCESSES:
                top.name = top.name or name
            self.stack.append(_Open(word, start, name=name))
            return label.end() if label else end
        elif word == b"end" or word in _JOINS or word == b"endcase":
            return self._end(word, end)
        return end

    def _end(self, word: bytes, end: int) -> int:
        """Close a block or a case, and the statement that it is."""
        kinds = {b"begin"} if word == b"end" else _CASES if word == b"endcase" else {b"fork"}
        label = _LABEL.match(self.source, end) if word != b"endcase" else None
        end = label.end() if label else end
        at = len(self.stack) - 1
        while at > 0 and self.stack[at].kind not in kinds and self.stack[at].kind not in _CLOSED_BY:
            at -= 1
        if self.stack[at].kind not in kinds:
            return end
        while len(self.stack) > at + 1:
            self._close(end)
        block = self.stack.pop()
        if block.kind in _CASES:
            self.constructs.append((block.start, end, Construct.SWITCH))
        depth = sum(around.kind in _CLOSED_BY or around.name != "" for around in self.stack)
        is_generated = block.name and block.children and self.stack[-1].kind not in _PROCESSES and depth < MAX_DEPTH - 1
        if is_generated:
            self.stack[-1].children.append(
                Block(block.start, end, ChunkType.MODULE, block.name, children=block.children)
            )
        else:
            self.stack[-1].children += block.children
        self.parens = 0
        self._completed(end)
        return end

    def _close(self, end: int) -> None:
        """Close what is open innermost; only definitions become blocks."""
        opened = self.stack.pop()
        if opened.kind in _CALLABLES:
            self._finish(opened, end, ChunkType.FUNCTION, Construct.FUNCTION)
        elif opened.kind in _CLOSED_BY and opened.kind not in _NAMELESS:
            self._finish(opened, end, ChunkType.CLASS, Construct.CLASS)
        else:
            self.stack[-1].children += opened.children

    def _finish(self, opened: _Open, end: int, chunk_type: ChunkType, construct: Construct) -> None:
        """Make a block of a definition and give it to the one around it."""
        if opened.kind in _ROUTINES:
            block = self._routine(opened.start, opened.keyword_end, end)
        else:
            block = Block(opened.start, end, chunk_type, opened.name)
        if sum(around.kind in _CLOSED_BY or around.name != "" for around in self.stack) >= MAX_DEPTH - 1:
            self.stack[-1].children += opened.children
            return
        block.children = opened.children if construct is Construct.CLASS else []
        own = (block.start, end)
        self._document(block, opened.doc_start, opened.comments)
        self.constructs.append((*own, construct))
        self.measured[own] = block
        self._place(block)

    def _declare(self, block: Block) -> None:
        """Give a declaration to the definition around it."""
        self._document(block, *self.declared)
        self._place(block)

    def _document(self, block: Block, start: int, comments: list[str]) -> None:
        """Let the block begin with the comments above it, if there are any."""
        if start >= 0:
            block.start = start
            block.docstring = clean_texts(documenting(comments, without_markers))

    def _place(self, block: Block) -> None:
        around = [opened for opened in self.stack if opened.kind in _CLOSED_BY]
        if block.chunk_type is ChunkType.FUNCTION and around and around[-1].kind not in _CALLABLES | _NAMELESS:
            block.chunk_type = ChunkType.METHOD
        self.stack[-1].children.append(block)

    def _documentation(self, start: int) -> tuple[int, list[str]]:
        """Start and texts of the comments directly above an offset; -1 and none where there are none."""
        if not self.lead or self.source.count(b"\n", self.lead[-1][1], start) > 1:
            return -1, []
        texts = [self.source[first:last].decode("utf-8", "replace") for first, last in self.lead]
        return self.lead[0][0], texts

    def _routine(self, start: int, keyword_end: int, end: int) -> Block:
        """A function or task with its signature; one of a class that stands outside of it is its method."""
        header = _ROUTINE.match(self.source, keyword_end, min(end, keyword_end + _MAX_HEADER))
        if header is None:
            return Block(start, end, ChunkType.FUNCTION)
        name = header["name"].decode("utf-8", "replace")
        block = Block(start, end, ChunkType.FUNCTION, name)
        if header["owner"]:
            owner = header["owner"].decode("utf-8", "replace").partition("::")[0].partition("#")[0].strip()
            block.name, block.chunk_type = f"{owner}.{name}", ChunkType.METHOD
        block.return_type = " ".join(header["type"].decode("utf-8", "replace").split()) or None
        if header["next"] == b"(":
            text = self.source[header.end() : min(end, header.end() + _MAX_HEADER)].decode("utf-8", "replace")
            block.parameters = _parameters(text)
        return block


def _parameters(text: str) -> tuple[Parameter, ...]:
    """The parameters of a text that begins after the parenthesis; one without a type has that of the one before."""
    found: list[Parameter] = []
    kind: str | None = None
    for item in _items(text):
        declared, _, default = item.partition("=")
        declared = _DIRECTION.sub("", " ".join(declared.split()))
        while _DIMENSIONS.search(declared):
            declared = _DIMENSIONS.sub("", declared)
        before, _, name = declared.rpartition(" ")
        kind = before.strip() or kind
        if name:
            found.append(Parameter(name, kind, default.strip() or None))
    return tuple(found)


def _items(text: str) -> list[str]:
    """The parts between the commas up to the closing parenthesis, without comments."""
    items, depth, start = [], 0, 0
    text = _COMMENT_IN_TEXT.sub("", text)
    for position, sign in enumerate(text):
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        if depth < 0 or (sign == "," and depth == 0):
            items.append(text[start:position].strip())
            start = position + 1
        if depth < 0:
            break
    return items
