"""Parsing and chunking against tree-sitter alone: the same files, the same bytes, as many processes.

    python -m benchmarks.parsing                    # Django 5.2 and Flask 3.1.1
    python -m benchmarks.parsing PATH [PATH ...] [--workers 1 2 4] [--rounds 3]

"tree-sitter alone" is N processes that hold the contents in memory and call `Parser.parse` on their share of
the files, dealt out by size; its time is that of the slowest. "parse and chunk" is `ParserPool`: reading, parsing,
chunking, search text and Arrow rows, until the last row is in this process. Both have their processes up and their
grammars loaded. The two take turns. Seconds on the clock say what a user waits; seconds of the processors
hardly depend on what else runs.

"Files with a grammar" are those that tree-sitter can parse at all; "all files" adds text, logs, catalogues, for
which tree-sitter alone does nothing, so that side of the ratio is the same. What the whole phase takes, with the
tables and Dagster's records, is in `benchmarks.pipeline`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import psutil
from tree_sitter import Parser
from tree_sitter_language_pack import get_parser

from benchmarks import report
from benchmarks.pipeline import PINNED, MemoryPeak, fetch
from code_index.chunking.registry import LANGUAGES
from code_index.core.model import ChunkingOptions, FileStatus, SourceFile
from code_index.index.settings import Settings
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import ParserConfig, ParseTask
from code_index.repository.source_repository import SourceRepository
from code_index.system.hardware import available_processors

GOAL_RATIO = 2.0
GOAL_CHUNKS_PER_S = 640  # with two processes
_SEED = 0  # nothing is drawn


def grammar(language: str) -> Parser | None:
    """The parser that tree-sitter has for a language of the manifest; `None` where there is none."""
    name = (LANGUAGES[language].grammar or language) if language in LANGUAGES else language
    try:
        return get_parser(name)
    except LookupError:
        return None


def _bare_worker(root: Path, files: list[tuple[str, str]], pipe: Connection) -> None:
    contents = [(grammar(language), (root / path).read_bytes()) for path, language in files]
    for parser in {id(parser): parser for parser, _ in contents}.values():
        if parser is not None:
            parser.parse(b"x")
    pipe.send("ready")
    while pipe.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        for parser, content in contents:
            if parser is not None:
                parser.parse(content)
        pipe.send((time.perf_counter() - wall, time.process_time() - cpu))


class TreeSitterAlone:
    """Processes that parse and do nothing else; a context manager."""

    def __init__(self, root: Path, files: Sequence[SourceFile], workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        shares: list[list[tuple[str, str]]] = [[] for _ in range(workers)]
        filled = [0] * workers
        for file in sorted(files, key=lambda file: -file.size_bytes):
            least = filled.index(min(filled))
            shares[least].append((file.file_path, file.language))
            filled[least] += file.size_bytes
        self._pipes = []
        self._processes = []
        for share in shares:
            ours, theirs = context.Pipe()
            self._processes.append(context.Process(target=_bare_worker, args=(root, share, theirs), daemon=True))
            self._processes[-1].start()
            self._pipes.append(ours)
        for pipe in self._pipes:
            pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(False)
            process.join()

    def run(self) -> tuple[float, float]:
        """Seconds of the slowest process, and of all processors."""
        for pipe in self._pipes:
            pipe.send(True)
        answers = [pipe.recv() for pipe in self._pipes]
        return max(wall for wall, _ in answers), sum(cpu for _, cpu in answers)


def _chunked(pool: ParserPool, tasks: Sequence[ParseTask]) -> tuple[float, float, int]:
    """Seconds on the clock, of the processors (this process too), and how many chunks."""

    def processors() -> float:
        children = psutil.Process().children()
        return time.process_time() + sum(sum(child.cpu_times()[:2]) for child in children if child.is_running())

    before, started = processors(), time.perf_counter()
    chunks = 0
    for group in pool.parse(tasks):
        chunks += group.chunks.num_rows
        failed = [outcome for outcome in group.outcomes if outcome.error is not None]
        if failed:
            raise SystemExit(f"{failed[0].file_path}: {failed[0].error}")
    return time.perf_counter() - started, processors() - before, chunks


def measure(root: Path, files: Sequence[SourceFile], workers: int, rounds: int) -> dict[str, Any]:
    """Figures of one set of files with one number of processes."""
    settings = Settings()
    config = ParserConfig(
        repository_root=str(root),
        max_file_bytes=settings.max_file_bytes,
        options=ChunkingOptions(
            max_characters=settings.max_chunk_characters, min_characters=settings.min_chunk_characters
        ),
        timeout_s=settings.parse_timeout_s,
        memory_bytes=settings.parse_memory_bytes,
    )
    tasks = [ParseTask(file.file_path, file.file_hash, file.language, file.size_bytes) for file in files]
    alone, ours = [], []
    with TreeSitterAlone(root, files, workers) as bare, ParserPool(config, workers=workers) as pool:
        _chunked(pool, tasks[:: max(1, len(tasks) // 200)])  # processes up, grammars loaded
        for _ in range(rounds):
            alone.append(bare.run())
            with MemoryPeak() as peak:
                ours.append(_chunked(pool, tasks))
    wall = [own[0] / base[0] for own, base in zip(ours, alone, strict=True)]
    cpu = [own[1] / base[1] for own, base in zip(ours, alone, strict=True)]
    return {
        "files": len(files),
        "mb": sum(file.size_bytes for file in files) / 1e6,
        "chunks": ours[0][2],
        "workers": workers,
        "alone_s": [base[0] for base in alone],
        "alone_cpu_s": [base[1] for base in alone],
        "ours_s": [own[0] for own in ours],
        "ours_cpu_s": [own[1] for own in ours],
        "chunks_per_s": statistics.median(own[2] / own[0] for own in ours),
        "times_alone": statistics.median(wall),
        "times_alone_cpu": statistics.median(cpu),
        "peak": peak.figures(),
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Parsing and chunking against tree-sitter alone.")
    parser.add_argument("paths", type=Path, nargs="*", help=f"repositories; by default {', '.join(PINNED)}")
    parser.add_argument("--workers", type=int, nargs="+", help="numbers of processes; by default 1, 2, 4, ...")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    machine = report.machine()
    most = available_processors()
    workers = arguments.workers or sorted({1, *(1 << n for n in range(1, most.bit_length())), most})
    roots = [path.resolve() for path in arguments.paths] or [fetch(requirement) for requirement in PINNED]
    figures: dict[str, Any] = {}
    rows = []
    for root in roots:
        scanned = SourceRepository(root, max_file_bytes=Settings().max_file_bytes).scan({})
        every = [file for file in scanned.files if file.status is FileStatus.PENDING]
        sets = {"files with a grammar": [file for file in every if grammar(file.language)], "all files": every}
        for name, files in sets.items():
            for count in workers:
                found = measure(root, files, count, arguments.rounds)
                figures[f"{root.name}, {name}, {count}"] = found
                rows.append(
                    [
                        f"{root.name}, {name}",
                        f"{found['files']:,}, {found['mb']:.1f}, {found['chunks']:,}",
                        count,
                        f"{statistics.median(found['alone_s']):.2f} / {statistics.median(found['alone_cpu_s']):.2f}",
                        f"{statistics.median(found['ours_s']):.2f} / {statistics.median(found['ours_cpu_s']):.2f}",
                        f"{found['times_alone']:.2f} / {found['times_alone_cpu']:.2f} ({GOAL_RATIO:g})",
                        f"{found['chunks_per_s']:,.0f}" + (f" ({GOAL_CHUNKS_PER_S})" if count == 2 else ""),
                        f"{found['peak']['workers_mib'] / count:.0f} MiB",
                    ]
                )
                print(rows[-1], flush=True)
    header = [
        *(
            "",
            "files, MB, chunks",
            "processes",
            "tree-sitter alone, s / processor s",
            "parse and chunk, s / processor s",
        ),
        *("times alone, clock / processor (goal)", "chunks/s (goal)", "memory a process"),
    ]
    report.write("parsing", seed=_SEED, machine_before=machine, figures=figures, markdown=report.table(header, rows))


if __name__ == "__main__":
    main()
