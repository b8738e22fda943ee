"""Files to chunks. Public: `chunk_file`, `CHUNKER_VERSION`."""

from code_index.chunking.chunker import CHUNKER_VERSION, chunk_file

__all__ = ["CHUNKER_VERSION", "chunk_file"]
