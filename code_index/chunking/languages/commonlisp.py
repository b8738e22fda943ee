"""Common Lisp: functions and macros are functions; classes, structures, conditions and packages are classes.

A method belongs to the class of its first parameter. `in-package` qualifies what follows.
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.languages import _lisp

_LOOP: Final = re.compile(rb"(?<=\()(?:[\w-]++::?)?(?P<word>loop)(?=[\s(])", re.IGNORECASE)
_DEFINER: Final = re.compile(
    rb"(?<![(\w-])(?P<after>lambda|defun|defmethod|defmacro|defgeneric)(?![\w-])"
    rb"|(?<=\()(?P<before>lambda|defun|defmethod|defmacro|defgeneric)(?=[\s]*[):]|[\s]+[^\s()]+[\s]*\))",
    re.IGNORECASE,
)
_PACKAGE: Final = re.compile(rb"\((?:[\w-]+::?)?(?:defpackage|define-package|defsystem)\b", re.IGNORECASE)
_C_MARKS: Final = re.compile(
    rb"^[ \t]*(?://|/\*|#[ \t]*(?:if|include|define|pragma))|\b__?(?:kernel|global|constant)\b", re.MULTILINE
)
_LISP_MARKS: Final = re.compile(rb"^(?:;|\([\w:]+[\s)])", re.MULTILINE)

_WORDS: Final = _lisp.Words(
    named="define-method-combination",
    classes="defclass defstruct define-condition defpackage define-package deftype defsystem",
    rests="in-package",
    imports="require use-package quickload load",
    # "oop" is what is left of a loop that misled the grammar
    branches="when unless dolist dotimes do do* loop oop do-symbols do-external-symbols iterate iter",
    cases="case ccase ecase typecase ctypecase etypecase match switch",
    handlers="handler-case restart-case",
    lambdas="lambda",
)


def _language_of_cl(head: bytes) -> str:
    """Common Lisp, or OpenCL, which is read as C."""
    return "c" if _C_MARKS.search(head) and not _LISP_MARKS.search(head) else "commonlisp"


def _loops(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """The first letter of each `loop`: without its word it is a list like others."""
    return [Hidden(match.start("word"), match.start("word") + 1) for match in _LOOP.finditer(text)]


def _words_as_data(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Words such as `lambda` and `defun` where they are the name of a variable or an element of a list."""
    return [Hidden(*match.span()) for match in _DEFINER.finditer(text)]


def _is_absolute(node: Node) -> bool:
    """Tell whether the node is a package or system, which no package qualifies."""
    return _PACKAGE.match(node.text or b"") is not None


def _name(node: Node, source: bytes) -> str:
    if _is_absolute(node) or _lisp.head(node, source) == "in-package":
        return _lisp.module_name(node, source).rpartition(":")[2]
    return _lisp.method_name(node, source)


LANGUAGE: Final = LanguageSpec(
    name="commonlisp",
    title="Common Lisp",
    revision=1,
    extensions="lisp lsp cl asd",
    interpreters="sbcl clisp ecl ccl",
    modes="lisp common-lisp",
    by_content={"cl": _language_of_cl},
    names={"list_lit": _name, "defun": _name},
    is_absolute=_is_absolute,
    dotted_methods=True,
    parameters_of=_lisp.parameters,
    doc_of=_lisp.docstring,
    doc_text=_lisp.doc_text,
    repairs=(_loops, _words_as_data),
    sort=_WORDS.sort,
    query="""
[(list_lit) (defun)] @_list
(loop_macro) @branch
(include_reader_macro) @wrapper
[(quoting_lit) (syn_quoting_lit) (dis_expr)] @data
[(comment) (block_comment)] @comment
""",
    statements="(list_lit) @statement",
)
