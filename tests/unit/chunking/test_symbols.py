"""Definitions that a language writes in more than one way have their names, lines and documentation in each."""

from __future__ import annotations

import pytest

from code_index.chunking import chunk_file
from code_index.core.model import Chunk, ChunkType

_CODE = {ChunkType.FUNCTION: "f", ChunkType.METHOD: "m", ChunkType.CLASS: "c"}


def chunked(text: str, language: str) -> tuple[Chunk, ...]:
    return chunk_file(text.encode(), file_path="a", file_hash="0", language=language)


def symbols(text: str, language: str) -> list[str]:
    """Each definition as `c Name 1-4` (f for functions, m for methods), in order."""
    return [
        f"{_CODE[chunk.chunk_type]} {chunk.qualified_name} {chunk.start_line}-{chunk.end_line}"
        for chunk in chunked(text, language)
        if chunk.chunk_type in _CODE and (chunk.parent_chunk_id is None or chunk.lines_of_code)
    ]


DECLARATIONS = [
    ("rust", "/// Doc.\ntrait A {\n    /// B.\n    fn b(&self) -> u8;\n    fn c(&self) {}\n}", ["c A 1-6", "m A.b 3-4", "m A.c 5-5"]),
    ("rust", 'extern "C" {\n    fn a(b: u8) -> u8;\n}\npub type C<T> = Vec<T>;', ["f a 2-3", "c C 4-4"]),
    ("c", "/* Doc. */\nint a(void);\nchar **b(int c), d;\nextern int e;\nint (*f)(int);", ["f a 1-2", "f b 3-3"]),
    ("c", "typedef int (*a)(int);\ntypedef struct b c;\ntypedef struct { int d; } e;", ["c a 1-1", "c c 2-2", "c e 3-3"]),
    ("c", "int a(void)\n{\n    int b(int);\n    return b(1);\n}", ["f a 1-5"]),
    (
        "cpp",
        "class A {\n  Q_DISABLE_COPY(A)\n  A(int b);\n  ~A();\n  /// Doc.\n  virtual int c() const = 0;\n  int z = 0;\n};\nvoid d(A& e);\nusing F = A;",
        ["c A 1-8", "m A.c 5-6", "f d 9-9", "c F 10-10"],
    ),
    ("cpp", 'extern "C" int a(void);\nnamespace b {\ntemplate <class T> T c(T d);\n}', ["f a 1-1", "f b.c 3-4"]),
    ("typescript", "/** Doc. */\nfunction a(b: 1): 1;\nfunction a(b: 2): 2;\nfunction a(b: any) {}", ["f a 1-4"]),
    ("typescript", "class A {\n  b(c: 1): 1;\n  b(c: any) {}\n  get d() { return 1 }\n  set d(e) {}\n}", ["c A 1-6", "m A.b 2-3", "m A.d 4-4", "m A.d 5-5"]),
    ("typescript", "declare function a(): 1;\ndeclare type B = 1\nexport type C =\n  | 1\ndeclare class D { e(): 1 }", ["f a 1-1", "c B 2-2", "c C 3-4", "c D 5-5", "m D.e 5-5"]),
    ("typescript", "abstract class A {\n  abstract b(): 1\n}\ndeclare module 'c' {\n  function d(): 1\n}", ["c A 1-3", "m A.b 2-2", "f c.d 5-6"]),
    ("go", "package a\n\n// B is.\ntype B string\n\ntype (\n\t// C is.\n\tC func()\n\tD = B\n)", ["c B 3-4", "c C 7-8", "c D 9-10"]),
    ("csharp", "delegate int A(int b);\ninterface C { int D(); }", ["c A 1-1", "c C 2-2", "m C.D 2-2"]),
    ("java", "interface A { int b(); }\n@interface C {\n  int d() default 1;\n}", ["c A 1-1", "m A.b 1-1", "c C 2-4", "m C.d 3-3"]),
    ("kotlin", "interface A {\n    fun b(): Int\n}\ntypealias C = A", ["c A 1-3", "m A.b 2-2", "c C 4-4"]),
    ("swift", "protocol A {\n    func b() -> Int\n}\ntypealias C = A", ["c A 1-3", "m A.b 2-2", "c C 4-4"]),
    ("scala", "trait A {\n  def b: Int\n  def c(d: Int): Int\n}", ["c A 1-4", "m A.b 2-2", "m A.c 3-3"]),
    ("dart", "abstract class A {\n  int get b;\n  void c();\n}\ntypedef D = void Function();", ["c A 1-4", "m A.b 2-2", "m A.c 3-3", "c D 5-5"]),
    ("php", "<?php\ninterface A {\n  function b();\n}", ["c A 2-4", "m A.b 3-3"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), DECLARATIONS)
def test_a_declaration_without_a_body_is_found_by_its_name(language, text, expected):
    assert symbols(text + "\n", language) == expected


def test_an_overload_has_the_documentation_of_the_first_signature_and_the_parameters_of_the_body():
    (chunk,) = chunked(
        "/** Doc. */\nexport function a(b: 1): 1\nexport function a(c: any): any {\n  return c ? 1 : 2\n}\n",
        "typescript",
    )
    assert (chunk.docstring, [parameter.name for parameter in chunk.parameters]) == ("Doc.", ["c"])
    assert chunk.cyclomatic_complexity == 2


def test_prototypes_have_their_comments():
    chunks = chunked("/* Opens it. */\nint *a(void);\n\n// Closes it.\nvoid b(int *c);\n", "c")
    assert [(chunk.function_name, chunk.docstring) for chunk in chunks] == [("a", "Opens it."), ("b", "Closes it.")]


BEHIND_CALLS = [
    ("javascript", "const A = forwardRef((b, c) => {\n  return b\n})", ["f A 1-3"]),
    ("javascript", "export const A = memo(function A(b) {})", ["f A 1-1"]),
    ("javascript", "export const A = memo(React.forwardRef((b) => b))", ["f A 1-1"]),
    ("javascript", "const useA = create()((set) => ({ b: 1 }))", ["f useA 1-1"]),
    ("typescript", "export const a = createThunk<B, C>('a/b', async (c: C) => c)", ["f a 1-1"]),
    ("javascript", "export const Panel = connect(mapState)(PlainPanel)", ["f Panel 1-1"]),
    ("javascript", "const a = b.map((c) => c), d = e(1)\nconst f = new G(() => 1)", []),
    ("javascript", "exports.handler = wrap(async (event) => event)", ["f handler 1-1"]),
    ("javascript", "module.exports = {\n  a() {},\n  b: async function () {},\n  c: () => 1,\n  d: 2,\n}", ["f a 2-2", "f b 3-3", "f c 4-4"]),
    ("javascript", "const api = {\n  a() {},\n  get b() { return 1 },\n}", ["f api.a 2-2", "f api.b 3-4"]),
    ("javascript", "const s = createSlice({\n  name: 's',\n  reducers: {\n    add(state) {},\n  },\n})", ["f s.add 4-6"]),
    ("javascript", "export default {\n  methods: {\n    go() {},\n  },\n}", ["f go 3-5"]),
    ("javascript", "$.fn.a = function () {}\nA.prototype.b = function () {}\nx.y.Z.c = () => 1", ["m $.fn.a 1-1", "m A.b 2-2", "m x.y.Z.c 3-3"]),
    ("javascript", "(function ($) {\n  function a() {}\n  const b = () => 1\n})(jQuery)", ["f a 2-2", "f b 3-3"]),
    ("javascript", "(function (r, f) {\n  f(r)\n})(this, function () {\n  function a() {}\n})", ["f a 4-5"]),
    ("javascript", "define(['b'], function (b) {\n  function a() {}\n})", ["f a 2-3"]),
    ("javascript", "app.get('/a/:id.json', async (b, c) => {\n  c.send()\n})", ["f get /a/:id.json 1-3"]),
    ("javascript", "describe('a', () => {\n  it('adds 1.5', () => {})\n  test.each([1])('b %i', (c) => {})\n})", ["f a.adds 1.5 2-2", "f a.b %i 3-4"]),
    ("javascript", "class A {\n  [Symbol.iterator]() {}\n  b = debounce(() => 1)\n  static c = () => 2\n}", ["c A 1-5", "m A.[Symbol.iterator] 2-2", "m A.b 3-3", "m A.c 4-4"]),
    ("lua", "local M = {\n  a = function(b) end,\n  c = 1,\n}\nfunction M.d.e() end", ["f M.a 2-2", "m M.d.e 5-5"]),
    ("r", "A <- R6::R6Class('A', public = list(\n  b = function(c) c\n))\nmethods::setMethod('show', 'A', function(d) 1)", ["c A 1-3", "m A.b 2-2", "f show 4-4"]),
    ("ruby", "class A\n  define_method(:b) do |c|\n    c\n  end\nend", ["c A 1-5", "m A.b 2-4"]),
    ("ruby", "A = Struct.new(:b) do\n  def c; end\nend", ["c A 1-3", "m A.c 2-2"]),
    ("ruby", "describe A do\n  context 'b' do\n    it 'c d' do\n      e\n    end\n  end\nend", ["f A.b.c d 3-5"]),
    ("ruby", "namespace :a do\n  desc 'B.'\n  task b: :c do\n    d\n  end\nend", ["f a.b 3-5"]),
    ("go", "package a\n\n// B serves.\nvar B = http.HandlerFunc(func(w W) {\n})\nvar (\n\tc = func() {}\n\td = 1\n)", ["f B 3-5", "f c 7-7"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), BEHIND_CALLS)
def test_a_function_behind_a_call_or_in_an_object_is_found_by_the_name_that_it_gets(language, text, expected):
    assert symbols(text + "\n", language) == expected


def test_names_with_dots_are_taken_apart_only_at_owners():
    named = {
        chunk.qualified_name: (chunk.class_name, chunk.function_name)
        for chunk in chunked(
            "class A {\n  [Symbol.iterator]() {}\n}\n$.fn.b = () => 1\nx.Y.c = () => 1\nit('d e.f', () => {})\n",
            "javascript",
        )
    }
    assert named == {
        "A": ("A", None),
        "A.[Symbol.iterator]": ("A", "[Symbol.iterator]"),
        "$.fn.b": ("$.fn", "b"),
        "x.Y.c": ("Y", "c"),
        "d e.f": (None, "d e.f"),
    }


def test_a_function_behind_a_call_has_its_parameters():
    (chunk,) = chunked("const A = memo(forwardRef(({ b }, c) => b))\n", "javascript")
    assert [parameter.name for parameter in chunk.parameters] == ["{ b }", "c"]


SCOPES = [
    ("csharp", "using Z;\n\nnamespace A.B;\n\nclass C { void D() {} }", ["c A.B.C 5-5", "m A.B.C.D 5-5"]),
    ("csharp", "namespace A.B { class C { void D() {} } }", ["c A.B.C 1-1", "m A.B.C.D 1-1"]),
    ("php", "<?php\nnamespace A\\B;\nclass C { function d() {} }\nnamespace E;\nfunction f() {}", ["c A.B.C 3-3", "m A.B.C.d 3-3", "f E.f 5-5"]),
    ("php", "<?php\nnamespace A\\B {\nclass C { function d() {} }\n}", ["c A.B.C 3-4", "m A.B.C.d 3-3"]),
    ("ruby", "class A::B::C\n  def d; end\nend", ["c A.B.C 1-3", "m A.B.C.d 2-2"]),
    ("ruby", "module A\n  class B::C\n    def d; end\n  end\nend", ["c A 1-5", "c A.B.C 2-4", "m A.B.C.d 3-3"]),
    ("cpp", "namespace a::b {\nvoid c() {}\n}\nclass a::D { void e() {} };\nvoid a::D::f() {}", ["f a.b.c 2-3", "c a.D 4-4", "m a.D.e 4-4", "m a.D.f 5-5"]),
    ("dart", "extension type A(String b) {\n  bool get c => true;\n}", ["c A 1-3", "m A.c 2-2"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), SCOPES)
def test_a_scope_gives_the_same_names_however_it_is_written(language, text, expected):
    assert symbols(text + "\n", language) == expected
    assert {chunk.class_name for chunk in chunked(text, language) if chunk.class_name} <= {"A", "C", "D"}


def test_members_of_a_package_of_sql_have_names():
    text = (
        "CREATE OR REPLACE PACKAGE BODY shop AS\n  PROCEDURE a(b NUMBER DEFAULT f(';')) IS\n    PROCEDURE inner IS\n    BEGIN NULL; END inner;\n"
        '  BEGIN\n    NULL;\n  END a;\n\n  FUNCTION "c" RETURN NUMBER AS\n  BEGIN\n    RETURN 1;\n  END;\n\n  PROCEDURE d(e NUMBER);\n'
        "-- " + "x" * 200 + "\nEND shop;\n/\n"
    )
    named = [(chunk.qualified_name, chunk.start_line, chunk.end_line) for chunk in chunked(text, "sql")]
    assert named[:4] == [("shop", 1, 17), ("shop.a", 2, 7), ("shop.c", 9, 12), ("shop.d", 14, 14)]


def test_a_long_class_gives_its_documented_prototypes_a_chunk_and_holds_the_rest():
    doc = "/// " + "Opens the valve by a quarter turn, waits, and tells how far it went. " * 3
    members = f"    {doc}\n    int open(int turn) const;\n" + "".join(f"    int sensor_{n}();\n" for n in range(90))
    chunks = chunked(f"class Pump {{\npublic:\n{members}}};\n", "cpp")
    assert {chunk.qualified_name for chunk in chunks} == {"Pump", "Pump.open"}
    (found,) = (chunk for chunk in chunks if chunk.function_name == "open")
    assert (found.docstring, found.start_line, found.end_line) == (doc[4:].strip(), 3, 4)


def test_a_short_class_holds_all_its_prototypes():
    text = (
        f"class Pump {{\n    /// {'Opens it. ' * 30}\n    int open(int turn) const;\n    int f() {{ return 1; }}\n}};\n"
    )
    assert symbols(text, "cpp") == ["c Pump 1-5", "m Pump.f 4-4"]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("javascript", "module.exports = class A { f() {} }", ["c A 1-1", "m A.f 1-1"]),
        ("javascript", "module.exports = function a() {}\nmodule.exports.b = function c() {}", ["f a 1-1", "f b 2-2"]),
        ("javascript", "const a = (function (b) {});\nexports.c = (d => d)", ["f a 1-1", "f c 2-2"]),
        ("typescript", "export const a = (<T>(b: T) => b)", ["f a 1-1"]),
        (
            "typescript",
            "export function a(b: 1): 1;\n/* eslint-enable */\n\n/** Doc. */\nexport function a(b: any) {}",
            ["f a 1-5"],
        ),
        ("cpp", "typedef a::B<int> C;\nclass D { typedef E<int> F; };", ["c C 1-1", "c D 2-2", "c D.F 2-2"]),
        ("c", "LIB_INLINE cpu_t\nget_cpu(void) {\n}", ["f get_cpu 1-3"]),
        ("haskell", "-- | Doc.\ntype A = Int\nnewtype B = B Int", ["c A 1-2", "c B 3-3"]),
    ],
)
def test_a_definition_has_the_name_that_its_users_call_it_by(language, text, expected):
    assert symbols(text + "\n", language) == expected
