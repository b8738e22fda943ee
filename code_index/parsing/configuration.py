"""The parser's options of an index: what its settings say, for parser processes."""

from __future__ import annotations

from code_index.core.model import ChunkingOptions
from code_index.index.folder import IndexFolder
from code_index.index.settings import Settings
from code_index.parsing.parser_worker import ParserConfig


def parser_config(folder: IndexFolder, settings: Settings) -> ParserConfig:
    """Gather the options of an index's parser processes."""
    return ParserConfig(
        repository_root=str(folder.repository_root),
        max_file_bytes=settings.max_file_bytes,
        options=ChunkingOptions(
            max_characters=settings.max_chunk_characters, min_characters=settings.min_chunk_characters
        ),
        timeout_s=settings.parse_timeout_s,
        memory_bytes=settings.parse_memory_bytes,
    )
