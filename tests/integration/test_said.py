"""What commands say about files that are left out or not understood, and about filters that nothing meets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.exceptions import Exit
from click.testing import CliRunner

from code_index import Index
from indexing_assets.cli import index, status
from tests.checkout import git
from tests.conftest import write_files

_FILES: dict[str, str | bytes] = {
    "shop.py": "class Basket:\n    def total(self):\n        return 1\n\n\ndef open_till():\n    return 2\n",
    "notes.md": "# Notes\n\nA basket of words.\n",
    "a.thrift": "service A { void ping() }\n",
    "b.thrift": "service B { void ping() }\n",
    "latin.c": "// Größe für Übergänge\nint size;\n".encode("latin-1"),
    "declared.py": "# coding: shift_jis\nNAME = '在庫'\n".encode("shift_jis"),
    "picture.png": b"\x89PNG\r\n\x1a\n\0\0",
    "debug.log": "x\n",
    ".gitignore": "*.log\n",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository that was parsed, and what `index` printed."""
    root = tmp_path_factory.mktemp("said")
    write_files(root, _FILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_MODEL", "deterministic")
        done = CliRunner().invoke(index.command, [str(root), "--phase", "parse"], catch_exceptions=False)
    return root, done.output


def _status(root: Path, *arguments: str) -> str:
    return CliRunner().invoke(status.command, [str(root), *arguments], catch_exceptions=False).output


def test_index_ends_with_what_was_skipped_and_why(said: tuple[Path, str]) -> None:
    line = "Skipped: 2 files and folders: 1 binary, 1 ignored by .gitignore:1 *.log; `code-index status --skipped` lists them."
    assert said[1].splitlines()[-2] == line


def test_status_counts_what_has_no_syntax_and_guessed_encodings(
    said: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    figures = json.loads(_status(said[0], "--json"))
    assert figures["without_syntax"]["thrift"] == 2
    assert not {"python", "markdown", "c"} & set(figures["without_syntax"])
    assert figures["guessed_encodings"] == {"windows-1252": 1}
    assert figures["skipped"] == {"binary": 1, "ignored by .gitignore:1 *.log": 1}
    text = _status(said[0])
    assert "2 thrift" in text
    assert "1 windows-1252 (guessed)" in text
    assert "latin.c: declares no encoding; read as windows-1252, a guess" in _status(said[0], "--skipped")


def test_the_encoding_of_each_file_is_recorded(said: tuple[Path, str]) -> None:
    rows = Index.open(said[0]).store.files.read(["file_path", "encoding", "encoding_guessed"]).to_pylist()
    found = {row["file_path"]: (row["encoding"], row["encoding_guessed"]) for row in rows}
    assert found["declared.py"] == ("shift-jis", False)
    assert found["latin.c"] == ("windows-1252", True)
    assert found["shop.py"] == ("utf-8", False)


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        (
            {"function_name": "open_tell"},
            "No function or method of this index is called 'open_tell'. Close to it: open_till.",
        ),
        ({"function_name": "OPEN_TILL"}, "Close to it: open_till."),
        ({"function_name": "Basket.total"}, "Close to it: total."),
        ({"function_name": "Basket"}, "'Basket' is a class, and no function or method: filter by class."),
        ({"class_name": "open_till"}, "'open_till' is a function or method, and no class: filter by function."),
        ({"class_name": "Zebra"}, "No class of this index is called 'Zebra'."),
        ({"language": "go"}, "No chunk of this index meets the filter language go."),
        ({"glob": "lib/**"}, "No chunk of this index meets the filter glob lib/**."),
        (
            {"subproject": "x"},
            "No subproject is known in this index, whose languages are",
        ),
        (
            {"function_name": "total", "language": "markdown"},
            "Some chunks meet each of the filters language and function",
        ),
        ({"function_name": "total"}, "1 chunks meet the filters, but none holds what the query says."),
    ],
)
def test_filters_that_nothing_meets_say_why(said: tuple[Path, str], filters: dict[str, str], reason: str) -> None:
    (found,) = Index.open(said[0]).why_nothing_matches(**filters)
    assert reason in found


def test_a_search_without_filters_has_nothing_to_say(said: tuple[Path, str]) -> None:
    assert Index.open(said[0]).why_nothing_matches() == []


@pytest.mark.parametrize("rule", ["*", "/*", "**"])
def test_a_rule_that_hides_everything_ends_in_a_message_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], rule: str
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    git(tmp_path, "init", "--quiet")
    write_files(tmp_path, {".gitignore": f"{rule}\n", "src/a.py": "x = 1\n"})
    with pytest.raises(Exit) as ended:
        index.run(tmp_path, None, phase="all", force=False, verify=False, wait=True, retry_failed=False)
    assert ended.value.exit_code == 1
    said = "".join(capfd.readouterr())
    assert f".gitignore:1 {rule}" in said
    assert "use_gitignore = false" in said
    assert "nothing changed" not in said
    text = _status(tmp_path)
    assert "No file is indexed" in text
    assert "All is indexed" not in text
    assert not (tmp_path / ".code-index" / "complete.json").exists()
