"""The files of `deploy/` for several hosts are what Dagster and each launcher take, and say the same of what they share.

A launcher's own configuration is checked where its package is installed; Kubernetes' and Ray's are large, and not in `dev`.
"""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef

from code_index.core.object_stores import RUN_PATIENCE_S

_ROOT = Path(__file__).resolve().parents[2]
_DEPLOY = _ROOT / "deploy"
_LAUNCHERS = {"celery": "dagster_celery", "ray": "dagster_ray"}
_VALUES = yaml.safe_load((_DEPLOY / "kubernetes/values.yaml").read_text("utf-8"))
_VARIABLES = {
    "CODE_INDEX_POSTGRES_URL": "postgresql+psycopg2://postgres@db/index",
    "CODE_INDEX_REDIS_URL": "redis://queue:6379/0",
    "CODE_INDEX_RAY_URL": "http://head:8265",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder for `DAGSTER_HOME` with the file of a launcher."""
    for name, value in _VARIABLES.items():
        monkeypatch.setenv(name, value)
    shutil.copy(_DEPLOY / request.param / "dagster.yaml", tmp_path)
    return tmp_path


def _read(launcher: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_DEPLOY / launcher / "dagster.yaml").read_text("utf-8"))
    return found


@pytest.mark.parametrize("home", _LAUNCHERS, indirect=True)
def test_dagster_takes_the_file(home: Path) -> None:
    config, _ = dagster_instance_config(str(home))
    assert config["concurrency"]["pools"]["granularity"] == "run"


@pytest.mark.parametrize(("home", "package"), _LAUNCHERS.items(), indirect=["home"])
def test_the_launcher_takes_its_part(home: Path, package: str) -> None:
    pytest.importorskip(package)
    launcher = InstanceRef.from_dir(str(home)).run_launcher
    assert type(launcher).__name__ == f"{package.removeprefix('dagster_').title()}RunLauncher"
    assert set(_VARIABLES.values()) & {getattr(launcher, "broker", None), getattr(launcher, "address", None)}


def test_files_say_the_same_of_what_they_share() -> None:
    files = [_read(launcher) for launcher in _LAUNCHERS]
    for file in files:
        del file["run_launcher"]
        # Runs that wait for a store keep the workers, and what stands in the queue counts as not started.
        assert file["run_monitoring"].pop("start_timeout_seconds") > RUN_PATIENCE_S
    assert files[0] == files[1]
    assert files[0]["run_monitoring"] == {"enabled": True, "max_resume_run_attempts": 0, "poll_interval_seconds": 5}
    assert files[0]["run_retries"] == {"enabled": False}
    page = (_ROOT / "docs/dagster.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(event_log_storage:.*?)```", page, re.DOTALL)
    storages = yaml.safe_load(shown)
    assert {name: files[0][name] for name in storages} == storages


def test_what_differs_from_one_machine_is_what_a_fleet_needs() -> None:
    alone, fleet = yaml.safe_load((_ROOT / "dagster.yaml").read_text("utf-8")), _read("celery")
    storages = {"event_log_storage", "run_storage", "schedule_storage", "run_launcher"}
    assert fleet.keys() - storages == alone.keys() - {"instance_class"}
    same = fleet.keys() - storages - {"concurrency", "run_monitoring"}
    assert {name: fleet[name] for name in same} == {name: alone[name] for name in same}


def test_celery_takes_the_settings_of_its_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    celery = pytest.importorskip("celery")
    defaults = pytest.importorskip("celery.app.defaults")
    monkeypatch.setenv("CODE_INDEX_REDIS_URL", _VARIABLES["CODE_INDEX_REDIS_URL"])
    settings = runpy.run_path(str(_DEPLOY / "celery/dagster_celery_config.py"))
    settings = {
        name: value
        for name, value in settings.items()
        if isinstance(value, str | int) and name.islower() and not name.startswith("_")
    }
    assert settings.keys() <= defaults.SETTING_KEYS
    app = celery.Celery("dagster")
    app.conf.update(settings)
    assert (app.conf.worker_max_tasks_per_child, app.conf.worker_disable_prefetch) == (1, True)


def test_dagster_takes_what_the_chart_adds_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(_VALUES["additionalInstanceConfig"]), encoding="utf-8")
    config, _ = dagster_instance_config(str(tmp_path))
    celery = _read("celery")
    assert {name: config[name] for name in _VALUES["additionalInstanceConfig"]} == {
        name: celery[name] for name in _VALUES["additionalInstanceConfig"]
    }
    assert _VALUES["dagsterDaemon"]["runCoordinator"] == {"enabled": False}, "else the chart writes the limits, too"


def test_the_launcher_of_kubernetes_takes_its_part() -> None:
    dagster_k8s = pytest.importorskip("dagster_k8s")
    given = _VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    snake = {re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", name): value for name, value in given.items()}
    taken = process_config(
        dg.Shape(dagster_k8s.K8sRunLauncher.config_type()),
        {
            "service_account_name": "dagster",
            "instance_config_map": "dagster-instance",
            "dagster_home": "/opt/dagster",
            "run_k8s_config": snake,
        },
    )
    assert taken.success, taken.errors


def test_the_chart_leads_to_the_same_deployment() -> None:
    (code,) = _VALUES["dagster-user-deployments"]["deployments"]
    assert code["codeServerArgs"] == ["--module-name", "indexing_assets.definitions"]
    assert code["includeConfigInLaunchedRuns"] == {"enabled": True}
    (mounted,) = code["volumeMounts"]
    assert code["env"]["CODE_INDEX_DEPLOYMENT"] == f"{mounted['mountPath']}/deployment.toml"
