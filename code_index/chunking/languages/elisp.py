"""Emacs Lisp: functions, macros, modes, commands and tests are functions; structures and classes are classes."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.languages import _lisp
from code_index.chunking.signatures import text_of

_FILE_HEAD: Final = re.compile(r"\A[\w.+-]+\.el\s+-+\s*|\s*-\*-.*?-\*-")


def _docstring(node: Node, source: bytes) -> str | None:
    elements = _lisp.parts(node)
    if elements and text_of(elements[0], source) == "define-derived-mode":
        strings = [element for element in elements[4:5] if element.type == "string"]
        return _lisp.string_text(strings[0], source) if strings else None
    return _lisp.docstring(node, source)


def _doc_text(comment: str) -> str:
    """A comment without `name.el ---` and the settings of the editor."""
    return _FILE_HEAD.sub("", _lisp.doc_text(comment))


_WORDS: Final = _lisp.Words(
    named="define-minor-mode define-derived-mode define-globalized-minor-mode define-global-minor-mode"
    " define-generic-mode define-compilation-mode defalias fset define-obsolete-function-alias",
    classes="cl-defstruct defstruct defclass cl-deftype define-error",
    imports="require load load-library use-package autoload",
    branches="while when unless dolist dotimes if-let if-let* when-let when-let* while-let cl-loop loop cl-do cl-dolist"
    " cl-dotimes seq-doseq -if-let -when-let",
    cases="pcase pcase-exhaustive cl-case cl-ecase cl-typecase cl-etypecase case ecase",
    handlers="condition-case",
    lambdas="lambda",
)

LANGUAGE: Final = LanguageSpec(
    name="elisp",
    title="Emacs Lisp",
    revision=1,
    extensions="el",
    file_names=".emacs _emacs .spacemacs",
    interpreters="emacs",
    modes="emacs-lisp elisp",
    names=dict.fromkeys(("list", "special_form"), _lisp.method_name)
    | dict.fromkeys(("function_definition", "macro_definition"), _lisp.name),
    dotted_methods=True,
    parameters_of=_lisp.parameters,
    doc_of=_docstring,
    doc_text=_doc_text,
    sort=_WORDS.sort,
    query="""
[(function_definition) (macro_definition) (special_form) (list)] @_list
(quote) @data
(comment) @comment
(source_file . (comment) @file_docstring)
""",
    statements="[(list) (function_definition) (macro_definition) (special_form)] @statement",
)
