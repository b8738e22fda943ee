"""Functions with what is written about them, and the same text without it, in several languages.

Belongs here: where the comments and docstrings of functions stand. Does not belong here: what is asked of them
(`line_questions`, `docstrings`). Trees come from tree-sitter and Python's ast directly, not from the chunker, so that
what is measured does not choose the questions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from tree_sitter_language_pack import get_parser

LANGUAGES: Final = {
    ".py": "python", ".rs": "rust", ".go": "go", ".ts": "typescript", ".js": "javascript", ".java": "java",
    ".cpp": "cpp", ".hpp": "cpp", ".cs": "csharp", ".rb": "ruby", ".swift": "swift",
}  # fmt: skip
"""By the extension of a file."""

# Definitions with a body, and declarations without one, whose comments would give the answer away as well.
_FUNCTIONS: Final = frozenset({
    "function_item", "function_signature_item", "function_declaration", "method_declaration", "method_definition",
    "constructor_declaration", "function_definition", "method", "singleton_method", "protocol_function_declaration",
    "method_signature", "method_elem", "abstract_method_signature", "generator_function_declaration", "declaration",
    "field_declaration", "init_declaration",
})  # fmt: skip
_BODIES: Final = frozenset({
    "block", "statement_block", "compound_statement", "function_body", "body_statement", "constructor_body",
})  # fmt: skip
_AROUND: Final = frozenset({"export_statement", "template_declaration", "decorated_definition"})
_BOUND: Final = frozenset(("lexical_declaration", "public_field_definition"))
_COMMENTS: Final = frozenset(("comment", "line_comment", "block_comment", "multiline_comment"))
_ATTRIBUTES: Final = frozenset(("attribute_item", "decorator"))
_NAMES: Final = frozenset({
    "identifier", "property_identifier", "field_identifier", "simple_identifier", "type_identifier",
    "qualified_identifier", "constant", "operator", "destructor_name", "operator_name",
})  # fmt: skip
_OPENING: Final = re.compile(r"^\s*(?:/\*[*!]?<?|\*+/|\*|//[/!]?<?|#)\s?")
_CLOSING: Final = re.compile(r"\s*\*+/\s*$")
_FULL_STOP: Final = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<=[.!?:])\s")


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method with a body; lines are 1-based and inclusive, without what is written about it."""

    name: str
    start_line: int
    end_line: int
    body_lines: int
    about: str


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    start: int  # rows from 0, end inclusive
    end: int
    body: int  # rows; 0 without a body
    about: tuple[int, int] | None  # rows of comment or docstring
    only_docstring: bool = False


def functions(path: str, text: str) -> list[Function]:
    """Functions of a file with a body, in order; none of a file that is in no language of `LANGUAGES`, or broken Python."""
    lines = text.split("\n")
    return [
        Function(found.name, found.start + 1, found.end + 1, found.body, _about(path, lines, found.about))
        for found in _found(path, text)
        if found.body
    ]


def without_comments(path: str, text: str) -> str:
    """The text without the lines that are written about its functions; these stay in their order."""
    lines = text.split("\n")
    cut: set[int] = set()
    for found in _found(path, text):
        if found.about is not None:
            cut |= set(range(found.about[0], found.about[1] + 1))
            if found.only_docstring:
                line = lines[found.about[0]]
                lines[found.about[0]] = f"{line[: len(line) - len(line.lstrip())]}..."
                cut.discard(found.about[0])
    return "\n".join(line for row, line in enumerate(lines) if row not in cut)


def first_sentence(about: str) -> str:
    """The first sentence, on one line, without marks of tags and code; empty where there is none."""
    text = re.sub(r"<(?:see|paramref|typeparamref) \w+=\"(?:\w:)?([^\"]*)\"\s*/>|</?[a-z][^>]*>", r"\1", about)
    text = re.sub(r"\{@\w+\s+([^}]*)\}|:\w+:`([^`]*)`", r"\1\2", text).strip()
    paragraph = re.split(r"\n\s*\n|\n\s*(?:@|[-*:]\s|\\\w|={3,}|-{3,})", text, maxsplit=1)[0]
    one_line = " ".join(paragraph.replace("`", "").split())
    return _FULL_STOP.split(one_line, maxsplit=1)[0].rstrip(".:?").strip()


