"""Opening what is a ledger, and recognizing what is not."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import ColumnClause, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from ledger.append.database import (
    create_ledger,
    database_url,
    open_engine,
    read_meta,
    translated_errors,
)
from ledger.append.ledger import Ledger
from ledger.append.tables import SCHEMA_VERSION
from ledger.clock import ManualClock
from ledger.errors import (
    LedgerBroken,
    LedgerBusy,
    LedgerError,
    LedgerMissing,
    LedgerTooNew,
    NotALedger,
)
from ledger.events.scheduling import SettingsCreated
from tests.conftest import START, MakeContext, OpenLedger
from tests.sample_events import draft, uuid_of

OpenEngine = Callable[..., Engine]


@pytest.fixture
def engine_at() -> Iterator[OpenEngine]:
    """Engines on files; disposed of in the end."""
    engines: list[Engine] = []

    def open_at(path: Path, busy_seconds: float = 0.05) -> Engine:
        engines.append(open_engine(database_url(f"sqlite:///{path}"), busy_seconds=busy_seconds))
        return engines[-1]

    yield open_at
    for each in engines:
        each.dispose()


def text_file(path: Path) -> None:
    path.write_text("Dear diary, today I was not a database. " * 40)


def empty_file(path: Path) -> None:
    path.touch()


def application_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    connection.close()


def damaged_ledger(path: Path) -> None:
    engine = open_engine(database_url(f"sqlite:///{path}"))
    create_ledger(engine, uuid_of(1), START)
    engine.dispose()
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def newer_ledger(path: Path) -> None:
    with_meta(path, "UPDATE ledger_meta SET schema_version = 99")


def ledger_without_identity(path: Path) -> None:
    with_meta(path, "DELETE FROM ledger_meta")


def with_meta(path: Path, statement: str) -> None:
    engine = open_engine(database_url(f"sqlite:///{path}"))
    create_ledger(engine, uuid_of(1), START)
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def folder(path: Path) -> None:
    path.mkdir()


def nothing(path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (text_file, NotALedger),
        (empty_file, NotALedger),
        (application_database, NotALedger),
        (damaged_ledger, LedgerBroken),
        (newer_ledger, LedgerTooNew),
        (ledger_without_identity, LedgerBroken),
        (folder, LedgerError),
        (nothing, LedgerMissing),
    ],
)
def test_what_is_no_ledger_is_named_in_one_line(
    tmp_path: Path,
    engine_at: OpenEngine,
    clock: ManualClock,
    make: Callable[[Path], None],
    error: type[LedgerError],
) -> None:
    """The right error, with the place, and nothing of the database library's own text."""
    path = tmp_path / "ledger.sqlite"
    make(path)
    with pytest.raises(error) as caught:
        Ledger(engine_at(path), clock)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "sqlalche" not in message
    assert "SELECT" not in message
    assert "Traceback" not in message


def test_a_missing_folder_is_missing_too_and_nothing_is_made(
    tmp_path: Path, engine_at: OpenEngine, clock: ManualClock
) -> None:
    """An unmounted folder must not look like a new ledger."""
    with pytest.raises(LedgerMissing, match="there is no ledger at"):
        Ledger(engine_at(tmp_path / "gone" / "ledger.sqlite"), clock)
    with pytest.raises(LedgerMissing):
        read_meta(engine_at(tmp_path / "ledger.sqlite"))
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_cannot_be_made_in_a_missing_folder(tmp_path: Path, engine_at: OpenEngine) -> None:
    """The error says where, not how SQLite puts it alone."""
    with pytest.raises(LedgerError, match=r"gone/ledger\.sqlite.*check the path"):
        create_ledger(engine_at(tmp_path / "gone" / "ledger.sqlite"), uuid_of(1), START)


@pytest.mark.parametrize("make", [text_file, application_database, newer_ledger])
def test_a_ledger_is_not_made_over_something_else(
    tmp_path: Path, engine_at: OpenEngine, make: Callable[[Path], None]
) -> None:
    """Not a byte of the file is changed, its journal mode included."""
    path = tmp_path / "taken"
    make(path)
    before = path.read_bytes()
    with pytest.raises(NotALedger):
        create_ledger(engine_at(path), uuid_of(1), START)
    assert path.read_bytes() == before


