"""A path that cannot be a repository is wrong use, in every command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from code_index.index.folder import resolve_index_folder
from indexing_assets.cli.main import cli
from indexing_assets.cli.options import folder_of
from resources.instance_config import instance_config


@pytest.mark.parametrize("name", sorted({*cli.list_commands(None)} - {"completion", "rollback"}))  # about no repository
@pytest.mark.parametrize("path", ["nowhere", "file.py", "file.py/below"])
def test_a_path_that_is_no_folder_ends_with_2_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.py").write_text("x = 1\n")
    command = cli.get_command(None, name)
    by_option = any("-C" in parameter.opts for parameter in command.params)
    before = {
        "materialize": ["source_files"],
        "related": ["file.py:1", "-C"],
        "publish": ["/nowhere"],
        "fetch": ["/nowhere"],
    }.get(name, ["words", "-C"] if by_option else [])
    done = CliRunner().invoke(cli, [name, *before, path])
    assert done.exit_code == 2, done.output
    assert f"{tmp_path / path} is not a folder" in done.output
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.py"]


def test_an_index_that_lies_elsewhere_outlives_its_repository(tmp_path: Path) -> None:
    index, gone = tmp_path / "index", tmp_path / "gone"
    gone.mkdir()
    resolve_index_folder(gone, index).create(instance_config())
    gone.rmdir()
    assert folder_of(gone, index).path == index
