"""Definitions in languages whose grammars do not name them: by words, below macros, in clauses and modules."""

from __future__ import annotations

import pytest

from code_index.chunking.embedded import extract
from tests.unit.chunking.test_symbols import chunked, symbols

DEFINITIONS = [
    ("objective-c", "NS_ASSUME_NONNULL_BEGIN\n@interface A (B)\n- (void)c:(int)d e:(id)f NS_SWIFT_NAME(g(h:));\n+ (int)i;\n@end", ["c A 2-5", "m A.c:e: 3-3", "m A.i 4-4"]),
    ("objective-c", "typedef NS_ENUM(NSInteger, A) {\n  B,\n};\ntypedef void (^C)(int d);", ["c A 1-3", "c C 4-4"]),
    ("objective-c", "@implementation A\nRCT_EXPORT_MODULE()\nRCT_EXPORT_METHOD(b:(id)c d : (id)e)\n{\n  f();\n}\n- (void)g {}\n@end", ["c A 1-8", "m A.b:d: 3-6", "m A.g 7-7"]),
    ("objective-c", "@implementation A {\n  std::mutex _b;\n}\n- (std::string)c:(const D::E &)f\n{\n  auto g = [&]() -> int { return x<y>(1); };\n}\nvoid H::i() {\n}\n@end", ["c A 1-10", "m A.c: 4-7", "m A.H.i 8-9"]),
    ("matlab", "function [a, b] = c(d)\ne = 1;\nfunction f\ng = 1;", ["f c 1-2", "f f 3-4"]),
    ("powershell", "function global:Get-A { }\nfilter B { $_ }\nDescribe 'c' {\n  It 'd e' {\n    f\n  }\n}", ["f Get-A 1-1", "f B 2-2", "f c.d e 4-7"]),
    ("ocaml", "let rec a b = c b\nand c d = a d\nlet e = 1\nmodule F (G : H) = struct\n  let i = fun j -> j\nend", ["f a 1-1", "f c 2-2", "c F 4-6", "m F.i 5-5"]),
    ("fsharp", "namespace A.B\n\nmodule C =\n    /// Doc.\n    let d e = e\n\ntype F = { g: int }\n\n/// Doc.\ntype H() =\n    member _.I = 1", ["c A.B.C 3-3", "m A.B.C.d 4-5", "c A.B.F 7-7", "c A.B.H 9-10", "m A.B.H.I 11-11"]),
    ("clojure", "(ns a.b)\n(defn- c [] 1)\n(defmethod d :e [f] f)\n(defrecord G [h]\n  I\n  (j [_] h))\n(def k (fn [l] l))\n(def m 1)", ["f a.b.c 2-2", "f a.b.d 3-3", "c a.b.G 4-6", "m a.b.G.j 6-6", "f a.b.k 7-7"]),
    ("erlang", "-module(a).\nb(0) -> 1;\nb(C) -> C.\nb(C, D) -> C + D.\n-record(e, {f}).", ["f a.b 2-3", "f a.b 4-4", "c a.e 5-5"]),
    ("julia", "module A\nb(c) = 1\nBase.d(e::F) where {F} = 2\n@inline function g(h) end\nmacro i(j) end\nk = function (l) l end\nend", ["f A.b 2-2", "m Base.d 3-3", "f A.g 4-4", "f A.@i 5-5"]),
    ("groovy", "package a.b\nclass C extends D {\n  C(int e) { }\n  List<F> g(h) { }\n}\ntask i(type: J) {\n}\ntasks.register('k') { }\nstage('l m') { }", ["c a.b.C 2-5", "m a.b.C.C 3-3", "m a.b.C.g 4-4", "f a.b.i 6-7", "f a.b.k 8-8", "f a.b.l m 9-9"]),
    ("solidity", "contract A {\n  event B(uint c);\n  modifier d() { _; }\n  constructor() { }\n  fallback() external { }\n}", ["c A 1-6", "m A.B 2-2", "m A.d 3-3", "m A.constructor 4-4", "m A.fallback 5-5"]),
    ("gdscript", "extends A\nclass_name B\nsignal c(d)\nfunc _init():\n\tpass", ["c B 2-2", "m B.c 3-3", "m B._init 4-5"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), DEFINITIONS)
def test_a_definition_has_the_name_that_users_of_the_language_say(language, text, expected):
    assert symbols(text + "\n", language) == expected


@pytest.mark.parametrize(("language", "text", "_expected"), [row for row in DEFINITIONS if row[0] == "objective-c"])
def test_macros_and_words_of_cpp_leave_nothing_of_objective_c_misread(language, text, _expected):
    assert extract(text.encode() + b"\n", language).misread_lines == 0


DOCUMENTED = [
    ("matlab", "% Above.\nfunction a\n% A  Below.\nb = 1;\nend", "A  Below."),
    ("matlab", "%% Section\nfunction a\nb = 1;\nend", None),
    ("powershell", "function A {\n  <#\n  .SYNOPSIS\n    Finds.\n  #>\n  b\n}", "Finds."),
    ("ocaml", "(** Finds. *)\nlet a b = b", "Finds."),
    ("clojure", '(defn a\n  "Finds."\n  [b] b)', "Finds."),
    ("clojure", '(def a (fn [b] "c"))', None),
    ("erlang", "%% @doc Finds.\n-spec a(b()) -> c().\na(B) -> B.", "Finds."),
    ("julia", '"Finds."\na(b) = b', "Finds."),
    ("gdscript", "## Finds.\nfunc a():\n\tpass", "Finds."),
]


@pytest.mark.parametrize(("language", "text", "expected"), DOCUMENTED)
def test_documentation_is_read_where_the_language_has_it(language, text, expected):
    (chunk,) = (chunk for chunk in chunked(text + "\n", language) if chunk.function_name)
    assert chunk.docstring == expected
