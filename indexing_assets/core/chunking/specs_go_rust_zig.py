"""Go, Rust and Zig."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from indexing_assets.core.chunking.definitions import text_of, without_generics
from indexing_assets.core.chunking.language_spec import LanguageSpec


def _go_method_name(node: Node, source: bytes) -> str:
    """`Receiver.Method`, the receiver without pointer and type parameters."""
    name = text_of(node.child_by_field_name("name"), source)
    receiver = text_of(node.child_by_field_name("receiver"), source).strip("()")
    owner = without_generics(receiver).rpartition(" ")[2].lstrip("*") if receiver else ""
    return f"{owner}.{name}" if owner else name


def _impl_name(node: Node, source: bytes) -> str:
    return without_generics(text_of(node.child_by_field_name("type"), source))


GO: Final = LanguageSpec(
    name="go",
    names={"method_declaration": _go_method_name},
    dotted_methods=True,
    return_fields=("result",),
    query="""
(function_declaration) @function
(method_declaration) @function
(type_spec type: [(struct_type) (interface_type)]) @class
(type_declaration . (type_spec)) @wrapper
(comment) @comment
(import_spec) @import
(field_declaration name: (_) type: (_)) @field
(block (_) @statement)
(statement_list (_) @statement)
(source_file (_) @statement)
(const_spec) @statement
(var_spec) @statement
(keyed_element) @statement
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
""",
)

RUST: Final = LanguageSpec(
    name="rust",
    names={"impl_item": _impl_name},
    query="""
(function_item) @function
(macro_definition) @function
[(struct_item) (enum_item) (union_item) (trait_item) (impl_item)] @class
(mod_item body: (_)) @scope
[(line_comment) (block_comment)] @comment
(attribute_item) @attribute
(use_declaration) @import
(extern_crate_declaration) @import
(field_declaration) @field
(block (_) @statement)
(declaration_list (_) @statement)
(source_file (_) @statement)
(match_block (_) @statement)
(enum_variant_list (_) @statement)
[(if_expression) (for_expression) (while_expression) (loop_expression)] @branch
(match_expression) @switch
(match_arm) @path
(match_arm pattern: (match_pattern . "_" .)) @not_path
(else_clause) @else
(else_clause (if_expression) @else_if)
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(break_expression (label)) @jump
(continue_expression (label)) @jump
(closure_expression) @closure
""",
)
