"""Who may only read Dagster's records cannot hold the lock under which they are made."""

from __future__ import annotations

import os
import stat

import pytest

from resources.record_storage import create_once


def _make(folder):
    (folder / "runs.db").write_text("made")


@pytest.fixture
def _shared_umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_shared_umask")
@pytest.mark.parametrize("older", [True, False])
def test_the_lock_of_the_records_is_its_owners_only(tmp_path, older):
    lock = tmp_path / ".making.lock"
    if older:
        lock.write_text("")
        lock.chmod(0o640)

    create_once(tmp_path / "runs.db", _make)

    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    assert (tmp_path / "runs.db").read_text() == "made"


def test_a_lock_of_the_records_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / ".making.lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        create_once(tmp_path / "runs.db", _make)

    assert not (tmp_path / "elsewhere").exists()
