"""The table of a library: what it gives is right or nothing, and its size is bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from code_index.core import object_stores
from code_index.core.addresses import Bucket, parsed_address
from code_index.core.embedding_text import EmbeddingInput
from code_index.core.errors import IndexBusyError, SettingsError, StoreError
from code_index.core.hashing import text_hash
from code_index.core.unit_vectors import Vectors, normalized
from code_index.index.locks import Duty, hold
from code_index.index.settings import Settings
from code_index.sharing import libraries as sharing
from code_index.sharing import places as files
from code_index.sharing.libraries import (
    Libraries,
    compact_and_expire,
    compact_and_expire_of_user,
    find_expired,
    find_expired_of_user,
    own_place,
)
from code_index.sharing.vector_library import REFRESHED_AFTER, TABLE, VectorLibrary, usable
from tests.object_store import ObjectStore, without_conditions
from tests.waiting import PATIENCE_S

_DIMENSION = 8
_NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
_LONG = timedelta(days=365)
Place = Path | Bucket


@pytest.fixture
def place(address: str) -> Place:
    """An empty place of each kind."""
    return parsed_address(address)


def _vectors(*keys: str, seed: int = 0) -> dict[str, Vectors]:
    matrix = normalized(np.random.default_rng(seed).standard_normal((len(keys), _DIMENSION)).astype(np.float32))
    return dict(zip(keys, matrix, strict=True))


def _ten(keys: Mapping[str, object]) -> dict[str, int]:
    return dict.fromkeys(keys, 10)


def _given(place: Place, vectors: dict[str, Vectors], *, model: str = "m", now: datetime = _NOW) -> VectorLibrary:
    library = VectorLibrary(place, model)
    library.give(vectors, _ten(vectors), now=now)
    return library


def test_what_was_given_is_found_as_it_was(place: Place) -> None:
    vectors = _vectors("a", "b", "c")
    _given(place, vectors)
    found = VectorLibrary(place, "m").ask({"a": 10, "c": 10, "unknown": 10}, dimension=_DIMENSION)
    assert found.keys() == {"a", "c"}
    np.testing.assert_array_equal(found["a"], vectors["a"])
    np.testing.assert_array_equal(found["c"], vectors["c"])


def test_a_library_that_is_not_there_knows_nothing_and_is_not_made_by_asking(address: str) -> None:
    library = VectorLibrary(parsed_address(address), "m")
    assert library.ask({"a": 10}, dimension=_DIMENSION) == {}
    assert library.count() == 0
    assert files.Place(address).names("") == files.Place(address).names(text_hash("m")) == []


def test_models_do_not_meet(place: Place) -> None:
    _given(place, _vectors("a"))
    assert VectorLibrary(place, "m2").ask({"a": 10}, dimension=_DIMENSION) == {}


def test_a_folder_with_vectors_of_another_model_is_refused(tmp_path: Path) -> None:
    library = _given(tmp_path, _vectors("a"))
    other = VectorLibrary(tmp_path, "m2")
    library.folder.rename(other.folder)
    with pytest.raises(StoreError, match="holds vectors of m, not of m2"):
        other.ask({"a": 10}, dimension=_DIMENSION)
    with pytest.raises(StoreError, match="holds vectors of m, not of m2"):
        other.give(_vectors("b"), {"b": 10}, now=_NOW)


def test_another_dimension_is_refused(place: Place) -> None:
    library = _given(place, _vectors("a"))
    with pytest.raises(StoreError, match="no column 'vector' of type"):
        library.ask({"a": 10}, dimension=_DIMENSION + 1)


def test_a_text_of_another_length_has_no_vector_there(place: Place) -> None:
    assert _given(place, _vectors("a")).ask({"a": 11}, dimension=_DIMENSION) == {}


@pytest.mark.parametrize("vector", [[0.0] * _DIMENSION, [2.0] + [0.0] * 7, None])
def test_a_vector_that_is_no_direction_is_not_used(tmp_path: Path, vector: list[float] | None) -> None:
    library = _given(tmp_path, _vectors("a", "b"))
    table = lancedb.connect(library.folder).open_table(TABLE)
    row = {"text_hash": "a", "characters": 10, "used_at": _NOW, "vector": vector}
    table.delete("text_hash = 'a'")
    table.add(pa.Table.from_pylist([row], schema=table.schema))
    assert library.ask({"a": 10, "b": 10}, dimension=_DIMENSION).keys() == {"b"}


def test_what_is_not_a_number_is_not_used() -> None:
    rows = pa.table(
        {
            "text_hash": ["a", "b"],
            "characters": [10, 10],
            "used_at": [_NOW, _NOW],
            "vector": pa.array([[float("nan"), 1.0], [1.0, 0.0]], pa.list_(pa.float32(), 2)),
        }
    )
    assert usable(rows, {"a": 10, "b": 10})["text_hash"].to_pylist() == ["b"]


def test_of_two_vectors_of_a_text_the_newer_counts(place: Place) -> None:
    newer = _vectors("a", seed=2)
    _given(place, newer, now=_NOW)
    library = _given(place, _vectors("a", seed=1), now=_NOW - timedelta(hours=1))
    assert library.count() == 2
    np.testing.assert_array_equal(library.ask({"a": 10}, dimension=_DIMENSION)["a"], newer["a"])


def test_replacing_leaves_one(place: Place) -> None:
    library = _given(place, _vectors("a", "b", seed=1))
    other = _vectors("a", seed=2)
    library.give(other, {"a": 10}, now=_NOW, replace=True)
    assert library.count() == 2
    np.testing.assert_array_equal(library.ask({"a": 10}, dimension=_DIMENSION)["a"], other["a"])


def test_use_is_noted_after_a_while_and_not_at_each_question(place: Place) -> None:
    library = _given(place, _vectors("a", "b"))
    library.ask({"a": 10}, dimension=_DIMENSION, now=_NOW + timedelta(days=1))
    assert set(library.times_of_use()) == {int(_NOW.timestamp() * 1e6)}
    later = _NOW + REFRESHED_AFTER + timedelta(days=1)
    library.ask({"a": 10}, dimension=_DIMENSION, now=later)
    assert sorted(library.times_of_use()) == [int(_NOW.timestamp() * 1e6), int(later.timestamp() * 1e6)]
    library.expire(before=later)
    assert library.ask(_ten({"a": 1, "b": 1}), dimension=_DIMENSION).keys() == {"a"}


def test_many_processes_give_at_once_and_nothing_is_lost(place: Place) -> None:
    code = (
        "import sys\nfrom datetime import UTC, datetime\nimport numpy as np\n"
        "from code_index.core.addresses import parsed_address\nfrom code_index.sharing.vector_library import VectorLibrary\n"
        "for number, row in enumerate(np.eye(8, dtype=np.float32)[:5]):\n"
        "    key = f'{sys.argv[2]}-{number}'\n"
        "    VectorLibrary(parsed_address(sys.argv[1]), 'm').give({key: row}, {key: 10}, now=datetime.now(UTC))\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(place), str(at)]) for at in range(3)]
    assert [process.wait(PATIENCE_S) for process in processes] == [0, 0, 0]
    wanted = {f"{at}-{n}": 10 for at in range(3) for n in range(5)}
    assert VectorLibrary(place, "m").ask(wanted, dimension=_DIMENSION).keys() == wanted.keys()


def test_a_store_that_loses_commits_is_refused(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    place = parsed_address(object_store.new_place(monkeypatch))
    with without_conditions(object_store) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StoreError, match=rf"{url} loses writes: of 4 commits at once to {place}/.* it kept [1-3]"):
            _given(place, _vectors("a"))
        assert VectorLibrary(place, "m").count() == 0


def test_the_endpoint_of_s3_comes_before_that_of_all_services(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = parsed_address(object_store.new_place(monkeypatch))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", object_store.url)
    assert _given(place, _vectors("a")).count() == 1


def test_what_was_not_used_for_longest_expires_until_the_rest_fits(tmp_path: Path) -> None:
    for age in range(10):
        _given(tmp_path, _vectors(f"a{age}"), now=_NOW - timedelta(days=age))
        _given(tmp_path, _vectors(f"b{age}"), model="other", now=_NOW - timedelta(days=age, hours=1))
    row = VectorLibrary(tmp_path, "m").row_bytes()
    found = find_expired(tmp_path, max_bytes=10 * row, max_age=_LONG, now=_NOW)
    assert (found.vectors, found.vector_bytes, found.expired) == (20, 20 * row, 11)
    compact_and_expire(tmp_path, max_bytes=10 * row, max_age=_LONG)
    left = {model: VectorLibrary(tmp_path, model).count() for model in ("m", "other")}
    assert left == {"m": 5, "other": 4}, "nine tenths of the bound, the newest of both models"


def test_a_library_within_its_bounds_keeps_everything_but_what_is_too_old(tmp_path: Path) -> None:
    _given(tmp_path, _vectors("new"), now=datetime.now(UTC))
    _given(tmp_path, _vectors("old"), now=datetime.now(UTC) - timedelta(days=100))
    assert compact_and_expire(tmp_path, max_bytes=10**9, max_age=timedelta(days=90)) == 1
    assert VectorLibrary(tmp_path, "m").ask(_ten({"new": 1, "old": 1}), dimension=_DIMENSION).keys() == {"new"}


def test_times_of_use_are_read_once_a_day_unless_the_bytes_are_over_the_bound(tmp_path: Path) -> None:
    library = _given(tmp_path, _vectors("new"), now=datetime.now(UTC))
    bounds = sharing.Bounds(max_bytes=10 * library.row_bytes(), max_age=timedelta(days=90))

    def expired() -> int:
        return compact_and_expire(tmp_path, **bounds, looked_within=timedelta(days=1))

    assert expired() == 0
    _given(tmp_path, _vectors("old"), now=datetime.now(UTC) - timedelta(days=100))
    assert expired() == 0, "looked at a moment ago"
    yesterday = time.time() - timedelta(days=1).total_seconds() - 1
    os.utime(tmp_path / "last_expiry", (yesterday, yesterday))
    assert expired() == 1
    for hours in range(10):
        _given(tmp_path, _vectors(f"{hours}"), now=datetime.now(UTC) - timedelta(hours=hours))
    assert expired() == 2, "nine tenths of the bound stay"
    assert library.count() == 9


def test_one_process_at_a_time_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _given(tmp_path, _vectors("a"))
    failures: list[BaseException] = []

    def other() -> None:
        try:
            compact_and_expire(tmp_path, max_bytes=1, max_age=_LONG)
        except IndexBusyError as error:
            failures.append(error)

    with hold(tmp_path, Duty.EXPIRE):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(failures) == 1
    assert VectorLibrary(tmp_path, "m").count() == 1


# The libraries of a run.

_TEXT = EmbeddingInput("some text", "name")
_TEXTS = {_TEXT.text_hash: _TEXT}


def _settings(**values: object) -> Settings:
    return Settings.from_settings({"library_bytes": 10**9, **values})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))


def test_the_users_library_is_closed_to_others(tmp_path: Path) -> None:
    Libraries.of(_settings(), "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    assert own_place().parent.stat().st_mode & 0o077 == 0
    assert own_place().is_relative_to(tmp_path / "cache")


def test_a_shared_library_is_read_and_its_vectors_go_into_the_users_own(tmp_path: Path) -> None:
    vectors = _vectors(_TEXT.text_hash)
    team = VectorLibrary(tmp_path / "team", "m")
    team.give(vectors, {_TEXT.text_hash: len("some text") + len("name")}, now=_NOW - timedelta(days=300))
    before = {path: path.read_bytes() for path in team.folder.rglob("*") if path.is_file()}
    libraries = Libraries.of(_settings(shared_libraries=(str(tmp_path / "team"),)), "m")
    assert libraries.ask(_TEXTS, dimension=_DIMENSION).keys() == _TEXTS.keys()
    assert libraries.taken == {str(tmp_path / "team"): 1}
    libraries.give(_vectors("other"), {"other": _TEXT}, replace=False)
    assert {path: path.read_bytes() for path in team.folder.rglob("*") if path.is_file()} == before, "only read"
    again = Libraries.of(_settings(), "m")
    assert again.ask(_TEXTS, dimension=_DIMENSION).keys() == _TEXTS.keys()
    assert again.taken == {sharing.OWN: 1}


def test_a_look_notes_and_adds_nothing(tmp_path: Path) -> None:
    vectors, characters = _vectors(_TEXT.text_hash, "own"), {_TEXT.text_hash: len("some text") + len("name"), "own": 10}
    places = (own_place(), tmp_path / "team")
    for place, key in zip(places, ("own", _TEXT.text_hash), strict=True):
        VectorLibrary(place, "m").give({key: vectors[key]}, characters, now=_NOW - timedelta(days=300))
    before = [{path: path.read_bytes() for path in place.rglob("*") if path.is_file()} for place in places]
    settings = _settings(shared_libraries=(str(places[1]),), write_shared_libraries=True)
    looking = Libraries.of(settings, "m", read_only=True)
    assert looking.ask(_TEXTS, dimension=_DIMENSION).keys() == _TEXTS.keys()
    looking.give(_vectors("other"), {"other": _TEXT}, replace=False)
    assert [{path: path.read_bytes() for path in place.rglob("*") if path.is_file()} for place in places] == before


def test_a_shared_library_is_written_where_the_settings_say_so(address: str) -> None:
    settings = _settings(library_bytes=0, shared_libraries=(address,), write_shared_libraries=True)
    Libraries.of(settings, "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    assert Libraries.of(settings, "m").contents() == {address: 1}


def test_a_shared_library_that_is_written_is_compacted(address: str) -> None:
    place = parsed_address(address)
    keys = [f"k{number}" for number in range(35)]
    for key in keys:
        library = _given(place, _vectors(key))
    files_before = library._tables.run(TABLE, lambda table: table.stats())["fragment_stats"]["num_fragments"]
    Libraries.of(_settings(shared_libraries=(address,)), "m").compact_and_expire()
    stats = library._tables.run(TABLE, lambda table: table.stats())["fragment_stats"]
    assert stats["num_fragments"] == files_before == 35, "it was only read"
    Libraries.of(_settings(shared_libraries=(address,), write_shared_libraries=True), "").compact_and_expire()
    assert library._tables.run(TABLE, lambda table: table.stats())["fragment_stats"]["num_fragments"] == 1
    assert VectorLibrary(place, "m").ask(_ten(dict.fromkeys(keys)), dimension=_DIMENSION).keys() == set(keys)


def test_a_store_that_denies_writing_is_read_on(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = object_store.new_place(monkeypatch)
    settings = _settings(library_bytes=0, shared_libraries=(address,), write_shared_libraries=True)
    Libraries.of(settings, "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    object_store.new_place(monkeypatch, "reader")
    libraries = Libraries.of(settings, "m")
    for _ in range(2):
        libraries.give(_vectors("other"), {"other": _TEXT}, replace=False)
        assert libraries.ask(_TEXTS, dimension=_DIMENSION).keys() == _TEXTS.keys()
    libraries.compact_and_expire()
    assert caplog.text.count("is only read in this run") == 1
    assert "denied access" in caplog.text
    assert "for the key 'reader'" in caplog.text


@pytest.mark.parametrize("fault", ["stopped", "denied", "no bucket", "no url"])
def test_a_store_that_cannot_be_used_costs_time_only(
    fault: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(object_stores, "PATIENCE_S", 0.0)
    address = "s3://none/team" if fault == "no bucket" else object_store.new_place(monkeypatch)
    object_store.new_place(monkeypatch)
    variable, value, said = {
        "stopped": ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "cannot be reached at http://127.0.0.1:1"),
        "denied": ("AWS_SECRET_ACCESS_KEY", "wrong", "denied access"),
        "no bucket": ("AWS_REGION", "us-east-1", "no bucket for s3://none/team"),
        "no url": ("AWS_ENDPOINT_URL", "127.0.0.1", "AWS_ENDPOINT_URL is no URL of a host"),
    }[fault]
    monkeypatch.setenv(variable, value)
    libraries = Libraries.of(_settings(shared_libraries=(address,), write_shared_libraries=True), "m")
    assert libraries.ask(_TEXTS, dimension=_DIMENSION) == {}
    libraries.give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    libraries.compact_and_expire()
    assert caplog.text.count(f"{address} is left out for this run") == 1, "said once"
    assert said in caplog.text
    assert Libraries.of(_settings(), "m").ask(_TEXTS, dimension=_DIMENSION).keys() == _TEXTS.keys(), (
        "the own one goes on"
    )


@pytest.mark.long
def test_a_store_that_is_started_again_meanwhile_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_stores, "PATIENCE_S", PATIENCE_S)  # a busy machine starts it in minutes
    with ObjectStore(tmp_path) as store, ThreadPoolExecutor() as threads:
        place = parsed_address(store.new_place(monkeypatch))
        known = _given(place, _vectors("a"))
        store.kill()
        given = threads.submit(known.give, _vectors("b"), {"b": 10}, now=_NOW)
        asked = threads.submit(VectorLibrary(place, "m").ask, {"a": 10}, dimension=_DIMENSION)
        made = threads.submit(_given, place, _vectors("c"), model="other")
        store.start()
        assert asked.result().keys() == {"a"}
        given.result()
        assert made.result().count() == 1
        assert VectorLibrary(place, "m").ask(_ten({"a": 1, "b": 1}), dimension=_DIMENSION).keys() == {"a", "b"}


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700])
def test_whoever_may_read_the_folder_may_read_what_is_given(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "team"
    place.mkdir(mode=mode)
    before = os.umask(0o077)  # of every command
    try:
        library = _given(place, _vectors("a"))
        library.ask({"a": 10}, dimension=_DIMENSION, now=_NOW + timedelta(days=100))
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & (0o777 if path.is_dir() else 0o444) for path in library.folder.rglob("*")}
    assert modes == {mode, mode & 0o444}


def test_a_shared_folder_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = _settings(shared_libraries=(str(tmp_path / "typo"),), write_shared_libraries=True)
    Libraries.of(settings, "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    assert f"{tmp_path / 'typo'} is not there" in caplog.text
    assert not (tmp_path / "typo").exists()


def test_maintenance_keeps_the_library_of_a_user_within_the_settings_and_warns_of_one_that_is_damaged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _given(own_place(), _vectors("new"), now=datetime.now(UTC))
    _given(own_place(), _vectors("old"), model="other", now=datetime.now(UTC) - timedelta(days=100))
    assert find_expired_of_user(_settings()).expired == 1
    assert find_expired_of_user(_settings(library_bytes=0)).vectors == 0
    compact_and_expire_of_user(_settings(library_bytes=0))
    assert find_expired_of_user(_settings()).vectors == 2, "one that is switched off is left"
    compact_and_expire_of_user(_settings())
    assert (find_expired_of_user(_settings()).vectors, caplog.text) == (1, "")
    for path in own_place().glob("*/texts.lance/data/*"):
        path.write_bytes(b"\0" * 64)
    compact_and_expire_of_user(_settings())
    assert f"Your library {own_place()} is not kept within its bounds" in caplog.text


@pytest.mark.parametrize("damaged", ["*/texts.lance/data/*", "*/texts.lance/_versions/*", "*/schema_version.json"])
def test_a_damaged_library_costs_time_only(damaged: str, caplog: pytest.LogCaptureFixture) -> None:
    Libraries.of(_settings(), "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    for path in own_place().glob(damaged):
        path.write_bytes(b"\0" * 64)
    libraries = Libraries.of(_settings(), "m")
    assert libraries.ask(_TEXTS, dimension=_DIMENSION) == {}
    libraries.give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    libraries.compact_and_expire()
    assert caplog.text.count("is left out for this run") == 1, "said once"
    assert f"delete {own_place()}" in caplog.text


def test_a_disk_without_room_costs_time_only(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreError("The disk that holds it is full")

    monkeypatch.setattr(VectorLibrary, "give", full)
    Libraries.of(_settings(), "m").give(_vectors(_TEXT.text_hash), _TEXTS, replace=False)
    assert "is full" in caplog.text


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("team", "shared_libraries: 'team' is no absolute path"),
        ("gs://bucket/team", "shared_libraries: 'gs://bucket/team' is no place of a store"),
    ],
)
def test_a_library_that_is_not_named_by_its_address_is_refused(place: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        _settings(shared_libraries=(place,))
