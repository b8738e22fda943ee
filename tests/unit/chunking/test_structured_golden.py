"""One sample of each structured format, block for block.

`CODE_INDEX_UPDATE_GOLDEN=1` writes what is found now; read the difference before committing it.
"""

import json

import pytest

from code_index.chunking.blocks import Block
from code_index.chunking.language_detection import detect_language
from code_index.chunking.registry import FORMATS
from code_index.chunking.structured import extract_structured
from tests.samples import SAMPLES, UPDATE


def _line(source: bytes, offset: int) -> int:
    return source.count(b"\n", 0, offset) + 1


def _described(source: bytes, block: Block) -> dict:
    return {
        "type": block.chunk_type.value,
        "name": block.name,
        "start_line": _line(source, block.start),
        "end_line": _line(source, block.end - 1),
        "break_lines": [_line(source, point) for point in block.break_points],
        "children": [_described(source, child) for child in block.children],
    }


@pytest.mark.parametrize("language", sorted(set(SAMPLES) & set(FORMATS)))
def test_sample_gives_the_recorded_blocks(language):
    sample = SAMPLES[language]
    source = sample.read_bytes()
    assert detect_language(sample.name, source) == language
    extraction = extract_structured(source, language)
    assert FORMATS[language].has_parts or not extraction.parts
    found = {
        "remainder_type": extraction.remainder_type.value,
        "name_separator": extraction.name_separator,
        "break_lines": [_line(source, point) for point in extraction.break_points],
        "blocks": [_described(source, block) for block in extraction.blocks],
    }
    recorded = sample.with_name("expected.json")
    if UPDATE:
        recorded.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert found == json.loads(recorded.read_text())
