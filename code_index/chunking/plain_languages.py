"""Languages known only by name: their files are read as plain text, and the name serves filters.

Belongs here: one row per language. Does not belong here: languages with a grammar or an extractor (`languages`,
`formats`); a language that gets one loses its row.
"""

from __future__ import annotations

from typing import Final

from code_index.chunking.file_type import TEXT, FileType

PLAIN_LANGUAGES: Final = (
    FileType("abl", "abl"),
    FileType("actionscript", "as"),
    FileType("ada", "adb ads ada"),
    FileType("angelscript"),
    FileType("apex", "apex cls"),
    FileType("arduino", "pde"),
    FileType("asm", "asm s nasm"),
    FileType("awk", "awk", interpreters="awk gawk mawk"),
    FileType("basic", "bi"),
    FileType("bat", "bat cmd"),
    FileType("bibtex", "bib"),
    FileType("bicep", "bicep"),
    FileType("bitbake", "bbappend bbclass"),
    FileType("capnp", "capnp"),
    FileType("cobol", "cob cbl"),
    FileType("coffeescript", "coffee"),
    FileType("coq"),
    FileType("crystal", "cr"),
    FileType("cue", "cue"),
    FileType("d", "d di"),
    FileType("diff", "diff patch"),
    FileType("dotenv", "env", ".env", file_name_prefixes=".env."),
    FileType("dtrace", interpreters="dtrace"),
    FileType("edn", "edn"),
    FileType("elm", "elm"),
    FileType("fish", "fish", interpreters="fish"),
    FileType("forth", "fth 4th", interpreters="gforth"),
    FileType("gap", "gap gi", interpreters="gap"),
    FileType("gcc-machine-description"),
    FileType("gherkin", "feature"),
    FileType("gleam", "gleam"),
    FileType("haml", "haml"),
    FileType("handlebars", "hbs handlebars mustache"),
    FileType("haxe", "hx"),
    FileType("idl", "idl"),
    FileType("idlang"),
    FileType(
        "ignore", file_names=".gitignore .dockerignore .npmignore .eslintignore .prettierignore .hgignore .helmignore"
    ),
    FileType("jsonnet", "jsonnet libsonnet"),
    FileType("just", "just", "justfile", "just"),
    FileType("lean", "lean"),
    FileType("liquid", "liquid"),
    FileType("mathematica", "wl wls", interpreters="wolframscript"),
    FileType("mercury"),
    FileType("meson", "meson", "meson.build meson_options.txt"),
    FileType("metal", "metal"),
    FileType("modula2"),
    FileType("mojo", "mojo"),
    FileType("newlisp", interpreters="newlisp"),
    FileType("objectscript"),
    FileType("odin", "odin"),
    FileType("org", "org"),
    FileType("pascal", "pas dpr"),
    FileType("postscript", "ps"),
    FileType("proguard"),
    FileType("prolog", "prolog", interpreters="swipl gprolog yap"),
    FileType("pug", "pug jade"),
    FileType("puppet", "pp epp"),
    FileType("purescript", "purs"),
    FileType("qmake", "pro pri prf"),
    FileType("qml", "qml"),
    FileType("raku", "raku rakumod rakutest p6 pm6", interpreters="raku rakudo perl6"),
    FileType("reason", "re rei"),
    FileType("rebol", "reb", interpreters="rebol"),
    FileType("rescript", "res resi"),
    FileType("sass", "sass"),
    FileType("smalltalk", "st"),
    FileType("sml", "sml"),
    FileType("sourcepawn", "sp"),
    FileType("structured-text"),
    FileType("stylus", "styl"),
    FileType("supercollider", "scd"),
    FileType("thrift", "thrift"),
    FileType("tree-sitter-query"),
    FileType("typst", "typ"),
    FileType("vala", "vala vapi"),
    FileType("vb", "vb bas vbs"),
    FileType("vim", "vim", ".vimrc .gvimrc"),
    FileType("vlang"),
    FileType("wasm", "wat wast"),
    FileType("wgsl", "wgsl"),
)

_CUT_AS_TEXT: Final = frozenset(language.name for language in PLAIN_LANGUAGES) | {TEXT}


def reads_syntax(name: str) -> bool:
    """Tell whether files of a language are read by their syntax; others are cut as plain text."""
    return name not in _CUT_AS_TEXT
