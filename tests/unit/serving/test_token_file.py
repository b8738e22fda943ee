"""The file with the token of a server for agents: made closed to others, and used only so."""

from __future__ import annotations

from pathlib import Path

import pytest

from code_index.core.errors import UsageError
from code_index.serving.token_file import token_in


def test_a_missing_file_is_made_for_its_user_only_and_read_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    token = token_in(file)
    assert len(token) >= 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert token_in(file) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text("a" * 40)
    file.chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        token_in(file)


@pytest.mark.parametrize("text", ["", "short", "a" * 2_000, "a" * 20 + " " + "b" * 20, "\x1b" * 40])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UsageError, match="has to hold a token"):
        token_in(file)


def test_a_link_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a" * 40)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for file in (tmp_path / "link", tmp_path, tmp_path / "missing/token"):
        with pytest.raises(UsageError):
            token_in(file)
