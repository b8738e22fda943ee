"""What an index must be after any fault: as if nothing had happened, with no durable work done twice.

Belongs here: states of an index, and the life of one that is killed again and again. Used by the
short tests of this folder and by the long form (`python -m tests.faults.long`).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import polars as pl

from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.repository.skip_rules import INDEX_FOLDER
from code_index.tables import IndexStore
from indexing_assets.checks import Subject, evaluate
from indexing_assets.operations.pipeline import Pipeline
from tests.faults.victim import DURABLE
from tests.waiting import PATIENCE_S, started

STEPS = tuple(dict.fromkeys(function.lstrip("_") for _, _, function in DURABLE))
# Small steps, so that a small repository has many commits of each kind.
SETTINGS = {
    "MODEL": "deterministic",
    "EMBEDDING_BATCH_CHUNKS": "10",
    "CHECKPOINT_CHUNKS": "20",
    "PARSE_CHECKPOINT_FILES": "5",
    "PARSE_WORKERS": "1",
}
_FILES = 12
_SAME_TIME = 1_600_000_000
# How a command that was stopped says to go on: one that indexes, one that had stored nothing yet, another.
_GO_ON = re.compile("Go on: code-index resume |Begin again: code-index index |run the same command again")
# What `index` and `resume`, `doctor`, and `cleanup` print when all is done.
_LAST_WORDS = (" vectors in ", "All is well", "The index takes ")


def small_steps(environment: dict[str, str]) -> dict[str, str]:
    """The environment with the settings above."""
    return environment | {f"CODE_INDEX_{name}": value for name, value in SETTINGS.items()}


def write_repository(root: Path) -> Path:
    """Files enough for several commits of phase 1 and several checkpoints of phase 2."""
    root.mkdir()
    for number in range(_FILES):
        write_module(root / f"module_{number:02}.py", number)
    return root


def write_module(path: Path, number: int) -> None:
    """A file of five functions that no file of another number has; the same number gives the same content."""
    path.write_text(
        "".join(f"def function_{number}_{i}(x):\n    return x + {i}\n\n\n" for i in range(5)), encoding="utf-8"
    )
    os.utime(path, (_SAME_TIME + number, _SAME_TIME + number))


def folder_of(root: Path) -> IndexFolder:
    """The index in a repository, whatever the environment of an open pipeline says."""
    return resolve_index_folder(root, root / INDEX_FOLDER)


def state(root: Path) -> dict[str, pl.DataFrame]:
    """The tables without times, run ids and the numbers of batches."""
    store = IndexStore(folder_of(root).tables_dir)
    return {
        "files": pl.DataFrame(store.files.read()).drop("run_id", "parsed_at", "mtime_ns").sort("file_path"),
        "chunks": pl.DataFrame(store.chunks.read())
        .drop("created_at", "updated_at", "embedding_batch_id")
        .sort("chunk_id"),
        "vectors": pl.DataFrame(store.vectors.read()).drop("embedded_at").sort("chunk_id"),
        "embedding_errors": pl.DataFrame(store.errors.read()),
        "references": pl.DataFrame(store.references.read()).sort("file_path", "position"),
    }


def fresh_state(root: Path, place: Path) -> dict[str, pl.DataFrame]:
    """The state of an index of the same tree that nothing happened to."""
    copy = place / "fresh" / root.name
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".code-index"), symlinks=True)
    with Pipeline(folder_of(copy)) as pipeline:
        results = (pipeline.scan(), pipeline.parse(), pipeline.embed())
        assert [result.error for result in results] == [None] * 3
    found = state(copy)
    shutil.rmtree(copy)
    return found


def findings(root: Path, undisturbed: dict[str, pl.DataFrame]) -> list[str]:
    """What is wrong with an index: other rows than an undisturbed one has, records that disagree, failed checks."""
    now = state(root)
    wrong = [
        f"table {name} differs: {now[name].height} rows, {rows.height} expected"
        for name, rows in undisturbed.items()
        if not now[name].equals(rows)
    ]
    folder = folder_of(root)
    with Pipeline(folder) as pipeline:
        for asset, name in (
            ("parsed_chunks", "file_hash"),
            ("references", "file_hash"),
            ("chunk_vectors", "embedding_batch"),
        ):
            keys = set(pipeline.instance.get_dynamic_partitions(name))
            materialized = set(pipeline.instance.get_materialized_partitions(dg.AssetKey(asset)))
            if keys - materialized:
                wrong.append(f"{asset}: partitions without a materialization: {sorted(keys - materialized)[:3]}")
        unfinished = {run.status.value for run in pipeline.instance.get_runs()} - {"SUCCESS", "FAILURE", "CANCELED"}
        if unfinished:
            wrong.append(f"runs that ended show as {unfinished}")
        subject = Subject(
            pipeline.index,
            encoder=lambda: pipeline._embedder.get_for_queries(pipeline.settings),
        )
        names = _CHECKS
        wrong += [f"{o.name}: {o.description}" for o in evaluate(subject, names=names) if not o.passed]
    return wrong


_CHECKS = (
    "every_indexed_file_has_its_partition",
    "no_rows_of_files_that_are_gone",
    "stored_chunks_match_the_manifest",
    "stored_references_match_the_manifest",
    "chunk_ids_are_unique",
    "every_chunk_has_a_batch_with_a_partition",
    "every_vector_has_its_chunk",
    "no_chunk_has_two_vectors",
    "vectors_are_finite_and_of_unit_length",
    "one_model_per_table",
    "tables_can_be_read",
    "records_agree_with_the_tables",
    "every_chunk_has_its_vector",
    "searching_finds_what_is_indexed",
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


@dataclass(slots=True)
class Work:
    """What a process did, from its log."""

    parsed: set[tuple[str, str]] = field(default_factory=set)
    embedded: set[str] = field(default_factory=set)
    last_step: str = "before the first step"

    @classmethod
    def of(cls, log: Path) -> Work:
        work = cls()
        for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
            kind, *values = line.split("\t")
            if kind == "step":
                work.last_step = values[0]
            elif kind == "parsed":
                work.parsed.add((values[0], values[1]))
            elif kind == "embedded":
                work.embedded.add(values[0])
        return work


@dataclass(frozen=True, slots=True)
class Durable:
    """What an index holds: (path, hash) of files with chunks, and hashes of texts with a vector."""

    files: frozenset[tuple[str, str]]
    texts: frozenset[str]

    @classmethod
    def of(cls, root: Path) -> Durable:
        store = IndexStore(folder_of(root).tables_dir)
        files = pl.DataFrame(store.chunks.read(["file_path", "file_hash"])).unique()
        texts = set(store.vectors.read(["text_hash"])["text_hash"].to_pylist())
        if store.tables.open("retired_vectors") is not None:
            schema = store.tables.schema("retired_vectors")
            texts |= set(store.tables.read("retired_vectors", schema, columns=["text_hash"])["text_hash"].to_pylist())
        return cls(frozenset((repr(path), digest) for path, digest in files.iter_rows()), frozenset(texts))

    def repeated(self, work: Work) -> list[str]:
        """What of it a process did again."""
        return [
            *(f"parsed again: {path}" for path, digest in sorted(work.parsed & self.files)),
            *(f"embedded again: {digest}" for digest in sorted(work.embedded & self.texts)),
        ]


def start_victim(log: Path, kill: str, arguments: Sequence[str]) -> AbstractContextManager[subprocess.Popen[str]]:
    """A `code-index` command in a process group of its own, watched as `tests.faults.victim` says."""
    return started(
        *(sys.executable, "-m", "tests.faults.victim", log, kill, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=small_steps(dict(os.environ)),
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )


def run_victim(
    arguments: Sequence[str], place: Path, *, kill: str = "none"
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Such a command to its end; returns the log of its work, in `place`, and what became of it."""
    log = place / f"work_{len(list(place.glob('work_*.log')))}.log"
    with start_victim(log, kill, arguments) as process:
        output, errors = process.communicate(timeout=PATIENCE_S)
    return log, subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@dataclass(slots=True)
