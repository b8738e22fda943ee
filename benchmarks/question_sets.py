"""What the scripts that make question sets share: kinds of files, and the form in which `benchmarks.retrieval` reads.

Kinds are told by path only and by rules of their own, so that a set does not change with the product's ranking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

_FIELDS = ("name", "language", "url", "revision", "benchmark_root", "half")
_WORD = re.compile(r"[A-Za-z0-9_.\-]+")
_PROSE = frozenset({".md", ".mdx", ".rst", ".adoc", ".asciidoc", ".txt", ".1", ".5", ".7", ".html"})
_CONFIG = frozenset({
    ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".lock", ".properties", ".xml", ".gradle", ".kts", ".in", ".am",
    ".ac", ".mk", ".conf", ".csproj", ".gemspec",
})  # fmt: skip
_TEST = re.compile(
    r"(?:^|/)(?:tests?|__tests__|specs?|testing|testdata|fixtures|regress|\w*[tT]ests?)/"
    r"|(?:^|/)test_[^/]*$|[._-](?:test|tests|spec|SUITE)\.[^/.]+$|Tests?\.[^/.]+$"
)


def kind_of(path: str) -> str:
    """`docs`, `tests`, `config` or `code`."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _PROSE:
        return "docs"
    if _TEST.search(path):
        return "tests"
    return "config" if suffix in _CONFIG or not suffix else "code"


def write_questions(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write the questions of one repository as `<name>.json`, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def write_repositories(folder: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write `repos.json`: what is indexed, and in which half a repository is."""
    listed = [{key: entry[key] for key in _FIELDS if key in entry} for entry in entries]
    (folder / "repos.json").write_text(compact(listed), encoding="utf-8")


def compact(entries: Iterable[dict[str, Any]]) -> str:
    """JSON with a repository a line."""
    return "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n"


def spells(text: str, name: str) -> bool:
    """Tell whether one word of the text, or two to three in a row, spell the name, in any case and with any marks."""
    words = [_bare(word) for word in _WORD.findall(text)]
    runs = {"".join(words[start : start + length]) for start in range(len(words)) for length in (1, 2, 3)}
    wanted = _bare(name)
    return bool(wanted) and (wanted in runs or f"{wanted}s" in runs)


def _bare(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def shared_out(total: int, available: Sequence[int]) -> list[int]:
    """Split `total` as evenly as what is available allows, in the order given; all there is where it is too little."""
    shares = [0] * len(available)
    while sum(shares) < min(total, sum(available)):
        for place, there in enumerate(available):
            if shares[place] < there and sum(shares) < total:
                shares[place] += 1
    return shares
