"""A parser process: reads files, chunks them, answers with Arrow batches.

Started by `code_index.parsing.parser_pool` in an interpreter of its own; imports neither Dagster nor
LanceDB nor torch. The process sets its own limits: an alarm that the kernel delivers even inside
native code ends it when a file takes too long, and an address space limit, on Linux, makes a file that needs
too much memory fail. The alarm counts processor time: by the clock, a busy machine would cut good
files as plain text, and they would stay so until they are edited.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

import pyarrow as pa

from code_index.chunking import chunk_file, masked_source
from code_index.chunking.encoding import ascii_compatible
from code_index.chunking.language_detection import detect_language
from code_index.core.errors import FileUnstableError, FileVanishedError, ParseError, RepositoryError
from code_index.core.model import Chunk, ChunkingOptions, FileName
from code_index.core.quoting import printable_message
from code_index.parsing.chunk_rows import chunks_to_batch, names_to_batch
from code_index.repository.source_repository import SourceRepository, reason_of
from code_index.system.limits import bound_own_memory

TIMEOUT_SIGNALS: Final = frozenset({signal.SIGPROF, signal.SIGALRM})
"""Signals that end a process whose file takes too long: by processor time, and by the clock."""

_CLOCK_PER_LIMIT: Final = (
    10  # times the limit that a file may take by the clock, while it waits for a disk or a processor
)

_OBJECTS_PER_COLLECTION = 100_000


@dataclass(frozen=True, slots=True)
class ParserConfig:
    """Options sent to a worker once; `memory_bytes` is for files, beyond what the process itself takes."""

    repository_root: str
    max_file_bytes: int
    options: ChunkingOptions
    timeout_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ParseTask:
    """One file to parse; `file_hash` is that of the scan.

    `as_text_because` is the reason to cut the file as plain text, without its grammar; `None` to use the grammar.
    With `detect_language`, `language` is not trusted: an earlier version of the program may have detected it.
    """

    file_path: str
    file_hash: str
    language: str
    size_bytes: int
    subproject_name: str | None = None
    subproject_path: str | None = None
    working_tree_encoding: str | None = None
    as_text_because: str | None = None
    detect_language: bool = False


@dataclass(frozen=True, slots=True)
class ParseOutcome:
    """Result of one file; `error` is `None` when its chunks and references are in the answer's batches.

    `superseded`: the version of the scan is gone, by an edit or a deletion; `error` says which, and nothing failed.
    `note` is a remark for readers of those chunks, `language` theirs; `None` for that of the scan. `masked` counts the keys
    that have masks in them, by kind. `encoding` is the one that the file was read in, `encoding_guess` the remark where
    that was guessed.
    """

    file_path: str
    file_hash: str
    chunk_count: int = 0
    reference_count: int = 0
    duration_s: float = 0.0
    error: str | None = None
    transient: bool = False
    superseded: bool = False
    note: str | None = None
    language: str | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    encoding: str | None = None
    encoding_guess: str | None = None


_Parsed = tuple[Sequence[Chunk], Sequence[FileName]]


@dataclass(frozen=True, slots=True)
class Started:
    """Sent before a file is touched, so that the parent knows which file a sudden death belongs to."""

    position: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Sent when a group of files is done: outcomes in the group's order, chunks and references as Arrow IPC."""

    outcomes: tuple[ParseOutcome, ...]
    batch: bytes
    references: bytes = b""


def main() -> None:
    """Serve groups of files until the parent closes the connection."""
    connection = Connection(int(sys.argv[1]))
    # Ctrl-C reaches the whole group of processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The alarms must end the process even if the parent, or its parent, ignores or blocks them.
    for number in TIMEOUT_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TIMEOUT_SIGNALS)
    try:
        config: ParserConfig = connection.recv()
        bound_own_memory(config.memory_bytes)
        _collect_rarely()
        repository = SourceRepository(Path(config.repository_root), max_file_bytes=config.max_file_bytes)
        while True:
            tasks: tuple[ParseTask, ...] = connection.recv()
            connection.send(_parse_group(connection, repository, config, tasks))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _parse_group(
    connection: Connection, repository: SourceRepository, config: ParserConfig, tasks: tuple[ParseTask, ...]
) -> Answer:
    outcomes = []
    parsed: dict[int, _Parsed] = {}
    for position, task in enumerate(tasks):
        connection.send(Started(position))
        signal.setitimer(signal.ITIMER_PROF, config.timeout_s)
        signal.setitimer(signal.ITIMER_REAL, config.timeout_s * _CLOCK_PER_LIMIT)
        started = time.perf_counter()
        outcome, found = _parse_one(repository, config.options, task)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        outcomes.append(replace(outcome, duration_s=time.perf_counter() - started))
        if outcome.error is None:
            parsed[position] = found
    # All files of the group in one batch: one batch per file costs as much again as its rows.
    try:
        batches = [_batches(parsed.values())] if parsed else []
    except Exception:  # noqa: BLE001 - whichever file it is, the others must not fail with it
        batches = list(_batches_by_file(outcomes, parsed))
    chunks, references = zip(*batches, strict=True) if batches else ((), ())
    return Answer(outcomes=tuple(outcomes), batch=_serialized(chunks), references=_serialized(references))


