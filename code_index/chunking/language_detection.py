"""Which language a file is in: by name, then extension, then its first bytes.

Belongs here: the tables of names and the few rules for ambiguous ones.
Does not belong here: grammars (`code_index.chunking`) and deciding what is indexed (`code_index.repository.content_rules`).

Content-based classifiers were rejected: they need every file's content, and an unchanged tree must be
scanned without reading files. Only extensionless files and two ambiguous extensions need a look inside
(`needs_head`). A language outside `CODE_LANGUAGES` and `STRUCTURED_LANGUAGES` is chunked as text; its name
still serves filters.
"""

from __future__ import annotations

import re
from typing import Final

TEXT: Final = "text"
HEAD_BYTES: Final = 4_096
"""How much of a file `detect_language` looks at; a longer head is cut."""

_CODE: Final[dict[str, str]] = {
    "python": "py pyi pyw",
    "javascript": "js mjs cjs jsx es6 jsm",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "kotlin": "kt kts",
    "scala": "scala sc sbt",
    "go": "go",
    "rust": "rs",
    "c": "c",
    "cpp": "cpp cc cxx c++ hpp hh hxx h++ ipp ixx cppm inl tpp txx cu cuh ino",
    "csharp": "cs csx",
    "ruby": "rb rake gemspec ru rbw podspec jbuilder",
    "php": "php phtml php3 php4 php5 php7 php8",
    "swift": "swift",
    "bash": "sh bash zsh ksh ebuild bats",
    "lua": "lua rockspec",
    "elixir": "ex exs",
    "haskell": "hs hs-boot",
    "zig": "zig zon",
    "dart": "dart",
    "r": "r",
}

_STRUCTURED: Final[dict[str, str]] = {
    "markdown": "md markdown mdown mkd mdx qmd rmd",
    "html": "html htm xhtml shtml",
    "vue": "vue",
    "svelte": "svelte",
    "css": "css",
    "scss": "scss",
    "less": "less",
    "json": "json jsonc json5 jsonl ndjson geojson topojson webmanifest avsc har code-workspace jsonld",
    "jupyter": "ipynb",
    "yaml": "yaml yml eyaml cff sublime-syntax",
    "toml": "toml",
    "sql": "sql ddl dml pgsql psql plsql pks pkb mysql hql tsql",
    "dockerfile": "dockerfile containerfile",
    TEXT: "txt log text",
}

_NAMED_ONLY: Final[dict[str, str]] = {
    "ada": "adb ads ada",
    "apex": "apex cls",
    "arduino": "pde",
    "asciidoc": "adoc asciidoc",
    "asm": "asm s nasm",
    "astro": "astro",
    "awk": "awk",
    "bat": "bat cmd",
    "bibtex": "bib",
    "bicep": "bicep",
    "capnp": "capnp",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "cobol": "cob cbl",
    "coffeescript": "coffee",
    "commonlisp": "lisp lsp cl asd",
    "crystal": "cr",
    "csv": "csv tsv psv",
    "cue": "cue",
    "cython": "pyx pxd pxi",
    "d": "d di",
    "diff": "diff patch",
    "dotenv": "env",
    "elisp": "el",
    "elm": "elm",
    "erb": "erb",
    "erlang": "erl hrl",
    "fish": "fish",
    "fortran": "f f77 f90 f95 f03 f08 for",
    "fsharp": "fs fsi fsx",
    "gdscript": "gd",
    "gherkin": "feature",
    "gleam": "gleam",
    "glsl": "glsl vert frag geom comp tesc tese",
    "graphql": "graphql gql graphqls",
    "groovy": "groovy gradle gvy",
    "haml": "haml",
    "handlebars": "hbs handlebars mustache",
    "haxe": "hx",
    "hlsl": "hlsl fx",
    "idl": "idl",
    "ini": "ini cfg conf cnf desktop service timer socket editorconfig",
    "jinja": "j2 jinja jinja2",
    "jsonnet": "jsonnet libsonnet",
    "julia": "jl",
    "just": "just",
    "liquid": "liquid",
    "makefile": "mk mak make",
    "matlab": "mat",
    "meson": "meson",
    "metal": "metal",
    "mojo": "mojo",
    "nim": "nim nims",
    "nix": "nix",
    "objective-c": "m mm",
    "ocaml": "ml mli mll mly",
    "odin": "odin",
    "org": "org",
    "pascal": "pas dpr pp",
    "perl": "pl pm pod t",
    "postscript": "ps",
    "powershell": "ps1 psm1 psd1",
    "prisma": "prisma",
    "prolog": "prolog pro",
    "properties": "properties",
    "proto": "proto",
    "pug": "pug jade",
    "puppet": "epp",
    "purescript": "purs",
    "qml": "qml",
    "racket": "rkt",
    "reason": "re rei",
    "rescript": "res resi",
    "rst": "rst rest",
    "sass": "sass",
    "scheme": "scm ss",
    "smalltalk": "st",
    "solidity": "sol",
    "sourcepawn": "sp",
    "starlark": "bzl star bazel",
    "stylus": "styl",
    "systemverilog": "sv svh",
    "tcl": "tcl",
    "terraform": "tf tfvars hcl",
    "tex": "tex sty ltx",
    "thrift": "thrift",
    "twig": "twig",
    "typst": "typ",
    "vala": "vala vapi",
    "vb": "vb bas vbs",
    "verilog": "v vh",
    "vhdl": "vhd vhdl",
    "vim": "vim",
    "wasm": "wat wast",
    "wgsl": "wgsl",
    "xml": "xml xsd xsl xslt svg wsdl plist resx csproj vbproj fsproj props targets xaml pom storyboard xib",
}

