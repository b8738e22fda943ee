"""Elixir and Haskell: a function is a run of clauses."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.definitions import first_child, text_of
from code_index.chunking.language_spec import LanguageSpec
from code_index.core.model import Parameter


def _elixir_head(node: Node) -> Node | None:
    """What follows `def`: a call, an identifier or an operator, without its guard."""
    values = first_child(node, ("arguments",))
    head = values.named_child(0) if values is not None and values.named_child_count else None
    while head is not None and head.type == "binary_operator":
        operator = head.child_by_field_name("operator")
        if operator is None or operator.type != "when":
            break
        head = head.child_by_field_name("left")
    return head


def _elixir_name(node: Node, source: bytes) -> str:
    """Name of a function, module, protocol implementation (`Protocol.Target`), `describe` or `test`."""
    keyword = text_of(node.child_by_field_name("target"), source)
    head = _elixir_head(node)
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


def _elixir_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    head = _elixir_head(carrier)
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


ELIXIR: Final = LanguageSpec(
    name="elixir",
    names={"call": _elixir_name},
    name_fields=(),
    parameters_of=_elixir_parameters,
    doc_prefixes=("@doc", "@typedoc"),
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


def _haskell_function_name(node: Node, source: bytes) -> str:
    """The name, or the operator of `a <+> b = ...`."""
    name = node.child_by_field_name("name")
    infix = first_child(node, ("infix",))
    if name is None and infix is not None:
        name = infix.child_by_field_name("operator")
    return text_of(name, source).strip("()` ")


def _haskell_instance_name(node: Node, source: bytes) -> str:
    """`Class Type`."""
    parts = (node.child_by_field_name("name"), node.child_by_field_name("patterns"))
    return " ".join(filter(None, (text_of(part, source) for part in parts)))


def _haskell_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The patterns of the first clause."""
    patterns = carrier.child_by_field_name("patterns")
    infix = first_child(carrier, ("infix",))
    if patterns is None and infix is not None:
        operands = (infix.child_by_field_name("left_operand"), infix.child_by_field_name("right_operand"))
        return tuple(Parameter(text_of(operand, source)) for operand in operands if operand is not None)
    return tuple(Parameter(text_of(child, source)) for child in patterns.named_children) if patterns is not None else ()


HASKELL: Final = LanguageSpec(
    name="haskell",
    names={
        "function": _haskell_function_name,
        "bind": _haskell_function_name,
        "instance": _haskell_instance_name,
    },
    parameters_of=_haskell_parameters,
    doc_prefixes=("-- |", "-- ^", "{-|", "{- |"),
    clauses=True,
    query="""
(declarations [(function) (bind)] @function)
(class_declarations [(function) (bind)] @function)
(instance_declarations [(function) (bind)] @function)
[(data_type) (newtype) (class) (instance) (type_family) (data_family)] @class
[(comment) (haddock)] @comment
(header) @file_head
(signature) @signature
(import) @import
(fields (field) @field)
(conditional) @branch
(case) @switch
(lambda_case) @switch
(alternative) @path
(alternative pattern: (wildcard)) @not_path
(match (guards)) @path
(match (guards (boolean (variable) @_otherwise)) (#eq? @_otherwise "otherwise")) @not_path
(infix operator: (operator) @_and (#eq? @_and "&&")) @and
(infix operator: (operator) @_or (#eq? @_or "||")) @or
[(lambda) (lambda_case)] @closure
""",
    statements="""
(declarations (_) @statement)
(class_declarations (_) @statement)
(instance_declarations (_) @statement)
(do (_) @statement)
(local_binds (_) @statement)
(match) @statement
(alternative) @statement
""",
)
