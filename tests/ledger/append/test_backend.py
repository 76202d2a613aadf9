"""The two kinds of database answer the same questions, each in its own way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text
from sqlalchemy.engine import make_url

from ledger.append.backend import backend_of, quoted
from ledger.append.database import backend_for, file_of, open_engine
from ledger.append.ledger import Ledger
from ledger.errors import LedgerError
from projections.tables.columns import UtcDateTime
from tests.conftest import OpenLedger

pytestmark = pytest.mark.both_databases
WORDS = ["a", "B", "Z", "ä", "z", "\N{GRINNING FACE}", "\N{FULLWIDTH DIGIT ONE}"]


def test_an_engine_and_its_connections_have_one_backend(ledger: Ledger) -> None:
    """Chosen when it was opened; transactions with other options have it, too."""
    backend = backend_of(ledger.engine)
    with backend.snapshot_engine(ledger.engine).connect() as connection:
        assert backend_of(connection) is backend is backend_for(ledger.engine.url)
        assert connection.dialect.name == backend.name


def test_a_database_has_the_same_identity_however_it_is_called(
    ledger: Ledger, open_ledger: OpenLedger, tmp_path: Path
) -> None:
    """By another connection it is the same; another database is not."""
    again, other = open_engine(ledger.engine.url), open_ledger(tmp_path / "other.sqlite").engine
    found = []
    for engine in (ledger.engine, again, other):
        with engine.connect() as connection:
            found.append(backend_of(engine).identity(connection))
    again.dispose()
    assert found[0] == found[1] != found[2]


def test_columns_are_found_by_table_and_name(ledger: Ledger) -> None:
    """Neither a table nor a column that is not there is an error."""
    has = backend_of(ledger.engine).has_column
    with ledger.engine.connect() as connection:
        assert has(connection, "ledger_head", "root")
        assert not has(connection, "ledger_head", "id_of_another")
        assert not has(connection, "users", "id")


def test_text_sorts_as_its_bytes_do(ledger: Ledger) -> None:
    """Whatever language the server speaks: comparing two databases row by row depends on it."""
    table = Table("words", MetaData(), Column("word", Text, primary_key=True))
    with ledger.engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [{"word": word} for word in WORDS])
        order = backend_of(connection).in_order_of_bytes(table.c.word)
        found = list(connection.execute(select(table.c.word).order_by(order)).scalars())
    assert found == sorted(WORDS, key=str.encode)


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2025, 1, 13, 3, 0, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(2025, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
def test_an_instant_written_in_bulk_is_read_as_the_column_reads_it(
    ledger: Ledger, instant: datetime
) -> None:
    """The quick conversion and SQLAlchemy's own agree."""
    table = Table(
        "instants", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime)
    )
    with ledger.engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table).values(id=1, at=instant))
        stored = backend_of(connection).stored_instant(instant)
        place = quoted(connection, "instants")
        connection.execute(text(f"INSERT INTO {place} VALUES (2, :at)"), {"at": stored})
        assert list(connection.execute(select(table.c.at)).scalars()) == [instant, instant]


def test_a_renamed_table_keeps_its_rows_and_its_indexes_names_are_known(ledger: Ledger) -> None:
    """As exchanging two generations of a read model needs it."""
    backend = backend_of(ledger.engine)
    with ledger.engine.begin() as connection:
        old, new = quoted(connection, "the old"), quoted(connection, "the new")
        connection.execute(text(f"CREATE TABLE {old} (x INTEGER)"))
        connection.execute(text(f"CREATE INDEX ix_of_old ON {old} (x)"))
        connection.execute(text(f"INSERT INTO {old} VALUES (7)"))
        backend.rename_table(connection, "the old", "the new")
        assert connection.execute(text(f"SELECT x FROM {new}")).scalar_one() == 7
        assert "ix_of_old" in backend.index_names(connection)
        assert backend.size_bytes(connection) > 0


def test_only_a_file_has_a_path() -> None:
    """An address has none, and another kind of database is refused by name."""
    assert file_of(make_url("sqlite:////srv/ledger.sqlite")) == "/srv/ledger.sqlite"
    assert file_of(make_url("postgresql+psycopg://db.example/backups")) is None
    with pytest.raises(LedgerError, match="mysql is not supported"):
        backend_for(make_url("mysql://db.example/backups"))
