"""The store in a SQLite file.

`store` is the whole of it to others; `writing` performs batches, `reading` answers questions, `file` opens and locks
the file, `migrations` brings an older one up to date, `queries` reads the `.sql` files beside it. Imports `sqlite3`,
the core's types and nothing else.
"""
