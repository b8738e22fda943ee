"""Parser processes, kept for a whole run; a file that kills its process fails by itself.

A file whose grammar takes too long is retried once, as plain text: it can then be found, though not by its
definitions.

Each worker is a fresh interpreter that imports only the parser. Rejected: `fork` (LanceDB and
torch do not survive it), `multiprocessing` with `spawn` (imports the parent's main module, and
with it Dagster, into every worker) and `concurrent.futures` (one dead worker breaks the pool).
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

import pyarrow as pa

from code_index.core.child_python import IMPORT_ROOT, child_environment, deaf_children
from code_index.core.errors import CodeIndexError
from code_index.parsing.kept_parser import OF_THIS_PROCESS
from code_index.parsing.parser_worker import TIMEOUT_SIGNALS, Answer, ParseOutcome, ParserConfig, ParseTask, Started
from code_index.parsing.read_ahead import read_ahead
from code_index.system.hardware import available_processors
from code_index.tables.schemas import PARSED_CHUNKS, REFERENCES

# A worker parses one group between two answers: smaller groups cost more messages, larger ones leave
# workers idle at the end. The bounds are a choice, not a measurement.
GROUP_FILES = 32
_GROUP_BYTES = 512 << 10
# Not `-m`: the messages would then belong to a module called `__main__`. `-P` and this path, so that a worker
# never imports from the working directory, which may be the repository.
_WORKER = "import sys; sys.path.append(sys.argv[2]); from code_index.parsing.parser_worker import main; main()"
# Maximum of workers in a row that die before they touch a file.
_MAX_EARLY_DEATHS = 3
# Interval of checking whether the caller wants no more groups.
_POLL_S = 0.2
# Groups that may be done or in progress ahead of the one that is returned next: bounds memory.
_WINDOW_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class ParsedGroup:
    """Outcomes of a group of files, in order, their chunks (schema `PARSED_CHUNKS`) and references (`REFERENCES`)."""

    outcomes: tuple[ParseOutcome, ...]
    chunks: pa.Table
    references: pa.Table


@dataclass(slots=True)
class _Job:
    """Neighbouring files of a group; `start` is the first one's index in the group."""

    number: int
    start: int
    tasks: tuple[ParseTask, ...]


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    job: _Job | None = None
    position: int = -1

    def is_alive(self) -> bool:
        """Tell whether the process can be used."""
        return self.process.poll() is None

    def end(self) -> None:
        """End the process, and wait until it has ended."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class _Pieces:
    """Parts of a group's result, by start; a group is split when one of its files killed a worker."""

    missing: int
    parts: dict[int, Answer] = field(default_factory=dict)


