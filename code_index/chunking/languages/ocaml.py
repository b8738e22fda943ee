"""OCaml implementations: modules and functors are classes, their functions methods."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._ocaml import FAMILY

LANGUAGE: Final = replace(
    FAMILY,
    name="ocaml",
    title="OCaml",
    revision=1,
    extensions="ml mll mly",
    interpreters="ocaml",
    query=FAMILY.query
    + """
(compilation_unit (value_definition (let_binding pattern: (value_name)) @member))
(structure (value_definition (let_binding pattern: (value_name)) @closure))
(value_definition (attribute_id) (let_binding pattern: (string)) @function)
[(if_expression) (for_expression) (while_expression)] @branch
(else_clause) @else
(else_clause expression: (if_expression) @else_if)
[(match_expression) (function_expression) (try_expression)] @switch
(match_case) @path
(match_case pattern: (value_pattern) @_any (#eq? @_any "_")) @not_path
(infix_expression operator: (and_operator)) @and
(infix_expression operator: (or_operator)) @or
[(fun_expression) (function_expression)] @closure
""",
)
