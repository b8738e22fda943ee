"""Fixtures of the whole suite: an environment of its own, small repositories, open pipelines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import psutil
import pytest

from code_index.core.object_stores import PATIENCE_S as STORE_PATIENCE_S
from code_index.core.object_stores import be_patient
from code_index.index.trust import STATE_VARIABLE
from code_index.parsing.kept_parser import OF_THIS_PROCESS
from code_index.search.freshness import COMPARING_THREAD
from tests.object_store import ObjectStore
from tests.waiting import PATIENCE_S, if_running

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# Else one test would have the vectors of another.
_NO_LIBRARY = ("CODE_INDEX_LIBRARY_BYTES", "0")
_OWN_PREFIXES = ("CODE_INDEX_", "DAGSTER_", "GIT_", "AWS_")


@pytest.fixture(scope="session", autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The indexes that the suite makes are remembered in a folder of its own, and share no vectors, for fixtures of any scope."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(tmp_path_factory.mktemp("state")))
        patch.setenv(*_NO_LIBRARY)
        yield


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """A test waits for every process that it starts: the next one would otherwise pay for it."""
    before = _children()
    yield
    for thread in threading.enumerate():
        if thread.name == COMPARING_THREAD:  # an answer does not wait for it to its end
            thread.join()
    be_patient(STORE_PATIENCE_S)  # a run of an index at a store waits longer than others
    OF_THIS_PROCESS.end()  # a parser that waits for the next run, where a pipeline of the module is open
    left = {child: _described(child) for child in _children() - before}
    for child in left:
        child.kill()
        child.wait()
    assert not left, f"processes that the test left behind: {', '.join(left.values())}"


def _children() -> set[psutil.Process]:
    """Child processes, those too that ended and that nobody waited for."""
    try:
        # One system call where there is none, which is nearly always.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return set(psutil.Process().children())


def _described(child: psutil.Process) -> str:
    return f"{child.pid} ({if_running(child.status, 'ended')}) {' '.join(if_running(child.cmdline, []))}"


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM do in a test what they do in a terminal, however the suite was started.

    What is started in the background often ignores SIGINT, and child processes inherit what is ignored.
    """
    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting, git configuration or Dagster home of the machine reaches a test, and none of a test leaves it."""
    before = dict(os.environ)
    cache = before.get("CODE_INDEX_CACHE_DIR", str(_shared_cache()))  # of the real home, which is about to change
    umask = os.umask(0o022)
    for name in list(os.environ):
        if name.startswith(_OWN_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", cache)
    monkeypatch.setenv(*_NO_LIBRARY)
    yield
    os.umask(umask)
    for name in set(os.environ) - set(before):
        del os.environ[name]


def _shared_cache() -> Path:
    """One cache for all tests: the model is exported once."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    return Path(root) / "code-index"


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3-compatible store for all tests of a process; it stays up: a test that kills one starts its own."""
    with ObjectStore(tmp_path_factory.mktemp("object_store")) as store:
        yield store


@pytest.fixture(scope="module", params=["folder", "store"])
def store_or_none(request: pytest.FixtureRequest) -> ObjectStore | None:
    """A store, started before the test, which would else have to end it; None stands for a folder."""
    return request.getfixturevalue("object_store") if request.param == "store" else None


@pytest.fixture
def address(store_or_none: ObjectStore | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place of each kind, for what both owe."""
    if store_or_none is not None:
        return store_or_none.new_place(monkeypatch)
    (tmp_path / "place").mkdir()
    return str(tmp_path / "place")


@pytest.fixture
def small_repository(tmp_path: Path) -> Path:
    """A folder with a few files of several languages."""
    return write_small_repository(tmp_path / "repository")


def write_small_repository(root: Path) -> Path:
    """Write the files of `small_repository`."""
    write_files(
        root,
        {
            "app/greeting.py": (
                'GREETING = "hello"\n\n\ndef greet(name: str) -> str:\n    """Greet a person by name."""\n'
                '    return f"{GREETING} {name}"\n\n\nclass Counter:\n    """Counts visits."""\n\n'
                "    def __init__(self) -> None:\n        self.visits = 0\n\n"
                "    def increment(self, step: int = 1) -> int:\n        self.visits += step\n        return self.visits\n"
            ),
            "web/getUserName.ts": (
                "export function getUserName(id: number): string {\n  if (id > 0) {\n    return lookup(id);\n  }\n"
                '  return "nobody";\n}\n\nfunction lookup(id: number): string {\n  return `user ${id}`;\n}\n'
            ),
            "docs/guide.md": "# Guide\n\nHow to install.\n\n## Usage\n\nRun the program and read its output.\n",
            "settings.toml": '[server]\nport = 8080\nhost = "localhost"\n',
        },
    )
    return root


def write_files(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files with an mtime in the past, so that a scan may trust their times."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        _age(path)


_age_s = [1_600_000_000]


def _age(path: Path) -> None:
    _age_s[0] += 1  # another time for each write: an edit must not look unchanged
    os.utime(path, (_age_s[0], _age_s[0]))


@pytest.fixture(scope="session")
def make_small_repository() -> Callable[[Path], Path]:
    """`write_small_repository`, for fixtures of modules."""
    return write_small_repository


@pytest.fixture(scope="session")
def fresh_dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `DAGSTER_HOME` with every database made once, for tests to copy: making them takes seconds."""
    import dagster as dg

    from resources.instance_config import instance_config

    home = tmp_path_factory.mktemp("dagster_home")
    (home / "dagster.yaml").write_text(instance_config(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.get() as instance:
            instance.get_runs()
            instance.all_instigator_state()
    return home


@pytest.fixture
def write() -> Callable[[Path, Mapping[str, str | bytes]], None]:
    """`write_files`, for tests."""
    return write_files


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `code-index` in a process of its own, with the deterministic embedder."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")

    def run(*arguments: object, cwd: Path | None = None, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "indexing_assets.cli.main", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if check is not None:
            assert done.returncode == check, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
