"""The `.sql` files beside this module: queries by name, each with a sentence above it that says what it does."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
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
    done, count = 0, len(rows)
    for size in ROWS_AT_ONCE:
        while count - done >= size:
            statement = _statement(query, size, len(rows[0]))
            connection.execute(statement, [*chain.from_iterable(rows[done : done + size])])
            done += size


@cache
def _statement(query: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return query.replace(":rows", ", ".join([row] * rows))


def json_ids(jobs: Iterable[int]) -> str:
    """Return ids as the one parameter that queries take for a list of them."""
    return f"[{','.join(map(str, jobs))}]"
