"""The command line as a user meets it: exit statuses, messages, JSON, and Dagster's own commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.locks import Phase, hold
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, SearchFilter
from indexing_assets.cli import ui
from tests.indexed_copies import copy_indexed
from tests.waiting import PATIENCE_S, busy_parser, if_running, started, wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]
_ROOT = Path(__file__).parents[2]
_SCRIPT = str(Path(sys.executable).with_name("code-index"))
_INDEX = (sys.executable, "-m", "indexing_assets.cli.main", "index")
_PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.fixture(scope="module")
def index_template(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A small repository that was indexed once; a repository may be copied with its index."""
    root = make_small_repository(tmp_path_factory.mktemp("template") / "repository")
    subprocess.run(
        [*_INDEX, str(root)],
        env={**os.environ, "CODE_INDEX_MODEL": "deterministic"},
        capture_output=True,
        check=True,
    )
    return root


@pytest.fixture
def indexed(index_template: Path, tmp_path: Path, command_line: Run) -> Path:
    return copy_indexed(index_template, tmp_path / "repository")


def test_index_says_what_it_did_and_a_second_one_that_nothing_changed(
    small_repository: Path, command_line: Run
) -> None:
    first = command_line("index", small_repository)
    assert "Parsing: 4 files." in first.stdout
    assert "4 files" in first.stdout.splitlines()[-1]
    second = command_line("index", small_repository)
    assert "Parsing: nothing changed." in second.stdout
    assert "Embedding: nothing is missing." in second.stdout


def test_the_index_folder_ignores_itself_and_is_not_indexed(indexed: Path) -> None:
    assert (indexed / ".code-index" / ".gitignore").read_text() == "*\n"
    done = subprocess.run(["git", "init", "-q", "."], cwd=indexed, capture_output=True, check=True)
    done = subprocess.run(["git", "status", "--short"], cwd=indexed, capture_output=True, text=True, check=True)
    assert ".code-index" not in done.stdout


@pytest.mark.parametrize(("phase", "vectors"), [("parse", False), pytest.param("1", False, marks=pytest.mark.long)])
def test_one_phase_can_run_alone(small_repository: Path, command_line: Run, phase: str, vectors: bool) -> None:
    command_line("index", small_repository, "--phase", phase)
    status = json.loads(command_line("status", small_repository, "--json").stdout)
    assert bool(status["chunks"]["complete"]) is vectors
    command_line("index", small_repository, "--phase", "embed")
    status = json.loads(command_line("status", small_repository, "--json").stdout)
    assert status["chunks"]["pending"] == 0
    assert status["chunks"]["complete"] > 0


def test_another_index_folder_can_be_named(small_repository: Path, command_line: Run, tmp_path: Path) -> None:
    command_line("index", small_repository, "--index-dir", tmp_path / "elsewhere")
    assert not (small_repository / ".code-index").exists()
    hits = json.loads(
        command_line("search", "greet", "-C", small_repository, "--index-dir", tmp_path / "elsewhere", "--json").stdout
    )["hits"]
    assert hits[0]["file_path"] == "app/greeting.py"


def test_search_prints_place_symbol_and_code(indexed: Path, command_line: Run) -> None:
    done = command_line("search", "getUserName", cwd=indexed)
    assert "web/getUserName.ts:1  getUserName  (function, typescript)" in done.stdout
    assert "export function getUserName" in done.stdout
    assert "\x1b[" not in done.stdout


def test_a_score_is_explained_by_its_shares_then_by_what_makes_them(indexed: Path, command_line: Run) -> None:
    shown = command_line("search", "getUserName", "--explain", "-n", 1, cwd=indexed).stdout
    parts = re.findall(r"^ +([+-][\d.]+)  (file|chunk)( share|: [a-z ]+)$", shown, re.MULTILINE)
    assert [what + rest for _, what, rest in parts[:2]] == ["file share", "chunk share"]
    assert [what for _, what, _ in parts[2:]] == sorted((what for _, what, _ in parts[2:]), reverse=True)
    for kind in ("file", "chunk"):
        sizes = [abs(float(value)) for value, what, rest in parts if what == kind and rest != " share"]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes
    other = command_line("search", "getUserName", "--explain", "--mode", "lexical", "-n", 1, cwd=indexed)
    assert "--explain has nothing to say of --mode lexical" in other.stderr
    assert "getUserName" in other.stdout


