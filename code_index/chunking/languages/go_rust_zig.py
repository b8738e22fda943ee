"""Go, Rust and Zig."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.definitions import first_child, text_of, without_generics
from code_index.chunking.language_spec import LanguageSpec
from code_index.core.model import Parameter

_REFERENCE: Final = re.compile(r"^(?:[&*]|'\w+\s|mut\s|const\s|dyn\s|\s)+")


def _go_method_name(node: Node, source: bytes) -> str:
    """`Receiver.Method`, the receiver without pointer and type parameters."""
    name = text_of(node.child_by_field_name("name"), source)
    receiver = text_of(node.child_by_field_name("receiver"), source).strip("()")
    owner = without_generics(receiver).rpartition(" ")[2].lstrip("*") if receiver else ""
    return f"{owner}.{name}" if owner else name


def _impl_name(node: Node, source: bytes) -> str:
    """The type without references, lifetimes and type arguments; an array or tuple as it stands."""
    name = _REFERENCE.sub("", text_of(node.child_by_field_name("type"), source))
    return without_generics(name) or name


GO: Final = LanguageSpec(
    name="go",
    names={"method_declaration": _go_method_name},
    dotted_methods=True,
    return_fields=("result",),
    query="""
(function_declaration) @function
(method_declaration) @function
(type_spec type: [(struct_type) (interface_type)]) @class
(type_declaration . (type_spec)) @wrapper
(comment) @comment
(package_clause) @file_head
(import_spec) @import
(field_declaration name: (_) type: (_)) @field
[(if_statement) (for_statement)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
[(expression_switch_statement) (type_switch_statement) (select_statement)] @switch
[(expression_case) (type_case) (communication_case)] @path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(goto_statement) @jump
(break_statement (label_name)) @jump
(continue_statement (label_name)) @jump
(func_literal) @closure
""",
    statements="""
(block (_) @statement)
(statement_list (_) @statement)
(source_file (_) @statement)
(const_spec) @statement
(var_spec) @statement
(keyed_element) @statement
""",
)

RUST: Final = LanguageSpec(
    name="rust",
    names={"impl_item": _impl_name},
    query="""
(function_item) @function
(macro_definition) @function
[(struct_item) (enum_item) (union_item) (trait_item) (impl_item)] @class
(mod_item body: (_)) @scope
[(line_comment) (block_comment)] @comment
(source_file (line_comment (inner_doc_comment_marker)) @file_docstring)
(attribute_item) @attribute
(use_declaration) @import
(extern_crate_declaration) @import
(field_declaration) @field
[(if_expression) (for_expression) (while_expression) (loop_expression)] @branch
(match_expression) @switch
(match_arm) @path
(match_arm pattern: (match_pattern . "_" .)) @not_path
(else_clause) @else
(else_clause (if_expression) @else_if)
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(break_expression (label)) @jump
(continue_expression (label)) @jump
(closure_expression) @closure
""",
    statements="""
(block (_) @statement)
(declaration_list (_) @statement)
(source_file (_) @statement)
(match_block (_) @statement)
(enum_variant_list (_) @statement)
""",
)


def _zig_function_name(node: Node, source: bytes) -> str:
    """Name of a function, of a container (`const Order = struct`) or of a test."""
    head = first_child(node, ("FnProto", "VarDecl"))
    if head is None:
        return text_of(first_child(node, ("STRINGLITERALSINGLE", "IDENTIFIER")), source).strip('"')
    name = head.child_by_field_name("function") or head.child_by_field_name("variable_type_function")
    return text_of(name, source)


def _zig_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    prototype = first_child(carrier, ("FnProto",))
    values = first_child(prototype, ("ParamDeclList",)) if prototype is not None else None
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        if child.type == "ParamDecl":
            kind = text_of(first_child(child, ("ParamType",)), source) or None
            name = text_of(child.child_by_field_name("parameter"), source)
            found.append(Parameter(name or text_of(child, source), kind))
    return tuple(found)


def _zig_return_type(carrier: Node, source: bytes) -> str:
    """What stands between the parameters (or the calling convention) and the body."""
    prototype = first_child(carrier, ("FnProto",))
    if prototype is None:
        return ""
    before = [child for child in prototype.children if child.type in {"ParamDeclList", "CallConv", "LinkSection"}]
    return source[before[-1].end_byte : prototype.end_byte].decode("utf-8", "replace").strip() if before else ""


ZIG: Final = LanguageSpec(
    name="zig",
    names={"Decl": _zig_function_name, "TestDecl": _zig_function_name},
    name_fields=(),
    parameters_of=_zig_parameters,
    return_type_of=_zig_return_type,
    prefix=b"pub ",
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
