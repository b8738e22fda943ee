"""Claims about searching: that its indexes are current, and that it finds what is stored."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from code_index.core.embedding_text import EMBEDDED_FIELDS, EmbeddingInput, TextRecipe, recipe_of_model
from code_index.search.hybrid import SearchMode, search
from code_index.sharing.libraries import Libraries
from code_index.tables.sql import equals
from code_index.tables.table_upkeep import VECTOR_INDEX_ROWS
from indexing_assets.checks.check import EMBED_AGAIN, Finding, Severity, Subject, check
from indexing_assets.runs.index_names import CHUNK_VECTORS, INDEX_REPORT, SEARCH_INDEXES
from indexing_assets.runs.job_names import MAINTAIN_JOB

# Chunks that are searched, and how far down their hits may be: a name says less than the code.
_PROBES = 8
_TOP_HITS = 100
# A stored vector is nearest to itself; what float32 and the index's own arithmetic may cost.
_SAME = 0.99
# Two computations of one text: int8 in batches of other texts, bfloat16 on a GPU.
_SAME_TEXT = 0.97
# Names shorter than that are on many chunks.
_LONG_NAME = 4


@check(
    INDEX_REPORT,
    severity=Severity.WARNING,
    fixed_by=SEARCH_INDEXES,
    repair="build and refresh the search indexes",
)
def search_indexes_are_current(subject: Subject) -> Finding:
    """The full-text and vector indexes are there and hold nearly all rows; no table is in many small files."""
    store = subject.index.store
    culprits: dict[str, str] = {}
    figures: dict[str, int] = {}
    for table, column, least in (("chunks", "search_text", 0), ("vectors", "vector", VECTOR_INDEX_ROWS)):
        rows = store.tables.count(table)
        outside = store.upkeep.unindexed_rows(table, column) if rows else None
        figures[f"{table}_outside_index"] = rows if outside is None else outside
        if outside is None and rows > least:
            culprits[table] = f"{table}.{column} (no index over {rows:,} rows)"
    for table in store.upkeep.due_for_optimize():
        culprits.setdefault(table, f"{table} (many rows outside an index, small files, or old versions)")
    job = subject.index.names.prefixed(MAINTAIN_JOB)
    return Finding(
        culprits=list(culprits.values()),
        noun="table",
        problem="slow to search",
        fix=f"run the job {job} (`dagster job execute -m indexing_assets.definitions -j {job}`)",
        figures=figures,
    )


@dataclass(slots=True)
class _Searched:
    """Results of the probes."""

    lost: list[str] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    semantic_misses: list[str] = field(default_factory=list)


@check(INDEX_REPORT, fixed_by=SEARCH_INDEXES, repair="build and refresh the search indexes")
def searching_finds_what_is_indexed(subject: Subject) -> Finding:
    """Stored chunks are found by their names, in words and by meaning, and stored vectors by themselves."""
    probes = _probes(subject)
    searched = _Searched()
    model = subject.model() if probes.height else None
    for chunk_id, name, place in probes.iter_rows():
        if chunk_id not in _hits(subject, searched, SearchMode.LEXICAL, name):
            searched.lost.append(f"{place} (by its words)")
        if model is None or (vector := _vector_of(subject, chunk_id, model.model_id)) is None:
            continue
        nearest = subject.index.store.for_model(model.model_id).search.near(vector, model=model.model_id, limit=1)
        # NaN fails the comparison as well.
        if not nearest.num_rows or not nearest.column("score")[0].as_py() >= _SAME:
            searched.lost.append(f"{place} (by its own vector)")
        if chunk_id not in _hits(subject, searched, SearchMode.SEMANTIC, name):
            searched.semantic_misses.append(f"{place} (by its meaning)")
    # One name may be nearer to other code; if most names are, that is a fault.
    if 2 * len(searched.semantic_misses) > len(searched.seconds.get(SearchMode.SEMANTIC, ())):
        searched.lost += searched.semantic_misses
    job = subject.index.names.prefixed(MAINTAIN_JOB)
    return Finding(
        culprits=searched.lost,
        noun="chunk",
        problem="not found",
        fix=f"run the job {job} (`dagster job execute -m indexing_assets.definitions -j {job}`); where that does not "
        f"help, `{subject.rebuild_chunks()}`",
        figures={
            "probes": probes.height,
            "semantic_misses": len(searched.semantic_misses),
            **{f"{mode}_ms": round(statistics.median(times) * 1e3, 2) for mode, times in searched.seconds.items()},
        },
    )


@check(INDEX_REPORT, severity=Severity.WARNING, fixed_by=CHUNK_VECTORS)
def libraries_hold_the_vectors_of_their_texts(subject: Subject) -> Finding:
    """Vectors that a library gives for texts of this index are those that the model gives for them."""
    settings = subject.index.settings
    ids = _probes(subject)["chunk_id"].to_list() if settings.library_bytes or settings.shared_libraries else []
    if not ids:
        return Finding([])
    model = subject.model()
    rows = subject.index.store.chunks.by_ids(ids, columns=sorted({"chunk_id", *EMBEDDED_FIELDS})).to_pylist()
    recipe = recipe_of_model(model.model_id)
    places = {row["chunk_id"]: f"{row['file_path']} {row['qualified_name']}" for row in rows}
    inputs = {row["chunk_id"]: EmbeddingInput.of_row(row, recipe or TextRecipe.FULL) for row in rows}
    by_hash = {item.text_hash: item for item in inputs.values()}
    libraries = Libraries.of(settings, model.model_id, read_only=True)
    known = libraries.ask(by_hash, dimension=model.dimension)
    texts = {text_hash: by_hash[text_hash] for text_hash in known}
    vectors = model.embed_documents([item.text for item in texts.values()], [item.name for item in texts.values()])
    right = {text_hash: float(vector @ known[text_hash]) for text_hash, vector in zip(texts, vectors, strict=True)}
    wrong = [places[chunk_id] for chunk_id, item in inputs.items() if right.get(item.text_hash, 1.0) < _SAME_TEXT]
    folders = " ".join(f"'{folder}'" for folder in libraries.folders())
    return Finding(
        wrong,
        "text",
        "with a wrong vector in a library",
        fix=f"remove the library that is wrong ({folders}), then `{EMBED_AGAIN}`",
        figures={"library_probes": len(known)},
    )


def _probes(subject: Subject) -> pl.DataFrame:
    """chunk_id, qualified name and place of chunks drawn at random whose names no other chunk has."""
    columns = ["chunk_id", "qualified_name", "file_path", "start_line", "file_hash"]
    chunks = pl.DataFrame(subject.index.store.chunks.read(columns))
    current = pl.DataFrame(subject.index.store.files.read(["file_path", "file_hash"]))
    name = pl.col("qualified_name")
    found = (
        chunks.filter(name.is_not_null() & (name.str.len_chars() >= _LONG_NAME) & name.is_unique())
        .join(current, on=["file_path", "file_hash"], how="semi")
        .sort("chunk_id")
    )
    drawn = random.Random(subject.seed).sample(range(found.height), min(_PROBES, found.height))  # noqa: S311
    place = pl.format("{}:{} {}", "file_path", "start_line", "qualified_name")
    return found[sorted(drawn)].select("chunk_id", "qualified_name", place.alias("place"))


def _hits(subject: Subject, searched: _Searched, mode: SearchMode, query: str) -> set[str]:
    encoder = None if mode is SearchMode.LEXICAL else subject.model()
    started = time.perf_counter()
    store = subject.index.store if encoder is None else subject.index.store.for_model(encoder.model_id)
    hits = search(store, encoder, query, mode=mode, limit=_TOP_HITS)
    searched.seconds.setdefault(mode, []).append(time.perf_counter() - started)
    return {hit.chunk_id for hit in hits}


def _vector_of(subject: Subject, chunk_id: str, model_id: str) -> np.ndarray | None:
    rows = (
        subject.index.store.for_model(model_id)
        .vectors.read(["vector", "embedding_model"], equals("chunk_id", chunk_id))
        .to_pylist()
    )
    return next((np.array(row["vector"], np.float32) for row in rows if row["embedding_model"] == model_id), None)