def test_search_finds_the_index_from_a_folder_below(indexed: Path, command_line: Run) -> None:
    hits = json.loads(command_line("search", "increment", "--json", "--mode", "lexical", cwd=indexed / "app").stdout)[
        "hits"
    ]
    assert hits[0]["qualified_name"] == "Counter.increment"


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        (["--language", "typescript"], {"web/getUserName.ts"}),
        (["--glob", "app/**/*.py"], {"app/greeting.py"}),
        (["--glob", "docs/"], {"docs/guide.md"}),
        (["--type", "method"], {"app/greeting.py"}),
        (["--function", "getUserName"], {"web/getUserName.ts"}),
        (["--class", "Counter"], {"app/greeting.py"}),
        (["--class", "' OR 1=1 --"], set()),
        (["--subproject", "none"], set()),
    ],
)
def test_filters_hold_in_every_mode(indexed: Path, command_line: Run, options: list[str], paths: set[str]) -> None:
    words = "increment get user name greet run install"
    done = command_line("search", words, "--json", *options, cwd=indexed)
    assert {hit["file_path"] for hit in json.loads(done.stdout)["hits"]} == paths
    names = {"--language": "languages", "--glob": "path_glob", "--type": "chunk_types", "--function": "function_name"}
    names |= {"--class": "class_name", "--subproject": "subproject"}
    name = names[options[0]]
    filters = SearchFilter(**{name: (options[1],) if name.endswith("s") else options[1]})
    store = IndexStore(indexed / ".code-index" / "tables")
    for mode in (SearchMode.SEMANTIC, SearchMode.LEXICAL):
        hits = search(store, DeterministicEmbedder(), words, mode=mode, filters=filters)
        assert {hit.file_path for hit in hits} == paths, mode


def test_limit_bounds_the_hits(indexed: Path, command_line: Run) -> None:
    assert len(json.loads(command_line("search", "name", "--json", "-n", 2, cwd=indexed).stdout)["hits"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "   "], "The query is empty"),
        (["search", "x", "--mode", "psychic"], "Invalid value for '--mode'"),
        (["search", "x", "--limit", "0"], "Invalid value for '--limit'"),
        (["index", "--phase", "3"], "Invalid value for '--phase'"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(
    indexed: Path, command_line: Run, arguments: list[str], message: str
) -> None:
    done = command_line(*arguments, cwd=indexed, check=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["search", "status", "resume"])
def test_a_missing_index_is_named_with_the_command_that_makes_it(
    tmp_path: Path, command_line: Run, command: str
) -> None:
    arguments = ["x"] if command == "search" else []
    done = command_line(command, *arguments, cwd=tmp_path, check=2)
    assert f"There is no index at {tmp_path}/.code-index" in done.stderr
    assert "code-index index" in done.stderr


def test_a_bad_setting_is_named_with_its_source(
    indexed: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MAX_FILE_BYTES", "many")
    done = command_line("index", indexed, check=2)
    assert "CODE_INDEX_MAX_FILE_BYTES" in done.stderr


def test_a_missing_model_is_told_before_anything_is_parsed(
    small_repository: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "/no/such/model")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = command_line("index", small_repository, check=1)
    assert "/no/such/model" in done.stderr
    assert "Traceback" not in done.stderr
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    assert json.loads(command_line("status", small_repository, "--json").stdout)["files"]["parsed"] == 0


def test_failures_end_with_1_and_are_listed_with_reason_and_run(
    small_repository: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None]
) -> None:
    write(small_repository, {"Bomb.java": "a<" * 12_000})
    monkeypatch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(256 << 20))
    done = command_line("index", small_repository, check=1)
    assert re.search(r"Bomb\.java: .*needs more memory than parse_memory_bytes", done.stderr)
    assert "code-index resume --failed" in done.stderr
    listed = command_line("status", small_repository, "--failed")
    assert re.search(r"Bomb\.java: .*needs more memory than parse_memory_bytes", listed.stdout)
    failed = json.loads(command_line("status", small_repository, "--failed", "--json").stdout)
    assert failed["files"][0]["run_id"]
    assert "index" in command_line("index", small_repository, check=1).stderr
    write(small_repository, {"Bomb.java": "class Fixed {\n}\n"})
    command_line("resume", small_repository, "--failed")
    assert "Nothing failed." in command_line("status", small_repository, "--failed").stdout


