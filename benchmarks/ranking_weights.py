"""Weights of the ranking: fitted, scored on repositories that were left out, and what each of them is worth.

    python -m benchmarks.ranking_weights --set FILES QUERIES CHECKOUTS INDEXES [--set ...] [--half tuning]

A set has a name, queries and checkouts in the form of `benchmarks.retrieval`, and a folder of indexes, which are brought up to
date. Every query's lists are read once; the rest is arithmetic over the features that `code_index.search.features` gives.

Fitted is a listwise logistic regression (softmax over a query's files, ridge) with the signs of today's weights held;
weights that say "chosen" in `code_index.search.weights` stay as they are. A query counts 1 over the number of its set's
queries of its kind, times 1 for files and `LINE_WEIGHT` for lines and others. "Left out": the repository that is scored was not
among those of the fit, in any set.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.optimize import minimize

from benchmarks import report
from benchmarks.left_out import left_out
from benchmarks.ndcg import Span, covers, ndcg, reachable
from benchmarks.retrieval import Query, Repository, answers, index, load, texts_of
from code_index.embedding.embedder import Embedder
from code_index.search import ranking
from code_index.search.features import Candidate, compute_features
from code_index.search.hybrid import query_words
from code_index.search.query_kind import Name, asked_name
from code_index.search.weights import CHUNK_WEIGHTS, FILE_WEIGHTS, FUSED_DEPTH
from code_index.tables import IndexStore

CHOSEN = frozenset({"named_alike", "defines", "exports", "other_platform", "has_body_elsewhere"})
LINE_WEIGHT = 0.25
RIDGE = 0.02
_COLUMNS = Candidate._fields


@dataclass(frozen=True, slots=True)
class Asked:
    """A query with its lists, and what covers its targets."""

    group: str
    repository: str
    category: str
    answerable: bool
    candidates: Mapping[str, Candidate]
    semantic: Mapping[str, float]
    lexical: Mapping[str, float]
    words: Sequence[str]
    name: Name | None
    query: Query
    spans: Mapping[str, Span]
    reachable: int

    def score(self) -> float:
        """NDCG@10 of the ranking as it is now."""
        ranked = ranking.rank(self.candidates, self.semantic, self.lexical, query=self.words, name=self.name)
        hits = [self.spans[key] for key, _ in ranked.order]
        return ndcg(hits, self.query.targets, reachable_count=self.reachable)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a fit sees of a query: features of its files, of shape (files, weights), and the share of each that is right."""

    asked: Asked
    features: np.ndarray
    right: np.ndarray


def ask(group: str, repository: Repository, store: IndexStore, embedder: Embedder) -> list[Asked]:
    """Read the lists of every query of a repository."""
    texts = texts_of(repository, store)
    spans = [text.span for text in texts]
    found = []
    for query in repository.queries:
        words, name = query_words(query.text), asked_name(query.text)
        near = store.search.near(
            embedder.embed_query(query.text),
            model=embedder.model_id,
            limit=FUSED_DEPTH,
            columns=("chunk_id", *_COLUMNS),
        )
        worded = store.search.start_words(words, limit=FUSED_DEPTH, columns=("chunk_id", *_COLUMNS)).result().rows
        lists = [near, worded]
        if name is not None:
            lists.append(store.search.start_definitions(name.own, columns=("chunk_id", *_COLUMNS)).result())
        candidates = {
            row["chunk_id"]: Candidate(**{column: row[column] for column in _COLUMNS})
            for rows_of in lists
            for row in rows_of.to_pylist()
        }
        targets = reachable(query.targets, spans)
        found.append(
            Asked(
                group=_group(group, query),
                repository=repository.name,
                category=query.category,
                answerable=any(answers(target, texts) for target in targets),
                candidates=candidates,
                semantic=dict(zip(near["chunk_id"].to_pylist(), near["score"].to_pylist(), strict=True)),
                lexical=dict(zip(worded["chunk_id"].to_pylist(), worded["score"].to_pylist(), strict=True)),
                words=words.split(),
                name=name,
                query=query,
                spans={
                    key: repository.span(one.file_path, one.start_line, one.end_line) for key, one in candidates.items()
                },
                reachable=len(targets),
            )
        )
    return found


def _group(name: str, query: Query) -> str:
    """The set of a query; where answers are lines, with what they are lines of."""
    kind = query.category.split(":")[0]
    lines = kind in {"code", "docs"} and all(target.start_line is not None for target in query.targets)
    return f"{name} {kind}" if lines else name


def sample(asked: Asked) -> Sample:
    """The features of a query's files, in the order of the table of weights."""
    meaning = ranking.normalized(asked.semantic or asked.lexical)
    words = ranking.normalized(asked.lexical or asked.semantic)
    found = compute_features(asked.candidates, meaning, words, query=asked.words, name=asked.name)
    right = {
        asked.candidates[key].file_path
        for key, span in asked.spans.items()
        if any(covers(span, target) for target in asked.query.targets)
    }
    wanted = np.array([float(path in right) for path in found.files])
    matrix = np.array([[of[name] for name in FILE_WEIGHTS] for of in found.files.values()])
    return Sample(asked, matrix, wanted / wanted.sum() if wanted.any() else wanted)


