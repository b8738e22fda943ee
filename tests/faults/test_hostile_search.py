"""Search with input that tries to break it: queries, filters, paths, and what is shown of the answers."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from code_index.core.errors import UsageError
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, SearchFilter
from code_index.tables.search_rows import SearchRows
from indexing_assets.operations.pipeline import Pipeline
from tests.faults.harness import Said
from tests.waiting import PATIENCE_S, started

_FILES = {
    "src/greet.py": b"class Greeter:\n    def greet(self, name):\n        return name\n",
    "src/it's.py": b"def quoted():\n    return 'it''s'\n",
    "web/package.json": b'{"name": "storefront"}\n',
    "web/app.ts": b"export function greetUser(id: number) { return id }\n",
    "evil/\x1b[31mred\x9b.py": (
        b'def bongo():\n    return "\x1b[2J\x1b]0;title\a \xc2\x9b31m \xe2\x80\xae"  # \xe2\x80\xa8\xf0\x9f\x91\xa9\xe2\x80\x8d\t.\n'
    ),
}
_QUERY = "greet quoted bongo user name return"
_VALUES = (
    *(
        "'",
        "''",
        '"',
        "' OR 1=1 --",
        "' OR '1'='1",
        "') OR (1=1",
        "x' UNION SELECT * FROM chunks --",
        "'; DROP TABLE x",
    ),
    *(
        "%",
        "_",
        "%%%",
        "\\",
        "\\'",
        "\n",
        "greet\n",
        "\t",
        "\r",
        "\x00",
        "greet\x00",
        "\x1b[2J",
        "\x7f",
        "\u2028",
        "😀",
    ),
    *(
        "--",
        "/*",
        "*/",
        ";",
        "`",
        "$1",
        "?1",
        ":x",
        "{}",
        "NULL",
        "true",
        "1",
        "a" * 1_000_000,
        "'" * 200_000,
        "é" * 9_000,
    ),
)
_GLOBS = (
    *("*'", "*' OR '1'='1*", "[", "]", "[!", "[a", "[]", "[!]", "[]]", "[z-a]", "[[:alpha:]]", "[&&x]", "[~~]"),
    *(
        "(",
        ")",
        "+",
        "{src,web}'",
        "{,}",
        "{a,'",
        "[a-\\*]",
        "\\d*",
        "\\*",
        "(?i)SRC/*",
        "*\x00",
        "*\n",
        "../*",
        "/etc/*",
        "[\x00]*",
        "(?s).*?",
    ),
    *("?" * 5_000, "[!a]*" * 1_000, "[^'é😀]*" * 500, "a" * 5_000 + "*", "**/x" * 1_000, "src/" * 2_000 + "*"),
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FIELDS = ("languages", "chunk_types", "function_name", "class_name", "subproject", "path_glob")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("search") / "repository"
    for path, content in _FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        patch.setenv("CODE_INDEX_PARSE_WORKERS", "1")
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return root


@pytest.fixture
def store(root: Path, monkeypatch: pytest.MonkeyPatch) -> IndexStore:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    return IndexStore(resolve_index_folder(root).tables_dir)


def found(store: IndexStore, query: str, mode: SearchMode, filters: SearchFilter | None = None) -> set[str]:
    hits = search(store, DeterministicEmbedder(), query, mode=mode, filters=filters, limit=100)
    return {hit.file_path for hit in hits}


@pytest.mark.parametrize("mode", SearchMode)
@pytest.mark.parametrize("field", _FIELDS)
def test_no_value_of_a_filter_finds_more_than_it_names_or_is_an_error(
    store: IndexStore, field: str, mode: SearchMode
) -> None:
    assert found(store, _QUERY, mode) >= {"src/greet.py", "src/it's.py", "web/app.ts"}
    for value in (*_VALUES, *(_GLOBS if field == "path_glob" else ())):
        filters = SearchFilter(**{field: (value,) if field in {"languages", "chunk_types"} else value})
        everything = field == "path_glob" and value in {"*/", "/*"}  # as people write them: anything
        assert found(store, _QUERY, mode, filters) <= (set(_FILES) if everything else set()), value[:50]


@pytest.mark.parametrize("mode", SearchMode)
def test_a_quote_in_a_filter_is_a_character_of_the_name(store: IndexStore, mode: SearchMode) -> None:
    for pattern in ("src/it's.py", "src/it'*", "*'s.py", "src/it['x]s.py", "**/it's.py"):
        assert found(store, _QUERY, mode, SearchFilter(path_glob=pattern)) == {"src/it's.py"}, pattern


@pytest.mark.parametrize("field", _FIELDS)
def test_a_filter_that_is_no_text_is_refused_by_its_value(store: IndexStore, field: str) -> None:
    filters = SearchFilter(**{field: ("\udcff",) if field in {"languages", "chunk_types"} else "\udcff"})
    with pytest.raises(UsageError, match=r"'\\udcff' is not valid UTF-8"):
        search(store, None, "x", mode=SearchMode.LEXICAL, filters=filters)


@pytest.mark.parametrize("mode", SearchMode)
def test_any_query_that_is_text_has_an_answer(store: IndexStore, mode: SearchMode) -> None:
    queries = (
        *("!!!", "'", '"', "' OR 1=1 --", "%", "_", "*", "\\", "--", "()", "AND", "NOT greet", "greet~2", "greet^3"),
        *(
            "+greet -user",
            "path:greet",
            "greet*",
            '"greet',
            "[a TO z]",
            "\x1b[2J",
            "a\x01b",
            "\x7f",
            "😀",
            "👩\u200d💻",
            "\u202e",
        ),
        *("a" * 1_000_000, "greet " * 200_000, "'" * 20_000, "(" * 20_000, " " * 1_000_000 + "greet"),
        *(" ".join(f"w{number}" for number in range(5_000)), "".join(map(chr, range(0x4E00, 0x7530)))),
        *("greet\x00user", "gr\udcfc\udcdf greet", "\ud800greet"),
    )
    for query in queries:
        paths = found(store, query, mode)
        assert paths <= set(_FILES)
        if "greet" in query[:40] or query.endswith("greet"):
            assert "src/greet.py" in paths, query[:40]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "The query is empty"),
        (" \t\n\u00a0", "The query is empty"),
        ("\x00", "The query is not valid UTF-8"),
        ("\udcff", "The query is not valid UTF-8"),
    ],
)
def test_a_query_without_any_text_is_refused_in_words(
    root: Path, store: IndexStore, said: Callable[..., Said], mode: str, query: str, message: str
) -> None:
    done = said("search", "-C", root, "--mode", mode, "--", query)
    assert done.status == 2
    assert message in done.err
    assert done.out == ""


def test_a_refused_search_ends_after_what_it_began_to_open(
    root: Path, said: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that ends while another thread imports LanceDB aborts.
    opening: Future[None] = Future()
    monkeypatch.setattr(SearchRows, "start_opening", lambda _: opening)
    threading.Timer(0.5, opening.set_result, [None]).start()
    assert said("search", "-C", root, "--mode", "lexical", "--", "\x00").status == 2
    assert opening.done()


def test_bytes_of_the_command_line_that_are_no_utf8_end_in_a_message(root: Path) -> None:
    def run(*arguments: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [os.fsencode(sys.executable), b"-m", b"indexing_assets.cli.main", b"search", b"-C", os.fsencode(root)]
        environment = os.environ | {"CODE_INDEX_MODEL": "deterministic"}
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, timeout=PATIENCE_S, check=False
        )

    refused = run(b"--glob", b"\xff\x1b[2J", b"greet")
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"is not valid UTF-8" in refused.stderr
    assert b"\x1b" not in refused.stderr
    answered = run(b"--json", b"--mode", b"lexical", b"gr\xfc\xdf greet")
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["hits"][0]["file_path"] == "src/greet.py"


def test_a_command_that_ends_amid_its_reading_ends_quietly(root: Path) -> None:
    # LanceDB's own end waits for ever for a query that begins meanwhile, and what still answers aborts.
    # What a command reads in threads that its end does not wait for, it reads as a search does.
    program = """
