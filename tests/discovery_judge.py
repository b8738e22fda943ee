"""Comparing what was found in a repository with the expectations of `tests/discovery/expected.json`.

A case is {"files": {path: file}, "exactly": no other file is indexed, "messages": [...], "any_of": [alternatives],
"repository": folder to scan, "repositories": {folder: case}}. A file has "indexed", "reason" (pattern), "language",
"not_language", "subproject", "symbols", "no_symbols", "contains", "not_contains", "not_matches", "places". A symbol has
"name" (last part of its qualified name, or several accepted ones), "type" ("class" is any type, "function" and "method"
anything callable), "qualified", "raw_qualified", "line" and "end" (or [first, last]), "class", "docstring" (parts; null for
none), "no_docstring_part", "decorators", "count". Of messages only those about skipped files and warnings are looked at:
those of commands have tests of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from code_index.chunking import chunk_file, masked_source
from code_index.core.model import Chunk, FileStatus
from code_index.core.quoting import printable
from code_index.repository.source_repository import ScanResult, SourceRepository

Case = Mapping[str, Any]

_NAMELESS: Final = frozenset({"module", "text"})
_NO_TYPE: Final = _NAMELESS | {"section", "rule", "statement", "entry"}
_CALLABLE: Final = frozenset({"function", "method"})


def differences(root: Path, case: Case) -> list[str]:
    """What differs between a folder and its expectation."""
    if "repositories" in case:
        return [
            f"[{place}] {found}"
            for place, one in case["repositories"].items()
            for found in differences(root / place, one)
        ]
    found = _Found(root / case.get("repository", "."))
    return found.differences(case)


class _Found:
    """A scanned repository with the chunks of its files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = SourceRepository(root)
        self.scan: ScanResult = self.repository.scan({})
        self.files = {file.file_path: file for file in self.scan.files}

    def chunks(self, path: str) -> tuple[Chunk, ...]:
        file = self.files[path]
        content = self.repository.read(path).content
        return chunk_file(
            masked_source(content, declared_encoding=file.working_tree_encoding),
            file_path=path,
            file_hash=file.file_hash,
            language=file.language,
            subproject_name=file.subproject_name,
        )

    def differences(self, case: Case) -> list[str]:
        found = [f"{path}: {one}" for path, file in case.get("files", {}).items() for one in self._file(path, file)]
        if case.get("exactly"):
            listed = {path for path, file in case["files"].items() if file.get("indexed", True)}
            there = {path for path, file in self.files.items() if file.status is not FileStatus.SKIPPED}
            found += [f"{path!r} is indexed" for path in sorted(there - listed)]
        for message in case.get("messages", []):
            found += self._message(message)
        if "any_of" in case:
            tried = [self.differences(alternative) for alternative in case["any_of"] if set(alternative) & {"files"}]
            if all(tried):
                found.append(" | or: ".join("; ".join(one) for one in tried))
        return found

    def _message(self, message: Mapping[str, Any]) -> list[str]:
        if message["command"] == ["warnings"]:
            said = "\n".join(self.scan.warnings)
        elif message["command"] == ["status", "--skipped"]:
            said = "\n".join(printable(f"{path}: {file.reason}") for path, file in self.files.items() if file.reason)
        else:
            return []
        patterns = _list(message.get("must_match", []))
        found = [f"{pattern} is not said" for pattern in patterns if not re.search(pattern, said)]
        return found + [f"{p} is said" for p in _list(message.get("must_not_match", [])) if re.search(p, said)]

    def _file(self, path: str, wanted: Mapping[str, Any]) -> list[str]:
        file = self.files.get(path)
        is_indexed = file is not None and file.status is not FileStatus.SKIPPED
        if not wanted.get("indexed", True):
            if is_indexed:
                return ["is indexed"]
            reason = (file.reason or "") if file is not None else ""
            return [] if re.search(wanted.get("reason", ""), reason) else [f"reason {reason!r}"]
        if file is None or not is_indexed:
            return [f"is not indexed ({file.reason if file is not None else 'not found'})"]
        chunks = self.chunks(path)
        found = [] if chunks else ["has no chunks"]
        languages = {file.language, *(chunk.language for chunk in chunks)}
        if "language" in wanted and not languages & set(_list(wanted["language"])):
            found.append(f"language {file.language}")
        if "not_language" in wanted and languages & set(_list(wanted["not_language"])):
            found.append(f"language {file.language}")
        if "subproject" in wanted and file.subproject_name != wanted["subproject"]:
            found.append(f"subproject {file.subproject_name}")
        lines = _lines(self.root / path)
        for symbol in wanted.get("symbols", []):
            found += _symbol(chunks, symbol, lines)
        for name in wanted.get("no_symbols", []):
            found += [f"{name} is {_place(chunk)}" for chunk in chunks if _is_named(chunk, name)][:1]
        return found + _contents(chunks, wanted, lines)


def _contents(chunks: Sequence[Chunk], wanted: Mapping[str, Any], lines: Sequence[str]) -> list[str]:
    contents = [chunk.content for chunk in chunks]
    found = [f"no chunk holds {text!r}" for text in wanted.get("contains", []) if not any(text in c for c in contents)]
    found += [f"a chunk holds {text!r}" for text in wanted.get("not_contains", []) if any(text in c for c in contents)]
    found += [f"a chunk matches {p}" for p in wanted.get("not_matches", []) if any(re.search(p, c) for c in contents)]
    for place in wanted.get("places", []):
        holding = [chunk for chunk in chunks if place["text"] in chunk.content]
        if not any(_is_at(chunk, place, lines) for chunk in holding):
            found.append(f"{place['text']!r} stands in no chunk that is its lines without gaps")
    return found


