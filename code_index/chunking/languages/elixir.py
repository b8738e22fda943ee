"""Elixir: a function is a run of clauses."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import QUOTES, clean_string, without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_ATTRIBUTE: Final = re.compile(r"@(?:type)?doc\s*\(?\s*(?:~[sS])?")


def _head(node: Node) -> Node | None:
    """The part after `def`: a call, an identifier or an operator, without its guard."""
    values = first_child(node, ("arguments",))
    head = values.named_child(0) if values is not None and values.named_child_count else None
    while head is not None and head.type == "binary_operator":
        operator = head.child_by_field_name("operator")
        if operator is None or operator.type != "when":
            break
        head = head.child_by_field_name("left")
    return head


def _name(node: Node, source: bytes) -> str:
    """Name of a function, module, protocol implementation (`Protocol.Target`), `describe` or `test`."""
    keyword = text_of(node.child_by_field_name("target"), source)
    head = _head(node)
    if head is None:
        return ""
    if keyword == "defimpl":
        values = first_child(node, ("arguments",))
        options = first_child(values, ("keywords",)) if values is not None else None
        pair = options.named_child(0) if options is not None else None
        target = text_of(pair.child_by_field_name("value") if pair is not None else None, source)
        return ".".join(filter(None, (text_of(head, source), target)))
    if head.type == "call":
        return text_of(head.child_by_field_name("target"), source)
    if head.type in {"binary_operator", "unary_operator"}:
        return text_of(head.child_by_field_name("operator"), source)
    return text_of(head, source).strip('"')


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    head = _head(carrier)
    if head is None or head.type != "call":
        return ()
    values = first_child(head, ("arguments",))
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        operator = child.child_by_field_name("operator")
        if operator is not None and operator.type == "\\\\":
            name, default = child.child_by_field_name("left"), child.child_by_field_name("right")
            found.append(Parameter(text_of(name, source), None, text_of(default, source)))
        else:
            found.append(Parameter(text_of(child, source)))
    return tuple(found)


def _doc_text(comment: str) -> str:
    """The string of `@doc`; empty for `@doc false`."""
    attribute = _ATTRIBUTE.match(comment)
    if attribute is None:
        return without_markers(comment)
    value = comment[attribute.end() :]
    return (clean_string(value) or "") if value.startswith(QUOTES) else ""


LANGUAGE: Final = LanguageSpec(
    name="elixir",
    title="Elixir",
    extensions="ex exs",
    interpreters="elixir",
    names={"call": _name},
    name_fields=(),
    parameters_of=_parameters,
    doc_prefixes=("@doc", "@typedoc"),
    doc_text=_doc_text,
    clauses=True,
    query=r"""
(call target: (identifier) @_def (arguments) (#any-of? @_def "defmodule" "defprotocol" "defimpl")) @class
(call target: (identifier) @_def (arguments) (#any-of? @_def "def" "defp" "defmacro" "defmacrop" "defguard" "defguardp" "defdelegate" "defn" "defnp")) @function
(call target: (identifier) @_def (arguments . (string)) (do_block) (#any-of? @_def "test" "property")) @function
(call target: (identifier) @_def (arguments . (string)) (do_block) (#eq? @_def "describe")) @scope
(comment) @comment
(unary_operator operator: "@" operand: (call target: (identifier) @_doc (#any-of? @_doc "doc" "typedoc"))) @comment
(unary_operator operator: "@" operand: (call target: (identifier) @_spec (#eq? @_spec "spec"))) @signature
(unary_operator operator: "@" operand: (call target: (identifier) @_at (#any-of? @_at "impl" "deprecated" "dialyzer" "tag" "decorate"))) @attribute
(unary_operator operator: "@" operand: (call target: (identifier) @_doc (arguments (string) @inner_doc) (#eq? @_doc "moduledoc")))
(unary_operator operator: "@" operand: (call target: (identifier) @_doc (arguments (sigil) @inner_doc) (#eq? @_doc "moduledoc")))
(call target: (identifier) @_use (arguments) (#any-of? @_use "use" "import" "alias" "require")) @import
(call target: (identifier) @_if (#any-of? @_if "if" "unless" "for" "with" "while")) @branch
[(rescue_block) (catch_block)] @branch
(else_block) @else
(call target: (identifier) @_case (#any-of? @_case "case" "cond" "receive")) @switch
(do_block (stab_clause) @path)
(stab_clause left: (arguments . (identifier) @_any .) (#eq? @_any "_")) @not_path
(stab_clause left: (arguments . (boolean) .)) @not_path
(binary_operator operator: "&&") @and
(binary_operator operator: "and") @and
(binary_operator operator: "||") @or
(binary_operator operator: "or") @or
(anonymous_function) @closure
""",
    statements="""
(do_block (_) @statement)
(source (_) @statement)
(body (_) @statement)
(stab_clause) @statement
""",
)
