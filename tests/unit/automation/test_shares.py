"""How batches are cut into runs for several hosts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from indexing_assets.automation.pending_look import _MOST_BATCHES, _shares
from indexing_assets.runs.job_names import EMBED_JOB, LIBRARY_JOB


def _keys(count: int) -> list[str]:
    return [f"{number:08}" for number in range(1, count + 1)]


@given(st.data(), st.integers(1, 600), st.integers(2, 12))
def test_no_batch_is_in_two_runs_and_no_host_has_much_more_than_another(data, count: int, hosts: int) -> None:
    keys = _keys(count)
    given_by_others = set(data.draw(st.lists(st.sampled_from(keys), max_size=count)))
    sharing = data.draw(st.integers(0, hosts))
    shares = _shares(keys, given_by_others, sharing, hosts)
    asked = [key for _, of_run in shares for key in of_run]
    assert len(set(asked)) == len(asked)
    of_hosts = [of_run for job, of_run in shares if job == LIBRARY_JOB]
    assert len(of_hosts) + sharing <= hosts
    assert not given_by_others.intersection(key for of_run in of_hosts for key in of_run)
    sizes = [len(of_run) for of_run in of_hosts]
    assert not sizes or (max(sizes) <= _MOST_BATCHES and max(sizes) - min(sizes) <= 1)
    if not sharing:
        assert shares, "something is always asked for where nobody is at work"


def test_a_single_host_and_few_batches_are_one_plain_run() -> None:
    assert _shares(_keys(3), set(), 0, 8) == [(EMBED_JOB, _keys(3))]
    assert _shares(_keys(4), set(), 0, 8) == [(LIBRARY_JOB, _keys(4)[:2]), (LIBRARY_JOB, _keys(4)[2:])]


def test_what_a_killed_host_left_goes_to_one_that_is_free() -> None:
    keys = _keys(12)
    assert _shares(keys, set(keys[:8]), 3, 4) == [(LIBRARY_JOB, keys[8:])]


def test_while_hosts_are_at_work_vectors_are_taken_by_the_many() -> None:
    keys = _keys(_MOST_BATCHES)
    assert _shares(keys[1:], set(keys), 3, 4) == []
    assert _shares(keys, set(keys), 3, 4) == [(EMBED_JOB, keys)]


def test_all_that_was_given_is_taken_when_the_last_host_has_ended() -> None:
    keys = _keys(40)
    assert _shares(keys, set(keys), 0, 4) == [(EMBED_JOB, keys)]
