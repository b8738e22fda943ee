"""Several processes on one index at once, round after round: commands, a daemon's run, searches, edits, kills.

    python -m tests.faults.rounds --rounds 50 --seed 1

Prints the seed, the machine, and what the rounds came to; ends with 1 where anything was lost, done
twice, or shown to a reader as it never was. The short form is `tests/faults/test_two_processes.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from code_index.embedding.loader import query_embedder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore
from tests.faults.harness import Work, findings, folder_of, fresh_state, small_steps, write_module
from tests.waiting import PATIENCE_S, started

ANCHOR, _ANCHOR_NUMBER = "anchor.py", 900
_FILES = 10
_SEARCH_EVERY_S = 0.05
_EVERYTHING = 500
_BUSY = re.compile(r"process (\d+) on (\S+) since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*)")
_OTHERS = ("index", "index --no-wait", "resume", "daemon-run", "cleanup --keep-runs 3", "doctor")
# What `index` may end with where files are edited all the time.
_MOVING = ("changed since the scan", "gone. Scan again", "kept changing")


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a round."""

    commands: Sequence[str]
    edits_before: int = 0
    edits_meanwhile: int = 0
    kill: bool = False
    new: bool = False

    def __str__(self) -> str:
        what = f"{'new index: ' * self.new}{', '.join(self.commands)}"
        if self.edits_before or self.edits_meanwhile:
            what += f"; {self.edits_before} edits before, {self.edits_meanwhile} meanwhile"
        return what + "; one is killed" * self.kill


def draw_plan(draw: random.Random) -> Plan:
    """Two `index` commands and up to two other processes, with or without edits and a kill."""
    return Plan(
        commands=("index", "index", *draw.choices(_OTHERS, k=draw.randint(0, 2))),
        edits_before=draw.choice([0, 1, 3]),
        edits_meanwhile=draw.choice([0, 0, 4]),
        kill=draw.random() < 0.25,
        new=draw.random() < 0.15,
    )


class Tree:
    """A repository that is edited, and every content that its files ever had."""

    def __init__(self, place: Path, draw: random.Random) -> None:
        self.root = place / "repository"
        self.root.mkdir()
        self._aside = place / "written.py"
        self._draw = draw
        self._number = 0
        self.contents: defaultdict[str, list[str]] = defaultdict(list)
        self._write(ANCHOR, _ANCHOR_NUMBER)
        for _ in range(_FILES):
            self._add()

    def edit(self) -> None:
        """Change, add, delete or rename a file, or give it what another one had before."""
        path = self._draw.choice(sorted(path for path in self.root.glob("*.py") if path.name != ANCHOR))
        match self._draw.randrange(5):
            case 0 | 1:
                self._number += 1
                self._write(path.name, self._number)
            case 2:
                self._add()
            case 3 if len(list(self.root.glob("*.py"))) > _FILES // 2:
                path.unlink()
            case 3:
                self._add()
            case _:
                self._number += 1
                name = f"renamed_{self._number}.py"
                self.contents[name].append(path.read_text(encoding="utf-8"))
                path.rename(self.root / name)

    def functions(self) -> list[str]:
        """Names of functions that are there or were."""
        return [f"function_{number}_{i}" for number in range(1, self._number + 1) for i in (0, 3)]

    def _add(self) -> None:
        self._number += 1
        self._write(f"module_{self._number:03}.py", self._number)

    def _write(self, name: str, number: int) -> None:
        write_module(self._aside, number)
        # Before it is there: a reader may be quicker.
        self.contents[name].append(self._aside.read_text(encoding="utf-8"))
        self._aside.replace(self.root / name)

    def judge(self, hits: Sequence[Mapping[str, object]]) -> list[str]:
        """What is wrong with the hits of one search: doubles, and files that never were like that."""
        wrong = [
            f"chunk {chunk_id} was found {count} times"
            for chunk_id, count in Counter(hit["chunk_id"] for hit in hits).items()
            if count > 1
        ]
        by_file: defaultdict[str, list[str]] = defaultdict(list)
        for hit in hits:
            by_file[str(hit["file_path"])].append(str(hit["content"]))
        for path, found in by_file.items():
            if not any(all(content in text for content in found) for text in list(self.contents.get(path, ()))):
                wrong.append(f"no version of {path} held all of {found}")
        return wrong


