"""The family of Lua."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of


def _name(node: Node, source: bytes) -> str:
    """`M.f` for `M.f` and `M:f`."""
    return text_of(node.child_by_field_name("name"), source).replace(":", ".")


def _assigned_name(node: Node, source: bytes) -> str:
    names = first_child(node, ("variable_list",))
    return text_of(names.named_child(0) if names is not None else None, source)


def _key(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source).strip("\"'[]")


def _carrier(node: Node) -> Node | None:
    if node.type == "assignment_statement":
        values = first_child(node, ("expression_list",))
        return first_child(values, ("function_definition",)) if values is not None else None
    return node.child_by_field_name("value")


FAMILY: Final = LanguageSpec(
    name="",
    names={"function_declaration": _name, "assignment_statement": _assigned_name, "field": _key},
    dotted_methods=True,
    carrier=_carrier,
    doc_prefixes=(),
    query="""
(function_declaration) @function
(assignment_statement (variable_list . (_) .) (expression_list . (function_definition) .)) @function
(variable_declaration (assignment_statement (expression_list . (function_definition) .))) @wrapper
(field name: (_) value: (function_definition)) @function
(assignment_statement (variable_list . (identifier) .) (expression_list . (table_constructor) .)) @scope
(comment) @comment
(function_call name: (identifier) @_require (#eq? @_require "require")) @import
[(if_statement) (for_statement) (while_statement) (repeat_statement)] @branch
(elseif_statement) @elif
(else_statement) @else
(binary_expression "and") @and
(binary_expression "or") @or
(function_definition) @closure
""",
    statements="""
(block (_) @statement)
(chunk (_) @statement)
(field) @statement
""",
)
