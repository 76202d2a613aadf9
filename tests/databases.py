"""Where a test's ledgers and read models live; a path names one, whatever it is kept in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from uuid import uuid4

from sqlalchemy import inspect

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.ledger import Ledger
from ledger.clock import Clock
from tests.postgresql_server import Server

BOTH = ("sqlite", "postgresql")


class Databases(ABC):
    """A kind of database."""

    name: str

    @abstractmethod
    def url_of(self, path: Path) -> str:
        """The URL of the database that stands for a path; the same one each time."""

    def open_ledger(self, path: Path, clock: Clock) -> Ledger:
        """The ledger there, made where there is none."""
        engine = open_engine(database_url(self.url_of(path)))
        if not inspect(engine).has_table("ledger_meta"):
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
