"""Chunks as rows of the table `chunks`; what the store adds (batch, times) is not in here yet."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from indexing_assets.core.identifiers import full_text
from indexing_assets.core.model import Chunk
from resources.lancedb_store.schemas import CHUNKS

_ADDED_BY_STORE = frozenset({"embedding_batch_id", "created_at", "updated_at"})

# Columns of a parsed chunk: those of `chunks` without what the store adds.
PARSED_CHUNKS = pa.schema([field for field in CHUNKS if field.name not in _ADDED_BY_STORE])

_PLAIN_COLUMNS = tuple(
    name for name in PARSED_CHUNKS.names if name not in {"search_text", "parameters", "type_annotations"}
)


def chunks_to_batch(chunks: Sequence[Chunk]) -> pa.RecordBatch:
    """Rows of `PARSED_CHUNKS`, in the order of `chunks`."""
    columns: dict[str, list[object]] = {name: [getattr(chunk, name) for chunk in chunks] for name in _PLAIN_COLUMNS}
    columns["search_text"] = [
        full_text(file_path=chunk.file_path, qualified_name=chunk.qualified_name, content=chunk.content)
        for chunk in chunks
    ]
    columns["parameters"] = [
        [{"name": item.name, "type": item.type, "default": item.default} for item in chunk.parameters]
        for chunk in chunks
    ]
    columns["type_annotations"] = [
        [{"name": item.name, "type": item.type} for item in chunk.type_annotations] for chunk in chunks
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name], type=field.type) for field in PARSED_CHUNKS], schema=PARSED_CHUNKS
    )
