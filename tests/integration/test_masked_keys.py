"""No key that its form gives away reaches what an index stores: tables, Dagster's records, what commands print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore
from code_index.tables.schemas import FILES
from indexing_assets import GivenChunk, add_chunks
from indexing_assets.cli import status
from indexing_assets.cli.outcome import masked_total
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs import planning
from tests.conftest import write_files
from tests.fakes import texts_asked

_BODY = "Q7a9ZbX2kLm4Np8RsT1uVw3Yx5Cd6EfGhJ0i"
_GITHUB = "gh" + "p_" + _BODY
_AWS = "AK" + "IAIOSFODNN7EXAMPLE"
_PASSWORD = "hunter2hunter"
_PRIVATE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
_PEM = "-----BEGIN PRIVATE" + f" KEY-----\\n{_PRIVATE}\\n-----END PRIVATE" + " KEY-----\\n"
KEYS = (_GITHUB, _BODY, _AWS, _PASSWORD, _PRIVATE)
FILES_WITH_KEYS: Mapping[str, str | bytes] = {
    "app.py": f'"""Uses {_GITHUB}."""\n\n\ndef {_GITHUB}(url="https://u:{_PASSWORD}@host"):\n    return url\n',
    "account.json": f'{{"type": "service_account", "private_key": "{_PEM}"}}\n',
    ".env.example": f"AWS_ACCESS_KEY_ID={_AWS}\nPORT=1\n",
    "wide.txt": f"token {_GITHUB}\n".encode("utf-16"),
    "plain.py": "x = 1\n",
}
MASKED = {
    ".env.example": {"aws_access_key_id": 1},
    "account.json": {"private_key": 1},
    "app.py": {"github_token": 2, "url_password": 1},
    "wide.txt": {"github_token": 1},
}


@dataclass
class Upgrade:
    """An index of an older program, indexed by this one, and what was seen on the way."""

    root: Path
    older_masked: dict[str, dict[str, int]]
    parsed: int
    embedded: list[str]
    masked: dict[str, dict[str, int]]
    masked_after_a_kill: dict[str, dict[str, int]]


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Upgrade:
    root = tmp_path_factory.mktemp("keys") / "repository"
    write_files(root, FILES_WITH_KEYS)
    with pytest.MonkeyPatch.context() as patch, texts_asked() as asked:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        with Pipeline(resolve_index_folder(root)) as pipeline:
            store = pipeline.store
            with pytest.MonkeyPatch.context() as older:
                older.setattr(planning, "CHUNKER_VERSION", "1+perl1+proto1")
                assert [phase().error for phase in (pipeline.scan, pipeline.parse, pipeline.embed)] == [None] * 3
            # Such a program had no column for counts.
            rows = store.files.read().drop_columns(["masked_keys"])
            store.tables.drop("files")
            schema = pa.schema([field for field in FILES if field.name in rows.column_names])
            store.tables.append("files", schema, rows, keys=["file_path"])
            older_masked = store.files.masked_keys()
            asked.clear()
            results = [pipeline.scan(), pipeline.parse(), pipeline.embed()]
            assert [result.error for result in results] == [None] * 3
            masked = store.files.masked_keys()
            # As a run leaves it that was killed between chunks and manifest.
            unsaid = {"status": "pending", "chunker_version": None, "masked_keys": None}
            rows = [{**row, **unsaid} for row in store.files.read().to_pylist()]
            store.files.upsert(pa.Table.from_pylist(rows, schema=FILES))
            assert pipeline.parse().error is None
            return Upgrade(root, older_masked, results[1].partitions, list(asked), masked, store.files.masked_keys())


def _files_with_a_key(root: Path) -> dict[str, str]:
    """Files of the index that hold a key in plain bytes: of tables, records and logs."""
    found = {}
    for path in (root / ".code-index").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found |= {str(path): key for key in KEYS if key.encode() in content or key.lower().encode() in content}
    return found


def test_no_key_is_in_any_file_of_an_index_and_what_is_around_it_is_found(upgrade: Upgrade) -> None:
    assert _files_with_a_key(upgrade.root) == {}
    store = IndexStore(resolve_index_folder(upgrade.root).tables_dir)
    assert not any(key in repr([store.chunks.read().to_pylist(), store.files.read().to_pylist()]) for key in KEYS)
    hits = search(store, None, "masked github token", mode=SearchMode.LEXICAL)
    assert {hit.file_path for hit in hits} >= {"app.py", "wide.txt"}
    named = store.chunks.read(["function_name", "start_line"], "chunk_type = 'function'").to_pylist()
    assert named == [{"function_name": "masked_github_token", "start_line": 4}]


def test_masked_keys_are_counted_by_file_and_kind(upgrade: Upgrade) -> None:
    assert upgrade.masked == upgrade.masked_after_a_kill == MASKED


def test_an_index_of_an_older_program_is_parsed_again_and_texts_without_keys_are_not_embedded_again(
    upgrade: Upgrade,
) -> None:
    assert upgrade.older_masked == {}
    assert (upgrade.parsed, upgrade.embedded) == (len(FILES_WITH_KEYS), [])


def test_masked_keys_are_listed_by_status(upgrade: Upgrade) -> None:
    listed = CliRunner().invoke(status.command, [str(upgrade.root), "--masked"], catch_exceptions=False)
    assert listed.output.splitlines() == [
        ".env.example: 1 aws access key id",
        "account.json: 1 private key",
        "app.py: 2 github token, 1 url password",
        "wide.txt: 1 github token",
    ]
    as_json = CliRunner().invoke(status.command, [str(upgrade.root), "--masked", "--json"], catch_exceptions=False)
    assert json.loads(as_json.output) == [{"file_path": path, "masked_keys": counts} for path, counts in MASKED.items()]
    assert masked_total(MASKED) == "6 keys in 4 files"


def test_keys_in_given_chunks_are_masked_and_their_vectors_are_made_again(
    upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    chunks = [
        GivenChunk("plain.py", 1, 1, f"uses {_GITHUB}", function_name=_GITHUB, docstring=f"with {_AWS}"),
        GivenChunk("plain.py", 2, 2, "nothing to hide"),
    ]
    added = add_chunks(upgrade.root, chunks, vectors=np.ones((2, 64), np.float32))
    assert (added.given_vectors, added.embedded) == (1, 1)
    assert _files_with_a_key(upgrade.root) == {}
    store = IndexStore(resolve_index_folder(upgrade.root).tables_dir)
    assert store.files.masked_keys()["plain.py"] == {"aws_access_key_id": 1, "github_token": 2}
