"""Which files a second look has to be at."""

import pytest

from code_index.tables.own_commits import MANY_FILES, OwnCommits

_FACT = ("claim", "chunks")


def _at(version: int, identity: str = "7") -> dict[str, tuple[str, int]]:
    return {"chunks": (identity, version)}


@pytest.fixture
def commits() -> OwnCommits:
    """A process that looked at version 3."""
    made = OwnCommits()
    made.note(_FACT, _at(3), "found")
    return made


def test_a_first_look_is_at_all_rows() -> None:
    assert OwnCommits().changed(_FACT, _at(3)) is None


def test_nothing_has_changed_at_the_same_version(commits: OwnCommits) -> None:
    assert commits.changed(_FACT, _at(3)) == set()


def test_own_commits_name_the_files_that_changed(commits: OwnCommits) -> None:
    commits.add("chunks", "7", 4, ["a", "b"])
    commits.add("chunks", "7", 5, ["c"])
    assert commits.changed(_FACT, _at(4)) == {"a", "b"}
    assert commits.changed(_FACT, _at(5)) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "versions", [_at(5), _at(2), _at(4, identity="8"), {"files": ("7", 4)}, {**_at(4), "files": ("9", 1)}]
)
def test_any_other_commit_makes_it_a_look_at_all_rows(
    commits: OwnCommits, versions: dict[str, tuple[str, int]]
) -> None:
    commits.add("chunks", "7", 4, ["a"])
    assert commits.changed(_FACT, versions) is None


def test_a_table_made_again_is_another_one(commits: OwnCommits) -> None:
    commits.add("chunks", "8", 4, ["a"])
    assert commits.changed(_FACT, _at(4, identity="8")) is None
    assert commits.changed(_FACT, _at(4)) is None


def test_of_too_many_files_all_rows_are_looked_at(commits: OwnCommits) -> None:
    commits.add("chunks", "7", 4, list(map(str, range(MANY_FILES))))
    assert commits.changed(_FACT, _at(4)) == set(map(str, range(MANY_FILES)))
    commits.add("chunks", "7", 5, ["one more"])
    assert commits.changed(_FACT, _at(5)) is None


def test_old_commits_are_forgotten_and_then_all_rows_are_looked_at(commits: OwnCommits) -> None:
    for version in range(4, 200):
        commits.add("chunks", "7", version, ["a"])
    assert commits.changed(_FACT, _at(199)) is None
    commits.note(_FACT, _at(190))
    assert commits.changed(_FACT, _at(199)) == {"a"}


def test_claims_are_looked_at_apart(commits: OwnCommits) -> None:
    assert commits.changed(("another", "chunks"), _at(3)) is None
    assert commits.last(("another", "chunks")) is None
    look = commits.last(_FACT)
    assert look is not None
    assert look.found == "found"
