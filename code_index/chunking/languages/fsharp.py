"""F#: modules in a file are classes, the module of a file is a scope."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_LEFT: Final = ("function_declaration_left", "value_declaration_left")
_NAMES: Final = ("identifier", "op_identifier", "active_pattern", "identifier_pattern", "long_identifier")
_TYPES: Final = tuple(
    f"{kind}_type_defn"
    for kind in ("union", "record", "anon", "enum", "delegate", "abbrev", "class", "interface", "struct")
)


def _bound_name(node: Node, source: bytes) -> str:
    """`f` of `let f x = ...`; an operator or active pattern without parentheses."""
    left = first_child(node, _LEFT)
    return text_of(first_child(left, _NAMES), source).strip("() ") if left is not None else ""


def _type_name(node: Node, source: bytes) -> str:
    outer = first_child(node, ("type_name",))
    name = text_of(outer.child_by_field_name("type_name") if outer is not None else None, source)
    return name.rpartition(".")[2]


def _member_name(node: Node, source: bytes) -> str:
    """`Size` of `member this.Size`; a further constructor is called `new`."""
    defined = first_child(
        node, ("method_or_prop_defn", "member_signature", "additional_constr_defn", "property_or_ident")
    )
    if defined is None:
        return ""
    if defined.type == "additional_constr_defn":
        return "new"
    named = defined.child_by_field_name("name") or defined
    named = named.child_by_field_name("method") or first_child(named, ("identifier", "op_identifier")) or named
    return text_of(named, source).strip("() ")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Curried parameters in order, those of a tuple one by one."""
    left = first_child(carrier, _LEFT)
    values = first_child(left, ("argument_patterns",)) if left is not None else None
    patterns = list(values.named_children) if values is not None else []
    defined = first_child(carrier, ("method_or_prop_defn",))
    if defined is not None and (only := defined.child_by_field_name("args")) is not None:
        patterns = [only]
    found: list[Parameter] = []
    while patterns:
        pattern = patterns.pop(0)
        inner = pattern.named_children
        if pattern.type == "typed_pattern" and len(inner) > 1:
            found.append(Parameter(text_of(inner[0], source), text_of(inner[-1], source)))
        elif pattern.type == "paren_pattern":
            found += _tuple(text_of(pattern, source)[1:-1])
        elif text_of(pattern, source) != "()":
            found.append(Parameter(text_of(pattern, source)))
    return tuple(found)


def _tuple(text: str) -> list[Parameter]:
    """Parameters of `(a: int, b)` without its parentheses."""
    found: list[Parameter] = []
    depth = start = 0
    for position, character in enumerate(f"{text},"):
        depth += (character in "([<{") - (character in ")]}") - (character == ">" and text[position - 1] != "-")
        if character == "," and depth <= 0:
            name, _, kind = text[start:position].partition(":")
            found.append(Parameter(name.strip(), kind.strip() or None))
            start = position + 1
    return [parameter for parameter in found if parameter.name]


def _return_type(carrier: Node, source: bytes) -> str:
    """The type between the parameters and `=`."""
    head = first_child(carrier, ("method_or_prop_defn",)) or carrier
    for child in head.children:
        if child.type == "=":
            return ""
        if child.type.endswith("_type"):
            return text_of(child, source)
    return ""


LANGUAGE: Final = LanguageSpec(
    name="fsharp",
    title="F#",
    revision=1,
    extensions="fs fsi fsx",
    name_fields=("name", "exception_name"),
    name_types=("long_identifier", "identifier"),
    names={
        "function_or_value_defn": _bound_name,
        "member_defn": _member_name,
        "type_extension": _type_name,
        **dict.fromkeys(_TYPES, _type_name),
    },
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("///", "(**"),
    prefix=re.compile(rb"\b(?:type|and)\s+\Z"),
    sheds_comments=True,
    query="""
[(namespace) (named_module)] @scope
(module_defn) @class
[(union_type_defn) (record_type_defn) (anon_type_defn) (enum_type_defn) (delegate_type_defn) (type_extension) (exception_definition)] @class
(function_or_value_defn (function_declaration_left)) @function
(function_or_value_defn (value_declaration_left) body: [(fun_expression) (function_expression)]) @function
(named_module (declaration_expression (function_or_value_defn (value_declaration_left)) @member))
(file (declaration_expression (function_or_value_defn (value_declaration_left)) @member))
(module_defn (declaration_expression (function_or_value_defn (value_declaration_left)) @closure))
(member_defn) @function
[(declaration_expression) (type_definition)] @wrapper
[(line_comment) (block_comment)] @comment
(attributes) @decorator
(import_decl) @import
[(if_expression) (for_expression) (while_expression)] @branch
(elif_expression) @elif
(if_expression "else" @else)
[(match_expression) (function_expression) (try_expression)] @switch
(rule) @path
(rule pattern: (wildcard_pattern)) @not_path
(infix_expression (infix_op) @_and (#eq? @_and "&&")) @and
(infix_expression (infix_op) @_or (#eq? @_or "||")) @or
(fun_expression) @closure
""",
    statements="""
(declaration_expression) @statement
(type_definition) @statement
(member_defn) @statement
(rule) @statement
(sequential_expression (_) @statement)
""",
)
