"""VHDL: design units and types are classes, labelled processes are functions, blocks and generate statements scopes."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, text_of
from code_index.core.model import Parameter

_MARK: Final = re.compile(r"^(?:--+[!|^]?|/\*+|\s*\*+/$)[ \t]?", re.MULTILINE)


def _architecture_name(node: Node, source: bytes) -> str:
    """`entity.name`: an architecture belongs to its entity."""
    parts = (node.child_by_field_name("entity"), node.child_by_field_name("name"))
    return ".".join(text_of(part, source).rpartition(".")[2] for part in parts)


def _doc_text(comment: str) -> str:
    return _MARK.sub("", comment).rstrip()


def _designator(node: Node, source: bytes) -> str:
    """The name of a function, or the operator that it overloads."""
    return text_of(node.child_by_field_name("designator"), source).strip('"')


def _label(node: Node, source: bytes) -> str:
    return text_of(first_child(node, ("label",)), source).rstrip(": ")


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters; several names of one type are several parameters."""
    clause = first_child(carrier, ("function_parameter_clause", "procedure_parameter_clause"))
    found: list[Parameter] = []
    for child in clause.named_children if clause is not None else ():
        names = first_child(child, ("identifier_list",))
        if names is None:
            continue
        kind = text_of(first_child(child, ("subtype_indication",)), source) or None
        default = text_of(first_child(child, ("default_expression",)), source).removeprefix(":=").strip() or None
        found += [Parameter(text_of(name, source), kind, default) for name in names.named_children]
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    return text_of(first_child(carrier, ("return",)), source).partition(" ")[2]


_LABELLED: Final = (
    "process_statement",
    "block_statement",
    "for_generate_statement",
    "if_generate_statement",
    "case_generate_statement",
)

LANGUAGE: Final = LanguageSpec(
    name="vhdl",
    title="VHDL",
    revision=1,
    extensions="vhd vhdl vho vht",
    modes="vhdl",
    name_fields=("name", "designator", "package"),
    names={"architecture_body": _architecture_name}
    | dict.fromkeys(("function_body", "function_declaration"), _designator)
    | dict.fromkeys(_LABELLED, _label),
    path_separator=".",
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("--!",),
    doc_text=_doc_text,
    query="""
[(entity_declaration) (architecture_body) (package_declaration) (package_body) (package_instantiation_declaration)] @class
[(configuration_declaration) (context_declaration) (component_declaration)] @class
[(full_type_declaration) (subtype_declaration)] @class
[(function_body) (procedure_body) (function_declaration) (procedure_declaration)] @function
(process_statement (label)) @function
[(block_statement (label)) (for_generate_statement (label)) (if_generate_statement (label)) (case_generate_statement (label))] @scope
(comment) @comment
[(library_clause) (use_clause) (context_reference)] @import
[(if_statement) (loop_statement)] @branch
(elsif) @elif
(else) @else
(case_statement) @switch
(case_statement_alternative) @path
(case_statement_alternative (choices (others))) @not_path
(logical_expression operator: "and") @and
(logical_expression operator: "or") @or
""",
    statements="""
(design_file (_) @statement)
(declarative_part (_) @statement)
(concurrent_statement_part (_) @statement)
(sequence_of_statements (_) @statement)
""",
)
