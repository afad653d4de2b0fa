"""From each version of the schema to the next.

A file `NNNN_name.sql` leads from version NNNN - 1 to NNNN and is never changed once it has been released; what version
a file has is its `user_version`. Each step is a transaction of its own, so that a crash leaves a file of some version.
`tests/store/files` keeps a file of every version, and a test opens each of them.
"""

import sqlite3
from importlib import resources

APPLICATION_ID = 0x506F7274
"""Marks a SQLite file as a store of Portcall's ("Port")."""


def _scripts() -> list[str]:
    files = [file for file in resources.files(__package__).iterdir() if file.name.endswith(".sql")]
    return [file.read_text("utf-8") for file in sorted(files, key=lambda file: file.name)]


SCRIPTS = _scripts()

VERSION = len(SCRIPTS)


def migrate(connection: sqlite3.Connection, scripts: list[str] = SCRIPTS) -> None:
    """Bring a database to the newest version. Does nothing to one that is."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(scripts[version:], version + 1):
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; {marks} COMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise
