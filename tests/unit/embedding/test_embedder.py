"""What the embedder promises whatever the backend does: order, names, prompts, memory, poisoned texts."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.core.embedding_text import NAME_WEIGHT
from code_index.core.errors import EmbeddingError
from code_index.embedding.backend import DeviceLostError, DeviceMemoryError, Tokens
from code_index.embedding.embedder import TextEmbedder
from tests.waiting import wait_until

DIMENSION = 8


def vector_of(text: str) -> np.ndarray:
    """The unit vector that the fake gives to a text."""
    row = np.random.default_rng(np.frombuffer(text.encode() + b"\0", np.uint8)).normal(size=DIMENSION)
    return (row / np.linalg.norm(row)).astype(np.float32)


class FakeBackend:
    """One token a word; room for `room` tokens; texts with POISON raise, with NAN, INF or ZERO give such rows."""

    dimension = DIMENSION
    device = "cpu"
    description = "fake device"

    def __init__(self, *, room=10**9, parallelism=1, length_multiple=1, broken=False, transient_failures=0):
        self.room = room
        self.parallelism = parallelism
        self.length_multiple = length_multiple
        self.broken = broken
        self.transient_failures = transient_failures
        self.batches = []
        self.tokenized = []
        self.released = 0
        self.threads = set()

    def tokenize(self, texts, prompt):
        if any("\ud800" in text for text in texts):
            raise EmbeddingError("not a text")
        self.tokenized.append((threading.current_thread().name, list(texts)))
        return [Tokens(length=max(1, len(text.split())), text=prompt + text) for text in texts]

    def forward(self, batch):
        self.threads.add(threading.current_thread().name)
        texts = [item.text for item in batch]
        self.batches.append(texts)
        if self.broken:
            raise EmbeddingError("model is broken")
        if any("LOST" in text for text in texts):
            raise DeviceLostError("device fell off the bus")
        tokens = max(item.length for item in batch) * len(batch)
        if tokens > self.room:
            raise DeviceMemoryError(f"no room for {tokens} tokens")
        if self.transient_failures:
            self.transient_failures -= 1
            raise DeviceMemoryError("another process took the memory")
        if any("POISON" in text for text in texts):
            raise EmbeddingError("poisoned")
        rows = np.stack([vector_of(text) * 3 for text in texts])
        for word, value in (("NAN", np.nan), ("INF", np.inf), ("ZERO", 0.0)):
            if any(word in text for text in texts):
                rows[:] = value  # int8 activations share one scale: neighbours suffer too
        return rows

    def release_memory(self):
        self.released += 1


def embedder(backend, **options):
    return TextEmbedder(backend, **{"model_id": "fake@0", "token_budget": 16, **options})


def plain(texts):
    return np.stack([vector_of(text) for text in texts])


TEXTS = ["a b c", "d", "e f g h i", "j k", "l", "m n o p", "q", "r s t"]


def test_vectors_come_in_the_order_of_the_texts():
    vectors = embedder(FakeBackend()).embed_documents(TEXTS, [""] * len(TEXTS))
    np.testing.assert_allclose(vectors, plain(TEXTS), atol=1e-6)
    assert vectors.dtype == np.float32


@given(
    st.lists(st.text("ab ", max_size=12), max_size=30),
    st.integers(1, 40),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 12),
)
def test_order_holds_for_any_texts_budget_workers_slices_and_room(texts, budget, workers, slice_texts, room):
    backend = FakeBackend(parallelism=workers, room=max(room, 12))
    subject = embedder(backend, token_budget=budget, slice_texts=slice_texts)
    vectors = subject.embed_documents(texts, [""] * len(texts))
    assert vectors.shape == (len(texts), DIMENSION)
    if texts:
        np.testing.assert_allclose(vectors, plain(texts), atol=1e-6)


def test_no_texts_give_no_vectors_and_no_model_call():
    backend = FakeBackend()
    assert embedder(backend).embed_documents([], []).shape == (0, DIMENSION)
    assert backend.batches == []


def test_batches_stay_within_the_token_budget_unless_they_hold_one_text():
    backend = FakeBackend()
    embedder(backend, token_budget=4).embed_documents(TEXTS, [""] * len(TEXTS))
    for batch in backend.batches:
        assert len(batch) == 1 or max(len(text.split()) for text in batch) * len(batch) <= 4


def test_longest_texts_run_first():
    backend = FakeBackend()
    embedder(backend, token_budget=1).embed_documents(TEXTS, [""] * len(TEXTS))
    lengths = [len(batch[0].split()) for batch in backend.batches]
    assert lengths == sorted(lengths, reverse=True)


def test_a_name_is_mixed_in_with_its_weight_and_an_empty_one_is_not():
    vectors = embedder(FakeBackend()).embed_documents(["some code", "other code"], ["get user", ""])
    mixed = vector_of("some code") + NAME_WEIGHT * vector_of("get user")
    np.testing.assert_allclose(vectors[0], mixed / np.linalg.norm(mixed), atol=1e-6)
    np.testing.assert_allclose(vectors[1], vector_of("other code"), atol=1e-6)


def test_a_name_is_embedded_once_over_all_calls():
    backend = FakeBackend()
    subject = embedder(backend)
    first = subject.embed_documents(["x", "y"], ["run", "run"])
    second = subject.embed_documents(["x"], ["run"])
    assert sum(text == "run" for batch in backend.batches for text in batch) == 1
    np.testing.assert_array_equal(first[0], second[0])


def test_the_name_cache_forgets_the_name_used_longest_ago():
    backend = FakeBackend()
    subject = embedder(backend, name_cache_size=2)
    for name in ("one", "two", "one", "three", "one", "two"):
        subject.embed_documents(["x"], [name])
    seen = [text for batch in backend.batches for text in batch if text != "x"]
    assert seen == ["one", "two", "three", "two"]


def test_texts_and_names_must_match_in_number():
    with pytest.raises(EmbeddingError, match="2 texts but 1 names"):
        embedder(FakeBackend()).embed_documents(["a", "b"], ["n"])


def test_prompts_go_before_documents_and_queries():
    subject = embedder(FakeBackend(), document_prompt="passage: ", query_prompt="query: ")
    np.testing.assert_allclose(subject.embed_query("find it"), vector_of("query: find it"), atol=1e-6)
    np.testing.assert_allclose(subject.embed_documents(["x"], [""])[0], vector_of("passage: x"), atol=1e-6)


def test_out_of_memory_halves_the_budget_and_remembers_what_worked(caplog):
    backend = FakeBackend(room=5)
    subject = embedder(backend, token_budget=64)
    with caplog.at_level(logging.WARNING):
        vectors = subject.embed_documents(["w"] * 40, [""] * 40)
    np.testing.assert_allclose(vectors, plain(["w"] * 40), atol=1e-6)
    assert subject.token_budget == 5
    assert backend.released == 3  # 40 -> 20 -> 10 -> 5
    assert "at most 5 tokens" in caplog.text
    backend.batches.clear()
    subject.embed_documents(["w"] * 20, [""] * 20)
    assert all(len(batch) <= 5 for batch in backend.batches)
    assert backend.released == 3


def test_batches_that_fail_together_halve_the_budget_once():
    backend = FakeBackend(parallelism=4, room=8)
    subject = embedder(backend, token_budget=16)
    subject.embed_documents(["w"] * 128, [""] * 128)
    assert subject.token_budget == 8


def test_one_text_too_large_for_the_device_fails_alone():
    huge = " ".join(["w"] * 30)
    result = embedder(FakeBackend(room=16)).embed_documents_detailed(["a b", huge, "c"], ["", "", ""])
    assert list(result.errors) == [1]
    assert "no room for 30 tokens" in result.errors[1]
    np.testing.assert_allclose(result.vectors[[0, 2]], plain(["a b", "c"]), atol=1e-6)
    assert not result.vectors[1].any()


@pytest.mark.parametrize("workers", [1, 3])
def test_texts_that_never_fit_are_given_up_after_two_tries_each(workers):
    backend = FakeBackend(parallelism=workers, room=0)
    result = embedder(backend, token_budget=1).embed_documents_detailed(["a", "b", "c", "d"], [""] * 4)
    assert sorted(result.errors) == [0, 1, 2, 3]
    assert len(backend.batches) == 8


def test_a_device_that_is_lost_while_a_failure_is_looked_into_is_lost():
    backend = FakeBackend()
    forward = backend.forward

    def fail(batch):
        backend.forward = lambda batch: (_ for _ in ()).throw(DeviceLostError("gone"))
        return forward(batch)

    backend.forward = fail
    with pytest.raises(DeviceLostError, match="gone"):
        embedder(backend).embed_documents_detailed(["POISON"], [""])


def test_a_single_text_gets_a_second_chance_after_memory_was_released():
    backend = FakeBackend(transient_failures=1)
    vectors = embedder(backend).embed_documents(["lone text"], [""])
    np.testing.assert_allclose(vectors, plain(["lone text"]), atol=1e-6)
    assert backend.released == 1


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("word", ["POISON", "NAN", "INF", "ZERO"])
def test_poisoned_texts_fail_alone(word, workers):
    texts = [f"text {number}" for number in range(20)]
    for bad in (3, 4, 17):
        texts[bad] += f" {word}"
    result = embedder(FakeBackend(parallelism=workers)).embed_documents_detailed(texts, ["name"] * 20)
    assert sorted(result.errors) == [3, 4, 17]
    good = [at for at in range(20) if at not in result.errors]
    np.testing.assert_allclose(np.linalg.norm(result.vectors[good], axis=1), 1, atol=1e-6)
    assert not result.vectors[[3, 4, 17]].any()
    expected = plain([texts[at] for at in good]) + NAME_WEIGHT * vector_of("name")
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(result.vectors[good], expected, atol=1e-6)


@given(st.sets(st.integers(0, 39)), st.integers(1, 40))
def test_exactly_the_poisoned_texts_fail_whatever_the_batches(bad, budget):
    texts = [f"t{number}" + (" POISON" if number in bad else "") for number in range(40)]
    result = embedder(FakeBackend(), token_budget=budget).embed_documents_detailed(texts, [""] * 40)
    assert set(result.errors) == bad


def test_a_poisoned_name_fails_the_texts_that_bear_it():
    result = embedder(FakeBackend()).embed_documents_detailed(["a", "b", "c"], ["ok", "POISON", "POISON"])
    assert sorted(result.errors) == [1, 2]
    assert result.errors[1] == "name 'POISON': poisoned"


def test_a_text_that_cannot_be_tokenized_fails_alone():
    result = embedder(FakeBackend()).embed_documents_detailed(["a", "\ud800", "c"], ["", "", ""])
    assert result.errors == {1: "not a text"}
    np.testing.assert_allclose(result.vectors[[0, 2]], plain(["a", "c"]), atol=1e-6)


def test_embed_documents_raises_and_names_the_texts():
    with pytest.raises(EmbeddingError, match=r"2 of 3 texts cannot be embedded: text 0: poisoned; text 2: poisoned"):
        embedder(FakeBackend()).embed_documents(["POISON", "fine", "POISON 2"], ["", "", ""])


def test_a_broken_backend_is_named_instead_of_every_text():
    backend = FakeBackend(broken=True)
    with pytest.raises(EmbeddingError, match="fake device cannot embed even a plain text"):
        embedder(backend).embed_documents_detailed(["a"] * 1000, [""] * 1000)
    assert len(backend.batches) == 2  # the first batch and the plain text


@pytest.mark.parametrize("workers", [1, 3])
def test_a_lost_device_ends_the_call_at_once(workers):
    backend = FakeBackend(parallelism=workers)
    texts = ["LOST"] + ["w"] * 500
    with pytest.raises(DeviceLostError):
        embedder(backend, token_budget=1).embed_documents_detailed(texts, [""] * 501)
    assert len(backend.batches) < 100


def test_a_wrong_shape_from_the_backend_is_refused():
    backend = FakeBackend()
    backend.forward = lambda batch: np.ones((len(batch), DIMENSION + 1), np.float32)
    with pytest.raises(EmbeddingError, match="shape"):
        embedder(backend).embed_documents(["a"], [""])


def test_a_query_that_fails_raises():
    with pytest.raises(EmbeddingError, match="query cannot be embedded: poisoned"):
        embedder(FakeBackend()).embed_query("POISON")


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_counts_every_text_once(workers):
    counts = []
    texts = [*TEXTS, "POISON", "\ud800"]
    subject = embedder(FakeBackend(parallelism=workers), slice_texts=4)
    subject.embed_documents_detailed(texts, ["name"] * len(texts), progress=counts.append)
    assert sum(counts) == len(texts)
    assert all(count > 0 for count in counts)


def test_the_next_slice_is_tokenized_by_another_thread():
    backend = FakeBackend()
    embedder(backend, slice_texts=3).embed_documents(TEXTS, [""] * len(TEXTS))
    slices = [texts for name, texts in backend.tokenized if name.startswith("tokenize")]
    assert slices == [TEXTS[:3], TEXTS[3:6], TEXTS[6:]]


def test_texts_are_tokenized_while_their_names_are_embedded():
    class Late(FakeBackend):
        """Embeds nothing before a text is tokenized."""

        def forward(self, batch):
            wait_until(lambda: any(name.startswith("tokenize") for name, _ in self.tokenized), "a slice is tokenized")
            return super().forward(batch)

    vectors = embedder(Late(), slice_texts=3).embed_documents(TEXTS, ["a name"] * len(TEXTS))
    assert vectors.shape == (len(TEXTS), DIMENSION)


def test_a_parallel_backend_is_called_by_as_many_threads():
    backend = FakeBackend(parallelism=2)
    forward = backend.forward
    backend.forward = lambda batch: (time.sleep(0.005), forward(batch))[1]
    embedder(backend, token_budget=1).embed_documents(["w"] * 12, [""] * 12)
    assert len(backend.threads) == 2


def test_threads_can_share_an_embedder():
    subject = embedder(FakeBackend(parallelism=2), name_cache_size=4)
    failures = []

    def work(number):
        texts = [f"{number} {at}" for at in range(50)]
        vectors = subject.embed_documents(texts, [""] * 50)
        if not np.allclose(vectors, plain(texts), atol=1e-6):
            failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_padding_counts_towards_the_budget():
    backend = FakeBackend(length_multiple=8)
    embedder(backend, token_budget=16).embed_documents(["w"] * 6, [""] * 6)
    assert [len(batch) for batch in backend.batches] == [2, 2, 2]


def test_describe_names_model_device_and_reason():
    subject = embedder(FakeBackend(), reason="asked for")
    assert subject.describe() == "fake@0 on fake device (asked for)"
