"""Lines of a text are those that the chunker numbers, also where `str.splitlines` finds more."""

import pytest

from code_index.chunking.splitting import SourceText
from code_index.core.lines import lines_of


@pytest.mark.parametrize(
    "text", ["", "a", "a\n", "\n", "a\n\n", "a\r\nb\rc\n", "a\x0cb\u2028c\x85d\x1ce\nf", "a\r\r\n\rb"]
)
def test_a_text_has_as_many_lines_as_the_chunker_numbers(text: str) -> None:
    source = text.encode()
    numbered = SourceText(source, []).line(len(source) - 1) if source else 0
    assert len(lines_of(text)) == numbered


def test_lines_are_as_they_are() -> None:
    assert lines_of("a\x0cb\r\n\r\nc\u2028d ") == ["a\x0cb", "", "c\u2028d "]
