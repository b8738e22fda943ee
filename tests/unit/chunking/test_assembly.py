"""What holds for the chunks of any file, however broken."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_index.chunking import chunk_file
from code_index.chunking.assembly import assemble, plan
from code_index.chunking.blocks import Block, Extraction
from code_index.chunking.code import extract_code
from code_index.chunking.encoding import decode
from code_index.chunking.registry import LANGUAGES
from code_index.chunking.splitting import SourceText
from code_index.core.model import ChunkingOptions, ChunkType
from tests.samples import SAMPLES

CODE = {language: SAMPLES[language].read_bytes() for language in sorted(LANGUAGES)}
OPTIONS = st.builds(ChunkingOptions, max_characters=st.integers(1, 400), min_characters=st.integers(0, 100))
FEW = settings(max_examples=60, deadline=None)


def chunked(content, language="python", options=None):
    return chunk_file(content, file_path="a/b", file_hash="0", language=language, options=options or ChunkingOptions())


def assembled(source, extraction, options):
    return assemble(
        source,
        extraction,
        file_path="a/b",
        file_hash="0",
        language="python",
        subproject_name=None,
        subproject_path=None,
        options=options,
    )


def assert_invariants(source: bytes, extraction: Extraction, options: ChunkingOptions):
    text = source.decode()
    chunks = assembled(source, extraction, options)
    pieces = plan(SourceText(source, extraction.break_points), extraction, options)
    spans = sorted(span for piece in pieces for span in piece.spans)
    # lossless: no span overlaps the next, and nothing between them but blanks
    cursor = 0
    for start, end in spans:
        assert cursor <= start < end <= len(source)
        assert not source[cursor:start].decode().strip()
        cursor = end
    assert not source[cursor:].decode().strip()
    assert sorted("".join("".join(chunk.content.split()) for chunk in chunks)) == sorted("".join(text.split()))
    lines = source.splitlines(keepends=True)
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    assert len(by_id) == len(chunks)
    assert [chunk.start_line for chunk in chunks] == sorted(chunk.start_line for chunk in chunks)
    for chunk, piece in zip(chunks, pieces, strict=True):
        assert chunk.content.strip()
        assert len(piece.spans) == 1 or piece.owner.block is not None, "what no definition owns is a range"
        assert len(chunk.content) <= options.max_characters
        region = b"".join(lines[chunk.start_line - 1 : chunk.end_line])
        before = sum(map(len, lines[: chunk.start_line - 1]))
        assert before <= piece.spans[0][0] < before + len(lines[chunk.start_line - 1])
        assert before + len(region) - len(lines[chunk.end_line - 1]) < piece.spans[-1][1] <= before + len(region)
        assert all(by_id[child].parent_chunk_id == chunk.chunk_id for child in chunk.child_chunk_ids)
        if chunk.parent_chunk_id is None:
            assert chunk.chunk_depth == 0
        else:
            parent = by_id[chunk.parent_chunk_id]
            assert chunk.chunk_id in parent.child_chunk_ids
            assert chunk.chunk_depth == parent.chunk_depth + 1
    assert assembled(source, extraction, options) == chunks


@FEW
@given(st.sampled_from(sorted(CODE)), st.binary(max_size=400), OPTIONS)
def test_random_bytes_lose_nothing(language, content, options):
    source = decode(content).text
    assert_invariants(source, extract_code(source, language), options)


@FEW
@given(st.sampled_from(sorted(CODE)), st.data(), OPTIONS)
def test_broken_code_loses_nothing(language, data, options):
    sample = CODE[language].decode()
    cuts = data.draw(st.lists(st.integers(0, len(sample)), min_size=2, max_size=8))
    fragments = [sample[min(pair) : max(pair)] for pair in pairwise(cuts)]
    source = (
        data.draw(st.sampled_from(["", "\r\n", "\f", "é\N{NO-BREAK SPACE}漢", "\0", "\r"])).join(fragments).encode()
    )
    assert_invariants(source, extract_code(source, language), options)


@FEW
@given(st.text(max_size=300), st.lists(st.integers(0, 300), max_size=12), st.data(), OPTIONS)
def test_any_tree_of_blocks_loses_nothing(text, offsets, data, options):
    source = text.encode()

    def blocks(start, end, depth):
        points = sorted({offset for offset in offsets if start <= offset <= end and offset <= len(source)})
        found = []
        for low, high in zip(points[::2], points[1::2], strict=False):
            kind = data.draw(st.sampled_from([ChunkType.CLASS, ChunkType.METHOD, ChunkType.MODULE]))
            first, last = _on_character(source, low), _on_character(source, high)
            if first < last:
                children = blocks(first + 1, last - 1, depth + 1) if depth < 3 else []
                found.append(Block(first, last, kind, name="n", children=children))
        return found

    assert_invariants(source, Extraction(blocks=blocks(0, len(source), 0)), options)


def _on_character(source, offset):
    while 0 < offset < len(source) and source[offset] & 0xC0 == 0x80:
        offset -= 1
    return offset


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_code_that_moves_keeps_its_ids(language):
    before = chunked(CODE[language], language)
    after = chunked(b"\n\n\n" + CODE[language], language)
    assert [chunk.chunk_id for chunk in after] == [chunk.chunk_id for chunk in before]
    assert [chunk.start_line for chunk in after] == [chunk.start_line + 3 for chunk in before]


def test_functions_that_change_places_keep_their_ids():
    first, second = b"def a():\n    return 1\n", b"def b():\n    return 2\n"
    ids = {chunk.chunk_id for chunk in chunked(first + b"\n\n" + second)}
    assert {chunk.chunk_id for chunk in chunked(second + b"\n\n" + first)} == ids


def test_equal_functions_have_ids_of_their_own():
    chunks = chunked(b"def a():\n    return 1\n\n\ndef a():\n    return 1\n")
    assert chunks[0].content == chunks[1].content
    assert chunks[0].chunk_id != chunks[1].chunk_id


def test_the_same_code_in_another_file_has_another_id():
    (here,) = chunk_file(b"x = 1", file_path="a", file_hash="0", language="python")
    (there,) = chunk_file(b"x = 1", file_path="b", file_hash="0", language="python")
    assert here.chunk_id != there.chunk_id


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n\f", b"\x1c", "\N{NO-BREAK SPACE}".encode() * 5_000])
def test_a_blank_file_has_no_chunks(content):
    assert chunked(content) == ()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_end_as_editors_count_them(ending):
    chunks = chunked(f"def a():{ending}    return 1{ending}{ending}def b():{ending}    return 2{ending}".encode())
    assert [(chunk.start_line, chunk.end_line) for chunk in chunks] == [(1, 2), (4, 5)]


def test_a_lone_carriage_return_ends_a_line():
    (chunk,) = chunked(b"\r\r# one\r# two")
    assert (chunk.start_line, chunk.end_line) == (3, 4)


def test_a_long_function_is_cut_at_its_least_indented_lines():
    body = "".join(f"    if a == {n}:\n        b = {n}\n        c = {n}\n" for n in range(20))
    first, *rest = chunked(f"def f(a):\n{body}".encode(), options=ChunkingOptions(max_characters=300))
    assert first.function_name == "f"
    assert first.cyclomatic_complexity == 21
    assert all(part.content.startswith("    if a ==") for part in rest)
    assert {(part.parent_chunk_id, part.function_name, part.chunk_type) for part in rest} == {
        (first.chunk_id, "f", ChunkType.FUNCTION)
    }
    assert first.child_chunk_ids == tuple(part.chunk_id for part in rest)


def test_a_minified_line_is_cut_between_statements():
    source = b"function f(){" + b"call(1,2,3);" * 200 + b"}"
    chunks = chunked(source, "javascript", ChunkingOptions(max_characters=500))
    assert all(len(chunk.content) > 200 for chunk in chunks)
    assert all(chunk.content.startswith(("function", "call(")) for chunk in chunks)
    assert {(chunk.start_line, chunk.end_line) for chunk in chunks} == {(1, 1)}


def test_a_cut_never_parts_a_character():
    chunks = chunked("漢字".encode() * 500, "python", ChunkingOptions(max_characters=7))
    assert "".join(chunk.content for chunk in chunks) == "漢字" * 500


def test_text_between_two_definitions_is_a_chunk_of_its_own():
    source = b"import a\n\ndef f():\n    return 1\n\nX = 1\nZ = 1\n\ndef g():\n    return 2\n\nY = 2\n"
    modules = [chunk for chunk in chunked(source) if chunk.chunk_type is ChunkType.MODULE]
    assert [(chunk.content, chunk.start_line, chunk.end_line) for chunk in modules] == [
        ("import a", 1, 1),
        ("X = 1\nZ = 1", 6, 7),
        ("Y = 2", 12, 12),
    ]


def test_text_around_a_namespace_stays_one_chunk():
    chunks = chunked(b"#include <a>\n\nnamespace b {\nint c;\n\nint f() { return 1; }\n}\n\nint d;\n", "cpp")
    assert [(chunk.content, chunk.qualified_name) for chunk in chunks] == [
        ("#include <a>\n\nnamespace b {\nint c;", ""),
        ("int f() { return 1; }\n}", "b.f"),
        ("int d;", ""),
    ]


def test_an_opening_bracket_before_the_first_definition_belongs_to_it():
    (chunk,) = chunked(b"{\n  function f() { return 1 }\n}\n", "javascript")
    assert (chunk.start_line, chunk.end_line, chunk.function_name) == (1, 3, "f")


def test_a_short_piece_of_a_long_text_joins_its_neighbour():
    source = b"a = 1\n" * 30 + b"b = [\n" + b"    1,\n" * 30 + b"]\n"
    without = chunked(source, options=ChunkingOptions(max_characters=300, min_characters=0))
    joined = chunked(source, options=ChunkingOptions(max_characters=300, min_characters=100))
    assert min(len(chunk.content) for chunk in joined) >= min(len(chunk.content) for chunk in without)
    assert all(len(chunk.content) <= 300 for chunk in joined)


def test_an_import_stands_on_the_chunk_that_holds_it():
    chunks = chunked(b"import a\nfrom b import (\n    c,\n)\n\ndef f():\n    import d\n")
    assert {chunk.function_name: chunk.imports for chunk in chunks} == {
        None: ("import a", "from b import ( c, )"),
        "f": ("import d",),
    }


def test_deep_nesting_needs_no_recursion():
    depth = 3_000
    chunks = chunked(b"namespace a {" * depth + b"int f() { return 1; }" + b"}" * depth, "cpp")
    assert "".join("".join(chunk.content.split()) for chunk in chunks).count("{") == depth + 1
    assert max(len(chunk.qualified_name) for chunk in chunks) < 100
