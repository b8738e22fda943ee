"""Erlang: a function is a run of clauses, the last of which ends in a dot."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter

_TAG: Final = re.compile(r"^@(?:doc|private|hidden)\b[ \t]*")


def _name(node: Node, source: bytes) -> str:
    """The name without quotes and arity."""
    inner = node.child_by_field_name("clause") or node.child_by_field_name("lhs") or node
    named = inner.child_by_field_name("name") or inner.child_by_field_name("fun")
    if named is not None and named.type == "type_name":
        named = named.child_by_field_name("name")
    return text_of(named, source).strip("'")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The patterns of the first clause."""
    inner = carrier.child_by_field_name("clause") or carrier.child_by_field_name("lhs")
    values = inner.child_by_field_name("args") if inner is not None else None
    return tuple(Parameter(text_of(child, source)) for child in values.named_children) if values is not None else ()


def _doc_text(comment: str) -> str:
    """A comment without the tag of EDoc."""
    return _TAG.sub("", without_markers(comment))


LANGUAGE: Final = LanguageSpec(
    name="erlang",
    title="Erlang",
    revision=1,
    extensions="erl hrl escript xrl yrl",
    interpreters="escript",
    modes="erlang",
    names=dict.fromkeys(
        ("fun_decl", "record_decl", "type_alias", "opaque", "callback", "pp_define", "module_attribute"), _name
    ),
    parameters_of=_parameters,
    doc_prefixes=("%% @doc", "%%% @doc"),
    doc_text=_doc_text,
    clauses=True,
    query="""
(module_attribute) @scope
(module_attribute) @rest
(module_attribute) @file_head
[(record_decl) (type_alias) (opaque)] @class
(fun_decl) @function
(callback) @function
(pp_define lhs: (macro_lhs args: (_))) @member
(comment) @comment
(spec) @signature
[(pp_include) (pp_include_lib) (import_attribute) (behaviour_attribute)] @import
[(case_expr) (if_expr) (receive_expr) (maybe_expr)] @switch
[(cr_clause) (if_clause)] @path
(cr_clause pat: (var) @_any (#eq? @_any "_")) @not_path
(if_clause guard: (guard clauses: (guard_clause exprs: (atom) @_true .)) (#eq? @_true "true")) @not_path
(catch_clause) @branch
(list_comprehension) @branch
(binary_op_expr "andalso") @and
(binary_op_expr "orelse") @or
(anonymous_fun) @closure
""",
    statements="""
(source_file (_) @statement)
(clause_body (_) @statement)
(cr_clause) @statement
""",
)
