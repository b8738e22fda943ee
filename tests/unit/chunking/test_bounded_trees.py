"""Texts that nobody wrote cost a grammar and its queries bounded work: they are cut as text, whole, and told."""

from __future__ import annotations

import time

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.bounded_trees import BLOCK_BYTES, MAX_WAITING, captured, parsed
from code_index.chunking.code import _tools
from code_index.chunking.embedded import extract
from code_index.chunking.registry import LANGUAGES
from code_index.core.model import Chunk, ChunkType
from tests.samples import SAMPLES

SECONDS = 15  # of processor time; without a bound each takes minutes


def _told(text: bytes, language: str) -> tuple[tuple[Chunk, ...], list[int]]:
    told: list[int] = []
    chunks = chunk_file(text, file_path="a", file_hash="0", language=language, on_misread=told.append)
    kept = "".join("".join(chunk.content.split()) for chunk in chunks)
    assert kept.encode() == b"".join(text.split())
    return chunks, told


@pytest.mark.parametrize(
    ("text", "language"),
    [
        pytest.param(b"{" * 100_000, "objective-c", id="brackets in one error, objective-c"),
        pytest.param(b"func f() {" + b"{\n" * 100_000, "go", id="brackets in one error, go"),
        pytest.param(b"let a = " + b"1 + " * 20_000 + b"1\n", "nim", id="operators in each other"),
        pytest.param(b"a = " + b"1 + " * 70_000 + b"1\n", "python", id="more levels than a query counts"),
        pytest.param(b"/* " * 8_000, "go", id="comments that do not end"),
        pytest.param(b"# a\n" * 15_000, "racket", id="a scanner that reads all the rest"),
        pytest.param(b"<!-- " * 12_000, "python", id="many ways to go on"),
    ],
)
def test_a_text_that_a_grammar_or_a_query_would_take_minutes_for_is_cut_as_text_and_told(text, language):
    started = time.process_time()
    chunks, told = _told(text, language)
    assert time.process_time() - started < SECONDS
    assert told == [text.count(b"\n") + 1]
    assert {chunk.chunk_type for chunk in chunks} == {ChunkType.MODULE}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "perl"])
def test_brackets_that_nobody_closes_are_bounded_in_any_language(language):
    started = time.process_time()
    _told(b"{" * 40_000, language)
    assert time.process_time() - started < SECONDS


def test_a_text_after_one_that_was_given_up_is_read_from_its_start():
    parser = _tools("go")[1]
    assert parsed(b"/* " * 6_000, parser) is None
    tree = parsed(b"package a\n", parser)
    assert tree is not None
    assert (tree.root_node.type, tree.root_node.has_error, tree.root_node.end_byte) == ("source_file", False, 10)


@pytest.mark.parametrize(
    ("text", "language", "definitions"),
    [
        (b"{" + b"int x[] = {" + b"{0x1, 0x2}, " * 15_000 + b"};\nint f(void) { return 1; }\n", "c", 0),
        (b"a = [" + b"1, " * 60_000 + b"]\n" + b"def f():\n    pass\n", "python", 1),
        (b"a = " + b"1 + " * 20_000 + b"1\n" + b"def f():\n    pass\n", "python", 1),
        (b"const a = {\n" + b"  f() { return 1 },\n" * 5_000 + b"}\nfunction g() { return 1 }\n", "javascript", 1),
    ],
)
def test_data_and_generated_code_of_any_length_are_read_by_their_grammar(text, language, definitions):
    chunks, told = _told(text, language)
    assert len([chunk for chunk in chunks if chunk.qualified_name in {"f", "g"}]) >= definitions
    assert told == []


def test_a_query_with_too_many_waiting_matches_captures_nothing_rather_than_some():
    _, parser, query, *_ = _tools("nim")
    few, many = (parsed(b"let a = " + b"1 and " * count + b"1\n", parser) for count in (50, 4 * MAX_WAITING))
    assert len(captured(query, few.root_node)["and"]) == 50
    assert captured(query, many.root_node) is None


def test_nodes_have_their_text_whatever_their_length():
    source = "é = '''".encode() + "漢 ".encode() * BLOCK_BYTES + b"'''\n" + SAMPLES["python"].read_bytes()
    tree = parsed(source, _tools("python")[1])
    pending = [tree.root_node]
    while pending:
        node = pending.pop()
        assert node.text == source[node.start_byte : node.end_byte]
        pending += node.children


def test_a_script_that_takes_too_long_costs_nothing_else_of_its_page():
    page = (
        b"<script>\nfunction f() { return [1, 2, 3].map((x) => x + 1) }\n</script>\n<script>\n"
        + b"{" * 40_000
        + b"\n</script>\n"
    )
    found = extract(page, "html")
    assert "f" in {block.name for top in found.blocks for block in (top, *top.children)}
    assert found.unread_lines == 3
