"""Rego: a rule is a run of clauses, qualified by its package."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, near
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_CONDITION: Final = re.compile(rb"(?:\belse\b|:?=)[^\n{=]*?\b(?P<word>if)\b")
"""`if` after a value, `f(x) := 1 if { ... }`: without it the rule is one of the older syntax, which the grammar knows."""

_OTHERWISE: Final = re.compile(rb"\}[ \t]*(?P<word>else[ \t]*:?=[^\n{\[(]++)$", re.MULTILINE)
"""`else := 0` without a condition, after which the grammar takes the next rule's name for one."""

_TRAILING_COMMA: Final = re.compile(rb"(?P<word>,)(?=\s*+[}\])])")


def _misleading(text: bytes, faults: list[Span]) -> list[Hidden]:
    patterns = (_CONDITION, _OTHERWISE, _TRAILING_COMMA)
    return near(patterns, text, faults, "word")


def _name(rule: Node, source: bytes) -> str:
    head = first_child(rule, ("rule_head",))
    return text_of(first_child(head, ("var", "ref")) if head is not None else None, source)


def _parameters(rule: Node, source: bytes) -> tuple[Parameter, ...]:
    head = first_child(rule, ("rule_head",))
    values = first_child(head, ("rule_args",)) if head is not None else None
    return tuple(Parameter(text_of(value, source)) for value in (values.named_children if values is not None else ()))


LANGUAGE: Final = LanguageSpec(
    name="rego",
    title="Rego",
    revision=1,
    extensions="rego",
    names={"rule": _name, "ref": text_of},
    parameters_of=_parameters,
    clauses=True,
    repairs=(_misleading,),
    query="""
(module (package) . (ref) @scope @rest)
(module (package) @file_head)
(rule) @function
(rule (rule_head . (var) @_name (#any-of? @_name "if" "else" "contains"))) @doubt
(comment) @comment
(module (import) . (ref) @import)
(rule_body (else)) @elif
""",
    statements="""
(policy (_) @statement)
(query (_) @statement)
(object_item) @statement
""",
)
