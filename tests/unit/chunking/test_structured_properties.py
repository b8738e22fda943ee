"""What holds for every text in every structured format: spans nested, ordered, in bounds; linear time."""

import json
import time
import tomllib
from pathlib import Path

import dagster
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_index.chunking.blocks import Extraction
from code_index.chunking.language_detection import detect_language
from code_index.chunking.registry import FORMATS
from code_index.chunking.spans import MAX_DEPTH, MAX_NAME_CHARACTERS, MIN_BLOCK_BYTES
from code_index.chunking.structured import extract_structured

LANGUAGES = sorted(FORMATS)
PACKAGES = Path(dagster.__file__).parents[1]
MEGABYTE = 1_000_000
SECONDS_PER_MEGABYTE = (
    20.0  # about 1 on a quiet core, several times that with coverage; what is quadratic takes minutes
)

PIECES = {
    "markdown": ["# a\n", "### b #\n", "```\n", "~~~~\n", "text\n", "---\n", "===\n", "- x\n", "<!--", "-->", "|a|\n"],
    "html": [
        "<section id='a'>",
        "</section>",
        "<h1>",
        "<h3>x</h3>",
        "</main>",
        "<main>",
        "<script>",
        "</script>",
        "<p>",
        '<a b="',
        "<!--",
        "-->",
    ],
    "css": ["a", "{", "}", ";", "/*", "*/", "//", '"', "\\", "@media x", "url(", ")", "#{"],
    "json": ["{", "}", "[", "]", ",", ":", '"a"', '"', "\\", "1", "//", "/*", "*/", "'"],
    "yaml": ["a:", "- ", "  ", "---\n", "|\n", "# c\n", "'k': v\n", "name: x", "kind: K\n", "metadata:\n"],
    "toml": ["[a]\n", "[[b.c]]\n", "name = 'x'\n", "k = [", "]", '"""', "'''", "# c\n", "{", "}"],
    "sql": [
        "CREATE TABLE t ",
        "CREATE FUNCTION f ",
        ";",
        "BEGIN",
        " END ",
        "$$",
        "'",
        "--",
        "DELIMITER //\n",
        "//",
        "\nGO\n",
        "COPY t FROM stdin;\n",
        "\\.\n",
        "`",
        "CASE ",
        "), (",
    ],
    "xml": [
        "<a>",
        "</a>",
        "<b id='x'>",
        "<name>n</name>",
        "</b>",
        "<c/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x",
        '<d e="',
        "<!D",
    ],
    "rst": [
        "Title\n",
        "=====\n",
        "-----\n",
        "..\n",
        ".. code-block:: python\n",
        "   x\n",
        "   :o:\n",
        "====\n",
        "+-+\n",
        "::\n",
    ],
    "asciidoc": [
        "= A\n",
        "== B\n",
        "----\n",
        "....\n",
        "[source,c]\n",
        "Title\n",
        "-----\n",
        "////\n",
        "|===\n",
        "```c\n",
    ],
    "tex": [
        "\\section{A}",
        "\\part{",
        "\\begin{a}[note of it]",
        "\\end{a}",
        "\\label{x}",
        "\\newcommand{\\a}[1]{",
        "\\def\\b",
        "{",
        "}",
        "%",
        "\\begin{verbatim}",
        "\\end{verbatim}",
        "\\begin{minted}{c}\n",
        "\\end{minted}",
        "\\{",
    ],
    "ini": ["[a]\n", "[b", "; c\n", "# d\n", "k = v\n", "  more\n", '[c "d"]\n'],
    "properties": ["a=b\n", "# c\n", "d: e \\\n", "  f\n", "\\", "g h\n"],
    "requirements": ["a==1\n", "# c\n", "-r b\n", "d \\\n", "  --hash=x\n", "-e g#egg=h\n"],
    "dockerfile": ["FROM a\n", "FROM b AS c\n", "RUN x \\\n", "# c\n", "RUN <<E\n", "E\n", "ARG x\n"],
}
FILLER = ["\n", " ", "\n\n", "x" * 90 + "\n", "\r\n", "ä€😀"]


def pieces_of(language: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from([*PIECES[language], *FILLER]), max_size=60).map("".join)


