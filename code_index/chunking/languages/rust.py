"""Rust."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of, without_generics

_REFERENCE: Final = re.compile(r"^(?:[&*]|'\w+\s|mut\s|const\s|dyn\s|\s)+")


def _impl_name(node: Node, source: bytes) -> str:
    """The type without references, lifetimes and type arguments; an array or tuple as it stands."""
    name = _REFERENCE.sub("", text_of(node.child_by_field_name("type"), source))
    return without_generics(name) or name


LANGUAGE: Final = LanguageSpec(
    name="rust",
    title="Rust",
    extensions="rs",
    interpreters="cargo rust-script run-cargo-script",
    names={"impl_item": _impl_name},
    query="""
[(function_item) (function_signature_item)] @function
(type_item) @class
(macro_definition) @function
[(struct_item) (enum_item) (union_item) (trait_item) (impl_item)] @class
(mod_item body: (_)) @scope
[(line_comment) (block_comment)] @comment
(source_file (line_comment (inner_doc_comment_marker)) @file_docstring)
(source_file (macro_invocation (token_tree) @items))
(source_file (expression_statement (macro_invocation (token_tree) @items)))
(declaration_list (macro_invocation (token_tree) @items))
(attribute_item) @attribute
(use_declaration) @import
(extern_crate_declaration) @import
(field_declaration) @field
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
    statements="""
(block (_) @statement)
(declaration_list (_) @statement)
(source_file (_) @statement)
(match_block (_) @statement)
(enum_variant_list (_) @statement)
""",
)
