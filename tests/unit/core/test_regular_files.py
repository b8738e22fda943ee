import os
from pathlib import Path

import pytest

from code_index.core.regular_files import UnfitFileError, load_json, load_toml, read_regular_file


def test_a_regular_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read_regular_file(path, max_bytes=5) == b"12345"
    with pytest.raises(UnfitFileError, match="larger than 4 bytes"):
        read_regular_file(path, max_bytes=4)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "dangling link"])
def test_nothing_else_is_opened(tmp_path, kind):
    path = tmp_path / "file"
    (tmp_path / "target").write_text("x")
    {
        "link": lambda: path.symlink_to("target"),
        "dangling link": lambda: path.symlink_to("nowhere"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()

    with pytest.raises(UnfitFileError) as refusal:
        read_regular_file(path)

    assert refusal.value.strerror == ("a symbolic link" if "link" in kind else "not a regular file")


def test_a_file_that_becomes_a_pipe_after_the_look_does_not_block(tmp_path, monkeypatch):
    regular, pipe = tmp_path / "regular", tmp_path / "pipe"
    regular.write_text("")
    os.mkfifo(pipe)
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: real(regular if path == pipe else path))

    with pytest.raises(UnfitFileError, match="not a regular file"):
        read_regular_file(pipe)


def test_a_device_is_not_opened():
    with pytest.raises(UnfitFileError, match="not a regular file"):
        read_regular_file(Path("/dev/zero"))


def test_a_missing_file_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "none")


@pytest.mark.parametrize("load", [load_json, load_toml])
def test_deep_nesting_is_a_value_error(load):
    text = "[" * 200_000
    with pytest.raises(ValueError, match=r"nested too deep|Expecting|Invalid"):
        load(text if load is load_json else f"a = {text}")
    assert load('{"a": 1}' if load is load_json else "a = 1") == {"a": 1}
