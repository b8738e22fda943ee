"""GLSL: functions, structures, and blocks of uniforms and buffers as classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tree_sitter import Node

from code_index.chunking.languages._c import FAMILY, HEAD_WITHOUT_PARAMETERS, NAMES, prototypes
from code_index.chunking.signatures import first_child, text_of


def _declared_name(node: Node, source: bytes) -> str:
    """The name of a block of uniforms, else that of a prototype."""
    if first_child(node, ("field_declaration_list",)) is not None:
        return text_of(first_child(node, ("identifier",)), source)
    return NAMES["declaration"](node, source)


LANGUAGE: Final = replace(
    FAMILY,
    name="glsl",
    title="GLSL",
    revision=1,
    extensions="glsl vert frag geom comp tesc tese rgen rchit rahit rmiss rint rcall",
    modes="glsl",
    names={**NAMES, "declaration": _declared_name},
    query=FAMILY.query
    + HEAD_WITHOUT_PARAMETERS
    + prototypes("(identifier)", ())
    + """
(declaration (identifier) (field_declaration_list)) @class
""",
)
