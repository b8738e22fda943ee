"""What must hold for the chunks of any bytes in any language, and bytes that try to break it.

Belongs here: the claims, the seeds and the mutations, for the property tests and for the long run
(`python -m tests.fuzz.chunker`). Does not belong here: who draws the inputs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from code_index.chunking import chunk_file
from code_index.chunking.encoding import decode
from code_index.chunking.registry import FORMATS
from code_index.chunking.registry import LANGUAGES as CODE
from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput
from code_index.core.hashing import content_hash
from code_index.core.identifiers import full_text
from code_index.core.model import Chunk, ChunkingOptions, ChunkType
from code_index.parsing.chunk_rows import chunks_to_batch
from code_index.tables.schemas import PARSED_CHUNKS
from tests.samples import SAMPLES

LANGUAGES = tuple(sorted({*CODE, *FORMATS}))
GROUPS = {f"code_{number}": tuple(sorted(CODE)[number - 1 :: 3]) for number in (1, 2, 3)}
GROUPS["structured"] = tuple(sorted(FORMATS))
OPTIONS = (ChunkingOptions(), ChunkingOptions(max_characters=200, min_characters=0), ChunkingOptions(60, 30))

_SAMPLE_OF = {
    "svelte": "vue",
    "ejs": "html",
    "heex": "html",
    "jsp": "html",
    "twig": "jinja",
    "less": "css",
    "scss": "css",
    "csv": "text",
    "verilog": "systemverilog",
}
_MAX_BYTES = 20_000
_PATH = "src/a b/it's.x"

HOSTILE_PIECES = (
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"),
    *(b"\r", b"\r\n", b"\n", b"\f", b"\v", b"\t", b"\x1c", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0"),
    *("漢字".encode(), "😀".encode(), "é".encode(), b"\xe2\x80\xae", b"\x1b[2J"),
    *(b"(", b")", b"[", b"]", b"{", b"}", b"<", b">", b'"', b"'", b"`", b'"""', b"'''", b"\\", b"$", b"#", b"@"),
    *(b"/*", b"*/", b"//", b"--", b"<!--", b"-->", b"<script>", b"</script>", b"<?php", b"?>", b"{{", b"}}"),
    *(b"#{", b"${", b"<<EOF\n", b"EOF\n", b"=begin\n", b"=end\n", b'R"x(', b')x"', b";", b",", b":", b"=", b"->"),
    *(b"::", b"def f", b"class A", b"function f", b"if ", b"else ", b"end\n", b"import a", b"fn ", b"do ", b"---\n"),
    *(b"- ", b"# ", b"```\n", b"a: ", b"&a ", b"*a", b"\\u0000", b"    ", b" " * 500, b"x" * 3_000, b"0" * 400),
)


SEEDS = {language: SAMPLES[_SAMPLE_OF.get(language, language)].read_bytes() for language in LANGUAGES}
"""A file of each language that uses most of its syntax."""


def check(content: bytes, language: str, options: ChunkingOptions = OPTIONS[0]) -> tuple[Chunk, ...]:
    """The chunks of the content, once every claim was found to hold for them.

    Raises:
        AssertionError: a claim does not hold; any other error is a fault as well.
    """
    chunks = _chunked(content, language, options)
    _sound(content, chunks, language, options)
    assert _chunked(content, language, options) == chunks, "the same bytes give the same chunks"
    _sound(content, _chunked(content, language, options, as_text=True), language, options, as_text=True)
    return chunks


def _chunked(content: bytes, language: str, options: ChunkingOptions, *, as_text: bool = False) -> tuple[Chunk, ...]:
    return chunk_file(
        content,
        file_path=_PATH,
        file_hash=content_hash(content),
        language=language,
        options=options,
        as_text=as_text,
    )


def _sound(
    content: bytes, chunks: tuple[Chunk, ...], language: str, options: ChunkingOptions, *, as_text: bool = False
) -> None:
    source = decode(content).text
    lines = source.splitlines()
    is_file = True  # rather than a text that is made from it
    if language in FORMATS and (render := FORMATS[language].render) and (rendered := render(source)) and not as_text:
        source, is_file = rendered.text, False
    text = source.decode("utf-8")
    kept = Counter("".join("".join(chunk.content.split()) for chunk in chunks))
    assert kept == Counter("".join(text.split())), "every character that is not blank is in exactly one chunk"
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    assert len(by_id) == len(chunks), "ids are unique"
    assert [chunk.start_line for chunk in chunks] == sorted(chunk.start_line for chunk in chunks)
    for chunk in chunks:
        assert chunk.content.strip(), "no chunk is blank"
        assert len(chunk.content) <= options.max_characters, "no chunk is longer than the limit"
        assert 1 <= chunk.start_line <= chunk.end_line <= len(lines), "lines are in the file"
        region = b"\n".join(lines[chunk.start_line - 1 : chunk.end_line])
        for edge in (chunk.content.encode().splitlines()[0], chunk.content.encode().splitlines()[-1]):
            assert edge in region or not is_file, "a chunk's first and last line stand where its line numbers say"
        is_rest = chunk.qualified_name == "" and chunk.chunk_type in {ChunkType.MODULE, ChunkType.TEXT}
        assert not is_rest or chunk.content.encode() in source, "text that no definition owns is a range of the file"
        assert all(by_id[child].parent_chunk_id == chunk.chunk_id for child in chunk.child_chunk_ids)
        assert chunk.parent_chunk_id is None or chunk.chunk_id in by_id[chunk.parent_chunk_id].child_chunk_ids
        _can_be_embedded(chunk, language)
    # What a parser process answers: every value fits its column, and comes back as it was.
    batch = chunks_to_batch(chunks)
    assert batch.schema == PARSED_CHUNKS
    assert batch.column("content").to_pylist() == [chunk.content for chunk in chunks]
    assert batch.column("qualified_name").to_pylist() == [chunk.qualified_name for chunk in chunks]


