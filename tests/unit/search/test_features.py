import pytest

from code_index.search.features import Candidate, compute_features, older_versions, other_platforms, own_symbol, stemmed
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
    ("query", "platform", "others"),
    [
        ("tcp", "linux", {"src/win/tcp.c", "src/unix/os390.c", "src/watch_darwin.go"}),
        ("tcp", "darwin", {"src/win/tcp.c", "src/unix/os390.c", "src/watch_linux.go"}),
        ("tcp", "win32", {"src/unix/tcp.c", "src/unix/os390.c", "src/watch_darwin.go", "src/watch_linux.go"}),
        ("tcp windows", "linux", {"src/unix/os390.c", "src/watch_darwin.go"}),
        ("os390 interface", "linux", {"src/win/tcp.c", "src/watch_darwin.go"}),
    ],
)
def test_a_path_of_another_platform_is_one_that_neither_runs_here_nor_was_asked_for(query, platform, others):
    paths = {"src/win/tcp.c", "src/unix/tcp.c", "src/unix/os390.c", "src/watch_darwin.go", "src/watch_linux.go"}
    assert other_platforms(paths | {"src/window.c", "src/winner/a.c"}, query.split(), platform) == others


def test_where_all_paths_name_one_platform_there_is_no_other():
    assert other_platforms({"src/windows/main.ts", "src/windows/tab.ts", "src/a.ts"}, ["tab"], "linux") == set()


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
