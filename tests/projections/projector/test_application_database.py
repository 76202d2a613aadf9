"""Read models in the application's own database: guests that keep to their tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.append.ledger import Ledger
from ledger.events.scheduling import SettingsCreated
from projections.errors import ProjectionError, TableInTheWay
from projections.queries.due import due_schedules
from projections.queries.schedules import orphaned_users, schedule_of, user_exists
from tests.projections.conftest import OpenReadModels, folded_in_memory, rows_of, taken_heals
from tests.projections.stories import tell
from tests.sample_events import CONTEXT, SLOT, draft

SEED = """CREATE TABLE backup_settings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL UNIQUE,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    frequency VARCHAR(20) NOT NULL DEFAULT 'daily',
    backup_time VARCHAR(5) NOT NULL DEFAULT '03:00',
    keep_count INTEGER NOT NULL DEFAULT 7,
    last_backup_at DATETIME,
    next_backup_at DATETIME,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL,
    FOREIGN KEY (user_id) REFERENCES users(id),
    CHECK (keep_count >= 1 AND keep_count <= 30),
    CHECK (frequency IN ('daily', 'weekly', 'monthly'))
)"""


@pytest.fixture
def app_path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def app(app_path: Path) -> Iterator[sqlite3.Connection]:
    """The application's connection to its database: it has users and things of its own."""
    connection = sqlite3.connect(app_path, isolation_level=None, timeout=0)
    connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    connection.execute("INSERT INTO users VALUES (1, 'ada'), (2, 'bob')")
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
    connection.execute("CREATE INDEX notes_body ON notes (body)")
    connection.execute("INSERT INTO notes (body) VALUES ('keep me')")
    yield connection
    connection.close()


