"""The files around the program (`docs/around.md`) fit it: commands, options, paths, variables and extras that they name."""

from __future__ import annotations

import http.server
import json
import os
import plistlib
import re
import shlex
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import psutil
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import dagster_webserver

from code_index.index.deployment import DEPLOYMENT_VARIABLE, deployed_indexes
from indexing_assets.cli.main import cli
from tests.checkout import git
from tests.waiting import started, wait_until

_ROOT = Path(__file__).resolve().parents[2]
_DEPLOY = _ROOT / "deploy"
_PAGE = (_ROOT / "docs/around.md").read_text(encoding="utf-8")
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_COMPOSE = yaml.safe_load((_DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
_ACTION = yaml.safe_load((_ROOT / "action.yml").read_text(encoding="utf-8"))
_DOCKERFILE = (_DEPLOY / "Dockerfile").read_text(encoding="utf-8")
_UNIT = _DEPLOY / "code-index@.service"
_COMMAND = Path(sys.executable).with_name("code-index")
_COMMANDS: Mapping[str, click.Command] = {
    "code-index": cli,
    "dagster": create_dagster_cli(),
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": dagster_webserver,
}
_EXPRESSION = re.compile(r"\$\{\{ ([\w.-]+) \}\}")


def _assert_accepted(words: Sequence[str]) -> None:
    """Hold that a command line names a command and options that exist, and no argument too many."""
    name, *arguments = words
    command = _COMMANDS[Path(name).name]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None, words
        command, arguments = found, arguments[1:]
    parser = command.make_parser(click.Context(command))
    _, left, _ = parser.parse_args(list(arguments))
    assert not left, words


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)


def _extras(text: str) -> set[str]:
    return {extra for extras in re.findall(r"EXTRAS=([\w,]+)", text) for extra in extras.split(",")}


def test_the_image_is_made_of_what_is_there_and_starts_a_command_of_ours_as_nobody_in_particular() -> None:
    [command] = re.findall(r"^CMD (\[.*\])$", _DOCKERFILE, re.MULTILINE)
    _assert_accepted(json.loads(command))
    assert int(re.findall(r"^USER (\d+)$", _DOCKERFILE, re.MULTILINE)[-1]) > 0
    taken = re.findall(r"^!(.*)$", (_ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for name in taken if not (_ROOT / name).exists()} == set()
    needed = {
        "pyproject.toml",
        *_PROJECT["license-files"],
        "README.md",
        "requirements.lock",
        "deploy/healthy.py",
    }
    assert needed <= set(taken)
    [(script, place)] = re.findall(r"^COPY (deploy/\S+) (\S+)$", _DOCKERFILE, re.MULTILINE)
    [asks] = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", _DOCKERFILE, re.MULTILINE)
    assert (_ROOT / script).is_file()
    assert json.loads(asks) == ["python", place]


def test_extras_and_the_name_of_the_package_are_those_of_the_project() -> None:
    named = _extras(_DOCKERFILE) | _extras(_PAGE)
    assert "ui" in named
    assert named <= set(_PROJECT["optional-dependencies"])
    [install] = [step["run"] for step in _ACTION["runs"]["steps"] if step.get("name") == "Install"]
    assert f'"{_PROJECT["name"]}$extras==$VERSION"' in install
    assert set(re.findall(r"(?:OWNER/code-index@|rev: )(\S+)", _PAGE)) == {f"v{_PROJECT['version']}"}


def test_the_services_of_the_team_s_server_find_their_files_volumes_and_each_other() -> None:
    services, volumes = _COMPOSE["services"], set(_COMPOSE["volumes"])
    for name, service in services.items():
        for volume in service["volumes"]:
            source = str(volume).split(":", maxsplit=1)[0]
            assert source in volumes or source.startswith("${REPOSITORIES") or (_DEPLOY / source).is_file(), volume
        for other, wanted in service.get("depends_on", {}).items():
            healthy = "healthcheck" in services[other] or services[other]["image"] == "code-index"
            assert wanted == {"condition": "service_healthy"}
            assert healthy, other
        assert service["restart"] == "unless-stopped"
        assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"]), name
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    for name in ("code", "daemon", "webserver"):
        _assert_accepted(services[name]["command"])
    for name in ("code", "daemon"):
        _assert_accepted(services[name]["healthcheck"]["test"][1:])
    [place] = yaml.safe_load((_DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    command = services[place["grpc_server"]["host"]]["command"]
    assert command[command.index("--port") + 1] == str(place["grpc_server"]["port"])


def test_what_the_team_s_server_indexes_lies_on_its_volumes() -> None:
    targets = {str(volume).rsplit(":", 2)[-2] for volume in _COMPOSE["services"]["code"]["volumes"][1:]}
    environment = _COMPOSE["services"]["code"]["environment"]
    assert environment[DEPLOYMENT_VARIABLE] in targets
    assert f"{environment['DAGSTER_HOME']}/dagster.yaml" in targets
    for index in deployed_indexes({DEPLOYMENT_VARIABLE: str(_DEPLOY / "deployment.toml")}).values():
        assert index.repository.startswith("/repositories/")
        assert index.index_dir.startswith("/data/")
    assert "/repositories" in targets


def test_the_proxy_gets_the_variables_that_its_configuration_reads() -> None:
    file = _DEPLOY / "Caddyfile"
    read = set(re.findall(r"\{\$(\w+)\}", file.read_text(encoding="utf-8")))
    proxy = _COMPOSE["services"]["proxy"]
    assert read == set(proxy["environment"])
    [env_file] = re.findall(r"<<'END'\n(.*?)^END$", _PAGE, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"^(\w+)=", env_file, re.MULTILINE)) == {*read, "REPOSITORIES"}


@contextmanager
def _answering(body: bytes) -> Iterator[str]:
    """Serve the same page at any address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/server_info"
        server.shutdown()
        thread.join()


def _healthy(address: str) -> subprocess.CompletedProcess[str]:
    script = _DEPLOY / "healthy.py"
    return subprocess.run([sys.executable, script, address], capture_output=True, text=True, check=False)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_server_that_is_dead_or_another_one_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    dead = _healthy(f"http://127.0.0.1:{_free_port()}/server_info")
    assert (dead.returncode, dead.stdout) == (1, "")
    assert "Connection refused" in dead.stderr
    assert "Traceback" not in dead.stderr
    for body in (b"<html>", b"[]", b"{}"):
        with _answering(body) as address:
            other = _healthy(address)
        assert other.returncode == 1
        assert "does not answer as Dagster's web server does" in other.stderr
        assert "Traceback" not in other.stderr


def test_dagster_s_web_server_is_healthy(tmp_path: Path, fresh_dagster_home: Path) -> None:
    port = _free_port()
    home = shutil.copytree(fresh_dagster_home, tmp_path / "home")
    command = (Path(sys.executable).with_name("dagster-webserver"), "--port", port, "--empty-workspace")
    with started(*command, env={**os.environ, "DAGSTER_HOME": str(home)}, stderr=subprocess.DEVNULL) as process:

        def answers() -> bool:
            assert process.poll() is None
            return _healthy(f"http://127.0.0.1:{port}/server_info").returncode == 0

        wait_until(answers, "the web server answers", every_s=0.2)


def test_the_unit_of_systemd_starts_a_command_of_ours_and_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [line] = re.findall(r"^ExecStart=(.*)$", _UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    _assert_accepted(shlex.split(line))
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / ".local/bin").mkdir(parents=True)
    (tmp_path / ".local/bin/code-index").symlink_to(_COMMAND)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(_UNIT)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_of_launchd_starts_a_command_of_ours_in_places_of_the_user() -> None:
    [substitute] = re.findall(r"^(sed .*) deploy/code-index.plist >", _PAGE, re.MULTILINE)
    text = (_DEPLOY / "code-index.plist").read_bytes()
    done = subprocess.run(
        shlex.split(substitute.replace("$HOME", "/Users/a")), input=text, capture_output=True, check=True
    )
    service = plistlib.loads(done.stdout)
    assert service["ProgramArguments"] == ["/Users/a/.local/bin/code-index", "ui", "--watch", "/Users/a/src/flask"]
    _assert_accepted(service["ProgramArguments"])
    assert service["StandardErrorPath"] == "/Users/a/Library/Logs/code-index.log"
    assert f'gui/$(id -u)/{service["Label"]}"' in _PAGE


def test_commands_of_the_page_exist_and_its_examples_parse() -> None:
    lines = "\n".join([*_blocks("sh"), *re.findall(r"`(code-index [^`]*)`", _PAGE)])
    commands = re.findall(r"^code-index .*$", lines, re.MULTILINE)
    assert len(commands) > 3
    for command in commands:
        _assert_accepted(shlex.split(command))
    workflow, publishing, hooks = (yaml.safe_load(block) for block in _blocks("yaml"))
    [_, action, search] = workflow["jobs"]["index"]["steps"]
    assert action["id"] in search["env"]["INDEX"]
    _assert_accepted(shlex.split(search["run"]))
    [publish] = publishing
    assert publish["env"]["INDEX"] == search["env"]["INDEX"]
    _assert_accepted(shlex.split(publish["run"]))
    named = re.search(r"Inputs are (.*?); outputs are\s+(.*?), the share", _PAGE, re.DOTALL)
    assert [set(re.findall(r"`([\w-]+)`", part)) for part in named.groups()] == [
        set(_ACTION["inputs"]),
        set(_ACTION["outputs"]),
    ]
    [hook] = yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hooks["repos"][0]["hooks"] == [{"id": hook["id"]}]
    assert set(hook["stages"]) <= set(hooks["default_install_hook_types"])
    assert os.access(_ROOT / hook["entry"], os.X_OK)


class _Runner:
    """What runs an action: a folder for each machine, and stand-ins for the actions that it uses."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, cache: Path) -> None:
        self.temp = folder / "temp"
        self.temp.mkdir(parents=True)
        self.cache = cache
        self.artifact = folder / "artifact"
        self.installed = folder / "installed"
        self.said = ""
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        tools = folder / "tools"
        tools.mkdir()
        # Makes a virtual environment with our command, and writes down what would be installed.
        python = tools / "python"
        python.write_text(
            f"""#!/bin/sh
            case "$1 $2" in
                "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; ln -s {_COMMAND} "$3/bin/code-index" ;;
                "-m pip") echo "$5" >> {self.installed} ;;
                *) exec {sys.executable} "$@" ;;
            esac
            """,
            encoding="utf-8",
        )
        python.chmod(0o755)
        self.path = [str(tools), "/usr/bin", "/bin"]

    def run(self, workspace: Path, **inputs: str) -> dict[str, str]:
        """Run the action's steps in order; returns its outputs."""
        values = {f"inputs.{name}": spec["default"] for name, spec in _ACTION["inputs"].items()}
        values |= {f"inputs.{name}": value for name, value in inputs.items()}
        values |= {"runner.os": "Linux", "github.sha": "0" * 40}

        def filled(text: str) -> str:
            return _EXPRESSION.sub(lambda match: values[match[1]], text)

        for step in _ACTION["runs"]["steps"]:
            if "run" in step:
                said = self._run(step["run"], {k: filled(v) for k, v in step.get("env", {}).items()}, workspace)
            else:
                said = self._use(step["uses"], {k: filled(str(v)) for k, v in step["with"].items()})
            values |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in said.items()}
        return {name: filled(spec["value"]) for name, spec in _ACTION["outputs"].items()}

    def _run(self, script: str, environment: Mapping[str, str], workspace: Path) -> dict[str, str]:
        output, path = self.temp / "output", self.temp / "path"
        output.write_text("", encoding="utf-8")
        path.write_text("", encoding="utf-8")
        places = {"RUNNER_TEMP": self.temp, "GITHUB_OUTPUT": output, "GITHUB_PATH": path, "GITHUB_ACTION_PATH": _ROOT}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=workspace,
            env={**os.environ, **environment, **{k: str(v) for k, v in places.items()}, "PATH": ":".join(self.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.said += done.stderr
        self.path = [*path.read_text(encoding="utf-8").split(), *self.path]
        return dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())

    def _use(self, action: str, given: Mapping[str, str]) -> dict[str, str]:
        name = action.partition("@")[0]
        place = Path(given.get("path", "").split("\n")[0])
        if name == "actions/cache/restore" and self.cache.exists():
            _copy(self.cache, place)
        elif name == "actions/cache/save":
            shutil.rmtree(self.cache, ignore_errors=True)
            _copy(place, self.cache)
        elif name == "actions/upload-artifact":
            _copy(place, self.artifact)
        else:
            assert name in {"actions/setup-python", "actions/cache/restore"}
        return {"cache-hit": "false", "cache-primary-key": given.get("key", "")}


def _copy(source: Path, target: Path) -> None:
    """Copy a folder as an archive does that keeps no permissions and no times."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for file in files:
            Path(folder, file).chmod(0o644)


@pytest.mark.slow
def test_the_action_indexes_goes_on_from_the_cache_and_its_artifact_is_searched_elsewhere(
    tmp_path: Path,
    small_repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    monkeypatch.delenv("CODE_INDEX_MODEL")
    inputs = {"path": small_repository.name, "model": "deterministic", "extras": "ui"}
    first = _Runner(tmp_path / "first", monkeypatch, cache=tmp_path / "cache")
    assert first.run(small_repository.parent, **inputs)["with-vectors"] == "1.0000"
    assert first.installed.read_text(encoding="utf-8") == f"{_ROOT}[ui]\n"

    (small_repository / "app/till.py").write_text("def open_till():\n    return 2\n", encoding="utf-8")
    second = _Runner(tmp_path / "second", monkeypatch, cache=tmp_path / "cache")
    outputs = second.run(small_repository.parent, **inputs | {"version": "1.2.3", "extras": ""})
    assert outputs == {"index-dir": str(second.temp / "code-index/index"), "with-vectors": "1.0000"}
    assert second.installed.read_text(encoding="utf-8") == f"{_PROJECT['name']}==1.2.3\n"
    assert "Parsing: 1 of 1 files" in second.said

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state of a person"))
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    clone = shutil.copytree(small_repository, tmp_path / "clone")
    _copy(second.artifact, clone / ".code-index")
    command_line("trust", cwd=clone)
    assert "app/till.py" in command_line("search", "open_till", cwd=clone).stdout


def test_the_hook_indexes_once_after_many_commits_and_only_where_there_is_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, ran = tmp_path / "repository", tmp_path / "ran"
    repository.mkdir()
    git(repository, "init", "-q")
    log = repository / ".git/code-index.log"

    def refresh() -> None:
        subprocess.run([_DEPLOY / "refresh.sh"], cwd=repository, check=True)

    refresh()
    assert not (repository / ".git/code-index.turn").exists()
    (repository / ".code-index").mkdir()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    refresh()
    wait_until(lambda: log.exists() and "not found" in log.read_text(encoding="utf-8"), "it says what it lacks")
    command = tmp_path / "code-index"
    command.write_text(f'#!/bin/sh\necho "$@" >> {ran}\n', encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for _ in range(3):
        refresh()
    wait_until(lambda: ran.exists() and not _working_in(repository), "the last one indexed")
    assert ran.read_text(encoding="utf-8") == "index\n"
    assert log.read_text(encoding="utf-8") == ""


@pytest.mark.slow
def test_pre_commit_runs_the_hook_and_what_was_committed_is_found(
    tmp_path: Path,
    small_repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    monkeypatch.setenv("PATH", f"{_COMMAND.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    git(small_repository, "init", "-q")
    command_line("index", small_repository)
    (small_repository / "till.py").write_text("def open_till():\n    return 2\n", encoding="utf-8")
    git(small_repository, "add", ".")
    git(small_repository, "commit", "-q", "-m", "A till")
    hook = [str(_COMMAND.with_name("pre-commit")), "try-repo", str(_ROOT), "code-index", "--hook-stage", "post-commit"]
    done = subprocess.run(hook, cwd=small_repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    log = small_repository / ".git/code-index.log"
    wait_until(lambda: log.exists() and not _working_in(small_repository), "the hook's process ended")
    assert "till.py" in command_line("search", "open_till", "--path", small_repository).stdout


def _working_in(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
