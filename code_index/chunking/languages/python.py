"""Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from code_index.chunking.language_spec import LanguageSpec

_FROM: Final = re.compile(r"from\s*([.\s]*[\w.]*)\s*import\s*\(?([^()]*)")


def _imported(text: str) -> Iterator[tuple[str, str, str]]:
    """The names that `import a.b as c, d` and `from .a import b as c` bind."""
    found = _FROM.match(text)
    if found is not None:
        module = found[1].replace(" ", "")
        for item in found[2].split(","):
            original, _, local = item.strip().partition(" as ")
            if original.isidentifier() or original == "*":
                yield local.strip() or original, module, original
        return
    for item in text.removeprefix("import").split(","):
        module, _, local = item.strip().partition(" as ")
        if module:
            yield (local.strip(), module, "") if local else (module.partition(".")[0], module.partition(".")[0], "")


LANGUAGE: Final = LanguageSpec(
    name="python",
    title="Python",
    extensions="py pyi pyw",
    file_names="sconstruct sconscript wscript snakefile",
    interpreters="python pypy ipython jython micropython sage",
    plain_docs=False,
    doc_prefixes=("#:",),
    indentation_binds=True,
    imported=_imported,
    keyed=re.compile(rb"[ \t]?=(?!=)"),
    self_names=frozenset({"self", "cls"}),
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

(assignment left: (identifier) @variable)
(assignment left: (pattern_list (identifier) @variable))
(type_alias_statement left: (type (identifier) @variable))
[(parameters (identifier) @local) (lambda_parameters (identifier) @local)]
(default_parameter name: (identifier) @local)
(typed_default_parameter name: (identifier) @local)
(typed_parameter . (identifier) @local)
(list_splat_pattern (identifier) @local)
(dictionary_splat_pattern (identifier) @local)
[(for_statement left: (identifier) @local) (for_in_clause left: (identifier) @local)]
(for_statement left: (_ (identifier) @local))
(for_in_clause left: (_ (identifier) @local))
(as_pattern_target (identifier) @local)
(named_expression name: (identifier) @local)
(class_definition superclasses: (argument_list) @bases)
""",
    statements="""
(block (_) @statement)
(module (_) @statement)
""",
)
