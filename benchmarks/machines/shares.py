"""One large repository on many hosts: how much sooner its chunks have vectors, and what a killed host costs.

    python -m benchmarks.machines.shares                      # as root: hosts are namespaces, the library is at SeaweedFS
    python -m benchmarks.machines.shares --local              # hosts are processes, the library is a folder
    python -m benchmarks.machines.shares --only scaling gifts # figures 2 and 6; kills: hosts that are killed

- scaling: batches of 512 chunks, of which a stand-in for a model takes each second one, on 1, 4 and 8 hosts. What is counted
  begins with the first look of the sensor and ends with the last vector in the index, the run that takes them from the
  library included. Hosts' processes are up and have Dagster and LanceDB loaded; looks follow each other within 0.2 s. Goals:
  0.30 of one host's time with 4, 0.17 with 8.
- gifts: 4 hosts give 20 times 500 vectors each to one library at once: the longest wait. Goal: 3 s.
- kills: hosts are killed at random moments while they embed; what is lost or there twice, and how many texts were embedded
  again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from benchmarks import report
from benchmarks.machines.network import Host, Network
from code_index.core.addresses import parsed_address
from code_index.core.hashing import text_hash
from code_index.core.unit_vectors import Vectors, normalized
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.embedder import EmbeddingResult, Progress
from code_index.index.folder import resolve_index_folder
from code_index.sharing.vector_library import VectorLibrary
from code_index.tables.lancedb_import import load_lancedb
from indexing_assets.automation.pending_look import PendingLook
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.job_names import EMBED_JOB
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

_SEED = 0
_DIMENSION = 384
_BATCH_CHUNKS = 512
_FUNCTIONS_A_FILE = 20
_LOOK_EVERY_S = 0.2
_GOALS = {4: 0.30, 8: 0.17}
_GIFT_ROWS, _GIFTS, _GIFT_GOAL_S = 500, 20, 3.0
_LOG_VARIABLE = "MACHINES_TEXTS"


class StandIn(DeterministicEmbedder):
    """A model that takes a second for 512 texts, as a GPU would: the processor is free meanwhile."""

    def __init__(self) -> None:
        super().__init__(_DIMENSION)

    def embed_documents_detailed(
        self, texts: Sequence[str], names: Sequence[str], *, progress: Progress | None = None
    ) -> EmbeddingResult:
        """See `Embedder`."""
        ends = time.monotonic() + len(texts) / _BATCH_CHUNKS
        if log := os.environ.get(_LOG_VARIABLE):
            with Path(log).open("a", encoding="utf-8") as file:
                file.writelines(f"{text_hash(text)}\n" for text in texts)
        result = super().embed_documents_detailed(texts, names)
        time.sleep(max(0.0, ends - time.monotonic()))
        if progress is not None and texts:
            progress(len(texts))
        return result

    def _rows(self, texts: Sequence[str]) -> Vectors:
        data = b"".join(hashlib.shake_128(text.encode()).digest(_DIMENSION) for text in texts)
        return normalized(np.frombuffer(data, np.uint8).reshape(-1, _DIMENSION).astype(np.float32) - 127.5)


class StandInResource(EmbedderResource):
    """Hands the stand-in out."""

    def get(self, settings: Any = None) -> StandIn:
        """See `EmbedderResource`."""
        del settings  # which choose a model
        return StandIn()

    get_for_queries = get


class Worker:
    """A process of a host that runs what it is told, one run at a time."""

    def __init__(self, host: Host | None, root: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.machines.shares", "--host", str(root)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        pipes["stderr"] = self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        if host is None:
            self.process = subprocess.Popen(command, env={**os.environ, **environment}, **pipes)
        else:
            self.process = host.start(*command, env=environment, **pipes)
        self.busy = False
        os.set_blocking(self.process.stdout.fileno(), False)  # type: ignore[union-attr]

    def said(self) -> str:
        """What it said since the last call, without waiting."""
        assert self.process.stdout is not None
        try:
            return os.read(self.process.stdout.fileno(), 1 << 16).decode()
        except BlockingIOError:
            return ""

    def wait_until_ready(self) -> None:
        """Wait until it has Dagster loaded and its index open."""
        while "ready" not in self.said():
            if self.process.poll() is not None:
                self._errors.seek(0)
                raise SystemExit(f"A host's process ended: {self._errors.read()[-2_000:].decode()}")
            time.sleep(0.05)

    def run(self, request: dg.RunRequest) -> None:
        """Tell it to run what a look asked for."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([request.job_name, dict(request.tags)]) + "\n")
        self.process.stdin.flush()
        self.busy = True

    def end(self) -> None:
        """End it, and wait for its end."""
        self.process.kill()
        self.process.wait()


