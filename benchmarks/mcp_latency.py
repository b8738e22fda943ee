"""The server for coding agents, as an agent meets it: start, first search, then searches, memory, and many clients at once.

    python -m benchmarks.mcp_latency REPOSITORY [REPOSITORY ...] --out .results/mcp_latency.json
    python -m benchmarks.mcp_latency FOLDER/repository --index-dir FOLDER/index-576000 --no-run   # of benchmarks.search_at_size

Each REPOSITORY has to be indexed. A round starts `code-index mcp` as a client does, on standard input and output, and takes from
the start of the process: the answer to the handshake, the answer to the first search; then single searches one after the other,
and resident and private memory of the idle process after them, once a little and once `--idle` seconds later. `--clients` are then asked at once, as tasks of one process each
with a server of its own, while `code-index index --force` of the last repository goes on (`--no-run` leaves that out).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_COMMAND = (sys.executable, "-m", "indexing_assets.cli.main")
_QUERIES = (
    "parse the query string of a request",
    "write a response with a status code",
    "register a handler for a route",
    "read a configuration value with a default",
    "convert a value from text",
    "raise an error for invalid input",
    "close a connection and free its resources",
    "render a template",
)
_CLIENT = {"name": "benchmark", "version": "1"}


class Client:
    """A client of a server that it starts, without anything between them."""

    def __init__(self, repository: Path, index_dir: Path | None) -> None:
        at = () if index_dir is None else ("--index-dir", str(index_dir))
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [*_COMMAND, "mcp", str(repository), "--read-only", *at],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._number = 0
        self._ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=_CLIENT)
        self.handshake_s = time.perf_counter() - self.began
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def search(self, query: str, **arguments: Any) -> float:
        """Search, and return the seconds that it took."""
        began = time.perf_counter()
        result = self._ask("tools/call", name="search", arguments={"query": query, **arguments})
        if result.get("isError"):
            raise SystemExit(result["content"][0]["text"])
        return time.perf_counter() - began

    def memory_mb(self) -> dict[str, float]:
        """Resident memory, and what of it no other process shares."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1_024 / 1e6 for line in lines}
        return {
            "resident": round(sizes["Rss"]),
            "proportional": round(sizes["Pss"]),
            "private": round(sizes["Private_Clean"] + sizes["Private_Dirty"]),
        }

    def close(self) -> None:
        """End the server as a client does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return dict(answer["result"])

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(1_000 * statistics.median(ordered), 1),
        "p95_ms": round(1_000 * ordered[int(0.95 * (len(ordered) - 1))], 1),
        "max_ms": round(1_000 * ordered[-1], 1),
    }


def one_client(
    repository: Path, index_dir: Path | None, *, rounds: int, searches: int, idle_s: float
) -> dict[str, Any]:
    """Start, first search, searches and memory of a server with one client."""
    handshakes, firsts, later, memory, idle_memory, again = [], [], [], {}, {}, 0.0
    for _ in range(rounds):
        client = Client(repository, index_dir)
        client.search(_QUERIES[0])
        firsts.append(time.perf_counter() - client.began)
        handshakes.append(client.handshake_s)
        later += [client.search(f"{_QUERIES[number % len(_QUERIES)]} {number}") for number in range(searches)]
        time.sleep(2)
        memory = client.memory_mb()
        if len(handshakes) == rounds:
            time.sleep(idle_s)
            idle_memory = client.memory_mb()
            again = client.search(_QUERIES[0])
        client.close()
    return {
        "repository": repository.name,
        "handshake_s": round(statistics.median(handshakes), 2),
        "handshake_max_s": round(max(handshakes), 2),
        "first_search_s": round(statistics.median(firsts), 2),
        "first_search_max_s": round(max(firsts), 2),
        **_spread(later),
        "memory_mb": memory,
        "idle_memory_mb": idle_memory,
        "search_after_idling_s": round(again, 2),
    }


def many_clients(repository: Path, index_dir: Path | None, *, clients: int, searches: int, run: bool) -> dict[str, Any]:
    """Searches of clients at once, each with a server of its own, while an index run goes on."""
    opened = [Client(repository, index_dir) for _ in range(clients)]
    for client in opened:
        client.search(_QUERIES[0])
    process = (
        subprocess.Popen([*_COMMAND, "index", str(repository), "--force"], stderr=subprocess.DEVNULL) if run else None
    )
    took: list[float] = []

    def ask(client: Client) -> None:
        for number in range(searches):
            took.append(client.search(f"{_QUERIES[number % len(_QUERIES)]} {number}"))
            time.sleep(0.2)  # a model thinks longer

    threads = [threading.Thread(target=ask, args=(client,)) for client in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    private = sum(client.memory_mb()["private"] for client in opened)
    for client in opened:
        client.close()
    status = None if process is None else process.wait()
    return {
        "repository": repository.name,
        "clients": clients,
        "during_a_run": run,
        "run_status": status,
        "searches": len(took),
        **_spread(took),
        "private_mb_all": private,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--index-dir", type=Path, help="index of a single repository, where it is not in it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--idle", type=float, default=65.0, help="seconds; indexes are closed after 60")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = {
        "processors": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "one_client": [
            one_client(
                repository, options.index_dir, rounds=options.rounds, searches=options.searches, idle_s=options.idle
            )
            for repository in options.repositories
        ],
        "many_clients": many_clients(
            options.repositories[-1],
            options.index_dir,
            clients=options.clients,
            searches=20,
            run=not options.no_run,
        ),
    }
    print(json.dumps(result, indent=2))
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
