"""Tokenized texts through a backend, in spite of faulty texts and little memory.

Belongs here: batches, halving when memory runs out, and the search for the text that spoils its batch.
Does not belong here: preparing texts (`embedder`) and computing a batch (the backends).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np

from code_index.core.errors import EmbeddingError
from code_index.core.unit_vectors import Vectors, normalized, vector_lengths
from code_index.embedding.backend import (
    Backend,
    DeviceLostError,
    DeviceMemoryError,
    Tokens,
    TransientReason,
)
from code_index.embedding.token_batches import batch_tokens, plan_batches

_LOG = logging.getLogger(__name__)
_BATCHES_PER_WORKER = 2
_PROBE_TEXT = "def add(a, b): return a + b"
_SHORTEST = 1e-9
"""Below this a vector has no direction worth keeping."""


@dataclass(slots=True)
class _Recovery:
    """The attempts that one call has made."""

    probed: bool = False
    retried_alone: set[int] = field(default_factory=set)


class BatchRunner:
    """Embedding of tokens in batches of at most `token_budget` tokens.

    `token_budget` shrinks when the device runs out of memory and stays at the size that worked.
    """

    def __init__(self, backend: Backend, *, token_budget: int) -> None:
        self._backend = backend
        self.token_budget = token_budget
        self._workers = (
            ThreadPoolExecutor(backend.parallelism, thread_name_prefix="embed") if backend.parallelism > 1 else None
        )

    def run(
        self, items: Sequence[Tokens], *, progress: Callable[[int], None] | None = None
    ) -> tuple[Vectors, dict[int, str]]:
        """Vectors ((n, dim) float32, unit rows, input order; zero where it failed) and the failed items' reasons.

        `progress` gets the number of items finished since its last call.

        Raises:
            DeviceLostError: the device cannot be used again.
            EmbeddingError: the backend fails on a harmless text as well, so no item is to blame.
        """
        vectors = np.zeros((len(items), self._backend.dimension), dtype=np.float32)
        errors: dict[int, str] = {}
        pending = deque(self._plan(items))
        recovery = _Recovery()
        running: dict[Future[Vectors], list[int]] = {}
        try:
            while pending or running:
                self._start(pending, running, items)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    batch = running.pop(future)
                    try:
                        vectors[batch] = future.result()
                    except DeviceLostError:
                        raise
                    except EmbeddingError as error:
                        reason = self._reason_to_give_up(error, items, batch, recovery)
                        if reason is None:
                            pending.extendleft(reversed(_halves(batch)))
                            continue
                        errors[batch[0]] = reason
                    if progress is not None:
                        progress(len(batch))
        finally:
            for future in running:
                future.cancel()
        return vectors, errors

    def _start(
        self, pending: deque[list[int]], running: dict[Future[Vectors], list[int]], items: Sequence[Tokens]
    ) -> None:
        """Submit batches until every worker is busy and one more batch waits for each."""
        limit = 1 if self._workers is None else _BATCHES_PER_WORKER * self._backend.parallelism
        while pending and len(running) < limit:
            batch = pending.popleft()
            if len(batch) > 1 and self._tokens(items, batch) > self.token_budget:
                pending.extendleft(reversed(_halves(batch)))
                continue
            tokens = [items[index] for index in batch]
            if self._workers is not None:
                running[self._workers.submit(self._unit_rows, tokens)] = batch
                continue
            future: Future[Vectors] = Future()
            running[future] = batch
            try:
                future.set_result(self._unit_rows(tokens))
            except EmbeddingError as error:
                future.set_exception(error)

    def _reason_to_give_up(
        self, error: EmbeddingError, items: Sequence[Tokens], batch: Sequence[int], recovery: _Recovery
    ) -> str | None:
        """The reason why the one text of a batch has no vector; None to retry its halves (or a single text, once).

        Raises:
            EmbeddingError: the backend fails on a harmless text as well.
        """
        if isinstance(error, DeviceMemoryError):
            self._backend.release_memory()
            if len(batch) > 1:
                self._shrink(self._tokens(items, batch))
                return None
            if batch[0] not in recovery.retried_alone:
                recovery.retried_alone.add(batch[0])
                return None
            return TransientReason(f"{error} (a single text of {items[batch[0]].length} tokens)")
        if not recovery.probed:
            self._probe(error)
            recovery.probed = True
        return str(error) if len(batch) == 1 else None

    def _plan(self, items: Sequence[Tokens]) -> list[list[int]]:
        return plan_batches(
            [item.length for item in items], token_budget=self.token_budget, multiple=self._backend.length_multiple
        )

    def _tokens(self, items: Sequence[Tokens], batch: Sequence[int]) -> int:
        return batch_tokens([items[index].length for index in batch], self._backend.length_multiple)

    def _unit_rows(self, batch: Sequence[Tokens]) -> Vectors:
        # One bad row condemns the batch: int8 activations share one scale, so a neighbour's vector
        # may be finite and still wrong. Halves are computed again until the culprit is isolated.
        vectors = np.asarray(self._backend.forward(batch), dtype=np.float32)
        if vectors.shape != (len(batch), self._backend.dimension):
            raise EmbeddingError(
                f"{self._backend.description} gave an array of shape {vectors.shape} for {len(batch)} texts "
                f"of {self._backend.dimension} dimensions"
            )
        found = vector_lengths(vectors)
        if not (np.isfinite(found).all() and (found > _SHORTEST).all()):
            raise EmbeddingError("the model gave a vector that is not finite or has no length")
        return normalized(vectors)

    def _shrink(self, tokens: int) -> None:
        if tokens > self.token_budget:
            return  # the budget shrank while this batch was computed
        self.token_budget = max(1, tokens // 2)
        _LOG.warning(
            "%s ran out of memory on a batch of %d tokens; batches now hold at most %d tokens",
            self._backend.description,
            tokens,
            self.token_budget,
        )

    def _probe(self, failure: EmbeddingError) -> None:
        """Embed a harmless text, to tell a bad text from a broken backend.

        Raises:
            DeviceLostError: the device cannot be used again.
            EmbeddingError: a harmless text fails too.
        """
        try:
            self._unit_rows(self._backend.tokenize([_PROBE_TEXT], ""))
        except DeviceLostError:
            raise
        except EmbeddingError as error:
            raise EmbeddingError(
                f"{self._backend.description} cannot embed even a plain text ({error}); first failure: {failure}"
            ) from failure


def _halves(batch: list[int]) -> list[list[int]]:
    middle = (len(batch) + 1) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]
