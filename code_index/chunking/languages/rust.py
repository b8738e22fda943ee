"""Rust."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of, without_generics

_REFERENCE: Final = re.compile(r"^(?:[&*]|'\w+\s|mut\s|const\s|dyn\s|\s)+")


def _impl_name(node: Node, source: bytes) -> str:
    """The type without references, lifetimes and type arguments; an array or tuple as it stands."""
    name = _REFERENCE.sub("", text_of(node.child_by_field_name("type"), source))
    return without_generics(name) or name


_USE: Final = re.compile(r"[\w:]+(?: as \w+)?|[{},]|\*")
_MOST_NESTED: Final = 20


def _imported(text: str) -> Iterator[tuple[str, str, str]]:
    """The names that `use a::{b, c::d as e};` binds: modules look like names, so each is one in what stands before it."""
    prefixes = [""]
    path = ""
    for item in _USE.findall(re.sub(r"^(?:pub(?:\([^)]*\))?\s+)?(?:use|extern crate)\s+", "", text)):
        if item == "{":
            prefixes.append(path if len(prefixes) < _MOST_NESTED else prefixes[-1])
            path = ""
        elif item in {",", "}"}:
            path = ""
            if item == "}" and len(prefixes) > 1:
                prefixes.pop()
        elif item == "*":
            yield "*", path or prefixes[-1], "*"
        else:
            full, _, local = item.partition(" as ")
            path = "::".join(filter(None, (prefixes[-1], full.strip(":"))))
            module, _, name = path.rpartition("::")
            if full.endswith("::") or not name:
                continue
            if name == "self":
                module, _, name = module.rpartition("::")
            yield local or name, module or name, name if module else ""


LANGUAGE: Final = LanguageSpec(
    name="rust",
    title="Rust",
    extensions="rs",
    interpreters="cargo rust-script run-cargo-script",
    names={"impl_item": _impl_name},
    imported=_imported,
    called=re.compile(rb"!|(?:::<[^<>();]{0,80}>)?\("),
    keyed=re.compile(rb":(?!:)"),
    self_names=frozenset({"self", "Self"}),
    module_roots=frozenset({"crate", "super"}),
    further_parts=frozenset({"impl_item"}),
    macros=frozenset({"macro_definition"}),
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
[(const_item name: (identifier) @variable) (static_item name: (identifier) @variable)]
(enum_variant name: (identifier) @variable)
(field_declaration name: (field_identifier) @variable)
(associated_type name: (type_identifier) @variable)
(mod_item name: (identifier) @package !body)
(attribute arguments: (token_tree) @words)
(impl_item trait: (_) @bases)
(trait_item bounds: (trait_bounds) @bases)
[(let_declaration pattern: (identifier) @local) (parameter pattern: (identifier) @local)]
(closure_parameters (identifier) @local)
(for_expression pattern: (identifier) @local)
(tuple_struct_pattern (identifier) @local)
(tuple_pattern (identifier) @local)
""",
    statements="""
(block (_) @statement)
(declaration_list (_) @statement)
(source_file (_) @statement)
(match_block (_) @statement)
(enum_variant_list (_) @statement)
""",
)
