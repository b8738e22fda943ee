"""Fortran in free and fixed form: modules, programs, types and generic interfaces are classes."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_texts
from code_index.chunking.documentation import documenting
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

# A line of free form: text before column 6 that is neither a label nor a comment of fixed form, or a `&` at its end.
_FREE: Final = re.compile(
    rb"^(?:(?![cC*!dD#])[ \d]{0,4}[^\s\d!#]|\s*[^\s!*cC#][^!\n]*&[ \t]*(?:![^\n]*)?$"
    rb"|(?:call \w|contains\s*$|character\b|class\b|complex\b|case\b|do\b|double\b|data\b|deallocate\b|dimension\b))",
    re.MULTILINE | re.IGNORECASE,
)
_FIXED: Final = re.compile(rb"^(?:[cC*](?![a-z]{2})|     [^\s0!])", re.MULTILINE)
_LINE: Final = re.compile(rb"[^\n]*+\n?")
_CONTINUATION: Final = re.compile(rb"(?: {5}[^\s0!]|\t[1-9])")
_TRAILING: Final = re.compile(rb"(?:[^'\"!\n]|'[^'\n]*'|\"[^\"\n]*\")*+(![^\n]*)")
_COMMENT_MARK: Final = re.compile(r"^(?:[*cCdD](?![a-zA-Z]{2})|!+)[!><*]?[ \t]?", re.MULTILINE)
_JUDGED_BYTES: Final = 100_000

_PROCEDURES: Final = frozenset({"function", "subroutine", "module_procedure"})


def _as_free_form(source: bytes) -> bytes:
    """Fixed form as free form of the same length: comments begin with `!`, and a continued line is one with the next."""
    head = source[:_JUDGED_BYTES]
    if not _FIXED.search(head) or _FREE.search(head):
        return source
    text = bytearray(source)
    code_end = -1  # of the statement so far, without its comment
    for match in _LINE.finditer(source):
        start, line = match.start(), match[0]
        if line[:1] in b"cC*dD!" and line[:1]:
            text[start : start + 1] = b"!"
        elif _CONTINUATION.match(line) and code_end >= 0:
            first = start + (6 if line[:1] == b" " else 2)
            text[code_end:first] = b" " * (first - code_end)
            code_end = _end_of_code(source, match)
        elif line.strip() and line[:1] != b"#":
            code_end = _end_of_code(source, match)
    return bytes(text)


def _end_of_code(source: bytes, line: re.Match[bytes]) -> int:
    """The end of a line without its comment and line end."""
    comment = _TRAILING.match(source, line.start(), line.end())
    return comment.start(1) if comment else line.start() + len(line[0].rstrip())


def _header(node: Node) -> Node | None:
    """The first statement."""
    return next(iter(node.named_children), None)


def _name(node: Node, source: bytes) -> str:
    """The name in the first statement; empty for an interface without one."""
    header = _header(node)
    if header is None:
        return ""
    name = header.child_by_field_name("name") or first_child(header, ("name", "type_name", "operator", "assignment"))
    if name is None and header.type == "interface_statement":
        return text_of(header, source).partition(" ")[2] if text_of(header, source)[:9].lower() == "interface" else ""
    return text_of(name, source)


def _bound_name(node: Node, source: bytes) -> str:
    """`open` of `procedure :: open => till_open`."""
    return text_of(node, source).partition("=>")[0].strip()


def _declared(node: Node, source: bytes) -> dict[str, str]:
    """Types of the variables of a procedure, by their names in lower case."""
    found: dict[str, str] = {}
    for child in node.named_children:
        if child.type == "variable_declaration":
            kind = text_of(child.child_by_field_name("type"), source)
            for variable in child.children_by_field_name("declarator"):
                found[text_of(variable, source).partition("(")[0].partition("=")[0].strip().lower()] = kind
    return found


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    header = _header(carrier) if carrier.type in _PROCEDURES else None
    values = header.child_by_field_name("parameters") if header is not None else None
    if values is None:
        return ()
    kinds = _declared(carrier, source)
    names = [text_of(child, source) for child in values.named_children if child.type == "identifier"]
    return tuple(Parameter(name, kinds.get(name.lower())) for name in names)


def _return_type(carrier: Node, source: bytes) -> str:
    """The type before `function`, or that of the variable that is its result."""
    header = _header(carrier)
    if carrier.type != "function" or header is None:
        return ""
    result = first_child(header, ("function_result",))
    name = first_child(result, ("identifier",)) if result is not None else header.child_by_field_name("name")
    kind = text_of(header.child_by_field_name("type"), source)
    return kind or _declared(carrier, source).get(text_of(name, source).lower(), "")


def _doc_text(comment: str) -> str:
    return _COMMENT_MARK.sub("", comment).rstrip()


def _docstring(node: Node, source: bytes) -> str | None:
    """The comments below the first statement: marked as documentation, or where none stands above."""
    comments: list[str] = []
    for child in node.named_children[1:]:
        if child.type != "comment":
            break
        comments.append(text_of(child, source))
    marked = [comment for comment in comments if comment.startswith(("!!", "!>", "*>"))]
    above = node.prev_sibling
    if not marked and above is not None and above.type == "comment":
        return None
    return clean_texts(documenting(marked or comments, _doc_text, marked=bool(marked)))


LANGUAGE: Final = LanguageSpec(
    name="fortran",
    title="Fortran",
    revision=1,
    extensions="f f77 f90 f95 f03 f08 f18 for ftn fpp fypp",
    modes="fortran f90",
    names={"binding": _bound_name, "method_name": _bound_name}
    | dict.fromkeys(
        (*_PROCEDURES, "module", "submodule", "program", "block_data", "derived_type_definition", "interface"), _name
    ),
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_of=_docstring,
    doc_prefixes=("!>", "!!", "*>"),
    doc_text=_doc_text,
    reads_as=_as_free_form,
    query=r"""
[(module) (submodule) (program) (block_data) (derived_type_definition)] @class
(interface (interface_statement [(name) (operator) (assignment)])) @class
[(function) (subroutine) (module_procedure)] @function
(derived_type_procedures (procedure_statement declarator: (_) @function))
(derived_type_procedures (procedure_statement) @wrapper)
(comment) @comment
[(use_statement) (include_statement)] @import
(derived_type_definition (variable_declaration) @field)
[(if_statement) (do_loop_statement) (where_statement) (forall_statement)] @branch
[(elseif_clause) (elsewhere_clause)] @elif
(else_clause) @else
[(select_case_statement) (select_type_statement)] @switch
[(case_statement) (type_statement)] @path
[(case_statement (default)) (type_statement (default))] @not_path
(logical_expression operator: "\\.and\\.") @and
(logical_expression operator: "\\.or\\.") @or
(keyword_statement "goto") @jump
""",
    statements="""
(translation_unit (_) @statement)
(module (_) @statement)
(subroutine (_) @statement)
(function (_) @statement)
(program (_) @statement)
(if_statement (_) @statement)
(do_loop_statement (_) @statement)
""",
)
