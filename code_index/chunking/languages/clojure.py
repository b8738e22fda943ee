"""Clojure: every definition is a list whose first word says what it is."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_string
from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import first_child, raw_text_of, text_of
from code_index.core.model import Parameter

_OWNERS: Final = '"defprotocol" "definterface" "defrecord" "deftype" "extend-type" "extend-protocol" "extend"'


def _symbol(node: Node | None, source: bytes) -> str:
    """A symbol without its metadata; empty for anything else."""
    if node is None or node.type != "sym_lit":
        return ""
    space, name = first_child(node, ("sym_ns",)), first_child(node, ("sym_name",))
    return "/".join(text_of(part, source) for part in (space, name) if part is not None)


def _values(node: Node) -> list[Node]:
    return node.children_by_field_name("value")


def _is_definition(values: list[Node], source: bytes) -> bool:
    """Tell whether the list begins with a word such as `defn` or `ns`, rather than with a method's name."""
    word = _symbol(values[0], source).rpartition("/")[2] if values else ""
    return word == "ns" or (word.startswith(("def", "extend", ">defn")) and len(values) > 1)


def _name(node: Node, source: bytes) -> str:
    values = _values(node)
    if not _is_definition(values, source):
        return _symbol(values[0], source) if values else ""
    return _symbol(values[1], source)


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """The first vector of parameters: that of the first arity, where there are several."""
    vector = None
    for value in _values(carrier)[1:]:
        first = _values(value)[:1] if value.type == "list_lit" else [value]
        if first and first[0].type == "vec_lit":
            vector = first[0]
            break
    found: list[Parameter] = []
    mark = ""
    for value in _values(vector) if vector is not None else ():
        text = text_of(value, source)
        if mark == ":-" and found:  # the type of Schema
            found[-1] = Parameter(found[-1].name, text)
        elif text not in {"&", ":-"}:
            found.append(Parameter(f"& {text}" if mark == "&" else text))
        mark = text
    return tuple(found)


def _docstring(node: Node, source: bytes) -> str:
    """The string after the name with more behind it, or the last one of a protocol's method."""
    values = _values(node)
    found = values[-1] if len(values) > 1 else None
    if _is_definition(values, source):
        found, *more = *values[2:], None
        is_value = len(more) == 1 and _symbol(values[0], source) != "defprotocol"  # `(def unit "metre")`
        found = None if is_value else found
    if found is None or found.type != "str_lit":
        return ""
    return clean_string(raw_text_of(found, source)) or ""


LANGUAGE: Final = LanguageSpec(
    name="clojure",
    title="Clojure",
    revision=1,
    extensions="clj cljs cljc bb",
    interpreters="bb clojure",
    names={"list_lit": _name},
    name_fields=(),
    parameters_of=_parameters,
    doc_of=_docstring,
    doc_prefixes=(";;;;",),
    query=f"""
(list_lit . (sym_lit name: (sym_name) @_ns) (#eq? @_ns "ns")) @scope
(list_lit . (sym_lit name: (sym_name) @_ns) (#eq? @_ns "ns")) @rest
(list_lit . (sym_lit name: (sym_name) @_ns) (#eq? @_ns "ns")) @import
(list_lit . (sym_lit name: (sym_name) @_ns) . (sym_lit) . (str_lit) @file_docstring (#eq? @_ns "ns"))
(list_lit . (sym_lit name: (sym_name) @_def) . (sym_lit) (#any-of? @_def {_OWNERS})) @class
(list_lit . (sym_lit name: (sym_name) @_def) (list_lit . (sym_lit)) @function (#any-of? @_def {_OWNERS}))
(list_lit . (sym_lit name: (sym_name) @_def) . (sym_lit) (#any-of? @_def "defn" "defn-" "defmacro" "defmulti" "defmethod" "deftest" "definline" "defspec" ">defn" ">defn-" "defn-spec")) @function
(list_lit . (sym_lit name: (sym_name) @_def) . (sym_lit) [(anon_fn_lit) (list_lit . (sym_lit name: (sym_name) @_fn))] . (#any-of? @_def "def" "defonce") (#any-of? @_fn "fn" "partial" "comp" "fnil" "memoize")) @function
(list_lit . (sym_lit name: (sym_name) @_def) . (sym_lit) (#match? @_def "^def")) @member
(comment) @comment
(list_lit . (sym_lit name: (sym_name) @_use) (#any-of? @_use "require" "use" "import" "load-file")) @import
(list_lit . (sym_lit name: (sym_name) @_if) (#any-of? @_if "if" "if-not" "if-let" "if-some" "when" "when-not" "when-let" "when-some" "when-first" "while" "doseq" "dotimes" "for" "catch")) @branch
(list_lit . (sym_lit name: (sym_name) @_case) (#any-of? @_case "cond" "condp" "case" "cond->" "cond->>")) @switch
(list_lit . (sym_lit name: (sym_name) @_and) (#eq? @_and "and")) @and
(list_lit . (sym_lit name: (sym_name) @_or) (#eq? @_or "or")) @or
(list_lit . (sym_lit name: (sym_name) @_fn) (#eq? @_fn "fn")) @closure
(anon_fn_lit) @closure
""",
    statements="""
(source (_) @statement)
(list_lit (list_lit) @statement)
(map_lit (_) @statement)
""",
)
