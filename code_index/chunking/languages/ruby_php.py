"""Ruby and PHP."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec

RUBY: Final = LanguageSpec(
    name="ruby",
    doc_prefixes=("##", "=begin"),
    query="""
[(class) (module)] @class
[(method) (singleton_method)] @function
(comment) @comment
(call !receiver method: (identifier) @_require (#any-of? @_require "require" "require_relative" "load" "autoload")) @import
[(if) (unless) (while) (until) (for) (if_modifier) (unless_modifier) (while_modifier) (until_modifier) (conditional) (rescue) (rescue_modifier)] @branch
(elsif) @elif
(if alternative: (else) @else)
(elsif alternative: (else) @else)
(unless alternative: (else) @else)
[(case) (case_match)] @switch
[(when) (in_clause)] @path
(binary operator: "&&") @and
(binary operator: "and") @and
(binary operator: "||") @or
(binary operator: "or") @or
[(do_block) (block) (lambda)] @closure
""",
    statements="""
(body_statement (_) @statement)
(program (_) @statement)
(then (_) @statement)
(block_body (_) @statement)
(pair) @statement
""",
)

PHP: Final = LanguageSpec(
    name="php",
    doc_prefixes=("/**",),
    query="""
[(class_declaration) (interface_declaration) (trait_declaration) (enum_declaration)] @class
[(method_declaration) (function_definition)] @function
(namespace_definition body: (_)) @scope
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
