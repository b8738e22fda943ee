"""The pairs that weights of tokens are learned from, and the learning, on packages made here."""

from __future__ import annotations

import csv
import random
import zipfile

import numpy as np
import pytest

from benchmarks import token_weights, training_pairs
from benchmarks.question_wordings import asked
from benchmarks.training_pairs import Pair, balanced, pairs_of

_ALLOWED = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT OR Apache-2.0"}
# As free as those: the zlib, Boost and Zope licences, and the one that Pyramid derived from BSD.
_ALLOWED_BY_NAME = {"bullet", "libdlib-dev", "librange-v3-dev", "pyramid", "zope.interface"}

FUNCTION = '''
def read_block(stream, size):
    """Read one block of a stream into memory.

    Args:
        size: of the block, in bytes.
    """
    # the last block of a file may be shorter than all others
    block = stream.read(size)
    if len(block) == 0:
        raise EOFError("the stream ended before its first block")
    checked = [item for item in block if item is not None and item >= 0 and item < 256]
    return bytes(checked)
'''


def test_the_licence_of_each_package_allows_it():
    with token_weights.MANIFEST.open(encoding="utf-8", newline="") as manifest:
        packages = list(csv.DictReader(manifest, delimiter="\t"))
    assert {one["package"] for one in packages if one["licence"] not in _ALLOWED} == _ALLOWED_BY_NAME
    assert {one["source"] for one in packages} == set(training_pairs._LIMITS)
    assert len({one["archive"] for one in packages}) == len(packages)
    assert all(one["version"] and "/" not in one["archive"] for one in packages)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "blocks-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as opened:
        for number in range(12):
            functions = (FUNCTION.replace("read_block", f"read_block_{number}_{part}") for part in "ab")
            opened.writestr(f"blocks/part_{number}.py", "\n".join(functions))
        opened.writestr("flask/copy.py", FUNCTION * 2)
        opened.writestr("blocks/vendor/copy.py", FUNCTION * 2)
    return path


def test_a_pair_asks_by_what_is_written_about_code_without_it(archive):
    pairs = pairs_of(archive, "pypi")
    documented = [pair for pair in pairs if pair.kind == "docstring"]
    assert len(documented) == 24
    assert {pair.sentences for pair in documented} == {("Read one block of a stream into memory",)}
    for pair in documented:
        assert "Read one block" not in pair.text
        assert "size: of the block" not in pair.text
        assert "stream.read(size)" in pair.text
        assert pair.name.startswith("read block")
    comments = [pair for pair in pairs if pair.kind == "comment"]
    assert comments
    assert not any("may be shorter" in pair.text for pair in comments)
    assert {pair.sentences for pair in pairs if pair.kind == "error"} <= {("the stream ended before its first block",)}


def test_the_same_archive_gives_the_same_pairs(archive):
    pairs = pairs_of(archive, "pypi")
    assert len(pairs) > 24
    assert pairs == pairs_of(archive, "pypi")


def made(number: int, language: str, kind: str = "docstring") -> Pair:
    return Pair(kind, (f"Ask {number}", "other"), f"text {number}", "", language, f"file {number}", language)


def test_languages_have_equal_shares_and_a_rare_one_all_of_it():
    pairs = [made(at, "python") for at in range(50)] + [made(at, "go") for at in range(50, 90)]
    pairs += [made(at, "ruby") for at in range(90, 94)] + [made(0, "python")]
    kept = balanced(pairs, 40)
    assert {language: sum(pair.language == language for pair in kept) for language in ("python", "go", "ruby")} == {
        "python": 18,
        "go": 18,
        "ruby": 4,
    }
    assert len(set(kept)) == 40


def test_a_question_does_not_name_what_it_asks_for():
    rng = random.Random(1)
    found = {asked("docstring", ["ReadBlock parses one block of a stream"], "read block", rng) for _ in range(200)}
    assert {"parses one block of a stream", "how to parse one block of a stream"} <= found
    assert {"parsing one block of a stream", "code that parses one block of a stream"} <= found
    assert not any("readblock" in question.lower() for question in found)


def test_a_token_that_tells_code_apart_weighs_more_than_one_that_all_have(monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        token_weights.static_export,
        "token_vectors",
        lambda folder, tokenizer: rng.standard_normal((tokenizer.get_vocab_size(), 16)).astype(np.float32),
    )
    monkeypatch.setattr(token_weights, "_BATCH", 16)
    subjects = ["socket", "window", "forest", "engine", "bridge", "garden", "market", "planet"] * 8
    pairs = [
        Pair("error", (f"return {word} {at}",), f"return return {word} {at}", "", "python", str(at), "one")
        for at, word in enumerate(subjects)
    ]
    weights = token_weights.learned(pairs)
    tokenizer = token_weights.Tokenizer.from_file(
        str(token_weights.find_model("default", allow_download=False) / "tokenizer.json")
    )
    assert weights.shape == (tokenizer.get_vocab_size(),)
    assert weights.min() == 0, "the heaviest token weighs 1"
    assert weights[tokenizer.token_to_id("return")] > weights[tokenizer.token_to_id("socket")] + 20
