"""A marker that is damaged says nothing."""

from __future__ import annotations

import json
import time

import pytest

from code_index.index.folder import resolve_index_folder
from code_index.index.unchanged_marker import COMPLETE_FILE, read_marker
from resources.instance_config import instance_config


@pytest.mark.parametrize("change", [{"counts": {"files": float("inf"), "chunks": 1, "vectors": 1}}, {"at": 10**400}])
def test_numbers_without_end_are_no_marker(tmp_path, change):
    folder = resolve_index_folder(tmp_path)
    folder.create(instance_config())
    record = {"at": time.time() - 1, "until": time.time() + 60, "token": "a", "index": "b", "counts": {}}
    (folder.path / COMPLETE_FILE).write_text(json.dumps(record | change))

    assert read_marker(folder) is None
