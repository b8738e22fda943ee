"""Asking an index: what every answer says of its freshness, related code, context in a budget, changes, several indexes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from code_index import Index, Indexes, UsageError
from code_index.index.folder import resolve_index_folder
from code_index.index.last_scan import LAST_SCAN_FILE, read_last_scan
from code_index.search.context import LEAST_TOKENS
from code_index.search.token_estimate import estimate_tokens
from code_index.tables.search_rows import MOST_OUTSIDE_WORD_INDEX
from indexing_assets import index_repository
from indexing_assets.operations.pipeline import Pipeline
from tests.checkout import git
from tests.conftest import write_files
from tests.indexed_copies import copy_indexed
from tests.terminal import at_a_terminal, said_until
from tests.waiting import PATIENCE_S

Run = Callable[..., subprocess.CompletedProcess[str]]

_SHAPES = "\n\n\n".join(
    f'def area_of_{name}(width: int, height: int) -> int:\n    """Area of a {name}."""\n    total = width * height\n'
    f"    check_positive(total)\n    return total"
    for name in ("rectangle", "window")
)
_COPY = (
    'def parse_duration(text: str) -> int:\n    """Parse a duration such as 5m."""\n    unit = UNITS[text[-1]]\n'
    "    count = int(text[:-1])\n    if count < 0:\n        raise ValueError(text)\n    return count * unit\n"
)
_LONG = "class Engine:\n    def run(self, steps: int) -> None:\n" + "".join(
    f"        self.step_{number}(steps, {number})\n" for number in range(120)
)
_SHORT = "class Ledger:\n" + "".join(f"    def entry_{n}(self):\n        return {n}\n\n" for n in range(200))
# The text of a class is not in a row where a method stands in it.
_GAPS = "class Options:\n    def load(self):\n        a = 1\n        b = 2\n        return a + b\n\n" + "".join(
    f'    option_{number} = "value {number}"\n' for number in range(60)
)
# Form feeds and separators of Unicode end no line.
_PAGES = "\x0c\n".join(
    f'def page_{number}(text: str) -> str:\n    first = "a\u2028b"\n\x0c\n    return first + text * {number}\n'
    for number in range(3)
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """An indexed checkout with one commit, tagged `v1`."""
    root = make_small_repository(tmp_path_factory.mktemp("asking") / "repository")
    write_files(root, {"lib/shapes.py": _SHAPES, "lib/time.py": _COPY, "old/time.py": _COPY, "lib/engine.py": _LONG})
    write_files(root, {"lib/pages.py": _PAGES, "lib/blank.py": "\n", "lib/short.py": _SHORT, "lib/gaps.py": _GAPS})
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    git(root, "tag", "v1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        index_repository(root)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return copy_indexed(made, tmp_path / "repository")


def _hit(root: Path, query: str, path: str):
    answer = Index.open(root).ask(query, mode="lexical", limit=50)
    return next(hit for hit in answer.hits if hit.file_path == path)


def test_an_answer_of_an_untouched_repository_is_current(root: Path) -> None:
    answer = Index.open(root).ask("greet a person")
    fresh = Index.open(root).freshness()
    assert {hit.state for hit in answer.hits} == {"current"}
    assert {hit.repository for hit in answer.hits} == {str(root)}
    assert fresh.newer_files == ()
    assert fresh.newer_count == 0
    assert fresh.commit == fresh.current_commit == git(root, "rev-parse", "HEAD").strip()
    assert 0 <= fresh.age_s < 3_600
    assert fresh.vectors_share == 1.0
    assert fresh.is_current


def test_files_that_were_added_changed_and_removed_are_newer(root: Path) -> None:
    write_files(root, {"app/new.py": "def fresh(): ...\n", "lib/time.py": "UNITS = {}\n"})
    (root / "docs" / "guide.md").unlink()
    write_files(root, {".gitignore": "out/\n", "out/made.py": "x = 1\n", "package-lock.json": "{}\n"})
    write_files(root, {"lib/blank.py": "def no_more_blank(): ...\n"})
    fresh = Index.open(root).freshness()
    assert fresh.newer_files == (".gitignore", "app/new.py", "docs/guide.md", "lib/blank.py", "lib/time.py")
    assert not fresh.is_current


def test_files_that_wait_to_be_parsed_are_newer_than_the_index(root: Path) -> None:
    write_files(root, {"app/new.py": "def fresh(): ...\n"})
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.scan().error is None
    fresh = Index.open(root).freshness()
    assert (fresh.newer_files, fresh.is_current) == (("app/new.py",), False)


def test_a_touch_is_no_change_and_a_commit_of_what_is_indexed_is_none(root: Path) -> None:
    (root / "lib" / "time.py").touch()
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    fresh = Index.open(root).freshness()
    assert fresh.newer_files == ()
    assert fresh.commit == git(root, "rev-parse", "v1").strip() != fresh.current_commit


def test_without_git_and_without_the_record_of_a_scan_files_are_compared_too(root: Path) -> None:
    shutil.rmtree(root / ".git")
    (root / ".code-index" / LAST_SCAN_FILE).unlink()
    write_files(root, {"app/new.py": "def fresh(): ...\n"})
    fresh = Index.open(root).freshness()
    assert (fresh.commit, fresh.current_commit, fresh.age_s) == (None, None, None)
    assert fresh.newer_files == ("app/new.py",)


def test_a_scan_and_a_look_that_finds_nothing_make_an_index_younger(root: Path, command_line: Run) -> None:
    record = root / ".code-index" / LAST_SCAN_FILE
    command_line("index", root)
    stored = json.loads(record.read_text())
    record.write_text(json.dumps(stored | {"at": 1.0}))
    assert "nothing changed" in command_line("index", root).stdout
    assert read_last_scan(Index.open(root).folder).at > time.time() - 600


def test_a_hit_that_moved_has_its_present_lines(root: Path) -> None:
    before = _hit(root, "parse duration", "lib/time.py")
    (root / "lib" / "time.py").write_text("# one\n# two\n" + _COPY)
    hit = _hit(root, "parse duration", "lib/time.py")
    assert hit.state == "moved"
    assert (hit.start_line, hit.end_line) == (before.start_line + 2, before.end_line + 2)
    assert hit.content == before.content


def test_a_hit_that_changed_has_its_present_text_with_keys_masked(root: Path) -> None:
    key = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6"
    (root / "lib" / "time.py").write_text(_COPY.replace("    if count < 0:", f'    key = "{key}"\n    if count < 0:'))
    hit = _hit(root, "parse duration", "lib/time.py")
    assert hit.state == "changed"
    assert "    if count < 0:" in hit.content
    assert "key = " in hit.content
    assert key not in hit.content
    assert hit.end_line == 8


def test_an_edit_elsewhere_in_the_file_leaves_a_hit_current(root: Path) -> None:
    (root / "lib" / "time.py").write_text(_COPY + "\n\nUNITS = {}\n")
    assert _hit(root, "parse duration", "lib/time.py").state == "current"


def test_lines_are_those_of_an_editor_where_there_are_form_feeds(root: Path) -> None:
    hit = _hit(root, "page 1", "lib/pages.py")
    pieces = Index.open(root).context("page", mode="lexical", glob="lib/pages.py", max_tokens=400).hits
    (root / "lib" / "pages.py").write_text("#\x0c\n" + _PAGES.replace("text * 1", "text * 10"))
    changed = _hit(root, "page 1", "lib/pages.py")
    assert (hit.start_line, hit.end_line) == (6, 9)
    assert (changed.state, changed.start_line, changed.end_line) == ("changed", 7, 10)
    assert changed.content == hit.content.replace("text * 1", "text * 10")
    assert any(hit.content in piece.text for piece in pieces)


@pytest.mark.parametrize("kind", ["deleted", "link", "folder", "binary"])
def test_a_hit_of_a_file_that_is_no_more_is_gone_and_nothing_else_is_read(
    root: Path, tmp_path: Path, kind: str
) -> None:
    place = root / "lib" / "time.py"
    place.unlink()
    if kind == "link":
        (tmp_path / "secret").write_text("SECRET\n")
        place.symlink_to(tmp_path / "secret")
    elif kind == "folder":
        place.mkdir()
    elif kind == "binary":
        place.write_bytes(b"\0" * 100)
    hit = _hit(root, "parse duration", "lib/time.py")
    assert hit.state == "gone"
    assert "parse_duration" in hit.content


def test_an_answer_does_not_wait_for_a_comparison_that_takes_long(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from code_index.repository import fingerprint

    ends = threading.Event()
    told = fingerprint.git_state
    monkeypatch.setattr(fingerprint, "git_state", lambda *arguments: ends.wait(60) and told(*arguments))
    index = Index.open(root)
    answer = index.ask("greet", mode="lexical")
    assert answer.freshness[0].newer_files is None
    assert answer.freshness[0].newer_count is None
    assert {hit.state for hit in answer.hits} == {"current"}
    ends.set()
    assert index.freshness().newer_files == ()


def test_freshness_that_is_asked_for_is_not_of_an_earlier_comparison(root: Path) -> None:
    index = Index.open(root)
    for number in range(3):
        assert index.freshness().newer_files == ()
        (root / "lib" / f"young{number}.py").write_text("young = 1\n")
        assert index.freshness().newer_files == (f"lib/young{number}.py",)
        (root / "lib" / f"young{number}.py").unlink()


def test_related_code_names_copies_and_near_duplicates(root: Path) -> None:
    answer = Index.open(root).related("lib/time.py", 3)
    assert (answer.hits[0].file_path, answer.hits[0].relation) == ("old/time.py", "copy")
    assert 0.99 < answer.hits[0].score <= 1
    assert "similar" in {hit.relation for hit in answer.hits}
    hits = Index.open(root).related(root / "lib" / "shapes.py", 3).hits
    near = next(hit for hit in hits if hit.qualified_name == "area_of_window")
    assert near.relation == "near-duplicate"
    assert all(hit.qualified_name != "area_of_rectangle" for hit in hits)


def test_related_code_needs_no_model_and_meets_filters(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", str(root / "no-model"))
    hits = Index.open(root).related("lib/time.py", 3, glob="lib/", limit=3).hits
    assert hits
    assert {hit.file_path.partition("/")[0] for hit in hits} == {"lib"}


def test_a_chunk_without_a_vector_is_compared_by_its_words_and_says_so(root: Path) -> None:
    index = Index.open(root)
    chunk = next(hit for hit in index.search("parse duration", mode="lexical") if hit.file_path == "lib/time.py")
    index.store.vectors.delete([chunk.chunk_id])
    answer = Index.open(root).related("lib/time.py", 3)
    assert answer.hits[0].file_path == "old/time.py"
    assert "no vector yet" in " ".join(answer.notes)
    assert answer.freshness[0].vectors_share < 1


def test_every_answer_says_that_chunks_outside_of_the_word_index_were_left_out(root: Path, command_line: Run) -> None:
    store, count = Index.open(root).store, MOST_OUTSIDE_WORD_INDEX + 1
    added = {
        "chunk_id": [f"added-{number}" for number in range(count)],
        "file_path": ["lib/added.py"] * count,
        "file_hash": ["h"] * count,
        "search_text": ["greet"] * count,
        "start_line": [1] * count,
        "end_line": [9] * count,
    }
    store.chunks.replace(["lib/added.py"], pa.table(added), now=datetime(2025, 1, 1, tzinfo=UTC))
    said = "2,001 new chunks cannot be found by their words yet"

    index = Index.open(root)
    for answer in (index.ask("greet"), index.ask("greet", mode="lexical"), index.context("greet")):
        assert answer.hits
        assert [note for note in answer.notes if note.startswith(said)] == list(answer.notes)
    assert index.ask("greet", mode="semantic").notes == ()
    other = copy_indexed(root, root.parent / "other")
    Index.open(other).store.upkeep.optimize()
    together = Indexes.open([root, other])
    for several in (together.ask("greet"), together.context("greet")):
        assert [note.startswith(f"{root}: {said}") for note in several.notes] == [True]
    done = command_line("search", "greet", cwd=root)
    assert said in done.stderr
    done = command_line("search", "greet", "--json", cwd=root)
    assert json.loads(done.stdout)["notes"][0].startswith(said)
    store.upkeep.optimize()
    assert Index.open(root).ask("greet").notes == ()


def test_the_line_of_an_edited_file_means_the_present_line(root: Path) -> None:
    (root / "lib" / "shapes.py").write_text("#\n" * 10 + _SHAPES)
    hits = Index.open(root).related("lib/shapes.py", 13).hits
    assert any(hit.qualified_name == "area_of_window" for hit in hits)
    assert all(hit.qualified_name != "area_of_rectangle" for hit in hits)


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        ("nowhere.py", 1, "has no chunk in the index"),
        ("lib/time.py", 999, "ends at line 7"),
        ("lib/time.py", 0, "the first one is 1"),
        ("~no-such-user/time.py", 1, "is not in the repository"),
        ("lib/\udc80.py", 1, "not valid UTF-8"),
        ("../outside.py", 1, "is not in the repository"),
        ("/etc/passwd", 1, "is not in the repository"),
    ],
)
def test_a_place_without_code_is_refused(root: Path, path: str, line: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Index.open(root).related(path, line)


@pytest.mark.parametrize(("budget", "least"), [(LEAST_TOKENS, 0.5), (150, 0.7), (300, 0.85), (700, 0.9), (1_500, 0.9)])
def test_a_context_spends_its_budget_and_never_more(root: Path, budget: int, least: float) -> None:
    pieces = Index.open(root).context("run the engine in steps", max_tokens=budget).hits
    spent = estimate_tokens("\n\n".join(piece.text for piece in pieces))
    assert spent <= sum(piece.tokens for piece in pieces) <= budget
    assert sum(piece.tokens for piece in pieces) >= least * budget


def test_a_context_of_short_pieces_asks_for_as_many_as_fit(root: Path) -> None:
    pieces = Index.open(root).context("entry of the ledger", max_tokens=4_000, glob="lib/short.py", mode="lexical").hits
    assert 3_600 <= sum(piece.tokens for piece in pieces) <= 4_000


def test_a_window_of_a_class_names_lines_that_it_shows(root: Path) -> None:
    pieces = Index.open(root).context("option_55", max_tokens=200, glob="lib/gaps.py", mode="lexical").hits
    piece = next(piece for piece in pieces if "option_55 = " in piece.text)
    line = 1 + _GAPS.split("\n").index('    option_55 = "value 55"')
    assert piece.start_line <= line <= piece.end_line


def test_a_context_that_may_hold_all_holds_each_line_once(root: Path) -> None:
    pieces = Index.open(root).context("run the engine in steps", max_tokens=50_000).hits
    text = "\n".join(piece.text for piece in pieces)
    for number in range(120):
        assert text.count(f"self.step_{number}(") == 1
    assert len({(piece.file_path, piece.start_line) for piece in pieces}) == len(pieces)


def test_what_finds_no_room_has_its_place_and_name(root: Path) -> None:
    write_files(root, {f"lib/engine_{number}.py": _LONG.replace("step_", f"step_{number}_") for number in range(40)})
    index_repository(root)
    pieces = Index.open(root).context("run the engine in steps", max_tokens=1_500, glob="lib/").hits
    places = [piece for piece in pieces if "\n" not in piece.text]
    shown = {piece.file_path for piece in pieces if piece not in places}
    assert places
    assert not shown & {piece.file_path for piece in places}
    for piece in places:
        assert piece.text == f"{piece.file_path}:{piece.start_line}-{piece.end_line} {piece.qualified_name}".rstrip()


def test_a_piece_stands_below_what_encloses_it(root: Path) -> None:
    pieces = Index.open(root).context("increment by step", max_tokens=2_000, glob="app/", mode="lexical").hits
    lines = pieces[0].text.splitlines()
    assert lines[0] == f"app/greeting.py:{pieces[0].start_line}-{pieces[0].end_line}"
    assert "class Counter:" in pieces[0].text
    cut = Index.open(root).context("step_90", max_tokens=200, glob="lib/engine.py").hits
    text = "\n".join(piece.text for piece in cut)
    assert 0 < text.index("class Engine:") < text.index("def run(self, steps: int)") < text.index("self.step_90(")


@pytest.mark.parametrize("budget", [0, -1, LEAST_TOKENS - 1, 10**9])
def test_a_budget_out_of_bounds_is_refused(root: Path, budget: int) -> None:
    with pytest.raises(UsageError, match="max_tokens is"):
        Index.open(root).context("engine", max_tokens=budget)


def test_only_what_changed_since_a_commit_is_found(root: Path) -> None:
    index = Index.open(root)
    assert index.search("time", changed_since="HEAD") == []
    assert index.why_nothing_matches(changed_since="HEAD") == ["No file differs from that commit."]
    (root / "lib" / "time.py").write_text("#\n" + _COPY)
    write_files(root, {"untracked.py": "def parse_time(): ...\n"})
    assert {hit.file_path for hit in index.search("parse time", changed_since="v1")} == {"lib/time.py"}
    index_repository(root)
    found = {hit.file_path for hit in index.search("parse time duration", changed_since="v1")}
    assert found == {"lib/time.py", "untracked.py"}
    with pytest.raises(UsageError, match="names no commit"):
        index.ask("time", changed_since="nope")


def test_several_indexes_are_one_ranking_that_names_repositories(root: Path, made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_files(other, {"billing/invoice.py": "def send_invoice(customer: str) -> None:\n    print(customer)\n"})
    index_repository(other)
    both = Indexes.open([root, other, root])
    assert len(both.members) == 2
    answer = both.ask("send an invoice to a customer")
    assert (answer.hits[0].repository, answer.hits[0].file_path) == (str(other), "billing/invoice.py")
    assert [one.repository for one in answer.freshness] == [str(root), str(other)]
    assert [hit.score for hit in answer.hits] == sorted((hit.score for hit in answer.hits), reverse=True)
    greet = both.ask("greet", explain=True).hits[0]
    assert (greet.repository, greet.qualified_name) == (str(root), "greet")
    assert greet.explanation
    for mode in ("semantic", "lexical"):
        assert both.ask("send invoice", mode=mode).hits[0].repository == str(other)
    pieces = both.context("send an invoice", max_tokens=500).hits
    assert pieces[0].text.startswith(f"{other}/billing/invoice.py:1-2\n")


def test_two_checkouts_of_one_repository_keep_their_hits_apart(root: Path, made: Path) -> None:
    answer = Indexes.open([root, made]).ask("increment", mode="lexical")
    found = [(hit.repository, hit.file_path) for hit in answer.hits if hit.qualified_name == "Counter.increment"]
    assert sorted(found) == sorted([(str(root), "app/greeting.py"), (str(made), "app/greeting.py")])
    folded = Indexes.open([root, made]).ask("Counter.increment").hits[0]
    assert any(place.endswith("/app/greeting.py:15") for place in folded.copies)


def test_indexes_of_different_models_are_asked_each_by_its_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    write_files(other, {"billing/invoice.py": "def send_invoice(customer: str) -> None:\n    print(customer)\n"})
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "source")
    index_repository(other)
    monkeypatch.delenv("CODE_INDEX_TEXT_RECIPE")
    both = Indexes.open([root, other])
    assert both.ask("send an invoice to a customer").hits[0].repository == str(other)
    with pytest.raises(UsageError, match="are of different models"):
        both.ask("send an invoice", mode="semantic")


def test_all_indexes_of_a_deployment_are_asked(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="CODE_INDEX_DEPLOYMENT is not set"):
        Indexes.deployed()
    (tmp_path / "deployment.toml").write_text(
        f'[indexes.one]\nrepository = "{root}"\n[indexes.never_made]\nrepository = "{tmp_path / "other"}"\n'
        f'[indexes.again]\nrepository = "{root}"\nindex_dir = "{tmp_path / "again"}"\n'
    )
    monkeypatch.setenv("CODE_INDEX_DEPLOYMENT", str(tmp_path / "deployment.toml"))
    answer = Indexes.deployed().ask("greet", limit=1)
    assert answer.hits[0].qualified_name == "greet"
    assert [note.partition(" was not asked: There is no index")[0] for note in answer.notes] == [
        str(tmp_path / "other"),
        str(root),
    ]


def test_the_commands_print_what_the_library_answers(root: Path, command_line: Run) -> None:
    (root / "lib" / "time.py").write_text("#\n" + _COPY)
    done = command_line("search", "parse duration", "--glob", "lib/", cwd=root)
    assert "lib/time.py:2  parse_duration" in done.stdout
    assert "[moved since it was indexed]" in done.stdout
    assert "Newer than the index: lib/time.py." in done.stderr
    with at_a_terminal("search", "parse duration", "--glob", "lib/", cwd=root) as (process, terminal):
        told = said_until(terminal, "up to date.")
        assert process.communicate(timeout=PATIENCE_S)[0] == done.stdout
    assert f"Index of {root}, commit {git(root, 'rev-parse', 'HEAD')[:10]}, scanned " in told
    (root / "lib" / "time.py").write_text(_COPY)
    assert command_line("search", "greet", "--mode", "lexical", cwd=root).stderr == "", "nothing is amiss"
    (root / "lib" / "time.py").write_text("#\n" + _COPY)
    done = command_line("related", "time.py:4", "-n", "1", cwd=root / "lib")
    assert "old/time.py:1  parse_duration  (function, python)  0.99" in done.stdout
    assert "  copy\n" in done.stdout
    done = command_line("context", "parse", "duration", "--max-tokens", "200", cwd=root)
    assert "def parse_duration(text: str) -> int:" in done.stdout
    done = command_line("search", "x", "--changed-since", "nope", cwd=root, check=2)
    assert "'nope' names no commit" in done.stderr
    done = command_line("search", "x", "--repo", root, "--path", root, check=2)
    assert "--repo and --path name different indexes" in done.stderr
    for place in ("lib/time.py", "lib/time.py:" + "9" * 5_000):
        assert "names no line" in command_line("related", place, cwd=root, check=2).stderr


@pytest.mark.parametrize(
    "arguments", [["search", "greet"], ["related", "lib/time.py:3"], ["context", "greet", "--max-tokens", "200"]]
)
def test_json_is_the_same_envelope_everywhere(root: Path, command_line: Run, arguments: list[str]) -> None:
    said = json.loads(command_line(*arguments, "--json", cwd=root).stdout)
    assert set(said) == {
        "format", "version", "repository", "commit", "age_s", "vectors_share", "newer_files", "indexes", "notes", "hits",
    }  # fmt: skip
    assert (said["format"], said["repository"], said["vectors_share"]) == (1, str(root), 1.0)
    assert said["hits"][0]["state"] == "current"
    single = said["indexes"][0]
    assert {name: said[name] for name in ("repository", "commit", "age_s")} == {
        name: single[name] for name in ("repository", "commit", "age_s")
    }


def test_an_answer_is_plain_data(root: Path) -> None:
    answer = Index.open(root).ask("greet", limit=1)
    assert json.loads(json.dumps(answer.envelope()))["hits"][0]["content"] == answer.hits[0].content
    assert replace(answer, hits=()).envelope()["hits"] == []