def _can_be_embedded(chunk: Chunk, language: str) -> None:
    fields = {name: getattr(chunk, name) for name in EMBEDDED_FIELDS} | {"language": language}
    embedded = EmbeddingInput.of_chunk(**fields)
    words = full_text(file_path=chunk.file_path, qualified_name=chunk.qualified_name, content=chunk.content)
    assert embedded.text
    for value in (embedded.text, embedded.name, words):
        value.encode("utf-8")


def mutated(draw: random.Random, content: bytes, language: str, *, at_most: int = _MAX_BYTES) -> bytes:
    """The content after one to eight random mutations."""
    for _ in range(draw.randint(1, 8)):
        content = draw.choice(_MUTATIONS)(draw, content, language)[:at_most]
    return content


def _cut(draw: random.Random, content: bytes) -> tuple[int, int]:
    start = draw.randint(0, len(content))
    length = min(len(content) - start, int(draw.expovariate(1 / 60)))
    return start, start + length


def _delete(draw: random.Random, content: bytes, language: str) -> bytes:
    start, end = _cut(draw, content)
    return content[:start] + content[end:]


def _duplicate(draw: random.Random, content: bytes, language: str) -> bytes:
    start, end = _cut(draw, content)
    return content[:end] + content[start:end] * draw.choice([1, 2, 30]) + content[end:]


def _move(draw: random.Random, content: bytes, language: str) -> bytes:
    start, end = _cut(draw, content)
    rest = content[:start] + content[end:]
    place = draw.randint(0, len(rest))
    return rest[:place] + content[start:end] + rest[place:]


def _splice(draw: random.Random, content: bytes, language: str) -> bytes:
    other = SEEDS[draw.choice([language, draw.choice(LANGUAGES)])]
    start, end = _cut(draw, other)
    place = draw.randint(0, len(content))
    return content[:place] + other[start:end] + content[place:]


def _crossed(draw: random.Random, content: bytes, language: str) -> bytes:
    other = SEEDS[draw.choice(LANGUAGES)]
    return content[: draw.randint(0, len(content))] + other[draw.randint(0, len(other)) :]


def _random_bytes(draw: random.Random, content: bytes, language: str) -> bytes:
    place = draw.randint(0, len(content))
    return content[:place] + draw.randbytes(draw.randint(1, 12)) + content[place:]


def _flip(draw: random.Random, content: bytes, language: str) -> bytes:
    if not content:
        return draw.randbytes(4)
    place = draw.randrange(len(content))
    return content[:place] + bytes((content[place] ^ 1 << draw.randrange(8),)) + content[place + 1 :]


def _hostile(draw: random.Random, content: bytes, language: str) -> bytes:
    place = draw.randint(0, len(content))
    piece = draw.choice(HOSTILE_PIECES) * draw.choice([1, 1, 1, 3, 200])
    return content[:place] + piece + content[place:]


def _replace_all(draw: random.Random, content: bytes, language: str) -> bytes:
    old, new = (
        draw.choice([b"\n", b" ", b"(", b"{", b"}", b"\t", b'"', b"'", b"end", b":"]),
        draw.choice(HOSTILE_PIECES),
    )
    return content.replace(old, new, draw.choice([1, 5, -1]))


def _recoded(draw: random.Random, content: bytes, language: str) -> bytes:
    text = content.decode("utf-8", "replace")
    match draw.randrange(5):
        case 0:
            return b"\xff\xfe" + text.encode("utf-16-le", "replace")
        case 1:
            return b"\xfe\xff" + text.encode("utf-16-be", "replace")
        case 2:
            return b"\xef\xbb\xbf" + content
        case 3:
            return text.encode("cp1252", "replace")
        case _:
            return content.replace(b"\n", draw.choice([b"\r\n", b"\r", b"", b"\n\n", b"\f\n"]))


_MUTATIONS: tuple[Callable[[random.Random, bytes, str], bytes], ...] = (
    _delete,
    _duplicate,
    _move,
    _splice,
    _crossed,
    _random_bytes,
    _flip,
    _hostile,
    _hostile,
    _replace_all,
    _recoded,
)
