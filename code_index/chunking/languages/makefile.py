"""Make: targets with their recipes, and variables of several lines."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of

_DIRECTIVE: Final = re.compile(rb"^ *(?:ifn?eq|ifn?def|else|endif)\b[^\n]*", re.MULTILINE)

_ASSIGNMENT: Final = re.compile(
    rb"^ *(?:(?:export|override|private) +)*[\w.$(){}%-]++[ \t]*+(?:::?|[?+!])?=(?:[^\n\\]|\\(?s:.))*+", re.MULTILINE
)


def _conditionals(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Conditionals between rules: the grammar takes them and all that they hold into the recipe above."""
    return [Hidden(*match.span()) for match in _DIRECTIVE.finditer(text)]


def _assignments(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Variables, whose values may hold signs that the grammar takes for those of a rule."""
    return [Hidden(*match.span()) for match in _ASSIGNMENT.finditer(text)]


def _name(node: Node, source: bytes) -> str:
    """The targets of a rule, or the name of a variable."""
    return text_of(first_child(node, ("targets",)) or node.child_by_field_name("name"), source)


LANGUAGE: Final = LanguageSpec(
    name="makefile",
    title="Make",
    revision=1,
    grammar="make",
    extensions="mk mak make",
    file_names="makefile gnumakefile kbuild",
    file_name_prefixes="makefile. gnumakefile.",
    interpreters="make",
    modes="makefile makefile-gmake",
    names=dict.fromkeys(("rule", "define_directive"), _name),
    doc_prefixes=("##",),
    repairs=(_conditionals, _assignments),
    query="""
(rule (targets) @_targets (#not-match? @_targets "^[.][A-Z_]+|=")) @function
(rule (targets) @_targets (#match? @_targets "=")) @doubt
(define_directive) @function
(recipe (conditional [(rule) (define_directive) (variable_assignment) (include_directive)] @doubt))
(recipe (conditional (_ [(rule) (define_directive) (variable_assignment) (include_directive)] @doubt)))
(comment) @comment
(include_directive) @import
""",
    statements="""
(makefile (_) @statement)
(recipe (_) @statement)
""",
)
