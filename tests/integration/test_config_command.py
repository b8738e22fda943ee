"""`code-index config`, and models that are not here."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from code_index.core.distribution import EXTRAS, distribution_version, has_extra
from code_index.core.errors import SettingsError
from code_index.index.settings import Settings, explained_settings, load_settings, settings_template, settings_with

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_each_setting_says_its_value_and_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('model = "deterministic"\ndevice = "cpu"\n')
    found = {item.name: item for item in explained_settings(path, {"CODE_INDEX_DEVICE": "auto"})}
    assert list(found) == list(Settings.fields_by_setting())
    assert (found["model"].value, found["model"].source) == ("deterministic", str(path))
    assert (found["device"].value, found["device"].source) == ("auto", "environment variable CODE_INDEX_DEVICE")
    assert (found["max_tokens"].value, found["max_tokens"].source) == (0, "default")
    with pytest.raises(SettingsError, match="CODE_INDEX_DEVICE"):
        explained_settings(path, {"CODE_INDEX_DEVICE": "abacus"})


def test_settings_are_written_where_the_file_speaks_of_them(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    values = {"model": 'a "quoted" \\ name', "max_tokens": 64, "query_prompt": "", "ignore": ("a", "b")}
    text = settings_with(settings_with(settings_template(), {"model": "first"}), values)
    path.write_text(text)
    settings = load_settings(path, {})
    assert {name: settings.by_setting()[name] for name in values} == values
    assert len(text.splitlines()) == len(settings_template().splitlines())


def test_the_command_shows_settings_and_model_before_there_is_an_index(
    small_repository: Path, command_line: Command
) -> None:
    shown = command_line("config", small_repository).stdout
    assert "environment variable CODE_INDEX_MODEL" in shown
    assert "deterministic-64" in shown
    found = json.loads(command_line("config", small_repository, "--json").stdout)
    assert found["model"]["dimension"] == 64
    assert {item["name"] for item in found["settings"]} == set(Settings.fields_by_setting())
    assert not (small_repository / ".code-index").exists()


def test_a_model_that_is_not_here_is_refused_before_anything_is_parsed_or_locked(
    small_repository: Path, command_line: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "somebody/some-model")
    refused = command_line("index", small_repository, check=1)
    assert "'somebody/some-model'" in refused.stderr
    assert "hf download somebody/some-model" in refused.stderr
    assert list((small_repository / ".code-index" / "locks").iterdir()) == []
    assert list((small_repository / ".code-index" / "tables").iterdir()) == []
    assert "hf download somebody/some-model" in command_line("config", small_repository).stdout


def test_models_are_shown_with_their_figures_and_the_one_in_use(small_repository: Path, command_line: Command) -> None:
    before = command_line("models", small_repository).stdout
    assert "Configured: model = deterministic (no preset)" in before
    assert "In use: no vectors yet" in before
    command_line("index", small_repository)
    found = json.loads(command_line("models", small_repository, "--json").stdout)
    for command in (["models"], ["config"], ["status"], ["status", "--failed"]):
        said = json.loads(command_line(*command, small_repository, "--json").stdout)
        assert (said["format"], said["version"]) == (1, distribution_version())
    assert found["in_use"].startswith("deterministic-64")
    assert [model["name"] for model in found["models"]] == ["default", "fast", "quality"]
    assert not any(model["configured"] for model in found["models"])


@pytest.mark.parametrize(
    ("model", "preset"),
    [("default", "default"), ("all-MiniLM-L6-v2", "default"), ("fast", "fast"), ("thenlper/gte-small", "quality")],
)
def test_a_configured_preset_is_marked_under_each_of_its_names(
    small_repository: Path, command_line: Command, monkeypatch: pytest.MonkeyPatch, model: str, preset: str
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", model)
    shown = command_line("models", small_repository).stdout
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("* ")] == [preset]
    assert ("(no preset)" in shown) is False


def test_the_extras_that_are_installed_are_named(small_repository: Path, command_line: Command) -> None:
    assert json.loads(command_line("config", small_repository, "--json").stdout)["extras"] == {
        extra: has_extra(extra) for extra in EXTRAS
    }
    assert re.search(r"^Extras\n  torch +installed\n", command_line("config", small_repository).stdout, re.MULTILINE)
