"""Go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of, without_generics


def _method_name(node: Node, source: bytes) -> str:
    """`Receiver.Method`, the receiver without pointer and type parameters."""
    name = text_of(node.child_by_field_name("name"), source)
    receiver = text_of(node.child_by_field_name("receiver"), source).strip("()")
    owner = without_generics(receiver).rpartition(" ")[2].lstrip("*") if receiver else ""
    return f"{owner}.{name}" if owner else name


def _carrier(node: Node) -> Node | None:
    """The function of `var f = func() {}` and of `var f = wrap(func() {})`."""
    values = node.child_by_field_name("value") if node.type == "var_spec" else None
    value = values.named_child(0) if values is not None else None
    if value is not None and value.type == "call_expression":
        arguments = value.child_by_field_name("arguments")
        return first_child(arguments, ("func_literal",)) if arguments is not None else None
    return value


def _receiver(node: Node, source: bytes) -> str:
    """`c` of `func (c *Command) Run()`."""
    receiver = node.child_by_field_name("receiver")
    parameter = first_child(receiver, ("parameter_declaration",)) if receiver is not None else None
    return text_of(parameter.child_by_field_name("name"), source) if parameter is not None else ""


_VERSION: Final = re.compile(r"v\d+")


def _imported(text: str) -> Iterator[tuple[str, str, str]]:
    """The package of `"a/b"`, by its last part that is no version, or by the name before it."""
    local, _, module = text.rpartition(" ")
    module = module.strip('"`')
    parts = module.split("/")
    own = parts[-2] if len(parts) > 1 and _VERSION.fullmatch(parts[-1]) else parts[-1]
    yield local or own.partition(".v")[0].removeprefix("go-"), module, ""


LANGUAGE: Final = LanguageSpec(
    name="go",
    title="Go",
    extensions="go",
    interpreters="gorun yaegi go",
    names={"method_declaration": _method_name},
    dotted_methods=True,
    carrier=_carrier,
    return_fields=("result",),
    imported=_imported,
    called=re.compile(rb"(?:\[[^\[\]()]{0,80}\])?\("),
    keyed=re.compile(rb":(?!=)"),
    self_names=frozenset(),
    self_of=_receiver,
    query="""
(function_declaration) @function
(method_declaration) @function
[(type_spec) (type_alias)] @class
(type_declaration . [(type_spec) (type_alias)] .) @wrapper
(source_file (var_declaration (var_spec . name: (identifier) . value: (expression_list . [(func_literal) (call_expression arguments: (argument_list (func_literal)))] .)) @function))
(source_file (var_declaration (var_spec_list (var_spec . name: (identifier) . value: (expression_list . [(func_literal) (call_expression arguments: (argument_list (func_literal)))] .)) @function)))
(source_file (var_declaration . (var_spec . name: (identifier) . value: (expression_list . [(func_literal) (call_expression arguments: (argument_list (func_literal)))] .)) .) @wrapper)
(comment) @comment
(package_clause) @file_head
(import_spec) @import
(field_declaration name: (_) type: (_)) @field
[(if_statement) (for_statement)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
[(expression_switch_statement) (type_switch_statement) (select_statement)] @switch
[(expression_case) (type_case) (communication_case)] @path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(goto_statement) @jump
(break_statement (label_name)) @jump
(continue_statement (label_name)) @jump
(func_literal) @closure
[(const_spec name: (identifier) @variable) (var_spec name: (identifier) @variable)]
(field_declaration name: (field_identifier) @variable)
(method_elem name: (field_identifier) @operation)
(package_clause (package_identifier) @package)
(field_declaration !name type: (_) @bases)
(parameter_declaration name: (identifier) @local)
(variadic_parameter_declaration name: (identifier) @local)
(short_var_declaration left: (expression_list (identifier) @local))
(range_clause left: (expression_list (identifier) @local))
""",
    statements="""
(block (_) @statement)
(statement_list (_) @statement)
(source_file (_) @statement)
(const_spec) @statement
(var_spec) @statement
(keyed_element) @statement
""",
)
