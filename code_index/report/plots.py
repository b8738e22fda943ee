"""Plots of the report, drawn by Matplotlib without a window.

Belongs here: drawing. Does not belong here: the figures (`code_index.report.figures`) and the page
(`code_index.report.page`). Colours read well on white and on black.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from code_index.core.cache import cache_folder
from code_index.core.lazy_imports import importing
from code_index.report.figures import IndexFigures

_INK: Final = "#7a7f87"
_FILL: Final = "#4f7cc4"
_SECOND: Final = "#c9803a"
_BARS: Final = 12
_BINS: Final = 40
_DPI: Final = 72

Draw = Callable[[Any, IndexFigures], None]


def plots(figures: IndexFigures) -> dict[str, Draw]:
    """Choose the plots that have something to draw, by title."""
    found: dict[str, Draw] = {}
    if figures.languages:
        found["Chunks by language"] = _languages
    if len(figures.chunk_lines):
        found["Lines of a chunk"] = _chunk_lines
    if len(figures.cyclomatic):
        found["Cyclomatic complexity of functions"] = _complexity
    if figures.parse_runs or figures.embed_runs:
        found["Throughput of runs"] = _throughput
    return found


def as_svg(draw: Draw, figures: IndexFigures) -> bytes:
    """Draw one plot as SVG, transparent."""
    return _rendered([draw], figures, "svg", size=(6.4, 3.2))


def as_png(draws: Sequence[Draw], figures: IndexFigures) -> bytes:
    """Draw all plots on one PNG, white, small enough for an event's metadata."""
    return _rendered(draws, figures, "png", size=(11.0, 3.0 * ((len(draws) + 1) // 2)))


def _rendered(draws: Sequence[Draw], figures: IndexFigures, kind: str, *, size: tuple[float, float]) -> bytes:
    # Matplotlib makes a folder for its font list where the user has none that can be written.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with importing:
        import matplotlib as mpl
        from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "text.parse_math": False,  # a label from a table is text
        "svg.hashsalt": "code-index",
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.titlecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "text.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    columns = 1 if len(draws) == 1 else 2
    with mpl.rc_context():
        # Matplotlib reads a `matplotlibrc` of the working directory, which could have a label typeset by LaTeX.
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        figure = Figure(figsize=size, layout="constrained")
        for position, draw in enumerate(draws, start=1):
            axes = figure.add_subplot((len(draws) + columns - 1) // columns, columns, position)
            draw(axes, figures)
            if kind == "svg":
                axes.set_title("")  # the page has it as a heading
        target = io.BytesIO()
        figure.savefig(target, format=kind, dpi=_DPI, transparent=kind == "svg", metadata=_METADATA[kind])
    return target.getvalue()


_METADATA: Final[Mapping[str, Mapping[str, str | None]]] = {"svg": {"Date": None}, "png": {}}


def _languages(axes: Any, figures: IndexFigures) -> None:
    rows = figures.languages[:_BARS][::-1]
    axes.barh([row["language"] for row in rows], [row["chunks"] for row in rows], color=_FILL)
    axes.set_title("Chunks by language")


def _chunk_lines(axes: Any, figures: IndexFigures) -> None:
    longest = float(np.percentile(figures.chunk_lines, 99))
    axes.hist(np.minimum(figures.chunk_lines, longest), bins=_BINS, color=_FILL, log=True)
    axes.set_title("Lines of a chunk")
    axes.set_xlabel("the last bar has the longest 1 %")
    axes.set_ylabel("chunks")


def _complexity(axes: Any, figures: IndexFigures) -> None:
    step = 1 + (int(figures.cyclomatic.max()) // _BINS)
    axes.hist(
        figures.cyclomatic, bins=np.arange(0.5, figures.cyclomatic.max() + step + 0.5, step), color=_FILL, log=True
    )
    axes.set_title("Cyclomatic complexity of functions")
    axes.set_ylabel("functions")


def _throughput(axes: Any, figures: IndexFigures) -> None:
    with importing:
        from matplotlib.dates import ConciseDateFormatter

    for label, runs, color in (
        ("parsed", figures.parse_runs, _FILL),
        ("embedded", figures.embed_runs, _SECOND),
    ):
        if runs:
            times = [datetime.fromtimestamp(float(run["at"]), tz=UTC) for run in runs]
            axes.plot(times, [float(run["chunks_per_s"]) for run in runs], "o-", label=label, color=color)
    axes.set_title("Throughput of runs")
    axes.set_ylabel("chunks/s")
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.legend(frameon=False)
