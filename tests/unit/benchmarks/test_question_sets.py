import subprocess
from pathlib import Path

import pytest

from benchmarks.checkouts import check_out, files_at
from benchmarks.commit_questions import Commit, choose, cleaned, history, make, names_file, questions, tells_something
from benchmarks.documented_code import first_sentence, functions, without_comments
from benchmarks.line_questions import (
    Candidate,
    asked_of_function,
    asked_of_heading,
    asked_of_sentence,
    candidates_of_code,
    candidates_of_documentation,
    pick,
    rows_of,
    sections,
    without_sentences,
)
from benchmarks.question_sets import kind_of, shared_out, spells

_PEOPLE = "Ann <ann@example.org>"


def commit(number: int, subject: str, *paths: str, author: str = _PEOPLE) -> Commit:
    return Commit(f"c{number}", author, subject, tuple(("M", path) for path in paths))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("fix(server): keep idle connections open (#1234)", "keep idle connections open"),
        ("reverseproxy: Retry requests without a body. Fixes #12", "Retry requests without a body"),
        ("[CI] Run the slow tests nightly [ci skip]", "Run the slow tests nightly"),
        ("Read std::path lazily", "Read std::path lazily"),
    ],
)
def test_numbers_tags_and_the_part_before_a_colon_are_cut_from_a_subject(subject, expected):
    assert cleaned(subject) == expected


@pytest.mark.parametrize(
    "subject",
    ["Bump version to 2.1 for release", "Update all of the dependencies", "Fix typo", "Improve caching", "Fix a typo in the parser", "Répare la lecture des fichiers"],
)  # fmt: skip
def test_subjects_without_content_are_no_questions(subject):
    assert not tells_something(subject)


def test_a_subject_names_a_file_in_any_spelling():
    for text in ("Speed up the HTTP client", "Fix HttpClient when closed", "see http_client.py for more"):
        assert names_file(text, "lib/http_client.py") == ("client" in text.lower())
    assert names_file("Improve coverage of queues", "tests/test_queue.py")
    assert not names_file("Keep idle connections open", "src/server.rs")


def test_bots_large_commits_new_files_repeats_and_ubiquitous_files_are_left_out():
    commits = [
        commit(1, "Keep idle connections open", "src/server.rs", "CHANGES.md"),
        commit(2, "Keep the headers of a request", "src/server.rs", author="renovate[bot] <bot@x>"),
        commit(3, "Touch very many places at once", *(f"src/f{n}.rs" for n in range(6))),
        commit(4, "Write metrics to a new place", "src/metrics_new.rs"),
        commit(5, "Keep idle connections open", "src/pool.rs"),
        commit(6, "Close what was picked from another branch", "src/pool.rs"),
        commit(7, "Explain how the limits are counted", "other/quotas.md"),
        *(commit(10 + n, "x", "CHANGES.md") for n in range(30)),
    ]
    present = {"src/server.rs", "src/pool.rs", "CHANGES.md", "other/quotas.md", *(f"src/f{n}.rs" for n in range(6))}
    found = list(questions(commits, present, ["Close what was picked from another branch (#7)"], "src"))
    assert [(one.commit, one.files) for one in found] == [("c1", ("src/server.rs",))]
    everywhere = list(questions(commits, present, [], ""))
    assert [(one.commit, one.kind) for one in everywhere] == [("c1", "code"), ("c6", "code"), ("c7", "docs")]


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clones" / "small"
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    (folder / "server.py").write_text("limit = 1\n")
    (folder / "pool.py").write_text("size = 1\n")
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "Begin with a small program here")
    for number, (name, subject) in enumerate(
        [
            ("server.py", "Count idle connections twice"),
            ("pool.py", "Keep workers for a minute"),
            ("pool.py", "Drop workers that are broken"),
        ]
    ):
        (folder / name).write_text(f"value = {number + 2}\n")
        _git(folder, "commit", "-qam", subject)
    return folder


def test_the_revision_that_is_indexed_does_not_hold_the_changes(clone, tmp_path):
    entry = choose({"name": "small", "language": "python", "url": "u", "half": "tuning"}, clone, 3)
    assert len(entry["commits"]) == 3
    assert make(entry, clone, tmp_path / "out") == 3
    assert (tmp_path / "out/repositories/small/pool.py").read_text() == "size = 1\n"
    held = set(_git(clone, "rev-list", entry["revision"]).split())
    assert held.isdisjoint(entry["commits"])
    with pytest.raises(SystemExit, match="1 commits no longer pass"):
        make({**entry, "commits": [*entry["commits"], "0" * 40]}, clone, tmp_path / "again")


