"""The family of JavaScript, TypeScript and TSX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, first_field, text_of

_FUNCTIONS: Final = frozenset({"arrow_function", "function_expression", "generator_function"})
_MAX_CALLS: Final = 3  # within each other, as in `memo(forwardRef((props) => ...))`
_VERBS: Final = frozenset({"get", "post", "put", "patch", "delete", "options", "head", "all"})
_EXPORTS: Final = frozenset({"exports", "module", "window", "self", "global", "globalThis", "this"})


def _bound_name(node: Node, source: bytes) -> str:
    """Name of `exports.f = ...`, `A.prototype.f = ...` or `a.b.f = ...`: owner, if any, and last part.

    What `module.exports = class Order {}` exports has a name of its own.
    """
    value = node.child_by_field_name("right")
    own = text_of(value.child_by_field_name("name") if value is not None else None, source)
    if own and text_of(node.child_by_field_name("left"), source) == "module.exports":
        return own
    parts = [part for part in text_of(node.child_by_field_name("left"), source).split(".") if part]
    while len(parts) > 1 and parts[0] in _EXPORTS:
        del parts[0]
    return ".".join([part for part in parts if part not in {"prototype", "exports"}] or parts[-1:])


def _key_name(node: Node, source: bytes) -> str:
    """Name of a member: the key without quotes."""
    key = node.child_by_field_name("key") or node.child_by_field_name("property") or node.child_by_field_name("name")
    return text_of(key, source).strip("'\"")


def _default_name(_node: Node, _source: bytes) -> str:
    return "default"


def _declared_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source) or "default"


def _called_name(node: Node, source: bytes) -> str:
    """The first argument of `describe("till", ...)`, with the method of `app.get("/till", ...)`."""
    values = node.child_by_field_name("arguments")
    callee = node.child_by_field_name("function")
    title = text_of(values.named_child(0) if values is not None else None, source).strip("'\"`")
    verb = text_of(callee.child_by_field_name("property") if callee is not None else None, source)
    return f"{verb} {title}" if verb in _VERBS else title


def _carrier(node: Node) -> Node | None:
    """The function that a name is bound to, or that a call on the way to it takes."""
    value = first_field(node, ("value", "right")) or node
    for _ in range(_MAX_CALLS):
        if value.type == "parenthesized_expression":
            value = first_child(value, tuple(_FUNCTIONS)) or value
        values = value.child_by_field_name("arguments") if value.type == "call_expression" else None
        if values is None:
            return value
        inner = next((child for child in reversed(values.named_children) if child.type in _FUNCTIONS), None)
        inner = inner or first_child(values, ("call_expression",))
        if inner is None:
            return value
        value = inner
    return value


def _module_name(node: Node, source: bytes) -> str:
    return text_of(node.child_by_field_name("name"), source).strip("'\"")


_NAMES: Final = {
    "module": _module_name,
    "assignment_expression": _bound_name,
    "call_expression": _called_name,
    "pair": _key_name,
    "field_definition": _key_name,
    "method_definition": _key_name,
    "export_statement": _default_name,
    "function_declaration": _declared_name,
    "class_declaration": _declared_name,
}


_MODULE: Final = re.compile(r"(?:from|import|require\()\s*['\"]([^'\"]+)['\"]")
_BRACED: Final = re.compile(r"\{([^{}]*)\}")
_WHOLE: Final = re.compile(r"(?:\*\s*as\s+)?([\w$]+)")


def _imported(text: str) -> Iterator[tuple[str, str, str]]:
    """The names that an import, a re-export or a `require` binds; a default export is taken to have the name it is given."""
    module = _MODULE.search(text)
    if module is None:
        return
    head = re.sub(
        r"^(?:import|export)\s+(?:type\s+)?|(?:=\s*)?(?:from\s+|require\($)", " ", text[: module.start(1) - 1]
    )
    for item in ",".join(_BRACED.findall(head)).split(","):
        original, _, local = item.strip().removeprefix("type ").replace(" as ", ":").partition(":")
        if original.strip():
            yield local.strip() or original.strip(), module[1], original.strip()
    for item in _BRACED.sub("", head).split(","):
        if item.strip() == "*":
            yield "*", module[1], "*"
        found = _WHOLE.match(item.strip())
        if found is not None:
            yield found[1], module[1], "" if "*" in item or "require" in text else found[1]


_FUNCTION: Final = "(arrow_function) (function_expression) (generator_function)"
_CALLEE: Final = (
    "[(identifier) (call_expression function: (identifier)) (member_expression object: (identifier) @_library)]"
)
_CALL: Final = (
    f"(call_expression function: {_CALLEE} arguments: (arguments"
    f" [{_FUNCTION} (call_expression function: {_CALLEE} arguments: (arguments [{_FUNCTION}]))]))"
)
_TITLE: Final = "[(string) (template_string)]"
_WRAPPED: Final = f"""
((variable_declarator name: (identifier) value: {_CALL}) @function (#match? @_library "^[A-Z]"))
((assignment_expression right: {_CALL}) @function (#match? @_library "^[A-Z]"))
((variable_declarator name: (identifier) @_name value: (call_expression arguments: (arguments (identifier) @_component))) @function
 (#match? @_name "^[A-Z].*[a-z]") (#match? @_component "^[A-Z].*[a-z]"))
((call_expression function: (_) @_suite arguments: (arguments . {_TITLE} [{_FUNCTION}])) @scope (#match? @_suite "^(describe|context|suite)(\\.|$)"))
((call_expression function: (_) @_case arguments: (arguments . {_TITLE} [{_FUNCTION}])) @function (#match? @_case "^(it|test|specify|bench)(\\.|$)"))
((call_expression function: (member_expression object: (identifier) property: (property_identifier) @_verb) arguments: (arguments . {_TITLE} [{_FUNCTION}])) @function
 (#any-of? @_verb {" ".join(f'"{verb}"' for verb in sorted(_VERBS))}))
"""
"""Functions behind a call: components, stores, tests, routes. A lower-case library is taken for an object with a method
that calls back: `items.map((item) => ...)` binds no function."""


FAMILY: Final = LanguageSpec(
    name="",
    names=_NAMES,
    dotted_methods=True,
    carrier=_carrier,
    parameter_fields=("parameters", "parameter"),
    doc_prefixes=("/**",),
    imported=_imported,
    called=re.compile(rb"(?:\?\.)?(?:<[^<>();]{0,80}>)?[ ]?[(`]"),
    keyed=re.compile(rb"[ ]?:"),
    self_names=frozenset({"this"}),
    titled=frozenset({"call_expression"}),
    query=_WRAPPED
    + """
[(function_declaration) (generator_function_declaration)] @function
(class_body (method_definition) @function)
(object (method_definition) @function)
(variable_declarator value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator value: (parenthesized_expression [(arrow_function) (function_expression)])) @function
(assignment_expression right: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression right: (parenthesized_expression [(arrow_function) (function_expression)])) @function
(pair value: [(arrow_function) (function_expression) (generator_function)]) @function
(class_declaration) @class
(variable_declarator value: (class)) @class
(assignment_expression right: (class)) @class
(variable_declarator name: (identifier) value: [(object) (call_expression arguments: (arguments (object)))]) @scope
(export_statement declaration: (_)) @wrapper
(export_statement value: [(arrow_function) (function_expression) (generator_function)]) @function
(export_statement value: (class)) @class
(lexical_declaration . (variable_declarator value: [(arrow_function) (function_expression) (generator_function) (class) (call_expression) (parenthesized_expression)]) . ";"? .) @wrapper
(variable_declaration . (variable_declarator value: [(arrow_function) (function_expression) (generator_function) (class) (call_expression) (parenthesized_expression)]) . ";"? .) @wrapper
(expression_statement (call_expression)) @wrapper
(expression_statement (call_expression function: (parenthesized_expression [(function_expression) (arrow_function)] @passage)))
(expression_statement (unary_expression (call_expression function: (function_expression) @passage)))
(expression_statement (call_expression function: [(identifier) @_define (parenthesized_expression (function_expression))] arguments: (arguments (function_expression) @passage)) (#eq? @_define "define"))
(expression_statement (assignment_expression right: [(arrow_function) (function_expression) (generator_function) (class) (call_expression) (parenthesized_expression)])) @wrapper
(comment) @comment
(import_statement) @import
(export_statement source: (_)) @import
(variable_declarator value: (call_expression function: (identifier) @_require (#eq? @_require "require"))) @import
[(if_statement) (for_statement) (for_in_statement) (while_statement) (do_statement) (catch_clause) (ternary_expression)] @branch
(switch_statement) @switch
(switch_case) @path
(else_clause) @else
(else_clause (if_statement) @else_if)
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(binary_expression operator: "??") @path
(break_statement label: (_)) @jump
(continue_statement label: (_)) @jump
[(arrow_function) (function_expression) (generator_function)] @closure
(variable_declarator name: (identifier) @variable)
(program (lexical_declaration (variable_declarator name: (object_pattern (shorthand_property_identifier_pattern) @variable))))
(program (export_statement (lexical_declaration (variable_declarator name: (object_pattern (shorthand_property_identifier_pattern) @variable)))))
(shorthand_property_identifier_pattern) @local
(array_pattern (identifier) @local)
(arrow_function parameter: (identifier) @local)
(rest_pattern (identifier) @local)
(assignment_pattern left: (identifier) @local)
(catch_clause parameter: (identifier) @local)
(for_in_statement left: (identifier) @local)
[(function_expression name: (identifier) @operation) (generator_function name: (identifier) @operation)]
(program (lexical_declaration (variable_declarator value: (object (pair key: (property_identifier) @property)))))
(program (export_statement (lexical_declaration (variable_declarator value: (object (pair key: (property_identifier) @property))))))
(class_heritage) @bases
""",
    statements="""
(statement_block (_) @statement)
(class_body (_) @statement)
(program (_) @statement)
(array (_) @statement)
(object (_) @statement)
(switch_body (_) @statement)
""",
)


def fields(node_type: str) -> str:
    """The query of fields of a class that hold a function, by the grammar's node for a field."""
    return f"""
(class_body ({node_type} value: [(arrow_function) (function_expression)]) @function)
((class_body ({node_type} value: {_CALL}) @function) (#match? @_library "^[A-Z]"))
"""


TYPES: Final = (
    fields("public_field_definition")
    + """
(abstract_class_declaration) @class
[(interface_declaration) (enum_declaration)] @class
(type_alias_declaration) @class
[(function_signature) (abstract_method_signature)] @overload
(class_body (method_signature) @overload)
(internal_module) @scope
(module) @scope
(expression_statement (internal_module)) @wrapper
(ambient_declaration [(class_declaration) (abstract_class_declaration) (interface_declaration) (enum_declaration) (type_alias_declaration) (function_signature)]) @wrapper
(class_body (decorator) @attribute)
(class_declaration decorator: (decorator) @decorator)
(abstract_class_declaration decorator: (decorator) @decorator)
(export_statement decorator: (decorator) @decorator)
(class_body (public_field_definition type: (_)) @field)
(interface_body (property_signature type: (_)) @field)
(class_body (public_field_definition name: [(property_identifier) (private_property_identifier)] @variable))
(interface_body (property_signature name: (property_identifier) @variable))
(interface_body (method_signature name: (property_identifier) @operation))
(enum_body (property_identifier) @variable)
(enum_assignment name: (property_identifier) @variable)
(extends_type_clause) @bases
[(required_parameter pattern: (identifier) @local) (optional_parameter pattern: (identifier) @local)]
[(required_parameter (accessibility_modifier) pattern: (identifier) @parameter_field) (optional_parameter (accessibility_modifier) pattern: (identifier) @parameter_field)]
(required_parameter "readonly" pattern: (identifier) @parameter_field)
"""
)
