"""The text that a command prints at its end."""

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from indexing_assets.cli.os_errors import trouble_in

if TYPE_CHECKING:
    from code_index.index.unchanged_marker import Counts
    from indexing_assets.operations.pipeline import PhaseResult, Pipeline

_NOTHING_PARSED = "Parsing: nothing changed."
_NOTHING_EMBEDDED = "Embedding: nothing is missing."
_LAYOUT = "\n\t"
# Control characters (escape sequences begin with one, C1 ones included), direction marks, separators of lines.
_COMMANDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_HARMLESS = frozenset("\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH NO-BREAK SPACE}")


def print_outcome(pipeline: "Pipeline", results: Mapping[str, "PhaseResult"], *, seconds: float) -> int:
    """Print what was done and what is left; returns the exit status."""
    from code_index.index.contents import failed_chunks, failed_files

    counts = pipeline.store.files.counts()
    parsed = results.get("parse")
    embedded = results.get("embed")
    if parsed is not None and not parsed.partitions:
        click.echo(_NOTHING_PARSED)
    elif parsed is not None:
        click.echo(f"Parsing: {_plural(parsed.partitions, 'file')}.")
    if embedded is not None and not embedded.partitions:
        click.echo(_NOTHING_EMBEDDED)
    elif embedded is not None:
        click.echo(f"Embedding: {_plural(embedded.partitions, 'batch', 'batches')}, {pipeline.describe_embedder()}.")

    files = failed_files(pipeline.store)
    chunks = failed_chunks(pipeline.store, pipeline.model_id) if embedded is not None else []
    for item in files[:5]:
        click.echo(f"Failed: {printable(item.file_path)}: {printable(item.reason)}", err=True)
    for chunk in chunks[:5]:
        click.echo(f"Failed: {printable(chunk.file_path)}:{chunk.start_line}: {printable(chunk.reason)}", err=True)
    broken = [(name, r) for name, r in results.items() if r.error is not None and not r.partial]
    for name, result in broken:
        reason = trouble_in(result.error or "") or result.error or ""
        click.echo(f"The {name} phase failed: {printable_message(reason)} (Dagster run {result.run_id})", err=True)
    total = pipeline.store.chunks.count()
    vectors = (
        pipeline.store.vectors.count(pipeline.model_id) if embedded is not None else pipeline.store.vectors.count()
    )
    click.echo(_totals(counts.get("parsed", 0), total, vectors, seconds))
    if files or chunks or broken:
        click.echo(
            "Not everything could be indexed; the rest is safe. `code-index status --failed` lists what failed, "
            "`code-index resume --failed` retries it.",
            err=True,
        )
        return 1
    return 0


def print_unchanged(counts: "Counts", *, seconds: float) -> None:
    """Print the same where there was nothing to do."""
    click.echo(f"{_NOTHING_PARSED}\n{_NOTHING_EMBEDDED}")
    click.echo(_totals(counts.files, counts.chunks, counts.vectors, seconds))


def _totals(files: int, chunks: int, vectors: int, seconds: float) -> str:
    return f"{_plural(files, 'file')}, {_plural(chunks, 'chunk')}, {_plural(vectors, 'vector')} in {seconds:.1f} s."


def printable(text: str, *, keep: str = "") -> str:
    """Text with control characters escaped, so that a file's name cannot command the terminal; those in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def printable_code(line: str) -> str:
    """A line of code as it is, but for what commands a terminal or makes it show another order than the real one.

    Spaces of other scripts, private and unassigned characters, and the joiners of emoji stay: they do no harm.
    """
    if line.isprintable():
        return line
    return "".join(_escaped(c) if c not in _HARMLESS and unicodedata.category(c) in _COMMANDING else c for c in line)


def printable_message(text: str) -> str:
    """A message of several lines with all other control characters escaped."""
    return printable(text, keep=_LAYOUT)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def human_bytes(size: float) -> str:
    """A size for people: 1.5 MB."""
    step = 1000
    if size < step:
        return f"{size:,.0f} B"
    for unit in ("KB", "MB"):
        size /= step
        if size < step:
            return f"{size:,.1f} {unit}"
    return f"{size / step:,.1f} GB"


def _plural(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
