"""Assignment of chunks to embedding batches, and of batches to checkpoints."""

from __future__ import annotations

from collections.abc import Sequence


class BatchAllocator:
    """Number batches and fill them in the order in which chunks come."""

    def __init__(self, *, first_id: int, batch_chunks: int) -> None:
        """Start counting.

        Args:
            first_id: number of the first batch; must be unused.
            batch_chunks: chunks in a full batch.
        """
        self._next_id = first_id
        self._batch_chunks = batch_chunks
        self._room = 0
        self._open: list[int] = []

    def take(self, count: int) -> list[int]:
        """Batch numbers of the next `count` chunks, in order."""
        numbers = []
        for _ in range(count):
            if self._room == 0:
                self._open.append(self._next_id)
                self._next_id += 1
                self._room = self._batch_chunks
            self._room -= 1
            numbers.append(self._open[-1])
        return numbers

    def drain(self, *, final: bool = False) -> list[int]:
        """Numbers of the batches filled since the last call; with `final`, of the last one too."""
        keep = 1 if self._open and self._room and not final else 0
        split = len(self._open) - keep
        full, self._open = self._open[:split], self._open[split:]
        if final:
            self._room = 0
        return full


def checkpoint_groups(sizes: Sequence[tuple[int, int]], *, max_chunks: int) -> list[list[int]]:
    """Group batches, in order, into checkpoints of at most `max_chunks` chunks (at least one batch each).

    Args:
        sizes: batch number and its number of chunks.
        max_chunks: bound of a checkpoint.
    """
    groups: list[list[int]] = []
    filled = 0
    for batch_id, chunks in sizes:
        if not groups or filled + chunks > max_chunks:
            groups.append([])
            filled = 0
        groups[-1].append(batch_id)
        filled += chunks
    return groups
