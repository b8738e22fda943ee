"""Scheme: procedures and syntax are functions, record types and classes are classes, libraries and modules scopes."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.languages import _lisp

_FORMS: Final = re.compile(rb"^\s*(?:;|#!r[67]rs\b|\((?:library|import|define|define-library|module)\b)", re.MULTILINE)

_WORDS: Final = _lisp.Words(
    binds=True,
    named="define-syntax define-syntax-parameter define-generic",
    classes="define-record-type define-immutable-record-type define-record define-structure define-class"
    " define-condition-type define-enumeration",
    scopes="library define-library",
    rests="define-module",
    imports="import use-modules load include require-extension use require",
    branches="when unless do while until dotimes dolist and-let* when-let if-let guard",
    cases="case match syntax-case record-case select",
)


def _language_of_sls(head: bytes) -> str:
    """A library of Scheme, or states of Salt, which are YAML."""
    return "scheme" if _FORMS.search(head) else "yaml"


def _language_of_sld(head: bytes) -> str:
    """A library of Scheme, or styles of maps, which are XML."""
    return "xml" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else "scheme"


def _name(node: Node, source: bytes) -> str:
    is_module = _lisp.head(node, source) in {*_WORDS.scopes.split(), *_WORDS.rests.split()}
    return (_lisp.module_name if is_module else _lisp.name)(node, source)


LANGUAGE: Final = LanguageSpec(
    name="scheme",
    title="Scheme",
    revision=1,
    extensions="scm ss sld sls",
    file_names=".guile",
    interpreters="guile csi chibi-scheme gosh scheme mzscheme bigloo petite chez",
    modes="scheme",
    by_content={"sls": _language_of_sls, "sld": _language_of_sld},
    names={"list": _name},
    parameters_of=_lisp.bound_parameters,
    doc_of=_lisp.docstring,
    doc_text=_lisp.doc_text,
    sort=_WORDS.sort,
    query="""
(list) @_list
[(quote) (quasiquote) (syntax) (quasisyntax)] @data
(comment (_) @data)
[(comment) (block_comment)] @comment
(program (list . (symbol) @_module (#any-of? @_module "define-module" "library" "define-library")) @file_head)
""",
    statements="(list) @statement",
)
