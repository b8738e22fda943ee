"""Luau: Lua with types."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tree_sitter import Node

from code_index.chunking.languages._lua import FAMILY
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_NO_RESULT: Final = frozenset({"comment", "generic_type_list"})


def _type_name(node: Node, source: bytes) -> str:
    """The name of a type without its parameters."""
    name = node.child_by_field_name("name")
    return text_of(first_child(name, ("identifier",)) if name is not None and name.named_child_count else name, source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    values = carrier.child_by_field_name("parameters")
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        name, *kinds = child.named_children or [child]
        if child.type == "parameter":
            found.append(Parameter(text_of(name, source), text_of(kinds[0], source) if kinds else None))
        elif child.type != "comment":
            found.append(Parameter(text_of(child, source)))
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    """The text between the parameters and the body."""
    after = False
    for index, child in enumerate(carrier.children):
        field = carrier.field_name_for_child(index)
        if field == "body":
            break
        if after and child.is_named and child.type not in _NO_RESULT:
            return text_of(child, source)
        after = after or field == "parameters"
    return ""


LANGUAGE: Final = replace(
    FAMILY,
    name="luau",
    title="Luau",
    revision=1,
    extensions="luau",
    interpreters="luau lune lute",
    modes="luau",
    names={**FAMILY.names, "type_definition": _type_name},
    parameters_of=_parameters,
    return_type_of=_return_type,
    query=FAMILY.query
    + """
(type_definition) @class
(if_expression) @branch
""",
)
