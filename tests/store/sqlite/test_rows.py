"""Statements of many rows: whatever the columns share, each row gets its own values."""

import sqlite3
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portcall.store.sqlite.queries import execute_rows

values = st.none() | st.integers(-5, 5) | st.sampled_from(["", "a"]) | st.binary(max_size=2)
columns = st.sampled_from([values, st.none(), st.just(1), st.just("a"), st.just(b"a"), st.integers(0, 9)])


@given(st.data())
def test_rows_arrive_as_they_are(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(columns, min_size=1, max_size=4))
    rows: list[tuple[Any, ...]] = data.draw(st.lists(st.tuples(*kinds), max_size=70))
    connection = sqlite3.connect(":memory:")
    try:
        names = ", ".join(f"column_{number}" for number in range(len(kinds)))
        connection.execute(f"CREATE TABLE seen ({names})")
        execute_rows(connection, "INSERT INTO seen VALUES :rows", rows)
        assert connection.execute("SELECT * FROM seen ORDER BY rowid").fetchall() == rows
    finally:
        connection.close()
