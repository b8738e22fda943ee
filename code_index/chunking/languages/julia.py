"""Julia: functions in all of their forms, documented by the string above."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_string, without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of, without_generics
from code_index.core.model import Parameter


def _call(node: Node) -> Node | None:
    """The call that is the head of a function: `f(x)` of `f(x::T)::Int where T`."""
    head = node if node.type == "assignment" else first_child(node, ("signature",))
    for _ in range(4):
        if head is None or not head.named_child_count or head.type in {"call_expression", "argument_list"}:
            break
        head = head.named_child(0)
    return head


def _name(node: Node, source: bytes) -> str:
    """`f`, `Base.show` of a method for another module, the type of a call operator; macros with `@`."""
    head = _call(node)
    if head is not None and head.type == "call_expression":
        head = head.named_child(0)
    if head is None or head.type == "argument_list":
        return ""
    if head.type == "parenthesized_expression":
        inner = head.named_child(0)
        head = (
            inner.named_child(inner.named_child_count - 1) if inner is not None and inner.named_child_count else inner
        )
    name = (
        without_generics(text_of(head, source).partition("{")[0])
        .replace(".:(", ".")
        .replace(".:", ".")
        .lstrip(":")
        .strip("()")
    )
    return f"@{name}" if node.type == "macro_definition" else name


def _type_name(node: Node, source: bytes) -> str:
    return text_of(first_child(node, ("type_head",)), source).partition("<:")[0].partition("{")[0].strip()


def _enum_name(node: Node, source: bytes) -> str:
    values = first_child(node, ("macro_argument_list",))
    return text_of(values.named_child(0) if values is not None else None, source).partition("::")[0]


def _is_absolute(node: Node) -> bool:
    """Tell whether the function belongs to another module, as `Base.show` does."""
    if node.type not in {"function_definition", "assignment"}:
        return False
    head = _call(node)
    return head is not None and first_child(head, ("field_expression",)) is not None


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    head = _call(carrier)
    values = head if head is not None and head.type == "argument_list" else None
    if head is not None and values is None:
        values = first_child(head, ("argument_list",))
    return tuple(_parameter(child, source) for child in (values.named_children if values is not None else ()))


def _parameter(node: Node, source: bytes) -> Parameter:
    default = None
    named: Node | None = node
    if node.type in {"assignment", "named_argument"} and node.named_child_count > 1:
        default = text_of(node.named_child(node.named_child_count - 1), source)
        named = node.named_child(0)
    name, _, kind = text_of(named, source).partition("::")
    return Parameter(name, kind or None, default)


def _return_type(carrier: Node, source: bytes) -> str:
    """The type after the parameters."""
    head = carrier if carrier.type == "assignment" else first_child(carrier, ("signature",))
    typed = first_child(head, ("typed_expression",)) if head is not None else None
    if typed is None or first_child(typed, ("call_expression",)) is None:
        return ""
    return text_of(typed.named_child(typed.named_child_count - 1), source)


def _doc_text(comment: str) -> str:
    return (clean_string(comment) or "") if comment.startswith('"') else without_markers(comment)


LANGUAGE: Final = LanguageSpec(
    name="julia",
    title="Julia",
    revision=1,
    extensions="jl",
    interpreters="julia",
    modes="julia",
    names={
        **dict.fromkeys(("function_definition", "macro_definition", "assignment"), _name),
        **dict.fromkeys(("struct_definition", "abstract_definition", "primitive_definition"), _type_name),
        "macrocall_expression": _enum_name,
    },
    dotted_methods=True,
    is_absolute=_is_absolute,
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=('"',),
    doc_text=_doc_text,
    query="""
(module_definition) @scope
[(struct_definition) (abstract_definition) (primitive_definition)] @class
(macrocall_expression (macro_identifier (identifier) @_enum) (macro_argument_list . (_)) (#eq? @_enum "enum")) @class
(function_definition (signature . (call_expression))) @function
(function_definition (signature . (identifier))) @function
(function_definition (signature . (typed_expression))) @function
(function_definition (signature . (where_expression))) @function
(macro_definition) @function
(assignment . (call_expression)) @function
(assignment . (where_expression . (call_expression))) @function
(assignment . (where_expression . (typed_expression . (call_expression)))) @function
(assignment . (typed_expression . (call_expression))) @function
[(macrocall_expression) (macro_argument_list)] @wrapper
[(line_comment) (block_comment)] @comment
(source_file (string_literal) @comment)
(block (string_literal) @comment)
[(using_statement) (import_statement)] @import
[(if_statement) (for_statement) (while_statement) (catch_clause) (ternary_expression)] @branch
(elseif_clause) @elif
(else_clause) @else
(binary_expression (operator) @_and (#eq? @_and "&&")) @and
(binary_expression (operator) @_or (#eq? @_or "||")) @or
[(arrow_function_expression) (do_clause)] @closure
(function_definition (signature . (argument_list))) @closure
""",
    statements="""
(source_file (_) @statement)
(block (_) @statement)
""",
)