def test_checking_out_leaves_the_clone_as_it_is(clone, tmp_path):
    (clone / "server.py").write_text("edited\n")
    before = _git(clone, "status", "--porcelain")
    check_out(clone, "HEAD~3", tmp_path / "at")
    assert (tmp_path / "at/server.py").read_text() == "limit = 1\n"
    assert _git(clone, "status", "--porcelain") == before
    assert files_at(clone, "HEAD~3") == {"server.py", "pool.py"}
    assert [one.subject for one in history(clone, "HEAD~2", "HEAD")] == [
        "Keep workers for a minute",
        "Drop workers that are broken",
    ]


def test_questions_are_shared_out_evenly_as_far_as_they_reach():
    assert shared_out(10, [1, 100, 100]) == [1, 5, 4]
    assert shared_out(10, [1, 2]) == [1, 2]
    assert shared_out(0, [5]) == [0]


def test_kinds_are_told_by_path():
    paths = [
        "src/a.rs",
        "tests/a.rs",
        "a_test.go",
        "docs/a.md",
        "Cargo.toml",
        "Makefile",
        "src/FooTests.cs",
        "a.spec.ts",
    ]
    assert [kind_of(path) for path in paths] == ["code", "tests", "tests", "docs", "config", "config", "tests", "tests"]


def test_a_name_is_spelled_by_a_word_or_words_in_a_row():
    assert spells("fix the rate limiter", "RateLimiter")
    assert spells("fix rate_limiter here", "rate-limiter")
    assert not spells("limit the rate", "RateLimiter")


_SOURCES = {
    "a.py": 'class A:\n    """Of the class."""\n\n    @cached\n    def f(self):\n        """Count the idle workers of a pool.\n\n        More.\n        """\n        a = 1\n        return a\n',
    "a.rs": "impl A {\n    /// Count the idle workers of a pool.\n    ///\n    /// More.\n    #[inline]\n    pub fn f(&self) -> u32 {\n        let a = 1;\n        a\n    }\n}\n",
    "a.go": "package a\n\n// f Count the idle workers of a pool. More\n// of it.\nfunc (r *R) f() int {\n\ta := 1\n\treturn a\n}\n",
    "a.ts": "/**\n * Count the idle workers of a pool.\n * @returns more\n */\nexport const f = (x: number) => {\n  const a = 1\n  return a\n}\n",
    "A.java": "class A {\n  /**\n   * Count the idle workers of a pool. <p>More.\n   */\n  @Override\n  public int f() {\n    int a = 1;\n    return a;\n  }\n}\n",
    "a.cpp": "namespace n {\n//! Count the idle workers of a pool.\n//! More.\nint A::f(int x) {\n  int a = 1;\n  return a;\n}\n}\n",
    "A.cs": "class A {\n  /// <summary>\n  /// Count the idle workers of a pool.\n  /// </summary>\n  [Pure]\n  public int f() {\n    var a = 1;\n    return a;\n  }\n}\n",
    "a.rb": "class A\n  # Count the idle workers of a pool.\n  # More.\n  def f(x)\n    a = 1\n    a\n  end\nend\n",
    "a.swift": "extension A {\n  /// Count the idle workers of a pool.\n  ///\n  /// - Parameter x: more\n  @inlinable\n  public func f(x: Int) -> Int {\n    let a = 1\n    return a\n  }\n}\n",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(_SOURCES))
def test_what_is_written_about_a_function_is_found_and_cut_in_each_language(path):
    (function,) = functions(path, _SOURCES[path])
    assert function.name == "f"
    assert first_sentence(function.about).removeprefix("f ") == "Count the idle workers of a pool"
    cut = without_comments(path, _SOURCES[path])
    assert "idle workers" not in cut
    assert "More" not in cut
    assert "= 1" in cut
    (again,) = functions(path, cut)
    assert (again.name, again.about) == ("f", "")
    assert "= 1" in "\n".join(cut.split("\n")[again.start_line - 1 : again.end_line])


