"""Protobuf: messages, enums and services are classes, the calls of a service are methods."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter


def _types(call: Node, source: bytes) -> list[str]:
    """Types of a call's request and response, such as `stream Order`."""
    found: list[str] = []
    prefix = ""
    for child in call.children:
        if child.type == "message_or_enum_type":
            found.append(prefix + text_of(child, source))
        prefix = "stream " if child.type == "stream" else ""
    return found


def _parameters(call: Node, source: bytes) -> tuple[Parameter, ...]:
    return tuple(Parameter("", kind) for kind in _types(call, source)[:1])


def _return_type(call: Node, source: bytes) -> str:
    return "".join(_types(call, source)[1:])


LANGUAGE: Final = LanguageSpec(
    name="proto",
    title="Protobuf",
    revision=1,
    extensions="proto",
    modes="protobuf",
    name_types=("full_ident", "message_name", "enum_name", "service_name", "rpc_name"),
    parameters_of=_parameters,
    return_type_of=_return_type,
    query="""
(package) @scope
(package) @rest
(package) @file_head
[(message) (enum) (service)] @class
(rpc) @function
(comment) @comment
(import) @import
""",
    statements="""
(source_file (_) @statement)
(message_body (_) @statement)
(enum_body (_) @statement)
(service (_) @statement)
""",
)
