"""What the sensors and schedules ask for, one look at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from code_index.core.model import FileStatus
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.index.locks import Duty, hold
from code_index.index.source import source_state
from code_index.repository.fingerprint import RepositoryState
from code_index.system.processes import is_this_or_above
from code_index.tables.sql import equals
from indexing_assets.automation.changes_look import WatchTimes
from indexing_assets.automation.jobs import build_asset_jobs
from indexing_assets.automation.sensor_cursor import SensorCursor
from indexing_assets.automation.sensors import build_sensors
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.planning import retry_wait
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.waiting import PATIENCE_S, started

_IMPATIENT = WatchTimes(watch_s=0, quiet_s=0.01, patience_s=0.05)
_WRITE = Callable[[Path, Mapping[str, str | bytes]], None]


class _Watched:
    """An index whose sensors are asked by hand."""

    def __init__(self, folder: IndexFolder) -> None:
        self.folder = folder
        self.pipeline = Pipeline(folder, embedder=EmbedderResource(model="deterministic"))
        self.instance = self.pipeline.instance
        self.definitions = build_defs(
            {"index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path))},
            indexes=[UNNAMED],
        )
        self.watch(_IMPATIENT)
        self.cursors: dict[str, str | None] = {}

    def watch(self, times: WatchTimes) -> None:
        """Let the sensors watch for other times than `_IMPATIENT`."""
        sensors = build_sensors(UNNAMED, build_asset_jobs(UNNAMED), dg.DefaultSensorStatus.STOPPED, times)
        self.sensors = {sensor.name: sensor for sensor in sensors}

    def look(self, name: str) -> tuple[list[dg.RunRequest], str]:
        """One tick: the run requests, and the reason where there are none."""
        sensor = self.sensors[name]
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            resources={
                "index": IndexResource(
                    repository_root=str(self.folder.repository_root), index_dir=str(self.folder.path)
                ),
                "embedder": EmbedderResource(model="deterministic"),
            },
            repository_def=self.definitions.get_repository_def(),
        ) as context:
            data = sensor.evaluate_tick(context)
        if data.cursor is not None:
            self.cursors[name] = data.cursor
        return list(data.run_requests or []), data.skip_message or ""

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(request.job_name or "").execute_in_process(
            instance=self.instance, tags=dict(request.tags), raise_on_error=False
        )

    def changes(self) -> tuple[list[dg.RunRequest], str]:
        return self.look("repo_changes_sensor")

    def pending(self) -> tuple[list[dg.RunRequest], str]:
        return self.look("pending_chunks_sensor")


@pytest.fixture
def watched(small_repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Watched]:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    one = _Watched(resolve_index_folder(small_repository))
    with one.pipeline:
        yield one


def _indexed(watched: _Watched) -> None:
    results = (watched.pipeline.scan(), watched.pipeline.parse(), watched.pipeline.embed())
    assert [result.error for result in results] == [None] * 3


def test_a_first_look_asks_for_a_scan_then_for_parsing_then_for_vectors_then_for_nothing(watched: _Watched) -> None:
    (scan,), _ = watched.changes()
    assert scan.job_name == "scan_source_files_job"
    assert watched.execute(scan).success
    (parse,), _ = watched.changes()
    assert parse.job_name == "parse_chunks_job"
    assert watched.execute(parse).success
    (embed,), _ = watched.pending()
    assert embed.job_name == "embed_chunks_job"
    assert watched.execute(embed).success
    assert watched.changes() == ([], "The index is up to date with the repository.")
    assert watched.pending() == ([], "Every chunk has its vector, or failed for a reason that lasts.")


# As Dagster's code server does it: definitions in the main thread, each look in one of its own.
_LOOKS_AT_ONCE = """
import datetime, sys, threading, traceback
import dagster as dg
from indexing_assets.definitions import defs
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource

