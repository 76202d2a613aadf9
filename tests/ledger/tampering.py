"""A ledger to attack, and an attacker who has its file and knows its tables."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from ledger.append.backend import WRITE
from ledger.append.database import database_url, open_engine
from ledger.append.databases.guards import sqlite_triggers
from ledger.append.kept_checkpoints import sign_head
from ledger.append.ledger import Ledger
from ledger.canonical_json import canonical_bytes
from ledger.clock import ManualClock
from ledger.events import Details, catalog, housekeeping, restoring, retention, scheduling
from ledger.tree.merkle import Frontier, leaf_hash
from ledger.tree.signed_note import VerifierKey, generate_key
from ledger.verify.findings import Finding, Report
from ledger.verify.verify import Given, Progress, verify
from ledger.vocabulary import SCHEDULE
from tests.conftest import START, open_ledger_at
from tests.postgresql_server import Server
from tests.sample_events import CONTEXT, draft

Place = Path | str

KEY = generate_key("example.com/backups", bytes(range(32)))
OTHER_KEY = generate_key("example.com/backups", bytes(32))
PUBLIC = KEY.verifier()
SIZE = 600
SIGNED_SIZES = (100, 300, 600)
KINDS = (
    scheduling.SettingsCreated,
    scheduling.SettingsUpdated,
    scheduling.SlotsMissed,
    scheduling.SchedulePaused,
    retention.RetentionSpared,
    catalog.HoldPlaced,
    catalog.BackupVerified,
    restoring.RestoreFailed,
    housekeeping.TokenCreated,
    housekeeping.ProjectionRebuilt,
)
"""What the ledger holds over and over; the kind at position p is KINDS[(p - 1) % 10]."""


def owner_of(kind: type[Details]) -> int | None:
    """Schedules are user 1's, everything else nobody's."""
    return 1 if kind.stream_kind == SCHEDULE else None


def append_some(ledger: Ledger, clock: ManualClock, count: int) -> None:
    """Events in appends of ten, a minute apart."""
    for _ in range(count // len(KINDS)):
        clock.advance(timedelta(minutes=1))
        ledger.append(CONTEXT, *(draft(kind, owner=owner_of(kind)) for kind in KINDS))


def make_signed_ledger(path: Path, sizes: tuple[int, ...] = SIGNED_SIZES) -> list[bytes]:
    """A sound ledger of the last of these sizes, signed at each; the checkpoints."""
    clock = ManualClock(START)
    ledger = open_ledger_at(path, clock)
    notes, size = [], 0
    for wanted in sizes:
        append_some(ledger, clock, wanted - size)
        size = wanted
        notes.append(sign(path))
    ledger.close()
    return notes


def url_of(place: Place) -> str:
    """A file's, or the URL itself."""
    return place if isinstance(place, str) else f"sqlite:///{place}"


def sign(place: Place, key: Any = KEY) -> bytes:
    """Sign the head, and keep the checkpoint."""
    engine = open_engine(database_url(url_of(place)))
    try:
        with (
            engine.execution_options(**{WRITE: True}).connect() as connection,
            connection.begin(),
        ):
            return sign_head(connection, key, 0).note
    finally:
        engine.dispose()


def report_on(
    place: Place,
    checkpoints: Sequence[bytes] = (),
    public_key: VerifierKey | None = PUBLIC,
    on_progress: Progress | None = None,
) -> Report:
    """What verification says; by default it knows the public key."""
    given = [Given(f"the given checkpoint {at}", note) for at, note in enumerate(checkpoints, 1)]
    keys = [] if public_key is None else [public_key]
    engine = open_engine(database_url(url_of(place)))
    try:
        return verify(engine, checkpoints=given, public_keys=keys, on_progress=on_progress)
    finally:
        engine.dispose()


def finding(report: Report, words: str, position: int | None = None) -> Finding:
    """The first finding with these words at this position; there must be one."""
    assert not report.ok
    assert report.findings
    found = [each for each in report.findings if words in each.problem]
    assert found, f"nothing says {words!r}: {report.findings}"
    at_position = [each for each in found if each.position == position]
    assert at_position, f"{words!r} is not said of {position}: {found}"
    return at_position[0]


