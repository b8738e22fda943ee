"""Scala."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import parameter_list
from code_index.core.model import Parameter


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """All parameter lists of a curried function as one."""
    return tuple(
        parameter
        for values in carrier.children_by_field_name("parameters")
        for parameter in parameter_list(values, source)
    )


LANGUAGE: Final = LanguageSpec(
    name="scala",
    title="Scala",
    extensions="scala sc sbt",
    interpreters="scala scala-cli amm",
    parameters_of=_parameters,
    doc_prefixes=("/**",),
    query="""
[(class_definition) (object_definition) (trait_definition) (enum_definition) (package_object)] @class
[(function_definition) (function_declaration)] @function
(type_definition) @class
(package_clause body: (_)) @scope
[(comment) (block_comment)] @comment
(class_definition (annotation) @decorator)
(trait_definition (annotation) @decorator)
(object_definition (annotation) @decorator)
(function_definition (annotation) @decorator)
(import_declaration) @import
(template_body (val_definition type: (_)) @field)
(template_body (var_definition type: (_)) @field)
(class_parameter) @field
[(if_expression) (for_expression) (while_expression) (do_while_expression) (catch_clause)] @branch
(if_expression "else" @else)
(if_expression alternative: (if_expression) @else_if)
(match_expression) @switch
(match_expression body: (_ (case_clause) @path))
(case_clause pattern: (wildcard)) @not_path
(infix_expression operator: (operator_identifier) @_and (#eq? @_and "&&")) @and
(infix_expression operator: (operator_identifier) @_or (#eq? @_or "||")) @or
(lambda_expression) @closure
""",
    statements="""
(block (_) @statement)
(indented_block (_) @statement)
(template_body (_) @statement)
(compilation_unit (_) @statement)
(case_clause) @statement
""",
)
