"""Versions and parts at a place: named by what is in them, whole or not there, gone when nobody needs them."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from code_index.core.errors import StoreError, UsageError
from code_index.sharing import published_index as room
from code_index.sharing.places import Place
from code_index.sharing.published_index import PublishedIndex
from code_index.sharing.published_parts import group_of, groups_for, packed, part_schema, unpacked
from code_index.sharing.published_version import Part, Version, fetched_by, fetched_version, read_version

_DIMENSION = 2


@pytest.fixture
def published(address: str) -> PublishedIndex:
    """A place of each kind where nothing is published."""
    return PublishedIndex(Place(address))


def _part(*paths: str) -> tuple[Part, bytes]:
    rows = [{"file_path": path, "file_hash": "0" * 64, "chunk_count": 0, "reference_count": 0} for path in paths]
    return packed("files", 0, pa.Table.from_pylist(rows, schema=part_schema("files", _DIMENSION)))


def _version(*parts: Part, day: int = 1) -> Version:
    return Version(
        made_at=datetime(2026, 1, day, tzinfo=UTC),
        program="1",
        commit="a" * 40,
        chunker="1/2/3",
        model="m",
        dimension=_DIMENSION,
        files=1,
        chunks=0,
        references=0,
        groups=1,
        parts=parts,
    )


def _put(published: PublishedIndex, *paths: str, day: int = 1) -> tuple[str, Part]:
    part, content = _part(*paths)
    published.put_part(part, content)
    return published.put(_version(part, day=day)), part


def test_a_version_is_read_as_it_was_written(published: PublishedIndex) -> None:
    name, part = _put(published, "a.py", "b.py")
    assert published.names() == [name]
    version = published.version(name)
    assert version == _version(part)
    rows = unpacked(part, published.part(part), dimension=_DIMENSION)
    assert rows.column("file_path").to_pylist() == ["a.py", "b.py"]
    assert published.stored_parts() == {part.sha256: part.size}


def test_a_version_that_is_not_there_is_told_with_the_way_to_list_them(published: PublishedIndex) -> None:
    absent = _version().written()[0]
    for name in (absent, "../../etc/passwd", "", "x" * 1_000):
        with pytest.raises(UsageError, match="fetch --list"):
            published.version(name)


def test_a_record_or_part_that_was_changed_is_refused_by_name_and_other_versions_stay(
    published: PublishedIndex, caplog: pytest.LogCaptureFixture
) -> None:
    first, part = _put(published, "a.py")
    second, other = _put(published, "b.py", day=2)
    content = published.place.read(f"versions/{second}.json", max_bytes=1 << 20)
    published.place.write(f"versions/{second}.json", content.replace(b"aaaa", b"bbbb"))
    with pytest.raises(StoreError, match=f"{second} was changed"):
        published.version(second)
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in published.readable(most=9)] == [first]
    assert f"{second} was changed" in caplog.text
    published.put_part(part, published.part(other))
    with pytest.raises(StoreError, match=f"{part.name} was changed"):
        unpacked(part, published.part(part), dimension=_DIMENSION)
    published.put_part(part, b"longer than the version says" * 1_000)
    with pytest.raises(StoreError, match=part.sha256):
        published.part(part)
    published.place.delete(f"parts/{part.sha256}")
    with pytest.raises(StoreError, match=f"{part.name} is missing"):
        published.part(part)


def test_a_rollback_withdraws_the_newer_versions_until_one_is_brought_back(published: PublishedIndex) -> None:
    names = [_put(published, f"{day}.py", day=day)[0] for day in (1, 2, 3)]
    assert published.roll_back(names[0]) == [names[2], names[1]]
    assert published.names() == [names[0]]
    assert published.withdrawn() == set(names[1:])
    assert published.roll_back(names[1]) == []
    assert published.names() == [names[1], names[0]]
    with pytest.raises(UsageError, match="has no version"):
        published.roll_back("20260101t000000z-" + "0" * 24)


def test_pruning_leaves_the_newest_versions_with_their_parts_and_what_may_be_under_way(
    published: PublishedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, shared = _put(published, "same.py")
    _, only_old = _put(published, "old.py", day=2)
    newest, _ = _put(published, "same.py", day=3)
    published.roll_back(old)
    assert published.prune(keep=1) == 0, "a part of the last day may be of a version that is being published"
    assert published.stored_parts().keys() == {shared.sha256, only_old.sha256}
    monkeypatch.setattr(room, "_UNNAMED_FOR", -timedelta(days=1))
    assert published.prune(keep=1) == only_old.size
    assert published.stored_parts().keys() == {shared.sha256}
    assert published.withdrawn() == {newest}
    assert published.names() == []


def test_a_damaged_version_that_is_kept_costs_no_other_its_parts(
    published: PublishedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _ = _put(published, "a.py")
    published.place.write(f"versions/{name}.json", b"{}")
    monkeypatch.setattr(room, "_UNNAMED_FOR", -timedelta(days=1))
    with pytest.raises(StoreError, match="was changed"):
        published.prune(keep=5)
    assert len(published.stored_parts()) == 1


def test_the_same_rows_are_the_same_part_whatever_their_order() -> None:
    assert _part("a.py", "b.py") == _part("b.py", "a.py")


def test_groups_are_few_of_a_small_index_and_change_seldom_as_it_grows() -> None:
    assert [groups_for(chunks) for chunks in (0, 1, 4_096, 4_097, 8_193, 576_000)] == [1, 1, 1, 2, 4, 256]
    assert group_of("app/greeting.py", 4) == group_of("app/greeting.py", 4)
    assert {group_of(f"{number}.py", 4) for number in range(100)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"more": 1},
        {"commit": "HEAD; rm -rf /"},
        {"dimension": 0},
        {"groups": 0},
        {"files": -1},
        {"made_at": "yesterday"},
        {"parts": [{"table": "passwords", "group": 0, "sha256": "0" * 64, "size": 1, "rows": 1}]},
        {"parts": [{"table": "files", "group": 0, "sha256": "../../x", "size": 1, "rows": 1}]},
        {"parts": [{"table": "files", "group": 0, "sha256": "0" * 64, "size": 1 << 60, "rows": 1}]},
    ],
)
def test_a_record_of_another_form_is_refused_in_a_sentence(change: dict[str, object]) -> None:
    content = json.dumps(_version(_part("a.py")[0]).model_dump(mode="json") | change).encode()
    with pytest.raises(StoreError, match="cannot be read"):
        read_version(f"20260101t000000z-{hashlib.sha256(content).hexdigest()[:24]}", content)


def test_a_part_with_fewer_rows_or_no_parquet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    part, content = _part("a.py")
    with pytest.raises(StoreError, match="claims 1 rows"):
        unpacked(part.model_copy(update={"rows": 2}), content, dimension=_DIMENSION)
    for junk in (b"", b"PAR1", content[:-9], b"PAR1" + b"\xff" * 200 + b"PAR1"):
        claimed = part.model_copy(update={"size": len(junk), "sha256": hashlib.sha256(junk).hexdigest()})
        with pytest.raises(StoreError, match="cannot be read"):
            unpacked(claimed, junk, dimension=_DIMENSION)
    monkeypatch.setattr("code_index.sharing.published_parts._MOST_UNPACKED", 10)
    with pytest.raises(StoreError, match="claims"):
        unpacked(part, content, dimension=_DIMENSION)


def test_a_file_says_which_version_it_came_from() -> None:
    name = _version().written()[0]
    assert fetched_version(fetched_by(name)) == name
    assert fetched_version("0b4f7a52-a9b1-4c57-8e3c-7f3f31d1e6a0") is None
    assert fetched_version(None) is None