def test_skipped_files_and_those_cut_as_text_are_listed_with_their_reason(
    small_repository: Path, command_line: Run, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(small_repository, {".env": "SECRET=1\n", "logo.png": b"\x89PNG\x00", "package-lock.json": "{}\n"})
    write(small_repository, {"Slow.java": "a<" * 12_000, "key.py": 'key = "' + "AK" + 'IAIOSFODNN7EXAMPLE"\n'})
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "1")
    done = command_line("index", small_repository)
    assert "Masked: 1 key in 1 file; `code-index status --masked` lists them." in done.stdout.splitlines()
    listed = command_line("status", small_repository, "--skipped").stdout
    for name in (".env: likely secret", "logo.png: binary", "package-lock.json: lock file"):
        assert name in listed
    assert "Slow.java: cut as plain text: its grammar took longer than parse_timeout_s = 1 s" in listed


def test_a_busy_index_is_refused_with_the_owner_or_waited_for(
    indexed: Path, command_line: Run, write: Callable[..., None]
) -> None:
    with ExitStack() as held:
        held.enter_context(hold(indexed / ".code-index" / "locks", Phase.PARSE))
        idle = command_line("index", indexed, "--no-wait")
        assert "nothing changed" in idle.stdout, "who has nothing to write need not wait"
        write(indexed, {"added.py": "added = 1\n"})
        refused = command_line("index", indexed, "--no-wait", check=1)
        assert f"process {os.getpid()}" in refused.stderr
        with started(*_INDEX, indexed, **_PIPES) as waiting:
            assert f"Waiting: the index is held by process {os.getpid()}" in waiting.stderr.readline()
            held.close()
            out, err = waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 0, err
    assert "Parsing: 1 file." in out


def test_a_command_in_the_background_is_ended_by_sigterm_while_it_waits_between_its_phases(
    indexed: Path, command_line: Run, write: Callable[..., None]
) -> None:
    write(indexed, {"added.py": "added = 1\n"})
    # As a shell starts a command in the background: without Ctrl-C.
    without_interrupt = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    with (
        hold(indexed / ".code-index" / "locks", Phase.EMBED),
        started(*without_interrupt, *_INDEX, indexed, **_PIPES) as process,
    ):
        while "Waiting: the index is held" not in (line := process.stderr.readline()):
            assert line, "it ended and never waited"
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "code-index resume" in err


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_index_ends_in_order_and_says_how_to_go_on(
    small_repository: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch, write: Callable[..., None], name: str
) -> None:
    write(small_repository, {"Bomb.java": "a<" * 16_000})
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "60")
    with started(*_INDEX, small_repository, **_PIPES) as process:
        busy_parser(psutil.Process(process.pid), bytes_at_least=200 << 20)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "code-index resume" in err
    assert "Traceback" not in err


@pytest.fixture
def model_in_settings(indexed: Path) -> Path:
    settings = indexed / ".code-index" / "settings.toml"
    settings.write_text('model = "deterministic"\n')
    return indexed


def _dagster(indexed: Path, command_line: Run, *arguments: str) -> subprocess.CompletedProcess[str]:
    exports = command_line("env", indexed).stdout
    line = f"{exports}\nexec {shlex.quote(sys.executable)} -m dagster {shlex.join(arguments)}"
    return subprocess.run(["bash", "-c", line], cwd=_ROOT, capture_output=True, text=True, check=False)


def test_runs_of_the_command_line_are_in_dagsters_records(indexed: Path, command_line: Run) -> None:
    done = _dagster(indexed, command_line, "run", "list")
    for job in ("scan_source_files_job", "parse_chunks_job", "embed_chunks_job"):
        assert job in done.stdout, done.stderr


