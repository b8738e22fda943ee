"""A Dagster newer than the newest tested one: a warning, once, and nothing else."""

import json
import logging
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest

from resources.dagster_version import NEWEST_TESTED, warn_of_an_untested_dagster

_ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def not_warned_yet():
    warn_of_an_untested_dagster.cache_clear()
    yield
    warn_of_an_untested_dagster.cache_clear()


def test_a_newer_dagster_is_told_once(monkeypatch, caplog):
    monkeypatch.setattr(dg, "__version__", "1.13.1000")

    warn_of_an_untested_dagster()
    warn_of_an_untested_dagster()

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"Dagster 1.13.1000 is newer than {NEWEST_TESTED}, ")


@pytest.mark.parametrize("version", [NEWEST_TESTED, "1.13.21", "1.9.13", "1!0+dev"])
def test_a_tested_dagster_is_not_mentioned(version, monkeypatch, caplog):
    monkeypatch.setattr(dg, "__version__", version)

    warn_of_an_untested_dagster()

    assert not caplog.records


def test_a_command_says_it_once_on_standard_error_and_its_json_stays_json(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    return 1\n")
    newer = (
        "import sys, dagster; dagster.__version__ = '2.7.1'\n"
        "from indexing_assets.cli.main import main\n"
        "sys.argv[0] = 'code-index'; main()"
    )

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", newer, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )

    indexed = run("index", "--phase", "parse")
    examined = run("status", "--json")

    assert indexed.returncode == 0, indexed.stderr
    assert indexed.stderr.count("Dagster 2.7.1 is newer than") == 1
    assert "is newer than" not in indexed.stdout
    assert json.loads(examined.stdout)["files"]["parsed"] == 1


def test_the_bounds_of_dagster_and_its_companions_agree():
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    every = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    bounds = {one.split(">=")[0]: one.split(">=")[1].split(",") for one in every if one.startswith("dagster")}
    oldest, newest = bounds["dagster"]
    patch = oldest.rpartition(".")[2]

    assert bounds["dagster-webserver"] == [oldest, newest]
    # Each release of Dagster has one of dagster-postgres with the same last number.
    assert bounds["dagster-postgres"][0].rpartition(".")[2] == patch
    assert int(NEWEST_TESTED.rpartition(".")[2]) - int(patch) >= 5, "at least six releases"
