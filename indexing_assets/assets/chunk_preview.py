"""A few chunks as a reader of an asset's page sees them."""

import dagster as dg
import pyarrow as pa

from code_index.core.quoting import code_block, code_span

_CHUNKS = 5
_LINES = 12
_COLUMNS = 120


def chunk_preview(chunks: pa.Table) -> dg.MarkdownMetadataValue:
    """Place, name and first lines of code of the first chunks."""
    columns = ["file_path", "start_line", "end_line", "chunk_type", "qualified_name", "language", "content"]
    sections = []
    for row in chunks.select(columns).slice(0, _CHUNKS).to_pylist():
        lines = row["content"].splitlines()
        shown = "\n".join(line[:_COLUMNS] for line in lines[:_LINES]) + ("\n..." if len(lines) > _LINES else "")
        place = code_span(f"{row['file_path']}:{row['start_line']}-{row['end_line']}")
        title = f"{place} {code_span(row['chunk_type'])} {code_span(row['qualified_name'] or '')}".rstrip()
        sections.append(f"{title}\n\n{code_block(shown, row['language'])}")
    return dg.MetadataValue.md("\n\n".join(sections) or "(no chunks)")
