"""Features of the candidates of a search: numbers for each file and each chunk, computed once.

Belongs here: what the names and places of candidates say. Does not belong here: how much a feature counts
(`code_index.search.weights`), and reading anything: all is in the columns that both lists come with.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from code_index.core.content_kinds import ContentKind, content_kind
from code_index.core.identifiers import split_identifier
from code_index.search.query_kind import Name, clear_winner

_GENERIC_STEMS: Final = frozenset({"__init__", "index", "init", "lib", "main", "mod"})
_DECLARING: Final = re.compile(r"\.(?:pyi|d\.ts|d\.mts|d\.cts|h|hh|hpp|hxx|mli)$")
_PLATFORMS: Final = {
    "win32": frozenset({"mingw", "msvc", "win", "win32", "win64", "windows"}),
    "darwin": frozenset({"darwin", "macos", "macosx", "osx", "posix", "unix"}),
    "linux": frozenset({"linux", "posix", "unix"}),
}
"""Words of paths that name a platform, by what `sys.platform` says there."""
_FURTHER_PLATFORMS: Final = frozenset(
    {"aix", "android", "bsd", "cygwin", "freebsd", "haiku", "hurd", "ibmi", "illumos", "ios"}
    | {"netbsd", "openbsd", "os390", "qnx", "solaris", "sunos"}
)
_PLATFORM_WORD: Final = re.compile(
    rf"(?:^|[/_.-])({'|'.join(sorted(_FURTHER_PLATFORMS.union(*_PLATFORMS.values())))})(?=[/_.-])", re.IGNORECASE
)
_VERSION: Final = re.compile(r"(?:^|(?<=/))v(\d{1,4})/")
_TINY_LINES: Final = 3
_PROSE_OR_TEST: Final = 0.5  # of the sum over such a file's chunks
_SUFFIXES: Final = (
    "ization", "ations", "ation", "izing", "izer", "ings", "ing", "ers", "ies", "ied", "er", "ed", "es", "s",
)  # fmt: skip
_LEAST_STEM: Final = 3
_MEANING_SHARE: Final = 0.7


class Candidate(NamedTuple):
    """A chunk that a list holds; lines are 1-based and inclusive. A tuple, as a search makes 200 of them."""

    file_path: str
    language: str
    chunk_type: str
    function_name: str | None
    class_name: str | None
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class _PathParts:
    """Parts of a path that the features look at, told once for many queries."""

    stem: str  # lower case, without extension
    name_stems: frozenset[str]
    folder_stems: frozenset[str]
    is_root: bool
    declares: bool
    platform: str | None  # the innermost one: `os390` in `unix/os390.c`
    depth: int


@dataclass(frozen=True, slots=True)
class Features:
    """Features by file and by chunk: names as `code_index.search.weights` has them."""

    files: Mapping[str, Mapping[str, float]]
    chunks: Mapping[str, Mapping[str, float]]
    kinds: Mapping[str, ContentKind]  # of each file


def compute_features(
    candidates: Mapping[str, Candidate],
    meaning: Mapping[str, float],
    words: Mapping[str, float],
    *,
    query: Iterable[str],
    name: Name | None,
) -> Features:
    """Compute all features of one query's candidates.

    Args:
        candidates: by id.
        meaning: id to similarity in [0, 1] of the list.
        words: id to BM25 score in [0, 1] of the list.
        query: lower-case words of the query.
        name: the name that the query consists of, if it does.
    """
    words_asked = frozenset(query)
    stems = frozenset(map(stemmed, words_asked))
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for key, one in candidates.items():
        by_file[one.file_path].append(key)
    kinds = {path: content_kind(path, candidates[keys[0]].language) for path, keys in by_file.items()}
    first = max(words, key=lambda key: (words[key], key), default=None)
    docs_first = first is not None and kinds[candidates[first].file_path] is ContentKind.DOCS
    clear = clear_winner(words.values()) if docs_first else 0.0
    chunks = {
        key: _of_chunk(one, kinds[one.file_path], meaning.get(key, 0.0), words.get(key, 0.0), clear, stems, name)
        for key, one in candidates.items()
    }
    _put_bodies_first(chunks, candidates, kinds)
    older, others = older_versions(by_file), other_platforms(by_file, words_asked)
    undefined = name is not None and not any(of["defines"] for of in chunks.values())
    bodies = {parts.stem for path in by_file if not (parts := _path_parts(path)).declares}
    fused = {key: _MEANING_SHARE * of["meaning"] + (1 - _MEANING_SHARE) * of["words"] for key, of in chunks.items()}
    sums = {
        path: sum([fused[key] for key in keys])
        * (1.0 if kinds[path] in {ContentKind.CODE, ContentKind.CONFIG} else _PROSE_OR_TEST)
        for path, keys in by_file.items()
    }
    most = max(sums.values(), default=0.0) or 1.0
    files = {}
    for path, keys in by_file.items():
        parts, kind = _path_parts(path), kinds[path]
        own = [chunks[key] for key in keys]
        best = candidates[max(keys, key=fused.__getitem__)]
        files[path] = {
            "meaning": max([of["meaning"] for of in own]),
            "words": max([of["words"] for of in own]),
            "defines": max([of["defines"] for of in own]),
            "docs_clear_words": max([of["docs_clear_words"] for of in own]),
            "chunks": sums[path] / most,
            "name_words": _share(parts.name_stems, stems),
            "folder_words": _share(parts.folder_stems, stems),
            "named_alike": float(name is not None and parts.stem == name.own.lower()),
            "exports": float(
                undefined
                and parts.is_root
                and any(candidates[key].chunk_type == "module" and words.get(key, 0.0) > 0 for key in keys)
            ),
            "older_version": float(path in older),
            "other_platform": float(path in others),
            "has_body_elsewhere": float(parts.declares and parts.stem in bodies),
            "tiny": float(best.end_line - best.start_line < _TINY_LINES),
            "docs": float(kind is ContentKind.DOCS),
            "tests": float(kind is ContentKind.TESTS),
            "depth": float(parts.depth),
        }
    return Features(files=files, chunks=chunks, kinds=kinds)


def _put_bodies_first(
    chunks: Mapping[str, dict[str, float]], candidates: Mapping[str, Candidate], kinds: Mapping[str, ContentKind]
) -> None:
    """Let a stub, a header or a test define half as much where a body elsewhere defines the name."""
    defining = [key for key, of in chunks.items() if of["defines"]]
    paths = {key: candidates[key].file_path for key in defining}
    behind = [key for key, path in paths.items() if kinds[path] is ContentKind.TESTS or _path_parts(path).declares]
    if len(behind) < len(defining):
        for key in behind:
            chunks[key]["defines"] /= 2


@lru_cache(maxsize=1 << 15)
def _path_parts(path: str) -> _PathParts:
    folders, _, file_name = path.rpartition("/")
    name, folder = file_name.partition(".")[0] or file_name, folders.rpartition("/")[2]
    if name.lower() in _GENERIC_STEMS:
        name, folder = folder, ""
    stem = file_name.rpartition(".")[0] or file_name
    platforms = _PLATFORM_WORD.findall(path)
    return _PathParts(
        stem=stem.lower(),
        name_stems=_stems(name),
        folder_stems=_stems(folder),
        is_root=stem.lower() in _GENERIC_STEMS,
        declares=_DECLARING.search(path) is not None,
        platform=platforms[-1].lower() if platforms else None,
        depth=path.count("/"),
    )


def older_versions(paths: Iterable[str]) -> set[str]:
    """The paths in a folder `vN` beside a higher `vM`, or beside a file of the same name that is in no such folder."""
    paths = set(paths)
    highest: defaultdict[str, int] = defaultdict(int)
    found = []
    for path in paths:
        for match in _VERSION.finditer(path):
            before, number, after = path[: match.start()], int(match[1]), path[match.end() :]
            highest[before] = max(highest[before], number)
            found.append((path, before, number, after))
    return {path for path, before, number, after in found if number < highest[before] or before + after in paths}


def other_platforms(paths: Iterable[str], query: Collection[str], platform: str = sys.platform) -> set[str]:
    """The paths that name a platform that is neither the one searched on nor asked for; none where all name the same.

    Args:
        paths: paths of files.
        query: lower-case words of the query.
        platform: `sys.platform` where the search runs.
    """
    named = {path: word for path in paths if (word := _path_parts(path).platform)}
    if len(set(named.values())) == 1:
        return set()
    wanted = _PLATFORMS.get(platform, _PLATFORMS["linux"]).union(
        query, *(family for family in _PLATFORMS.values() if not family.isdisjoint(query))
    )
    return {path for path, word in named.items() if word not in wanted}


@lru_cache(maxsize=1 << 14)
def stemmed(word: str) -> str:
    """A lower-case word without its commonest English ending."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _LEAST_STEM:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=1 << 14)
