"""Groovy, build files of Gradle and pipelines of Jenkins.

Its grammar knows commands of words, calls and blocks only: what a command defines is told by its words.
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from code_index.chunking.language_spec import LanguageSpec
from code_index.chunking.signatures import squeezed
from code_index.core.model import Parameter

_HEAD_BYTES: Final = 1_000
_QUOTED: Final = r"\"[^\"\n]*\"|'[^'\n]*'"
_CLASS: Final = re.compile(r"(?:^|\s)@?(?:class|interface|trait|enum)\s+([\w$]+)")
_TASK: Final = re.compile(rf"^task\b\s*\(?\s*([\w$]+|{_QUOTED})")
_CALL: Final = re.compile(rf"^[\w.]+\s*\(\s*(?:name:\s*)?({_QUOTED})")
_FUNCTION: Final = re.compile(rf"([\w$]+|{_QUOTED})\s*\(")
_RESULT: Final = re.compile(r"^(?:(?:@[\w.]+|public|protected|private|static|final|abstract|synchronized|def)\s+)*")
_DEFINING: Final = (
    '"^(?:def|void|public|protected|private|static|final|abstract|synchronized|boolean|byte|char|double|float|int|long|short'
    '|[A-Z][A-Za-z0-9_]*)$"'
)


def _head(node: Node, source: bytes) -> str:
    """The text before the block."""
    end = min(node.end_byte, node.start_byte + _HEAD_BYTES)
    return source[node.start_byte : end].decode("utf-8", "replace").partition("{")[0]


def _name(node: Node, source: bytes) -> str:
    """The name of a package, class, task, stage or method."""
    head = _head(node, source)
    if head.startswith("package"):
        return head.partition("package")[2].strip(" \t\r\n;")
    for pattern in (_CLASS, _TASK, _CALL, _FUNCTION):
        if (match := pattern.search(head)) is not None:
            return match[1].strip("\"'")
    return head.split()[0] if head.split() else ""


def _parameters(carrier: Node, source: bytes) -> tuple[Parameter, ...]:
    """Parameters of a method, not the arguments of a task."""
    head = _head(carrier, source)
    match = _FUNCTION.search(head)
    if match is None or _TASK.match(head) or _CALL.match(head):
        return ()
    found: list[Parameter] = []
    depth, start = 0, match.end()
    for position in range(start, len(head)):
        depth += (head[position] in "([<") - (head[position] in ")]>")
        if depth < 0 or (head[position] == "," and depth == 0):
            declared, _, default = head[start:position].partition("=")
            kind, _, name = squeezed(declared).removeprefix("final ").rpartition(" ")
            if name:
                found.append(Parameter(name, kind.removeprefix("def").strip() or None, default.strip() or None))
            start = position + 1
        if depth < 0:
            break
    return tuple(found)


def _return_type(carrier: Node, source: bytes) -> str:
    head = _head(carrier, source)
    match = _FUNCTION.search(head)
    if match is None or _TASK.match(head) or _CALL.match(head):
        return ""
    return squeezed(_RESULT.sub("", head[: match.start()]))


def _either(*patterns: str) -> str:
    """The patterns for commands, the last one of a block included."""
    return "\n".join(pattern.replace("COMMAND", kind) for pattern in patterns for kind in ("command", "end_command"))


LANGUAGE: Final = LanguageSpec(
    name="groovy",
    title="Groovy",
    revision=1,
    extensions="groovy gradle gvy",
    file_names="jenkinsfile",
    interpreters="groovy",
    modes="groovy",
    names={"command": _name, "end_command": _name},
    name_fields=(),
    parameters_of=_parameters,
    return_type_of=_return_type,
    doc_prefixes=("/**",),
    query=_either(
        '(COMMAND (unit . (identifier) @_class .) (block) (#any-of? @_class "class" "interface" "trait" "enum")) @class',
        '(COMMAND (decorate (identifier) @_class) (block) (#eq? @_class "interface")) @class',
        f"(COMMAND . (unit . (identifier) @_first .) (block . (unit . (func . (identifier) . (arg_block) .) .)) (#match? @_first {_DEFINING})) @function",
        f"(COMMAND . (unit . (identifier) @_first .) . (unit . (func . (identifier) . (arg_block) .) .) (#match? @_first {_DEFINING})) @function",
        "(COMMAND . (unit . (generics_class)) (block . (unit . (func . (identifier) . (arg_block) .) .))) @function",
        '(COMMAND . (unit . (identifier) @_first .) (block . (string)) (#eq? @_first "def")) @function',
        '(block (COMMAND . (block . (unit . (func . (identifier) @_name . (arg_block) .) .)) (#match? @_name "^[A-Z]")) @function)',
        '(COMMAND . (unit . (identifier) @_task .) . [(unit) (block) (string)] (#eq? @_task "task")) @function',
        '(COMMAND . (block . (unit (identifier) @_tasks . (func . (identifier) @_make (arg_block . (string))) .)) (#eq? @_tasks "tasks") (#any-of? @_make "register" "create")) @function',
        '(COMMAND . (unit (identifier) @_tasks . (func . (identifier) @_make (arg_block . (string))) .) (#eq? @_tasks "tasks") (#any-of? @_make "register" "create")) @function',
        '(COMMAND . (block . (unit . (func . (identifier) @_stage (arg_block . (string))) .)) (#eq? @_stage "stage")) @function',
    )
    + """
(source_file (command . (unit . (identifier) @_package .) (#eq? @_package "package")) @scope)
(source_file (command . (unit . (identifier) @_package .) (#eq? @_package "package")) @rest)
(source_file (command . (block . (unit . (identifier) @_block .))) @member (#not-any-of? @_block "pipeline" "node"))
(command . (unit . (identifier) @_import .) (#eq? @_import "import")) @import
[(line_comment) (block_comment)] @comment
(command . (decorate (identifier) @_attribute) . (#not-eq? @_attribute "interface")) @attribute
(block . (unit . (func . (identifier) @_if . (arg_block) .) .) (#any-of? @_if "if" "for" "while" "catch")) @branch
((unit . (identifier) @_else .) . (block . (unit . (func . (identifier) @_if . (arg_block) .) .)) @else_if (#eq? @_else "else") (#eq? @_if "if"))
((unit . (identifier) @_else .) @else (#eq? @_else "else"))
(block . (unit . (func . (identifier) @_switch . (arg_block) .) .) (#eq? @_switch "switch")) @switch
((unit . (identifier) @_case .) @path (#eq? @_case "case"))
((operators) @and . (operators) @_and (#eq? @and "&") (#eq? @_and "&"))
((operators) @or . (operators) @_or (#eq? @or "|") (#eq? @_or "|"))
""",
    statements="""
(source_file (_) @statement)
(block [(command) (end_command)] @statement)
""",
)
