"""Places: what folders and object stores owe, and what each of them refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from code_index.core import object_stores
from code_index.core.errors import StoreError, UsageError
from code_index.sharing.places import Place
from tests.object_store import BUCKET, ObjectStore
from tests.waiting import PATIENCE_S, started

_LARGE = 1 << 20
_numbers = iter(range(1_000))


@pytest.fixture(scope="module", params=["folder", "store"])
def kind(request: pytest.FixtureRequest) -> str | ObjectStore:
    """Kind of place; a store is started here, before the test: it belongs to none."""
    return request.param if request.param == "folder" else request.getfixturevalue("object_store")


@pytest.fixture
def place(kind: str | ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place of each kind."""
    if isinstance(kind, ObjectStore):
        return _at_store(kind, monkeypatch)
    return _at_folder(tmp_path)


def _at_folder(tmp_path: Path) -> Place:
    (tmp_path / "place").mkdir()
    return Place(str(tmp_path / "place"))


def _at_store(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, user: str = "writer") -> Place:
    for name, value in store.environment(user).items():
        monkeypatch.setenv(name, value)
    return Place(f"s3://{BUCKET}/place-{next(_numbers)}")


def test_what_is_written_is_read_and_overwritten_whole(place: Place) -> None:
    for content in (b"first", b"", bytes(range(256)) * 100):
        place.write("releases/1/manifest.json", content)
        assert place.read("releases/1/manifest.json", max_bytes=_LARGE) == content


def test_a_file_that_is_not_there_is_told_from_other_faults(place: Place) -> None:
    place.write("a", b"1")
    for name in ("b", "folder/b"):
        with pytest.raises(FileNotFoundError):
            place.read(name, max_bytes=_LARGE)


def test_a_file_above_the_bound_is_refused(place: Place) -> None:
    place.write("a", b"12345")
    assert place.read("a", max_bytes=5) == b"12345"
    with pytest.raises(StoreError, match="larger than 4 bytes"):
        place.read("a", max_bytes=4)


def test_names_lists_the_files_directly_below_a_folder(place: Place) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)  # stores tell whole seconds
    for name in ("top", "folder/b", "folder/a", "folder/below/c", "folders/d"):
        place.write(name, b"12")
    found = place.names("folder")
    assert [(one.name, one.bytes) for one in found] == [("folder/a", 2), ("folder/b", 2)]
    assert all(before <= one.modified <= datetime.now(UTC) + timedelta(seconds=2) for one in found)
    assert [one.name for one in place.names("")] == ["top"]
    assert place.names("none") == place.names("folder/none") == []