sys.setswitchinterval(1e-5)
assert "lancedb" not in sys.modules
repository = defs.get_repository_def()
with dg.DagsterInstance.get() as instance:
    given = {"instance": instance, "resources": {"index": IndexResource(), "embedder": EmbedderResource()}}
    now = datetime.datetime.now(datetime.UTC)
    looks = [(sensor, lambda: dg.build_sensor_context(**given)) for sensor in repository.sensor_defs]
    looks += [
        (schedule, lambda: dg.build_schedule_context(scheduled_execution_time=now, **given))
        for schedule in repository.schedule_defs
    ]
    begin = threading.Barrier(4 * len(looks))

    def look(asked, context):
        begin.wait()
        try:
            told = asked.evaluate_tick(context())
            print(f"{asked.name}: {told.skip_message or 'runs'}\\n", end="")
        except BaseException:
            traceback.print_exc()

    threads = [threading.Thread(target=look, args=one) for one in looks * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert "lancedb" in sys.modules
"""


def test_sensors_and_schedules_that_first_look_all_at_once_answer_as_ever(watched: _Watched) -> None:
    assert watched.pipeline.scan().error is None
    done = subprocess.run(
        [sys.executable, "-c", _LOOKS_AT_ONCE], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    # A look holds the lock while it orders keys; another one at that moment says so, and the next tick looks again.
    answers = [
        "repo_changes_sensor: runs" if line.startswith("repo_changes_sensor: IndexBusyError: ") else line
        for line in done.stdout.splitlines()
    ]
    assert "repo_changes_sensor: runs" in done.stdout.splitlines()
    assert Counter(answers) == {
        "repo_changes_sensor: runs": 4,
        "pending_chunks_sensor: Every chunk has its vector, or failed for a reason that lasts.": 4,
        "retry_transient_failures_schedule: Nothing that failed is due for another attempt.": 4,
        "maintenance_schedule: runs": 4,
    }


def test_an_edit_is_one_run_over_exactly_the_new_file_versions(watched: _Watched, write: _WRITE) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"app/greeting.py": "def edited():\n    return 1\n", "new.py": "NEW = 1\n"})
    (request,), _ = watched.changes()
    assert request.job_name == "index_changes_job"
    before = set(watched.instance.get_materialized_partitions(dg.AssetKey("parsed_chunks")))
    assert watched.execute(request).success
    parsed = watched.instance.get_materialized_partitions(dg.AssetKey("parsed_chunks")) - before
    assert {key.split(":", 1)[1] for key in parsed} == {"app/greeting.py", "new.py"}
    assert watched.changes()[0] == []


def test_a_deleted_file_is_a_scan_alone(watched: _Watched) -> None:
    _indexed(watched)
    (watched.folder.repository_root / "settings.toml").unlink()
    (request,), _ = watched.changes()
    assert request.job_name == "scan_source_files_job"
    assert watched.execute(request).success
    assert "settings.toml" not in watched.pipeline.store.chunks.read(["file_path"])["file_path"].to_pylist()
    assert watched.changes()[0] == []


def test_a_version_that_is_edited_again_before_its_run_starts_does_no_harm(watched: _Watched, write: _WRITE) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"app/greeting.py": "def edited():\n    return 1\n"})
    (request,), _ = watched.changes()
    write(watched.folder.repository_root, {"app/greeting.py": "def edited_again():\n    return 2\n"})
    assert watched.execute(request).success
    assert {key.split(":", 1)[0] for key in watched.instance.get_dynamic_partitions("file_hash")} == {
        value[:12]
        for value in watched.pipeline.store.files.read(
            columns=["file_hash"], where=f"status != '{FileStatus.SKIPPED.value}'"
        )["file_hash"].to_pylist()
    }
    (rest,), _ = watched.changes()
    assert watched.execute(rest).success
    names = watched.pipeline.store.chunks.read(["function_name"])["function_name"].to_pylist()
    assert "edited_again" in names
    assert "edited" not in names


def test_nothing_is_asked_for_while_a_run_is_queued(watched: _Watched, write: _WRITE) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    (request,), _ = watched.changes()
    run = watched.instance.create_run_for_job(
        watched.definitions.resolve_job_def(request.job_name or ""), tags=dict(request.tags)
    )
    requests, reason = watched.changes()
    assert requests == []
    assert run.run_id in reason


def test_what_was_asked_for_and_did_not_come_about_is_asked_for_again_after_a_wait(
    watched: _Watched, write: _WRITE, monkeypatch: pytest.MonkeyPatch
) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    (first,), _ = watched.changes()
    requests, reason = watched.changes()
    assert requests == []
    assert "asked for 1 times" in reason
    cursor = SensorCursor.from_text(watched.cursors["repo_changes_sensor"])
    watched.cursors["repo_changes_sensor"] = replace(cursor, requested_at_s=0.0).to_text()
    (second,), _ = watched.changes()
    assert second.run_key != first.run_key
    assert second.tags == first.tags


def test_a_lost_cursor_gives_the_same_run_key_so_that_dagster_drops_it(watched: _Watched, write: _WRITE) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    (first,), _ = watched.changes()
    watched.cursors.clear()
    (second,), _ = watched.changes()
    assert first.run_key == second.run_key


def test_a_repository_that_is_gone_is_a_skip_with_its_reason_and_costs_nothing(watched: _Watched) -> None:
    _indexed(watched)
    chunks = watched.pipeline.store.statuses.count(watched.pipeline.model_id)
    root = watched.folder.repository_root
    elsewhere = root.with_name("elsewhere")
    for entry in list(root.iterdir()):
        if entry.name != ".code-index":
            elsewhere.mkdir(exist_ok=True)
            entry.rename(elsewhere / entry.name)
    requests, reason = watched.changes()
    assert requests == []
    assert "is empty" in reason
    assert watched.pipeline.store.statuses.count(watched.pipeline.model_id) == chunks


def test_a_repository_that_never_rests_is_taken_up_after_a_while(
    watched: _Watched, write: _WRITE, monkeypatch: pytest.MonkeyPatch
) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    monkeypatch.setattr("indexing_assets.automation.changes_look.settled_state", lambda *_, **__: None)
    requests, reason = watched.changes()
    assert requests == []
    assert "waiting for a pause" in reason
    write(watched.folder.repository_root, {"new.py": "NEW = 22\n"})
    cursor = SensorCursor.from_text(watched.cursors["repo_changes_sensor"])
    watched.cursors["repo_changes_sensor"] = replace(cursor, restless_since_s=0.0).to_text()
    (request,), _ = watched.changes()
    assert request.job_name == "index_changes_job"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the sensor of changes, in seconds since 1970, which only a test moves on."""
    now = [time.time()]
    monkeypatch.setattr("indexing_assets.automation.changes_look.time.time", lambda: now[0])
    return now


def test_beside_many_indexes_the_next_look_tells_whether_an_edit_is_over(
    watched: _Watched, write: _WRITE, clock: list[float]
) -> None:
    _indexed(watched)
    watched.watch(WatchTimes.of_round(300))
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    waiting = ([], "The repository is changing; waiting for a pause.")
    assert watched.changes() == waiting
    clock[0] += WatchTimes().quiet_s - 0.1
    assert watched.changes() == waiting
    write(watched.folder.repository_root, {"new.py": "NEW = 22\n"})
    clock[0] += 5
    assert watched.changes() == waiting, "it was another state that stayed for 5 seconds"
    clock[0] += 5
    (request,), _ = watched.changes()
    assert request.job_name == "index_changes_job"


def test_beside_many_indexes_a_clock_that_is_set_back_does_not_make_an_edit_wait_for_longer(
    watched: _Watched, write: _WRITE, clock: list[float]
) -> None:
    _indexed(watched)
    watched.watch(WatchTimes.of_round(300))
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    watched.changes()
    clock[0] -= 1e6
    assert watched.changes()[0] == []
    clock[0] += 1
    assert len(watched.changes()[0]) == 1


@pytest.mark.parametrize(("indexes", "reads"), [(300, 1), (1, 9)])
def test_how_often_a_look_reads_a_repository_that_does_not_change(
    watched: _Watched, monkeypatch: pytest.MonkeyPatch, indexes: int, reads: int
) -> None:
    _indexed(watched)
    watched.changes()
    watched.watch(WatchTimes.of_round(indexes))
    module = "indexing_assets.automation.changes_look"
    states, now = [], [0.0]

    def state(*_: object) -> RepositoryState:
        states.append(source_state(watched.folder, watched.folder.settings()))
        return states[-1]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(f"{module}.source_state", state)
    monkeypatch.setattr(f"{module}.time", SimpleNamespace(time=time.time, monotonic=lambda: now[0], sleep=sleep))
    assert watched.changes() == ([], "The index is up to date with the repository.")
    assert len(states) == reads


def test_a_clock_that_is_set_back_does_not_make_a_restless_repository_wait_for_longer(
    watched: _Watched, write: _WRITE, monkeypatch: pytest.MonkeyPatch
) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    monkeypatch.setattr("indexing_assets.automation.changes_look.settled_state", lambda *_, **__: None)
    watched.cursors["repo_changes_sensor"] = SensorCursor(restless_since_s=time.time() + 1e8).to_text()
    assert "waiting for a pause" in watched.changes()[1]
    cursor = SensorCursor.from_text(watched.cursors["repo_changes_sensor"])
    assert cursor.restless_since_s is not None
    assert cursor.restless_since_s <= time.time()


def test_batches_that_a_crash_left_behind_are_embedded(watched: _Watched) -> None:
    _indexed(watched)
    store = watched.pipeline.store
    lost = store.vectors.read(["chunk_id"], equals("file_path", "app/greeting.py")).column("chunk_id").to_pylist()
    store.vectors.delete(lost)
    (request,), _ = watched.pending()
    assert watched.execute(request).success
    counts = watched.pipeline.store.statuses.count(watched.pipeline.model_id)
    assert counts["pending"] == 0
    assert watched.pending()[0] == []


def test_the_run_of_a_killed_process_is_closed_and_its_work_asked_for(watched: _Watched, write: _WRITE) -> None:
    _indexed(watched)
    write(watched.folder.repository_root, {"new.py": "NEW = 1\n"})
    job = watched.definitions.resolve_job_def("scan_source_files_job")
    dead = watched.instance.create_run_for_job(
        job,
        tags={"code_index/host": os.uname().nodename, "code_index/pid": "999999", "code_index/pid_started": "1.00"},
        status=dg.DagsterRunStatus.STARTED,
    )
    (request,), _ = watched.changes()
    assert request.job_name == "index_changes_job"
    closed = watched.instance.get_run_by_id(dead.run_id)
    assert closed is not None
    assert closed.status is dg.DagsterRunStatus.FAILURE


def test_pending_chunks_of_an_index_that_is_not_there_are_a_skip_with_the_way_out(tmp_path: Path) -> None:
    repository = tmp_path / "empty"
    repository.mkdir()
    index = IndexResource(repository_root=str(repository))
    _, sensor = build_sensors(UNNAMED, build_asset_jobs(UNNAMED), dg.DefaultSensorStatus.STOPPED)
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(
            instance=instance, resources={"index": index, "embedder": EmbedderResource(model="deterministic")}
        ) as context,
    ):
        data = sensor.evaluate_tick(context)
    assert data.run_requests == []
    assert "code-index index" in (data.skip_message or "")
    assert list(repository.iterdir()) == []


