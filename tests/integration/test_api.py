"""The index in one call: what is stored, what is refused, and the example of the module as it is written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from code_index import Index
from code_index.core.content_kinds import content_kind
from code_index.core.errors import ModelError, RepositoryError, UsageError
from code_index.embedding.loader import query_embedder
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, table_upkeep
from code_index.tables.search_rows import SearchRows
from code_index.tables.sql import equals
from indexing_assets import AddedCounts, GivenChunk, add_chunks, index_repository
from indexing_assets.operations import api

_GIVEN = [
    GivenChunk("app/greeting.py", 1, 5, "greeting machine", function_name="greet", chunk_type="function"),
    GivenChunk("app/greeting.py", 6, 9, "counting machine"),
]


@pytest.fixture
def repository(small_repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return small_repository


def store_of(repository: Path) -> IndexStore:
    return IndexStore(resolve_index_folder(repository).tables_dir)


def _contents(store: IndexStore, path: str) -> list[str]:
    rows = store.chunks.read(["content", "start_line"], equals("file_path", path))
    return rows.sort_by("start_line")["content"].to_pylist()


def encoder_of(repository: Path):
    return query_embedder(resolve_index_folder(repository).settings().embedder)


def test_one_call_indexes_a_folder_and_counts_what_is_there(repository: Path) -> None:
    first = index_repository(repository)
    assert first.files == first.parsed_files == 4
    assert first.chunks == first.vectors == store_of(repository).chunks.count()
    assert (first.failed_files, first.failed_chunks) == (0, 0)
    again = index_repository(repository)
    assert (again.parsed_files, again.embedded_batches, again.chunks) == (0, 0, first.chunks)


def test_given_chunks_replace_those_of_their_files_and_are_embedded(repository: Path) -> None:
    index_repository(repository)
    added = add_chunks(repository, _GIVEN)
    assert added == AddedCounts(files=1, chunks=2, given_vectors=0, embedded=2, failed=0)
    store = store_of(repository)
    assert _contents(store, "app/greeting.py") == [chunk.content for chunk in _GIVEN]
    assert search(store, encoder_of(repository), "counting machine", limit=1)[0].start_line == 6
    assert index_repository(repository).parsed_files == 0


def test_the_words_of_many_given_chunks_are_in_the_word_index(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_upkeep, "MOST_OUTSIDE_WORD_INDEX", 1)
    monkeypatch.setattr(table_upkeep, "_TEXTS_OUTSIDE_INDEX", 1)
    index_repository(repository)
    add_chunks(repository, _GIVEN)
    assert store_of(repository).upkeep.unindexed_rows("chunks", "search_text") == 0


def test_given_vectors_are_stored_at_unit_length_and_the_missing_ones_made(repository: Path) -> None:
    vectors = np.full((2, 64), 3.0, np.float32)
    vectors[1] = np.nan
    added = add_chunks(repository, _GIVEN, vectors=vectors)
    assert (added.given_vectors, added.embedded) == (1, 1)
    stored = store_of(repository).vectors.read(["vector", "start_line"], "start_line = 1").to_pylist()
    assert np.allclose(stored[0]["vector"], 1 / 8)
    counts = index_repository(repository)
    assert counts.parsed_files == 3  # the others
    assert counts.vectors == counts.chunks


def test_an_edit_takes_the_file_back_to_the_chunker(
    repository: Path, write: Callable[[Path, Mapping[str, str]], None]
) -> None:
    add_chunks(repository, _GIVEN)
    write(repository, {"app/greeting.py": "def other():\n    return 1\n"})
    index_repository(repository)
    contents = _contents(store_of(repository), "app/greeting.py")
    assert contents == ["def other():\n    return 1"] or "other" in contents[0]


@pytest.mark.parametrize(
    ("chunks", "vectors", "match"),
    [
        ([], None, "No chunks"),
        ([GivenChunk("nowhere.py", 1, 1, "x")], None, r"nowhere\.py \(no such file\)"),
        ([GivenChunk("app/greeting.py", 0, 1, "x")], None, "lines from 1 on"),
        ([GivenChunk("app/greeting.py", 1, 1, "")], None, "needs content"),
        ([GivenChunk("app/greeting.py", 1, 1, "x", chunk_type="thing")], None, "chunk_type 'thing'"),
        (_GIVEN, np.ones((2, 3)), r"shape \(2, 3\).*\(2, 64\)"),
        (_GIVEN, np.zeros((2, 64)), "zero or infinite"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_stored(repository: Path, chunks, vectors, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        add_chunks(repository, chunks, vectors=vectors)
    assert store_of(repository).chunks.count() == 0


def test_a_missing_repository_or_model_is_an_error_of_its_own(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RepositoryError):
        index_repository(repository / "nowhere")
    monkeypatch.setenv("CODE_INDEX_MODEL", str(repository / "no-model"))
    with pytest.raises(ModelError):
        index_repository(repository)
    assert store_of(repository).chunks.count() == 0


def test_the_example_runs_as_it_is_written(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "notes.txt").write_text("how the\nparser works\n")
    example = textwrap.dedent("\n".join(re.findall(r"^    .*$", api.__doc__ or "", re.MULTILINE)))
    assert "add_chunks(" in example
    exec(compile(example.replace("/path/to/repository", str(repository)), "example", "exec"), {})
    assert capsys.readouterr().out.split()[0] == "5"
    hits = search(store_of(repository), None, "parser works", mode=SearchMode.LEXICAL, limit=1)
    assert hits[0].content == "how the parser works"


@pytest.fixture
def varied(repository: Path, write: Callable[[Path, Mapping[str, str]], None]) -> Index:
    helper = "def shout(text):\n    loud = text.upper()\n    return loud + '!'\n"
    write(
        repository,
        {
            "one/voice.py": helper,
            "two/voice.py": helper,
            "tests/test_voice.py": "def test_shout():\n    assert shout('a') == 'A!'\n",
            "docs/voice.md": "# Voice\n\nUse shout to make a text loud.\n",
            "voice.json": '{"shout": "loud text"}\n',
            "voice.pyi": "def shout(text: str) -> str: ...\n",
        },
    )
    index_repository(repository)
    return Index.open(repository)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("docs", "docs/voice.md"),
        ("tests", "tests/test_voice.py"),
        ("config", "voice.json"),
        ("code", "one/voice.py"),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
def test_a_kind_of_content_narrows_a_search(varied: Index, content: str, path: str, mode: str) -> None:
    kinds = {content_kind(hit.file_path, hit.language) for hit in varied.search("shout", content=content, mode=mode)}
    assert kinds == {content}
    found = varied.search("shout", content=content, mode=mode)
    assert path in {place.partition(":")[0] for hit in found for place in (hit.file_path, *hit.copies)}


def test_an_unknown_kind_of_content_is_refused(varied: Index) -> None:
    with pytest.raises(UsageError, match="not one of all, code, docs, config, tests"):
        varied.search("shout", content="prose")
    with pytest.raises(UsageError, match="per_file is 0"):
        varied.search("shout", per_file=0)


def test_a_name_finds_its_definition_first_and_equal_ones_once(varied: Index) -> None:
    first, *others = varied.search("shout", explain=True)
    assert {f"{first.file_path}:{first.start_line}", *first.copies} == {"one/voice.py:1", "two/voice.py:1"}
    assert first.explanation is not None
    assert first.explanation["chunk: defines"] > 0
    assert not {"one/voice.py", "two/voice.py"} & {hit.file_path for hit in others}
    assert all(hit.explanation is None for hit in varied.search("shout"))


def test_contents_are_read_once_although_the_best_hits_are_copies(
    varied: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    details = SearchRows.details

    def counted(self: SearchRows, chunk_ids: Sequence[str], *rest: Sequence[str]) -> object:
        reads.append(len(chunk_ids))
        return details(self, chunk_ids, *rest)

    monkeypatch.setattr(SearchRows, "details", counted)
    hits = varied.search("shout", limit=2)
    assert [len(hit.copies) for hit in hits] == [1, 0]
    assert reads == [4], "both, the stub of the same name, and one of another"


def test_a_definition_is_found_where_neither_list_has_it(varied: Index) -> None:
    store = varied.store
    names = ("chunk_id", "file_path", "function_name")
    found = store.search.start_definitions("shout", where="file_path = 'voice.pyi'", columns=names).result()
    assert found.select(["file_path", "function_name"]).to_pylist() == [
        {"file_path": "voice.pyi", "function_name": "shout"}
    ]
    assert store.search.start_definitions("Shout", columns=names).result().num_rows == 0
