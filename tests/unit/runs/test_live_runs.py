"""Which runs count as dead, by what their tags say of a process."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import TagType, get_tag_type
from dagster._utils.tags import is_valid_tag_key

from code_index.system.processes import namespace
from indexing_assets.runs import live_runs
from indexing_assets.runs.live_runs import (
    HOST_TAG,
    LIVING_TAG,
    NAMESPACE_TAG,
    PROCESS_STARTED_TAG,
    PROCESS_TAG,
    RETRY_LASTING_TAG,
    RUN_TAG,
    dead_runs,
    process_tags,
    remove_locks_of_ended,
    retries_lasting,
)
from tests.waiting import started

_GONE = {HOST_TAG: socket.gethostname(), PROCESS_TAG: "999999999", PROCESS_STARTED_TAG: "1.00"}


@dg.job
def _job() -> None:
    """Nothing."""


@dg.asset
def _asset(context: dg.AssetExecutionContext) -> None:
    """Say who executes it."""
    live_runs.tag_process(context, Path())


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _run(instance: dg.DagsterInstance, tags: Mapping[str, str], parent: str | None = None) -> dg.DagsterRun:
    return instance.create_run_for_job(
        _job, tags=dict(tags), status=dg.DagsterRunStatus.STARTED, parent_run_id=parent, root_run_id=parent
    )


def _tags(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Mapping[str, str]:
    stored = instance.get_run_by_id(run.run_id)
    assert stored is not None
    return stored.tags


def _dead(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in dead_runs(instance)}


def test_a_run_whose_own_process_is_gone_is_dead(instance: dg.DagsterInstance) -> None:
    run = _run(instance, {})
    instance.add_run_tags(run.run_id, {**_GONE, RUN_TAG: run.run_id})
    assert run.run_id in _dead(instance)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_that_is_executed_again_is_not_taken_for_its_parent(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    parent = _run(instance, {})
    tags = {**_GONE, RUN_TAG: parent.run_id}
    again = instance.create_run_for_job(
        _job, tags=tags, status=status, parent_run_id=parent.run_id, root_run_id=parent.run_id
    )
    # From the launchpad with the tags of a run: Dagster knows of no parent.
    alike = instance.create_run_for_job(_job, tags=tags, status=status)
    assert not _dead(instance) & {again.run_id, alike.run_id}


def test_tags_of_before_they_were_hidden_are_understood(instance: dg.DagsterInstance) -> None:
    shown = {"code_index/host": socket.gethostname(), "code_index/pid": "999999999", "code_index/pid_started": "1.00"}
    own = _run(instance, {})
    instance.add_run_tags(own.run_id, {**shown, "code_index/run": own.run_id})
    again = _run(instance, {**shown, "code_index/run": own.run_id}, parent=own.run_id)
    assert own.run_id in _dead(instance)
    assert again.run_id not in _dead(instance)
    assert not retries_lasting(_run(instance, {"code_index/retry_lasting": "false"}))


def _elsewhere(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, **changed: str) -> dg.DagsterRun:
    """A run of a process in another container of the same host name, whose number is nobody's here."""
    run = _run(instance, {})
    with monkeypatch.context() as patch:
        patch.setattr(live_runs, "namespace", lambda: "1")
        patch.setattr(live_runs, "space_name", lambda: f"a-container-{run.run_id}")
        patch.setattr(live_runs, "share_until_the_end", lambda path: None)
        tags = process_tags(instance, run.run_id)
    instance.add_run_tags(run.run_id, {**tags, PROCESS_TAG: "999999999", **changed})
    return run


def test_a_run_of_a_container_that_lives_is_left_alone_whatever_its_numbers_are_here(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _elsewhere(instance, monkeypatch)
    living = live_runs._living(instance, _tags(instance, run)[LIVING_TAG])
    assert run.run_id not in _dead(instance), "no file: nobody can be asked"
    holder = (
        "import sys; from pathlib import Path; from code_index.system.file_locks import share_until_the_end as share\n"
    )
    with started(
        sys.executable,
        "-c",
        f"{holder}share(Path(sys.argv[1])); print(1, flush=True); input()",
        str(living),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert run.run_id not in _dead(instance)
        other.kill()
        other.wait()
        assert run.run_id in _dead(instance), "the container ended, as by a restart"


def test_a_name_of_a_file_in_a_tag_leads_nowhere_else(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "living").touch()
    run = _elsewhere(instance, monkeypatch, **{LIVING_TAG: str(tmp_path / "living")})
    assert run.run_id not in _dead(instance)


def test_a_process_of_this_container_is_seen_by_its_number(instance: dg.DagsterInstance) -> None:
    run = _run(instance, {})
    instance.add_run_tags(run.run_id, process_tags(instance, run.run_id))
    assert _tags(instance, run)[NAMESPACE_TAG] == namespace()
    assert run.run_id not in _dead(instance)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: "999999999"})
    assert run.run_id in _dead(instance)


def test_no_page_shows_the_tags_that_only_the_program_reads(instance: dg.DagsterInstance) -> None:
    tags = {*process_tags(instance, "a run"), RETRY_LASTING_TAG}
    assert {get_tag_type(tag) for tag in tags} == {TagType.HIDDEN}
    assert all(is_valid_tag_key(tag) for tag in tags)


def test_tags_of_before_they_named_a_run_count_only_without_a_parent(instance: dg.DagsterInstance) -> None:
    own = _run(instance, _GONE)
    again = _run(instance, _GONE, parent=own.run_id)
    assert own.run_id in _dead(instance)
    assert again.run_id not in _dead(instance)


def test_a_run_replaces_the_tags_that_it_inherited(instance: dg.DagsterInstance) -> None:
    tags = {**_GONE, RUN_TAG: "its parent"}
    done = dg.materialize([_asset], instance=instance, tags=tags)
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert process_tags(instance, done.run_id).items() <= run.tags.items()


def test_a_run_that_a_person_executes_again_retries_what_failed_for_a_reason_that_lasts(
    instance: dg.DagsterInstance,
) -> None:
    asked_by_a_sensor = _run(instance, {RETRY_LASTING_TAG: "false"})
    again = _run(instance, asked_by_a_sensor.tags, parent=asked_by_a_sensor.run_id)
    assert not retries_lasting(asked_by_a_sensor)
    assert retries_lasting(again)


def test_locks_of_containers_that_ended_are_removed_and_no_others(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        process_tags(instance, "a run")
        folder = tmp_path / "processes"
        (own,) = folder.iterdir()
        ended, living = folder / "ended.lock", folder / "living.lock"
        ended.touch()
        hold = (
            "import sys, time; from pathlib import Path; from code_index.system.file_locks import share_until_the_end\n"
        )
        hold += "share_until_the_end(Path(sys.argv[1])); print('holds', flush=True); time.sleep(600)"
        with started(sys.executable, "-c", hold, str(living), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "holds\n"
            assert remove_locks_of_ended(instance) == 1
            assert set(folder.iterdir()) == {own, living}
