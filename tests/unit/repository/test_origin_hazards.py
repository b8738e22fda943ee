"""Hazards of source that comes from a git host: nothing of a repository runs, and nothing is written outside of its folder.

Each is planted for real: plain git must fall for it first, or its test would pass for nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from code_index.core.errors import RepositoryError
from code_index.repository.origin_checkouts import check_out
from code_index.repository.origins import GitOrigin, latest_commit
from tests.checkout import git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="plants hazards of git, which is not installed")


@dataclass
class Place:
    """A host's repository, a configuration of the user, and a program that leaves a marker."""

    host: Path
    outside: Path

    @property
    def marker(self) -> Path:
        return self.outside / "marker"

    @property
    def program(self) -> Path:
        return self.outside / "program"

    @property
    def root(self) -> Path:
        return self.outside.parent / "ours"

    def user_setting(self, name: str, value: object) -> None:
        git(self.outside, "config", "--file", "config", name, str(value))

    def commit(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.host / name).write_text(text)
        own = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
        git(self.host, *own, "add", "--all")
        git(self.host, *own, "commit", "--quiet", "--message=change")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    found = Place(tmp_path / "host", tmp_path / "outside")
    found.host.mkdir()
    found.outside.mkdir()
    found.program.write_text(f"#!/bin/sh\ntouch '{found.marker}'\nexit 1\n")
    found.program.chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(found.outside / "config"))
    git(found.host, "init", "--quiet", "--initial-branch=main")
    found.commit({"a.py": "A = 1\n"})
    return found


def plain(place: Place, *arguments: str, folder: Path | None = None) -> str:
    """Run git as a careless program would, whatever comes of it; its output and messages."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder or place.outside,
        check=False,
        input=b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    return os.fsdecode(done.stdout)


def clone(place: Place, *options: str) -> None:
    plain(place, "clone", "--quiet", *options, str(place.host), str(place.outside / "clone"))


def _filter(place: Place) -> None:
    """As `git lfs install` sets one up."""
    place.user_setting("filter.other.smudge", f"'{place.program}' || cat")
    place.commit({".gitattributes": "*.py filter=other\n"})
    clone(place)


def _hook(place: Place, name: str) -> None:
    hooks = place.outside / "hooks"
    hooks.mkdir()
    shutil.copy(place.program, hooks / name)
    place.user_setting("core.hooksPath", hooks)
    clone(place)


def _template(place: Place) -> None:
    (place.outside / "template/hooks").mkdir(parents=True)
    shutil.copy(place.program, place.outside / "template/hooks/post-checkout")
    place.user_setting("init.templateDir", place.outside / "template")
    clone(place)


def _monitor(place: Place) -> None:
    place.user_setting("core.fsmonitor", place.program)
    clone(place)
    plain(place, "status", folder=place.outside / "clone")


def _submodule(place: Place) -> None:
    """A submodule is fetched from wherever the repository says, here by a program."""
    place.user_setting("protocol.ext.allow", "always")
    place.user_setting("submodule.recurse", "true")
    place.user_setting("fetch.recurseSubmodules", "true")
    head = git(place.host, "rev-parse", "HEAD").strip()
    git(place.host, "update-index", "--add", "--cacheinfo", f"160000,{head},inner")
    (place.host / "inner").mkdir()
    place.commit({".gitmodules": f'[submodule "inner"]\npath = inner\nurl = ext::{place.program}\n'})
    clone(place, "--recurse-submodules")


def _helper_of_an_address(place: Place) -> None:
    """The user's own rewriting leads to a program: what the deployment names may not reach it."""
    place.user_setting("protocol.ext.allow", "always")
    place.user_setting(f"url.ext::{place.program} .insteadOf", f"{place.host}")
    clone(place)


@pytest.mark.parametrize(
    "plant",
    [
        _filter,
        lambda place: _hook(place, "post-checkout"),
        lambda place: _hook(place, "reference-transaction"),
        _template,
        _monitor,
        _submodule,
    ],
    ids=["filter", "hook of a checkout", "hook of a fetch", "template", "monitor", "submodule"],
)
def test_what_a_repository_leads_to_does_not_run(place: Place, plant: Callable[[Place], None]) -> None:
    plant(place)
    assert place.marker.exists(), "plain git did not fall for it"
    place.marker.unlink()
    origin = GitOrigin(str(place.host))
    check_out(origin, latest_commit(origin), place.root)
    assert (place.root / "a.py").read_text() == "A = 1\n"
    place.commit({"a.py": "A = 2\n"})
    check_out(origin, latest_commit(origin), place.root)
    assert (place.root / "a.py").read_text() == "A = 2\n"
    assert not place.marker.exists()


