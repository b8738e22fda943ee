"""Tcl: namespaces are scopes; classes of TclOO, Itcl and Snit are classes, and so is what is added to one later."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import REACH, Hidden, Reach, Span, near
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_PARAMETER: Final = re.compile(r"\{\s*(\S+)\s+([^{}]*?|\{[^{}]*\})\s*\}|([^\s{}]+)")
_INDEX: Final = re.compile(rb"[\w:](?P<index>\([^()\s\[\]{}\"]*\))")
_NUMBER: Final = re.compile(rb"(?<![\w$])0(?P<digits>[xX][0-9a-fA-F]+)\b")
_CONTINUATION: Final = re.compile(rb"(?P<mark>\\)(?=\r?\n)")
_BRACE: Final = re.compile(rb"\\(?s:.)|(?P<open>\{)|\}")
_HEAD: Final = re.compile(rb"[ \t]*(?:proc|method|typemethod|constructor|destructor)\b[^\n]*+")
_REST_OF_LINE: Final = re.compile(rb"[ \t]*\r?\n")
_NO_BRACES: Final = re.compile(rb"(?:[^{}\n\\]|\\.)+")
_MAX_HEAD: Final = 300
_ACCESS: Final = frozenset({"public", "private", "protected"})
_UNNAMED: Final = frozenset({"constructor", "destructor", "typeconstructor"})
_BODY_AND_PARAMETERS: Final = 2


def _indices(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Indices of arrays near a fault, such as `($name)`."""
    return near((_INDEX,), text, faults, "index")


def _numbers(text: bytes, faults: list[Span]) -> list[Hidden]:
    """The digits and the sign of hexadecimal numbers: expressions of the grammar know decimal ones only."""
    return near((_NUMBER,), text, faults, "digits")


