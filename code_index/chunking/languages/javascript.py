"""JavaScript."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from code_index.chunking.languages._javascript import FAMILY, fields

LANGUAGE: Final = replace(
    FAMILY,
    name="javascript",
    title="JavaScript",
    extensions="js mjs cjs jsx es es6 jsm",
    interpreters="node nodejs gjs qjs zx osascript",
    query=FAMILY.query
    + fields("field_definition")
    + """
(method_definition decorator: (decorator) @decorator)
(class_declaration decorator: (decorator) @decorator)
(export_statement decorator: (decorator) @decorator)
(class_body (field_definition property: [(property_identifier) (private_property_identifier)] @variable))
(formal_parameters (identifier) @local)
""",
)
