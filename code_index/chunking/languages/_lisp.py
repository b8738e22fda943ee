"""Lists of Lisps: the first word says what a list is.

Belongs here: the roles of lists by their words and shape; name, parameters and documentation of a definition.
Does not belong here: the words of one Lisp.

The grammars know next to nothing but lists, and macros make new words for definitions, so the shape counts as well: a
word that begins with `def`, a name and a list of parameters define a function whatever the word. What is quoted is
data, and the template in a macro is quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from code_index.chunking.comments import clean_string, without_markers
from code_index.chunking.signatures import text_of
from code_index.core.model import Parameter

_MACRO: Final = re.compile(
    r"-?(?:cl-|iter-|cl-iter-|pcase-|ert-|transient-)?def(?!ault|er|var|parameter|const|custom|group|face|type|ine-values"
    r"|ine-(?:key|abbrev|modify|obsolete|symbol))\S*"
)
_LAMBDAS: Final = "lambda λ lambda* case-lambda case-lambda* opt-lambda named-lambda keyword-lambda trace-lambda"
_MODULES: Final = frozenset({"library", "define-library", "define-module"})
_LETS: Final = frozenset({"let", "let*", "letrec", "letrec*"})
_OTHERWISE: Final = frozenset({"t", "else", "otherwise", "_"})
_NEED_NAME: Final = frozenset({"function", "class", "scope", "rest"})
_MAX_WORD: Final = 100
_LISTS: Final = frozenset({"list", "list_lit", "vector", "defun"})
_SYMBOLS: Final = frozenset({"symbol", "sym_lit", "package_lit", "keyword", "kwd_lit"})
_STRINGS: Final = frozenset({"string", "str_lit"})
_COMMENTS: Final = frozenset({"comment", "block_comment", "sexp_comment", "dis_expr"})
_OPTIONAL: Final = frozenset({"&optional", "&key", "&aux", "#!optional", "#!key", "#:optional", "#:key", "&opt"})
_REST: Final = frozenset({"&rest", "&body", ".", "#!rest", "#:rest", "&whole", "&environment"})
_PREFIX: Final = re.compile(r"^(?:#:|:|#?')")
_BLOCK: Final = re.compile(r"\A#\|+|\|+#\s*\Z")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NO_SPECIALIZER: Final = frozenset({"t", "nil"})
_MAX_CURRIED: Final = 20


def parts(node: Node) -> list[Node]:
    """The elements of a list without comments, its first word included where the grammar names it."""
    if node.type == "defun":  # of Common Lisp: the head is a node of its own
        header, *body = [child for child in node.named_children if child.type not in _COMMENTS]
        return header.named_children + [child for child in body if child.type not in {"(", ")"}]
    return [child for child in node.named_children if child.type not in _COMMENTS | {"(", ")"}]


def is_list(node: Node) -> bool:
    """Tell whether the node is a list, one that the grammar takes for the call of a special form included."""
    return node.type in _LISTS or node.type.endswith(("_form", "_definition"))


def word(node: Node, source: bytes) -> str:
    """The name that a symbol or a string stands for: `crypto` for `:crypto`, `#:crypto`, `'crypto` and "CRYPTO"."""
    text = text_of(node, source)
    if node.type in _STRINGS:
        text = text.strip('"')
        return text.lower() if text.isupper() else text
    return _PREFIX.sub("", text)


def _named(node: Node) -> list[Node]:
    """The elements of a definition from its name on."""
    elements = parts(node)
    is_headless = node.type.endswith(("_definition", "_form"))  # of Emacs Lisp: the first word is no named node
    return elements if is_headless else elements[1:]


def name(node: Node, source: bytes) -> str:
    """The name of a definition: its second word, the first one of `(name option ...)` and of `((name a) b)`."""
    elements = _named(node)
    if not elements:
        return ""
    found = elements[0]
    for _ in range(_MAX_CURRIED):
        inner = parts(found) if is_list(found) else []
        if not inner or text_of(inner[0], source).lower() == "setf":
            break
        found = inner[0]
    return word(found, source)


def module_name(node: Node, source: bytes) -> str:
    """The name of a module: `ice-9.match` for `(ice-9 match)`."""
    elements = _named(node)
    if not elements:
        return ""
    inner = parts(elements[0]) if is_list(elements[0]) else [elements[0]]
    return ".".join(word(part, source) for part in inner if not is_list(part))


def method_name(node: Node, source: bytes) -> str:
    """`class.name` for a method whose first parameter has a class; `name` for other definitions."""
    plain = name(node, source)
    head = parts(node)[:1]
    is_method = bool(head) and text_of(head[0], source).lower().endswith("method")
    for parameter in parameters(node, source)[:1] if is_method else ():
        owner = parameter.type or ""
        if owner.lower() not in _NO_SPECIALIZER and owner[:1] not in {"", "("}:
            return f"{_PREFIX.sub('', owner)}.{plain}"
    return plain


def _lambda_list(node: Node, source: bytes, *, binds: bool = False) -> tuple[list[Node], int]:
    """The parameters of a definition, and the number of elements, from its name on, that come before its body."""
    elements = _named(node)
    if not elements:
        return [], 0
    first = elements[0]
    if is_list(first) and (inner := parts(first)) and text_of(inner[0], source).lower() != "setf":
        if len(elements) > 1 and is_list(elements[1]) and node.type != "list":
            return [], 1  # `(defstruct (name option) ...)`
        return inner[1:], 1
    for index, element in enumerate(elements[1:], start=1):
        if element.type in _SYMBOLS and word(element, source) not in _LAMBDAS.split():
            continue  # a qualifier such as `:around`
        if not is_list(element):
            break
        values = parts(element)
        if values and text_of(values[0], source) in _LAMBDAS.split():
            return (parts(values[1]) if is_list(values[1]) else [values[1]]) if len(values) > 1 else [], len(elements)
        return ([], len(elements)) if binds else (values, index + 1)
    return [], 1


def bound_parameters(node: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters of `(define (f a) ...)` and `(define f (lambda (a) ...))`."""
    return _parameters(_lambda_list(node, source, binds=True)[0], source)


