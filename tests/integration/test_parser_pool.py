import hashlib
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from code_index.core.errors import CodeIndexError
from code_index.core.model import ChunkingOptions
from code_index.parsing import parser_pool
from code_index.parsing.kept_parser import KeptParser
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import TIMEOUT_SIGNALS, ParserConfig, ParseTask
from code_index.system.hardware import available_processors
from code_index.tables.schemas import PARSED_CHUNKS
from tests.waiting import PATIENCE_S, busy_parser, if_running, started

_JAVA_BOMB = b"a<" * 20_000


class Repository:
    def __init__(self, root):
        self.root = root

    def config(self, **changes) -> ParserConfig:
        limits = {"timeout_s": 30.0, "memory_bytes": 2 << 30, "max_file_bytes": 1 << 20} | changes
        return ParserConfig(repository_root=str(self.root), options=ChunkingOptions(), **limits)

    def write(self, path: str, content: bytes | str, language: str = "python") -> ParseTask:
        data = content.encode() if isinstance(content, str) else content
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return ParseTask(path, hashlib.sha256(data).hexdigest(), language, len(data))

    def functions(self, count: int, prefix: str = "f") -> list[ParseTask]:
        return [self.write(f"{prefix}{n:03}.py", f"def {prefix}{n}():\n    return {n}\n") for n in range(count)]


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    return Repository(root)


def _run(config, tasks, **options):
    with ParserPool(config, **options) as pool:
        groups = list(pool.parse(tasks))
    return [outcome for group in groups for outcome in group.outcomes], [
        path for group in groups for path in group.chunks["file_path"].to_pylist()
    ]


def _errors(outcomes):
    return {outcome.file_path: (outcome.error, outcome.transient) for outcome in outcomes if outcome.error}


def test_results_come_in_the_order_of_the_tasks_whoever_is_ready_first(repository):
    heavy = repository.write("aa.py", "def f(a):\n    return [a + 1, a]\n" * 8_000)
    tasks = [heavy, *repository.functions(40)]

    outcomes, chunk_paths = _run(repository.config(), tasks, workers=2, group_files=4)

    assert [outcome.file_path for outcome in outcomes] == [task.file_path for task in tasks]
    assert [outcome.file_hash for outcome in outcomes] == [task.file_hash for task in tasks]
    assert [path for path in chunk_paths if path != "aa.py"] == [task.file_path for task in tasks[1:]]
    assert not _errors(outcomes)
    assert all(outcome.duration_s > 0 for outcome in outcomes)


def test_chunks_have_the_columns_of_the_table_and_what_the_task_says_about_the_file(repository):
    task = repository.write("src/a.py", "def f():\n    return 1\n")
    task = ParseTask(task.file_path, task.file_hash, "python", task.size_bytes, "core", "src")

    with ParserPool(repository.config(), workers=1) as pool:
        (group,) = pool.parse([task])

    row = group.chunks.to_pylist()[0]
    assert group.chunks.schema == PARSED_CHUNKS
    assert (row["function_name"], row["subproject_name"], row["subproject_path"]) == ("f", "core", "src")
    assert group.outcomes[0].chunk_count == group.chunks.num_rows == 1


def test_a_blank_file_has_no_chunks_and_no_error(repository):
    with ParserPool(repository.config(), workers=1) as pool:
        (group,) = pool.parse([repository.write("blank.py", "\n\n")])

    assert group.chunks.schema == PARSED_CHUNKS
    assert (group.outcomes[0].chunk_count, group.outcomes[0].error, group.chunks.num_rows) == (0, None, 0)


def test_no_files_start_no_process(repository):
    with ParserPool(repository.config()) as pool:
        assert list(pool.parse([])) == []
        assert _children() == []


def test_a_file_whose_grammar_takes_too_long_is_cut_as_text_in_its_place_with_a_note(repository):
    before, after = repository.functions(3, "a"), repository.functions(3, "z")
    bomb = repository.write("k.java", _JAVA_BOMB, "java")

    with ParserPool(repository.config(timeout_s=0.5), workers=1) as pool:
        (group,) = pool.parse([*before, bomb, *after])

    assert [o.file_path for o in group.outcomes] == [t.file_path for t in (*before, bomb, *after)]
    assert not _errors(group.outcomes)
    assert {o.file_path: o.note for o in group.outcomes if o.note} == {
        "k.java": "cut as plain text: its grammar took longer than parse_timeout_s = 0.5 s"
    }
    rows = [row for row in group.chunks.to_pylist() if row["file_path"] == "k.java"]
    assert "".join(row["content"] for row in rows).encode() == _JAVA_BOMB
    assert {(row["language"], row["chunk_type"]) for row in rows} == {("java", "text")}
    assert group.outcomes[3].chunk_count == len(rows)
    order = group.chunks["file_path"].to_pylist()
    assert list(dict.fromkeys(order)) == [o.file_path for o in group.outcomes]


