"""Dagster's own commands in a clone, with nothing set: they load, run, and keep their records with the index."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.index.trust import STATE_VARIABLE, state_folder
from code_index.tables import IndexStore
from resources.instance_config import instance_config
from tests.checkout import git
from tests.waiting import PATIENCE_S, started, wait_until

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("code_index", "indexing_assets", "resources")
_FILES = ("dagster.yaml", "workspace.yaml", "pyproject.toml", ".gitignore")
_DEFINITIONS = ("-m", "indexing_assets.definitions")
_DAGSTER = (sys.executable, "-m", "dagster")
# It may come out later than the Dagster of `make newest`; `dagster` does the same there.
_DG = (str(Path(sys.executable).with_name("dg")),) if find_spec("dagster_dg_cli") else None
_LAUNCH = """
mutation Launch($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
_LOCATION = """{ repositoriesOrError {
  ... on RepositoryConnection { nodes { name location { name } } } ... on PythonError { message }
} }"""

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout of what Dagster's commands need of the project; no index in it, and no variable of ours set."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in _FILES:
        shutil.copy2(_ROOT / name, folder)
    for name in _PACKAGES:
        # With compiled modules, which are found to be of these files by their times.
        shutil.copytree(_ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "greeting.py").write_text("def greet(name):\n    return 'hello ' + name\n", encoding="utf-8")
    return root


def _printed_by(commands: Sequence[Sequence[str]], cwd: Path) -> list[tuple[int, str]]:
    """Status and output of commands that run at the same time."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(*command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
            for command in commands
        ]
        outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in running]
        return [(process.returncode, output) for process, output in zip(running, outputs, strict=True)]


def _left_behind(clone: Path) -> set[str]:
    return {path.name for path in clone.iterdir()} - {*_FILES, *_PACKAGES, ".git"}


def test_commands_that_load_definitions_work_in_a_clone_and_leave_nothing_in_it(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    done = _printed_by(
        [
            [*_DAGSTER, "definitions", "validate"],
            [*_DAGSTER, "definitions", "validate", *_DEFINITIONS],
            *([[*_DG, "check", "defs"], [*_DG, "list", "defs", "--json"]] if _DG else []),
        ],
        clone,
    )

    for status, output in done:
        assert status == 0, output
        assert "Traceback" not in output
        assert "Records of" not in output
    # Whoever lists them reads how to name a repository.
    if _DG:
        assert "chunk_vectors" in done[3][1]
        assert "CODE_INDEX_REPOSITORY" in done[3][1]
    assert _left_behind(clone) == set()
    assert not state_folder().exists()


def test_a_clone_in_which_nothing_is_set_is_indexed_by_two_commands_at_once_and_the_records_stay(clone: Path) -> None:
    done = _printed_by(
        [
            [*_DAGSTER, "asset", "materialize", *_DEFINITIONS, "--select", "source_files"],
            *([[*_DG, "launch", "--assets", "source_files"]] if _DG else []),
        ],
        clone,
    )

    for status, output in done:
        assert status == 0, output
        assert "Traceback" not in output
        said = (
            f"Records of the repository {clone} are kept in {clone}/.code-index/dagster, not in a temporary directory."
        )
        assert output.count(said) == 1, "said once"
        assert "let CODE_INDEX_REPOSITORY name it" in output
    folder = resolve_index_folder(clone)
    with _instance(folder) as instance:
        assert len(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))) == len(done)
        parsed = [key for key in instance.get_dynamic_partitions("file_hash") if key.endswith(":resources/__init__.py")]
        assert len(parsed) == 1
    assert (folder.path / ".gitignore").read_text() == "*\n"
    assert _left_behind(clone) == {".code-index"}


@contextlib.contextmanager
def _instance(folder: IndexFolder) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(folder.dagster_home)) as instance:
        yield instance


class _Dev:
    """A `dagster dev` or `dg dev` that is under way."""

    def __init__(self, process: subprocess.Popen[Any], log: Path) -> None:
        self._process = process
        self._log = log

    def text(self) -> str:
        """What it printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Data of a GraphQL answer, or None where nothing answers yet."""
        assert self._process.poll() is None, self.text()
        address = re.search(r"Serving dagster-webserver on (http://\S+)", self.text())
        if address is None:
            return None
        body = json.dumps({"query": query, "variables": variables or {}}).encode()
        request = urllib.request.Request(
            f"{address[1]}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return dict(json.load(answer)["data"])
        except OSError:
            return None

    def repository(self) -> dict[str, Any]:
        """The definitions that it loaded, as GraphQL names them."""

        def loaded() -> Any:
            found = (self.ask(_LOCATION) or {}).get("repositoriesOrError", {})
            assert "message" not in found, found
            return found.get("nodes")

        (node,) = wait_until(loaded, "definitions are loaded", every_s=0.5)
        return {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}

    def end(self) -> None:
        """Interrupt it, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(PATIENCE_S) == 0, self.text()


def _dev(stack: ExitStack, command: Sequence[str], clone: Path, log: Path, **variables: str) -> _Dev:
    output = stack.enter_context(log.open("wb"))
    # The web server takes another port, with a warning, where this one is taken meanwhile.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = stack.enter_context(
        started(
            *command,
            *("--port", str(port)),
            cwd=clone,
            env={**os.environ, "CODE_INDEX_MODEL": "deterministic", **variables},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    )
    return _Dev(process, log)


def test_dagster_dev_and_dg_dev_serve_a_clone_and_a_named_repository_is_enough_to_index_it(
    clone: Path, repository: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        named = _dev(stack, [*_DAGSTER, "dev"], clone, tmp_path / "dagster.log", CODE_INDEX_REPOSITORY=str(repository))
        unnamed = _dev(stack, [*(_DG or _DAGSTER), "dev"], clone, tmp_path / "dg.log")
        assert unnamed.repository()
        unnamed.end()
        selector = {**named.repository(), "pipelineName": "scan_source_files_job"}
        answer = named.ask(_LAUNCH, {"parameters": {"selector": selector}})
        assert answer is not None
        assert answer["launchRun"]["__typename"] == "LaunchRunSuccess"
        folder = resolve_index_folder(repository)
        with _instance(folder) as instance:
            run_id = answer["launchRun"]["run"]["runId"]
            wait_until(lambda: instance.get_run_by_id(run_id).is_finished, "the run is finished", every_s=0.5)
            assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.SUCCESS, named.text()
            (key,) = instance.get_dynamic_partitions("file_hash")
        named.end()

    assert key.endswith(":greeting.py")
    assert IndexStore(folder.tables_dir).files.read(["file_path"], where="status = 'pending'").num_rows == 1
    for dev in (named, unnamed):
        assert "Traceback" not in dev.text()
        assert not re.search(r"WARNING(?!.*Port \d+ is in use)|ERROR", dev.text()), dev.text()
    assert f"Records of the repository {repository} are kept in {folder.dagster_home}," in named.text()
    assert "let CODE_INDEX_REPOSITORY name it" not in named.text()
    assert _left_behind(clone) == {".code-index"}, "of the command for which nothing was named"
    assert (folder.dagster_home / "storage" / run_id).is_dir(), "what the run printed stays readable"


def test_an_index_that_came_with_the_clone_or_cannot_be_made_ends_a_command_with_the_reason(
    clone: Path, tmp_path: Path
) -> None:
    materialize = [*_DAGSTER, "asset", "materialize", *_DEFINITIONS, "--select", "source_files"]
    (clone / ".code-index").mkdir()
    (clone / ".code-index" / "settings.toml").write_text("max_file_bytes = 1\n", encoding="utf-8")
    gone = str(tmp_path / "gone")
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                started(
                    *materialize,
                    cwd=clone,
                    env={**os.environ, **variables},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for variables in ({}, {"CODE_INDEX_REPOSITORY": gone})
        ]
        (strange, missing) = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]

    assert [process.returncode for process in processes] == [1, 1]
    assert f"Error: {clone}/.code-index was not made by code-index for you" in strange
    assert f"Error: {gone} is not a folder. Name the repository to index." in missing
    assert "Traceback" not in strange + missing


def test_the_records_of_a_deployment_have_a_folder_of_the_users(
    clone: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = tmp_path / "deployment.toml"
    deployment.write_text(f'[indexes.one]\nrepository = "{repository}"\n', encoding="utf-8")
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(deployment))

    command = [*_DAGSTER, "asset", "materialize", *_DEFINITIONS, "--select", "one/source_files"]
    ((status, output),) = _printed_by([command], clone)

    assert status == 0, output
    (home,) = (state_folder() / "deployments").iterdir()
    assert f"Records of the deployment {deployment} are kept in {home}, not in a temporary directory." in output
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == instance_config()
    assert home.stat().st_mode & 0o077 == 0
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert [key.split(":")[1] for key in instance.get_dynamic_partitions("one_file_hash")] == ["greeting.py"]
    assert _left_behind(clone) == set()
