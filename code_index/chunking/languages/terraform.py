"""Terraform and other files in HCL: each block at the top is named as expressions address it."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of

_PREFIXES: Final = {"resource": "", "variable": "var"}
"""How expressions address blocks whose kind is not the first part of their address."""


def _address(block: Node, source: bytes) -> str:
    """`aws_s3_bucket.logs`, `data.aws_ami.base`, `var.region`, `module.vpc`, `job.docs`."""
    kind, *labels = (
        text_of(child, source).strip('"')
        for child in block.named_children
        if child.type in {"identifier", "string_lit"}
    )
    return ".".join(filter(None, (_PREFIXES.get(kind, kind), *labels)))


def _local(attribute: Node, source: bytes) -> str:
    return f"local.{text_of(first_child(attribute, ('identifier',)), source)}"


LANGUAGE: Final = LanguageSpec(
    name="terraform",
    title="Terraform",
    revision=1,
    extensions="tf tfvars hcl tofu",
    modes="terraform hcl",
    names={"block": _address, "attribute": _local},
    is_absolute=lambda _: True,
    query="""
(config_file (body (block) @class))
(config_file (body (block (identifier) @_kind (body (attribute) @class) (#eq? @_kind "locals"))))
(block (identifier) @_kind (body (attribute (identifier) @_key (expression (literal_value (string_lit) @inner_doc))))
 (#any-of? @_kind "variable" "output") (#eq? @_key "description"))
(block (identifier) @_kind (body (attribute (identifier) @_key (expression (template_expr (heredoc_template (template_literal) @inner_doc)))))
 (#any-of? @_kind "variable" "output") (#eq? @_key "description"))
(block (identifier) @_kind (body (attribute (identifier) @_key) @import) (#eq? @_kind "module") (#eq? @_key "source"))
(comment) @comment
""",
    statements="""
(body (_) @statement)
(object_elem) @statement
(tuple (_) @statement)
""",
)
