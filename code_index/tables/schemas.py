"""Arrow schemas of the tables of an index.

Belongs here: names, types, keys and the schema version. Columns are only ever added; a change
of meaning raises `schema_version.SCHEMA_VERSION`, and gets a step there. Keys are non-nullable: LanceDB needs that to
refuse duplicates from concurrent upserts.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

_TIMESTAMP = pa.timestamp("us", tz="UTC")
_STRINGS = pa.list_(pa.string())
_PARAMETERS = pa.list_(
    pa.struct([pa.field("name", pa.string()), pa.field("type", pa.string()), pa.field("default", pa.string())])
)
_PRIMARY_KEY_METADATA = "lance-schema:unenforced-primary-key:position"
_COUNTS = pa.list_(pa.struct([pa.field("kind", pa.string()), pa.field("count", pa.int32())]))
_TYPE_ANNOTATIONS = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("type", pa.string())]))


def with_primary_key(schema: pa.Schema, keys: Sequence[str]) -> pa.Schema:
    """Mark `keys` as Lance's unenforced primary key, so that concurrent upserts see each other's new keys."""
    fields = {name: schema.field(name) for name in schema.names}
    for position, key in enumerate(keys, start=1):
        fields[key] = fields[key].with_metadata({_PRIMARY_KEY_METADATA: str(position)})
    return pa.schema(list(fields.values()), metadata=schema.metadata)


def _key(name: str, data_type: pa.DataType | None = None) -> pa.Field:
    return pa.field(name, data_type or pa.string(), nullable=False)


FILES = pa.schema(
    [
        _key("file_path"),
        _key("file_hash"),  # empty for skipped files
        pa.field("partition_key", pa.string()),  # null for skipped files
        pa.field("size_bytes", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("language", pa.string()),
        pa.field("subproject_name", pa.string()),
        pa.field("subproject_path", pa.string()),
        pa.field("status", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("transient", pa.bool_()),  # whether the failure may pass by itself; null unless status is error
        pa.field("attempts", pa.int32()),  # failures of this version in a row; null unless status is error
        pa.field("run_id", pa.string()),  # the Dagster run that parsed the file or failed at it
        pa.field("chunk_count", pa.int32()),
        pa.field("chunker_version", pa.string()),
        pa.field("parsed_at", _TIMESTAMP),
        pa.field("masked_keys", _COUNTS),  # null where none are, and before the file is parsed
        pa.field("working_tree_encoding", pa.string()),  # as .gitattributes declares it; null where it does not
        pa.field("encoding", pa.string()),  # in which the file was read; null before it is parsed
        pa.field("encoding_guessed", pa.bool_()),  # whether that was guessed, with the reason in `reason`
        pa.field("reference_count", pa.int32()),  # rows in `references`; null before the file is parsed
    ]
)

CHUNKS = pa.schema(
    [
        _key("chunk_id"),
        _key("file_path"),
        _key("file_hash"),
        pa.field("start_line", pa.int32()),
        pa.field("end_line", pa.int32()),
        pa.field("content", pa.string()),
        pa.field("search_text", pa.string()),  # what full-text search reads: identifiers split
        pa.field("language", pa.string()),
        pa.field("chunk_type", pa.string()),
        pa.field("qualified_name", pa.string()),
        pa.field("function_name", pa.string()),
        pa.field("class_name", pa.string()),
        pa.field("docstring", pa.string()),
        pa.field("imports", _STRINGS),
        pa.field("parent_chunk_id", pa.string()),
        pa.field("child_chunk_ids", _STRINGS),
        pa.field("chunk_depth", pa.int32()),
        pa.field("complexity_score", pa.float32()),
        pa.field("cyclomatic_complexity", pa.int32()),
        pa.field("cognitive_complexity", pa.int32()),
        pa.field("max_nesting_depth", pa.int32()),
        pa.field("parameter_count", pa.int32()),
        pa.field("lines_of_code", pa.int32()),
        pa.field("decorators", _STRINGS),
        pa.field("parameters", _PARAMETERS),
        pa.field("return_type", pa.string()),
        pa.field("type_annotations", _TYPE_ANNOTATIONS),
        pa.field("subproject_name", pa.string()),
        pa.field("subproject_path", pa.string()),
        pa.field("embedding_batch_id", pa.int64()),
        pa.field("created_at", _TIMESTAMP),
        pa.field("updated_at", _TIMESTAMP),
    ]
)

_ADDED_BY_STORE = frozenset({"embedding_batch_id", "created_at", "updated_at"})

# Columns of a chunk as parsing gives it: those of `chunks` that the store does not add.
PARSED_CHUNKS = pa.schema([field for field in CHUNKS if field.name not in _ADDED_BY_STORE])

REFERENCES = pa.schema(
    [
        _key("file_path"),
        _key("position", pa.int32()),  # counts the rows of a file
        _key("file_hash"),
        pa.field("language", pa.string()),
        pa.field("name", pa.string()),
        pa.field("kind", pa.string()),  # `core.model.NameKind`: of definitions or of references
        pa.field("receiver", pa.string()),
        pa.field("qualified_name", pa.string()),
        pa.field("module", pa.string()),
        pa.field("evidence", pa.string()),  # `core.model.Evidence`
        pa.field("lines", pa.list_(pa.int32())),
        pa.field("start_line", pa.int32()),  # of definitions; null for references
        pa.field("end_line", pa.int32()),
        pa.field("enclosing", pa.string()),
    ]
)

EMBEDDING_ERRORS = pa.schema(
    [
        _key("chunk_id"),
        _key("embedding_model"),
        pa.field("error_message", pa.string()),
        pa.field("attempts", pa.int32()),
        pa.field("transient", pa.bool_()),  # whether the failure may pass by itself
        pa.field("failed_at", _TIMESTAMP),
    ]
)


def vectors(dimension: int) -> pa.Schema:
    """Make the schema of `vectors` for a model of `dimension` components (float32, unit norm)."""
    return pa.schema(
        [
            _key("chunk_id"),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
            pa.field("text_hash", pa.string()),  # identity of the embedded text
            pa.field("file_path", pa.string()),
            pa.field("start_line", pa.int32()),
            pa.field("end_line", pa.int32()),
            pa.field("language", pa.string()),
            pa.field("chunk_type", pa.string()),
            pa.field("function_name", pa.string()),
            pa.field("class_name", pa.string()),
            pa.field("subproject_name", pa.string()),
            pa.field("embedding_model", pa.string()),
            pa.field("embedded_at", _TIMESTAMP),
        ]
    )


def retired_vectors(dimension: int) -> pa.Schema:
    """Make the schema of `retired_vectors`, which keeps vectors of removed chunks: code that returns needs no model call."""
    return pa.schema(
        [
            _key("cache_key"),  # text_hash and embedding_model, joined by "@"
            pa.field("text_hash", pa.string()),
            pa.field("embedding_model", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
            pa.field("retired_at", _TIMESTAMP),
        ]
    )
