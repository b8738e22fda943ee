"""Names and code of a hostile repository are text on all of Dagster's pages, in its logs and in the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from markdown_it import MarkdownIt

from code_index.index.folder import resolve_index_folder
from indexing_assets.definitions import build_defs
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import INDEX_REPORT, UNNAMED
from resources.embedder_resource import EmbedderResource
from resources.index_resource import IndexResource
from tests.fakes import obstruct

# The word in all that a stranger chose; nothing of the program's own holds it.
EVIL = "evil"
CODE = "def evil_function(a):\n    return '![x](http://evil.example/x.png) <img src=x onerror=evil()>'\n"
HEADING = "# ![evil](http://evil.example/x.png) <img src=x onerror=evil()> www.evil.example\n\nText of evil.\n"
NAMES = [
    "![x](http:/evil.example/x.png).py",
    "[click](javascript:evil()).py",
    "<img src=x onerror=evil()>.py",
    "www.evil.example.py",
    "evil@evil.example.py",
    "a|`evil`|b.py",
    "evil\\|`[x](evil)`.py",
    "evil\x1b[31m.py",
    "evil\n\n# heading\n.py",
    "evil\u202eyp.exe.py",
]
FAILING = "`![x](evil)`\n<img src=x onerror=evil()>\x1b[2J.py"
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_LIVE = {"link_open", "image", "html_inline", "html_block"}


@pytest.fixture
def pipeline(
    tmp_path: Path, write: Callable[[Path, Mapping[str, str | bytes]], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    root = tmp_path / "repository"
    files = {name: CODE.replace("function", f"function_{at}") for at, name in enumerate(NAMES)}
    skipped = {"![evil](http:/evil.example).png": b"\x89PNG\x00", "evil\x1b]0;.lock": b"\x00"}
    write(root, {**files, FAILING: CODE, "evil.md": HEADING, **skipped})
    with Pipeline(resolve_index_folder(root)) as opened:
        yield opened


def _run_whole_index(pipeline: Pipeline) -> None:
    """The report and the checks of the whole index, on an index that lacks its vectors."""
    pipeline.store.vectors.drop()
    folder = pipeline.folder
    definitions = build_defs(
        {
            "index": IndexResource(repository_root=str(folder.repository_root), index_dir=str(folder.path)),
            "embedder": EmbedderResource(model="deterministic"),
        },
        indexes=[UNNAMED],
    )
    report = dg.AssetSelection.assets(INDEX_REPORT)
    job = dg.define_asset_job("look", report | dg.AssetSelection.checks_for_assets(dg.AssetKey(INDEX_REPORT)))
    with_job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    assert with_job.resolve_job_def("look").execute_in_process(instance=pipeline.instance).success


def _assert_markdown_is_dead(where: str, text: str) -> int:
    """Nothing that is live comes from a name; returns how often the stranger's word is shown."""
    shown = 0
    for token in (inner for outer in _MARKDOWN.parse(text) for inner in (outer, *(outer.children or ()))):
        if token.type == "inline":
            continue
        own_plot = token.type == "image" and str(token.attrs["src"]).startswith("data:image/png")
        assert token.type not in _LIVE or own_plot, f"{where}: {token.type} in {text}"
        # The letters of a picture spell any word at times.
        if not own_plot and (EVIL in token.content or EVIL in str(token.attrs)):
            # Literal addresses become links in plain text, not in code.
            assert token.type in {"code_inline", "fence"}, f"{where}: {token.type} {token.content!r}"
            shown += 1
        assert token.content.replace("\n", "").replace("\t", "").isprintable(), f"{where}: {token.content!r}"
    return shown


def _metadata_of(event: dg.DagsterEvent) -> Mapping[str, Any]:
    data: Any = event.event_specific_data
    for holder in ("materialization", "user_failure_data"):
        data = getattr(data, holder, None) or data
    return getattr(data, "metadata", None) or {}


def test_names_of_a_repository_are_text_wherever_dagster_shows_them(pipeline: Pipeline) -> None:
    assert pipeline.scan().error is None
    obstruct(pipeline.folder.repository_root / FAILING)
    assert pipeline.parse().partial
    assert pipeline.embed().error is None
    _run_whole_index(pipeline)

    seen: dict[str, int] = {}
    for run in pipeline.instance.get_runs():
        for entry in pipeline.instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event is None:
                assert entry.user_message.isprintable(), repr(entry.user_message)
                seen["log"] = seen.get("log", 0) + (EVIL in entry.user_message)
                continue
            assert (event.message or "").replace("\n", "").isprintable(), repr(event.message)
            for name, value in _metadata_of(event).items():
                if isinstance(value, dg.MarkdownMetadataValue):
                    seen[name] = seen.get(name, 0) + _assert_markdown_is_dead(name, value.value)
                elif isinstance(value, dg.TextMetadataValue):
                    assert (value.text or "").isprintable(), (name, value.text)
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                description = event.asset_check_evaluation_data.description or ""
                seen["description"] = seen.get("description", 0) + _assert_markdown_is_dead("check", description)
            if event.is_step_failure and event.step_failure_data.user_failure_data is not None:
                said = event.step_failure_data.user_failure_data.description or ""
                assert said.isprintable(), repr(said)
                seen["failure"] = seen.get("failure", 0) + (EVIL in said)
    # Each of the places did show names: the test looked where they are.
    places = {"new_or_changed", "skipped", "preview", "failed_partitions", "report", "culprits"}
    assert {place for place, count in seen.items() if count} >= places | {"description", "failure", "log"}
    _assert_page_is_dead((pipeline.folder.path / "reports" / "index_report.html").read_text(encoding="utf-8"))


def _assert_page_is_dead(text: str) -> None:
    known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "dl", "dt", "dd", "img"}
    known |= {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    shown = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in known
            assert not any(name.startswith("on") for name, _ in attrs)
            assert not any(
                EVIL in f"{name}{value}" for name, value in attrs if not f"{value}".startswith("data:image/")
            )

        def handle_data(self, data: str) -> None:
            shown.append(data)

    Parser().feed(text)
    assert text.replace("\n", "").isprintable()
    assert "<img src=x onerror=evil()>" in "".join(shown)
