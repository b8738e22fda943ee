"""Definitions by name against Universal Ctags, and references drawn to be judged by hand.

    python -m benchmarks.symbols PATH [PATH ...]                        # clones, with `ctags` on the path
    python -m benchmarks.symbols PATH [PATH ...] --draw 200 [--seed 16]  # references with their lines, as a list
    python -m benchmarks.symbols PATH [PATH ...] --judged FILE           # precision, from such a list with marks

Each repository is parsed into an index beside the measurement (no model). Of each definition that ctags lists by default,
in files of the languages below, `symbol` is asked for the name. *First*: it is among the answers of exactly this name,
before every other name, at most two lines off (ctags has an interface at the line of its `extends`). *Alone*: of the names that ctags has once, the very first answer is that definition. *Left out*,
with their number, are local variables of functions (`symbol` has none; ctags has them in JavaScript and TypeScript, where an
indented `const`, `let` or `var` is taken for one), and what is no definition: names of imported modules and of lists of
exports. Of a drawn reference `+` at the line's start says that it means the target, `-` that it does not.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from code_index.index.folder import resolve_index_folder
from code_index.search.symbols import Reference, references, symbol
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline

GOAL_FIRST = 0.98
GOAL_PRECISION = 0.95
_LANGUAGES = "Python,JavaScript,TypeScript,Go,Rust,Java"
_SEED = 16
_LIST = re.compile(r"\s*(?:import|export)\b[^=]*\{")
_LINES_OFF = 2  # ctags has an interface at the line of its `extends`
_MOST = 2_000  # definitions of one name


def index(root: Path, folder: Path) -> IndexStore:
    """The tables of a repository, parsed."""
    with Pipeline(resolve_index_folder(root, folder)) as pipeline:
        for result in (pipeline.scan(), pipeline.parse()):
            if result.error is not None:
                raise SystemExit(f"{root}: {result.error}")
    return IndexStore(folder / "tables")


def tags(root: Path, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The definitions that ctags lists in these files: path, line, name, kind, language."""
    done = subprocess.run(
        ["ctags", "--output-format=json", "--fields=+nKl", f"--languages={_LANGUAGES}", "-f", "-", "-L", "-"],
        input="\n".join(paths),
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [found for line in done.stdout.splitlines() if (found := json.loads(line)).get("_type") == "tag"]


def _left_out(root: Path, tag: Mapping[str, Any], lines: dict[str, list[str]]) -> str:
    """The reason why a definition of ctags is not asked for; empty for most."""
    if tag["kind"] in {"namespace", "unknown", "packageName"} and tag["language"] in {"Python", "Go"}:
        return "imported modules"
    path = tag["path"]
    if path not in lines:
        lines[path] = (root / path).read_text(encoding="utf-8", errors="replace").splitlines()
    line = "".join(lines[path][tag["line"] - 1 : tag["line"]])
    if tag["language"] in {"JavaScript", "TypeScript"}:
        if tag["kind"] in {"constant", "variable"} and line[:1].isspace():
            return "local variables"
        if tag["kind"] == "alias" and (line.rstrip().endswith(",") or _LIST.match(line)):
            return "lists of imports and exports"
    return ""


def definitions(root: Path, store: IndexStore) -> tuple[dict[str, Any], list[str]]:
    """Shares of ctags' definitions that come first, by language and kind, and those that do not."""
    paths = store.files.read(["file_path"], "status = 'parsed'").column("file_path").to_pylist()
    wanted: defaultdict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    left_out, total, first = Counter[str](), Counter[str](), Counter[str]()
    lines: dict[str, list[str]] = {}
    for tag in tags(root, paths):
        kind = f"{tag['language']} {tag['kind']}"
        if reason := _left_out(root, tag, lines):
            left_out[f"{kind}: {reason}"] += 1
        elif tag["name"].strip():
            wanted[tag["name"]][tag["path"], tag["line"]] = kind
    missed = []
    alone = alone_first = 0
    for name, places in wanted.items():
        own = name.rpartition(".")[2]
        found = [(one.file_path, one.line) for one in symbol(store, name, limit=_MOST) if one.name in {name, own}]
        if len(places) == 1:
            alone += 1
            alone_first += found[:1] == list(places)
        for place, kind in places.items():
            total[kind] += 1
            if any(path == place[0] and abs(line - place[1]) <= _LINES_OFF for path, line in found):
                first[kind] += 1
            else:
                missed.append(f"{kind}: {place[0]}:{place[1]} {name}")
    figures = {kind: {"definitions": count, "first": first[kind]} for kind, count in sorted(total.items())}
    return {
        "definitions": total.total(),
        "first": first.total(),
        "alone": alone,
        "alone_first": alone_first,
        "left_out": dict(left_out),
        "kinds": figures,
    }, missed


def drawn(root: Path, store: IndexStore, count: int, seed: int) -> Iterator[str]:
    """References of names drawn at random among those that are defined, one each, with the lines around."""
    names = sorted(
        set(store.references.read(["name"], "kind IN ('call', 'use', 'inheritance')").column("name").to_pylist())
    )
    draw = random.Random(seed)
    draw.shuffle(names)
    for name in names:
        sure = [
            one
            for one in references(store, name, limit=1_000)
            if one.target.rpartition(":")[2].isdecimal() and one.language in _JUDGED
        ]
        if not sure:
            continue
        yield _shown(root, draw.choice(sure))
        count -= 1
        if not count:
            return


_JUDGED = frozenset({"python", "javascript", "typescript", "tsx", "go", "rust", "java"})


def _shown(root: Path, one: Reference) -> str:
    path, _, line = one.target.rpartition(":")
    here, there = (
        (root / file).read_text(encoding="utf-8", errors="replace").splitlines()[number - 1].strip()[:140]
        for file, number in ((one.file_path, one.lines[0]), (path, int(line)))
    )
    named = f"{one.receiver}.{one.name}" if one.receiver else one.name
    return (
        f"? [{one.confidence}] {one.kind} {named}  {root.name}/{one.file_path}:{one.lines[0]}  {here}\n"
        f"      -> {one.target}  {there}"
    )


def judged(lines: Sequence[str]) -> Mapping[str, Any]:
    """Precision by confidence, of the marked lines."""
    marks: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in lines:
        if line[:3] in {"+ [", "- ["}:
            marks[line[3 : line.index("]")]][line[0]] += 1
    return {
        confidence: {"judged": counts.total(), "right": counts["+"], "precision": counts["+"] / counts.total()}
        for confidence, counts in sorted(marks.items())
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--draw", type=int, default=0, help="references to draw of each repository")
    parser.add_argument("--judged", type=Path, help="the list of drawn references, with marks")
    parser.add_argument("--seed", type=int, default=_SEED)
    parser.add_argument("--missed", type=int, default=0, help="definitions that are not first to show of each kind")
    arguments = parser.parse_args()
    machine = report.machine()
    figures: dict[str, Any] = {}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for root in map(Path.resolve, arguments.paths):
            store = index(root, Path(temporary) / root.name)
            if arguments.draw:
                print(*drawn(root, store, arguments.draw, arguments.seed), sep="\n", flush=True)
            figures[root.name], missed = definitions(root, store)
            found = figures[root.name]
            rows.append(
                [root.name, found["definitions"], found["first"], f"{found['first'] / found['definitions']:.3f}"]
            )
            print(rows[-1], {kind: tuple(one.values()) for kind, one in found["kinds"].items()}, flush=True)
            shown = Counter[str]()
            for line in missed:
                kind = line.partition(":")[0]
                shown[kind] += 1
                if shown[kind] <= arguments.missed:
                    print("   ", line)
    if arguments.judged:
        figures["references"] = judged(arguments.judged.read_text(encoding="utf-8").splitlines())
        rows += [
            [f"references, {name}", one["judged"], one["right"], f"{one['precision']:.3f} ({GOAL_PRECISION:g})", "", ""]
            for name, one in figures["references"].items()
        ]
    if figures:
        header = ["", "definitions of ctags", "first", f"share (goal {GOAL_FIRST:g})", "alone", "left out"]
        report.write(
            "symbols", seed=arguments.seed, machine_before=machine, figures=figures, markdown=report.table(header, rows)
        )


if __name__ == "__main__":
    main()