def parameters(node: Node, source: bytes) -> tuple[Parameter, ...]:
    """The parameters of `(defun f (a) ...)`."""
    return _parameters(_lambda_list(node, source)[0], source)


def _parameters(elements: list[Node], source: bytes) -> tuple[Parameter, ...]:
    """The parameters; one with a class has it for a type, those of the rest have their marker."""
    found: list[Parameter] = []
    has_default, marker = False, ""
    for element in elements:
        text = text_of(element, source)
        if text in _OPTIONAL:
            has_default = True
        elif text in _REST:
            marker = f"{text} "
        elif element.type == "keyword" or text.startswith(("&", "#!")):
            continue
        elif is_list(element) and (inner := parts(element)):
            variable, *rest = (text_of(part, source) for part in inner)
            if rest[:1] == [":"]:  # Typed Racket
                found.append(Parameter(marker + variable, " ".join(rest[1:2]) or None))
            elif has_default or text.startswith("["):
                found.append(Parameter(marker + variable, None, rest[0] if rest else None))
            elif len(rest) == 1:
                found.append(Parameter(marker + variable, rest[0]))
            else:
                found.append(Parameter(marker + text))
            marker = ""
        else:
            found.append(Parameter(marker + text))
            marker = ""
    return tuple(found)


def docstring(node: Node, source: bytes) -> str | None:
    """The string after the parameters, or the value of `:documentation`."""
    elements = _named(node)
    _, start = _lambda_list(node, source)
    for index, element in enumerate(elements[1:], start=1):
        inner = parts(element) if is_list(element) else []
        pair = inner if inner and index else elements[index : index + 2]
        if len(pair) > 1 and text_of(pair[0], source) == ":documentation" and pair[1].type in _STRINGS:
            return string_text(pair[1], source)
    for element in elements[max(start, 1) :]:
        if element.type in _STRINGS:
            return string_text(element, source)
        is_declaration = is_list(element) and text_of(element, source).startswith("(declare")
        if not is_declaration:
            break
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of one Lisp, each field separated by blanks; see `Words.sort` for what they need beside them.

    `named` define a function by a name only. With `binds` a name and a procedure are a function too (`(define f (lambda
    ...))`), and a function's name stands with its parameters (`(define (f a) ...)`). `makers` make the class that a
    name is bound to. A scope of `rests` lasts to the next one.
    """

    named: str = ""
    binds: bool = False
    classes: str = ""
    makers: str = ""
    scopes: str = ""
    rests: str = ""
    imports: str = ""
    branches: str = ""
    switches: str = "cond"
    cases: str = ""
    handlers: str = ""
    lambdas: str = _LAMBDAS

    def sort(self, captures: dict[str, list[Node]], source: bytes) -> None:
        """Give each list in the captures of `_list` the roles that it has."""
        roles = self._roles()
        for node in captures.pop("_list", []):
            first = head(node, source)
            if not first:
                continue
            role = roles.get(first)
            if role is None and _MACRO.fullmatch(first):
                role = self._defined(node, source)
            if role == "let":  # with a name it is a loop
                role = "branch" if [element.type for element in _named(node)[:1]] == ["symbol"] else None
            if role is None or (role in _NEED_NAME and not _named(node)):
                continue
            captures.setdefault("scope" if role == "rest" else role, []).append(node)
            if role in {"rest", "switch", "branch", "handlers"}:
                _add_parts(captures, node, first, role, source)

    def _roles(self) -> dict[str, str]:
        by_role = {
            "function": self.named,
            "class": self.classes,
            "scope": self.scopes,
            "rest": self.rests,
            "import": self.imports,
            "branch": f"if {self.branches}",
            "switch": f"{self.switches} {self.cases}",
            "handlers": self.handlers,
            "closure": self.lambdas,
            "let": "let" if self.binds else "",
            "and": "and",
            "or": "or",
        }
        return {word: role for role, words in by_role.items() for word in words.split()}

    def _defined(self, node: Node, source: bytes) -> str | None:
        """The role of a list that begins with a word such as `define`, by what follows."""
        name, value, second = ([*_named(node), None, None, None])[:3]
        if name is None:
            return None
        if self.binds and is_list(name):
            inner = parts(name)
            return "function" if inner and (is_list(inner[0]) or inner[0].type in _SYMBOLS) else None
        if value is None:
            return None
        if not self.binds:
            is_qualified = value.type in _SYMBOLS and second is not None and is_list(second)
            return "function" if is_list(value) or is_qualified else None
        bound = head(value, source)
        if bound in _LETS:  # a procedure with variables of its own
            bound = head(parts(value)[-1], source)
        if bound in self.makers.split():
            return "class"
        return "function" if bound in self.lambdas.split() else None


def head(node: Node, source: bytes) -> str:
    """The first word of a list in lower case, without its package; empty for what is no list."""
    first = node.child(1) if is_list(node) and node.child_count > 1 else None
    if first is not None and first.type == "defun_header":
        first = first.child(0)
    if first is None or first.end_byte - first.start_byte > _MAX_WORD:
        return ""
    return source[first.start_byte : first.end_byte].decode("utf-8", "replace").lower().rpartition(":")[2]


def _add_parts(captures: dict[str, list[Node]], node: Node, word: str, role: str, source: bytes) -> None:
    """Capture what belongs to a construct: the other branch of `if`, clauses of `cond`, handlers."""
    elements = _named(node)
    if role == "rest":
        captures.setdefault("rest", []).append(node)
    elif word == "if":
        for other in elements[2:3]:
            captures.setdefault("else", []).append(other)
            if head(other, source) == "if":
                captures.setdefault("else_if", []).append(other)
    elif role == "handlers":
        captures.setdefault("branch", []).extend(
            element for element in elements[1 + (word == "condition-case") :] if is_list(element)
        )
    elif role == "switch":
        for clause in elements if word.startswith("cond") else elements[1:]:
            if is_list(clause) and _first_word(clause, source) not in _OTHERWISE:
                captures.setdefault("path", []).append(clause)


def _first_word(clause: Node, source: bytes) -> str:
    first = clause.child(1) if clause.child_count > 1 else None
    return "" if first is None or first.end_byte - first.start_byte > _MAX_WORD else text_of(first, source).lower()


def string_text(node: Node, source: bytes) -> str | None:
    """The text of a string, its escapes resolved."""
    text = clean_string(source[node.start_byte : node.end_byte].decode("utf-8", "replace"))
    return _ESCAPE.sub(r"\1", text) if text else None


def doc_text(comment: str) -> str:
    """A comment, or a block comment without its marks; a form that was taken out documents nothing."""
    if comment.startswith("#;"):
        return ""
    return _BLOCK.sub("", comment).strip() if comment.startswith("#|") else without_markers(comment)
