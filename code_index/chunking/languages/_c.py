"""The family of C and C++."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.hidden_text import Hidden, Span, conditional_text, near
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import parameter_list, squeezed, text_of, without_generics
from code_index.core.model import Parameter

_DECLARATORS: Final = frozenset(
    {
        "pointer_declarator",
        "block_pointer_declarator",
        "reference_declarator",
        "function_declarator",
        "parenthesized_declarator",
        "array_declarator",
        "attributed_declarator",
        "init_declarator",
    }
)
_TEST_MACROS: Final = frozenset({"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P", "BENCHMARK_F"})
_MACRO_NAME: Final = re.compile(r"[A-Z][A-Z\d]*_[A-Z\d_]*|TEST|BENCHMARK")
_NAMING: Final = frozenset({"identifier", "string_literal", "type_identifier", "qualified_identifier"})
_QUALIFIERS: Final = re.compile(r"\b(?:const|volatile|restrict|__restrict|_Nonnull|_Nullable)\b")


_VALUES: Final = rb"(?:[ \t]*\((?:[^()\"]|\"(?:[^\"\\\n]|\\.)*+\"|\([^()]*+\)){0,500}+\))"
_MACRO: Final = rb"(?:[A-Z_][A-Z\d_]++|__\w++|[A-Za-z]\w*?(?:API|EXPORT|api|export)\w*+)(?![\w:])" + _VALUES + rb"?"
_NO_NAME: Final = rb"(?!(?:final|override|sealed|abstract|class|struct)\b)"
_LEADING_MACRO: Final = re.compile(
    rb"^[ \t]*(?P<macro>" + _MACRO + rb"(?:[ \t]+" + _MACRO + rb"){0,3})[ \t]+(?=(?:class|struct|enum|union|template"
    rb"|namespace|static|inline|extern|const|virtual|explicit|typedef)\b"
    rb"|[A-Za-z_][\w:<>,]*+[\s*&]+~?[A-Za-z_][\w:]*+[ \t]*\()",
    re.MULTILINE,
)
"""A macro before a declaration."""

_MISLEADING: Final = (
    # `class EXPORT Name : Base {`; with `class`, no other word can stand there than a macro.
    re.compile(
        rb"\b(?:class[ \t\n]+|(?:struct|union|enum(?:[ \t]+(?:class|struct))?)[ \t]+(?=" + _MACRO + rb"))"
        rb"(?P<macro>(?:"
        + _NO_NAME
        + rb"[A-Za-z_]\w*+"
        + _VALUES
        + rb"?\s+){1,3})"
        + _NO_NAME
        + rb"[A-Za-z_][\w:]*+(?:<[^<>{};]*+>)?\s*+(?:final\b\s*+)?(?::(?!:)[^;{}]{0,500})?\{"
    ),
    # A macro on a line of its own, not before a body or a function's name.
    re.compile(
        rb"^[ \t]*(?P<macro>" + _MACRO + rb")[ \t]*\r?$(?!\s*+(?:[{(,=;.|&+\-]|:(?!:)|[a-z_]\w*+[ \t]*\())",
        re.MULTILINE,
    ),
    # A macro between a type and a name, after a pointer, or between parameters and body.
    re.compile(
        rb"^[ \t]*(?:[a-z_]\w*+[ \t*]++){1,4}(?P<macro>" + _MACRO + rb")[ \t]+(?=[a-z_]\w*[ \t]*\()", re.MULTILINE
    ),
    re.compile(rb"[*&][ \t]*(?P<macro>" + _MACRO + rb")\s+(?=[A-Za-z_])"),
    re.compile(rb"\)(?:\s*+(?:const|noexcept)\b)?\s+(?P<macro>" + _MACRO + rb")(?=\s*+[{;])"),
)


def _macros(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Macros near faults that stand where the grammar expects none."""
    found = near(_MISLEADING, text, faults, "macro")
    leading = near((_LEADING_MACRO,), text, faults, "macro")
    return found + [hidden._replace(role="attribute") for hidden in leading]


def _conditionals(text: bytes, _faults: list[Span]) -> list[Hidden]:
    """Branches of `#if` that share a closing brace with another one."""
    return conditional_text(text)


def _directives(text: bytes, faults: list[Span]) -> list[Hidden]:
    """Directives of conditional compilation near faults: those within a declaration or a list make it an error."""
    return conditional_text(text, faults)


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
    if not parts and _is_made_by_macro(node, own):
        own = _macro_made_name(
            own, [parameter.type or parameter.name for parameter in _declared_parameters(node, source)]
        )
    return ".".join([*parts, own])