def check(source: bytes, extraction: Extraction) -> None:
    """Everything that the assembly may rely on."""
    covered = set(extraction.break_points)
    assert extraction.break_points == sorted(covered)
    stack = [(extraction.blocks, 0, len(source), 1)]
    while stack:
        blocks, floor, ceiling, depth = stack.pop()
        assert not blocks or depth <= MAX_DEPTH
        for block in blocks:
            assert floor <= block.start < block.end <= ceiling
            assert block.end - block.start >= MIN_BLOCK_BYTES
            assert block.break_points == sorted(set(block.break_points))
            assert all(block.start < point < block.end for point in block.break_points)
            assert not covered.intersection(block.break_points)
            covered.update(block.break_points)
            assert len(block.name) <= MAX_NAME_CHARACTERS * 2
            assert block.name == block.name.strip()
            assert "\n" not in block.name
            source[block.start : block.end].decode()  # no cut inside a character
            stack.append((block.children, block.start, block.end, depth + 1))
            floor = block.end
    assert all(0 < point <= len(source) for point in covered)


@pytest.mark.parametrize("language", sorted(PIECES))
def test_any_mix_of_the_formats_own_pieces_gives_sound_spans(language):
    @settings(max_examples=150, deadline=None)
    @given(pieces_of(language))
    def holds(text):
        source = text.encode()
        check(source, extract_structured(source, language))

    holds()


@settings(max_examples=150, deadline=None)
@given(
    text=st.text() | st.binary(max_size=2_000).map(lambda data: data.decode("utf-8", "replace")),
    language=st.sampled_from(LANGUAGES),
)
def test_any_text_in_any_format_gives_sound_spans(text, language):
    source = text.encode("utf-8", "replace") * 3
    check(source, extract_structured(source, language))


