"""Batches cover every text once and keep to the budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from code_index.embedding.token_batches import batch_tokens, padded_length, plan_batches

LENGTHS = st.lists(st.integers(1, 512), max_size=200)


@given(LENGTHS, st.integers(1, 5_000), st.sampled_from([1, 8, 32]))
def test_batches_hold_each_text_once_within_the_budget_longest_first(lengths, budget, multiple):
    batches = plan_batches(lengths, token_budget=budget, multiple=multiple)
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) == 1 or batch_tokens([lengths[index] for index in batch], multiple) <= budget


@given(LENGTHS, st.integers(1, 5_000))
def test_batches_are_full_the_next_text_would_not_have_fitted(lengths, budget):
    batches = plan_batches(lengths, token_budget=budget)
    for batch in batches[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget


def test_lengths_are_padded_up_to_the_multiple():
    assert [padded_length(length, 8) for length in (1, 8, 9)] == [8, 8, 16]
