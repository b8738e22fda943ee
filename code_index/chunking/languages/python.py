"""Python."""

from __future__ import annotations

from typing import Final

from code_index.chunking.language_spec import LanguageSpec

LANGUAGE: Final = LanguageSpec(
    name="python",
    title="Python",
    extensions="py pyi pyw",
    file_names="sconstruct sconscript wscript snakefile",
    interpreters="python pypy ipython jython micropython sage",
    plain_docs=False,
    doc_prefixes=("#:",),
    indentation_binds=True,
    query="""
(function_definition) @function
(class_definition) @class
(decorated_definition) @wrapper
(decorator) @decorator
(comment) @comment
(function_definition body: (block . [(string) (concatenated_string)] @docstring))
(class_definition body: (block . [(string) (concatenated_string)] @docstring))
(module . (comment)* . (string) @file_docstring)
(class_definition body: (block (assignment left: (identifier) type: (type)) @field))
[(import_statement) (import_from_statement) (future_import_statement)] @import

[(if_statement) (for_statement) (while_statement) (except_clause) (conditional_expression)] @branch
(match_statement) @switch
(case_clause) @path
(case_clause . (case_pattern "_") consequence: (_)) @not_path
(elif_clause) @elif
(else_clause) @else
[(for_in_clause) (if_clause)] @path
(boolean_operator operator: "and") @and
(boolean_operator operator: "or") @or
(lambda) @closure
""",
    statements="""
(block (_) @statement)
(module (_) @statement)
""",
)
