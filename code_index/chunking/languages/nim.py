"""Nim: routines of every kind are functions, types are classes; `##` in the body documents."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_comments, without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_ROUTINES: Final = tuple(
    f"{kind}_declaration" for kind in ("proc", "func", "method", "iterator", "template", "macro", "converter")
)
_DECLARED_TYPES: Final = ("object_declaration", "tuple_type", "enum_declaration", "concept_declaration")


def _bare(node: Node | None, source: bytes) -> str:
    """A name without its mark of export and without the quotes of an operator."""
    return text_of(node, source).removesuffix("*").strip("`")


def _name(node: Node, source: bytes) -> str:
    return _bare(node.child_by_field_name("name"), source)


def _type_name(node: Node, source: bytes) -> str:
    symbol = first_child(node, ("type_symbol_declaration",))
    return _name(symbol, source) if symbol is not None else ""


def _bound_name(node: Node, source: bytes) -> str:
    """`f` of `let f = proc ...`."""
    return _bare(first_child(node, ("symbol_declaration_list",)), source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters; several names of one type are several parameters."""
    values = carrier.child_by_field_name("parameters")
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        names = first_child(child, ("symbol_declaration_list",))
        kind = text_of(child.child_by_field_name("type"), source) or None
        default = text_of(child.child_by_field_name("value"), source) or None
        found += [
            Parameter(text_of(name, source), kind, default)
            for name in (names.named_children if names is not None else ())
        ]
    return tuple(found)


def _docstring(node: Node, source: bytes) -> str | None:
    """The `##` comments before the first statement of a routine, or in the head of a type."""
    inner = first_child(node, ("ref_type", "pointer_type")) or node
    body = first_child(inner, (*_DECLARED_TYPES, "statement_list")) or first_child(inner, ("type_expression",))
    for place in (node, inner, body):
        if place is not None:
            comments = [
                text_of(child, source) for child in place.named_children if child.type == "documentation_comment"
            ]
            if comments:
                return clean_comments(comments, without_markers)
    return None


LANGUAGE: Final = LanguageSpec(
    name="nim",
    title="Nim",
    revision=1,
    extensions="nim nims nimble",
    interpreters="nim",
    names=dict.fromkeys(_ROUTINES, _name) | {"type_declaration": _type_name, "variable_declaration": _bound_name},
    value_fields=("value",),
    parameters_of=_parameters,
    doc_of=_docstring,
    doc_prefixes=("##",),
    indentation_binds=True,
    sheds_comments=True,
    query="""
[(proc_declaration) (func_declaration) (method_declaration) (iterator_declaration) (template_declaration) (macro_declaration) (converter_declaration)] @function
(variable_declaration value: (proc_expression)) @function
(type_declaration) @class
[(type_section) (let_section) (var_section) (const_section)] @wrapper
[(comment) (block_comment) (documentation_comment) (block_documentation_comment)] @comment
(source_file (documentation_comment) @file_docstring)
[(import_statement) (import_from_statement) (include_statement)] @import
[(if) (when) (while) (for) (except_branch)] @branch
(elif_branch) @elif
(if alternative: (else_branch) @else)
(when alternative: (else_branch) @else)
(case) @switch
(of_branch) @path
(infix_expression operator: "and") @and
(infix_expression operator: "or") @or
[(proc_expression) (func_expression) (iterator_expression)] @closure
""",
    statements="""
(source_file (_) @statement)
(statement_list (_) @statement)
""",
)
