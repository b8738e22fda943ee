"""The repository changes in every way while and between it is indexed: the index is that of what is there.

All through the pipeline. What a scan makes of each kind of file is in `test_source_repository_*.py`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psutil
import pytest

from code_index.index.contents import failed_files
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.system import processes
from code_index.tables import IndexStore
from indexing_assets.assets import chunk_vectors, embed_run, parse_run, source_files
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.live_runs import dead_runs
from indexing_assets.runs.planning import transient_failures_due
from tests.checkout import git
from tests.fakes import Faulty, GivenEmbedder, give, obstruct
from tests.faults.harness import findings, fresh_state, small_steps, write_module, write_repository
from tests.waiting import started, wait_until

Write = Callable[[Path, Mapping[str, str | bytes]], None]


@pytest.fixture
def embedder() -> Faulty:
    return give(Faulty())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def pipeline(small_repository: Path, embedder: Faulty, small: None) -> Iterator[Pipeline]:
    with Pipeline(resolve_index_folder(small_repository), embedder=GivenEmbedder()) as opened:
        yield opened


def run_all(pipeline: Pipeline) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3


def assert_as_fresh(pipeline: Pipeline, place: Path) -> None:
    root = pipeline.folder.repository_root
    assert not findings(root, fresh_state(root, place))


def paths(pipeline: Pipeline, table: str) -> set[str]:
    rows = getattr(pipeline.store, table).read(["file_path"])
    return set(rows["file_path"].to_pylist())


# --- while it is indexed


def test_what_is_stored_of_a_file_that_is_edited_without_a_pause_is_one_version_with_its_own_hash(
    tmp_path: Path, embedder: Faulty, small: None
) -> None:
    root = write_repository(tmp_path / "repository")
    versions = {root / f"module_{at:02}.py": {0: b""} for at in range(4)}
    for path in versions:
        versions[path] = {hashlib.sha256(path.read_bytes()).hexdigest(): path.read_bytes()}
    over = threading.Event()

    def edit() -> None:
        number = 1_000
        while not over.wait(0.002):
            for path, known in versions.items():
                number += 1
                content = f"def edited_{number}(x):\n    return x\n\n\n".encode() * (number % 40 + 1)
                known[hashlib.sha256(content).hexdigest()] = content
                path.write_bytes(content)  # in place: a reader may see the half of it

    editor = threading.Thread(target=edit)
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as pipeline:
        editor.start()
        try:
            for _ in range(3):
                assert pipeline.scan().error is None
                pipeline.parse()
                assert pipeline.embed().error is None
                _assert_versions(pipeline.store, root, versions)
        finally:
            over.set()
            editor.join()
        run_all(pipeline)
        _assert_versions(pipeline.store, root, versions)
        assert_as_fresh(pipeline, tmp_path)


def _assert_versions(store: IndexStore, root: Path, versions: Mapping[Path, Mapping[str, bytes]]) -> None:
    for row in store.chunks.read(["file_path", "file_hash", "content"]).to_pylist():
        known = versions.get(root / row["file_path"])
        if known is None:
            continue
        # Half-written files are versions as well: of such only the hash is not known beforehand.
        contents = [known[row["file_hash"]]] if row["file_hash"] in known else list(known.values())
        assert any(row["content"].encode() in content for content in contents), row


def test_a_file_that_vanishes_between_scan_and_parse_fails_nothing_and_is_gone_after_the_next_scan(
    pipeline: Pipeline, small_repository: Path, tmp_path: Path
) -> None:
    assert pipeline.scan().error is None
    (small_repository / "docs/guide.md").unlink()
    assert pipeline.parse().error is None
    assert not failed_files(pipeline.store)
    assert paths(pipeline, "chunks") == {"app/greeting.py", "web/getUserName.ts", "settings.toml"}
    run_all(pipeline)
    assert_as_fresh(pipeline, tmp_path)


@pytest.mark.parametrize("when", ["before the scan", "between scan and parse"])
def test_a_file_becomes_a_folder_and_a_folder_a_file(
    pipeline: Pipeline, small_repository: Path, tmp_path: Path, write: Write, when: str
) -> None:
    run_all(pipeline)
    write(small_repository, {"settings.toml": "[edited]\nport = 1\n", "docs/guide.md": "# Edited\n\nText.\n"})
    if when == "between scan and parse":
        assert pipeline.scan().error is None
    (small_repository / "settings.toml").unlink()
    (small_repository / "docs/guide.md").unlink()
    (small_repository / "docs").rmdir()
    write(small_repository, {"settings.toml/deep/inner.py": "def inner():\n    return 1\n", "docs": "# Now a file\n"})
    if when == "between scan and parse":
        assert pipeline.parse().partial
        assert [(item.file_path, item.transient) for item in failed_files(pipeline.store)] == [("settings.toml", True)]
        assert not search(pipeline.store, None, "text", mode=SearchMode.LEXICAL), "docs/guide.md is gone"
    run_all(pipeline)
    assert paths(pipeline, "vectors") == {
        "app/greeting.py",
        "web/getUserName.ts",
        "settings.toml/deep/inner.py",
        "docs",
    }
    assert_as_fresh(pipeline, tmp_path)


def test_search_shows_only_current_versions_between_the_steps_of_an_edit(
    pipeline: Pipeline, small_repository: Path, embedder: Faulty, write: Write
) -> None:
    def found(query: str) -> set[tuple[str, bool]]:
        hits = [hit for mode in SearchMode for hit in search(pipeline.store, embedder, query, mode=mode, limit=100)]
        return {(hit.file_path, "def quagga" in hit.content) for hit in hits if hit.file_path.endswith("greeting.py")}

    run_all(pipeline)
    old = (small_repository / "app/greeting.py").read_text(encoding="utf-8")
    write(small_repository, {"app/greeting.py": "def quagga():\n    return 'greet a person by name'\n"})
    assert pipeline.scan().error is None
    assert found("greet a person by name") == set(), "scanned, not parsed: the old version is not current any more"
    assert pipeline.parse().error is None
    assert found("greet a person by name") == {("app/greeting.py", True)}, "parsed, not embedded: by its words alone"
    assert search(pipeline.store, embedder, "greet", mode=SearchMode.SEMANTIC, limit=100), "the others as ever"
    assert "app/greeting.py" not in paths(pipeline, "vectors"), "vectors of the old version are gone in the same run"
    assert pipeline.embed().error is None
    assert found("greet a person by name") == {("app/greeting.py", True)}

    (small_repository / "app/greeting.py").rename(small_repository / "app/moved_greeting.py")
    write(small_repository, {"app/moved_greeting.py": old})
    assert pipeline.scan().error is None
    assert found("greet a person by name") == set()
    run_all(pipeline)
    assert found("greet a person by name") == {("app/moved_greeting.py", False)}


# --- between two runs


def test_rows_of_what_is_gone_vanish_from_chunks_and_vectors_in_the_same_run(
    pipeline: Pipeline, small_repository: Path
) -> None:
    run_all(pipeline)
    (small_repository / "settings.toml").unlink()
    (small_repository / "web/getUserName.ts").rename(small_repository / "web/other.ts")
    (small_repository / ".gitignore").write_text("docs/\n", encoding="utf-8")
    assert pipeline.scan().error is None
    assert paths(pipeline, "chunks") == paths(pipeline, "vectors") == {"app/greeting.py"}


def test_a_rename_of_cases_alone_leaves_one_file(pipeline: Pipeline, small_repository: Path, tmp_path: Path) -> None:
    run_all(pipeline)
    (small_repository / "app/greeting.py").rename(small_repository / "app/Greeting.py")
    (small_repository / "docs").rename(small_repository / "Docs")
    run_all(pipeline)
    assert paths(pipeline, "vectors") == {"app/Greeting.py", "web/getUserName.ts", "settings.toml", "Docs/guide.md"}
    assert_as_fresh(pipeline, tmp_path)


def test_a_changed_mode_or_time_costs_neither_parsing_nor_embedding(
    pipeline: Pipeline, small_repository: Path, embedder: Faulty, tmp_path: Path
) -> None:
    run_all(pipeline)
    embedder.asked.clear()
    (small_repository / "app/greeting.py").chmod(0o755)
    os.utime(small_repository / "docs/guide.md", (1_000_000_000, 1_000_000_000))  # backwards
    os.utime(small_repository / "settings.toml", (4_000_000_000, 4_000_000_000))  # into the future
    assert pipeline.scan().error is None
    assert (pipeline.parse().partitions, pipeline.embed().partitions, embedder.asked) == (0, 0, [])
    assert_as_fresh(pipeline, tmp_path)


def test_an_edit_whose_time_goes_backwards_is_indexed(
    pipeline: Pipeline, small_repository: Path, tmp_path: Path
) -> None:
    run_all(pipeline)
    path = small_repository / "app/greeting.py"
    path.write_text(path.read_text(encoding="utf-8").replace("hello", "howdy"), encoding="utf-8")  # of equal size
    os.utime(path, (1_000_000_000, 1_000_000_000))
    run_all(pipeline)
    assert any("howdy" in content for content in pipeline.store.chunks.read(["content"])["content"].to_pylist())
    assert_as_fresh(pipeline, tmp_path)


def test_an_edit_that_keeps_size_and_time_is_found_by_a_verifying_scan(
    pipeline: Pipeline, small_repository: Path, tmp_path: Path
) -> None:
    run_all(pipeline)
    path = small_repository / "app/greeting.py"
    before = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("hello", "howdy"), encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    run_all(pipeline)
    contents = pipeline.store.chunks.read(["content"])["content"].to_pylist
    assert not any("howdy" in content for content in contents()), "no scan can see this by size and time"
    assert pipeline.scan(verify=True).error is None
    run_all(pipeline)
    assert any("howdy" in content for content in pipeline.store.chunks.read(["content"])["content"].to_pylist())
    assert_as_fresh(pipeline, tmp_path)


def test_branches_switched_back_and_forth_cost_no_model_call_once_both_were_indexed(
    tmp_path: Path, embedder: Faulty, small: None
) -> None:
    root = write_repository(tmp_path / "repository")

    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=main")
    git(root, "switch", "--quiet", "--create", "other")
    write_module(root / "module_01.py", 101)
    write_module(root / "added.py", 102)
    (root / "module_02.py").unlink()
    (root / "module_03.py").rename(root / "renamed.py")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=other")
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as pipeline:
        seen: dict[str, pl.DataFrame] = {}
        for turn, branch in enumerate(["main", "other", "main", "other", "main"]):
            git(root, "switch", "--quiet", branch)
            embedder.asked.clear()
            run_all(pipeline)
            assert bool(embedder.asked) == (turn < 2), f"turn {turn}: {len(embedder.asked)} texts embedded"
            rows = pl.DataFrame(pipeline.store.vectors.read()).drop("embedded_at").sort("chunk_id")
            assert rows.equals(seen.setdefault(branch, rows)), f"turn {turn}"
        assert_as_fresh(pipeline, tmp_path)


# For root, permissions do not count, unless it gives that right (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) away; the
# parser processes start without it as well. Source: capabilities(7), prctl(2).
_UNDER_PERMISSIONS = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):
        assert ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""
_STEPS = """
import sys
from indexing_assets.operations.pipeline import Pipeline
from code_index.index.contents import failed_files
from code_index.index.folder import resolve_index_folder
with Pipeline(resolve_index_folder(sys.argv[1])) as pipeline:
    def step(action):
        result = getattr(pipeline, action)()
        print(action, bool(result.error), [(f.file_path, f.transient) for f in failed_files(pipeline.store)], flush=True)
    def wait():
        print("ready", flush=True)
        sys.stdin.readline()
    for action in ("scan", "parse", "embed"):
        step(action)
    wait()      # two files are edited; one of them loses its permission
    step("scan")
    wait()      # the other one as well, between scan and parse
    step("parse")
    wait()      # both are back
    for action in ("scan", "parse", "embed"):
        step(action)
    print(sorted(set(pipeline.store.vectors.read(["file_path"])["file_path"].to_pylist())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="how root gives up a right is Linux's own")
def test_a_file_whose_permission_is_lost_keeps_what_was_indexed_or_fails_alone_and_comes_back(
    tmp_path: Path, write: Write, small: None
) -> None:
    root = tmp_path / "repository"
    write(root, {"kept.py": "def kept():\n    return 1\n", "lost.py": "def lost():\n    return 2\n", "x.py": "x = 1\n"})
    with started(
        *(sys.executable, "-c", _UNDER_PERMISSIONS, _STEPS, root),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        _lose_permissions(process, root, write)


def _lose_permissions(process: subprocess.Popen[str], root: Path, write: Write) -> None:
    assert process.stdout is not None
    assert process.stdin is not None

    def until_ready() -> list[str]:
        lines = []
        while (line := process.stdout.readline()) not in {"ready\n", ""}:
            lines.append(line.strip())
        return lines

    def go_on() -> None:
        process.stdin.write("\n")
        process.stdin.flush()

    assert until_ready() == ["scan False []", "parse False []", "embed False []"]
    write(root, {"kept.py": "def kept_edited():\n    return 1\n", "lost.py": "def lost_edited():\n    return 2\n"})
    (root / "kept.py").chmod(0)
    go_on()
    assert until_ready() == ["scan False []"], "what cannot be read is a warning; what is indexed of it stays"
    (root / "lost.py").chmod(0)
    go_on()
    assert until_ready() == ["parse True [('lost.py', True)]"]
    for name in ("kept.py", "lost.py"):
        (root / name).chmod(0o644)
    go_on()
    assert until_ready() == [
        "scan False [('lost.py', True)]",
        "parse False []",
        "embed False []",
        "['kept.py', 'lost.py', 'x.py']",
    ]


# --- the clock


class _Clock(datetime):
    """A clock that is behind, by `behind`."""

    behind = timedelta(0)

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - cls.behind


def test_a_clock_that_is_set_back_loses_nothing_and_delays_nothing(
    pipeline: Pipeline,
    small_repository: Path,
    tmp_path: Path,
    write: Write,
    embedder: Faulty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_all(pipeline)
    (small_repository / "settings.toml").unlink()
    run_all(pipeline)  # retired vectors, with a time that will lie in the future
    for module in (parse_run, embed_run, chunk_vectors, source_files):
        monkeypatch.setattr(module, "datetime", _Clock)
    monkeypatch.setattr(_Clock, "behind", timedelta(days=400))
    embedder.asked.clear()
    write(small_repository, {"app/greeting.py": "def edited():\n    return 1\n"})
    run_all(pipeline)
    assert len(embedder.asked) == 1
    assert pipeline.cleanup().error is None
    write(small_repository, {"settings.toml": '[server]\nport = 8080\nhost = "localhost"\n'})
    embedder.asked.clear()
    run_all(pipeline)
    assert embedder.asked == [], "a vector that was put aside is still there"
    assert_as_fresh(pipeline, tmp_path)


def test_a_failure_in_the_future_is_due_at_once_rather_than_in_years(
    pipeline: Pipeline, small_repository: Path
) -> None:
    assert pipeline.scan().error is None
    obstruct(small_repository / "docs/guide.md")
    assert pipeline.parse().partial
    year_before = datetime.now(UTC) - timedelta(days=365)
    assert len(transient_failures_due(pipeline.store, pipeline.model_id, year_before)["parsed_chunks"]) == 1
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert transient_failures_due(pipeline.store, pipeline.model_id, soon)["parsed_chunks"] == []


def test_a_sensor_asks_again_after_its_wait_whatever_the_clock_says() -> None:
    cursor = SensorCursor().asked("a run", 1_000_000.0)
    assert cursor.wait_s("a run", 1_000_000.0) == 10
    assert cursor.wait_s("a run", 1.0) == 10, "never longer than the wait itself"


def test_a_living_process_is_not_taken_for_dead_when_the_clock_is_set(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    from indexing_assets.runs.live_runs import process_tags

    @dg.job
    def some_job() -> None:
        """Nothing."""

    with started(sys.executable, "-c", "input()", stdin=subprocess.PIPE) as other:
        run = pipeline.instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED)
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: other.pid)
            pipeline.instance.add_run_tags(run.run_id, process_tags(pipeline.instance, run.run_id))
        # What the clock moves: the time of day at which the machine started, and so all processes.
        boot_time = psutil.boot_time()
        monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: boot_time - 3_600)
        assert dead_runs(pipeline.instance) == []
        other.kill()
        # Not waited for yet: a process that is dead and on the list all the same.
        wait_until(lambda: not processes.start_stamp(other.pid), "the process is dead")
        assert [dead.run_id for dead in dead_runs(pipeline.instance)] == [run.run_id]
    assert processes.start_stamp(other.pid) == ""