def columns_of(app: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Name, type, not null, and primary key of each column."""
    rows = app.execute(f"PRAGMA table_info({table})").fetchall()
    return [(name, kind, notnull, key) for _cid, name, kind, notnull, _default, key in rows]


def set_up(ledger: Ledger, open_models: OpenReadModels, app_path: Path, *users: int) -> Any:
    """Read models in the application's database, with settings of these users."""
    drafts = [draft(SettingsCreated, f"schedule/{user}", next_backup_at=SLOT) for user in users]
    ledger.append(CONTEXT, *drafts)
    models = open_models(app_path, is_applications=True)
    assert models.catch_up()
    return models


def test_settings_have_the_former_columns_in_order_and_then_ours(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """Queries of the application go on working, also those that count columns."""
    set_up(ledger, open_models, app_path)
    former = sqlite3.connect(":memory:")
    former.execute(SEED)
    wanted = columns_of(former, "backup_settings")
    former.close()
    found = columns_of(app, "backup_settings")
    assert [column[0] for column in found[:10]] == [column[0] for column in wanted]
    assert [column[2] for column in found[:10] if column[0] != "id"] == [
        column[2] for column in wanted if column[0] != "id"
    ]
    assert [column[0] for column in found[10:]] == [
        "timezone",
        "paused",
        "failures",
        "next_slot",
        "next_attempt",
        "open_run_id",
        "stream_version",
        "anchor_day",
        "missed_from",
        "is_recomputed",
        "keep_within_days",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
        "keep_yearly",
        "cron",
    ]


def test_settings_refer_to_the_applications_users(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """As the former table did, and with its limits."""
    set_up(ledger, open_models, app_path, 1)
    assert app.execute("SELECT user_id FROM backup_settings").fetchall() == [(1,)]
    references = app.execute("PRAGMA foreign_key_list(backup_settings)").fetchall()
    assert [(row[2], row[3], row[4]) for row in references] == [("users", "user_id", "id")]
    app.execute("PRAGMA foreign_keys=ON")
    for change in ("keep_count = 0", "keep_count = 31", "frequency = 'hourly'", "user_id = 99"):
        with pytest.raises(sqlite3.IntegrityError):
            app.execute(f"UPDATE backup_settings SET {change}")
    defaults = "INSERT INTO backup_settings (user_id, created_at, updated_at) VALUES (2, '', '')"
    app.execute(defaults)
    stored = "SELECT enabled, frequency, backup_time, keep_count FROM backup_settings"
    assert app.execute(f"{stored} WHERE user_id = 2").fetchone() == (1, "daily", "03:00", 7)
    with pytest.raises(sqlite3.IntegrityError):
        app.execute(defaults)


@pytest.mark.parametrize(
    "statement", [None, "DROP TABLE users", "ALTER TABLE users RENAME id TO k"]
)
def test_without_users_by_id_there_is_no_reference(
    ledger: Ledger,
    open_models: OpenReadModels,
    app: sqlite3.Connection,
    app_path: Path,
    models_path: Path,
    statement: str | None,
) -> None:
    """A reference to nothing would make every write of the application fail."""
    if statement is not None:
        app.execute(statement)
    set_up(ledger, open_models, models_path if statement is None else app_path, 1)
    looking = sqlite3.connect(models_path if statement is None else app_path)
    assert looking.execute("SELECT user_id FROM backup_settings").fetchall() == [(1,)]
    assert looking.execute("PRAGMA foreign_key_list(backup_settings)").fetchall() == []
    looking.close()


def test_nothing_else_in_the_applications_database_is_touched(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """Its tables, its journal mode and its user_version stay; every table of ours has our name."""
    app.execute("PRAGMA user_version = 7")
    schema = "SELECT name, sql FROM sqlite_master"
    before = set(app.execute(schema))
    tell(ledger)
    assert open_models(app_path, is_applications=True).catch_up()
    assert app.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert app.execute("PRAGMA user_version").fetchone() == (7,)
    assert app.execute("SELECT * FROM notes").fetchall() == [(1, "keep me")]
    after = set(app.execute(schema))
    assert before <= after
    tables = {row[0] for row in app.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables - {"users", "notes", "sqlite_sequence"} == {
        "backup_settings",
        "backup_catalog",
        "backup_runs",
        "offsite_destinations",
        "offsite_copies",
        "audit_trail",
        "ledger_projection_generations",
        "ledger_projection_heals",
        "ledger_projection_meta",
        "ledger_projection_progress",
    }


def test_a_user_who_is_gone_leaves_an_orphan_that_is_not_due(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """The fold does not fail on it, and the row stays."""
    models = set_up(ledger, open_models, app_path, 1, 2, 99)
    now = datetime(2025, 1, 14, tzinfo=UTC)
    with models.reading() as connection:
        assert [each.user_id for each in due_schedules(connection, now, 10)] == [1, 2]
        assert orphaned_users(connection) == {99}
        assert schedule_of(connection, 99) is not None
        assert (user_exists(connection, 2), user_exists(connection, 99)) == (True, False)
    app.execute("DELETE FROM users WHERE id = 1")
    ledger.append(CONTEXT, draft(SettingsCreated, "schedule/3"))
    with models.reading() as connection:
        assert [each.user_id for each in due_schedules(connection, now, 10)] == [2]
        assert orphaned_users(connection) == {1, 3, 99}


def test_the_former_services_table_is_replaced(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """Its rows were recorded when the ledger was made; what counts now is the ledger."""
    app.execute(SEED)
    app.execute("INSERT INTO backup_settings (user_id, created_at, updated_at) VALUES (2, '', '')")
    models = set_up(ledger, open_models, app_path, 1)
    assert rows_of(models) == folded_in_memory(ledger)
    assert [row["user_id"] for row in rows_of(models)["backup_settings"]] == [1]
    assert columns_of(app, "backup_settings")[-1][0] == "cron"


@pytest.mark.parametrize(
    "table",
    [
        "backup_settings",
        "backup_catalog",
        "backup_runs",
        "offsite_destinations",
        "offsite_copies",
        "audit_trail",
    ],
)
def test_a_table_that_only_has_the_same_name_is_left_alone(
    ledger: Ledger,
    open_models: OpenReadModels,
    app: sqlite3.Connection,
    app_path: Path,
    table: str,
) -> None:
    """An application may have an audit_trail of its own: it is not ours to drop."""
    app.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, what TEXT)")
    app.execute(f"INSERT INTO {table} VALUES (1, 'precious')")
    before = set(app.execute("SELECT name, sql FROM sqlite_master"))
    models = open_models(app_path, is_applications=True)
    with pytest.raises(TableInTheWay, match=rf"{table}.*--projections"):
        models.catch_up()
    assert issubclass(TableInTheWay, ProjectionError)
    assert app.execute(f"SELECT * FROM {table}").fetchall() == [(1, "precious")]
    assert set(app.execute("SELECT name, sql FROM sqlite_master")) == before


def test_a_table_of_an_older_version_of_ours_is_made_anew(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """A column that is missing comes back with the rows, and it is said why."""
    models = set_up(ledger, open_models, app_path, 1, 2)
    expected = rows_of(models)
    app.execute("DROP INDEX ix_backup_runs_outcome")
    app.execute("ALTER TABLE backup_settings DROP COLUMN failures")
    later = open_models(app_path, is_applications=True)
    assert later.catch_up()
    assert rows_of(later) == expected
    assert [each.name for each in taken_heals(later)] == ["backup_settings"]


def test_times_are_stored_in_utc_without_a_zone(
    ledger: Ledger, open_models: OpenReadModels, app: sqlite3.Connection, app_path: Path
) -> None:
    """As the application reads them; in Python they are aware."""
    models = set_up(ledger, open_models, app_path, 1)
    stored = app.execute("SELECT next_backup_at FROM backup_settings").fetchone()
    assert stored == ("2025-01-13 03:00:00.000000",)
    with models.reading() as connection:
        schedule = schedule_of(connection, 1)
    assert schedule is not None
    assert schedule.next_backup_at == SLOT
