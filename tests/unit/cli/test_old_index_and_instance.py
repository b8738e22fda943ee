"""Commands refuse a foreign old table before they ask, and name a configuration that Dagster cannot use."""

from __future__ import annotations

import json

import pytest

from code_index.core.errors import StoreError, UsageError
from code_index.index.folder import resolve_index_folder
from code_index.tables.schema_version import replace_version
from indexing_assets.cli.cleanup import _show_old_index
from indexing_assets.cli.status import opened_instance
from resources.instance_config import instance_config


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "repository").mkdir()
    made = resolve_index_folder(tmp_path / "repository")
    made.create(instance_config())
    replace_version(made.tables_dir)
    return made


def _record(folder, table):
    table.mkdir(parents=True)
    record = {"table": str(table), "source": str(table.parent)}
    (folder.tables_dir / "migration.json").write_text(json.dumps(record))


def test_an_old_table_elsewhere_is_refused_before_anybody_is_asked(folder, tmp_path, capsys):
    _record(folder, tmp_path / "elsewhere" / "code_search.lance")

    with pytest.raises(UsageError, match="neither removes nor restores"):
        _show_old_index(folder)

    assert capsys.readouterr().out == ""


def test_an_old_table_of_the_repository_is_shown(folder, capsys):
    table = folder.repository_root / ".old" / "code_search.lance"
    _record(folder, table)

    _show_old_index(folder)

    assert str(table) in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("content", ["[" * 100_000, "run_storage: {module: planted, class: Planted}", "\0"])
def test_a_configuration_that_dagster_cannot_use_is_named(folder, monkeypatch, content):
    (folder.dagster_home / "dagster.yaml").write_text(content)
    monkeypatch.setenv("DAGSTER_HOME", str(folder.dagster_home))

    with pytest.raises(StoreError, match=r"dagster\.yaml cannot be used .*code-index index"):
        opened_instance(folder)
