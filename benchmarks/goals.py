"""What each benchmark is to reach: every goal, with the figure that the benchmark's JSON gives for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
_ALONE = "times tree-sitter alone, 2 processes"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure.

    `at_most` says which side of the bound is good. `value` is None where the benchmark did not run, or not that part.
    """

    group: str
    name: str
    bound: float
    unit: str
    at_most: bool
    source: str
    value: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a figure."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def share(self) -> float | None:
        """How much of the bound is used: 1 is just met, less is better, whichever side is good."""
        if self.value is None:
            return None
        if not self.at_most:
            return self.bound / self.value if self.value else float("inf")
        return self.value / self.bound if self.bound else float(self.value > 0)


def _median(values: Any) -> float:
    return float(statistics.median(values))


def _largest(figures: Figures) -> Figures:
    return dict(figures[max(figures, key=int)])


def _growth(phase: str) -> Callable[[Figures], float]:
    """Processor time a file in the largest tree, times that of the cheapest smaller one."""

    def ratio(figures: Figures) -> float:
        sizes = sorted(figures, key=int)
        costs = [figures[size][phase]["cpu_s"] / int(size) for size in sizes]
        return float(costs[-1] / min(costs[:-1]))

    return ratio


def _growth_of_disk(figures: Figures) -> float:
    sizes = sorted(figures, key=int)
    costs = [
        (figures[size]["tables_bytes"] + figures[size]["records_bytes"]) / figures[size]["chunks"] for size in sizes
    ]
    return float(costs[-1] / min(costs[:-1]))


def _scaling(figures: Figures) -> float:
    """Most processes against one, all files of the first corpus, on the clock, per process."""
    sets = [name.rsplit(", ", 1) for name in figures]
    name = next(name for name, _ in sets if name.endswith("all files"))
    counts = sorted(int(count) for other, count in sets if other == name)
    one, most = (_median(figures[f"{name}, {count}"]["ours_s"]) for count in (counts[0], counts[-1]))
    return float(one / most / (counts[-1] / counts[0]))


def _parsing(figures: Figures) -> Iterator[tuple[str, Figures]]:
    for name, found in figures.items():
        corpus, kind, workers = name.rsplit(", ", 2)
        if kind == "files with a grammar" and workers == "2":
            yield corpus, found


def _beside_peer(
    figures: Figures, step: str, measure: str, *, ours: str = "code-index", peer: str = "mcp-vector-search"
) -> float:
    """Of the first corpus; raises `KeyError` where the peer was left out."""
    tools = next(found for name, found in figures.items() if name != "left out")

    def median(tool: str) -> float:
        for name, rounds in tools.items():
            if name.startswith(tool):
                return _median(one[step][measure] for one in rounds)
        raise KeyError(tool)

    return median(ours) / median(peer)


def _best_engine(engines: Figures) -> float:
    best = {name: min(found["seconds"]) for name, found in engines.items()}
    default = next(best.pop(name) for name in list(best) if name.endswith("(the default)"))
    return float(default / min(best.values()))


def _slowest_page(figures: Figures) -> float:
    return max(_median(one["seconds"] for one in rounds) for rounds in figures["pages"].values())


def _stored(figures: Figures, name: str) -> float:
    return _median(sum(parts) for parts in figures[name])