def test_a_file_that_takes_too_long_as_text_too_fails_alone_with_the_limit_in_its_reason(repository):
    slow = repository.write("k.java", b"word\n" * 200_000, "java")

    outcomes, chunk_paths = _run(repository.config(timeout_s=0.001), [slow], workers=1)

    assert _errors(outcomes) == {"k.java": ("took longer to parse than parse_timeout_s = 0.001 s", False)}
    assert (outcomes[0].note, chunk_paths) == (None, [])


def test_a_file_that_needs_too_much_memory_fails_alone_with_the_limit_in_its_reason(repository):
    before, after = repository.functions(3, "a"), repository.functions(3, "z")
    bomb = repository.write("k.java", _JAVA_BOMB, "java")

    outcomes, chunk_paths = _run(repository.config(memory_bytes=256 << 20), [*before, bomb, *after], workers=1)

    (path, (reason, transient)), *others = _errors(outcomes).items()
    assert (path, transient, others) == ("k.java", False, [])
    assert "parse_memory_bytes" in reason
    assert chunk_paths == [task.file_path for task in (*before, *after)]


def test_the_lowest_memory_limit_leaves_room_for_ordinary_files(repository):
    tasks = [*repository.functions(20), repository.write("big.py", "def f(a):\n    return a\n" * 20_000)]

    outcomes, _ = _run(repository.config(memory_bytes=256 << 20), tasks, workers=1)

    assert not _errors(outcomes)


def test_an_alarm_that_the_parent_ignores_still_ends_a_bomb(repository):
    bomb = repository.write("k.java", _JAVA_BOMB, "java")
    before = {number: signal.signal(number, signal.SIG_IGN) for number in TIMEOUT_SIGNALS}
    signal.pthread_sigmask(signal.SIG_BLOCK, TIMEOUT_SIGNALS)
    try:
        outcomes, _ = _run(repository.config(timeout_s=0.5), [bomb], workers=1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TIMEOUT_SIGNALS)
        for number, handler in before.items():
            signal.signal(number, handler)

    assert "parse_timeout_s" in outcomes[0].note


# A parser process in which `f001.py` waits instead of working, as on a slow disk or a busy machine.
_WAITING_WORKER = (
    "import sys, time; sys.path.append(sys.argv[2]); from code_index.parsing import parser_worker as w; c = w.chunk_file; "
    "w.chunk_file = lambda b, **k: (time.sleep({seconds} * (k['file_path'] == 'f001.py' and not k['as_text'])), "
    "c(b, **k))[1]; w.main()"
)


def test_time_in_which_a_file_only_waits_does_not_count_as_time_that_its_grammar_takes(repository, monkeypatch):
    monkeypatch.setattr(parser_pool, "_WORKER", _WAITING_WORKER.format(seconds=1))

    outcomes, _ = _run(repository.config(timeout_s=0.9), repository.functions(3), workers=1)

    assert not _errors(outcomes)
    assert [outcome.note for outcome in outcomes] == [None] * 3
    assert outcomes[1].duration_s > 0.9


def test_a_file_that_waits_for_ever_is_ended_by_the_clock(repository, monkeypatch):
    monkeypatch.setattr(parser_pool, "_WORKER", _WAITING_WORKER.format(seconds=10_000))

    outcomes, _ = _run(repository.config(timeout_s=0.4), repository.functions(3), workers=1)

    assert not _errors(outcomes)
    assert [bool(outcome.note) for outcome in outcomes] == [False, True, False]


def test_a_worker_killed_from_outside_costs_one_file_that_is_superseded(repository):
    before, after = repository.functions(3, "a"), repository.functions(3, "z")
    slow = repository.write("k.java", _JAVA_BOMB, "java")

    # More than its start and six small files take: it is in the bomb.
    killer = threading.Thread(target=lambda: busy_parser(psutil.Process(), bytes_at_least=200 << 20).kill())
    killer.start()
    outcomes, chunk_paths = _run(
        repository.config(memory_bytes=8 << 30, timeout_s=120.0), [*before, slow, *after], workers=1
    )
    killer.join()

    assert _errors(outcomes) == {"k.java": ("its parser process was killed (is the machine out of memory?)", True)}
    assert chunk_paths == [task.file_path for task in (*before, *after)]


