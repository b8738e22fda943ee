"""Subprojects of a repository: folders with a manifest, and the names of their projects.

Belongs here: the manifests that are known and how a name is read from their bytes. A folder with a manifest is a
subproject, and the nearest one above a file names it. Workspace files (pnpm, Lerna, Nx, Cargo, Gradle) only list
folders that have a manifest themselves, so they are not followed; a member missing from the list is found too.

Manifests are read by the simplest means that give the name (JSON, TOML, or one regular expression for formats that
are programs or XML). Where one cannot be read, the folder's name is used, with a warning.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ROOT: Final = "."
"""`path` of a subproject at the root of the repository."""

MAX_MANIFEST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Subproject:
    """A project inside the repository; `path` is its folder (POSIX, relative to the root, `.` for the root)."""

    name: str
    path: str


class _NotAManifestError(Exception):
    """The file has a manifest's name but describes no project (tool settings, a module marker)."""


class _BrokenManifestError(Exception):
    """The manifest cannot be read."""


_Reader = Callable[[bytes], str | None]
"""Name from a manifest's bytes; None where the manifest gives none and the folder's name is used."""


def is_manifest(file_name: str) -> bool:
    """Tell whether a file of this name can make its folder a subproject."""
    return file_name in _READERS or file_name.endswith(_SUFFIXES)


def find_subprojects(manifests: Mapping[str, bytes], root_name: str) -> tuple[Subprojects, tuple[str, ...]]:
    """The subprojects that manifests (POSIX path → bytes) describe, and a warning for each broken manifest.

    Where a folder has several, the first in the order of `_READERS` that states a name wins.
    `root_name` is the name of a nameless project at the root.
    """
    by_folder: dict[str, list[str]] = {}
    for path in manifests:
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    found: list[Subproject] = []
    warnings: list[str] = []
    for folder in sorted(by_folder):
        is_project, name = False, None
        for path in sorted(by_folder[folder], key=lambda path: (_rank(path), path)):
            try:
                name = _reader(path)(manifests[path])
            except _NotAManifestError:
                continue
            except _BrokenManifestError as error:
                warnings.append(f"{path}: {error}; the folder's name stands for the project's. Fix the file.")
            is_project = True
            if name:
                break
        if is_project and not _belongs_to_app(folder, by_folder):
            stem = _stem(by_folder[folder])
            found.append(Subproject(name or stem or folder.rpartition("/")[2] or root_name, folder or ROOT))
    return Subprojects(found), tuple(warnings)


def _belongs_to_app(folder: str, by_folder: Mapping[str, list[str]]) -> bool:
    """Tell whether a folder is the native side of an app above it, as in React Native, Flutter and Capacitor.

    It has only manifests of native tools, and lies at or below a folder such as `ios` of a project in JavaScript or Dart.
    """
    names = {path.rpartition("/")[2] for path in by_folder[folder]}
    if not all(name in _NATIVE_MANIFESTS or name.endswith(_NATIVE_SUFFIXES) for name in names):
        return False
    parts = folder.split("/")
    for at, part in enumerate(parts):
        if part in _NATIVE_FOLDERS:
            app = "/".join(parts[:at])
            beside = {path.rpartition("/")[2] for path in by_folder.get(app, ())}
            if beside & _APP_MANIFESTS:
                return True
    return False


class Subprojects:
    """The subprojects of a repository, ordered by path."""

    def __init__(self, found: Iterable[Subproject]) -> None:
        self.all = tuple(sorted(found, key=lambda subproject: subproject.path))
        self._by_folder: dict[str, Subproject | None] = {
            "" if subproject.path == ROOT else subproject.path: subproject for subproject in self.all
        }

    def nearest(self, file_path: str) -> Subproject | None:
        """The subproject whose folder is the nearest one above a file, or None."""
        return self.of_folder(file_path.rpartition("/")[0])

    def of_folder(self, folder: str) -> Subproject | None:
        """The same for the files of a folder (`""` is the root); answers are cached."""
        passed: list[str] = []
        while folder not in self._by_folder and folder:
            passed.append(folder)
            folder = folder.rpartition("/")[0]
        answer = self._by_folder.get(folder)
        for below in passed:
            self._by_folder[below] = answer
        return answer


