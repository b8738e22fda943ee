"""Racket: functions and macros are functions, structures, interfaces and classes are classes, submodules scopes."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.languages import _lisp

_WORDS: Final = _lisp.Words(
    binds=True,
    named="define-syntax define-syntaxes define-syntax-parameter define-for-syntax define-match-expander"
    " define-syntax-class define-splicing-syntax-class",
    classes="struct define-struct serializable-struct define-serializable-struct struct/contract struct: define-struct/contract"
    " define-generics define-signature define-unit define-type define-datatype define-class",
    makers="class class* class/derived mixin interface interface* unit",
    scopes="module module* module+",
    imports="require",
    branches="when unless do while until for for* for/list for*/list for/fold for*/fold for/hash for/vector"
    " for/and for/or for/sum for/first for/last for/set for/hasheq for/string for*/and for*/or for/lists for*/hash",
    cases="case match match* syntax-case syntax-parse",
)

LANGUAGE: Final = LanguageSpec(
    name="racket",
    title="Racket",
    revision=1,
    extensions="rkt rktl rktd",
    interpreters="racket gracket",
    modes="racket",
    names={"list": _lisp.name},
    parameters_of=_lisp.bound_parameters,
    doc_text=_lisp.doc_text,
    sort=_WORDS.sort,
    query="""
(list) @_list
[(quote) (quasiquote) (syntax) (quasisyntax) (sexp_comment)] @data
[(comment) (block_comment)] @comment
""",
    statements="(list) @statement",
)
