"""The same control flow in every language has the same figures, computed by hand."""

from __future__ import annotations

import pytest

from code_index.chunking.code import extract_code
from code_index.chunking.registry import LANGUAGES
from tests.samples import GOLDEN

# if a && b || a { for { while {} } } else if b {} else {}
# cyclomatic: 1 + if + && + || + for + while + else-if = 7
# cognitive: if 1, && 1, || 1, for 2, while 3, else-if 1, else 1 = 10; deepest nesting: if, for, while = 3
_BRACES = "if (a && b || a) { for (;;) { while (b) {} } } else if (b) { g(); } else { h(); }"
BRANCHES = {
    "python": "def f(a, b):\n  if a and b or a:\n    for x in a:\n      while b:\n        pass\n"
    "  elif b:\n    pass\n  else:\n    pass\n",
    "javascript": f"function f(a, b) {{ {_BRACES} }}",
    "typescript": f"function f(a: boolean, b: boolean) {{ {_BRACES} }}",
    "tsx": f"const f = (a: boolean, b: boolean) => {{ {_BRACES} }};",
    "java": f"class A {{ void f(boolean a, boolean b) {{ {_BRACES} }} }}",
    "kotlin": "fun f(a: Boolean, b: Boolean) {\n"
    "  if (a && b || a) { for (x in y) { while (b) {} } } else if (b) { g() } else { h() }\n}",
    "scala": "def f(a: Boolean, b: Boolean) = {\n"
    "  if (a && b || a) { for (x <- y) { while (b) {} } } else if (b) { g() } else { h() }\n}",
    "go": "package p\nfunc f(a, b bool) {\n if a && b || a {\n  for _, x := range y {\n   for b {\n   }\n  }\n"
    " } else if b {\n  g()\n } else {\n  h()\n }\n}\n",
    "rust": "fn f(a: bool, b: bool) { if a && b || a { for x in y { while b {} } } else if b { g(); } else { h(); } }",
    "c": f"void f(int a, int b) {{ {_BRACES} }}",
    "cpp": f"void f(bool a, bool b) {{ {_BRACES} }}",
    "csharp": f"class A {{ void F(bool a, bool b) {{ {_BRACES} }} }}",
    "ruby": "def f(a, b)\n  if a && b || a\n    for x in y\n      while b\n        g\n      end\n    end\n"
    "  elsif b\n    g\n  else\n    h\n  end\nend\n",
    "php": "<?php\nfunction f($a, $b) { if ($a && $b || $a) { for (;;) { while ($b) {} } }"
    " elseif ($b) { g(); } else { h(); } }",
    "swift": "func f(a: Bool, b: Bool) {\n if a && b || a { for x in y { while b {} } } else if b { g() } else { h() }\n}",
    "bash": "f() {\n if a && b || a; then\n  for x in y; do\n   while b; do\n    g\n   done\n  done\n"
    " elif b; then\n  g\n else\n  h\n fi\n}\n",
    "lua": "function f(a, b)\n if a and b or a then for i = 1, 2 do while b do g() end end\n"
    " elseif b then g() else h() end\nend",
    "zig": "fn f(a: bool, b: bool) void {\n if (a and b or a) { for (y) |x| { while (b) { g(); } } }"
    " else if (b) { g(); } else { h(); }\n}\n",
    "dart": f"void f(bool a, bool b) {{ {_BRACES} }}",
    "r": "f <- function(a, b) {\n if (a && b || a) { for (x in y) { while (b) { g() } } } else if (b) g() else h()\n}",
    # no `else if` and no loops but comprehensions: the same with a nested `if` in `else`
    "elixir": "defmodule A do\n def f(a, b) do\n  if a && b || a do\n   for x <- a do\n    for y <- b do\n     y\n"
    "    end\n   end\n  else\n   g()\n  end\n  unless b, do: h()\n end\nend\n",
    # no loops: conditionals nested as deep
    "haskell": "f a b = if a && b || a then (if a then (if b then 1 else 2) else 3) else 4\n"
    "f _ _ = if True then 1 else 2\n",
}
# elixir: 1 + if + && + || + for + for + unless = 7; if 1, && 1, || 1, for 2, for 3, else 1, unless 1 = 10
# erlang: 1 + three cases + one `if` clause + two comprehensions + andalso + orelse = 9; case 1, both operators 2,
# comprehensions 2 + 3, `if` 2 = 10
# haskell: two clauses 2 + 4 conditionals + && + || = 8; (1 + 1 + 1 + 2 + 3) + 1 = 9; its `else` is obligatory and does not count
# A language may also keep its text beside its golden sample.
BRANCHES |= {path.parent.name: path.read_text(encoding="utf-8") for path in GOLDEN.glob("*/branches.*")}
EXPECTED = dict.fromkeys(BRANCHES, (7, 10, 3)) | {"haskell": (8, 9, 3), "erlang": (9, 10, 3)}