def _stems(name: str) -> frozenset[str]:
    return frozenset(map(stemmed, split_identifier(name)))


@lru_cache(maxsize=1 << 14)
def own_symbol(function_name: str | None, class_name: str | None, chunk_type: str) -> str:
    """The name that a chunk defines, without what encloses it; empty for one that defines none."""
    name = function_name or (class_name if chunk_type == "class" else None)
    return "" if name is None else re.split(r"\.|::|#", name)[-1]


def _of_chunk(
    one: Candidate,
    kind: ContentKind,
    meaning: float,
    words: float,
    clear: float,
    stems: frozenset[str],
    name: Name | None,
) -> dict[str, float]:
    symbol = own_symbol(one.function_name, one.class_name, one.chunk_type)
    shared = len(_stems(symbol) & stems) if symbol else 0
    return {
        "meaning": meaning,
        "words": words,
        "docs_clear_words": words * clear if kind is ContentKind.DOCS else 0.0,
        "query_words": shared / len(stems) if stems else 0.0,
        "defines": _defines(symbol, one, name),
        "function": float(one.chunk_type in {"function", "method"}),
        "module": float(one.chunk_type == "module"),
    }


def _defines(symbol: str, one: Candidate, name: Name | None) -> float:
    """1 for a definition of the name, and half as much more where what encloses it is its qualifier."""
    if name is None or symbol != name.own:
        return 0.0
    if name.qualifier is None:
        return 1.0
    folders = one.file_path.lower().split("/")[:-1]
    around = {(one.class_name or "").lower(), _path_parts(one.file_path).stem, *folders}
    return 1.5 if name.qualifier.lower() in around else 1.0


def _share(words: frozenset[str], of_query: frozenset[str]) -> float:
    """Share of the words that the query has."""
    return len(words & of_query) / len(words) if words else 0.0
