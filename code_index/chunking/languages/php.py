"""PHP."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec

LANGUAGE: Final = LanguageSpec(
    name="php",
    title="PHP",
    extensions="php phtml php3 php4 php5 php7 php8",
    interpreters="php",
    doc_prefixes=("/**",),
    text_language="html",
    path_separator="\\",
    query="""
[(class_declaration) (interface_declaration) (trait_declaration) (enum_declaration)] @class
[(method_declaration) (function_definition)] @function
(namespace_definition) @scope
(namespace_definition !body) @rest
(text) @text
(comment) @comment
(attribute_list) @decorator
(namespace_use_declaration) @import
[(require_expression) (require_once_expression) (include_expression) (include_once_expression)] @import
(declaration_list (property_declaration type: (_)) @field)
[(if_statement) (for_statement) (foreach_statement) (while_statement) (do_statement) (catch_clause) (conditional_expression)] @branch
(else_if_clause) @elif
(else_clause) @else
(else_clause (if_statement) @else_if)
[(switch_statement) (match_expression)] @switch
[(case_statement) (match_conditional_expression)] @path
(binary_expression operator: "&&") @and
(binary_expression operator: "and") @and
(binary_expression operator: "||") @or
(binary_expression operator: "or") @or
(binary_expression operator: "??") @path
(continue_statement (integer)) @jump
(break_statement (integer)) @jump
(goto_statement) @jump
[(anonymous_function) (arrow_function)] @closure
""",
    statements="""
(compound_statement (_) @statement)
(declaration_list (_) @statement)
(program (_) @statement)
(case_statement (_) @statement)
(array_element_initializer) @statement
""",
)