def _called_name(node: Node, source: bytes) -> str:
    """Name of a function whose head is a macro's call: `SYSCALL_DEFINE2(reboot, int, magic) {`."""
    call = node.named_child(0)
    arguments = call.child_by_field_name("arguments") if call is not None else None
    values = arguments.named_children if arguments is not None else []
    words = [text_of(value, source).strip('"') if value.type in _NAMING else "" for value in values]
    return _macro_made_name(text_of(call.child_by_field_name("function") if call is not None else None, source), words)


def _macro_made_name(macro: str, arguments: list[str]) -> str:
    """The name in the macro's arguments; a googletest case by its suite and name."""
    if macro in _TEST_MACROS:
        return ".".join(filter(None, arguments)) or macro
    return arguments[0] if arguments and arguments[0] else macro


def _type_name(node: Node, source: bytes) -> str:
    """The name of a struct, union, enum or class, else that of its `typedef`."""
    name = node.child_by_field_name("name")
    if name is None and node.parent is not None:
        name = node.parent.child_by_field_name("declarator")
    return without_generics(text_of(name, source))


def _is_made_by_macro(node: Node, name: str) -> bool:
    """Tell whether a function's head is the call of a macro, rather than that of a constructor."""
    return _MACRO_NAME.fullmatch(name) is not None and node.child_by_field_name("type") is None


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    is_call = carrier.type == "expression_statement" or _is_made_by_macro(carrier, text_of(_name_node(carrier), source))
    return () if is_call else _declared_parameters(carrier, source)


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
        if named is None or not name or child.child_by_field_name("type") is None:
            has_type = child.child_by_field_name("type") is not None
            found.append(Parameter("", whole) if has_type else Parameter(whole))
            continue
        # A declarator wraps its name (`int (*filter)(int)`): the type is the rest, read as C reads it.
        before = squeezed(source[child.start_byte : named.start_byte].decode("utf-8", "replace"))
        after = whole[len(squeezed(source[child.start_byte : named.end_byte].decode("utf-8", "replace"))) :]
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


HEAD_WITHOUT_PARAMETERS: Final = "(function_definition declarator: (identifier)) @doubt\n"
"""A class behind a macro, where a language has no blocks of that form."""

NAMES: Final = {
    "function_definition": _function_name,
    "declaration": _function_name,
    "field_declaration": _function_name,
    "expression_statement": _called_name,
    "type_definition": _function_name,
    "struct_specifier": _type_name,
    "union_specifier": _type_name,
    "enum_specifier": _type_name,
    "class_specifier": _type_name,
}


def prototypes(names: str, declarators: tuple[str, ...]) -> str:
    """The query of declarations without a body, by the nodes of a function's name and those around its declarator.

    A name in capitals is that of a macro, whose call looks like a declaration in a class.
    """
    function = f"(function_declarator declarator: [{names}] @_name)"
    forms = [function]
    for outer in declarators:
        forms += [f"({outer} {form})" for form in (function, f"({outer} {function})")]
    return f"""
([(declaration declarator: [{" ".join(forms)}]) (field_declaration declarator: [{" ".join(forms)}])] @prototype
 (#not-match? @_name "^[A-Z][A-Z0-9]*_[A-Z0-9_]+$"))
"""


FAMILY: Final = LanguageSpec(
    name="",
    names=NAMES,
    name_fields=("name", "declarator"),
    parameters_of=_parameters,
    return_type_of=_return_type,
    path_separator="::",
    repairs=(_conditionals, _macros, _directives),
    query="""
(function_definition body: (_)) @function
(translation_unit (expression_statement (call_expression function: (identifier))) @function . (compound_statement) @body)
(declaration_list (expression_statement (call_expression function: (identifier))) @function . (compound_statement) @body)
(preproc_ifdef (expression_statement (call_expression function: (identifier))) @function . (compound_statement) @body)
(preproc_if (expression_statement (call_expression function: (identifier))) @function . (compound_statement) @body)
(function_definition type: (type_identifier) @_type declarator: (function_declarator declarator: (identifier) @_name) (#match? @_type "^[A-Z][A-Z0-9_]+$") (#match? @_name "^[A-Z][A-Z0-9]*_[A-Z0-9_]+$")) @doubt
(declaration type: (enum_specifier !body) declarator: (init_declarator value: (initializer_list))) @doubt
(preproc_function_def) @member
(struct_specifier name: (_) body: (_)) @class
(union_specifier name: (_) body: (_)) @class
(enum_specifier name: (_) body: (_)) @class
(type_definition type: [(struct_specifier body: (_)) (union_specifier body: (_)) (enum_specifier body: (_))] @class)
(type_definition type: [(primitive_type) (sized_type_specifier) (type_identifier) (struct_specifier !body) (union_specifier !body) (enum_specifier !body)]) @class
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
