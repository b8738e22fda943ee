"""Kotlin."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_ANNOTATION: Final = re.compile(
    rb"\s*+(?P<text>@(?:[a-z]++:)?[\w.]++(?:<[^<>\n]*+>)?"
    rb"(?:\((?:[^()\"]|\"(?:[^\"\\\n]|\\.)*+\"|\((?:[^()\"]|\"(?:[^\"\\\n]|\\.)*+\")*+\)){0,2000}+\))?)"
)
"""Arguments may hold one more level of parentheses; they are limited, so that many unclosed ones take no time."""


def _function_name(node: Node, source: bytes) -> str:
    """`Receiver.name` of an extension function; a nullable or generic receiver by its plain name."""
    name = text_of(first_child(node, ("simple_identifier",)), source)
    receiver = text_of(node.child_by_field_name("receiver"), source)
    owner = receiver.partition("<")[0].rstrip("?").rpartition(".")[2]
    return f"{owner}.{name}" if owner else name


def _companion_name(node: Node, source: bytes) -> str:
    return text_of(first_child(node, ("type_identifier",)), source) or "Companion"


def _constructor_name(_node: Node, _source: bytes) -> str:
    return "constructor"


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Parameters; the grammar puts a default after its parameter, as a child of the list."""
    values = first_child(carrier, ("function_value_parameters",))
    found: list[Parameter] = []
    after_equals = False
    for child in values.children if values is not None else ():
        if child.type == "parameter":
            named = child.named_children
            found.append(Parameter(text_of(named[0], source), text_of(named[-1], source) if len(named) > 1 else None))
        elif after_equals and found:
            found[-1] = Parameter(found[-1].name, found[-1].type, text_of(child, source))
        after_equals = child.type == "="
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    if carrier.type != "function_declaration":
        return ""
    after_parameters = after_colon = False
    for child in carrier.children:
        if after_colon:
            return text_of(child, source)
        after_colon = after_parameters and child.type == ":"
        after_parameters = after_parameters or child.type == "function_value_parameters"
    return ""


def _annotations(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Annotations that the grammar took for an expression, as it does with several above a class."""
    found: list[Hidden] = []
    for start, end in faults:
        position = start
        while position < end and (match := _ANNOTATION.match(text, position)) is not None:
            found.append(Hidden(match.start("text"), match.end("text"), "attribute"))
            position = match.end()
    return found


LANGUAGE: Final = LanguageSpec(
    name="kotlin",
    title="Kotlin",
    extensions="kt kts",
    interpreters="kotlin kotlinc kscript",
    names={
        "function_declaration": _function_name,
        "companion_object": _companion_name,
        "secondary_constructor": _constructor_name,
    },
    name_types=("simple_identifier", "type_identifier"),
    dotted_methods=True,
    parameters_of=_parameters,
    return_type_of=_return_type,
    repairs=(_annotations,),
    doc_prefixes=("/**",),
    query="""
[(class_declaration) (object_declaration) (companion_object) (type_alias)] @class
[(function_declaration) (secondary_constructor)] @function
[(line_comment) (multiline_comment)] @comment
(modifiers (annotation) @decorator)
(source_file (prefix_expression (annotation)) @doubt)
(import_header) @import
(class_body (property_declaration (variable_declaration (simple_identifier) . (_)) @field))
(class_parameter) @field
[(if_expression) (for_statement) (while_statement) (do_while_statement) (catch_block)] @branch
(if_expression "else" @else)
(if_expression alternative: (control_structure_body . (if_expression) @else_if))
(when_expression) @switch
(when_entry (when_condition)) @path
(elvis_expression) @path
(conjunction_expression) @and
(disjunction_expression) @or
(jump_expression "break@") @jump
(jump_expression "continue@") @jump
[(lambda_literal) (anonymous_function)] @closure
""",
    statements="""
(statements (_) @statement)
(class_body (_) @statement)
(enum_class_body (_) @statement)
(source_file (_) @statement)
(when_entry) @statement
""",
)
