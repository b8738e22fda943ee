"""Bash, Lua and R."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.definitions import first_child, text_of
from code_index.chunking.language_spec import LanguageSpec

BASH: Final = LanguageSpec(
    name="bash",
    doc_prefixes=("##",),
    query="""
(function_definition) @function
(comment) @comment
(command name: (command_name (word) @_source (#any-of? @_source "source" "."))) @import
[(if_statement) (for_statement) (c_style_for_statement) (while_statement)] @branch
(elif_clause) @elif
(else_clause) @else
(case_statement) @switch
(case_item) @path
(case_item . value: (_) @_any (#eq? @_any "*")) @not_path
(list "&&") @and
(list "||") @or
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(command name: (command_name) @_jump argument: (number) (#any-of? @_jump "break" "continue")) @jump
""",
    statements="""
(compound_statement (_) @statement)
(do_group (_) @statement)
(if_statement (_) @statement)
(program (_) @statement)
(case_item) @statement
""",
)


def _lua_name(node: Node, source: bytes) -> str:
    """`M.f` for `M.f` and `M:f`."""
    return text_of(node.child_by_field_name("name"), source).replace(":", ".")


def _lua_assigned_name(node: Node, source: bytes) -> str:
    names = first_child(node, ("variable_list",))
    return text_of(names.named_child(0) if names is not None else None, source)


def _lua_key(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source).strip("\"'[]")


def _lua_carrier(node: Node) -> Node | None:
    if node.type == "assignment_statement":
        values = first_child(node, ("expression_list",))
        return first_child(values, ("function_definition",)) if values is not None else None
    return node.child_by_field_name("value")


LUA: Final = LanguageSpec(
    name="lua",
    names={"function_declaration": _lua_name, "assignment_statement": _lua_assigned_name, "field": _lua_key},
    dotted_methods=True,
    carrier=_lua_carrier,
    doc_prefixes=(),
    query="""
(function_declaration) @function
(assignment_statement (variable_list . (_) .) (expression_list . (function_definition) .)) @function
(variable_declaration (assignment_statement (expression_list . (function_definition) .))) @wrapper
(field name: (_) value: (function_definition)) @member
(comment) @comment
(function_call name: (identifier) @_require (#eq? @_require "require")) @import
[(if_statement) (for_statement) (while_statement) (repeat_statement)] @branch
(elseif_statement) @elif
(else_statement) @else
(binary_expression "and") @and
(binary_expression "or") @or
(goto_statement) @jump
(function_definition) @closure
""",
    statements="""
(block (_) @statement)
(chunk (_) @statement)
(field) @statement
""",
)


def _r_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("lhs"), source).strip("\"'`")


def _r_registered_name(node: Node, source: bytes) -> str:
    """The first argument of `setMethod("show", "Order", ...)`."""
    values = node.child_by_field_name("arguments")
    first = first_child(values, ("argument",)) if values is not None else None
    return text_of(first.child_by_field_name("value") if first is not None else None, source).strip("\"'`")


def _r_carrier(node: Node) -> Node | None:
    if node.type == "call":
        values = node.child_by_field_name("arguments")
        for child in values.named_children if values is not None else ():
            value = child.child_by_field_name("value")
            if value is not None and value.type == "function_definition":
                return value
        return None
    return node.child_by_field_name("rhs") or node.child_by_field_name("value")


R: Final = LanguageSpec(
    name="r",
    names={"binary_operator": _r_name, "call": _r_registered_name},
    name_fields=("name", "lhs"),
    carrier=_r_carrier,
    doc_prefixes=("#'",),
    query="""
(binary_operator lhs: [(identifier) (string)] operator: ["<-" "=" "<<-"] rhs: (function_definition)) @function
(call function: (identifier) @_set (#any-of? @_set "setMethod" "setGeneric" "setReplaceMethod")) @function
(call function: (identifier) @_set (#any-of? @_set "setClass" "setRefClass")) @class
(binary_operator lhs: (identifier) rhs: (call function: (identifier) @_set (#any-of? @_set "setClass" "setRefClass" "R6Class" "ggproto"))) @class
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
