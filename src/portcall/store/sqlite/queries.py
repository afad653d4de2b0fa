"""The `.sql` files beside this module: queries by name, each with a sentence above it that says what it does."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import resources
from itertools import chain
from sqlite3 import Connection
from typing import Any

from portcall.core.jobs.states import JobState

_QUERY = re.compile(r"^-- name: (\w+)\n-- (.+?)\n(.+?);$", re.MULTILINE | re.DOTALL)

ROWS_AT_ONCE = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Rows that one statement takes: few sizes, so that each is compiled once, and such that a batch takes few statements,
since behind each this thread may have to wait for the interpreter's lock."""


def load_queries(file: str) -> dict[str, str]:
    """Return the queries of a file by name, with the numbers of states in place of their names."""
    text = (resources.files(__package__) / file).read_text("utf-8")
    for state in JobState:
        text = re.sub(rf"\${state.name}\b", str(int(state)), text)
    return {name: query.strip() for name, _, query in _QUERY.findall(text)}


def execute_rows(connection: Connection, query: str, rows: Sequence[Sequence[Any]], *before: Any) -> None:
    """Execute a query that has `:rows` in it, for all rows in as few statements as can be.

    Its parameters `?1` and so on are those of `before`.

    Why not `executemany`: it takes half as long again, and it gives the interpreter's lock away and back for every row,
    while the event loop's thread wants it too. Here a statement works through hundreds of rows without the lock.
    """
    if not rows:
        return
    columns = [*zip(*rows, strict=True)]
    places = [_place(column) for column in columns]
    shape = "".join(places)
    fixed = [*before, *(column[0] for column, place in zip(columns, places, strict=True) if place == _FIXED)]
    varied = [_bindable(column) for column, place in zip(columns, places, strict=True) if place == _VARIED]
    bound = [*zip(*varied, strict=True)] if varied else [()] * len(rows)
    done, count = 0, len(rows)
    for size in ROWS_AT_ONCE:
        while count - done >= size:
            statement = _statement(query, size, shape, len(before))
            connection.execute(statement, [*fixed, *chain.from_iterable(bound[done : done + size])])
            done += size


_ABSENT, _FIXED, _VARIED = "0", "1", "2"
"""Where the values of a column come from: it has none, it is one for all rows, or each row has its own."""


def _place(column: Sequence[Any]) -> str:
    """Return how the values of a column are to be bound.

    Rows of one batch are much alike, and to bind a value is the most of what a row costs; so what they share is bound
    once. Payloads are not compared: they are long, and rarely the same.
    """
    first = column[0]
    if type(first) is bytes or column.count(first) != len(column):
        return _VARIED
    return _ABSENT if first is None else _FIXED


def _bindable(column: Sequence[Any]) -> Sequence[Any]:
    """Return a column as it is cheap to bind.

    To bind None takes the sqlite3 module ten times as long as a number, and bytes five times as long as a bytearray: it
    looks for adapters of both first. (What is absent everywhere is written into the statement instead.)
    """
    if any(type(value) is bytes for value in column):
        return [bytearray(value) if type(value) is bytes else value for value in column]
    return column


@lru_cache(maxsize=128)
def _statement(query: str, rows: int, shape: str, before: int) -> str:
    next_place = before + shape.count(_FIXED) + 1
    written = []
    for _ in range(rows):
        places, next_fixed = [], before + 1
        for place in shape:
            if place == _ABSENT:
                places.append("NULL")
            elif place == _FIXED:
                places.append(f"?{next_fixed}")
                next_fixed += 1
            else:
                places.append(f"?{next_place}")
                next_place += 1
        written.append(f"({', '.join(places)})")
    return query.replace(":rows", ", ".join(written))


def json_ids(jobs: Iterable[int]) -> str:
    """Return ids as the one parameter that queries take for a list of them."""
    return f"[{','.join(map(str, jobs))}]"
