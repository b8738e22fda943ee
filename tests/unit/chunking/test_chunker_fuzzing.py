"""Every language against bytes that nobody would write: nothing is lost, nothing fails.

The claims and the mutations are those of the long run, `python -m tests.fuzz.chunker`, which is guided by coverage.
"""

from __future__ import annotations

import codecs
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from code_index.chunking.encoding import decode
from code_index.chunking.registry import FORMATS
from code_index.chunking.registry import LANGUAGES as CODE
from code_index.core.model import ChunkingOptions
from tests.fuzz.claims import GROUPS, LANGUAGES, OPTIONS, SEEDS, check, mutated

_ROOT = Path(__file__).parents[3]
_FEW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_BYTES = st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
# The scanner of its grammar may loop for ever on what is not Perl. In a run, the parser process is ended then
# (`parse_timeout_s`); here it would be this one.
_ENDLESS = {"perl"}
_FUZZED = [language for language in LANGUAGES if language not in _ENDLESS]
_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("language", _FUZZED)
def test_a_mutated_file_of_any_language_loses_nothing(language):
    @_FEW
    @given(st.integers(0, 2**32 - 1), st.sampled_from(OPTIONS))
    def holds(seed, options):
        check(mutated(random.Random(seed), SEEDS[language], language, at_most=4_000), language, options)

    holds()


@pytest.mark.parametrize("language", _FUZZED)
def test_any_bytes_in_any_language_lose_nothing(language):
    @_FEW
    @given(_BYTES, st.sampled_from(OPTIONS))
    @example(b"\x00" * 300, OPTIONS[0])
    @example(b"\xff\xfe" + b"\x00\xd8" * 50, OPTIONS[1])
    @example(b"\r\r\n\f\x0b\x1c\x85\xa0", OPTIONS[2])
    @example(b"\xef\xbb\xbf", OPTIONS[0])
    def holds(content, options):
        check(content, language, options)

    holds()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(sorted(_MARKS)))
def test_marked_text_of_any_encoding_becomes_the_same_utf8(text, encoding):
    assert decode(_MARKS[encoding] + text.encode(encoding)).text == text.encode()


# With NUL bytes it may be UTF-16 that nobody marked.
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_utf8_without_a_mark_stays_as_it_is(text):
    content = text.encode()
    assert content.startswith(codecs.BOM_UTF8) or decode(content).text == content


def test_every_language_with_a_parser_of_its_own_is_fuzzed():
    assert set(LANGUAGES) == {*CODE, *FORMATS}
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(LANGUAGES)


def test_mutations_are_the_same_for_the_same_seed_and_change_most_files():
    first, second = ([mutated(random.Random(n), SEEDS["go"], "go") for n in range(50)] for _ in range(2))
    assert first == second
    assert sum(content != SEEDS["go"] for content in first) > 45


def test_a_claim_that_does_not_hold_is_found():
    lossy = check(SEEDS["python"], "python")[1:]
    from tests.fuzz import claims

    with pytest.raises(AssertionError, match="exactly one chunk"):
        claims._sound(SEEDS["python"], lossy, "python", OPTIONS[0])


def test_the_long_run_says_what_it_needs_where_that_is_missing():
    if subprocess.run([sys.executable, "-c", "import atheris"], capture_output=True, check=False).returncode == 0:
        pytest.skip("atheris is installed here")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.chunker", "--seconds", "1"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'atheris>=3,<4'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_can_be_run_again_alone(tmp_path):
    kept = tmp_path / "input"
    kept.write_bytes(b"\x00\x01" + SEEDS["go"])
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.chunker", "--group", "code_3", "--replay", str(kept)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{kept}: every claim holds\n")


@pytest.mark.parametrize("language", ["text", "kotlin", "python"])
def test_an_indentation_before_rarer_blanks_alone_is_no_chunk(language):
    content = "word " * 60 + "\n" + " " * 150 + "\u00a0"
    check(content.encode(), language, OPTIONS[0])
    check(content.encode(), language, ChunkingOptions(max_characters=200, min_characters=0))
