"""What a person does in Dagster's web interface, done by clicks in a real browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.tables import IndexStore
from indexing_assets.operations.pipeline import Pipeline

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
        path.unlink()

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
