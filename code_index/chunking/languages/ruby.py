"""Ruby."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec

LANGUAGE: Final = LanguageSpec(
    name="ruby",
    title="Ruby",
    extensions="rb rake gemspec ru rbw podspec jbuilder",
    file_names="rakefile gemfile vagrantfile podfile fastfile appfile brewfile guardfile capfile dangerfile .irbrc",
    interpreters="ruby jruby",
    doc_prefixes=("##", "=begin"),
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
