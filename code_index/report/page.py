"""The report as one self-contained page: tables, plots, light and dark.

Belongs here: HTML and Markdown. All text from a repository is escaped
(`code_index.core.quoting`), and the page's own policy lets a browser fetch and run nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from code_index.core.distribution import has_extra, missing_extra
from code_index.core.quoting import code_span, html_text
from code_index.report.figures import IndexFigures, Row
from code_index.report.plots import Draw, as_png, as_svg, plots
from code_index.report.style import STYLE

_HTML_ROWS: Final = 200
_MARKDOWN_ROWS: Final = 10
_CELL_CHARACTERS: Final = 160
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_page(title: str, made_at: str, figures: IndexFigures) -> str:
    """Write the whole page; `title` names the repository, `made_at` is shown as it is."""
    parts = [f"<h1>{html_text(title)}</h1>", f"<p>Made {html_text(made_at)}.</p>", _summary(figures)]
    drawn, left_out = _plots(figures)
    parts += [f'<p class="none">{html_text(left_out)}</p>'] if left_out else []
    parts += [
        f'<h2>{html_text(name)}</h2><img alt="{html_text(name)}" src="{_data("image/svg+xml", as_svg(draw, figures))}">'
        for name, draw in drawn.items()
    ]
    parts += [f"<h2>{html_text(name)}</h2>{_html_table(name, rows)}" for name, rows in _tables(figures).items()]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html_text(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def markdown(figures: IndexFigures) -> str:
    """Write the same for an event's metadata: all plots as one image, and the heads of the tables."""
    drawn, left_out = _plots(figures)
    parts = [left_out] if left_out else []
    if drawn:
        parts.append(f"![{', '.join(drawn)}]({_data('image/png', as_png(list(drawn.values()), figures))})")
    for name, rows in _tables(figures).items():
        if rows:
            parts.append(f"**{name}** ({_how_many(rows, _MARKDOWN_ROWS)})\n\n{_markdown_table(rows[:_MARKDOWN_ROWS])}")
    return "\n\n".join(parts) or "Nothing is indexed yet."


def _plots(figures: IndexFigures) -> tuple[Mapping[str, Draw], str]:
    """The plots to draw by title, or none and the sentence that says what they need."""
    return (plots(figures), "") if has_extra("ui") else ({}, f"{missing_extra('ui', 'A report with plots')}.")


def _summary(figures: IndexFigures) -> str:
    if not figures.chunks:
        return '<p class="none">Nothing is indexed yet.</p>'
    items: dict[str, Any] = dict(figures.counts)
    lines = figures.chunk_lines
    items["lines of a chunk"] = (
        f"median {np.median(lines):.0f}, p95 {np.percentile(lines, 95):.0f}, longest {lines.max()}"
    )
    if figures.search_p50_ms is not None:
        items["hybrid search"] = f"median {figures.search_p50_ms:.0f} ms, slowest {max(figures.search_ms):.0f} ms"
    return (
        "<dl>" + "".join(f"<dt>{html_text(k)}</dt><dd>{html_text(_shown(v))}</dd>" for k, v in items.items()) + "</dl>"
    )


def _tables(figures: IndexFigures) -> Mapping[str, Sequence[Row]]:
    return {
        "Failed files": figures.failed_files,
        "Failed chunks": figures.failed_chunks,
        "Languages": figures.languages,
        "Kinds of chunks": figures.chunk_types,
        "Most complex functions": figures.most_complex,
        "Slowest files of the newest events": figures.slowest_files,
        "Disk": [{"table": name, "bytes": size} for name, size in figures.table_bytes.items()],
    }


def _html_table(caption: str, rows: Sequence[Row]) -> str:
    if not rows:
        return '<p class="none">None.</p>'
    columns = list(rows[0])
    head = "".join(f'<th scope="col">{html_text(column)}</th>' for column in columns)
    shown = rows[:_HTML_ROWS]
    body = "".join("<tr>" + "".join(_html_cell(row[column]) for column in columns) + "</tr>" for row in shown)
    return (
        f'<div class="wide"><table><caption>{html_text(caption)}: {_how_many(rows, _HTML_ROWS)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _how_many(rows: Sequence[Row], limit: int) -> str:
    return f"{len(rows):,}" if len(rows) <= limit else f"the first {limit:,} of {len(rows):,}"


def _html_cell(value: Any) -> str:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td class="n">{html_text(_shown(value))}</td>' if numeric else f"<td>{html_text(_shown(value))}</td>"


def _markdown_table(rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_markdown_cell(row[column]) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def _markdown_cell(value: Any) -> str:
    return code_span(value, longest=_CELL_CHARACTERS) if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _data(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
