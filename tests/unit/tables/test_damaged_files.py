"""Small files of the tables that are damaged are named, with the fix."""

from __future__ import annotations

import json

import pytest

from code_index.core.errors import StoreError
from code_index.tables.model_registry import ModelEntry, ModelRegistry, read_registry, suffix_of, write_registry
from code_index.tables.schema_version import SCHEMA_VERSION, check_version, replace_version, stored_version

_NOT_JSON = [b"[" * 100_000, b"\xff\xfe", b"", b"null", b"[]", b'"text"', None]


def _lay(path, content):
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [*_NOT_JSON, b'{"schema_version": "x"}', b'{"schema_version": Infinity}'])
def test_a_damaged_version_of_the_tables_is_named(tmp_path, content):
    _lay(tmp_path / "schema_version.json", content)

    for read in (check_version, stored_version):
        with pytest.raises(StoreError, match=r"schema_version\.json is damaged.*index again"):
            read(tmp_path)


def test_the_version_that_is_written_is_read(tmp_path):
    assert stored_version(tmp_path) is None
    replace_version(tmp_path)
    assert stored_version(tmp_path) == SCHEMA_VERSION


@pytest.mark.parametrize(
    "content",
    [
        *_NOT_JSON,
        b'{"models": {}, "serving": ["x"]}',
        b'{"models": {"a": "x"}, "serving": "a"}',
        *(
            json.dumps({"models": {"a": entry}, "serving": "a"}).encode()
            for entry in (
                {"suffix": 1},
                {"suffix": "/../elsewhere"},
                {"suffix": "", "settings": ["x"]},
                {"suffix": "", "replaced_at": 1},
                {"suffix": "", "replaced_at": "yesterday"},
                {"suffix": "", "replaced_at": "2026-01-01T00:00:00"},
            )
        ),
    ],
)
def test_a_damaged_registry_of_models_is_named(tmp_path, content):
    _lay(tmp_path / "models.json", content)

    with pytest.raises(StoreError, match=r"models\.json is damaged.*Remove it"):
        read_registry(tmp_path)


def test_the_registry_that_is_written_is_read(tmp_path):
    models = {
        "a": ModelEntry(suffix="", replaced_at="2026-01-01T00:00:00+00:00"),
        "b": ModelEntry(suffix=suffix_of("b"), settings={"model": "b"}),
    }
    write_registry(tmp_path, ModelRegistry(serving="b", models=models))

    assert read_registry(tmp_path) == ModelRegistry(serving="b", models=models)
