"""Names in a file: definitions, references, and what a reference is known to mean."""

from __future__ import annotations

import time

import pytest

from code_index.chunking import chunk_file
from code_index.chunking.assembly import MAX_LINES, MAX_NAMES
from code_index.core.model import Evidence, FileName, NameKind

_PYTHON = """\
import os.path as paths
from app.core import Base as Parent, helper

LIMIT = 3


class Child(Parent):
    size: int = 0

    def grow(self, by):
        self.shrink()
        helper(by)
        paths.join("a", "b")
        by.grow()
        return LIMIT + self.size

    def shrink(self):
        def inner():
            return LIMIT
        helper = inner()
        return helper


Child().grow(1)
"""
_TYPESCRIPT = """\
import Store, { read as load, type Shape } from "./store";
import * as util from "../util";

export const LIMIT = 3;
enum Color { Red, Green }

export class Box extends Store implements Shape {
  private width = 1;
  area(): number { return this.side() * LIMIT; }
  side(): number { return util.abs(load(this.width)); }
}
"""
_GO = """\
package shop

import (
\t"fmt"
\tstore "example.com/shop/store/v2"
)

const Limit = 3

type Till struct {
\tname string
}

func (t *Till) Open() error {
\tt.count(Limit)
\tfmt.Println(t.name)
\treturn store.Save(Default)
}

func (t *Till) count(n int) {}
"""
_RUST = """\
use crate::store::{save, Shelf as Rack};

pub const LIMIT: usize = 3;

enum Color { Red, Green(u8) }

struct Till { name: String }

impl Rack for Till {
    fn open(&self) -> usize {
        self.count();
        save(LIMIT);
        super::close();
        println!("{}", self.name);
        Color::Green(1);
        LIMIT
    }
    fn count(&self) {}
}
"""
_JAVA = """\
package com.shop;

import com.shop.store.Shelf;
import static com.shop.store.Saver.save;

class Till extends Base implements Shelf {
  static final int LIMIT = 3;
  Till() {}
  void open(int count) {
    count(LIMIT);
    save(count);
    new Till();
    Shelf.close();
  }
  void count(int n) {}
}
"""


def names_of(text: str | bytes, language: str) -> list[FileName]:
    found: list[FileName] = []
    content = text.encode() if isinstance(text, str) else text
    chunk_file(content, file_path="a", file_hash="h", language=language, on_names=found.extend)
    return found


def definitions(text: str, language: str) -> dict[str, tuple[str, int]]:
    """Kind and line by qualified name."""
    return {
        one.qualified_name: (one.kind.value, one.lines[0])
        for one in names_of(text, language)
        if one.evidence is Evidence.DEFINITION
    }


def meanings(text: str, language: str) -> set[tuple[str, str, str, str, str]]:
    """Kind, name with receiver, evidence, module and qualified name of all references but imports."""
    return {
        (
            one.kind.value,
            f"{one.receiver}.{one.name}" if one.receiver else one.name,
            one.evidence.value,
            one.module,
            one.qualified_name,
        )
        for one in names_of(text, language)
        if one.evidence not in {Evidence.DEFINITION, Evidence.DECLARATION} and one.kind is not NameKind.IMPORT
    }


def test_a_parameter_with_a_modifier_is_a_field_too() -> None:
    text = """\
class Api {
  constructor(private readonly http: Http, readonly url: string, public size?: number, plain: string) {
    http.open(plain);
    this.http.get(url);
  }
  go() { return this.url + this.size + this.plain; }
}
"""
    fields = {name for name, (kind, _) in definitions(text, "typescript").items() if kind == "field"}
    assert fields == {"Api.http", "Api.url", "Api.size"}
    assert ("use", "this.http", "same scope", "", "Api.http") in meanings(text, "typescript")
    assert not [one for one in meanings(text, "typescript") if one[1] in {"http", "url", "this.plain"}]


def test_properties_of_objects_of_a_module_are_seen_through_the_object() -> None:
    text = """\
export const options = { retries: 3, on: { deep: 1 }, run() { return retries; } };
const other = { name: options.retries, retries };
function local() { const inner = { a: 1 }; return inner; }
"""
    found = definitions(text, "javascript")
    assert {name for name, (kind, _) in found.items() if kind == "field"} == {
        "options.retries",
        "options.on",
        "other.name",
    }
    said = [one for one in meanings(text, "javascript") if one[1].endswith("retries")]
    assert said == [("use", "options.retries", "same scope", "", "options.retries")]


def test_names_that_a_module_takes_out_of_an_object_are_its_variables() -> None:
    text = "export const { GET, POST } = handlers;\nconst { env } = process;\nfunction f({ a }) { const { b } = a; }\n"
    assert set(definitions(text, "typescript")) == {"GET", "POST", "env", "f"}


