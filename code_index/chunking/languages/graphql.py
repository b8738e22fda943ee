"""GraphQL: types are classes; what a schema lets clients call and what clients send are functions."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, near
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_DIRECTIVES: Final = rb"(?:\s*+@\w++(?:\s*+\((?:[^()\"]++|\"(?:[^\"\\\n]|\\.)*+\")*+\))?)++"
_SCHEMA_EXTENSION: Final = re.compile(rb"^(?P<whole>extend\s++schema\b" + _DIRECTIVES + rb")(?!\s*+\{)", re.MULTILINE)


def _schema_extensions(text: bytes, faults: list[Span]) -> list[Hidden]:
    """`extend schema @link(...)`: the grammar expects a block after it, and takes the next types for its errors."""
    return near((_SCHEMA_EXTENSION,), text, faults, "whole")


def _parameters(node: Node, source: bytes) -> tuple[Parameter, ...]:
    values = first_child(node, ("arguments_definition", "variable_definitions"))
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        if child.type in {"input_value_definition", "variable_definition"}:
            name = text_of(first_child(child, ("name", "variable")), source)
            kind = text_of(first_child(child, ("type",)), source) or None
            default = text_of(first_child(child, ("default_value",)), source).removeprefix("=").strip() or None
            found.append(Parameter(name, kind, default))
    return tuple(found)


LANGUAGE: Final = LanguageSpec(
    name="graphql",
    title="GraphQL",
    revision=1,
    extensions="graphql gql graphqls",
    name_types=("name", "fragment_name"),
    parameters_of=_parameters,
    return_type_of=lambda node, source: text_of(first_child(node, ("type",)), source),
    repairs=(_schema_extensions,),
    query="""
[(object_type_definition) (interface_type_definition) (input_object_type_definition) (enum_type_definition)] @class
[(union_type_definition) (scalar_type_definition)] @class
[(object_type_extension) (interface_type_extension) (input_object_type_extension) (enum_type_extension)] @class
[(union_type_extension) (scalar_type_extension) (fragment_definition)] @class
(object_type_definition (name) @_type (fields_definition (field_definition) @function) (#any-of? @_type "Query" "Mutation" "Subscription"))
(object_type_extension (name) @_type (fields_definition (field_definition) @function) (#any-of? @_type "Query" "Mutation" "Subscription"))
(directive_definition) @function
(operation_definition (name)) @function
(description) @docstring
(comment) @comment
""",
    statements="""
(document (_) @statement)
(fields_definition (_) @statement)
(input_fields_definition (_) @statement)
(enum_values_definition (_) @statement)
(selection_set (_) @statement)
""",
)
