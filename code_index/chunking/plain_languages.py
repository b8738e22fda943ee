"""Languages known only by name: their files are read as plain text, and the name serves filters.

Belongs here: one row per language. Does not belong here: languages with a grammar or an extractor (`languages`,
`formats`); a language that gets one loses its row.
"""

from __future__ import annotations

from typing import Final

from code_index.chunking.file_type import FileType

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
    FileType("cobol", "cob cbl"),
    FileType("coffeescript", "coffee"),
    FileType("crystal", "cr"),
    FileType("cue", "cue"),
    FileType("d", "d di"),
    FileType("diff", "diff patch"),
    FileType("dotenv", "env", ".env", file_name_prefixes=".env."),
    FileType("edn", "edn"),
    FileType("elm", "elm"),
    FileType("fish", "fish", interpreters="fish"),
    FileType("gherkin", "feature"),
    FileType("gleam", "gleam"),
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
    FileType("just", "just", "justfile", "just"),
    FileType("liquid", "liquid"),
    FileType("meson", "meson", "meson.build meson_options.txt"),
    FileType("metal", "metal"),
    FileType("mojo", "mojo"),
    FileType("odin", "odin"),
    FileType("org", "org"),
    FileType("pascal", "pas dpr pp"),
    FileType("postscript", "ps"),
    FileType("prolog", "prolog pro"),
    FileType("properties", "properties"),
    FileType("pug", "pug jade"),
    FileType("puppet", "epp"),
    FileType("purescript", "purs"),
    FileType("qml", "qml"),
    FileType("reason", "re rei"),
    FileType("rescript", "res resi"),
    FileType("rst", "rst rest"),
    FileType("sass", "sass"),
    FileType("smalltalk", "st"),
    FileType("sourcepawn", "sp"),
    FileType("stylus", "styl"),
    FileType("tex", "tex sty ltx"),
    FileType("thrift", "thrift"),
    FileType("typst", "typ"),
    FileType("vala", "vala vapi"),
    FileType("vb", "vb bas vbs"),
    FileType("vim", "vim", ".vimrc .gvimrc"),
    FileType("wasm", "wat wast"),
    FileType("wgsl", "wgsl"),
    FileType("xml", "xml xsd xsl xslt svg wsdl plist resx csproj vbproj fsproj props targets xaml pom storyboard xib"),
)
