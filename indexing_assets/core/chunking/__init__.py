"""Files into chunks. Public: `chunk_file`, `CHUNKER_VERSION`."""

from indexing_assets.core.chunking.chunker import CHUNKER_VERSION, chunk_file

__all__ = ["CHUNKER_VERSION", "chunk_file"]