class Reader(threading.Thread):
    """Searches without a pause, in every mode, with one store for its whole life."""

    def __init__(self, tree: Tree, seed: int, *, anchored: bool) -> None:
        super().__init__(name="reader")
        self._tree = tree
        self._draw = random.Random(seed)
        self._anchored = anchored
        self._over = threading.Event()
        self.searches = 0
        self.hits = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        folder = folder_of(self._tree.root)
        store, encoder = IndexStore(folder.tables_dir), query_embedder(folder.settings().embedder)
        while not self._over.wait(_SEARCH_EVERY_S):
            mode = self._draw.choice(list(SearchMode))
            for_anchor = self._draw.random() < 0.5
            query = f"function_{_ANCHOR_NUMBER}_2" if for_anchor else self._draw.choice(self._tree.functions())
            try:
                hits = search(store, encoder, query, mode=mode, limit=_EVERYTHING)
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
                self.wrong.append(f"{mode} search for {query}: {type(error).__name__}: {error}")
                continue
            self.searches += 1
            self.hits += len(hits)
            found = [{"chunk_id": hit.chunk_id, "file_path": hit.file_path, "content": hit.content} for hit in hits]
            self.wrong += [f"{mode} search for {query}: {what}" for what in self._tree.judge(found)]
            if self._anchored and for_anchor and not any(hit.file_path == ANCHOR for hit in hits):
                self.wrong.append(f"{mode} search for {query} missed a file that nobody touched")

    def end(self) -> None:
        """Let the search that is under way finish, and no other begin."""
        self._over.set()
        self.join(PATIENCE_S)


@dataclass(slots=True)
class Outcome:
    """How a process ended."""

    command: str
    pid: int
    status: int
    output: str
    work: Work


@dataclass(slots=True)
class Tally:
    """What the rounds came to."""

    rounds: int = 0
    indexes: int = 0
    processes: Counter[str] = field(default_factory=Counter)
    searches: int = 0
    shell_searches: int = 0
    hits: int = 0
    edits: int = 0
    kills: int = 0
    waited: int = 0
    refused: int = 0
    embedded: int = 0
    parsed: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"rounds {self.rounds} over {self.indexes} indexes, edits {self.edits}, kills {self.kills}",
            "processes: " + ", ".join(f"{name} {count}" for name, count in self.processes.most_common()),
            f"waited for another {self.waited}, refused with its name {self.refused}",
            f"searches {self.searches} in one process and {self.shell_searches} commands, hits {self.hits}",
            f"files parsed {self.parsed}, texts embedded {self.embedded}",
            f"wrong {len(self.wrong)}",
        ]
        return "\n".join([*lines, *self.wrong[:20]])