def fit(samples: Sequence[Sample]) -> dict[str, float]:
    """The weights of files that fit these queries best, the chosen ones as they are."""
    known = [one for one in samples if one.right.any()]
    sizes = Counter(one.asked.group for one in known)
    names = list(FILE_WEIGHTS)
    free = [place for place, name in enumerate(names) if name not in CHOSEN]
    held = np.array([FILE_WEIGHTS[name] if name in CHOSEN else 0.0 for name in names])
    scale = np.concatenate([one.features[:, free] for one in known]).std(0) + 1e-6
    shares = np.array([(1.0 if one.asked.group == "files" else LINE_WEIGHT) / sizes[one.asked.group] for one in known])
    shares /= shares.sum()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = RIDGE * float(weights @ weights), 2 * RIDGE * weights
        for one, share in zip(known, shares, strict=True):
            scores = one.features[:, free] @ (weights / scale) + one.features @ held
            powers = np.exp(scores - scores.max())
            total += share * float(np.log(powers.sum()) + scores.max() - one.right @ scores)
            slope = slope + share * (one.features[:, free].T @ (powers / powers.sum() - one.right)) / scale
        return total, slope

    bounds = [(0, None) if FILE_WEIGHTS[names[place]] > 0 else (None, 0) for place in free]
    best = minimize(loss, np.zeros(len(free)), jac=True, method="L-BFGS-B", bounds=bounds).x / scale
    fitted = dict(zip([names[place] for place in free], best, strict=True))
    return {name: float(fitted.get(name, weight)) for name, weight in FILE_WEIGHTS.items()}


def figures(asked: Sequence[Asked], scores: Sequence[float]) -> dict[str, float]:
    """Means by group: of repositories for files, of queries for the rest."""
    by: dict[str, list[float]] = defaultdict(list)
    files: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for one, score in zip(asked, scores, strict=True):
        if one.group == "files":
            files[one.repository, False].append(score)
            if one.answerable:
                files[one.repository, True].append(score)
                by[f"files, answerable: {one.category}"].append(score)
        else:
            by[one.group].append(score)
    means = {
        label: statistics.fmean(statistics.fmean(of) for (_, flag), of in files.items() if flag is answerable)
        for label, answerable in (("files", False), ("files, answerable", True))
        if files
    }
    return means | {group: statistics.fmean(of) for group, of in sorted(by.items())}


def scored(
    asked: Sequence[Asked], weights: Mapping[str, float], chunks: Mapping[str, float] = CHUNK_WEIGHTS
) -> list[float]:
    """NDCG@10 of each query with other weights."""
    with patch.object(ranking, "FILE_WEIGHTS", weights), patch.object(ranking, "CHUNK_WEIGHTS", chunks):
        return [one.score() for one in asked]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Fit the weights of the ranking, and say what each is worth.")
    parser.add_argument(
        "--set", nargs=4, action="append", required=True, metavar=("NAME", "QUERIES", "CHECKOUTS", "INDEXES")
    )
    parser.add_argument(
        "--half", choices=("tuning", "held out"), help="only the repositories of one half, but for `files`"
    )
    arguments = parser.parse_args()
    before = report.machine()
    asked: list[Asked] = []
    for group, queries, checkouts, indexes in arguments.set:
        for repository in load(Path(queries), Path(checkouts), []):
            if group == "files" or arguments.half in {None, repository.half}:
                store, embedder = index(repository, Path(indexes) / repository.name)
                asked += ask(group, repository, store, embedder)
                print(f"{group}: {repository.name}", flush=True)
    samples = [sample(one) for one in asked]
    repositories = list(dict.fromkeys(one.repository for one in asked))

    def fit_on(names: Sequence[str]) -> dict[str, float]:
        return fit([one for one in samples if one.asked.repository in names])

    def score_of(weights: Mapping[str, float], name: str) -> float:
        mine = [place for place, one in enumerate(asked) if one.repository == name]
        for place, score in zip(mine, scored([asked[place] for place in mine], weights), strict=True):
            outside[place] = score
        return statistics.fmean(outside[place] for place in mine)

    outside = [0.0] * len(asked)
    by_repository = {name: score for name, (_, score) in left_out(repositories, fit_on, score_of).items()}
    table = figures(asked, scored(asked, FILE_WEIGHTS))
    apart = figures(asked, outside)
    everything = fit_on(repositories)
    rows: list[list[object]] = [[label, table[label], apart[label]] for label in table]
    groups = [label for label in table if ": " not in label]
    worth: list[list[object]] = []
    for kind, weights in (("file", FILE_WEIGHTS), ("chunk", CHUNK_WEIGHTS)):
        for name, weight in weights.items():
            without = {**weights, name: 0.0}
            scores = scored(asked, without) if kind == "file" else scored(asked, FILE_WEIGHTS, without)
            lacking = figures(asked, scores)
            fitted: object = everything[name] if kind == "file" else ""
            worth.append([f"{kind}: {name}", weight, fitted, *(table[label] - lacking[label] for label in groups)])
    markdown = "\n\n".join(
        [
            report.table(["NDCG@10", "the table's weights", "left out"], rows),
            report.table(["left out", "NDCG@10"], [[name, score] for name, score in by_repository.items()]),
            report.table(["loss without", "weight", "fitted", *groups], worth),
        ]
    )
    result = {"table": table, "left_out": apart, "repositories": by_repository, "fitted": everything}
    report.write("ranking_weights", seed=0, machine_before=before, figures=result, markdown=markdown)


if __name__ == "__main__":
    main()
