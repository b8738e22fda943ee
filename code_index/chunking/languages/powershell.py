"""PowerShell: functions, filters, classes, and the blocks of Pester's tests."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_comments, without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, raw_text_of, text_of
from code_index.core.model import Parameter

_SCOPE: Final = re.compile(r"(?i:global|script|local|private|function):")
_BLOCK: Final = re.compile(r"\A<#+|#+>\Z")
_KEYWORD: Final = re.compile(r"^[ \t]*\.(?:SYNOPSIS|DESCRIPTION)[ \t]*\n?", re.MULTILINE | re.IGNORECASE)


def _name(node: Node, source: bytes) -> str:
    return _SCOPE.sub("", text_of(first_child(node, ("function_name", "simple_name")), source))


def _title(node: Node, source: bytes) -> str:
    """The first argument of `Describe 'Get-Order' {`, `It` or `Configuration`."""
    elements = node.child_by_field_name("command_elements")
    values = [child for child in elements.named_children if child.type != "command_argument_sep"] if elements else []
    named = next((value for value in values if not text_of(value, source).startswith("-")), None)
    return text_of(named, source).strip("\"'")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Those of `param (...)`, of `function f(...)` or of a method."""
    outer = first_child(carrier, ("function_parameter_declaration", "class_method_parameter_list"))
    if outer is None and (body := first_child(carrier, ("script_block",))) is not None:
        outer = first_child(body, ("param_block",))
    values = first_child(outer, ("parameter_list",)) or outer if outer is not None else None
    return tuple(
        _parameter(child, source)
        for child in (values.named_children if values is not None else ())
        if child.type in {"script_parameter", "class_method_parameter"}
    )


def _parameter(node: Node, source: bytes) -> Parameter:
    attributes = first_child(node, ("attribute_list",))
    types = [
        text_of(attribute, source)[1:-1]
        for attribute in (
            attributes.named_children if attributes is not None else (first_child(node, ("type_literal",)),)
        )
        if attribute is not None and (attribute.type == "type_literal" or first_child(attribute, ("type_literal",)))
    ]
    default = text_of(first_child(node, ("script_parameter_default",)), source).removeprefix("=").strip()
    name = text_of(first_child(node, ("variable",)), source)
    return Parameter(name, types[-1] if types else None, default or None)


def _return_type(carrier: Node, source: bytes) -> str:
    return (
        text_of(first_child(carrier, ("type_literal",)), source)[1:-1]
        if carrier.type == "class_method_definition"
        else ""
    )


def _doc_text(comment: str) -> str:
    """The help without the names of its first sections."""
    if not comment.startswith("<#"):
        return without_markers(comment)
    return _KEYWORD.sub("", _BLOCK.sub("", comment)).strip("\n")


def _help(node: Node, source: bytes) -> str:
    """The help that stands first in a function."""
    block = first_child(node, ("script_block",))
    for child in [*node.named_children, *(block.named_children[:1] if block is not None else ())]:
        if child.type == "comment" and child.start_byte > node.start_byte:
            text = raw_text_of(child, source)
            return (clean_comments([text], _doc_text) or "") if text.startswith("<#") else ""
    return ""


LANGUAGE: Final = LanguageSpec(
    name="powershell",
    title="PowerShell",
    revision=1,
    extensions="ps1 psm1 psd1",
    interpreters="pwsh",
    name_types=("function_name", "simple_name"),
    names={"function_statement": _name, "command": _title},
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_of=_help,
    doc_prefixes=("<#",),
    doc_text=_doc_text,
    query="""
[(class_statement) (enum_statement)] @class
[(function_statement) (class_method_definition)] @function
(command command_name: (command_name) @_test (#match? @_test "^(?i:it|configuration)$")) @function
(command command_name: (command_name) @_suite (#match? @_suite "^(?i:describe|context)$")) @scope
(command command_name: (command_name) @_suite command_elements: (command_elements (array_literal_expression (unary_expression (script_block_expression) @passage))) (#match? @_suite "^(?i:describe|context)$"))
(comment) @comment
(command command_name: (command_name) @_use (#match? @_use "^(?i:using|import-module)$")) @import
[(if_statement) (foreach_statement) (for_statement) (while_statement) (do_statement) (catch_clause)] @branch
(elseif_clause) @elif
(else_clause) @else
(switch_statement) @switch
(switch_clause) @path
(switch_clause (switch_clause_condition) @_default (#match? @_default "^(?i:default)$")) @not_path
(logical_expression "-and") @and
(logical_expression "-or") @or
(script_block_expression) @closure
""",
    statements="""
(statement_list (_) @statement)
(class_statement (_) @statement)
""",
)
