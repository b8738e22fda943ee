"""Whole code that a grammar misreads is read again: definitions, lines and names as if there were no obstacle."""

from __future__ import annotations

import re
import time

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.code import _tools
from code_index.chunking.hidden_text import REACH, blanked, conditional_text, near
from code_index.chunking.recovery import read
from code_index.core.model import ChunkType


def symbols(text: str, language: str) -> dict[str, tuple[str, int, int]]:
    """Type and lines of each named chunk."""
    chunks = chunk_file(text.encode(), file_path="a", file_hash="0", language=language)
    return {
        chunk.qualified_name: (chunk.chunk_type.value, chunk.start_line, chunk.end_line)
        for chunk in chunks
        if chunk.chunk_type is not ChunkType.MODULE
    }


@pytest.mark.parametrize(
    "head",
    [
        "class LIB_API Hull",
        "class LIB_API Hull final",
        "class Q_CORE_EXPORT Hull : public Body, private Other<int>",
        "class LIB_VISIBLE LIB_ALIGNED(8) Hull final : Body",
        "class made_up_macro Hull",
        "struct __packed Hull : Body",
        "struct LIB_EXPORT(x) Hull",
        "template <class T>\nclass LIB_API Hull : public Body<T>",
        "LIB_BEGIN_NAMESPACE\n\nclass Hull",
        "LIB_NAMESPACE(inner)\n\ntemplate <class T>\nstruct Hull : Body<T>",
    ],
)
def test_a_class_behind_a_macro_is_a_class_with_its_methods(head):
    found = symbols(f"{head}\n{{\npublic:\n    int weight() const {{ return 1; }}\n}};\n\nvoid after() {{ }}\n", "cpp")
    line = head.count("\n") + 4
    assert found["Hull"][0] == "class"
    assert found["Hull.weight"] == ("method", line, line)
    assert found["after"] == ("function", line + 3, line + 3)
    assert len(found) == 3


def test_a_macro_swallows_nothing_that_follows():
    text = "enum class LIB_API Tint : int { Red };\nclass LIB_API Bare { int f() { return 1; } };\n" + "".join(
        f"int f{n}() {{ return {n}; }}\n" for n in range(20)
    )
    assert list(symbols(text, "cpp")) == ["Tint", "Bare", "Bare.f", *(f"f{n}" for n in range(20))]


def test_a_macro_before_a_declaration_belongs_to_it():
    text = 'OLD("use g") LIB_API void f(int x) { }\nLIB_API const char* name(const std::string& s) { return 0; }\n'
    chunks = chunk_file(text.encode(), file_path="a", file_hash="0", language="cpp")
    assert [(chunk.qualified_name, chunk.decorators) for chunk in chunks] == [
        ("f", ('OLD("use g") LIB_API',)),
        ("name", ("LIB_API",)),
    ]


@pytest.mark.parametrize(
    ("head", "language", "name"),
    [
        ("SYSCALL_DEFINE2(reboot, int, magic, int, cmd)", "c", "reboot"),
        ("DEFINE_HANDLER(on_dock, Harbour* harbour)", "cpp", "on_dock"),
        ('TEST_CASE("adds lines", "[cart]")', "cpp", "adds lines"),
        ("TEST_F(Cart, AddsLines)", "cpp", "Cart.AddsLines"),
        ("BOOST_AUTO_TEST_CASE(adds_lines)", "cpp", "adds_lines"),
        ("PYBIND11_MODULE(harbour, m)", "cpp", "harbour"),
    ],
)
def test_a_function_that_a_macro_makes_has_the_name_in_its_arguments(head, language, name):
    found = symbols(f"int before(void) {{ return 0; }}\n\n{head}\n{{\n    work();\n}}\n", language)
    assert list(found) == ["before", name]
    assert found[name][1:] == (3, 6)


@pytest.mark.parametrize("opening", ["if (a) {", "for (;;) {\n    if (a) {\n    }"])
def test_branches_of_a_directive_may_share_a_brace(opening):
    text = f"int f(void)\n{{\n#ifdef A\n{opening}\n#elif B\n    while (b) {{\n#else\n    {{\n#endif\n    x();\n    }}\n}}\n"
    end = text.count("\n")
    assert symbols(text + "int g(void) { return 1; }\n", "c") == {
        "f": ("function", 1, end),
        "g": ("function", end + 1, end + 1),
    }


def test_only_directives_around_uneven_braces_are_hidden():
    text = b'#if A\n  f("}");  // }\n#else\n  g();\n#endif\n#if B\n{\n#endif\n#if B\n}\n#endif\n'
    assert blanked(text, conditional_text(text)).split() == b'#if A f("}"); // } #else g(); #endif { }'.split()
    everywhere = [(0, len(text))]
    assert b"#" not in blanked(text, conditional_text(text, everywhere))
    assert len(blanked(text, conditional_text(text, everywhere))) == len(text)


def test_directives_far_from_a_fault_are_not_hidden():
    text = b"#if A\n#endif\n" + b"f();\n" * 100 + b"#if B\n#endif\n"
    hidden = blanked(text, conditional_text(text, [(len(text) - 10, len(text))]))
    assert b"#if A\n#endif" in hidden
    assert b"B" not in hidden


