"""Bash."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec

LANGUAGE: Final = LanguageSpec(
    name="bash",
    title="Bash",
    extensions="sh bash zsh ksh ebuild bats",
    file_names=".bashrc .bash_profile .bash_aliases .bash_logout .zshrc .zprofile .zshenv .profile .envrc .kshrc "
    "pkgbuild apkbuild",
    interpreters="sh bash zsh ksh mksh dash ash osh bats",
    doc_prefixes=("##",),
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