def _about(path: str, lines: list[str], rows: tuple[int, int] | None) -> str:
    if rows is None:
        return ""
    written = lines[rows[0] : rows[1] + 1]
    if path.endswith(".py"):
        return re.sub(r"^\s*[rRuUbBfF]*(?:\"\"\"|'''|\"|')|(?:\"\"\"|'''|\"|')\s*$", "", "\n".join(written))
    return "\n".join(_OPENING.sub("", _CLOSING.sub("", line)) for line in written)


def _found(path: str, text: str) -> list[_Found]:
    language = LANGUAGES.get(PurePosixPath(path).suffix)
    if language is None:
        return []
    if language == "python":
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return []  # templates that only look like Python
        return list(_of_python(tree, text.split("\n")))
    root = get_parser(language).parse(text.encode("utf-8")).root_node  # type: ignore[arg-type]
    return _of_tree(root, text.split("\n"))


def _of_python(parent: ast.AST, lines: list[str]) -> Iterator[_Found]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            first, end = node.body[0], (node.end_lineno or node.lineno) - 1
            about = None
            if ast.get_docstring(node) is not None:
                rows = (first.lineno - 1, (first.end_lineno or first.lineno) - 1)
                whole = not lines[rows[0]][: first.col_offset].strip() and first.end_col_offset == len(
                    lines[rows[1]].encode("utf-8").rstrip()
                )
                about = rows if whole else None
            body = end - (node.body[1].lineno - 1 if about and len(node.body) > 1 else first.lineno - 1) + 1
            only = about is not None and len(node.body) == 1
            stub = only or (len(node.body) == 1 and ast.unparse(first) == "...")
            yield _Found(node.name, start, end, 0 if stub else body, about, only_docstring=only)
        yield from _of_python(node, lines)


def _of_tree(root: Any, lines: list[str]) -> list[_Found]:
    comments, attributes, nodes = set(), set(), []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        first, last = node.start_point[0], node.end_point[0] - (node.end_point[1] == 0 and node.end_point[0] > 0)
        if node.type in _COMMENTS:
            before = lines[first].encode("utf-8")[: node.start_point[1]]
            if not before.strip():
                comments |= set(range(first, last + 1))
            continue
        if node.type in _ATTRIBUTES:
            attributes |= set(range(first, last + 1))
        if node.type in _FUNCTIONS or (node.type in _BOUND and _arrow(node) is not None):
            nodes.append(node)
        waiting.extend(reversed(node.children))
    found = [_of_node(node, comments, attributes) for node in nodes]
    return sorted((one for one in found if one is not None), key=lambda one: (one.start, -one.end))


def _of_node(node: Any, comments: set[int], attributes: set[int]) -> _Found | None:
    arrow = _arrow(node) if node.type in _BOUND else node
    if arrow is None or (node.type in {"declaration", "field_declaration"} and not _declares_function(node)):
        return None
    outer = node
    while outer.parent is not None and outer.parent.type in _AROUND:
        outer = outer.parent
    body = next((child for child in arrow.children if child.type in _BODIES), None)
    row = outer.start_point[0] - 1
    while row in attributes:
        row -= 1
    last = row
    while row in comments:
        row -= 1
    about = (row + 1, last) if row < last else None
    rows = body.end_point[0] - body.start_point[0] + 1 if body is not None else 0
    return _Found(_name(node), outer.start_point[0], outer.end_point[0], rows, about)


def _arrow(node: Any) -> Any:
    """The function that a declaration binds to a name, or None."""
    waiting = list(node.children)
    while waiting:
        child = waiting.pop(0)
        if child.type in {"arrow_function", "function_expression"}:
            return child
        if child.type == "variable_declarator":
            waiting = list(child.children) + waiting
    return None


def _declares_function(node: Any) -> bool:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type in {"pointer_declarator", "reference_declarator"}:
        declarator = declarator.child_by_field_name("declarator")
    return declarator is not None and declarator.type == "function_declarator"


def _name(node: Any) -> str:
    """The name as it is written, the part after the last `::` in C++."""
    at = node.child_by_field_name("name") or node.child_by_field_name("declarator")
    while at is not None and at.type not in _NAMES:
        inner = at.child_by_field_name("declarator") or at.child_by_field_name("name")
        at = inner or next((child for child in at.children if child.type in _NAMES), None)
    if at is None:
        at = next((child for child in node.children if child.type in _NAMES), None)
        if at is None:
            bound = next((child for child in node.children if child.type == "variable_declarator"), None)
            at = bound.child_by_field_name("name") if bound is not None else None
    return "" if at is None else at.text.decode("utf-8", "replace").rsplit("::", 1)[-1]
