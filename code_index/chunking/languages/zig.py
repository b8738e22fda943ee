"""Zig."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter


def _function_name(node: Node, source: bytes) -> str:
    """Name of a function, of a container (`const Order = struct`) or of a test."""
    head = first_child(node, ("FnProto", "VarDecl"))
    if head is None:
        return text_of(first_child(node, ("STRINGLITERALSINGLE", "IDENTIFIER")), source).strip('"')
    name = head.child_by_field_name("function") or head.child_by_field_name("variable_type_function")
    return text_of(name, source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    prototype = first_child(carrier, ("FnProto",))
    values = first_child(prototype, ("ParamDeclList",)) if prototype is not None else None
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        if child.type == "ParamDecl":
            kind = text_of(first_child(child, ("ParamType",)), source) or None
            name = text_of(child.child_by_field_name("parameter"), source)
            found.append(Parameter(name or text_of(child, source), kind))
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    """The type between the parameters (or the calling convention) and the body."""
    prototype = first_child(carrier, ("FnProto",))
    if prototype is None:
        return ""
    before = [child for child in prototype.children if child.type in {"ParamDeclList", "CallConv", "LinkSection"}]
    return source[before[-1].end_byte : prototype.end_byte].decode("utf-8", "replace").strip() if before else ""


LANGUAGE: Final = LanguageSpec(
    name="zig",
    title="Zig",
    extensions="zig zon",
    names={"Decl": _function_name, "TestDecl": _function_name},
    name_fields=(),
    parameters_of=_parameters,
    return_type_of=_return_type,
    prefix=re.compile(rb"pub \Z"),
    doc_prefixes=("///",),
    query="""
(Decl (FnProto) (Block)) @function
(TestDecl) @function
(Decl (VarDecl (ErrorUnionExpr (SuffixExpr (ContainerDecl))))) @class
[(doc_comment) (line_comment)] @comment
(source_file (container_doc_comment) @file_docstring)
(Decl (VarDecl (ErrorUnionExpr (SuffixExpr (BUILTINIDENTIFIER) @_import (#eq? @_import "@import"))))) @import
(ContainerField field_member: (_)) @field
[(IfStatement) (IfExpr) (ForStatement) (ForExpr) (WhileStatement) (WhileExpr)] @branch
(IfStatement "else" @else)
(IfStatement (Statement . (IfStatement) @else_if))
(SwitchExpr) @switch
(SwitchProng) @path
(SwitchProng (SwitchCase "else")) @not_path
(BinaryExpr operator: "and") @and
(BinaryExpr operator: "or") @or
(BinaryExpr operator: (BitwiseOp "catch")) @path
(BinaryExpr operator: (BitwiseOp "orelse")) @path
(AssignExpr (BreakLabel)) @jump
""",
    statements="""
(Block (_) @statement)
(ContainerDecl (_) @statement)
(source_file (_) @statement)
(SwitchProng) @statement
""",
)
