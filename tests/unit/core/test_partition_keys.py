import dagster as dg
import pytest
from dagster._core.definitions.partitions.utils import raise_error_on_invalid_partition_key_substring
from hypothesis import example, given
from hypothesis import strategies as st

from code_index.core import partition_keys
from code_index.core.partition_keys import batch_id_of, batch_partition_key, file_partition_key

_HASH = "3f2a9c1b7d4e" + "0" * 52
_NASTY = st.text(alphabet=st.one_of(st.sampled_from('.%~:,"*/\\\n\t\0\x7f\u2028\udcffaÄ'), st.characters()), min_size=1)
_PATHS = st.one_of(_NASTY, _NASTY.map(lambda part: part * 40), _NASTY.map(lambda part: f"{'d/' * 100}{part}"))
_HASHES = st.sampled_from([_HASH, "f" * 64, "0" * 64])


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("src/flask/app.py", "3f2a9c1b7d4e:src/flask/app.py"),
        ("README", "3f2a9c1b7d4e:README"),
        ("docs/Über uns.md", "3f2a9c1b7d4e:docs/Über uns.md"),
        ("app/[...slug].tsx", "3f2a9c1b7d4e:app/[%2E%2E%2Eslug].tsx~9720e70a"),
        ("a\nb.py", "3f2a9c1b7d4e:a%0Ab.py~c81c83c7"),
        ('q"uote.py', "3f2a9c1b7d4e:q%22uote.py~b00cf1fd"),
        ("a,b.py", "3f2a9c1b7d4e:a%2Cb.py~cd2f067c"),
        ("100%.py", "3f2a9c1b7d4e:100%25.py~72b1e442"),
        ("bad\udcff.py", "3f2a9c1b7d4e:bad%ED%B3%BF.py~b890b1a1"),
        ("d/" * 100 + "f.py", "3f2a9c1b7d4e:~" + "d/" * 88 + "f.py~9c76ea46"),
    ],
)
def test_a_files_key_never_changes(path, key):
    assert file_partition_key(_HASH, path) == key


@given(st.lists(st.tuples(_HASHES, _PATHS), min_size=2, max_size=6, unique=True))
@example([(_HASH, "a%2Cb"), (_HASH, "a,b")])
@example([(_HASH, "x" * 181), (_HASH, "y" + "x" * 180)])
@example([(_HASH, "..."), (_HASH, "%2E%2E%2E")])
def test_two_file_versions_never_share_a_key(files):
    assert len({file_partition_key(*file) for file in files}) == len(files)


@given(_HASHES, _PATHS)
def test_a_key_is_accepted_by_dagster_short_and_printable(file_hash, path):
    key = file_partition_key(file_hash, path)

    raise_error_on_invalid_partition_key_substring([key])
    assert key.startswith(f"{file_hash[:12]}:")
    assert len(key) <= 12 + 1 + 1 + 180 + 1 + 8
    assert key.isprintable()
    assert not set(key) & set(',"*')
    key.encode("utf-8")


def test_dagster_stores_and_returns_keys_as_they_are():
    keys = [file_partition_key(_HASH, path) for path in ("[...slug].tsx", "a\0b", "ü", "a,b", "x" * 4_000, "\udcff")]

    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("file_hash", keys)
        assert list(instance.get_dynamic_partitions("file_hash")) == keys


def test_the_end_of_a_long_path_stays_readable():
    assert "/deep/down/module.py~" in file_partition_key(_HASH, "very/long/" * 30 + "deep/down/module.py")


def test_a_path_of_exactly_the_limit_stays_whole():
    assert file_partition_key(_HASH, "x" * 180) == f"3f2a9c1b7d4e:{'x' * 180}"


@given(st.integers(min_value=0, max_value=10**8 - 1), st.integers(min_value=0, max_value=10**8 - 1))
def test_batch_keys_sort_as_their_numbers_and_read_back(one, other):
    assert batch_id_of(batch_partition_key(one)) == one
    assert (batch_partition_key(one) < batch_partition_key(other)) == (one < other)


def test_a_batch_key_has_eight_digits():
    assert batch_partition_key(42) == "00000042"


@pytest.mark.parametrize("key", ["", "x", "-1", "1_0", " 7", "٣", "²", "1.0"])
def test_what_is_no_batch_number_is_refused_by_name(key):
    with pytest.raises(ValueError, match=f"{key!r} is not a batch number".replace(".", r"\.")):
        batch_id_of(key)


@given(st.text(alphabet=st.sampled_from('ab./%,*"\n\u200bé')))
def test_the_quick_way_to_a_key_gives_what_escaping_each_character_gives(path):
    escaped = "".join(partition_keys._escape(character) for character in path).replace("...", "%2E%2E%2E")
    key = file_partition_key("0" * 64, path)
    assert key == f"{'0' * 12}:{escaped}" + ("" if escaped == path else key[-9:])
