"""Source code to blocks: one engine for all languages, driven by their specifications.

Belongs here: running a language's query and turning its captures into the tree of blocks.
Does not belong here: any one language (`languages`), chunks (`assembly`).

Broken code needs no special path: tree-sitter puts error nodes between the good ones, whole definitions are found,
and assembly gives all other text to module chunks. Whole code that a grammar misreads is read again (`recovery`).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cache
from typing import Final

from tree_sitter import Node, Parser, Query
from tree_sitter_language_pack import get_language

from code_index.chunking.blocks import OWNER, Block, Extraction, Part
from code_index.chunking.bounded_trees import captured
from code_index.chunking.comments import clean_comments, clean_string, clean_texts
from code_index.chunking.complexity import Complexity, Construct, Span, measure
from code_index.chunking.definition_tree import (
    Captures,
    Definition,
    find_definitions,
    join_clauses,
    nest,
    outermost,
    unbound_closures,
)
from code_index.chunking.documentation import documenting, is_rule
from code_index.chunking.language_spec import COMPLEXITY_ROLES, ROLES, LanguageSpec
from code_index.chunking.leading import COMMENT_ROLES, Above, Leading
from code_index.chunking.recovery import Reading, doubt_query, read
from code_index.chunking.references import FileNames, names_query
from code_index.chunking.registry import LANGUAGES
from code_index.chunking.signatures import (
    first_field,
    name_node_of,
    name_of,
    parameters_of,
    raw_text_of,
    result_of_signature,
    return_type_of,
    squeezed,
    text_of,
)
from code_index.core.errors import ParseError
from code_index.core.model import ChunkType

LONG_LINE_BYTES: Final = 400
"""Minified and generated code has longer lines; handwritten code hardly ever."""

_CONSTRUCTS: Final = {role: Construct[role.upper()] for role in COMPLEXITY_ROLES if role != "closure"}
_TAKEN_BY: Final = {"branch": "else_if", "path": "not_path"}
_ITEM: Final = re.compile(rb"\bfn\s+\w")
_MAX_TYPE: Final = 500  # broken code can make a "type" of half a file


def extract_code(source: bytes, language: str) -> Extraction:
    """The definitions of one file of `language`, nested as they are in the source.

    Raises:
        ParseError: the language has no specification, its grammar is missing, or the parser gave no tree.
    """
    spec, parser, query, doubts, statements = _tools(language)
    text = source if spec.reads_as is None else spec.reads_as(source)
    reading = read(text, parser, query, doubts, spec.repairs)
    if reading is None:
        return Extraction(unread_lines=source.count(b"\n") + 1)
    if spec.sort is not None:
        spec.sort(reading.captures, source)
    found = _File(source, spec, reading)
    blocks = found.blocks()
    names = FileNames(source, reading.captures, found.definitions, spec)
    imports = outermost(reading.captures.get("import", []))
    return Extraction(
        blocks=blocks,
        imports=tuple(text_of(node, source) for node in imports),
        import_offsets=tuple(node.start_byte for node in imports),
        docstring=found.docstring(),
        break_points=_statement_starts(source, reading.tree.root_node, statements),
        parts=_parts(reading.captures, source, spec),
        misread_lines=reading.misread_lines,
        definitions=names.definitions,
        uses=names.find_uses(),
    )


@cache
def _tools(language: str) -> tuple[LanguageSpec, Parser, Query, Query | None, Query]:
    """Parser and compiled queries, made once per process."""
    spec = LANGUAGES.get(language)
    if spec is None:
        raise ParseError(f"no specification for the language {language!r}; known are {', '.join(sorted(LANGUAGES))}")
    try:
        grammar = get_language(spec.grammar or spec.name)
    except LookupError as error:
        raise ParseError(
            f"no grammar for {language}: reinstall tree-sitter-language-pack 0.13.0, which carries it"
        ) from error
    text = spec.query + names_query(grammar)
    query = Query(grammar, text)
    names = (query.capture_name(index) for index in range(query.capture_count))
    unknown = {name for name in names if not name.startswith("_")} - ROLES
    if unknown:
        raise ParseError(f"the specification of {language} has unknown roles: {', '.join(sorted(unknown))}")
    doubts = doubt_query(grammar, query, text.encode())
    return spec, Parser(grammar), query, doubts, Query(grammar, spec.statements)


def _statement_starts(source: bytes, root: Node, statements: Query) -> list[int]:
    """Starts of statements, only for files with long lines: elsewhere lines by indentation do as well.

    A separate query: together with patterns that span several levels, tree-sitter's cursor takes time
    quadratic in the statements of a block (20,000 statements: 1.1 s instead of 0.07 s).
    """
    if max(map(len, source.split(b"\n"))) <= LONG_LINE_BYTES:
        return []
    found = captured(statements, root) or {}
    return sorted({node.start_byte for node in found.get("statement", [])})


def _parts(captures: Captures, source: bytes, spec: LanguageSpec) -> list[Part]:
    """All text between the code as one part, and each macro's argument that holds definitions."""
    texts = tuple((node.start_byte, node.end_byte) for node in outermost(captures.get("text", [])))
    parts = [Part(spec.text_language, texts)] if texts else []
    for node in captures.get("items", []):
        span = node.start_byte + 1, node.end_byte - 1
        if source[node.start_byte : span[0]] == b"{" and _ITEM.search(source, *span):
            parts.append(Part(spec.name, (span,)))
    return parts


