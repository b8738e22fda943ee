"""One realistic file per language, and what the chunker must make of it.

After a change that is meant, `CODE_INDEX_UPDATE_GOLDEN=1 pytest tests/unit/chunking` writes the
expectations again; read the diff before committing it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.language_detection import detect_language
from code_index.chunking.registry import LANGUAGES
from code_index.core.hashing import content_hash
from code_index.core.model import Chunk
from tests.samples import SAMPLES, UPDATE

_NOT_COMPARED = frozenset({"file_path", "file_hash", "language", "subproject_name", "subproject_path", "content"})


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_sample_gives_exactly_the_expected_chunks(language):
    sample = SAMPLES[language]
    content = sample.read_bytes()
    assert detect_language(sample.name, content) == language
    chunks = chunk_file(content, file_path=sample.name, file_hash=content_hash(content), language=language)
    found = [
        {name: value for name, value in _plain(chunk).items() if name not in _NOT_COMPARED and value not in (None, ())}
        for chunk in chunks
    ]
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    expected = sample.with_name("expected.json")
    if UPDATE:
        expected.write_text(text)
    assert json.loads(text) == json.loads(expected.read_text())


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_sample_loses_nothing(language):
    sample = SAMPLES[language]
    content = sample.read_bytes()
    chunks = chunk_file(content, file_path=sample.name, file_hash=content_hash(content), language=language)
    assert sorted("".join("".join(chunk.content.split()) for chunk in chunks)) == sorted(
        "".join(content.decode().split())
    )


def _plain(chunk: Chunk) -> dict[str, object]:
    """The chunk as JSON has it."""
    return {
        name: tuple(asdict(item) if is_dataclass(item) else item for item in value)
        if isinstance(value, tuple)
        else value
        for name, value in chunk._asdict().items()
    }