def _continuations(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Backslashes at the end of lines near a fault, which the grammar does not know within an expression."""
    return near((_CONTINUATION,), text, faults, "mark")


def _bodies(text: bytes, faults: list[Span]) -> list[Hidden]:
    """The bodies of procedures in a fault, by Tcl's own rule that braces are in pairs."""
    reach = Reach(faults)
    found: list[Hidden] = []
    starts: list[int] = []  # of what stands in the open braces; of bodies only, else -1
    for match in _BRACE.finditer(text):
        if match["open"]:
            is_last = _REST_OF_LINE.match(text, match.end()) is not None
            is_body = is_last and _HEAD.match(text, text.rfind(b"\n", 0, match.start()) + 1, match.start()) is not None
            starts.append(match.end() if is_body else -1)
        elif match[0] == b"}" and starts:
            start = starts.pop()
            if start >= 0 and start in reach:
                found.append(Hidden(start, match.start()))
    return found


def _faulty_lines(text: bytes, faults: list[Span]) -> list[Hidden]:
    """All but the braces of lines with a fault: strings and patterns that the grammar takes for commands."""
    found: list[Hidden] = []
    position = 0
    for start, end in faults:
        if end - start > REACH or start < position:
            continue
        first = text.rfind(b"\n", 0, start) + 1
        position = text.find(b"\n", end) % (len(text) + 1)
        found += [Hidden(*match.span()) for match in _NO_BRACES.finditer(text, max(first, start - REACH), position)]
    return found


def _words(node: Node) -> list[Node]:
    """The words of a command after its name."""
    values = first_child(node, ("word_list",))
    return values.named_children if values is not None else []


def _dotted(name: str) -> str:
    return name.strip("{}").removeprefix("::").replace("::", ".")


def _name(node: Node, source: bytes) -> str:
    """The word after `proc`: the grammar ends it before a parenthesis."""
    return _dotted(" ".join(text_of(node, source)[:_MAX_HEAD].split(" ")[1:2]))


def _second_word(node: Node, source: bytes) -> str:
    """`shop` of `namespace eval ::shop`."""
    return _dotted(" ".join(text_of(word, source) for word in _words(node)[1:2]))


def _command_name(node: Node, source: bytes) -> str:
    """The name that a command defines: `f` of `method f`, `Till` of `oo::class create Till`, `A.f` of `oo::define A method f`."""
    head = text_of(node.child_by_field_name("name"), source).removeprefix("::")
    if head in _UNNAMED:
        return head
    words = [text_of(word, source) for word in _words(node)]
    if head in _ACCESS or (words[:1] == ["create"] and head.endswith("class")):
        words = words[1:]
    if head in {"oo::define", "oo::objdefine"} and len(words) > _BODY_AND_PARAMETERS:
        return f"{_dotted(words[0])}.{words[1] if words[1] in _UNNAMED else words[2]}"
    return _dotted(words[0]) if words else ""


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters: the word before the body."""
    values = carrier.child_by_field_name("arguments")
    if carrier.type == "command":
        values = next(iter(_words(carrier)[-_BODY_AND_PARAMETERS:-1]), None)
    text = text_of(values, source)
    inner = text[1:-1] if text.startswith("{") else text
    return tuple(Parameter(match[3] or match[1], None, match[2] or None) for match in _PARAMETER.finditer(inner))


def _is_absolute(node: Node) -> bool:
    """Tell whether a name begins with `::`."""
    name = node.child_by_field_name("name") if node.type == "procedure" else next(iter(_words(node)[1:2]), None)
    return name is not None and (name.text or b"").startswith(b"::")


LANGUAGE: Final = LanguageSpec(
    name="tcl",
    title="Tcl",
    revision=1,
    extensions="tcl tm itcl itk sdc xdc",
    interpreters="tclsh wish expect jimsh",
    modes="tcl",
    names={"procedure": _name, "namespace": _second_word, "command": _command_name},
    is_absolute=_is_absolute,
    dotted_methods=True,
    path_separator=".",
    repairs=(_numbers, _continuations, _indices, _faulty_lines, _bodies),
    parameters_of=_parameters,
    query="""
(procedure) @function
(namespace (word_list . (simple_word) @_eval . (simple_word) . (braced_word)) (#eq? @_eval "eval")) @scope
(command name: (simple_word) @_class arguments: (word_list . (simple_word) @_create . (simple_word) . (braced_word)) (#any-of? @_class "oo::class" "::oo::class" "oo::abstract" "oo::singleton") (#eq? @_create "create")) @class
(command name: (simple_word) @_class arguments: (word_list . (simple_word) . (braced_word)) (#any-of? @_class "oo::define" "::oo::define" "oo::objdefine" "itcl::class" "::itcl::class" "class" "snit::type" "::snit::type" "snit::widget" "::snit::widget" "snit::widgetadaptor" "::snit::widgetadaptor")) @class
(command name: (simple_word) @_method arguments: (word_list . (simple_word) . (_) . (braced_word)) (#any-of? @_method "method" "typemethod" "classmethod" "itcl::body" "::itcl::body" "body" "critcl::cproc")) @function
(command name: (simple_word) @_method arguments: (word_list . (braced_word)) (#any-of? @_method "constructor" "destructor" "typeconstructor")) @function
(command name: (simple_word) @_access arguments: (word_list . (simple_word) @_method . (simple_word) . (_) . (braced_word)) (#any-of? @_access "public" "private" "protected") (#any-of? @_method "method" "proc")) @function
(command name: (simple_word) @_define arguments: (word_list . (simple_word) . (simple_word) @_method) (#any-of? @_define "oo::define" "::oo::define" "oo::objdefine") (#any-of? @_method "method" "classmethod" "constructor" "destructor")) @function
(comment) @comment
(command name: (simple_word) @_package arguments: (word_list . (simple_word) @_require) (#eq? @_package "package") (#eq? @_require "require")) @import
(command name: (simple_word) @_source (#any-of? @_source "source" "load")) @import
[(if) (while) (foreach) (ternary_expr)] @branch
(command name: (simple_word) @_for (#any-of? @_for "for" "lmap")) @branch
(elseif) @elif
(else) @else
(command name: (simple_word) @_switch (#eq? @_switch "switch")) @switch
(binop_expr "&&") @and
(binop_expr "||") @or
""",
    statements="""
(source_file (_) @statement)
(braced_word (_) @statement)
""",
)
