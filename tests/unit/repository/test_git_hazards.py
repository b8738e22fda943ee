"""Hazards that a repository's git folder holds: nothing of them runs, blocks, or leads elsewhere.

Each is planted for real: plain git must fall for it first, or its test would pass for nothing.
"""

from __future__ import annotations

import os
import pty
import resource
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from code_index.core.model import FileStatus
from code_index.repository import git_program
from code_index.repository.fingerprint import RepositoryState, repository_state
from code_index.repository.source_repository import ScanResult, SourceRepository
from code_index.repository.walk import WalkOptions
from tests.checkout import git
from tests.waiting import PATIENCE_S, started, wait_until

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="plants hazards of git, which is not installed")

_MODIFIED = ("ls-files", "--modified")
_LISTED = ("ls-files", "--modified", "--others", "--exclude-standard")


@dataclass
class Place:
    """A repository, a folder outside of it, and a program that leaves a marker."""

    root: Path
    outside: Path
    files: set[str] = field(default_factory=lambda: {"a.py", "lib/b.py"})

    @property
    def marker(self) -> Path:
        return self.outside / "marker"

    @property
    def program(self) -> Path:
        return self.outside / "program"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def configure(self, **settings: str) -> None:
        for name, value in settings.items():
            git(self.root, "config", name.replace("__", "."), value)

    def pipe(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        return path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "repository"
    (root / "lib").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "a.py").write_text("A = 1\n")
    (root / "lib/b.py").write_text("B = 1\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=begin")
    return root


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Place:
    """A checkout whose tracked files look edited: times differ from those of the index."""
    shutil.copytree(template, tmp_path / "repository")
    outside = tmp_path / "outside"
    outside.mkdir()
    found = Place(tmp_path / "repository", outside)
    found.program.write_text(f"#!/bin/sh\ntouch '{found.marker}'\n")
    found.program.chmod(0o755)
    for name in found.files:
        os.utime(found.root / name, (1_500_000_000, 1_500_000_000))
    return found


def state(root: Path) -> RepositoryState:
    return repository_state(root, WalkOptions(max_file_bytes=1 << 20, index_dir=root / ".code-index"))


def scan(root: Path) -> ScanResult:
    return SourceRepository(root).scan({})


def indexed(result: ScanResult) -> set[str]:
    found = {file.file_path for file in result.files if file.status is not FileStatus.SKIPPED}
    return {path for path in found if path.endswith(".py")}


