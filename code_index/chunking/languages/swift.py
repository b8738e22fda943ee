"""Swift."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, conditional_text
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter


def _deinit_name(_node: Node, _source: bytes) -> str:
    return "deinit"


def _subscript_name(_node: Node, _source: bytes) -> str:
    return "subscript"


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Inner names (`sku` of `_ sku: String`); the grammar puts a default after its parameter."""
    found: list[Parameter] = []
    for child in carrier.children:
        if child.type == "parameter":
            # Name and type both carry the field `name`; the grammar has no other for the type.
            names = child.children_by_field_name("name")
            type_start = child.text.find(b":") if child.text else -1
            kind = (child.text or b"")[type_start + 1 :].decode("utf-8", "replace").strip() if type_start >= 0 else None
            found.append(Parameter(text_of(names[0] if names else child, source), kind))
    position = -1
    for index, child in enumerate(carrier.children):
        if child.type == "parameter":
            position += 1
        elif position >= 0 and carrier.field_name_for_child(index) == "default_value":
            found[position] = Parameter(found[position].name, found[position].type, text_of(child, source))
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    after_arrow = False
    for child in carrier.children:
        if after_arrow:
            return text_of(child, source)
        after_arrow = child.type == "->"
    return ""


def _directives(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Directives of conditional compilation, which the grammar knows only between declarations of a file."""
    return conditional_text(text, faults)


LANGUAGE: Final = LanguageSpec(
    name="swift",
    title="Swift",
    extensions="swift",
    interpreters="swift",
    names={"deinit_declaration": _deinit_name, "subscript_declaration": _subscript_name},
    parameters_of=_parameters,
    return_type_of=_return_type,
    repairs=(_directives,),
    query="""
[(class_declaration) (protocol_declaration)] @class
[(function_declaration) (init_declaration) (deinit_declaration) (subscript_declaration) (protocol_function_declaration)] @function
(typealias_declaration) @class
(property_declaration computed_value: (_)) @member
[(comment) (multiline_comment)] @comment
(modifiers (attribute) @decorator)
(import_declaration) @import
(class_body (property_declaration (type_annotation)) @field)
[(if_statement) (guard_statement) (for_statement) (while_statement) (repeat_while_statement) (catch_block) (ternary_expression)] @branch
(if_statement (else) @else)
(if_statement (else) . (if_statement) @else_if)
(switch_statement) @switch
(switch_entry) @path
(switch_entry (default_keyword)) @not_path
(nil_coalescing_expression) @path
(conjunction_expression) @and
(disjunction_expression) @or
(control_transfer_statement "break" result: (_)) @jump
(control_transfer_statement "continue" result: (_)) @jump
(lambda_literal) @closure
""",
    statements="""
(statements (_) @statement)
(class_body (_) @statement)
(source_file (_) @statement)
(switch_entry) @statement
""",
)
