"""One repository of everything hostile, through the command line and the whole pipeline.

Each test is a claim about what an index of it holds. Files, and what is expected of each: `hostile.py`.
"""

from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster._core.definitions.partitions.utils import raise_error_on_invalid_partition_key_substring

from code_index.chunking.encoding import decode
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.folder import resolve_index_folder
from code_index.parsing import parser_pool
from code_index.repository import source_repository
from code_index.repository import walk as source_walk
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, SearchFilter
from indexing_assets.operations.pipeline import Pipeline
from tests.faults.harness import Said, findings
from tests.faults.hostile import ODD_NAMES, SETTINGS, Hostile, marked, write_hostile_repository
from tests.waiting import PATIENCE_S

_ROOT = Path(__file__).parents[2]
# What a file of the folder `content` can be found by.
_WORDS = {
    "zebra": {"utf8_bom", "utf16_le", "utf16_be", "utf16_odd", "utf32", "bad_utf8", "crlf", "cr"},
    "café": {"cp1252"},
    "okapi": {"late_null"},
    "bongo": {"escapes"},
}


def code_index(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CODE_INDEX", "DAGSTER"))}
    return subprocess.run(
        [sys.executable, "-m", "indexing_assets.cli.main", *map(str, arguments)],
        env=environment | SETTINGS | {"HOME": str(home)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    place = tmp_path_factory.mktemp("hostile")
    written = write_hostile_repository(place / "repository")
    done = code_index("index", written.root, home=place)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Traceback" not in done.stderr
    yield written
    subprocess.run(["rm", "-rf", written.root], check=True)  # shutil cannot reach what lies beyond the longest path


@pytest.fixture
def store(hostile: Hostile) -> IndexStore:
    return IndexStore(resolve_index_folder(hostile.root).tables_dir)


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def files(store: IndexStore) -> dict[str, dict[str, Any]]:
    return {row["file_path"]: row for row in store.files.read().to_pylist()}


def assert_lossless(store: IndexStore, content: dict[str, bytes]) -> None:
    """Every character of each file that is not blank is in one of its chunks."""
    kept: dict[str, Counter[str]] = defaultdict(Counter)
    for row in store.chunks.read(["file_path", "content"]).to_pylist():
        kept[row["file_path"]].update("".join(row["content"].split()))
    for path, data in content.items():
        assert kept[path] == Counter("".join(decode(data).text.decode().split())), path


def test_every_file_of_text_is_indexed_whatever_its_name_or_content(hostile: Hostile, store: IndexStore) -> None:
    parsed = {path for path, row in files(store).items() if row["status"] == "parsed"}
    assert parsed == set(hostile.content)
    assert_lossless(store, hostile.content)


def test_what_is_no_text_or_no_file_is_left_out_with_its_reason(hostile: Hostile, store: IndexStore) -> None:
    skipped = {path: row["reason"] for path, row in files(store).items() if row["status"] == "skipped"}
    assert {path: skipped.get(path, "") for path in hostile.skipped if not skipped.get(path, "").startswith(hostile.skipped[path])} == {}  # fmt: skip
    others = set(skipped) - set(hostile.skipped) - {".code-index/"}
    # The folder whose path is longer than the system takes.
    assert [skipped[path] for path in others] == ["unreadable: File name too long"]


def test_the_records_agree_and_every_check_of_doctor_passes(hostile: Hostile, deterministic: None) -> None:
    assert findings(hostile.root, {}) == []


def test_every_file_has_a_partition_of_its_own_that_dagster_takes(
    hostile: Hostile, store: IndexStore, deterministic: None
) -> None:
    keys = [row["partition_key"] for row in files(store).values() if row["status"] == "parsed"]
    assert len(set(keys)) == len(hostile.content)
    raise_error_on_invalid_partition_key_substring(keys)
    with Pipeline(resolve_index_folder(hostile.root)) as pipeline:
        assert set(pipeline.instance.get_dynamic_partitions("file_hash")) == set(keys)


def test_a_file_of_any_name_is_found_by_what_is_in_it(store: IndexStore) -> None:
    for number, name in enumerate(ODD_NAMES):
        [hit] = search(store, None, f"quagga{number}", mode=SearchMode.LEXICAL)
        assert (hit.file_path, hit.content) == (f"names/{name}", marked(number).decode().strip())
        # The embedder of the tests takes all of these words for nearly the same: no place is claimed.
        hits = search(store, DeterministicEmbedder(), f"quagga{number}", limit=300)
        assert f"names/{name}" in {hit.file_path for hit in hits}


def test_a_glob_that_names_a_file_finds_that_file_alone(store: IndexStore) -> None:
    for number, name in enumerate(ODD_NAMES):
        path = f"names/{name}"
        for pattern in {glob.escape(path), path if not set(path) & set("*?[") else glob.escape(path)}:
            for mode in SearchMode:
                hits = search(
                    store,
                    DeterministicEmbedder(),
                    f"quagga{number}",
                    mode=mode,
                    filters=SearchFilter(path_glob=pattern),
                )
                assert {hit.file_path for hit in hits} == {path}, (pattern, mode)


def test_text_of_any_encoding_is_found_by_its_words(store: IndexStore) -> None:
    for word, names in _WORDS.items():
        hits = search(store, None, word, mode=SearchMode.LEXICAL, limit=50)
        assert {Path(hit.file_path).stem for hit in hits} == names, word


def test_names_that_differ_by_case_alone_or_by_their_unicode_form_are_files_of_their_own(store: IndexStore) -> None:
    paths = set(files(store))
    for group in (("README.TXT", "readme.txt", "Readme.txt"), ("ü.py", "u\u0308.py"), ("DIR/x.py", "dir/x.py")):
        assert {f"names/{name}" for name in group} <= paths


def test_lines_are_counted_as_an_editor_counts_them_whatever_ends_them(store: IndexStore) -> None:
    rows = pl.DataFrame(store.chunks.read(["file_path", "start_line", "end_line", "qualified_name"]))
    for name in ("utf8_bom", "utf16_le", "utf16_be", "crlf", "cr"):
        [row] = rows.filter(pl.col("file_path") == f"content/{name}.py").to_dicts()
        assert (row["qualified_name"], row["start_line"], row["end_line"]) == ("zebra", 1, 2), name


def test_a_second_index_parses_nothing_again(hostile: Hostile, tmp_path: Path) -> None:
    done = code_index("index", hostile.root, home=tmp_path)
    assert done.returncode == 0
    assert "Parsing: nothing changed." in done.stdout
    assert "Embedding: nothing is missing." in done.stdout


def test_no_command_sends_a_control_character_to_the_terminal(
    hostile: Hostile, deterministic: None, said: Callable[..., Said]
) -> None:
    numbers = [number for number, name in enumerate(ODD_NAMES) if not name.isprintable()]
    commands = [["status", hostile.root, "--skipped"], ["status", hostile.root], ["doctor", hostile.root]]
    queries = [*(f"quagga{number}" for number in numbers), "bongo"]
    commands += [["search", query, "-C", hostile.root, "--mode", "lexical"] for query in queries]
    for command in commands:
        done = said(*command)
        assert done.status == 0, (command, done)
        raw = {character for character in done.out + done.err if not character.isprintable()} - {"\n", "\t"}
        assert raw == set(), command


def test_json_holds_the_names_as_they_are(hostile: Hostile, deterministic: None, said: Callable[..., Said]) -> None:
    number = ODD_NAMES.index("\x1b[31mred.py")
    done = said("search", f"quagga{number}", "-C", hostile.root, "--json", "-n", 1, "--mode", "lexical")
    assert json.loads(done.out)["hits"][0]["file_path"] == "names/\x1b[31mred.py"
    assert "\x1b" not in done.out


def write(root: Path, contents: dict[str, bytes]) -> None:
    for number, (path, content) in enumerate(contents.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        os.utime(root / path, (1_600_000_000 + number, 1_600_000_000))


def run_all(pipeline: Pipeline) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3


def test_a_file_that_becomes_a_folder_a_pipe_a_link_or_binary_leaves_the_right_rows(
    tmp_path: Path, deterministic: None
) -> None:
    root = tmp_path / "repository"
    write(root, {"swap.py": marked(1), "other/a.py": marked(2), "other/b/c.py": marked(3), "stays.py": marked(4)})
    write(root, {"pipe.py": marked(8), "link.py": marked(9), "binary.py": marked(10)})
    with Pipeline(resolve_index_folder(root)) as pipeline:
        run_all(pipeline)
        (root / "swap.py").unlink()
        write(root, {"swap.py/inner.py": marked(5), "swap.py/swap.py": marked(6)})
        subprocess.run(["rm", "-r", root / "other"], check=True)
        write(root, {"other": marked(7)})
        for name in ("pipe.py", "link.py"):
            (root / name).unlink()
        os.mkfifo(root / "pipe.py")
        (root / "link.py").symlink_to("stays.py")
        (root / "binary.py").write_bytes(b"\x00\x01")
        run_all(pipeline)
        now = {"swap.py/inner.py": marked(5), "swap.py/swap.py": marked(6), "other": marked(7), "stays.py": marked(4)}
        assert_lossless(pipeline.store, now)
        for table in (pipeline.store.chunks, pipeline.store.vectors):
            assert set(table.read(["file_path"])["file_path"].to_pylist()) == set(now)
    assert findings(root, {}) == []


class _Refusing:
    """A call of the system that is refused below a path (tests may run as root, whom no permission stops)."""

    def __init__(self, call: Any, path: Path) -> None:
        self._call, self._path = call, str(path)

    def __call__(self, path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith(self._path):
            raise PermissionError(13, "Permission denied", str(path))
        return self._call(path, *arguments, **options)


def test_what_may_not_be_read_is_named_keeps_its_rows_and_costs_nothing_else(
    tmp_path: Path, deterministic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "repository"
    write(root, {"locked/a.py": marked(1), "closed.py": marked(2), "open.py": marked(3)})
    with Pipeline(resolve_index_folder(root)) as pipeline:
        run_all(pipeline)
        monkeypatch.setattr(source_walk.os, "scandir", _Refusing(os.scandir, root / "locked"))
        monkeypatch.setattr(source_repository.os, "open", _Refusing(os.open, root / "closed.py"))
        write(root, {"new.py": marked(4), "closed.py": marked(2) + b"\n# longer\n", "locked/never.py": marked(5)})
        run_all(pipeline)
        found = {hit.file_path for hit in search(pipeline.store, DeterministicEmbedder(), "quagga1 quagga2 quagga4")}
        assert {"locked/a.py", "closed.py", "new.py", "open.py"} <= found
        assert files(pipeline.store)["locked/"]["reason"] == "unreadable: Permission denied"
        monkeypatch.undo()
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        run_all(pipeline)
        assert "locked/never.py" in files(pipeline.store)
        assert "locked/" not in files(pipeline.store)
    assert findings(root, {}) == []


# A parser process in which some files never end, others crash it, and others need all memory; as text none does.
_FAULTY_WORKER = """
import os, sys
sys.path.append(sys.argv[2])
from code_index.parsing import parser_worker as worker
chunk_file = worker.chunk_file
def faulty(content, *, file_path, as_text=False, **options):
    if file_path == "loops.py" and not as_text:
        while True:
            pass
    if file_path == "crashes.py":
        os.kill(os.getpid(), 11)
    if file_path == "eats.py":
        grown = [bytearray(16 << 20) for _ in range(1 << 20)]
    return chunk_file(content, file_path=file_path, as_text=as_text, **options)
worker.chunk_file = faulty
worker.main()
"""


def test_a_grammar_that_loops_crashes_or_eats_all_memory_costs_its_file_alone(
    tmp_path: Path, deterministic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "repository"
    bad = {"loops.py": marked(1), "crashes.py": marked(2), "eats.py": marked(3)}
    good = {f"good{number}.py": marked(10 + number) for number in range(40)}
    write(root, bad | good)
    monkeypatch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(256 << 20))
    with monkeypatch.context() as faulty, Pipeline(resolve_index_folder(root)) as pipeline:
        faulty.setattr(parser_pool, "_WORKER", _FAULTY_WORKER)
        assert pipeline.scan().error is None
        result = pipeline.parse()
        assert result.partial
        assert pipeline.embed().error is None
        rows = files(pipeline.store)
        failed = {path: row["reason"] for path, row in rows.items() if row["status"] == "error"}
        assert set(failed) == {"crashes.py", "eats.py"}
        assert "SIGSEGV" in failed["crashes.py"]
        assert "parse_memory_bytes" in failed["eats.py"]
        assert rows["loops.py"]["reason"].startswith("cut as plain text: its grammar took longer")
        assert_lossless(pipeline.store, good | {"loops.py": bad["loops.py"]})
        assert search(pipeline.store, None, "quagga1", mode=SearchMode.LEXICAL)[0].file_path == "loops.py"
    with Pipeline(resolve_index_folder(root)) as repaired:
        assert repaired.parse(retry_failed=True).partitions == 2
        assert repaired.embed().error is None
        assert_lossless(repaired.store, good | bad)
    assert findings(root, {}) == []


def test_a_folder_of_twenty_thousand_files_is_scanned_once_and_then_not_read_again(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    folder = os.open(root, os.O_RDONLY)
    for number in range(20_000):
        descriptor = os.open(f"f{number}.py", os.O_CREAT | os.O_WRONLY, dir_fd=folder)
        os.write(descriptor, b"x = %d\n" % number)
        os.close(descriptor)
        os.utime(f"f{number}.py", (1_600_000_000, 1_600_000_000), dir_fd=folder)
    os.close(folder)
    repository = source_repository.SourceRepository(root)
    first = repository.scan({})
    assert (len(first.files), first.read_count) == (20_000, 20_000)
    again = repository.scan({file.file_path: file for file in first.files})
    assert (len(again.files), again.read_count) == (20_000, 0)
