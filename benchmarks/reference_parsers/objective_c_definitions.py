"""Definitions of Objective-C files as clang's parser sees them: a line of JSON for each.

Run by `languages` in a process of its own: `python objective_c_definitions.py PACKAGES HEADERS...`, the folder with the
package `libclang`, and folders in which headers are looked for; file names come on standard input, one a line.

Directives of conditional compilation are blanked: of a conditional all branches count.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_DIRECTIVE = re.compile(r"(?m)^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b(?:[^\n\\]|\\(?s:.))*+")
_FOR_CPP = re.compile(r"(?m)^[ \t]*#[ \t]*if(?:def)?\b[^\n]*\b__cplusplus\b(?s:.)*?^[ \t]*#[ \t]*endif\b")
_KINDS = {
    "OBJC_INTERFACE_DECL": "interface",
    "OBJC_CATEGORY_DECL": "category",
    "OBJC_PROTOCOL_DECL": "protocol",
    "OBJC_IMPLEMENTATION_DECL": "implementation",
    "OBJC_CATEGORY_IMPL_DECL": "category",
    "OBJC_INSTANCE_METHOD_DECL": "method",
    "OBJC_CLASS_METHOD_DECL": "method",
    "FUNCTION_DECL": "function",
    "STRUCT_DECL": "struct",
    "ENUM_DECL": "enum",
    "TYPEDEF_DECL": "typedef",
}
_CLASSES = {kind for kind in _KINDS if kind.startswith("OBJC") and "METHOD" not in kind}
_INCOMPLETE = 0x02  # CXTranslationUnit_Incomplete: what a file needs may be missing


def main() -> None:
    """Print what the files named on standard input define."""
    sys.path.append(sys.argv[1])
    from clang import cindex

    index = cindex.Index.create()
    arguments = ["-xobjective-c", "-fblocks", "-w", "-ferror-limit=0", *(f"-I{folder}" for folder in sys.argv[2:])]
    # The package has no headers of the compiler's own (`stddef.h`): gcc's serve.
    arguments += [f"-isystem{folder}" for folder in sorted(Path("/usr/lib/gcc").glob("*/*/include"))]
    made = [item for folder in sys.argv[2:] for item in _made_by_configure(Path(folder))]
    for path in sys.stdin.read().splitlines():
        text = _without_conditionals(Path(path).read_text("utf-8", "replace"), is_header=path.endswith(".h"))
        unit = index.parse(path, arguments, unsaved_files=[*made, (path, text)], options=_INCOMPLETE)
        for item in _definitions(unit.cursor, path):
            print(json.dumps({"path": path, "local": False, **item}))


def _made_by_configure(folder: Path) -> Iterator[tuple[str, str]]:
    """Headers that a build would make of their templates, with 1 for each number and `int` for each type; clang stops at one that is missing."""
    yield str(folder / "config.h"), ""
    for template in folder.rglob("*.h.in"):
        yield str(template.with_suffix("")), _made(template.read_text("utf-8", "replace"))


def _made(template: str) -> str:
    return re.sub(r"@\w+@", "1", re.sub(r"(?m)^(typedef\s+)@\w+@", r"\1int", template))


def _without_conditionals(text: str, *, is_header: bool) -> str:
    """The text with all branches of its conditionals; a header keeps the guard around it, or it would include itself."""
    text = _FOR_CPP.sub(lambda match: "\n" * match[0].count("\n"), text)  # `extern "C" {`
    found = list(_DIRECTIVE.finditer(text))
    for match in reversed(found[1:-1] if is_header else found):
        text = text[: match.start()] + "\n" * match[0].count("\n") + text[match.end() :]
    return text


def _name(cursor: Any, kind: str) -> str:
    """The name; of a category its class's, as here."""
    if kind != "category":
        return str(cursor.spelling)
    classes = [child.spelling for child in cursor.get_children() if _clang_kind(child) == "OBJC_CLASS_REF"]
    return classes[0] if classes else ""


def _clang_kind(cursor: Any) -> str:
    try:
        return str(cursor.kind.name)
    except ValueError:  # one that the package's Python has no name for
        return ""


def _definitions(around: Any, path: str) -> Iterator[dict[str, Any]]:
    for cursor in around.get_children():
        place = cursor.location
        if place.file is None or place.file.name != path:
            continue
        clang_kind = _clang_kind(cursor)
        kind = _KINDS.get(clang_kind)
        if kind == "function" and not cursor.is_definition():
            kind = "prototype"
        if kind is not None and (name := _name(cursor, kind)):
            yield {"name": name, "kind": kind, "line": place.line}
        if clang_kind in _CLASSES:
            yield from _definitions(cursor, path)


if __name__ == "__main__":
    main()
