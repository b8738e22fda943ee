"""A docstring is what documents a definition, not whatever comment stands above it."""

from __future__ import annotations

import time

import pytest

from code_index.chunking import chunk_file


def docstring(comment: str, language: str = "javascript") -> str | None:
    definition = {
        "javascript": "function f() {}",
        "c": "int f(void) { return 1; }",
        "cpp": "int f() { return 1; }",
        "go": "func f() {}",
        "bash": "f() {\n  ls\n}",
        "ruby": "def f; end",
        "rust": "fn f() {}",
        "java": "class f {}",
    }[language]
    chunks = chunk_file(f"{comment}\n{definition}\n".encode(), file_path="a", file_hash="0", language=language)
    (chunk,) = (chunk for chunk in chunks if "f" in (chunk.function_name, chunk.class_name))
    return chunk.docstring


@pytest.mark.parametrize(
    ("comment", "language"),
    [
        ("/* Copyright 2024 Shop Ltd. Licensed under MIT. */", "javascript"),
        ("/**\n * @license MIT\n * Shop.\n */", "javascript"),
        ("// Copyright (c) The Authors.\n// All rights reserved.", "go"),
        ("# SPDX-License-Identifier: MIT", "bash"),
        ("// eslint-disable-next-line no-unused-vars", "javascript"),
        ("/* eslint no-alert: off */\n// @ts-expect-error later", "javascript"),
        ("/* istanbul ignore next */", "javascript"),
        ("//nolint:errcheck", "go"),
        ("//go:noinline", "go"),
        ("// NOLINTNEXTLINE(readability)", "cpp"),
        ("// static", "cpp"),
        ("# rubocop:disable Metrics/MethodLength", "ruby"),
        ("# shellcheck disable=SC2034", "bash"),
        ("// MARK: - Helpers", "javascript"),
        ("// #region helpers", "javascript"),
        ("// ---------- helpers ----------", "javascript"),
        ("// ==========\n// Section: helpers\n// ==========", "javascript"),
        ("// function old() {\n//   return 0\n// }", "javascript"),
        ("// const a = b(1)\n// a.go()", "javascript"),
        ("/* int old(void) { return 0; } */", "c"),
        ("# old = 1\n# return 2", "ruby"),
    ],
)
def test_a_comment_that_documents_nothing_is_no_docstring(comment, language):
    assert docstring(comment, language) in (None, "eslint no-alert: off")


@pytest.mark.parametrize(
    ("comment", "language", "text"),
    [
        ("// Adds two prices.", "javascript", "Adds two prices."),
        ("// Returns the copyright line of a file.", "javascript", "Returns the copyright line of a file."),
        ("// Mark the node as seen.", "javascript", "Mark the node as seen."),
        ("// print usage and leave", "c", "print usage and leave"),
        ("// Region of a port.", "javascript", "Region of a port."),
        ("// Adds: see `add(a, b)`.\n// add(1, 2)", "javascript", "Adds: see `add(a, b)`.\nadd(1, 2)"),
        ("/// ```\n/// let a = f();\n/// ```", "rust", "```\nlet a = f();\n```"),
        ("/** let a = f(); */", "javascript", "let a = f();"),
        ("#######################\n# Removes the backup.\n#######################", "bash", "Removes the backup."),
        ("/*************\n * Adds two.\n *************/", "c", "Adds two."),
        ("/** Real. */\n// a note between", "javascript", "Real."),
        ("// Adds.\n// eslint-disable-next-line", "javascript", "Adds."),
        ("/* Copyright 2024 Shop. */\n// Adds.", "javascript", "Adds."),
    ],
)
def test_a_comment_that_documents_is_a_docstring(comment, language, text):
    assert docstring(comment, language) == text


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ('"Counts " "coins."', "Counts coins."),
        ('("Counts "\n     "coins.")', None),
        ('f"""Counted {1}"""', None),
        ('b"""Bytes."""', None),
        ('r"""Raw \\d."""', "Raw \\d."),
        ('"""A.""" f"{b}"', None),
        ("u'A.'", "A."),
    ],
)
def test_python_documents_with_strings_that_it_takes_for_documentation(literal, text):
    chunks = chunk_file(f"def f():\n    {literal}\n".encode(), file_path="a", file_hash="0", language="python")
    assert chunks[0].docstring == text


@pytest.mark.parametrize(
    "line", ["// a\n", "// a = \n", "// ----\n", "/* ---- a */\n", "// (((\n", "# a.b.c.d\n", "// --a--a--\n"]
)
def test_many_comments_are_judged_in_linear_time(line):
    started = time.process_time()
    for language in ("javascript", "bash"):
        chunk_file(
            (line * (80_000 // len(line)) + "function f() {\n}\n").encode(),
            file_path="a",
            file_hash="0",
            language=language,
        )
        chunk_file(
            (line[:2] + line[2:-1] * (20_000 // len(line)) + "\nfunction f() {\n}\n").encode(),
            file_path="a",
            file_hash="0",
            language=language,
        )
    assert time.process_time() - started < 20