def test_what_is_deleted_is_gone_and_may_be_gone_already(place: Place) -> None:
    for name in ("folder/a", "folder/b"):
        place.write(name, b"1")
    place.delete("folder/a")
    place.delete("folder/a")
    place.delete("none/a")
    assert [one.name for one in place.names("folder")] == ["folder/b"]
    with pytest.raises(FileNotFoundError):
        place.read("folder/a", max_bytes=_LARGE)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", ".a", "A", "a b", "a\n", "ä", "a\\b"]
)
def test_a_name_that_leads_elsewhere_is_refused(place: Place, name: str) -> None:
    for action in (lambda: place.read(name, max_bytes=1), lambda: place.write(name, b""), lambda: place.delete(name)):
        with pytest.raises(UsageError, match="is no name at a place"):
            action()


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(place: Place) -> None:
    old, new = b"o" * 3_000_000, b"n" * 3_000_000
    code = (
        "import sys\nfrom code_index.sharing.places import Place\nplace = Place(sys.argv[1])\n"
        "place.names('')\nprint('ready', flush=True)\n"
        "while True:\n    for byte in (b'o', b'n'):\n        place.write('folder/a', byte * 3_000_000)\n"
    )
    place.write("folder/a", old)
    for wait_s in (0.0, 0.01, 0.03):
        with started(sys.executable, "-c", code, place.address, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(wait_s)  # anywhere in a write
            writer.send_signal(signal.SIGKILL)
        assert place.read("folder/a", max_bytes=3_000_000) in {old, new}
        assert [one.name for one in place.names("folder")] == ["folder/a"], "no leftovers are listed"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("team", "is no absolute path"),
        ("~/team", "is no absolute path"),
        ("/team\n", "control characters"),
        ("s3://bucket/a\x1b", "control characters"),
        ("gs://bucket/a", "is no place of a store"),
        ("file:///team", "is no place of a store"),
        ("s3://", "is no place of a store"),
        ("s3://B", "is no place of a store"),
        ("s3://bucket/../other", "is no place of a store"),
        ("s3://bucket/a//b", "is no place of a store"),
        ("s3://bucket/a?region=x", "is no place of a store"),
        ("s3://key:secret@bucket/a", "is no place of a store"),
    ],
)
def test_an_address_that_is_no_place_is_refused(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        Place(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["/team", "s3://bucket", "s3://bucket/a", "s3://my.bucket-1/a/B_c=1/d"])
def test_an_address_is_kept_without_its_last_slash(address: str) -> None:
    assert Place(address).address == Place(f"{address}/").address == address


# Folders.


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "typo"))
    for action in (
        lambda: place.read("a", max_bytes=1),
        lambda: place.write("a", b""),
        lambda: place.names(""),
        lambda: place.delete("a"),
    ):
        with pytest.raises(StoreError, match=f"{tmp_path / 'typo'} is not there. Make it first"):
            action()
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o700])
def test_whoever_may_read_the_folder_may_read_what_is_written(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "place"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(0o077)  # of every command
    try:
        Place(str(root)).write("a/b/c", b"1")
    finally:
        os.umask(before)
    assert [(root / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [mode, mode]
    assert (root / "a/b/c").stat().st_mode & 0o777 == 0o600 | (mode & 0o044)


def test_no_link_is_followed(tmp_path: Path) -> None:
    place = _at_folder(tmp_path)
    (tmp_path / "private").mkdir()
    (tmp_path / "private/file").write_text("secret")
    (tmp_path / "place/linked").symlink_to(tmp_path / "private")
    (tmp_path / "place/file").symlink_to(tmp_path / "private/file")
    for action in (
        lambda: place.read("file", max_bytes=100),
        lambda: place.read("linked/file", max_bytes=100),
        lambda: place.write("linked/file", b"other"),
        lambda: place.delete("linked/file"),
        lambda: place.names("linked"),
    ):
        with pytest.raises(StoreError, match=r"a symbolic link|is no folder"):
            action()
    assert place.names("") == []
    place.write("file", b"new")  # takes the place of the link
    assert (tmp_path / "private/file").read_text() == "secret"


# Stores.


@pytest.mark.slow
def test_a_store_that_is_started_again_meanwhile_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_stores, "PATIENCE_S", PATIENCE_S)  # a busy machine starts it in minutes
    with ObjectStore(tmp_path) as store, ThreadPoolExecutor() as threads:
        place = _at_store(store, monkeypatch)
        for name in ("read", "deleted", "folder/listed"):
            place.write(name, b"old")
        store.kill()
        written = threads.submit(place.write, "written", b"new")
        read = threads.submit(place.read, "read", max_bytes=3)
        listed = threads.submit(place.names, "folder")
        deleted = threads.submit(place.delete, "deleted")
        store.start()
        assert (written.result(), read.result(), deleted.result()) == (None, b"old", None)
        assert [one.name for one in listed.result()] == ["folder/listed"]
        assert [one.name for one in place.names("")] == ["read", "written"]


def test_a_store_that_does_not_come_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_stores, "PATIENCE_S", 0.0)
    with ObjectStore(tmp_path) as store:
        place = _at_store(store, monkeypatch)
    with pytest.raises(StoreError, match=f"{place.address}/a cannot be reached at {store.url} .*Start the store"):
        place.read("a", max_bytes=1)


def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail where a retry is made."""

    def never(*_: float) -> None:
        pytest.fail("waited for a fault that does not pass")

    monkeypatch.setattr(object_stores._random, "uniform", never)


@pytest.mark.parametrize("key", ["nobody", None])
def test_denied_access_is_told_at_once_with_the_variables(
    key: str | None, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _at_store(object_store, monkeypatch)
    if key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    else:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    _at_once(monkeypatch)
    said = "for the key 'nobody'" if key else "AWS_ACCESS_KEY_ID is not set"
    for action in (
        lambda: place.read("a", max_bytes=1),
        lambda: place.write("a", b""),
        lambda: place.names(""),
        lambda: place.delete("a"),
    ):
        with pytest.raises(StoreError, match=f"denied access to {place.address}.*{said}"):
            action()


def test_a_reader_may_not_write(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    written = _at_store(object_store, monkeypatch)
    written.write("a", b"1")
    _at_store(object_store, monkeypatch, "reader")
    read = Place(written.address)
    assert read.read("a", max_bytes=1) == b"1"
    assert [one.name for one in read.names("")] == ["a"]
    for action in (lambda: read.write("a", b"2"), lambda: read.delete("a")):
        with pytest.raises(StoreError, match="denied access"):
            action()
    assert written.read("a", max_bytes=1) == b"1"


def test_a_bucket_that_is_not_there_is_named(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    _at_store(object_store, monkeypatch)
    _at_once(monkeypatch)
    place = Place("s3://typo/place")
    for action in (
        lambda: place.read("a", max_bytes=1),
        lambda: place.write("a", b""),
        lambda: place.names(""),
        lambda: place.delete("a"),
    ):
        with pytest.raises(StoreError, match="no bucket for s3://typo/place"):
            action()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:9000", "ftp://host", "http://key:secret@host", "http://host/path", "https://"]
)
def test_an_endpoint_that_is_no_url_of_a_host_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL is no URL of a host") as refused:
        Place("s3://bucket/place").names("")
    assert "secret" not in str(refused.value)


def test_the_endpoint_of_s3_comes_before_that_of_all_services(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _at_store(object_store, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", object_store.url)
    place.write("a", b"1")
    assert place.read("a", max_bytes=1) == b"1"
