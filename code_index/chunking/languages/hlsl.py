"""HLSL: functions, structures, and constant buffers, interfaces and techniques as classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._c import FAMILY, prototypes

LANGUAGE: Final = replace(
    FAMILY,
    name="hlsl",
    title="HLSL",
    revision=1,
    extensions="hlsl hlsli fx fxh",
    modes="hlsl",
    query=FAMILY.query
    + prototypes("(identifier) (field_identifier)", ())
    + """
(function_definition type: (type_identifier) @_kind declarator: (identifier)
 (#any-of? @_kind "cbuffer" "tbuffer" "interface" "technique" "technique10" "technique11" "pass")) @class
(function_definition type: (type_identifier) @_kind declarator: (identifier)
 body: (compound_statement (declaration declarator: (function_declarator)) @function) (#eq? @_kind "interface"))
((declaration type: (type_identifier) @_kind) @class . (compound_statement) @body (#any-of? @_kind "cbuffer" "tbuffer"))
(class_specifier name: (_) body: (_)) @class
(namespace_definition) @scope
(template_declaration) @wrapper
(hlsl_attribute) @decorator
""",
)
