"""A few chunks as a reader of an asset's page sees them."""

import re

import dagster as dg
import pyarrow as pa

_CHUNKS = 5
_LINES = 12
_COLUMNS = 120


def chunk_preview(chunks: pa.Table) -> dg.MarkdownMetadataValue:
    """Place, name and first lines of code of the first chunks."""
    columns = ["file_path", "start_line", "end_line", "chunk_type", "qualified_name", "language", "content"]
    sections = []
    for row in chunks.select(columns).slice(0, _CHUNKS).to_pylist():
        lines = row["content"].splitlines()
        shown = "\n".join(line[:_COLUMNS] for line in lines[:_LINES])
        # A fence longer than any in the code.
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
        place = f"{row['file_path']}:{row['start_line']}-{row['end_line']}".replace("`", "'")
        more = "\n..." if len(lines) > _LINES else ""
        name = (row["qualified_name"] or "").replace("`", "'")
        title = f"`{place}` {row['chunk_type']} `{name}`" if name else f"`{place}` {row['chunk_type']}"
        sections.append(f"{title}\n\n{fence}{row['language']}\n{shown}{more}\n{fence}")
    return dg.MetadataValue.md("\n\n".join(sections) or "(no chunks)")
