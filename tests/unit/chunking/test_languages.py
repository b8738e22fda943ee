"""Which language a path, a shebang or a header's first bytes mean."""

import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking import formats, languages
from code_index.chunking.file_type import FileType
from code_index.chunking.language_detection import HEAD_BYTES, detect_language
from code_index.chunking.registry import FILE_TYPES, FORMATS, LANGUAGES, by_name, by_word


@pytest.mark.parametrize(
    ("file_path", "language"),
    [
        ("src/app.py", "python"),
        ("types.pyi", "python"),
        ("a/b.JSX", "javascript"),
        ("x.mjs", "javascript"),
        ("lib/[...slug].tsx", "tsx"),
        ("index.d.ts", "typescript"),
        ("x.cts", "typescript"),
        ("Main.java", "java"),
        ("build.gradle.kts", "kotlin"),
        ("a.scala", "scala"),
        ("main.go", "go"),
        ("lib.rs", "rust"),
        ("x.c", "c"),
        ("x.C", "cpp"),
        ("x.H", "cpp"),
        ("kernel.cu", "cuda"),
        ("x.hpp", "cpp"),
        ("Program.cs", "csharp"),
        ("Gemfile", "ruby"),
        ("index.php", "php"),
        ("App.swift", "swift"),
        (".bashrc", "bash"),
        ("x.lua", "lua"),
        ("mix.exs", "elixir"),
        ("Lib.hs", "haskell"),
        ("build.zig", "zig"),
        ("main.dart", "dart"),
        ("plot.R", "r"),
        ("README.md", "markdown"),
        ("docs/page.mdx", "markdown"),
        ("index.html", "html"),
        ("App.vue", "vue"),
        ("orders.blade.php", "blade"),
        ("blade.php", "php"),
        ("orders.html.erb", "erb"),
        ("a.scss", "scss"),
        ("a.less", "less"),
        ("a.css", "css"),
        ("package.json", "json"),
        ("tsconfig.jsonc", "json"),
        ("notebook.ipynb", "jupyter"),
        (".clang-format", "yaml"),
        ("ci.yml", "yaml"),
        ("Cargo.lock", "toml"),
        ("schema.sql", "sql"),
        ("Dockerfile", "dockerfile"),
        ("docker/Dockerfile.gpu", "dockerfile"),
        ("api.dockerfile", "dockerfile"),
        ("Containerfile", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("Makefile", "makefile"),
        ("Makefile.am", "makefile"),
        ("main.tf", "terraform"),
        ("x.proto", "proto"),
        ("BUILD", "starlark"),
        ("Till.razor", "razor"),
        ("fast.pyx", "cython"),
        (".env.local", "dotenv"),
        (".gitignore", "ignore"),
        ("notes.txt", "text"),
        ("strange.unknownextension", "text"),
        ("py", "text"),
        ("dir.py/LICENSE", "text"),
        ("", "text"),
    ],
)
def test_name_or_extension_tells_the_language(file_path, language):
    assert detect_language(file_path) == language


@pytest.mark.parametrize(
    ("head", "language"),
    [
        (b"#!/bin/sh\n", "bash"),
        (b"#!/usr/bin/env python3.11\n", "python"),
        (b"#! /usr/bin/env -S PATH=/x node --harmony\n", "javascript"),
        (b"#!/usr/local/bin/lua5.4", "lua"),
        (b"\xef\xbb\xbf#!/usr/bin/ruby -w\n", "ruby"),
        (b"#!/usr/bin/perl\n", "perl"),
        (b"#!/usr/bin/awk -f\n", "awk"),
        (b"#!/opt/unheard-of\n", "text"),
        (b"#!", "text"),
        (b"no shebang\n#!/bin/sh\n", "text"),
        (b"", "text"),
        (None, "text"),
    ],
)
def test_shebang_tells_the_language_of_a_file_without_extension(head, language):
    assert detect_language("bin/tool", head) == language


@pytest.mark.parametrize(
    ("file_path", "head", "language"),
    [
        ("x.h", None, "c"),
        ("x.h", b"#include <stdio.h>\nint f(void);\n", "c"),
        ("x.h", b"#include <vector>\n", "cpp"),
        ("x.h", b"namespace a {\nclass B;\n}\n", "cpp"),
        ("x.h", b"class QT_EXPORT Widget : public Base {\n", "cpp"),
        ("x.h", b"class Widget\n{\n", "cpp"),
        ("x.h", b"template <typename T>\nT f(T);\n", "cpp"),
        ("x.h", b"#pragma once\nvoid f(const std::string &);\n", "cpp"),
        ("x.h", b"/* class of 1984: a template\n using namespaces */\nint f(void);\n", "c"),
        ("x.h", b'#ifdef __cplusplus\nextern "C" {\nclass A;\n#endif\nint f(void);\n', "c"),
        ("x.h", b"#import <Foundation/Foundation.h>\n@interface A\n@end\n", "objective-c"),
        ("x.h", b"/* -*- C++ -*- */\nint f();\n", "cpp"),
        ("x.m", None, "objective-c"),
        ("x.m", b"@implementation A\n@end\n", "objective-c"),
        ("x.m", b"#include <a.h>\n", "objective-c"),
        ("x.m", b"function y = f(x)\n% square\ny = x^2;\n", "matlab"),
        ("x.pl", None, "perl"),
        ("x.pl", b"print 'x';\n", "perl"),
        ("x.pl", b":- module(orders, [total/2]).\n", "prolog"),
        ("x.pl", b"% family\nparent(ann, bob).\ngrandparent(X, Z) :- parent(X, Y), parent(Y, Z).\n", "prolog"),
        ("x.pl", b"use strict;\n# grandparent(X) :- parent(X).\n", "perl"),
        ("x.t", None, "perl"),
        ("x.t", b"#!/usr/bin/perl -w\nplan(1);\n", "perl"),
        ("x.t", b"# order\nuse Test::More;\n", "perl"),
        ("x.v", None, "verilog"),
        ("x.v", b"// counter\nmodule counter (clk);\n  import till_pkg::*;\nendmodule\n", "verilog"),
        ("x.v", b"Require Import List.\nTheorem a : b.\nProof.\n", "text"),
        ("x.v", b"module main\n\nimport os\n\nfn main() {\n}\n", "text"),
        ("x.cl", None, "commonlisp"),
        ("x.cl", b";; till\n(defun open-till () nil)\n", "commonlisp"),
        ("x.cl", b"// add\n__kernel void add(__global int *a) {\n}\n", "c"),
        ("x.sls", b"(library (shop till)\n  (export open))\n", "scheme"),
        ("x.sls", b"nginx:\n  pkg.installed: []\n", "yaml"),
        ("x.sld", b"(define-library (shop till))\n", "scheme"),
        ("x.sld", b"<?xml version='1.0'?>\n<StyledLayerDescriptor/>\n", "xml"),
        ("x.t", b"Setup:\n\n  $ dune build\n", "text"),
    ],
)
def test_ambiguous_extension_is_settled_by_the_head(file_path, head, language):
    assert detect_language(file_path, head) == language


@pytest.mark.parametrize(
    "file_path", ["a.py", "Dockerfile", ".gitignore", "x.unknownextension", "a/b.hpp", "notes.txt"]
)
def test_head_is_not_used_when_the_name_is_enough(file_path):
    assert detect_language(file_path, b"#!/bin/sh\nclass A {\n") == detect_language(file_path)


def test_head_beyond_the_limit_is_not_looked_at():
    assert detect_language("x.h", b"\n" * HEAD_BYTES + b"namespace a {") == "c"


def test_each_language_and_format_is_the_one_that_its_file_is_called_by():
    for package, found in ((languages, LANGUAGES), (formats, FORMATS)):
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert {name for name in modules if not name.startswith("_")} == {name.replace("-", "_") for name in found}


@pytest.mark.parametrize("kind", [*LANGUAGES.values(), *FORMATS.values()], ids=lambda kind: kind.name)
def test_each_language_and_format_has_a_title_and_can_be_detected(kind):
    assert kind.title
    assert all(detect_language(f"x.{extension}") == kind.name for extension in kind.extensions.split())


def test_two_languages_cannot_have_the_same_name_or_extension():
    first, second = FileType("a", "x y"), FileType("b", "z x")
    with pytest.raises(ValueError, match="extensions: 'x' is declared by a and by b"):
        by_word([first, second], "extensions")
    with pytest.raises(ValueError, match="a is declared twice"):
        by_name([first, first])


@given(file_path=st.text(), head=st.none() | st.binary())
def test_any_path_and_head_give_a_known_language(file_path, head):
    language = detect_language(file_path, head)
    assert language in FILE_TYPES
    assert language == language.lower()
