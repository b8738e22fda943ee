"""Description of an asset's table on its page: columns, where each comes from, and where the table lies.

Belongs here: descriptions of columns. Does not belong here: their types, which are those of
`code_index.tables.schemas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg
import pyarrow as pa

from code_index.core.addresses import as_uri
from code_index.index.folder import IndexFolder
from code_index.tables.schemas import CHUNKS, FILES, vectors
from code_index.tables.schemas import REFERENCES as REFERENCE_COLUMNS
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, REFERENCES, SOURCE_FILES, IndexNames

# The schema of `vectors` depends on the model only in the length of the vector.
_ANY_DIMENSION: Final = 1
_TABLES: Final[Mapping[str, tuple[str, pa.Schema]]] = {
    SOURCE_FILES: ("files", FILES),
    PARSED_CHUNKS: ("chunks", CHUNKS),
    REFERENCES: ("references", REFERENCE_COLUMNS),
    CHUNK_VECTORS: ("vectors", vectors(_ANY_DIMENSION)),
}
_PARENTS: Final = {PARSED_CHUNKS: SOURCE_FILES, REFERENCES: SOURCE_FILES, CHUNK_VECTORS: PARSED_CHUNKS}
# Columns that are made from others of the parent than those of their own name.
_MADE_FROM: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    PARSED_CHUNKS: {"chunk_id": ("file_path", "file_hash"), "content": ("file_path", "file_hash")},
    REFERENCES: {"name": ("file_path", "file_hash"), "lines": ("file_path", "file_hash")},
    CHUNK_VECTORS: {
        "vector": ("content", "file_path", "qualified_name"),
        "text_hash": ("content", "file_path", "qualified_name"),
    },
}
_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "file_path": "POSIX path, relative to the repository's root.",
    "file_hash": "SHA-256 of the file's bytes; empty for skipped files.",
    "partition_key": "Partition of parsed_chunks; null for skipped files.",
    "size_bytes": "Size of the file.",
    "mtime_ns": "Modification time, nanoseconds since 1970.",
    "language": "Language of the file.",
    "subproject_name": "Nearest package or module that the file belongs to.",
    "subproject_path": "Folder of the subproject.",
    "status": "pending, parsed, error or skipped.",
    "reason": "Why the file failed, was skipped, was cut as plain text, has lines that its grammar misread, or an encoding "
    "that was guessed.",
    "transient": "Whether the failure may pass by itself.",
    "attempts": "Failures in a row.",
    "run_id": "Dagster run that parsed the file, or failed at it.",
    "chunk_count": "Chunks of the file.",
    "chunker_version": "Chunker and limits that made the chunks.",
    "parsed_at": "When the file was parsed, or failed.",
    "masked_keys": "Keys that have masks in the chunks, counted by kind.",
    "working_tree_encoding": "Encoding that .gitattributes declares for the file.",
    "encoding": "Encoding that the file was read in.",
    "encoding_guessed": "Whether that was guessed, because no declaration or mark that fits says it.",
    "reference_count": "Definitions and references of the file by name.",
    "position": "Number of the row in its file.",
    "name": "The name, without what encloses it.",
    "kind": "class, function, method, variable, field or module: a definition; call, import, inheritance or use: a reference.",
    "receiver": "What stands before the name of a reference, such as a.b in a.b.name(); ... where that is no name.",
    "module": "Module that the file's imports name for it, as they spell it.",
    "evidence": "definition or declaration; for a reference same scope, imported or name only.",
    "lines": "Lines of the name, counted from 1.",
    "enclosing": "Qualified name of the innermost definition around the first line; empty for the code of a module.",
    "chunk_id": "Identity of the chunk; the same code at another line of the file keeps it.",
    "start_line": "First line, counted from 1.",
    "end_line": "Last line, inclusive.",
    "content": "Source of the chunk.",
    "search_text": "What full-text search reads: identifiers split into words.",
    "chunk_type": "function, class, method, module, section, ...",
    "qualified_name": "Name with those of the enclosing definitions.",
    "function_name": "Name of the function or method.",
    "class_name": "Name of the (enclosing) class.",
    "docstring": "Docstring or leading comment.",
    "imports": "Modules that the file imports.",
    "parent_chunk_id": "Chunk of the enclosing definition.",
    "child_chunk_ids": "Chunks of the definitions inside.",
    "chunk_depth": "Enclosing definitions; 0 at the top.",
    "complexity_score": "Weighted sum of the measures of complexity.",
    "cyclomatic_complexity": "McCabe's measure: decisions plus one.",
    "cognitive_complexity": "Decisions, weighted by how deep they are nested.",
    "max_nesting_depth": "Deepest nesting of blocks.",
    "parameter_count": "Parameters of the function.",
    "lines_of_code": "Lines that are neither blank nor only a comment.",
    "decorators": "Decorators, annotations or attributes.",
    "parameters": "Name, type and default of each parameter.",
    "return_type": "Return type as written.",
    "type_annotations": "Types of attributes and variables as written.",
    "embedding_batch_id": "Number of the batch: the partition of chunk_vectors.",
    "created_at": "When the chunk was first stored.",
    "updated_at": "When the row was last written.",
    "vector": "Unit vector of the model's dimension, float32.",
    "text_hash": "Identity of the embedded text.",
    "embedding_model": "Model, its hash, precision and token limit.",
    "embedded_at": "When the vector was stored.",
}


def table_metadata(names: IndexNames, asset: str, folder: IndexFolder) -> dict[str, Any]:
    """Definition metadata of an asset that is a table: name, place, columns, and lineage of the columns."""
    name, schema = _TABLES[asset]
    metadata: dict[str, Any] = {
        "dagster/table_name": name,
        "dagster/uri": as_uri(folder.tables / f"{name}.lance"),
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    field.name,
                    _type_name(field.type),
                    description=_DESCRIPTIONS[field.name],
                    constraints=dg.TableColumnConstraints(nullable=field.nullable),
                )
                for field in schema
            ]
        ),
    }
    if asset in _PARENTS:
        metadata["dagster/column_lineage"] = _lineage(names, asset)
    return metadata


def _lineage(names: IndexNames, asset: str) -> dg.TableColumnLineage:
    parent = _PARENTS[asset]
    parent_columns = set(_TABLES[parent][1].names)
    made_from = _MADE_FROM[asset]
    return dg.TableColumnLineage(
        deps_by_column={
            column: [
                dg.TableColumnDep(names.asset_key(parent), source)
                for source in made_from.get(column, (column,) if column in parent_columns else ())
            ]
            for column in _TABLES[asset][1].names
            if column in made_from or column in parent_columns
        }
    )


def _type_name(data_type: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(data_type):
        return f"fixed_size_list<{data_type.value_type}>"
    return str(data_type)
