"""MATLAB and Octave: help text stands below the first line of what it is about."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_comments, without_markers
from code_index.chunking.hidden_text import Hidden, Reach, Span
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, raw_text_of, text_of
from code_index.core.model import Parameter

_BEFORE_HELP: Final = frozenset(
    {"identifier", "property_name", "function_output", "function_arguments", "superclasses", "attributes"}
)


def _name(node: Node, source: bytes) -> str:
    """The name; that of a property's method with `get.` or `set.`."""
    name = node.child_by_field_name("name")
    if name is None:
        return ""
    accessor = source[max(name.start_byte - 4, 0) : name.start_byte]
    return (accessor.decode() if accessor in (b"get.", b"set.") else "") + text_of(name, source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    values = first_child(carrier, ("function_arguments",))
    return tuple(Parameter(text_of(child, source)) for child in values.named_children) if values is not None else ()


def _return_type(carrier: Node, source: bytes) -> str:
    """The names of what is returned: there are no types."""
    return text_of(first_child(carrier, ("function_output",)), source).removesuffix("=").strip()


def _doc_text(comment: str) -> str:
    """A comment's text; `%% Load` is the title of a section."""
    return "" if comment.startswith("%%") else without_markers(comment)


def _help(node: Node, source: bytes) -> str:
    """The comment that follows the first line directly."""
    for child in node.named_children:
        if child.type == "comment":
            is_below = b"\n\n" not in source[node.start_byte : child.start_byte].replace(b"\r", b"")
            return (clean_comments([raw_text_of(child, source)]) or "") if is_below else ""
        if child.type not in _BEFORE_HELP:
            return ""
    return ""


_OCTAVE: Final = re.compile(
    rb"(?P<comment>(?<=^)[ \t]*#|(?<=[\s;,)])#(?=[ #!]))[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|%[^\n]*"
    rb"|\b(?P<end>end(?:function|if|for|while|switch|parfor|classdef|methods|properties|_try_catch|_unwind_protect))\b"
    rb"|\b(?P<cleanup>unwind_protect_cleanup)\b|\b(?P<unwind>unwind_protect)\b|(?P<not>!)(?=[=\w( ])",
    re.MULTILINE,
)
_IN_MATLAB: Final = {"comment": b"%", "end": b"end", "cleanup": b"catch", "unwind": b"try", "not": b"~"}


def _octave(text: bytes, faults: list[Span]) -> list[Hidden]:
    """The spellings of Octave: comments with `#`, `endif`, `unwind_protect` and `!`."""
    reach = Reach(faults)
    return [
        Hidden(*match.span(kind), instead=_IN_MATLAB[kind])
        for match in _OCTAVE.finditer(text)
        if (kind := match.lastgroup) is not None and match.start() in reach
    ]


LANGUAGE: Final = LanguageSpec(
    name="matlab",
    title="MATLAB",
    revision=1,
    extensions="mat",
    repairs=(_octave,),
    interpreters="octave",
    modes="octave matlab",
    names={"function_definition": _name, "function_signature": _name},
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_of=_help,
    doc_prefixes=("%{",),
    doc_text=_doc_text,
    query="""
(class_definition) @class
[(function_definition) (function_signature)] @function
(comment) @comment
[(if_statement) (for_statement) (while_statement) (catch_clause)] @branch
(elseif_clause) @elif
(else_clause) @else
(switch_statement) @switch
(case_clause) @path
(boolean_operator "&&") @and
(boolean_operator "||") @or
(lambda) @closure
""",
    statements="""
(block (_) @statement)
(source_file (_) @statement)
(class_definition (_) @statement)
(methods (_) @statement)
""",
)
