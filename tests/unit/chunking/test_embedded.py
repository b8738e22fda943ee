"""Languages within files are read as such, with lines and bytes of the whole file."""

from __future__ import annotations

import json
import time

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.blocks import Block
from code_index.chunking.embedded import _insert
from code_index.core.model import Chunk, ChunkType
from tests.samples import SAMPLES


def chunked(text: str, language: str) -> tuple[Chunk, ...]:
    return chunk_file(text.encode(), file_path="a", file_hash="0", language=language)


def code(text: str, language: str) -> dict[str, tuple[str, int, int]]:
    """Type and lines of each function and class."""
    return {
        chunk.qualified_name: (chunk.chunk_type.value, chunk.start_line, chunk.end_line)
        for chunk in chunked(text, language)
        if chunk.chunk_type in {ChunkType.FUNCTION, ChunkType.CLASS, ChunkType.METHOD}
    }


@pytest.mark.parametrize("language", ["html", "vue", "svelte", "astro", "erb", "php"])
@pytest.mark.parametrize(
    "tag", ["<script>", '<script lang="ts">', "<script type='module'>", '<script type="text/babel" defer>']
)
def test_a_script_gives_its_functions_and_classes_with_their_lines(language, tag):
    text = f"<h1>a</h1>\n{tag}\nimport x from 'y'\n\nfunction f(n) {{\n  return n\n}}\n\nclass C {{\n  m() {{}}\n}}\n</script>\n<p>b</p>\n"
    assert code(text, language) == {"f": ("function", 5, 7), "C": ("class", 9, 11), "C.m": ("method", 10, 10)}
    (holder,) = (chunk for chunk in chunked(text, language) if chunk.imports)
    assert holder.imports == ("import x from 'y'",)


@pytest.mark.parametrize("kind", ["application/json", "text/template", "importmap", "text/x-made-up"])
def test_a_script_that_no_browser_runs_has_no_functions(kind):
    assert code(f'<script type="{kind}">\nfunction f() {{ return 1 }}\n</script>', "html") == {}


def test_rules_of_a_style_are_found_in_it():
    rule = ".curve {\n" + "  color: red;\n" * 20 + "}\n"
    chunks = chunked(f"<style>\n{rule}</style>\n", "vue")
    assert [(chunk.qualified_name, chunk.start_line) for chunk in chunks if chunk.chunk_type is ChunkType.RULE] == [
        (".curve", 2)
    ]


@pytest.mark.parametrize(
    ("info", "body", "name"),
    [
        ("python", "def f(): pass", "f"),
        ("py title='x.py'", "def f(): pass", "f"),
        ("ts {1,3}", "function f() {}", "f"),
        ("{r, echo=FALSE}", "f <- function(x) x", "f"),
        ("{.rust}", "fn f() {}", "f"),
        ("C++", "int f() { return 1; }", "f"),
        ("golang", "func f() {}", "f"),
    ],
)
@pytest.mark.parametrize("indent", ["", "   "])
def test_fenced_code_of_markdown_gives_its_functions(info, body, name, indent):
    assert code(f"# Use\n\n{indent}```{info}\n{indent}{body}\n{indent}```\n\nText.\n", "markdown") == {
        name: ("function", 4, 4)
    }


@pytest.mark.parametrize("info", ["", "text", "console", "json", "made-up"])
def test_fenced_text_that_is_no_code_has_no_functions(info):
    assert code(f"```{info}\ndef f(): pass\n```\n", "markdown") == {}


def test_a_broken_fence_does_not_reach_the_next():
    text = "```js\nfunction f() {\n```\n\n```js\nfunction g() {}\n```\n"
    assert code(text, "markdown")["g"] == ("function", 6, 7)


def test_scripts_between_the_code_of_php_are_one_text():
    text = "<?php class A { function b() {} } ?>\n<script>\nfunction f() {\n  return <?= $x ?>;\n}\n</script>\n<?php if ($a): ?>\n<script>\nfunction g() {}\n</script>\n<?php endif;\n"
    assert code(text, "php") == {
        "A": ("class", 1, 1),
        "A.b": ("method", 1, 1),
        "f": ("function", 3, 5),
        "g": ("function", 9, 9),
    }


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [
        ("erb", "<% def f(a)\n a\nend %>\n<% 3.times do %>x<% end %>", "f"),
        ("erb", "<%# def no; end %><%% def no %><% def f -%>\n<b>x</b>\n<% end %>", "f"),
        ("ejs", "<% function f(a) { %>\n<b><%= a %></b>\n<% } %>", "f"),
        ("jsp", '<%@ page import="a" %><%-- int no() {} --%><%! int f(int a) {\n return a; } %>', "f"),
    ],
)
def test_the_code_of_a_template_is_one_text(language, text, name):
    assert list(code(text, language)) == [name]


