"""The projects in which definitions are compared, one for each language, and the kinds that can be compared.

Belongs here: data. Does not belong here: fetching and comparing (`languages`).

Both sides are compared in what both know. A kind of the reference that is in none of `functions`, `types` and `modules` is not compared: variables, fields, constants
and labels are no definitions here. `optional` kinds are compared one way only: where we have such a definition
it is no mistake, where we have not, neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AST: Final = "Python's ast"
TYPESCRIPT: Final = "TypeScript compiler"
JAVAC: Final = "Java's compiler"
ROSLYN: Final = "C#'s compiler"
LUAPARSE: Final = "luaparse"
OCAML: Final = "OCaml's compiler"
CLANG: Final = "clang"
ERLANG: Final = "Erlang's syntax tools"


@dataclass(frozen=True, slots=True)
class Project:
    """One project: where it comes from, its reference, and the kinds of that, each as words."""

    language: str
    source: str  # pypi, npm, debian (a source package) or deb (a package)
    package: str  # with its version
    reference: str  # a parser, or the name that Universal Ctags has for the language
    functions: str = ""
    types: str = ""
    modules: str = ""
    optional: str = ""
    unknown: str = ""  # regular expression of the first lines of our definitions that the reference cannot know
    text_mark: str = ""  # mark around texts in which the reference takes examples for code
    reasons: tuple[tuple[str, str], ...] = ()  # kinds of differences: words, and what one looks like
    differences: str = ""  # by kind, why what remains is no mistake of ours


_TS: Final = (
    "function method accessor bound_function function_property assigned_function",
    "class interface type_alias enum bound_class assigned_class",
)
_TS_OPTIONAL: Final = "object_method wrapped_function signature interface_method"

PROJECTS: Final = (
    Project("python", "pypi", "Django==5.2", AST, "function", "class"),
    Project("javascript", "npm", "webpack@5.99.9", TYPESCRIPT, _TS[0], _TS[1], "", _TS_OPTIONAL),
    Project("typescript", "npm", "rxjs@7.8.2", TYPESCRIPT, _TS[0], _TS[1], "", _TS_OPTIONAL, differences=""),
    Project("tsx", "npm", "react-native-paper@5.14.5", TYPESCRIPT, _TS[0], _TS[1], "", _TS_OPTIONAL, differences="components that a call makes of another one, `const Card = wrap(Base)`: to the compiler no functions"),
    Project("java", "debian", "libcommons-lang3-java=3.12.0-2+deb12u1", JAVAC, "method constructor", "class interface enum record annotation"),
    Project("go", "deb", "golang-github-gin-gonic-gin-dev=1.8.1-1", "Go", "func", "struct interface type talias", "", "methodSpec", differences="a function bound to a variable, to ctags a variable"),
    Project("rust", "debian", "rust-ripgrep=13.0.0-4", "Rust", "function method macro", "struct enum interface typedef", "", "module implementation"),
    Project("csharp", "pypi", "pythonnet==3.0.5", ROSLYN, "method constructor destructor operator indexer", "class interface struct record enum delegate", "namespace", "property"),
    Project("ruby", "deb", "ruby-rack=2.2.22-0+deb12u2", "Ruby", "method singletonMethod", "class module", "", "accessor alias", differences="a method in the block of `refine`"),
    Project("php", "debian", "symfony=5.4.53+dfsg-0+deb12u1", "PHP", "function", "class interface trait", "namespace", unknown="enum ", differences="closures bound to variables, to which ctags gives the variable's name; a generated fixture"),
    Project("c", "debian", "redis=5:7.0.15-1~deb12u10", "C", "function", "struct union enum typedef", "", "macro prototype", differences="bodies that a macro stands for, typedefs of a macro's type, and three files in which macros mislead the grammar; ctags loses what follows a macro without a semicolon"),
    Project("cpp", "debian", "leveldb=1.23-4", "C++", "function", "class struct union enum typedef", "namespace", "macro prototype alias", differences="functions in `#if 0` and behind a macro, which ctags leaves out"),
    Project("kotlin", "npm", "react-native-screens@4.10.0", "Kotlin", "method", "class interface object typealias", differences="functions of anonymous objects within a function, which belong to it here; constructors that ctags does not know"),
    Project("lua", "deb", "lua-penlight=1.13.1-3", LUAPARSE, "function", reasons=(("`Date[c] = function`, a key that is no name", r"^extra function \w+\[\w+\]"),)),
    Project("r", "debian", "r-cran-ggplot2=3.4.1+dfsg-1", "R", "function", unknown=r".*\b(ggproto|R6Class|setClass|setRefClass)\("),
    Project("haskell", "debian", "haskell-aeson=2.0.3.0-1", "Haskell", "function", "type", "", "constructor", unknown=r"(instance|class|deriving|type family|data family)\b", reasons=(("`infixr`, `class`, `deriving` and splices, to ctags functions", r"^missed function (infix[lr]?|class|deriving|derive\w+) "), ("fields of records, to ctags functions", r"^missed function \w+ \| .* \| .*\b\w+ *:: "), ("`instance` and `family`, to ctags names of types", r"^missed type (instance|family) "), ("operators, which ctags does not know", r"^(extra function [^\w\s]+ |missed type a )|^missed function \w+ \| .* \| \w+ (\w+ )?[^\w\s]+ "), ("instances of data families", r"^extra class .* \| (data|newtype) instance\b"))),
    Project("elixir", "debian", "elixir-lang=1.14.0.dfsg-2", "Elixir", "function macro delegate guard operator", "module protocol", "", "callback test type record implementation exception", unknown=r"(test|describe|defimpl|defexception)\b", text_mark='"""', differences="functions in `quote` blocks of macros, which belong to the macro here; examples in texts; names that are `unquote`d"),
    Project("bash", "npm", "bats@1.11.1", "Sh", "function", differences="one file whose expansions the grammar misreads"),
    Project("perl", "debian", "libmojolicious-perl=9.31+dfsg-1", "Perl", "subroutine", "package"),
    Project("proto", "debian", "protobuf=3.21.12-3+deb12u1", "Protobuf", "rpc", "message enum service", "", "oneof group package", differences="one generated file that the grammar misreads in part"),
    Project("objective-c", "debian", "gnustep-base=1.28.1+really1.28.0-5", CLANG, "method function", "interface protocol implementation", "", "struct enum category typedef prototype", reasons=(("`main`, which a header's macro renames, on both sides", r"gnustep_base_user_main|^extra function main "), ("methods whose lines show them (`- (BOOL) f`) and which clang does not report", r"^extra method .* \| *([-+] *\(|[\w ]+: *\()"), ("definitions that a macro stands for (`MDEALLOC`, `GS_PRIVATE_INTERNAL(A)`)", r"^missed (method|function|interface|implementation) .* \| *([A-Z_]{4,}\b.*)$"), ("accessors of properties, to clang methods", r"^missed method .* \| *@property"), ("classes whose name a macro writes (`@interface GS_GENERIC_CLASS(NSArray, T)`), named after the macro here", r"GS_GENERIC_CLASS\("), ("methods that the grammar loses, half of them in one file of tests", r"^missed method .* \| *[-+] *\("))),
    Project("ocaml", "debian", "ocaml-dune=2.9.3-1", OCAML, "function method external val test", "type class class_type module module_declaration module_type exception type_extension", "", "value", reasons=(("definitions in `.mll` and `.mly`, which OCaml's parser does not read", r"\.ml[ly] "), ("modules within functions", r"^extra class .* \| .*\blet module "), ("tests without a name", r"^extra function _ ")) ),
    Project("erlang", "deb", "erlang-src=1:25.2.3+dfsg-1+deb12u4", ERLANG, "function callback", "record type", "", "module", reasons=(("definitions in grammars (`.yrl`), a part of which the grammar misreads", r"^missed .*\.[yx]rl "), ("clauses apart from the others of their function, by a comment or a directive", r"^extra function "))),
    Project("fortran", "debian", "lapack=3.11.0-2", "Fortran", "subroutine function", "type module program submodule", "", "interface"),
    Project("verilog", "debian", "yosys=0.23-6", "Verilog", "function task", "module"),
    Project("vhdl", "debian", "ghdl=2.0.0+dfsg-6.2", "VHDL", "function procedure prototype", "entity architecture package type subtype", "", "process component", unknown=r"(?i)(process|configuration|context|\w+ *: *process)\b", reasons=(("in ghdl's tests: faults on purpose, and generic packages and functions of VHDL 2008, which the grammar does not read", r"/testsuite/"),)),
    Project("tcl", "debian", "tcllib=1.21+dfsg-1", "Tcl", "procedure", "", "", "namespace", unknown=r"(?!proc\b)", reasons=(("procedures within other commands (`if`, `test`), which ctags does not read", r"^extra .* \|  ?[ \t]+\S"), ("procedures after which ctags had lost the thread", r"^extra .* \| \S"), ("procedures that the grammar misreads (`!` in names and defaults, expressions)", r"^missed "))),
    Project("elisp", "deb", "elpa-magit=3.3.0-2", "EmacsLisp", "function macro inline subst", "", "", "minorMode derivedMode", unknown=r"\((?!defun|defmacro|defsubst|define-inline)", reasons=(("functions that are not at the margin, which ctags does not know", r"^extra function .* \|\s+\((defun|defmacro)"),)),
    Project("commonlisp", "deb", "cl-alexandria=20211025.gita67c3a6-1", "Lisp", "function macro", unknown=r"\((?!defun|defmacro)"),
    Project("scheme", "deb", "guile-3.0-libs=3.0.8-2", "Scheme", "function", unknown=r"\((?!define[ *])", reasons=(("modules, to ctags functions", r"\| \(define-module "), ("variables, to ctags functions", r"\| \(define [^(]"), ("types and classes, to ctags functions", r"\| \(define-(record-type|class|cps-type|enumeration|immutable-record-type)"), ("other words that begin with `def`", r"^missed .* \| \(def(?!ine[ *(]|ine-syntax|macro)"), ("procedures that are not at the margin, which ctags does not know", r"^extra function .* \|\s+\(define"))),
    Project("cmake", "debian", "cmake=3.25.1-1", "CMake", "function macro", "", "", "target project", unknown=r"(?i)(?!function|macro)", differences="examples in comments, which ctags takes for code"),
    Project("makefile", "debian", "git=1:2.39.5-0+deb12u3", "Make", "target", "", "", "macro", reasons=(("variables of a target (`a.o: FLAGS = x`), to ctags targets", r"\| [^=]*: *\w+ *[+:?]?="), ("patterns of a static rule (`$(OBJECTS): %.o: %.c`), to ctags targets", r"^missed .* \| [^:]+:[^:=]*%[^:=]*:"), ("targets with blanks (`Git\\ Gui.app`, `$(call f,a b)`), which ctags cuts", r"^extra .*(\\|\$\(|Gui|technical)|^missed target (app|\$\()"))),
    Project("matlab", "deb", "octave-common=7.3.0-2", "MatLab", "function", "class", reasons=(("accessors (`set.Name`), of which ctags has one part of the name", r"\bfunction [^|]*\b[gs]et\."), ("functions with defaults of parameters (`n = 0`) or a head of several lines, which the grammar of MATLAB does not read or ctags does not", r"\| *function\b.*(=[^(]*\(.*=|\(.*=|\.\.\.)"), ("short functions within functions, which belong to them here", r"^missed function .* \| +function"))),
)  # fmt: skip