def test_a_worker_killed_while_it_has_nothing_to_do_costs_nothing(repository):
    tasks = repository.functions(12)

    with ParserPool(repository.config(), workers=1) as pool:
        list(pool.parse(tasks[:1]))
        (idle,) = _children()
        idle.kill()
        psutil.wait_procs([idle])
        outcomes = [outcome for group in pool.parse(tasks) for outcome in group.outcomes]

    assert [outcome.file_path for outcome in outcomes] == [task.file_path for task in tasks]
    assert not _errors(outcomes)


def test_workers_that_cannot_start_end_the_run_with_what_to_do(repository, monkeypatch, capfd):
    monkeypatch.setattr(parser_pool, "_WORKER", "raise SystemExit('no parser here')")

    with pytest.raises(CodeIndexError, match=r"exit status 1.*code_index\.parsing\.parser_worker"):
        _run(repository.config(), repository.functions(1), workers=1)

    assert "no parser here" in capfd.readouterr().err
    assert _children() == []


def test_a_crash_of_the_grammar_is_named_by_its_signal(repository, monkeypatch):
    tasks = repository.functions(3)
    monkeypatch.setattr(
        parser_pool,
        "_WORKER",
        "import os, sys; sys.path.append(sys.argv[2]); from code_index.parsing import parser_worker as w; c = w.chunk_file; "
        "w.chunk_file = lambda b, **k: os.kill(os.getpid(), 7) if k['file_path'] == 'f001.py' else c(b, **k); w.main()",
    )

    outcomes, _ = _run(repository.config(), tasks, workers=1)

    assert _errors(outcomes) == {"f001.py": ("its parser process ended with signal SIGBUS", False)}


def test_a_fault_of_the_chunker_costs_one_file_and_no_process(repository, monkeypatch, capfd):
    monkeypatch.setattr(
        parser_pool,
        "_WORKER",
        "import sys; sys.path.append(sys.argv[2]); from code_index.parsing import parser_worker as w; c = w.chunk_file; "
        "w.chunk_file = lambda b, **k: {}['lost'] if k['file_path'] == 'f001.py' else c(b, **k); w.main()",
    )

    with ParserPool(repository.config(), workers=1) as pool:
        (group,) = pool.parse(repository.functions(3))
        assert len(_children()) == 1

    assert _errors(group.outcomes) == {"f001.py": ("the chunker failed with KeyError: 'lost'", False)}
    assert "KeyError" in capfd.readouterr().err


def test_a_file_that_changed_or_vanished_since_the_scan_is_superseded(repository):
    changed = repository.write("changed.py", "a = 1")
    vanished = repository.write("vanished.py", "a = 1")
    kept = repository.write("kept.py", "a = 1")
    repository.write("changed.py", "a = 2")
    (repository.root / "vanished.py").unlink()

    outcomes, chunk_paths = _run(repository.config(), [changed, vanished, kept], workers=1)

    errors = _errors(outcomes)
    assert errors["changed.py"] == ("changed since the scan", False)
    assert errors["vanished.py"] == ("gone. Scan again.", False)
    assert {outcome.file_path for outcome in outcomes if outcome.superseded} == {"changed.py", "vanished.py"}
    assert chunk_paths == ["kept.py"]


def test_a_pool_closes_its_processes_also_in_the_middle_of_a_file(repository):
    bomb = repository.write("k.java", _JAVA_BOMB, "java")

    def fail() -> None:
        with ParserPool(repository.config(memory_bytes=8 << 30), workers=2, group_files=1) as pool:
            groups = pool.parse([*repository.functions(1), bomb])
            next(groups)
            assert len(_children()) == 2
            raise RuntimeError("elsewhere")

    with pytest.raises(RuntimeError, match="elsewhere"):
        fail()

    assert _children() == []


def test_answers_to_an_abandoned_call_never_reach_the_next_one(repository):
    first, second = repository.functions(20, "a"), repository.functions(20, "z")

    with ParserPool(repository.config(), workers=2, group_files=1) as pool:
        abandoned = pool.parse(first)
        next(abandoned)
        abandoned.close()
        outcomes = [outcome for group in pool.parse(second) for outcome in group.outcomes]

    assert [outcome.file_path for outcome in outcomes] == [task.file_path for task in second]


def test_a_pool_serves_several_calls_with_the_same_processes(repository):
    with ParserPool(repository.config(), workers=1) as pool:
        list(pool.parse(repository.functions(1, "a")))
        before = _children()
        list(pool.parse(repository.functions(1, "b")))
        assert _children() == before


def test_groups_are_bounded_by_files_and_bytes(repository):
    small = repository.functions(5)
    big = [repository.write(f"z{n}.txt", b"word " * 60_000, "text") for n in range(3)]

    with ParserPool(repository.config(), workers=1, group_files=2) as pool:
        sizes = [len(group.outcomes) for group in pool.parse([*small, *big])]

    assert sizes == [2, 2, 2, 1, 1]


