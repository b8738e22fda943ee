"""How many hosts keep many repositories fresh: a simulation of their queue, with measured constants.

    python -m benchmarks.machines.queue
    python -m benchmarks.machines.queue --repositories 10000 --edits 20000 --within 15

Commits come evenly at random over a day, or in `--busy-hours` of it. A commit waits until the sensor looks, then for a host
that is free, first come first served; a host works on one at a time. Nothing is drawn twice: the same seed gives the same day.

Constants are arguments, each with its source. What they leave out: a repository's first index, hosts that die, and the
daemon's own time, which `--look` stands for.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import report

_SEED: Final = 7
_MOST_HOSTS: Final = 4_096
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of a host for one commit."""

    start_s: float
    fetch_s: float
    scan_s: float
    parse_file_s: float
    embed_chunk_s: float
    commits_s: float
    files: int
    chunks: int

    @property
    def total_s(self) -> float:
        """All told; scan, parse and embedding are a run each."""
        work = self.fetch_s + self.scan_s + self.files * self.parse_file_s + self.chunks * self.embed_chunk_s
        return 3 * self.start_s + work + self.commits_s


def arrivals(edits: int, busy_hours: float, seed: int = _SEED) -> list[float]:
    """Times of a day's commits, in seconds from its busy hours' begin, in order."""
    chance = random.Random(seed)
    return sorted(chance.uniform(0, busy_hours * 3_600) for _ in range(edits))


def waits(commits: Sequence[float], repositories: int, hosts: int, costs: Costs, look_s: float) -> list[float]:
    """Seconds from each commit until it is searched, in order; commits of a repository that waits are one run."""
    chance = random.Random(_SEED + 1)
    free = [0.0] * hosts
    pending: dict[int, float] = {}  # repository to the begin of its run, which takes all commits before it
    found = []
    for at in commits:
        repository = chance.randrange(repositories)
        seen = at + chance.uniform(0, look_s)
        begin = pending.get(repository, -1.0)
        if begin < seen:
            begin = max(seen, heapq.heappop(free))
            heapq.heappush(free, begin + costs.total_s)
            pending[repository] = begin
        found.append(begin + costs.total_s - at)
    return found


def hosts_needed(
    commits: Sequence[float], repositories: int, costs: Costs, look_s: float, within_s: float
) -> int | None:
    """The fewest hosts with which 99 of 100 commits are searched in time; None where no number of hosts is enough."""
    least, most = 1, _MOST_HOSTS
    if _late(commits, repositories, most, costs, look_s, within_s):
        return None
    while least < most:
        middle = (least + most) // 2
        if _late(commits, repositories, middle, costs, look_s, within_s):
            least = middle + 1
        else:
            most = middle
    return least


def _late(
    commits: Sequence[float], repositories: int, hosts: int, costs: Costs, look_s: float, within_s: float
) -> bool:
    found = sorted(waits(commits, repositories, hosts, costs, look_s))
    return found[int(0.99 * (len(found) - 1))] > within_s


def _markdown(figures: dict[str, Any]) -> str:
    costs: dict[str, Any] = figures["costs"]
    sums = (
        f"A commit costs 3 x {costs['start_s']} s of start, {costs['fetch_s']} s of fetch, {costs['scan_s']} s of scan, "
        f"{costs['files']} files x {costs['parse_file_s']} s, {costs['chunks']} chunks x {costs['embed_chunk_s']} s and "
        f"{costs['commits_s']} s of commits to the tables: {figures['commit_s']:.1f} s of a host."
    )
    given = f"{figures['repositories']:,} repositories, commits in {figures['busy_hours']:g} hours of the day:"
    head = ["| commits a day | searched within | hosts | work alone would need |", "|---|---|---|---|"]
    lines = [sums, "", given, "", *head]
    for row in figures["rows"]:
        hosts = "no number" if row["hosts"] is None else row["hosts"]
        lines.append(f"| {row['edits']:,} | {row['within_min']:g} min | {hosts} | {row['least']:.1f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Simulate, and print the arithmetic and the hosts that are needed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, default=10_000)
    parser.add_argument("--edits", type=int, nargs="+", default=[10_000, 50_000], help="Commits a day.")
    parser.add_argument("--within", type=float, nargs="+", default=[5.0, 15.0], help="Minutes.")
    parser.add_argument("--busy-hours", type=float, default=10.0, help="Hours of the day in which commits come.")
    parser.add_argument("--look", type=float, default=60.0, help="Seconds between looks: WatchTimes.ask_host_every_s.")
    parser.add_argument("--start", type=float, default=5.0, help="Start of a run: docs/performance.md, 4.21 s.")
    parser.add_argument(
        "--fetch", type=float, default=1.0, help="Fetch and checkout of a commit: this package, 0.95 s."
    )
    parser.add_argument("--scan", type=float, default=1.0, help="A scan of a known tree: docs/performance.md, 0.6 s.")
    parser.add_argument("--parse-file", type=float, default=0.03, help="docs/performance.md, chunks a second.")
    parser.add_argument("--embed-chunk", type=float, default=0.01, help="docs/performance.md, on two processors.")
    parser.add_argument("--commits", type=float, default=3.0, help="Commits to tables at a store: 0.2 to 0.5 s each.")
    parser.add_argument("--files", type=int, default=5, help="Files that a commit changes.")
    parser.add_argument("--chunks", type=int, default=50, help="Chunks in them.")
    given = parser.parse_args()
    machine_before = report.machine()
    costs = Costs(
        start_s=given.start,
        fetch_s=given.fetch,
        scan_s=given.scan,
        parse_file_s=given.parse_file,
        embed_chunk_s=given.embed_chunk,
        commits_s=given.commits,
        files=given.files,
        chunks=given.chunks,
    )
    rows = []
    for edits in given.edits:
        commits = arrivals(edits, given.busy_hours)
        for minutes in given.within:
            hosts = hosts_needed(commits, given.repositories, costs, given.look, minutes * _MINUTE_S)
            least = edits * costs.total_s / (given.busy_hours * 3_600)
            rows.append({"edits": edits, "within_min": minutes, "hosts": hosts, "least": least})
    figures = {
        "repositories": given.repositories,
        "busy_hours": given.busy_hours,
        "commit_s": costs.total_s,
        "costs": {name: getattr(costs, name) for name in Costs.__slots__},
        "rows": rows,
    }
    report.write(
        "machines_queue",
        seed=_SEED,
        machine_before=machine_before,
        figures=figures,
        markdown=_markdown(figures),
        module="machines.queue",
    )


if __name__ == "__main__":
    main()
