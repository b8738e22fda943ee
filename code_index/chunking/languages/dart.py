"""Dart: the grammar puts a function's signature and body side by side."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_MODIFIERS: Final = re.compile(r"\b(?:required|final|covariant|late|static|external|const|factory|abstract)\s+")
_LISTS: Final = frozenset({"formal_parameter_list", "optional_formal_parameters"})


def _signature(node: Node) -> Node:
    """The signature itself; that of a method is one level deeper."""
    if node.type not in {"method_signature", "declaration"}:
        return node
    return next((child for child in node.named_children if child.type.endswith("_signature")), node)


def _name(node: Node, source: bytes) -> str:
    """`name`, `name=` of a setter, `operator ==`, `Class.name` of a named constructor as `name`."""
    signature = _signature(node)
    if signature.type == "operator_signature":
        text = text_of(signature, source)
        return f"operator {text.partition('operator')[2].partition('(')[0].strip()}"
    if "constructor" in signature.type:
        names = [text_of(child, source) for child in signature.named_children if child.type == "identifier"]
        return names[-1] if names else ""
    name = text_of(signature.child_by_field_name("name"), source)
    return f"{name}=" if signature.type == "setter_signature" else name


def _named_child_name(node: Node, source: bytes) -> str:
    """Name of a mixin, which the grammar gives no field."""
    name = node.child_by_field_name("name") or first_child(node, ("identifier", "type_identifier"))
    return text_of(name or node.child_by_field_name("class"), source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    found: list[Parameter] = []
    values = first_child(_signature(carrier), ("formal_parameter_list",))
    pending = list(reversed(values.children)) if values is not None else []
    after_equals = False
    while pending:
        child = pending.pop()
        if child.type in _LISTS:
            pending += reversed(child.children)
        elif child.type == "formal_parameter":
            text = _MODIFIERS.sub("", text_of(child, source))
            kind, _, name = text.rpartition(" ")
            found.append(Parameter(name, kind or None))
        elif after_equals and found:
            found[-1] = Parameter(found[-1].name, found[-1].type, text_of(child, source))
        after_equals = child.type in {"=", ":"}
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    signature = _signature(carrier)
    name = signature.child_by_field_name("name")
    if signature.type not in {"function_signature", "getter_signature"} or name is None:
        return ""
    text = source[signature.start_byte : name.start_byte].decode("utf-8", "replace")
    return _MODIFIERS.sub("", " ".join(text.split()) + " ").strip().removesuffix("get").strip()


LANGUAGE: Final = LanguageSpec(
    name="dart",
    title="Dart",
    extensions="dart",
    interpreters="dart",
    names={
        "method_signature": _name,
        "function_signature": _name,
        "getter_signature": _name,
        "setter_signature": _name,
        "declaration": _name,
        "type_alias": _named_child_name,
        "mixin_declaration": _named_child_name,
        "extension_declaration": _named_child_name,
    },
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("///", "/**"),
    query="""
(method_signature) @function
(program [(function_signature) (getter_signature) (setter_signature)] @function)
(class_body (declaration [(function_signature) (getter_signature) (setter_signature) (operator_signature)]) @function)
(function_body) @body
(type_alias) @class
[(class_definition) (mixin_declaration) (extension_declaration) (extension_type_declaration) (enum_declaration)] @class
[(comment) (documentation_comment)] @comment
(class_body (annotation) @attribute)
(program (annotation) @attribute)
(extension_body (annotation) @attribute)
(enum_body (annotation) @attribute)
(class_definition (annotation) @decorator)
[(import_or_export) (part_directive) (part_of_directive)] @import
[(if_statement) (for_statement) (while_statement) (do_statement) (catch_clause) (conditional_expression)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
[(switch_statement) (switch_expression)] @switch
[(switch_statement_case) (switch_expression_case)] @path
(if_null_expression) @path
(logical_and_expression) @and
(logical_or_expression) @or
(break_statement (identifier)) @jump
(continue_statement (identifier)) @jump
(function_expression) @closure
""",
    statements="""
(block (_) @statement)
(class_body (_) @statement)
(program (_) @statement)
(switch_block (_) @statement)
(argument) @statement
""",
)