def test_workers_end_by_themselves_when_their_parent_is_killed(repository):
    repository.functions(4)
    script = """
import os, sys
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import ParserConfig, ParseTask
from code_index.core.model import ChunkingOptions
pool = ParserPool(ParserConfig(sys.argv[1], 1 << 20, ChunkingOptions(), 30.0, 2 << 30), workers=2, group_files=1)
groups = pool.parse([ParseTask(f"f00{n}.py", "", "python", 1) for n in range(4)])
next(groups)
print(*[worker.process.pid for worker in pool._workers], flush=True)
sys.stdin.read()
"""
    command = (sys.executable, "-c", script, repository.root)
    with started(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()

    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=PATIENCE_S)[1] == []


def test_workers_import_neither_dagster_nor_lancedb_nor_torch():
    script = "import sys, code_index.parsing.parser_worker; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["dagster", "lancedb", "torch", "sentence_transformers", "onnxruntime", "transformers"]

    result = subprocess.run(
        [sys.executable, "-c", script, *heavy], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )

    assert result.stdout.strip() == "[]"


def test_workers_import_nothing_from_the_working_directory(repository, monkeypatch):
    for trap in ("code_index/__init__.py", "socket.py", "pyarrow.py", "indexing_assets/__init__.py"):
        repository.write(trap, "raise SystemExit('imported from the repository')")
    monkeypatch.chdir(repository.root)

    outcomes, _ = _run(repository.config(), repository.functions(2), workers=1)

    assert not _errors(outcomes)


def test_by_default_there_is_a_worker_per_processor_that_may_be_used(repository, monkeypatch):
    assert ParserPool(repository.config()).worker_count == len(os.sched_getaffinity(0))

    monkeypatch.delattr(os, "sched_getaffinity")
    assert available_processors() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_processors() == 1


def _children():
    return [
        child for child in psutil.Process().children() if "parser_worker" in " ".join(if_running(child.cmdline, []))
    ]


@pytest.fixture
def kept():
    """The parser process that waits for the next run, as in a process that expects one."""
    parser_pool.OF_THIS_PROCESS.expect(repository)
    yield parser_pool.OF_THIS_PROCESS
    parser_pool.OF_THIS_PROCESS.expect_no_more(repository)


def _run_in(pool, tasks):
    """Outcomes of a run, and the ids of the processes that are left."""
    with pool:
        outcomes = [outcome for group in pool.parse(tasks) for outcome in group.outcomes]
        pids = [worker.process.pid for worker in pool._workers]
    assert not _errors(outcomes)
    return pids


def test_the_process_of_a_small_run_waits_for_the_next_one(repository, kept):
    config, tasks = repository.config(), repository.functions(2)
    first = _run_in(ParserPool(config), tasks)
    assert len(first) == 1
    assert _run_in(ParserPool(config), tasks) == first
    assert _run_in(ParserPool(repository.config(timeout_s=20.0)), tasks) != first, "with other limits"
    assert not psutil.pid_exists(first[0])


def test_a_process_that_was_started_ahead_is_the_first_of_the_next_run(repository, kept):
    config, tasks = repository.config(), repository.functions(2)
    parser_pool.start_ahead(config)
    (child,) = _children()
    assert _run_in(ParserPool(config), tasks) == [child.pid]


def test_a_process_that_died_while_it_waited_is_replaced(repository, kept):
    config, tasks = repository.config(), repository.functions(2)
    (pid,) = _run_in(ParserPool(config), tasks)
    os.kill(pid, signal.SIGKILL)
    assert _run_in(ParserPool(config), tasks) != [pid]


def test_after_many_files_or_an_error_no_process_waits(repository, kept):
    config = repository.config()
    pids = _run_in(ParserPool(config, workers=2, group_files=1), repository.functions(8))
    pool = ParserPool(config)
    list(pool.parse(repository.functions(1)))
    pids += [worker.process.pid for worker in pool._workers]
    pool.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert len(pids) == 3
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []


def test_nothing_waits_where_no_run_is_expected_or_for_too_long(repository):
    (pid,) = _run_in(ParserPool(repository.config()), repository.functions(1))
    assert not psutil.pid_exists(pid)
    parser_pool.start_ahead(repository.config())
    assert _children() == []
    process = ParserPool(repository.config())._start_worker()
    kept = KeptParser(waits_s=0.0)
    kept.expect(repository)
    kept.give(repository.config(), process)
    assert process.process.wait(PATIENCE_S) == -signal.SIGKILL
    kept.expect_no_more(repository)