# group, name, bound, unit, at most, source, figure
_GOALS: tuple[tuple[str, str, float, str, bool, str, Callable[[Figures], float]], ...] = (
    (
        "parse",
        "least of the corpora, chunks/s on 2 processors",
        640,
        "chunks/s",
        False,
        "parsing",
        lambda f: min(found["chunks_per_s"] for _, found in _parsing(f)),
    ),
    ("parse", "speed-up a processor added, all files", 0.8, "of ideal", False, "parsing", _scaling),
    ("parse", "peak memory, main process", 1_500, "MiB", True, "growth", lambda f: _largest(f)["parse"]["main_mib"]),
    ("parse", "peak memory, a worker", 400, "MiB", True, "growth", lambda f: _largest(f)["parse"]["worker_mib"]),
    (
        "bookkeeping",
        "a file partition, all told, SQLite",
        3,
        "ms",
        True,
        "bookkeeping",
        lambda f: _stored(f, "this project"),
    ),
    (
        "bookkeeping",
        "a file partition, all told, PostgreSQL",
        3,
        "ms",
        True,
        "bookkeeping",
        lambda f: _stored(f, "this project, PostgreSQL"),
    ),
    (
        "bookkeeping",
        "from the command to the first file of a range",
        15,
        "s",
        True,
        "bookkeeping_range",
        lambda f: f["range_start_s"],
    ),
    (
        "embedding",
        "first index, processor time of the model's own, worst corpus",
        1.04,
        "times",
        True,
        "embedding_pipeline",
        lambda f: max(_median(found["whole_ratios"]) for found in f.values()),
    ),
    (
        "embedding",
        "peak memory, main process, without a model",
        900,
        "MiB",
        True,
        "growth",
        lambda f: _largest(f)["embed"]["main_mib"],
    ),
    (
        "embedding",
        "fastest other engine on a CPU, of the default",
        1.3,
        "times",
        False,
        "cpu_engines",
        lambda f: _best_engine(f["engines"]),
    ),
    (
        "embedding",
        "of plain sentence-transformers",
        3,
        "times",
        False,
        "embedding_backends",
        lambda f: f["int8"]["times_plain"],
    ),
    (
        "embedding",
        "MRR@10 of the default, of that of plain float32",
        1,
        "times",
        False,
        "docstrings",
        lambda f: f["python"]["default"]["mrr10"] / f["python"]["plain"]["mrr10"],
    ),
    (
        "embedding",
        "on one CUDA device, phase 2 from end to end",
        8_000,
        "chunks/s",
        False,
        "cuda",
        lambda f: f["phase_two"]["chunks_per_s"],
    ),
    ("embedding", "CUDA device busy meanwhile", 80, "%", False, "cuda", lambda f: f["phase_two"]["busy_percent"]),
    (
        "embedding",
        "cosine of CUDA's vectors with the CPU's, least of 1,000",
        0.999,
        "",
        False,
        "cuda",
        lambda f: f["beside_cpu"]["float32"]["least"],
    ),
    (
        "embedding",
        "texts lost as the CUDA device's memory ran out",
        0,
        "texts",
        True,
        "cuda",
        lambda f: f["little_memory"]["failed"],
    ),
    (
        "no repeated work",
        "`index` of an unchanged tree",
        5,
        "s",
        True,
        "unchanged",
        lambda f: f["no_change"]["wall_s"],
    ),
    ("no repeated work", "contents read by a scan of it", 0, "files", True, "unchanged", lambda f: f["contents_read"]),
    ("no repeated work", "`status`", 0.6, "s", True, "unchanged", lambda f: f["status"]["wall_s"]),
    (
        "no repeated work",
        "one edit until it is found, warm",
        1,
        "s",
        True,
        "unchanged",
        lambda f: _median(one["searchable_s"] for one in f["edits"]),
    ),
    ("web interface", "slowest page, 60,000 partitions", 1, "s", True, "ui_pages", _slowest_page),
    ("search", "hybrid, warm, p50", 8, "ms", True, "search_at_size", lambda f: f["warm_ms"]["hybrid"]["p50"]),
    ("search", "hybrid, warm, p99", 20, "ms", True, "search_at_size", lambda f: f["warm_ms"]["hybrid"]["p99"]),
    ("search", "recall@10 of exact", 0.98, "of all", False, "search_at_size", lambda f: f["recall"]["none"]),
    ("search", "cold shell", 1.5, "s", True, "search_at_size", lambda f: f["shell"]["hybrid"]["wall_s"]),
    (
        "search",
        "beside a writer, median",
        1.5,
        "times alone",
        True,
        "search_at_size",
        lambda f: f["writing"]["beside"]["p50"] / f["writing"]["alone"]["p50"],
    ),
    (
        "disk",
        "chunks and vectors, of a single table",
        3,
        "times",
        True,
        "disk",
        lambda f: max(found["ratio"] for found in f.values()),
    ),
    (
        "disk",
        "Dagster's records",
        6_000,
        "bytes a file",
        True,
        "growth",
        lambda f: _largest(f)["records_bytes"] / _largest(f)["files"],
    ),
    (
        "disk",
        "tables right after the first index of Django",
        4_000,
        "bytes a chunk",
        True,
        "pipeline",
        lambda f: f["django-5.2"]["disk"]["tables_bytes_per_chunk"],
    ),
    (
        "disk",
        "tables after edits, median of the last 100",
        2,
        "times fresh",
        True,
        "edits",
        lambda f: max(found["last_times_fresh"]["tables_mb"]["median"] for found in f.values()),
    ),
    (
        "disk",
        "versions after edits, median of the last 100",
        2,
        "times fresh",
        True,
        "edits",
        lambda f: max(found["last_times_fresh"]["versions"]["median"] for found in f.values()),
    ),
    (
        "disk",
        "opening after edits",
        2,
        "times fresh",
        True,
        "edits",
        lambda f: max(found["times_fresh"]["open_ms"]["edited"] for found in f.values()),
    ),
    (
        "disk",
        "search after edits",
        2,
        "times fresh",
        True,
        "edits",
        lambda f: max(found["times_fresh"]["search_p50_ms"]["edited"] for found in f.values()),
    ),
    ("growth", "parse, processor time a file", 1.25, "times smaller", True, "growth", _growth("parse")),
    ("growth", "embed, processor time a file", 1.1, "times smaller", True, "growth", _growth("embed")),
    ("growth", "disk a chunk", 1.25, "times smaller", True, "growth", _growth_of_disk),
    *(
        (
            "peer",
            f"{step}, of mcp-vector-search's time",
            bound,
            "times",
            True,
            "peers",
            lambda f, step=step: _beside_peer(f, step, "s"),
        )
        for step, bound in (
            ("first index", 1 / 4),
            ("unchanged", 1 / 10),
            ("edited and deleted", 1 / 8),
            ("query", 1 / 8),
        )
    ),
    (
        "peer",
        "first index by `fast`, of semble's time",
        2,
        "times",
        True,
        "peers",
        lambda f: _beside_peer(f, "first index", "s", ours="code-index, fast", peer="semble"),
    ),
    (
        "peer",
        "memory, the worst step",
        1 / 2,
        "times",
        True,
        "peers",
        lambda f: max(
            _beside_peer(f, step, "mib") for step in ("first index", "unchanged", "edited and deleted", "query")
        ),
    ),
)


def goals(results: Mapping[str, Figures]) -> list[Goal]:
    """Every goal with its figure.

    Args:
        results: the figures of each benchmark that ran, by name.
    """
    found = []
    if "parsing" in results:
        for corpus, figures in _parsing(results["parsing"]):
            name = f"{corpus}, {_ALONE}"
            found.append(Goal("parse", name, 2, "times", True, "parsing", float(figures["times_alone"])))
    else:
        found.append(Goal("parse", _ALONE, 2, "times", True, "parsing"))
    for corpus, figures in results.get("embedding_pipeline", {"": {}}).items():
        name = f"of the bare encode loop, by processor time{corpus and ', '}{corpus}"
        found.append(Goal("embedding", name, 0.95, "times", False, "embedding_pipeline", figures.get("cpu_ratio")))
    for group, name, bound, unit, at_most, source, figure in _GOALS:
        try:
            value = float(figure(results[source]))
        except (KeyError, StopIteration, IndexError):  # did not run, or without that part
            value = None
        found.append(Goal(group, name, bound, unit, at_most, source, value))
    groups = list(dict.fromkeys(["parse", *(group for group, *_ in _GOALS)]))
    return sorted(found, key=lambda goal: groups.index(goal.group))
