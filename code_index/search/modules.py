"""Modules that imports name, among the files of an index.

Belongs here: the rules of each language, from a module as a file spells it to the file that is meant. Does not belong
here: reading imports (`code_index.chunking.languages`). Rules by names only: no configuration is read but the module of
`go.mod`, and a language without a rule resolves nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Final

_SCRIPT_ENDING: Final = re.compile(r"(?:\.d)?\.[cm]?[jt]sx?$|\.vue$|\.svelte$")
_ALIASES: Final = frozenset({"@", "~", "src", "#"})
_ROOTS_OF_CRATES: Final = frozenset({"lib", "main", "mod"})


@dataclass(frozen=True)
class Modules:
    """Modules of one index; `go_modules` gives the module of each folder with a `go.mod`, read when it is asked for."""

    go_modules: Callable[[], Mapping[str, str]] = field(default=dict)

    @cached_property
    def _go(self) -> Mapping[str, str]:
        return self.go_modules()

    def means(self, module: str, language: str, importer: str, path: str) -> bool:
        """Tell whether a module, as the file `importer` spells it, is or holds the file `path`."""
        if language == "go":
            return module != "" and module == self._go_package(path)
        rule = _RULES.get(language)
        return rule is not None and rule.means(module, importer, path)

    def _go_package(self, path: str) -> str:
        folder = PurePosixPath(path).parent
        for parent in (folder, *folder.parents):
            root = self._go.get(str(parent))
            if root is not None:
                return "/".join([root, *folder.relative_to(parent).parts])
        return ""

    def marks(self, language: str, path: str) -> Iterable[str]:
        """Words of a file; it is only meant by modules that have one of them among theirs."""
        if language == "go":
            return (self._go_package(path),)
        rule = _RULES.get(language)
        return () if rule is None else rule.path_marks(path)

    def marks_of_module(self, module: str, language: str, importer: str) -> Iterable[str]:
        """The words of a module, as the file `importer` spells it, one of which each file has that it means."""
        if language == "go":
            return (module,)
        rule = _RULES.get(language)
        return () if rule is None else rule.module_marks(module, importer)


class ModuleFiles:
    """Some files of an index, by the modules that they are; a module is compared only with files that share a word."""

    def __init__(self, modules: Modules, paths: Iterable[str]) -> None:
        """Set the rules and the files."""
        self._modules = modules
        self._paths = list(paths)
        self._by_mark: dict[str, dict[str, list[int]]] = {}  # by language; places of paths
        self._known: dict[tuple[str, str, str], list[str]] = {}

    def of(self, module: str, language: str, importer: str) -> list[str]:
        """The files that a module, as the file `importer` spells it, is or holds, in their order."""
        key = module, language, importer
        if key not in self._known:
            if language not in self._by_mark:
                self._by_mark[language] = self._marked(language)
            marks = self._modules.marks_of_module(module, language, importer)
            likely = {place for mark in marks for place in self._by_mark[language].get(mark, ())}
            paths = [self._paths[place] for place in sorted(likely)]
            self._known[key] = [path for path in paths if self._modules.means(module, language, importer, path)]
        return self._known[key]

    def _marked(self, language: str) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for place, path in enumerate(self._paths):
            for mark in self._modules.marks(language, path):
                found[mark].append(place)
        return found


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule of a language: what a module means, and the words that both have in common."""

    means: Callable[[str, str, str], bool]  # module, importer, path
    module_marks: Callable[[str, str], Iterable[str]]  # module, importer
    path_marks: Callable[[str], Iterable[str]]


def _last(parts: Sequence[str]) -> str:
    return parts[-1] if parts else ""


