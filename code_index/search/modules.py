"""Modules that imports name, among the files of an index.

Belongs here: the rules of each language, from a module as a file spells it to the file that is meant. Does not belong
here: reading imports (`code_index.chunking.languages`). Rules by names only: no configuration is read but the module of
`go.mod`, and a language without a rule resolves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
            return self._is_go_package(module, path)
        rule = _RULES.get(language)
        return rule is not None and rule(module, importer, path)

    def _is_go_package(self, module: str, path: str) -> bool:
        folder = PurePosixPath(path).parent
        for parent in (folder, *folder.parents):
            root = self._go.get(str(parent))
            if root is not None:
                return module == "/".join([root, *folder.relative_to(parent).parts])
        return False


def _ends_with(parts: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return bool(end) and parts[-len(end) :] == end


@lru_cache(maxsize=1 << 14)
def _python_parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _is_python(module: str, importer: str, path: str) -> bool:
    name = module.lstrip(".")
    dots = len(module) - len(name)
    parts = tuple(filter(None, name.split(".")))
    if not dots:
        return _ends_with(_python_parts(path), parts)
    folder = PurePosixPath(importer).parent.parts
    return _python_parts(path) == (*folder[: len(folder) - dots + 1], *parts)


@lru_cache(maxsize=1 << 14)
def _script_parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(_SCRIPT_ENDING.sub("", path)).parts
    return parts[:-1] if parts and parts[-1] == "index" else parts


def _is_script(module: str, importer: str, path: str) -> bool:
    parts = tuple(part for part in _SCRIPT_ENDING.sub("", module).split("/") if part not in {"", "."})
    if module.startswith("."):
        folder = list(PurePosixPath(importer).parent.parts)
        for part in parts:
            if part == "..":
                del folder[-1:]
            else:
                folder.append(part)
        if folder and folder[-1] == "index":
            del folder[-1]
        return _script_parts(path) == tuple(folder)
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


def _is_java(module: str, _importer: str, path: str) -> bool:
    return _ends_with(PurePosixPath(path).with_suffix("").parts, tuple(module.split(".")))


_RULES: Final[Mapping[str, Callable[[str, str, str], bool]]] = {
    "python": _is_python,
    "cython": _is_python,
    "javascript": _is_script,
    "typescript": _is_script,
    "tsx": _is_script,
    "vue": _is_script,
    "svelte": _is_script,
    "rust": _is_rust,
    "java": _is_java,
}
