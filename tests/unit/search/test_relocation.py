"""A chunk is found again in an edited file: at its place, moved, changed, with and without lines of children."""

from __future__ import annotations

import pytest

from code_index.search.relocation import MOST_CHARACTERS, MOST_LINES, PresentLines, relocated

_FILE = ["import os", "", "def one():", "    return 1", "", "def two():", "    return 2"]


def test_a_text_that_stands_where_it_stood_is_there() -> None:
    found = relocated(["def two():", "    return 2"], 6, 7, PresentLines(_FILE))
    assert (found.start_line, found.end_line, found.lines) == (6, 7, None)


def test_a_text_that_moved_is_found_at_the_nearest_place() -> None:
    twice = ["x = 1", *_FILE, *_FILE]
    found = relocated(["def two():", "    return 2"], 12, 13, PresentLines(twice))
    assert (found.start_line, found.end_line, found.lines) == (14, 15, None)


def test_a_changed_body_is_read_from_its_first_line_to_its_last() -> None:
    now = [
        "# new",
        "def one():",
        "    value = 1",
        "    log(value)",
        "    return value",
        "",
        "def two():",
        "    return 2",
    ]
    found = relocated(["def one():", "    return 1"], 3, 4, PresentLines(now))
    assert found.start_line == 2
    assert found.lines[0] == "def one():"
    found = relocated(["def one():", "    value = 0", "    return value"], 3, 5, PresentLines(now))
    assert (found.start_line, found.end_line) == (2, 5)
    assert found.lines == tuple(now[1:5])


def test_a_class_whose_methods_are_chunks_of_their_own_only_moves() -> None:
    now = ["", "", "class A:", "    x = 1", "    def f(self):", "        pass", "    y = 2"]
    found = relocated(["class A:", "    x = 1", "    y = 2"], 1, 5, PresentLines(now))
    assert (found.start_line, found.end_line, found.lines) == (3, 7, None)


@pytest.mark.parametrize("now", [["other"], ["", ""], ["a"] * 3])
def test_what_is_gone_gives_lines_that_the_file_has(now: list[str]) -> None:
    found = relocated(["def one():", "    return 1"], 30, 31, PresentLines(now))
    assert 1 <= found.start_line <= found.end_line <= len(now)
    assert found.lines == tuple(now[found.start_line - 1 : found.end_line])


def test_an_empty_file_has_no_place() -> None:
    assert relocated(["def one():"], 1, 1, PresentLines([])) is None


def test_a_file_of_one_line_a_thousand_times_is_searched_in_linear_time() -> None:
    lines = ["}"] * 20_000
    found = relocated(["}", "}", "{"], 10_000, 10_002, PresentLines(lines))
    assert found.lines is not None
    assert relocated(["}"], 15_000, 15_000, PresentLines(lines)).start_line == 15_000


def test_a_chunk_is_found_among_many_that_begin_and_end_alike() -> None:
    lines = ["def f():", "    x = 1", "    return x", ""] * 5_000
    lines[12_001] = "    x = 2"
    found = relocated(["def f():", "    x = 2", "    return x"], 5, 7, PresentLines(lines))
    assert (found.start_line, found.lines) == (12_001, None)


def test_of_a_long_text_only_the_beginning_is_read_again() -> None:
    one_line = relocated(["x = 1"], 1, 1, PresentLines(["y" * 1_000_000]))
    assert one_line.lines == ("y" * MOST_CHARACTERS,)
    many = relocated(["class A:", "  x = 1", "}"], 1, 5_000, PresentLines(["class A:", *["  y"] * 4_998, "}"]))
    assert (many.end_line, len(many.lines)) == (5_000, MOST_LINES)