def test_no_address_leads_to_a_program(place: Place) -> None:
    _helper_of_an_address(place)
    assert place.marker.exists(), "plain git did not fall for it"
    place.marker.unlink()
    with pytest.raises(RepositoryError, match="transport 'ext' not allowed"):
        latest_commit(GitOrigin(str(place.host)))
    with pytest.raises(RepositoryError, match="transport 'ext' not allowed"):
        check_out(GitOrigin(str(place.host)), git(place.host, "rev-parse", "HEAD").strip(), place.root)
    assert not place.marker.exists()


def test_the_configuration_of_a_repository_on_this_machine_runs_nothing(place: Place) -> None:
    for name in ("core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "core.alternateRefsCommand"):
        git(place.host, "config", name, str(place.program))
    plain(place, "status", folder=place.host)
    assert place.marker.exists(), "plain git did not fall for it"
    place.marker.unlink()
    origin = GitOrigin(str(place.host))
    check_out(origin, latest_commit(origin), place.root)
    assert not place.marker.exists()


def test_an_incomplete_repository_on_this_machine_fetches_nothing(place: Place, tmp_path: Path) -> None:
    """A promisor's missing objects would be fetched by the program that its configuration names."""
    blob = git(place.host, "rev-parse", "HEAD:a.py").strip()
    (place.host / ".git/objects" / blob[:2] / blob[2:]).unlink()
    settings = {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": str(place.outside),
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(place.program),
    }
    for name, value in settings.items():
        git(place.host, "config", name, value)
    plain(place, "cat-file", "-p", blob, folder=place.host)
    assert place.marker.exists(), "plain git did not fall for it"
    place.marker.unlink()
    origin = GitOrigin(str(place.host))
    with pytest.raises(RepositoryError):
        check_out(origin, latest_commit(origin), place.root)
    assert not place.marker.exists()


def test_variables_of_a_hook_that_calls_lead_nowhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place.outside / "other"
    clone(place)
    (place.outside / "clone").rename(other)
    for name, value in {"DIR": other / ".git", "WORK_TREE": other, "INDEX_FILE": other / ".git/index"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(value))
    plain(place, "read-tree", "--empty", folder=place.root.parent)
    assert plain(place, "ls-files") == "", "plain git did not fall for it"
    before = (other / ".git/index").read_bytes()
    origin = GitOrigin(str(place.host))
    check_out(origin, latest_commit(origin), place.root)
    assert (other / ".git/index").read_bytes() == before
    assert (place.root / "a.py").is_file()


def _tree(place: Place, *entries: tuple[str, str, bytes]) -> str:
    """A tree as no careful git makes it; entries are mode, name, and the content of a file or the bytes of a hash."""
    raw = b""
    for mode, name, content in entries:
        if mode == "40000":
            raw += f"{mode} {name}".encode() + b"\0" + content
        else:
            blob = subprocess.run(
                ["git", "hash-object", "-w", "--stdin"], cwd=place.host, input=content, capture_output=True, check=True
            )
            raw += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(blob.stdout.decode().strip())
    command = ["git", "hash-object", "-w", "--literally", "-t", "tree", "--stdin"]
    made = subprocess.run(command, cwd=place.host, input=raw, capture_output=True, check=True)
    return made.stdout.decode().strip()


def _commit_of(place: Place, tree: str) -> str:
    at = git(place.host, "commit-tree", "-m", "crafted", tree).strip()
    git(place.host, "update-ref", "refs/heads/main", at)
    return at


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", "..", "."])
def test_no_entry_of_a_tree_reaches_the_git_folder_or_what_is_above(place: Place, name: str) -> None:
    inner = _tree(place, ("100755", "planted", b"#!/bin/sh\n"))
    at = _commit_of(place, _tree(place, ("40000", name, bytes.fromhex(inner)), ("100644", "a.py", b"A = 1\n")))
    with pytest.raises(RepositoryError):
        check_out(GitOrigin(str(place.host)), at, place.root)
    assert not list(place.root.rglob("planted"))
    assert not (place.root.parent / "planted").exists()


def test_no_file_is_written_through_a_link(place: Place) -> None:
    inner = _tree(place, ("100644", "planted", b"planted\n"))
    link = os.fsencode(place.outside)
    at = _commit_of(place, _tree(place, ("120000", "way", link), ("40000", "way", bytes.fromhex(inner))))
    with suppress(RepositoryError):
        check_out(GitOrigin(str(place.host)), at, place.root)
    assert not (place.outside / "planted").exists()
    # A folder that becomes a link, while something is in it.
    first = _commit_of(place, _tree(place, ("40000", "way", bytes.fromhex(inner))))
    second = _commit_of(place, _tree(place, ("120000", "way", link)))
    (place.outside / "planted").write_text("the user's own\n")
    for at in (first, second, first, second):
        check_out(GitOrigin(str(place.host)), at, place.root)
    assert (place.outside / "planted").read_text() == "the user's own\n"
    assert (place.outside / "planted").stat().st_mtime_ns > 1_700_000_000_000_000_000
