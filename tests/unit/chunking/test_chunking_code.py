"""What the engine recognizes beyond the golden samples, and what it must not be misled by."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from code_index.chunking import chunk_file, code
from code_index.chunking.assembly import assemble
from code_index.chunking.blocks import Extraction
from code_index.chunking.code import extract_code
from code_index.chunking.registry import LANGUAGES
from code_index.core.errors import ParseError
from code_index.core.model import ChunkingOptions, ChunkType


def named(source, language):
    """Chunks by qualified name; module chunks under the empty one."""
    chunks = chunk_file(source.encode(), file_path="f", file_hash="0", language=language)
    return {chunk.qualified_name: chunk for chunk in chunks}


def test_a_language_without_specification_is_refused_by_name():
    with pytest.raises(ParseError, match="'klingon'"):
        extract_code(b"x", "klingon")


def test_a_language_without_parser_is_chunked_as_text():
    (chunk,) = chunk_file(b"some words", file_path="f", file_hash="0", language="klingon")
    assert chunk.content == "some words"
    assert chunk.chunk_type is ChunkType.TEXT


def test_a_comment_after_code_on_its_line_is_not_the_next_functions():
    chunks = named("int a; // of a\nint f() { return 1; }\n", "c")
    assert chunks["f"].docstring is None
    assert "// of a" not in chunks["f"].content


def test_a_comment_after_a_blank_line_is_not_the_functions():
    chunks = named("# section\n\ndef f(): pass\n", "python")
    assert chunks["f"].content == "def f(): pass"


def test_a_comment_indented_otherwise_is_not_the_python_functions():
    assert named("class A:\n    x = 1\n        # deep\n    def f(self): pass\n", "python")["A.f"].start_line == 4


def test_broken_code_still_gives_the_whole_definitions():
    chunks = named("def a(:\n  ???\n\ndef b(x):\n    return x\n", "python")
    assert chunks["b"].parameters[0].name == "x"


def test_a_short_inner_function_stays_with_its_surroundings():
    assert set(named("def f():\n    def g():\n        return 1\n    return g\n", "python")) == {"f"}


def test_a_long_inner_function_owns_a_chunk():
    body = "".join(f"        step_{n} = {n} * {n}\n" for n in range(20))
    chunks = named(f"def f():\n    def g():\n{body}    return g\n", "python")
    assert chunks["f.g"].parent_chunk_id == chunks["f"].chunk_id
    assert chunks["f"].content == "def f():\n    return g"


def test_a_class_in_a_function_owns_a_chunk_with_its_methods():
    assert set(named("def f():\n    class A:\n        def m(self): pass\n", "python")) == {"f", "f.A", "f.A.m"}


def test_a_javascript_prototype_method_belongs_to_its_class():
    chunk = named("A.prototype.run = function (x) { return x; };\n", "javascript")["A.run"]
    assert (chunk.chunk_type, chunk.class_name, chunk.function_name) == (ChunkType.METHOD, "A", "run")


def test_exported_functions_carry_their_own_name():
    assert set(named("exports.a = () => 1;\nmodule.exports.b = function () {};\n", "javascript")) == {"a", "b"}


def test_two_functions_of_one_declaration_have_a_chunk_each():
    assert {"a", "b"} <= set(named("const a = () => 1, b = () => 2;\n", "javascript"))


def test_a_cpp_definition_outside_its_class_belongs_to_it():
    chunk = named("template <class T> int ns::Box<T>::size() const { return 1; }\n", "cpp")["ns.Box.size"]
    assert (chunk.chunk_type, chunk.class_name, chunk.function_name) == (ChunkType.METHOD, "Box", "size")


def test_clauses_of_one_function_are_one_chunk():
    assert set(named("f 0 = 1\nf n = n * f (n - 1)\n\ng = f\n", "haskell")) == {"f", "g"}


def test_a_clause_counts_as_one_more_way():
    assert named("f 0 = 1\nf 1 = 1\nf n = n\n", "haskell")["f"].cyclomatic_complexity == 3


def test_field_types_of_a_class_are_its_annotations():
    chunk = named("class A {\n  private final List<String> names = null;\n  int a, b;\n}\n", "java")["A"]
    assert [(item.name, item.type) for item in chunk.type_annotations] == [
        ("names", "List<String>"),
        ("a", "int"),
        ("b", "int"),
    ]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("source", [b"", b"\0\0\0", b"\xff\xfe", b"((((((", "é漢\N{NO-BREAK SPACE}".encode()])
def test_odd_input_is_no_error(language, source):
    chunk_file(source, file_path="f", file_hash="0", language=language)


def test_the_standard_library_loses_nothing_and_shows_its_definitions():
    folder = Path(sysconfig.get_path("stdlib"))
    for name in ("argparse.py", "ast.py", "dataclasses.py", "enum.py", "json/decoder.py", "typing.py"):
        content = (folder / name).read_bytes()
        chunks = chunk_file(content, file_path=name, file_hash="0", language="python")
        kept = "".join("".join(chunk.content.split()) for chunk in chunks)
        assert sorted(kept) == sorted("".join(content.decode().split())), name
    assert "JSONDecoder.raw_decode" in named((folder / "json/decoder.py").read_text(), "python")


def test_minified_code_keeps_its_functions_apart():
    source = "".join(f"function f{n}(a){{return a+{n}}}" for n in range(50))
    assert set(named(source, "javascript")) == {f"f{n}" for n in range(50)}


def test_a_missing_grammar_fails_the_file_by_name(monkeypatch):
    def missing(name):
        raise LookupError(name)

    code._tools.cache_clear()
    monkeypatch.setattr(code, "get_language", missing)
    with pytest.raises(ParseError, match=r"src/a\.py: no grammar for python: reinstall tree-sitter-language-pack"):
        chunk_file(b"x", file_path="src/a.py", file_hash="0", language="python")
    code._tools.cache_clear()


def test_a_long_macro_owns_a_chunk_with_its_parameters():
    body = "".join(f"    step_{n}(a, b); \\\n" for n in range(30))
    chunk = named(f"#define RUN(a, b) do {{ \\\n{body}}} while (0)\n", "c")["RUN"]
    assert [parameter.name for parameter in chunk.parameters] == ["a", "b"]


def test_unnamed_parameters_keep_their_types():
    chunk = named("int f(int, const char *) { return 1; }\n", "c")["f"]
    assert [(item.name, item.type) for item in chunk.parameters] == [("", "int"), ("", "const char *")]
    assert [item.name for item in chunk.type_annotations] == ["return"]


def test_csharp_conversions_and_destructors_are_named():
    source = "class A { ~A() { } public static implicit operator int(A a) { return 1; } }\n"
    assert {"A.~A", "A.operator int"} <= set(named(source, "csharp"))


def test_elixir_operators_and_anonymous_tests_are_named():
    assert {"A.<~>", "A.adds"} <= set(
        named('defmodule A do\n def a <~> b, do: a\n test "adds" do\n 1\n end\nend\n', "elixir")
    )


@pytest.fixture
def php_of_packages(monkeypatch):
    """PHP whose namespaces are classes, with or without a block, whose names nothing qualifies, and whose `#` documents."""
    query = """
    (namespace_definition) @class
    (namespace_definition ";") @rest
    (function_definition) @function
    ((comment) @doc (#match? @doc "^#"))
    """
    php = replace(
        LANGUAGES["php"],
        name="packages",
        grammar="php",
        query=query,
        is_absolute=lambda node: node.type == "namespace_definition",
        doc_prefixes=(),
    )
    monkeypatch.setattr(code, "LANGUAGES", {"packages": php})
    return lambda source: extract_code(source.encode(), "packages").blocks


def test_a_definition_without_a_block_reaches_to_the_next_one_or_to_the_end(php_of_packages):
    source = "<?php\nnamespace A;\nfunction f() {}\nnamespace B;\nfunction g() {}\nfunction h() {}\n"
    first, second = php_of_packages(source)
    assert [child.name for child in first.children] == ["f"]
    assert [child.name for child in second.children] == ["g", "h"]
    assert first.end == second.start == source.index("namespace B")
    assert second.end == len(source)


def test_an_absolute_name_is_not_qualified_by_what_encloses_it(php_of_packages):
    source = b"<?php\nnamespace A;\nfunction f() {}\nnamespace B {\nfunction g() {}\n}\n"
    blocks = php_of_packages(source.decode())
    chunks = assemble(
        source,
        Extraction(blocks=blocks),
        file_path="f",
        file_hash="0",
        language="packages",
        subproject_name=None,
        subproject_path=None,
        options=ChunkingOptions(),
    )
    assert {"A", "A.f", "B", "B.g"} <= {chunk.qualified_name for chunk in chunks}


def test_documentation_may_stand_apart_from_what_it_documents(php_of_packages):
    (namespace,) = php_of_packages("<?php\nnamespace A;\n\n# One.\n\n\nfunction f() {}\n")
    assert [child.docstring for child in namespace.children] == ["One."]


def test_a_shebang_is_no_part_of_the_first_function():
    source = b"#!/usr/bin/env -S uv run --script\n# Rates of the day.\ndef fetch_rates(day):\n    return day\n"
    chunks = chunk_file(source, file_path="tool", file_hash="", language="python")
    assert [chunk.start_line for chunk in chunks if chunk.function_name == "fetch_rates"] == [2]
