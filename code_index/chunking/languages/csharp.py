"""C#."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, conditional_text
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of


def _operator_name(node: Node, source: bytes) -> str:
    return f"operator {text_of(node.child_by_field_name('operator'), source)}"


def _conversion_name(node: Node, source: bytes) -> str:
    return f"operator {text_of(node.child_by_field_name('type'), source)}"


def _indexer_name(_node: Node, _source: bytes) -> str:
    return "this[]"


def _destructor_name(node: Node, source: bytes) -> str:
    return f"~{text_of(node.child_by_field_name('name'), source)}"


def _directives(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Directives of conditional compilation, which the grammar knows between statements and declarations only."""
    return conditional_text(text, faults)


LANGUAGE: Final = LanguageSpec(
    name="csharp",
    title="C#",
    extensions="cs csx",
    interpreters="dotnet dotnet-script csharp",
    names={
        "operator_declaration": _operator_name,
        "conversion_operator_declaration": _conversion_name,
        "indexer_declaration": _indexer_name,
        "destructor_declaration": _destructor_name,
    },
    return_fields=("returns", "type"),
    repairs=(_directives,),
    query="""
[(class_declaration) (struct_declaration) (interface_declaration) (record_declaration) (enum_declaration) (delegate_declaration)] @class
[(method_declaration) (constructor_declaration) (destructor_declaration) (operator_declaration) (conversion_operator_declaration) (indexer_declaration) (local_function_statement)] @function
(property_declaration accessors: (accessor_list (accessor_declaration body: (_)))) @function
[(namespace_declaration) (file_scoped_namespace_declaration)] @scope
(file_scoped_namespace_declaration) @rest
(comment) @comment
(attribute_list) @decorator
(using_directive) @import
(field_declaration (variable_declaration type: (_)) @field)
(declaration_list (property_declaration type: (_)) @field)
[(if_statement) (for_statement) (foreach_statement) (while_statement) (do_statement) (catch_clause) (conditional_expression)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
[(switch_statement) (switch_expression)] @switch
(switch_section . "case") @path
(switch_expression_arm) @path
(switch_expression_arm (discard)) @not_path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(binary_expression operator: "??") @path
(goto_statement) @jump
[(lambda_expression) (anonymous_method_expression)] @closure
""",
    statements="""
(block (_) @statement)
(declaration_list (_) @statement)
(switch_body (_) @statement)
(compilation_unit (_) @statement)
(initializer_expression (_) @statement)
(enum_member_declaration) @statement
""",
)