def _batches(parsed: Iterable[_Parsed]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    chunks, names = zip(*parsed, strict=True)
    return (
        chunks_to_batch(list(chain.from_iterable(chunks))),
        names_to_batch(list(chain.from_iterable(names))),
    )


def _batches_by_file(
    outcomes: list[ParseOutcome], parsed: Mapping[int, _Parsed]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Batches for each file; a file whose rows do not fit into them gets the reason as its outcome instead."""
    for position, found in parsed.items():
        try:
            yield _batches([found])
        except Exception as error:  # noqa: BLE001 - see `_parse_one`
            outcomes[position] = _failed(outcomes[position], error)


def _serialized(batches: Sequence[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    if batches:
        with pa.ipc.new_stream(sink, batches[0].schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    return cast("bytes", sink.getvalue().to_pybytes())


def _parse_one(repository: SourceRepository, options: ChunkingOptions, task: ParseTask) -> tuple[ParseOutcome, _Parsed]:
    started = ParseOutcome(task.file_path, task.file_hash)
    try:
        read = repository.read(task.file_path)
        if read.file_hash != task.file_hash:
            return replace(started, error="changed since the scan", superseded=True), ((), ())
        source = masked_source(read.content, declared_encoding=task.working_tree_encoding)
        language = task.language
        if task.detect_language:
            language = detect_language(task.file_path, ascii_compatible(read.content, task.working_tree_encoding))
        misread: list[int] = []
        names: list[FileName] = []
        chunks = chunk_file(
            source,
            file_path=task.file_path,
            file_hash=task.file_hash,
            language=language,
            subproject_name=task.subproject_name,
            subproject_path=task.subproject_path,
            options=options,
            as_text=task.as_text_because is not None,
            on_misread=misread.append,
            on_names=names.extend,
        )
    except Exception as error:  # noqa: BLE001 - a fault of the chunker must cost one file, with its reason
        return _failed(started, error), ((), ())
    note = task.as_text_because or (f"{misread[0]} lines are no {language} that its grammar knows" if misread else None)
    done = replace(
        started,
        chunk_count=len(chunks),
        reference_count=len(names),
        note="; ".join(filter(None, (note, source.encoding_guess))) or None,
        language=language,
        masked=source.masked,
        encoding=source.encoding,
        encoding_guess=source.encoding_guess,
    )
    return done, (chunks, names)


def _failed(outcome: ParseOutcome, error: Exception) -> ParseOutcome:
    """The outcome of a file that an error ended."""
    if isinstance(error, RepositoryError):
        reason = reason_of(error, outcome.file_path)
    elif isinstance(error, ParseError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = "needs more memory than parse_memory_bytes allows"
    else:
        sys.stderr.write(printable_message("".join(traceback.format_exception(error))))
        reason = f"the chunker failed with {type(error).__name__}: {error}"
    superseded = isinstance(error, FileVanishedError | FileUnstableError)
    return replace(
        outcome,
        chunk_count=0,
        reference_count=0,
        error=reason,
        transient=isinstance(error, RepositoryError) and not superseded,
        superseded=superseded,
        note=None,
        language=None,
        masked={},
    )


def _collect_rarely() -> None:
    """Exempt imported objects from garbage collection, and collect less often.

    A file's nodes and blocks are freed with it, nearly all by reference counts: looking for cycles
    after every 700 new objects costs 4 % of the time, and after every 20,000 it cost 6 % once there were names.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, 10, 100)
