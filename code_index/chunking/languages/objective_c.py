"""Objective-C: the name of a method is its selector; categories belong to their class."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, near
from code_index.chunking.languages._c import FAMILY, prototypes
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_VALUES: Final = rb"[ \t]*\((?:[^()\"\n]|\"(?:[^\"\\\n]|\\.)*+\"|\((?:[^()\n]|\([^()\n]*+\))*+\)){0,500}+\)"
_ENUM: Final = re.compile(
    rb"(?P<head>(?:typedef[ \t]+)?\b(?:NS|CF)_(?:CLOSED_|ERROR_)?(?:ENUM|OPTIONS)[ \t]*\((?:[^(),\n]*,)?[ \t]*)\w+[ \t]*(?P<tail>\))\s*\{"
)
"""What is before and after the name in `typedef NS_ENUM(NSInteger, OrderState) {`, which is an enum to those who read it."""

_LEADING: Final = re.compile(
    rb"^[ \t]*(?P<macro>(?:(?!\w+_(?:BEGIN|END)\b)[A-Z][A-Z\d]*_[A-Z\d_]++(?:"
    + _VALUES
    + rb")?|__attribute__[ \t]*\("
    + _VALUES
    + rb"[ \t]*\)))"
    rb"(?=\s*+(?:@(?:interface|protocol|class)|[-+][ \t]*\())",
    re.MULTILINE,
)
"""An attribute of a class, a protocol or a method."""

_MISLEADING: Final = (
    re.compile(rb"^[ \t]*(?P<macro>(?:NS|CF)_(?:ASSUME_NONNULL|IMPLICIT_BRIDGED?|HEADER_AUDIT)\w*+)[ \t]*\r?$", re.MULTILINE),
    re.compile(rb"(?P<macro>\b__attribute__[ \t]*\(" + _VALUES + rb"[ \t]*\))"),
    # After a method, a property or a function: `- (void)a NS_SWIFT_NAME(b());`
    re.compile(rb"(?<=[\w*) \t])(?P<macro>(?:\b(?!(?:NS|CF)_\w*(?:ENUM|OPTIONS)\b)[A-Z][A-Z\d]*_[A-Z\d_]++(?:" + _VALUES + rb")?[ \t]*){1,4})(?=;|\s*+\{)"),
    re.compile(rb"\b(?P<macro>(?:NS|CF|UI|IB)_?(?:NOESCAPE|RETURNS_RETAINED|REFINED_FOR_SWIFT|Outlet|Inspectable|_INSTANCETYPE))\b"),
)  # fmt: skip


_IN_CLASS: Final = re.compile(rb"^@implementation\b(?s:.*?)(?:^@end\b|\Z)", re.MULTILINE)
_CALL: Final = re.compile(
    rb"^(?P<head>[A-Z][A-Z\d]*_[A-Z\d_]++[ \t]*\(\s*+)(?:(?P<first>\w++)(?P<rest>[^()]{0,500}+)"
    rb"|(?:(?:\w++,\s*+)?(?P<selector>\w++\s*+:))?"
    rb"(?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*+\)){0,500}+\)){0,500}+\)){0,2000}+)(?P<tail>\))(?P<body>;|(?=\s*+\{))?",
    re.MULTILINE,
)
"""A macro's call between methods: `RCT_EXPORT_METHOD(open:(int)till) {` makes one, others stand without a body."""

_CPP: Final = re.compile(
    rb"(?P<path>::)|(?<![&])(?P<reference>&)(?![&=])|^(?P<namespace>namespace\b[^;{}()\n]*\{|\}[ \t]*//[ \t]*(?:anonymous )?namespace\b.*)",
    re.MULTILINE,
)
"""In C++ only, with what C has in its place: a path is one word, and a reference a pointer."""

_IN_C: Final = {b"::": b"__", b"&": b"*"}
_HEAD: Final = re.compile(
    rb"^(?!(?:namespace|extern|typedef|struct|class|union|enum)\b)[@A-Za-z_+\-][^;{}]{0,1000}+\{", re.MULTILINE
)
_END: Final = re.compile(rb"^\}", re.MULTILINE)


