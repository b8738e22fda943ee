"""Encodings in `.gitattributes`, compared with `git check-attr`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from code_index.core.model import FileStatus
from code_index.repository.encoding_attributes import EncodingAttributes
from code_index.repository.source_repository import SourceRepository

_ATTRIBUTES = {
    ".gitattributes": (
        b"# comment\n"
        b"[attr]wide working-tree-encoding=UTF-16LE eol=crlf\n"
        b"*.sql working-tree-encoding=UTF-16LE eol=crlf\r\n"
        b"*.txt text\n"
        b"  *.ps1   text working-tree-encoding=UTF-16BE\n"
        b'"with space.txt" working-tree-encoding=SHIFT-JIS\n'
        b"docs/** working-tree-encoding=GBK\n"
        b"/top.c working-tree-encoding=latin1\n"
        b"*.wide wide\n"
        b"plain.sql -working-tree-encoding\n"
        b"folder/ working-tree-encoding=UTF-16\n"
    ),
    "sub/.gitattributes": b"*.sql working-tree-encoding=EUC-JP\nreset.ps1 !working-tree-encoding\nown.c wide\n",
}
_FILES = [
    "a.sql",
    "plain.sql",
    "a.txt",
    "with space.txt",
    "b.ps1",
    "docs/x/y.md",
    "top.c",
    "sub/top.c",
    "c.wide",
    "folder/f.c",
    "sub/a.sql",
    "sub/plain.sql",
    "sub/reset.ps1",
    "sub/deep/z.ps1",
    "sub/own.c",
]


def _tree(root: Path) -> None:
    for path in _FILES:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x = 1\n")
    for path, content in _ATTRIBUTES.items():
        (root / path).write_bytes(content)


def _by_git(root: Path) -> dict[str, str]:
    said = subprocess.run(
        ["git", "-C", root, "check-attr", "-z", "working-tree-encoding", "--", *_FILES],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    return {path: value for path, _, value in zip(said[::3], said[1::3], said[2::3], strict=False)}


def test_each_file_has_the_encoding_that_git_reads(tmp_path):
    _tree(tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    by_git = {path: None if value in {"unspecified", "unset"} else value for path, value in _by_git(tmp_path).items()}
    found = {file.file_path: file.working_tree_encoding for file in SourceRepository(tmp_path).scan({}).files}
    assert {path: found[path] for path in _FILES} == by_git
    assert len(set(by_git.values())) == 7


def test_attributes_above_the_indexed_folder_hold_in_a_checkout(tmp_path):
    _tree(tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    files = SourceRepository(tmp_path / "sub").scan({}).files
    found = {file.file_path: file.working_tree_encoding for file in files}
    assert found["deep/z.ps1"] == "UTF-16BE"
    assert found["a.sql"] == "EUC-JP"
    assert found["top.c"] is None


def test_a_declared_file_is_read_in_its_encoding_and_again_when_the_declaration_changes(tmp_path):
    repository = SourceRepository(tmp_path)
    (tmp_path / "a.sql").write_bytes("-- 数\nSELECT 1;\n".encode("shift_jis"))
    first = {file.file_path: file for file in repository.scan({}).files}
    assert first["a.sql"].working_tree_encoding is None
    (tmp_path / ".gitattributes").write_text("*.sql working-tree-encoding=shift_jis\n")
    second = {file.file_path: file for file in repository.scan(first).files}
    assert second["a.sql"].working_tree_encoding == "shift_jis"


def test_a_binary_file_becomes_text_when_its_encoding_is_declared(tmp_path):
    (tmp_path / "a.sql").write_bytes("\x01 1\n".encode("utf-16-le"))
    known = {file.file_path: file for file in SourceRepository(tmp_path).scan({}).files}
    assert known["a.sql"].status is FileStatus.SKIPPED
    (tmp_path / ".gitattributes").write_text("*.sql working-tree-encoding=UTF-16LE\n")
    (file,) = (f for f in SourceRepository(tmp_path).scan(known).files if f.file_path == "a.sql")
    assert (file.status, file.language) == (FileStatus.PENDING, "sql")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"*.sql\n",
        b"!*.sql working-tree-encoding=UTF-16\n",
        b"\xff\xfe\0 working-tree-encoding\n",
        b'"a working-tree-',
    ],
)
def test_lines_that_declare_nothing_declare_nothing(content):
    assert not EncodingAttributes(content)
    assert EncodingAttributes(content).match("a.sql", "a.sql") is None


def test_an_attributes_file_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "outside").write_text("*.sql working-tree-encoding=UTF-16LE\n")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".gitattributes").symlink_to("../outside")
    (tmp_path / "root" / "a.sql").write_text("SELECT 1;\n")
    scan = SourceRepository(tmp_path / "root").scan({})
    assert {file.file_path: file.working_tree_encoding for file in scan.files}["a.sql"] is None
    assert any(".gitattributes: a symbolic link" in warning for warning in scan.warnings)
