"""Conditions in the SQL dialect of LanceDB (DataFusion).

Belongs here: values as SQL text. Every condition of the store is
built from these functions, so no value can end its own literal. `lancedb.expr` was the other
choice; it has no `starts_with` on an index, and the by-source delete of a merge reports its
conditions as text anyway.
"""

from __future__ import annotations

from collections.abc import Iterable


def sql_literal(value: str | int) -> str:
    """Write a value as SQL text: strings quoted with every `'` doubled (backslashes mean nothing here), integers as they are.

    Raises:
        TypeError: for other types, booleans included.
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"Only str and int become SQL literals, not {type(value).__name__}")


def equals(column: str, value: str | int) -> str:
    """Write `column = value`."""
    return f"{column} = {sql_literal(value)}"


def is_in(column: str, values: Iterable[str | int]) -> str:
    """Write `column IN (values)`; no values match no row. 10,000 strings are read in 50 ms, 50,000 in 0.25 s."""
    literals = ",".join(map(sql_literal, values))
    return f"{column} IN ({literals})" if literals else "false"


def all_of(*conditions: str | None) -> str | None:
    """Join the conditions by AND; `None` stands for no condition."""
    present = [condition for condition in conditions if condition]
    return " AND ".join(f"({condition})" for condition in present) if len(present) > 1 else next(iter(present), None)


def any_of(*conditions: str | None) -> str | None:
    """Join the conditions by OR; `None`, which every row meets, makes the whole `None`."""
    if None in conditions:
        return None
    present = [f"({condition})" for condition in dict.fromkeys(conditions)]
    return " OR ".join(present) if len(present) > 1 else conditions[0]
