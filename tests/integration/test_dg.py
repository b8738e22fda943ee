"""`dg` in the clone, and in a project of one's own that has this package installed, as a user types it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml

from indexing_assets.runs.live_runs import PROCESS_TAG

_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "examples/component"
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))

pytest.importorskip("dagster_dg_cli")  # it may come out later than the Dagster of `make newest`
pytestmark = pytest.mark.slow


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder for `PYTHONPATH` with the metadata of an installed copy, as pyproject.toml declares it."""
    metadata = tmp_path / "installed/code_index-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.4\nName: code-index\nVersion: 0.1.0\n", encoding="utf-8")
    groups = _PYPROJECT["project"]["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return metadata.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example in a place of its own, without the folders that it indexes."""
    copy = tmp_path / "examples/component"
    shutil.copytree(_EXAMPLE, copy, ignore=shutil.ignore_patterns("indexes", ".dagster", ".venv", "__pycache__"))
    return copy


@pytest.fixture
def environment(tmp_path: Path, project: Path, installed: Path) -> Mapping[str, str]:
    """An environment that sees the project and the installed copy; a Dagster home with Dagster's own storages."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "CODE_INDEX_MODEL": "deterministic",
        "PYTHONPATH": os.pathsep.join(map(str, (project / "src", installed, _ROOT))),
        "PYTHONWARNINGS": "ignore",
    }


def _dg(folder: Path, environment: Mapping[str, str], *arguments: str) -> tuple[str, int]:
    """What `dg` prints, and its process; it must succeed."""
    command = [sys.executable, "-c", "from dagster_dg_cli.cli import main; main()", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed, process.pid


def test_the_clone_is_a_project_of_dg(tmp_path: Path, environment: Mapping[str, str], small_repository: Path) -> None:
    environment = {**environment, "CODE_INDEX_REPOSITORY": str(small_repository)}
    assert "All TOML configuration files are valid" in _dg(_ROOT, environment, "check", "toml")[0]
    assert "All definitions loaded successfully" in _dg(_ROOT, environment, "check", "defs")[0]
    assert "chunk_vectors" in _dg(_ROOT, environment, "list", "defs", "--json")[0]
    _dg(_ROOT, environment, "launch", "--assets", "source_files")
    assert (small_repository / ".code-index/tables").is_dir()


def test_a_project_of_ones_own_materializes_indexes_that_its_yaml_and_a_scaffold_add(
    tmp_path: Path, project: Path, environment: Mapping[str, str], make_small_repository: Callable[[Path], Path]
) -> None:
    for folder in ("code_index", "indexing_assets", "flask"):
        make_small_repository(tmp_path / folder)
    component = "indexing_assets.CodeIndexComponent"
    assert component in _dg(project, environment, "list", "components", "--json")[0]
    _dg(project, environment, "scaffold", "defs", component, "flask", "--repository", "../../flask")
    written = yaml.safe_load((project / "src/code_search/defs/flask/defs.yaml").read_text(encoding="utf-8"))
    assert written == {
        "type": component,
        "attributes": {"watch": False, "indexes": {"flask": {"repository": "../../flask"}}},
    }
    params = '{"repository": "../../gone", "name": "none_yet", "index_dir": "indexes/none", "watch": true}'
    _dg(project, environment, "scaffold", "defs", component, "later", "--json-params", params)
    # A repository that is not there is no obstacle to loading the others.
    assert "All definitions loaded successfully" in _dg(project, environment, "check", "defs")[0]
    # The project's executor is Dagster's default one: a process for each step.
    names = ("engine", "pipeline", "flask")
    selection = ",".join(f"{name}/source_files" for name in names)
    _, launcher = _dg(project, environment, "launch", "--assets", selection)
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        (run,) = instance.get_runs()
        found = {name: set(instance.get_dynamic_partitions(f"{name}_file_hash")) for name in names}
    assert run.is_success
    assert run.tags[PROCESS_TAG] == str(launcher)
    assert (project / "indexes/engine/tables").is_dir()
    assert (tmp_path / "flask/.code-index/tables").is_dir()
    # Settings in the YAML hold for their index: *.md is ignored in one of them.
    assert found["engine"] == found["flask"]
    assert [key.rpartition(":")[2] for key in found["engine"] - found["pipeline"]] == ["docs/guide.md"]
