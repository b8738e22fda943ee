"""Cython: Python, with declarations of C that its grammar does not know.

Belongs here: declarations rewritten as Python of the same length, and the types that are read from the source again.

Each line that declares something gets a form that Python has: `cdef int f(int a):` becomes `def f():`, `cdef class`
becomes `class`, a prototype `0@f()` and a type `0%name`, with blanks for all else, so that all offsets stay.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import blanked
from code_index.chunking.languages import python
from code_index.chunking.signatures import squeezed, text_of
from code_index.core.model import Parameter

_INNER: Final = rb"\((?:[^()]{1,500}+|\([^()]{0,500}+\)){0,50}+\)"
_LIST: Final = rb"\((?:[^()]{1,500}+|" + _INNER + rb"){0,50}+\)"
_TYPE: Final = rb"(?:[\w.*&,]|[ \t]|\[[^\[\]\n]*+\])"
_LINE: Final = re.compile(rb"^(?P<indent>[ \t]*)(?P<text>[^\s#][^\n]*)$", re.MULTILINE)
_TYPE_BLOCK: Final = re.compile(
    rb"(?:(?:cdef|cpdef|ctypedef)[ \t]+(?:public[ \t]+|api[ \t]+|packed[ \t]+)*(?:class|struct|union|enum(?:[ \t]+class)?|cppclass|fused)"
    rb"|struct|union|cppclass|property)[ \t]+(?P<name>\w+)[^\n:(]*(?P<bases>\([^()\n]*\))?[^\n:]*(?P<colon>:)"
)
_BLOCK: Final = re.compile(rb"cdef(?:[ \t][^\n(=]*)?(?P<colon>:)[ \t]*(?:#[^\n]*)?$", re.MULTILINE)
_FUNCTION: Final = re.compile(
    rb"(?P<word>(?:cdef|cpdef)[ \t]+)?(?P<type>"
    + _TYPE
    + rb"*?)(?P<name>\b[A-Za-z_]\w*)(?:\[[^\]\n]*\])?[ \t]*(?P<list>"
    + _LIST
    + rb")"
    rb"(?P<rest>[^\n:#=]*)(?P<colon>:)?"
)
_DEF: Final = re.compile(rb"(?:async[ \t]+)?def[ \t]+\w+[ \t]*(?P<list>" + _LIST + rb")")
_ALIAS: Final = re.compile(
    rb"ctypedef[ \t][^\n]*?\(?\*?\b(?P<name>\w+)(?:\)[ \t]*\([^\n]{0,500}\)|(?:\[\w*\])*)?[^\n\w]*$", re.MULTILINE
)
_VALUE: Final = re.compile(rb"(?:cdef|DEF)[ \t]" + _TYPE + rb"*?(?P<value>\b\w+[ \t]*=(?!=)[^\n]*)?$", re.MULTILINE)
_C_VALUE: Final = re.compile(rb"(?:[=(,\[+\-*/%|]|\breturn\b)[ \t]*(?P<cast><[\w \t.*,\[\]:]+>|&(?=\w)|new\b)")
_TYPED: Final = re.compile(
    rb"(?:^|,)\s*(?:(?:const|unsigned|signed|struct)\b|[\w.]+(?:\[[^\[\]]*\])?[ \t*&]+\w)|\b(?:not|or) None\b"
)
_PLAIN: Final = re.compile(r"(?P<type>.*?)(?P<name>\b\w+)?(?P<size>(?:\[\w*\])*)", re.DOTALL)
_WHOLE_LIST: Final = re.compile(_LIST)
_WORD: Final = re.compile(r"\w+")
_LAST_WORD: Final = re.compile(r"\w+\s*(?:\[[^\]]*\])?\s*\Z")
_IS_PYTHON: Final = re.compile(rb"property\b|(?:cdef|ctypedef)[ \t]+(?:public[ \t]+|api[ \t]+)*class\b")
_QUALIFIERS: Final = re.compile(r"\b(?:cdef|cpdef|inline|public|api|extern|static|readonly|async|def)\b")
_CHECK: Final = re.compile(r"\s+(?:not|or)\s+None\b")


def _as_python(source: bytes) -> bytes:
    """The text of the same length that Python's grammar reads."""
    text = bytearray(source)
    foreign: list[int] = []  # indentations of the open blocks that declare what C has
    hidden = -1  # that of the bare `cdef:`
    done = 0
    for line in _LINE.finditer(source):
        column, start = len(line["indent"]), line.start("text")
        if start < done:
            continue
        while foreign and column <= foreign[-1]:
            foreign.pop()
        hidden = hidden if column > hidden else -1
        if hidden >= 0:
            _blank(text, start, line.end())
        elif foreign and line["text"].startswith((b'"""', b"'''")):
            end = source.find(line["text"][:3], start + 3)
            done = len(source) if end < 0 else end + 3
        elif block := _TYPE_BLOCK.match(source, start):
            _write(text, start, block.start("name"), b"class")
            bases = block.span("bases") if block["bases"] else (block.start("colon"),) * 2
            _blank(text, block.end("name"), bases[0])
            _blank(text, bases[1], block.start("colon"))
            foreign += [] if _IS_PYTHON.match(block[0]) else [column]
        elif block := _BLOCK.match(source, start):
            if block.start("colon") - start < len("with 0"):
                hidden = column
                _write(text, start, block.end("colon"), b"0")
            else:
                foreign.append(column)
                _write(text, start, block.start("colon"), b"with 0")
        else:
            done = _declaration(source, text, line, is_foreign=bool(foreign))
    for value in _C_VALUE.finditer(source):
        _blank(text, *value.span("cast"))
    return bytes(text)