def _json(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _BrokenManifestError(f"not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise _BrokenManifestError("not a JSON object")
    return value


def _toml(content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _BrokenManifestError(f"not valid TOML ({error})") from error


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _table(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        value = value.get(key) or {}
        if not isinstance(value, dict):
            return {}
    return dict(value)


def _package_json(content: bytes) -> str | None:
    package = _json(content)
    name = _text(package.get("name"))
    # Build tools write {"type": "module"} into output and source folders to set the module system.
    if name is None and not package.keys() & {"dependencies", "devDependencies", "scripts", "workspaces", "version"}:
        raise _NotAManifestError
    return name


def _pyproject(content: bytes) -> str | None:
    project = _toml(content)
    if not (project.keys() & {"project", "build-system"} or _table(project, "tool", "poetry")):
        raise _NotAManifestError  # settings of linters and the like
    return _text(_table(project, "project").get("name")) or _text(_table(project, "tool", "poetry").get("name"))


def _setup_cfg(content: bytes) -> str | None:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(content.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise _BrokenManifestError(f"not valid INI ({str(error).splitlines()[0]})") from error
    if not parser.has_section("metadata") and not parser.has_section("options"):
        raise _NotAManifestError
    return _text(parser.get("metadata", "name", fallback=None))


def _nx_project(content: bytes) -> str | None:
    project = _json(content)
    # Targets may be inferred: then only the name and the schema are there.
    is_nx = "nx" in re.split(r"[/\\.-]", str(project.get("$schema", "")))
    if not (is_nx or project.keys() & {"targets", "projectType", "sourceRoot", "implicitDependencies"}):
        raise _NotAManifestError
    return _text(project.get("name"))


def _setup_py(content: bytes) -> str | None:
    # Not run: a name that the program makes up is not known.
    text = _decoded(content)
    call = re.search(r"\bsetup\s*\(", text)
    name = re.compile(r"\bname\s*=\s*[\"']([^\"'\n]+)[\"']").search(text, call.end()) if call is not None else None
    return name[1] if name is not None else None


def _json_name(content: bytes) -> str | None:
    return _text(_json(content).get("name"))


def _toml_name(*keys: str) -> _Reader:
    return lambda content: _text(_table(_toml(content), *keys).get("name"))


def _pom(content: bytes) -> str | None:
    # The project's own artifactId comes before its dependencies, plugins and profiles, but after its parent's.
    text = _without(_without(_decoded(content), "<!--", "-->"), "<parent>", "</parent>")
    head = re.split(r"<(?:dependencies|dependencyManagement|build|profiles|reporting|modules)\b", text, maxsplit=1)[0]
    if "<project" not in text:
        raise _BrokenManifestError("not a POM")
    match = re.search(r"<artifactId>\s*([^<\s]+)\s*</artifactId>", head)
    return match[1] if match is not None else None


def _without(text: str, opening: str, closing: str) -> str:
    """A text without what stands between two words, and the words; what is never closed stays."""
    kept = []
    at = 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
        kept.append(text[at:start])
        at = end + len(closing)
    return "".join((*kept, text[at:]))


def _pattern(pattern: str) -> _Reader:
    compiled = re.compile(pattern, re.MULTILINE)

    def read(content: bytes) -> str | None:
        match = compiled.search(_decoded(content))
        return match[1] if match else None

    return read


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig", "replace")


def _folder_name(_content: bytes) -> str | None:
    return None


_READERS: Final[dict[str, _Reader]] = {
    "pyproject.toml": _pyproject,
    "package.json": _package_json,
    "Cargo.toml": _toml_name("package"),
    "go.mod": _pattern(r"^\s*module\s+[\"`]?([^\s\"`]+)"),
    "pom.xml": _pom,
    "settings.gradle": _pattern(r"^\s*rootProject\.name\s*=\s*[\"']([^\"']+)[\"']"),
    "settings.gradle.kts": _pattern(r"^\s*rootProject\.name\s*=\s*\"([^\"]+)\""),
    "build.gradle": _folder_name,
    "build.gradle.kts": _folder_name,
    "composer.json": _json_name,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    "deno.json": _pattern(r"\"name\"\s*:\s*\"([^\"]+)\""),
    "deno.jsonc": _pattern(r"\"name\"\s*:\s*\"([^\"]+)\""),
    "project.json": _nx_project,
    "pubspec.yaml": _pattern(r"^name:\s*[\"']?([\w.-]+)"),
    "mix.exs": _pattern(r"\bapp:\s*:(\w+)"),
    "Package.swift": _pattern(r"\bPackage\s*\(\s*name:\s*\"([^\"]+)\""),
    "DESCRIPTION": _pattern(r"^Package:\s*(\S+)"),
    "build.zig.zon": _pattern(r"\.name\s*=\s*[.\"]+@?\"?([\w-]+)"),
    "build.zig": _folder_name,
    "build.sbt": _pattern(r"^\s*(?:ThisBuild\s*/\s*)?name\s*:=\s*\"([^\"]+)\""),
    "dune-project": _pattern(r"\(name\s+\"?([^\s\")]+)"),
    "Project.toml": _toml_name(),
    "shard.yml": _pattern(r"^name:\s*[\"']?([\w.-]+)"),
    "rebar.config": _folder_name,
    "stack.yaml": _folder_name,
    "Pipfile": _folder_name,
    "Gemfile": _folder_name,
}
_APP_MANIFESTS: Final = frozenset({"package.json", "pubspec.yaml"})
_NATIVE_FOLDERS: Final = frozenset({"ios", "android", "macos", "windows", "linux"})
_NATIVE_MANIFESTS: Final = frozenset(
    {"Gemfile", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "Package.swift"}
)
_NATIVE_SUFFIXES: Final = (".podspec", ".csproj")
_SUFFIXES: Final = (".csproj", ".fsproj", ".vbproj", ".gemspec", ".cabal", ".rockspec", ".podspec")


def _reader(path: str) -> _Reader:
    return _READERS.get(path.rpartition("/")[2], _folder_name)


_RANKS: Final = {name: rank for rank, name in enumerate(_READERS)}
_STEM_RANK: Final = _RANKS["build.gradle"]


def _rank(path: str) -> int:
    return _RANKS.get(path.rpartition("/")[2], _STEM_RANK)


def _stem(paths: Iterable[str]) -> str | None:
    """Name of the project after which the manifest is called (`Web.csproj`), or None."""
    names = sorted(name for path in paths if (name := path.rpartition("/")[2]).endswith(_SUFFIXES))
    return names[0].rpartition(".")[0] if names else None