def test_the_back_off_grows_to_a_day() -> None:
    minutes = [retry_wait(attempts).total_seconds() / 60 for attempts in range(1, 8)]
    assert minutes == [5, 20, 80, 320, 1280, 1440, 1440]


_HOLD = """
import sys
from pathlib import Path
from code_index.index.locks import Duty, hold
with hold(Path(sys.argv[1]), Duty.FOLLOW, wait_s=0):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_sensors_leave_a_repository_to_the_process_that_follows_it(watched: _Watched, write: _WRITE) -> None:
    write(watched.folder.repository_root, {"added.py": "def added():\n    return 1\n"})
    command = [sys.executable, "-c", _HOLD, str(watched.folder.locks_dir)]
    with started(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        for name in watched.sensors:
            requests, reason = watched.look(name)
            assert requests == []
            assert f"process {process.pid} on" in reason
            assert reason.endswith("follows the repository at the moment.")
        process.stdin.close()
        process.wait(PATIENCE_S)
    assert watched.changes()[0], "once it has ended, they look again"


def test_sensors_of_the_process_that_follows_go_on(watched: _Watched, write: _WRITE) -> None:
    write(watched.folder.repository_root, {"added.py": "def added():\n    return 1\n"})
    with hold(watched.folder.locks_dir, Duty.FOLLOW, wait_s=0):
        assert watched.changes()[0]
    assert is_this_or_above(os.getppid())
    assert not is_this_or_above(2**22)
