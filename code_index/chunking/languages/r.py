"""R."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of


def _name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("lhs"), source).strip("\"'`")


def _registered_name(node: Node, source: bytes) -> str:
    """The first argument of `setMethod("show", "Order", ...)`."""
    values = node.child_by_field_name("arguments")
    first = first_child(values, ("argument",)) if values is not None else None
    return text_of(first.child_by_field_name("value") if first is not None else None, source).strip("\"'`")


def _carrier(node: Node) -> Node | None:
    if node.type == "call":
        values = node.child_by_field_name("arguments")
        for child in values.named_children if values is not None else ():
            value = child.child_by_field_name("value")
            if value is not None and value.type == "function_definition":
                return value
        return None
    return node.child_by_field_name("rhs") or node.child_by_field_name("value")


LANGUAGE: Final = LanguageSpec(
    name="r",
    title="R",
    extensions="r",
    interpreters="rscript littler",
    names={"binary_operator": _name, "call": _registered_name},
    name_fields=("name", "lhs"),
    carrier=_carrier,
    doc_prefixes=("#'",),
    query="""
(binary_operator lhs: [(identifier) (string)] operator: ["<-" "=" "<<-"] rhs: (function_definition)) @function
(call function: [(identifier) @_set (namespace_operator rhs: (identifier) @_set)] (#any-of? @_set "setMethod" "setGeneric" "setReplaceMethod")) @function
(call function: [(identifier) @_set (namespace_operator rhs: (identifier) @_set)] (#any-of? @_set "setClass" "setRefClass")) @class
(binary_operator lhs: (identifier) rhs: (call function: [(identifier) @_set (namespace_operator rhs: (identifier) @_set)] (#any-of? @_set "setClass" "setRefClass" "R6Class" "ggproto"))) @class
(argument name: (identifier) value: (function_definition)) @member
(comment) @comment
(call function: (identifier) @_use (#any-of? @_use "library" "require" "source" "requireNamespace" "loadNamespace")) @import
[(if_statement) (for_statement) (while_statement) (repeat_statement)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
(call function: (identifier) @_switch (#eq? @_switch "switch")) @switch
(binary_operator operator: "&&") @and
(binary_operator operator: "||") @or
(function_definition) @closure
""",
    statements="""
(braced_expression (_) @statement)
(program (_) @statement)
""",
)
