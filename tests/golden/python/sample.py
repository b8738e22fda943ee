"""Orders of the shop.

Second paragraph.
"""

from __future__ import annotations

import functools
from decimal import Decimal as D, ROUND_HALF_UP

TAX = D("0.19")


def _traced(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        print("calling", function.__name__)
        return function(*args, **kwargs)

    return wrapper


# Rounds half up, as the law demands.
@_traced
@functools.lru_cache(maxsize=None)
def gross(net: D, /, rate: D = TAX, *, places: int = 2) -> D:
    """Price with tax.

    Args:
        net: price without tax.
    """
    if net < 0 or rate < 0 or places < 0:
        raise ValueError("negative")
    return (net * (1 + rate)).quantize(D(10) ** -places, ROUND_HALF_UP)


class Order(dict):
    """A customer's order."""

    number: int
    lines: list[tuple[str, D]] = []

    def __init__(self, number):
        super().__init__()
        self.number = number

    @property
    def total(self) -> D:
        """Sum of all lines."""
        total = D(0)
        for name, price in self.lines:
            if price is None:
                continue
            elif name.startswith("free") and not self.paid:
                total += 0
            else:
                try:
                    total += gross(price)
                except (ArithmeticError, TypeError):
                    while False:
                        pass
        return total if total else D(0)

    @staticmethod
    async def fetch(number: int, *ids, timeout: float | None = None, **options):
        match number:
            case 0:
                return None
            case 1 | 2:
                return [i for i in ids if i]
            case _:
                return lambda x: x and timeout or options

    class Meta:
        ordering = ["number"]


def long_factory(start):
    """Makes counters."""
    total = start

    def counter(step: int = 1) -> int:
        """Counts on; long enough to be found alone."""
        nonlocal total
        # The step may be negative, then the counter goes down, but never below the value that it was
        # started with: who wants that must make a new counter. This comment makes the function long enough
        # for a chunk of its own, because short inner functions are best read with what surrounds them.
        if total + step < start:
            total = start
        else:
            total += step
        return total

    return counter


if __name__ == "__main__":
    print(Order(1).total)
