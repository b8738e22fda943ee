"""C++."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._c import FAMILY, HEAD_WITHOUT_PARAMETERS, prototypes

LANGUAGE: Final = replace(
    FAMILY,
    name="cpp",
    title="C++",
    extensions="cpp cc cxx c++ hpp hh hxx h++ ipp ixx cppm inl tpp txx ino C H",
    modes="c++",
    dotted_methods=True,
    query=FAMILY.query
    + HEAD_WITHOUT_PARAMETERS
    + prototypes(
        "(identifier) (field_identifier) (qualified_identifier) (destructor_name) (operator_name)",
        ("pointer_declarator", "reference_declarator"),
    )
    + """
(declaration declarator: (operator_cast)) @prototype
(field_declaration type: (_) declarator: (function_declarator) default_value: (number_literal)) @function
(field_declaration type: (_) declarator: (_ (function_declarator)) default_value: (number_literal)) @function
(alias_declaration) @class
(type_definition type: [(template_type) (qualified_identifier)]) @class
(linkage_specification body: [(declaration) (function_definition)]) @wrapper
(class_specifier name: (_) body: (_)) @class
(namespace_definition) @scope
(template_declaration) @wrapper
(attribute_declaration) @decorator
[(for_range_loop) (catch_clause)] @branch
(binary_expression operator: "and") @and
(binary_expression operator: "or") @or
(lambda_expression) @closure
""",
)