def test_only_a_macro_is_called_with_an_exclamation_mark() -> None:
    text = """\
use crate::log::warn;
macro_rules! shout { () => {} }
fn format() {}
fn run() { format!("x"); format(); shout!(); shout(); warn!(); log::info!(); }
"""
    assert meanings(text, "rust") >= {
        ("call", "format", "name only", "", ""),
        ("call", "format", "same scope", "", "format"),
        ("call", "shout", "same scope", "", "shout"),
        ("call", "shout", "name only", "", ""),
        ("call", "warn", "imported", "crate::log", "warn"),
        ("call", "log.info", "name only", "", ""),
    }


def test_words_of_an_attribute_are_no_names_but_for_types_paths_and_values() -> None:
    text = """\
#[cfg(test)]
mod test {}
fn parse() {}
#[derive(Debug, Till)]
#[clap(name = "x", value_parser = parse, test, with(test::deep))]
struct Till {}
"""
    assert meanings(text, "rust") & {
        ("use", "test", "same scope", "", "test"),
        ("use", "parse", "same scope", "", "parse"),
        ("use", "Till", "same scope", "", "Till"),
    } == {("use", "parse", "same scope", "", "parse"), ("use", "Till", "same scope", "", "Till")}


def test_python_definitions_have_their_kind_and_line() -> None:
    assert definitions(_PYTHON, "python") == {
        "LIMIT": ("variable", 4),
        "Child": ("class", 7),
        "Child.size": ("field", 8),
        "Child.grow": ("method", 10),
        "Child.shrink": ("method", 17),
        "Child.shrink.inner": ("function", 18),
    }


def test_python_references_mean_what_the_file_defines_or_imports() -> None:
    assert meanings(_PYTHON, "python") == {
        ("inheritance", "Base", "imported", "app.core", "Base"),
        ("call", "self.shrink", "same scope", "", "Child.shrink"),
        ("call", "helper", "imported", "app.core", "helper"),
        ("call", "paths.join", "imported", "os.path", "join"),
        ("call", "inner", "same scope", "", "Child.shrink.inner"),
        ("call", "Child", "same scope", "", "Child"),
        ("call", "....grow", "name only", "", ""),
        ("call", "by.grow", "name only", "", ""),
        ("use", "LIMIT", "same scope", "", "LIMIT"),
        ("use", "self.size", "same scope", "", "Child.size"),
    }


def test_typescript_names() -> None:
    assert definitions(_TYPESCRIPT, "typescript") == {
        "LIMIT": ("variable", 4),
        "Color": ("class", 5),
        "Color.Red": ("field", 5),
        "Color.Green": ("field", 5),
        "Box": ("class", 7),
        "Box.width": ("field", 8),
        "Box.area": ("method", 9),
        "Box.side": ("method", 10),
    }
    assert meanings(_TYPESCRIPT, "typescript") == {
        ("inheritance", "Store", "imported", "./store", "Store"),
        ("inheritance", "Shape", "imported", "./store", "Shape"),
        ("call", "this.side", "same scope", "", "Box.side"),
        ("use", "LIMIT", "same scope", "", "LIMIT"),
        ("call", "util.abs", "imported", "../util", "abs"),
        ("call", "read", "imported", "./store", "read"),
        ("use", "this.width", "same scope", "", "Box.width"),
    }


def test_go_names() -> None:
    assert definitions(_GO, "go") == {
        "shop": ("module", 1),
        "Limit": ("variable", 8),
        "Till": ("class", 10),
        "Till.name": ("field", 11),
        "Till.Open": ("method", 14),
        "Till.count": ("method", 20),
    }
    assert meanings(_GO, "go") == {
        ("use", "Till", "same scope", "", "Till"),
        ("call", "t.count", "same scope", "", "Till.count"),
        ("use", "Limit", "same scope", "", "Limit"),
        ("call", "fmt.Println", "imported", "fmt", "Println"),
        ("use", "t.name", "same scope", "", "Till.name"),
        ("call", "store.Save", "imported", "example.com/shop/store/v2", "Save"),
        ("use", "Default", "name only", "", ""),
    }


def test_rust_names() -> None:
    assert definitions(_RUST, "rust") == {
        "LIMIT": ("variable", 3),
        "Color": ("class", 5),
        "Color.Red": ("field", 5),
        "Color.Green": ("field", 5),
        "Till": ("class", 7),
        "Till.name": ("field", 7),
        "Till.open": ("method", 10),
        "Till.count": ("method", 18),
    }
    found = meanings(_RUST, "rust")
    assert {
        ("inheritance", "Shelf", "imported", "crate::store", "Shelf"),
        ("call", "self.count", "same scope", "", "Till.count"),
        ("call", "save", "imported", "crate::store", "save"),
        ("call", "super.close", "imported", "super", "close"),
        ("use", "self.name", "same scope", "", "Till.name"),
        ("call", "Color.Green", "same scope", "", "Color.Green"),
        ("call", "println", "name only", "", ""),
    } <= found


