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

ROWS_AT_ONCE = (512, 64, 8, 1)
"""Rows that one statement takes; few sizes, so that each is compiled once."""


def load_queries(file: str) -> dict[str, str]:
    """Return the queries of a file by name, with the numbers of states in place of their names."""
    text = (resources.files(__package__) / file).read_text("utf-8")
    for state in JobState:
        text = re.sub(rf"\${state.name}\b", str(int(state)), text)
    return {name: query.strip() for name, _, query in _QUERY.findall(text)}


def execute_rows(connection: Connection, query: str, rows: Sequence[Sequence[Any]]) -> None:
    """Execute a query that has `:rows` in it, for all rows in as few statements as can be.

    Why not `executemany`: it takes half as long again, and it gives the interpreter's lock away and back for every row,
    while the event loop's thread wants it too. Here a statement works through hundreds of rows without the lock.
    """
    if not rows:
        return
    columns = [_bindable(column) for column in zip(*rows, strict=True)]
    shape = "".join(["0" if column is None else "1" for column in columns])
    bound = [*zip(*[column for column in columns if column is not None], strict=True)]
    done, count = 0, len(rows)
    for size in ROWS_AT_ONCE:
        while count - done >= size:
            statement = _statement(query, size, shape)
            connection.execute(statement, [*chain.from_iterable(bound[done : done + size])])
            done += size


def _bindable(column: Sequence[Any]) -> Sequence[Any] | None:
    """Return a column as it is cheap to bind; None if there is nothing in it.

    To bind None takes the sqlite3 module ten times as long as a number, and bytes five times as long as a bytearray: it
    looks for adapters of both first. So a column without values is written into the statement.
    """
    if column.count(None) == len(column):
        return None
    if any(type(value) is bytes for value in column):
        return [bytearray(value) if type(value) is bytes else value for value in column]
    return column


@lru_cache(maxsize=1_024)
def _statement(query: str, rows: int, shape: str) -> str:
    row = f"({', '.join('?' if has_values == '1' else 'NULL' for has_values in shape)})"
    return query.replace(":rows", ", ".join([row] * rows))


def json_ids(jobs: Iterable[int]) -> str:
    """Return ids as the one parameter that queries take for a list of them."""
    return f"[{','.join(map(str, jobs))}]"
