"""Names of the tables of an index, which are names of folders on the disk too."""

FILES_TABLE = "files"
CHUNKS_TABLE = "chunks"
VECTORS_TABLE = "vectors"
RETIRED_TABLE = "retired_vectors"
ERRORS_TABLE = "embedding_errors"
