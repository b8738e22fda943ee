"""Limits of the system, and what a process may lack: success or a sentence, and an index that is as good as before.

Figures of what no test repeats are in docs/reliability.md.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from code_index.core.cache import cache_folder
from code_index.core.errors import StoreError
from code_index.index.folder import resolve_index_folder
from code_index.index.locks import Phase, hold, owner
from indexing_assets.cli.limits import raise_open_files
from indexing_assets.cli.os_errors import disk_trouble, trouble, trouble_in
from resources import record_storage
from tests.faults.harness import Said, small_steps, write_repository
from tests.waiting import PATIENCE_S, started, wait_until

_ALL_DONE = "12 files, 60 chunks, 60 vectors"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    return write_repository(tmp_path / "repository")


def limited(limit: int, value: int, *arguments: object, before: tuple[str, ...] = ()) -> Said:
    """Run the command in a process under a limit; `before` is the command that runs it."""
    code = (
        "import resource, sys\n"
        f"resource.setrlimit({limit}, ({value}, {value}))\n"
        "from indexing_assets.cli.main import main\n"
        "sys.argv[0] = 'code-index'\n"
        "main()"
    )
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_too_few_open_files_are_named_and_the_index_stays_sound(root: Path, said: Callable[..., Said]) -> None:
    told = limited(resource.RLIMIT_NOFILE, 32, "index", root)
    assert told.status == 1
    assert "This process may open 32 files" in told.err
    assert "ulimit -n" in told.err
    assert "Traceback" not in told.err
    assert _ALL_DONE in said("index", root).out


def test_the_limit_of_open_files_is_raised_as_far_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
        raise_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, max(65_536, hard - 1)), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_little_address_space_is_refused_before_native_code_aborts(root: Path) -> None:
    told = limited(resource.RLIMIT_AS, 2_500_000_000, "index", root)
    assert told.status == 1
    assert told.err.startswith("Error: This process may use 2,500 MB of address space")
    assert "ulimit -v" in told.err
    assert not (root / ".code-index").exists()


def test_too_few_threads_are_refused_before_native_code_waits_for_one_that_never_came(root: Path) -> None:
    # The limit does not hold for root: another user, who may read what root may.
    another = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=+dac_read_search")
    other_user = (*another, "--ambient-caps=+dac_read_search")
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*other_user, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("another user needs root and setpriv")
    told = limited(resource.RLIMIT_NPROC, 20, "status", root, before=other_user)
    assert told.status == 1
    assert told.err.startswith("Error: The system lets this process start ")
    assert "ulimit -u" in told.err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("OSError: [Errno 24] Too many open files: '/dev/null'", "ulimit -n"),
        ("LanceError(IO): Too many open files (os error 24)", "ulimit -n"),
        ("ImportError: _lancedb.abi3.so: failed to map segment from shared object", "ulimit -v"),
        ("RuntimeError: can't start new thread", "ulimit -u"),
        ("pyo3_runtime.PanicException: OS can't spawn worker thread: Resource temporarily unavailable", "ulimit -u"),
        ("pyarrow.lib.ArrowException: Unknown error: Failed to launch worker thread", "ulimit -u"),
        ("FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/']", "TMPDIR"),
        ("OSError: [Errno 27] File too large", "ulimit -f"),
        ("sqlite3.OperationalError: database is locked", "stopped"),
        ("RuntimeError: Could not determine home directory.", "HOME"),
    ],
)
def test_the_words_of_libraries_about_a_limit_become_the_limit_and_the_fix(text: str, named: str) -> None:
    assert named in (trouble_in(text) or "")


@pytest.mark.parametrize(("open_files", "named"), [(32, "This process may open 32 files"), (4_096, None)])
def test_a_file_that_sqlite_cannot_open_is_the_limits_fault_only_where_that_is_low(
    monkeypatch: pytest.MonkeyPatch, open_files: int, named: str | None
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (open_files, open_files))
    text = "(sqlite3.OperationalError) unable to open database file"
    assert (trouble_in(text) or "").startswith(named or "")
    assert (trouble_in(text) is None) == (named is None)
    of_the_disk = "is full or cannot be written, where Dagster's records are"
    assert disk_trouble(sqlite3.OperationalError(text)) == (of_the_disk if named is None else None)


def test_a_limit_is_found_at_the_root_of_an_error_and_nothing_else_is_called_one() -> None:
    wrapped = ValueError("the step failed")
    wrapped.__cause__ = MemoryError()
    assert "Memory ran out" in (trouble(wrapped) or "")
    assert trouble(ValueError("a spawn of ideas")) is None


def test_no_folder_for_temporary_files_is_named_and_nothing_is_lost(
    root: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TMPDIR", "/nonexistent/folder")
        told = said("index", root)
    assert told.status == 1
    assert "TMPDIR is /nonexistent/folder" in told.err
    assert _ALL_DONE in said("index", root).out


def test_a_user_without_a_home_folder_is_told_what_to_name_and_needs_no_more(
    root: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(_: int) -> pwd.struct_passwd:
        raise KeyError("no such user")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "CODE_INDEX_CACHE_DIR", "CODE_INDEX_MODEL"):
        monkeypatch.delenv(name, raising=False)
    told = said("index", root)
    assert told.status != 0
    assert "XDG_STATE_HOME" in told.err
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert said("config", root).status == 0
    assert "Could not determine home directory" in said("config", root, "--index-dir", "~/index").err
    assert cache_folder().is_dir()


def test_a_stopped_process_keeps_its_lock_is_named_and_leaves_it_when_it_is_killed(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from code_index.index.locks import Phase, hold\n"
        "with hold(Path(sys.argv[1]), Phase.PARSE):\n    print('held', flush=True); time.sleep(3600)"
    )
    with started(
        sys.executable, "-c", holder, tmp_path, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "the process to stop")
        named = owner(tmp_path, Phase.PARSE)
        assert named is not None
        assert named.pid == process.pid
        waited_for: list[int | None] = []
        waiting = threading.Event()

        def tell(holder: object) -> None:
            waited_for.append(getattr(holder, "pid", None))
            waiting.set()

        def take() -> None:
            with hold(tmp_path, Phase.PARSE, on_wait=tell):
                waited_for.append(os.getpid())

        second = threading.Thread(target=take)
        second.start()
        assert waiting.wait(PATIENCE_S)
        process.kill()
        second.join(PATIENCE_S)
        assert waited_for == [process.pid, os.getpid()]


def test_databases_that_a_stopped_process_makes_are_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_storage, "_CREATION_PATIENCE_S", 0.1)
    with (tmp_path / record_storage._LOCK_NAME).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="it may be stopped"):
            record_storage.create_once(tmp_path / "runs.db", lambda _: None)
    record_storage.create_once(tmp_path / "runs.db", lambda folder: (folder / "runs.db").touch())
    assert (tmp_path / "runs.db").exists()


_STOPS_ITSELF = """
import os, signal, sys
from code_index.tables.lance_tables import LanceTables
merge = LanceTables.merge
def stopping(*arguments, **options):
    LanceTables.merge = merge
    done = merge(*arguments, **options)
    os.kill(os.getpid(), signal.SIGSTOP)
    return done
LanceTables.merge = stopping
sys.argv[0] = "code-index"
from indexing_assets.cli.main import main
main()
"""


def test_beside_a_stopped_run_others_wait_or_say_for_whom_and_readers_go_on(
    root: Path, said: Callable[..., Said]
) -> None:
    command = (sys.executable, "-c", _STOPS_ITSELF, "index", root)
    with started(*command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "the run to stop itself")
        refused = said("index", "--no-wait", root)
        assert refused.status == 1
        assert f"process {process.pid} on" in refused.err
        assert said("search", "function_3_2", "--path", root).status == 0
        assert f"process {process.pid} on" in said("status", root).out
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert _ALL_DONE in output
    assert resolve_index_folder(root).exists
