"""Perl: packages are classes; one without a block lasts to the next."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, first_field, text_of
from code_index.core.model import Parameter

_POD_NO_TEXT: Final = re.compile(r"^=(?:pod|cut|over|back|begin|end|for|encoding)\b.*\n?", re.MULTILINE)
_POD_COMMAND: Final = re.compile(r"^=(?:head[1-6]|item)[ \t]*", re.MULTILINE)
_POD_CODE: Final = re.compile(r"[A-Z](?:<<[ \t]+(.*?)[ \t]+>>|<([^<>]*)>)")
_POD_GAP: Final = re.compile(r"\n{3,}")
_MAX_NESTED_CODES: Final = 3

_PACKAGES: Final = frozenset({"package_statement", "class_statement", "role_statement"})


def _dotted(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source).replace("::", ".").strip(".")


def _is_absolute(node: Node) -> bool:
    """Tell whether a name is absolute: packages, and `sub Shop::f` or `*Shop::f = sub ...` in any of them."""
    name = first_field(node, ("name", "left"))
    return node.type in _PACKAGES or (name is not None and b"::" in (name.text or b""))


def _assigned_name(node: Node, source: bytes) -> str:
    """`f` of `my $f = sub ...` and of `*f = sub ...`."""
    return text_of(node.child_by_field_name("left"), source).rpartition(" ")[2].strip("$*{}'\"").replace("::", ".")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Parameters of the signature, else those that the first statements take from `@_`."""
    signature = first_child(carrier, ("signature",))
    if signature is not None:
        return tuple(
            Parameter(
                text_of(child.named_child(0), source) or text_of(child, source),
                default=text_of(child.child_by_field_name("default"), source) or None,
            )
            for child in signature.named_children
            if child.type.endswith("_parameter")
        )
    found: list[Parameter] = []
    body = carrier.child_by_field_name("body")
    for statement in body.named_children if body is not None else ():
        if statement.type == "comment":
            continue
        names, takes_all = _taken_from_arguments(statement, source)
        found += [Parameter(name) for name in names]
        if takes_all or not names:
            break
    return tuple(found)


def _taken_from_arguments(statement: Node, source: bytes) -> tuple[list[str], bool]:
    """Variables of `my ($a, $b) = @_` or `my $a = shift`, and true if they take the whole rest."""
    assignment = first_child(statement, ("assignment_expression",))
    declared = assignment.child_by_field_name("left") if assignment is not None else None
    if assignment is None or declared is None or declared.type != "variable_declaration":
        return [], False
    value = text_of(assignment.child_by_field_name("right"), source)
    variables = declared.children_by_field_name("variables") or declared.children_by_field_name("variable")
    names = [text_of(variable, source) for variable in variables if variable.is_named]
    if value == "@_":
        return names, True
    return (names, False) if value.startswith("shift") else ([], False)


def _doc_text(comment: str) -> str:
    """A comment, or POD without its commands and formatting codes."""
    if not comment.startswith("="):
        return without_markers(comment)
    text = _POD_COMMAND.sub("", _POD_NO_TEXT.sub("", comment))
    for _ in range(_MAX_NESTED_CODES):
        text = _POD_CODE.sub(lambda code: (code[1] or code[2] or "").partition("|")[0], text)
    return _POD_GAP.sub("\n\n", text).strip()


LANGUAGE: Final = LanguageSpec(
    name="perl",
    title="Perl",
    revision=1,
    extensions="pl pm t psgi pod",
    file_names="cpanfile",
    interpreters="perl",
    modes="perl cperl",
    names={
        **dict.fromkeys((*_PACKAGES, "subroutine_declaration_statement"), _dotted),
        "assignment_expression": _assigned_name,
    },
    is_absolute=_is_absolute,
    dotted_methods=True,
    value_fields=("right",),
    parameters_of=_parameters,
    doc_prefixes=("=",),
    doc_text=_doc_text,
    query="""
[(package_statement) (class_statement) (role_statement)] @class
(package_statement ";") @rest
(class_statement ";") @rest
(role_statement ";") @rest
[(subroutine_declaration_statement) (method_declaration_statement)] @function
(assignment_expression left: [(variable_declaration) (glob)] right: [(anonymous_subroutine_expression) (anonymous_method_expression)]) @function
(expression_statement (assignment_expression right: [(anonymous_subroutine_expression) (anonymous_method_expression)])) @wrapper
(comment) @comment
(pod) @doc
[(use_statement) (require_expression)] @import
[(conditional_statement) (loop_statement) (for_statement) (cstyle_for_statement)] @branch
[(postfix_conditional_expression) (postfix_loop_expression) (postfix_for_expression) (conditional_expression)] @branch
(try_statement "catch") @branch
(elsif) @elif
(else) @else
(binary_expression operator: "&&") @and
(lowprec_logical_expression operator: "and") @and
(binary_expression operator: "||") @or
(lowprec_logical_expression operator: "or") @or
(binary_expression operator: "//") @path
(loopex_expression (label)) @jump
(goto_expression) @jump
[(anonymous_subroutine_expression) (anonymous_method_expression)] @closure
""",
    statements="""
(block (_) @statement)
(source_file (_) @statement)
(list_expression (_) @statement)
""",
)
