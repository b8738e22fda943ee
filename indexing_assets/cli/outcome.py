"""The text that `index` and `resume` print at their end."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from indexing_assets.cli.os_errors import trouble_in
from indexing_assets.cli.output import say, tell, tell_message

if TYPE_CHECKING:
    from code_index.index.folder import IndexFolder
    from code_index.index.unchanged_marker import Counts
    from indexing_assets.operations.pipeline import Pipeline
    from indexing_assets.runs.in_process import PhaseResult

_NOTHING_PARSED = "Parsing: nothing changed."
_NOTHING_EMBEDDED = "Embedding: nothing is missing."


def print_outcome(
    pipeline: "Pipeline", results: Mapping[str, "PhaseResult"], *, seconds: float, line: Callable[[str], None] = say
) -> int:
    """Print what was done and what is left; returns the exit status.

    Args:
        pipeline: that did it.
        results: of its phases, by name.
        seconds: that it took.
        line: prints what was done; what went wrong goes to standard error in any case.
    """
    from code_index.core.model import FileStatus
    from code_index.index.contents import failed_chunks, failed_files
    from code_index.index.skipped import skipped_counts, why_nothing_is_indexed

    counts = pipeline.store.files.counts()
    parsed = results.get("parse")
    embedded = results.get("embed")
    skipped = skipped_counts(pipeline.store)
    nothing = "scan" in results and sum(counts.values()) == counts.get(FileStatus.SKIPPED.value, 0)
    _say_phases(pipeline, parsed, embedded, is_empty=nothing, line=line)

    files = failed_files(pipeline.store)
    chunks = failed_chunks(pipeline.store, pipeline.model_id) if embedded is not None else []
    for item in files[:5]:
        tell(f"Failed: {item.file_path}: {item.reason}")
    for chunk in chunks[:5]:
        tell(f"Failed: {chunk.file_path}:{chunk.start_line}: {chunk.reason}")
    broken = [(name, r) for name, r in results.items() if r.error is not None and not r.partial]
    for name, result in broken:
        reason = trouble_in(result.error or "") or result.error or ""
        tell_message(f"The {name} phase failed: {reason} (Dagster run {result.run_id})")
    total = pipeline.store.chunks.count()
    vectors = (
        pipeline.store.vectors.count(pipeline.model_id) if embedded is not None else pipeline.store.vectors.count()
    )
    if masked := pipeline.store.files.masked_keys():
        line(f"Masked: {masked_total(masked)}; `code-index status --masked` lists them.")
    if "scan" in results:
        for warning in pipeline.scan_warnings(results["scan"]):
            tell(f"Warning: {warning}")
    _say_skipped(skipped, line)
    line(_totals(counts.get("parsed", 0), total, vectors, seconds))
    if nothing and not broken:
        tell(why_nothing_is_indexed(skipped))
        return 1 if skipped else 0
    if files or chunks or broken:
        tell(
            "Not everything could be indexed; the rest is safe. `code-index status --failed` lists what failed, "
            "`code-index resume --failed` retries it."
        )
        return 1
    return 0


def _say_phases(
    pipeline: "Pipeline",
    parsed: "PhaseResult | None",
    embedded: "PhaseResult | None",
    *,
    is_empty: bool,
    line: Callable[[str], None],
) -> None:
    from code_index.index.vector_sources import MODEL
    from indexing_assets.runs.index_status import last_embedding

    if parsed is not None and parsed.partitions:
        line(f"Parsing: {_plural(parsed.partitions, 'file')}.")
    elif parsed is not None and not is_empty:
        line(_NOTHING_PARSED)
    if embedded is not None and embedded.partitions:
        line(f"Embedding: {_plural(embedded.partitions, 'batch', 'batches')}, {pipeline.describe_embedder()}.")
        last = last_embedding(pipeline.index)
        if last.reused:
            places = {source: count for source, count in last.sources.items() if source != MODEL}
            line(f"Reused {_plural(last.reused, 'vector')}: {vectors_from(places)}.")
    elif embedded is not None and not is_empty:
        line(_NOTHING_EMBEDDED)


def print_unchanged(counts: "Counts", *, seconds: float) -> None:
    """Print the same where there was nothing to do."""
    say(_NOTHING_PARSED)
    say(_NOTHING_EMBEDDED)
    _say_skipped(counts.skipped, say)
    say(_totals(counts.files, counts.chunks, counts.vectors, seconds))


def _say_skipped(skipped: Mapping[str, int], line: Callable[[str], None]) -> None:
    from code_index.index.skipped import LISTS_THEM, skipped_in_words

    if words := skipped_in_words(skipped):
        line(f"Skipped: {words}; {LISTS_THEM}.")


def vectors_from(sources: Mapping[str, int]) -> str:
    """Vectors by where they came from, in words: `800 from your library, 12 from the model`."""
    return ", ".join(f"{count:,} from {source}" for source, count in sources.items())


def masked_total(masked: Mapping[str, Mapping[str, int]]) -> str:
    """Masked keys of all files, by path and kind, as a sum: `3 keys in 2 files`."""
    keys = sum(sum(counts.values()) for counts in masked.values())
    return f"{_plural(keys, 'key')} in {_plural(len(masked), 'file')}"


def what_is_kept(folder: "IndexFolder") -> str:
    """Say what an index holds that somebody stopped, and how to go on.

    Raises:
        CodeIndexError: a table cannot be read.
    """
    begin = f"Stopped before anything was stored. Begin again: code-index index {folder.repository_root}"
    if not (folder.exists and folder.tables_dir.is_dir()):
        return begin
    from code_index.core.model import FileStatus
    from code_index.tables import IndexStore

    store = IndexStore(folder.tables)
    counts = store.files.counts()
    found = sum(counts.values()) - counts.get(FileStatus.SKIPPED.value, 0)
    if not found:
        return begin
    go_on = f"Go on: code-index resume {folder.repository_root}"
    if not (parsed := counts.get(FileStatus.PARSED.value, 0)):
        return f"Stopped. {_plural(found, 'file')} found, none is parsed yet. {go_on}"
    return (
        f"Stopped. Stored, and searched from now on: {parsed:,} of {_plural(found, 'file')} in "
        f"{_plural(store.chunks.count(), 'chunk')}, {store.vectors.count():,} of them with a vector. {go_on}"
    )


def _totals(files: int, chunks: int, vectors: int, seconds: float) -> str:
    return f"{_plural(files, 'file')}, {_plural(chunks, 'chunk')}, {_plural(vectors, 'vector')} in {seconds:.1f} s."


def _plural(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
