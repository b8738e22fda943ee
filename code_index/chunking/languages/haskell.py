"""Haskell: a function is a run of clauses."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, near
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_DIRECTIVE: Final = re.compile(
    rb"^(?P<directive>\#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b(?:[^\n\\]|\\(?s:.))*+)", re.MULTILINE
)


def _directives(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Directives of conditional compilation: the grammar reads from `#else` to `#endif` as one of them."""
    return near((_DIRECTIVE,), text, faults, "directive")


def _function_name(node: Node, source: bytes) -> str:
    """The name, or the operator of `a <+> b = ...`."""
    name = node.child_by_field_name("name")
    infix = first_child(node, ("infix",))
    if name is None and infix is not None:
        name = infix.child_by_field_name("operator")
    return text_of(name, source).strip("()` ")


def _instance_name(node: Node, source: bytes) -> str:
    """`Class Type`."""
    parts = (node.child_by_field_name("name"), node.child_by_field_name("patterns"))
    return " ".join(filter(None, (text_of(part, source) for part in parts)))


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The patterns of the first clause."""
    patterns = carrier.child_by_field_name("patterns")
    infix = first_child(carrier, ("infix",))
    if patterns is None and infix is not None:
        operands = (infix.child_by_field_name("left_operand"), infix.child_by_field_name("right_operand"))
        return tuple(Parameter(text_of(operand, source)) for operand in operands if operand is not None)
    return tuple(Parameter(text_of(child, source)) for child in patterns.named_children) if patterns is not None else ()


LANGUAGE: Final = LanguageSpec(
    name="haskell",
    title="Haskell",
    extensions="hs hs-boot",
    interpreters="runhaskell runghc",
    names={
        "function": _function_name,
        "bind": _function_name,
        "instance": _instance_name,
    },
    repairs=(_directives,),
    parameters_of=_parameters,
    doc_prefixes=("-- |", "-- ^", "{-|", "{- |"),
    clauses=True,
    query="""
(declarations [(function) (bind)] @function)
(class_declarations [(function) (bind)] @function)
(instance_declarations [(function) (bind)] @function)
[(data_type) (newtype) (type_synomym) (class) (instance) (type_family) (data_family)] @class
[(comment) (haddock)] @comment
(header) @file_head
((cpp) @doubt (#match? @doubt "\\n."))
(signature) @signature
(import) @import
(fields (field) @field)
(conditional) @branch
(case) @switch
(lambda_case) @switch
(alternative) @path
(alternative pattern: (wildcard)) @not_path
(match (guards)) @path
(match (guards (boolean (variable) @_otherwise)) (#eq? @_otherwise "otherwise")) @not_path
(infix operator: (operator) @_and (#eq? @_and "&&")) @and
(infix operator: (operator) @_or (#eq? @_or "||")) @or
[(lambda) (lambda_case)] @closure
""",
    statements="""
(declarations (_) @statement)
(class_declarations (_) @statement)
(instance_declarations (_) @statement)
(do (_) @statement)
(local_binds (_) @statement)
(match) @statement
(alternative) @statement
""",
)
