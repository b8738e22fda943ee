"""The family of C and C++."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import parameter_list, text_of, without_generics
from code_index.core.model import Parameter

_DECLARATORS: Final = frozenset(
    {
        "pointer_declarator",
        "reference_declarator",
        "function_declarator",
        "parenthesized_declarator",
        "array_declarator",
        "attributed_declarator",
        "init_declarator",
    }
)
_TEST_MACROS: Final = frozenset({"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P", "BENCHMARK_F"})
_QUALIFIERS: Final = re.compile(r"\b(?:const|volatile|restrict|__restrict|_Nonnull|_Nullable)\b")


def _inner(declarator: Node) -> Node | None:
    """One step towards the name; the grammars give some declarators no field."""
    inner = declarator.child_by_field_name("declarator")
    if inner is None and declarator.named_child_count:
        inner = declarator.named_child(declarator.named_child_count - 1)
    return inner


def _function_declarator(node: Node) -> Node | None:
    """The declarator with the function's own parameters: the innermost one around the name."""
    found = None
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type in _DECLARATORS:
        if declarator.type == "function_declarator":
            found = declarator
        declarator = _inner(declarator)
    return found


def _name_node(node: Node) -> Node | None:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type in _DECLARATORS:
        declarator = _inner(declarator)
    return declarator


def _function_name(node: Node, source: bytes) -> str:
    """`Owner.name` for a definition outside its class; a googletest case by its suite and name."""
    name = _name_node(node)
    parts: list[str] = []
    while name is not None and name.type == "qualified_identifier":
        scope = without_generics(text_of(name.child_by_field_name("scope"), source))
        parts += [scope] if scope else []
        name = name.child_by_field_name("name")
    own = text_of(name, source)
    if name is not None and name.type == "template_function":
        own = without_generics(own)
    if name is not None and name.type == "operator_cast":
        own = own.partition("(")[0].rstrip()
    if _is_test(node, own):
        own = ".".join(parameter.type or parameter.name for parameter in _declared_parameters(node, source)) or own
    return ".".join([*parts, own])


def _type_name(node: Node, source: bytes) -> str:
    """The name of a struct, union, enum or class, else that of its `typedef`."""
    name = node.child_by_field_name("name")
    if name is None and node.parent is not None:
        name = node.parent.child_by_field_name("declarator")
    return without_generics(text_of(name, source))


def _is_test(node: Node, name: str) -> bool:
    return name in _TEST_MACROS and node.child_by_field_name("type") is None


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    is_test = _is_test(carrier, text_of(_name_node(carrier), source))
    return () if is_test else _declared_parameters(carrier, source)


def _declared_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    if carrier.type == "preproc_function_def":
        values = carrier.child_by_field_name("parameters")
        return parameter_list(values, source) if values is not None else ()
    declarator = _function_declarator(carrier)
    values = declarator.child_by_field_name("parameters") if declarator is not None else None
    found: list[Parameter] = []
    for child in values.named_children if values is not None else ():
        if child.type == "comment" or text_of(child, source) == "void":
            continue
        named = _name_node(child)
        name = "" if named is None or named.type.startswith("abstract_") else text_of(named, source)
        default = text_of(child.child_by_field_name("default_value"), source) or None
        whole = text_of(child, source)
        if default is not None:
            whole = whole[: whole.rfind("=")].rstrip()
        if not name or child.child_by_field_name("type") is None:
            has_type = child.child_by_field_name("type") is not None
            found.append(Parameter("", whole) if has_type else Parameter(whole))
            continue
        # A declarator wraps its name (`int (*filter)(int)`): the type is the rest, read as C reads it.
        before, _, after = whole.rpartition(name) if whole.endswith(name) else whole.partition(name)
        found.append(Parameter(name, f"{before.rstrip()}{after}".strip() or None, default))
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    """The type with its pointers, or the trailing one; empty for constructors."""
    declarator = _function_declarator(carrier)
    if declarator is not None:
        for child in declarator.named_children:
            if child.type == "trailing_return_type":
                return text_of(child, source)
    type_node = carrier.child_by_field_name("type")
    if type_node is None or declarator is None:
        return ""
    text = source[type_node.start_byte : declarator.start_byte].decode("utf-8", "replace")
    return " ".join(_QUALIFIERS.sub(" ", text).split())


_NAMES: Final = {
    "function_definition": _function_name,
    "struct_specifier": _type_name,
    "union_specifier": _type_name,
    "enum_specifier": _type_name,
    "class_specifier": _type_name,
}


FAMILY: Final = LanguageSpec(
    name="",
    names=_NAMES,
    name_fields=("name", "declarator"),
    parameters_of=_parameters,
    return_type_of=_return_type,
    query="""
(function_definition body: (_)) @function
(preproc_function_def) @member
(struct_specifier name: (_) body: (_)) @class
(union_specifier name: (_) body: (_)) @class
(enum_specifier name: (_) body: (_)) @class
(type_definition type: [(struct_specifier body: (_)) (union_specifier body: (_)) (enum_specifier body: (_))] @class)
(type_definition) @wrapper
(comment) @comment
(preproc_include) @import
(field_declaration_list (field_declaration type: (_) declarator: (_)) @field)
[(if_statement) (for_statement) (while_statement) (do_statement) (conditional_expression)] @branch
(else_clause) @else
(else_clause (if_statement) @else_if)
(switch_statement) @switch
(case_statement value: (_)) @path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(goto_statement) @jump
""",
    statements="""
(compound_statement (_) @statement)
(translation_unit (_) @statement)
(declaration_list (_) @statement)
(field_declaration_list (_) @statement)
(initializer_list (_) @statement)
(preproc_ifdef (_) @statement)
(preproc_if (_) @statement)
""",
)
