"""Questions about symbols, and their answers by ctags and syntax trees: nothing of this project's own index is used.

*Where is X*: X is a function, method or type that ctags finds once in the whole repository. *Who calls Y*: Y as well, of
more than one word, called in two to twelve named functions by the syntax trees of all files; the answer are these functions.
*What is in Z*: a file with 5 to 60 functions, methods and types by ctags, or a type with 4 to 60 members by ctags. X, Y and
Z are no tests; callers may be.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tree_sitter_language_pack import get_parser

from benchmarks.agents.reading import Gold
from benchmarks.question_sets import kind_of

SEED = 16
_OF_EACH = 4  # questions of each kind and repository
_SUFFIXES = {".py": "python", ".ts": "typescript", ".java": "java", ".go": "go", ".rs": "rust"}
_CTAGS = "Python,TypeScript,Java,Go,Rust"
_TYPES = {"class", "struct", "interface", "enum", "trait", "type", "typedef"}
_FUNCTIONS = {"function", "method", "func", "methodSpec"}
_MEMBERS = {"field", "property", "enumConstant", "enumerator"}
_AROUND_MEMBERS = _TYPES | {"implementation", "unknown"}
_SHORTEST = 5
_SEVERAL_WORDS = re.compile(r"[a-z0-9]_[a-z]|[a-z][A-Z]")
_CALLERS = range(2, 13)
_IN_FILE = range(5, 61)
_IN_TYPE = range(4, 61)

_CALLS = {"call", "call_expression", "method_invocation"}
_CALLEES = ("function", "name")
_LAST_NAMES = ("field", "property", "attribute", "name", "function")
_FUNCTION_NODES = {
    "function_definition", "function_declaration", "generator_function_declaration", "method_definition", "method_declaration",
    "constructor_declaration", "function_item",
}  # fmt: skip
_FUNCTION_VALUES = {"arrow_function", "function_expression", "generator_function"}
_NAMED_VALUES = {"variable_declarator", "public_field_definition"}


@dataclass(frozen=True, slots=True)
class Question:
    """A question: its kind, what it names, the file where it names one, and what an answer has to show."""

    repository: str
    kind: str
    name: str
    gold: tuple[Gold, ...]


@dataclass(frozen=True, slots=True)
class _Tag:
    path: str
    line: int
    name: str
    kind: str
    scope: str
    scope_kind: str


def questions(repository: str, root: Path) -> list[Question]:
    """The questions about a repository, drawn with a seed of its name."""
    paths = sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix in _SUFFIXES and path.is_file()
    )
    tags = list(_tags(root, paths))
    draw = random.Random(f"{SEED} {repository}")
    places = defaultdict(list)
    for tag in tags:
        places[tag.name].append(tag)
    once = {
        name: found[0]
        for name, found in places.items()
        if len(found) == 1
        and len(name) >= _SHORTEST
        and found[0].kind in _FUNCTIONS | _TYPES
        and found[0].scope_kind not in _FUNCTIONS
        and not _is_test(found[0])
    }
    where = [Question(repository, "where", name, (Gold(tag.path, (tag.line,), name),)) for name, tag in once.items()]
    calls = _callers(root, paths, {name for name, tag in once.items() if tag.kind in _FUNCTIONS})
    who = [
        Question(repository, "callers", name, tuple(gold))
        for name, gold in calls.items()
        if len(gold) in _CALLERS and _SEVERAL_WORDS.search(name)
    ]
    return [
        *_drawn(draw, where, _OF_EACH),
        *_drawn(draw, who, _OF_EACH),
        *_drawn(draw, list(_files(repository, tags)), _OF_EACH // 2),
        *_drawn(draw, list(_types(repository, tags)), _OF_EACH // 2),
    ]


def _is_test(tag: _Tag) -> bool:
    """Tell by its file, and by the names of Rust's test modules."""
    return kind_of(tag.path) != "code" or "tests" in tag.scope.split("::") or tag.name.startswith("test_")


def _drawn(draw: random.Random, found: list[Question], count: int) -> list[Question]:
    found.sort(key=lambda question: question.name)
    return draw.sample(found, count)


