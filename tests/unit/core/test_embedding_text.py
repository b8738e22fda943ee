"""The text that is embedded, the name mixed into it, and their identity."""

import json

import pytest

from code_index.core.embedding_text import NAME_WEIGHT, EmbeddingInput, TextRecipe


def embedded(*, file_path, qualified_name="", content="", language="python", recipe=TextRecipe.FULL):
    return EmbeddingInput.of_chunk(
        file_path=file_path, qualified_name=qualified_name, content=content, language=language, recipe=recipe
    )


def test_text_is_path_qualified_name_and_source():
    found = embedded(file_path="src/a.py", qualified_name="A.run", content="def run(): ...", language="python")
    assert found.text == "src/a.py\nA.run\ndef run(): ..."


def test_text_without_a_name_has_no_empty_line():
    found = embedded(file_path="a.py", qualified_name="", content="x = 1", language="python")
    assert found.text == "a.py\nx = 1"


def test_notebook_source_is_embedded_as_code():
    lines = ["import os\n", 'print("hi\\\\n")\n', "x = 1"]
    content = json.dumps({"source": lines}, indent=1)
    found = embedded(file_path="n.ipynb", qualified_name="", content=content, language="jupyter")
    assert found.text == 'n.ipynb\n{\n "source": [\nimport os\nprint("hi\\\\n")\nx = 1\n ]\n}'


def test_notebook_line_that_is_no_json_string_stays_as_it_is():
    found = embedded(file_path="n", qualified_name="", content='  "\\x41",', language="jupyter")
    assert found.text == 'n\n  "\\x41",'


def test_strings_of_other_languages_keep_their_quotes():
    found = embedded(file_path="n", qualified_name="", content=' "a\\n",', language="json")
    assert found.text == 'n\n "a\\n",'


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
    assert embedded(qualified_name=qualified_name, file_path=file_path).name == name


def test_hash_tells_text_and_name_apart():
    hashes = {
        EmbeddingInput("a", "b").text_hash,
        EmbeddingInput("ab", "").text_hash,
        EmbeddingInput("", "ab").text_hash,
        EmbeddingInput("b", "a").text_hash,
    }
    assert len(hashes) == 4


def test_hash_and_weight_stay_as_stored_vectors_were_made():
    assert EmbeddingInput("def f(): ...", "f").text_hash == "e009e8f7b2dd13f27e7e7b99571fa2b9"
    plain = embedded(file_path="a.py", qualified_name="f", content="def f(): ...", recipe="source")
    assert (plain.text, plain.name) == ("def f(): ...", "")
    assert plain.text_hash == "2e8b29aab43c6e9d30e27339b4e2b6ac"
    assert NAME_WEIGHT == 0.2
