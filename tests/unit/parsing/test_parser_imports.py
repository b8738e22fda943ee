"""A worker and the exporter import nothing from the working directory, which may be the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from code_index.core.child_python import IMPORT_ROOT, child_environment
from code_index.core.hashing import content_hash
from code_index.core.model import ChunkingOptions
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import ParserConfig, ParseTask

_CODE = b"def answer():\n    return 42\n"


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hostile repository as the working directory, named by PYTHONPATH in two ways; a marker of its code."""
    root = tmp_path / "repository"
    root.mkdir()
    found = tmp_path / "marker"
    for name in ("json", "numpy", "pyarrow", "signal", "sitecustomize", "usercustomize", "code_index"):
        (root / f"{name}.py").write_text(f"open({str(found)!r}, 'a').write({name!r})\n")
    (root / "answer.py").write_bytes(_CODE)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}.{os.pathsep}{root}")
    subprocess.run([sys.executable, "-P", "-c", "import json"], check=True)
    assert found.exists(), "Python would not import it anyway"
    found.unlink()
    return found


def test_a_parser_process_imports_nothing_from_the_repository(marker: Path) -> None:
    root = Path.cwd()
    config = ParserConfig(str(root), 1 << 20, ChunkingOptions(), timeout_s=60, memory_bytes=1 << 30)
    with ParserPool(config, workers=1) as pool:
        task = ParseTask("answer.py", content_hash(_CODE), "python", len(_CODE))
        (group,) = pool.parse([task])
    assert group.outcomes[0].error is None
    assert not marker.exists()


def test_a_process_of_ours_imports_nothing_from_the_repository_whatever_led_there(marker: Path) -> None:
    environment = child_environment([str(IMPORT_ROOT), str(Path.cwd()), "", ".", *sys.path])
    command = [sys.executable, "-m", "code_index.core.child_python"]
    subprocess.run(command, env=environment, check=True)
    assert not marker.exists()


def test_the_folder_that_we_are_imported_from_stays_where_it_is_the_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(IMPORT_ROOT)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert child_environment([str(IMPORT_ROOT)])["PYTHONPATH"] == f"{IMPORT_ROOT}{os.pathsep}/elsewhere"
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH" not in child_environment()
