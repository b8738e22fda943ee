"""The report: figures equal to the tables, a page that needs nothing else, hostile names harmless."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from code_index.index.folder import resolve_index_folder
from code_index.report.figures import IndexFigures, gather
from code_index.report.page import html_page, markdown
from code_index.report.plots import as_svg, plots
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.fakes import obstruct

_REPORT = dg.AssetKey("index_report")


@pytest.fixture
def pipeline(small_repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    with Pipeline(resolve_index_folder(small_repository)) as opened:
        yield opened


def _indexed(pipeline: Pipeline) -> Pipeline:
    assert [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return pipeline


def _materialized(pipeline: Pipeline) -> dg.AssetMaterialization:
    folder = pipeline.folder
    definitions = build_defs(
        {
            "index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path)),
            "embedder": EmbedderResource(model="deterministic"),
        },
        indexes=[UNNAMED],
    )
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=pipeline.instance, asset_selection=[_REPORT], raise_on_error=True
    )
    assert result.success
    event = pipeline.instance.get_latest_materialization_event(_REPORT)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_numbers_are_those_of_the_tables(pipeline: Pipeline) -> None:
    _indexed(pipeline)
    metadata = {name: value.value for name, value in _materialized(pipeline).metadata.items()}
    chunks = pipeline.store.chunks.read(["chunk_id"]).num_rows
    assert metadata["chunks"] == metadata["vectors"] == chunks
    assert metadata["files"] == 4
    assert metadata["failed_files"] == metadata["failed_chunks"] == metadata["pending_chunks"] == 0
    assert metadata["tables_bytes"] == sum(pipeline.store.upkeep.disk_bytes().values())
    assert metadata["search_p50_ms"] <= metadata["search_max_ms"]
    assert metadata["embed_chunks_per_s"] > 0


def test_the_metadata_show_a_picture_and_tables_that_fit_into_an_event(pipeline: Pipeline) -> None:
    _indexed(pipeline)
    text = _materialized(pipeline).metadata["report"].value
    (picture,) = re.findall(r"\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", text)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert "**Languages** (4)" in text
    assert "| `python` | 1 |" in text
    assert len(text) < 120_000


def test_the_page_needs_nothing_but_itself(pipeline: Pipeline) -> None:
    _indexed(pipeline)
    path = Path(_materialized(pipeline).metadata["page"].value)
    assert path == pipeline.folder.path / "reports/index_report.html"
    page = _Page(path.read_text(encoding="utf-8"))
    names = [name for name, _ in page.tags]
    assert "script" not in names
    assert "link" not in names
    images = [attributes for name, attributes in page.tags if name == "img"]
    assert len(images) == 4
    for image in images:
        assert image["alt"]
        kind, _, content = (image["src"] or "").partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(content)
    assert list(path.parent.iterdir()) == [path]


def test_an_index_without_anything_in_it_has_a_report_that_says_so(pipeline: Pipeline) -> None:
    event = _materialized(pipeline)
    assert event.metadata["report"].value == "Nothing is indexed yet."
    assert "search_p50_ms" not in event.metadata
    assert "parse_chunks_per_s" not in event.metadata
    page = (pipeline.folder.path / "reports/index_report.html").read_text(encoding="utf-8")
    assert "Nothing is indexed yet." in page


def test_failures_are_named_with_their_reasons(
    pipeline: Pipeline, write: Callable[[Path, Mapping[str, str | bytes]], None]
) -> None:
    assert pipeline.scan().error is None
    obstruct(pipeline.folder.repository_root / "app/greeting.py")
    assert pipeline.parse().partial
    event = _materialized(pipeline)
    assert event.metadata["failed_files"].value == 1
    assert "app/greeting.py" in event.metadata["report"].value.replace("\\", "")
    assert "app/greeting.py" in (pipeline.folder.path / "reports/index_report.html").read_text(encoding="utf-8")


def test_a_name_from_the_repository_cannot_become_markup() -> None:
    hostile = "<script>alert(1)</script>|`a`\n![x](http://example.com/x.png)"
    figures = IndexFigures(
        languages=[],
        chunk_types=[],
        chunk_lines=np.zeros(0, dtype=np.int64),
        cyclomatic=np.zeros(0, dtype=np.int64),
        most_complex=[],
        chunks=0,
        table_bytes={},
        failed_files=[{"file": hostile, "reason": hostile}],
    )
    page = _Page(html_page(hostile, hostile, figures))
    assert {name for name, _ in page.tags}.isdisjoint({"script", "img", "a"})
    assert "<script>alert(1)</script>" in page.text
    row = markdown(figures).splitlines()[-1]
    harmless = "`<script>alert(1)</script>¦'a' ![x](http://example.com/x.png)`"
    assert row == f"| {harmless} | {harmless} |"


def test_the_page_lets_a_browser_fetch_and_run_nothing(pipeline: Pipeline) -> None:
    _materialized(_indexed(pipeline))
    page = _Page((pipeline.folder.path / "reports/index_report.html").read_text(encoding="utf-8"))
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in page.tags


def test_plots_take_no_settings_from_the_working_directory(pipeline: Pipeline) -> None:
    """Matplotlib reads `matplotlibrc` there when it is imported, and LaTeX may run commands."""
    import matplotlib as mpl

    figures = replace(gather(_indexed(pipeline).store, None), languages=[{"language": "$x_1$", "chunks": 1}])
    plain = as_svg(plots(figures)["Chunks by language"], figures)
    with mpl.rc_context({"text.usetex": True, "text.parse_math": True, "figure.facecolor": "red"}):
        assert as_svg(plots(figures)["Chunks by language"], figures) == plain


def test_a_table_that_is_cut_says_how_much_there_is() -> None:
    figures = IndexFigures(
        languages=[],
        chunk_types=[],
        chunk_lines=np.zeros(0, dtype=np.int64),
        cyclomatic=np.zeros(0, dtype=np.int64),
        most_complex=[],
        chunks=0,
        table_bytes={},
        failed_files=[{"file": f"module_{number}.py", "reason": "gone"} for number in range(5_000)],
    )
    page = _Page(html_page("a", "b", figures))
    assert "Failed files: the first 200 of 5,000" in page.text
    assert "**Failed files** (the first 10 of 5,000)" in markdown(figures)


def test_figures_of_a_table_are_counted_and_not_estimated(pipeline: Pipeline) -> None:
    store = _indexed(pipeline).store
    figures = gather(store, None)
    rows = store.chunks.read(["start_line", "end_line", "language"]).to_pylist()
    assert sorted(figures.chunk_lines.tolist()) == sorted(row["end_line"] - row["start_line"] + 1 for row in rows)
    assert {row["language"]: row["chunks"] for row in figures.languages} == {
        language: sum(row["language"] == language for row in rows) for language in {row["language"] for row in rows}
    }
    assert figures.search_ms == ()
