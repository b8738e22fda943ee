"""The text that is embedded, the name mixed into it, and their identity."""

import json

import pytest

from code_index.core.embedding_text import NAME_WEIGHT, embedded_text_hash, embedding_text, name_text


def test_text_is_path_qualified_name_and_source():
    text = embedding_text(
        file_path="src/a.py", qualified_name="A.run", content="def run(): ...", chunk_type="method", language="python"
    )
    assert text == "src/a.py\nA.run\ndef run(): ..."


def test_text_without_a_name_has_no_empty_line():
    text = embedding_text(file_path="a.py", qualified_name="", content="x = 1", chunk_type="module", language="python")
    assert text == "a.py\nx = 1"


def test_notebook_source_is_embedded_as_code():
    lines = ["import os\n", 'print("hi\\\\n")\n', "x = 1"]
    content = json.dumps({"source": lines}, indent=1)
    text = embedding_text(
        file_path="n.ipynb", qualified_name="", content=content, chunk_type="entry", language="jupyter"
    )
    assert text == 'n.ipynb\n{\n "source": [\nimport os\nprint("hi\\\\n")\nx = 1\n ]\n}'


def test_notebook_line_that_is_no_json_string_stays_as_it_is():
    text = embedding_text(
        file_path="n", qualified_name="", content='  "\\x41",', chunk_type="entry", language="jupyter"
    )
    assert text == 'n\n  "\\x41",'


def test_strings_of_other_languages_keep_their_quotes():
    text = embedding_text(file_path="n", qualified_name="", content=' "a\\n",', chunk_type="entry", language="json")
    assert text == 'n\n "a\\n",'


@pytest.mark.parametrize(
    ("qualified_name", "file_path", "name"),
    [
        ("UserStore.getUserName", "a.py", "get user name"),
        ("Guide > Getting started", "a.md", "getting started"),
        ("Flask.__init__", "a.py", "flask init"),
        ("default", "src/UserCard.test.tsx", "user card default"),
        ("main", "main.go", "main main"),
        ("main_loop", "main.go", "main loop"),
        ("", "a.py", ""),
        ("<lambda>", "a.py", "lambda"),
    ],
)
def test_name_text_is_the_words_of_the_own_name(qualified_name, file_path, name):
    assert name_text(qualified_name=qualified_name, file_path=file_path) == name


def test_hash_tells_text_and_name_apart():
    hashes = {
        embedded_text_hash(text="a", name="b"),
        embedded_text_hash(text="ab", name=""),
        embedded_text_hash(text="", name="ab"),
        embedded_text_hash(text="b", name="a"),
    }
    assert len(hashes) == 4


def test_hash_and_weight_stay_as_stored_vectors_were_made():
    assert embedded_text_hash(text="def f(): ...", name="f") == "e009e8f7b2dd13f27e7e7b99571fa2b9"
    assert NAME_WEIGHT == 0.2