def plain(folder: Path, *arguments: str, tty: bool = False, stdin: str = "", **environment: str) -> str:
    """Run git as a careless program would, whatever comes of it; its output and messages."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            check=False,
            env={**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", **environment},
            input=stdin.encode(),
            stdout=theirs if tty else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return os.fsdecode(done.stdout or b"")


def looked_at(place: Place) -> ScanResult:
    """Everything that is asked of git, before and after an edit, which must be seen; the scan."""
    before = state(place.root)
    scan(place.root)
    (place.root / "a.py").write_text("A = 2\n")
    assert state(place.root).token != before.token
    result = scan(place.root)
    assert indexed(result) == place.files
    state(place.root / "lib")
    scan(place.root / "lib")
    return result


def _filter(place: Place, kind: str = "clean") -> None:
    place.write({".gitattributes": "*.py filter=other diff=other\n"})
    place.configure(**{f"filter__other__{kind}": str(place.program)})


def _included(place: Place, name: str) -> None:
    place.write({".gitattributes": "*.py filter=other\n"})
    (place.outside / "config").write_text(f"[filter \"other\"]\nclean = '{place.program}'\n")
    git(place.root, "config", name, str(place.outside / "config"))


def _worktree_config(place: Place) -> None:
    place.write({".gitattributes": "*.py filter=other\n"})
    place.configure(extensions__worktreeConfig="true")
    git(place.root, "config", "--worktree", "filter.other.clean", str(place.program))


def _attributes_of_the_git_folder(place: Place) -> None:
    place.write({".git/info/attributes": "*.py filter=other\n"})
    place.configure(filter__other__clean=str(place.program))


def _attributes_file(place: Place) -> None:
    (place.outside / "attributes").write_text("*.py filter=other\n")
    place.configure(core__attributesFile=str(place.outside / "attributes"), filter__other__clean=str(place.program))


def _nested(place: Place) -> Place:
    inner = Place(place.root / "nested", place.outside)
    shutil.copytree(place.root / ".git", inner.root / ".git")
    inner.write({"a.py": "A = 2\n", "lib/b.py": "B = 2\n"})
    place.files |= {"nested/a.py", "nested/lib/b.py"}
    return inner


def _submodule(place: Place) -> None:
    git(place.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(place.root), "nested")
    inner = Place(place.root / "nested", place.outside)
    _filter(inner)
    inner.write({"a.py": "A = 2\n"})
    place.files |= {"nested/a.py", "nested/lib/b.py"}


def _git_file(place: Place) -> None:
    _filter(place)
    (place.root / ".git").rename(place.outside / "git")
    place.write({".git": f"gitdir: {place.outside / 'git'}\n"})


def _common_dir(place: Place) -> None:
    _filter(place)
    shutil.copytree(place.root / ".git", place.outside / "git")
    place.configure(filter__other__clean="cat")
    place.write({".git/commondir": f"{place.outside / 'git'}\n"})


def _monitor(place: Place) -> None:
    place.configure(core__fsmonitor=str(place.program))


def _bare_inside(place: Place) -> None:
    """A folder that is a bare repository with a working tree, which git takes for one without any `.git`."""
    shutil.copytree(place.root / ".git", place.root / "lib", dirs_exist_ok=True)
    inner = place.root / "lib"
    settings = {"core.bare": "false", "core.worktree": str(inner), "core.fsmonitor": str(place.program)}
    for name, value in settings.items():
        git(inner, "config", "--file", "config", name, value)


def _hook(place: Place, folder: str) -> None:
    place.write({f"{folder}/post-index-change": place.program.read_text()})
    (place.root / folder / "post-index-change").chmod(0o755)


def _hooks_path(place: Place) -> None:
    _hook(place, "hooks")
    place.configure(core__hooksPath=str(place.root / "hooks"))


def _promisor(place: Place, url: str, **settings: str) -> None:
    """An ignore file that is only in the index, whose object is promised by a remote."""
    place.write({".gitignore": "*.log\n"})
    git(place.root, "add", ".gitignore")
    name = git(place.root, "rev-parse", ":.gitignore").strip()
    git(place.root, "update-index", "--skip-worktree", ".gitignore")
    (place.root / ".gitignore").unlink()
    (place.root / ".git/objects" / name[:2] / name[2:]).unlink()
    place.configure(
        core__repositoryFormatVersion="1",
        extensions__partialClone="origin",
        remote__origin__url=url,
        remote__origin__promisor="true",
        **settings,
    )


@dataclass(frozen=True)
class Hazard:
    """How to plant it, and the command of plain git that runs the program."""

    plant: Callable[[Place], object]
    command: tuple[str, ...] = _MODIFIED
    folder: str = "."
    tty: bool = False
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


_COMMITTER = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
_RUN = {
    "clean filter": Hazard(_filter),
    "filter process": Hazard(lambda place: _filter(place, "process")),
    "filter of config.worktree": Hazard(_worktree_config),
    "filter of an included file": Hazard(lambda place: _included(place, "include.path")),
    "filter of a file included on a condition": Hazard(lambda place: _included(place, "includeIf.gitdir:**.path")),
    "filter by info/attributes": Hazard(_attributes_of_the_git_folder),
    "filter by core.attributesFile": Hazard(_attributes_file),
    "filter of a nested repository": Hazard(lambda place: _filter(_nested(place)), folder="nested"),
    "filter of a submodule": Hazard(_submodule, folder="nested"),
    "filter behind a .git file": Hazard(_git_file),
    "filter behind commondir": Hazard(_common_dir),
    "text conversion": Hazard(
        lambda place: (
            place.write({".gitattributes": "*.py diff=other\n", "a.py": "A = 3\n"}),
            place.configure(diff__other__textconv=str(place.program)),
        ),
        ("diff",),
    ),
    "external diff": Hazard(
        lambda place: (place.write({"a.py": "A = 3\n"}), place.configure(diff__external=str(place.program))), ("diff",)
    ),
    "fsmonitor": Hazard(_monitor, ("status",)),
    "fsmonitor of a nested repository": Hazard(lambda place: _monitor(_nested(place)), ("status",), folder="nested"),
    "bare repository inside": Hazard(_bare_inside, ("status",), folder="lib"),
    "hook": Hazard(lambda place: _hook(place, ".git/hooks"), ("status",)),
    "hooksPath": Hazard(_hooks_path, ("status",)),
    "pager": Hazard(
        lambda place: place.configure(core__pager=str(place.program)), ("--paginate", *_MODIFIED), tty=True
    ),
    "pager of a command": Hazard(
        lambda place: place.configure(pager__status=str(place.program)), ("status",), tty=True
    ),
    "alias": Hazard(lambda place: git(place.root, "config", "alias.list", f"!{place.program}"), ("list",)),
    "editor": Hazard(
        lambda place: place.configure(core__editor=str(place.program)),
        ("commit", "--allow-empty", "--edit"),
        environment=_COMMITTER,
    ),
    "gpg program": Hazard(
        lambda place: place.configure(gpg__program=str(place.program)),
        ("commit", "--allow-empty", "--gpg-sign=a", "--message=x"),
        environment=_COMMITTER,
    ),
    "credential helper": Hazard(
        lambda place: place.configure(credential__helper=str(place.program)),
        ("credential", "fill"),
        stdin="protocol=https\nhost=example.invalid\n\n",
        environment={"GIT_TERMINAL_PROMPT": "0"},
    ),
    "ssh command of a promisor": Hazard(
        lambda place: _promisor(place, "ssh://example.invalid/x", core__sshCommand=str(place.program)), _LISTED
    ),
    "ext remote of a promisor": Hazard(
        lambda place: _promisor(place, f"ext::{place.program}", protocol__ext__allow="always"), _LISTED
    ),
    "upload program of a promisor": Hazard(
        lambda place: _promisor(place, f"file://{place.root}", remote__origin__uploadpack=str(place.program)), _LISTED
    ),
}


@pytest.mark.parametrize("name", _RUN)
def test_nothing_that_a_repository_names_is_run(place: Place, name: str) -> None:
    hazard = _RUN[name]
    hazard.plant(place)
    before = shutil.copytree(place.root, place.root.with_name("copy"), symlinks=True)
    folder = place.root / hazard.folder
    plain(folder, *hazard.command, tty=hazard.tty, stdin=hazard.stdin, **hazard.environment)
    assert place.marker.exists(), "plain git does not fall for it: the test would show nothing"
    place.marker.unlink()
    shutil.rmtree(place.root)  # what plain git wrote, such as a fresh index, would hide the hazard
    before.rename(place.root)
    looked_at(place)
    assert not place.marker.exists()


@dataclass(frozen=True)
class Pipe:
    """A pipe in place of a file that git reads, the command of plain git that opens it, and a part of our warning."""

    path: str
    command: tuple[str, ...] = _LISTED
    said: str = ""
    prepare: Callable[[Place], object] = lambda place: None


_PIPES = [
    Pipe(".git/config", said="not a regular file"),
    Pipe(".git/index", said="not a regular file"),
    Pipe(".git/HEAD"),
    Pipe(".git/commondir"),
    Pipe(".git/packed-refs", ("show-ref",)),
    Pipe(".git/info/exclude", said="not a regular file"),
    Pipe(".git/info/attributes"),
    Pipe(".git/objects/info/alternates", ("cat-file", "-e", "1" * 40)),
    Pipe(".gitignore", said="not a regular file"),
    Pipe("lib/.gitignore", said="not a regular file"),
    Pipe("new/deep/.gitignore", said="not a regular file"),
    Pipe(".gitattributes"),
    Pipe("nested/.git/HEAD", prepare=_nested),
    Pipe("included", prepare=lambda place: place.configure(include__path=str(place.root / "included"))),
    Pipe(
        "ignored",
        said="not a regular file",
        prepare=lambda place: place.configure(core__excludesFile=str(place.root / "ignored")),
    ),
    Pipe("attributes", prepare=lambda place: place.configure(core__attributesFile=str(place.root / "attributes"))),
]


@pytest.mark.parametrize("pipe", _PIPES, ids=lambda pipe: pipe.path)
def test_a_pipe_in_place_of_a_file_of_git_blocks_nothing(
    place: Place, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.prepare(place)
    planted = place.pipe(pipe.path)
    with started("git", *pipe.command, cwd=place.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_until(lambda: _is_read(planted), "plain git opens the pipe: else the test would show nothing")
    monkeypatch.setattr(git_program, "_SLOW_S", 0.1)
    result = looked_at(place)
    if pipe.said:
        assert any(pipe.said in warning for warning in result.warnings), result.warnings


def _is_read(pipe: Path) -> bool:
    with suppress(OSError):  # nobody has it open for reading
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return True
    return False


def test_an_endless_file_of_a_nested_repository_is_not_read(place: Place) -> None:
    inner = _nested(place)
    (inner.root / ".git/commondir").symlink_to("/dev/zero")
    done = subprocess.run(
        ["git", *_LISTED],
        cwd=place.root,
        check=False,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)),
    )
    assert b"memory" in done.stderr, "plain git does not read it to the end"
    looked_at(place)


def test_an_ignore_file_beyond_all_memory_ends_git_and_not_the_machine(place: Place) -> None:
    with (place.root / "lib/.gitignore").open("wb") as file:
        file.truncate(1 << 36)  # sparse
    result = looked_at(place)
    assert "lib/.gitignore: larger than 16,777,216 bytes; its rules are not known" in result.warnings


@pytest.mark.parametrize("kind", ["core.worktree", "git file"])
def test_a_working_tree_is_where_its_git_folder_lies_whatever_that_says(place: Place, kind: str) -> None:
    (place.outside / "elsewhere.py").write_text("X = 1\n")
    if kind == "core.worktree":
        place.configure(core__worktree=str(place.outside))
    else:
        git(place.outside, "init", "--quiet")
        git(place.outside, "config", "core.worktree", str(place.outside))
        shutil.rmtree(place.root / ".git")
        place.write({".git": f"gitdir: {place.outside / '.git'}\n"})
    assert "elsewhere.py" in plain(place.root, "ls-files", "--others", "--full-name", ":/")
    looked_at(place)


def test_an_ignore_file_that_the_repository_names_outside_of_it_is_not_read(place: Place) -> None:
    (place.outside / "secret").write_text("*.py\n")
    place.configure(core__excludesFile=str(place.outside / "secret"))
    place.write({"new.py": "N = 1\n"})
    assert "new.py" not in plain(place.root, *_LISTED)
    place.files.add("new.py")
    result = looked_at(place)
    assert any("out of the repository" in warning and "git config --global" in warning for warning in result.warnings)


def test_an_ignore_file_that_the_repository_names_inside_of_it_counts(place: Place) -> None:
    place.write({"rules/ignored": "new.py\n", "new.py": "N = 1\n"})
    place.configure(core__excludesFile="rules/ignored")
    assert "new.py" not in plain(place.root, *_LISTED)
    before = state(place.root)
    looked_at(place)
    git(place.root, "add", "a.py")
    git(place.root, "commit", "--quiet", "--message=more")
    before = state(place.root)
    assert before.source == "git"
    place.write({"new.py": "N = 2\n"})
    assert state(place.root) == before


def test_an_ignore_file_that_is_a_link_is_not_followed_and_an_exclude_file_is(place: Place) -> None:
    (place.outside / "rules").write_text("new.py\n")
    (place.root / ".gitignore").symlink_to(place.outside / "rules")
    place.write({"new.py": "N = 1\n"})
    place.files.add("new.py")
    assert "new.py" in plain(place.root, *_LISTED)
    assert any(".gitignore: a symbolic link" in warning for warning in looked_at(place).warnings)
    (place.root / ".git/info/exclude").unlink()
    (place.root / ".git/info/exclude").symlink_to(place.outside / "rules")
    assert "new.py" not in plain(place.root, *_LISTED)
    place.files.remove("new.py")
    looked_at(place)


@pytest.mark.parametrize("entry", [".", "", "repository"])
def test_a_program_called_git_is_taken_from_outside_of_the_repository(
    place: Place, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    shutil.copy(place.program, place.root / "git")
    found = str(place.root) if entry == "repository" else entry
    monkeypatch.setenv("PATH", f"{found}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(place.root)
    plain(place.root, "version")
    assert place.marker.exists()
    place.marker.unlink()
    looked_at(place)
    assert state(place.root).source == "git"
    assert not place.marker.exists()


def test_variables_of_git_reach_no_command(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = place.outside / "trace"
    place.write({".gitattributes": "*.py filter=other\n"})
    monkeypatch.setenv("GIT_TRACE", str(trace))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "filter.other.clean")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(place.program))
    plain(place.root, *_MODIFIED)
    assert place.marker.exists()
    assert trace.exists()
    place.marker.unlink()
    trace.unlink()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES"):
        monkeypatch.setenv(name, str(place.outside))
    result = SourceRepository(place.root).scan({})
    assert indexed(result) == place.files
    assert state(place.root).source == "git"
    assert not place.marker.exists()
    assert not trace.exists()


def test_filters_of_the_user_are_not_run_either(place: Place) -> None:
    """Git LFS is such a filter: its files are indexed as the working tree has them."""
    place.write({".gitattributes": "*.py filter=lfs\n"})
    git(place.root, "config", "--global", "filter.lfs.clean", str(place.program))
    git(place.root, "config", "--global", "filter.lfs.required", "true")
    plain(place.root, *_MODIFIED)
    assert place.marker.exists()
    place.marker.unlink()
    looked_at(place)
    before = state(place.root)
    assert before.source == "git"
    (place.root / "a.py").write_text("A = 3\n")
    assert state(place.root).token != before.token
    assert not place.marker.exists()


def test_contents_that_a_filter_brings_for_the_same_object_are_seen(place: Place) -> None:
    """A clone without Git LFS has pointers, which `git lfs pull` replaces by the contents they stand for."""
    place.write({".gitattributes": "*.py filter=lfs\n"})
    git(place.root, "add", "--all")
    before = state(place.root)
    assert before.source == "git"
    git(place.root, "config", "--global", "filter.lfs.smudge", "echo LARGE = 1")
    git(place.root, "config", "--global", "filter.lfs.clean", "echo A = 1")
    (place.root / "a.py").unlink()
    git(place.root, "checkout", "--quiet", "a.py")
    assert (place.root / "a.py").read_text() == "LARGE = 1\n"
    os.utime(place.root / "a.py", (1_500_000_000, 1_500_000_000))  # so old that git compares no contents
    git(place.root, "update-index", "--refresh")
    assert "a.py" not in plain(place.root, *_MODIFIED)
    assert state(place.root).token != before.token


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a repository to another user, which only root may")
def test_the_repository_of_another_user_is_refused_until_it_is_called_safe(place: Place) -> None:
    os.chown(place.root / ".git", 65_534, 65_534)
    refusal = f"detected dubious ownership in repository at '{place.root}'"
    assert refusal in plain(place.root, *_LISTED)
    assert any(refusal in warning and "safe.directory" in warning for warning in looked_at(place).warnings)
    git(place.root, "config", "--global", "safe.directory", str(place.root))
    assert looked_at_again(place).warnings == ()
    assert state(place.root).source == "git"


def looked_at_again(place: Place) -> ScanResult:
    """A scan that finds the same files."""
    result = scan(place.root)
    assert indexed(result) == place.files
    return result


@pytest.mark.parametrize("kind", ["split index", "sha256", "line ends", "sparse", "file mode"])
def test_checkouts_of_every_kind_are_read_as_git_reads_them(place: Place, tmp_path: Path, kind: str) -> None:
    root = place.root
    if kind == "split index":
        git(root, "update-index", "--split-index")
    elif kind == "sha256":
        shutil.rmtree(root / ".git")
        git(root, "init", "--quiet", "--object-format=sha256")
        git(root, "add", "--all")
    elif kind == "line ends":
        git(root, "config", "core.autocrlf", "true")
        (root / "a.py").unlink()
        git(root, "checkout", "--quiet", "a.py")
        assert (root / "a.py").read_bytes() == b"A = 1\r\n"
    elif kind == "sparse":
        git(root, "sparse-checkout", "set", "--cone", "--sparse-index", "lib")
        assert not (root / "new").exists()
    else:
        git(root, "config", "core.fileMode", "false")
        git(root, "update-index", "--refresh")
        before = state(root)
        (root / "a.py").chmod(0o755)
        assert state(root).token == before.token
    place.write({".gitignore": "*.py\n"})  # what git tracks stays
    result = scan(root)
    assert result.warnings == ()
    assert indexed(result) == place.files
    before = state(root)
    # For folders that are in the index only as a whole, git would have to read objects.
    assert before.source.startswith("walk: git ls-files failed" if kind == "sparse" else "git")
    (root / "a.py").write_text("A = 2\n")
    assert state(root).token != before.token