def _selector(node: Node, source: bytes) -> str:
    """`tableView:didSelectRowAtIndexPath:`; a macro after the parameters is no part of it."""
    found = word = ""
    for child in node.named_children:
        if child.type == "identifier":
            word = text_of(child, source)
            found = found or word
        elif child.type == "method_parameter":
            found = f"{found if found.endswith(':') else ''}{word}:"
            word = ""
        elif child.type == "compound_statement":
            break
    return found


def _function_name(node: Node, source: bytes) -> str:
    return FAMILY.names[node.type](node, source).replace("::", ".")


def _class_name(node: Node, source: bytes) -> str:
    return text_of(first_child(node, ("identifier",)), source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    if not carrier.type.startswith("method_"):
        return FAMILY.parameters_of(carrier, source) if FAMILY.parameters_of else ()
    found: list[Parameter] = []
    for child in carrier.named_children:
        if child.type == "method_parameter":
            kind = text_of(first_child(child, ("method_type",)), source).removeprefix("(").removesuffix(")")
            found.append(Parameter(text_of(first_child(child, ("identifier",)), source), kind.strip() or None))
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    if not carrier.type.startswith("method_"):
        return FAMILY.return_type_of(carrier, source) if FAMILY.return_type_of else ""
    return text_of(first_child(carrier, ("method_type",)), source).removeprefix("(").removesuffix(")").strip()


def _macros(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Words that Apple's headers put where the grammar expects nothing, and enums in the form of a macro."""
    found = near(_MISLEADING, text, faults, "macro")
    found += [hidden._replace(role="attribute") for hidden in near((_LEADING,), text, faults, "macro")]
    for match in _ENUM.finditer(text):
        found += [Hidden(*match.span("head"), instead=b"enum"), Hidden(*match.span("tail"))]
    return found


def _calls(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Macros between the methods of a class, as a method where they have a body."""
    found: list[Hidden] = []
    for within in _IN_CLASS.finditer(text):
        for call in _CALL.finditer(text, *within.span()):
            name = "selector" if call["selector"] else "first"
            if call["body"] == b"" and call[name]:
                found.append(Hidden(call.start(), call.start(name), instead=b"- (void)"))
                found.append(Hidden(call.start("tail") if call["selector"] else call.end("first"), call.end("tail")))
            else:
                found.append(Hidden(*call.span()))
    return found


def _cpp(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Words of C++ in Objective-C++."""
    if b"::" not in text:
        return []
    found = _CPP.finditer(text)
    return [Hidden(*match.span(), instead=_IN_C.get(match[0], b"")) for match in found]


def _bodies(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Bodies with what the grammar does not read, from a head to the brace that begins a line."""
    found: list[Hidden] = []
    ends = [match.start() for match in _END.finditer(text)]
    starts = [start for start, _ in faults]
    reached = 0
    for head in _HEAD.finditer(text):
        index = bisect_left(ends, head.end())
        if head.start() < reached or index == len(ends):
            continue
        reached = ends[index]
        if bisect_left(starts, head.end()) < bisect_right(starts, reached):
            found.append(Hidden(head.end(), reached))
    return found


LANGUAGE: Final = replace(
    FAMILY,
    name="objective-c",
    title="Objective-C",
    revision=1,
    grammar="objc",
    extensions="m mm",
    modes="objc",
    names={
        **FAMILY.names,
        **dict.fromkeys(("function_definition", "declaration"), _function_name),
        **dict.fromkeys(("method_definition", "method_declaration"), _selector),
        **dict.fromkeys(("class_interface", "class_implementation", "protocol_declaration"), _class_name),
    },
    dotted_methods=True,
    parameters_of=_parameters,
    return_type_of=_return_type,
    repairs=(_macros, _calls, *FAMILY.repairs, _cpp, _bodies),
    query=FAMILY.query
    + prototypes("(identifier) (field_identifier)", ("pointer_declarator",))
    + """
[(class_interface) (class_implementation) (protocol_declaration)] @class
[(method_definition) (method_declaration)] @function
(module_import) @import
(catch_clause) @branch
(block_literal) @closure
""",
    statements=FAMILY.statements
    + """
[(implementation_definition) (method_declaration) (property_declaration)] @statement
""",
)
