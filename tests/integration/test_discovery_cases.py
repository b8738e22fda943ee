"""Cases of discovery and parsing, each after a report of people who index code."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.discovery_inputs import MADE, Input
from tests.discovery_judge import differences

_CASES = Path(__file__).parents[1] / "discovery"
_EXPECTED: dict[str, dict[str, Any]] = json.loads((_CASES / "expected.json").read_text("utf-8"))
# Messages of commands are tested by themselves; what they are about is seen in the files.
_IN_PLACE_OF_MESSAGES: dict[str, dict[str, Any]] = {
    "mono-react-native": {
        "files": {
            "apps/mobile/ios/Mobile/AppDelegate.swift": {"subproject": "@acme/mobile"},
            "apps/mobile/android/app/src/Main.kt": {"subproject": "@acme/mobile"},
            "apps/mobile/src/App.tsx": {"subproject": "@acme/mobile"},
        }
    },
    "search-line-in-module-chunk": {
        "files": {"store.h": {"places": [{"text": "void store_close(", "start": [14, 15]}]}}
    },
}


@pytest.mark.parametrize("case", sorted(_EXPECTED))
def test_a_case_is_found_as_it_should_be(case: str, tmp_path: Path, own_environment: None) -> None:
    root, wanted = tmp_path / "case", _EXPECTED[case]
    if "owner" in wanted and os.geteuid():
        pytest.skip("only root gives files to another user")
    if case in MADE:
        root.mkdir()
        MADE[case](Input(root))
    else:
        shutil.copytree(_CASES / case, root)
    if "owner" in wanted:
        for path in (root, *root.rglob("*")):
            shutil.chown(path, wanted["owner"])
    assert differences(root, wanted) == []
    assert differences(root, _IN_PLACE_OF_MESSAGES.get(case, {})) == []


def test_each_case_has_its_input_and_its_expectation() -> None:
    folders = {path.name for path in _CASES.iterdir() if path.is_dir()}
    assert folders | MADE.keys() == _EXPECTED.keys()
    assert not folders & MADE.keys()
