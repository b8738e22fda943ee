"""How well search finds what was asked for: NDCG@10 by repository, language and kind of question, beside plain searches.

Each repository is indexed by the real pipeline and searched as the command line searches it:

    python -m benchmarks.retrieval --eval QUERIES --repositories CHECKOUTS [--index-dir DIR] [--name NAME]
    python -m benchmarks.retrieval ... --against benchmarks/.results/EARLIER.json

QUERIES holds `repos.json` and one `<name>.json` of queries per repository; CHECKOUTS one folder `<name>` per repository.
`benchmarks.commit_questions` and `benchmarks.line_questions` make two further sets in the same form.

Compared are hybrid search, its two lists, their fusion before the order by files, BM25 over the same chunks and a scripted
grep (`benchmarks.baselines`). The pool is what both lists hold: its recall, and the figure of its best order, say what
a better order could reach. Every mean has a 95 % interval; a gain has the interval of the paired differences.

The repositories are in two halves: settings are chosen on `tuning` only, `held out` says whether the choice carries over.
The weight of the lists is fitted on all repositories but one as well, and scored on that one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.baselines import Bm25, Grep, Text
from benchmarks.intervals import SEED, Estimate, estimate
from benchmarks.left_out import left_out
from benchmarks.ndcg import DEPTH, Span, Target, best_order, covers, ndcg, reachable
from code_index.embedding.configuration import EmbedderConfig
from code_index.embedding.embedder import Embedder
from code_index.embedding.loader import get_embedder
from code_index.index.folder import IndexFolder
from code_index.search.hybrid import SearchHit, SearchMode, search
from code_index.search.ranking import normalized
from code_index.search.weights import FUSED_DEPTH
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline

# Of the set of 11: one of each family of languages in either half; drawn before anything was tuned.
TUNING = frozenset({"fastapi", "zod", "gson", "gin", "fmtlib", "messagepack-csharp"})
_SHARES = tuple(round(0.05 * step, 2) for step in range(21))  # of the list by meaning, tried
_LEAST_ANSWER = 200  # characters that are not blank; below are headers that only include another one
_MODES = (SearchMode.HYBRID, SearchMode.SEMANTIC, SearchMode.LEXICAL)
_FUSED = "fused"
_SHARE_OF_MEANING = 0.7  # of the mixture that is called fused: what search did before it ranked by features
_SYSTEMS = (*(mode.value for mode in _MODES), _FUSED, "bm25", "grep")


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
    language: str
    half: str
    root: Path
    prefix: str
    queries: tuple[Query, ...]

    def span(self, path: str, start: int, end: int) -> Span:
        """Lines of a file, with its path from the checkout's root, as targets have it."""
        return Span(f"{self.prefix}/{path}" if self.prefix else path, start, end)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one query found in one system; the fused list has no time of its own."""

    repository: str
    language: str
    half: str
    system: str
    category: str
    query: str
    score: float
    seconds: float | None
    found: tuple[str, ...]
    answerable: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """What both lists of one query hold: the share of targets in it, its best order, and its order at each share."""

    repository: str
    recall: float
    best: float
    by_share: dict[float, float]


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
        half = entry.get("half") or ("tuning" if name in TUNING else "held out")
        repositories.append(Repository(name, entry["language"], half, root, prefix, queries))
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


def texts_of(repository: Repository, store: IndexStore) -> list[Text]:
    """All chunks of an index, in the order of their places."""
    rows = store.chunks.read(columns=["file_path", "start_line", "end_line", "content"]).sort_by(
        [("file_path", "ascending"), ("start_line", "ascending"), ("end_line", "ascending")]
    )
    return [
        Text(repository.span(row["file_path"], row["start_line"], row["end_line"]), row["content"])
        for row in rows.to_pylist()
    ]


def evaluate(repository: Repository, store: IndexStore, embedder: Embedder) -> tuple[list[Outcome], list[Pool]]:
    """Ask every query of every system."""
    span = repository.span
    texts = texts_of(repository, store)
    spans = [text.span for text in texts]
    asked: dict[str, Callable[[str], list[SearchHit]]] = {
        mode.value: lambda query, mode=mode: search(store, embedder, query, mode=mode, limit=DEPTH)  # type: ignore[misc]
        for mode in _MODES
    }
    paths = {text.span.path.removeprefix(f"{repository.prefix}/") for text in texts}
    bm25, grep = Bm25(texts), Grep(_files(repository, paths))
    plain: dict[str, Callable[[str], list[Span]]] = {
        "bm25": lambda query: bm25.search(query, DEPTH),
        "grep": lambda query: [span(hit.path, hit.start_line, hit.end_line) for hit in grep.search(query, DEPTH)],
    }
    for one in asked.values():
        one(repository.queries[0].text)  # what the first search opens is not its time
    outcomes, pools = [], []
    for query in repository.queries:
        targets = reachable(query.targets, spans)
        answerable = any(answers(target, texts) for target in targets)

        hits_of: dict[str, tuple[list[Span], float | None]] = {}
        for system, find in asked.items():
            started = time.perf_counter()
            hits = find(query.text)
            seconds = time.perf_counter() - started
            hits_of[system] = [span(hit.file_path, hit.start_line, hit.end_line) for hit in hits], seconds
        for system, look in plain.items():
            started = time.perf_counter()
            found = look(query.text)
            hits_of[system] = found, time.perf_counter() - started

        lists = [
            search(store, embedder, query.text, mode=mode, limit=FUSED_DEPTH)
            for mode in (SearchMode.SEMANTIC, SearchMode.LEXICAL)
        ]
        places = {hit.chunk_id: span(hit.file_path, hit.start_line, hit.end_line) for hits in lists for hit in hits}
        near, worded = ({hit.chunk_id: hit.score for hit in hits} for hits in lists)
        hits_of[_FUSED] = [places[key] for key in mixed(near, worded, _SHARE_OF_MEANING)], None

        for system, (found, elapsed) in hits_of.items():
            score = ndcg(found, query.targets, reachable_count=len(targets))
            shown = tuple(f"{hit.path}:{hit.start_line}-{hit.end_line}" for hit in found)
            labels = (repository.name, repository.language, repository.half, system, query.category, query.text)
            outcomes.append(Outcome(*labels, score, elapsed, shown, answerable))
        if answerable:
            orders = {share: [places[key] for key in mixed(near, worded, share)] for share in _SHARES}
            by_share = {
                share: ndcg(order, query.targets, reachable_count=len(targets)) for share, order in orders.items()
            }
            reached = len(reachable(targets, places.values()))
            best = best_order(reached, len(targets))
            pools.append(Pool(repository.name, reached / len(targets), best, by_share))
    return outcomes, pools


def _files(repository: Repository, paths: Collection[str]) -> dict[str, str]:
    return {path: (repository.root / path).read_text("utf-8", "replace") for path in paths}


def answers(target: Target, texts: Sequence[Text]) -> bool:
    """Tell whether the index holds what the target says: lines, or a file with more than a remark that it moved."""
    if target.start_line is not None:
        return any(covers(text.span, target) for text in texts)
    return sum(len("".join(text.text.split())) for text in texts if covers(text.span, target)) >= _LEAST_ANSWER


def mixed(near: Mapping[str, float], worded: Mapping[str, float], share: float) -> list[str]:
    """The ten best ids of two lists, the first one's scores taken at `share`; each list's scores from 0 to 1."""
    first, second = normalized(near), normalized(worded)
    scores = {
        key: share * first.get(key, 0.0) + (1 - share) * second.get(key, 0.0) for key in first.keys() | second.keys()
    }
    return sorted(scores, key=lambda key: (-scores[key], key))[:DEPTH]


def grouped(
    outcomes: Sequence[Outcome], value: Callable[[Outcome], float] = lambda one: one.score
) -> list[list[float]]:
    """Scores by repository."""
    groups: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.repository].append(value(outcome))
    return list(groups.values())


def summarize(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """By system: the mean over repositories, of all and of answerable queries; by part the same over queries; latency in ms.

    Parts are repositories, halves (these over repositories), languages, kinds and categories; a kind is the part of a
    category before a colon.
    """
    summary: dict[str, dict[str, Any]] = {}
    for system in dict.fromkeys(outcome.system for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.system == system]
        seconds = [outcome.seconds for outcome in mine if outcome.seconds is not None]
        summary[system] = {
            "mean": estimate(grouped(mine)),
            "answerable": estimate(grouped([outcome for outcome in mine if outcome.answerable])),
            "halves": {name: estimate(grouped(part)) for name, part in _parts(mine, lambda one: one.half).items()},
            "repositories": _over_queries(mine, lambda one: one.repository),
            "languages": _over_queries(mine, lambda one: one.language),
            "kinds": _over_queries(mine, lambda one: one.category.split(":")[0]),
            "categories": _over_queries(mine, lambda one: one.category),
            "latency_p50_ms": _milliseconds(seconds, 50),
            "latency_p99_ms": _milliseconds(seconds, 99),
        }
    return summary


def _milliseconds(seconds: Sequence[float], percentile: int) -> float | None:
    return round(float(np.percentile(seconds, percentile)) * 1e3, 1) if seconds else None


def _parts(outcomes: Sequence[Outcome], name: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    parts: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        parts[name(outcome)].append(outcome)
    return parts


def _over_queries(outcomes: Sequence[Outcome], name: Callable[[Outcome], str]) -> dict[str, Estimate]:
    return {key: estimate([[one.score for one in part]]) for key, part in _parts(outcomes, name).items()}


def gain(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Estimate:
    """Mean over repositories of the difference, query by query, with its interval.

    Raises:
        ValueError: the two are not of the same queries.
    """
    other = {(one.repository, one.query, one.category): one.score for one in theirs}
    if {(one.repository, one.query, one.category) for one in ours} != other.keys():
        raise ValueError("a gain needs both sides of the same queries")
    return estimate(grouped(ours, lambda one: one.score - other[one.repository, one.query, one.category]))


def gains(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Estimate]]:
    """Gain of hybrid over each other system, over all queries and by kind, and over the better of its own two lists."""
    parts = {"all": list(outcomes), **_parts(outcomes, lambda one: one.category.split(":")[0])}
    found = {}
    for name, part in parts.items():
        of = {system: [one for one in part if one.system == system] for system in _SYSTEMS}
        lists = (of[SearchMode.SEMANTIC], of[SearchMode.LEXICAL])
        better = max(lists, key=lambda some: estimate(grouped(some)).mean)
        found[name] = {system: gain(of[SearchMode.HYBRID], of[system]) for system in _SYSTEMS[1:]}
        found[name]["better list"] = gain(of[SearchMode.HYBRID], better)
    return found


def fitted_share(pools: Sequence[Pool]) -> dict[str, tuple[float, float]] | None:
    """By repository the share of the list by meaning that is best for all others, and its figure here; None for one."""
    names = list(dict.fromkeys(pool.repository for pool in pools))
    if len(names) < 2:
        return None

    def score(share: float, name: str) -> float:
        return statistics.fmean(pool.by_share[share] for pool in pools if pool.repository == name)

    def fit(others: Sequence[str]) -> float:
        return max(_SHARES, key=lambda share: statistics.fmean(score(share, name) for name in others))

    return left_out(names, fit, score)


def _markdown(
    summary: Mapping[str, Mapping[str, Any]],
    pools: Sequence[Pool],
    found: Mapping[str, Mapping[str, Estimate]],
    sizes: Mapping[str, int],
) -> str:
    systems = list(summary)
    first = summary[systems[0]]

    def row(label: str, key: str, name: str | None = None, size: object = "") -> list[object]:
        cells = [summary[system][key] if name is None else summary[system][key][name] for system in systems]
        return [label, cells[0].count if isinstance(cells[0], Estimate) else "", size, cells[0], *map(_mean, cells[1:])]

    rows = [row(name, "repositories", name, sizes[name]) for name in first["repositories"]]
    rows.append(row("**mean of repositories**", "mean", size=sum(sizes.values())))
    rows.append(row("**answerable queries**", "answerable"))
    labels = {"halves": "half", "languages": "language", "kinds": "kind", "categories": "category"}
    for key, label in labels.items():
        rows += [
            row(f"{label}: {name}", key, name)
            for name in first[key]
            if key != "categories" or name not in first["kinds"]
        ]
    rows.append(row("ms a query, p50", "latency_p50_ms"))
    rows.append(row("ms a query, p99", "latency_p99_ms"))
    parts = [report.table(["NDCG@10", "queries", "chunks", f"{systems[0]} (95 %)", *systems[1:]], rows)]
    others = [*systems[1:], "better list"]
    parts.append(
        report.table(
            ["gain of hybrid over", *others, "times bm25"],
            [[name, *(of[system] for system in others), _times(summary, name, "bm25")] for name, of in found.items()],
        )
    )
    pool_rows: list[list[object]] = [
        ["recall of the pool", estimate(_by_repository(pools, lambda pool: pool.recall))],
        ["best order of the pool", estimate(_by_repository(pools, lambda pool: pool.best))],
    ]
    if (shares := fitted_share(pools)) is not None:
        fitted = statistics.fmean(score for _, score in shares.values())
        chosen = ", ".join(f"{name} {share}" for name, (share, _) in shares.items())
        pool_rows.append([f"fused, share of meaning fitted on the other repositories ({chosen})", fitted])
    parts.append(report.table(["answerable queries", "mean of repositories"], pool_rows))
    return "\n\n".join(parts)


def _times(summary: Mapping[str, Mapping[str, Any]], part: str, other: str) -> float | str:
    """Hybrid's figure for a kind, or for all, in times of another system's; nothing where that found nothing."""
    ours, theirs = (
        (of["mean"] if part == "all" else of["kinds"][part]).mean for of in (summary[SearchMode.HYBRID], summary[other])
    )
    return ours / theirs if theirs else ""


def _mean(cell: object) -> object:
    return cell.mean if isinstance(cell, Estimate) else "" if cell is None else cell


def _by_repository(pools: Sequence[Pool], value: Callable[[Pool], float]) -> list[list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for pool in pools:
        groups[pool.repository].append(value(pool))
    return list(groups.values())


def _earlier(path: Path) -> list[Outcome]:
    raw = json.loads(path.read_text(encoding="utf-8"))["figures"]["queries"]
    return [Outcome(**{**one, "found": tuple(one["found"])}) for one in raw]


def _plain(value: object) -> Any:
    """Estimates as dictionaries, for JSON."""
    if isinstance(value, Estimate):
        return asdict(value)
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="NDCG@10 of search over checkouts of repositories.")
    parser.add_argument("--eval", type=Path, required=True, help="folder with repos.json and the queries")
    parser.add_argument("--repositories", type=Path, required=True, help="folder with one checkout per repository")
    parser.add_argument("--index-dir", type=Path, help="keep the indexes here; a temporary folder by default")
    parser.add_argument("--only", nargs="*", default=[], help="names of repositories")
    parser.add_argument("--half", choices=("tuning", "held out"), help="only the repositories of one half")
    parser.add_argument("--name", default="retrieval", help="name of the result")
    parser.add_argument("--against", type=Path, help="JSON of an earlier run, to compare with query by query")
    arguments = parser.parse_args()
    before = report.machine()
    outcomes: list[Outcome] = []
    pools: list[Pool] = []
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for repository in load(arguments.eval, arguments.repositories, arguments.only):
            if arguments.half not in {None, repository.half}:
                continue
            store, embedder = index(repository, (arguments.index_dir or Path(temporary)) / repository.name)
            sizes[repository.name] = store.chunks.count()
            of_queries, of_pools = evaluate(repository, store, embedder)
            outcomes += of_queries
            pools += of_pools
            print(f"{repository.name}: {sizes[repository.name]} chunks, {len(repository.queries)} queries", flush=True)
    summary, found = summarize(outcomes), gains(outcomes)
    markdown = _markdown(summary, pools, found, sizes)
    if arguments.against is not None:
        asked = {(one.repository, one.query) for one in outcomes}
        earlier = [one for one in _earlier(arguments.against) if (one.repository, one.query) in asked]
        rows = [
            [system, gain(*([one for one in some if one.system == system] for some in (outcomes, earlier)))]
            for system in _SYSTEMS
        ]
        markdown += "\n\n" + report.table(["system", f"gain over {arguments.against.name}"], rows)
    report.write(
        arguments.name,
        seed=SEED,
        machine_before=before,
        figures={
            "model": embedder.describe(),
            "chunks": sizes,
            "summary": _plain(summary),
            "gains": _plain(found),
            "pools": [asdict(pool) for pool in pools],
            "fitted_share": fitted_share(pools),
            "queries": [asdict(outcome) for outcome in outcomes],
        },
        markdown=markdown,
        module="retrieval",
    )


if __name__ == "__main__":
    main()
