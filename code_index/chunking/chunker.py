"""One file to chunks: the public side of this package.

Belongs here: the path from bytes to chunks, and the choice of an extractor for a language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from code_index.chunking.assembly import assemble
from code_index.chunking.embedded import extract
from code_index.chunking.encoding import decode
from code_index.chunking.file_type import FileType
from code_index.chunking.formats.text import extract_text
from code_index.chunking.registry import FILE_TYPES, FORMATS
from code_index.core.errors import ParseError
from code_index.core.lazy_imports import importing
from code_index.core.model import Chunk, ChunkingOptions, FileName, MaskedText

_VERSION: Final = "4"
"""Raise it with a change of the chunks of several languages; a change in one raises its `revision`."""


def chunker_version(file_types: Iterable[FileType]) -> str:
    """The version of the chunker and all languages, such as `2+perl1`."""
    return "+".join([_VERSION, *sorted(f"{kind.name}{kind.revision}" for kind in file_types if kind.revision)])


CHUNKER_VERSION: Final = chunker_version(FILE_TYPES.values())
"""With another version the same bytes may give other chunks: stored files are then parsed again."""

MISREAD_LINES: Final = 10
MISREAD_SHARE: Final = 0.05
"""Fewer lines, or a smaller share of the file, are an odd macro here and there: of 600 headers of C++ a quarter has some."""

_DEFAULTS: Final = ChunkingOptions()


def masked_source(content: bytes, *, declared_encoding: str | None = None) -> MaskedText:
    """The text of a file's bytes, with masks in place of keys; never fails.

    `declared_encoding` is the one that the repository declares for the file, if any.
    """
    # The version of the chunker is asked for where nothing is chunked, and where each millisecond counts.
    with importing:
        from code_index.core.secret_masks import mask_keys
    decoded = decode(content, declared_encoding)
    return replace(mask_keys(decoded.text), encoding=decoded.encoding, encoding_guess=decoded.guess)


def chunk_file(
    content: bytes | MaskedText,
    *,
    file_path: str,
    file_hash: str,
    language: str,
    subproject_name: str | None = None,
    subproject_path: str | None = None,
    options: ChunkingOptions = _DEFAULTS,
    as_text: bool = False,
    on_misread: Callable[[int], None] | None = None,
    on_names: Callable[[list[FileName]], None] | None = None,
) -> tuple[Chunk, ...]:
    """The chunks of one file, ordered by where they start; none for a blank file.

    Keys are masked before anything is read from the text: `content` is the file's bytes, or its `masked_source`.
    The structured formats read a language without a code specification; one that they do not know is plain text.
    The caller bounds time and memory, because some small inputs are bombs for a parser. With `as_text` no parser
    runs, and the text is cut only at its lines. `on_misread` gets the number of lines that a grammar misread, where they
    are many or take too long to be asked for their definitions. `on_names` gets the definitions and references.

    Raises:
        ParseError: the grammar is missing or gave no tree; the message names the file.
    """
    source = (content if isinstance(content, MaskedText) else masked_source(content)).text
    try:
        kind = FORMATS.get(language)
        rendered = kind.render(source) if kind is not None and kind.render is not None and not as_text else None
        if rendered is not None:
            source, extraction = rendered.text, extract(rendered.text, rendered.language)
        else:
            extraction = extract_text(source) if as_text else extract(source, language)
    except ParseError as error:
        raise ParseError(f"{file_path}: {error}") from error
    unread, misread = extraction.unread_lines, extraction.misread_lines
    are_many = misread >= max(MISREAD_LINES, MISREAD_SHARE * (source.count(b"\n") + 1))
    if on_misread is not None and (unread or are_many):
        on_misread(misread + unread)
    return assemble(
        source,
        extraction,
        lines=rendered.lines if rendered is not None else None,
        file_path=file_path,
        file_hash=file_hash,
        language=language,
        subproject_name=subproject_name,
        subproject_path=subproject_path,
        options=options,
        on_names=on_names,
    )
