"""The extractor for every format that is no programming language.

Belongs here: which scanner reads which language.
Does not belong here: the scanners (`structured_*`, `text`) and code (`extractor` by grammar).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from code_index.chunking.blocks import Extraction
from code_index.chunking.formats.css import extract_css
from code_index.chunking.formats.dockerfile import extract_dockerfile
from code_index.chunking.formats.html import extract_html
from code_index.chunking.formats.json import extract_json
from code_index.chunking.formats.markdown import extract_markdown
from code_index.chunking.formats.sql import extract_sql
from code_index.chunking.formats.text import extract_text
from code_index.chunking.formats.toml import extract_toml
from code_index.chunking.formats.yaml import extract_yaml

_BOM: Final = b"\xef\xbb\xbf"

_EXTRACTORS: Final[dict[str, Callable[[bytes, str], Extraction]]] = {
    "markdown": lambda source, _: extract_markdown(source),
    "html": lambda source, _: extract_html(source),
    "vue": lambda source, _: extract_html(source),
    "svelte": lambda source, _: extract_html(source),
    "css": extract_css,
    "scss": extract_css,
    "less": extract_css,
    "json": extract_json,
    "jupyter": extract_json,
    "yaml": lambda source, _: extract_yaml(source),
    "toml": lambda source, _: extract_toml(source),
    "sql": lambda source, _: extract_sql(source),
    "dockerfile": lambda source, _: extract_dockerfile(source),
}


def extract_structured(source: bytes, language: str) -> Extraction:
    """The named parts of a file that is no code: blocks in order, nested, without overlap.

    `source` is valid UTF-8; `language` one of `code_index.chunking.language_detection.STRUCTURED_LANGUAGES`, and any other name is
    read as text. Every text is accepted: what is malformed for its format only gives fewer blocks. Time is
    linear in the length.
    """
    if source.startswith(_BOM):
        source = b"\n" * len(_BOM) + source[len(_BOM) :]  # offsets stay, and the first line starts clean
    return _EXTRACTORS.get(language, extract_text)(source, language)
