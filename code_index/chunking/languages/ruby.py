"""Ruby."""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.hidden_text import Hidden, Span
from code_index.chunking.language_spec import LanguageSpec

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


LANGUAGE: Final = LanguageSpec(
    name="ruby",
    title="Ruby",
    extensions="rb rake gemspec ru rbw podspec jbuilder",
    file_names="rakefile gemfile vagrantfile podfile fastfile appfile brewfile guardfile capfile dangerfile .irbrc",
    interpreters="ruby jruby",
    doc_prefixes=("##", "=begin"),
    repairs=(_nested_heredocs,),
    query="""
[(class) (module)] @class
[(method) (singleton_method)] @function
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
