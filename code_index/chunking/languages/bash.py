"""Bash."""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.hidden_text import Hidden, Span, near
from code_index.chunking.language_spec import LanguageSpec

_CHARACTERS: Final = re.compile(rb"\$\{\w+(?:##?|%%?)[^\n{}]{0,200}?(?P<pattern>\[[!^]?\[:\w+:\]\])")


def _patterns(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Classes of characters in what is cut off a value: `${name%"${name##*[![:space:]]}"}`."""
    return near((_CHARACTERS,), text, faults, "pattern")


LANGUAGE: Final = LanguageSpec(
    name="bash",
    title="Bash",
    extensions="sh bash zsh ksh ebuild bats",
    file_names=".bashrc .bash_profile .bash_aliases .bash_logout .zshrc .zprofile .zshenv .profile .envrc .kshrc "
    "pkgbuild apkbuild",
    interpreters="sh bash zsh ksh mksh dash ash osh bats",
    doc_prefixes=("##",),
    repairs=(_patterns,),
    query="""
(function_definition) @function
(comment) @comment
(command name: (command_name (word) @_source (#any-of? @_source "source" "."))) @import
[(if_statement) (for_statement) (c_style_for_statement) (while_statement)] @branch
(elif_clause) @elif
(else_clause) @else
(case_statement) @switch
(case_item) @path
(case_item . value: (_) @_any (#eq? @_any "*")) @not_path
(list "&&") @and
(list "||") @or
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(command name: (command_name) @_jump argument: (number) (#any-of? @_jump "break" "continue")) @jump
""",
    statements="""
(compound_statement (_) @statement)
(do_group (_) @statement)
(if_statement (_) @statement)
(program (_) @statement)
(case_item) @statement
""",
)