def _tags(root: Path, paths: Sequence[str]) -> Iterator[_Tag]:
    done = subprocess.run(
        [
            "ctags",
            "--options=NONE",
            "--output-format=json",
            "--fields=+nKsl",
            f"--languages={_CTAGS}",
            "-f",
            "-",
            "-L",
            "-",
        ],
        input="\n".join(paths),
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        found: dict[str, Any] = json.loads(line)
        if found["_type"] != "tag" or found["kind"] in {"namespace", "unknown", "packageName", "package", "alias"}:
            continue
        # Methods of Python are its members, and other members of it there are none.
        kind = "method" if (found["language"], found["kind"]) == ("Python", "member") else found["kind"]
        kind = "field" if kind == "member" else kind
        scope_kind = found.get("scopeKind", "")
        scope_kind = "method" if (found["language"], scope_kind) == ("Python", "member") else scope_kind
        yield _Tag(found["path"], found["line"], found["name"], kind, found.get("scope", ""), scope_kind)


def _gold(tags: Sequence[_Tag]) -> tuple[Gold, ...]:
    """What has the same name in the same file counts once: overloads."""
    lines = defaultdict(list)
    for tag in tags:
        lines[tag.path, tag.name].append(tag.line)
    return tuple(Gold(path, tuple(found), name) for (path, name), found in lines.items())


def _files(repository: str, tags: Sequence[_Tag]) -> Iterator[Question]:
    inside = defaultdict(list)
    for tag in tags:
        if tag.kind in _FUNCTIONS | _TYPES and tag.scope_kind not in _FUNCTIONS and not _is_test(tag):
            inside[tag.path].append(tag)
    for path, found in inside.items():
        if len(gold := _gold(found)) in _IN_FILE:
            yield Question(repository, "file", path, gold)


def _types(repository: str, tags: Sequence[_Tag]) -> Iterator[Question]:
    defined = defaultdict(list)
    for tag in tags:
        if tag.kind in _TYPES:
            defined[tag.name].append(tag)
    members = defaultdict(list)
    for tag in tags:
        if tag.kind in _FUNCTIONS | _MEMBERS and tag.scope_kind in _AROUND_MEMBERS:
            members[re.split(r"\.|::", tag.scope)[-1]].append(tag)
    for name, found in members.items():
        folders = {tag.path.rpartition("/")[0] for tag in found}
        # A name that is defined twice would have the members of two.
        if len(defined[name]) == 1 and len(folders) == 1 and not _is_test(defined[name][0]):
            of_code = [tag for tag in found if not _is_test(tag)]
            if len(gold := _gold(of_code)) in _IN_TYPE:
                yield Question(repository, "type", name, gold)


def _callers(root: Path, paths: Sequence[str], names: set[str]) -> dict[str, list[Gold]]:
    """The functions that call each name: where they begin, and the lines of the calls."""
    found: defaultdict[str, dict[tuple[str, int, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        parser = get_parser(_SUFFIXES[Path(path).suffix])
        waiting: list[tuple[Any, tuple[int, str] | None]] = [(parser.parse((root / path).read_bytes()).root_node, None)]
        while waiting:
            node, around = waiting.pop()
            around = _function(node) or around
            if around is not None and node.type in _CALLS and (name := _callee(node)) in names:
                found[name][path, *around].append(node.start_point[0] + 1)
            waiting += [(child, around) for child in node.children]
    return {
        name: [Gold(path, (line,), caller, calls=tuple(sorted(at))) for (path, line, caller), at in callers.items()]
        for name, callers in found.items()
    }


def _function(node: Any) -> tuple[int, str] | None:
    """Line and name of a function that begins with this node."""
    named = node.type in _FUNCTION_NODES
    if node.type in _NAMED_VALUES:
        value = node.child_by_field_name("value")
        named = value is not None and value.type in _FUNCTION_VALUES
    name = node.child_by_field_name("name") if named else None
    return None if name is None else (name.start_point[0] + 1, name.text.decode())


def _callee(call: Any) -> str:
    """The last name of what is called."""
    node = next((found for field in _CALLEES if (found := call.child_by_field_name(field)) is not None), None)
    while node is not None and node.child_count:
        node = next((found for field in _LAST_NAMES if (found := node.child_by_field_name(field)) is not None), None)
    return "" if node is None else node.text.decode()