def test_macros_and_blocks_of_a_template_have_names():
    text = "{# {% macro no() %} #}\n{% macro f(a, b='x') -%}\n{% endmacro %}\n{%- block c %}\n{% block d %}x{% endblock %}\n{% endblock c %}\n{% raw %}{% block no %}{% endraw %}\n{% endblock %}\n{% block e %}\n"
    for language in ("jinja", "twig"):
        named = [chunk for chunk in chunked(text, language) if chunk.qualified_name]
        assert [(chunk.qualified_name, chunk.start_line, chunk.end_line) for chunk in named] == [
            ("f", 2, 3),
            ("c", 4, 6),
            ("c.d", 5, 5),
            ("e", 9, 9),
        ]
    assert [parameter.name for parameter in named[0].parameters] == ["a", "b"]


def test_code_of_a_razor_page_is_a_part_whatever_braces_its_strings_hold():
    text = (
        '@page "/till"\n@using Shop\n@* @code { void No() {} } *@\n<p>me@code.org { }</p>\n@code\n{\n'
        '    string a = "}", b = @"}""", c = $"{a}}}"; char d = \'}\'; // }\n'
        "    void Open(List<int> x) { }\n}\n<h1>b</h1>\n@functions {\n  int Shut() => 1;\n}\n"
    )
    assert code(text, "razor") == {"Open": ("function", 8, 8), "Shut": ("function", 12, 13)}
    assert [name for chunk in chunked(text, "razor") for name in chunk.imports] == ["@using Shop"]


def test_sections_of_a_blade_template_have_names():
    text = (
        "@extends('layouts.app')\n{{-- @section('no') --}}\n@section('title', 'Orders')\n@section('content')\n"
        "@include('parts.head', ['a' => 1])\n@push('scripts')\n<b>x</b>\n@endpush\n@endsection\n"
        "@component($kind)\n@slot('title')\nme@section.org\n@endslot\n@endcomponent\n@verbatim @section('no') @endverbatim\n"
    )
    named = [chunk for chunk in chunked(text, "blade") if chunk.qualified_name]
    assert [(chunk.qualified_name, chunk.start_line, chunk.end_line) for chunk in named] == [
        ("content", 4, 9),
        ("content.scripts", 6, 8),
        ("component", 10, 14),
        ("component.title", 11, 13),
    ]
    imports = [name for chunk in chunked(text, "blade") for name in chunk.imports]
    assert imports == ["@extends('layouts.app')", "@include('parts.head')"]


def test_a_blade_template_without_sections_is_read_as_html():
    text = "<h2>Orders</h2>\n" + "<p>{{ $order->name }}</p>\n" * 20
    assert [chunk.qualified_name for chunk in chunked(text, "blade")] == ["Orders"]


def test_a_block_of_a_prisma_schema_that_nothing_ends_ends_at_the_next():
    text = "model A {\n  id Int\n  when DateTime? @db.Date\n\n/// B.\nenum B {\n  X\n}\ntype C { a Int }\nview D {\n"
    chunks = chunked(text, "prisma")
    assert [(chunk.qualified_name, chunk.start_line, chunk.end_line) for chunk in chunks] == [
        ("A", 1, 5),
        ("B", 6, 8),
        ("C", 9, 9),
        ("D", 10, 10),
    ]


def test_definitions_in_a_macro_of_rust_count_as_if_they_stood_outside():
    text = "mod a {\n    cfg_if! {\n        if #[cfg(unix)] {\n            pub fn f() {}\n        } else {\n            pub fn f() { g() }\n        }\n    }\n}\nfn h() { quote! { fn no() {} } }\nlazy_static! { static ref A: u8 = 1; }\n"
    assert code(text, "rust") == {"a.f": ("function", 6, 9), "h": ("function", 10, 10)}
    assert [chunk.qualified_name for chunk in chunked(text, "rust")].count("a.f") == 2


