"""Ignore rules by themselves; `test_source_repository_git` compares them with git at large."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.repository.ignore_rules import IgnoreFile


def matches(pattern: str, path: str, *, ignore_case: bool = False) -> bool:
    """Whether one pattern speaks about a path; a final `/` makes it a folder."""
    entry = path.removesuffix("/")
    file = IgnoreFile("f", [pattern], ignore_case=ignore_case)
    return file.match(entry.rpartition("/")[2], entry, is_folder=path.endswith("/")) is not None


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("a", "a d/a a/", "b ab d/ab"),
        ("a/", "a/ d/a/", "a d/a"),
        ("/a", "a a/", "d/a"),
        ("d/a", "d/a", "a x/d/a"),
        ("*.log", "x.log d/.log", "x.log2 log"),
        ("a*b*c", "abc axbxc d/abbcc", "ab acb abcd"),
        ("/*", "a d/", "d/a"),
        ("d/*", "d/a", "d/a/b a"),
        ("**/a", "a d/a d/e/a", "da"),
        ("d/**", "d/a d/e/a", "d a"),
        ("d/**/a", "d/a d/e/a d/e/f/a", "a e/a"),
        ("d/**e/a", "d/e/a d/xe/a", "d/x/e/a"),
        ("d**/a", "d/a da d/x/a dx/a", "x/a"),
        ("?", "a d/a", "ab é"),
        ("??", "é", "a"),
        ("[a-c]", "a b", "d - ]"),
        ("[!a-c]x", "dx", "ax"),
        ("[^a]", "b", "a"),
        ("[]a]", "] a", "b"),
        ("[a-]", "a -", "b"),
        ("[c-a]", "c", "a b"),
        ("[!c-a]", "a b", "c"),
        ("[[:digit:]x]", "1 x", "a :"),
        ("[[:punct:]]", "[ ` ~", "a 1"),
        ("[[:nope:]]", "", "n ["),
        ("[[:]a]", "", "a [a"),
        ("[[:]", "[ :", "a"),
        ("[a", "", "a [a"),
        ("[[:a", "", "a"),
        ("[\\]]", "]", "\\"),
        ("[a-\\c]", "b", "\\"),
        ("[a\\", "", "a"),
        ("a[/]b", "", "a/b"),
        ("d/[!x]", "d/a", "d/x"),
        ("\\*", "*", "a"),
        ("\\!a", "!a", "a"),
        ("\\#a", "#a", "a"),
        ("a\\", "", "a a\\"),
        ("d\\/a", "d/a", "a"),
        ("d/**\\/a", "d/e/a d/e/f/a", "e/a"),
        ("a***b", "ab axb", "a/b"),
        ("", "", "a"),
        ("# a", "", "a #"),
        ("/", "", "a a/"),
        ("//", "", "a"),
        ("d//", "", "d/ d"),
    ],
)
def test_patterns_mean_what_they_mean_to_git(pattern: str, hits: str, misses: str) -> None:
    assert {path: matches(pattern, path) for path in hits.split()} == dict.fromkeys(hits.split(), True)
    assert {path: matches(pattern, path) for path in misses.split()} == dict.fromkeys(misses.split(), False)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("a  ", "a"), ("a\\ ", "a "), ("a\\  ", "a "), (" a", " a"), ("a\t", "a\t"), ("a b", "a b"), ("a*\n", "a1\n")],
)
def test_only_spaces_at_the_end_are_dropped(pattern: str, path: str) -> None:
    assert matches(pattern, path)
    assert not matches(pattern, f"{path}x")


def test_the_last_rule_that_speaks_is_given() -> None:
    file = IgnoreFile("here", ["*.log", "!keep.log", "", "# no", "keep.log/"])
    assert str(file.match("x.log", "d/x.log", is_folder=False)) == "here:1 *.log"
    kept = file.match("keep.log", "keep.log", is_folder=False)
    assert kept is not None
    assert (kept.line, kept.negated) == (2, True)
    folder = file.match("keep.log", "keep.log", is_folder=True)
    assert folder is not None
    assert (folder.line, folder.negated) == (5, False)


def test_bytes_may_have_a_mark_carriage_returns_and_any_encoding() -> None:
    file = IgnoreFile.from_bytes("f", b"\xef\xbb\xbf*.log\r\ncaf\xe9\r\nlast")
    assert [rule.text for rule in file.rules] == ["*.log", "caf\udce9", "last"]
    assert file.match("caf\udce9", "caf\udce9", is_folder=False) is not None
    assert file.match("café", "café", is_folder=False) is None


def test_case_is_ignored_on_request() -> None:
    for pattern, path in (("*.LOG", "a.log"), ("Read", "READ"), ("D/[a-c]", "d/B"), ("?A", "xa")):
        assert matches(pattern, path, ignore_case=True)
        assert not matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "opened", "closed"),
    [
        ("!vendor/own/", "vendor", "vendor/own other own"),
        ("!/a/*/c.py", "a a/x", "a/x/c.py b"),
        ("!é/b", "é", "e"),
        ("!own", "", "own vendor"),
        ("!**/own", "", "vendor"),
        ("!a[/]b/c", "", "a a[ a/b"),
        ("vendor/own", "", "vendor"),
    ],
)
def test_a_spelled_out_negation_opens_the_folders_on_its_way(pattern: str, opened: str, closed: str) -> None:
    file = IgnoreFile("f", [pattern])
    assert all(file.brings_back_below(path) for path in opened.split())
    assert not any(file.brings_back_below(path) for path in closed.split())


def test_an_opening_ignores_case_on_request() -> None:
    assert IgnoreFile("f", ["!Vendor/own"], ignore_case=True).brings_back_below("vendor")


@given(st.lists(st.text("ab*?[]!\\/-:# é^", max_size=12), max_size=5), st.text("abé/]", min_size=1))
def test_no_pattern_is_an_error(lines: list[str], path: str) -> None:
    file = IgnoreFile("f", lines)
    rule = file.match(path.rpartition("/")[2], path, is_folder=False)
    assert rule is None or rule in file.rules


def test_many_stars_cost_no_exponential_time() -> None:
    started = time.process_time()
    assert not matches("*a" * 40 + "b", "a" * 250)
    assert not matches("/" + "*a" * 40 + "b", "a" * 250)
    assert time.process_time() - started < 1