_FILE_NAMES: Final[dict[str, str]] = {
    "bash": ".bashrc .bash_profile .bash_aliases .bash_logout .zshrc .zprofile .zshenv .profile .envrc .kshrc "
    "pkgbuild apkbuild",
    "cmake": "cmakelists.txt",
    "dockerfile": "dockerfile containerfile",
    "groovy": "jenkinsfile",
    "ignore": ".gitignore .dockerignore .npmignore .eslintignore .prettierignore .hgignore .helmignore",
    "ini": ".editorconfig .gitconfig .gitmodules .npmrc .flake8 .pylintrc .coveragerc",
    "json": ".babelrc .eslintrc .jshintrc .jscsrc .watchmanconfig composer.lock pipfile.lock flake.lock "
    "deno.lock package.resolved",
    "just": "justfile",
    "makefile": "makefile gnumakefile kbuild",
    "meson": "meson.build meson_options.txt",
    "python": "sconstruct sconscript wscript snakefile",
    "ruby": "rakefile gemfile vagrantfile podfile fastfile appfile brewfile guardfile capfile dangerfile .irbrc",
    "starlark": "build workspace tiltfile module.bazel",
    "toml": "cargo.lock poetry.lock uv.lock pdm.lock pipfile gopkg.lock pylock.toml",
    "vim": ".vimrc .gvimrc",
    "yaml": ".clang-format .clang-tidy .clangd .prettierrc .yamllint pubspec.lock podfile.lock",
}

_INTERPRETERS: Final[dict[str, str]] = {
    "bash": "sh bash zsh ksh dash ash bats",
    "python": "python pypy ipython",
    "javascript": "node nodejs bun",
    "typescript": "deno tsx ts-node",
    "ruby": "ruby jruby",
    "php": "php",
    "lua": "lua luajit",
    "elixir": "elixir",
    "haskell": "runhaskell runghc stack",
    "r": "rscript",
    "scala": "scala",
    "swift": "swift",
    "dart": "dart",
    "groovy": "groovy",
    "kotlin": "kotlin kotlinc",
    "perl": "perl",
    "julia": "julia",
    "fish": "fish",
    "awk": "awk gawk mawk",
    "tcl": "tclsh wish",
    "makefile": "make",
    "erlang": "escript",
    "ocaml": "ocaml",
    "powershell": "pwsh",
    "commonlisp": "sbcl clisp",
    "scheme": "guile",
    "racket": "racket",
    "just": "just",
}

CODE_LANGUAGES: Final = frozenset(_CODE)
"""Languages whose definitions are found by a grammar."""

STRUCTURED_LANGUAGES: Final = frozenset(_STRUCTURED) - {TEXT}
"""Formats whose sections, rules, entries or statements are found by `code_index.chunking.formats.registry`.

SCSS and Less go with CSS; Vue and Svelte with HTML; `json` includes JSON with comments and JSON lines;
`jupyter` is a notebook, read as JSON whose cells are entries.
"""


def _by_word(table: dict[str, str]) -> dict[str, str]:
    return {word: language for language, words in table.items() for word in words.split()}


_BY_EXTENSION: Final = _by_word(_NAMED_ONLY) | _by_word(_STRUCTURED) | _by_word(_CODE)
_BY_FILE_NAME: Final = _by_word(_FILE_NAMES)
_BY_INTERPRETER: Final = _by_word(_INTERPRETERS)

KNOWN_LANGUAGES: Final = frozenset({*_BY_EXTENSION.values(), *_BY_FILE_NAME.values(), *_BY_INTERPRETER.values(), TEXT})
"""Every name that `detect_language` can give."""

_AMBIGUOUS: Final = frozenset({"h", "m"})