def test_version_and_help_answer_at_once(command_line: Run) -> None:
    assert "code-index" in command_line("--version").stdout
    shown = command_line("--help").stdout
    for name in ("index", "resume", "status", "search", "ui", "env"):
        assert name in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_web_interface_serves_the_index_and_ends_in_order(
    indexed: Path,
    command_line: Run,
    number: signal.Signals,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Where Dagster worked, and would import modules from and read a file of variables.
    for place in (indexed, indexed / ".code-index/dagster"):
        _write_shadows(place)
        (place / ".env").write_text("CODE_INDEX_DIR=/nowhere\nDAGSTER_HOME=/nowhere\n")
    temporary = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(temporary))
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        started(
            *(_SCRIPT, "ui", "--port", "0"), cwd=indexed, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        port, token = wait_until(lambda: re.findall(r":(\d+)/\?token=(\S+) ", log.read_text()), "the address")[0]
        answer = _ask(int(port), "{assetNodes{assetKey{path} partitionStats{numMaterialized}}}")
        stats = {node["assetKey"]["path"][0]: node["partitionStats"] for node in answer["data"]["assetNodes"]}
        assert stats["parsed_chunks"] == {"numMaterialized": 4}
        children = psutil.Process(process.pid).children(recursive=True)
        # What passes on their output works at the root.
        (place,) = {if_running(child.cwd, "/") for child in children} - {"/"}
        assert Path(place).is_relative_to(temporary)
        assert list(Path(place).iterdir()) == []
        assert Path(place).parent.stat().st_mode & 0o777 == 0o700
        assert not [
            child
            for child in children
            if token in " ".join(if_running(child.cmdline, [])) or token in if_running(child.environ, {}).values()
        ]
        process.send_signal(number)
        killed = number == signal.SIGKILL
        assert process.wait(timeout=PATIENCE_S) == (-signal.SIGKILL if killed else 0)
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
        assert alive == []
    assert Path(place).exists() == killed
    assert log.read_text().count("\n") == 1, "the address, and nothing else"


def test_a_taken_port_is_named_before_anything_starts(
    command_line: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = command_line("ui", tmp_path, "--port", port, check=1)
    assert done.stderr == (
        f"Error: Cannot listen on 127.0.0.1: port {port} is taken by another program. "
        "Choose another one with `--port`, or `--port 0` for any.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "says"),
    [
        (["--allow-host", "http://box.example/"], {}, 2, "is no NAME or NAME:PORT"),
        (["--port", "0"], {"TMPDIR": "long"}, 1, "too long for sockets. Let TMPDIR"),
    ],
)
def test_what_the_web_interface_cannot_use_is_named_in_a_sentence(
    arguments: list[str],
    variables: dict[str, str],
    status: int,
    says: str,
    indexed: Path,
    command_line: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = indexed / ("x" * 100)
    long.mkdir()
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("long", str(long)))
    done = command_line("ui", indexed, *arguments, check=status)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(long.iterdir()) == []


def test_the_folder_of_a_run_that_outlives_the_web_interface_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_LEAVE_S", 0)
    with ui._own_folder() as unused:
        pass
    assert not unused.parent.exists()
    with ExitStack() as runs:
        with ui._own_folder() as used:
            runs.enter_context(started(sys.executable, "-c", "input()", cwd=used, stdin=subprocess.PIPE))
        assert used.is_dir()
    shutil.rmtree(used.parent)


def test_files_of_the_repository_are_read_and_never_imported(indexed: Path, command_line: Run) -> None:
    _write_shadows(indexed)
    for arguments in (["index"], ["search", "greet"], ["status"]):
        done = subprocess.run([_SCRIPT, *arguments], cwd=indexed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    hits = json.loads(command_line("search", "shadow", "--json", "-C", indexed).stdout)["hits"]
    assert "gql.py" in {place.partition(":")[0] for hit in hits for place in (hit["file_path"], *hit["copies"])}


def _write_shadows(root: Path) -> None:
    """Files with the names of packages that the program imports, which must not run."""
    for name in ("gql", "click", "resources", "indexing_assets", "dagster", "torch", "tree_sitter", "numpy"):
        (root / f"{name}.py").write_text('raise SystemExit("a shadow of a package ran")\n')


def _ask(port: int, query: str) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )

    def answered() -> dict | None:
        with suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            answer = json.load(response)
            return answer if answer["data"]["assetNodes"] else None

    return wait_until(answered, "the web interface answers", every_s=0.5)


def test_status_reads_dagsters_records_without_dagster(indexed: Path) -> None:
    """It says the same as where Dagster has to be asked, which any change of `dagster.yaml` causes."""
    config = indexed / ".code-index/dagster/dagster.yaml"
    command = [sys.executable, "-X", "importtime", "-m", "indexing_assets.cli.main", "status", str(indexed), "--json"]
    heavy = re.compile(r"\| +(dagster|sqlalchemy|polars|torch|onnxruntime)\n")

    def asked() -> tuple[dict[str, object], list[str]]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        status = json.loads(done.stdout)
        del status["disk_bytes"]  # Dagster's databases grow by being opened
        return status, heavy.findall(done.stderr)

    text = config.read_text("utf-8")
    plain, loaded = asked()
    assert plain["throughput"]
    assert plain["last_embedding"]
    assert loaded == []
    try:
        config.write_text(f"{text}# changed\n", "utf-8")
        of_dagster, loaded = asked()
    finally:
        config.write_text(text, "utf-8")
    assert "dagster" in loaded
    assert plain == of_dagster