class _File:
    """The captures of one file, and the blocks made from them."""

    def __init__(self, source: bytes, spec: LanguageSpec, reading: Reading) -> None:
        self.source = source
        self.spec = spec
        self.captures: Captures = reading.captures
        captures = reading.captures
        hidden = [(item.start, item.end, item.role) for item in reading.hidden if item.role]
        self.leading = Leading(source, captures, hidden, indentation_binds=spec.indentation_binds)
        self.decorators = sorted(
            [(node.start_byte, node.end_byte) for role in ("decorator", "attribute") for node in captures.get(role, [])]
            + [(start, end) for start, end, _ in hidden]
        )
        self.docstrings = {node.start_byte: node for node in captures.get("docstring", [])}
        self.definitions: list[Definition] = []

    def blocks(self) -> list[Block]:
        """Top-level blocks in order, complete with their descriptions."""
        self.definitions = definitions = find_definitions(self.captures, self.source, self.spec)
        closures = unbound_closures(self.captures, definitions)
        for definition in definitions:
            if definition.role == "prototype":
                with_comment = Block(definition.start, definition.end, ChunkType.METHOD)
                self.leading.take(with_comment, 0)
                definition.above = definition.start - with_comment.start
        roots = nest(definitions, closures, self.captures, self.source)
        figures = measure(self._constructs(definitions, closures))
        ends: dict[int, int] = {}  # by parent: the end of its last child so far
        for definition in definitions:
            block, parent = definition.block, definition.parent
            if block is not None:
                floor = ends.get(id(parent), parent.start if parent else 0)
                above = self.leading.take(block, floor)
                ends[id(parent)] = block.end
                self._describe(definition, block, above, figures.get(definition.own))
        if self.spec.clauses or "overload" in self.captures:
            join_clauses(roots, self.source, clauses=self.spec.clauses)
        return roots

    def docstring(self) -> str | None:
        """The file's own docstring: a string, or the comments that document the file."""
        nodes = sorted(self.captures.get("file_docstring", []), key=lambda node: node.start_byte)
        texts = [raw_text_of(node, self.source).strip() for node in nodes]
        if texts and texts[0].endswith(('"', "'")):
            return clean_string(texts[0])
        for head in self.captures.get("file_head", [])[:1]:
            above = self.leading.take(Block(head.start_byte, head.end_byte, ChunkType.MODULE), 0)
            comments = [self._text(start, end).strip() for start, end, _ in above]
            return clean_texts(documenting(comments, self.spec.doc_text))
        return clean_comments(texts, self.spec.doc_text)

    def _constructs(self, definitions: list[Definition], closures: list[Span]) -> list[tuple[int, int, Construct]]:
        """The constructs that count for complexity; a node captured for several roles has the last one."""
        found = [(*item.own, item.construct) for item in definitions if item.role != "scope"]
        found += [(*span, Construct.CLOSURE) for span in closures]
        taken = {role: self._spans(role) for role in ("else_if", "not_path")}
        for role, construct in _CONSTRUCTS.items():
            spans = self._spans(role)
            if role in _TAKEN_BY:
                spans -= taken[_TAKEN_BY[role]]
            found += [(*span, construct) for span in spans]
        return found

    def _spans(self, role: str) -> set[Span]:
        return {(node.start_byte, node.end_byte) for node in self.captures.get(role, [])}

    def _describe(self, definition: Definition, block: Block, above: list[Above], figure: Complexity | None) -> None:
        """Fill in the description of the definition."""
        spec, source = self.spec, self.source
        block.name = definition.name = name_of(definition.node, source, spec)
        if spec.path_separator and definition.role in {"class", "scope"}:
            *scope, block.name = block.name.split(spec.path_separator)
            block.scope = ".".join(filter(None, scope))
        block.absolute = spec.is_absolute is not None and spec.is_absolute(definition.node)
        if definition.role == "scope":
            return
        if self.decorators:
            block.decorators = self._decorators(definition, block)
        block.docstring = self._docstring(definition, above) or block.docstring
        if figure is not None:
            block.cyclomatic_complexity = figure.cyclomatic
            block.cognitive_complexity = figure.cognitive
            block.max_nesting_depth = figure.max_nesting_depth
        if definition.role == "class":
            return
        if spec.dotted_methods and block.chunk_type is ChunkType.FUNCTION and OWNER.match(block.name):
            block.chunk_type = ChunkType.METHOD
        block.parameters = parameters_of(definition.carrier, source, spec)
        returned = return_type_of(definition.carrier, source, spec)
        for start, end, role in above:
            if role == "signature":
                returned = result_of_signature(self._text(start, end))
        block.return_type = returned[:_MAX_TYPE] if returned else None

    def _decorators(self, definition: Definition, block: Block) -> tuple[str, ...]:
        """Decorators between the definition's start and its name; annotations of parameters come later."""
        name = name_node_of(definition.node, self.spec)
        head_end = definition.node.start_byte if name is None else name.start_byte
        first = bisect_left(self.decorators, (block.start, 0))
        last = bisect_right(self.decorators, (head_end, 0))
        return tuple(squeezed(self._text(start, end)) for start, end in self.decorators[first:last])

    def _docstring(self, definition: Definition, above: list[Above]) -> str | None:
        inner = self.spec.doc_of(definition.node, self.source) if self.spec.doc_of is not None else None
        if inner:
            return inner
        if self.docstrings:
            body = first_field(definition.carrier, self.spec.body_fields) or definition.node
            inside = self.docstrings.get(body.start_byte)
            if inside is not None:
                is_one = inside.type != "concatenated_string"
                strings = [inside] if is_one else [child for child in inside.named_children if child.type == "string"]
                return clean_string(*(raw_text_of(string, self.source) for string in strings))
        comments = [self._text(start, end).strip() for start, end, role in above if role in COMMENT_ROLES]
        marked = [
            comment for comment in comments if comment.startswith(self.spec.doc_prefixes) and not is_rule(comment)
        ]
        if not marked and not self.spec.plain_docs:
            return None
        return clean_texts(documenting(marked or comments, self.spec.doc_text, marked=bool(marked)))

    def _text(self, start: int, end: int) -> str:
        return self.source[start:end].decode("utf-8", "replace")
