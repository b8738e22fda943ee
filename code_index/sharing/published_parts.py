"""Rows of an index as the parts of a published version, and back.

A part is a Parquet file with the rows of one table for a group of files. Which group a file is in follows from its path, and a
part's bytes follow from its rows: an edit changes the parts of its group only, and what did not change is stored once for all
versions. Rows hold no times, runs or batches, which differ from one index to the next.

Belongs here: columns and bytes. Does not belong here: where parts are stored (`published_index`), and whether rows are true of
this repository (`checked_rows`).
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import pyarrow as pa

from code_index.core.errors import StoreError
from code_index.core.lazy_imports import importing
from code_index.core.unit_vectors import Vectors
from code_index.sharing.published_version import Part, PartTable
from code_index.tables.schemas import FILES, PARSED_CHUNKS, REFERENCES

CHUNKS_IN_A_GROUP: Final = 4_096
"""Chunks that a group of files holds, at most, on average: of 384 components, about 8 MB."""
_MOST_UNPACKED: Final = 4 << 30  # bytes that a part may claim to hold
_ZSTD_LEVEL: Final = 3

FILE_COLUMNS: Final = (
    "file_path",
    "file_hash",
    "language",
    "subproject_name",
    "subproject_path",
    "working_tree_encoding",
    "reason",
    "chunk_count",
    "reference_count",
    "masked_keys",
    "encoding",
    "encoding_guessed",
)
_ORDER: Final[dict[PartTable, tuple[str, ...]]] = {
    "files": ("file_path",),
    "chunks": ("file_path", "start_line", "chunk_id"),
    "references": ("file_path", "position"),
}


def groups_for(chunks: int) -> int:
    """Number of groups that files are cut into: a power of two, so that it seldom changes as an index grows."""
    return 1 << max(0, (max(chunks, 1) - 1) // CHUNKS_IN_A_GROUP).bit_length()


def group_of(file_path: str, groups: int) -> int:
    """The group of a file."""
    digest = hashlib.sha256(file_path.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % groups


def part_schema(table: PartTable, dimension: int) -> pa.Schema:
    """Columns of a part; a chunk has the hash of its embedded text, and its vector as (dimension,) float32, little-endian."""
    if table == "files":
        return pa.schema([FILES.field(name) for name in FILE_COLUMNS])
    if table == "references":
        return REFERENCES
    beside = [
        pa.field("text_hash", pa.string(), nullable=False),
        pa.field("vector", pa.binary(4 * dimension), nullable=False),
    ]
    return pa.schema([*PARSED_CHUNKS, *beside])


def packed(table: PartTable, group: int, rows: pa.Table) -> tuple[Part, bytes]:
    """Make a part of rows that have the columns of `part_schema`; the same rows give the same bytes."""
    with importing:
        import pyarrow.parquet as pq

    rows = rows.sort_by([(name, "ascending") for name in _ORDER[table]])
    target = pa.BufferOutputStream()
    pq.write_table(rows, target, compression="zstd", compression_level=_ZSTD_LEVEL, write_statistics=False)
    content = target.getvalue().to_pybytes()
    part = Part(
        table=table, group=group, sha256=hashlib.sha256(content).hexdigest(), size=len(content), rows=rows.num_rows
    )
    return part, content


def unpacked(part: Part, content: bytes, *, dimension: int) -> pa.Table:
    """Read the rows of a part that a stranger may have written.

    Raises:
        StoreError: its bytes are not those of the version, or hold other columns or another number of rows.
    """
    with importing:
        import pyarrow.parquet as pq

    if len(content) != part.size or hashlib.sha256(content).hexdigest() != part.sha256:
        raise StoreError(
            f"The part {part.name} was changed after it was published: it does not have the hash that its version names. "
            "Nothing of it was used. Publish again, or name another version with --version."
        )
    schema = part_schema(part.table, dimension)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        claimed = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
        if file.metadata.num_rows != part.rows or claimed > _MOST_UNPACKED:
            raise StoreError(f"The part {part.name} claims {file.metadata.num_rows:,} rows of {claimed:,} bytes.")
        if not file.schema_arrow.remove_metadata().equals(schema):
            raise StoreError(f"The part {part.name} has other columns than {', '.join(schema.names)}.")
        rows = file.read()
        rows.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"The part {part.name} cannot be read: {error}. Publish again.") from error
    for field in schema:
        if not field.nullable and rows.column(field.name).null_count:
            raise StoreError(f"The part {part.name} has rows without {field.name}.")
    return rows


def vectors_as_bytes(column: pa.ChunkedArray) -> pa.Array:
    """Vectors of a table as a part holds them."""
    flat = column.combine_chunks()
    width = 4 * flat.type.list_size
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(flat), [None, pa.py_buffer(flat.flatten().to_numpy().astype("<f4", copy=False).tobytes())]
    )


def vectors_from_bytes(column: pa.ChunkedArray) -> Vectors:
    """Vectors of a part, (rows, dimension) float32."""
    flat = column.combine_chunks()
    width = flat.type.byte_width
    data = np.frombuffer(flat.buffers()[1], np.uint8)[flat.offset * width : (flat.offset + len(flat)) * width]
    return data.view("<f4").astype(np.float32, copy=False).reshape(len(flat), width // 4)
