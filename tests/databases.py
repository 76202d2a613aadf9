"""Where a test's ledgers and read models live; a path names one, whatever it is kept in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection

from ledger.append.backend import Tables, backend_of
from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.ledger import Ledger
from ledger.clock import Clock
from tests.postgresql_server import Server

BOTH = ("sqlite", "postgresql")


def without_guards(connection: Connection) -> None:
    """This transaction does what only a server's administrator or the owner of a file can do."""
    if backend_of(connection).schema_of(connection) is not None:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")


class Databases(ABC):
    """A kind of database."""

    name: str

    @abstractmethod
    def url_of(self, path: Path) -> str:
        """The URL of the database that stands for a path; the same one each time."""

    def open_ledger(self, path: Path, clock: Clock) -> Ledger:
        """The ledger there, made where there is none."""
        engine = open_engine(database_url(self.url_of(path)))
        with engine.connect() as connection:
            is_new = not Tables(connection).has("ledger_meta")
        if is_new:
            create_ledger(engine, str(uuid4()), clock.now())
        return Ledger(engine, clock)


class SQLiteDatabases(Databases):
    """Files."""

    name = "sqlite"

    def url_of(self, path: Path) -> str:
        return f"sqlite:///{path}"


class PostgreSQLDatabases(Databases):
    """A database on the tests' own server for each path."""

    name = "postgresql"

    def __init__(self, server: Server) -> None:
        self.server = server
        self._urls: dict[Path, str] = {}

    def url_of(self, path: Path) -> str:
        if path not in self._urls:
            self._urls[path] = self.server.new_database()
        return self._urls[path]