_SHEBANG: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?#![ \t]*(?:\S*/)?env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*(?P<by_env>[^\s/]+)"
    rb"|\A(?:\xef\xbb\xbf)?#![ \t]*(?:\S*/)?(?P<direct>[^\s/]+)"
)
_MODELINE: Final = re.compile(rb"\A(?:#!.*\n)?.*-\*-[^\n]*?(?:mode:[ \t]*)?([A-Za-z+#-]+)[ \t;]*-\*-")
_CPP_MARKS: Final = re.compile(
    rb"^[ \t]*(?:class[ \t]+(?:\w+[ \t]+)?\w+(?:[ \t]+final)?\s*[;{:]|namespace(?:[ \t]+[\w:]+)?\s*\{|template[ \t]*<"
    rb"|using[ \t]+(?:namespace\b|\w+[ \t]*=|\w+::)|(?:public|private|protected)[ \t]*:|#[ \t]*include[ \t]*<[a-z_]+>"
    rb"|(?:inline[ \t]+)?constexpr\b|enum[ \t]+class\b|[^/*\n]*\bstd::)",
    re.MULTILINE,
)
_EXTERN_C_GUARD: Final = re.compile(
    rb"#[ \t]*if(?:def[ \t]+|[ \t]+defined[ \t]*\(?[ \t]*)__cplusplus.*?#[ \t]*endif", re.DOTALL
)
_OBJC_MARKS: Final = re.compile(
    rb"^[ \t]*(?:@(?:interface|implementation|protocol|class|import|end)\b|#[ \t]*import\b)", re.MULTILINE
)
_C_LIKE_MARKS: Final = re.compile(rb"^[ \t]*(?:#[ \t]*(?:include|define|if)|//|/\*)", re.MULTILINE)
_MODELINE_NAMES: Final = {b"c++": "cpp", b"c": "c", b"objc": "objective-c", b"octave": "matlab", b"matlab": "matlab"}


def detect_language(file_path: str, head: bytes | None = None) -> str:
    """The language of the file at `file_path` (POSIX), lower case; one of `KNOWN_LANGUAGES`.

    `head` is the file's first bytes; it matters only where `needs_head` says so. Without it a C header is
    `c`, a `.m` file `objective-c`, and a file with neither a known name nor an extension `text`.
    """
    name, extension = _name_and_extension(file_path)
    known = _by_name(name, extension)
    if known is None:
        return _by_shebang((head or b"")[:HEAD_BYTES]) if not extension else TEXT
    if extension in _AMBIGUOUS and head is not None:
        return _by_content(extension, head[:HEAD_BYTES])
    return known


def needs_head(file_path: str) -> bool:
    """Whether the name alone leaves the language open, so that `detect_language` wants the first bytes."""
    name, extension = _name_and_extension(file_path)
    return extension in _AMBIGUOUS or (not extension and _by_name(name, extension) is None)


def _name_and_extension(file_path: str) -> tuple[str, str]:
    """The last path component, and what follows its last dot (without a leading dot that hides a file)."""
    name = file_path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return name, extension if dot and stem else ""


def _by_name(name: str, extension: str) -> str | None:
    if extension in {"C", "H"}:
        return "cpp"
    lower = name.lower()
    if (language := _BY_FILE_NAME.get(lower)) is not None:
        return language
    if lower.startswith(("dockerfile.", "containerfile.")):
        return "dockerfile"
    if lower.startswith(("makefile.", "gnumakefile.")):
        return "makefile"
    if lower == ".env" or lower.startswith(".env."):
        return "dotenv"
    lower_extension = extension.lower()
    return "c" if lower_extension == "h" else _BY_EXTENSION.get(lower_extension)


def _by_shebang(head: bytes) -> str:
    match = _SHEBANG.match(head)
    if match is None:
        return TEXT
    program = (match["by_env"] or match["direct"]).decode("utf-8", "replace").lower()
    # python3.11, pypy3, lua5.4: the version is not part of the name.
    return _BY_INTERPRETER.get(program) or _BY_INTERPRETER.get(program.rstrip("0123456789.-"), TEXT)


def _by_content(extension: str, head: bytes) -> str:
    modeline = _MODELINE.match(head)
    if modeline is not None and (named := _MODELINE_NAMES.get(modeline[1].lower())) is not None:
        return named
    if _OBJC_MARKS.search(head):
        return "objective-c"
    if extension == "m":
        return "objective-c" if _C_LIKE_MARKS.search(head) else "matlab"
    # C headers guard `extern "C" {` for C++ callers; what stands inside such a guard is no evidence.
    return "cpp" if _CPP_MARKS.search(_EXTERN_C_GUARD.sub(b"", head)) else "c"