# switch with two cases and a default: 1 + 2 = 3, one increment, one level
_CASES = "switch (a) { case 1: return 1; case 2: return 2; default: return 3; }"
SWITCHES = {
    "python": "def f(a):\n  match a:\n    case 1:\n      return 1\n    case 2:\n      return 2\n    case _:\n      return 3\n",
    "javascript": f"function f(a) {{ {_CASES} }}",
    "typescript": f"function f(a: number) {{ {_CASES} }}",
    "tsx": f"function f(a: number) {{ {_CASES} }}",
    "java": f"class A {{ int f(int a) {{ {_CASES} }} }}",
    "kotlin": "fun f(a: Int): Int {\n  return when (a) {\n    1 -> 1\n    2 -> 2\n    else -> 3\n  }\n}",
    "scala": "def f(a: Int) = a match {\n  case 1 => 1\n  case 2 => 2\n  case _ => 3\n}",
    "go": "package p\nfunc f(a int) int {\n switch a {\n case 1:\n  return 1\n case 2:\n  return 2\n default:\n  return 3\n }\n}\n",
    "rust": "fn f(a: u8) -> u8 { match a { 1 => 1, 2 => 2, _ => 3 } }",
    "c": f"int f(int a) {{ {_CASES} }}",
    "cpp": f"int f(int a) {{ {_CASES} }}",
    "csharp": f"class A {{ int F(int a) {{ {_CASES} }} }}",
    "ruby": "def f(a)\n  case a\n  when 1 then 1\n  when 2 then 2\n  else 3\n  end\nend\n",
    "php": f"<?php\nfunction f($a) {{ {_CASES.replace('(a)', '($a)')} }}",
    "swift": "func f(a: Int) -> Int {\n switch a {\n case 1: return 1\n case 2: return 2\n default: return 3\n }\n}",
    "bash": 'f() {\n case "$1" in\n  a) g ;;\n  b) h ;;\n  *) i ;;\n esac\n}\n',
    "elixir": "defmodule A do\n def f(a) do\n  case a do\n   1 -> 1\n   2 -> 2\n   _ -> 3\n  end\n end\nend\n",
    "haskell": "f a = case a of\n  1 -> 1\n  2 -> 2\n  _ -> 3\n",
    "zig": "fn f(a: u8) u8 {\n switch (a) {\n  1 => return 1,\n  2 => return 2,\n  else => return 3,\n }\n}\n",
    "dart": f"int f(int a) {{ {_CASES} }}",
    "objective-c": f"int f(int a) {{ {_CASES} }}",
    "matlab": "function f(a)\nswitch a\n case 1\n  g()\n case 2\n  h()\n otherwise\n  i()\nend\nend\n",
    "powershell": "function f($a) {\n switch ($a) {\n  1 { g }\n  2 { h }\n  default { i }\n }\n}\n",
    "ocaml": "let f a = match a with\n  | 1 -> 1\n  | 2 -> 2\n  | _ -> 3\n",
    "fsharp": "module A\n\nlet f a =\n    match a with\n    | 1 -> 1\n    | 2 -> 2\n    | _ -> 3\n",
    "erlang": "f(A) ->\n case A of\n  1 -> 1;\n  2 -> 2;\n  _ -> 3\n end.\n",
    "groovy": f"int f(int a) {{ {_CASES} }}",
    "gdscript": "func f(a):\n\tmatch a:\n\t\t1:\n\t\t\tg()\n\t\t2:\n\t\t\th()\n\t\t_:\n\t\t\ti()\n",
}