@settings(max_examples=60, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=40),
        lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=8),
        max_leaves=80,
    ),
    indent=st.sampled_from([None, 1, 4]),
)
def test_entries_of_valid_json_are_its_members(value, indent):
    document = {"first": value, "second": "x" * 1_500, "third": [value] * 3}
    source = json.dumps(document, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    extraction = extract_structured(source, "json")
    check(source, extraction)
    assert [block.name for block in extraction.blocks if block.name in document] == [
        block.name for block in extraction.blocks
    ]
    second = next(block for block in extraction.blocks if block.name == "second")
    member = source[second.start : second.end].decode().strip().removesuffix(",").strip()
    assert json.loads("{" + member + "}") == {"second": document["second"]}


def real_files() -> list[Path]:
    by_language: dict[str, list[Path]] = {}
    wanted = (
        "*.md",
        "*.json",
        "*.toml",
        "*.yaml",
        "*.yml",
        "*.html",
        "*.css",
        "*.sql",
        "*.txt",
        "*.csv",
        "*.ipynb",
        "*.rst",
        "*.xml",
        "*.cfg",
        "*.ini",
    )
    for pattern in wanted:
        for path in sorted(PACKAGES.rglob(pattern)):
            if 0 < path.stat().st_size < MEGABYTE:
                by_language.setdefault(detect_language(path.name), []).append(path)
    return [path for paths in by_language.values() for path in sorted(paths, key=lambda path: -path.stat().st_size)[:4]]


def test_files_of_installed_packages_give_sound_spans_and_names():
    files = real_files()
    assert len(files) >= 20
    named = 0
    for path in files:
        source = path.read_bytes().decode("utf-8", "replace").encode()
        extraction = extract_structured(source, detect_language(path.name))
        check(source, extraction)
        named += sum(1 for block in extraction.blocks if block.name)
    assert named > len(files)


def test_tables_of_the_projects_own_settings_are_found_by_name():
    source = (Path(__file__).parents[3] / "pyproject.toml").read_bytes()
    names = {block.name for block in extract_structured(source, "toml").blocks}
    assert {"project", "tool.ruff.lint", "tool.pytest.ini_options"} <= names
    assert set(tomllib.loads(source.decode())) >= {name.partition(".")[0] for name in names}


DENSE = [
    ("json", "["), ("json", '{"a":'), ("json", "[1,"), ("json", '"'), ("json", '{"a":[1,{"b":"c"}]},'), ("json", "/*"),
    ("markdown", "# a\n\ntext\n\n"), ("markdown", "```\n"), ("markdown", "a\n---\n"), ("markdown", "<!--"), ("markdown", "[a]("),
    ("html", "<section>"), ("html", "<div>"), ("html", '<a "'), ("html", "<h2>a"), ("html", "<script>"), ("html", "</section>"),
    ("scss", ".a {"), ("scss", "#{"), ("scss", "a /**/\n\n"), ("css", "/*"), ("css", "url("),
    ("sql", "CREATE PACKAGE a AS PROCEDURE b IS\n"), ("sql", "\nCREATE PACKAGE a AS\nPROCEDURE b(\n"), ("sql", "COPY a FROM stdin;\n"), ("sql", "BEGIN;"), ("sql", "$a$ "), ("sql", "CREATE FUNCTION BEGIN ;\n"), ("sql", "(1,'x'),"),
    ("yaml", "- "), ("yaml", "a: |\n"), ("yaml", "---\n"), ("yaml", "kind: A\nmetadata:\n  name: b\n---\n"), ("yaml", "metadata:\n  a\n"),
    ("toml", "[a"), ("toml", "a = [\n"), ("toml", '"""'), ("toml", "[[a]]\nname = 'b'\n"),
    ("dockerfile", "RUN <<EOF\n"), ("dockerfile", "FROM "), ("text", "\n "), ("csv", '"'),
    ("xml", "<a>"), ("xml", "<a b='"), ("xml", "<!--"), ("xml", "<![CDATA["), ("xml", "</a>"), ("xml", "<name>b</name>"), ("xml", "<a><b></a>"),
    ("rst", "a\n=\n"), ("rst", "\n.. code:: a\n"), ("rst", "="), ("rst", "a\n====\n\n"),
    ("asciidoc", "\n== a"), ("asciidoc", "\n----"), ("asciidoc", "\n-----x\n----\n"), ("asciidoc", "\na\n--\n"), ("asciidoc", "[source,c]\n"),
    ("tex", "\\def\\a{"), ("tex", "\\section{"), ("tex", "\\begin{a}"), ("tex", "\\begin{verbatim}"), ("tex", "\\begin{a}[a note]\\end{a}"), ("tex", "{"),
    ("ini", "\n[a]"), ("ini", "["), ("ini", "\n;"), ("properties", "a\\\n"), ("properties", "\\"), ("requirements", "\n-e a"), ("requirements", "a\\\n"),
    ("json", " "), ("markdown", " "), ("xml", " "), ("rst", " "), ("asciidoc", " "), ("tex", " "), ("ini", " "), ("properties", " "), ("requirements", " "), ("html", " "), ("css", " "), ("sql", " "), ("yaml", " "), ("toml", " "), ("dockerfile", " "),
]  # fmt: skip


@pytest.mark.parametrize(("language", "unit"), DENSE)
def test_dense_or_unclosed_text_is_read_in_linear_time(language, unit):
    source = ("a" + unit * (MEGABYTE // 4 // len(unit)) + "\n").encode()
    started = time.process_time()
    extraction = extract_structured(source, language)
    assert time.process_time() - started < SECONDS_PER_MEGABYTE * len(source) / MEGABYTE
    check(source, extraction)


@pytest.mark.parametrize(
    ("language", "opening", "closing"),
    [
        ("json", "[", "]"),
        ("json", '{"a":', "}"),
        ("scss", ".a{", "}"),
        ("html", "<main>", "</main>"),
        ("xml", "<a>", "</a>"),
        ("tex", "{", "}"),
        ("toml", "[", "]"),
    ],
)
def test_nesting_of_a_hundred_thousand_levels_is_read(language, opening, closing):
    source = (opening * 100_000 + closing * 100_000).encode()
    check(source, extract_structured(source, language))


@pytest.mark.parametrize("line", ["{i}a:\n", "{i}- a\n", "{i}- name: b\n"])
def test_deeply_indented_yaml_is_read(line):
    source = "".join(line.format(i=" " * level) for level in range(1_000)).encode()
    check(source, extract_structured(source, "yaml"))
