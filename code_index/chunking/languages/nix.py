"""Nix: bound functions, and bindings to attribute sets of several lines: options, packages, parts of a flake."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter


def _path(binding: Node, source: bytes) -> str:
    """`services.web.enable`, without quotes."""
    return text_of(binding.child_by_field_name("attrpath"), source).replace('"', "")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Those of a function, and of the functions that it gives: `a: b: ...` has two."""
    found: list[Parameter] = []
    function: Node | None = carrier
    while function is not None and function.type == "function_expression":
        formals = function.child_by_field_name("formals")
        for formal in formals.named_children if formals is not None else ():
            default = text_of(formal.child_by_field_name("default"), source) or None
            found.append(Parameter(text_of(formal.child_by_field_name("name") or formal, source), default=default))
        if formals is None:
            found.append(Parameter(text_of(function.child_by_field_name("universal"), source)))
        function = function.child_by_field_name("body")
    return tuple(found)


LANGUAGE: Final = LanguageSpec(
    name="nix",
    title="Nix",
    revision=1,
    extensions="nix",
    modes="nix",
    names={"binding": _path},
    value_fields=("expression",),
    parameters_of=_parameters,
    query=r"""
(binding expression: (function_expression)) @function
(binding expression: [(attrset_expression) (rec_attrset_expression)] @_value (#match? @_value "\n")) @class
(binding expression: (apply_expression argument: [(attrset_expression) (rec_attrset_expression)] @_value) (#match? @_value "\n")) @class
(comment) @comment
(binding attrpath: (attrpath) @_key expression: (string_expression) @inner_doc (#eq? @_key "description"))
(binding attrpath: (attrpath) @_key expression: (indented_string_expression (string_fragment) @inner_doc) (#eq? @_key "description"))
(apply_expression function: (variable_expression name: (identifier) @_import) argument: (path_expression) (#eq? @_import "import")) @import
(apply_expression function: [(variable_expression) (select_expression)] @_call argument: (path_expression) (#match? @_call "callPackage$")) @import
(binding attrpath: (attrpath) @_key expression: (list_expression (path_expression) @import) (#eq? @_key "imports"))
(if_expression) @branch
(if_expression alternative: (if_expression) @else_if @else)
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
""",
    statements="""
(binding_set (_) @statement)
(list_expression (_) @statement)
""",
)
