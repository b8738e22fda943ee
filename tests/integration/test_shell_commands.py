"""The commands for a shell that the page about Dagster shows, each run as it is written there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS
from tests.waiting import PATIENCE_S

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs/dagster.md").read_text(encoding="utf-8")
_SECTION = re.search(r"^### From a shell\n(.*?)^## ", _PAGE, re.MULTILINE | re.DOTALL)[1]
_SHOWN = [
    line
    for block in re.findall(r"```sh\n(.*?)```", _SECTION, re.DOTALL)
    for line in block.splitlines()
    if not line.startswith(("dg dev", "export "))
]


def _in_shell(line: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_the_page_shows_each_way_to_say_which_partitions() -> None:
    commands = "\n".join(_SHOWN)
    for launch in ("dg launch", "dagster asset materialize"):
        for selection in (r"source_files$", r"parsed_chunks --partition ", r"chunk_vectors --partition-range "):
            assert re.search(rf"^{launch} -m indexing_assets\.definitions --\w+ {selection}", commands, re.MULTILINE)
    for option in ("--failed", "--all", "--file", "--job materialize_partitions", "-j rerun_failed_partitions"):
        assert option in commands


@pytest.mark.long
def test_commands_of_the_page_run_as_they_are_written(
    small_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    folder = resolve_index_folder(small_repository)
    with Pipeline(folder) as pipeline:
        assert pipeline.scan().error is None
        assert pipeline.parse().error is None
        assert pipeline.embed().error is None
        files = pipeline.index.partition_keys(PARSED_CHUNKS)
        batches = pipeline.index.partition_keys(CHUNK_VECTORS)
    [config] = re.findall(r"```yaml\n(.*?)```", _SECTION, re.DOTALL)
    (tmp_path / "materialize.yaml").write_text(config, encoding="utf-8")
    values = {
        "/path/to/your/repository": shlex.quote(str(small_repository)),
        "src/*.py": "app/*.py",
        "3f2a9c1b7d4e:src/app.py": files[0],
        "00000001...00000004": f"{batches[0]}...{batches[-1]}",
    }
    environment = {
        **os.environ,
        **folder.environment(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
    }

    def run(line: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        for shown, real in values.items():
            line = line.replace(shown, real)
        return line, _in_shell(line, tmp_path, environment)

    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(run, _SHOWN))
    assert len(ended) == len(_SHOWN) > 10
    for line, done in ended:
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert "ran in" in done.stdout or "nothing" in done.stdout or "dagster - INFO" in done.stderr, line
    with Pipeline(folder) as pipeline:
        assert {run.status.value for run in pipeline.instance.get_runs()} == {"SUCCESS"}
        assert pipeline.store.vectors.count() == pipeline.store.chunks.count()
