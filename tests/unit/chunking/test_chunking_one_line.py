"""Files that are one long line, or mostly blanks: cut in linear time, and nothing of them is lost.

Bounds are ten times and more what a busy machine takes; work that is quadratic takes a hundred times as long.
"""

from __future__ import annotations

import time

import pytest

from code_index.chunking import chunk_file

MEGABYTE = 1_000_000
SECONDS = 8.0


def _times(unit: bytes, size: int = MEGABYTE) -> bytes:
    return unit * (size // len(unit))


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("typescript", b" " * (MEGABYTE // 2) + _times(b"call(1,2,3);", MEGABYTE // 2)),
        ("text", b"a" + b" " * (4 * MEGABYTE) + b"b"),
        ("text", b" " * (4 * MEGABYTE) + _times(b"word ")),
        ("c", b"\t" * MEGABYTE + _times(b"/* d */ int f(int a) { return a; } ", MEGABYTE // 4)),
        ("json", b"[" + _times(b'{"name": "abc", "value": [1, 2, 3]},') + b"1]"),
        ("python", b"x = [" + _times(b"12345, ") + b"]"),
    ],
    ids=["indented code", "blanks inside", "blanks first", "comments on one line", "json", "list"],
)
def test_a_file_of_one_line_is_cut_in_linear_time_without_loss(language, source):
    started = time.process_time()
    chunks = chunk_file(source, file_path="a", file_hash="0", language=language)
    assert time.process_time() - started < SECONDS
    kept = "".join("".join(chunk.content.split()) for chunk in chunks)
    assert sorted(kept) == sorted("".join(source.decode().split()))
    assert {(chunk.start_line, chunk.end_line) for chunk in chunks} == {(1, 1)}
