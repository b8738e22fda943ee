"""The whole way with the real model: what is meant is found without its words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.model


def test_code_is_found_by_meaning(
    small_repository: Path,
    command_line: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[..., None],
) -> None:
    monkeypatch.delenv("CODE_INDEX_MODEL")
    write(
        small_repository,
        {
            "net.py": (
                "def fetch_with_backoff(url):\n    for attempt in range(5):\n        try:\n            return download(url)\n"
                "        except TimeoutError:\n            sleep(2 ** attempt)\n"
            ),
            "geometry.py": "def area(width, height):\n    return width * height\n",
        },
    )
    done = command_line("index", small_repository)
    assert "all-MiniLM-L6-v2" in done.stdout
    for query, path in {
        "retry a request when the network is slow": "net.py",
        "surface of a rectangle": "geometry.py",
    }.items():
        found = command_line("search", query, "--mode", "semantic", "--json", cwd=small_repository)
        assert json.loads(found.stdout)["hits"][0]["file_path"] == path, query
    status = json.loads(command_line("status", small_repository, "--json").stdout)
    assert list(status["vectors_by_model"]) == [status["model"]]