def test_a_linux_style_attribute_and_a_type_on_its_own_line_lose_no_function():
    text = "DWORD\nWINAPI\nfoo(int a)\n{\n    return 0;\n}\n\n"
    text += "int __must_check bar(int *f) __acquires(lock)\n{\n    return 0;\n}\n"
    assert list(symbols(text, "c")) == ["foo", "bar"]


@pytest.mark.parametrize("kind", ["class", "object", "interface", "internal class", "data class", "enum class"])
@pytest.mark.parametrize("above", ['@A\n@B("x)", y = [1, 2])\n', "@a.b.C\n@D\n", "/** Doc. */\n@A @B(C(1))\n"])
def test_annotations_of_kotlin_stay_with_their_class(kind, above):
    entries = " One;" if kind == "enum class" else ""
    body = "(val n: Int)" if kind == "data class" else f" {{{entries}\n    fun weight(): Int = 1\n}}"
    text = f"package a\n\n{above}{kind} Hull{body}\n\nclass After\n"
    chunks = chunk_file(text.encode(), file_path="a", file_hash="0", language="kotlin")
    (hull,) = (chunk for chunk in chunks if chunk.qualified_name == "Hull")
    assert (hull.chunk_type, hull.start_line, len(hull.decorators)) == (ChunkType.CLASS, 3, 2)
    assert hull.end_line == text.count("\n") - 2
    assert (kind == "data class") or any(chunk.qualified_name == "Hull.weight" for chunk in chunks)


def test_directives_in_a_class_of_swift_do_not_end_it():
    text = """class Hull {
    #if os(iOS)
    func a() { }
    #elseif os(macOS)
    func b() { }
    #else
    var x = 1
    #endif
    var body: some View {
        Text("x")
        #if os(iOS)
            .padding()
        #endif
    }
}

func after() -> Int { 1 }
"""
    assert symbols(text, "swift") == {
        "Hull": ("class", 1, 15),
        "Hull.a": ("method", 3, 3),
        "Hull.b": ("method", 5, 5),
        "Hull.body": ("method", 9, 14),
        "after": ("function", 17, 17),
    }


def test_a_heredoc_in_a_heredoc_of_ruby_loses_nothing():
    text = "class Hull\n  def a\n    <<~A\n      x\n      #{ <<~B }\n        y\n      B\n    A\n  end\n\n  def b; end\nend\n"
    assert symbols(text, "ruby") == {
        "Hull": ("class", 1, 12),
        "Hull.a": ("method", 2, 9),
        "Hull.b": ("method", 11, 11),
    }


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("c", "A_B(" * 20_000),
        ("cpp", "class A_B " * 20_000),
        ("cpp", "A_B\n" * 40_000),
        ("c", "#if A\n{\n" * 20_000),
        ("cpp", ")" + " " * 200_000 + "x"),
        ("kotlin", "@A(" * 10_000),
        ("kotlin", '@A("\n' * 10_000),
        ("ruby", "x(<<~A, " * 10_000 + "\n" + "<<~B\n" * 10_000),
        ("swift", "class A {\n#if B\n" * 3_000),
    ],
)
def test_hostile_text_takes_no_multiple_of_what_parsing_takes(language, text):
    from tree_sitter_language_pack import get_parser

    started = time.process_time()
    get_parser(language).parse(text.encode())
    alone = time.process_time() - started
    started = time.process_time()
    chunk_file(text.encode(), file_path="a", file_hash="0", language=language)
    assert time.process_time() - started < 5 + 20 * alone


@pytest.mark.parametrize(
    ("text", "language", "lines"),
    [
        ("int a() { return 1; }\n" * 100 + "class ( {\n" * 10, "cpp", 10),
        ("def a(:\n" * 30, "python", 30),
        ("class LIB_API A : B {\n" + "int a() { return 1; }\n" * 30 + "};\n", "cpp", None),
        ("int a() { return 1; }\n" * 500 + "class ( {\n" * 3, "cpp", None),
    ],
)
def test_many_lines_that_stay_misread_are_told(text, language, lines):
    told: list[int] = []
    chunk_file(text.encode(), file_path="a", file_hash="0", language=language, on_misread=told.append)
    assert [count >= 10 for count in told] == ([] if lines is None else [True])
    assert all(count <= text.count("\n") + 1 for count in told)


def test_a_class_of_characters_in_a_pattern_of_bash_swallows_no_function():
    text = (
        'trim() {\n  local -r left=${2#"${2%%[![:space:]]*}"}\n  local -r both=${left%"${left##*[![:space:]]}"}\n}\n\n'
    )
    assert list(symbols(f"{text}after() {{\n  echo\n}}\n", "bash")) == ["trim", "after"]


