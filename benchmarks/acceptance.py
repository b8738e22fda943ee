"""Whether a repository is indexed with nothing lost: indexes it for real, then compares the index with the files.

    python benchmarks/acceptance.py PATH [PATH ...]
    python benchmarks/acceptance.py --index-dir FOLDER --phase parse PATH
    python benchmarks/acceptance.py --index-dir FOLDER --verify-only PATH

Each repository gets an index of its own, in FOLDER or in a temporary folder, and is not written to. A file
that failed is a finding: of the files, only those that the scan skips, for a reason that is listed, may lack chunks.
The exit status is 0 when every repository passes and 1 when one does not.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from benchmarks.pipeline import MemoryPeak
from code_index.chunking.encoding import decode
from code_index.core.partition_keys import batch_partition_key
from code_index.core.quoting import printable
from code_index.core.unit_vectors import off_unit, vector_lengths
from code_index.index.folder import IndexFolder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.in_process import PhaseResult
from indexing_assets.runs.index_names import CHUNK_VECTORS, PARSED_CHUNKS, UNNAMED

_PARSED = dg.AssetKey("parsed_chunks")
_EMBEDDED = dg.AssetKey("chunk_vectors")
_SHOWN_FINDINGS = 20
_SLOWEST = 10
# Lines as chunks count them; `str.splitlines` knows more ends.
_LINE_END = re.compile(r"\r\n|\n|\r")


def main() -> int:
    """Index and verify each path; returns the exit status."""
    parser = argparse.ArgumentParser(description="Index repositories for real and verify that nothing is lost.")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="repository to index")
    parser.add_argument("--index-dir", type=Path, help="folder for the indexes, kept; by default a temporary one")
    parser.add_argument("--phase", choices=["parse", "all"], default="all", help="parse verifies files and chunks only")
    parser.add_argument("--verify-only", action="store_true", help="verify the indexes in --index-dir as they are")
    arguments = parser.parse_args()
    if arguments.verify_only and arguments.index_dir is None:
        parser.error("--verify-only needs --index-dir")
    passed = True
    with _indexes(arguments.index_dir) as indexes:
        for path in arguments.paths:
            root = path.resolve()
            folder = IndexFolder(path=indexes / root.name, repository_root=root)
            with Pipeline(folder) as pipeline:
                passed &= _accept(pipeline, embed=arguments.phase == "all", run=not arguments.verify_only)
    return 0 if passed else 1


@contextmanager
def _indexes(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder.resolve()
        return
    temporary = Path(tempfile.mkdtemp())
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary)


def _accept(pipeline: Pipeline, *, embed: bool, run: bool) -> bool:
    print(f"== {pipeline.folder.repository_root}", flush=True)
    findings = []
    if run:
        findings += _timed("scan", pipeline.scan)
        findings += _timed("parse", pipeline.parse)
        if embed:
            findings += _timed("embed", pipeline.embed)
    started = time.perf_counter()
    files = pl.DataFrame(pipeline.store.files.read())
    chunks = pl.DataFrame(
        pipeline.store.chunks.read(
            [
                *("chunk_id", "file_path", "file_hash", "start_line", "end_line", "content", "language"),
                *("parent_chunk_id", "child_chunk_ids", "embedding_batch_id"),
            ]
        )
    )
    _print_files(pipeline, files, chunks)
    findings += file_findings(pipeline.folder.repository_root, files, chunks)
    findings += tree_findings(chunks)
    findings += parse_record_findings(pipeline, files)
    if embed:
        findings += vector_findings(pipeline, chunks)
        findings += embed_record_findings(pipeline, chunks)
    print(f"  verified in {time.perf_counter() - started:.1f} s")
    for finding in findings[:_SHOWN_FINDINGS]:
        print(f"  {printable(finding)}")
    if len(findings) > _SHOWN_FINDINGS:
        print(f"  and {len(findings) - _SHOWN_FINDINGS} more")
    print(f"{'FAIL' if findings else 'PASS'} {pipeline.folder.repository_root}", flush=True)
    return not findings


def _timed(name: str, phase: Callable[[], PhaseResult]) -> list[str]:
    with MemoryPeak() as peak:
        started = time.perf_counter()
        result = phase()
        seconds = time.perf_counter() - started
    memory = peak.figures()
    print(
        f"  {name}: {seconds:.1f} s, {result.partitions:,} partitions, "
        f"main {memory['main_mib']:,} MiB, workers {memory['workers_mib']:,} MiB",
        flush=True,
    )
    return [f"the {name} phase failed: {result.error}"] if result.error is not None else []


def _print_files(pipeline: Pipeline, files: pl.DataFrame, chunks: pl.DataFrame) -> None:
    statuses = Counter(files["status"].to_list())
    print(f"  files: {', '.join(f'{count:,} {status}' for status, count in sorted(statuses.items()))}")
    skipped = files.filter(pl.col("status") == "skipped")["reason"].to_list()
    for reason, count in Counter(reason.partition(":")[0] for reason in skipped).most_common():
        print(f"    skipped, {reason}: {count:,}")
    for path, reason in (
        files.filter((pl.col("status") == "parsed") & pl.col("reason").is_not_null())
        .select("file_path", "reason")
        .iter_rows()
    ):
        print(f"    parsed, {printable(path)}: {reason}")
    languages = Counter(files.filter(pl.col("status") == "parsed")["language"].to_list()).most_common()
    print(f"  languages: {', '.join(f'{language} {count:,}' for language, count in languages)}")
    print(f"  chunks: {chunks.height:,}; vectors: {pipeline.store.vectors.count():,}")
    if not chunks.is_empty():
        lengths = chunks["content"].str.len_chars().to_numpy()
        print(f"  characters of a chunk: median {np.median(lengths):,.0f}, most {lengths.max():,}")
    print("  slowest files:")
    for milliseconds, path in _slowest(pipeline):
        print(f"    {milliseconds:,.0f} ms {printable(path)}")


def _slowest(pipeline: Pipeline) -> list[tuple[float, str]]:
    """Milliseconds and partition key of the files that took longest to parse."""
    found = []
    cursor = None
    while True:
        page = pipeline.instance.fetch_materializations(_PARSED, limit=5_000, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            spent = event.metadata.get("parse_ms") if event is not None else None
            if event is not None and isinstance(spent, dg.FloatMetadataValue):
                found.append((spent.value or 0.0, str(event.partition)))
        if not page.has_more:
            return sorted(set(found), reverse=True)[:_SLOWEST]
        cursor = page.cursor


def file_findings(root: Path, files: pl.DataFrame, chunks: pl.DataFrame) -> list[str]:
    """What is wrong with files and the text of their chunks."""
    findings = []
    by_path = {str(key[0]): group for key, group in chunks.group_by("file_path")}
    for file in files.sort("file_path").iter_rows(named=True):
        path, status = file["file_path"], file["status"]
        found = by_path.pop(path, chunks.clear())
        if status == "skipped":
            findings += [f"{path}: skipped without a reason"] if not file["reason"] else []
        elif status != "parsed":
            findings.append(f"{path}: {status}: {file['reason']}")
        elif file["chunk_count"] != found.height:
            findings.append(f"{path}: the manifest counts {file['chunk_count']} chunks, there are {found.height}")
        if status != "parsed":
            findings += [f"{path}: {status} but has {found.height} chunks"] if found.height else []
        elif set(found["file_hash"]) - {file["file_hash"]}:
            findings.append(f"{path}: has chunks of another version")
        else:
            findings += [f"{path}: {lost}" for lost in lost_text((root / path).read_bytes(), found)]
    return findings + [f"{path}: has chunks but is not in the manifest" for path in by_path]


def lost_text(content: bytes, chunks: pl.DataFrame) -> list[str]:
    """What of a file is in none of its chunks, or in more than one, or outside the lines that they claim."""
    lines = _LINE_END.split(decode(content).text.decode("utf-8"))
    rows = chunks.sort("start_line", "end_line").select("start_line", "end_line", "content").rows()
    outside = [(start, end) for start, end, _ in rows if not 1 <= start <= end <= len(lines)]
    if outside:
        return [f"lines {outside[0]} are not in a file of {len(lines)} lines"]
    squeezed = [_squeeze(text) for _, _, text in rows]
    if not all(squeezed):
        return ["a chunk is blank"]
    kept, there = Counter("".join(squeezed)), Counter(_squeeze("\n".join(lines)))
    if kept != there:
        return [f"lost {dict((there - kept).most_common(5))}, repeated {dict((kept - there).most_common(5))}"]
    # A content is spans of the file joined by line ends, so each of its lines is a line of the file or a piece of one.
    covering: list[set[str]] = [set() for _ in lines]
    for start, end, content_text in rows:
        pieces = {piece for line in _LINE_END.split(content_text) if (piece := _squeeze(line))}
        for number in range(start - 1, end):
            covering[number] |= pieces
    return [
        f"line {number}: {line.strip()[:60]!r} is not in the chunks of its lines"
        for number, line in enumerate(lines, 1)
        if not _composed(_squeeze(line), covering[number - 1])
    ][:1]


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _composed(line: str, pieces: set[str]) -> bool:
    """Whether a line is whole pieces, one after the other; each may be used more than once."""
    reached, open_places = {0}, [0]
    while open_places:
        place = open_places.pop()
        if place == len(line):
            return True
        for piece in pieces:
            end = place + len(piece)
            if end not in reached and line.startswith(piece, place):
                reached.add(end)
                open_places.append(end)
    return False


def tree_findings(chunks: pl.DataFrame) -> list[str]:
    """Ids that occur twice, and parents and children that do not name each other within one file."""
    findings = [f"{row[0]}: {row[1]} chunks have this id" for row in _repeated(chunks["chunk_id"])]
    path_of = dict(chunks.select("chunk_id", "file_path").iter_rows())
    parent_of = dict(chunks.select("chunk_id", "parent_chunk_id").iter_rows())
    children_of = {
        chunk_id: set(ids or ()) for chunk_id, ids in chunks.select("chunk_id", "child_chunk_ids").iter_rows()
    }
    for chunk_id, parent in parent_of.items():
        if parent is not None and (path_of.get(parent) != path_of[chunk_id] or chunk_id not in children_of[parent]):
            findings.append(f"{path_of[chunk_id]}: chunk {chunk_id} is no child of its parent {parent}")
    for chunk_id, children in children_of.items():
        findings += [
            f"{path_of[chunk_id]}: chunk {chunk_id} is not the parent of its child {child}"
            for child in children
            if parent_of.get(child) != chunk_id
        ]
    return findings


def vector_findings(pipeline: Pipeline, chunks: pl.DataFrame) -> list[str]:
    """What keeps chunks and vectors from being one to one, of unit norm and of the current model."""
    copied = ["file_path", "start_line", "end_line", "language"]
    table = pipeline.store.vectors.read(["chunk_id", "vector", "embedding_model", *copied])
    vectors = pl.DataFrame(table.drop_columns(["vector"]))
    findings = [f"{row[0]}: {row[1]} vectors for this chunk" for row in _repeated(vectors["chunk_id"])]
    missing = chunks.join(vectors, on="chunk_id", how="anti")
    findings += [f"{path}:{line}: no vector" for path, line in missing.select("file_path", "start_line").iter_rows()]
    orphans = vectors.join(chunks, on="chunk_id", how="anti")
    findings += [f"{chunk_id}: a vector without a chunk" for chunk_id in orphans["chunk_id"]]
    models = set(vectors["embedding_model"]) - {pipeline.model_id}
    findings += [f"vectors of {model}, the model is {pipeline.model_id}" for model in models]
    stale = (
        vectors.join(chunks, on="chunk_id", how="inner").height
        - vectors.join(chunks, on=["chunk_id", *copied], how="inner").height
    )
    findings += [f"{stale} vectors have another path, language or other lines than their chunk"] if stale else []
    if table.num_rows:
        values = np.asarray(table.column("vector").combine_chunks().flatten()).reshape(table.num_rows, -1)
        bad = off_unit(vector_lengths(values)).size
        findings += [f"{bad} vectors are not of unit norm"] if bad else []
    return findings


def _repeated(column: pl.Series) -> list[tuple[Any, ...]]:
    return column.value_counts().filter(pl.col("count") > 1).rows()


def parse_record_findings(pipeline: Pipeline, files: pl.DataFrame) -> list[str]:
    """Where Dagster's partitions and materializations of files differ from the manifest."""
    wanted = set(files.filter(pl.col("status") != "skipped")["partition_key"])
    parsed = set(files.filter(pl.col("status") == "parsed")["partition_key"])
    return _record_findings(pipeline, UNNAMED.partitions(PARSED_CHUNKS), _PARSED, wanted, parsed)


def embed_record_findings(pipeline: Pipeline, chunks: pl.DataFrame) -> list[str]:
    """Where Dagster's partitions and materializations of batches differ from the chunks."""
    wanted = {batch_partition_key(batch_id) for batch_id in chunks["embedding_batch_id"].drop_nulls().unique()}
    findings = _record_findings(pipeline, UNNAMED.partitions(CHUNK_VECTORS), _EMBEDDED, wanted, wanted)
    unassigned = chunks["embedding_batch_id"].null_count()
    return findings + ([f"{unassigned} chunks are in no batch"] if unassigned else [])


def _record_findings(
    pipeline: Pipeline, definition: str, asset: dg.AssetKey, wanted: set[str], done: set[str]
) -> list[str]:
    keys = set(pipeline.instance.get_dynamic_partitions(definition))
    materialized = pipeline.instance.get_materialized_partitions(asset) & keys
    return [
        f"{asset.to_user_string()}: {len(group)} {what}, such as {min(group)}"
        for group, what in (
            (wanted - keys, "have no partition"),
            (keys - wanted, "partitions have nothing in the tables"),
            (done - materialized, "partitions are stored but not materialized"),
            (materialized - done, "partitions are materialized but not stored"),
        )
        if group
    ]


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