def test_a_python_function_of_only_a_docstring_stays_valid_and_is_not_asked_for():
    source = 'def f():\n    """Count the idle workers of a pool."""\n\ndef g():\n    return 1\n'
    cut = without_comments("a.py", source)
    assert cut == "def f():\n    ...\n\ndef g():\n    return 1\n"
    assert (
        [function.name for function in functions("a.py", source)]
        == ["g"]
        == [one.name for one in functions("a.py", cut)]
    )


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Returns the workers that wait", "Which function returns the workers that wait?"),
        ("Return the workers that wait", "How do we return the workers that wait?"),
        ("The number of idle workers", "Where do we get the number of idle workers?"),
        ("idle returns the workers that wait", "Which function returns the workers that wait?"),
        ("Count idle workers", None),
        ("Middleware that is used for loading", None),
        ("Return what wait_all has waited for", None),
        ("Return the value of {key} in it", None),
    ],
)
def test_a_sentence_about_a_function_becomes_a_question_by_its_first_word(sentence, expected):
    assert asked_of_function(sentence, "idle" if sentence.startswith("idle") else "waitAll") == expected


def test_headings_and_sentences_become_questions_by_fixed_templates():
    assert asked_of_heading("Writing your own filters") == "How do I go about writing your own filters?"
    assert asked_of_heading("HTML escaping rules") == "How does this work: HTML escaping rules?"
    assert asked_of_heading("How it works") == "How it works?"
    assert asked_of_heading("Example") is None
    assert (
        asked_of_sentence("Filters are called with the value first.")
        == "What does it mean that filters are called with the value first?"
    )
    assert asked_of_sentence("See the guide, it has all that is needed.") is None
    assert asked_of_sentence("Filters, tests and globals of all kinds") is None


_MARKDOWN = """# A title of it

Filters are called with the value as their first
argument. Second sentence.

```sh
# no heading
```

## Writing your own [filters](x.md)

- a list
"""
_RST = """Title of it
===========

Filters are called with the value.

Writing :ref:`own filters <x>`
------------------------------

More text.
"""


def test_sections_end_at_the_next_heading_and_know_their_first_paragraph():
    found = sections("a.md", _MARKDOWN)
    assert [(one.heading, one.start_line, one.end_line, one.paragraph) for one in found] == [
        ("A title of it", 1, 9, (3, 4)),
        ("Writing your own filters", 10, 13, None),
    ]
    assert [(one.heading, one.start_line, one.end_line, one.paragraph) for one in sections("a.rst", _RST)] == [
        ("Title of it", 1, 5, (4, 4)),
        ("Writing own filters", 6, 10, (9, 9)),
    ]
    assert sections("a.md", "no heading\n") == []


def test_the_sentence_that_asks_is_cut_and_the_answer_keeps_its_place():
    text = _MARKDOWN.replace("Second sentence.", "Second sentence. " + "More of it. " * 30)
    (_, by_sentence) = candidates_of_documentation({"a.md": text})
    cut = {"a.md": without_sentences("a.md", text, [by_sentence])}
    assert "called with the value" not in cut["a.md"]
    assert "Second sentence." in cut["a.md"]
    (row,) = rows_of(cut, [by_sentence])
    assert row["category"] == "docs: sentence"
    assert row["relevant"] == [{"path": "a.md", "start_line": 1, "end_line": 8}]


def test_an_answer_that_is_not_where_it_was_is_refused():
    files = {"a.py": "def f():\n    a = 1\n    b = 2\n    c = 3\n    return a\n"}
    with pytest.raises(ValueError, match="not where it was"):
        rows_of(files, [Candidate("a.py", 0, "?", "code", "g")])


def test_sentences_that_two_functions_share_ask_for_neither():
    function = (
        'def {0}(x):\n    """Return the workers that wait for x."""\n    a = 1\n    b = 2\n    c = 3\n    return a\n'
    )
    assert candidates_of_code({"a.py": function.format("f") + function.format("g")}) == []
    (one,) = candidates_of_code({"a.py": function.format("f")})
    assert (one.path, one.place, one.text) == ("a.py", 0, "How do we return the workers that wait for x?")


def test_a_file_gives_four_questions_and_a_place_one_and_the_choice_is_the_same_each_time():
    made = [
        Candidate(path, place, f"{path} {place} {kind}", kind, "n")
        for path in ("a.md", "b.md")
        for place in range(9)
        for kind in ("docs: heading", "docs: sentence")
    ]
    picked = pick(made, 100, "seed")
    assert len(picked) == 8
    assert len({(one.path, one.place) for one in picked}) == 8
    assert sum(one.kind == "docs: heading" for one in picked) == 4
    assert picked == pick(made, 100, "seed")
    assert len(pick(made, 3, "seed")) == 3
