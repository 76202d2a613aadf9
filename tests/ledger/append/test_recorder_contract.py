"""The eventsourcing library's own test cases, run against our recorders."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from ledger.append.database import create_ledger, database_url, open_engine
from ledger.append.factory import SnapshotRecorder
from ledger.append.recorder import LedgerRecorder
from ledger.clock import SystemClock
from tests.postgresql_server import Server


class _OnSQLite:
    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "ledger.sqlite"
        self.engine = open_engine(database_url(f"sqlite:///{path}"))
        create_ledger(self.engine, str(uuid4()), SystemClock().now())

    def tearDown(self) -> None:
        self.engine.dispose()
        self._folder.cleanup()

    def new_originator_id(self) -> str:
        return f"schedule/{uuid4()}"


class _OnPostgreSQL:
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgresql: Server) -> None:
        self._url = postgresql.new_database()

    def setUp(self) -> None:
        self.engine = open_engine(database_url(self._url))
        create_ledger(self.engine, str(uuid4()), SystemClock().now())

    def tearDown(self) -> None:
        while self.engine.pool.checkedout():  # type: ignore[attr-defined]
            time.sleep(0.01)  # a reader of the library's tests ends when it likes
        self.engine.dispose()

    def new_originator_id(self) -> str:
        return f"schedule/{uuid4()}"


class TestSQLiteApplicationRecorder(_OnSQLite, ApplicationRecorderTestCase[Any]):
    """Our recorder keeps the library's contract for application recorders."""

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.engine)

    def test_insert_subscribe(self) -> None:
        """The library leaves this one optional; we offer `subscribe`."""
        self.optional_test_insert_subscribe()


class TestPostgreSQLApplicationRecorder(_OnPostgreSQL, ApplicationRecorderTestCase[Any]):
    """The same contract on a server."""

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.engine)

    def test_insert_subscribe(self) -> None:
        """The library leaves this one optional; we offer `subscribe`."""
        self.optional_test_insert_subscribe()


class TestPostgreSQLNotificationOrder(_OnPostgreSQL, NonInterleavingNotificationIDsBaseCase):
    """Positions follow the order of commits, also with many writers on a server."""

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.engine)


class TestPostgreSQLSnapshotRecorder(_OnPostgreSQL, AggregateRecorderTestCase):
    """Our snapshot recorder keeps the contract on a server, too."""

    def create_recorder(self) -> SnapshotRecorder:
        return SnapshotRecorder(self.engine)


class TestSQLiteNotificationOrder(_OnSQLite, NonInterleavingNotificationIDsBaseCase):
    """Positions follow the order of commits, also with many writers."""

    def create_recorder(self) -> LedgerRecorder:
        return LedgerRecorder(self.engine)


class TestSQLiteSnapshotRecorder(_OnSQLite, AggregateRecorderTestCase):
    """Our snapshot recorder keeps the library's contract for aggregate recorders."""

    def create_recorder(self) -> SnapshotRecorder:
        return SnapshotRecorder(self.engine)


del ApplicationRecorderTestCase, AggregateRecorderTestCase, NonInterleavingNotificationIDsBaseCase