class Rounds:
    """One index after the other, each through some rounds."""

    def __init__(self, place: Path, draw: random.Random, tally: Tally) -> None:
        self._place = place
        self._draw = draw
        self.tally = tally
        self._runs = 0
        self._begin()

    def _begin(self) -> None:
        self.tally.indexes += 1
        home = self._place / f"index_{self.tally.indexes}"
        home.mkdir()
        self._home = home
        self.tree = Tree(home, self._draw)
        self._embedded: set[str] = set()
        self._whole = False

    def round(self, plan: Plan) -> None:
        """One round, and the comparison with an index of the same tree that nothing happened to."""
        self.tally.rounds += 1
        before = len(self.tally.wrong)
        if plan.new and self._whole:
            shutil.rmtree(self._home)
            self._begin()
        for _ in range(plan.edits_before):
            self._edit()
        reader = Reader(self.tree, self._draw.getrandbits(32), anchored=self._whole)
        reader.start()
        outcomes = self._together(plan)
        reader.end()
        self.tally.searches += reader.searches
        self.tally.hits += reader.hits
        self.tally.wrong += reader.wrong
        moving = bool(plan.edits_meanwhile)
        for outcome in outcomes:
            self._judge(outcome, outcomes, moving=moving)
        still = not moving and not plan.kill
        if still and not {outcome.command for outcome in outcomes} - {"index", "resume", "cleanup --keep-runs 3"}:
            self._refuse_double_parsing(outcomes)
        if not still:
            # What was edited last, or was under way when its process was killed.
            (last,) = self._together(Plan(("index",)))
            self._judge(last, [last], moving=False)
        self.tally.wrong += findings(self.tree.root, fresh_state(self.tree.root, self._home))
        self._whole = True
        self.tally.wrong[before:] = [f"round {self.tally.rounds} ({plan}): {w}" for w in self.tally.wrong[before:]]

    def _edit(self) -> None:
        self.tree.edit()
        self.tally.edits += 1

    def _together(self, plan: Plan) -> list[Outcome]:
        """Start all processes, disturb them, and wait for their ends."""
        logs = [self._home / f"work_{self._runs + place}.log" for place in range(len(plan.commands))]
        self._runs += len(logs)
        with ExitStack() as stack:
            processes = []
            for command, log in zip(plan.commands, logs, strict=True):
                victim_program = ["-m", "tests.faults.victim", str(log), "none"]
                processes.append(stack.enter_context(_start(victim_program, command, self.tree.root)))
                time.sleep(self._draw.choice([0, 0, 0.3, 1.0]))
            outputs = [_Output(process) for process in processes]
            victim = processes[self._draw.randrange(2)] if plan.kill else None
            kill_at = time.monotonic() + self._draw.uniform(2, 8)
            edits = plan.edits_meanwhile
            ends = time.monotonic() + PATIENCE_S
            shell: subprocess.Popen[str] | None = None
            while any(process.poll() is None for process in processes):
                if time.monotonic() > ends:
                    for process in processes:
                        process.kill()
                    self.tally.wrong.append("a process did not end")
                    break
                if edits and self._draw.random() < 0.1:
                    self._edit()
                    edits -= 1
                if victim is not None and time.monotonic() > kill_at and victim.poll() is None:
                    victim.send_signal(signal.SIGKILL)
                    self.tally.kills += 1
                    victim = None
                if shell is None or shell.poll() is not None:
                    self._judge_shell(shell)
                    search = "search --json -n 50 --path"
                    shell = stack.enter_context(
                        _start(["-m", "indexing_assets.cli.main"], search, self.tree.root, "function")
                    )
                time.sleep(0.1)
            self._judge_shell(shell)
            return [
                Outcome(command, process.pid, process.wait(), output.text(), Work.of(log))
                for command, process, output, log in zip(plan.commands, processes, outputs, logs, strict=True)
            ]

    def _judge_shell(self, process: subprocess.Popen[str] | None) -> None:
        """The hits of a search from a shell."""
        if process is None:
            return
        output, errors = process.communicate(timeout=PATIENCE_S)
        if process.returncode == 2 and "There is no index" in errors:
            return  # before the first command made one
        self.tally.shell_searches += 1
        if process.returncode:
            self.tally.wrong.append(f"a search command ended with {process.returncode}: {errors[-1500:]}")
            return
        self.tally.wrong += [f"a search command: {what}" for what in self.tree.judge(json.loads(output)["hits"])]

    def _judge(self, outcome: Outcome, all_of_round: Iterable[Outcome], *, moving: bool) -> None:
        self.tally.processes[outcome.command] += 1
        self.tally.parsed += len(outcome.work.parsed)
        self.tally.embedded += len(outcome.work.embedded)
        if outcome.status == -signal.SIGKILL:
            return  # what it had in hand may be done again
        twice = outcome.work.embedded & self._embedded
        self._embedded |= outcome.work.embedded
        self.tally.wrong += [f"embedded twice: {digest} by {outcome.command}" for digest in sorted(twice)]
        self.tally.waited += "Waiting: the index is held by process" in outcome.output
        if "Traceback" in outcome.output or not self._fair_end(outcome, all_of_round, moving=moving):
            self.tally.wrong.append(f"{outcome.command} ended with {outcome.status}: {outcome.output[-3000:]}")

    def _fair_end(self, outcome: Outcome, all_of_round: Iterable[Outcome], *, moving: bool) -> bool:
        if outcome.status == 0:
            return True
        if outcome.status != 1:
            return False
        if outcome.command == "index --no-wait" and (busy := _BUSY.search(outcome.output)):
            # The first must be one of ours, by number and machine.
            self.tally.refused += 1
            others = {str(other.pid) for other in all_of_round if other.pid != outcome.pid}
            return busy[1] in others and busy[2] == socket.gethostname()
        if outcome.command == "doctor":
            return True  # it looks at an index that is being made, and says what it sees
        return moving and any(reason in outcome.output for reason in _MOVING)

    def _refuse_double_parsing(self, outcomes: Sequence[Outcome]) -> None:
        counts = Counter(file for outcome in outcomes for file in outcome.work.parsed)
        self.tally.wrong += [f"parsed by {count} processes: {file}" for file, count in counts.items() if count > 1]


class _Output:
    """Reads what a process says while it runs, so that a full pipe never stops it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._texts: list[str] = []
        self._thread = threading.Thread(target=lambda: self._texts.extend(process.communicate()))
        self._thread.start()

    def text(self) -> str:
        self._thread.join(PATIENCE_S)
        return "".join(text or "" for text in self._texts)


def _start(
    program: Sequence[str], command: str, root: Path, *more: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    return started(
        *(sys.executable, *program, *command.split(), root, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=small_steps(dict(os.environ)),
        cwd=Path(__file__).parents[2],
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--place", type=Path, help="Folder for the indexes; by default a temporary one.")
    options.add_argument("--keep", action="store_true", help="Keep the indexes, and stop at the first that went wrong.")
    arguments = options.parse_args()
    print(f"seed {arguments.seed}; {platform.platform()}, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    os.environ.update(small_steps({}))
    place = Path(tempfile.mkdtemp(prefix="rounds-", dir=arguments.place))
    started = time.monotonic()
    draw = random.Random(arguments.seed)
    tally = Tally()
    rounds = Rounds(place, draw, tally)
    while tally.rounds < arguments.rounds:
        wrong = len(tally.wrong)
        plan = draw_plan(draw)
        rounds.round(plan)
        print(f"{time.monotonic() - started:6.0f} s  {tally.rounds}: {plan}", flush=True)
        for what in tally.wrong[wrong:][:5]:
            print(f"WRONG  {what}", flush=True)
        if arguments.keep and tally.wrong:
            break
    print(tally)
    if not arguments.keep:
        shutil.rmtree(place)
    sys.exit(1 if tally.wrong else 0)


if __name__ == "__main__":
    main()