def _declaration(source: bytes, text: bytearray, line: re.Match[bytes], *, is_foreign: bool) -> int:
    """Rewrite the declaration in a line, if there is one; the offset up to which lines are done."""
    start, end = line.span("text")
    word = line["text"].partition(b" ")[0]
    if word in {b"cdef", b"cpdef"} or (is_foreign and word not in {b"ctypedef", b"pass"}):
        found = _FUNCTION.match(source, start)
        if found and not found["list"].startswith(b"(*") and (found["word"] or found["type"].strip()):
            _function(text, found)
            return found.end()
        value = _VALUE.match(source, start)
        if value and value["value"]:
            _write(text, start, value.start("value"), b"0;")
        else:
            text[start:end] = b"0" * (end - start)
    elif word == b"ctypedef":
        alias = _ALIAS.match(source, start)
        text[start:end] = b"0" * (end - start)
        if alias:
            _write(text, start, alias.start("name"), b"0%")
            text[alias.start("name") : end] = b"_" * (end - alias.start("name"))
    else:
        _statement(source, text, line, word)
    return 0


def _function(text: bytearray, found: re.Match[bytes]) -> None:
    """Rewrite a function of C, or its prototype, whose list ends where the declaration does."""
    _write(text, found.start(), found.start("name"), b"def" if found["colon"] else b"0@")
    _blank(text, found.end("name"), found.end("rest"))
    last = found.end("list") if found["colon"] else found.end("list") + len(found["rest"].rstrip())
    text[found.start("list") : found.start("list") + 1] = b"("
    text[last - 1 : last] = b")"


def _statement(source: bytes, text: bytearray, line: re.Match[bytes], word: bytes) -> None:
    """Rewrite what Cython adds to Python besides declarations of C: its words, and types before parameters."""
    start, end = line.span("text")
    if word in {b"include", b"DEF"}:
        _write(text, start, start + len(word), b"0;")
    elif word in {b"cimport", b"from"}:
        at = source.find(b"cimport", start, end)
        if at >= 0:
            _write(text, at, at + len(b"cimport"), b"import")
    elif word in {b"IF", b"ELIF", b"ELSE:"}:
        text[start : start + len(word)] = word.lower()
    elif (head := _DEF.match(source, start)) and _TYPED.search(head["list"][1:-1]):
        _blank(text, head.start("list") + 1, head.end("list") - 1)


def _blank(text: bytearray, start: int, end: int) -> None:
    text[start:end] = blanked(bytes(text[start:end]), [(0, end - start)])


def _write(text: bytearray, start: int, end: int, word: bytes) -> None:
    """Put a word at the start of a span, and blanks into the rest of it."""
    _blank(text, start, end)
    text[start : start + len(word)] = word


def _name(node: Node, source: bytes) -> str:
    """Of a prototype or of a type with another name."""
    right = node.child_by_field_name("right")
    name = _WORD.match(text_of(right, source))
    return name[0] if name else ""


def _list(carrier: Node) -> Node | None:
    right = carrier.child_by_field_name("right")
    if right is None:
        return carrier.child_by_field_name("parameters")
    return right.child_by_field_name("arguments") if right is not None else None


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    values = _list(carrier)
    whole = _WHOLE_LIST.match(source, values.start_byte) if values is not None else None
    return tuple(_parameter(text) for text in _split(whole[0][1:-1].decode("utf-8", "replace"), ",")) if whole else ()


def _split(whole: str, separator: str) -> list[str]:
    """The text between separators that no bracket encloses."""
    found = [""]
    depth = 0
    for character in whole:
        depth += (character in "([{") - (character in ")]}")
        if character == separator and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [text for part in found if (text := squeezed(part))]


def _parameter(text: str) -> Parameter:
    declared, *values = _split(text, "=") or [text]
    default = "=".join(values) or None
    name, *kinds = _split(declared, ":")
    if kinds:
        return Parameter(name, ":".join(kinds), default)
    declared = _CHECK.sub("", declared)
    found = _PLAIN.fullmatch(declared)
    kind = found["type"].strip() if found else ""
    if found is None or not found["name"] or kind in {"", "*", "**"}:
        return Parameter(declared, default=default)
    return Parameter(found["name"], kind + found["size"], default)


def _return_type(carrier: Node, source: bytes) -> str:
    """The type of C before the name, else Python's annotation."""
    values = _list(carrier)
    head = source[carrier.start_byte : values.start_byte].decode("utf-8", "replace") if values is not None else ""
    kind = squeezed(_LAST_WORD.sub("", _QUALIFIERS.sub(" ", head)))
    return kind or text_of(carrier.child_by_field_name("return_type"), source)


LANGUAGE: Final = replace(
    python.LANGUAGE,
    name="cython",
    title="Cython",
    revision=1,
    grammar="python",
    extensions="pyx pxd pxi",
    file_names="",
    interpreters="",
    modes="cython",
    reads_as=_as_python,
    names={"binary_operator": _name},
    parameters_of=_parameters,
    return_type_of=_return_type,
    query=python.LANGUAGE.query
    + """
(binary_operator left: (integer) @_form operator: "@" right: (call function: (identifier)) (#eq? @_form "0")) @function
(binary_operator left: (integer) @_form operator: "%" right: (identifier) (#eq? @_form "0")) @class
""",
)
