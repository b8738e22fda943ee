"""Scans of plain folders: kinds of entries, rules of code-index itself, change detection."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from code_index.core.errors import RepositoryError
from code_index.core.hashing import content_hash
from code_index.core.model import FileStatus, SourceFile
from code_index.repository import source_repository
from code_index.repository import walk as source_walk
from code_index.repository.content_rules import RACY_MTIME_NS, plan_changes
from code_index.repository.source_repository import ScanResult, SourceRepository

OLD_NS = 1_600_000_000_000_000_000


def write(root: Path, files: dict[str, str | bytes], *, mtime_ns: int = OLD_NS) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(root / path, ns=(mtime_ns, mtime_ns))
    return root


def scan(root: Path, known: ScanResult | None = None, **options: Any) -> ScanResult:
    return SourceRepository(root, **options).scan(by_path(known) if known is not None else {})


def by_path(result: ScanResult) -> dict[str, SourceFile]:
    return {file.file_path: file for file in result.files}


def indexed(result: ScanResult) -> set[str]:
    return {file.file_path for file in result.files if file.status is not FileStatus.SKIPPED}


def reasons(result: ScanResult) -> dict[str, str | None]:
    return {file.file_path: file.reason for file in result.files if file.status is FileStatus.SKIPPED}


def test_a_record_holds_what_was_read(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": '[project]\nname = "demo"\n', "src/a.py": "x = 1\n"})
    assert by_path(scan(tmp_path))["src/a.py"] == SourceFile(
        file_path="src/a.py",
        file_hash=content_hash(b"x = 1\n"),
        size_bytes=6,
        mtime_ns=OLD_NS,
        language="python",
        subproject_name="demo",
        subproject_path=".",
    )


def test_every_entry_is_indexed_or_has_a_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": "x",
            "empty.py": "",
            "blank.py": " \n\t\n",
            "big.py": "x" * 101,
            "data.bin": b"x",
            "hidden.dat": b"a\0b",
            "wide.txt": "text".encode("utf-16"),
            "poetry.lock": "x",
            "app.min.js": "x",
            "api_pb2.py": "x",
            ".env": "KEY=1",
            "server.pem": "x",
            "odd": "-----BEGIN RSA PRIVATE KEY-----\n",
            "node_modules/m/index.js": "x",
            ".hg/store": "x",
            ".code-index/chunks.lance/data": "x",
            "venv/pyvenv.cfg": "x",
            "venv/lib/a.py": "x",
            "cache/CACHEDIR.TAG": "x",
        },
    )
    result = scan(tmp_path, max_file_bytes=100)
    assert indexed(result) == {"a.py", "wide.txt"}
    assert reasons(result) == {
        "empty.py": "empty",
        "blank.py": "empty: only white space",
        "big.py": "too large: over 100 bytes",
        "data.bin": "binary: .bin",
        "hidden.dat": "binary: NUL bytes, and neither UTF-16 nor UTF-32",
        "poetry.lock": "lock file: poetry.lock",
        "app.min.js": "bundle: by its name",
        "api_pb2.py": "generated: protocol compiler output",
        ".env": "likely secret: by its name",
        "server.pem": "likely secret: by its name",
        "odd": "likely secret: private key",
        "node_modules/": "dependency folder: node_modules",
        ".hg/": "version control: .hg",
        ".code-index/": "index folder: code-index's own files",
        "venv/": "dependency folder: virtual environment (pyvenv.cfg)",
        "cache/": "cache folder: marked by CACHEDIR.TAG",
    }


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x" * 1_048_576, "b.py": "x" * 1_048_577})
    assert indexed(scan(tmp_path)) == {"a.py"}


def test_an_index_kept_under_another_name_is_not_indexed(tmp_path: Path) -> None:
    write(tmp_path, {"deep/idx/a.py": "x", "deep/b.py": "x"})
    assert indexed(scan(tmp_path, index_dir=tmp_path / "deep" / "idx")) == {"deep/b.py"}


def test_codeindexignore_ignores_and_brings_back(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".gitignore": "*.log\n/data/\n",
            ".codeindexignore": "*.md\n!keep.log\n!/data/\n!node_modules/own/\n!.env.example\n!/venv/\n",
            "docs/.codeindexignore": "!*.md\nsecret.md\n",
            "README.md": "x",
            "docs/guide.md": "x",
            "docs/secret.md": "x",
            "keep.log": "x",
            "drop.log": "x",
            "data/a.py": "x",
            "data/b.log": "x",
            "node_modules/own/a.js": "x",
            "node_modules/own/yarn.lock": "x",
            "node_modules/other/b.js": "x",
            "node_modules/c.js": "x",
            ".env.example": "x",
            "venv/pyvenv.cfg": "x",
        },
    )
    result = scan(tmp_path)
    assert {path for path in indexed(result) if "ignore" not in path} == {
        "docs/guide.md",
        "keep.log",
        "data/a.py",
        "node_modules/own/a.js",
        ".env.example",
        "venv/pyvenv.cfg",
    }
    found = reasons(result)
    assert found["docs/secret.md"] == "ignored: docs/.codeindexignore:2 secret.md"
    assert found["node_modules/own/yarn.lock"] == "lock file: yarn.lock"
    assert found["node_modules/other/"] == found["node_modules/c.js"] == "dependency folder: node_modules"


def test_no_pattern_brings_back_version_control_or_the_index(tmp_path: Path) -> None:
    write(
        tmp_path,
        {".codeindexignore": "!.git/\n!.code-index/\n", ".svn/a.py": "x", ".code-index/a.py": "x", "a.py": "x"},
    )
    assert indexed(scan(tmp_path)) == {".codeindexignore", "a.py"}


def test_patterns_of_the_caller_count_like_codeindexignore(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.py": "x", "b.py": "x", "gen/c.py": "x", "vendor/own/d.go": "x", "vendor/e.go": "x", "go.mod": "module m"},
    )
    result = scan(tmp_path, exclude=["b.py", "/gen/"], include=["vendor/own/"])
    assert indexed(result) == {"a.py", "go.mod", "vendor/own/d.go"}
    assert reasons(result)["b.py"] == "ignored: settings:1 b.py"


def test_ignore_files_hold_in_a_plain_folder(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "out.py\n", "out.py": "x", "a/.gitignore": "!out.py\n", "a/out.py": "x"})
    assert indexed(scan(tmp_path)) == {".gitignore", "a/.gitignore", "a/out.py"}


def test_an_ignore_file_that_is_a_link_does_not_hold_and_a_warning_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"r/a.py": "x", "rules": "a.py\n"})
    (tmp_path / "r" / ".gitignore").symlink_to(tmp_path / "rules")
    result = scan(tmp_path / "r")
    assert indexed(result) == {"a.py"}
    assert any(warning.startswith(".gitignore: a symbolic link") for warning in result.warnings)


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    root = write(tmp_path, {"r/src/a.py": "x", "outside/b.py": "x"}) / "r"
    (root / "file.py").symlink_to("src/a.py")
    (root / "folder").symlink_to("src")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "src" / "loop").symlink_to("..")
    (root / "self").symlink_to("self")
    (root / "gone").symlink_to("nothing")
    result = scan(root)
    assert indexed(result) == {"src/a.py"}
    assert reasons(result) == {
        "file.py": "symbolic link: to src/a.py, which is seen there",
        "folder": "symbolic link: to src, which is seen there",
        "out": "symbolic link: out of the root",
        "src/loop": "symbolic link: to ., which is seen there",
        "self": "symbolic link: leads nowhere or in a circle",
        "gone": "symbolic link: leads nowhere or in a circle",
    }


def test_the_root_may_be_reached_by_a_symbolic_link(tmp_path: Path) -> None:
    write(tmp_path, {"r/a.py": "x"})
    (tmp_path / "link").symlink_to("r")
    assert indexed(scan(tmp_path / "link")) == {"a.py"}


def test_pipes_and_sockets_do_not_hang(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x"})
    os.mkfifo(tmp_path / "pipe.py")
    os.mkfifo(tmp_path / ".gitignore")
    os.mkfifo(tmp_path / "package.json")
    os.mkfifo(tmp_path / ".git")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "sock.py"))
        result = scan(tmp_path)
    assert indexed(result) == {"a.py"}
    assert reasons(result)["pipe.py"] == "not a file: pipe"
    assert reasons(result)["sock.py"] == "not a file: socket"
    assert ".gitignore: not a regular file; its rules are not known" in result.warnings


@pytest.mark.parametrize(
    "name", ["a b.py", 'it\'s "x".py', "new\nline.py", "[...slug].py", "-n.py", "ü.py", "...", "tab\t.py", "\\"]
)
def test_odd_names_are_fine(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "x", f"dir {name}/{name}": "x"})
    assert indexed(scan(tmp_path)) == {name, f"dir {name}/{name}"}


def test_names_that_are_not_utf8_are_skipped_and_shown_with_escapes(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x"})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.py")).write_text("x")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9d"))
    folder.mkdir()
    (folder / "b.py").write_text("x")
    result = scan(tmp_path)
    assert indexed(result) == {"a.py"}
    assert reasons(result) == {"bad\\xff.py": "name: not UTF-8", "b\\xe9d/": "name: not UTF-8"}


def test_a_deep_tree_is_walked_without_recursion(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1_200)
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1_200):
            Path("d").mkdir()
            os.chdir("d")
        Path("a.py").write_text("x")
        os.chdir(here)
        assert indexed(scan(tmp_path)) == {f"{deep}/a.py"}
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil's removal is recursive


def test_an_unchanged_tree_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.py": "x", "min.js": "x" * 5_000, "b.dat": b"a\0b", "h.h": "class A {", "noext": "#!/bin/sh\n"})
    first = scan(tmp_path)
    monkeypatch.setattr(SourceRepository, "read", lambda self, path: pytest.fail(f"{path} was read"))
    again = scan(tmp_path, first)
    assert again.read_count == 0
    assert again.files == first.files
    assert all(old is new for old, new in zip(first.files, again.files, strict=True) if old.file_hash)


def test_only_files_with_another_size_or_mtime_are_read(tmp_path: Path) -> None:
    first = scan(
        write(tmp_path, {"same.py": "x", "longer.py": "x", "edited.py": "x", "touched.py": "x", "gone.py": "x"})
    )
    write(tmp_path, {"longer.py": "xy", "new.py": "n"})
    write(tmp_path, {"edited.py": "y", "touched.py": "x"}, mtime_ns=OLD_NS + 1)
    (tmp_path / "gone.py").unlink()
    second = scan(tmp_path, first)
    assert second.read_count == 4
    changes = plan_changes(by_path(first), second.files)
    assert [file.file_path for file in changes.new] == ["new.py"]
    assert [file.file_path for file in changes.changed] == ["edited.py", "longer.py"]
    assert [file.file_path for file in changes.touched] == ["touched.py"]
    assert changes.removed == ("gone.py",)


def test_a_verifying_scan_finds_an_edit_that_kept_size_and_mtime(tmp_path: Path) -> None:
    first = scan(write(tmp_path, {"a.py": "x"}))
    write(tmp_path, {"a.py": "y"})
    assert scan(tmp_path, first).files == first.files
    verified = SourceRepository(tmp_path).scan(by_path(first), verify=True)
    assert by_path(verified)["a.py"].file_hash == content_hash(b"y")


def test_an_edit_within_the_clock_tick_of_the_scan_is_found(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    first = scan(write(tmp_path, {"a.py": "x"}, mtime_ns=now_ns))
    assert by_path(first)["a.py"].mtime_ns == RACY_MTIME_NS
    write(tmp_path, {"a.py": "y"}, mtime_ns=now_ns)
    second = scan(tmp_path, first)
    assert by_path(second)["a.py"].file_hash == content_hash(b"y")


def test_a_young_file_is_settled_by_a_later_scan_and_keeps_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.time_ns()
    first = scan(write(tmp_path, {"a.py": "x"}, mtime_ns=now_ns))
    known = {"a.py": replace(first.files[0], status=FileStatus.PARSED)}
    monkeypatch.setattr(source_repository.time, "time_ns", lambda: now_ns + 3_000_000_000)
    settled = SourceRepository(tmp_path).scan(known)
    assert settled.files[0] == replace(known["a.py"], mtime_ns=now_ns)
    assert plan_changes(known, settled.files).touched == settled.files
    assert SourceRepository(tmp_path).scan(by_path(settled)).read_count == 0


def test_what_a_rule_no_longer_skips_is_read(tmp_path: Path) -> None:
    first = scan(write(tmp_path, {".gitignore": "a.py\n", "a.py": "x"}))
    (tmp_path / ".gitignore").unlink()
    second = scan(tmp_path, first)
    assert [file.file_path for file in plan_changes(by_path(first), second.files).new] == ["a.py"]


def test_a_renamed_subproject_touches_its_files_without_reading_them(tmp_path: Path) -> None:
    first = scan(write(tmp_path, {"p/package.json": '{"name": "old"}', "p/a.js": "x"}))
    write(tmp_path, {"p/package.json": '{"name": "newer"}'})
    second = scan(tmp_path, first)
    changes = plan_changes(by_path(first), second.files)
    assert second.read_count == 1  # the manifest itself
    assert [(file.file_path, file.subproject_name) for file in changes.touched] == [("p/a.js", "newer")]


def test_a_broken_manifest_is_a_warning(tmp_path: Path) -> None:
    result = scan(write(tmp_path, {"p/package.json": "{", "p/a.js": "x"}))
    assert by_path(result)["p/a.js"].subproject_name == "p"
    assert [warning.partition(":")[0] for warning in result.warnings] == ["p/package.json"]


class _Refusing:
    """`os.scandir` that is refused one folder (tests may run as root, whom no permission stops)."""

    def __init__(self, folder: Path, error: OSError) -> None:
        self._folder, self._error, self._scandir = str(folder), error, os.scandir

    def __call__(self, path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).rstrip("/") == self._folder:
            raise self._error
        return self._scandir(path)


def test_an_unreadable_folder_keeps_what_is_known_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(write(tmp_path, {"a.py": "x", "locked/b.py": "x", "locked/deep/c.py": "x", "lockedout.py": "x"}))
    monkeypatch.setattr(
        source_walk.os, "scandir", _Refusing(tmp_path / "locked", PermissionError(13, "Permission denied"))
    )
    second = scan(tmp_path, first)
    assert second.unreadable == {"locked/": "unreadable: Permission denied"}
    assert reasons(second) == {"locked/": "unreadable: Permission denied"}
    assert indexed(second) == indexed(first)
    assert plan_changes(by_path(first), second.files).removed == ()
    monkeypatch.undo()
    assert plan_changes(by_path(second), scan(tmp_path, second).files).removed == ("locked/",)


def test_a_folder_that_went_during_the_scan_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.py": "x", "went/b.py": "x"})
    monkeypatch.setattr(source_walk.os, "scandir", _Refusing(tmp_path / "went", FileNotFoundError(2, "gone")))
    result = scan(tmp_path)
    assert (indexed(result), result.unreadable) == ({"a.py"}, {})


def test_an_unreadable_file_keeps_its_record_or_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scan(write(tmp_path, {"a.py": "x"}))
    write(tmp_path, {"a.py": "longer", "b.py": "x", "c.py": "x"})
    real_open = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if str(path).endswith(("a.py", "b.py")):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(source_repository.os, "open", refuse)
    second = scan(tmp_path, first)
    assert by_path(second)["a.py"] is by_path(first)["a.py"]
    assert set(second.unreadable) == {"a.py", "b.py"}
    assert set(reasons(second)) == {"b.py"}
    assert "Permission denied" in (reasons(second)["b.py"] or "")
    assert indexed(second) == {"a.py", "c.py"}


@pytest.mark.parametrize("kind", ["missing", "file", "refused"])
def test_a_root_that_cannot_be_listed_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("x")
    elif kind == "refused":
        root.mkdir()
        monkeypatch.setattr(source_walk.os, "scandir", _Refusing(root, PermissionError(13, "Permission denied")))
    with pytest.raises(RepositoryError, match=r"root (cannot be|is not a folder)"):
        scan(root)


def test_a_root_that_is_replaced_during_the_scan_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "root", {"a.py": "x"})
    real_walk = source_repository.walk

    def replacing(*arguments: Any) -> source_walk.Walk:
        found = real_walk(*arguments)
        root.rename(tmp_path / "old")
        root.mkdir()
        return found

    monkeypatch.setattr(source_repository, "walk", replacing)
    with pytest.raises(RepositoryError, match="was replaced during the scan"):
        scan(root)


def test_a_tree_that_is_suddenly_empty_is_an_error_unless_it_is_expected(tmp_path: Path) -> None:
    first = scan(write(tmp_path / "root", {"a.py": "x"}))
    (tmp_path / "root" / "a.py").unlink()
    with pytest.raises(RepositoryError, match="is empty, but 1 of its files"):
        scan(tmp_path / "root", first)
    assert SourceRepository(tmp_path / "root").scan(by_path(first), allow_empty=True).files == ()
    assert scan(tmp_path / "root").files == ()


class _Entry:
    """A `DirEntry` whose `stat` fails."""

    def __init__(self, entry: os.DirEntry[str], error: OSError) -> None:
        self.name, self._error = entry.name, error

    def is_symlink(self) -> bool:
        return False

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise self._error


@pytest.mark.parametrize(
    ("error", "unreadable"),
    [
        (FileNotFoundError(2, "gone"), {}),
        (OSError(5, "Input/output error"), {"bad.py": "unreadable: Input/output error"}),
    ],
)
def test_a_file_that_cannot_be_looked_at_is_gone_only_if_the_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, unreadable: dict[str, str]
) -> None:
    first = scan(write(tmp_path, {"a.py": "x", "bad.py": "x"}))
    real = os.scandir

    @contextmanager
    def listing(path: str) -> Iterator[list[Any]]:
        with real(path) as entries:
            yield [_Entry(entry, error) if entry.name == "bad.py" else entry for entry in entries]

    monkeypatch.setattr(source_walk.os, "scandir", listing)
    second = scan(tmp_path, first)
    assert second.unreadable == unreadable
    assert indexed(second) == ({"a.py", "bad.py"} if unreadable else {"a.py"})


def test_rules_and_manifests_that_cannot_be_read_are_warnings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {".gitignore": "a.py\n", "package.json": '{"name": "x"}', "a.py": "x"})
    real_open = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if str(path).endswith((".gitignore", "package.json")):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *arguments, **options)

    monkeypatch.setattr(source_walk.os, "open", refuse)
    result = scan(tmp_path)
    assert indexed(result) == {"a.py"}
    assert result.warnings == (
        "package.json: Permission denied; the subproject's name is not known",
        ".gitignore: Permission denied; its rules are not known, so ignored files may get indexed",
    )


def test_a_growing_ignored_file_is_no_change(tmp_path: Path) -> None:
    first = scan(
        write(tmp_path, {"a.py": "x", ".codeindexignore": "*.log\n", "x.log": "x", "big.py": "x" * 20}),
        max_file_bytes=10,
    )
    write(tmp_path, {"x.log": "xx", "big.py": "x" * 21}, mtime_ns=OLD_NS + 1)
    assert plan_changes(by_path(first), scan(tmp_path, first, max_file_bytes=10).files).is_empty


def test_without_a_home_there_is_no_global_ignore_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    result = scan(write(tmp_path, {"a.py": "x"}))
    assert (indexed(result), result.warnings) == ({"a.py"}, ())


_operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "delete", "touch", "ignore"]),
        st.sampled_from(["a.py", "d/b.py", "d/e/c.js", "f.md"]),
        st.text("xy", min_size=1, max_size=3),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(_operations, min_size=1, max_size=4), seed=st.integers(0, 9))
def test_following_changes_gives_what_a_fresh_scan_gives(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[Any], seed: int
) -> None:
    root = tmp_path_factory.mktemp("tree")
    clock = random.Random(seed)
    write(root, {"keep.py": "x"})
    known: dict[str, SourceFile] = {}
    for operations in rounds:
        for kind, path, text in operations:
            if kind == "write":
                write(root, {path: text}, mtime_ns=OLD_NS + clock.randrange(10**9))
            elif kind == "ignore":
                write(root, {".gitignore": f"/{path}\n"}, mtime_ns=OLD_NS + clock.randrange(10**9))
            elif (root / path).exists() and kind == "delete":
                (root / path).unlink()
            elif (root / path).exists():
                write(root, {path: (root / path).read_bytes()}, mtime_ns=OLD_NS + clock.randrange(10**9))
        seen = SourceRepository(root).scan(known)
        changes = plan_changes(known, seen.files)
        for file in (*changes.new, *changes.changed, *changes.touched, *changes.skipped):
            known[file.file_path] = file
        for path in changes.removed:
            del known[path]
        assert sorted(known.values(), key=lambda file: file.file_path) == list(scan(root).files)


def test_names_are_taken_as_git_writes_them_where_the_file_system_finds_either_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decomposed = unicodedata.normalize("NFD", "bücher/größe.py")
    write(tmp_path, {decomposed: "x", "plain.py": "x"})
    assert indexed(scan(tmp_path)) == {decomposed, "plain.py"}, "Linux: by its own bytes only"
    # macOS: by either. Here the other form is a second way to the same place.
    monkeypatch.setattr(
        source_walk, "composed_name", lambda folder, entry, names: unicodedata.normalize("NFC", entry.name)
    )
    (tmp_path / unicodedata.normalize("NFC", "bücher")).symlink_to(unicodedata.normalize("NFD", "bücher"))
    found = source_walk.walk(tmp_path, source_walk.WalkOptions(max_file_bytes=100, index_dir=tmp_path / ".code-index"))
    assert {path for path, *_ in found.files} == {unicodedata.normalize("NFC", "bücher/größe.py"), "plain.py"}


def test_the_index_folder_is_not_indexed_in_whichever_case_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"Build/Index/tables.json": "{}", "Build/other.json": "{}"})
    # As on macOS, where `realpath` keeps the case that it is given.
    monkeypatch.setattr(os.path, "relpath", lambda path, start: "build/index")
    options = source_walk.WalkOptions(max_file_bytes=100, index_dir=tmp_path / "Build" / "Index", use_gitignore=False)
    found = source_walk.walk(tmp_path, options)
    assert "Build/Index/" in {skipped.path for skipped in found.skipped}
    assert {path for path, *_ in found.files} <= {"Build/other.json"}