def _is_at(chunk: Chunk, place: Mapping[str, Any], lines: Sequence[str]) -> bool:
    shown = _squeezed("\n".join(lines[chunk.start_line - 1 : chunk.end_line]))
    fits = all(_within(getattr(chunk, f"{key}_line"), place[key]) for key in ("start", "end") if key in place)
    return fits and _squeezed(chunk.content) in shown


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _within(value: int, wanted: Any) -> bool:
    first, last = wanted if isinstance(wanted, list) else (wanted, wanted)
    return bool(first <= value <= last)


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def _plain(name: str) -> str:
    """A qualified name with "." between its parts, without generics and receivers' decoration."""
    name = re.sub(r"::|#|\\", ".", name)
    name = re.sub(r"<[^<>]*>|\[\w[\w, ]*\]|`", "", name)
    return re.sub(r"\(\s*\*?\s*([\w.]+)\s*\)", r"\1", name).replace("*", "")


def _ends_with(name: str, ending: str) -> bool:
    return name == ending or name.endswith(tuple(f"{separator}{ending}" for separator in (*".#\\/: ", "::")))


def _is_named(chunk: Chunk, name: str) -> bool:
    if chunk.chunk_type in _NAMELESS:
        return False
    own = chunk.function_name or (chunk.class_name if chunk.chunk_type not in _NO_TYPE | _CALLABLE else None)
    bare = re.sub(r"<[^<>]*>|\[\w[\w, ]*\]$", "", chunk.qualified_name)
    forms = (own, chunk.qualified_name.replace("`", ""), bare)
    return any(form is not None and form != "" and _ends_with(form, name) for form in forms)


def _is_of_type(chunk: Chunk, wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, list):
        return chunk.chunk_type in wanted
    is_callable = chunk.chunk_type in _CALLABLE
    return is_callable if wanted in _CALLABLE else not is_callable and chunk.chunk_type not in _NO_TYPE


def _place(chunk: Chunk) -> str:
    return f"{chunk.chunk_type} {chunk.qualified_name!r} {chunk.start_line}-{chunk.end_line}"


def _symbol(chunks: Sequence[Chunk], symbol: Mapping[str, Any], lines: Sequence[str]) -> list[str]:
    names = _list(symbol["name"])
    label = " or ".join(names)
    named = [chunk for chunk in chunks if any(_is_named(chunk, name) for name in names)]
    typed = [chunk for chunk in named if _is_of_type(chunk, symbol.get("type"))]
    if not typed:
        return [f"{label} is {_place(named[0])}, no {symbol['type']}" if named else f"no symbol {label}"]
    judged = [(chunk, _lacks(chunk, symbol, lines)) for chunk in typed]
    right = [chunk for chunk, lacks in judged if not lacks]
    if not right:
        chunk, lacks = min(judged, key=lambda item: len(item[1]))
        return [f"{label} ({_place(chunk)}): {', '.join(lacks)}"]
    if len(right) != symbol.get("count", len(right)):
        return [f"{len(right)} symbols {label}, not {symbol['count']}"]
    return []


def _lacks(chunk: Chunk, symbol: Mapping[str, Any], lines: Sequence[str]) -> list[str]:
    """What a chunk that has a symbol's name and type lacks."""
    found = []
    qualified = chunk.qualified_name
    if "qualified" in symbol and not any(
        _ends_with(form, end) for end in _list(symbol["qualified"]) for form in (qualified, _plain(qualified))
    ):
        found.append(f"is called {qualified!r}")
    if "raw_qualified" in symbol and not any(
        qualified == end or qualified.endswith(f".{end}") for end in _list(symbol["raw_qualified"])
    ):
        found.append(f"is spelled {qualified!r}")
    if "line" in symbol and not _within(chunk.start_line, symbol["line"]):
        found.append(f"starts in line {chunk.start_line}")
    if "end" in symbol and not _ends_at(chunk, symbol["end"], lines):
        found.append(f"ends in line {chunk.end_line}")
    if "class" in symbol and not _ends_with(_plain(chunk.class_name or ""), symbol["class"]):
        found.append(f"class {chunk.class_name!r}")
    return found + _documentation(chunk, symbol)


def _ends_at(chunk: Chunk, wanted: Any, lines: Sequence[str]) -> bool:
    """Tell whether a chunk ends there, or later with nothing but closing brackets between."""
    last = wanted[1] if isinstance(wanted, list) else wanted
    closers = chunk.end_line > last and not re.search(r"\w", "".join(lines[last : chunk.end_line]))
    return closers or _within(chunk.end_line, wanted)


def _documentation(chunk: Chunk, symbol: Mapping[str, Any]) -> list[str]:
    found = []
    docstring = _squeezed(chunk.docstring)
    if "docstring" in symbol:
        wanted = symbol["docstring"]
        parts = [] if wanted is None else [_squeezed(part) for part in _list(wanted)]
        if (wanted is None and docstring) or not all(part in docstring for part in parts):
            found.append(f"docstring {docstring!r}")
    if any(_squeezed(part) in docstring for part in _list(symbol.get("no_docstring_part", []))):
        found.append(f"docstring {docstring!r}")
    missing = [part for part in symbol.get("decorators", []) if not any(part in one for one in chunk.decorators)]
    return found + [f"no decorator {part}" for part in missing]


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")
    return re.split(r"\r\n|\r|\n", text)
