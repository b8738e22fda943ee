"""How well search finds what was asked for: NDCG@10 per repository, category and search mode.

Each repository is indexed by the real pipeline and searched as the command line searches it:

    python -m benchmarks.retrieval --eval QUERIES --repositories CHECKOUTS [--index-dir DIR]

QUERIES holds `repos.json` and one `<name>.json` of queries per repository; CHECKOUTS one folder
`<name>` per repository. Published with the queries, over all 63 repositories of their benchmark:
semble 0.854, CodeRankEmbed 0.839, ColGREP 0.693, BM25 0.675.

The repositories are in two halves: settings are chosen on `tuning` alone, `held out` says
whether the choice carries over.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.ndcg import DEPTH, Span, Target, ndcg, reachable
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline

# One of each family of languages in either half; drawn before anything was tuned.
TUNING = frozenset({"fastapi", "zod", "gson", "gin", "fmtlib", "messagepack-csharp"})
_SEED = 0  # nothing is random here


@dataclass(frozen=True, slots=True)
class Query:
    """A question and what it should find."""

    text: str
    targets: tuple[Target, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout of a repository with its queries; `prefix` leads from the checkout to the indexed folder."""

    name: str
    root: Path
    prefix: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one query found in one mode."""

    repository: str
    mode: str
    category: str
    query: str
    score: float
    seconds: float
    found: tuple[str, ...]


def load(eval_dir: Path, checkouts: Path, only: Sequence[str]) -> list[Repository]:
    """The repositories that `repos.json` lists, with their queries; those in `only`, when it names any."""
    repositories = []
    for entry in json.loads((eval_dir / "repos.json").read_text(encoding="utf-8")):
        name, prefix = entry["name"], entry.get("benchmark_root") or ""
        if only and name not in only:
            continue
        root = checkouts / name / prefix
        if not root.is_dir():
            raise SystemExit(
                f"{root} is missing: check out {entry['url']} at {entry['revision']} as {checkouts / name}"
            )
        queries = tuple(
            Query(
                raw["query"],
                tuple(Target.parse(target) for target in (*raw["relevant"], *raw.get("secondary", ()))),
                raw["category"],
            )
            for raw in json.loads((eval_dir / f"{name}.json").read_text(encoding="utf-8"))
        )
        repositories.append(Repository(name, root, prefix, queries))
    return repositories


def index(repository: Repository, index_dir: Path) -> tuple[IndexStore, Embedder]:
    """Bring the repository's index up to date and return its tables and the model for queries."""
    with Pipeline(IndexFolder(path=index_dir, repository_root=repository.root.resolve())) as pipeline:
        for result in (pipeline.scan(), pipeline.parse(), pipeline.embed()):
            if result.error is not None and not result.partial:
                raise SystemExit(f"{repository.name}: {result.error}")
        if pipeline.store.vectors.count(pipeline.model_id) < pipeline.store.chunks.count():
            raise SystemExit(f"{repository.name}: not every chunk could be embedded")
        return pipeline.store, get_embedder(EmbedderConfig(model=pipeline.settings.embedder.model), "query")


def evaluate(
    repository: Repository, store: IndexStore, embedder: Embedder, modes: Sequence[SearchMode]
) -> list[Outcome]:
    """Run every query in every mode."""

    def span(path: str, start: int, end: int) -> Span:
        return Span(f"{repository.prefix}/{path}" if repository.prefix else path, start, end)

    rows = store.chunks.read(columns=["file_path", "start_line", "end_line"]).to_pydict()
    spans = [span(*row) for row in zip(rows["file_path"], rows["start_line"], rows["end_line"], strict=True)]
    outcomes = []
    for mode in modes:
        for query in repository.queries:
            started = time.perf_counter()
            hits = search(store, embedder, query.text, mode=mode, limit=DEPTH)
            seconds = time.perf_counter() - started
            found = [span(hit.file_path, hit.start_line, hit.end_line) for hit in hits]
            score = ndcg(found, query.targets, reachable_count=len(reachable(query.targets, spans)))
            places = tuple(f"{hit.path}:{hit.start_line}-{hit.end_line}" for hit in found)
            outcomes.append(Outcome(repository.name, mode.value, query.category, query.text, score, seconds, places))
    return outcomes


def summarize(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Per mode: means by repository, over them, by half of them and by category (over queries), and latency."""
    summary: dict[str, dict[str, Any]] = {}
    for mode in dict.fromkeys(outcome.mode for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.mode == mode]
        repositories = _means(mine, "repository")
        halves = {
            "tuning": [value for name, value in repositories.items() if name in TUNING],
            "held out": [value for name, value in repositories.items() if name not in TUNING],
        }
        seconds = sorted(outcome.seconds for outcome in mine)
        summary[mode] = {
            "mean": statistics.fmean(repositories.values()),
            "halves": {half: statistics.fmean(values) for half, values in halves.items() if values},
            "repositories": repositories,
            "categories": _means(mine, "category"),
            "latency_p50_ms": round(statistics.median(seconds) * 1e3, 1),
        }
    return summary


def _means(outcomes: Sequence[Outcome], attribute: str) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        groups[getattr(outcome, attribute)].append(outcome.score)
    return {name: statistics.fmean(scores) for name, scores in groups.items()}


def _markdown(summary: dict[str, dict[str, Any]], sizes: dict[str, int]) -> str:
    modes = list(summary)
    first = summary[modes[0]]
    rows: list[list[object]] = [
        [name, sizes[name], *(summary[mode]["repositories"][name] for mode in modes)] for name in first["repositories"]
    ]
    rows.append(["**mean of repositories**", sum(sizes.values()), *(summary[mode]["mean"] for mode in modes)])
    for key, label in (("halves", "half"), ("categories", "category")):
        rows += [[f"{label}: {name}", "", *(summary[mode][key][name] for mode in modes)] for name in first[key]]
    rows.append(["median ms a query", "", *(summary[mode]["latency_p50_ms"] for mode in modes)])
    return report.table(["NDCG@10", "chunks", *modes], rows)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="NDCG@10 of search over checkouts of repositories.")
    parser.add_argument("--eval", type=Path, required=True, help="folder with repos.json and the queries")
    parser.add_argument("--repositories", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--index-dir", type=Path, help="keep the indexes here; a temporary folder by default")
    parser.add_argument("--only", nargs="*", default=[], help="names of repositories")
    arguments = parser.parse_args()
    before = report.machine()
    outcomes: list[Outcome] = []
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for repository in load(arguments.eval, arguments.repositories, arguments.only):
            store, embedder = index(repository, (arguments.index_dir or Path(temporary)) / repository.name)
            sizes[repository.name] = store.chunks.count()
            outcomes += evaluate(repository, store, embedder, list(SearchMode))
            print(f"{repository.name}: {sizes[repository.name]} chunks, {len(repository.queries)} queries", flush=True)
    summary = summarize(outcomes)
    report.write(
        "retrieval",
        seed=_SEED,
        machine_before=before,
        figures={
            "model": embedder.describe(),
            "summary": summary,
            "queries": [
                {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__} for outcome in outcomes
            ],
        },
        markdown=_markdown(summary, sizes),
    )


if __name__ == "__main__":
    main()
