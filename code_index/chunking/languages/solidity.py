"""Solidity."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter


def _special_name(node: Node, source: bytes) -> str:
    """`constructor`, `receive` or `fallback`: the first word."""
    return text_of(node, source).partition("(")[0].strip()


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            text_of(child.child_by_field_name("name"), source), text_of(child.child_by_field_name("type"), source)
        )
        for child in carrier.named_children
        if child.type in {"parameter", "event_parameter", "error_parameter"}
    )


def _return_type(carrier: Node, source: bytes) -> str:
    """The types in parentheses, or the only one."""
    text = text_of(carrier.child_by_field_name("return_type"), source).removeprefix("returns").strip()
    return text if "," in text else text.removeprefix("(").removesuffix(")")


LANGUAGE: Final = LanguageSpec(
    name="solidity",
    title="Solidity",
    revision=1,
    extensions="sol",
    names=dict.fromkeys(("constructor_definition", "fallback_receive_definition"), _special_name),
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("///", "/**"),
    query="""
[(contract_declaration) (interface_declaration) (library_declaration)] @class
[(struct_declaration) (enum_declaration) (user_defined_type_definition)] @class
[(function_definition) (modifier_definition) (constructor_definition) (fallback_receive_definition)] @function
[(event_definition) (error_declaration)] @function
(comment) @comment
(import_directive) @import
(contract_body (state_variable_declaration) @field)
[(if_statement) (for_statement) (while_statement) (do_while_statement) (catch_clause) (ternary_expression)] @branch
(if_statement "else" @else)
(if_statement "else" . (statement (if_statement) @else_if))
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
""",
    statements="""
(source_file (_) @statement)
(contract_body (_) @statement)
(function_body (_) @statement)
(block_statement (_) @statement)
""",
)