def _function(language, source):
    stack = extract_code(source.encode(), language).blocks
    while stack[0].children:
        stack = stack[0].children
    return stack[0]


def _figures(block):
    return block.cyclomatic_complexity, block.cognitive_complexity, block.max_nesting_depth


def test_every_language_is_covered():
    assert set(BRANCHES) == {
        name for name, spec in LANGUAGES.items() if "@branch" in spec.query or spec.sort is not None
    }


@pytest.mark.parametrize("language", sorted(BRANCHES))
def test_branches_and_loops_count_as_computed_by_hand(language):
    assert _figures(_function(language, BRANCHES[language])) == EXPECTED[language]


@pytest.mark.parametrize("language", sorted(SWITCHES))
def test_a_switch_of_two_cases_and_a_default_counts_as_computed_by_hand(language):
    assert _figures(_function(language, SWITCHES[language])) == (3, 1, 1)


CLOSURES = {
    "python": "def f(a):\n  return map(lambda x: 1 if x else 2, a)\n",
    "javascript": "function f(a) { return a.map((x) => x ? 1 : 2); }",
    "java": "class A { Object f(A a) { return a.map(x -> x ? 1 : 2); } }",
    "kotlin": "fun f(a: A) {\n  a.map { x -> if (x) 1 }\n}",
    "go": "package p\nfunc f() {\n g(func() {\n  if a {\n   h()\n  }\n })\n}\n",
    "rust": "fn f(a: A) { a.map(|x| if x { g() }); }",
    "cpp": "void f() { auto g = [](int x) { return x ? 1 : 2; }; }",
    "csharp": "class A { void F() { G(x => x ? 1 : 2); } }",
    "ruby": "def f(a)\n  a.each do |x|\n    g if x\n  end\nend\n",
    "php": "<?php\nfunction f($a) { return map(fn($x) => $x ? 1 : 2, $a); }",
    "swift": "func f(a: A) {\n a.map { x in x ? 1 : 2 }\n}",
    "lua": "function f(a)\n each(a, function(x) if x then g() end end)\nend",
    "dart": "void f(A a) { a.map((x) => x ? 1 : 2); }",
    "r": "f <- function(a) {\n sapply(a, function(x) if (x) 1)\n}",
    "elixir": "defmodule A do\n def f(a) do\n  Enum.map(a, fn x -> if x, do: 1 end)\n end\nend\n",
    "scala": "def f(a: A) = a.map(x => if (x) g())\n",
    "objective-c": "void f(void) {\n each(^(int x) { if (x) g(); });\n}",
    "powershell": "function f($a) {\n $a | ForEach-Object { if ($_) { g } }\n}\n",
    "ocaml": "let f a = List.iter (fun x -> if x then g ()) a\n",
    "fsharp": "module A\n\nlet f a = List.iter (fun x -> if x then g ()) a\n",
    "clojure": "(defn f [a] (map (fn [x] (if x 1 2)) a))\n",
    "julia": "f(a) = map(x -> x ? 1 : 2, a)\n",
    "erlang": "f(A) -> map(fun(X) -> if X -> 1; true -> 2 end end, A).\n",
}


@pytest.mark.parametrize("language", sorted(CLOSURES))
def test_a_condition_in_a_closure_is_one_level_deeper(language):
    assert _figures(_function(language, CLOSURES[language])) == (2, 2, 2)