class Report:
    """What a number of lives came to."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    lives: int = 0
    repeated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    parsed: int = 0
    embedded: int = 0

    def __str__(self) -> str:
        lines = [
            f"indexes {self.lives}, processes killed with SIGKILL {self.kills.total()}",
            f"stopped with SIGINT or SIGTERM {self.stops.total()}, ended before their kill {self.finished}",
            "commands killed or stopped: " + ", ".join(f"{name} {n}" for name, n in self.commands.most_common()),
            "last durable step begun before a kill: "
            + ", ".join(f"{name} {count}" for name, count in self.kills.most_common()),
            f"files parsed {self.parsed}, texts embedded {self.embedded}",
            f"durable work repeated {len(self.repeated)}, losses {len(self.wrong)}",
        ]
        return "\n".join([*lines, *self.repeated[:20], *self.wrong[:20]])


class Life:
    """An index that is edited, and whose processes are killed, until it has to be whole again."""

    def __init__(self, place: Path, draw: random.Random, report: Report, *, commands: Sequence[str]) -> None:
        self.place = place
        self.root = write_repository(place / "repository")
        self.draw = draw
        self.report = report
        self.commands = commands
        self._number = _FILES
        self._runs = 0

    def live(self, kills: int) -> None:
        """So many kills, with edits in between; then one run that nobody disturbs, and the comparison."""
        self.report.lives += 1
        done = 0
        attempts = 0
        while done < kills and attempts < 4 * kills:
            attempts += 1
            for _ in range(self.draw.choice([0, 1, 3])):
                self._edit()
            done += self._disturbed()
        self._run(["index", str(self.root)])
        self.report.wrong += [
            f"index {self.report.lives}: {what}" for what in findings(self.root, fresh_state(self.root, self.place))
        ]

    def _edit(self) -> None:
        """Change, add, delete, rename, or put back a file."""
        files = sorted(self.root.glob("*.py"))
        path = self.draw.choice(files)
        match self.draw.randrange(5):
            case 0:
                self._number += 1
                write_module(path, self._number)
            case 1:
                self._number += 1
                write_module(self.root / f"added_{self._number}.py", self._number)
            case 2 if len(files) > _FILES // 2:
                path.unlink()
            case 3:
                path.rename(self.root / f"renamed_{self._number}_{path.name}")
            case _:
                # What was there before: the content of an earlier version.
                write_module(path, self.draw.randrange(self._number))

    def _disturbed(self) -> int:
        """One process that is killed or stopped; 1 unless it ended before that."""
        command = self.draw.choice(self.commands)
        if not folder_of(self.root).exists:
            command = "index"
        arguments = [*command.split(), str(self.root)]
        way = self.draw.random()
        before = Durable.of(self.root)
        log = self._log()
        kill = "none"
        if way < 0.55:
            step = self.draw.choice(STEPS)
            occurrence = self.draw.choice([1, 1, 2, 3, self.draw.randint(1, 12)])
            kill = f"{step}:{occurrence}:{self.draw.choice(['before', 'after'])}"
        with start_victim(log, kill, arguments) as process:
            if kill == "none":
                self._wait_until_ready(process, log)
                time.sleep(self.draw.uniform(0, 2.5))
                if way < 0.9:
                    # The process alone, or all it started with it; it may have ended by itself.
                    with suppress(ProcessLookupError):
                        (os.kill if self.draw.random() < 0.5 else os.killpg)(process.pid, signal.SIGKILL)
                else:
                    process.send_signal(self.draw.choice([signal.SIGINT, signal.SIGTERM]))
            output, errors = process.communicate(timeout=PATIENCE_S)
        return self._judge(process, command, before, log, output + errors)

    def _judge(self, process: subprocess.Popen[str], command: str, before: Durable, log: Path, output: str) -> int:
        work = Work.of(log)
        self.report.parsed += len(work.parsed)
        self.report.embedded += len(work.embedded)
        self.report.repeated += before.repeated(work)
        if process.returncode == -signal.SIGKILL:
            self.report.kills[work.last_step] += 1
        elif process.returncode in {130, -signal.SIGINT}:  # a shell shows the same for both
            self.report.stops[work.last_step] += 1
            if not _GO_ON.search(output):
                self.report.wrong.append(f"stopped without a word how to go on: {output[-300:]}")
        elif process.returncode == 0 or any(word in output for word in _LAST_WORDS):
            # A signal that comes after the last word ends a process that had nothing left to do.
            self.report.finished += 1
            return 0
        else:
            self.report.wrong.append(f"{command} ended with {process.returncode}: {output[-2000:]}")
            return 0
        self.report.commands[command] += 1
        return 1

    def _run(self, arguments: Sequence[str]) -> None:
        before = Durable.of(self.root)
        log = self._log()
        with start_victim(log, "none", arguments) as process:
            output, errors = process.communicate(timeout=PATIENCE_S)
        if process.returncode != 0:
            self.report.wrong.append(f"{arguments[0]} ended with {process.returncode}: {(output + errors)[-2000:]}")
        self.report.repeated += before.repeated(Work.of(log))

    def _log(self) -> Path:
        self._runs += 1
        return self.place / f"work_{self._runs}.log"

    @staticmethod
    def _wait_until_ready(process: subprocess.Popen[str], log: Path) -> None:
        while process.poll() is None and not (log.exists() and "ready" in log.read_text(encoding="utf-8")):
            time.sleep(0.01)