class ParserPool:
    """Several processes that parse files; results come in the order of the tasks."""

    def __init__(self, config: ParserConfig, *, workers: int = 0, group_files: int = GROUP_FILES) -> None:
        """Prepare the pool; processes start with the first files.

        Args:
            config: limits and options, the same for all workers.
            workers: number of processes; 0 for one per processor that this process may use.
            group_files: number of files that a worker parses between two answers.
        """
        self._config = config
        self._group_files = group_files
        self.worker_count = workers or available_processors()
        self._workers: list[_Worker] = []
        self._early_deaths = 0
        self._stopped = False

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes; the only one of a small run may wait for the next (`kept_parser`)."""
        if kind is None and len(self._workers) == 1 and self._workers[0].job is None:
            OF_THIS_PROCESS.give(self._config, self._workers.pop())
        self.close()

    def close(self) -> None:
        """End the processes, those in the middle of a file too."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.kill()
        for worker in self._workers:
            worker.process.wait()
        self._workers.clear()

    def parse_ahead(self, tasks: Iterable[ParseTask], *, files: int, chunks: int) -> Generator[ParsedGroup, None, None]:
        """Like `parse`, but the processes go on while the caller works, until `files` or `chunks` wait for it.

        Close the returned generator before the pool.
        """
        return read_ahead(
            self.parse(tasks),
            size=lambda group: max(len(group.outcomes) / files, group.chunks.num_rows / chunks),
            bound=1,
            stop=self._stop,
        )

    def _stop(self) -> None:
        # For good: the other thread must not start again.
        self._stopped = True

    def parse(self, tasks: Iterable[ParseTask]) -> Generator[ParsedGroup, None, None]:
        """Parse files; groups come in the order of `tasks`, each with every one of its files.

        A file that ends its process (memory, a crash of the grammar, time as plain text too) has an
        outcome with the reason, and the others of its group are parsed again by another process.

        Raises:
            CodeIndexError: workers die before they touch a file, so none can be parsed.
        """
        try:
            yield from self._parse(tasks)
        finally:
            # The caller left early: answers that nobody waits for must not reach the next caller.
            if any(worker.job is not None for worker in self._workers):
                self.close()

    def _parse(self, tasks: Iterable[ParseTask]) -> Iterator[ParsedGroup]:
        groups = enumerate(_grouped(tasks, self._group_files))
        queue: deque[_Job] = deque()
        pieces: dict[int, _Pieces] = {}
        next_out = 0
        exhausted = False
        while not self._stopped:
            window = self.worker_count * _WINDOW_PER_WORKER
            while not exhausted and len(pieces) < window:
                item = next(groups, None)
                if item is None:
                    exhausted = True
                    break
                number, group = item
                pieces[number] = _Pieces(missing=1)
                queue.append(_Job(number, 0, group))
            if exhausted and not pieces:
                return
            self._assign(queue)
            if (ready := pieces.get(next_out)) is not None and ready.missing == 0:
                del pieces[next_out]
                next_out += 1
                yield _joined(ready)
                continue
            self._collect(queue, pieces)

    def _assign(self, queue: deque[_Job]) -> None:
        while queue and len(self._workers) < self.worker_count and all(w.job is not None for w in self._workers):
            self._workers.append(self._start_worker())
            self._send(self._workers[-1], queue.popleft())
        for worker in self._workers:
            if not queue:
                return
            if worker.job is None:
                self._send(worker, queue.popleft())

    @staticmethod
    def _send(worker: _Worker, job: _Job) -> None:
        worker.job = job
        worker.position = -1
        try:
            worker.connection.send(job.tasks)
        except OSError:
            # It died between two groups; reading from it raises.
            return

    def _collect(self, queue: deque[_Job], pieces: dict[int, _Pieces]) -> None:
        busy = {worker.connection: (worker, worker.job) for worker in self._workers if worker.job is not None}
        for ready in wait(list(busy), timeout=_POLL_S):
            worker, job = busy[ready]  # type: ignore[index]
            try:
                message: Started | Answer = worker.connection.recv()
            except (EOFError, OSError):  # an end within a message is a plain OSError
                self._replace_dead(worker, job, queue, pieces)
                continue
            if isinstance(message, Started):
                worker.position = message.position
                self._early_deaths = 0
            else:
                piece = pieces[job.number]
                piece.parts[job.start] = message
                piece.missing -= 1
                worker.job = None

    def _replace_dead(self, worker: _Worker, job: _Job, queue: deque[_Job], pieces: dict[int, _Pieces]) -> None:
        worker.connection.close()
        status = worker.process.wait()
        self._workers.remove(worker)
        position = worker.position
        if position < 0:
            self._early_deaths += 1
            if self._early_deaths >= _MAX_EARLY_DEATHS:
                raise CodeIndexError(
                    f"Parser processes end before they read a file, the last with {_death(status)}. "
                    "Its own message above says why; `python -c 'import code_index.parsing.parser_worker'` shows it again."
                )
            queue.appendleft(job)
            return
        culprit = job.tasks[position]
        piece = pieces[job.number]
        if -status in TIMEOUT_SIGNALS and culprit.as_text_because is None:
            note = f"cut as plain text: its grammar took longer than parse_timeout_s = {self._config.timeout_s:g} s"
            queue.appendleft(_Job(job.number, job.start + position, (replace(culprit, as_text_because=note),)))
        else:
            reason, transient = self._reason(status)
            outcome = ParseOutcome(culprit.file_path, culprit.file_hash, error=reason, transient=transient)
            piece.parts[job.start + position] = Answer((outcome,), b"")
            piece.missing -= 1
        # Those before the culprit were parsed, but their answer died with the process.
        for first, rest in ((position + 1, job.tasks[position + 1 :]), (0, job.tasks[:position])):
            if rest:
                piece.missing += 1
                queue.appendleft(_Job(job.number, job.start + first, rest))

    def _reason(self, status: int) -> tuple[str, bool]:
        if -status in TIMEOUT_SIGNALS:
            return f"took longer to parse than parse_timeout_s = {self._config.timeout_s:g} s", False
        if status == -signal.SIGKILL:
            return "its parser process was killed (is the machine out of memory?)", True
        if status in {-signal.SIGABRT, -signal.SIGSEGV}:
            return (
                f"its parser process ended with {_death(status)}: it needs more memory than parse_memory_bytes = "
                f"{self._config.memory_bytes} allows, or the grammar has a fault"
            ), False
        return f"its parser process ended with {_death(status)}", False

    def _start_worker(self) -> _Worker:
        kept = OF_THIS_PROCESS.take(self._config)
        return kept if isinstance(kept, _Worker) else _started(self._config)


def start_ahead(config: ParserConfig) -> None:
    """Start the process that a pool takes first, if this process expects a run: beside a scan its start takes no time."""
    OF_THIS_PROCESS.give(config, _started(config))


def _started(config: ParserConfig) -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs, deaf_children():
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _WORKER, str(theirs.fileno()), str(IMPORT_ROOT)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**child_environment(), "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
    connection = Connection(ours.detach())
    with contextlib.suppress(OSError):  # it died at once; reading from it raises
        connection.send(config)
    return _Worker(process=process, connection=connection)


def _grouped(tasks: Iterable[ParseTask], group_files: int) -> Iterator[tuple[ParseTask, ...]]:
    group: list[ParseTask] = []
    size = 0
    for task in tasks:
        if group and (len(group) >= group_files or size + task.size_bytes > _GROUP_BYTES):
            yield tuple(group)
            group, size = [], 0
        group.append(task)
        size += task.size_bytes
    if group:
        yield tuple(group)


def _joined(pieces: _Pieces) -> ParsedGroup:
    answers = [pieces.parts[start] for start in sorted(pieces.parts)]
    return ParsedGroup(
        outcomes=tuple(outcome for answer in answers for outcome in answer.outcomes),
        chunks=_table([answer.batch for answer in answers], PARSED_CHUNKS),
        references=_table([answer.references for answer in answers], REFERENCES),
    )


def _table(streams: Iterable[bytes], schema: pa.Schema) -> pa.Table:
    tables = [pa.ipc.open_stream(stream).read_all() for stream in streams if stream]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _death(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
