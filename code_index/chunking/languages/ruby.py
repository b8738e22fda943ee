"""Ruby."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import text_of

_HEREDOC: Final = re.compile(rb"<<[~-]([\"'`]?)(?P<label>\w++)\1[^\n]*+\n")
_MAX_UNCLOSED: Final = 20


def _nested_heredocs(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Heredocs with another one inside, after whose end the grammar reads on as if it were text."""
    found: list[Hidden] = []
    position = unclosed = 0
    # A failed search reads the rest of the file, so they are counted.
    while unclosed < _MAX_UNCLOSED and (match := _HEREDOC.search(text, position)) is not None:
        end = re.compile(rb"^[ \t]*" + match["label"] + rb"\b", re.MULTILINE).search(text, match.end())
        if end is not None and b"<<" in text[match.end() : end.start()]:
            found.append(Hidden(match.end(), end.start()))
        unclosed += end is None
        position = match.end() if end is None else end.end()
    return found


def _carrier(node: Node) -> Node | None:
    """The block of a method or class that a call makes."""
    call = node.child_by_field_name("right") if node.type == "assignment" else node
    return call.child_by_field_name("block") if call is not None and call.type == "call" else None


def _called_name(node: Node, source: bytes) -> str:
    """The first argument of `define_method(:f)`, `it "adds"` or `task purge: :environment`."""
    values = node.child_by_field_name("arguments")
    first = values.named_child(0) if values is not None else None
    if first is not None and first.type == "pair":
        first = first.child_by_field_name("key")
    return text_of(first, source).strip("\"':")


def _assigned_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("left"), source)


LANGUAGE: Final = LanguageSpec(
    name="ruby",
    title="Ruby",
    extensions="rb rake gemspec ru rbw podspec jbuilder",
    file_names="rakefile gemfile vagrantfile podfile fastfile appfile brewfile guardfile capfile dangerfile .irbrc",
    interpreters="ruby jruby rbx macruby rake",
    path_separator="::",
    doc_prefixes=("##", "=begin"),
    names={"call": _called_name, "assignment": _assigned_name},
    carrier=_carrier,
    repairs=(_nested_heredocs,),
    query="""
[(class) (module)] @class
[(method) (singleton_method)] @function
(call method: (identifier) @_made (#any-of? @_made "define_method" "define_singleton_method" "it" "specify" "scenario" "task") arguments: (argument_list . [(simple_symbol) (string) (pair)]) block: (_)) @function
(call method: (identifier) @_suite (#any-of? @_suite "describe" "context" "feature" "namespace" "shared_examples") arguments: (argument_list . (_)) block: (_)) @scope
(assignment left: (constant) right: (call receiver: (constant) @_maker method: (identifier) @_new block: (_)) (#any-of? @_maker "Struct" "Class" "Module" "Data") (#any-of? @_new "new" "define")) @class
(comment) @comment
(call !receiver method: (identifier) @_require (#any-of? @_require "require" "require_relative" "load" "autoload")) @import
[(if) (unless) (while) (until) (for) (if_modifier) (unless_modifier) (while_modifier) (until_modifier) (conditional) (rescue) (rescue_modifier)] @branch
(elsif) @elif
(if alternative: (else) @else)
(elsif alternative: (else) @else)
(unless alternative: (else) @else)
[(case) (case_match)] @switch
[(when) (in_clause)] @path
(binary operator: "&&") @and
(binary operator: "and") @and
(binary operator: "||") @or
(binary operator: "or") @or
[(do_block) (block) (lambda)] @closure
""",
    statements="""
(body_statement (_) @statement)
(program (_) @statement)
(then (_) @statement)
(block_body (_) @statement)
(pair) @statement
""",
)
