"""Languages known only by name: their files are read as plain text, and the name serves filters.

Belongs here: one row per language. Does not belong here: languages with a grammar or an extractor (`languages`,
`formats`); a language that gets one loses its row.
"""

from __future__ import annotations

import re
from typing import Final

from code_index.chunking.file_type import FileType

OBJECTIVE_C_MARKS: Final = re.compile(
    rb"^[ \t]*(?:@(?:interface|implementation|protocol|class|import|end)\b|#[ \t]*import\b)", re.MULTILINE
)
_C_LIKE_MARKS: Final = re.compile(rb"^[ \t]*(?:#[ \t]*(?:include|define|if)|//|/\*)", re.MULTILINE)


def _language_of_m(head: bytes) -> str:
    is_objective_c = OBJECTIVE_C_MARKS.search(head) or _C_LIKE_MARKS.search(head)
    return "objective-c" if is_objective_c else "matlab"


PLAIN_LANGUAGES: Final = (
    FileType("ada", "adb ads ada"),
    FileType("apex", "apex cls"),
    FileType("arduino", "pde"),
    FileType("asciidoc", "adoc asciidoc"),
    FileType("asm", "asm s nasm"),
    FileType("awk", "awk", interpreters="awk gawk mawk"),
    FileType("bat", "bat cmd"),
    FileType("bibtex", "bib"),
    FileType("bicep", "bicep"),
    FileType("capnp", "capnp"),
    FileType("clojure", "clj cljs cljc edn"),
    FileType("cobol", "cob cbl"),
    FileType("coffeescript", "coffee"),
    FileType("commonlisp", "lisp lsp cl asd", interpreters="sbcl clisp"),
    FileType("crystal", "cr"),
    FileType("cue", "cue"),
    FileType("d", "d di"),
    FileType("diff", "diff patch"),
    FileType("dotenv", "env", ".env", file_name_prefixes=".env."),
    FileType("elisp", "el"),
    FileType("elm", "elm"),
    FileType("erlang", "erl hrl", interpreters="escript"),
    FileType("fish", "fish", interpreters="fish"),
    FileType("fortran", "f f77 f90 f95 f03 f08 for"),
    FileType("fsharp", "fs fsi fsx"),
    FileType("gdscript", "gd"),
    FileType("gherkin", "feature"),
    FileType("gleam", "gleam"),
    FileType("groovy", "groovy gradle gvy", "jenkinsfile", "groovy"),
    FileType("haml", "haml"),
    FileType("handlebars", "hbs handlebars mustache"),
    FileType("haxe", "hx"),
    FileType("idl", "idl"),
    FileType(
        "ignore", file_names=".gitignore .dockerignore .npmignore .eslintignore .prettierignore .hgignore .helmignore"
    ),
    FileType(
        "ini",
        "ini cfg conf cnf desktop service timer socket editorconfig",
        ".editorconfig .gitconfig .gitmodules .npmrc .flake8 .pylintrc .coveragerc",
    ),
    FileType("jsonnet", "jsonnet libsonnet"),
    FileType("julia", "jl", interpreters="julia"),
    FileType("just", "just", "justfile", "just"),
    FileType("liquid", "liquid"),
    FileType("matlab", "mat", modes="octave matlab"),
    FileType("meson", "meson", "meson.build meson_options.txt"),
    FileType("metal", "metal"),
    FileType("mojo", "mojo"),
    FileType("nim", "nim nims"),
    FileType("objective-c", "m mm", modes="objc", by_content={"m": _language_of_m}),
    FileType("ocaml", "ml mli mll mly", interpreters="ocaml"),
    FileType("odin", "odin"),
    FileType("org", "org"),
    FileType("pascal", "pas dpr pp"),
    FileType("postscript", "ps"),
    FileType("powershell", "ps1 psm1 psd1", interpreters="pwsh"),
    FileType("prolog", "prolog pro"),
    FileType("properties", "properties"),
    FileType("pug", "pug jade"),
    FileType("puppet", "epp"),
    FileType("purescript", "purs"),
    FileType("qml", "qml"),
    FileType("racket", "rkt", interpreters="racket"),
    FileType("reason", "re rei"),
    FileType("rescript", "res resi"),
    FileType("rst", "rst rest"),
    FileType("sass", "sass"),
    FileType("scheme", "scm ss", interpreters="guile"),
    FileType("smalltalk", "st"),
    FileType("solidity", "sol"),
    FileType("sourcepawn", "sp"),
    FileType("stylus", "styl"),
    FileType("systemverilog", "sv svh"),
    FileType("tcl", "tcl", interpreters="tclsh wish"),
    FileType("tex", "tex sty ltx"),
    FileType("thrift", "thrift"),
    FileType("typst", "typ"),
    FileType("vala", "vala vapi"),
    FileType("vb", "vb bas vbs"),
    FileType("verilog", "v vh"),
    FileType("vhdl", "vhd vhdl"),
    FileType("vim", "vim", ".vimrc .gvimrc"),
    FileType("wasm", "wat wast"),
    FileType("wgsl", "wgsl"),
    FileType("xml", "xml xsd xsl xslt svg wsdl plist resx csproj vbproj fsproj props targets xaml pom storyboard xib"),
)
