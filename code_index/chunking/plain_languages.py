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
    FileType("cmake", "cmake", "cmakelists.txt"),
    FileType("cobol", "cob cbl"),
    FileType("coffeescript", "coffee"),
    FileType("crystal", "cr"),
    FileType("cue", "cue"),
    FileType("cython", "pyx pxd pxi"),
    FileType("d", "d di"),
    FileType("diff", "diff patch"),
    FileType("dotenv", "env", ".env", file_name_prefixes=".env."),
    FileType("edn", "edn"),
    FileType("elm", "elm"),
    FileType("fish", "fish", interpreters="fish"),
    FileType("gherkin", "feature"),
    FileType("gleam", "gleam"),
    FileType("glsl", "glsl vert frag geom comp tesc tese"),
    FileType("graphql", "graphql gql graphqls"),
    FileType("haml", "haml"),
    FileType("handlebars", "hbs handlebars mustache"),
    FileType("haxe", "hx"),
    FileType("hlsl", "hlsl fx"),
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
    FileType(
        "makefile", "mk mak make", "makefile gnumakefile kbuild", "make", file_name_prefixes="makefile. gnumakefile."
    ),
    FileType("meson", "meson", "meson.build meson_options.txt"),
    FileType("metal", "metal"),
    FileType("mojo", "mojo"),
    FileType("nix", "nix"),
    FileType("odin", "odin"),
    FileType("org", "org"),
    FileType("pascal", "pas dpr pp"),
    FileType("postscript", "ps"),
    FileType("prisma", "prisma"),
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
    FileType("starlark", "bzl star bazel", "build workspace tiltfile module.bazel"),
    FileType("stylus", "styl"),
    FileType("terraform", "tf tfvars hcl"),
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
