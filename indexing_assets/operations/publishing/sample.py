"""A sample of a published version, made again here and compared.

Most of what a version says of a file is checked for every file. What takes parsing and embedding is compared for a sample, which
nobody can foresee: a version that another program made, whose model differs, or that was spoiled throughout, is refused before
anything of it is stored. One that lies about a few files may pass: docs/sharing.md says what such a lie could do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput, TextRecipe, recipe_of_model
from code_index.core.errors import StoreError
from code_index.embedding.embedder import Embedder
from code_index.parsing.configuration import parser_config
from code_index.parsing.parser_pool import ParserPool
from code_index.parsing.parser_worker import ParseTask
from code_index.sharing.checked_rows import PublishedRows, refuse_unfit
from code_index.sharing.published_parts import vectors_from_bytes
from code_index.tables.schemas import PARSED_CHUNKS
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.open_index import OpenIndex

_FILES: Final = 10  # of each group that is drawn
_TEXTS: Final = 4
_SAME_TEXT: Final = 0.98
"""Least cosine of two vectors of one text: a GPU's and those of a CPU's int8 have 0.986 at least. Source: docs/performance.md."""


def refuse_wrong_sample(pipeline: Pipeline, groups: Iterable[PublishedRows]) -> None:
    """Parse and embed some files again, and compare.

    Raises:
        StoreError: something differs; it names the file.
    """
    chance = secrets.SystemRandom()
    for rows in groups:
        refuse_unfit(rows)
        paths = rows.files.column("file_path").to_pylist()
        drawn = rows.of(chance.sample(paths, min(_FILES, len(paths))))
        _compare_parsed(pipeline.index, drawn)
        _compare_vectors(pipeline.query_encoder(), drawn.chunks, chance)


def _compare_parsed(index: OpenIndex, rows: PublishedRows) -> None:
    tasks = [_task(row) for row in rows.files.to_pylist()]
    with ParserPool(parser_config(index.folder, index.settings), workers=1) as pool:
        groups = list(pool.parse(tasks))
    for group in groups:
        for outcome in group.outcomes:
            if outcome.superseded or outcome.error is not None:
                continue  # edited meanwhile, or beyond the limits of this machine
            path = outcome.file_path
            stored = group.chunks.set_column(
                PARSED_CHUNKS.get_field_index("search_text"),
                "search_text",
                pc.utf8_lower(group.chunks.column("search_text")),
            )
            if _of_file(stored, path) != _of_file(rows.chunks.select(PARSED_CHUNKS.names), path) or _of_file(
                group.references, path
            ) != _of_file(rows.references, path):
                raise StoreError(
                    f"The published version says of {path} other than parsing it here gives. Nothing of it was "
                    "stored. Publish again with the code-index that you use, or name another version with --version."
                )


def _task(row: Mapping[str, Any]) -> ParseTask:
    return ParseTask(
        file_path=row["file_path"],
        file_hash=row["file_hash"],
        language=row["language"],
        size_bytes=0,
        subproject_name=row["subproject_name"],
        subproject_path=row["subproject_path"],
        working_tree_encoding=row["working_tree_encoding"],
        detect_language=True,
    )


def _of_file(rows: pa.Table, path: str) -> list[dict[str, Any]]:
    """Rows of a file, in an order of their own."""
    of_file = rows.filter(pc.equal(rows.column("file_path"), path)).to_pylist()
    return sorted(of_file, key=lambda row: (row.get("chunk_id"), row.get("position")))


def _compare_vectors(model: Embedder, chunks: pa.Table, chance: secrets.SystemRandom) -> None:
    if not chunks.num_rows:
        return
    drawn = chunks.take(chance.sample(range(chunks.num_rows), min(_TEXTS, chunks.num_rows)))
    recipe = recipe_of_model(model.model_id) or TextRecipe.FULL
    rows = drawn.select(["text_hash", *EMBEDDED_FIELDS]).to_pylist()
    inputs = [EmbeddingInput.of_row(row, recipe) for row in rows]
    made = model.embed_documents([item.text for item in inputs], [item.name for item in inputs])
    alike = (made * vectors_from_bytes(drawn.column("vector"))).sum(axis=1)
    for row, item, cosine in zip(rows, inputs, alike, strict=True):
        if item.text_hash != row["text_hash"] or cosine < _SAME_TEXT:
            raise StoreError(
                f"The published vector of {row['file_path']} {row['qualified_name']} is not what {model.model_id} gives for "
                "its text. Nothing of the version was stored. Publish again, or name another version with --version."
            )
