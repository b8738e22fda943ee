"""The family of JavaScript, TypeScript and TSX."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of

_EXPORTS: Final = frozenset({"exports", "module", "window", "self", "global", "globalThis", "this"})


def _bound_name(node: Node, source: bytes) -> str:
    """Name of `exports.f = ...`, `A.prototype.f = ...` or `a.b.f = ...`: owner, if any, and last part."""
    parts = [part for part in text_of(node.child_by_field_name("left"), source).split(".") if part]
    while len(parts) > 1 and parts[0] in _EXPORTS:
        del parts[0]
    parts = [part for part in parts if part not in {"prototype", "exports"}] or parts[-1:]
    return ".".join(parts[-2:])


def _key_name(node: Node, source: bytes) -> str:
    """Name of a member: the key without quotes."""
    key = node.child_by_field_name("key") or node.child_by_field_name("property") or node.child_by_field_name("name")
    return text_of(key, source).strip("'\"")


def _default_name(_node: Node, _source: bytes) -> str:
    return "default"


def _declared_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source) or "default"


def _module_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source).strip("'\"")


_NAMES: Final = {
    "module": _module_name,
    "assignment_expression": _bound_name,
    "pair": _key_name,
    "field_definition": _key_name,
    "method_definition": _key_name,
    "export_statement": _default_name,
    "function_declaration": _declared_name,
    "class_declaration": _declared_name,
}


FAMILY: Final = LanguageSpec(
    name="",
    names=_NAMES,
    dotted_methods=True,
    value_fields=("value", "right"),
    parameter_fields=("parameters", "parameter"),
    doc_prefixes=("/**",),
    query="""
[(function_declaration) (generator_function_declaration)] @function
(class_body (method_definition) @function)
(object (method_definition) @member)
(variable_declarator value: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression right: [(arrow_function) (function_expression) (generator_function)]) @function
(pair value: [(arrow_function) (function_expression) (generator_function)]) @member
(class_declaration) @class
(variable_declarator value: (class)) @class
(assignment_expression right: (class)) @class
(variable_declarator name: (identifier) value: (object)) @scope
(export_statement declaration: (_)) @wrapper
(export_statement value: [(arrow_function) (function_expression) (generator_function)]) @function
(export_statement value: (class)) @class
(lexical_declaration . (variable_declarator value: [(arrow_function) (function_expression) (generator_function) (class)]) . ";"? .) @wrapper
(variable_declaration . (variable_declarator value: [(arrow_function) (function_expression) (generator_function) (class)]) . ";"? .) @wrapper
(expression_statement (assignment_expression right: [(arrow_function) (function_expression) (generator_function) (class)])) @wrapper
(comment) @comment
(import_statement) @import
(export_statement source: (_)) @import
(variable_declarator value: (call_expression function: (identifier) @_require (#eq? @_require "require"))) @import
[(if_statement) (for_statement) (for_in_statement) (while_statement) (do_statement) (catch_clause) (ternary_expression)] @branch
(switch_statement) @switch
(switch_case) @path
(else_clause) @else
(else_clause (if_statement) @else_if)
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(binary_expression operator: "??") @path
(break_statement label: (_)) @jump
(continue_statement label: (_)) @jump
[(arrow_function) (function_expression) (generator_function)] @closure
""",
    statements="""
(statement_block (_) @statement)
(class_body (_) @statement)
(program (_) @statement)
(array (_) @statement)
(object (_) @statement)
(switch_body (_) @statement)
""",
)

TYPES: Final = """
(abstract_class_declaration) @class
[(interface_declaration) (enum_declaration)] @class
(class_body (public_field_definition value: [(arrow_function) (function_expression)]) @function)
(type_alias_declaration) @class
[(function_signature) (abstract_method_signature)] @overload
(class_body (method_signature) @overload)
(internal_module) @scope
(module) @scope
(expression_statement (internal_module)) @wrapper
(ambient_declaration [(class_declaration) (abstract_class_declaration) (interface_declaration) (enum_declaration) (type_alias_declaration) (function_signature)]) @wrapper
(class_body (decorator) @attribute)
(class_declaration decorator: (decorator) @decorator)
(abstract_class_declaration decorator: (decorator) @decorator)
(export_statement decorator: (decorator) @decorator)
(class_body (public_field_definition type: (_)) @field)
(interface_body (property_signature type: (_)) @field)
"""