class TestNotebooks:
    def notebook(self, *cells, **metadata) -> str:
        return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4}, indent=1)

    def cell(self, source, kind="code", **more):
        return {"cell_type": kind, "metadata": {}, "source": source, **more}

    def test_cells_are_read_as_the_markdown_that_they_make(self):
        text = self.notebook(
            self.cell(["# Tides\n", "\n", "We read levels."], "markdown"),
            self.cell(["import a\n", "\n", "def f(x):\n", '    """Doc of f."""\n', "    return x\n"]),
        )
        rows = text.splitlines()
        function = next(chunk for chunk in chunked(text, "jupyter") if chunk.function_name == "f")
        assert function.docstring == "Doc of f."
        assert '"def f(x):' in rows[function.start_line - 1]
        assert '"    return x' in rows[function.end_line - 1]
        assert any("We read levels." in chunk.content for chunk in chunked(text, "jupyter"))

    def test_outputs_and_metadata_are_left_out(self):
        picture = {
            "output_type": "display_data",
            "data": {"image/png": "iVBORw0KGgo" * 500, "source": ["def no(): pass"]},
        }
        text = self.notebook(self.cell(["plot()"], outputs=[picture], id="never"), title="never")
        contents = [chunk.content for chunk in chunked(text, "jupyter")]
        assert contents == ["```python\nplot()\n```"]

    @pytest.mark.parametrize(
        ("cell", "metadata", "name"),
        [
            (["f <- function(x) x"], {"language_info": {"name": "R"}}, "f"),
            (["%%bash\n", "f() {\n", "  ls\n", "}"], {}, "f"),
            ("def f():\n    return '''\n```\n'''\n", {}, "f"),
            (["def f", "():\n    pass"], {}, "f"),
            (["def f():\r\n", "    pass\r"], {}, "f"),
        ],
    )
    def test_the_language_of_a_cell_is_that_of_its_magic_or_kernel(self, cell, metadata, name):
        assert list(code(self.notebook(self.cell(cell), **metadata), "jupyter")) == [name]

    def test_an_old_notebook_has_its_cells_in_worksheets(self):
        cells = [{"cell_type": "code", "language": "python", "input": ["def f(): pass"]}]
        assert list(code(json.dumps({"worksheets": [{"cells": cells}]}), "jupyter")) == ["f"]

    @pytest.mark.parametrize("end", range(0, 1_200, 97))
    def test_a_notebook_that_is_cut_off_keeps_what_is_there(self, end):
        text = SAMPLES["jupyter"].read_text()[:end]
        assert chunked(text, "jupyter") or not text

    def test_text_without_cells_is_kept_as_it_is(self):
        for text in (
            "[" * 50_000,
            '{"cells": 1}',
            '{"cells": [{"source": ["\\ud800"]}]}',
            '{"source": ["def f(): pass"]}',
        ):
            assert chunked(text, "jupyter")


def test_a_block_that_overlaps_another_is_left_out():
    def block(start, end, *children):
        return Block(start, end, ChunkType.SECTION, children=list(children))

    blocks = [block(0, 10, block(2, 4)), block(20, 30)]
    for start, end in ((5, 8), (12, 15), (1, 3), (8, 12), (15, 25), (0, 40), (30, 31)):
        _insert(blocks, block(start, end))
    assert [(item.start, item.end) for item in blocks] == [(0, 10), (12, 15), (20, 30), (30, 31)]
    assert [(item.start, item.end) for item in blocks[0].children] == [(2, 4), (5, 8)]


@pytest.mark.parametrize(
    ("language", "unit"),
    [
        ("html", "<script>f()</script>"),
        ("html", "<script>"),
        ("html", '<script lang="html"><script></script>'),
        ("markdown", "```js\nf(\n```\n"),
        ("markdown", "```md\n```js\n"),
        ("erb", "<% x"),
        ("erb", "<%= x %> "),
        ("blade", "@section('a')"),
        ("blade", "{{-- "),
        ("jinja", "{# "),
        ("jinja", "{% macro a() %}"),
        ("jinja", "{% raw %}"),
        ("jinja", "{% macro a() %}{% endmacro "),
        ("jupyter", "[[{"),
        ("jupyter", '{"cells": [{"source": ["a'),
        ("jupyter", '{"cells": [{"source": ["a"]}]},'),
        ("php", "<?php ?>x"),
        ("prisma", "model A {\n"),
        ("prisma", "// a\n"),
        ("prisma", "a B\n"),
        ("razor", "@code { void f() {} } "),
        ("razor", "@code {"),
        ("razor", "@* "),
        ("rust", "a! { fn b() {} }"),
        ("rust", "a! { fn "),
    ],
)
def test_many_parts_are_read_in_linear_time(language, unit):
    times = []
    for size in (20_000, 80_000):
        text = unit * (size // len(unit))
        started = time.process_time()
        chunked(text, language)
        times.append(time.process_time() - started)
    assert times[1] < 2 + 8 * times[0]
