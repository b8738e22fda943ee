"""Side by side with three peers: the same tree, the same model, the same machine, in one run.

    python -m benchmarks.peers [PATH]... [--rounds 1] [--place FOLDER] [--python /usr/bin/python3] [--without NAME]...

Installs mcp-vector-search 4.1.14, cocoindex-code 0.2.42 and semble 0.7.0 into virtual environments of their own (6 GB each where the
package index gives a CUDA build of torch), gives them the folder of the same model, and takes whole processes of the
tools in turn: first index, index of an unchanged tree, index after one edited and one deleted file, a query from a cold
shell; then whether the deleted file is still found. Wall time, peak memory of the tool's processes, and disk.
cocoindex-code works in a process that stays: it is ended before each step, so that each begins cold, and its memory
counts; once it is there, its queries take 0.2 s. It needs a Python whose SQLite loads extensions (`--python`).
semble's model is a table of token vectors, and so is that of our preset `fast`: both get that one table, and stand side by side.
semble has no step that only indexes: each of its steps asks something. Goals are set against mcp-vector-search. A peer that cannot be installed or fails in a step is named with what it said, and left
out of the table; the figures of the others stay.

It is not part of the tests: nothing here depends on the peer.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from safetensors.numpy import save_file

from benchmarks.pipeline import copied, fetch
from benchmarks.report import machine, table, write
from code_index.embedding.models.lookup import DEFAULT_MODEL, FAST, find_model
from code_index.embedding.models.static_table import distilled_folder, read_table
from code_index.embedding.models.weights import weights_digest, weights_files

_DEFAULT = "flask==3.1.1"
_PEERS = {
    "mcp-vector-search": ("mcp-vector-search==4.1.14", "typer<0.20", "click<8.2"),
    "cocoindex-code": ("cocoindex-code[full]==0.2.42",),
    "semble": ("semble==0.7.0", "safetensors"),
}
_SAMPLE_S = 0.1
_PLACE = Path(__file__).parent / ".results" / "peers"
_ROOT = Path(__file__).resolve().parents[1]
_LIMIT_S = 3_600
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
# What each step may cost at most, as a share of the peer's time in the same run.
_GOALS = {"first index": 1 / 4, "unchanged": 1 / 10, "edited and deleted": 1 / 8, "query": 1 / 8}
_MEMORY_GOAL = 1 / 2
_QUERY = "where are blueprints registered"
# What is added to a file of the language of which there is most.
_EDITS = {
    ".py": "def striped_animal(count):\n    return count + 1\n",
    ".ts": "export function stripedAnimal(count: number) {\n  return count + 1;\n}\n",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """How to call a tool in a repository, and where it keeps its index; `before` ends what stays of an earlier call.

    `programs` is the folder of its programs: what runs from there is the tool's memory.
    """

    name: str
    setup: Callable[[Path], Sequence[Sequence[str]]]
    index: Callable[[Path], Sequence[str]]
    query: Callable[[Path, str], Sequence[str]]
    stored: str | Path
    programs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()


class CannotRunError(Exception):
    """A tool cannot be installed, or fails in a step; the text says how."""


def ours(name: str = "code-index", **variables: str) -> Tool:
    """This project, from the environment that runs the benchmark."""
    program = str(Path(sys.executable).with_name("code-index"))
    return Tool(
        name=name,
        setup=lambda _root: [],
        index=lambda root: [program, "index", str(root)],
        query=lambda root, text: [program, "search", text, "--path", str(root)],
        stored=".code-index",
        programs=Path(program).parent,
        environment=variables,
    )


def _installed(place: Path, name: str, python: str) -> Path:
    """The folder of a peer's programs; installed at the first call."""
    environment = place / name
    done = environment / "installed"
    if not done.exists():
        install = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--quiet"]
        for command in (
            [python, "-m", "venv", "--clear", "--without-pip", str(environment)],
            [*install, "-r", "requirements-torch.lock"],
            [*install, *_PEERS[name]],
        ):
            ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
            _refuse_failure(command, ended.returncode, ended.stdout + ended.stderr)
        done.touch()
    return environment / "bin"


