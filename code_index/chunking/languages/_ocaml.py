"""The family of OCaml: implementations and interfaces."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_FUNCTIONS: Final = ("fun_expression", "function_expression")
_NAMED: Final = (
    *("value_name", "parenthesized_operator", "module_name", "module_type_name", "class_name", "class_type_name"),
    *("method_name", "constructor_name", "string"),
)


def _name(node: Node, source: bytes) -> str:
    """The name; an operator without parentheses."""
    if node.type == "exception_definition":
        node = first_child(node, ("constructor_declaration",)) or node
    named = node.child_by_field_name("pattern") or node.child_by_field_name("name") or first_child(node, _NAMED)
    return text_of(named, source).strip('()" ')


def _carrier(node: Node) -> Node | None:
    """The function that a name is bound to."""
    body = node.child_by_field_name("body") if node.type == "let_binding" else None
    has_parameters = first_child(node, ("parameter",)) is not None
    return body if body is not None and body.type in _FUNCTIONS and not has_parameters else None


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    return tuple(_parameter(child, source) for child in carrier.named_children if child.type == "parameter")


def _parameter(node: Node, source: bytes) -> Parameter:
    pattern = node.child_by_field_name("pattern")
    kind, default = node.child_by_field_name("type"), node.child_by_field_name("default")
    if pattern is not None and pattern.type == "typed_pattern":
        kind, pattern = pattern.child_by_field_name("type"), pattern.child_by_field_name("pattern")
    whole = text_of(node, source)
    mark = whole[:1] if whole[:1] in "~?" else ""
    name = text_of(pattern, source).removeprefix(mark) if pattern is not None else whole
    return Parameter(mark + name if mark else name, text_of(kind, source) or None, text_of(default, source) or None)


def _return_type(carrier: Node, source: bytes) -> str:
    kind = carrier.child_by_field_name("type")
    while carrier.type != "let_binding" and kind is not None and kind.type == "function_type":
        kind = kind.child_by_field_name("codomain")
    return text_of(kind, source)


def _doc_text(comment: str) -> str:
    return (
        comment.strip()
        .removeprefix("(*")
        .removeprefix("*")
        .removesuffix(")")
        .removesuffix("*")
        .removesuffix("*")
        .strip()
    )


FAMILY: Final = LanguageSpec(
    name="",
    names=dict.fromkeys(
        (
            *(
                "let_binding",
                "value_specification",
                "external",
                "type_binding",
                "exception_definition",
                "module_binding",
            ),
            *(
                "module_type_definition",
                "class_binding",
                "class_type_binding",
                "method_definition",
                "method_specification",
            ),
        ),
        _name,
    ),
    carrier=_carrier,
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("(**",),
    doc_text=_doc_text,
    prefix=re.compile(
        rb"\b(?:(?:let|and|module|type|class)(?:%\w+)?(?:\s*\[@@?[^\]\n]*\])*(?:\s+(?:rec|nonrec|virtual|type))*)\s+\Z"
    ),
    query="""
[(module_binding) (module_type_definition) (class_binding) (class_type_binding) (type_binding) (exception_definition)] @class
[(value_specification) (external) (method_definition) (method_specification)] @function
(let_binding pattern: [(value_name) (parenthesized_operator)] (parameter)) @function
(let_binding pattern: [(value_name) (parenthesized_operator)] body: [(fun_expression) (function_expression)]) @function
(comment) @comment
(open_module) @import
""",
    statements="""
(compilation_unit (_) @statement)
(structure (_) @statement)
(signature (_) @statement)
(match_case) @statement
(let_expression (value_definition) @statement)
(sequence_expression (_) @statement)
""",
)
