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
    docstring_of=_docstring,
    doc_text=_doc_text,
    query=rf"""
[(function_definition) (macro_definition)] @function
(list . (symbol) @_def . [(symbol) (list)] . (list) (#match? @_def "{_lisp.FUNCTIONS}")) @function
(list . (symbol) @_def . (symbol) . (symbol) . (list) (#any-of? @_def "cl-defmethod" "defmethod")) @function
(list . (symbol) @_def . (symbol) (#match? @_def "^(define-(minor|derived|globalized-minor|global-minor|generic|compilation)-mode)$")) @function
(list . (symbol) @_def . [(quote) (special_form "quote")] (#any-of? @_def "defalias" "fset" "define-obsolete-function-alias")) @function
(list . (symbol) @_def . (quote) (#eq? @_def "define-error")) @class
(list . (symbol) @_def . [(symbol) (list)] (#any-of? @_def "cl-defstruct" "defstruct" "defclass" "defclass*" "cl-deftype")) @class
(quote) @data
(comment) @comment
(source_file . (comment) @file_docstring)
(list . (symbol) @_require (#any-of? @_require "require" "load" "load-library" "use-package" "autoload")) @import
[(special_form "if") (special_form "while")] @branch
(list . (symbol) @_if (#any-of? @_if "when" "unless" "dolist" "dotimes" "if-let" "if-let*" "when-let" "when-let*" "while-let" "cl-loop" "cl-do" "cl-dolist" "cl-dotimes" "seq-doseq" "loop" "-if-let" "-when-let")) @branch
(special_form "if" . (_) . (_) . (_) @else)
(special_form "if" . (_) . (_) . (special_form "if") @else_if)
(special_form "condition-case" . (_) . (_) (list) @branch)
(special_form "cond") @switch
(special_form "cond" (list . (_)) @path)
(special_form "cond" (list . (symbol) @_t (#eq? @_t "t")) @not_path)
(list . (symbol) @_case (#any-of? @_case "pcase" "cl-case" "cl-ecase" "case" "pcase-exhaustive" "cl-typecase")) @switch
(list . (symbol) @_case . (_) (list . (_)) @path (#any-of? @_case "pcase" "cl-case" "cl-ecase" "case" "pcase-exhaustive" "cl-typecase"))
(list . (symbol) @_case . (_) (list . (symbol) @_any (#any-of? @_any "_" "t" "otherwise")) @not_path (#any-of? @_case "pcase" "cl-case" "cl-ecase" "case" "pcase-exhaustive" "cl-typecase"))
(special_form "and") @and
(special_form "or") @or
(special_form "lambda") @closure
(list . (symbol) @_lambda (#eq? @_lambda "lambda")) @closure
""",
    statements="""
(source_file (_) @statement)
(list (_) @statement)
(function_definition (_) @statement)
(macro_definition (_) @statement)
(special_form (_) @statement)
""",
)
