from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from code_index.core.batching import BatchAllocator, checkpoint_groups

_COUNTS = st.lists(st.integers(min_value=0, max_value=30), max_size=12)


def test_batches_fill_in_order_across_calls():
    allocator = BatchAllocator(first_id=7, batch_chunks=3)

    assert allocator.take(2) == [7, 7]
    assert allocator.take(5) == [7, 8, 8, 8, 9]


def test_drain_keeps_the_batch_that_has_room_until_the_end():
    allocator = BatchAllocator(first_id=1, batch_chunks=2)
    allocator.take(5)

    assert allocator.drain() == [1, 2]
    assert allocator.drain() == []
    assert allocator.take(1) == [3]
    assert allocator.drain() == [3]
    assert allocator.drain(final=True) == []


def test_a_final_drain_closes_the_last_batch():
    allocator = BatchAllocator(first_id=1, batch_chunks=10)
    allocator.take(1)

    assert allocator.drain(final=True) == [1]
    assert allocator.take(1) == [2]


@given(_COUNTS, st.integers(min_value=1, max_value=9), st.integers(min_value=1, max_value=99))
def test_every_chunk_is_in_one_batch_and_every_batch_is_drained_once(counts, batch_chunks, first_id):
    allocator = BatchAllocator(first_id=first_id, batch_chunks=batch_chunks)
    numbers, drained = [], []
    for count in counts:
        numbers += allocator.take(count)
        drained += allocator.drain()
    drained += allocator.drain(final=True)

    assert numbers == [first_id + position // batch_chunks for position in range(sum(counts))]
    assert drained == sorted(set(numbers))


@given(
    st.lists(st.integers(min_value=0, max_value=50), max_size=20).map(lambda sizes: list(enumerate(sizes))),
    st.integers(min_value=1, max_value=60),
)
def test_checkpoints_hold_each_batch_once_in_order_and_are_bounded_and_full(sizes, max_chunks):
    groups = checkpoint_groups(sizes, max_chunks=max_chunks)
    chunks = dict(sizes)

    assert [batch for group in groups for batch in group] == [batch for batch, _ in sizes]
    assert all(len(group) == 1 or sum(chunks[b] for b in group) <= max_chunks for group in groups)
    for group, following in pairwise(groups):
        assert sum(chunks[b] for b in group) + chunks[following[0]] > max_chunks


def test_no_batches_need_no_checkpoint():
    assert checkpoint_groups([], max_chunks=5) == []


def test_a_batch_above_the_bound_is_a_checkpoint_of_its_own():
    assert checkpoint_groups([(1, 2), (2, 9), (3, 1), (4, 1)], max_chunks=4) == [[1], [2], [3, 4]]