def mcp_vector_search(place: Path, model: Path, python: str) -> Tool:
    """The peer that goals are set against."""
    programs = _installed(place, "mcp-vector-search", python)
    start = [str(programs / "mcp-vector-search"), "--project-root"]
    options = ["--no-auto-index", "--no-mcp", "--no-auto-indexing"]
    return Tool(
        name=_PEERS["mcp-vector-search"][0].replace("==", " "),
        setup=lambda root: [[*start, str(root), "init", "--embedding-model", str(model), *options]],
        index=lambda root: [*start, str(root), "index"],
        query=lambda root, text: [*start, str(root), "search", text, "--json"],
        stored=".mcp-vector-search",
        programs=programs,
        environment=_OFFLINE,
    )


def cocoindex_code(place: Path, model: Path, python: str) -> Tool:
    """A peer with a process that stays."""
    programs = _installed(place, "cocoindex-code", python)
    home = place / "cocoindex-home"
    settings = home / ".cocoindex_code" / "global_settings.yml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"embedding:\n  provider: sentence-transformers\n  model: {model}\n", "utf-8")
    program = str(programs / "ccc")
    return Tool(
        name="cocoindex-code 0.2.42",
        setup=lambda _root: [[program, "init", "--force"]],
        index=lambda _root: [program, "index"],
        query=lambda _root, text: [program, "search", *text.split()],
        stored=".cocoindex_code",
        programs=programs,
        environment={**_OFFLINE, "HOME": str(home)},
        before=[program, "daemon", "stop"],
    )


def semble(place: Path, model: Path, python: str) -> Tool:
    """A peer without a transformer, with the table of our preset `fast`."""
    program = str(_installed(place, "semble", python) / "semble")
    cache, folder = place / "semble-cache", place / "semble-model"
    _write_table(model, folder)
    return Tool(
        name="semble 0.7.0",
        setup=lambda _root: [[program, "clear", "all"]],
        index=lambda root: [program, "search", _QUERY, str(root), "--content", "all"],
        query=lambda root, text: [program, "search", text, str(root), "--content", "all"],
        stored=cache,
        programs=Path(program).parent,
        environment={**_OFFLINE, "SEMBLE_CACHE_LOCATION": str(cache), "SEMBLE_MODEL_NAME": str(folder)},
    )


def _write_table(model: Path, folder: Path) -> None:
    """Write the table distilled from a model into a folder of the form that semble reads."""
    found = distilled_folder(model, weights_digest(weights_files(model)))
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings": read_table(found)}, folder / "model.safetensors")
    shutil.copy(found / "tokenizer.json", folder)
    (folder / "config.json").write_text('{"normalize": true}', "utf-8")


class ToolMemory:
    """The most resident memory that processes of a tool had together; samples while the block runs.

    A process that the tool leaves behind is no child of anybody: what counts is which program it runs.
    """

    def __init__(self, pid: int, programs: Path) -> None:
        self._process = psutil.Process(pid)
        self._programs = str(programs)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            try:
                found = {self._process, *self._process.children(recursive=True)}
            except psutil.NoSuchProcess:
                found = set()
            staying = self._left_behind()
            if staying is not None:
                found |= {staying, *staying.children(recursive=True)}
            total = 0
            for process in found:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)

    def _left_behind(self) -> psutil.Process | None:
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if command[-1:] == ["run-daemon"] and command[0].startswith(self._programs):
                return process
        return None