def test_a_new_ledger_is_recognized(tmp_path: Path, engine_at: OpenEngine) -> None:
    """By its own identity and schema version, also where an empty file was prepared for it."""
    path = tmp_path / "ledger.sqlite"
    path.touch()
    made = create_ledger(engine_at(path), uuid_of(3), START)
    assert read_meta(engine_at(path)) == made
    assert (made.ledger_id, made.schema_version) == (uuid_of(3), SCHEMA_VERSION)


def test_a_ledger_survives_power_loss_as_far_as_sqlite_can(ledger: Ledger) -> None:
    """WAL, and every commit waits for the disk (synchronous=FULL is 2)."""
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_a_locked_ledger_is_busy_and_says_so(
    ledger: Ledger, ledger_path: Path, engine_at: OpenEngine, context: MakeContext
) -> None:
    """Writers are told after a while; readers are not held up at all."""
    other = Ledger(engine_at(ledger_path), ledger.clock)
    with ledger.locked():
        with pytest.raises(LedgerBusy, match=r"ledger\.sqlite is locked by another process"):
            other.append(context(), draft(SettingsCreated))
        assert other.log_recorder.head().size == 0
    other.append(context(), draft(SettingsCreated))
    assert ledger.log_recorder.head().size == 1


def test_two_openings_may_make_the_same_ledger_only_once(
    tmp_path: Path, engine_at: OpenEngine, open_ledger: OpenLedger
) -> None:
    """The second finds it there, and its identity stays the first one's."""
    path = tmp_path / "ledger.sqlite"
    first = create_ledger(engine_at(path), uuid_of(1), START)
    with pytest.raises(NotALedger, match="already has tables"):
        create_ledger(engine_at(path), uuid_of(2), START)
    assert open_ledger(path).meta == first


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ledger",
        "/srv/ledger.sqlite",
        "sqlite",
        "sqlite:",
        "sqlite:/x",
        "http://example.org/ledger",
        "mysql://host/ledger",
        "oracle://host",
        "mssql+pyodbc://host",
        "sqlite+aiosqlite:///ledger",
        "postgresql+asyncpg://host/ledger",
        "postgresql://host:port/ledger",
        "://",
        "\n",
    ],
)
def test_a_text_that_is_no_usable_database_url_is_refused(text: str) -> None:
    """In one line that shows the text and an example."""
    with pytest.raises(LedgerError, match="sqlite://") as caught:
        database_url(text)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_repeated_in_an_error() -> None:
    """A mistyped URL may hold one."""
    with pytest.raises(LedgerError) as caught:
        database_url("postgresq://ada:secret@host/ledger")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_mean_psycopg_3(scheme: str) -> None:
    """The form that hosting services give works as it is."""
    url = database_url(f"{scheme}://ada:secret@host:5433/ledger")
    assert (url.drivername, url.host, url.port) == ("postgresql+psycopg", "host", 5433)


def test_a_missing_driver_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core install does without PostgreSQL's."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"install backup-ledger\[postgresql\]"):
        open_engine(database_url("postgresql://host/ledger"))


def test_what_one_engine_compiled_another_finds(engine_at: OpenEngine, tmp_path: Path) -> None:
    """Each answers from its own file all the same."""
    compiled: list[str] = []

    class Counted(ColumnClause[int]):
        inherit_cache = True

    @compiles(Counted)  # type: ignore[no-untyped-call, untyped-decorator]
    def _(element: Counted, _compiler: object, **_options: object) -> str:
        compiled.append(element.name)
        return "user_version"

    statement = select(Counted("user_version")).select_from(text("pragma_user_version"))
    for number in (1, 2):
        with sqlite3.connect(tmp_path / f"{number}") as connection:
            connection.execute(f"PRAGMA user_version = {number}")
        connection.close()
        with engine_at(tmp_path / f"{number}").connect() as opened:
            assert opened.scalar(statement) == number
    assert compiled == ["user_version"]


@pytest.mark.parametrize(
    ("free", "advice"),
    [(0, r"its disk is full \(0 bytes free\): free some"), (1_000, "the system's log")],
)
def test_a_full_disk_is_named_as_that(
    engine_at: OpenEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, advice: str
) -> None:
    """SQLite calls it an I/O error, as it does a disk that is broken."""
    engine = engine_at(tmp_path / "ledger.sqlite")
    given = list(os.statvfs(tmp_path))
    given[4] = free  # blocks for others than root
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(given))
    error = sqlite3.OperationalError("disk I/O error")
    with pytest.raises(LedgerError, match=advice), translated_errors(engine):
        raise DBAPIError.instance("SELECT 1", (), error, sqlite3.Error)
