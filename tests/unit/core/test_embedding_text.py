"""The text that is embedded, the name mixed into it, and their identity."""

import json

import pytest

from code_index.core.embedding_text import NAME_WEIGHT, EmbeddingInput, TextRecipe, recipe_of_version, recipe_version


def embedded(
    *, file_path, qualified_name="", chunk_type="module", content="", language="python", recipe=TextRecipe.FULL
):
    return EmbeddingInput.of_chunk(
        file_path=file_path,
        qualified_name=qualified_name,
        chunk_type=chunk_type,
        content=content,
        language=language,
        recipe=recipe,
    )


def test_text_is_names_in_words_path_qualified_name_and_source():
    found = embedded(file_path="src/a.py", qualified_name="A.run", chunk_type="method", content="def run(): ...")
    assert found.text == "Method run of a in a\nsrc/a.py\nA.run\ndef run(): ..."


def test_text_without_a_name_has_no_empty_line():
    found = embedded(file_path="a.py", qualified_name="", chunk_type="module", content="x = 1", language="python")
    assert found.text == "Part in a\na.py\nx = 1"


@pytest.mark.parametrize(
    ("file_path", "qualified_name", "chunk_type", "language", "line"),
    [
        (
            "app/userStore.py",
            "UserStore.getUserName",
            "method",
            "python",
            "Method get user name of user store in user store",
        ),
        ("a/pdf.php", "Book.Tools.Exporter.toPdf", "method", "php", "Method to pdf of exporter in pdf"),
        ("net.go", "dial_TCP", "function", "go", "Function dial tcp in net"),
        ("net.go", "outer.inner", "function", "go", "Function inner in net"),
        ("UserCard.test.tsx", "UserCard", "class", "typescript", "Class user card in user card"),
        ("pyproject.toml", "tool.ruff", "section", "toml", "Part ruff in pyproject"),
        (".bashrc", "", "module", "bash", "Part in"),
        ("docs/guide.md", "Guide > Getting started", "section", "markdown", "docs/guide.md"),
    ],
)
def test_the_first_line_says_names_in_words_but_for_documentation(
    file_path, qualified_name, chunk_type, language, line
):
    found = embedded(file_path=file_path, qualified_name=qualified_name, chunk_type=chunk_type, language=language)
    assert found.text.splitlines()[0] == line


def test_notebook_source_is_embedded_as_code():
    lines = ["import os\n", 'print("hi\\\\n")\n', "x = 1"]
    content = json.dumps({"source": lines}, indent=1)
    found = embedded(file_path="n.ipynb", qualified_name="", content=content, language="jupyter")
    assert found.text == 'Part in n\nn.ipynb\n{\n "source": [\nimport os\nprint("hi\\\\n")\nx = 1\n ]\n}'


def test_notebook_line_that_is_no_json_string_stays_as_it_is():
    found = embedded(file_path="n", qualified_name="", content='  "\\x41",', language="jupyter")
    assert found.text == 'Part in n\nn\n  "\\x41",'


def test_strings_of_other_languages_keep_their_quotes():
    found = embedded(file_path="n", qualified_name="", content=' "a\\n",', language="json")
    assert found.text == 'Part in n\nn\n "a\\n",'


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
    assert EmbeddingInput("def f(): ...", "f").text_hash == "ea9e0e14430176ecfb8b69be1075ab2a"
    older = embedded(file_path="a.py", qualified_name="A.f", content="def f(): ...", recipe="full-1")
    assert (older.text, older.name) == ("a.py\nA.f\ndef f(): ...", "f")
    assert EmbeddingInput("def f(): ...", "f", "full-1").text_hash == "e009e8f7b2dd13f27e7e7b99571fa2b9"
    plain = embedded(file_path="a.py", qualified_name="f", content="def f(): ...", recipe="source")
    assert (plain.text, plain.name) == ("def f(): ...", "")
    assert plain.text_hash == "2e8b29aab43c6e9d30e27339b4e2b6ac"
    assert NAME_WEIGHT == 0.2


def test_every_recipe_is_found_by_its_version():
    assert {recipe_of_version(recipe_version(recipe)) for recipe in TextRecipe} == set(TextRecipe)
    assert recipe_of_version("0") is None
