"""CMake: functions and macros, and as classes the targets and tests."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import without_markers
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_BRACKETS: Final = re.compile(r"\A#\[=*\[(?:\.rst:)?|#?\]=*\]\Z")
_TEST_KEYWORD: Final = "NAME"


def _arguments(node: Node, source: bytes) -> list[str]:
    """Of a command, or of the one that begins a function."""
    command = first_child(node, ("function_command", "macro_command")) or node
    values = first_child(command, ("argument_list",))
    return [text_of(value, source).strip('"') for value in (values.named_children if values is not None else ())]


def _name(node: Node, source: bytes) -> str:
    return next((value for value in _arguments(node, source) if value != _TEST_KEYWORD), "")


def _doc_text(comment: str) -> str:
    return without_markers(_BRACKETS.sub("", comment))


def _parameters(node: Node, source: bytes) -> tuple[Parameter, ...]:
    return tuple(Parameter(value) for value in _arguments(node, source)[1:])


LANGUAGE: Final = LanguageSpec(
    name="cmake",
    title="CMake",
    revision=1,
    extensions="cmake",
    file_names="cmakelists.txt",
    modes="cmake",
    names=dict.fromkeys(("function_def", "macro_def", "normal_command"), _name),
    parameters_of=_parameters,
    doc_text=_doc_text,
    query="""
[(function_def) (macro_def)] @function
(normal_command (identifier) @_command (argument_list . (argument) @_name)
 (#match? @_command "^(?i:add_(library|executable|custom_target|test))$") (#not-match? @_name "[$]")) @class
[(line_comment) (bracket_comment)] @comment
(normal_command (identifier) @_command (#match? @_command "^(?i:include|find_package|add_subdirectory)$")) @import
[(if_condition) (foreach_loop) (while_loop)] @branch
(elseif_command) @elif
(else_command) @else
(argument_list (argument (unquoted_argument) @and (#eq? @and "AND")))
(argument_list (argument (unquoted_argument) @or (#eq? @or "OR")))
""",
    statements="""
(source_file (_) @statement)
(body (_) @statement)
(argument) @statement
""",
)