def serve_as_host(root: Path) -> None:
    """Run what standard input says, in this process, and say when it is done."""
    load_lancedb()
    with Pipeline(resolve_index_folder(root), embedder=StandInResource()) as pipeline:
        print("ready", flush=True)
        for line in sys.stdin:
            job, tags = json.loads(line)
            result = pipeline.run_request(dg.RunRequest(job_name=job, tags=tags))
            print(f"done {result.error or ''}", flush=True)


def write_tree(root: Path, chunks: int) -> None:
    """Write modules of small functions, each of which is a chunk of its own."""
    for number in range(-(-chunks // _FUNCTIONS_A_FILE)):
        lines = [
            f"def task_{number}_{place}(value):\n    total = value + {number * place}\n"
            f'    raise ValueError(f"part {number} of {{total}} has no place {place} that takes it, nor another one")\n'
            for place in range(min(_FUNCTIONS_A_FILE, chunks - number * _FUNCTIONS_A_FILE))
        ]
        path = root / f"package_{number // 50:03}" / f"module_{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(lines), encoding="utf-8")


def parsed_index(root: Path, batches: int) -> None:
    """Make an index whose chunks have no vectors yet."""
    write_tree(root, batches * _BATCH_CHUNKS)
    with Pipeline(resolve_index_folder(root), embedder=StandInResource()) as pipeline:
        for result in (pipeline.scan(), pipeline.parse()):
            if result.error is not None:
                raise SystemExit(result.error)
        found = len(pipeline.index.partition_keys("chunk_vectors"))
    if found != batches:
        raise SystemExit(f"{found} batches rather than {batches}")


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Queue:
    """The workers of hosts, and the runs that wait for one: the last worker takes vectors, the others share batches."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers
        self.waiting: list[dg.RunRequest] = []
        self.steps: list[tuple[float, str]] = []
        self.errors: list[str] = []
        for worker in workers:
            worker.wait_until_ready()

    def end(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.end()

    def hear(self, now: float) -> None:
        """Note whose run ended."""
        for number, worker in enumerate(self.workers):
            if worker.busy and "done" in (said := worker.said()):
                worker.busy = False
                self.steps.append((round(now, 2), f"process {number} ended"))
                self.errors += [said] if said.strip() != "done" else []

    def tell(self, now: float, instance: dg.DagsterInstance) -> None:
        """Give what waits to workers that are free, and wait until their runs are on record, as a sensor's are at once."""
        expected = instance.get_runs_count()
        for request in list(self.waiting):
            able = self.workers[-1:] if request.job_name == EMBED_JOB else self.workers[:-1]
            free = next((worker for worker in able if not worker.busy), None)
            if free is not None:
                free.run(request)
                self.waiting.remove(request)
                expected += 1
                self.steps.append((round(now, 2), f"process {self.workers.index(free)} begins {request.job_name}"))
        while instance.get_runs_count() < expected and all(worker.process.poll() is None for worker in self.workers):
            time.sleep(0.01)

    @property
    def rests(self) -> bool:
        """Whether nothing waits and nobody works."""
        return not self.waiting and not any(worker.busy for worker in self.workers)


def embed(
    root: Path,
    hosts: Sequence[Host | None],
    variables: Mapping[str, str],
    *,
    disturb: Callable[[Queue, float], None] | None = None,
) -> dict[str, Any]:
    """Embed a parsed index: each host has a process for shares, the first one also for the run that takes vectors.

    Args:
        root: the repository.
        hosts: None is a process of this machine.
        variables: of all processes.
        disturb: called before each look with the workers and the time since the first look.
    """
    with environment(variables), ExitStack() as stack:
        queue = Queue([Worker(host, root, variables) for host in [*hosts, hosts[0]]])
        stack.callback(queue.end)
        pipeline = stack.enter_context(Pipeline(resolve_index_folder(root), embedder=StandInResource()))
        resource = IndexResource(repository_root=str(root))
        look = PendingLook(pipeline.instance, resource, StandInResource(), UNNAMED, several_hosts=True)
        cursor = SensorCursor()
        started = time.perf_counter()
        while True:
            queue.hear(time.perf_counter() - started)
            if disturb is not None:
                disturb(queue, time.perf_counter() - started)
            found = look.take(cursor)
            cursor = found.cursor
            queue.waiting += found.requests
            queue.tell(time.perf_counter() - started, pipeline.instance)
            if queue.rests and "has its vector" in found.reason:
                break
            time.sleep(_LOOK_EVERY_S)
        seconds = time.perf_counter() - started
        chunks = Counter(pipeline.store.chunks.read(["chunk_id"])["chunk_id"].to_pylist())
        vectors = Counter(pipeline.store.vectors.read(["chunk_id"])["chunk_id"].to_pylist())
    return {
        "seconds": seconds,
        "chunks": chunks.total(),
        "lost": (chunks - vectors).total(),
        "twice": (vectors - chunks).total(),
        "errors": queue.errors,
        "steps": queue.steps,
    }


def scaling(
    make: Callable[[Path], None], hosts: Sequence[Host | None], place: _Places, counts: Sequence[int]
) -> list[dict[str, Any]]:
    """Embed the same index by so many hosts, each time with an empty library."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="code-index-shares-") as folder:
            root = Path(folder, "repository")
            with environment(place.variables(1)):
                make(root)
            figures = embed(root, hosts[:count], place.variables(count))
        rows.append({"hosts": count, **figures})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


class _Places:
    """New libraries: folders, or prefixes of a bucket."""

    def __init__(self, base: str, more: Mapping[str, str]) -> None:
        self._base = base
        self._more = more
        self._made = 0

    def new(self) -> str:
        """The address of an empty library."""
        self._made += 1
        place = f"{self._base}/library-{self._made}"
        if not place.startswith("s3://"):
            Path(place).mkdir()
        return place

    def variables(self, hosts: int) -> dict[str, str]:
        """The settings of an index that so many hosts embed."""
        chosen = {
            "CODE_INDEX_MODEL": "deterministic",
            "CODE_INDEX_EMBEDDING_BATCH_CHUNKS": str(_BATCH_CHUNKS),
            "CODE_INDEX_EMBEDDING_HOSTS": str(hosts),
            **self._more,
        }
        if hosts > 1:
            chosen |= {"CODE_INDEX_SHARED_LIBRARIES": self.new(), "CODE_INDEX_WRITE_SHARED_LIBRARIES": "true"}
        return chosen


def give_often(address: str, host: str) -> None:
    """Give vectors to a library again and again, and say how long each gift took."""
    rng = np.random.default_rng(int(hashlib.sha256(host.encode()).hexdigest()[:8], 16))
    library = VectorLibrary(parsed_address(address), "benchmark")
    matrix = normalized(rng.standard_normal((_GIFT_ROWS, _DIMENSION), dtype=np.float32))
    sys.stdin.readline()
    for _ in range(_GIFTS):
        hashes = [rng.bytes(16).hex() for _ in range(_GIFT_ROWS)]
        started = time.perf_counter()
        library.give(dict(zip(hashes, matrix, strict=True)), dict.fromkeys(hashes, 100), now=datetime.now(UTC))
        print(time.perf_counter() - started, flush=True)


def gifts(hosts: Sequence[Host | None], place: _Places) -> dict[str, Any]:
    """Have hosts give to one library at once, and count what is there."""
    address = place.new()
    variables = place.variables(1)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = []
    for number, host in enumerate(hosts):
        command = [sys.executable, "-m", "benchmarks.machines.shares", "--give", address, "--host", f"h{number}"]
        if host is None:
            processes.append(subprocess.Popen(command, env={**os.environ, **variables}, **pipes))
        else:
            processes.append(host.start(*command, env=variables, **pipes))
    time.sleep(6)  # until all have their modules
    started = time.perf_counter()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    waits = [float(line) for process in processes for line in process.communicate()[0].split()]
    seconds = time.perf_counter() - started
    with environment(variables):
        there = VectorLibrary(parsed_address(address), "benchmark").count()
    expected = len(hosts) * _GIFTS * _GIFT_ROWS
    return {
        "gifts": len(waits),
        "longest_s": max(waits),
        "median_s": float(np.median(waits)),
        "seconds": seconds,
        "lost": expected - there,
    }


def kills(make: Callable[[Path], None], place: _Places, rounds: int) -> dict[str, Any]:
    """Kill a process of 4 hosts at random moments, each time start another one, and look at what is there at the end."""
    rng = random.Random(_SEED)
    killed = 0
    with tempfile.TemporaryDirectory(prefix="code-index-shares-") as folder:
        root, log = Path(folder, "repository"), Path(folder, "texts")
        with environment(place.variables(1)):
            make(root)
        variables = {**place.variables(4), _LOG_VARIABLE: str(log), "CODE_INDEX_CHECKPOINT_S": "3"}
        due = [rng.uniform(1, 3)]

        def disturb(queue: Queue, now: float) -> None:
            nonlocal killed
            if killed < rounds and now > due[-1]:
                chosen = rng.randrange(len(queue.workers))
                queue.workers[chosen].end()
                queue.workers[chosen] = Worker(None, root, variables)
                killed += 1
                due.append(now + rng.uniform(2, 4))

        figures = embed(root, [None] * 4, variables, disturb=disturb)
        texts = Counter(log.read_text(encoding="utf-8").split())
    return {"kills": killed, "again": texts.total() - len(texts), **figures}


def _markdown(figures: Mapping[str, Any]) -> str:
    lines = []
    if rows := figures.get("scaling"):
        first = rows[0]["seconds"]
        lines += ["| hosts | seconds | of one host's time | goal |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {row['hosts']} | {row['seconds']:.1f} | {row['seconds'] / first:.2f} | {_GOALS.get(row['hosts'], '')} |"
            for row in rows
        ]
    if row := figures.get("gifts"):
        lines.append(
            f"\n{row['gifts']} gifts of {_GIFT_ROWS} vectors at once: longest wait {row['longest_s']:.2f} s (goal "
            f"{_GIFT_GOAL_S:g} s), median {row['median_s']:.2f} s; {row['lost']} vectors lost."
        )
    if row := figures.get("kills"):
        lines.append(
            f"\n{row['kills']} kills: {row['lost']} vectors lost, {row['twice']} twice, {row['again']} of {row['chunks']} "
            f"texts embedded again, {row['seconds']:.1f} s."
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=["scaling", "gifts", "kills"], default=["scaling", "gifts", "kills"]
    )
    parser.add_argument("--local", action="store_true", help="hosts are processes, the library is a folder")
    parser.add_argument("--batches", type=int, default=80)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--host", help=argparse.SUPPRESS)
    parser.add_argument("--give", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.give:
        give_often(arguments.give, arguments.host)
        return
    if arguments.host:
        serve_as_host(Path(arguments.host))
        return
    machine_before = report.machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="code-index-shares-")))
        hosts: list[Host | None] = [None] * max(*arguments.hosts, 4)
        place = _Places(str(folder), {})
        if not arguments.local:
            network = stack.enter_context(Network(len(hosts)))
            store = stack.enter_context(network.store())
            hosts = list(network.hosts)
            place = _Places(f"s3://{store.bucket}", store.environment)
        make = partial(parsed_index, batches=arguments.batches)
        figures: dict[str, Any] = {}
        if "scaling" in arguments.only:
            figures["scaling"] = scaling(make, hosts, place, arguments.hosts)
        if "gifts" in arguments.only:
            figures["gifts"] = gifts(hosts[:4], place)
        if "kills" in arguments.only:
            figures["kills"] = kills(make, _Places(str(folder), {}), arguments.kills)
    report.write(
        "machines_shares",
        seed=_SEED,
        machine_before=machine_before,
        figures=figures,
        markdown=_markdown(figures),
        module="machines.shares",
    )


if __name__ == "__main__":
    main()
