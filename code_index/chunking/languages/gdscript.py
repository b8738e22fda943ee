"""GDScript: `class_name` names the class that the rest of the file is."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import parameter_list
from code_index.core.model import Parameter


def _constructor_name(_node: Node, _source: bytes) -> str:
    return "_init"


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Parameters; `:=` leaves the type to the default."""
    values = carrier.child_by_field_name("parameters")
    found = parameter_list(values, source) if values is not None else ()
    return tuple(Parameter(item.name, None if item.type == "=" else item.type, item.default) for item in found)


LANGUAGE: Final = LanguageSpec(
    name="gdscript",
    title="GDScript",
    revision=1,
    extensions="gd",
    names={"constructor_definition": _constructor_name},
    parameters_of=_parameters,
    doc_prefixes=("##",),
    query="""
(class_name_statement) @class
(class_name_statement) @rest
[(class_definition) (enum_definition name: (_))] @class
[(function_definition) (constructor_definition)] @function
(signal_statement) @function
(comment) @comment
(annotations (annotation) @decorator)
(source (variable_statement type: (type)) @field)
(class_body (variable_statement type: (type)) @field)
[(if_statement) (for_statement) (while_statement)] @branch
(elif_clause) @elif
(else_clause) @else
(match_statement) @switch
(pattern_section) @path
(pattern_section . (identifier) @_any (#eq? @_any "_")) @not_path
(binary_operator op: "and") @and
(binary_operator op: "&&") @and
(binary_operator op: "or") @or
(binary_operator op: "||") @or
(lambda) @closure
""",
    statements="""
(source (_) @statement)
(body (_) @statement)
(class_body (_) @statement)
""",
)
