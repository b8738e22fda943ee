"""Side by side with a peer: the same tree, the same model, the same machine, in one run.

    python -m benchmarks.peers [PATH] [--rounds 1] [--place FOLDER]

Installs mcp-vector-search 4.1.14 into a virtual environment of its own (6 GB where the package index gives a CUDA
build of torch), gives it the folder of the same model, and takes whole processes of both tools in turn: first index,
index of an unchanged tree, index after one edited and one deleted file, a query from a cold shell; then whether the
deleted file is still found. Wall time, peak memory of the process with its children, and disk.

It is not part of the tests: nothing here depends on the peer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pipeline import MemoryPeak, copied, fetch
from benchmarks.report import machine, table, write
from resources.embedding.model_lookup import DEFAULT_MODEL, find_model

_DEFAULT = "flask==3.1.1"
_PEER = ("mcp-vector-search==4.1.14", "typer<0.20", "click<8.2")
_PLACE = Path(__file__).parent / ".results" / "peers"
_LIMIT_S = 3_600
# What each step may cost at most, as a share of the peer's time in the same run.
_GOALS = {"first index": 1 / 4, "unchanged": 1 / 10, "edited and deleted": 1 / 5, "query": 1 / 8}
_MEMORY_GOAL = 1 / 2
_QUERY = "where are blueprints registered"


@dataclass(frozen=True, slots=True)
class Tool:
    """How to call a tool in a repository, and where it keeps its index."""

    name: str
    setup: Callable[[Path], Sequence[Sequence[str]]]
    index: Callable[[Path], Sequence[str]]
    query: Callable[[Path, str], Sequence[str]]
    stored: str
    environment: Mapping[str, str] = field(default_factory=dict)


def ours() -> Tool:
    """This project, from the environment that runs the benchmark."""
    program = str(Path(sys.executable).with_name("code-index"))
    return Tool(
        name="code-index",
        setup=lambda _root: [],
        index=lambda root: [program, "index", str(root)],
        query=lambda root, text: [program, "search", text, "--path", str(root)],
        stored=".code-index",
    )


def peer(place: Path, model: Path) -> Tool:
    """mcp-vector-search, installed into `place` at the first call."""
    environment = place / "mcp-vector-search"
    program = str(environment / "bin" / "mcp-vector-search")
    if not Path(program).exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin" / "pip", "install", "--quiet", *_PEER], check=True)
    return Tool(
        name=_PEER[0].replace("==", " "),
        setup=lambda root: [
            [
                program,
                "--project-root",
                str(root),
                "init",
                "--embedding-model",
                str(model),
                "--no-auto-index",
                "--no-mcp",
                "--no-auto-indexing",
            ]
        ],
        index=lambda root: [program, "--project-root", str(root), "index"],
        query=lambda root, text: [program, "--project-root", str(root), "search", text, "--json"],
        stored=".mcp-vector-search",
        environment={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )


def cost(command: Sequence[str], tool: Tool, root: Path) -> tuple[dict[str, float], str]:
    """Seconds and peak memory of a whole process with its children, and what it printed; a failure ends the benchmark."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as answers:
        answers.write(b"y\n")  # to the question of the peer's setup
        answers.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=root,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=answers,
            env={**os.environ, **tool.environment},
        )
        with MemoryPeak(process.pid) as memory:
            process.wait(_LIMIT_S)
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-3_000:]}")
    return {"s": seconds, "mib": (memory.main_bytes + memory.children_bytes) / (1 << 20)}, text


def measure(tool: Tool, corpus: Path) -> dict[str, Any]:
    """All steps of one tool on a fresh copy of the corpus."""
    with copied(corpus) as root:
        for command in tool.setup(root):
            cost(command, tool, root)
        figures: dict[str, Any] = {"first index": cost(tool.index(root), tool, root)[0]}
        figures["unchanged"] = cost(tool.index(root), tool, root)[0]
        figures["disk_mib"] = (
            sum(path.stat().st_size for path in (root / tool.stored).rglob("*") if path.is_file()) / 2**20
        )
        files = sorted(path for path in root.rglob("*.py") if path.stat().st_size > 2_000)
        edited, deleted = files[len(files) // 2], files[len(files) // 3]
        edited.write_text(f"{edited.read_text('utf-8')}\n\ndef striped_animal(count):\n    return count + 1\n", "utf-8")
        deleted.unlink()
        figures["edited and deleted"] = cost(tool.index(root), tool, root)[0]
        figures["query"], _ = cost(tool.query(root, _QUERY), tool, root)
        _, text = cost(tool.query(root, deleted.stem), tool, root)
        figures["deleted file is still found"] = deleted.name in text
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help=f"folder of a repository; by default {_DEFAULT}")
    parser.add_argument("--rounds", type=int, default=1, help="of all steps, both tools in turn")
    parser.add_argument("--place", type=Path, default=_PLACE, help="where the peer's environment is")
    options = parser.parse_args()
    before = machine()
    corpus = options.path.resolve() if options.path else fetch(_DEFAULT)
    model = find_model(DEFAULT_MODEL, allow_download=False)
    tools = [ours(), peer(options.place.resolve(), model)]
    rounds: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in tools}
    for number in range(options.rounds):
        for tool in tools:
            rounds[tool.name].append(measure(tool, corpus))
            print(f"round {number + 1}, {tool.name}: {rounds[tool.name][-1]}", flush=True)
    mine, theirs = rounds.values()
    rows = []
    for step, goal in _GOALS.items():
        seconds = [statistics.median(figures[step]["s"] for figures in each) for each in (mine, theirs)]
        memory = [statistics.median(figures[step]["mib"] for figures in each) for each in (mine, theirs)]
        rows.append(
            [step, *(f"{value:.1f} s" for value in seconds), f"1/{seconds[1] / seconds[0]:.1f}", f"1/{1 / goal:.0f}"]
        )
        rows.append(
            [
                f"{step}, memory",
                *(f"{value:,.0f} MiB" for value in memory),
                f"1/{memory[1] / memory[0]:.1f}",
                f"1/{1 / _MEMORY_GOAL:.0f}",
            ]
        )
    disk = [statistics.median(figures["disk_mib"] for figures in each) for each in (mine, theirs)]
    rows.append(["disk", *(f"{value:,.1f} MiB" for value in disk), f"1/{disk[1] / disk[0]:.1f}", ""])
    found = ["yes" if each[-1]["deleted file is still found"] else "no" for each in (mine, theirs)]
    rows.append(["a deleted file is still found", *found, "", "no"])
    write(
        "peers",
        seed=0,
        machine_before=before,
        figures={"corpus": corpus.name, **rounds},
        markdown=table([corpus.name, *(tool.name for tool in tools), "ratio", "goal"], rows),
    )


if __name__ == "__main__":
    main()