def test_java_names() -> None:
    assert definitions(_JAVA, "java") == {
        "com.shop": ("module", 1),
        "Till": ("class", 6),
        "Till.LIMIT": ("field", 7),
        "Till.Till": ("method", 8),
        "Till.open": ("method", 9),
        "Till.count": ("method", 15),
    }
    assert {
        ("inheritance", "Base", "name only", "", ""),
        ("inheritance", "Shelf", "imported", "com.shop.store", "Shelf"),
        ("use", "LIMIT", "same scope", "", "Till.LIMIT"),
        ("call", "save", "imported", "com.shop.store.Saver", "save"),
        ("call", "Till", "same scope", "", "Till"),
        ("call", "Shelf.close", "imported", "com.shop.store", "Shelf.close"),
    } <= meanings(_JAVA, "java")


def test_a_parameter_hides_what_its_name_means_elsewhere() -> None:
    source = "def helper(): ...\n\ndef use(helper):\n    return helper()\n"
    assert meanings(source, "python") == set()


def test_the_title_of_a_test_is_no_definition_that_its_import_could_mean() -> None:
    source = "import { load } from './load'\ntest('load', () => { load() })\n"
    assert definitions(source, "typescript") == {}
    assert meanings(source, "typescript") == {
        ("call", "load", "imported", "./load", "load"),
        ("call", "test", "name only", "", ""),
    }


def test_strings_comments_and_keywords_of_a_call_are_no_references() -> None:
    source = 'LIMIT = 1\n# LIMIT\nf("LIMIT", LIMIT=2)\n'
    assert meanings(source, "python") == {("call", "f", "name only", "", "")}


def test_references_of_one_meaning_in_one_definition_are_a_row_with_their_lines() -> None:
    rows = names_of("def f():\n    g()\n    g()\n\ndef h():\n    g()\n" + "# filler\n" * 100, "python")
    assert [(one.lines, one.enclosing) for one in rows if one.name == "g"] == [((2, 3), "f"), ((6,), "h")]


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("python", "def f():\n    def g():\n        x()\n    x()\nx()\n", {3: "f.g", 4: "f", 5: ""}),
        ("python", "class C:\n    def f(self):\n        x()\n    y = x()\n", {3: "C.f", 4: "C"}),
        (
            "typescript",
            "function f() {\n  const g = () => {\n    x();\n  };\n  [1].map(() => x());\n  x();\n}\nx();\n",
            {3: "f.g", 5: "f", 6: "f", 8: ""},
        ),
        (
            "typescript",
            "it('adds', () => {\n  const g = () => x();\n  x();\n});\n",
            {2: "adds.g", 3: "adds"},
        ),
        ("java", "class C {\n  A f() {\n    return new A() {\n      void g() { x(); }\n    };\n  }\n}\n", {4: "C.f.g"}),
        ("rust", "fn f() {\n    fn g() { x() }\n    x()\n}\n", {2: "f.g", 3: "f"}),
        ("markdown", "# Use\n\n```python\ndef f():\n    x()\n```\n", {5: "f"}),
    ],
)
def test_a_reference_is_in_the_innermost_definition_with_a_chunk_or_without(
    language: str, source: str, expected: dict[int, str]
) -> None:
    calls = [one for one in names_of(source, language) if one.name == "x"]
    assert {line: one.enclosing for one in calls for line in one.lines} == expected


def test_names_in_the_script_of_a_page_have_the_lines_of_the_page() -> None:
    rows = names_of(
        "<template><p/></template>\n<script>\nimport { a } from './a'\nfunction f() { a() }\n</script>\n", "vue"
    )
    assert {(one.kind.value, one.name, one.lines) for one in rows} == {
        ("import", "a", (3,)),
        ("function", "f", (4,)),
        ("call", "a", (4,)),
    }


@pytest.mark.parametrize("language", ["python", "typescript", "go", "rust", "java", "ruby", "c"])
def test_what_only_looks_like_code_gives_names_in_linear_time(language: str) -> None:
    def spent(times: int) -> float:
        text = b"a.b(" * times + b"x = A.b.c; " * times
        started = time.process_time()
        assert len(names_of(text, language)) <= MAX_NAMES
        return time.process_time() - started

    # Four times the text: 4 times the time where that is linear, 16 times where it is a square.
    assert spent(10_000) < 8 * spent(2_500) + 0.5


def test_a_file_of_many_names_keeps_its_definitions_and_as_many_references_as_are_allowed() -> None:
    calls = "".join(f"f{number}()\n" for number in range(MAX_NAMES + 500))
    rows = names_of(f"{calls}def last(): ...\n" + "last()\n" * (MAX_LINES + 5), "python")
    assert len(rows) == MAX_NAMES
    assert rows[0].name == "last"
