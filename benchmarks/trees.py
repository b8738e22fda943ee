"""Large trees made of real code: what the growth of an index is measured on.

    python -m benchmarks.trees TARGET --files 10000 [--seed 0]

Functions and classes of Django 5.2 and Flask 3.1.1 are put together anew, and names in them are changed by the
seed, so that no two files, and hardly two definitions, have the same text. One file in seven is not Python: a
document, template, script or style sheet of the same projects, with words changed. The same number and seed give the
same bytes; a smaller tree is the beginning of a larger one. A file makes about ten chunks.
"""

from __future__ import annotations

import argparse
import ast
import keyword
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pipeline import PINNED, fetch

_DEFINITIONS_A_FILE = 6.3  # gives 9.6 chunks a file, as 576,000 in 60,000 files
_FILES_A_FOLDER = 50
_ONE_IN = 7  # files that are not Python
_RENAMED = 6  # names changed in each definition
_MAX_DEFINITION_CHARACTERS = 12_000
_MAX_OTHER_CHARACTERS = 20_000
_OTHER = (".rst", ".txt", ".html", ".js", ".css", ".md")
_IDENTIFIER = re.compile(r"\b[a-z_][a-z0-9_]{3,}\b")
_KEPT = frozenset({*keyword.kwlist, "self", "super"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A top-level function or class, and how many chunks it is likely to make."""

    source: str
    chunks: int


def definitions(roots: Sequence[Path]) -> list[Definition]:
    """The top-level definitions of all Python files, in the order of paths."""
    found = []
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            text = path.read_text("utf-8", "replace")
            try:
                tree = ast.parse(text)
            except SyntaxError:
                continue  # templates that only look like Python
            lines = text.splitlines(keepends=True)
            for node in tree.body:
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    continue
                first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
                source = "".join(lines[first - 1 : node.end_lineno])
                if len(source) <= _MAX_DEFINITION_CHARACTERS:
                    methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
                    found.append(Definition(source, 1 + (methods if isinstance(node, ast.ClassDef) else 0)))
    return found


def other_texts(roots: Sequence[Path]) -> list[tuple[str, str]]:
    """Suffix and text of the files that are not Python."""
    paths = [path for root in roots for path in sorted(root.rglob("*")) if path.suffix in _OTHER and path.is_file()]
    texts = ((path.suffix, path.read_text("utf-8", "replace")) for path in paths)
    return [(suffix, text) for suffix, text in texts if text.strip() and len(text) <= _MAX_OTHER_CHARACTERS]


def changed(source: str, rng: random.Random) -> str:
    """The text with some of its names changed throughout."""
    names = sorted(set(_IDENTIFIER.findall(source)) - _KEPT)
    if not names:
        return source
    new = {name: f"{name}_{rng.randrange(1 << 24):x}" for name in rng.sample(names, min(_RENAMED, len(names)))}
    return _IDENTIFIER.sub(lambda match: new.get(match[0], match[0]), source)


def contents(files: int, seed: int) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a tree."""
    roots = [fetch(requirement) for requirement in PINNED]
    pool, others = definitions(roots), other_texts(roots)
    for number in range(files):
        rng = random.Random(f"{seed}/{number}")
        folder = f"part_{number // (_FILES_A_FOLDER * 40):03d}/package_{number // _FILES_A_FOLDER:05d}"
        if number % _ONE_IN == _ONE_IN - 1:
            suffix, text = rng.choice(others)
            yield f"{folder}/document_{number:06d}{suffix}", changed(text, rng)
            continue
        wanted = rng.expovariate(1 / _DEFINITIONS_A_FILE)
        parts = [f'"""Module {number}."""\n\nimport logging\n\nlogger = logging.getLogger("module_{number}")\n']
        chunks = 1
        while chunks < wanted or len(parts) == 1:
            chosen = rng.choice(pool)
            parts.append(changed(chosen.source, rng))
            chunks += chosen.chunks
        yield f"{folder}/module_{number:06d}.py", "\n\n".join(parts)


def build(target: Path, files: int, *, seed: int) -> int:
    """Write a tree into an empty folder; returns its bytes."""
    size = 0
    for path, text in contents(files, seed):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode("utf-8", "replace")
        place.write_bytes(data)
        size += len(data)
    return size


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Writes a large tree of real code.")
    parser.add_argument("target", type=Path, help="folder that is new or empty")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    if any(arguments.target.iterdir()):
        raise SystemExit(f"{arguments.target} is not empty; name a new folder.")
    started = time.perf_counter()
    size = build(arguments.target, arguments.files, seed=arguments.seed)
    print(f"{arguments.files:,} files, {size / 1e6:.1f} MB in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
