"""Java, Kotlin and Scala."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.definitions import first_child, parameter_list, text_of
from code_index.chunking.language_spec import LanguageSpec
from code_index.core.model import Parameter

JAVA: Final = LanguageSpec(
    name="java",
    return_fields=("type",),
    doc_prefixes=("/**",),
    query="""
[(class_declaration) (interface_declaration) (enum_declaration) (record_declaration) (annotation_type_declaration)] @class
[(method_declaration) (constructor_declaration) (compact_constructor_declaration)] @function
[(line_comment) (block_comment)] @comment
(modifiers [(annotation) (marker_annotation)] @decorator)
(import_declaration) @import
(field_declaration type: (_) declarator: (_)) @field
[(if_statement) (for_statement) (enhanced_for_statement) (while_statement) (do_statement) (catch_clause) (ternary_expression)] @branch
(if_statement "else" @else)
(if_statement alternative: (if_statement) @else_if)
(switch_expression) @switch
(switch_label "case") @path
(binary_expression operator: "&&") @and
(binary_expression operator: "||") @or
(break_statement (identifier)) @jump
(continue_statement (identifier)) @jump
(lambda_expression) @closure
""",
    statements="""
(block (_) @statement)
(class_body (_) @statement)
(program (_) @statement)
(array_initializer (_) @statement)
(enum_constant) @statement
""",
)


def _kotlin_function_name(node: Node, source: bytes) -> str:
    """`Receiver.name` of an extension function; a nullable or generic receiver by its plain name."""
    name = text_of(first_child(node, ("simple_identifier",)), source)
    receiver = text_of(node.child_by_field_name("receiver"), source)
    owner = receiver.partition("<")[0].rstrip("?").rpartition(".")[2]
    return f"{owner}.{name}" if owner else name


def _kotlin_companion_name(node: Node, source: bytes) -> str:
    return text_of(first_child(node, ("type_identifier",)), source) or "Companion"


def _kotlin_constructor_name(_node: Node, _source: bytes) -> str:
    return "constructor"


def _kotlin_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The grammar puts a default after its parameter, as a child of the list."""
    values = first_child(carrier, ("function_value_parameters",))
    found: list[Parameter] = []
    after_equals = False
    for child in values.children if values is not None else ():
        if child.type == "parameter":
            named = child.named_children
            found.append(Parameter(text_of(named[0], source), text_of(named[-1], source) if len(named) > 1 else None))
        elif after_equals and found:
            found[-1] = Parameter(found[-1].name, found[-1].type, text_of(child, source))
        after_equals = child.type == "="
    return tuple(found)


def _kotlin_return_type(carrier: Node, source: bytes) -> str:
    if carrier.type != "function_declaration":
        return ""
    after_parameters = after_colon = False
    for child in carrier.children:
        if after_colon:
            return text_of(child, source)
        after_colon = after_parameters and child.type == ":"
        after_parameters = after_parameters or child.type == "function_value_parameters"
    return ""


KOTLIN: Final = LanguageSpec(
    name="kotlin",
    names={
        "function_declaration": _kotlin_function_name,
        "companion_object": _kotlin_companion_name,
        "secondary_constructor": _kotlin_constructor_name,
    },
    name_types=("simple_identifier", "type_identifier"),
    dotted_methods=True,
    parameters_of=_kotlin_parameters,
    return_type_of=_kotlin_return_type,
    doc_prefixes=("/**",),
    query="""
[(class_declaration) (object_declaration) (companion_object)] @class
[(function_declaration) (secondary_constructor)] @function
[(line_comment) (multiline_comment)] @comment
(modifiers (annotation) @decorator)
(import_header) @import
(class_body (property_declaration (variable_declaration (simple_identifier) . (_)) @field))
(class_parameter) @field
[(if_expression) (for_statement) (while_statement) (do_while_statement) (catch_block)] @branch
(if_expression "else" @else)
(if_expression alternative: (control_structure_body . (if_expression) @else_if))
(when_expression) @switch
(when_entry (when_condition)) @path
(elvis_expression) @path
(conjunction_expression) @and
(disjunction_expression) @or
(jump_expression "break@") @jump
(jump_expression "continue@") @jump
[(lambda_literal) (anonymous_function)] @closure
""",
    statements="""
(statements (_) @statement)
(class_body (_) @statement)
(enum_class_body (_) @statement)
(source_file (_) @statement)
(when_entry) @statement
""",
)


def _scala_parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """All parameter lists of a curried function as one."""
    return tuple(
        parameter
        for values in carrier.children_by_field_name("parameters")
        for parameter in parameter_list(values, source)
    )


SCALA: Final = LanguageSpec(
    name="scala",
    parameters_of=_scala_parameters,
    doc_prefixes=("/**",),
    query="""
[(class_definition) (object_definition) (trait_definition) (enum_definition) (package_object)] @class
(function_definition) @function
(package_clause body: (_)) @scope
[(comment) (block_comment)] @comment
(class_definition (annotation) @decorator)
(trait_definition (annotation) @decorator)
(object_definition (annotation) @decorator)
(function_definition (annotation) @decorator)
(import_declaration) @import
(template_body (val_definition type: (_)) @field)
(template_body (var_definition type: (_)) @field)
(class_parameter) @field
[(if_expression) (for_expression) (while_expression) (do_while_expression) (catch_clause)] @branch
(if_expression "else" @else)
(if_expression alternative: (if_expression) @else_if)
(match_expression) @switch
(match_expression body: (_ (case_clause) @path))
(case_clause pattern: (wildcard)) @not_path
(infix_expression operator: (operator_identifier) @_and (#eq? @_and "&&")) @and
(infix_expression operator: (operator_identifier) @_or (#eq? @_or "||")) @or
(lambda_expression) @closure
""",
    statements="""
(block (_) @statement)
(indented_block (_) @statement)
(template_body (_) @statement)
(compilation_unit (_) @statement)
(case_clause) @statement
""",
)
