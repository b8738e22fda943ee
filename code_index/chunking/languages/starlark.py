"""Starlark: functions and rules of Bazel, and the targets of build files, which are called as labels call them."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of


def _target(statement: Node, source: bytes) -> str:
    """The `name` of a rule's call."""
    call = statement.named_child(0)
    values = call.child_by_field_name("arguments") if call is not None else None
    for value in values.named_children if values is not None else ():
        if text_of(value.child_by_field_name("name"), source) == "name":
            return text_of(value.child_by_field_name("value"), source).strip("\"'")
    return ""


LANGUAGE: Final = LanguageSpec(
    name="starlark",
    title="Starlark",
    revision=1,
    extensions="bzl star bazel",
    file_names="build workspace tiltfile module.bazel buck",
    modes="bazel starlark",
    names={"expression_statement": _target},
    name_fields=("name", "left"),
    indentation_binds=True,
    query="""
(function_definition) @function
(module (expression_statement (assignment left: (identifier) right: (call function: (identifier) @_maker)) @class)
 (#any-of? @_maker "rule" "provider" "aspect" "macro" "repository_rule" "module_extension" "tag_class" "transition" "struct" "symbolic_macro" "subrule"))
(module (expression_statement (call function: (_) @_rule arguments: (argument_list (keyword_argument name: (identifier) @_key value: (string))))) @class
 (#eq? @_key "name") (#not-match? @_rule "^(bazel_dep|module|workspace)$"))
(comment) @comment
(function_definition body: (block . (expression_statement (string) @docstring)))
(module . (comment)* . (expression_statement (string) @file_docstring))
(module (expression_statement (assignment right: (call arguments: (argument_list (keyword_argument name: (identifier) @_key value: (string) @inner_doc)))))
 (#eq? @_key "doc"))
(module (expression_statement (assignment right: (call function: (identifier) @_maker arguments: (argument_list . (string) @inner_doc))))
 (#eq? @_maker "provider"))
(module (expression_statement (call function: (identifier) @_load) @import) (#any-of? @_load "load" "bazel_dep" "use_extension" "use_repo" "include"))
[(if_statement) (for_statement) (conditional_expression)] @branch
(elif_clause) @elif
(else_clause) @else
[(for_in_clause) (if_clause)] @path
(boolean_operator operator: "and") @and
(boolean_operator operator: "or") @or
(lambda) @closure
""",
    statements="""
(block (_) @statement)
(module (_) @statement)
(list (_) @statement)
(dictionary (_) @statement)
""",
)
