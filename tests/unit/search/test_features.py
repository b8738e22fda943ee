import pytest

from code_index.search.features import Candidate, compute_features, older_versions, own_symbol, stemmed
from code_index.search.weights import CHUNK_WEIGHTS, FILE_WEIGHTS


def test_every_weight_has_its_feature():
    candidates = {
        key: Candidate(path, language, "function", "parse", None, 1, 9)
        for key, path, language in (("a", "a.py", "python"), ("b", "b.md", "markdown"), ("c", "tests/c.py", "python"))
    }
    found = compute_features(candidates, {"a": 1.0}, {"b": 1.0}, query=["parse"], name=None)
    assert set().union(*found.files.values()) == set(FILE_WEIGHTS)
    assert set().union(*found.chunks.values()) == set(CHUNK_WEIGHTS)


@pytest.mark.parametrize(
    ("paths", "older"),
    [
        ({"src/v3/a.ts", "src/v4/a.ts"}, {"src/v3/a.ts"}),
        ({"pydantic/v1/fields.py", "pydantic/fields.py"}, {"pydantic/v1/fields.py"}),
        ({"api/v1/a.go", "lib/a.go"}, set()),
        ({"v1/a.py", "v10/a.py", "v9/b.py"}, {"v1/a.py", "v9/b.py"}),
        ({"env3/a.py", "env4/a.py"}, set()),
    ],
)
def test_a_version_is_older_beside_a_higher_one_or_beside_the_file_without_one(paths, older):
    assert older_versions(paths) == older


@pytest.mark.parametrize(
    ("function", "around", "kind", "name"),
    [
        ("get", "Router", "method", "get"),
        (None, "Router", "class", "Router"),
        (None, "Router", "module", ""),
        (None, None, "section", ""),
    ],
)
def test_a_chunk_defines_its_function_or_its_class(function, around, kind, name):
    assert own_symbol(function, around, kind) == name


@pytest.mark.parametrize(
    ("one", "other"), [("serializers", "serializer"), ("binding", "bind"), ("routes", "route"), ("is", "is")]
)
def test_words_meet_in_their_stems(one, other):
    assert stemmed(one)[:4] == stemmed(other)[:4]
