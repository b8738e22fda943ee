"""Name, parameters, field types and return type of a definition, read from its node.

Belongs here: the rules that hold for most grammars. Does not belong here: those of one language (`languages`).
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.core.model import Parameter, TypeAnnotation

_NAME_FIELDS: Final = ("name", "pattern", "left", "declarator")
_DEFAULT_FIELDS: Final = ("value", "default_value", "right", "default")
_NOT_PARAMETERS: Final = frozenset(
    {
        "comma",
        "comment",
        "line_comment",
        "block_comment",
        "keyword_separator",
        "positional_separator",
        "attribute_item",
        "ERROR",
    }
)
_TYPE_NODES: Final = ("type_annotation", "_type")
_GENERICS: Final = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_MAX_NAME: Final = 200


def text_of(node: Node | None, source: bytes) -> str:
    """The node's source text with runs of blanks as one space; empty for no node."""
    if node is None:
        return ""
    return " ".join(source[node.start_byte : node.end_byte].decode("utf-8", "replace").split())


def raw_text_of(node: Node, source: bytes) -> str:
    """The node's source text as it stands."""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def squeezed(text: str) -> str:
    """Runs of blanks as one space, none at the edges."""
    return " ".join(text.split())


def first_field(node: Node, names: tuple[str, ...]) -> Node | None:
    """The child in the first of the fields that the node has."""
    for name in names:
        child = node.child_by_field_name(name)
        if child is not None:
            return child
    return None


def first_child(node: Node, types: tuple[str, ...]) -> Node | None:
    """The first named child of one of the types."""
    return next((child for child in node.named_children if child.type in types), None) if types else None


def without_generics(name: str) -> str:
    """`Map<K, List<V>>` as `Map`."""
    previous = None
    while previous != name:
        previous, name = name, _GENERICS.sub("", name)
    return name.strip()


def name_node_of(node: Node, spec: LanguageSpec) -> Node | None:
    """The node of the definition's name."""
    return first_field(node, spec.name_fields) or first_child(node, spec.name_types)


def name_of(node: Node, source: bytes, spec: LanguageSpec) -> str:
    """The definition's name; empty for an anonymous one. Cut, so that broken code has no page-long names."""
    special = spec.names.get(node.type)
    name = special(node, source) if special else text_of(name_node_of(node, spec), source)
    return name[:_MAX_NAME].rstrip()


def carrier_of(node: Node, spec: LanguageSpec) -> Node:
    """The node that has the parameters: the definition's, or the function that it binds."""
    if spec.carrier is not None:
        return spec.carrier(node) or node
    return (first_field(node, spec.value_fields) or node) if spec.value_fields else node


def parameters_of(carrier: Node, source: bytes, spec: LanguageSpec) -> tuple[Parameter, ...]:
    """The parameters in order."""
    if spec.parameters_of is not None:
        return spec.parameters_of(carrier, source)
    node = first_field(carrier, spec.parameter_fields)
    return () if node is None else parameter_list(node, source)


def parameter_list(node: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters that are a list's named children, or the one parameter that `node` itself is."""
    children = node.named_children
    if not children and node.type in {"identifier", "simple_identifier"}:
        return (Parameter(text_of(node, source)),)
    found: list[Parameter] = []
    loose_type = node.child_by_field_name("type")
    loose_name = node.child_by_field_name("name") if loose_type is not None else None
    for child in children:
        if child.type not in _NOT_PARAMETERS and child not in (loose_type, loose_name):
            found += _parameters(child, source)
    if loose_type is not None:  # `params string[] tags` in C#: a parameter without a node of its own
        found.append(Parameter(text_of(loose_name, source), text_of(loose_type, source)))
    return tuple(found)


def _parameters(node: Node, source: bytes) -> list[Parameter]:
    """One child of a parameter list; several names of one type (Go) are several parameters."""
    whole = text_of(node, source)
    if not node.named_child_count:
        return [Parameter(whole)]
    if node.type == "spread_parameter":  # Java's `int... codes`: no fields
        kind, _, name = whole.rpartition("...")
        return [Parameter(name.strip(), f"{kind.strip()}...")]
    type_node = node.child_by_field_name("type")
    type_text = text_of(type_node, source).removeprefix(":").strip() or None
    default = _default_of(node, source)
    names = node.children_by_field_name("name")
    if not names:
        first = first_field(node, _NAME_FIELDS) or (node.named_child(0) if type_node is not None else None)
        names = [first] if first is not None and first != type_node else []
    if not names:
        # No name but a type (a prototype's), or a pattern that is its own name (`{a, b}`, `&self`).
        return [Parameter("", type_text)] if type_node is not None else [Parameter(whole)]
    if type_text is None and default is None:
        return [Parameter(whole.removesuffix(":"))]  # with its marker: `*rest`, `&block`
    return [Parameter(text_of(name, source), type_text, default) for name in names]


def _default_of(node: Node, source: bytes) -> str | None:
    found = first_field(node, _DEFAULT_FIELDS)
    if found is None:
        after_equals = False
        for child in node.children:
            if after_equals:
                found = child
                break
            after_equals = child.type == "="
    return text_of(found, source).removeprefix("=").strip() or None


def field_of(node: Node, source: bytes) -> list[TypeAnnotation]:
    """Names and type of a typed member; Swift and Kotlin have the type beside the name, without a field."""
    type_node = node.child_by_field_name("type")
    if type_node is None:
        type_node = next((child for child in node.named_children if child.type.endswith(_TYPE_NODES)), None)
    type_text = text_of(type_node, source).removeprefix(":").strip()
    found = []
    for child in _field_names(node):
        inner: Node | None = child
        while inner is not None and (deeper := first_field(inner, ("name", "declarator"))) is not None:
            inner = deeper
        name = text_of(inner, source)
        if name and type_text and child != type_node:
            found.append(TypeAnnotation(name, type_text))
    return found


def _field_names(node: Node) -> list[Node]:
    for field_name in ("name", "left", "pattern", "declarator"):
        names = node.children_by_field_name(field_name)
        if names:
            return names
    declarators = [child for child in node.named_children if child.type.endswith("declarator")]
    return declarators or [child for child in node.named_children if child.type == "simple_identifier"][:1]


def return_type_of(carrier: Node, source: bytes, spec: LanguageSpec) -> str | None:
    """The declared return type as the source spells it, without `:` or `->`."""
    special = spec.return_type_of
    text = special(carrier, source) if special else text_of(first_field(carrier, spec.return_fields), source)
    return text.removeprefix("->").removeprefix(":").strip() or None


def result_of_signature(signature: str) -> str | None:
    """The result type of `f :: a -> (b -> c) -> d`, `@spec f(a) :: d` or `-spec f(a) -> d`."""
    if signature.startswith("-spec"):
        kind = signature.rpartition(";")[2].removesuffix(".")
    else:
        kind = signature.rpartition("::")[2] if signature.startswith("@") else signature.partition("::")[2]
    depth = 0
    for position in range(len(kind) - 1, 0, -1):
        character = kind[position]
        depth += (character in ")]}") - (character in "([{")
        if depth == 0 and kind[position - 1 : position + 1] == "->":
            kind = kind[position + 1 :]
            break
    return squeezed(kind) or None
