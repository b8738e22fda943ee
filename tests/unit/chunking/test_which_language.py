"""What tells languages apart where a name does not: headers, shebangs, extensions that several languages use."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking.ambiguous_extensions import RULES
from code_index.chunking.language_detection import detect_language
from code_index.chunking.registry import FILE_TYPES

LICENCE = b"/*\n" + b" * All words of this licence, class by class: template of namespaces.\n" * 120 + b" */\n"
MEGABYTE = 1_000_000
SECONDS = 12.0  # 2 on a quiet core for the slowest; what is quadratic takes hours


@pytest.mark.parametrize(
    "code",
    [
        b"struct Circle : Shape {\n    int radius;\n};\n",
        b"struct Line EXPORTED final : public Shape<int> {};\n",
        b"struct EXPORT(1) Line : Shape {};\n",
        b"template<> struct hash<Key>;\n",
        b"struct Point {\n    int x;\n    int length() const { return x; }\n};\n",
        b"struct Point {\n    int x;\n    Point(int x);\n};\n",
        b"struct Point {\n    int x, y;\n    double length(void);\n};\n",
        b"void swap(Point &left, Point &right);\n",
        b"int rounded(double value, int digits = 2);\n",
        b"Point operator+(Point a, Point b);\n",
        b"bool ready() noexcept;\n",
        b"enum class Colour { red };\n",
        b"enum struct Colour : char { red };\n",
        b"namespace shop { class Till; }\n",
        b"inline namespace v1 {\n}\n",
        b"namespace shop::till\n{\n}\n",
        b"class Till;\n",
        b"class EXPORT Till\n  : public Base\n{\n};\n",
        b"using Price = int;\n",
        b"#include <memory>\n",
        b"#include <QtCore/QString>\n",
        b'#include "till.hpp"\n',
        b"static inline int f(void *p) { return *static_cast<int *>(p); }\n",
        b"inline int f() { return shop::count(); }\n",
        b"constexpr int size = 3;\n",
        b'extern "C" int f(void);\n',
        b"#ifndef __cplusplus\n#error this file needs a C++ compiler\n#endif\n",
        b"#ifdef __cplusplus\n#include <string>\nstd::string f();\n#endif\n",
        b"#ifdef __cplusplus\nclass Till {\n  int count();\n};\n#else\ntypedef struct Till Till;\n#endif\n",
    ],
)
def test_one_sign_of_cpp_anywhere_makes_a_header_cpp(code):
    for text in (code, LICENCE + code, b"#pragma once\n#include <stdio.h>\n" + code, code.replace(b"\n", b"\r\n")):
        assert detect_language("a/b.h", text) == "cpp"


@pytest.mark.parametrize(
    "code",
    [
        b"typedef struct { int class; int new; } old_t;\nstatic inline int f(old_t *this) { return this->class; }\n",
        b"struct item {\n    int (*run)(struct item *);\n    TAILQ_ENTRY(item) next;\n    unsigned kind : 3;\n};\n",
        b"struct item { DECLARE_BITMAP(map, 8); int data[sizeof(int)]; } __attribute__((packed));\n",
        b"struct item { int size ALIGNED(8); };\n",
        b"static inline int f(int a, int b) { if (a & b) return g(a & b); else h(a & b); return a && b; }\n",
        b"#define MIN(a, b) ((a) < (b) ? (a) : (b))\n",
        b"enum colour { red = 1, green };\nextern int (*hook)(void) = 0;\n",
        b'#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n#ifdef __cplusplus\n}\n#endif\n',
        b'#if defined(__cplusplus) && !defined(X)\n# define BEGIN extern "C" {\n#else\n# define BEGIN\n#endif\nint f(void);\n',
        b"#ifdef __cplusplus\n#define CAST(t, x) static_cast<t>(x)\n#else\n#define CAST(t, x) ((t)(x))\n#endif\nint f(void);\n",
        b"#if !defined(__cplusplus)\ntypedef int bool;\n#else\nusing std::size_t;\n#endif\nint f(void);\n",
        b"#ifdef __OBJC__\n@class Till;\n#else\ntypedef struct till Till;\n#endif\nint f(void);\n",
        b"/** @class till\n@interface too */\nint f(void);\n",
        b'static const char *help = "class Till {\\n std::string";\n// namespace a {\nint f(void);\n',
        b"[[gnu::pure]] int f(void);\n",
        LICENCE,
        b"",
    ],
)
def test_header_without_a_sign_of_cpp_is_c(code):
    assert detect_language("a/b.h", code) == "c"


@pytest.mark.parametrize(
    "code",
    [
        b"@interface Till : NSObject\n- (int)count;\n@end\n",
        b"#import <Foundation/Foundation.h>\nvoid f(void);\n",
        b"#include <CoreFoundation/CoreFoundation.h>\ntypedef NS_ENUM(int, Colour) { Red };\n",
        b"#ifdef __OBJC__\n@protocol Till\n@end\n#endif\n",
    ],
)
def test_header_with_a_sign_of_objective_c_is_objective_c(code):
    assert detect_language("b.h", LICENCE + code) == "objective-c"


@pytest.mark.parametrize(
    ("head", "language"),
    [
        ("#!/usr/bin/env -S uv run --script\n", "python"),
        ("#!/usr/bin/env -S uv run --quiet --with rich --python 3.12 --script\n", "python"),
        ("#!/usr/bin/env -Suv run\n", "python"),
        ('#!/usr/bin/env -S "uv run --script"\n', "python"),
        ("#!/usr/bin/env -vS PYTHONPATH=. python3 -u\n", "python"),
        ("#!/usr/bin/env -S -i HOME=/x pypy3.10\n", "python"),
        ("#!/usr/bin/env -S pipx run\n", "python"),
        ("#!/usr/bin/env -S poetry run python\n", "python"),
        ("#!/usr/bin/env -S conda run -n tools Rscript\n", "r"),
        ("#!/usr/bin/env -S deno run --allow-net\n", "typescript"),
        ("#!/usr/bin/env bun\n", "typescript"),
        ("#!/usr/bin/env -S npx tsx\n", "typescript"),
        ("#!/usr/bin/env -S npx --yes ts-node@10 --esm\n", "typescript"),
        ("#!/usr/bin/env -S npx -p zx zx\n", "javascript"),
        ("#!/usr/bin/env -S pnpm exec unheard-of\n", "javascript"),
        ("#!/usr/bin/env -S node --import=tsx\n", "javascript"),
        ("#!/usr/bin/env nix-shell\n#! nix-shell -p python3Packages.requests bash -i ruby\nputs 1\n", "ruby"),
        ("#!/usr/bin/env nix-shell\n#!nix-shell --pure -i 'python3 -u' -p python3\n", "python"),
        ("#! /usr/bin/env nix-shell\n//! nix-shell -i rust-script -p cargo\n", "rust"),
        ("#!/usr/bin/env nix\n#! nix shell nixpkgs#bash --command bash\n", "text"),
        ("#!/usr/bin/env -S nix shell nixpkgs#bash --command bash\n", "bash"),
        ("#!/usr/bin/env -S cargo +nightly -Zscript\n", "rust"),
        ("#!/usr/bin/env stack\n-- stack script --resolver lts\n", "haskell"),
        ("#!/usr/bin/env -S bundle exec ruby\n", "ruby"),
        ("#!/usr/bin/env -S dotnet run\n", "csharp"),
        ('#!/bin/sh\nexec ruby -x "$0" "$@"\n#!ruby\n', "ruby"),
        ('#!/bin/sh\n# next line is for tcl \\\nexec tclsh "$0" ${1+"$@"}\n', "tcl"),
        ('#!/bin/bash\nexec java -jar "$0"\n', "bash"),
        ('#!/bin/sh\nset -e\ndocker exec box python "$1"\n', "bash"),
        ("#!/bin/busybox ash\n", "bash"),
        ("#!/usr/bin/sudo -u me perl\n", "perl"),
        ("#!/usr/bin/env\n", "text"),
        ("#!/usr/bin/env -S\n", "text"),
        ("#!/opt/unheard-of python\n", "text"),
        ("# -*- mode: ruby; coding: utf-8 -*-\nVagrant\n", "ruby"),
        ("# vim: set ts=2 ft=python :\nimport os\n", "python"),
        ("-*- utf-8 -*-\n", "text"),
        ('<?xml version="1.0"?>\n<a/>\n', "xml"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["bin/tool", "bin/tool.cgi"])
def test_program_that_runs_a_script_tells_its_language(name, head, language):
    assert detect_language(name, head.encode()) == language


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1" language="de">\n', "xml"),
        ("de.ts", "<!DOCTYPE TS><TS>\n", "xml"),
        ("de.ts", '\ufeff\n<TS language="de">\n', "xml"),
        ("a.ts", "<any>window.till = 1;\n", "typescript"),
        ("a.ts", "export const a = '<TS>';\n", "typescript"),
        ("tiles.tsx", '<?xml version="1.0"?>\n<tileset/>\n', "xml"),
        ("a.tsx", "<Till />\n", "tsx"),
        ("a.pl", "#!/usr/bin/swipl\n% family\nparent(ann, bob).\n", "prolog"),
        ("a.pl", "/* We use the facts. */\n:- module(family, [parent/2]).\nparent(ann, bob).\n", "prolog"),
        ("a.pl", "greeting --> [hello], name.\n", "prolog"),
        ("a.pl", "old(X) :- age(X, Y), Y > 60.\n", "prolog"),
        ("a.pl", "use strict;\nmy $x = { a => 1 };\nprint $x->{a};\n", "perl"),
        ("a.PL", "old(X) :- age(X, Y).\n", "prolog"),
        ("shop.pro", "QT += core gui\nTARGET = shop\nSOURCES += main.cpp\n", "qmake"),
        ("shop.pro", "# all\nwin32:CONFIG += x\nunix {\n  LIBS += -lm\n}\n", "qmake"),
        ("shop.pro", "TEMPLATE = subdirs\n", "qmake"),
        ("a.pro", ":- use_module(library(lists)).\nold(X) :- age(X, Y).\n", "prolog"),
        ("a.pro", "; sums\nfunction total, values\n  compile_opt idl2\n  return, total(values)\nend\n", "idlang"),
        ("PRO_A.PRO", "PRO till, a, b\n  print, a\nEND\n", "idlang"),
        ("proguard.pro", "-keep class shop.** { *; }\n-dontwarn okio.**\n", "proguard"),
        ("report.cls", "% a class\n\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{report2}\n", "tex"),
        ("report.cls", "\\LoadClass{article}\n", "tex"),
        ("Till.cls", "public with sharing class Till {\n}\n", "apex"),
        ("Till.cls", "/** Till */\n@isTest\nprivate class TillTest {}\n", "apex"),
        ("Till.cls", 'VERSION 1.0 CLASS\nBEGIN\n  MultiUse = -1\nEND\nAttribute VB_Name = "Till"\n', "vb"),
        ("Till.cls", "Option Explicit\nPublic Sub Open()\nEnd Sub\n", "vb"),
        ("Till.cls", "/// A till\nClass Shop.Till Extends %Persistent\n{\n}\n", "objectscript"),
        ("main.d", "build/main.o: src/main.c \\\n include/till.h\n\ninclude/till.h:\n", "makefile"),
        ("main.d", "main.o main.d: main.c\n", "makefile"),
        ("main.d", "C:\\build\\main.o: src\\main.c\n", "makefile"),
        ("main.d", "# generated\n\nmain.o : \\\n  main.c\n", "makefile"),
        ("till.d", "module till;\nimport std.stdio : writeln;\nvoid main() { writeln(1); }\n", "d"),
        ("till.d", "import std.stdio : writeln;\n", "d"),
        ("till.d", "// see till.d: all\nint count;\n", "d"),
        ("probe.d", "#!/usr/sbin/dtrace -s\nsyscall:::entry\n{ @[execname] = count(); }\n", "dtrace"),
        ("a.m", "function y = f(x)\n# square\ny = x^2;\nend\n", "matlab"),
        ("a.m", "% a comment\nx = 1;\n", "matlab"),
        ("a.m", "#import <a.h>\n@implementation A\n@end\n", "objective-c"),
        ("a.m", '(* ::Package:: *)\nBeginPackage["Shop`"]\n', "mathematica"),
        ("mind.mm", '<map version="1.0.1">\n<node TEXT="a"/>\n</map>\n', "xml"),
        ("a.v", "Require Import List.\nTheorem t : True.\nProof. exact I. Qed.\n", "coq"),
        ("a.v", "`timescale 1ns/1ps\nmodule till(input clk);\nendmodule\n", "verilog"),
        ("a.v", "module main\n\nfn main() {\n\tprintln('a')\n}\n", "vlang"),
        ("a.fs", "module Till\nlet count = 1\n", "fsharp"),
        ("a.fs", "#version 330 core\nout vec4 colour;\nvoid main() { colour = vec4(1); }\n", "glsl"),
        ("a.fs", ": square ( n -- n ) dup * ;\n", "forth"),
        ("a.f", ": square ( n -- n ) dup * ;\n", "forth"),
        ("a.f", "      subroutine till\n      end\n", "fortran"),
        ("a.cl", "; tills\n(defun open-till () nil)\n", "commonlisp"),
        ("a.cl", "__kernel void add(__global float *a) { a[get_global_id(0)] += 1; }\n", "c"),
        ("a.inc", "<?php function f() {} ?>\n", "php"),
        ("a.inc", "{$ifdef FPC}\nprocedure Open;\nbegin\nend;\n", "pascal"),
        ("a.inc", "#define TILL 1\nTILL_CASE(a)\n", "c"),
        ("a.inc", "case shop::Till: return 1;\n", "cpp"),
        ("a.inc", "%define TILL 1\n  mov eax, TILL\n", "asm"),
        ("a.inc", "inherit autotools\n", "bitbake"),
        ("a.inc", "just words\n", "text"),
        ("i386.md", ';; Machine description\n(define_insn "add" [(set (reg) (reg))])\n', "gcc-machine-description"),
        ("a.md", "# Title\n\n(define_insn is a form)\n", "markdown"),
        ("a.r", "f <- function(x) x\n", "r"),
        ("a.r", 'REBOL [ Title: "Till" ]\nprint 1\n', "rebol"),
        ("a.pp", "class till { package { 'till': ensure => present } }\n", "puppet"),
        ("a.pp", "unit till;\ninterface\nimplementation\nend.\n", "pascal"),
        ("a.es", "#!/usr/bin/env escript\nmain(_) -> ok.\n", "erlang"),
        ("a.es", "export default 1;\n", "javascript"),
        ("a.as", "package shop {\n  public class Till {}\n}\n", "actionscript"),
        ("a.as", '#include "x.as"\nvoid open(int a) {\n}\n', "angelscript"),
        ("a.bas", '10 PRINT "HELLO"\n20 GOTO 10\n', "basic"),
        ("a.bas", 'Attribute VB_Name = "Till"\nPublic Sub Open()\n', "vb"),
        ("a.ml", "let rec sum l = match l with [] -> 0 | x :: r -> x + sum r\n", "ocaml"),
        ("a.ml", "fun sum nil = 0\n  | sum (x::r) = x + sum r\n", "sml"),
        ("a.sc", "import mill._\nobject till extends Module {}\n", "scala"),
        ("a.sc", "Till : UGen {\n  *ar { arg freq = 440; ^this.multiNew('audio', freq) }\n}\n", "supercollider"),
        ("a.rs", "fn main() {}\n", "rust"),
        ("a.rs", "#pragma version(1)\n#pragma rs java_package_name(shop)\n", "c"),
        ("a.rs", '<?xml version="1.0"?>\n<rs/>\n', "xml"),
        ("a.asc", "= Title\n:toc:\n\nText\n", "asciidoc"),
        ("a.asc", "-----BEGIN PGP SIGNATURE-----\n\nabc\n", "text"),
        ("a.asc", "ncols 3\nnrows 2\n1 2 3\n", "text"),
        ("a.lsp", "(define (open) nil)\n", "newlisp"),
        ("a.lsp", "(defun c:open () nil)\n", "commonlisp"),
        ("a.mod", "<!ENTITY % a 'b'>\n", "xml"),
        ("a.mod", "MODULE Till;\nEND Till.\n", "modula2"),
        ("a.scm", "(define (open) 1)\n", "scheme"),
        ("a.scm", "(function_definition name: (identifier) @name)\n", "tree-sitter-query"),
        ("a.sls", "#!r6rs\n; till\n(library (shop till)\n  (export open))\n", "scheme"),
        ("a.sls", "nginx:\n  pkg.installed: []\n", "yaml"),
        ("a.sld", "(define-library (shop till))\n", "scheme"),
        ("a.sld", "<?xml version='1.0'?>\n<StyledLayerDescriptor/>\n", "xml"),
        ("a.bb", "#!/usr/bin/env bb\n(ns till)\n", "clojure"),
        ("a.bb", 'SUMMARY = "Till"\ninherit autotools\n', "bitbake"),
        ("a.gd", "extends Node\nfunc open():\n\tpass\n", "gdscript"),
        ("a.gd", 'DeclareOperation("Open", [IsTill]);\n', "gap"),
        ("a.sol", "pragma solidity ^0.8;\ncontract Till {}\n", "solidity"),
        ("a.sol", "G75*\nD10*\n", "text"),
        ("app.config", '<?xml version="1.0"?>\n<configuration/>\n', "xml"),
        ("app.config", "[a]\nb = 1\n", "ini"),
        ("a.conf", '<?xml version="1.0"?>\n<fontconfig/>\n', "xml"),
        ("a.conf", "<VirtualHost *:80>\n</VirtualHost>\n", "ini"),
        ("a.st", "FUNCTION_BLOCK Till\nVAR\nEND_VAR\nEND_FUNCTION_BLOCK\n", "structured-text"),
        ("a.st", "Object subclass: Till [ open [ ^1 ] ]\n", "smalltalk"),
        ("a.pm", "/* XPM */\nstatic char *a[] = {};\n", "c"),
        ("reqs/dev.txt", "# of tests\n-r base.txt\npytest>=8\nruff\n", "requirements"),
        ("base.in", "flask[async] ~= 3.0 ; python_version > '3.8'\n", "requirements"),
        ("words.txt", "apple\npear\n", "text"),
        ("notes.txt", "a==b holds\n", "text"),
        ("config.in", "choice of words\n", "text"),
        ("a.t", "# vim: ft=prolog\nuse strict;\n", "prolog"),
    ],
)  # fmt: skip
def test_text_tells_the_language_of_an_extension_that_several_use(name, text, language):
    assert detect_language(name, text.encode()) == language


@given(extension=st.sampled_from(sorted(RULES)), content=st.binary(max_size=300))
def test_any_text_gives_a_known_language(extension, content):
    assert detect_language(f"x.{extension}", content) in FILE_TYPES


UNITS = [
    b"a", b" ", b"\n", b"a ", b"a b(", b"(", b") ", b"/*", b'"', b"'", b"<", b"<a", b"<!", b"; ", b";\n", b"(* ", b"#if __cplusplus\n",
    b"class a\n", b"namespace\n", b"struct a {", b"operator ", b"a::", b"a\\\n", b"import a ", b"a.o ", b"a(x)", b"{", b"% a\n", b":- ", b"A =\n",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_any_rule_takes_linear_time(unit):
    content = unit * (MEGABYTE // 8 // len(unit))
    started = time.process_time()
    for rule in RULES.values():
        rule(content)
    assert time.process_time() - started < SECONDS
