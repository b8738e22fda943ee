"""Java."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from code_index.chunking.language_spec import LanguageSpec


def _imported(text: str) -> Iterator[tuple[str, str, str]]:
    """The class of `import a.b.C;`, and the member of `import static a.b.C.d;`."""
    path = text.removeprefix("import").strip(" ;").removeprefix("static ").replace(" ", "")
    module, _, name = path.rpartition(".")
    if name:
        yield name, module, name


LANGUAGE: Final = LanguageSpec(
    name="java",
    title="Java",
    extensions="java",
    interpreters="jbang",
    return_fields=("type",),
    doc_prefixes=("/**",),
    imported=_imported,
    self_names=frozenset({"this"}),
    implicit_self=True,
    query="""
[(class_declaration) (interface_declaration) (enum_declaration) (record_declaration) (annotation_type_declaration)] @class
[(method_declaration) (constructor_declaration) (compact_constructor_declaration) (annotation_type_element_declaration)] @function
[(line_comment) (block_comment)] @comment
(modifiers [(annotation) (marker_annotation)] @decorator)
(import_declaration) @import
(field_declaration type: (_) declarator: (_)) @field
[(if_statement) (for_statement) (enhanced_for_statement) (while_statement) (do_statement) (catch_clause) (ternary_expression)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
(switch_expression) @switch
(switch_label "case") @path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(break_statement (identifier)) @jump
(continue_statement (identifier)) @jump
(lambda_expression) @closure
(field_declaration declarator: (variable_declarator name: (identifier) @variable))
(constant_declaration declarator: (variable_declarator name: (identifier) @variable))
(enum_constant name: (identifier) @variable)
(package_declaration [(identifier) (scoped_identifier)] @package)
[(superclass) (super_interfaces) (extends_interfaces)] @bases
(local_variable_declaration declarator: (variable_declarator name: (identifier) @local))
(formal_parameter name: (identifier) @local)
(catch_formal_parameter name: (identifier) @local)
(enhanced_for_statement name: (identifier) @local)
(resource name: (identifier) @local)
(lambda_expression parameters: (identifier) @local)
(inferred_parameters (identifier) @local)
""",
    statements="""
(block (_) @statement)
(class_body (_) @statement)
(program (_) @statement)
(array_initializer (_) @statement)
(enum_constant) @statement
""",
)