class Attacker:
    """Somebody with the database file, plain SQL and our source code, but not the key.

    `path`: of the file; a URL where the ledger is on a server.
    """

    def __init__(self, path: Path) -> None:
        self.path: Any = path

    def copy(self) -> Attacker:
        """The same once more, to be attacked in another way."""
        return copy_of(self.path, self.path.parent, "fork.sqlite")

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """A connection with the triggers out of the way; they are put back afterwards."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            for name in sqlite_triggers():
                connection.execute(f"DROP TRIGGER IF EXISTS {name}")
            yield connection
            for statement in sqlite_triggers().values():
                connection.execute(statement)
        finally:
            connection.close()

    def run(self, *statements: str, **values: Any) -> None:
        """SQL, with the triggers out of the way."""
        with self.connected() as connection:
            for statement in statements:
                connection.execute(statement, values)

    def record(self, position: int) -> bytes:
        with sqlite3.connect(self.path) as connection:
            row = connection.execute(
                "SELECT record FROM ledger_events WHERE position = ?", (position,)
            ).fetchone()
        connection.close()
        return bytes(row[0])

    def put_record(self, position: int, record: Any) -> None:
        """Another record in the place of one, and nothing else changed."""
        self.run(
            "UPDATE ledger_events SET record = :record WHERE position = :position",
            record=record,
            position=position,
        )

    def edit_record(self, position: int, change: Callable[[dict[str, Any]], Any]) -> bytes:
        """Change a record's fields and write it in canonical form; the new record."""
        fields = json.loads(self.record(position))
        change(fields)
        record = canonical_bytes(fields)
        self.put_record(position, record)
        return record

    def make_consistent(self) -> None:
        """Everything that follows from the records, computed again: hashes, nodes, head."""
        with self.connected() as connection:
            rows = connection.execute(
                "SELECT position, record, recorded_at FROM ledger_events ORDER BY position"
            ).fetchall()
            leaves = [leaf_hash(record) for _, record, _ in rows]
            frontier, nodes = Frontier().append_leaves(leaves)
            connection.execute("BEGIN")
            connection.executemany(
                "UPDATE ledger_events SET leaf_hash = ? WHERE position = ?",
                [(leaf, row[0]) for leaf, row in zip(leaves, rows, strict=True)],
            )
            connection.execute("DELETE FROM ledger_nodes")
            connection.executemany("INSERT INTO ledger_nodes VALUES (?, ?, ?)", nodes)
            connection.execute(
                "UPDATE ledger_head SET size = ?, root = ?, frontier = ?, recorded_at = ?",
                (frontier.size, frontier.root(), frontier.to_bytes(), rows[-1][2]),
            )
            connection.execute("COMMIT")


class ServerAttacker(Attacker):
    """The same with a superuser's login."""

    def __init__(self, url: str, server: Server) -> None:
        self.path = url
        self._server = server

    def copy(self) -> Attacker:
        return ServerAttacker(self._server.new_database(self.path), self._server)

    @contextmanager
    def connected(self) -> Iterator[Any]:
        with closing(psycopg.connect(self.path, autocommit=True)) as connection:
            guarded = [each for each in _GUARDED if _is_there(connection, each)]
            for table in guarded:
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
            yield _InServersWords(connection)
            for table in guarded:
                if _is_there(connection, table):
                    connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())

    def record(self, position: int) -> bytes:
        with self.connected() as connection:
            row = connection.execute(
                "SELECT record FROM ledger_events WHERE position = ?", (position,)
            ).fetchone()
        return bytes(row[0])


_GUARDED = ("ledger_events", "ledger_head", "ledger_nodes", "ledger_checkpoints")


def _is_there(connection: Any, table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()[0] is not None


class _InServersWords:
    """A connection that takes SQLite's marks for parameters."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Any = ()) -> Any:
        return self._connection.execute(_marked(statement).encode(), values or None)

    def executemany(self, statement: str, rows: Any) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_marked(statement).encode(), rows)


def _marked(statement: str) -> str:
    return re.sub(r"(?<!:):([a-z_]+)\b", r"%(\1)s", statement.replace("?", "%s"))


def copy_of(template: Path, folder: Path, name: str = "ledger.sqlite") -> Attacker:
    """A copy to attack; nobody has the template open."""
    path = folder / name
    shutil.copyfile(template, path)
    return Attacker(path)
