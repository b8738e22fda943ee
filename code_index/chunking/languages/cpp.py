"""C++."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._c import FAMILY

LANGUAGE: Final = replace(
    FAMILY,
    name="cpp",
    title="C++",
    extensions="cpp cc cxx c++ hpp hh hxx h++ ipp ixx cppm inl tpp txx cu cuh ino C H",
    modes="c++",
    dotted_methods=True,
    query=FAMILY.query
    + """
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
