"""Names of the tables of an index; the folder of another model's vectors adds a suffix (`model_registry`)."""

FILES_TABLE = "files"
CHUNKS_TABLE = "chunks"
REFERENCES_TABLE = "references"
VECTORS_TABLE = "vectors"
RETIRED_TABLE = "retired_vectors"
ERRORS_TABLE = "embedding_errors"
# What else lies in the folder are tables of assets that use the IO manager.
INDEX_TABLES = frozenset({FILES_TABLE, CHUNKS_TABLE, REFERENCES_TABLE, VECTORS_TABLE, RETIRED_TABLE, ERRORS_TABLE})
