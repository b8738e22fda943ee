"""Files to chunks. Public: `chunk_file`, `masked_source`, `CHUNKER_VERSION`."""

from code_index.chunking.chunker import CHUNKER_VERSION, chunk_file, masked_source

__all__ = ["CHUNKER_VERSION", "chunk_file", "masked_source"]
