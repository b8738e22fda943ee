"""What is left out, in words."""

from __future__ import annotations

import pytest

from code_index.index.skipped import counted, skipped_in_words, why_nothing_is_indexed


def test_reasons_are_counted_by_category_and_the_rule_that_hides_most_is_named():
    reasons = ["ignored: .gitignore:3 *.log"] * 3 + ["ignored: sub/.gitignore:1 x", "binary: .png", "empty", None]
    counts = counted([*reasons, "version control: .git", "index folder: code-index's own files"])
    assert counts == {"ignored by .gitignore:3 *.log": 3, "ignored": 1, "binary": 1, "empty": 1}
    assert skipped_in_words(counts) == (
        "6 files and folders: 3 ignored by .gitignore:3 *.log, 1 ignored, 1 binary, 1 empty"
    )


def test_no_rule_is_named_where_none_hides_most():
    assert counted([f"ignored: .gitignore:{line} x{line}" for line in range(3)]) == {"ignored": 3}


def test_a_bare_repository_and_another_working_tree_are_counted():
    reasons = ["version control: bare repository", "version control: another working tree of this repository"]
    assert counted(reasons) == {"version control": 2}


def test_nothing_skipped_says_nothing():
    assert skipped_in_words({}) == ""
    assert skipped_in_words({"binary": 1}) == "1 file or folder: 1 binary"


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["ignored: ../.gitignore:1 /project/*"], ["../.gitignore:1 /project/*", "use_gitignore", "git add --force"]),
        (["ignored: .git/info/exclude:1 *"], [".git/info/exclude:1 *", "use_gitignore"]),
        (["ignored: .codeindexignore:2 *"], ["Change the rule .codeindexignore:2 *."]),
        (["ignored: settings:1 *"], ["Change the rule settings:1 *."]),
        (["binary: .png", "binary: .gif"], ["2 binary"]),
        ([], ["there is none"]),
    ],
)
def test_an_index_without_files_says_why_and_what_to_do(reasons, said):
    text = why_nothing_is_indexed(counted(reasons))
    assert text.startswith("No file is indexed: ")
    for part in said:
        assert part in text
