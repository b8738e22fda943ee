"""Texts dealt out to batches by their length.

Belongs here: arithmetic on token counts. Batches hold texts of similar length, so little is padded, and as many as
fit a budget of tokens. A fixed number of texts per batch was rejected: its memory grows with the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence


def padded_length(length: int, multiple: int) -> int:
    """`length` rounded up to a multiple, in tokens."""
    return -(-length // multiple) * multiple


def batch_tokens(lengths: Sequence[int], multiple: int = 1) -> int:
    """Tokens that the model computes for texts of these lengths, padding included."""
    return padded_length(max(lengths), multiple) * len(lengths)


def plan_batches(lengths: Sequence[int], *, token_budget: int, multiple: int = 1) -> list[list[int]]:
    """Indices of `lengths` in batches, longest texts first, each index once.

    A batch costs at most `token_budget` tokens, or holds one text. Longest first: a budget that is too
    large for the device shows in the first batch, not in the last.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if room == 0:
            batches.append([])
            room = max(1, token_budget // max(1, padded_length(lengths[index], multiple)))
        batches[-1].append(index)
        room -= 1
    return batches