@pytest.mark.parametrize("count", [1, 40])
def test_reading_again_gives_the_tree_of_a_parse_from_the_start(count):
    text = "".join(
        f"class HARBOUR_EXPORT Ship{number} : public Vessel {{\n public:\n  int load() {{ return {number}; }}\n}};\n\n"
        for number in range(count)
    ).encode()
    spec, parser, query, doubts, _ = _tools("cpp")
    reading = read(text, parser, query, doubts, spec.repairs)
    assert len(reading.hidden) == count
    again = parser.parse(blanked(text, reading.hidden))
    assert str(reading.tree.root_node) == str(again.root_node)
    assert reading.tree.root_node.end_point == again.root_node.end_point
    assert [node.start_point.row for node in reading.captures["class"]] == list(range(0, 5 * count, 5))


@pytest.mark.parametrize("line_end", ["\n", " "])
def test_near_faults_is_found_what_a_search_through_the_whole_text_finds_there(line_end):
    text = line_end.join(f"MACRO_{number} " + "x" * 90 for number in range(400)).encode()
    faults = [(0, 10), (9_000, 9_010), (9_500, 12_000), (30_000, 30_001), (len(text) - 5, len(text))]
    pattern = re.compile(rb"(?P<macro>MACRO_\d+)")
    within = [
        found.span()
        for found in pattern.finditer(text)
        if any(start - REACH <= found.start() <= end for start, end in faults)
    ]
    assert len(within) > 20
    assert [(start, end) for start, end, *_ in near([pattern], text, faults, "macro")] == within


HASKELL = """module Store where

#ifdef ORDERED
size :: Store -> Int
size = M.size . raw
#else
size :: Store -> Int
size = H.size . raw

keys :: Store -> [Key]
keys = H.keys . raw
#endif

after :: Int
after = 1
"""


def test_all_branches_of_a_conditional_in_haskell_are_read():
    chunks = chunk_file(HASKELL.encode(), file_path="a", file_hash="0", language="haskell")
    found = [
        (chunk.qualified_name.rpartition(".")[2], chunk.end_line)
        for chunk in chunks
        if chunk.chunk_type is ChunkType.FUNCTION
    ]
    assert found == [("size", 5), ("size", 8), ("keys", 11), ("after", 15)]


CSHARP = """namespace Shop
{
    public class Till
    {
        internal void Add(int sum, int run
#if TRACE
                          , string trace
#endif
        )
        {
            Total += sum;
        }

        public int Take() { return 0; }
    }
}
"""


def test_a_conditional_among_parameters_in_csharp_loses_no_class():
    found = symbols(CSHARP, "csharp")
    assert found["Shop.Till"] == ("class", 3, 16)
    assert found["Shop.Till.Add"] == ("method", 5, 12)
    assert found["Shop.Till.Take"] == ("method", 14, 14)


@pytest.mark.parametrize(
    "line",
    [
        "    return [expr {(($w << 8) | (($w >> 24) & 0xff)) & 0xffffffff}]",
        "    return [list [expr {0xFF & $w}] \\\n        [expr {(0xFF00 & $w) \\\n            >> 8}]]",
        '    if {$w == 0 && [regexp {["\'(]} $w]} then {set x "}" ; set y 360.*-1.} ',
    ],
)
def test_an_expression_that_the_grammar_of_tcl_misreads_loses_no_procedure(line):
    text = f"proc ::m::first {{w}} {{\n{line}\n}}\n\nproc ::m::second {{v {{n 0}}}} {{\n    return $v\n}}\n"
    found = symbols(text, "tcl")
    assert list(found) == ["m.first", "m.second"]


def test_bodies_of_procedures_in_tcl_are_found_in_linear_time():
    text = "proc f {a} {\n if {\n" * 20_000
    started = time.process_time()
    assert symbols(text[:200_000], "tcl") is not None
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("erlang", "escape($n) -> $\\n;   % a line\nescape($r) -> $\\r;   %% the return\nescape(C) -> C. % any\n"),
        ("haskell", "escape 'n' = 1 -- a line\nescape 'r' = 2 -- the return\nescape _ = 3\n"),
        ("elixir", "defmodule A do\n  def escape(1), do: 1 # a line\n  def escape(2), do: 2\nend\n"),
    ],
)
def test_clauses_with_comments_at_their_ends_are_one_function(language, text):
    assert [name for name in symbols(text, language) if name.endswith("escape")] in (["escape"], ["A.escape"])
    chunks = chunk_file(text.encode(), file_path="a", file_hash="0", language=language)
    assert sum(chunk.qualified_name.endswith("escape") for chunk in chunks) == 1


OCTAVE = """## Copyright (C) 2020 A. Author
## -*- texinfo -*-

function y = first (x)
  # a comment with an apostrophe: it isn't text
  if (! x)
    y = "# no comment";
  endif
  unwind_protect
    y != 1;
  unwind_protect_cleanup
    y = 2;
  end_unwind_protect
endfunction

function second ()
endfunction

%!assert (first (1), 2)
"""


def test_what_octave_writes_otherwise_is_read():
    chunks = chunk_file(OCTAVE.encode(), file_path="a", file_hash="0", language="matlab")
    found = [(chunk.qualified_name, chunk.end_line) for chunk in chunks if chunk.chunk_type is ChunkType.FUNCTION]
    assert found == [("first", 14), ("second", 17)]
