"""Tokens that an agent reads until it knows what it asked for: by our tools, by grep and reading, by semble.

    python -m benchmarks.agents --clones CLONES --output FOLDER [--half tuning] [--semble PYTHON] [--misses]

CLONES holds a clone with its history for each repository of `repositories.json`, under its name there. FOLDER gets checkouts
and indexes, once. Two sets of 60 questions about five repositories: about symbols (`gold`), and the subjects of merged
changes with the files that they touched (`benchmarks.commit_questions`; indexed is one revision before all of them, so no index
holds the change). `ways` has the rules of each way. Tokens are those of the built-in model's tokenizer.

*Within* is the share of the gold that is shown in the budget, a mean over the questions; *until* the mean of the tokens from
the top of the first answer to the place where the last of the gold is shown, over the questions where ours and grep get there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from benchmarks import report
from benchmarks.agents.gold import SEED, Question, questions
from benchmarks.agents.reading import Gold, Piece, Reading, read
from benchmarks.agents.ways import CHANGE, Grep, Ours, Semble
from benchmarks.checkouts import check_out, files_at, git
from benchmarks.commit_questions import history
from benchmarks.commit_questions import questions as commit_questions
from code_index.embedding.models.lookup import DEFAULT_MODEL, find_model
from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline

_REPOSITORIES = Path(__file__).with_name("repositories.json")
_SEMBLE = Path(__file__).with_name("semble_search.py")
_BUDGETS = {"symbols": 2_000, "changes": 8_000}
_GOALS = {"symbols": 0.95, "changes": 0.60}
_GOAL_TOKENS = 0.1  # of grep's
_MOST = 200_000  # tokens that are read
_HALVES = ("tuning", "held out")

Way = Callable[[Question], Iterator[Piece]]


def _changes(entry: Mapping[str, Any], clone: Path) -> Iterator[Question]:
    """The subjects of the commits of an entry, and the files that each touched."""
    known = git(clone, "log", "--format=%s", entry["revision"]).splitlines()
    present = files_at(clone, entry["revision"])
    wanted = set(entry["commits"])
    for one in commit_questions(history(clone, entry["revision"], entry["until"]), present, known, ""):
        if one.commit in wanted:
            yield Question(entry["name"], CHANGE, one.text, tuple(map(Gold, one.files)))


def _indexed(root: Path, folder: Path) -> None:
    if folder.exists():
        return
    with Pipeline(resolve_index_folder(root, folder)) as pipeline:
        for step in (pipeline.scan, pipeline.parse, pipeline.embed):
            if (result := step()).error is not None:
                raise SystemExit(f"{root}: {result.error}")


def _by_semble(python: Path, output: Path, asked: Iterable[Question]) -> dict[str, Semble]:
    of_root: dict[str, list[tuple[str, str, bool]]] = {}
    for question in asked:
        root = str(output / "repositories" / question.repository)
        key = f"{question.kind} {question.name}"
        of_root.setdefault(root, []).append((key, question.name, question.kind != CHANGE))
    done = subprocess.run(
        [python, _SEMBLE],
        input=json.dumps(of_root),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(output / "semble")},
    )
    if done.returncode:
        raise SystemExit(f"semble failed: {done.stderr[-2_000:]}")
    return {Path(root).name: Semble(answers) for root, answers in json.loads(done.stdout).items()}


def _measured(
    asked: Sequence[Question], ways: Mapping[str, Mapping[str, Way]], budget: int, tokens: Callable[[str], int]
) -> dict[str, list[Reading]]:
    return {
        name: [
            read(of_repository[one.repository](one), one.gold, budget=budget, most=_MOST, tokens=tokens)
            for one in asked
        ]
        for name, of_repository in ways.items()
    }


def _row(label: str, found: Mapping[str, Sequence[Reading]]) -> dict[str, Any]:
    """The figures of some questions, by way."""
    both = [
        at for at, pair in enumerate(zip(found["ours"], found["grep"], strict=True)) if all(one.until for one in pair)
    ]
    figures: dict[str, Any] = {"questions": label, "count": len(found["ours"]), "both": len(both)}
    for name, readings in found.items():
        until = [one.until for at in both if (one := readings[at]).until is not None]
        figures[name] = {
            "within": statistics.fmean(one.share for one in readings),
            "all": sum(one.until is not None for one in readings),
            "until": round(statistics.fmean(until)) if until else None,
            "read": round(statistics.fmean(one.read for one in readings)),
        }
    return figures


def _table(rows: Sequence[Mapping[str, Any]], ways: Iterable[str]) -> str:
    names = list(ways)
    header = ["questions", "number", *(f"{name}: within, all, until, read" for name in names), "ours / grep"]
    lines = []
    for row in rows:
        cells = [
            f"{one['within']:.3f}, {one['all']}, {_count(one['until'])}, {one['read']:,}"
            for one in (row[name] for name in names)
        ]
        ours, grep = row["ours"]["until"], row["grep"]["until"]
        lines.append([row["questions"], row["count"], *cells, f"{ours / grep:.3f} of {row['both']}" if grep else "-"])
    return report.table(header, lines)


def _count(tokens: int | None) -> str:
    return "-" if tokens is None else f"{tokens:,}"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--half", choices=_HALVES, help="only these questions; settings are chosen on `tuning`")
    parser.add_argument("--semble", type=Path, help="a Python that has semble 0.7.0")
    parser.add_argument(
        "--misses", action="store_true", help="show the questions whose gold is not all shown in the budget"
    )
    parser.add_argument("--context-tokens", type=int, default=8_000, help="`max_tokens` of a context")
    arguments = parser.parse_args()
    machine = report.machine()
    output = arguments.output.resolve()
    entries: list[dict[str, Any]] = json.loads(_REPOSITORIES.read_text("utf-8"))
    ours, grep = {}, {}
    sets: dict[str, list[tuple[str, Question]]] = {"symbols": [], "changes": []}
    for entry in entries:
        name, clone = entry["name"], arguments.clones / entry["name"]
        root, index = output / "repositories" / name, output / "indexes" / name
        check_out(clone, entry["revision"], root)
        _indexed(root, index)
        ours[name], grep[name] = Ours(root, index, arguments.context_tokens), Grep(root)
        for of_set, asked in (("symbols", questions(name, root)), ("changes", list(_changes(entry, clone)))):
            sets[of_set] += [(_HALVES[at % 2], one) for at, one in enumerate(asked)]
    if arguments.half:
        sets = {name: [one for one in asked if one[0] == arguments.half] for name, asked in sets.items()}
    ways: dict[str, Mapping[str, Way]] = {"ours": ours, "grep": grep}
    if arguments.semble:
        ways["semble"] = _by_semble(arguments.semble, output, (one for asked in sets.values() for _, one in asked))
    tokenizer = Tokenizer.from_file(str(find_model(DEFAULT_MODEL, allow_download=False) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokens(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    rows: list[dict[str, Any]] = []
    for of_set, asked in sets.items():
        found = _measured([one for _, one in asked], ways, _BUDGETS[of_set], tokens)
        kinds = {one.kind: None for _, one in asked} if of_set == "symbols" else {}
        picks = {of_set: list(range(len(asked)))}
        picks |= {f"{of_set}, {half}": [at for at, (of, _) in enumerate(asked) if of == half] for half in _HALVES}
        picks |= {f"{of_set}, {kind}": [at for at, (_, one) in enumerate(asked) if one.kind == kind] for kind in kinds}
        picks |= {
            f"{of_set}, {entry['name']}": [at for at, (_, one) in enumerate(asked) if one.repository == entry["name"]]
            for entry in entries
        }
        rows += [
            _row(label, {name: [readings[at] for at in places] for name, readings in found.items()})
            for label, places in picks.items()
            if places
        ]
        if arguments.misses:
            for at, (half, one) in enumerate(asked):
                if found["ours"][at].share < 1:
                    print(half, one.repository, one.kind, one.name, {name: each[at] for name, each in found.items()})
                    print("   ", *(f"{gold.path}:{gold.lines}{gold.name}" for gold in one.gold))
    goals = f"Goals of ours: within {_GOALS} of the gold in {_BUDGETS} tokens; {_GOAL_TOKENS} of grep's tokens."
    markdown = f"{_table(rows, ways)}\n\n{goals}"
    report.write("agents", seed=SEED, machine_before=machine, figures={"rows": rows}, markdown=markdown)


if __name__ == "__main__":
    main()
