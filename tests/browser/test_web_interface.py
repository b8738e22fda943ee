"""What a person does in Dagster's web interface, done by clicks in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.live_runs import RUN_TAG
from tests.fakes import obstruct
from tests.waiting import PATIENCE_S, started, wait_until

_PARSED = dg.AssetKey("parsed_chunks")
_LOCATION = "/locations/indexing_assets.definitions"

pytestmark = pytest.mark.slow


def _repository(root: Path, files: int = 4) -> Path:
    for number in range(files):
        path = root / f"src/module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def function_{number}(x):\n    return x + {number}\n", encoding="utf-8")
    return root


def _scan(root: Path) -> list[str]:
    """Scan a repository; the partition keys."""

    def scanned() -> list[str]:
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert pipeline.scan().error is None
            return list(pipeline.instance.get_dynamic_partitions("file_hash"))

    # Playwright keeps an event loop in this thread, and Dagster starts one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(scanned).result()


def _materialized(ui: Any) -> set[str]:
    return set(ui.ask(lambda instance: instance.get_materialized_partitions(_PARSED)))


def _open_dialog(page: Any) -> Any:
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Partition selection").wait_for()
    return dialog


@pytest.fixture(autouse=True)
def deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")


def test_a_person_opens_the_lineage_and_materializes_one_partition(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], browser: Any
) -> None:
    root = _repository(tmp_path / "repository")
    keys = _scan(root)
    ui = dagster_ui(root)
    page = browser.page
    page.goto(ui.address)

    page.goto(f"{ui.url}{_LOCATION}/asset-groups/code_index/lineage")
    for asset in ("source_files", "parsed_chunks", "chunk_vectors", "search_indexes"):
        page.get_by_text(asset, exact=True).first.wait_for()
    page.get_by_text(re.compile("4 partitions")).first.wait_for()

    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    page.get_by_text(keys[0]).first.wait_for()
    dialog = _open_dialog(page)
    dialog.get_by_text("Select a partition or create one").click()
    page.get_by_text(keys[0]).locator("visible=true").last.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Launch 1 run").click()
    ui.wait_for(lambda: _materialized(ui) == {keys[0]}, "the partition is materialized, and no other")
    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    page.get_by_text("Materialized (1)").wait_for()
    page.get_by_text("Missing (3)").wait_for()
    assert browser.errors == []


def test_a_person_mends_files_and_backfills_what_failed(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], browser: Any
) -> None:
    root = _repository(tmp_path / "repository", files=5)
    keys = _scan(root)
    ui = dagster_ui(root)
    page = browser.page
    page.goto(ui.address)
    broken = [root / "src/module_1.py", root / "src/module_3.py"]
    contents = [path.read_bytes() for path in broken]
    for path in broken:
        obstruct(path)

    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    dialog = _open_dialog(page)
    dialog.get_by_text("All", exact=True).click()
    dialog.get_by_role("button", name="Launch backfill").click()
    failed = {key for key in keys if key.endswith(("module_1.py", "module_3.py"))}
    ui.wait_for(lambda: _materialized(ui) == set(keys) - failed, "all but the broken files are materialized")
    ui.wait_for(lambda: _ended(ui) == {"COMPLETED_FAILED"}, "the backfill ends as failed")
    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    page.get_by_text("Failed (2)").wait_for()
    page.get_by_text("Materialized (3)").wait_for()

    for path, content in zip(broken, contents, strict=True):
        path.unlink()
        path.write_bytes(content)
    dialog = _open_dialog(page)
    dialog.get_by_text("Failed", exact=True).click()
    dialog.get_by_role("button", name="Launch backfill").click()
    ui.wait_for(lambda: _materialized(ui) == set(keys), "the fixed files are materialized")
    ui.wait_for(lambda: _ended(ui) == {"COMPLETED_FAILED", "COMPLETED_SUCCESS"}, "the second backfill ends green")
    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    page.get_by_text("Failed (0)").wait_for()
    page.get_by_text("Materialized (5)").wait_for()
    page.goto(f"{ui.url}/runs?view=backfills")
    page.get_by_text(re.compile("Completed|Succeeded|Success")).first.wait_for()
    # One run for all partitions, then one for each of the two, which lie apart.
    runs = ui.ask(lambda instance: instance.get_runs())
    assert len([run for run in runs if "dagster/backfill" in run.tags]) == 3
    assert browser.errors == []


def _ended(ui: Any) -> set[str]:
    return {status.value for status in ui.ask(lambda instance: [b.status for b in instance.get_backfills()])}


def test_a_person_starts_the_sensors_and_sees_an_edit_arrive(
    tmp_path: Path,
    dagster_ui: Callable[[Path], Any],
    browser: Any,
    write: Callable[[Path, Mapping[str, str | bytes]], None],
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    root = _repository(tmp_path / "repository")
    command_line("index", root)
    ui = dagster_ui(root)
    page = browser.page
    page.goto(ui.address)
    page.goto(f"{ui.url}/automation")
    for sensor in ("repo_changes_sensor", "pending_chunks_sensor"):
        page.goto(f"{ui.url}{_LOCATION}/sensors/{sensor}")
        page.get_by_role("heading", name=sensor).or_(page.get_by_text(sensor).first).first.wait_for()
        page.locator("label:has(input[type=checkbox])").first.click()
        ui.wait_for(lambda sensor=sensor: _running(ui, sensor), f"{sensor} runs")

    write(root, {"src/module_1.py": "def edited_in_the_browser_test(x):\n    return x\n"})
    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    store = IndexStore(ui.folder.tables_dir)
    ui.wait_for(
        lambda: "edited_in_the_browser_test" in store.vectors.read()["function_name"].to_pylist(),
        "the edit has its vector",
    )
    (key,) = [key for key in _materialized(ui) if key.endswith("module_1.py") and key in _keys(ui)]
    page.goto(f"{ui.url}/assets/parsed_chunks?view=partitions")
    page.get_by_text(key).first.wait_for()
    page.get_by_text("Materialized (4)").wait_for()
    page.get_by_text("Missing (0)").wait_for()
    assert browser.errors == []


def _running(ui: Any, sensor: str) -> bool:
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "indexing_assets.definitions",
        "sensorName": sensor,
    }
    answer = ui.graphql(
        "query S($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState { status } } } }",
        {"s": selector},
    )
    return bool(answer["sensorOrError"]["sensorState"]["status"] == "RUNNING")


def _keys(ui: Any) -> list[str]:
    return list(ui.ask(lambda instance: instance.get_dynamic_partitions("file_hash")))


_REEXECUTE = """
mutation Again($parent: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $parent, strategy: ALL_STEPS}) {
    __typename
    ... on LaunchRunSuccess { run { runId tags { key } } }
    ... on PythonError { message }
  }
}
"""


def test_the_first_minute_of_following_a_repository_is_quiet_and_a_run_can_be_executed_again(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_WATCH", "1")
    ui = dagster_ui(_repository(tmp_path / "repository"))
    store = IndexStore(ui.folder.tables_dir)
    ui.wait_for(lambda: store.vectors.count() == 4, "the sensors index the repository")
    ui.wait_for(lambda: _run_statuses(ui) == {"SUCCESS"}, "all runs end")
    page = browser.page
    page.goto(ui.address)
    page.goto(f"{ui.url}/runs")
    page.get_by_text("parse_chunks_job").first.wait_for()
    shown = page.content()
    assert "code_index_pid" not in shown
    assert "code_index/" not in shown
    page.goto(f"{ui.url}/automation")
    page.get_by_text("repo_changes_sensor").first.wait_for()

    (parent,) = ui.ask(lambda instance: instance.get_runs(dg.RunsFilter(job_name="parse_chunks_job")))
    assert parent.tags[RUN_TAG] == parent.run_id
    again = ui.graphql(_REEXECUTE, {"parent": parent.run_id})["launchRunReexecution"]["run"]
    assert not [tag for tag in again["tags"] if "code_index" in tag["key"]]
    queued = ui.ask(lambda instance: instance.get_run_by_id(again["runId"]))
    assert queued.tags.get(RUN_TAG) in {None, queued.run_id}, "its parent's process is not its own"
    ui.wait_for(lambda: _run_statuses(ui) == {"SUCCESS"}, "the run that was executed again ends")

    said = (tmp_path / "ui.log").read_text(encoding="utf-8")
    assert "Parsed 4 files into 4 chunks" in said
    for word in ("Traceback", "Stack Trace", " - DEBUG - ", "Warning", "ERROR"):
        assert word not in said
    page.goto(f"{ui.url}/runs/{parent.run_id}")
    page.get_by_text("STEP_SUCCESS").first.wait_for()
    assert browser.errors == []


def _run_statuses(ui: Any) -> set[str]:
    return {run.status.value for run in ui.ask(lambda instance: instance.get_runs())}


def test_a_failed_check_leads_to_the_job_that_fixes_it(
    tmp_path: Path, dagster_ui: Callable[[Path], Any], browser: Any
) -> None:
    root = _repository(tmp_path / "repository")
    _scan(root)
    obstruct(root / "src/module_1.py")
    _parse_with_a_failure(root)
    ui = dagster_ui(root)
    parameters = {
        "selector": {
            "repositoryName": "__repository__",
            "repositoryLocationName": "indexing_assets.definitions",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [],
            "assetCheckSelection": [
                {"assetKey": {"path": ["index_report"]}, "name": "no_partition_is_left_failed"},
            ],
        },
        "mode": "default",
    }
    launched = ui.graphql(
        "mutation L($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) { __typename } }",
        {"p": parameters},
    )
    assert launched["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess"
    page = browser.page
    page.goto(ui.address)
    page.goto(f"{ui.url}/assets/index_report?view=checks&checkDetail=no_partition_is_left_failed")
    page.get_by_text("code-index resume --failed").first.wait_for()
    page.get_by_role("link", name="rerun_failed_partitions").first.click()
    page.wait_for_url(re.compile("/jobs/rerun_failed_partitions"))
    page.get_by_role("heading", name="rerun_failed_partitions").or_(
        page.get_by_text("rerun_failed_partitions").first
    ).first.wait_for()
    assert browser.errors == []


def _parse_with_a_failure(root: Path) -> None:
    def parsed() -> None:
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert pipeline.parse().partial

    with ThreadPoolExecutor(1) as pool:
        pool.submit(parsed).result()


@pytest.mark.long
def test_the_web_interface_of_an_index_that_is_deleted_ends_and_says_so(
    tmp_path: Path, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_WATCH", "1")
    root = _repository(tmp_path / "repository")
    index = root / ".code-index"
    log = tmp_path / "ui.log"
    command = [sys.executable, "-m", "indexing_assets.cli.main", "ui", str(root), "--port", "0"]
    with log.open("wb") as output, started(*command, stdout=output, stderr=subprocess.STDOUT) as process:
        wait_until((index / "tables/vectors.lance").exists, "the sensors index the repository")

        def gone() -> bool:
            # All at once: of tables that go one after the other a run under way would say that they are damaged. What it makes
            # meanwhile goes as well.
            with suppress(FileNotFoundError):
                index.rename(tmp_path / f"deleted-{len(list(tmp_path.iterdir()))}")
            return not index.exists()

        wait_until(gone, "the index is deleted")
        assert process.wait(PATIENCE_S) == 1
    said = log.read_text(encoding="utf-8")
    assert f"The index {index} was deleted" in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said
    assert not index.exists()