import sys
from threading import Thread
from code_index import Index
from indexing_assets.cli.main import program
def ask():
    while True:
        index.search("greet", mode="lexical")
index = Index.open(sys.argv[1])
index.search("greet", mode="lexical")
for _ in range(4):
    Thread(target=ask, daemon=True).start()
sys.argv = ["code-index", "--version"]
program()
"""
    for _ in range(5):
        ended = subprocess.run(
            [sys.executable, "-c", program, str(root)], capture_output=True, timeout=PATIENCE_S, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert ended.stdout.startswith(b"code-index")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "x", "-C", "a" * 5_000], "characters, too many"),
        (["search", "x", "-C", "ab/" * 2_000], "characters, too many"),
        (["search", "x", "--index-dir", "a" * 5_000], "characters, too many"),
        (["search", "x", "-C", "' OR 1=1 --"], "is not a folder"),
        (["search", "x", "-C", "\x1b[31m"], "is not a folder"),
        (["search", "x", "-C", "\udcff"], "is not a folder"),
        (["search", "x", "--mode", "\x1b[31m"], "Invalid value for '--mode'"),
        (["search", "x", "--\x1b[31m"], "No such option"),
        (["\x1b[31m"], "No such command"),
        (["status", "\x1b]0;title\a"], "is not a folder"),
        (["status", "--index-dir", "\x1b]0;title\a"], "There is no index at"),
    ],
)
def test_a_hostile_argument_ends_with_2_and_a_message_that_commands_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[..., Said], arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = said(*arguments)
    assert done.status == 2
    assert message in done.err
    assert {character for character in done.out + done.err if not character.isprintable()} <= {"\n"}


def test_a_terminal_gets_colours_and_nothing_else_from_names_and_code(root: Path) -> None:
    ours, theirs = pty.openpty()
    with started(
        *(sys.executable, "-m", "indexing_assets.cli.main", "search", "bongo", "-C", root, "--mode", "lexical"),
        env={**os.environ, "CODE_INDEX_MODEL": "deterministic", "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        data = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            data += part
        os.close(ours)
        assert process.wait(PATIENCE_S) == 0
    shown = data.decode()
    assert "\\x1b[31mred\\x9b.py" in shown
    without_colours = _COLOUR.sub("", shown)
    assert without_colours != shown
    assert r"\x1b[2J\x1b]0;title\x07 \x9b31m \u202e" in without_colours
    # The joiner of emoji is kept: it does no harm, and code in some scripts needs it.
    assert {c for c in without_colours if not c.isprintable()} <= {"\r", "\n", "\t", "\u200d"}


def test_a_repository_whose_path_is_no_utf8_can_be_indexed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[..., Said]
) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff"))
    root.mkdir()
    (root / "a.py").write_text("def okapi():\n    return 1\n")
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    refused = said("index", root)
    assert refused.status == 2
    assert "--index-dir" in refused.err
    elsewhere = tmp_path / "index"
    assert said("index", root, "--index-dir", elsewhere).status == 0
    done = said("search", "okapi", "-C", root, "--index-dir", elsewhere)
    assert "a.py:1" in done.out