def _ends_with(parts: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return bool(end) and parts[-len(end) :] == end


@lru_cache(maxsize=1 << 14)
def _python_parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _is_python(module: str, importer: str, path: str) -> bool:
    parts = _python_module(module, importer)
    return _python_parts(path) == parts if module.startswith(".") else _ends_with(_python_parts(path), parts)


@lru_cache(maxsize=1 << 14)
def _python_module(module: str, importer: str) -> tuple[str, ...]:
    """The parts of a module; from the root, where it is relative to the importing file."""
    name = module.lstrip(".")
    dots = len(module) - len(name)
    parts = tuple(filter(None, name.split(".")))
    if not dots:
        return parts
    folder = importer.split("/")[:-1]
    return (*folder[: len(folder) - dots + 1], *parts)


@lru_cache(maxsize=1 << 14)
def _script_parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(_SCRIPT_ENDING.sub("", path)).parts
    return parts[:-1] if parts and parts[-1] == "index" else parts


@lru_cache(maxsize=1 << 14)
def _script_module(module: str, importer: str) -> tuple[str, ...]:
    """The parts of a module; from the root, where it is relative to the importing file."""
    parts = tuple(part for part in _SCRIPT_ENDING.sub("", module).split("/") if part not in {"", "."})
    if not module.startswith("."):
        return parts
    folder = importer.split("/")[:-1]
    for part in parts:
        if part == "..":
            del folder[-1:]
        else:
            folder.append(part)
    if folder and folder[-1] == "index":
        del folder[-1]
    return tuple(folder)


def _script_marks(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(_SCRIPT_ENDING.sub("", path)).parts
    return (*parts, _last(_script_parts(path)))


def _is_script(module: str, importer: str, path: str) -> bool:
    parts = _script_module(module, importer)
    if module.startswith("."):
        return _script_parts(path) == parts
    if parts and parts[0] in _ALIASES:
        return _ends_with(_script_parts(path), parts[1:])
    # A package of the same repository: its folder, and below it what the import names, in this order.
    if module.startswith("@"):
        parts = parts[1:]
    rest = iter(PurePosixPath(_SCRIPT_ENDING.sub("", path)).parts)
    return bool(parts) and all(part in rest for part in parts)


@lru_cache(maxsize=1 << 14)
def _crate_and_parts(path: str) -> tuple[str, tuple[str, ...]]:
    """The folder of the crate, and the module of a file in it."""
    parts = PurePosixPath(path).with_suffix("").parts
    at = len(parts) - 1 - parts[::-1].index("src") if "src" in parts else 0
    inner = parts[at + 1 :] if "src" in parts else parts[at:]
    crate = "/".join(parts[:at])
    return crate, tuple(part for part in inner if part not in _ROOTS_OF_CRATES)


def _is_rust(module: str, importer: str, path: str) -> bool:
    own_crate, own = _crate_and_parts(importer)
    crate, parts = _crate_and_parts(path)
    first, *rest = module.replace(".", "::").split("::")
    if first == "crate":
        return crate == own_crate and parts == tuple(rest)
    if first in {"super", "self"}:
        up = 1 + rest.count("super") if first == "super" else 0
        named = tuple(part for part in rest if part != "super")
        # Of a module within the file, what is around it is the file.
        return crate == own_crate and parts in {(*own[: len(own) - up], *named), *([(*own, *named)] if up == 1 else [])}
    if crate.rpartition("/")[2].replace("-", "_") == first and parts == tuple(rest):
        return True
    return crate == own_crate and parts in {(first, *rest), (*own, first, *rest)}


def _rust_marks(module: str, importer: str) -> tuple[str, ...]:
    first, *rest = module.replace(".", "::").split("::")
    named = [part for part in rest if part != "super"]
    if named:
        return (named[-1],)
    # A crate, or a module that is around the importing file.
    own = _crate_and_parts(importer)[1]
    return ("", first, *own) if first in {"super", "self"} else ("", first)


def _is_java(module: str, _importer: str, path: str) -> bool:
    return _ends_with(PurePosixPath(path).with_suffix("").parts, tuple(module.split(".")))


_PYTHON: Final = _Rule(
    _is_python,
    lambda module, importer: (_last(_python_module(module, importer)),),
    lambda path: (_last(_python_parts(path)),),
)
_SCRIPT: Final = _Rule(_is_script, lambda module, importer: (_last(_script_module(module, importer)),), _script_marks)
_RUST: Final = _Rule(_is_rust, _rust_marks, lambda path: (_last(_crate_and_parts(path)[1]),))
_JAVA: Final = _Rule(_is_java, lambda module, _: (module.rpartition(".")[2],), lambda path: (PurePosixPath(path).stem,))
_RULES: Final[Mapping[str, _Rule]] = {
    "python": _PYTHON,
    "cython": _PYTHON,
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
    "vue": _SCRIPT,
    "svelte": _SCRIPT,
    "rust": _RUST,
    "java": _JAVA,
}