def cost(command: Sequence[str], tool: Tool, root: Path) -> tuple[dict[str, float], str]:
    """Seconds and peak memory of a whole process with its children, and what it printed.

    Raises:
        CannotRunError: it failed, or did not end within an hour.
    """
    _end_earlier(tool, root)
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
        with ToolMemory(process.pid, tool.programs) as memory:
            try:
                process.wait(_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    _refuse_failure(command, process.returncode, text)
    return {"s": seconds, "mib": memory.bytes / (1 << 20)}, text


def _refuse_failure(command: Sequence[str], status: int, said: str) -> None:
    if status != 0:
        raise CannotRunError(f"{' '.join(command)} ended with {status}:\n{said[-3_000:]}")


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
        files = max((_large_files(root, suffix) for suffix in _EDITS), key=len)
        edited, deleted = files[len(files) // 2], files[len(files) // 3]
        edited.write_text(f"{edited.read_text('utf-8')}\n\n{_EDITS[edited.suffix]}", "utf-8")
        deleted.unlink()
        figures["edited and deleted"] = cost(tool.index(root), tool, root)[0]
        figures["query"], _ = cost(tool.query(root, _QUERY), tool, root)
        _, text = cost(tool.query(root, deleted.stem), tool, root)
        figures["deleted file is still found"] = deleted.relative_to(root).as_posix() in text
        _end_earlier(tool, root)
        return figures


def _large_files(root: Path, suffix: str) -> list[Path]:
    return sorted(path for path in root.rglob(f"*{suffix}") if path.stat().st_size > 2_000)


def _end_earlier(tool: Tool, root: Path) -> None:
    if tool.before:
        subprocess.run(tool.before, cwd=root, env={**os.environ, **tool.environment}, capture_output=True, check=False)


def compared(corpus: Path, tools: list[Tool], rounds_wanted: int, left_out: dict[str, str]) -> dict[str, Any]:
    """The figures of all rounds of each tool that can run; the first tool must."""
    rounds: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in tools}
    for number in range(rounds_wanted):
        for tool in [tool for tool in tools if tool.name in rounds]:
            try:
                rounds[tool.name].append(measure(tool, corpus))
            except CannotRunError as error:
                if tool is tools[0]:
                    raise
                del rounds[tool.name]
                _leave_out(left_out, tool.name, error)
            else:
                print(f"round {number + 1}, {corpus.name}, {tool.name}: {rounds[tool.name][-1]}", flush=True)
    return rounds


def markdown(corpus: str, rounds: Mapping[str, list[dict[str, Any]]]) -> str:
    """The table of a corpus."""
    rows = []
    for step, goal in _GOALS.items():
        for kind, unit, bound in (("s", "s", goal), ("mib", "MiB", _MEMORY_GOAL)):
            values = [statistics.median(figures[step][kind] for figures in each) for each in rounds.values()]
            ratios = ", ".join(f"1/{other / values[0]:.1f}" for other in values[1:])
            name = step if kind == "s" else f"{step}, memory"
            rows.append([name, *(f"{value:,.1f} {unit}" for value in values), ratios, f"1/{1 / bound:.0f}"])
    disk = [statistics.median(figures["disk_mib"] for figures in each) for each in rounds.values()]
    ratios = ", ".join(f"1/{other / disk[0]:.1f}" for other in disk[1:])
    rows.append(["disk", *(f"{value:,.1f} MiB" for value in disk), ratios, ""])
    found = ["yes" if each[-1]["deleted file is still found"] else "no" for each in rounds.values()]
    rows.append(["a deleted file is still found", *found, "", "no"])
    return table([corpus, *rounds, "the first, of the others", "goal, of mcp-vector-search"], rows)


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path, help=f"folders of repositories; by default {_DEFAULT}")
    parser.add_argument("--rounds", type=int, default=1, help="of all steps, the tools in turn")
    parser.add_argument("--place", type=Path, default=_PLACE, help="where the peers' environments are")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peers' environments")
    parser.add_argument("--without", action="append", choices=[*_PEERS], default=[], help="leave a peer out")
    options = parser.parse_args()
    before = machine()
    model = find_model(DEFAULT_MODEL, allow_download=False)
    place = options.place.resolve()
    tools: list[Tool] = [ours()]
    left_out: dict[str, str] = {}
    for name, peer in (
        ("mcp-vector-search", mcp_vector_search),
        ("cocoindex-code", cocoindex_code),
        ("semble", semble),
    ):
        if name in options.without:
            continue
        try:
            tools.append(peer(place, model, options.python))
        except CannotRunError as error:
            _leave_out(left_out, name, error)
    tools.append(ours("code-index, fast", CODE_INDEX_MODEL=FAST))
    corpora = [path.resolve() for path in options.paths] or [fetch(_DEFAULT)]
    rounds = {corpus.name: compared(corpus, tools, options.rounds, left_out) for corpus in corpora}
    write(
        "peers",
        seed=0,
        machine_before=before,
        figures={"left out": left_out, **rounds},
        markdown="\n\n".join(markdown(corpus, each) for corpus, each in rounds.items()),
    )


def _leave_out(left_out: dict[str, str], name: str, error: CannotRunError) -> None:
    left_out[name] = str(error)
    print(f"{name} is left out, for it cannot run here: {error}", flush=True)


if __name__ == "__main__":
    main()
